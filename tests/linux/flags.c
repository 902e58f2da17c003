/* Flags that no other program of these tests gives: what becomes of each, so that servers/posix/coverage.toml names none that nothing compares.
 *
 * Build: gcc -static -O1 -o flags flags.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif
#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif
#define PAGE 4096

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

static void areas(void)
{
	static const int kinds[] = {MAP_NORESERVE, MAP_STACK, MAP_GROWSDOWN, MAP_POPULATE};
	char *area;

	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | kinds[i], -1, 0);
		if (area == MAP_FAILED) {
			printf("area %x: %s\n", kinds[i], told(-1));
			continue;
		}
		area[PAGE] = 'a';
		printf("area %x: %d %d, ", kinds[i], area[0], area[PAGE]);
		printf("not needed %s, ", told(madvise(area, 2 * PAGE, MADV_FREE)));
		area[PAGE] = 'b';
		printf("used again %d\n", area[PAGE]);
		munmap(area, 2 * PAGE);
	}
	int file = open("/tmp/flags.area", O_RDWR | O_CREAT | O_TRUNC, 0600);

	ftruncate(file, PAGE);
	area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	printf("msync: %s ", told(msync(area, PAGE, MS_ASYNC)));
	printf("%s ", told(msync(area, PAGE, MS_INVALIDATE)));
	printf("%s ", told(msync(area, PAGE, MS_SYNC | MS_INVALIDATE)));
	printf("%s\n", told(msync(area, PAGE, MS_SYNC | MS_ASYNC)));
	munmap(area, PAGE);
	close(file);
}

static void handler(int number)
{
	(void)number;
}

/* What the kernel keeps: the library gives its restorer with every handler. */
static void handlers(void)
{
	struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } kept;
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigaction(SIGUSR1, &action, NULL);
	printf("handler: %s, ", told(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &kept, 8)));
	printf("flags %lx, restorer %d\n", kept.flags & (SA_RESTORER | SA_RESTART), kept.restorer != NULL);
}

static void lines(void)
{
	struct termios modes;
	int main_end = posix_openpt(O_RDWR | O_NOCTTY), line, group, discipline = 9, status;

	unlockpt(main_end);
	if (fork() == 0) {
		setsid();
		line = open(ptsname(main_end), O_RDWR | O_NOCTTY);
		printf("controls: %s, ", told(ioctl(line, TIOCSCTTY, 0)));
		group = getpgrp();
		printf("foreground: %s, ", told(ioctl(line, TIOCSPGRP, &group)));
		group = 1 << 20;
		printf("of nobody: %s, ", told(ioctl(line, TIOCSPGRP, &group)));
		printf("discipline: %s ", told(ioctl(line, TIOCGETD, &discipline)));
		printf("%d\n", discipline);
		for (int i = 0; i < 3; i++) {
			ioctl(line, TCGETS, &modes);
			modes.c_lflag ^= ECHO;
			printf("set: %s, ", told(ioctl(line, (int[]){TCSETS, TCSETSW, TCSETSF}[i], &modes)));
			ioctl(line, TCGETS, &modes);
			printf("echo %d, ", (modes.c_lflag & ECHO) != 0);
		}
		printf("break %s, drained %s, ", told(ioctl(line, TCSBRK, 0)), told(ioctl(line, TCSBRK, 1)));
		printf("off %s, ", told(ioctl(line, TCXONC, TCOOFF)));
		printf("on %s\n", told(ioctl(line, TCXONC, TCOON)));
		exit(0);
	}
	wait(&status);
	printf("close on exec: %d ", fcntl(main_end, F_GETFD));
	printf("%s ", told(ioctl(main_end, FIOCLEX)));
	printf("%d ", fcntl(main_end, F_GETFD));
	printf("%s ", told(ioctl(main_end, FIONCLEX)));
	printf("%d\n", fcntl(main_end, F_GETFD));
	close(main_end);
}

static void sockets(void)
{
	static const int options[] = {SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF};
	static char bytes[4096];
	struct timeval wait = {0, 20000}, kept = {0, 0};
	socklen_t length = sizeof kept;
	int ends[2], one = 1;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
		printf("option %d: %s\n", options[i], told(setsockopt(ends[0], SOL_SOCKET, options[i], &one, sizeof one)));
	close(ends[0]), close(ends[1]);

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	printf("patience: %s ", told(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait)));
	printf("%s ", told(getsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &kept, &length)));
	printf("%ld ms, ", (long)kept.tv_usec / 1000);
	while (send(ends[0], bytes, sizeof bytes, 0) > 0)
		;
	printf("ends with %s\n", told(-1));
	close(ends[0]), close(ends[1]);

	/* Room for one descriptor where two are sent. */
	union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } control;
	struct iovec part = {bytes, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(head), ends, sizeof ends);
	printf("two descriptors: %s, ", told(sendmsg(ends[0], &message, 0)));
	message.msg_controllen = CMSG_LEN(sizeof(int));
	printf("%s, ", told(recvmsg(ends[1], &message, 0)));
	head = CMSG_FIRSTHDR(&message);
	printf("cut %d, of %zu bytes\n", (message.msg_flags & MSG_CTRUNC) != 0, head == NULL ? 0 : head->cmsg_len - CMSG_LEN(0));
	close(ends[0]), close(ends[1]);
}

