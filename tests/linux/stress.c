/* Random system calls of many processes and threads at once, which check their own results.
 *
 * Build: gcc -static -O2 -pthread -o stress stress.c
 * stress [SECONDS [SEED [WORKERS]]]: so many processes choose at random what to do next, from the seed, until the time is over. What they do checks itself: a page
 * holds its owner's pattern, a pipe delivers each word once and in order, a counter behind a lock is exact. One line of counts at the end; status 1 when
 * anything was wrong, with a line for each thing. What they do lies in stress/, a file a subject.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MOST_WORKERS = 16, MOST_TOLD = 20, ROUNDS = 10 };

/* What all processes share. */
struct shared {
	pthread_mutex_t lock;
	uint64_t guarded;
	atomic_uint_fast64_t expected;
	atomic_uint wrong;
	atomic_uint done[ROUNDS];
};

static struct shared *shared;
static uint64_t random_state;
static unsigned worker;

/* xorshift64*: the same numbers everywhere. */
static uint64_t draw(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 33) % below;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void wrong(const char *file, int line, const char *what, uint64_t got, uint64_t expected)
{
	char text[256];
	int length = snprintf(text, sizeof text, "stress: worker %u: %s:%d: %s: %#llx, not %#llx (errno %d)\n", worker, file, line, what,
			      (unsigned long long)got, (unsigned long long)expected, errno);

	if (atomic_fetch_add(&shared->wrong, 1) < MOST_TOLD && write(2, text, length) != length)
		_exit(99);
}

#define SAME(what, got, expected) \
	do { \
		uint64_t got_ = (uint64_t)(got), expected_ = (uint64_t)(expected); \
		if (got_ != expected_) \
			wrong(__FILE_NAME__, __LINE__, what, got_, expected_); \
	} while (0)

/* A call without which nothing goes on. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			wrong(__FILE_NAME__, __LINE__, #condition, 0, 1); \
			_exit(98); \
		} \
	} while (0)

static void *map_pages(size_t pages, int flags)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	MUST(at != MAP_FAILED);
	return at;
}

/* Waits for a child, which must end with this status. */
static void must_end(pid_t child, int status)
{
	int got = 0;

	MUST(waitpid(child, &got, 0) == child);
	SAME("wait status", got, status << 8);
}

static pthread_t start(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, body, argument) == 0);
	return thread;
}

static void join(pthread_t thread)
{
	MUST(pthread_join(thread, NULL) == 0);
}

#include "stress/pages.h"
#include "stress/siblings.h"
#include "stress/transfers.h"
#include "stress/processes.h"

static const struct {
	const char *name;
	void (*run)(void);
} rounds[ROUNDS] = {
	{"pages", own_pages},	    {"snapshots", fork_while_written}, {"unmaps", unmap_under_writer}, {"moves", move_under_writer},
	{"protections", protect_under_writer}, {"pipes", pipe_in_order}, {"files", file_both_ways}, {"locks", guarded_counter},
	{"signals", signals_elsewhere}, {"ends", end_with_siblings},
};

static void work(double end)
{
	while (now() < end && atomic_load(&shared->wrong) < MOST_TOLD) {
		unsigned round = draw(ROUNDS);

		rounds[round].run();
		atomic_fetch_add(&shared->done[round], 1);
	}
	exit(0);
}

static void prepare(void)
{
	pthread_mutexattr_t attributes;
	struct sigaction caught = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	shared = map_pages(1, MAP_SHARED);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &attributes);
	sigaction(SIGSEGV, &caught, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int main(int count, char **arguments)
{
	unsigned seconds = count > 1 ? atoi(arguments[1]) : 10, seed = count > 2 ? atoi(arguments[2]) : 1;
	unsigned workers = count > 3 ? atoi(arguments[3]) : 4;
	pid_t children[MOST_WORKERS];
	double end = now() + seconds;

	if (count > 2 && strcmp(arguments[1], "again") == 0)
		return seed;
	prepare();
	if (workers > MOST_WORKERS)
		workers = MOST_WORKERS;
	for (worker = 0; worker < workers; worker++) {
		random_state = (seed * 64ULL + worker + 1) * 0x9e3779b97f4a7c15ULL;
		children[worker] = fork();
		MUST(children[worker] >= 0);
		if (children[worker] == 0)
			work(end);
	}
	for (unsigned index = 0; index < workers; index++)
		must_end(children[index], 0);
	SAME("guarded counter", shared->guarded, atomic_load(&shared->expected));
	printf("stress: %u wrong;", atomic_load(&shared->wrong));
	for (unsigned round = 0; round < ROUNDS; round++)
		printf(" %s %u", rounds[round].name, atomic_load(&shared->done[round]));
	printf("\n");
	return atomic_load(&shared->wrong) != 0;
}
