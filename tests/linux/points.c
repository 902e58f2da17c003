/* Each operation that must not be done twice, several times in a row, for servers to die in: tests/tests/failpoints.rs runs it with every failpoint.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o points points.c
 * A line "NAME ok" for each kind of operation; "NAME FAILED: line: condition" and exit status 1 where one was lost, or done twice. The repetitions are
 * more than the failpoints of a kind, twice: the first passage after a death is that of the request that the server died of. "points flush" throws away
 * the terminal's input as often, and does nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { TIMES = 12, HOG_BYTES = 24 << 20, HOG_TIMES = 4, PAGE = 4096 };

static const char *current;
static char self[256];

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s FAILED: %d: %s (errno %d)\n", current, __LINE__, #condition, errno); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

static int status_of(pid_t child)
{
	int status = -1;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void forks(int turn)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(turn);
	CHECK(status_of(child) == turn);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void execs(int turn)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		execl(self, self, "exit", (char[]){(char)('a' + turn), 0}, (char *)NULL);
		_exit(99);
	}
	CHECK(status_of(child) == turn);
}

static void pipes(int turn)
{
	int ends[2];
	char text[16], back[64];

	CHECK(pipe(ends) == 0);
	int length = sprintf(text, "turn %d", turn);
	CHECK(write(ends[1], text, length) == length);
	CHECK(close(ends[1]) == 0);
	CHECK(read(ends[0], back, sizeof back) == length && memcmp(text, back, length) == 0);
	CHECK(read(ends[0], back, sizeof back) == 0);
	CHECK(close(ends[0]) == 0);
}

static void hogs(int turn)
{
	if (turn >= HOG_TIMES)
		return;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		char *bytes = mmap(NULL, HOG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		long sum = 0;

		CHECK(bytes != MAP_FAILED);
		for (long at = 0; at < HOG_BYTES; at += PAGE)
			bytes[at] = 1;
		for (long at = 0; at < HOG_BYTES; at += PAGE)
			sum += bytes[at];
		_exit(sum == HOG_BYTES / PAGE ? turn : 99);
	}
	CHECK(status_of(child) == turn);
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	handled += signal == SIGUSR1;
}

static void trapped(int signal)
{
	handled += signal == SIGTRAP;
}

static void signals(int turn)
{
	handled = 0;
	CHECK(signal(SIGUSR1, handler) != SIG_ERR);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(handled == 1 && turn >= 0);
}

/* Exceptions that come after their instruction, so that doing it again does not raise them again: a breakpoint, and the single steps over three. */
static void traps(int turn)
{
	handled = 0;
	CHECK(signal(SIGTRAP, trapped) != SIG_ERR);
	__asm__ volatile("int3");
	CHECK(handled == 1 && turn >= 0);
	__asm__ volatile("sub $128, %%rsp\n"
			 "pushf\npushf\norq $0x100, (%%rsp)\npopf\n"
			 "nop\nnop\npopf\n"
			 "add $128, %%rsp" : : : "cc", "memory");
	CHECK(handled == 1 + 3);
}

static void descriptors(int turn)
{
	int first = dup(0), second = dup(0);

	CHECK(first > 2 && second == first + 1 && turn >= 0);
	CHECK(close(first) == 0 && close(second) == 0);
	CHECK(close(second) == -1 && errno == EBADF);
}

static void maps(int turn)
{
	char *low = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(low != MAP_FAILED);
	low[0] = low[PAGE] = (char)turn;
	CHECK(mprotect(low, PAGE, PROT_READ) == 0);
	CHECK(low[0] == turn && low[PAGE] == turn);
	CHECK(munmap(low, 2 * PAGE) == 0);
	char *heap = sbrk(PAGE);
	CHECK((char *)sbrk(0) - heap == PAGE);
}

static void masks(int turn)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && !sigismember(&old, SIGUSR2));
	CHECK(sigprocmask(SIG_UNBLOCK, &set, &old) == 0 && sigismember(&old, SIGUSR2) && turn >= 0);
}

static void kills(int turn)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		for (;;)
			pause();
	CHECK(kill(child, 0) == 0 && kill(child, SIGTERM) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK(kill(child, 0) == -1 && errno == ESRCH && turn >= 0);
}

