/* Waiting for events: epoll, eventfd, timerfd, signalfd, and the masks of ppoll and pselect. A line for each thing asked.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o events events.c
 * Times are only compared with what they must at least be, so that a slow machine says the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
	return result;
}

static int control(int epoll, int operation, int descriptor, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = 0x1111111100000000 + descriptor};

	return epoll_ctl(epoll, operation, descriptor, &event);
}

/* What an epoll reports, by descriptor relative to `base`. */
static void report(const char *what, int epoll, int most, int base)
{
	struct epoll_event events[8];
	int count = epoll_wait(epoll, events, most, 0);

	printf("%s: %d", what, count);
	for (int i = 0; i < count; i++)
		printf(", %x at +%d%s", events[i].events, (int)events[i].data.u32 - base, events[i].data.u64 >> 32 == 0x11111111 ? "" : " wrong data");
	putchar('\n');
}

static void empty(int descriptor)
{
	char buffer[4096];
	int flags = fcntl(descriptor, F_GETFL);

	fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
	while (read(descriptor, buffer, sizeof buffer) > 0)
		;
	fcntl(descriptor, F_SETFL, flags);
}

static void put(int descriptor, const char *text)
{
	if (write(descriptor, text, strlen(text)) < 0)
		printf("write: %s\n", strerrorname_np(errno));
}

static void levels_and_edges(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), ends[2];

	printf("-- levels and edges\n");
	printf("flags %x, descriptor's %x\n", fcntl(epoll, F_GETFL), fcntl(epoll, F_GETFD));
	if (pipe(ends) != 0)
		exit(1);
	show("watch", control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	report("nothing yet", epoll, 8, ends[0]);
	put(ends[1], "abc");
	report("level", epoll, 8, ends[0]);
	report("level", epoll, 8, ends[0]);
	show("edge", control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET));
	report("edge", epoll, 8, ends[0]);
	report("edge", epoll, 8, ends[0]);
	put(ends[1], "d");
	report("another write", epoll, 8, ends[0]);
	report("edge", epoll, 8, ends[0]);
	put(ends[1], "e");
	empty(ends[0]);
	report("write that was read", epoll, 8, ends[0]);
	put(ends[1], "f");
	report("another write", epoll, 8, ends[0]);
	show("one shot", control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT));
	report("one shot", epoll, 8, ends[0]);
	put(ends[1], "g");
	report("one shot", epoll, 8, ends[0]);
	show("again", control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT));
	report("one shot", epoll, 8, ends[0]);
	show("room", control(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET));
	report("room", epoll, 8, ends[0]);
	report("room", epoll, 8, ends[0]);
	show("no more", epoll_ctl(epoll, EPOLL_CTL_DEL, ends[1], NULL));
	control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET);
	report("before the end", epoll, 8, ends[0]);
	close(ends[1]);
	report("the other end is closed", epoll, 8, ends[0]);
	report("the other end is closed", epoll, 8, ends[0]);
	close(ends[0]);
	report("closed", epoll, 8, ends[0]);
	close(epoll);
}

static void sockets(void)
{
	int epoll = epoll_create1(0), ends[2];

	printf("-- sockets\n");
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	report("new", epoll, 8, ends[0]);
	report("new", epoll, 8, ends[0]);
	put(ends[1], "x");
	report("bytes", epoll, 8, ends[0]);
	report("bytes", epoll, 8, ends[0]);
	shutdown(ends[1], SHUT_WR);
	report("half closed", epoll, 8, ends[0]);
	report("half closed", epoll, 8, ends[0]);
	close(ends[1]);
	report("closed", epoll, 8, ends[0]);
	control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLOUT);
	report("level", epoll, 8, ends[0]);
	control(epoll, EPOLL_CTL_MOD, ends[0], 0);
	report("nothing asked", epoll, 8, ends[0]);
	close(ends[0]);
	close(epoll);
}

static void turns(void)
{
	int epoll = epoll_create1(0), ends[3][2], copy;

	printf("-- turns\n");
	for (int i = 0; i < 3; i++)
		if (pipe(ends[i]) != 0 || control(epoll, EPOLL_CTL_ADD, ends[i][1], EPOLLOUT) != 0)
			exit(1);
	for (int i = 0; i < 4; i++)
		report("one of three", epoll, 1, ends[0][1]);
	report("all", epoll, 8, ends[0][1]);
	copy = dup(ends[1][1]);
	close(ends[1][1]);
	report("closed, with a copy", epoll, 8, ends[0][1]);
	close(copy);
	report("closed", epoll, 8, ends[0][1]);
	for (int i = 0; i < 3; i++) {
		close(ends[i][0]);
		if (i != 1)
			close(ends[i][1]);
	}
	close(epoll);
}

