/* What tmpfs and the calls on files do, in numbers: each line is "WHAT VALUE", a value below zero an errno.
 *
 * Build: gcc -static -O2 -pthread -o filetest filetest.c
 * Everything happens in a folder of its own, which is removed at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PAGE = 4096 };

static long checked(long value)
{
	return value < 0 ? -errno : value;
}

#define SAY(what) printf("%s %ld\n", #what, checked((long)(what)))

static char bytes[8 * PAGE];

static long size_of(int file)
{
	struct stat seen;

	return fstat(file, &seen) == 0 ? (long)seen.st_size : -1;
}

static long blocks_of(int file)
{
	struct stat seen;

	return fstat(file, &seen) == 0 ? (long)seen.st_blocks : -1;
}

static long sum_at(int file, long offset, long length)
{
	long sum = 0;
	long count = pread(file, bytes, length, offset);

	for (long at = 0; at < count; at++)
		sum += bytes[at];
	return sum;
}

static int full(const char *name, long length)
{
	int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	memset(bytes, 1, sizeof bytes);
	if (write(file, bytes, length) != length)
		_exit(1);
	return file;
}

static void holes(void)
{
	int file = full("holes", 6 * PAGE);
	int pipe_ends[2];

	SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 10, 2 * PAGE));
	SAY(size_of(file));
	SAY(blocks_of(file));
	SAY(sum_at(file, 0, 6 * PAGE));
	SAY(lseek(file, 0, SEEK_DATA));
	SAY(lseek(file, 0, SEEK_HOLE));
	SAY(lseek(file, 2 * PAGE + 5, SEEK_HOLE));
	SAY(lseek(file, 2 * PAGE + 5, SEEK_DATA));
	SAY(lseek(file, 5 * PAGE, SEEK_HOLE));
	SAY(lseek(file, 6 * PAGE, SEEK_DATA));
	SAY(lseek(file, -1, SEEK_DATA));
	SAY(ftruncate(file, 20 * PAGE));
	SAY(lseek(file, 7 * PAGE, SEEK_DATA));
	SAY(lseek(file, 7 * PAGE, SEEK_HOLE));
	SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, PAGE));
	SAY(fallocate(file, FALLOC_FL_ZERO_RANGE, 0, PAGE));
	SAY(fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE));
	SAY(fallocate(file, 0, 0, 0));
	SAY(fallocate(file, 0, -1, 5));
	SAY(fallocate(file, 0, 0, 30 * PAGE));
	SAY(size_of(file));
	SAY(blocks_of(file));
	SAY(fallocate(file, FALLOC_FL_KEEP_SIZE, 30 * PAGE, 3 * PAGE));
	SAY(size_of(file));
	SAY(blocks_of(file));
	SAY(ftruncate(file, 30 * PAGE));
	SAY(blocks_of(file));
	close(file);
	file = open("holes", O_RDONLY);
	SAY(fallocate(file, 0, 0, PAGE));
	close(file);
	SAY(pipe(pipe_ends));
	SAY(fallocate(pipe_ends[1], 0, 0, PAGE));
	SAY(lseek(pipe_ends[1], 0, SEEK_DATA));
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	SAY(unlink("holes"));
}

static void temporary(void)
{
	struct stat seen;
	char path[64];
	int file = open(".", O_TMPFILE | O_RDWR, 0640);

	SAY(write(file, "kept", 4));
	SAY(fstat(file, &seen));
	printf("links %ld mode %o\n", (long)seen.st_nlink, (unsigned)seen.st_mode);
	SAY(linkat(file, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	SAY(linkat(file, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	close(file);
	SAY(stat("named", &seen));
	printf("links %ld size %ld\n", (long)seen.st_nlink, (long)seen.st_size);
	file = open(".", O_TMPFILE | O_WRONLY, 0600);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	SAY(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW));
	close(file);
	file = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	SAY(linkat(file, "", AT_FDCWD, "never", AT_EMPTY_PATH));
	close(file);
	SAY(open(".", O_TMPFILE | O_RDONLY, 0600));
	SAY(open("named", O_TMPFILE | O_RDWR, 0600));
	SAY(open("missing", O_TMPFILE | O_RDWR, 0600));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "named", AT_FDCWD, "other", 2));
	SAY(stat("other", &seen));
	printf("size %ld\n", (long)seen.st_size);
	SAY(syscall(SYS_renameat2, AT_FDCWD, "named", AT_FDCWD, "missing", 2));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "named", AT_FDCWD, "other", 1));
	SAY(syscall(SYS_renameat2, AT_FDCWD, "named", AT_FDCWD, "other", 3));
	SAY(unlink("named"));
	SAY(unlink("other"));
}

static void attributes(void)
{
	int file = full("attributes", 10);
	struct statfs totals;
	struct statx extended;

	SAY(setxattr("attributes", "user.x", "1", 1, 0));
	SAY(getxattr("attributes", "user.x", bytes, 10));
	SAY(fgetxattr(file, "trusted.x", bytes, 10));
	SAY(removexattr("attributes", "user.x"));
	SAY(fremovexattr(file, "trusted.x"));
	SAY(listxattr("attributes", bytes, 10));
	SAY(getxattr("missing", "user.x", bytes, 10));
	SAY(getxattr("attributes", "", bytes, 10));
	SAY(setxattr("attributes", "user.x", "1", 1, 8));
	SAY(lgetxattr("attributes", "nothing", bytes, 10));
	SAY(statfs(".", &totals));
	printf("type %lx block %ld name %ld\n", (long)totals.f_type, (long)totals.f_bsize, (long)totals.f_namelen);
	SAY(statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
	printf("statx %o %ld %ld\n", extended.stx_mode, (long)extended.stx_size, (long)extended.stx_nlink);
	close(file);
	SAY(unlink("attributes"));
}

static long second_of(const char *path, int modified)
{
	struct stat seen;

	if (lstat(path, &seen))
		return -1;
	return modified ? seen.st_mtim.tv_sec * 10 + seen.st_mtim.tv_nsec % 10 : seen.st_atim.tv_sec * 10 + seen.st_atim.tv_nsec % 10;
}

static void times(void)
{
	int file = full("times", 1);
	struct timespec both[2] = {{100, 3}, {200, 4}};
	struct timeval old[2] = {{300, 0}, {400, 0}};

	SAY(symlink("times", "link"));
	SAY(utimensat(AT_FDCWD, "times", both, 0));
	printf("times %ld %ld\n", second_of("times", 0), second_of("times", 1));
	both[0].tv_nsec = UTIME_OMIT;
	both[1].tv_sec = 500;
	SAY(futimens(file, both));
	printf("times %ld %ld\n", second_of("times", 0), second_of("times", 1));
	both[0].tv_nsec = 1;
	SAY(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW));
	printf("link %ld times %ld\n", second_of("link", 1), second_of("times", 1));
	SAY(syscall(SYS_futimesat, AT_FDCWD, "times", old));
	printf("times %ld %ld\n", second_of("times", 0), second_of("times", 1));
	both[0].tv_nsec = 1000000000;
	SAY(utimensat(AT_FDCWD, "times", both, 0));
	SAY(utimensat(AT_FDCWD, "missing", NULL, 0));
	SAY(utimensat(AT_FDCWD, "times", NULL, 0x40000));
	close(file);
	SAY(unlink("link"));
	SAY(unlink("times"));
}

static void transfers(void)
{
	int from = full("from", 2 * PAGE), to = full("to", 100);
	off_t start = 10, end = 50;
	struct iovec parts[2] = {{bytes, 3}, {bytes + 100, 5}};
	int appends;

	SAY(syscall(SYS_copy_file_range, from, &start, to, &end, PAGE, 0));
	printf("start %ld end %ld\n", (long)start, (long)end);
	SAY(size_of(to));
	SAY(lseek(from, 2 * PAGE - 7, SEEK_SET));
	SAY(syscall(SYS_copy_file_range, from, NULL, to, NULL, PAGE, 0));
	SAY(syscall(SYS_copy_file_range, from, NULL, to, NULL, PAGE, 0));
	SAY(syscall(SYS_copy_file_range, from, NULL, to, NULL, PAGE, 1));
	start = end = 0;
	SAY(syscall(SYS_copy_file_range, from, &start, from, &end, PAGE, 0));
	start = 0;
	SAY(sendfile(to, from, &start, 1000));
	printf("start %ld\n", (long)start);
	SAY(pwritev(to, parts, 2, 5));
	SAY(preadv(to, parts, 2, 5));
	SAY(preadv(to, parts, 2, -1));
	SAY(syscall(SYS_preadv2, to, parts, 2, 0L, 0L, 0));
	SAY(syscall(SYS_pwritev2, to, parts, 2, 1L, 0L, 0x4000));
	appends = open("to", O_WRONLY | O_APPEND);
	SAY(pwrite(appends, "end", 3, 0));
	SAY(size_of(appends));
	SAY(syscall(SYS_copy_file_range, from, NULL, appends, NULL, PAGE, 0));
	close(appends);
	close(from);
	close(to);
	SAY(unlink("from"));
	SAY(unlink("to"));
}

static long open2(const char *path, unsigned long flags, unsigned long resolve)
{
	struct open_how how = {.flags = flags, .resolve = resolve};
	long file = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (file >= 0)
		close(file);
	return file < 0 ? file : 0;
}

static void resolving(void)
{
	struct open_how how = {.flags = O_RDONLY, .mode = 0600};
	char longer[32] = {0};

	close(full("plain", 1));
	SAY(mkdir("inner", 0755));
	SAY(symlink("../plain", "inner/up"));
	SAY(symlink("/etc", "absolute"));
	SAY(symlink("plain", "link"));
	SAY(open2("plain", O_RDONLY, 0));
	SAY(open2("link", O_RDONLY, RESOLVE_NO_SYMLINKS));
	SAY(open2("inner/up", O_RDONLY, RESOLVE_BENEATH));
	SAY(open2("../plain", O_RDONLY, RESOLVE_BENEATH));
	SAY(open2("/etc", O_RDONLY, RESOLVE_BENEATH));
	SAY(open2("absolute", O_RDONLY, RESOLVE_BENEATH));
	SAY(open2("inner/../plain", O_RDONLY, RESOLVE_BENEATH));
	SAY(open2("/plain", O_RDONLY, RESOLVE_IN_ROOT));
	SAY(open2("../../plain", O_RDONLY, RESOLVE_IN_ROOT));
	SAY(open2("absolute", O_RDONLY, RESOLVE_IN_ROOT));
	SAY(open2("/proc/self/stat", O_RDONLY, RESOLVE_NO_XDEV));
	SAY(open2("/proc/self/fd/1", O_RDONLY, RESOLVE_NO_MAGICLINKS));
	SAY(open2("plain", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	SAY(open2("plain", O_RDONLY, 64));
	SAY(open2("plain", 1UL << 40, 0));
	SAY(syscall(SYS_openat2, AT_FDCWD, "plain", &how, sizeof how));
	SAY(syscall(SYS_openat2, AT_FDCWD, "plain", &how, 16));
	longer[30] = 1;
	SAY(syscall(SYS_openat2, AT_FDCWD, "plain", longer, sizeof longer));
	SAY(unlink("link"));
	SAY(unlink("absolute"));
	SAY(unlink("inner/up"));
	SAY(rmdir("inner"));
	SAY(unlink("plain"));
}

static sigjmp_buf back;

static void caught(int signal)
{
	siglongjmp(back, signal);
}

/* The signal that a read of the byte ends with, or 0. */
static int touch(volatile char *byte)
{
	int signal = sigsetjmp(back, 1);

	if (signal == 0)
		(void)*byte;
	return signal;
}

