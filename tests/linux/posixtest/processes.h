/* Processes: fork, exec, wait, sessions. Included by posixtest.c. */

static int status_of(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

/* Waits until a process sleeps, by what /proc says of it. */
static void until_asleep(pid_t process)
{
	char path[64], text[512], state = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", process);
	for (int i = 0; i < 3000 && state != 'S'; i++) {
		usleep(10000);
		int file = open(path, O_RDONLY);
		ssize_t count = read(file, text, sizeof text - 1);
		CHECK(count > 0 && close(file) == 0);
		text[count] = 0;
		state = strrchr(text, ')')[2];
	}
	CHECK(state == 'S');
}

static void fork_and_wait(void)
{
	int value = 1;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		value = 42;
		_exit(value);
	}
	int status = status_of(child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK(value == 1);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void many_children(void)
{
	int sum = 0;

	for (int i = 0; i < 20; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			_exit(i);
	}
	for (int i = 0; i < 20; i++) {
		int status;
		CHECK(wait(&status) > 0 && WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	CHECK(sum == 190);
}

static void vfork_and_exec(void)
{
	pid_t child = vfork();

	CHECK(child >= 0);
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", "exit $((6 * 7))", (char *)NULL);
		_exit(127);
	}
	CHECK(WEXITSTATUS(status_of(child)) == 42);
}

static void exec_of_nothing(void)
{
	char *const arguments[] = {"nothing", NULL};

	CHECK(execv("/no/such/program", arguments) == -1 && errno == ENOENT);
	CHECK(execv("/", arguments) == -1 && errno == EACCES);
}

static void wait_without_hanging(void)
{
	int hold[2];
	char byte = 0;

	CHECK(pipe(hold) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) == 0 ? 3 : 4);
	}
	CHECK(waitpid(child, NULL, WNOHANG) == 0);
	close(hold[1]);
	CHECK(WEXITSTATUS(status_of(child)) == 3);
	close(hold[0]);
}

static void groups_and_sessions(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid())
			_exit(1);
		_exit(setsid() == -1 && errno == EPERM ? 0 : 2);
	}
	CHECK(status_of(child) == 0);
}
