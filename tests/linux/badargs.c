/* Every argument of every system call, given what no program should give: a line for each argument with what each bad value came to.
 *
 * Build: gcc -static -O1 -fno-stack-protector -Wall -Wextra -Werror -o badargs badargs.c
 * badargs/calls.h has the calls and the kinds of their arguments: it is made from posix's own table, by servers/posix/tests/badargs.rs,
 * which also sees to it that no argument is left out. badargs/base.h has for each of them arguments that are right. One argument at a time is then replaced by each bad value of
 * its kind. A call that has none of these, or no right arguments, fails the program. badargs/frames.h does the same to signal frames.
 *
 * Each call is made in a child of its own, which reports by its exit status, so that a call that kills costs one value. The output
 * has no address, pid or time in it. Where the two systems differ on purpose, badargs/differences.h says why.
 *
 * `badargs fuzz SEED COUNT` instead makes random calls and prints one line: what counts there is that the system is still alive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;

enum { MAX_ARGUMENTS = 6, SECONDS = 5, WAIT_MICROSECONDS = 250000 };
enum kind { NONE, DESCRIPTOR, DIRECTORY, PATH, INPUT, OUTPUT, BOTH, ADDRESS, LENGTH, SIZE, FLAGS, SIGNAL, PROCESS, VALUE, LONG };

static const struct call {
	int number;
	const char *name;
	enum kind kinds[MAX_ARGUMENTS];
} calls[] = {
#define CALL(number, name, ...) {number, #name, {__VA_ARGS__}},
#include "badargs/calls.h"
#undef CALL
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The C library would look at its thread's own data for errno, which a bad arch_prctl takes away. */
static long raw(long number, const u64 *a)
{
	register u64 r10 __asm__("r10") = a[3];
	register u64 r8 __asm__("r8") = a[4];
	register u64 r9 __asm__("r9") = a[5];
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
}

static void leave(int status)
{
	const u64 arguments[MAX_ARGUMENTS] = {(u64)status};

	for (;;)
		raw(SYS_exit_group, arguments);
}

/* What came of a child: 0, an errno, or 1000 + the signal that ended it. */
static int outcome_of(int status)
{
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *outcome_name(int outcome)
{
	static char signal[32];

	if (outcome == 0)
		return "ok";
	if (outcome == 1000 + SIGALRM)
		return "hangs";
	if (outcome < 1000)
		return strerrorname_np(outcome) ? strerrorname_np(outcome) : "an unknown errno";
	snprintf(signal, sizeof signal, "SIG%s", sigabbrev_np(outcome - 1000));
	return signal;
}

#include "badargs/world.h"
#include "badargs/base.h"
#include "badargs/values.h"
#include "badargs/differences.h"
#include "badargs/frames.h"
#include "badargs/fuzz.h"

static const struct call *call_of(int number)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

static int uses_sockets(const struct base *base)
{
	for (int i = 0; i < MAX_ARGUMENTS; i++)
		if ((base->arguments[i] >= SOCKET_FD && base->arguments[i] <= LISTEN_FD) || base->arguments[i] == CLIENT_FD)
			return 1;
	return 0;
}

/* Ends a child that waits: soon where that is what it should do. */
static void limit_wait(int is_endless)
{
	const struct itimerval limit = {.it_value = {is_endless ? 0 : SECONDS, is_endless ? WAIT_MICROSECONDS : 0}};

	setitimer(ITIMER_REAL, &limit, NULL);
}

/* Makes the call in a child. */
static int outcome(const struct base *base, const u64 *arguments, int is_endless)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		make_world(base->needs | (uses_sockets(base) ? SOCKETS : 0));
		limit_wait(is_endless);
		long result = raw(base->number, arguments);
		leave(result < 0 && result >= -4095 ? (int)-result : 0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		printf("cannot start a child: %s\n", strerror(errno));
		exit(1);
	}
	return outcome_of(status);
}

static void show(const char *value, const char *shown, int *count)
{
	printf("%s%s %s", *count ? ", " : "", value, shown);
	++*count;
}

static void test_argument(const struct call *call, const struct base *base, int argument)
{
	int count = 0;

	for (size_t i = 0; i < COUNT(bad_values); i++) {
		const struct bad_value *bad = &bad_values[i];
		if (!(bad->kinds & 1u << call->kinds[argument]))
			continue;
		if (count == 0)
			printf("%s%s %d: ", call->name, base->variant, argument);
		u64 arguments[MAX_ARGUMENTS];
		memcpy(arguments, base->arguments, sizeof arguments);
		arguments[argument] = bad->added ? arguments[argument] + bad->value : bad->value;
		int result = outcome(base, arguments, !bad->value && waits_for_ever(base, argument));
		show(bad->name, is_excused(base, argument, bad->name, result) ? "differs" : outcome_name(result), &count);
	}
	if (count)
		printf("\n");
}

static int is_tested(const struct call *call)
{
	for (int i = 0; i < MAX_ARGUMENTS; i++)
		for (size_t bad = 0; bad < COUNT(bad_values); bad++)
			if (bad_values[bad].kinds & 1u << call->kinds[i])
				return 1;
	return 0;
}

static int test_all(const char *only)
{
	int failed = 0;

	for (size_t i = 0; i < COUNT(calls); i++) {
		const struct call *call = &calls[i];
		int count = 0;
		if (only && strcmp(only, call->name) != 0)
			continue;
		for (size_t b = 0; b < COUNT(bases); b++) {
			const struct base *base = &bases[b];
			if (base->number != call->number)
				continue;
			count++;
			if (!(base->needs & BLOCKS)) {
				int result = outcome(base, base->arguments, 0);
				printf("%s%s: %s\n", call->name, base->variant, is_excused(base, AS_IS, "", result) ? "differs" : outcome_name(result));
			}
			for (int argument = 0; argument < MAX_ARGUMENTS && !(base->needs & ONLY_AS_IS); argument++)
				test_argument(call, base, argument);
		}
		if (count == 0 && is_tested(call)) {
			printf("%s FAILED: base.h has no right arguments for it\n", call->name);
			failed = 1;
		}
	}
	for (size_t b = 0; b < COUNT(bases); b++)
		if (!call_of(bases[b].number)) {
			printf("%d FAILED: base.h has arguments for it, calls.h does not have it\n", bases[b].number);
			failed = 1;
		}
	return failed;
}

int main(int argc, char **argv)
{
	/* It sets the clock and the machine's name. */
	if (access("/run/programs", F_OK) != 0) {
		fprintf(stderr, "badargs: only for a machine of its own\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* execve's bad arguments that are good enough lead here. */
	if (argc < 1 || argv[0][0] == 0 || strcmp(argv[0], EXECUTED) == 0)
		return 0;
	make_memory();
	if (argc == 4 && strcmp(argv[1], "fuzz") == 0)
		return fuzz(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	int failed = test_all(argc > 1 ? argv[1] : NULL);
	return argc > 1 ? failed : failed | test_frames();
}
