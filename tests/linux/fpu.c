/* Vector registers belong to their program: two processes keep patterns in xmm0 to xmm7 across system calls that switch between them, and across
 * loops long enough to be preempted, and count the registers that changed.
 *
 * Build: gcc -static -O1 -o fpu fpu.c
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REGISTERS = 8, ROUNDS = 300, SPINS = 200000 };

/* Loads the registers, makes the call (or spins, for a negative number), stores the registers. Returns how many changed. */
static int changed_across(long call, int descriptor, unsigned long pattern)
{
	unsigned long before[REGISTERS][2], after[REGISTERS][2];
	unsigned long spins = call < 0 ? SPINS : 0;
	char byte = 'x';
	int changed = 0;
	long result;

	for (int i = 0; i < REGISTERS; i++) {
		before[i][0] = pattern + i;
		before[i][1] = ~before[i][0];
	}
	__asm__ volatile("movdqu (%[before]), %%xmm0\n movdqu 16(%[before]), %%xmm1\n movdqu 32(%[before]), %%xmm2\n"
			 "movdqu 48(%[before]), %%xmm3\n movdqu 64(%[before]), %%xmm4\n movdqu 80(%[before]), %%xmm5\n"
			 "movdqu 96(%[before]), %%xmm6\n movdqu 112(%[before]), %%xmm7\n"
			 "test %%rbx, %%rbx\n jz 2f\n 1: dec %%rbx\n jnz 1b\n jmp 3f\n 2: syscall\n 3:\n"
			 "movdqu %%xmm0, (%[after])\n movdqu %%xmm1, 16(%[after])\n movdqu %%xmm2, 32(%[after])\n"
			 "movdqu %%xmm3, 48(%[after])\n movdqu %%xmm4, 64(%[after])\n movdqu %%xmm5, 80(%[after])\n"
			 "movdqu %%xmm6, 96(%[after])\n movdqu %%xmm7, 112(%[after])\n"
			 : "=a"(result), "+b"(spins)
			 : "a"(call), "D"((long)descriptor), "S"(&byte), "d"(1L), [before] "r"(before), [after] "r"(after)
			 : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
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
	printf("alone: %d registers changed\n", rounds(SYS_getppid, 0, 1));
	fflush(stdout);
	both("both preempted", -1, -1);
	both("preempted and calling", -1, SYS_getppid);
	both("both yielding", SYS_sched_yield, SYS_sched_yield);
	both("reader and writer of a pipe", SYS_read, SYS_write);
	return 0;
}
