/* Calls that change who a process is, where it stands, what it may and when it runs, and what the machine is called. */

static void user(int turn)
{
	CHECK(CALL(setuid, 100 + turn) == 0 && getuid() == 100 + (uid_t)turn);
	CHECK(CALL(setuid, 0) == -1 && errno == EPERM);
}

static void call_setuid(int turn)
{
	in_child(user, turn);
}

static void group(int turn)
{
	CHECK(CALL(setgid, 100 + turn) == 0 && getgid() == 100 + (gid_t)turn && getegid() == 100 + (gid_t)turn);
}

static void call_setgid(int turn)
{
	in_child(group, turn);
}

/* Real and effective ones change places: twice would be as before. */
static void users_two(int turn)
{
	CHECK(CALL(setreuid, 0, 100 + turn) == 0 && CALL(setreuid, 100 + turn, 0) == 0);
	CHECK(getuid() == 100 + (uid_t)turn && geteuid() == 0);
}

static void call_setreuid(int turn)
{
	in_child(users_two, turn);
}

static void groups_two(int turn)
{
	CHECK(CALL(setregid, 0, 100 + turn) == 0 && CALL(setregid, 100 + turn, 0) == 0);
	CHECK(getgid() == 100 + (gid_t)turn && getegid() == 0);
}

static void call_setregid(int turn)
{
	in_child(groups_two, turn);
}

static void users_three(int turn)
{
	uid_t is[3];

	CHECK(CALL(setresuid, 100 + turn, 200 + turn, 300 + turn) == 0 && getresuid(&is[0], &is[1], &is[2]) == 0);
	CHECK(is[0] == 100 + (uid_t)turn && is[1] == 200 + (uid_t)turn && is[2] == 300 + (uid_t)turn);
}

static void call_setresuid(int turn)
{
	in_child(users_three, turn);
}

static void groups_three(int turn)
{
	gid_t is[3];

	CHECK(CALL(setresgid, 100 + turn, 200 + turn, 300 + turn) == 0 && getresgid(&is[0], &is[1], &is[2]) == 0);
	CHECK(is[0] == 100 + (gid_t)turn && is[1] == 200 + (gid_t)turn && is[2] == 300 + (gid_t)turn);
}

static void call_setresgid(int turn)
{
	in_child(groups_three, turn);
}

static void more_groups(int turn)
{
	gid_t set[] = {100 + turn, 200 + turn}, is[4];

	CHECK(CALL(setgroups, 2, set) == 0 && getgroups(4, is) == 2 && is[0] == set[0] && is[1] == set[1]);
}

static void call_setgroups(int turn)
{
	in_child(more_groups, turn);
}

/* These two tell what there was before. */

static void call_setfsuid(int turn)
{
	CHECK(CALL(setfsuid, 100 + turn) == 0 && CALL(setfsuid, 0) == 100 + turn);
}

static void call_setfsgid(int turn)
{
	CHECK(CALL(setfsgid, 100 + turn) == 0 && CALL(setfsgid, 0) == 100 + turn);
}

/* One step down each time: a second one would find nothing. */

static void call_chdir(int turn)
{
	char path[64];

	CHECK(mkdir("/tmp/calls.in", 0700) == 0 && chdir("/tmp") == 0);
	CHECK(CALL(chdir, "calls.in") == 0 && getcwd(path, sizeof path) && strcmp(path, "/tmp/calls.in") == 0 && turn >= 0);
	CHECK(chdir("/") == 0 && rmdir("/tmp/calls.in") == 0);
}

static void call_fchdir(int turn)
{
	char path[64];
	int folder = open("/tmp", O_RDONLY | O_DIRECTORY);

	CHECK(CALL(fchdir, folder) == 0 && getcwd(path, sizeof path) && strcmp(path, "/tmp") == 0 && turn >= 0);
	CHECK(close(folder) == 0 && chdir("/") == 0);
}

static void change_root(int turn)
{
	CHECK(chdir("/tmp") == 0);
	CHECK(CALL(chroot, "calls.in") == 0 && access("/own", F_OK) == 0 && access("calls.in", F_OK) == 0 && turn >= 0);
}

static void call_chroot(int turn)
{
	CHECK(mkdir("/tmp/calls.in", 0700) == 0 && mkdir("/tmp/calls.in/own", 0700) == 0);
	in_child(change_root, turn);
	CHECK(rmdir("/tmp/calls.in/own") == 0 && rmdir("/tmp/calls.in") == 0);
}

