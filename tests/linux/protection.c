/* Memory that nobody may access: PROT_NONE before and after pages were touched, and the guard pages below threads' stacks.
 *
 * Build: gcc -static -O1 -pthread -o protection protection.c
 * One line for each observation; no address is printed, so the output is the same everywhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static __thread sigjmp_buf after_fault;
static __thread volatile sig_atomic_t fault_code;
static __thread char *volatile fault_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(after_fault, 1);
}

static const char *access_to(volatile char *address, int write_to)
{
	fault_code = 0;
	if (sigsetjmp(after_fault, 1) == 0) {
		if (write_to)
			*address = 1;
		else
			(void)*address;
		return "works";
	}
	if (fault_address != address)
		return "faults elsewhere";
	return fault_code == SEGV_ACCERR ? "is refused" : fault_code == SEGV_MAPERR ? "finds nothing" : "faults strangely";
}

static void look(const char *what, char *page)
{
	printf("%s: read %s, ", what, access_to(page, 0));
	printf("write %s\n", access_to(page, 1));
}

static int status_of(pid_t child)
{
	int status = 0;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void touched_pages(void)
{
	char *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = open("/tmp/protection", O_RDWR | O_CREAT | O_TRUNC, 0600);
	long long done;

	memset(memory, 7, 4 * PAGE);
	mprotect(memory, 2 * PAGE, PROT_NONE);
	look("touched, then PROT_NONE", memory + PAGE);
	look("the page behind", memory + 2 * PAGE);
	done = write(file, memory, 10);
	printf("write(2) from it: %lld %s\n", done, strerror(errno));
	done = pread(file, memory, 0, 0);
	printf("pread(2) of nothing to it: %lld\n", done);
	done = write(file, memory + 2 * PAGE, 10);
	printf("write(2) from behind it: %lld\n", done);
	done = pread(file, memory, 10, 0);
	printf("pread(2) to it: %lld %s\n", done, strerror(errno));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		look("in a child", memory);
		mprotect(memory, PAGE, PROT_READ | PROT_WRITE);
		printf("opened in the child: %d\n", memory[PAGE - 1]);
		memory[PAGE - 1] = 9;
		fflush(stdout);
		_exit(memory[PAGE - 1]);
	}
	printf("child: %d\n", status_of(child));
	mprotect(memory, 2 * PAGE, PROT_READ);
	printf("opened again: %d %d\n", memory[0], memory[PAGE - 1]);
	look("PROT_READ", memory + 1);
	mprotect(memory, 2 * PAGE, PROT_READ | PROT_WRITE);
	memory[0] = 3;
	printf("written again: %d %d\n", memory[0], memory[2 * PAGE - 1]);
	munmap(memory, 4 * PAGE);
	look("unmapped", memory);
	unlink("/tmp/protection");
	close(file);
}

static void untouched_and_moved_pages(void)
{
	char *memory = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	look("untouched", memory);
	mprotect(memory, PAGE, PROT_READ | PROT_WRITE);
	memory[0] = 5;
	mprotect(memory, PAGE, PROT_NONE);
	char *moved = mremap(memory, PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	look("moved", moved);
	mprotect(moved, 8 * PAGE, PROT_READ | PROT_WRITE);
	printf("after the move: %d %d\n", moved[0], moved[8 * PAGE - 1]);
	munmap(moved, 8 * PAGE);
}

static void mapped_files(void)
{
	int file = open("/tmp/protection", O_RDWR | O_CREAT | O_TRUNC, 0600);

	ftruncate(file, PAGE);
	pwrite(file, "file", 4, 0);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	shared[0] = 'F';
	mprotect(shared, PAGE, PROT_NONE);
	look("shared file", shared);
	pwrite(file, "x", 1, 1);
	mprotect(shared, PAGE, PROT_READ | PROT_WRITE);
	printf("shared file opened: %.4s\n", shared);
	shared[2] = 'y';
	char text[5] = "";
	pread(file, text, 4, 0);
	printf("file: %s\n", text);
	munmap(shared, PAGE);
	unlink("/tmp/protection");
	close(file);
}

static int descend(int depth)
{
	volatile char frame[2048];

	frame[0] = (char)depth;
	return descend(depth + 1) + frame[0];
}

static void *overflow(void *unused)
{
	static __thread char other_stack[16384];
	stack_t alternate = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
	pthread_attr_t attributes;
	size_t guard, size;
	void *stack;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getguardsize(&attributes, &guard);
	pthread_attr_getstack(&attributes, &stack, &size);
	pthread_attr_destroy(&attributes);
	sigaltstack(&alternate, NULL);
	fault_code = 0;
	if (sigsetjmp(after_fault, 1) == 0)
		descend(0);
	char *low = stack;
	printf("a thread that never stops calling: %s\n",
	       fault_code == SEGV_ACCERR && fault_address < low && fault_address >= low - guard ? "meets its guard page" : "meets something else");
	return unused;
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	pthread_t thread;

	sigaction(SIGSEGV, &action, NULL);
	touched_pages();
	untouched_and_moved_pages();
	mapped_files();
	/* Twice: the second one gets the stack that the first one left, whose pages were touched. */
	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, NULL, overflow, NULL);
		pthread_join(thread, NULL);
	}
	return 0;
}
