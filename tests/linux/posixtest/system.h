/* Clocks, limits, identity, and pointers that point nowhere. Included by posixtest.c. */

static void clocks(void)
{
	struct timespec before, after, nap = {0, 20 * 1000 * 1000};

	CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
	CHECK(nanosleep(&nap, NULL) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
	long long passed = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
	CHECK(passed >= nap.tv_nsec);
	struct timespec wrong = {0, 1000000000};
	CHECK(nanosleep(&wrong, NULL) == -1 && errno == EINVAL);
	CHECK(time(NULL) > 1600000000);
}

static void limits(void)
{
	struct rlimit limit;
	int file;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 64);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		limit.rlim_cur = 16;
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		while ((file = open("/dev/null", O_RDONLY)) >= 0)
			CHECK(file < 16);
		_exit(errno == EMFILE ? 0 : 1);
	}
	CHECK(status_of(child) == 0);
}

static void identity(void)
{
	struct utsname name;
	pid_t parent = getpid();

	CHECK(uname(&name) == 0 && strcmp(name.machine, "x86_64") == 0);
	CHECK(getuid() == geteuid() && getgid() == getegid());
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(getppid() == parent && getpid() != parent ? 0 : 1);
	CHECK(status_of(child) == 0);
	umask(022);
	CHECK(umask(022) == 022);
}

static void bad_pointers(void)
{
	/* Volatile, so that the compiler does not warn of what is meant. */
	void *volatile wild = (void *)16;
	int ends[2];

	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], wild, 8) == -1 && errno == EFAULT);
	CHECK(pipe(wild) == -1 && errno == EFAULT);
	CHECK(open(wild, O_RDONLY) == -1 && errno == EFAULT);
	CHECK(read(-1, &ends, 1) == -1 && errno == EBADF);
	close(ends[0]);
	close(ends[1]);
}