static void errors(void)
{
	int epoll = epoll_create1(0), other = epoll_create(1), ends[2], file = open("/tmp", O_RDONLY), null = open("/dev/null", O_RDWR);
	struct epoll_event event;
	char byte;

	printf("-- errors\n");
	if (pipe(ends) != 0)
		exit(1);
	show("epoll_create(0)", epoll_create(0));
	show("epoll_create1(1)", epoll_create1(1));
	show("a folder", control(epoll, EPOLL_CTL_ADD, file, EPOLLIN));
	show("/dev/null", control(epoll, EPOLL_CTL_ADD, null, EPOLLIN));
	show("nothing", control(epoll, EPOLL_CTL_ADD, 99, EPOLLIN));
	show("at nothing", control(99, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	show("at a pipe", control(ends[1], EPOLL_CTL_ADD, ends[0], EPOLLIN));
	show("itself", control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN));
	show("operation", control(epoll, 9, ends[0], EPOLLIN));
	show("change of what is not watched", control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN));
	show("end of what is not watched", control(epoll, EPOLL_CTL_DEL, ends[0], 0));
	show("watch", control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	show("twice", control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN));
	show("exclusive", control(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE));
	show("change of an exclusive one", control(epoll, EPOLL_CTL_MOD, ends[1], EPOLLOUT));
	show("change to exclusive", control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLEXCLUSIVE));
	control(epoll, EPOLL_CTL_DEL, ends[1], 0);
	show("exclusive one shot", control(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT));
	show("exclusive epoll", control(epoll, EPOLL_CTL_ADD, other, EPOLLIN | EPOLLEXCLUSIVE));
	show("no room", epoll_wait(epoll, &event, 0, 0));
	show("negative room", syscall(SYS_epoll_wait, epoll, &event, -1, 0));
	show("bad address", epoll_wait(epoll, (struct epoll_event *)-4096, 1, 0));
	show("not an epoll", epoll_wait(ends[0], &event, 1, 0));
	show("read", read(epoll, &byte, 1));
	show("write", write(epoll, "x", 1));
	show("lseek", lseek(epoll, 0, SEEK_SET));
	close(epoll);
	close(other);
	close(ends[0]);
	close(ends[1]);
	close(file);
	close(null);
}

static void nested(void)
{
	int epolls[7], ends[2];

	printf("-- nested\n");
	for (int i = 0; i < 7; i++)
		epolls[i] = epoll_create1(0);
	if (pipe(ends) != 0)
		exit(1);
	for (int i = 0; i < 6; i++)
		show("in a row", control(epolls[i], EPOLL_CTL_ADD, epolls[i + 1], EPOLLIN));
	show("a circle", control(epolls[3], EPOLL_CTL_ADD, epolls[0], EPOLLIN));
	control(epolls[2], EPOLL_CTL_ADD, ends[0], EPOLLIN);
	report("nothing", epolls[0], 8, epolls[0]);
	put(ends[1], "x");
	report("bytes", epolls[0], 8, epolls[0]);
	report("bytes", epolls[1], 8, epolls[0]);
	report("bytes", epolls[2], 8, ends[0]);
	struct pollfd poll_one = {.fd = epolls[0], .events = POLLIN | POLLOUT};
	poll(&poll_one, 1, 0);
	printf("poll %x\n", poll_one.revents);
	empty(ends[0]);
	report("read", epolls[0], 8, epolls[0]);
	for (int i = 0; i < 7; i++)
		close(epolls[i]);
	close(ends[0]);
	close(ends[1]);
}

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleeping(void)
{
	int epoll = epoll_create1(0), ends[2];
	struct epoll_event event;
	struct timespec some = {0, 30000000}, wrong = {0, 1000000000};
	uint64_t start = milliseconds();

	printf("-- sleeping\n");
	show("epoll_wait", epoll_wait(epoll, &event, 1, 50));
	printf("long enough: %d\n", milliseconds() - start >= 50);
	start = milliseconds();
	show("epoll_pwait2", syscall(SYS_epoll_pwait2, epoll, &event, 1, &some, NULL, 8L));
	printf("long enough: %d\n", milliseconds() - start >= 30);
	show("wrong time", syscall(SYS_epoll_pwait2, epoll, &event, 1, &wrong, NULL, 8L));
	if (pipe(ends) != 0)
		exit(1);
	control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		usleep(30000);
		put(ends[1], "x");
		_exit(0);
	}
	show("until somebody writes", epoll_wait(epoll, &event, 1, -1));
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	close(epoll);
}

