/* Pipes and descriptors, and waiting for them. Included by posixtest.c. */

static void pipe_carries_bytes(void)
{
	int ends[2];
	char buffer[16];

	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], "hello", 5) == 5);
	CHECK(read(ends[0], buffer, sizeof buffer) == 5 && memcmp(buffer, "hello", 5) == 0);
	close(ends[1]);
	CHECK(read(ends[0], buffer, sizeof buffer) == 0);
	close(ends[0]);
}

static void pipe_blocks_its_writer(void)
{
	enum { TOTAL = 1 << 20 };
	static char block[4096];
	int ends[2];
	long received = 0;
	ssize_t count;

	CHECK(pipe(ends) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(ends[0]);
		memset(block, 'x', sizeof block);
		for (int sent = 0; sent < TOTAL; sent += sizeof block)
			if (write(ends[1], block, sizeof block) != sizeof block)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	while ((count = read(ends[0], block, 1000)) > 0)
		received += count;
	CHECK(count == 0 && received == TOTAL);
	CHECK(status_of(child) == 0);
	close(ends[0]);
}

static void pipe_without_reader(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	close(ends[0]);
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		write(ends[1], "x", 1);
		_exit(0);
	}
	int status = status_of(child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	close(ends[1]);
}

static void nonblocking_pipe(void)
{
	int ends[2];
	char byte;

	CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EAGAIN);
	CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
	close(ends[0]);
	close(ends[1]);
}

static void duplicates_share_their_offset(void)
{
	char name[] = "/tmp/posixtest.XXXXXX";
	char buffer[8] = "";
	int file = mkstemp(name);

	CHECK(file >= 0);
	int high = fcntl(file, F_DUPFD, 10);
	CHECK(high >= 10);
	CHECK(write(file, "abc", 3) == 3 && write(high, "def", 3) == 3);
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	CHECK(read(high, buffer, 6) == 6 && strcmp(buffer, "abcdef") == 0);
	CHECK(dup2(file, high) == high);
	close(high);
	close(file);
	CHECK(unlink(name) == 0);
}

static void poll_and_select(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	struct pollfd watched = {.fd = ends[0], .events = POLLIN};
	CHECK(poll(&watched, 1, 10) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(poll(&watched, 1, -1) == 1 && watched.revents == POLLIN);
	fd_set readable;
	FD_ZERO(&readable);
	FD_SET(ends[0], &readable);
	struct timeval none = {0, 0};
	CHECK(select(ends[0] + 1, &readable, NULL, NULL, &none) == 1 && FD_ISSET(ends[0], &readable));
	close(ends[1]);
	close(ends[0]);
	watched.fd = 500;
	CHECK(poll(&watched, 1, 0) == 1 && watched.revents == POLLNVAL);
}