static void call_umask(int turn)
{
	CHECK(CALL(umask, 0100 + turn) == 022 && CALL(umask, 022) == 0100 + turn);
}

static void call_setpriority(int turn)
{
	CHECK(CALL(setpriority, PRIO_PROCESS, 0, turn) == 0 && getpriority(PRIO_PROCESS, 0) == turn);
	CHECK(CALL(setpriority, PRIO_PROCESS, 0, 0) == 0);
}

static void call_sched_setparam(int turn)
{
	struct sched_param wanted = {0}, is = {1};

	CHECK(CALL(sched_setparam, 0, &wanted) == 0 && syscall(SYS_sched_getparam, 0, &is) == 0 && is.sched_priority == 0 && turn >= 0);
}

static void call_sched_setscheduler(int turn)
{
	struct sched_param wanted = {0};

	CHECK(CALL(sched_setscheduler, 0, SCHED_BATCH, &wanted) == 0 && syscall(SYS_sched_getscheduler, 0) == SCHED_BATCH && turn >= 0);
	CHECK(CALL(sched_setscheduler, 0, SCHED_OTHER, &wanted) == 0);
}

static void call_sched_setaffinity(int turn)
{
	unsigned long first = 1, all = 0, is = 0;

	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof all, &all) > 0);
	CHECK(CALL(sched_setaffinity, 0, sizeof first, &first) == 0 && syscall(SYS_sched_getaffinity, 0, sizeof is, &is) > 0 && is == 1 && turn >= 0);
	CHECK(CALL(sched_setaffinity, 0, sizeof all, &all) == 0);
}

static void call_setrlimit(int turn)
{
	struct rlimit limit, is;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 100 + turn;
	CHECK(CALL(setrlimit, RLIMIT_NOFILE, &limit) == 0 && getrlimit(RLIMIT_NOFILE, &is) == 0 && is.rlim_cur == 100 + (rlim_t)turn);
}

/* Tells what there was before. */
static void call_prlimit64(int turn)
{
	struct rlimit limit, before;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	rlim_t was = limit.rlim_cur;
	limit.rlim_cur = 200 + turn;
	CHECK(CALL(prlimit64, 0, RLIMIT_NOFILE, &limit, &before) == 0 && before.rlim_cur == was);
}

/* The clock is set a day on, and back. */

enum { DAY = 86400 };

static void call_settimeofday(int turn)
{
	struct timeval now, then;

	CHECK(syscall(SYS_gettimeofday, &now, NULL) == 0);
	now.tv_sec += DAY;
	CHECK(CALL(settimeofday, &now, NULL) == 0 && syscall(SYS_gettimeofday, &then, NULL) == 0);
	CHECK(then.tv_sec >= now.tv_sec && then.tv_sec < now.tv_sec + DAY / 2 && turn >= 0);
	then.tv_sec -= DAY;
	CHECK(CALL(settimeofday, &then, NULL) == 0);
}

static void call_clock_settime(int turn)
{
	struct timespec now, then;

	CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) == 0);
	now.tv_sec += DAY;
	CHECK(CALL(clock_settime, CLOCK_REALTIME, &now) == 0 && syscall(SYS_clock_gettime, CLOCK_REALTIME, &then) == 0);
	CHECK(then.tv_sec >= now.tv_sec && then.tv_sec < now.tv_sec + DAY / 2 && turn >= 0);
	then.tv_sec -= DAY;
	CHECK(CALL(clock_settime, CLOCK_REALTIME, &then) == 0);
}

static void call_sethostname(int turn)
{
	struct utsname before, is;
	char name[] = "calls-a";

	name[6] += (char)turn;
	CHECK(uname(&before) == 0);
	CHECK(CALL(sethostname, name, 7) == 0 && uname(&is) == 0 && strcmp(is.nodename, name) == 0);
	CHECK(CALL(sethostname, before.nodename, strlen(before.nodename)) == 0);
}

static void call_setdomainname(int turn)
{
	struct utsname before, is;
	char name[] = "calls-a";

	name[6] += (char)turn;
	CHECK(uname(&before) == 0);
	CHECK(CALL(setdomainname, name, 7) == 0 && uname(&is) == 0 && strcmp(is.domainname, name) == 0);
	CHECK(CALL(setdomainname, before.domainname, strlen(before.domainname)) == 0);
}
