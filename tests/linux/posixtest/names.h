/* Names of threads. Included by posixtest.c. */

static void contents_of(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY);

	CHECK(file >= 0);
	ssize_t count = read(file, text, size - 1);
	CHECK(count >= 0);
	text[count] = '\0';
	close(file);
}

static pthread_barrier_t named, looked_at;

static void *with_a_name(void *result)
{
	char name[16];

	CHECK(prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "leader") == 0);
	CHECK(prctl(PR_SET_NAME, "a worker with a long name") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "a worker with a") == 0);
	*(pid_t *)result = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&named);
	pthread_barrier_wait(&looked_at);
	CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "renamed") == 0);
	return NULL;
}

static void threads_have_names(void)
{
	char before[16], text[4096], path[64];
	pthread_t thread;
	pid_t tid;
	int status;

	CHECK(prctl(PR_GET_NAME, before) == 0 && prctl(PR_SET_NAME, "leader") == 0);
	pthread_barrier_init(&named, NULL, 2);
	pthread_barrier_init(&looked_at, NULL, 2);
	CHECK(pthread_create(&thread, NULL, with_a_name, &tid) == 0);
	pthread_barrier_wait(&named);
	contents_of("/proc/self/comm", text, sizeof text);
	CHECK(strcmp(text, "leader\n") == 0);
	/* Who has begun to read reads what it was. */
	int begun = open("/proc/self/comm", O_RDONLY);
	CHECK(read(begun, text, 2) == 2 && prctl(PR_SET_NAME, "a leader") == 0);
	CHECK(read(begun, text + 2, sizeof text - 2) == 5 && memcmp(text, "leader\n", 7) == 0);
	CHECK(read(begun, text, sizeof text) == 0 && pread(begun, text, sizeof text, 1) == 8 && memcmp(text, " leader\n", 8) == 0);
	close(begun);
	CHECK(prctl(PR_SET_NAME, "leader") == 0);
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
	contents_of(path, text, sizeof text);
	CHECK(strcmp(text, "a worker with a\n") == 0);
	int comm = open(path, O_WRONLY);
	CHECK(comm >= 0 && write(comm, "renamed", 7) == 7);
	close(comm);
	contents_of(path, text, sizeof text);
	CHECK(strcmp(text, "renamed\n") == 0);
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	contents_of(path, text, sizeof text);
	CHECK(atoi(text) == tid && strstr(text, " (renamed) ") != NULL);
	snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
	contents_of(path, text, sizeof text);
	char wanted[64];
	snprintf(wanted, sizeof wanted, "\nTgid:\t%d\n", getpid());
	CHECK(strncmp(text, "Name:\trenamed\n", 14) == 0 && strstr(text, wanted) != NULL);
	snprintf(wanted, sizeof wanted, "\nPid:\t%d\n", tid);
	CHECK(strstr(text, wanted) != NULL && strstr(text, "\nThreads:\t2\n") != NULL);
	pthread_barrier_wait(&looked_at);
	pthread_join(thread, NULL);
	for (int i = 0; i < 3000 && access(path, F_OK) == 0; i++)
		usleep(10000);
	CHECK(open(path, O_RDONLY) == -1 && errno == ENOENT);
	CHECK(prctl(PR_SET_NAME, before) == 0);
	/* A child has the name of the thread that made it. */
	pid_t child = fork();
	if (child == 0) {
		CHECK(prctl(PR_GET_NAME, text) == 0);
		_exit(strcmp(text, before) == 0 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}