static int ends_with_seven(void *unused)
{
	(void)unused;
	return 7;
}

static volatile int thread_saw;

/* It shares its maker's library data, so it calls nothing but the kernel. */
static int thread(void *child_tid)
{
	thread_saw = *(volatile int *)child_tid;
	return 0;
}

static void children(void)
{
	const int as_thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;
	static char stack[65536] __attribute__((aligned(16)));
	static volatile int parent_tid, child_tid = -1;
	struct clone_args made = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	struct sigaction action;
	siginfo_t info;
	unsigned long own_data = 0;
	int status, tid, seen, sum = 0;
	pid_t child = clone(ends_with_seven, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

	printf("child on our memory: %s, ", told(waitpid(child, &status, 0)));
	printf("status %d\n", WEXITSTATUS(status));
	if (fork() == 0)
		_exit(clone(ends_with_seven, stack + sizeof stack, CLONE_PARENT | SIGCHLD, NULL) < 0 ? 100 : 3);
	for (int i = 0; i < 2; i++)
		sum += waitpid(-1, &status, 0) < 0 ? 1000 : WEXITSTATUS(status);
	printf("child and its sister: %d\n", sum);
	syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &own_data);
	tid = clone(thread, stack + sizeof stack, as_thread | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID,
		    (void *)&child_tid, &parent_tid, (void *)own_data, &child_tid);
	printf("thread: %s, ", told(tid));
	while ((seen = child_tid) != 0)
		syscall(SYS_futex, &child_tid, FUTEX_WAIT, seen, NULL, NULL, 0);
	printf("for its parent %d, for itself %d, cleared %d\n", parent_tid == tid, thread_saw == tid, child_tid == 0);
	child = syscall(SYS_clone3, &made, sizeof made);
	if (child == 0) {
		sigaction(SIGUSR1, NULL, &action);
		_exit(action.sa_handler == SIG_DFL);
	}
	printf("handlers are cleared: %s, ", told(child));
	printf("waited for by group: %s, ", told(waitid(P_PGID, getpgrp(), &info, WEXITED | WNOWAIT)));
	printf("by nothing: %s, ", told(waitid(P_ALL, 0, &info, WEXITED)));
	printf("it is %d, status %d\n", info.si_pid == child, info.si_status);
	printf("none is left: %s\n", told(waitid(P_ALL, 0, &info, WEXITED)));
}

static long futex(int *word, int operation, int value, long more, int *other, int bits)
{
	return syscall(SYS_futex, word, operation, value, more, other, bits);
}

/* Who is moved is asleep, so what wakes it and what does not is certain. */
static void futexes(void)
{
	int *words = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), status;
	struct timespec past = {1, 0};

	printf("until a time that was: %s\n", told(futex(words, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, (long)&past, NULL, -1)));
	if (fork() == 0)
		_exit(futex(words, FUTEX_WAIT_BITSET, 0, 0, NULL, 2) == 0 ? 5 : 6);
	while (futex(words, FUTEX_REQUEUE, 0, 1, words + 1, 0) != 1)
		sched_yield();
	printf("moved: here %ld, ", futex(words, FUTEX_WAKE, 9, 0, NULL, 0));
	printf("there by another bit %ld, ", futex(words + 1, FUTEX_WAKE_BITSET, 9, 0, NULL, 1));
	printf("by its own %ld, ", futex(words + 1, FUTEX_WAKE_BITSET, 9, 0, NULL, 2));
	printf("by none %s, ", told(futex(words + 1, FUTEX_WAKE_BITSET, 9, 0, NULL, 0)));
	wait(&status);
	printf("status %d\n", WEXITSTATUS(status));
	munmap(words, PAGE);
}

