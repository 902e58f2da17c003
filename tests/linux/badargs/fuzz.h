/* Random calls with random arguments, of which many are nearly right. Included by badargs.c. */

enum { CALLS_OF_A_CHILD = 16 };

static u64 random_state;

/* xorshift64*: the same on every machine. */
static u64 any(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

static u64 any_argument(enum kind kind)
{
	static const u64 regions[] = {ZEROS, SPACE, SPACE_2, DATA, LAST + PAGE - 4, READ_ONLY, FREE};
	static const int descriptors[] = {0, FILE_FD, FOLDER_FD, PIPE_READ, PIPE_WRITE, 14, NOT_OPEN, AT_FDCWD};
	/* Not the program itself: it would be executed. */
	static const u64 paths[] = {AT(file), AT(folder), AT(link), AT(new), AT(name), ZEROS, LAST + PAGE - 8};
	u64 choice = any() % 16;

	if (choice == 0)
		return any() >> any() % 64;
	if (choice == 1)
		return bad_values[any() % COUNT(bad_values)].value;
	switch (kind) {
	case DESCRIPTOR:
	case DIRECTORY:
		return (u64)descriptors[any() % COUNT(descriptors)];
	case PATH:
		return paths[any() % COUNT(paths)];
	case INPUT:
	case OUTPUT:
	case BOTH:
	case ADDRESS:
		return regions[any() % COUNT(regions)] + (any() % 4 ? 0 : any() % PAGE);
	case LENGTH:
	case SIZE:
		return any() % 4 ? any() % 256 : any() % (1 << 20);
	case FLAGS:
		return any() % 2 ? 0 : (u64)1 << any() % 24;
	case SIGNAL:
		return any() % 66;
	default:
		return any() % 2 ? any() % 64 : any() % 0x2000;
	}
}

/* Calls that would end or multiply the fuzzer, reach beyond it, or wait for nothing. */
static int is_left_out(int number)
{
	static const int numbers[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_pidfd_send_signal, SYS_exit, SYS_exit_group, SYS_clone, SYS_clone3, SYS_fork,
				      SYS_vfork, SYS_pause, SYS_setpriority, SYS_sched_setparam, SYS_sched_setscheduler, SYS_rt_sigsuspend, SYS_nanosleep,
				      SYS_clock_nanosleep, SYS_alarm, SYS_setitimer, SYS_timer_settime};

	for (size_t i = 0; i < COUNT(numbers); i++)
		if (numbers[i] == number)
			return 1;
	return 0;
}

static void make_random_calls(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 300000}};

	make_world(SOCKETS);
	open_as("/dev/console", O_RDWR | O_NONBLOCK | O_NOCTTY, 14);
	setitimer(ITIMER_REAL, &soon, NULL);
	for (int i = 0; i < CALLS_OF_A_CHILD; i++) {
		const struct call *call = &calls[any() % COUNT(calls)];
		u64 arguments[MAX_ARGUMENTS];
		for (int argument = 0; argument < MAX_ARGUMENTS; argument++)
			arguments[argument] = any_argument(call->kinds[argument]);
		if (!is_left_out(call->number))
			raw(call->number, arguments);
	}
	leave(0);
}

static int fuzz(u64 seed, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		pid_t child = fork();
		int status;
		if (child == 0) {
			random_state = (seed * 1000003 + i) * 2 + 1;
			make_random_calls();
		}
		if (child < 0 || waitpid(child, &status, 0) != child) {
			printf("fuzz %lu: no child %lu: %s\n", seed, i, strerror(errno));
			return 1;
		}
	}
	printf("fuzz %lu: %lu children, %lu calls each\n", seed, count, (u64)CALLS_OF_A_CHILD);
	return 0;
}