static int ready(int descriptor)
{
	struct pollfd poll_one = {.fd = descriptor, .events = POLLIN | POLLOUT};

	poll(&poll_one, 1, 0);
	return poll_one.revents;
}

static void counters(void)
{
	int counter = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC), semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK), epoll = epoll_create1(0);
	uint64_t value = 4;

	printf("-- counters\n");
	printf("flags %x, descriptor's %x, ready %x\n", fcntl(counter, F_GETFL), fcntl(counter, F_GETFD), ready(counter));
	show("write", write(counter, &value, 8));
	show("read", read(counter, &value, 8));
	printf("  %lu, ready %x\n", value, ready(counter));
	show("read of nothing", read(counter, &value, 8));
	show("short read", read(counter, &value, 7));
	show("short write", write(counter, &value, 7));
	value = UINT64_MAX;
	show("largest", write(counter, &value, 8));
	value = UINT64_MAX - 1;
	show("next to largest", write(counter, &value, 8));
	printf("  ready %x\n", ready(counter));
	value = 1;
	show("one more", write(counter, &value, 8));
	for (int i = 0; i < 3; i++) {
		show("semaphore", read(semaphore, &value, 8));
		printf("  %lu\n", value);
	}
	control(epoll, EPOLL_CTL_ADD, semaphore, EPOLLIN | EPOLLET);
	report("edge", epoll, 8, semaphore);
	for (int i = 0; i < 2; i++) {
		value = 1;
		if (write(semaphore, &value, 8) != 8)
			exit(1);
		report("edge", epoll, 8, semaphore);
		report("edge", epoll, 8, semaphore);
	}
	close(counter);
	close(semaphore);
	close(epoll);
}

static void timers(void)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), waiting = timerfd_create(CLOCK_REALTIME, 0), epoll = epoll_create1(0);
	struct itimerspec once = {.it_value = {0, 40000000}}, often = {{0, 10000000}, {0, 10000000}}, off = {{0, 0}, {0, 0}}, wrong = {{0, 0}, {0, -1}}, old;
	struct epoll_event event;
	uint64_t count = 0, start;

	printf("-- timers\n");
	printf("flags %x, descriptor's %x, ready %x\n", fcntl(timer, F_GETFL), fcntl(timer, F_GETFD), ready(timer));
	show("clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
	show("flags", timerfd_create(CLOCK_MONOTONIC, 1));
	show("read unset", read(timer, &count, 8));
	show("wrong time", timerfd_settime(timer, 0, &wrong, NULL));
	show("wrong flags", timerfd_settime(timer, 8, &once, NULL));
	show("not a timer", timerfd_settime(epoll, 0, &once, NULL));
	start = milliseconds();
	show("set", timerfd_settime(timer, 0, &once, NULL));
	show("ask", timerfd_gettime(timer, &old));
	printf("  %ld s, at most 40 ms: %d, interval %ld\n", old.it_value.tv_sec, old.it_value.tv_nsec <= 40000000, old.it_interval.tv_nsec);
	control(epoll, EPOLL_CTL_ADD, timer, EPOLLIN);
	show("epoll_wait", epoll_wait(epoll, &event, 1, -1));
	printf("  ready %x, long enough: %d\n", ready(timer), milliseconds() - start >= 40);
	show("short read", read(timer, &count, 4));
	show("read", read(timer, &count, 8));
	printf("  %lu\n", count);
	show("read again", read(timer, &count, 8));
	timerfd_gettime(timer, &old);
	printf("  %ld.%09ld to go\n", old.it_value.tv_sec, old.it_value.tv_nsec);
	show("set often", timerfd_settime(waiting, 0, &often, NULL));
	usleep(55000);
	show("read", read(waiting, &count, 8));
	printf("  at least 5: %d\n", count >= 5);
	show("read waits", read(waiting, &count, 8));
	show("set off", timerfd_settime(waiting, 0, &off, &old));
	printf("  interval was %ld\n", old.it_interval.tv_nsec);
	clock_gettime(CLOCK_REALTIME, &once.it_value);
	show("set to now", timerfd_settime(waiting, TFD_TIMER_ABSTIME, &once, NULL));
	show("read", read(waiting, &count, 8));
	printf("  %lu\n", count);
	show("write", write(waiting, &count, 8));
	close(timer);
	close(waiting);
	close(epoll);
}

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
	(void)signal;
	handled++;
}

