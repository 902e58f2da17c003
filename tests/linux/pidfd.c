/* Descriptors of processes: what they wait for, whom they signal, and that they never mean anybody else.
 *
 * Build: gcc -static -O1 -pthread -o pidfd pidfd.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDFD 3 /* P_PIDFD */

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

static int pidfd(pid_t pid, unsigned flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static long send_to(int descriptor, int number, siginfo_t *info, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, descriptor, number, info, flags);
}

static int ready(int descriptor, int wait_ms)
{
	struct pollfd one = {descriptor, POLLIN | POLLOUT, 0};

	return poll(&one, 1, wait_ms) < 0 ? -errno : one.revents;
}

static pid_t sleeper(void)
{
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	return child;
}

static void *open_thread(void *unused)
{
	printf("a thread: %s, ", told(pidfd(gettid(), 0)));
	return unused;
}

static void opening(void)
{
	char name[64] = "", path[64], byte;
	pthread_t thread;
	int self = pidfd(getpid(), 0), fast = pidfd(getpid(), O_NONBLOCK);

	pthread_create(&thread, NULL, open_thread, NULL);
	pthread_join(thread, NULL);
	printf("nobody %s, zero %s, ", told(pidfd(32767, 0)), told(pidfd(0, 0)));
	printf("negative %s, flags %s\n", told(pidfd(-1, 0)), told(pidfd(getpid(), 1)));
	snprintf(path, sizeof path, "/proc/self/fd/%d", self);
	readlink(path, name, sizeof name - 1);
	printf("is %s, close on exec %d, ", name, fcntl(self, F_GETFD));
	printf("nonblocking %d %d, ", (fcntl(self, F_GETFL) & O_NONBLOCK) != 0, (fcntl(fast, F_GETFL) & O_NONBLOCK) != 0);
	printf("read %s, ", told(read(self, &byte, 1)));
	printf("write %s, ", told(write(self, &byte, 1)));
	printf("seek %s, ready %x\n", told(lseek(self, 0, SEEK_SET)), ready(self, 0));
	close(self), close(fast);
}

static void waiting(void)
{
	siginfo_t info;
	struct epoll_event event = {EPOLLIN, {.u32 = 7}};
	int watcher = epoll_create1(0);
	pid_t child = sleeper();
	int descriptor = pidfd(child, 0), fast = pidfd(child, O_NONBLOCK);

	printf("watched: %s, ", told(epoll_ctl(watcher, EPOLL_CTL_ADD, descriptor, &event)));
	printf("ready %x, ", ready(descriptor, 0));
	printf("nonblocking wait %s, ", told(waitid(PIDFD, fast, &info, WEXITED)));
	printf("asked not to wait %s\n", told(waitid(PIDFD, fast, &info, WEXITED | WNOHANG)));
	printf("stop %s, ", told(send_to(descriptor, SIGSTOP, NULL, 0)));
	printf("wait %s, ", told(waitid(PIDFD, descriptor, &info, WSTOPPED)));
	printf("code %d, %d, ready %x\n", info.si_code, info.si_status, ready(descriptor, 0));
	printf("kill %s, ", told(send_to(descriptor, SIGKILL, NULL, 0)));
	printf("ready %x, ", ready(descriptor, -1));
	event.data.u32 = 0;
	printf("events %d, ", epoll_wait(watcher, &event, 1, -1));
	printf("of %u, signal %s, ", event.data.u32, told(send_to(descriptor, 0, NULL, 0)));
	printf("opened again %s\n", told(close(pidfd(child, 0))));
	printf("wait %s, ", told(waitid(PIDFD, descriptor, &info, WEXITED)));
	printf("code %d, status %d, the child %d\n", info.si_code, info.si_status, info.si_pid == child);
	printf("gone: wait %s, ", told(waitid(PIDFD, descriptor, &info, WEXITED)));
	printf("signal %s, ", told(send_to(descriptor, 0, NULL, 0)));
	printf("no signal %s, ", told(send_to(descriptor, 99, NULL, 0)));
	printf("ready %x, opened %s\n", ready(descriptor, 0), told(pidfd(child, 0)));
	printf("wrong: negative %s, ", told(waitid(PIDFD, -1, &info, WEXITED)));
	printf("closed %s, ", told(waitid(PIDFD, 99, &info, WEXITED)));
	printf("another file %s, ", told(waitid(PIDFD, watcher, &info, WEXITED)));
	close(fast);
	fast = pidfd(getpid(), 0);
	printf("no child %s\n", told(waitid(PIDFD, fast, &info, WEXITED)));
	close(fast), close(descriptor), close(watcher);
}

static void signals(void)
{
	siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE, .si_pid = 5, .si_value.sival_int = 42}, heard;
	int self = pidfd(getpid(), 0), other;
	sigset_t set;
	pid_t child = sleeper();

	other = pidfd(child, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("with a value %s, ", told(send_to(self, SIGRTMIN, &info, 0)));
	sigwaitinfo(&set, &heard);
	printf("code %d, from %d, value %d\n", heard.si_code, heard.si_pid, heard.si_value.sival_int);
	printf("plainly %s, ", told(send_to(self, SIGUSR1, NULL, 0)));
	sigwaitinfo(&set, &heard);
	printf("code %d, from itself %d\n", heard.si_code, heard.si_pid == getpid());
	printf("another number %s, ", told(send_to(self, SIGUSR1, &info, 0)));
	info.si_code = SI_USER;
	printf("as a kernel to oneself %s, ", told(send_to(self, SIGRTMIN, &info, 0)));
	printf("to another %s, ", told(send_to(other, SIGRTMIN, &info, 0)));
	printf("flags %s, ", told(send_to(self, 0, NULL, 1)));
	printf("no such signal %s, ", told(send_to(self, 65, NULL, 0)));
	printf("closed %s, ", told(send_to(99, 0, NULL, 0)));
	printf("another file %s\n", told(send_to(1, 0, NULL, 0)));
	if (fork() == 0) {
		int parent = pidfd(getppid(), 0);

		if (setuid(1000) != 0)
			_exit(1);
		printf("a user: %s, ", told(send_to(parent, 0, NULL, 0)));
		printf("handed on %s, opens %s\n", told(send_to(self, SIGTERM, NULL, 0)), told(pidfd(getppid(), 0)));
		_exit(0);
	}
	wait(NULL);
	send_to(other, SIGKILL, NULL, 0);
	wait(NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	opening();
	waiting();
	signals();
	return 0;
}
