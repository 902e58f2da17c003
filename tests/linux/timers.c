/* Timers of timer_create: what they say, when, how often, and what becomes of them.
 *
 * Build: gcc -static -O1 -pthread -o timers timers.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000L
/* Longer than it takes to begin a program, even where files come late; if a machine stood still meanwhile, it is done again. */
#define TO_EXEC_MS 5000
/* Likewise between one call and the next, even where others run. */
#define TO_CALL_MS 2000
/* Status of a program that began too late to show anything. */
#define TOO_LATE 2

static sigset_t all;

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

/* Past the C library, which numbers timers in its own way. */
static long create(int clock, const struct sigevent *event, int *timer)
{
	return syscall(SYS_timer_create, clock, event, timer);
}

static long set(int timer, int flags, long first, long interval)
{
	struct itimerspec time = {{interval / 1000, interval % 1000 * MS}, {first / 1000, first % 1000 * MS}};

	return syscall(SYS_timer_settime, timer, flags, &time, NULL);
}

static long left(int timer, long *interval)
{
	struct itimerspec time;
	long result = syscall(SYS_timer_gettime, timer, &time);

	*interval = time.it_interval.tv_sec * 1000 + time.it_interval.tv_nsec / MS;
	return result < 0 ? -1 : time.it_value.tv_sec * 1000 + time.it_value.tv_nsec / MS;
}

/* How often it went off unheard is told only where that does not depend on how busy the machine is. */
static void wait_for_one(const char *what, long ms, int tells_overrun)
{
	struct timespec patience = {ms / 1000, ms % 1000 * MS};
	siginfo_t info;
	int signal = sigtimedwait(&all, &info, &patience);

	if (signal < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: signal %d, code %d, timer %d, value %d%s\n", what, signal < SIGRTMIN ? signal : 100 + signal - SIGRTMIN, info.si_code,
		       info.si_timerid, info.si_value.sival_int, !tells_overrun ? "" : info.si_overrun ? ", overrun" : ", no overrun");
}

static void wait_for(const char *what, long ms)
{
	wait_for_one(what, ms, 1);
}

static void pause_for(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / MS;
}

static void forget_pending(void)
{
	while (sigtimedwait(&all, NULL, &(struct timespec){0, 0}) > 0)
		;
}

static void set_and_stop(int timer)
{
	long first, second, start;

	do {
		forget_pending();
		start = now_ms();
		first = set(timer, 0, TO_CALL_MS, 0);
		second = set(timer, 0, 0, 0);
	} while (now_ms() - start > TO_CALL_MS / 2);
	printf("set: %s, ", first < 0 ? "fails" : "works");
	printf("stopped %s\n", second < 0 ? "fails" : "works");
}

static void clocks(void)
{
	for (int clock = -3; clock < 13; clock++) {
		int timer;

		if (clock == 2 || clock == 3 || clock == 8 || clock == 9 || clock < 0)
			continue;
		printf("clock %d: %s\n", clock, told(create(clock, NULL, &timer)));
		syscall(SYS_timer_delete, timer);
	}
}

static void wrong(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL};
	int timer;

	printf("signal 0: %s\n", told(create(CLOCK_MONOTONIC, &event, &timer)));
	event.sigev_signo = 65;
	printf("signal 65: %s\n", told(create(CLOCK_MONOTONIC, &event, &timer)));
	event.sigev_notify = 99;
	event.sigev_signo = SIGUSR1;
	printf("notification: %s\n", told(create(CLOCK_MONOTONIC, &event, &timer)));
	event.sigev_notify = SIGEV_THREAD_ID;
	event._sigev_un._tid = 1;
	printf("another's thread: %s\n", told(create(CLOCK_MONOTONIC, &event, &timer)));
	printf("nowhere: %s\n", told(create(CLOCK_MONOTONIC, NULL, NULL)));
	printf("no such timer: %s, %s, %s, ", told(set(77, 0, 1, 0)), told(syscall(SYS_timer_delete, 77)), told(syscall(SYS_timer_getoverrun, 77)));
	printf("%s\n", told(syscall(SYS_timer_gettime, 77, &(struct itimerspec){0})));
}

static int once(void)
{
	struct timespec now;
	long interval, before;
	int timer, real;

	printf("made: %s\n", told(create(CLOCK_MONOTONIC, NULL, &timer)));
	before = left(timer, &interval);
	printf("at rest: %ld, %ld\n", before, interval);
	printf("set: %s\n", told(set(timer, 0, 30000, 7)));
	before = left(timer, &interval);
	printf("it runs: %d, %ld\n", before > 20000 && before <= 30000, interval);
	set(timer, 0, 20, 0);
	wait_for("once", 5000);
	before = left(timer, &interval);
	printf("after it: %ld, %ld, overrun %ld\n", before, interval, syscall(SYS_timer_getoverrun, timer));
	wait_for("not twice", 60);
	create(CLOCK_REALTIME, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 77}, &real);
	clock_gettime(CLOCK_REALTIME, &now);
	printf("at a moment: %s\n", told(set(real, TIMER_ABSTIME, now.tv_sec * 1000 + now.tv_nsec / MS + 20, 0)));
	wait_for("then", 5000);
	printf("in the past: %s\n", told(set(real, TIMER_ABSTIME, 1000, 0)));
	wait_for("at once", 5000);
	set_and_stop(real);
	wait_for("silent", TO_CALL_MS + 200);
	printf("the numbers: %d, %d\n", timer >= 0, real - timer);
	syscall(SYS_timer_delete, real);
	return timer;
}

