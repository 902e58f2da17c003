/* Traps that a program makes on purpose, and flags, stacks and addresses with which no compiler would enter the kernel.
 *
 * Build: gcc -static -O1 -o traps traps.c
 * One line for each attempt, each in a child of its own: what its handler was told (signal, code, whether the address was the expected one), how the child ended, or what it
 * said itself. The handler has a stack of its own, because some attempts leave none.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { TF = 1 << 8, DF = 1 << 10, IOPL = 3 << 12, NT = 1 << 14, AC = 1 << 18, ID = 1 << 21 };
enum { PAGE = 4096 };

/* With four levels of page tables and with five. */
#define NON_CANONICAL 0x0100000000000000UL
#define KERNEL_HALF 0xffff900000001000UL
#define TOP 0x7ffffffff000UL

static volatile uint64_t expected_address;

static void told(int number, siginfo_t *info, void *context)
{
	uint64_t flags = ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
	uint64_t address = (uint64_t)info->si_addr;

	printf("%s, code %d, address %s, TF %d\n", sigabbrev_np(number), info->si_code,
	       address == expected_address ? "as expected" : address == 0 ? "0" : "another", (flags & TF) != 0);
	fflush(stdout);
	_exit(0);
}

/* getpid() with `flags` set; the flags after it, and its result. */
static uint64_t flags_after_call(uint64_t flags, long *result)
{
	uint64_t after;

	__asm__ volatile("pushfq\n orq %[flags], (%%rsp)\n popfq\n syscall\n pushfq\n popq %[after]\n pushq $0x202\n popfq\n"
			 : "=a"(*result), [after] "=r"(after)
			 : "a"((long)SYS_getpid), [flags] "r"(flags)
			 : "rcx", "r11", "memory", "cc");
	return after;
}

static void a_flag_stays(uint64_t flag)
{
	long result;
	uint64_t after = flags_after_call(flag, &result);

	printf("call %s, flag %s\n", result == getpid() ? "right" : "wrong", (after & flag) == flag ? "kept" : after & flag ? "partly kept" : "gone");
}

static void direction(void) { a_flag_stays(DF); }
static void nested_task(void) { a_flag_stays(NT); }
static void alignment(void) { a_flag_stays(AC); }
static void identification(void) { a_flag_stays(ID); }
static void port_level(void) { a_flag_stays(IOPL); }
static void all_flags(void) { a_flag_stays(DF | NT | AC | ID); }

static void alignment_and_a_wild_pointer(void)
{
	long result;

	__asm__ volatile("pushfq\n orq %[flags], (%%rsp)\n popfq\n syscall\n pushq $0x202\n popfq\n"
			 : "=a"(result)
			 : "a"((long)SYS_write), "D"(1L), "S"(KERNEL_HALF), "d"(8L), [flags] "r"((uint64_t)AC)
			 : "rcx", "r11", "memory", "cc");
	printf("%s\n", strerrorname_np(-result));
}

static void ports_after_port_level(void)
{
	uint8_t byte;

	__asm__ volatile("pushfq\n orq %[flags], (%%rsp)\n popfq\n" : : [flags] "r"((uint64_t)IOPL) : "memory", "cc");
	__asm__ volatile("inb $0x70, %0" : "=a"(byte));
	printf("read %d\n", byte);
}

static volatile int steps;
static volatile int steps_of_another_code;
static volatile uint64_t last_step;

static void step(int number, siginfo_t *info, void *context)
{
	ucontext_t *state = context;

	(void)number;
	steps++;
	steps_of_another_code += info->si_code != TRAP_TRACE;
	last_step = state->uc_mcontext.gregs[REG_RIP];
}

static void count_steps(void)
{
	struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaction(SIGTRAP, &action, NULL);
}

static void steps_over_instructions(void)
{
	count_steps();
	__asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n nop\n nop\n nop\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n" : : : "memory", "cc");
	printf("%d steps, %d of another code\n", steps, steps_of_another_code);
}

static void steps_over_a_call(void)
{
	long result;

	count_steps();
	__asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n nop\n syscall\n nop\n nop\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n"
			 : "=a"(result)
			 : "a"((long)SYS_getpid)
			 : "rcx", "r11", "memory", "cc");
	printf("%d steps, %d of another code, call %s\n", steps, steps_of_another_code, result == getpid() ? "right" : "wrong");
}

static void steps_unhandled(void)
{
	signal(SIGTRAP, SIG_DFL);
	__asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n nop\n nop\n" : : : "memory", "cc");
	printf("went on\n");
}

static void breakpoint(void)
{
	__asm__ volatile("int3\n nop");
	printf("went on\n");
}

