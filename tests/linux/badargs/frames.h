/* Signal frames: what a handler finds on the stack is an argument too, of rt_sigreturn, and where it is put is one of the signal. Included by badargs.c. */

#define NON_CANONICAL 0x0000800000000000
#define KERNEL_HALF 0xffff800000001000

static int spoiled;

/* Register by register; SIGSEGV's default must end the process, at the latest at its next instruction. */
static void spoil(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal, (void)info;
	switch (spoiled) {
	case 0: registers[REG_RIP] = NON_CANONICAL; break;
	case 1: registers[REG_RIP] = (greg_t)KERNEL_HALF; break;
	case 2: registers[REG_RIP] = 0x1234567812345678; break;
	case 3: registers[REG_RSP] = NON_CANONICAL; break;
	case 4: registers[REG_RSP] = (greg_t)KERNEL_HALF; break;
	case 5: registers[REG_EFL] |= 3 << 12; break;
	case 6: registers[REG_EFL] |= 1 << 14 | 1 << 17; break;
	case 7: registers[REG_EFL] &= ~(1 << 9); break;
	case 8: ((ucontext_t *)context)->uc_mcontext.fpregs = (void *)KERNEL_HALF; break;
	case 9: ((ucontext_t *)context)->uc_mcontext.fpregs = (void *)0x5a5a5a5a0000; break;
	case 10: ((ucontext_t *)context)->uc_mcontext.fpregs = NULL; break;
	case 11: ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr = ~0u; break;
	}
}

static const char *const spoiled_names[] = {
	"rip non-canonical", "rip in the kernel half", "rip in the hole", "rsp non-canonical", "rsp in the kernel half", "I/O privilege",
	"nested task and virtual 8086 mode", "interrupts off", "floating point state in the kernel half", "floating point state wild", "no floating point state",
	"reserved bits of mxcsr",
};

static void take_spoiled_frame(void)
{
	struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO};

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

/* A signal while the stack pointer is `stack`. */
static void signal_on(u64 stack)
{
	struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO};
	pid_t self = getpid();

	spoiled = -1;
	sigaction(SIGUSR1, &action, NULL);
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; syscall; mov %%rbx, %%rsp"
			 : : "r"(stack), "a"(SYS_kill), "D"(self), "S"(SIGUSR1) : "rbx", "rcx", "r11", "memory");
}

/* rt_sigreturn with the stack pointer `stack`, where no frame is. */
static void return_from(u64 stack)
{
	__asm__ volatile("mov %0, %%rsp; syscall; ud2" : : "r"(stack), "a"(SYS_rt_sigreturn) : "memory");
}

static void alternate_stack(u64 address)
{
	stack_t stack = {.ss_sp = (void *)address, .ss_size = 1 << 16};
	struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	spoiled = -1;
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static void handler_at(u64 address)
{
	struct sigaction action = {.sa_handler = (void (*)(int))address};

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static void test_frame(const char *what, const char *where, void (*run)(u64), u64 address)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		alarm(SECONDS);
		run(address);
		leave(0);
	}
	waitpid(child, &status, 0);
	printf("%s, %s: %s\n", what, where, outcome_name(outcome_of(status)));
}

static void spoiled_frame(u64 which)
{
	spoiled = (int)which;
	take_spoiled_frame();
}

static int test_frames(void)
{
	for (size_t i = 0; i < COUNT(spoiled_names); i++)
		test_frame("frame", spoiled_names[i], spoiled_frame, i);
	for (size_t i = 0; i < COUNT(bad_values); i++) {
		const struct bad_value *bad = &bad_values[i];
		/* SynOS has its stacks there, and Linux somewhere below. */
		if (!(bad->kinds & POINTERS) || strcmp(bad->name, "last page") == 0)
			continue;
		test_frame("signal on a stack", bad->name, signal_on, bad->value);
		test_frame("rt_sigreturn from a stack", bad->name, return_from, bad->value);
		test_frame("alternate stack", bad->name, alternate_stack, bad->value);
		if (bad->value)
			test_frame("handler", bad->name, handler_at, bad->value);
	}
	return 0;
}
