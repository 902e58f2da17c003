/* A pair of master and slave, and what all checks do with one. Included by terminal.c. */

struct pair {
	int master, slave;
};

static int open_master(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	CHECK(master >= 0);
	CHECK(grantpt(master) == 0);
	CHECK(unlockpt(master) == 0);
	return master;
}

static struct pair open_pair(void)
{
	struct pair pair = {.master = open_master()};

	CHECK((pair.slave = open(ptsname(pair.master), O_RDWR | O_NOCTTY)) >= 0);
	return pair;
}

static void close_pair(struct pair pair)
{
	close(pair.slave);
	close(pair.master);
}

static void set_local(int terminal, tcflag_t off, tcflag_t on)
{
	struct termios modes;

	CHECK(tcgetattr(terminal, &modes) == 0);
	modes.c_lflag = (modes.c_lflag & ~off) | on;
	CHECK(tcsetattr(terminal, TCSANOW, &modes) == 0);
}

static void set_raw(int terminal, int least, int tenths)
{
	struct termios modes;

	CHECK(tcgetattr(terminal, &modes) == 0);
	cfmakeraw(&modes);
	modes.c_cc[VMIN] = least;
	modes.c_cc[VTIME] = tenths;
	CHECK(tcsetattr(terminal, TCSANOW, &modes) == 0);
}

static void type(struct pair pair, const char *text)
{
	CHECK(write(pair.master, text, strlen(text)) == (ssize_t)strlen(text));
}

/* What is read from a terminal is exactly this. Linux may give it in parts. */
static int reads(int from, const char *text)
{
	char buffer[8192];
	size_t done = 0, wanted = strlen(text);

	do {
		ssize_t count = read(from, buffer + done, wanted ? wanted - done : sizeof buffer);
		if (count <= 0)
			return wanted == 0 && count == 0;
		done += count;
	} while (done < wanted);
	return done == wanted && memcmp(buffer, text, wanted) == 0;
}

/* One read, which gives all of this. */
static int reads_at_once(int from, const char *text)
{
	char buffer[8192];
	ssize_t count = read(from, buffer, sizeof buffer);

	return count == (ssize_t)strlen(text) && memcmp(buffer, text, count) == 0;
}

/* What is ready at a file within a while. */
static int ready_for(int file, int events, int milliseconds)
{
	struct pollfd wanted = {.fd = file, .events = events};

	CHECK(poll(&wanted, 1, milliseconds) >= 0);
	return wanted.revents;
}

static int would_wait(int file)
{
	return ready_for(file, POLLIN, 50) == 0;
}

static int bytes_readable(int file)
{
	int count = -1;

	CHECK(ioctl(file, FIONREAD, &count) == 0);
	return count;
}

static int ended_with(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static pid_t start(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	return child;
}

static void wait_ms(int milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	nanosleep(&time, NULL);
}