static void signals_by_descriptor(void)
{
	sigset_t set;
	struct signalfd_siginfo infos[3];

	printf("-- signals\n");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), epoll = epoll_create1(0);
	printf("flags %x, descriptor's %x, ready %x\n", fcntl(descriptor, F_GETFL), fcntl(descriptor, F_GETFD), ready(descriptor));
	control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN);
	show("nothing", read(descriptor, infos, sizeof infos));
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	report("both", epoll, 8, descriptor);
	show("short", read(descriptor, infos, sizeof infos[0] - 1));
	ssize_t bytes = show("read", read(descriptor, infos, sizeof infos));
	for (ssize_t i = 0; i < bytes / (ssize_t)sizeof infos[0]; i++)
		printf("  signal %u code %d from %s, user %u\n", infos[i].ssi_signo, infos[i].ssi_code, infos[i].ssi_pid == (unsigned)getpid() ? "this process" : "another", infos[i].ssi_uid);
	report("none", epoll, 8, descriptor);
	show("size", syscall(SYS_signalfd4, -1, &set, 4L, 0));
	show("flags", syscall(SYS_signalfd4, -1, &set, 8L, 1));
	show("not one of these", signalfd(epoll, &set, 0));
	sigdelset(&set, SIGUSR1);
	show("fewer", signalfd(descriptor, &set, 0) - descriptor);
	kill(getpid(), SIGUSR1);
	show("read", read(descriptor, infos, sizeof infos));
	fcntl(descriptor, F_SETFL, 0);
	fflush(stdout);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		usleep(30000);
		_exit(kill(parent, SIGUSR2));
	}
	show("read waits", read(descriptor, infos, sizeof infos));
	printf("  from the child: %d\n", infos[0].ssi_pid == (unsigned)child);
	waitpid(child, NULL, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	show("sigtimedwait", sigtimedwait(&set, NULL, &(struct timespec){1, 0}));
	close(descriptor);
	close(epoll);
}

static void masks(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct timespec none = {0, 0}, long_time = {10, 0};
	struct pollfd poll_one = {.events = POLLOUT};
	sigset_t blocked, open;
	int ends[2], epoll = epoll_create1(0);
	struct epoll_event event;
	fd_set writers;

	printf("-- masks\n");
	if (pipe(ends) != 0)
		exit(1);
	poll_one.fd = ends[1];
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&open);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	kill(getpid(), SIGUSR1);
	show("ppoll of what is ready", ppoll(&poll_one, 1, &long_time, &open));
	printf("  handled %d\n", (int)handled);
	show("ppoll of nothing", ppoll(NULL, 0, &long_time, &open));
	printf("  handled %d\n", (int)handled);
	kill(getpid(), SIGUSR1);
	show("ppoll without time", ppoll(NULL, 0, &none, &open));
	printf("  handled %d\n", (int)handled);
	kill(getpid(), SIGUSR1);
	FD_ZERO(&writers);
	FD_SET(ends[1], &writers);
	show("pselect of what is ready", pselect(ends[1] + 1, NULL, &writers, NULL, &long_time, &open));
	printf("  handled %d\n", (int)handled);
	show("pselect of nothing", pselect(0, NULL, NULL, NULL, &long_time, &open));
	printf("  handled %d\n", (int)handled);
	kill(getpid(), SIGUSR1);
	show("epoll_pwait", epoll_pwait(epoll, &event, 1, 10000, &open));
	printf("  handled %d\n", (int)handled);
	sigprocmask(SIG_BLOCK, NULL, &open);
	printf("blocked again: %d\n", sigismember(&open, SIGUSR1));
	close(ends[0]);
	close(ends[1]);
	close(epoll);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	levels_and_edges();
	sockets();
	turns();
	errors();
	nested();
	sleeping();
	counters();
	timers();
	signals_by_descriptor();
	masks();
	return 0;
}