static void descriptors(void)
{
	struct epoll_event event = {EPOLLIN | EPOLLWAKEUP, {.u32 = 1}};
	struct itimerspec at = {{0, 0}, {1 << 30, 0}};
	int ends[2], file, watcher = epoll_create1(0);

	pipe(ends);
	printf("woken up for: %s\n", told(epoll_ctl(watcher, EPOLL_CTL_ADD, ends[0], &event)));
	file = fcntl(ends[0], F_DUPFD_CLOEXEC, 20);
	printf("copy: at least 20 %d, close on exec %d, ", file >= 20, fcntl(file, F_GETFD));
	printf("%s ", told(fcntl(file, F_SETFD, 0)));
	printf("%d\n", fcntl(file, F_GETFD));
	printf("pipe: %d, ", fcntl(ends[0], F_GETPIPE_SZ));
	printf("set %d, ", fcntl(ends[0], F_SETPIPE_SZ, 65536));
	printf("now %d\n", fcntl(ends[1], F_GETPIPE_SZ));
	printf("range: %s ", told(syscall(SYS_close_range, file, file, CLOSE_RANGE_CLOEXEC)));
	printf("%d, ", fcntl(file, F_GETFD));
	printf("other flags %s\n", told(syscall(SYS_close_range, file, file, 1 << 5)));
	close(file), close(ends[0]), close(ends[1]), close(watcher);

	file = timerfd_create(CLOCK_REALTIME, 0);
	printf("timer: %s\n", told(timerfd_settime(file, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL)));
	close(file);
	file = syscall(SYS_pidfd_open, getpid(), PIDFD_NONBLOCK);
	printf("process: nonblocking %d\n", (fcntl(file, F_GETFL) & O_NONBLOCK) != 0);
	close(file);
	file = memfd_create("flags", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	printf("memory: close on exec %d, other flags %s\n", fcntl(file, F_GETFD), told(memfd_create("flags", 1 << 20)));
	close(file);
}

static void opening(void)
{
	const int kept = O_SYNC | O_DSYNC | O_NOATIME | O_ASYNC;
	struct stat about;
	char byte;
	int file = open("/tmp/flags.file", O_RDWR | O_CREAT | O_TRUNC | kept, 0600);

	printf("kept: %o of %o\n", fcntl(file, F_GETFL) & kept, kept);
	close(file);
	unlink("/tmp/flags.link");
	symlink("flags.file", "/tmp/flags.link");
	printf("link: followed %s, ", told(file = open("/tmp/flags.link", O_RDONLY)));
	close(file);
	printf("not followed %s, ", told(open("/tmp/flags.link", O_RDONLY | O_NOFOLLOW)));
	printf("as a path %s, ", told(file = open("/tmp/flags.link", O_PATH | O_NOFOLLOW)));
	printf("stat %s, ", told(fstat(file, &about)));
	printf("link %d, read %s\n", S_ISLNK(about.st_mode), told(read(file, &byte, 1)));
	close(file);
}

static void names(void)
{
	static const int syncs[] = {AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC, AT_STATX_SYNC_TYPE};
	struct stat about;
	struct statx more;
	char text[2] = "", first[] = "/tmp/flags.first", second[] = "/tmp/flags.second";
	int file;

	printf("stat: %s\n", told(fstatat(AT_FDCWD, "/tmp/flags.file", &about, AT_NO_AUTOMOUNT)));
	for (int i = 0; i < 4; i++)
		printf("statx: %s%c", told(statx(AT_FDCWD, "/tmp/flags.file", AT_NO_AUTOMOUNT | syncs[i], STATX_BASIC_STATS, &more)), i < 3 ? ' ' : '\n');
	mkdir("/tmp/flags.folder", 0700);
	printf("remove: as a file %s, ", told(unlinkat(AT_FDCWD, "/tmp/flags.folder", 0)));
	printf("a file as a folder %s, ", told(unlinkat(AT_FDCWD, "/tmp/flags.file", AT_REMOVEDIR)));
	printf("a folder %s, ", told(unlinkat(AT_FDCWD, "/tmp/flags.folder", AT_REMOVEDIR)));
	printf("again %s\n", told(unlinkat(AT_FDCWD, "/tmp/flags.folder", AT_REMOVEDIR)));
	for (int i = 0; i < 2; i++) {
		file = open(i == 0 ? first : second, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		write(file, i == 0 ? "1" : "2", 1);
		close(file);
	}
	printf("rename: not over another %s, ", told(renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_NOREPLACE)));
	printf("exchanged %s, ", told(renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE)));
	printf("both %s, ", told(renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE | RENAME_NOREPLACE)));
	file = open(first, O_RDONLY);
	read(file, text, 1);
	close(file);
	printf("the first is now %s\n", text);
	if (fork() == 0) {
		seteuid(1000);
		printf("access: by who one is %s, ", told(faccessat(AT_FDCWD, first, R_OK, 0)));
		printf("by whom one acts for %s\n", told(syscall(SYS_faccessat2, AT_FDCWD, first, R_OK, AT_EACCESS)));
		exit(0);
	}
	wait(NULL);
}

static void transfers(void)
{
	static const int kinds[] = {RWF_HIPRI, RWF_DSYNC, RWF_SYNC, 1 << 20};
	char bytes[4] = "abc";
	struct iovec part = {bytes, 3};
	int file = open("/tmp/flags.file", O_RDWR);

	for (int i = 0; i < 4; i++) {
		printf("write %x: %s, ", kinds[i], told(pwritev2(file, &part, 1, 0, kinds[i])));
		printf("read: %s\n", told(preadv2(file, &part, 1, 0, kinds[i])));
	}
	close(file);
}

static void others(void)
{
	char bytes[16];

	printf("personality: %d, ", personality(PER_LINUX));
	printf("now %d\n", personality(0xffffffff));
	printf("random: %s ", told(getrandom(bytes, sizeof bytes, GRND_RANDOM)));
	printf("%s ", told(getrandom(bytes, sizeof bytes, GRND_INSECURE)));
	printf("%s\n", told(getrandom(bytes, sizeof bytes, GRND_RANDOM | GRND_INSECURE)));
	printf("barriers: asked for %s, ", told(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0)));
	printf("wrongly %s\n", told(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 5, 0)));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	areas();
	handlers();
	lines();
	sockets();
	children();
	futexes();
	descriptors();
	opening();
	names();
	transfers();
	others();
	return 0;
}