static void mapped(void)
{
	int file = full("mapped", 3 * PAGE);
	char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *own = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	signal(SIGBUS, caught);
	shared[5] = 9;
	SAY(sum_at(file, 5, 1));
	SAY(pwrite(file, "\7", 1, 6));
	printf("shared %d own %d\n", shared[6], own[6]);
	own[PAGE] = 3;
	printf("file %ld\n", sum_at(file, PAGE, 1));
	printf("beyond %d %d\n", touch(shared + 3 * PAGE), touch(own + 3 * PAGE));
	printf("last %d %d\n", touch(shared + 2 * PAGE), touch(own + 2 * PAGE));
	SAY(ftruncate(file, PAGE / 2));
	printf("cut %d %d %d\n", touch(shared + PAGE), touch(own + PAGE), touch(shared + PAGE / 2));
	printf("tail %d\n", shared[PAGE / 2]);
	SAY(ftruncate(file, 3 * PAGE));
	printf("grown %d %d\n", shared[PAGE], own[PAGE]);
	shared[PAGE] = own[2 * PAGE] = 4;
	SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE));
	printf("punched %d %d\n", shared[PAGE], own[2 * PAGE]);
	close(open("mapped", O_WRONLY | O_TRUNC));
	printf("emptied %d\n", touch(shared));
	munmap(shared, 4 * PAGE);
	munmap(own, 4 * PAGE);
	close(file);
	SAY(unlink("mapped"));
}

