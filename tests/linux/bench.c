/* Instructions per operation of a Linux program: prints "NAME VALUE" lines, one for each row of `cargo xtask bench ipc`.
 *
 * Where a tick of the time-stamp counter is one instruction (QEMU with -icount shift=0) the values are instructions, of program, kernel
 * and servers together; on any other machine they are ticks. Runs unmodified on Linux, so that both systems can be compared.
 * `bench exit` ends at once: the static program that fork_exec_static executes. The argument of `bench PATH` is the tiny one.
 * `bench PATH peers` measures more: what a Linux program has in the place of operations of SynOS' own, under their names.
 * `bench PATH repeat NAME` repeats that row for ever when its turn comes, for whoever traces it, and prints "NAME repeats" before.
 *
 * Build: gcc -static -O2 -pthread -o bench bench.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000, FEW = 30, PAGE = 4096, PAGES = 256, FAR = 16 };

/* The address behind it and eight letters, in a section that is not loaded: to whoever traces, an operation begins there, or has ended.
 * No instruction. */
#define MARK(letters) \
	__asm__ volatile(".pushsection .marks,\"\",@progbits\n.quad 99f\n.ascii \"" letters "\"\n.popsection\n99:" ::: "memory")
#define ROUND MARK("round   ")
#define END MARK("end     ")

static const char *self;
static const char *tiny;
/* The row that is repeated when its turn comes, or NULL. */
static const char *repeated;

static unsigned long ticks(void)
{
	unsigned low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (unsigned long)high << 32 | low;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int repeats(const char *name)
{
	if (repeated == NULL || strcmp(repeated, name) != 0)
		return 0;
	printf("%s repeats\n", name);
	fflush(stdout);
	return 1;
}

static unsigned long repeat(int rounds, void (*body)(void))
{
	unsigned long start = ticks();

	for (int round = 0; round < rounds; round++) {
		ROUND;
		body();
		END;
	}
	return ticks() - start;
}

/* Runs `body` some times to warm up and then `rounds` times; prints what a round took, less the loop around it. */
static void measure(const char *name, int rounds, void (*body)(void))
{
	unsigned long start, empty, total;

	for (int round = 0; round < rounds / 10 + 1; round++)
		body();
	if (repeats(name))
		for (;;)
			repeat(rounds, body);
	start = ticks();
	for (int round = 0; round < rounds; round++)
		__asm__ volatile("" ::"r"(body) : "memory");
	empty = ticks() - start;
	total = repeat(rounds, body);
	printf("%s %lu\n", name, (total - empty) / rounds);
	fflush(stdout);
}

static void getppid_call(void)
{
	syscall(SYS_getppid);
}

/* The child answers every byte. */
static int there[2], back[2];

static void ping(void)
{
	char byte = 0;

	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		fail("ping");
}

static void pipe_ping_pong(void)
{
	pid_t child;
	char byte;

	if (pipe(there) || pipe(back))
		fail("pipe");
	child = fork();
	if (child == 0) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	measure("pipe_ping_pong", MANY, ping);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	waitpid(child, NULL, 0);
}

static void wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		fail("child");
}

static void fork_exit_wait(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	wait_for(child);
}

static void vfork_exec_tiny(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl(tiny, tiny, NULL);
		_exit(1);
	}
	wait_for(child);
}

static void fork_exec_static(void)
{
	pid_t child = fork();

	if (child == 0) {
		execl(self, self, "exit", NULL);
		_exit(1);
	}
	wait_for(child);
}

/* Page faults, each `stride` pages from the last, in memory that is new; what each took. */
static unsigned long fault_pages(int stride)
{
	size_t length = (size_t)PAGES * stride * PAGE;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long start, total;

	if (memory == MAP_FAILED)
		fail("mmap");
	start = ticks();
	for (int page = 0; page < PAGES; page++) {
		ROUND;
		*(volatile char *)(memory + (size_t)page * stride * PAGE) = 1;
		END;
	}
	total = ticks() - start;
	munmap(memory, length);
	return total / PAGES;
}

static void page_faults(const char *name, int stride)
{
	if (repeats(name))
		for (;;)
			fault_pages(stride);
	printf("%s %lu\n", name, fault_pages(stride));
	fflush(stdout);
}

static char buffer[PAGE];
static const char path[] = "/tmp/bench.data";
static int file;

static void pread_1(void)
{
	if (pread(file, buffer, 1, 100) != 1)
		fail("pread");
}

static void pread_4k(void)
{
	if (pread(file, buffer, PAGE, 0) != PAGE)
		fail("pread");
}

static void open_close(void)
{
	close(open(path, O_RDONLY));
}

static void stat_call(void)
{
	struct stat about;

	if (stat(path, &about))
		fail("stat");
}

static void create_write_unlink(void)
{
	int made = open("/tmp/bench.new", O_RDWR | O_CREAT, 0600);

	if (made < 0 || write(made, buffer, 100) != 100 || close(made) || unlink("/tmp/bench.new"))
		fail("create");
}

static void files(void)
{
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int page = 0; page < 16; page++)
		if (write(file, buffer, PAGE) != PAGE)
			fail(path);
	measure("pread_1", MANY, pread_1);
	measure("pread_4k", MANY, pread_4k);
	measure("open_close", MANY, open_close);
	measure("stat", MANY, stat_call);
	measure("create_write_unlink", FEW * 10, create_write_unlink);
	close(file);
	unlink(path);
}

