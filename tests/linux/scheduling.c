/* What threads and processes say of themselves, keep, hand on to children, and may not have: scheduling policies, priorities, and the properties of prctl; and who
 * of two runs first.
 *
 * Build: gcc -static -O1 -pthread -o scheduling scheduling.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

static long set(pid_t pid, int policy, int priority)
{
	struct sched_param parameter = {priority};

	return syscall(SYS_sched_setscheduler, pid, policy, &parameter);
}

static int priority_of(pid_t pid)
{
	struct sched_param parameter = {-1};

	return sched_getparam(pid, &parameter) < 0 ? -errno : parameter.sched_priority;
}

/* Priority, real-time priority and policy of /proc/self/stat: fields 18, 40 and 41. */
static void show_stat(void)
{
	char text[1024] = "", *word;
	FILE *file = fopen("/proc/self/stat", "r");

	fread(text, 1, sizeof text - 1, file);
	fclose(file);
	word = strtok(strrchr(text, ')') + 1, " ");
	for (int field = 3; word; field++, word = strtok(NULL, " "))
		if (field == 18 || field == 40 || field == 41)
			printf(" %s", word);
	printf("\n");
}

static void policies(void)
{
	static const int policies[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, 4, SCHED_IDLE, SCHED_DEADLINE, 7, -1};
	struct timespec slice;

	printf("at first: policy %d, priority %d, stat", sched_getscheduler(0), priority_of(0));
	show_stat();
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		int policy = policies[i];

		printf("policy %d: ", policy);
		printf("from %d ", sched_get_priority_min(policy));
		printf("to %d, ", sched_get_priority_max(policy));
		printf("with 0 %s, ", told(set(0, policy, 0)));
		printf("with 7 %s, ", told(set(0, policy, 7)));
		printf("with 99 %s, ", told(set(0, policy, 99)));
		printf("with 100 %s, ", told(set(0, policy, 100)));
		printf("is %d %d, stat", sched_getscheduler(0), priority_of(0));
		show_stat();
		set(0, SCHED_OTHER, 0);
	}
	set(0, SCHED_RR, 5);
	printf("priority alone: %s, ", told(sched_setparam(0, &(struct sched_param){9})));
	printf("%d, none ", priority_of(0));
	printf("%s\n", told(sched_setparam(0, &(struct sched_param){0})));
	printf("slice: %s, ", told(sched_rr_get_interval(0, &slice)));
	printf("%ld ms\n", slice.tv_nsec / 1000000);
	set(0, SCHED_FIFO, 5);
	sched_rr_get_interval(0, &slice);
	printf("none: %ld ms\n", slice.tv_nsec / 1000000);
	set(0, SCHED_OTHER, 0);
	printf("nobody: %s, ", told(sched_getscheduler(32767)));
	printf("%s, ", told(set(32767, SCHED_RR, 1)));
	printf("%s, ", told(sched_rr_get_interval(32767, &slice)));
	printf("negative %s, ", told(sched_getscheduler(-1)));
	printf("%s, ", told(set(-1, SCHED_RR, 1)));
	printf("no parameter %s, ", told(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL)));
	printf("%s\n", told(syscall(SYS_sched_getparam, 0, NULL)));
}

static void *show_thread(void *what)
{
	printf("%s: policy %x, priority %d\n", (const char *)what, sched_getscheduler(0), priority_of(0));
	return what;
}

static void show_children(const char *what)
{
	char text[64];
	pthread_t thread;

	snprintf(text, sizeof text, "a thread, %s", what);
	pthread_create(&thread, NULL, show_thread, text);
	pthread_join(thread, NULL);
	if (fork() == 0) {
		snprintf(text, sizeof text, "a child, %s", what);
		show_thread(text);
		_exit(0);
	}
	wait(NULL);
}

static void inheritance(void)
{
	set(0, SCHED_RR, 3);
	show_children("handed on");
	set(0, SCHED_RR | SCHED_RESET_ON_FORK, 3);
	show_thread("reset on fork");
	show_children("reset");
	set(0, SCHED_OTHER, 0);
}

