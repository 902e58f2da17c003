/* Signals: handlers, masks, interrupted calls, stopping and killing. Included by posixtest.c. */

static volatile sig_atomic_t caught;

static void count_signal(int number)
{
	caught += number == SIGUSR1 ? 1 : 100;
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};

	caught = 0;
	CHECK(sigaction(number, &action, NULL) == 0);
}

static void handlers_and_masks(void)
{
	sigset_t set, before, pending;

	handle(SIGUSR1, 0);
	CHECK(raise(SIGUSR1) == 0 && caught == 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &before) == 0);
	CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && caught == 1);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
	CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
	CHECK(caught == 2);
	handle(SIGUSR1, SA_RESETHAND);
	CHECK(raise(SIGUSR1) == 0 && caught == 1);
	struct sigaction now;
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGKILL, &now, NULL) == -1 && errno == EINVAL);
}

static void suspend_until_a_signal(void)
{
	sigset_t set, before;
	pid_t parent = getpid();

	handle(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &before) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(kill(parent, SIGUSR1) == 0 ? 0 : 1);
	while (caught == 0)
		CHECK(sigsuspend(&before) == -1 && errno == EINTR);
	CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
	CHECK(status_of(child) == 0);
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

/* A read from an empty pipe while a child sends a signal and then a byte: errno, or 0 if the read was started again. */
static int interrupted_read(int flags)
{
	int ends[2];
	char byte;
	pid_t parent = getpid();

	handle(SIGUSR1, flags);
	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		until_asleep(parent);
		kill(parent, SIGUSR1);
		usleep(100 * 1000);
		_exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
	}
	int error = read(ends[0], &byte, 1) == 1 ? 0 : errno;
	CHECK(caught == 1);
	CHECK(status_of(child) == 0);
	close(ends[0]);
	close(ends[1]);
	return error;
}

static void interrupted_calls(void)
{
	CHECK(interrupted_read(0) == EINTR);
	CHECK(interrupted_read(SA_RESTART) == 0);
}

static char *handler_stack;
static volatile sig_atomic_t on_own_stack;

static void check_stack(int number)
{
	char here;

	(void)number;
	on_own_stack = &here >= handler_stack && &here < handler_stack + SIGSTKSZ;
}

static void alternate_stack(void)
{
	handler_stack = malloc(SIGSTKSZ);
	stack_t stack = {.ss_sp = handler_stack, .ss_size = SIGSTKSZ};
	struct sigaction action = {.sa_handler = check_stack, .sa_flags = SA_ONSTACK};

	CHECK(handler_stack != NULL && sigaltstack(&stack, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	CHECK(raise(SIGUSR2) == 0 && on_own_stack);
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0);
	free(handler_stack);
}

static void deadly_signals(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		for (;;)
			pause();
	CHECK(kill(child, 0) == 0);
	CHECK(kill(child, SIGSTOP) == 0);
	int status;
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(kill(child, SIGKILL) == 0);
	status = status_of(child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(kill(child, 0) == -1 && errno == ESRCH);
}

static void child_signal(void)
{
	handle(SIGCHLD, SA_RESTART | SA_NOCLDSTOP);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(0);
	CHECK(status_of(child) == 0);
	CHECK(caught == 100);
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

/* Stops and continuations of children are told of, unless that is not wanted. */
static void stops_of_children(void)
{
	for (int told = 0; told < 2; told++) {
		int status;

		handle(SIGCHLD, SA_RESTART | (told ? 0 : SA_NOCLDSTOP));
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			for (;;)
				pause();
		CHECK(kill(child, SIGSTOP) == 0);
		CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		CHECK(caught == (told ? 100 : 0));
		CHECK(kill(child, SIGCONT) == 0);
		CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		/* The child itself tells that it goes on, some time after a wait may have seen it. */
		for (int i = 0; i < 3000 && caught < (told ? 200 : 0); i++)
			usleep(10 * 1000);
		CHECK(caught == (told ? 200 : 0));
		CHECK(kill(child, SIGKILL) == 0 && status_of(child) == SIGKILL);
		CHECK(caught == (told ? 300 : 100));
	}
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

/* Children of who does not want to hear of them leave nothing behind, and waiting for them ends with the last. */
static void children_that_nobody_waits_for(void)
{
	for (int ignored = 0; ignored < 2; ignored++) {
		struct sigaction action = {.sa_handler = ignored ? SIG_IGN : count_signal, .sa_flags = ignored ? 0 : SA_NOCLDWAIT};
		int ends[2];
		char byte;

		caught = 0;
		CHECK(sigaction(SIGCHLD, &action, NULL) == 0 && pipe(ends) == 0);
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			close(ends[1]);
			_exit(read(ends[0], &byte, 1) == 0 ? 3 : 4);
		}
		close(ends[0]);
		close(ends[1]);
		CHECK(waitpid(child, NULL, 0) == -1 && errno == ECHILD);
		CHECK(kill(child, 0) == -1 && errno == ESRCH);
		CHECK(caught == (ignored ? 0 : 100));
	}
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static void alarms(void)
{
	struct itimerval soon = {.it_value = {0, 20 * 1000}};

	handle(SIGALRM, 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	while (caught == 0)
		pause();
	CHECK(caught == 100);
	CHECK(signal(SIGALRM, SIG_DFL) != SIG_ERR);
}