static void *nothing(void *argument)
{
	return argument;
}

static void thread_create_join(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		fail("thread");
}

/* Runs `body` against a child that runs `partner` until it is killed. */
static void against(const char *name, void (*partner)(void), void (*body)(void))
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		for (;;)
			partner();
	measure(name, MANY, body);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Two words that two processes share: whose turn it is to go on. */
static volatile unsigned *turns;

static void wake(int whose)
{
	turns[whose] = 1;
	syscall(SYS_futex, &turns[whose], FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_turn(int whose)
{
	while (turns[whose] == 0)
		syscall(SYS_futex, &turns[whose], FUTEX_WAIT, 0, NULL, NULL, 0);
	turns[whose] = 0;
}

static void futex_call(void)
{
	wake(0);
	wait_turn(1);
}

static void futex_answer(void)
{
	wait_turn(0);
	wake(1);
}

static int events[2];

static void event_signal(int to, int from)
{
	uint64_t word = 1;

	if (write(events[to], &word, sizeof word) != sizeof word || read(events[from], &word, sizeof word) != sizeof word)
		fail("eventfd");
}

static void event_ping(void)
{
	event_signal(0, 1);
}

static void event_pong(void)
{
	uint64_t word;

	if (read(events[0], &word, sizeof word) != sizeof word)
		fail("eventfd");
	word = 1;
	if (write(events[1], &word, sizeof word) != sizeof word)
		fail("eventfd");
}

static void yield_call(void)
{
	sched_yield();
}

/* Two processes that hand the processor to each other: first in, first out, for Linux' fair scheduler need not switch at a yield. */
static void switches(void)
{
	struct sched_param real_time = {.sched_priority = 1}, ordinary = {.sched_priority = 0};

	if (sched_setscheduler(0, SCHED_FIFO, &real_time))
		fail("sched_setscheduler");
	against("switch_two", yield_call, yield_call);
	if (sched_setscheduler(0, SCHED_OTHER, &ordinary))
		fail("sched_setscheduler");
}

static char *guarded;

static void open_guarded(int number, siginfo_t *about, void *context)
{
	(void)number, (void)about, (void)context;
	if (mprotect(guarded, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

/* A fault that a handler mends by a system call, as a pager's reply maps a page; closing the page again is not the fault's. */
static void faults_to_handler(void)
{
	struct sigaction action = {.sa_sigaction = open_guarded, .sa_flags = SA_SIGINFO};
	unsigned long total = 0;

	guarded = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED || sigaction(SIGSEGV, &action, NULL))
		fail("sigaction");
	*guarded = 1;
	for (int round = 0; round < MANY; round++) {
		unsigned long start;

		if (mprotect(guarded, PAGE, PROT_NONE))
			fail("mprotect");
		start = ticks();
		*(volatile char *)guarded = 1;
		total += ticks() - start;
	}
	printf("fault_to_handler %lu\n", total / MANY);
	signal(SIGSEGV, SIG_DFL);
}

/* Mapping a page that is there already, and taking it away: a shared file's, touched. */
static void mappings(void)
{
	static char *mapped[MANY];
	int shared = open("/tmp/bench.mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned long start;

	if (shared < 0 || write(shared, buffer, PAGE) != PAGE)
		fail("mapped");
	start = ticks();
	for (int round = 0; round < MANY; round++) {
		mapped[round] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, shared, 0);
		if (mapped[round] == MAP_FAILED)
			fail("mmap");
	}
	printf("map_one %lu\n", (ticks() - start) / MANY);
	start = ticks();
	for (int round = 0; round < MANY; round++)
		munmap(mapped[round], PAGE);
	printf("unmap_one %lu\n", (ticks() - start) / MANY);
	close(shared);
	unlink("/tmp/bench.mapped");
}

static void peers(void)
{
	turns = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	events[0] = eventfd(0, 0);
	events[1] = eventfd(0, 0);
	if (turns == MAP_FAILED || events[0] < 0 || events[1] < 0)
		fail("peers");
	measure("native_null", MANY, getppid_call);
	against("call_reply_empty", futex_answer, futex_call);
	against("notification_ping_pong", event_pong, event_ping);
	switches();
	faults_to_handler();
	mappings();
}

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "exit") == 0)
		return 0;
	if (count == 4 && strcmp(arguments[2], "repeat") == 0)
		repeated = arguments[3];
	else if (count != 2 && !(count == 3 && strcmp(arguments[2], "peers") == 0))
		return 2;
	self = arguments[0];
	tiny = arguments[1];
	measure("reflected_getppid", MANY, getppid_call);
	files();
	page_faults("page_fault_anon", FAR);
	page_faults("page_fault_around", 1);
	pipe_ping_pong();
	measure("thread_create_join", FEW * 3, thread_create_join);
	measure("fork_exit_wait", FEW, fork_exit_wait);
	measure("vfork_exec_tiny", FEW, vfork_exec_tiny);
	measure("fork_exec_static", FEW, fork_exec_static);
	if (count == 3)
		peers();
	return 0;
}
