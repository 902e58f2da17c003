/* The calls that take a folder's descriptor: what they do in it, and with descriptors that are no folder, closed, moved or removed.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o at at.c
 * Each line is "WHAT VALUE", a value below zero an errno. The process stands elsewhere all the time, so that a path which is taken from there is seen.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static long checked(long value)
{
	return value < 0 ? -errno : value;
}

#define SAY(what) printf("%s %ld\n", #what, checked((long)(what)))
/* A descriptor's number is the same on both systems only if nothing else is open: whether there is one is what counts. */
#define OPENS(what) printf("%s %ld\n", #what, opens(what))

static long opens(int file)
{
	if (file < 0)
		return -errno;
	close(file);
	return 0;
}

static int folder;

static void mode_and_links(const char *name, int flags)
{
	struct stat seen;

	if (fstatat(folder, name, &seen, flags))
		printf("%s %d\n", name, -errno);
	else
		printf("%s mode %o links %ld size %ld\n", name, (unsigned)seen.st_mode, (long)seen.st_nlink, S_ISDIR(seen.st_mode) ? 0L : (long)seen.st_size);
}

static void names_in_it(int at)
{
	int copy = openat(at, ".", O_RDONLY | O_DIRECTORY);
	DIR *list = fdopendir(copy);
	char *names[32];
	int count = 0;

	for (struct dirent *entry; list && (entry = readdir(list)) && count < 32;)
		names[count++] = strdup(entry->d_name);
	for (int i = 0; i < count; i++)
		for (int k = i + 1; k < count; k++)
			if (strcmp(names[i], names[k]) > 0) {
				char *swapped = names[i];

				names[i] = names[k];
				names[k] = swapped;
			}
	printf("names");
	for (int i = 0; i < count; i++) {
		printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
	if (list)
		closedir(list);
}

static void making(void)
{
	char target[16] = "";

	printf("-- making\n");
	SAY(mkdirat(folder, "inner", 0751));
	SAY(mkdirat(folder, "inner", 0751));
	SAY(mkdirat(folder, "missing/inner", 0751));
	SAY(mkdirat(folder, "slash/", 0700));
	SAY(mknodat(folder, "fifo", S_IFIFO | 0640, 0));
	SAY(mknodat(folder, "zero", S_IFCHR | 0600, makedev(1, 5)));
	SAY(mknodat(folder, "plain", S_IFREG | 0600, 0));
	SAY(mknodat(folder, "plain", S_IFREG | 0600, 0));
	OPENS(openat(folder, "file", O_RDWR | O_CREAT | O_EXCL, 0644));
	OPENS(openat(folder, "file", O_RDWR | O_CREAT | O_EXCL, 0644));
	OPENS(openat(folder, "inner/../file", O_RDONLY));
	OPENS(openat(folder, "file/", O_RDONLY));
	OPENS(openat(folder, "", O_RDONLY));
	SAY(symlinkat("file", folder, "link"));
	SAY(symlinkat("nowhere", folder, "dangling"));
	SAY(symlinkat("file", folder, "link"));
	SAY(symlinkat("", folder, "empty"));
	SAY(readlinkat(folder, "link", target, 2));
	printf("target %s\n", target);
	SAY(readlinkat(folder, "link", target, sizeof target));
	SAY(readlinkat(folder, "file", target, sizeof target));
	SAY(readlinkat(folder, "link", target, 0));
	SAY(linkat(folder, "file", folder, "inner/second", 0));
	SAY(linkat(folder, "link", folder, "not_followed", 0));
	SAY(linkat(folder, "link", folder, "followed", AT_SYMLINK_FOLLOW));
	SAY(linkat(folder, "inner", folder, "folder", 0));
	SAY(linkat(folder, "file", folder, "file", 0));
	SAY(linkat(folder, "file", folder, "other", 0x8));
	for (const char *name = "inner\0fifo\0zero\0plain\0file\0link\0not_followed\0followed\0"; *name; name += strlen(name) + 1)
		mode_and_links(name, AT_SYMLINK_NOFOLLOW);
	mode_and_links("link", 0);
	mode_and_links("dangling", 0);
	mode_and_links("", 0);
	names_in_it(folder);
}

static void changing(void)
{
	struct stat seen;
	struct timeval both[2] = {{100, 0}, {200, 0}};
	struct timespec fine[2] = {{300, 5}, {400, 6}};

	printf("-- changing\n");
	SAY(fchmodat(folder, "file", 0604, 0));
	SAY(fchmodat(folder, "link", 0624, 0));
	SAY(fchmodat(folder, "missing", 0600, 0));
	mode_and_links("file", 0);
	SAY(fchownat(folder, "file", 10, 20, 0));
	SAY(fchownat(folder, "link", 30, -1, AT_SYMLINK_NOFOLLOW));
	SAY(fchownat(folder, "file", 1, 1, 0x40000));
	SAY(fstatat(folder, "file", &seen, 0));
	printf("owner %d %d\n", (int)seen.st_uid, (int)seen.st_gid);
	SAY(fstatat(folder, "link", &seen, AT_SYMLINK_NOFOLLOW));
	printf("owner %d %d\n", (int)seen.st_uid, (int)seen.st_gid);
	SAY(fstatat(folder, "file", &seen, 0x40000));
	SAY(fchownat(folder, "", 0, 7, AT_EMPTY_PATH));
	SAY(fstatat(folder, "", &seen, AT_EMPTY_PATH));
	printf("owner %d %d\n", (int)seen.st_uid, (int)seen.st_gid);
	SAY(utimensat(folder, "file", fine, 0));
	SAY(fstatat(folder, "file", &seen, 0));
	printf("times %ld.%ld %ld.%ld\n", (long)seen.st_atim.tv_sec, seen.st_atim.tv_nsec, (long)seen.st_mtim.tv_sec, seen.st_mtim.tv_nsec);
	SAY(syscall(SYS_futimesat, folder, "file", both));
	SAY(fstatat(folder, "link", &seen, 0));
	printf("times %ld %ld\n", (long)seen.st_atim.tv_sec, (long)seen.st_mtim.tv_sec);
	SAY(faccessat(folder, "file", R_OK | W_OK, 0));
	SAY(faccessat(folder, "file", X_OK, 0));
	SAY(faccessat(folder, "dangling", F_OK, 0));
	SAY(faccessat(folder, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
	SAY(faccessat(folder, "file", 8, 0));
	SAY(syscall(SYS_faccessat2, folder, "", R_OK, AT_EMPTY_PATH));
	SAY(syscall(SYS_faccessat2, folder, "file", R_OK, 0x40000));
}

static void moving(void)
{
	int inner = openat(folder, "inner", O_RDONLY | O_DIRECTORY);
	int other = openat(folder, "slash", O_PATH | O_DIRECTORY);

	printf("-- moving\n");
	SAY(renameat(folder, "plain", inner, "moved"));
	SAY(renameat(inner, "moved", other, "moved"));
	SAY(renameat(inner, "missing", other, "moved"));
	SAY(renameat(folder, "inner", folder, "inner/inside"));
	SAY(renameat(folder, "file", folder, "inner"));
	SAY(renameat(folder, "inner", folder, "file"));
	SAY(renameat(folder, "inner", folder, "slash"));
	SAY(syscall(SYS_renameat2, folder, "fifo", folder, "file", 1));
	SAY(syscall(SYS_renameat2, folder, "fifo", other, "file", 1));
	SAY(syscall(SYS_renameat2, other, "file", folder, "link", 2));
	SAY(syscall(SYS_renameat2, folder, "link", folder, "link", 8));
	names_in_it(folder);
	names_in_it(inner);
	names_in_it(other);
	/* A descriptor goes with its folder, wherever that is moved to. */
	SAY(renameat(folder, "inner", other, "carried"));
	OPENS(openat(inner, "new", O_WRONLY | O_CREAT, 0600));
	OPENS(openat(other, "carried/new", O_RDONLY));
	OPENS(openat(inner, "../moved", O_RDONLY));
	OPENS(openat(inner, "..", O_RDONLY | O_DIRECTORY));
	close(inner);
	close(other);
}

/* What /proc shows for a link, from the name of the folder in /tmp on. */
static void shown(const char *what, const char *link)
{
	char path[128] = "";
	long length = readlink(link, path, sizeof path - 1);
	const char *slash = length > 5 && strncmp(path, "/tmp/", 5) == 0 ? strchr(path + 5, '/') : NULL;

	printf("%s: %s\n", what, slash ? slash : path);
}

static void shown_file(const char *what, int file)
{
	char link[64];

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	shown(what, link);
}

static void removing(void)
{
	int gone = openat(folder, "slash/carried", O_RDONLY | O_DIRECTORY);
	struct stat seen;

	printf("-- removing\n");
	SAY(unlinkat(folder, "slash", AT_REMOVEDIR));
	SAY(unlinkat(folder, "slash", 0));
	SAY(unlinkat(folder, "zero", AT_REMOVEDIR));
	SAY(unlinkat(folder, "zero", 1));
	SAY(unlinkat(gone, ".", AT_REMOVEDIR));
	SAY(unlinkat(gone, "..", AT_REMOVEDIR));
	SAY(unlinkat(folder, "", 0));
	SAY(unlinkat(gone, "new", 0));
	SAY(unlinkat(gone, "second", 0));
	SAY(unlinkat(folder, "slash/carried", AT_REMOVEDIR));
	OPENS(openat(gone, "late", O_WRONLY | O_CREAT, 0600));
	SAY(mkdirat(gone, "late", 0700));
	SAY(fstat(gone, &seen));
	printf("links %ld\n", (long)seen.st_nlink);
	names_in_it(gone);
	shown_file("folder that was removed", gone);
	SAY(fchdir(gone));
	shown("working directory that was removed", "/proc/self/cwd");
	SAY(syscall(SYS_getcwd, &seen, sizeof seen));
	SAY(chdir("/"));
	close(gone);
	int file = openat(folder, "first", O_RDWR | O_CREAT, 0600);
	SAY(unlinkat(folder, "first", 0));
	shown_file("file that was removed", file);
	SAY(renameat(folder, "slash", folder, "else"));
	SAY(renameat(folder, "else", folder, "slash"));
	shown_file("file that was removed", file);
	close(file);
	file = openat(folder, "first", O_RDWR | O_CREAT, 0600);
	int second = openat(folder, "second", O_RDWR | O_CREAT, 0600);
	SAY(renameat(folder, "second", folder, "first"));
	shown_file("file that was replaced", file);
	shown_file("file that replaced it", second);
	SAY(unlinkat(folder, "first", 0));
	close(file);
	close(second);
}

static void no_folder(void)
{
	int file = openat(folder, "file", O_RDONLY);
	int path = openat(folder, "file", O_PATH);
	struct statfs totals;
	struct stat seen;
	char byte;

	printf("-- descriptors that are no folder\n");
	for (int i = 0; i < 4; i++) {
		int at = i == 0 ? file : i == 1 ? path : i == 2 ? -1 : 999;

		OPENS(openat(at, "file", O_RDONLY));
		OPENS(openat(at, "/dev/null", O_RDONLY));
		SAY(mkdirat(at, "made", 0700));
		SAY(unlinkat(at, "file", 0));
		SAY(renameat(at, "file", folder, "x"));
		SAY(renameat(folder, "file", at, "x"));
		SAY(linkat(folder, "file", at, "x", 0));
		SAY(symlinkat("file", at, "x"));
		SAY(readlinkat(at, "x", &byte, 1));
		SAY(fchmodat(at, "x", 0600, 0));
		SAY(fchownat(at, "x", 0, 0, 0));
		SAY(faccessat(at, "x", F_OK, 0));
		SAY(fstatat(at, "x", &seen, 0));
		SAY(fstatat(at, "", &seen, AT_EMPTY_PATH));
		SAY(utimensat(at, "x", NULL, 0));
	}
	SAY(fchdir(file));
	printf("-- O_PATH\n");
	SAY(read(path, &byte, 1));
	SAY(fchmod(path, 0600));
	SAY(fstat(path, &seen));
	SAY(fcntl(path, F_GETFL) & (O_PATH | O_ACCMODE));
	SAY(fcntl(path, F_SETFL, O_APPEND));
	SAY(lseek(path, 0, SEEK_SET));
	SAY(ftruncate(path, 0));
	SAY(fsync(path));
	SAY(fallocate(path, 0, 0, 1));
	SAY(posix_fadvise(path, 0, 0, POSIX_FADV_NORMAL));
	SAY(syncfs(path));
	SAY(sendfile(1, path, NULL, 1));
	SAY(copy_file_range(path, NULL, file, NULL, 1, 0));
	SAY(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, path, 0));
	SAY(flock(path, LOCK_SH));
	SAY(fstatfs(path, &totals));
	SAY(fdatasync(path));
	SAY(preadv(path, NULL, 0, 0));
	OPENS(dup(path));
	close(path);
	path = openat(folder, "slash", O_PATH);
	SAY(syscall(SYS_getdents64, path, &seen, sizeof seen));
	OPENS(openat(path, "..", O_RDONLY));
	SAY(fchdir(path));
	SAY(access("moved", F_OK));
	SAY(chdir("/"));
	close(path);
	path = openat(folder, "dangling", O_PATH | O_NOFOLLOW);
	SAY(fstat(path, &seen));
	printf("kind %o\n", (unsigned)seen.st_mode & S_IFMT);
	SAY(readlinkat(path, "", &byte, 1));
	OPENS(openat(folder, "dangling", O_RDONLY | O_NOFOLLOW));
	OPENS(openat(folder, "dangling", O_PATH));
	OPENS(openat(folder, "file", O_RDONLY | O_DIRECTORY));
	OPENS(openat(folder, ".", O_WRONLY));
	OPENS(openat(folder, ".", O_RDONLY | O_CREAT, 0600));
	close(path);
	close(file);
}

static int run_shown(int at, const char *name, int flags, char *shows)
{
	char *arguments[] = {"run", shows, NULL}, *environment[] = {NULL};
	int status;

	fflush(stdout);
	if (fork() == 0) {
		syscall(SYS_execveat, at, name, arguments, environment, flags);
		_exit(errno);
	}
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run_at(int at, const char *name, int flags)
{
	return run_shown(at, name, flags, "child");
}

static void write_to(const char *name, const char *text)
{
	int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (write(file, text, strlen(text)) < 0)
		printf("write %d\n", -errno);
	close(file);
}

static void executing(void)
{
	int self = open("/proc/self/exe", O_RDONLY), script, closing;

	printf("-- executing\n");
	write_to("script", "#!/bin/sh\necho \"$(basename $0) of $1\"\nexit 5\n");
	SAY(run_at(self, "", AT_EMPTY_PATH));
	SAY(run_at(self, "", 0));
	SAY(run_at(folder, "script", 0));
	script = openat(folder, "script", O_RDONLY);
	closing = openat(folder, "script", O_RDONLY | O_CLOEXEC);
	SAY(run_at(script, "", AT_EMPTY_PATH) == 5);
	SAY(run_at(closing, "", AT_EMPTY_PATH));
	SAY(run_at(folder, "missing", 0));
	SAY(run_at(folder, "", AT_EMPTY_PATH));
	SAY(symlinkat("script", folder, "to_script"));
	SAY(run_at(folder, "to_script", 0));
	SAY(run_at(folder, "to_script", AT_SYMLINK_NOFOLLOW));
	SAY(run_at(folder, "script", 0x4));
	SAY(run_at(script, "x", 0));
	SAY(run_at(999, "x", 0));
	int copy = openat(folder, "copy", O_WRONLY | O_CREAT, 0700);
	while (sendfile(copy, self, NULL, 1 << 24) > 0)
		;
	close(copy);
	copy = openat(folder, "copy", O_RDONLY | O_CLOEXEC);
	SAY(run_shown(copy, "", AT_EMPTY_PATH, "child, shown"));
	SAY(unlinkat(folder, "copy", 0));
	SAY(run_shown(copy, "", AT_EMPTY_PATH, "child, shown"));
	close(copy);
	close(self);
	close(script);
	close(closing);
	SAY(unlinkat(folder, "script", 0));
	SAY(unlinkat(folder, "to_script", 0));
}

static void without_search(void)
{
	int status;

	printf("-- a folder that may not be searched\n");
	SAY(mkdirat(folder, "closed", 0700));
	fflush(stdout);
	if (fork() == 0) {
		int closed = openat(folder, "closed", O_RDONLY | O_DIRECTORY);
		struct stat seen;

		SAY(fchmod(closed, 0644));
		SAY(setgid(1000));
		SAY(setuid(1000));
		OPENS(openat(closed, "x", O_RDONLY));
		OPENS(openat(closed, "../file", O_RDONLY));
		SAY(mkdirat(closed, "x", 0700));
		SAY(fstatat(closed, "x", &seen, 0));
		SAY(fstatat(closed, "", &seen, AT_EMPTY_PATH));
		SAY(unlinkat(closed, "x", 0));
		SAY(unlinkat(folder, "file", 0));
		SAY(fchdir(closed));
		names_in_it(closed);
		exit(0);
	}
	wait(&status);
	SAY(unlinkat(folder, "closed", AT_REMOVEDIR));
}

int main(int count, char **arguments)
{
	char name[] = "/tmp/atXXXXXX";

	if (count > 1 && strncmp(arguments[1], "child", 5) == 0) {
		char own[16];

		prctl(PR_GET_NAME, own);
		printf("%s, from %s, called %s\n", arguments[0], (const char *)getauxval(AT_EXECFN), own);
		if (arguments[1][5])
			shown("the program", "/proc/self/exe");
		return 7;
	}
	umask(0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(name) || chmod(name, 0755) || chdir("/"))
		return 1;
	folder = open(name, O_RDONLY | O_DIRECTORY);
	making();
	changing();
	moving();
	removing();
	no_folder();
	executing();
	without_search();
	names_in_it(folder);
	for (const char *each = "dangling\0file\0followed\0link\0not_followed\0zero\0fifo\0slash/moved\0slash/file\0"; *each; each += strlen(each) + 1)
		unlinkat(folder, each, 0);
	unlinkat(folder, "slash", AT_REMOVEDIR);
	SAY(rmdir(name));
	return 0;
}
