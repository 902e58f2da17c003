/* Threads: mutexes, condition variables, signals and fork among them. Included by posixtest.c. */

enum { THREADS = 8, ROUNDS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;
static __thread long own;

static void *count_up(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		own++;
	}
	return (char *)argument + own;
}

static void threads_and_mutexes(void)
{
	pthread_t threads[THREADS];
	void *result;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
	for (long i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], &result) == 0);
		CHECK((long)result == i + ROUNDS);
	}
	CHECK(counter == THREADS * ROUNDS && own == 0);
}

static void *take_turns(void *argument)
{
	int me = (int)(long)argument;

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&lock);
		while (turn != me)
			pthread_cond_wait(&changed, &lock);
		turn = !me;
		pthread_cond_signal(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void condition_variables(void)
{
	pthread_t threads[2];

	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	struct timespec deadline;
	CHECK(clock_gettime(CLOCK_REALTIME, &deadline) == 0);
	deadline.tv_nsec += 10 * 1000 * 1000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	CHECK(pthread_cond_timedwait(&changed, &lock, &deadline) == ETIMEDOUT);
	pthread_mutex_unlock(&lock);
}

static void *wait_for_cancel(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void thread_signals_and_cancellation(void)
{
	pthread_t thread;
	void *result;

	CHECK(pthread_create(&thread, NULL, wait_for_cancel, NULL) == 0);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	handle(SIGUSR1, 0);
	CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && caught == 1);
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

static void *fork_here(void *argument)
{
	pid_t child = fork();

	if (child == 0)
		_exit(7);
	*(int *)argument = status_of(child);
	return NULL;
}

static void fork_from_a_thread(void)
{
	pthread_t thread;
	int status = 0;

	CHECK(pthread_create(&thread, NULL, fork_here, &status) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
