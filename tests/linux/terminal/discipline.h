/* What lies between what is typed and what is read. Included by terminal.c. */

static void lines_are_edited(void)
{
	struct pair pair = open_pair();

	type(pair, "wrong line\x15right wrd\x17word\n");
	CHECK(reads_at_once(pair.slave, "right word\n"));
	CHECK(bytes_readable(pair.slave) == 0);
	set_local(pair.slave, ECHO, 0);
	tcflush(pair.master, TCIFLUSH);
	type(pair, "one\ntwo\nhalf");
	CHECK(reads_at_once(pair.slave, "one\n"));
	CHECK(reads_at_once(pair.slave, "two\n"));
	CHECK(would_wait(pair.slave));
	type(pair, "\x04");
	CHECK(reads_at_once(pair.slave, "half"));
	type(pair, "\x04");
	CHECK(reads_at_once(pair.slave, ""));
	type(pair, "\x16\x04\n");
	CHECK(reads_at_once(pair.slave, "\x04\n"));
	CHECK(would_wait(pair.master));
	close_pair(pair);
}

static void raw_reads_count_and_time(void)
{
	struct pair pair = open_pair();
	char buffer[16];

	set_raw(pair.slave, 1, 0);
	type(pair, "\x03\r\x04");
	CHECK(reads_at_once(pair.slave, "\x03\r\x04"));
	CHECK(fcntl(pair.slave, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	CHECK(read(pair.slave, buffer, sizeof buffer) == -1 && errno == EAGAIN);
	CHECK(fcntl(pair.slave, F_SETFL, O_RDWR) == 0);
	set_raw(pair.slave, 0, 0);
	CHECK(read(pair.slave, buffer, sizeof buffer) == 0);
	set_raw(pair.slave, 0, 1);
	CHECK(read(pair.slave, buffer, sizeof buffer) == 0);
	set_raw(pair.slave, 3, 0);
	pid_t child = start();
	if (child == 0) {
		CHECK(reads_at_once(pair.slave, "abc"));
		_exit(0);
	}
	type(pair, "a");
	wait_ms(50);
	type(pair, "bc");
	CHECK(ended_with(child) == 0);
	set_raw(pair.slave, 3, 1);
	type(pair, "ab");
	CHECK(reads_at_once(pair.slave, "ab"));
	close_pair(pair);
}

static void output_is_processed(void)
{
	struct pair pair = open_pair();

	CHECK(write(pair.slave, "a\nb", 3) == 3);
	CHECK(reads(pair.master, "a\r\nb"));
	type(pair, "x\x7f\x01\n");
	CHECK(reads(pair.master, "x\b \b^A\r\n"));
	set_raw(pair.slave, 1, 0);
	CHECK(write(pair.slave, "a\n", 2) == 2);
	CHECK(reads(pair.master, "a\n"));
	close_pair(pair);
}

static void output_stops_and_starts(void)
{
	struct pair pair = open_pair();

	type(pair, "\x13");
	pid_t child = start();
	if (child == 0) {
		CHECK(write(pair.slave, "held", 4) == 4);
		_exit(0);
	}
	CHECK(would_wait(pair.master));
	type(pair, "\x11");
	CHECK(reads(pair.master, "held"));
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}

static void queues_can_be_flushed(void)
{
	struct pair pair = open_pair();

	set_local(pair.slave, ECHO, 0);
	type(pair, "some\nlines\n");
	/* Linux moves what is typed to the reader's side in the background. */
	CHECK(ready_for(pair.slave, POLLIN, 30000) == POLLIN);
	wait_ms(50);
	CHECK(bytes_readable(pair.slave) == 11);
	CHECK(tcflush(pair.slave, TCIFLUSH) == 0);
	CHECK(would_wait(pair.slave) && bytes_readable(pair.slave) == 0);
	CHECK(write(pair.slave, "kept", 4) == 4);
	CHECK(ready_for(pair.master, POLLIN, 30000) == POLLIN && bytes_readable(pair.master) == 4);
	CHECK(tcdrain(pair.slave) == 0);
	CHECK(ioctl(pair.slave, TIOCOUTQ, &(int){-1}) == 0);
	CHECK(reads(pair.master, "kept"));
	CHECK(ioctl(pair.slave, TCFLSH, 9) == -1 && errno == EINVAL);
	close_pair(pair);
}

static void long_writes_wait(void)
{
	enum { TOTAL = 200000 };
	static char block[1000];
	struct pair pair = open_pair();
	long seen = 0;

	set_raw(pair.slave, 1, 0);
	pid_t child = start();
	if (child == 0) {
		memset(block, 'x', sizeof block);
		for (int sent = 0; sent < TOTAL; sent += sizeof block)
			CHECK(write(pair.slave, block, sizeof block) == sizeof block);
		_exit(0);
	}
	while (seen < TOTAL) {
		ssize_t count = read(pair.master, block, sizeof block);
		CHECK(count > 0);
		for (ssize_t i = 0; i < count; i++)
			CHECK(block[i] == 'x');
		seen += count;
	}
	CHECK(seen == TOTAL && ended_with(child) == 0);
	close_pair(pair);
}

static void readiness(void)
{
	struct pair pair = open_pair();
	struct pollfd both[2] = {{.fd = pair.master, .events = POLLIN}, {.fd = pair.slave, .events = POLLIN | POLLOUT}};

	CHECK(poll(both, 2, 0) == 1 && both[0].revents == 0 && both[1].revents == POLLOUT);
	type(pair, "line");
	CHECK(ready_for(pair.master, POLLIN, 30000) == POLLIN);
	CHECK(would_wait(pair.slave));
	type(pair, "\n");
	CHECK(ready_for(pair.slave, POLLIN, 30000) == POLLIN);
	CHECK(ready_for(pair.master, POLLOUT, 0) == POLLOUT);
	close_pair(pair);
}
