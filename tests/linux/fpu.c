/* Vector registers belong to their program: two processes keep patterns in ymm0 to ymm15, upper halves too, across system calls that switch between them, and across
 * loops long enough to be preempted, and count the registers that changed, which is to say that hold what is another's. All of them run on one processor.
 *
 * Build: gcc -static -O1 -o fpu fpu.c
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REGISTERS = 16, WORDS = 4, ROUNDS = 300, SPINS = 200000 };

/* Loads the registers, makes the call (or spins, for a negative number), stores the registers. Returns how many changed. */
static int changed_across(long call, int descriptor, unsigned long pattern)
{
	unsigned long before[REGISTERS][WORDS], after[REGISTERS][WORDS];
	unsigned long spins = call < 0 ? SPINS : 0;
	char byte = 'x';
	int changed = 0;
	long result;

	for (int i = 0; i < REGISTERS; i++)
		for (int word = 0; word < WORDS; word++)
			before[i][word] = (pattern + i) * (2 * word + 1);
#define LOAD(number) "vmovdqu 32*" #number "(%[before]), %%ymm" #number "\n"
#define STORE(number) "vmovdqu %%ymm" #number ", 32*" #number "(%[after])\n"
#define ALL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
	__asm__ volatile(ALL(LOAD)
			 "test %%rbx, %%rbx\n jz 2f\n 1: dec %%rbx\n jnz 1b\n jmp 3f\n 2: syscall\n 3:\n"
			 ALL(STORE)
			 : "=a"(result), "+b"(spins)
			 : "a"(call), "D"((long)descriptor), "S"(&byte), "d"(1L), [before] "r"(before), [after] "r"(after)
			 : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
			   "xmm13", "xmm14", "xmm15");
	for (int i = 0; i < REGISTERS; i++)
		changed += memcmp(before[i], after[i], sizeof before[i]) != 0;
	return changed;
}

static int rounds(long call, int descriptor, unsigned long seed)
{
	int changed = 0;

	for (int round = 0; round < ROUNDS; round++)
		changed += changed_across(call, descriptor, seed + 1000UL * round);
	return changed;
}

/* Parent and child at the same time, each with its call. */
static void both(const char *name, long parent_call, long child_call)
{
	int data[2], answer[2], parent, child = -1;

	if (pipe(data) != 0 || pipe(answer) != 0)
		return;
	if (fork() == 0) {
		child = rounds(child_call, data[1], 1UL << 40);
		if (write(answer[1], &child, sizeof child) != sizeof child)
			_exit(1);
		_exit(0);
	}
	parent = rounds(parent_call, data[0], 1UL << 50);
	if (read(answer[0], &child, sizeof child) != sizeof child)
		child = -1;
	wait(NULL);
	printf("%s: %d and %d registers changed\n", name, parent, child);
	fflush(stdout);
	close(data[0]), close(data[1]), close(answer[0]), close(answer[1]);
}

int main(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof first, &first);
	printf("alone: %d registers changed\n", rounds(SYS_getppid, 0, 1));
	fflush(stdout);
	both("both preempted", -1, -1);
	both("preempted and calling", -1, SYS_getppid);
	both("both yielding", SYS_sched_yield, SYS_sched_yield);
	both("reader and writer of a pipe", SYS_read, SYS_write);
	return 0;
}