static void rights(void)
{
	struct rlimit few = {4, 4};
	pid_t child = fork();

	if (child == 0) {
		if (setuid(1000) != 0)
			_exit(1);
		printf("a user: fifo %s, ", told(set(0, SCHED_FIFO, 1)));
		printf("batch %s, ", told(set(0, SCHED_BATCH, 0)));
		printf("another's %s, ", told(set(getppid(), SCHED_BATCH, 0)));
		printf("asked %d, ", sched_getscheduler(getppid()));
		printf("idle %s, ", told(set(0, SCHED_IDLE, 0)));
		printf("and back %s\n", told(set(0, SCHED_OTHER, 0)));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	if (fork() == 0) {
		setrlimit(RLIMIT_RTPRIO, &few);
		if (setuid(1000) != 0)
			_exit(1);
		printf("up to four: %s, ", told(set(0, SCHED_FIFO, 4)));
		printf("more %s, ", told(set(0, SCHED_FIFO, 5)));
		printf("less %s, ", told(set(0, SCHED_FIFO, 2)));
		printf("round robin %s, ", told(set(0, SCHED_RR, 3)));
		printf("reset %s, ", told(set(0, SCHED_RR | SCHED_RESET_ON_FORK, 3)));
		printf("and back %s\n", told(set(0, SCHED_RR, 3)));
		_exit(0);
	}
	wait(NULL);
}

static void limits(void)
{
	struct rlimit nice = {10, 10}, none = {0, 0};
	cpu_set_t first;
	pid_t child = fork();

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (child == 0) {
		setrlimit(RLIMIT_NICE, &nice);
		if (setuid(1000) != 0)
			_exit(1);
		printf("another's: nice %s, ", told(setpriority(PRIO_PROCESS, getppid(), 5)));
		printf("processors %s, ", told(sched_setaffinity(getppid(), sizeof first, &first)));
		printf("limits %s, ", told(prlimit(getppid(), RLIMIT_CORE, &none, NULL)));
		printf("%s\n", told(prlimit(getppid(), RLIMIT_CORE, NULL, &none)));
		printf("one's own: 15 %s, ", told(setpriority(PRIO_PROCESS, 0, 15)));
		printf("10 %s, ", told(setpriority(PRIO_PROCESS, 0, 10)));
		printf("9 %s, ", told(setpriority(PRIO_PROCESS, 0, 9)));
		printf("is %d, ", getpriority(PRIO_PROCESS, 0));
		printf("processors %s, ", told(sched_setaffinity(0, sizeof first, &first)));
		printf("limits %s\n", told(prlimit(getpid(), RLIMIT_CORE, &none, NULL)));
		printf("idle: %s, ", told(set(0, SCHED_IDLE, 0)));
		printf("and back %s, ", told(set(0, SCHED_OTHER, 0)));
		setpriority(PRIO_PROCESS, 0, 15);
		setrlimit(RLIMIT_NICE, &none);
		set(0, SCHED_IDLE, 0);
		printf("without the limit %s\n", told(set(0, SCHED_OTHER, 0)));
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

struct runner {
	const char *name;
	int policy, priority;
	int gate[2];
	pid_t pid;
};

static void start(struct runner *runner, int results)
{
	char letter;

	pipe(runner->gate);
	runner->pid = fork();
	if (runner->pid != 0)
		return;
	set(0, runner->policy, runner->priority);
	while (read(runner->gate[0], &letter, 1) == 1)
		write(results, &letter, 1);
	_exit(0);
}

/* Two are let go while somebody more important runs, the lesser one first. Before it counts each has done all that it will do. */
static void race(struct runner lesser, struct runner greater)
{
	int results[2];
	char order[2] = "";

	pipe(results);
	start(&lesser, results[1]);
	start(&greater, results[1]);
	for (int round = 0; round < 3; round++) {
		write(lesser.gate[1], "l", 1);
		write(greater.gate[1], "g", 1);
		for (int i = 0; i < 2; i++)
			read(results[0], order + i, 1);
	}
	printf("%s and %s: %s first\n", lesser.name, greater.name, order[0] == 'g' ? greater.name : lesser.name);
	kill(lesser.pid, SIGKILL);
	kill(greater.pid, SIGKILL);
	wait(NULL);
	wait(NULL);
	close(lesser.gate[0]), close(lesser.gate[1]);
	close(greater.gate[0]), close(greater.gate[1]);
	close(results[0]), close(results[1]);
}

static void races(void)
{
	struct runner other = {"other", SCHED_OTHER, 0}, batch = {"batch", SCHED_BATCH, 0}, low = {"fifo 10", SCHED_FIFO, 10}, high = {"fifo 80", SCHED_FIFO, 80},
		      turns = {"rr 40", SCHED_RR, 40};
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof first, &first);
	set(0, SCHED_FIFO, 99);
	race(other, low);
	race(batch, turns);
	race(low, turns);
	race(turns, high);
	race(low, high);
	set(0, SCHED_OTHER, 0);
}

static void show_properties(const char *what)
{
	int signal = -1, reaper = -1;

	prctl(PR_GET_PDEATHSIG, &signal);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	printf("%s: dies by %d, dumpable %d, no new privileges %d, reaper %d, keeps %d, secure %d, slack %d, huge pages off %d\n", what, signal,
	       prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), reaper, prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS),
	       prctl(PR_GET_TIMERSLACK), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	fflush(stdout);
}

static void *show_name(void *unused)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	printf("a thread begins as %s, ", name);
	prctl(PR_SET_NAME, "a name that is too long");
	prctl(PR_GET_NAME, name);
	printf("and is %s\n", name);
	return unused;
}

