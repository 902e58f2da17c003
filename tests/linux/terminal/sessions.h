/* Whose a terminal is, and who hears what is typed. Included by terminal.c. */

/* Makes the caller the leader of a session with the slave as its terminal. */
static void lead(struct pair pair)
{
	CHECK(setsid() == getpid());
	CHECK(ioctl(pair.slave, TIOCSCTTY, 0) == 0);
	close(pair.master);
}

static void session_takes_a_terminal(void)
{
	struct pair pair = open_pair();
	pid_t group = -1;

	CHECK(ioctl(pair.slave, TIOCGPGRP, &group) == -1 && errno == ENOTTY);
	CHECK(ioctl(pair.master, TIOCGPGRP, &group) == 0 && group == 0);
	CHECK(ioctl(pair.master, TIOCGSID, &group) == -1 && errno == ENOTTY);
	pid_t child = start();
	if (child == 0) {
		pid_t self = getpid();
		CHECK(setsid() == self);
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		int again = open(ptsname(pair.master), O_RDWR), tty;
		CHECK(again >= 0);
		CHECK((tty = open("/dev/tty", O_RDWR)) >= 0);
		CHECK(tcgetpgrp(tty) == self && tcgetsid(tty) == self && tcgetpgrp(pair.slave) == self);
		CHECK(ioctl(pair.slave, TIOCSCTTY, 0) == 0);
		CHECK(ioctl(pair.master, TIOCGPGRP, &group) == 0 && group == self);
		CHECK(tcsetpgrp(tty, 0x7fffffff) == -1 && errno == ESRCH);
		CHECK(tcsetpgrp(tty, getpgid(getppid())) == -1 && errno == EPERM);
		CHECK(tcsetpgrp(tty, -1) == -1 && errno == EINVAL);
		CHECK(write(tty, "here", 4) == 4);
		_exit(0);
	}
	CHECK(reads(pair.master, "here"));
	CHECK(ended_with(child) == 0);
	CHECK(ioctl(pair.master, TIOCGSID, &group) == -1 && errno == ENOTTY);
	close_pair(pair);
}

static void keys_send_signals(void)
{
	static const struct { const char *key, *shown; int signal; } keys[] = {{"\x03", "^C", SIGINT}, {"\x1c", "^\\", SIGQUIT}};
	struct pair pair = open_pair();

	for (int i = 0; i < 2; i++) {
		pid_t child = start();
		if (child == 0) {
			lead(pair);
			CHECK(write(pair.slave, "up", 2) == 2);
			for (;;)
				pause();
		}
		CHECK(reads(pair.master, "up"));
		type(pair, keys[i].key);
		int status = ended_with(child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == keys[i].signal);
		CHECK(reads(pair.master, keys[i].shown));
	}
	pid_t child = start();
	if (child == 0) {
		int status;
		lead(pair);
		pid_t job = start();
		if (job == 0) {
			CHECK(setpgid(0, 0) == 0);
			for (;;)
				pause();
		}
		setpgid(job, job);
		CHECK(tcsetpgrp(pair.slave, job) == 0);
		CHECK(write(pair.slave, "up", 2) == 2);
		CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
		CHECK(kill(job, SIGCONT) == 0 && waitpid(job, &status, WCONTINUED) == job && WIFCONTINUED(status));
		CHECK(kill(job, SIGKILL) == 0 && waitpid(job, &status, 0) == job);
		_exit(0);
	}
	CHECK(reads(pair.master, "up"));
	type(pair, "\x1a");
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}

/* A job in the background of a session tries something; how it was stopped, or -1 if it ended well. */
static int stopped_by(struct pair pair, void (*attempt)(int))
{
	int status;
	pid_t job = start();

	if (job == 0) {
		CHECK(setpgid(0, 0) == 0);
		attempt(pair.slave);
		_exit(0);
	}
	CHECK(waitpid(job, &status, WUNTRACED) == job);
	if (!WIFSTOPPED(status)) {
		CHECK(status == 0);
		return -1;
	}
	CHECK(kill(job, SIGKILL) == 0 && kill(job, SIGCONT) == 0 && waitpid(job, NULL, 0) == job);
	return WSTOPSIG(status);
}

static void try_to_read(int terminal)
{
	char byte;
	read(terminal, &byte, 1);
}

static void try_to_write(int terminal)
{
	CHECK(write(terminal, "bg", 2) == 2);
}

static void try_to_set_modes(int terminal)
{
	set_local(terminal, 0, 0);
}

static void try_to_set_modes_without_the_signal(int terminal)
{
	signal(SIGTTOU, SIG_IGN);
	set_local(terminal, 0, 0);
}

static void try_to_read_without_the_signal(int terminal)
{
	char byte;
	signal(SIGTTIN, SIG_IGN);
	CHECK(read(terminal, &byte, 1) == -1 && errno == EIO);
}

static void background_is_stopped(void)
{
	struct pair pair = open_pair();
	pid_t child = start();

	if (child == 0) {
		lead(pair);
		CHECK(stopped_by(pair, try_to_read) == SIGTTIN);
		CHECK(stopped_by(pair, try_to_set_modes) == SIGTTOU);
		CHECK(stopped_by(pair, try_to_write) == -1);
		set_local(pair.slave, 0, TOSTOP);
		CHECK(stopped_by(pair, try_to_write) == SIGTTOU);
		CHECK(stopped_by(pair, try_to_set_modes_without_the_signal) == -1);
		CHECK(stopped_by(pair, try_to_read_without_the_signal) == -1);
		_exit(0);
	}
	CHECK(ended_with(child) == 0);
	CHECK(reads(pair.master, "bg"));
	close_pair(pair);
}

static void orphans_get_errors(void)
{
	struct pair pair = open_pair();
	pid_t child = start();

	if (child == 0) {
		int ends[2];
		char byte;
		lead(pair);
		CHECK(pipe(ends) == 0);
		pid_t middle = start();
		if (middle == 0) {
			if (start() == 0) {
				CHECK(setpgid(0, 0) == 0);
				close(ends[0]);
				while (getppid() == middle || getppid() == getpgid(0))
					wait_ms(10);
				pid_t parent = getppid();
				while (parent == getppid() && getpgid(parent) == getpgid(0))
					wait_ms(10);
				wait_ms(100);
				CHECK(read(pair.slave, &byte, 1) == -1 && errno == EIO);
				CHECK(write(ends[1], "e", 1) == 1);
				_exit(0);
			}
			_exit(0);
		}
		CHECK(ended_with(middle) == 0);
		close(ends[1]);
		CHECK(read(ends[0], &byte, 1) == 1 && byte == 'e');
		_exit(0);
	}
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}

static volatile sig_atomic_t resized;

static void on_resize(int signal)
{
	resized = signal;
}

static void size_changes_are_told(void)
{
	struct pair pair = open_pair();
	struct winsize size;

	CHECK(ioctl(pair.slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 0 && size.ws_col == 0);
	pid_t child = start();
	if (child == 0) {
		sigset_t none, blocked;
		sigemptyset(&none);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGWINCH);
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		signal(SIGWINCH, on_resize);
		lead(pair);
		CHECK(write(pair.slave, "up", 2) == 2);
		CHECK(sigsuspend(&none) == -1 && errno == EINTR && resized == SIGWINCH);
		CHECK(ioctl(pair.slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 50 && size.ws_col == 132);
		_exit(0);
	}
	CHECK(reads(pair.master, "up"));
	size.ws_row = 50, size.ws_col = 132;
	CHECK(ioctl(pair.master, TIOCSWINSZ, &size) == 0);
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}
