/* Calls that wait, for files, for time or for one another, and the timers. */

static const struct timespec soon = {0, 200000};

/* A pipe in which one byte waits. */
static void ready_pipe(int *ends)
{
	CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
}

static void end_pipe(const int *ends)
{
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_poll(int turn)
{
	int ends[2];

	ready_pipe(ends);
	struct pollfd ready = {ends[0], POLLIN, 0}, none = {ends[0], 0, 0};
	CHECK(CALL(poll, &ready, 1, 1000) == 1 && ready.revents == POLLIN && turn >= 0);
	CHECK(CALL(poll, &none, 1, 1) == 0);
	end_pipe(ends);
}

static void call_ppoll(int turn)
{
	int ends[2];

	ready_pipe(ends);
	struct pollfd ready = {ends[0], POLLIN, 0}, none = {ends[0], 0, 0};
	CHECK(CALL(ppoll, &ready, 1, NULL, NULL, 8) == 1 && ready.revents == POLLIN && turn >= 0);
	CHECK_INTERRUPTED(CALL(ppoll, &none, 1, NULL, &nothing_blocked, 8));
	end_pipe(ends);
}

static void call_select(int turn)
{
	struct timeval time = {1000, 0};
	fd_set files;
	int ends[2];

	ready_pipe(ends);
	FD_ZERO(&files);
	FD_SET(ends[0], &files);
	CHECK(CALL(select, ends[0] + 1, &files, NULL, NULL, &time) == 1 && FD_ISSET(ends[0], &files) && turn >= 0);
	time = (struct timeval){0, 200};
	CHECK(CALL(select, 0, NULL, NULL, NULL, &time) == 0);
	end_pipe(ends);
}

static void call_pselect6(int turn)
{
	const struct {
		const uint64_t *mask;
		size_t size;
	} signals = {&nothing_blocked, 8};
	fd_set files;
	int ends[2];

	ready_pipe(ends);
	FD_ZERO(&files);
	FD_SET(ends[0], &files);
	CHECK(CALL(pselect6, ends[0] + 1, &files, NULL, NULL, NULL, NULL) == 1 && FD_ISSET(ends[0], &files) && turn >= 0);
	CHECK_INTERRUPTED(CALL(pselect6, 0, NULL, NULL, NULL, NULL, &signals));
	end_pipe(ends);
}

static void call_epoll_create(int turn)
{
	int next = lowest();

	check_made(CALL(epoll_create, turn + 1), next);
}

static void call_epoll_create1(int turn)
{
	int next = lowest();

	check_made(CALL(epoll_create1, EPOLL_CLOEXEC), next);
	CHECK(turn >= 0);
}

static void call_epoll_ctl(int turn)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)turn};
	int ends[2], epoll = epoll_create1(0);

	ready_pipe(ends);
	CHECK(CALL(epoll_ctl, epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	CHECK(CALL(epoll_ctl, epoll, EPOLL_CTL_DEL, ends[0], NULL) == 0);
	CHECK(close(epoll) == 0);
	end_pipe(ends);
}

/* An epoll that shows each edge of a pipe once. */
static int edges(int *ends, int turn)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)turn};
	int epoll = epoll_create1(0);

	ready_pipe(ends);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	return epoll;
}

/* After one edge was shown no other is. */
static void end_edges(int epoll, const int *ends, const struct epoll_event *shown, int turn)
{
	struct epoll_event none;

	CHECK(shown->events == EPOLLIN && shown->data.u32 == (uint32_t)turn);
	CHECK(epoll_wait(epoll, &none, 1, 0) == 0);
	CHECK(close(epoll) == 0);
	end_pipe(ends);
}

static void call_epoll_wait(int turn)
{
	struct epoll_event shown;
	int ends[2], epoll = edges(ends, turn);

	CHECK(CALL(epoll_wait, epoll, &shown, 1, -1) == 1);
	end_edges(epoll, ends, &shown, turn);
}

