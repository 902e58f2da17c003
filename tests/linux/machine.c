/* What a program learns of the machine and of time stamps, files that are memory, and devices.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o machine machine.c
 * Figures that differ from machine to machine are compared with each other, not printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

static void show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

static void holds(const char *what, int is_true)
{
	printf("%s: %s\n", what, is_true ? "yes" : "no");
}

/* The number behind a name in /proc/meminfo, in bytes. */
static unsigned long memory(const char *name)
{
	char line[128];
	unsigned long kilobytes = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			kilobytes = strtoul(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return kilobytes * 1024;
}

static void machine(void)
{
	struct sysinfo first, second;
	struct utsname names;
	struct timespec before, after;
	double running = -1;
	pid_t children[5];
	FILE *uptime = fopen("/proc/uptime", "r");

	printf("-- machine\n");
	clock_gettime(CLOCK_BOOTTIME, &before);
	show("sysinfo", sysinfo(&first));
	clock_gettime(CLOCK_BOOTTIME, &after);
	holds("up for as long as the clock says, rounded up", first.uptime > before.tv_sec && first.uptime <= after.tv_sec + 1);
	int is_told = uptime && fscanf(uptime, "%lf", &running) == 1;
	clock_gettime(CLOCK_BOOTTIME, &after);
	holds("and /proc", is_told && running + 1 >= first.uptime && running <= after.tv_sec + 1);
	if (uptime)
		fclose(uptime);
	holds("memory as in /proc", first.totalram * first.mem_unit == memory("MemTotal:"));
	holds("some is free, not all", first.freeram > 0 && first.freeram < first.totalram);
	holds("no swap", first.totalswap == 0 && first.freeswap == 0 && memory("SwapTotal:") == 0);
	holds("a unit of one byte", first.mem_unit == 1);
	for (int i = 0; i < 5; i++)
		if ((children[i] = fork()) == 0) {
			pause();
			_exit(0);
		}
	show("sysinfo", sysinfo(&second));
	show("processes more", second.procs - first.procs);
	for (int i = 0; i < 5; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	show("sysinfo at a wrong place", syscall(SYS_sysinfo, 8));
	show("uname", uname(&names));
	printf("%s on %s\n", names.sysname, names.machine);
	holds("a release with three numbers", strtoul(names.release, NULL, 10) >= 5 && strchr(names.release, '.') != NULL);
	char name[65] = "";
	show("sethostname", sethostname("other", 5));
	show("gethostname", gethostname(name, sizeof name));
	uname(&names);
	printf("named %s and %s\n", name, names.nodename);
	show("too long a name", sethostname(name, 65));
	show("setdomainname", setdomainname("example", 7));
	uname(&names);
	printf("domain %s\n", names.domainname);
	holds("as many processors as are online", get_nprocs() >= 1 && get_nprocs() <= get_nprocs_conf());
	holds("a page of 4096", getpagesize() == 4096 && sysconf(_SC_CLK_TCK) == 100);
}

static void stamp(const char *what, const char *path, int flags)
{
	struct stat seen;

	if (fstatat(AT_FDCWD, path, &seen, flags))
		show(what, -1);
	else
		printf("%s: %ld.%06ld %ld.%06ld\n", what, (long)seen.st_atim.tv_sec, seen.st_atim.tv_nsec / 1000, (long)seen.st_mtim.tv_sec,
		       seen.st_mtim.tv_nsec / 1000);
}

static int is_now(const char *path)
{
	struct stat seen;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return stat(path, &seen) == 0 && seen.st_mtim.tv_sec <= now.tv_sec && seen.st_mtim.tv_sec + 60 > now.tv_sec &&
	       seen.st_atim.tv_sec == seen.st_mtim.tv_sec;
}

static void stamps(void)
{
	static const char file[] = "/tmp/machine.file", link[] = "/tmp/machine.link";
	const struct utimbuf old = {.actime = 10, .modtime = 20};
	const struct timeval both[2] = {{30, 123456}, {40, 654321}}, wrong[2] = {{0, 1000000}, {0, 0}}, early[2] = {{-5, 0}, {-1, 999999}};
	struct stat seen;
	int open_file = open(file, O_RDWR | O_CREAT | O_TRUNC, 0644);

	printf("-- time stamps\n");
	show("link", symlink(file, link));
	show("utime", utime(file, &old));
	stamp("file", file, 0);
	show("utimes", utimes(link, both));
	stamp("file by its link", file, 0);
	show("lutimes", lutimes(link, both));
	stamp("link", link, AT_SYMLINK_NOFOLLOW);
	show("futimes", futimes(open_file, early));
	stamp("file before 1970", file, 0);
	show("a million microseconds", utimes(file, wrong));
	show("utime to now", utime(file, NULL));
	holds("now", is_now(file));
	show("back", utime(file, &old));
	show("utimes to now", utimes(file, NULL));
	holds("now", is_now(file));
	show("of nothing", utimes("/tmp/machine.missing", NULL));
	show("of nothing", utime("/tmp/machine.missing", &old));
	show("back", utime(file, &old));
	stat(file, &seen);
	holds("the change is stamped", seen.st_ctim.tv_sec > 1000);
	show("write", write(open_file, "x", 1));
	stat(file, &seen);
	holds("a write stamps the modification alone", seen.st_mtim.tv_sec > 1000 && seen.st_atim.tv_sec == 10);
	fflush(stdout);
	if (fork() == 0) {
		if (setgid(1000) || setuid(1000))
			_exit(1);
		show("somebody else's, to a time", utime(file, &old));
		show("somebody else's, to now", utime(file, NULL));
		show("that is writable", chmod(file, 0666));
		exit(0);
	}
	wait(NULL);
	chmod(file, 0666);
	fflush(stdout);
	if (fork() == 0) {
		if (setgid(1000) || setuid(1000))
			_exit(1);
		show("somebody else's that is writable, to a time", utime(file, &old));
		show("somebody else's that is writable, to now", utime(file, NULL));
		exit(0);
	}
	wait(NULL);
	close(open_file);
	unlink(link);
	unlink(file);
}

static void memory_files(void)
{
	char path[64], target[64] = "", byte = 0;
	struct stat seen;
	int status;
	int file = memfd_create("a name", MFD_CLOEXEC);

	printf("-- files that are memory\n");
	holds("made", file >= 0);
	show("flags", fcntl(file, F_GETFD));
	show("access", fcntl(file, F_GETFL) & O_ACCMODE);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	if (readlink(path, target, sizeof target - 1) < 0)
		show("readlink", -1);
	printf("called %s\n", target);
	show("written", write(file, "0123456789", 10));
	show("enlarged", ftruncate(file, 10000));
	fstat(file, &seen);
	printf("mode %o size %ld links %ld\n", seen.st_mode, (long)seen.st_size, (long)seen.st_nlink);
	char *shared = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (fork() == 0) {
		shared[5000] = 'c';
		_exit(pwrite(file, "W", 1, 1) != 1);
	}
	wait(&status);
	printf("child's byte %c, its write %c, status %d\n", shared[5000], shared[1], status);
	int again = open(path, O_RDONLY);
	show("opened again", again < 0 ? -1 : pread(again, &byte, 1, 1));
	printf("byte %c\n", byte);
	close(again);
	munmap(shared, 10000);
	close(file);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[256];
	while (maps && fgets(line, sizeof line, maps))
		if (strtoul(line, NULL, 16) == (unsigned long)shared)
			printf("shared memory is of %s", strchr(line, '/') ? strchr(line, '/') : line);
	fclose(maps);
	munmap(shared, 4096);
	show("an unknown flag", memfd_create("x", 0x1000));
	char longest[260];
	memset(longest, 'n', sizeof longest);
	longest[249] = 0;
	file = memfd_create(longest, 0);
	holds("a name of 249 bytes", file >= 0);
	close(file);
	longest[249] = 'n';
	longest[250] = 0;
	show("a name of 250 bytes", memfd_create(longest, 0));
	show("no name", memfd_create((char *)8, 0));
	/* A program that no file system has. */
	file = memfd_create("program", MFD_CLOEXEC);
	int self = open("/proc/self/exe", O_RDONLY);
	static char buffer[65536];
	for (long count; (count = read(self, buffer, sizeof buffer)) > 0;)
		if (write(file, buffer, count) != count)
			return;
	close(self);
	char *arguments[] = {"program", "child", NULL}, *environment[] = {NULL};
	if (fork() == 0) {
		fexecve(file, arguments, environment);
		_exit(errno);
	}
	wait(&status);
	printf("executed: %d\n", WEXITSTATUS(status));
	close(file);
}

static void devices(void)
{
	static const char *const paths[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
	char bytes[8];
	struct termios modes;
	struct stat seen;

	printf("-- devices\n");
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		int file = open(paths[i], O_RDWR);

		printf("%s:\n", paths[i]);
		show("read", read(file, bytes, sizeof bytes));
		show("written", write(file, bytes, sizeof bytes));
		show("sought", lseek(file, 100, SEEK_SET));
		show("modes", tcgetattr(file, &modes));
		show("cut", ftruncate(file, 0));
		show("stat", fstat(file, &seen));
		printf("kind %o device %lx size %ld\n", seen.st_mode & S_IFMT, (long)seen.st_rdev, (long)seen.st_size);
		char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
		if (map == MAP_FAILED)
			show("mapped", -1);
		else
			printf("mapped: %d\n", map[100]);
		close(file);
	}
	int tty = open("/dev/tty", O_RDWR);
	show("no terminal of its own", tty < 0 ? -1 : 0);
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	holds("console opens", console >= 0);
	show("and is a terminal", tcgetattr(console, &modes));
	show("written", write(console, "written to the console\n", 23));
	show("stat", fstat(console, &seen));
	printf("kind %o device %lx\n", seen.st_mode & S_IFMT, (long)seen.st_rdev);
	show("sought", lseek(console, 0, SEEK_SET));
	close(console);
}

int main(int count, char **arguments)
{
	if (count > 1 && strcmp(arguments[1], "child") == 0)
		return 9;
	setvbuf(stdout, NULL, _IOLBF, 0);
	machine();
	stamps();
	memory_files();
	devices();
	return 0;
}
