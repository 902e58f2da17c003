/* Signals to threads that run elsewhere; ends and new programs while siblings run. */

static atomic_uint signals_seen;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals_seen, 1);
}

/* Computes the same sum over and over: a signal's handler leaves every register as it was. */
static void *compute(void *argument)
{
	atomic_int *stop = argument;

	while (!atomic_load(stop)) {
		double sum = 0;
		uint64_t mixed = 1;

		for (int index = 1; index < 2000; index++) {
			sum += index * 0.5;
			mixed = mixed * 31 + index;
		}
		SAME("sum", sum, 999500);
		SAME("mixed", mixed, 0xb58db13a5ac609c7ULL);
	}
	return NULL;
}

static void signals_elsewhere(void)
{
	struct sigaction caught = {.sa_handler = on_signal};
	atomic_int stop = 0;
	pthread_t thread = start(compute, &stop);

	sigaction(SIGUSR1, &caught, NULL);
	for (unsigned sent = 0; sent < 20; sent++) {
		unsigned before = atomic_load(&signals_seen);
		double limit = now() + 60;

		MUST(pthread_kill(thread, SIGUSR1) == 0);
		while (atomic_load(&signals_seen) == before && now() < limit)
			sched_yield();
		SAME("signals seen", atomic_load(&signals_seen), before + 1);
	}
	atomic_store(&stop, 1);
	join(thread);
}

static void *spin(void *argument)
{
	volatile uint64_t *words = argument;

	for (;;)
		for (unsigned page = 0; page < 16; page++)
			words[page * (PAGE / 8)]++;
	return NULL;
}

/* A process whose siblings run ends, is killed, or becomes another program: the status is the one asked for. */
static void end_with_siblings(void)
{
	unsigned how = draw(3), status = draw(100);
	pid_t child = fork();
	int got = 0;

	MUST(child >= 0);
	if (child == 0) {
		char number[16];

		for (unsigned index = 0; index < 2; index++)
			start(spin, map_pages(16, MAP_PRIVATE));
		if (how == 0)
			for (;;)
				sched_yield();
		usleep(draw(3000));
		if (how == 1)
			_exit(status);
		snprintf(number, sizeof number, "%u", status);
		execl("/proc/self/exe", "stress", "again", number, NULL);
		_exit(96);
	}
	if (how == 0) {
		usleep(draw(5000));
		MUST(kill(child, SIGKILL) == 0 && waitpid(child, &got, 0) == child);
		SAME("status of a killed process", got, SIGKILL);
	} else
		must_end(child, status);
}