static void call_epoll_pwait(int turn)
{
	struct epoll_event shown, none;
	int ends[2], epoll = edges(ends, turn);

	CHECK(CALL(epoll_pwait, epoll, &shown, 1, -1, NULL, 8) == 1);
	CHECK_INTERRUPTED(CALL(epoll_pwait, epoll, &none, 1, -1, &nothing_blocked, 8));
	end_edges(epoll, ends, &shown, turn);
}

static void call_epoll_pwait2(int turn)
{
	struct epoll_event shown, none;
	int ends[2], epoll = edges(ends, turn);

	CHECK(CALL(epoll_pwait2, epoll, &shown, 1, NULL, NULL, 8) == 1);
	CHECK_INTERRUPTED(CALL(epoll_pwait2, epoll, &none, 1, NULL, &nothing_blocked, 8));
	end_edges(epoll, ends, &shown, turn);
}

static void call_futex(int turn)
{
	static int word;

	word = turn;
	CHECK(CALL(futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	CHECK(CALL(futex, &word, FUTEX_WAIT, turn, &soon, NULL, 0) == -1 && errno == ETIMEDOUT);
	CHECK(CALL(futex, &word, FUTEX_WAIT, turn + 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
}

static void call_nanosleep(int turn)
{
	CHECK(CALL(nanosleep, &soon, NULL) == 0 && turn >= 0);
}

static void call_clock_nanosleep(int turn)
{
	CHECK(CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, NULL) == 0 && turn >= 0);
}

/* Those that arm a timer tell what was left of the one before. */

static void call_alarm(int turn)
{
	CHECK(CALL(alarm, 1000 + turn) == 0);
	CHECK(CALL(alarm, 0) > 900 && CALL(alarm, 0) == 0);
}

static void call_setitimer(int turn)
{
	struct itimerval timer = {.it_value.tv_sec = 1000 + turn}, before;
	static const struct itimerval none;

	CHECK(CALL(setitimer, ITIMER_REAL, &timer, &before) == 0 && before.it_value.tv_sec == 0);
	CHECK(CALL(setitimer, ITIMER_REAL, &none, &before) == 0 && before.it_value.tv_sec > 900);
}

static int new_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	int timer = -1;

	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0);
	return timer;
}

static void call_timer_create(int turn)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	int timer = -1;

	CHECK(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer) == 0 && timer >= 0 && turn >= 0);
	CHECK(syscall(SYS_timer_delete, timer) == 0);
}

static void call_timer_settime(int turn)
{
	struct itimerspec time = {.it_value.tv_sec = 1000 + turn}, before;
	static const struct itimerspec none;
	int timer = new_timer();

	CHECK(CALL(timer_settime, timer, 0, &time, &before) == 0 && before.it_value.tv_sec == 0);
	CHECK(CALL(timer_settime, timer, 0, &none, &before) == 0 && before.it_value.tv_sec > 900);
	CHECK(syscall(SYS_timer_delete, timer) == 0);
}

static void call_timer_delete(int turn)
{
	int timer = new_timer();

	CHECK(CALL(timer_delete, timer) == 0 && turn >= 0);
	CHECK(CALL(timer_delete, timer) == -1 && errno == EINVAL);
}

static void call_timerfd_create(int turn)
{
	int next = lowest();

	check_made(CALL(timerfd_create, CLOCK_MONOTONIC, 0), next);
	CHECK(turn >= 0);
}

static void call_timerfd_settime(int turn)
{
	struct itimerspec time = {.it_value.tv_sec = 1000 + turn}, before;
	static const struct itimerspec none;
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);

	CHECK(CALL(timerfd_settime, timer, 0, &time, &before) == 0 && before.it_value.tv_sec == 0);
	CHECK(CALL(timerfd_settime, timer, 0, &none, &before) == 0 && before.it_value.tv_sec > 900);
	CHECK(close(timer) == 0);
}
