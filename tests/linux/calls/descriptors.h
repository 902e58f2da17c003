/* Calls that make, double, change or end descriptors. */

/* The lowest descriptor that is free. */
static int lowest(void)
{
	int descriptor = dup(0);

	CHECK(descriptor > 2 && close(descriptor) == 0);
	return descriptor;
}

/* A call has made one descriptor, the lowest that was free, and no second one. */
static void check_made(long made, int free_before)
{
	CHECK(made == free_before);
	CHECK(lowest() == made + 1);
	CHECK(close((int)made) == 0);
}

/* Likewise two. */
static void check_two(const int *made, int free_before)
{
	CHECK(made[0] == free_before && made[1] == free_before + 1);
	CHECK(lowest() == made[1] + 1);
	CHECK(close(made[0]) == 0 && close(made[1]) == 0);
}

/* How many bytes wait in a pipe or socket. */
static int waiting_in(int descriptor)
{
	int count = -1;

	CHECK(ioctl(descriptor, FIONREAD, &count) == 0);
	return count;
}

static void call_close(int turn)
{
	int made = dup(0);

	CHECK(CALL(close, made) == 0);
	CHECK(CALL(close, made) == -1 && errno == EBADF && turn >= 0);
}

static void call_pipe(int turn)
{
	int ends[2], next = lowest();

	CHECK(CALL(pipe, ends) == 0 && turn >= 0);
	check_two(ends, next);
}

static void call_pipe2(int turn)
{
	int ends[2], next = lowest();

	CHECK(CALL(pipe2, ends, O_CLOEXEC) == 0 && turn >= 0);
	check_two(ends, next);
}

static void call_dup(int turn)
{
	int next = lowest();

	check_made(CALL(dup, turn % 3), next);
}

static void call_dup2(int turn)
{
	int ends[2], other = lowest();

	/* What was open there before is closed, once: the pipe has no writer any more. */
	CHECK(pipe(ends) == 0);
	CHECK(CALL(dup2, 0, ends[1]) == ends[1] && turn >= 0);
	CHECK(read(ends[0], &other, 1) == 0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_dup3(int turn)
{
	int ends[2], other = lowest();

	CHECK(pipe(ends) == 0);
	CHECK(CALL(dup3, 0, ends[1], O_CLOEXEC) == ends[1] && turn >= 0);
	CHECK(fcntl(ends[1], F_GETFD) == FD_CLOEXEC && read(ends[0], &other, 1) == 0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_fcntl(int turn)
{
	int next = lowest();

	check_made(CALL(fcntl, 0, F_DUPFD, turn % 3), next);
}

static void call_ioctl(int turn)
{
	int ends[2], is_on = 1;

	CHECK(pipe(ends) == 0);
	CHECK(CALL(ioctl, ends[0], FIONBIO, &is_on) == 0 && turn >= 0);
	CHECK(fcntl(ends[0], F_GETFL) == (O_RDONLY | O_NONBLOCK) && fcntl(ends[1], F_GETFL) == O_WRONLY);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_close_range(int turn)
{
	int first = dup(0), last;

	CHECK(dup(0) == first + 1 && (last = dup(0)) == first + 2);
	CHECK(CALL(close_range, first, last, 0) == 0 && turn >= 0);
	CHECK(lowest() == first);
	CHECK(CALL(close_range, first, last, 0) == 0);
}

static void call_eventfd(int turn)
{
	uint64_t value = 0;
	int next = lowest();
	long made = CALL(eventfd, turn + 1);

	CHECK(read((int)made, &value, sizeof value) == sizeof value && value == (uint64_t)turn + 1);
	check_made(made, next);
}

static void call_eventfd2(int turn)
{
	uint64_t value = 0;
	int next = lowest();
	long made = CALL(eventfd2, turn + 1, EFD_CLOEXEC);

	CHECK(read((int)made, &value, sizeof value) == sizeof value && value == (uint64_t)turn + 1);
	check_made(made, next);
}

static void call_memfd_create(int turn)
{
	int next = lowest();
	long made = CALL(memfd_create, "calls", 0);

	CHECK(write((int)made, "memory", 6) == 6 && turn >= 0);
	check_made(made, next);
}

static void call_pidfd_open(int turn)
{
	int next = lowest();

	check_made(CALL(pidfd_open, getpid(), 0), next);
	CHECK(turn >= 0);
}