static void connections(int turn)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[8];
	int listening = socket(AF_UNIX, SOCK_STREAM, 0), calling = socket(AF_UNIX, SOCK_STREAM, 0);

	sprintf(address.sun_path, "/tmp/points.socket");
	CHECK(listening >= 0 && calling >= 0);
	CHECK(bind(listening, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(listen(listening, 4) == 0);
	CHECK(connect(calling, (struct sockaddr *)&address, sizeof address) == 0);
	int accepted = accept(listening, NULL, NULL);
	CHECK(accepted >= 0);
	CHECK(send(calling, "once", 4, 0) == 4 && shutdown(calling, SHUT_WR) == 0);
	CHECK(recv(accepted, text, sizeof text, MSG_WAITALL) == 4 && memcmp(text, "once", 4) == 0 && turn >= 0);
	CHECK(close(accepted) == 0 && close(calling) == 0 && close(listening) == 0 && unlink(address.sun_path) == 0);
}

static void polls(int turn)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = turn}, got;
	int ends[2], epoll = epoll_create1(0);

	CHECK(epoll >= 0 && pipe(ends) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(epoll_wait(epoll, &got, 1, 1000) == 1 && got.data.u32 == (uint32_t)turn);
	CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL) == 0);
	CHECK(close(epoll) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void timers(int turn)
{
	struct itimerval timer = {.it_value.tv_sec = 1000 + turn}, old;

	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	memset(&timer, 0, sizeof timer);
	CHECK(setitimer(ITIMER_REAL, &timer, &old) == 0 && old.it_value.tv_sec >= 900 + turn);
	CHECK(usleep(100) == 0);
}

static void process(int turn)
{
	mode_t old = umask(0100 + turn);

	CHECK(umask(old) == (mode_t)(0100 + turn));
	CHECK(chdir("/tmp") == 0);
}

static void terminals(int turn)
{
	int ends[2], count = -1;

	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], "0123456789abcdef", turn + 1) == turn + 1);
	CHECK(ioctl(ends[0], FIONREAD, &count) == 0 && count == turn + 1);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void futexes(int turn)
{
	static int word;
	struct timespec soon = {0, 1000};

	word = turn;
	CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, turn, &soon, NULL, 0) == -1 && errno == ETIMEDOUT);
}

/* Each of the system of files' operations on its own, so that one after the other dies of it. */

static void files(int turn)
{
	int file = open("/tmp/points.file", O_RDWR | O_CREAT | O_APPEND, 0600);
	struct stat about;

	CHECK(file >= 0);
	CHECK(write(file, "abcdefgh", 8) == 8);
	CHECK(fstat(file, &about) == 0 && about.st_size == 8 * (turn + 1));
	CHECK(close(file) == 0);
}

static void mappings(int turn)
{
	int file = open("/tmp/points.file", O_RDONLY);
	char *bytes = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);

	CHECK(file >= 0 && bytes != MAP_FAILED && close(file) == 0);
	CHECK(memcmp(bytes, "abcdefgh", 8) == 0 && turn >= 0);
	CHECK(munmap(bytes, PAGE) == 0);
}

static void lengths(int turn)
{
	struct stat about;

	CHECK(truncate("/tmp/points.file", 100000) == 0);
	CHECK(truncate("/tmp/points.file", turn) == 0);
	CHECK(stat("/tmp/points.file", &about) == 0 && about.st_size == turn);
}

static void attributes(int turn)
{
	struct stat about;

	CHECK(chmod("/tmp/points.file", 0600 + turn) == 0);
	CHECK(stat("/tmp/points.file", &about) == 0 && (about.st_mode & 07777) == (mode_t)(0600 + turn));
}

static void folders(int turn)
{
	char name[32];

	sprintf(name, "/tmp/points.%d", turn);
	CHECK(mkdir(name, 0700) == 0);
	CHECK(mkdir(name, 0700) == -1 && errno == EEXIST);
}

static void no_folders(int turn)
{
	char name[32];

	sprintf(name, "/tmp/points.%d", turn);
	CHECK(rmdir(name) == 0);
	CHECK(rmdir(name) == -1 && errno == ENOENT);
}