static void again_and_again(int timer)
{
	long interval, before;

	set(timer, 0, 5, 5);
	wait_for_one("first", 5000, 0);
	wait_for_one("second", 5000, 0);
	pause_for(100);
	wait_for("late", 5000);
	printf("overrun: %d\n", syscall(SYS_timer_getoverrun, timer) > 5);
	before = left(timer, &interval);
	printf("goes on: %d, %ld\n", before <= 5, interval);
	/* Another one that goes off before the next setting would be told of as its first, which has missed none. */
	set(timer, 0, 0, 0);
	forget_pending();
	/* So short that nobody could follow. */
	struct itimerspec time = {{0, 1}, {0, 1}};
	printf("a nanosecond: %s\n", told(syscall(SYS_timer_settime, timer, 0, &time, NULL)));
	pause_for(30);
	wait_for("of many", 5000);
	printf("many: %d\n", syscall(SYS_timer_getoverrun, timer) > 1000);
	set(timer, 0, 0, 0);
	forget_pending();
	signal(SIGALRM, SIG_IGN);
	sigset_t none, before_mask;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, &before_mask);
	printf("ignored: %s\n", told(syscall(SYS_timer_settime, timer, 0, &time, NULL)));
	pause_for(30);
	set(timer, 0, 0, 0);
	sigprocmask(SIG_SETMASK, &before_mask, NULL);
	signal(SIGALRM, SIG_DFL);
	forget_pending();
}

static void other_ways(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	long interval, before;
	int timer;

	create(CLOCK_MONOTONIC, &event, &timer);
	set(timer, 0, 20, 0);
	wait_for("nobody is told", 80);
	before = left(timer, &interval);
	printf("it is over: %ld\n", before);
	set(timer, 0, 20, 30000);
	pause_for(60);
	before = left(timer, &interval);
	printf("and goes on: %d\n", before > 20000);
	syscall(SYS_timer_delete, timer);
	event = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 5};
	event._sigev_un._tid = gettid();
	create(CLOCK_BOOTTIME, &event, &timer);
	set(timer, 0, 10, 0);
	pause_for(60);
	sigset_t pending;
	sigpending(&pending);
	printf("it waits: %d, ", sigismember(&pending, SIGRTMIN + 2));
	printf("deleted %s\n", told(syscall(SYS_timer_delete, timer)));
	int file = signalfd(-1, &all, SFD_NONBLOCK);
	struct signalfd_siginfo info;
	printf("read: %d, ", read(file, &info, sizeof info) == sizeof info);
	printf("code %d, overrun %d, value %d, sender %d\n", info.ssi_code, info.ssi_overrun, info.ssi_int, info.ssi_pid);
	close(file);
}

static int heard;

static void hear(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	heard += info->si_code == SI_TIMER && info->si_value.sival_int == 9;
}

static void with_a_handler(void)
{
	struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 9};
	sigset_t before;
	timer_t timer;

	sigaction(SIGRTMIN + 3, &action, NULL);
	sigemptyset(&action.sa_mask);
	sigprocmask(SIG_SETMASK, &action.sa_mask, &before);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &(struct itimerspec){{0, 2 * MS}, {0, 2 * MS}}, NULL);
	for (long turn = 0; *(volatile int *)&heard < 10 && turn < 1000000000; turn++)
		;
	timer_delete(timer);
	sigprocmask(SIG_SETMASK, &before, NULL);
	printf("a program that makes no call hears it: %d\n", heard >= 10);
}

static void children(int timer, const char *self)
{
	long interval;
	int status;

	set(timer, 0, 50, 0);
	if (fork() == 0) {
		printf("a child has no timers: %s\n", told(left(timer, &interval)));
		wait_for("nor signals", 120);
		_exit(0);
	}
	wait(&status);
	wait_for("the parent has", 5000);
	do {
		if (fork() == 0) {
			char number[32], start[32];
			int own;

			create(CLOCK_MONOTONIC, NULL, &own);
			snprintf(number, sizeof number, "%d", own);
			snprintf(start, sizeof start, "%ld", now_ms());
			execl(self, self, number, told(set(own, 0, TO_EXEC_MS, 0)), start, NULL);
			_exit(1);
		}
		wait(&status);
	} while (WIFEXITED(status) && WEXITSTATUS(status) == TOO_LATE);
	if (fork() == 0) {
		int own;

		sigprocmask(SIG_UNBLOCK, &all, NULL);
		create(CLOCK_MONOTONIC, NULL, &own);
		set(own, 0, 10, 0);
		pause();
		_exit(0);
	}
	wait(&status);
	printf("by default it ends: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(int count, char **arguments)
{
	long interval;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (count > 3) {
		if (now_ms() - atol(arguments[3]) > TO_EXEC_MS / 2)
			return TOO_LATE;
		printf("numbered from %s: %s\n", arguments[1], arguments[2]);
		wait_for("a program has not the timers of the one before", TO_EXEC_MS + 200);
		printf("it is gone: %s\n", told(left(0, &interval)));
		return 0;
	}
	clocks();
	wrong();
	int timer = once();
	again_and_again(timer);
	other_ways();
	with_a_handler();
	children(timer, arguments[0]);
	return 0;
}
