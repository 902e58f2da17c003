/* Calls that make, change, end and await processes and programs. */

static char self[256];

/* A child has ended with this status, and there is no other. */
static void check_only_child(long child, int status)
{
	int ended = -1;

	CHECK(child > 0 && waitpid((pid_t)child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == status);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

/* Does something in a child, for what a process cannot take back. */
static void in_child(void (*what)(int), int turn)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		what(turn);
		_exit(0);
	}
	check_only_child(child, 0);
}

static void call_fork(int turn)
{
	long child = CALL(fork);

	if (child == 0)
		_exit(turn);
	check_only_child(child, turn);
}

static void call_vfork(int turn)
{
	pid_t child = vfork();

	if (child == 0)
		_exit(turn);
	check_only_child(child, turn);
}

static void call_clone(int turn)
{
	long child = CALL(clone, SIGCHLD, NULL, NULL, NULL, 0L);

	if (child == 0)
		_exit(turn);
	check_only_child(child, turn);
}

static void call_clone3(int turn)
{
	uint64_t how[11] = {[4] = SIGCHLD};
	long child = CALL(clone3, how, sizeof how);

	if (child == 0)
		_exit(turn);
	check_only_child(child, turn);
}

/* This program ends with the status that its only argument says. */
static char *const *for_status(int status)
{
	static char text[8];
	static char *arguments[] = {self, "exit", text, NULL};

	sprintf(text, "%d", status);
	return arguments;
}

static void execute(int turn)
{
	CALL(execve, self, for_status(turn), NULL);
	_exit(99);
}

static void call_execve(int turn)
{
	pid_t child = fork();

	if (child == 0)
		execute(turn);
	check_only_child(child, turn);
}

static void call_execveat(int turn)
{
	pid_t child = fork();

	if (child == 0) {
		CALL(execveat, open(self, O_RDONLY), "", for_status(turn), NULL, AT_EMPTY_PATH);
		_exit(99);
	}
	check_only_child(child, turn);
}

static void *end_thread(void *turn)
{
	CALL(exit, 0);
	return turn;
}

/* A thread that ends, and then the last one. */
static void call_exit(int turn)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, end_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
		CALL(exit, turn);
	}
	check_only_child(child, turn);
}

static void call_exit_group(int turn)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		CALL(exit_group, turn);
	check_only_child(child, turn);
}

static void call_wait4(int turn)
{
	int status = -1;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(turn);
	CHECK(CALL(wait4, -1, &status, 0, NULL) == child && WIFEXITED(status) && WEXITSTATUS(status) == turn);
	CHECK(CALL(wait4, -1, &status, 0, NULL) == -1 && errno == ECHILD);
}

static void call_waitid(int turn)
{
	siginfo_t info;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(turn);
	CHECK(CALL(waitid, P_PID, child, &info, WEXITED, NULL) == 0 && info.si_pid == child && info.si_status == turn);
	CHECK(CALL(waitid, P_ALL, 0, &info, WEXITED, NULL) == -1 && errno == ECHILD);
}

static void lead_group(int turn)
{
	CHECK(CALL(setpgid, 0, 0) == 0 && getpgrp() == getpid() && turn >= 0);
}

static void call_setpgid(int turn)
{
	in_child(lead_group, turn);
}

/* Who leads a group makes no session. */
static void lead_session(int turn)
{
	CHECK(CALL(setsid) == getpid() && turn >= 0);
	CHECK(CALL(setsid) == -1 && errno == EPERM);
}

static void call_setsid(int turn)
{
	in_child(lead_session, turn);
}

static void call_personality(int turn)
{
	static const long fixed = 0x40000;

	CHECK(CALL(personality, fixed) == 0 && turn >= 0);
	CHECK(CALL(personality, 0) == fixed);
}

static void call_prctl(int turn)
{
	char name[17] = "", was[17] = "calls";

	name[0] = (char)('a' + turn);
	CHECK(CALL(prctl, PR_SET_NAME, name) == 0);
	CHECK(CALL(prctl, PR_GET_NAME, was) == 0 && strcmp(name, was) == 0);
}

static void call_arch_prctl(int turn)
{
	unsigned long base = 0;

	CHECK(CALL(arch_prctl, ARCH_SET_GS, 0x1000L * turn) == 0);
	CHECK(CALL(arch_prctl, ARCH_GET_GS, &base) == 0 && base == 0x1000UL * turn);
}

static void call_set_tid_address(int turn)
{
	static int word;

	CHECK(CALL(set_tid_address, &word) == getpid() && turn >= 0);
}

static void call_set_robust_list(int turn)
{
	static char heads[TIMES][24];
	char *head = NULL;
	size_t size = 0;

	CHECK(CALL(set_robust_list, heads[turn], sizeof heads[turn]) == 0);
	CHECK(syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head == heads[turn] && size == 24);
}
