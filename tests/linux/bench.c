/* Instructions per operation of a Linux program: prints "NAME VALUE" lines, one for each row of `cargo xtask bench ipc`.
 *
 * Where a tick of the time-stamp counter is one instruction (QEMU with -icount shift=0) the values are instructions, of program, kernel
 * and servers together; on any other machine they are ticks. Runs unmodified on Linux, so that both systems can be compared.
 * `bench exit` ends at once: the static program that fork_exec_static executes. The argument of `bench PATH` is the tiny one.
 *
 * Build: gcc -static -O2 -pthread -o bench bench.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000, FEW = 30, PAGE = 4096, PAGES = 256, FAR = 16 };

static const char *self;
static const char *tiny;

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

/* Runs `body` some times to warm up and then `rounds` times; prints what a round took, less the loop around it. */
static void measure(const char *name, int rounds, void (*body)(void))
{
	unsigned long start, empty, total;

	for (int round = 0; round < rounds / 10 + 1; round++)
		body();
	start = ticks();
	for (int round = 0; round < rounds; round++)
		__asm__ volatile("" ::"r"(body) : "memory");
	empty = ticks() - start;
	start = ticks();
	for (int round = 0; round < rounds; round++)
		body();
	total = ticks() - start;
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

/* Page faults, each `stride` pages from the last, in memory that is new. */
static void page_faults(const char *name, int stride)
{
	size_t length = (size_t)PAGES * stride * PAGE;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long start;

	if (memory == MAP_FAILED)
		fail("mmap");
	start = ticks();
	for (int page = 0; page < PAGES; page++)
		*(volatile char *)(memory + (size_t)page * stride * PAGE) = 1;
	printf("%s %lu\n", name, (ticks() - start) / PAGES);
	fflush(stdout);
	munmap(memory, length);
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

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "exit") == 0)
		return 0;
	if (count != 2)
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
	return 0;
}