static void two_byte_breakpoint(void)
{
	__asm__ volatile(".byte 0xcd, 3\n nop");
	printf("went on\n");
}

static void in_circuit_breakpoint(void)
{
	__asm__ volatile(".byte 0xf1\n nop");
	printf("went on\n");
}

static void undefined(void)
{
	__asm__ volatile("leaq 2f(%%rip), %%rax\n movq %%rax, %0\n 2: ud2" : "=m"(expected_address) : : "rax", "memory");
}

static void unused_gate(void) { __asm__ volatile("int $0x40"); }
static void page_fault_gate(void) { __asm__ volatile("int $14"); }
static void debug_registers(void) { __asm__ volatile("movq %%dr7, %%rax" : : : "rax"); }
static void return_to_user(void) { __asm__ volatile("sysretq"); }

static void far_call_to_the_kernel(void)
{
	static struct {
		uint32_t offset;
		uint16_t selector;
	} __attribute__((packed)) target = {0, 0x08};

	__asm__ volatile("lcall *%0" : : "m"(target));
}

static void kernel_data_segment(void) { __asm__ volatile("movw $0x10, %%ax\n movw %%ax, %%ds" : : : "rax"); }
static void kernel_stack_segment(void) { __asm__ volatile("movw $0x10, %%ax\n movw %%ax, %%ss" : : : "rax"); }
static void beyond_the_table(void) { __asm__ volatile("movw $0x7ffb, %%ax\n movw %%ax, %%es" : : : "rax"); }

static void divide(void)
{
	__asm__ volatile("xorl %%edx, %%edx\n movl $1, %%eax\n xorl %%ecx, %%ecx\n divl %%ecx" : : : "rax", "rcx", "rdx");
}

static void divide_the_least(void)
{
	__asm__ volatile("movl $0x80000000, %%eax\n cltd\n movl $-1, %%ecx\n idivl %%ecx" : : : "rax", "rcx", "rdx");
}

static void coprocessor_divide(void)
{
	uint16_t control = 0x037f & ~4;

	__asm__ volatile("fldcw %0\n fld1\n fldz\n fdivrp\n fwait" : : "m"(control) : "st", "st(1)");
}

static void jump_to(uint64_t address)
{
	expected_address = address;
	__asm__ volatile("jmp *%0" : : "r"(address));
}

static void jump_to_nothing(void) { jump_to(0); }
static void jump_beyond(void) { jump_to(NON_CANONICAL); }
static void jump_to_the_top(void) { jump_to(TOP); }
static void jump_to_the_kernel(void) { jump_to(KERNEL_HALF); }

static void read_beyond(void)
{
	expected_address = NON_CANONICAL;
	printf("read %d\n", *(volatile char *)NON_CANONICAL);
}

/* getpid() on a stack that is nowhere, then back to the old one. */
static void call_on(uint64_t stack)
{
	long result;

	__asm__ volatile("movq %%rsp, %%r12\n movq %[stack], %%rsp\n syscall\n movq %%r12, %%rsp\n"
			 : "=a"(result)
			 : "a"((long)SYS_getpid), [stack] "r"(stack)
			 : "rcx", "r11", "r12", "memory");
	printf("call %s\n", result == getpid() ? "right" : "wrong");
}

static void call_without_a_stack(void) { call_on(0); }
static void call_on_a_kernel_stack(void) { call_on(KERNEL_HALF); }
static void call_on_a_stack_beyond(void) { call_on(NON_CANONICAL); }
static void call_on_the_last_stack(void) { call_on(-8); }

static void push_on(uint64_t stack)
{
	expected_address = stack - 8;
	__asm__ volatile("movq %0, %%rsp\n pushq $1" : : "r"(stack) : "memory");
}

static void push_without_a_stack(void) { push_on(8); }
static void push_on_a_kernel_stack(void) { push_on(KERNEL_HALF); }
static void push_on_a_stack_beyond(void) { push_on(NON_CANONICAL + 8); }

/* A signal whose frame has no place: the other stack is off. */
static void signal_on(uint64_t stack)
{
	struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};

	sigaction(SIGUSR1, &action, NULL);
	__asm__ volatile("movq %[stack], %%rsp\n syscall\n hlt"
			 :
			 : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1), [stack] "r"(stack)
			 : "rcx", "r11", "memory");
}

static void signal_without_a_stack(void) { signal_on(0); }
static void signal_on_a_kernel_stack(void) { signal_on(KERNEL_HALF); }
static void signal_on_a_stack_beyond(void) { signal_on(NON_CANONICAL); }

