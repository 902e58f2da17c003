/* Timers and limits of processor time. Included by posixtest.c. */

static volatile sig_atomic_t counted[65];

static void count_tick(int signal)
{
	counted[signal]++;
}

static double used(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void count_ticks(int signal)
{
	struct sigaction action = {.sa_handler = count_tick, .sa_flags = SA_RESTART};

	counted[signal] = 0;
	CHECK(sigaction(signal, &action, NULL) == 0);
}

/* Works until a signal has come `times` times, for at most a minute. */
static void work_until(int signal, int times)
{
	double start = used(CLOCK_MONOTONIC);

	while (counted[signal] < times && used(CLOCK_MONOTONIC) < start + 60)
		for (volatile int i = 0; i < 10000; i++)
			;
	CHECK(counted[signal] >= times);
}

static void timers_of_processor_time(void)
{
	struct itimerval once = {.it_value.tv_usec = 500000}, often = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000}, left, none = {0};
	double start = used(CLOCK_PROCESS_CPUTIME_ID);

	count_ticks(SIGVTALRM);
	count_ticks(SIGPROF);
	CHECK(setitimer(ITIMER_VIRTUAL, &once, NULL) == 0 && getitimer(ITIMER_VIRTUAL, &left) == 0);
	CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_usec > 0 && left.it_interval.tv_usec == 0);
	/* Sleeping is no work. */
	usleep(150000);
	CHECK(counted[SIGVTALRM] == 0);
	work_until(SIGVTALRM, 1);
	CHECK(used(CLOCK_PROCESS_CPUTIME_ID) - start >= 0.5);
	CHECK(getitimer(ITIMER_VIRTUAL, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
	start = used(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
	work_until(SIGPROF, 3);
	CHECK(used(CLOCK_PROCESS_CPUTIME_ID) - start >= 0.05 && counted[SIGVTALRM] == 1);
	CHECK(setitimer(ITIMER_PROF, &none, &left) == 0 && left.it_interval.tv_usec == 20000 && left.it_value.tv_usec > 0);
	CHECK(getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_usec == 0 && left.it_interval.tv_usec == 0);
	CHECK(setitimer(3, &once, NULL) == -1 && errno == EINVAL && getitimer(-1, &left) == -1 && errno == EINVAL);
	often.it_value.tv_usec = 1000000;
	CHECK(setitimer(ITIMER_VIRTUAL, &often, NULL) == -1 && errno == EINVAL);
	signal(SIGVTALRM, SIG_DFL);
	signal(SIGPROF, SIG_DFL);
}

static void timers_are_not_inherited(void)
{
	struct itimerval later = {.it_value.tv_sec = 100}, left, none = {0};
	int status;

	CHECK(setitimer(ITIMER_VIRTUAL, &later, NULL) == 0 && setitimer(ITIMER_PROF, &later, NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(getitimer(ITIMER_VIRTUAL, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
		CHECK(getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(setitimer(ITIMER_VIRTUAL, &none, &left) == 0 && left.it_value.tv_sec >= 99 - 10);
	CHECK(setitimer(ITIMER_PROF, &none, NULL) == 0);
}

static void *work(void *stop)
{
	while (!*(volatile int *)stop)
		;
	return NULL;
}

/* The time of all threads counts. */
static void timers_count_all_threads(void)
{
	struct itimerval once = {.it_value.tv_usec = 60000};
	volatile int stop = 0;
	pthread_t thread;

	count_ticks(SIGPROF);
	CHECK(pthread_create(&thread, NULL, work, (void *)&stop) == 0);
	CHECK(setitimer(ITIMER_PROF, &once, NULL) == 0);
	for (int i = 0; i < 1000 && counted[SIGPROF] == 0; i++)
		usleep(10000);
	stop = 1;
	pthread_join(thread, NULL);
	CHECK(counted[SIGPROF] == 1);
	signal(SIGPROF, SIG_DFL);
}

static void limit_of_processor_time(void)
{
	struct rlimit limit = {1, 2}, far = {1, 100}, now;
	int status;
	pid_t child = fork();

	if (child == 0) {
		CHECK(setrlimit(RLIMIT_CPU, &far) == 0);
		for (;;)
			;
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	child = fork();
	if (child == 0) {
		count_ticks(SIGXCPU);
		CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
		work_until(SIGXCPU, 1);
		CHECK(used(CLOCK_PROCESS_CPUTIME_ID) >= 0.9);
		CHECK(getrlimit(RLIMIT_CPU, &now) == 0 && now.rlim_cur == 2 && now.rlim_max == 2);
		for (;;)
			;
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