static void properties(const char *self)
{
	char name[16] = "";
	pthread_t thread;

	show_properties("at first");
	printf("signal 65: %s, ", told(prctl(PR_SET_PDEATHSIG, 65)));
	printf("dumpable 2 %s, ", told(prctl(PR_SET_DUMPABLE, 2)));
	printf("timing 1 %s, ", told(prctl(PR_SET_TIMING, 1)));
	printf("capability 99 %s, ", told(prctl(PR_CAPBSET_READ, 99)));
	printf("privileges 0 %s, ", told(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)));
	printf("with more %s, ", told(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0)));
	printf("asked so %s, ", told(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	printf("huge pages %s, ", told(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0)));
	printf("%s\n", told(prctl(PR_SET_THP_DISABLE, 1, 1, 0, 0)));
	printf("filters %d, timing %d, bound %d\n", prctl(PR_GET_SECCOMP), prctl(PR_GET_TIMING), prctl(PR_CAPBSET_READ, 0));
	prctl(PR_SET_NAME, "the first");
	pthread_create(&thread, NULL, show_name, NULL);
	pthread_join(thread, NULL);
	prctl(PR_GET_NAME, name);
	printf("the first one is %s\n", name);
	prctl(PR_SET_TIMERSLACK, 1234);
	prctl(PR_SET_PDEATHSIG, 10);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	show_properties("set");
	if (fork() == 0) {
		show_properties("a child");
		prctl(PR_SET_TIMERSLACK, 99);
		prctl(PR_SET_TIMERSLACK, 0);
		printf("slack as it began: %d\n", prctl(PR_GET_TIMERSLACK));
		_exit(0);
	}
	wait(NULL);
	if (fork() == 0) {
			execl(self, self, "again", NULL);
		_exit(1);
	}
	wait(NULL);
	prctl(PR_SET_TIMERSLACK, 0);
	printf("slack again: %d\n", prctl(PR_GET_TIMERSLACK));
}

int main(int count, char **arguments)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count > 1) {
		show_properties("a program");
		return 0;
	}
	policies();
	inheritance();
	rights();
	limits();
	races();
	properties(arguments[0]);
	return 0;
}
