/* Real-time signals: queued, in order, with what they say, and never more than their limit; and in what order a program meets signals that waited together.
 *
 * Build: gcc -static -O1 -pthread -o rtsignals rtsignals.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FLOOD = 300 };

static sigset_t all, before;

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

static const char *name_of(int signal)
{
	static char text[16];

	if (signal < SIGRTMIN)
		return sigabbrev_np(signal);
	snprintf(text, sizeof text, "RT%d", signal - SIGRTMIN);
	return text;
}

static int queue(int signal, int value)
{
	return sigqueue(getpid(), signal, (union sigval){.sival_int = value});
}

static int take(const sigset_t *set, siginfo_t *info)
{
	return sigtimedwait(set, info, &(struct timespec){0, 0});
}

static void take_all(const char *what)
{
	siginfo_t info;

	printf("%s:", what);
	while (take(&all, &info) > 0)
		printf(" %s(%d, %d)", name_of(info.si_signo), info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : -1);
	printf("\n");
}

static void order(void)
{
	queue(SIGRTMIN + 2, 1);
	queue(SIGRTMIN + 1, 2);
	queue(SIGRTMIN + 2, 3);
	queue(SIGUSR1, 4);
	queue(SIGRTMIN + 1, 5);
	queue(SIGUSR1, 6);
	kill(getpid(), SIGRTMIN + 1);
	raise(SIGRTMIN + 3);
	raise(SIGRTMIN + 3);
	kill(getpid(), SIGTERM);
	take_all("lowest first, each in its order");
	take_all("nothing is left");
}

static void to_threads(void)
{
	union sigval value = {.sival_int = 1};

	pthread_sigqueue(pthread_self(), SIGRTMIN + 5, value);
	queue(SIGRTMIN + 4, 2);
	value.sival_int = 3;
	pthread_sigqueue(pthread_self(), SIGRTMIN + 5, value);
	queue(SIGRTMIN + 5, 4);
	take_all("the thread's own first");
}

static void from_a_file(void)
{
	struct signalfd_siginfo infos[4];
	int file = signalfd(-1, &all, SFD_NONBLOCK);
	long count;

	for (int value = 1; value <= 6; value++)
		queue(SIGRTMIN + value % 2, value);
	while ((count = read(file, infos, sizeof infos)) > 0) {
		printf("read:");
		for (size_t i = 0; i < count / sizeof *infos; i++)
			printf(" %s(%d)", name_of(infos[i].ssi_signo), infos[i].ssi_int);
		printf("\n");
	}
	printf("then %s\n", told(count));
	close(file);
}

static void limits(void)
{
	struct rlimit old, few = {.rlim_cur = 3};
	siginfo_t info;
	sigset_t set;

	getrlimit(RLIMIT_SIGPENDING, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_SIGPENDING, &few);
	for (int value = 1; value <= 5; value++)
		printf("%d: %s\n", value, told(queue(SIGRTMIN, value)));
	printf("another number: %s\n", told(queue(SIGRTMIN + 1, 6)));
	printf("by kill: %s, twice %s\n", told(kill(getpid(), SIGRTMIN + 2)), told(kill(getpid(), SIGRTMIN + 2)));
	printf("by tgkill: %s\n", told(syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN + 3)));
	printf("a standard one: %s, ", told(queue(SIGUSR1, 7)));
	printf("by kill %s\n", told(kill(getpid(), SIGUSR2)));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	take(&set, &info);
	printf("it says: code %d, from %d, value %d\n", info.si_code, info.si_pid, info.si_value.sival_int);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	take(&set, &info);
	printf("the other: code %d, from me %d\n", info.si_code, info.si_pid == getpid());
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	take(&set, &info);
	printf("one taken: value %d, then %s, %s\n", info.si_value.sival_int, told(queue(SIGRTMIN, 8)), told(queue(SIGRTMIN, 9)));
	take_all("what waited");
	few.rlim_cur = 0;
	setrlimit(RLIMIT_SIGPENDING, &few);
	printf("none: %s, by kill %s\n", told(queue(SIGRTMIN, 1)), told(kill(getpid(), SIGRTMIN)));
	take_all("what waited");
	setrlimit(RLIMIT_SIGPENDING, &old);
}

static void flood(void)
{
	int wrong = 0, count = 0;
	siginfo_t info;

	for (int value = 0; value < FLOOD; value++)
		wrong += queue(SIGRTMIN + 7, value) != 0;
	while (take(&all, &info) > 0)
		wrong += info.si_value.sival_int != count++;
	printf("flood: %d came, %d wrong\n", count, wrong);
}

static void forgotten(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	int status;

	for (int value = 0; value < 3; value++)
		queue(SIGRTMIN + 6, value);
	if (fork() == 0) {
		take_all("a child has none");
		_exit(0);
	}
	wait(&status);
	sigaction(SIGRTMIN + 6, &ignore, NULL);
	ignore.sa_handler = SIG_DFL;
	sigaction(SIGRTMIN + 6, &ignore, NULL);
	take_all("ignored, all of them");
	if (fork() == 0) {
		for (int value = 0; value < 100; value++)
			queue(SIGRTMIN + 6, value);
		_exit(0);
	}
	wait(&status);
	if (fork() == 0) {
		queue(SIGRTMIN + 6, 0);
		sigprocmask(SIG_SETMASK, &before, NULL);
		_exit(0);
	}
	wait(&status);
	printf("by default it ends: %s\n", WIFSIGNALED(status) ? name_of(WTERMSIG(status)) : "no");
}

static char met[256];

static void meet(int signal, siginfo_t *info, void *context)
{
	char text[32];

	(void)context;
	snprintf(text, sizeof text, " %s(%d)", name_of(signal), info->si_code == SI_QUEUE ? info->si_value.sival_int : -1);
	strcat(met, text);
}

/* No call lies between the moment at which the signals are let through and the look at what came. */
static void handlers(const char *what, int flags, int blocks_all)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD};
	struct sigaction action = {.sa_sigaction = meet, .sa_flags = SA_SIGINFO | flags};

	if (blocks_all)
		action.sa_mask = all;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	for (int i = 0; i < 3; i++)
		sigaction(SIGRTMIN + i, &action, NULL);
	met[0] = 0;
	for (int value = 1; value <= 3; value++) {
		queue(SIGRTMIN + 1, value);
		queue(SIGRTMIN, 10 * value);
	}
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	size_t length = strlen(met);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("%s:%s, %d\n", what, met, length == strlen(met));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	order();
	to_threads();
	from_a_file();
	limits();
	flood();
	forgotten();
	handlers("one handler at a time", 0, 1);
	handlers("handlers upon handlers", 0, 0);
	handlers("upon themselves", SA_NODEFER, 0);
	handlers("one handler, restarting", SA_RESTART, 1);
	return 0;
}