static void handled_at(uint64_t address, int flags)
{
	struct sigaction action = {.sa_handler = (void (*)(int))address, .sa_flags = flags};

	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	printf("sigaction %s\n", sigaction(SIGUSR1, &action, NULL) == 0 ? "taken" : strerrorname_np(errno));
	fflush(stdout);
	raise(SIGUSR1);
	printf("went on\n");
}

static void handler_in_the_kernel(void) { handled_at(KERNEL_HALF, 0); }
static void handler_beyond(void) { handled_at(NON_CANONICAL, 0); }

/* The last instruction that may be: a call whose return address is the end of what a program may have. */
static void call_at_the_top(void)
{
	unsigned char *page = mmap((void *)(TOP - PAGE), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page != (void *)(TOP - PAGE)) {
		printf("page refused: %s\n", strerrorname_np(errno));
		return;
	}
	page[PAGE - 2] = 0x0f;
	page[PAGE - 1] = 0x05;
	expected_address = TOP;
	__asm__ volatile("jmp *%%rdx" : : "a"((long)SYS_getpid), "d"(page + PAGE - 2) : "rcx", "r11", "memory");
}

static void base_of(long which, unsigned long address)
{
	printf("%s ", syscall(SYS_arch_prctl, which, address) == 0 ? "taken" : strerrorname_np(errno));
}

static void wild_bases(void)
{
	base_of(ARCH_SET_GS, 0x1000);
	base_of(ARCH_SET_GS, TOP - 1);
	base_of(ARCH_SET_GS, NON_CANONICAL);
	base_of(ARCH_SET_GS, KERNEL_HALF);
	base_of(ARCH_SET_FS, NON_CANONICAL);
	base_of(ARCH_SET_FS, KERNEL_HALF);
	printf("\n");
}

static const struct {
	const char *name;
	void (*run)(void);
} attempts[] = {
	{"call with DF", direction},
	{"call with NT", nested_task},
	{"call with AC", alignment},
	{"call with ID", identification},
	{"call with IOPL", port_level},
	{"call with all of them", all_flags},
	{"AC and a pointer into the kernel", alignment_and_a_wild_pointer},
	{"ports after IOPL", ports_after_port_level},
	{"single steps", steps_over_instructions},
	{"single steps over a call", steps_over_a_call},
	{"single steps that nobody handles", steps_unhandled},
	{"int3", breakpoint},
	{"int 3", two_byte_breakpoint},
	{"icebp", in_circuit_breakpoint},
	{"ud2", undefined},
	{"int 0x40", unused_gate},
	{"int 14", page_fault_gate},
	{"debug register", debug_registers},
	{"sysret", return_to_user},
	{"far call to the kernel", far_call_to_the_kernel},
	{"kernel's data segment", kernel_data_segment},
	{"kernel's stack segment", kernel_stack_segment},
	{"segment beyond the table", beyond_the_table},
	{"division by zero", divide},
	{"division that overflows", divide_the_least},
	{"x87 division by zero", coprocessor_divide},
	{"jump to 0", jump_to_nothing},
	{"jump to a non-canonical address", jump_beyond},
	{"jump to the end of user space", jump_to_the_top},
	{"jump into the kernel", jump_to_the_kernel},
	{"read of a non-canonical address", read_beyond},
	{"call without a stack", call_without_a_stack},
	{"call on a stack in the kernel", call_on_a_kernel_stack},
	{"call on a non-canonical stack", call_on_a_stack_beyond},
	{"call on the last stack", call_on_the_last_stack},
	{"push without a stack", push_without_a_stack},
	{"push on a stack in the kernel", push_on_a_kernel_stack},
	{"push on a non-canonical stack", push_on_a_stack_beyond},
	{"signal without a stack", signal_without_a_stack},
	{"signal on a stack in the kernel", signal_on_a_kernel_stack},
	{"signal on a non-canonical stack", signal_on_a_stack_beyond},
	{"handler in the kernel", handler_in_the_kernel},
	{"handler at a non-canonical address", handler_beyond},
	{"call at the top", call_at_the_top},
	{"bases of segments", wild_bases},
};

static void attempt(size_t index)
{
	static const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE};
	stack_t stack = {.ss_sp = malloc(16 * PAGE), .ss_size = 16 * PAGE};
	struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	attempts[index].run();
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	for (size_t index = 0; index < sizeof attempts / sizeof *attempts; index++) {
		int status;
		pid_t child;

		printf("%s: ", attempts[index].name);
		fflush(stdout);
		child = fork();
		if (child == 0)
			attempt(index);
		if (waitpid(child, &status, 0) != child)
			return 1;
		if (WIFSIGNALED(status))
			printf("ended by %s\n", sigabbrev_np(WTERMSIG(status)));
		fflush(stdout);
	}
	return 0;
}