static void names(int turn)
{
	const char *from = turn % 2 ? "/tmp/points.other" : "/tmp/points.file", *to = turn % 2 ? "/tmp/points.file" : "/tmp/points.other";

	CHECK(rename(from, to) == 0);
	CHECK(access(from, F_OK) == -1 && access(to, F_OK) == 0);
}

static void links(int turn)
{
	char name[32];
	struct stat about;

	sprintf(name, "/tmp/points.link.%d", turn);
	CHECK(link("/tmp/points.file", name) == 0);
	CHECK(stat("/tmp/points.file", &about) == 0 && about.st_nlink == (nlink_t)(turn + 2));
}

static void no_links(int turn)
{
	char name[32];
	struct stat about;

	sprintf(name, "/tmp/points.link.%d", turn);
	CHECK(unlink(name) == 0);
	CHECK(stat("/tmp/points.file", &about) == 0 && about.st_nlink == (nlink_t)(TIMES - turn));
}

static void symbolic(int turn)
{
	char text[32];

	CHECK(symlink("/tmp/points.file", "/tmp/points.symbolic") == 0);
	CHECK(readlink("/tmp/points.symbolic", text, sizeof text) == 16 && turn >= 0);
	CHECK(unlink("/tmp/points.symbolic") == 0);
}

static void nodes(int turn)
{
	CHECK(mkfifo("/tmp/points.fifo", 0600) == 0);
	CHECK(mkfifo("/tmp/points.fifo", 0600) == -1 && errno == EEXIST && turn >= 0);
	CHECK(unlink("/tmp/points.fifo") == 0);
}

static void holes(int turn)
{
	static char bytes[8 * PAGE];
	int file = open("/tmp/points.holes", O_RDWR | O_CREAT, 0600);

	memset(bytes, 'x', sizeof bytes);
	CHECK(file >= 0 && pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes);
	CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE, 3 * PAGE) == 0);
	CHECK(pread(file, bytes, sizeof bytes, 0) == sizeof bytes && turn >= 0);
	for (int at = 0; at < (int)sizeof bytes; at++)
		CHECK(bytes[at] == (at / PAGE >= 2 && at / PAGE < 5 ? 0 : 'x'));
	CHECK(ftruncate(file, PAGE + 1) == 0);
	CHECK(close(file) == 0 && unlink("/tmp/points.holes") == 0);
}

static void offsets(int turn)
{
	int file = open("/tmp/points.file", O_RDWR);

	CHECK(file >= 0 && lseek(file, 3, SEEK_CUR) == 3 && lseek(file, turn, SEEK_CUR) == 3 + turn);
	CHECK(ftruncate(file, 50) == 0 && close(file) == 0);
}

static void run(const char *name, void (*turn)(int))
{
	current = name;
	for (int count = 0; count < TIMES; count++)
		turn(count);
	printf("%s ok\n", name);
	fflush(stdout);
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "exit") == 0)
		return arguments[2][0] - 'a';
	if (count == 2 && strcmp(arguments[1], "flush") == 0) {
		for (int turn = 0; turn < TIMES; turn++)
			if (tcflush(0, TCIFLUSH) != 0)
				return 1;
		return 0;
	}
	CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	run("fork", forks);
	run("exec", execs);
	run("pipe", pipes);
	run("memory", hogs);
	run("trap", traps);
	run("signal", signals);
	run("descriptor", descriptors);
	run("map", maps);
	run("mask", masks);
	run("kill", kills);
	run("connection", connections);
	run("epoll", polls);
	run("timer", timers);
	run("process", process);
	run("terminal", terminals);
	run("futex", futexes);
	run("file", files);
	run("mapping", mappings);
	run("length", lengths);
	run("attribute", attributes);
	run("folder", folders);
	run("no folder", no_folders);
	run("link", links);
	run("no link", no_links);
	run("name", names);
	run("symbolic link", symbolic);
	run("node", nodes);
	run("hole", holes);
	run("offset", offsets);
	current = "end";
	CHECK(unlink("/tmp/points.file") == 0);
	return 0;
}
