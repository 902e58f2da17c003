/* Calls that say what signals do, send them, take them, or wait for them. Signals that wait behind one another are counted. */

static volatile sig_atomic_t handled;

static void count_signal(int number)
{
	handled += number != 0;
}

struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t mask_of(int number)
{
	return (uint64_t)1 << (number - 1);
}

static void set_mask(int how, uint64_t mask)
{
	CHECK(syscall(SYS_rt_sigprocmask, how, &mask, NULL, 8) == 0);
}

/* One handler's run is the whole effect of what comes. */
static void handle(int number)
{
	handled = 0;
	CHECK(signal(number, count_signal) != SIG_ERR);
}

/* Takes all signals of a number that wait, which must be one. */
static void check_one_waits(int number)
{
	static const struct timespec none;
	uint64_t mask = mask_of(number);
	int count = 0;

	while (syscall(SYS_rt_sigtimedwait, &mask, NULL, &none, 8) == number)
		count++;
	CHECK(count == 1 && errno == EAGAIN);
	set_mask(SIG_UNBLOCK, mask);
}

static siginfo_t own_info(int turn)
{
	siginfo_t info = {.si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_value.sival_int = turn;
	return info;
}

static void call_kill(int turn)
{
	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(kill, getpid(), SIGRTMIN) == 0 && turn >= 0);
	check_one_waits(SIGRTMIN);
}

static void call_tkill(int turn)
{
	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(tkill, gettid(), SIGRTMIN) == 0 && turn >= 0);
	check_one_waits(SIGRTMIN);
}

static void call_tgkill(int turn)
{
	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(tgkill, getpid(), gettid(), SIGRTMIN) == 0 && turn >= 0);
	check_one_waits(SIGRTMIN);
}

static void call_rt_sigqueueinfo(int turn)
{
	siginfo_t info = own_info(turn);

	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(rt_sigqueueinfo, getpid(), SIGRTMIN, &info) == 0);
	check_one_waits(SIGRTMIN);
}

static void call_rt_tgsigqueueinfo(int turn)
{
	siginfo_t info = own_info(turn);

	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN, &info) == 0);
	check_one_waits(SIGRTMIN);
}

static void call_pidfd_send_signal(int turn)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);

	set_mask(SIG_BLOCK, mask_of(SIGRTMIN));
	CHECK(CALL(pidfd_send_signal, process, SIGRTMIN, NULL, 0) == 0 && close(process) == 0 && turn >= 0);
	check_one_waits(SIGRTMIN);
}

/* One of two is taken, and the other one waits still. */
static void call_rt_sigtimedwait(int turn)
{
	uint64_t mask = mask_of(SIGRTMIN);
	siginfo_t first = own_info(turn), second = own_info(turn + 1), taken;

	set_mask(SIG_BLOCK, mask);
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &first) == 0 && syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &second) == 0);
	CHECK(CALL(rt_sigtimedwait, &mask, &taken, NULL, 8) == SIGRTMIN && taken.si_value.sival_int == turn);
	check_one_waits(SIGRTMIN);
}

/* Tells what there was before. */
static void call_rt_sigaction(int turn)
{
	struct kernel_action action = {.handler = SIG_IGN, .mask = mask_of(SIGRTMIN)}, before;

	CHECK(CALL(rt_sigaction, SIGUSR2, &action, &before, 8) == 0 && before.handler == SIG_DFL && before.mask == 0 && turn >= 0);
	action = (struct kernel_action){.handler = SIG_DFL};
	CHECK(CALL(rt_sigaction, SIGUSR2, &action, &before, 8) == 0 && before.handler == SIG_IGN && before.mask == mask_of(SIGRTMIN));
}

static void call_rt_sigprocmask(int turn)
{
	uint64_t mask = mask_of(SIGUSR2), before;

	CHECK(CALL(rt_sigprocmask, SIG_BLOCK, &mask, &before, 8) == 0 && (before & mask) == 0 && turn >= 0);
	CHECK(CALL(rt_sigprocmask, SIG_UNBLOCK, &mask, &before, 8) == 0 && (before & mask) == mask);
}

/* The handler's mask goes with the handler, and registers are what they were. */
static void call_rt_sigreturn(int turn)
{
	struct sigaction action = {.sa_handler = count_signal};
	uint64_t blocked = 0;
	long kept = 0x1234567 + turn, result;

	handled = 0;
	sigfillset(&action.sa_mask);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	register long kept_too __asm__("r12") = kept;
	__asm__ volatile("syscall" : "=a"(result), "+r"(kept_too) : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1) : "rcx", "r11", "memory");
	CHECK(result == 0 && kept_too == kept && handled == 1);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8) == 0 && blocked == 0);
}

static void call_pause(int turn)
{
	struct itimerval often = {{0, 2000}, {0, 2000}};
	static const struct itimerval never;

	handle(SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0 && turn >= 0);
	CHECK(CALL(pause) == -1 && errno == EINTR && handled > 0);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

/* A signal that waits, to come in the call to `what` that lets it through. It comes once, and does not get through afterwards. */
#define CHECK_INTERRUPTED(what) \
	do { \
		handle(SIGUSR1); \
		set_mask(SIG_BLOCK, mask_of(SIGUSR1)); \
		CHECK(raise(SIGUSR1) == 0 && handled == 0); \
		CHECK((what) == -1 && errno == EINTR && handled == 1); \
		CHECK(raise(SIGUSR1) == 0 && handled == 1); \
		set_mask(SIG_UNBLOCK, mask_of(SIGUSR1)); \
		CHECK(handled == 2); \
	} while (0)

static const uint64_t nothing_blocked;

static void call_rt_sigsuspend(int turn)
{
	CHECK_INTERRUPTED(CALL(rt_sigsuspend, &nothing_blocked, 8));
	CHECK(turn >= 0);
}

static void call_sigaltstack(int turn)
{
	static char area[2][16384];
	stack_t stack = {.ss_sp = area[turn % 2], .ss_size = sizeof area[0]}, before;
	static int is_first = 1;

	CHECK(CALL(sigaltstack, &stack, &before) == 0);
	CHECK(is_first ? before.ss_flags == SS_DISABLE : before.ss_sp == area[(turn + 1) % 2]);
	is_first = 0;
}

static void check_signal_file(long file, int next)
{
	struct signalfd_siginfo info;

	set_mask(SIG_BLOCK, mask_of(SIGUSR2));
	CHECK(raise(SIGUSR2) == 0);
	CHECK(read((int)file, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
	set_mask(SIG_UNBLOCK, mask_of(SIGUSR2));
	check_made(file, next);
}

static void call_signalfd(int turn)
{
	uint64_t mask = mask_of(SIGUSR2);
	int next = lowest();

	check_signal_file(CALL(signalfd, -1, &mask, 8), next);
	CHECK(turn >= 0);
}

static void call_signalfd4(int turn)
{
	uint64_t mask = mask_of(SIGUSR2);
	int next = lowest();

	check_signal_file(CALL(signalfd4, -1, &mask, 8, SFD_CLOEXEC), next);
	CHECK(turn >= 0);
}