static void privileges(void)
{
	struct stat seen;
	int status;

	close(full("program", 10));
	SAY(chmod("program", 06777));
	SAY(mkdir("sticky", 0777));
	SAY(chmod("sticky", 01777));
	close(full("sticky/mine", 1));
	SAY(mknod("fifo", S_IFIFO | 0600, 0));
	SAY(mknod("null", S_IFCHR | 0666, 1 << 8 | 3));
	fflush(stdout);
	if (fork() == 0) {
		int file = open("program", O_WRONLY);

		SAY(setgid(1000));
		SAY(setuid(1000));
		SAY(unlink("sticky/mine"));
		SAY(rename("sticky/mine", "sticky/yours"));
		SAY(mknod("sticky/zero", S_IFCHR | 0666, 1 << 8 | 5));
		SAY(chroot("."));
		SAY(write(file, "x", 1));
		exit(0);
	}
	SAY(wait(&status) > 0);
	SAY(stat("program", &seen));
	printf("mode %o\n", (unsigned)seen.st_mode);
	if (fork() == 0) {
		SAY(chroot("sticky"));
		SAY(chdir("/"));
		SAY(access("mine", R_OK));
		SAY(access("../../program", R_OK));
		exit(0);
	}
	SAY(wait(&status) > 0);
	SAY(unlink("fifo"));
	SAY(unlink("null"));
	SAY(unlink("sticky/mine"));
	SAY(rmdir("sticky"));
	SAY(unlink("program"));
}

int main(void)
{
	char folder[] = "/tmp/filetestXXXXXX";

	if (!mkdtemp(folder) || chdir(folder) || chmod(folder, 0755))
		return 1;
	umask(022);
	setvbuf(stdout, NULL, _IOLBF, 0);
	holes();
	temporary();
	attributes();
	times();
	transfers();
	resolving();
	mapped();
	privileges();
	SAY(chdir("/"));
	SAY(rmdir(folder));
	return 0;
}
