/* How terminals end. Included by terminal.c. */

static void master_closes(void)
{
	struct pair pair = open_pair();
	int ends[2];
	char byte;

	CHECK(pipe(ends) == 0);
	pid_t child = start();
	if (child == 0) {
		sigset_t none, blocked;
		struct termios modes;
		sigemptyset(&none);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGHUP);
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		signal(SIGHUP, on_resize);
		lead(pair);
		CHECK(write(ends[1], "u", 1) == 1);
		CHECK(sigsuspend(&none) == -1 && resized == SIGHUP);
		CHECK(read(pair.slave, &byte, 1) == 0);
		CHECK(write(pair.slave, "x", 1) == -1 && errno == EIO);
		CHECK(tcgetattr(pair.slave, &modes) == -1 && errno == EIO);
		CHECK(ready_for(pair.slave, POLLIN | POLLOUT, 0) == (POLLIN | POLLOUT | POLLERR | POLLHUP));
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		_exit(0);
	}
	CHECK(read(ends[0], &byte, 1) == 1);
	close_pair(pair);
	CHECK(ended_with(child) == 0);
	close(ends[0]), close(ends[1]);
}

static void slave_closes(void)
{
	struct pair pair = open_pair();
	char byte;

	CHECK(write(pair.slave, "last", 4) == 4);
	close(pair.slave);
	CHECK(ready_for(pair.master, POLLIN, 30000) == (POLLIN | POLLHUP));
	CHECK(reads(pair.master, "last"));
	CHECK(read(pair.master, &byte, 1) == -1 && errno == EIO);
	CHECK(ready_for(pair.master, POLLIN, 0) == POLLHUP);
	CHECK((pair.slave = open(ptsname(pair.master), O_RDWR | O_NOCTTY)) >= 0);
	CHECK(would_wait(pair.master));
	CHECK(write(pair.slave, "new", 3) == 3 && reads(pair.master, "new"));
	close_pair(pair);
}

static void leader_ends(void)
{
	struct pair pair = open_pair();
	pid_t group;

	pid_t child = start();
	if (child == 0) {
		lead(pair);
		if (start() == 0) {
			for (;;)
				pause();
		}
		_exit(0);
	}
	CHECK(ended_with(child) == 0);
	CHECK(ioctl(pair.master, TIOCGPGRP, &group) == 0 && group == 0);
	/* The job in the foreground is gone with it: nobody has the slave open but us. */
	close(pair.slave);
	struct pollfd wanted = {.fd = pair.master, .events = POLLIN};
	CHECK(poll(&wanted, 1, 30000) == 1 && wanted.revents == POLLHUP);
	close(pair.master);
}

static void terminal_is_given_up(void)
{
	struct pair pair = open_pair();
	pid_t child = start();

	if (child == 0) {
		signal(SIGHUP, SIG_IGN);
		lead(pair);
		CHECK(ioctl(pair.slave, TIOCNOTTY) == 0);
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		CHECK(ioctl(pair.slave, TIOCNOTTY) == -1 && errno == ENOTTY);
		CHECK(ioctl(pair.slave, TIOCSCTTY, 0) == 0);
		CHECK(tcgetpgrp(pair.slave) == getpid());
		_exit(0);
	}
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}
