/* Record locks, locks of open files, flock: who excludes whom, for how long. Included by posixtest.c. */

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static const char lock_file[] = "/tmp/posixtest.lock";

static int lock_open(int flags)
{
	int file = open(lock_file, flags | O_CREAT, 0600);

	CHECK(file >= 0);
	return file;
}

/* 0, or the errno of the refusal. */
static int locked(int file, int command, short type, off_t start, off_t length)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	return fcntl(file, command, &lock) == 0 ? 0 : errno;
}

/* What a new process is told when it asks for this lock: 0 or an errno. It opens the file itself. */
static int of_another(short type, off_t start, off_t length)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(locked(open(lock_file, O_RDWR), F_SETLK, type, start, length));
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int flock_of_another(int operation)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(flock(open(lock_file, O_RDWR), operation) == 0 ? 0 : errno);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void record_locks_exclude(void)
{
	int file = lock_open(O_RDWR);

	CHECK(locked(file, F_SETLK, F_WRLCK, 10, 10) == 0);
	CHECK(of_another(F_RDLCK, 0, 10) == 0 && of_another(F_WRLCK, 20, 5) == 0);
	CHECK(of_another(F_RDLCK, 19, 1) == EAGAIN && of_another(F_WRLCK, 0, 0) == EAGAIN && of_another(F_WRLCK, 5, 6) == EAGAIN);
	CHECK(locked(file, F_SETLK, F_RDLCK, 10, 10) == 0);
	CHECK(of_another(F_RDLCK, 10, 10) == 0 && of_another(F_WRLCK, 10, 1) == EAGAIN);
	CHECK(locked(file, F_SETLK, F_UNLCK, 13, 4) == 0);
	CHECK(of_another(F_WRLCK, 13, 4) == 0 && of_another(F_WRLCK, 12, 1) == EAGAIN && of_another(F_WRLCK, 17, 1) == EAGAIN);
	CHECK(locked(file, F_SETLK, F_WRLCK, 11, 7) == 0);
	CHECK(of_another(F_RDLCK, 10, 1) == 0 && of_another(F_RDLCK, 11, 1) == EAGAIN && of_another(F_RDLCK, 18, 2) == 0);
	CHECK(locked(file, F_SETLK, F_UNLCK, 0, 0) == 0 && of_another(F_WRLCK, 0, 0) == 0);
	close(file);
	unlink(lock_file);
}

static void record_locks_are_told(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
	int file = lock_open(O_RDWR);
	int status;

	CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK && lock.l_start == 0);
	CHECK(locked(file, F_SETLK, F_RDLCK, 5, 3) == 0);
	lock.l_type = F_WRLCK;
	CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 0};
		CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_RDLCK && lock.l_whence == SEEK_SET);
		CHECK(lock.l_start == 5 && lock.l_len == 3 && lock.l_pid == parent);
		lock = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 0};
		CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(locked(file, F_OFD_SETLK, F_WRLCK, 100, 0) == 0);
	int other = lock_open(O_RDWR);
	lock = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
	CHECK(fcntl(other, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == -1);
	CHECK(lock.l_start == 100 && lock.l_len == 0);
	close(other);
	close(file);
	unlink(lock_file);
}

static void record_locks_refuse_nonsense(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = 7, .l_start = 0, .l_len = 0};
	int file = lock_open(O_RDWR), reader = lock_open(O_RDONLY), writer = lock_open(O_WRONLY);

	CHECK(fcntl(file, F_SETLK, &lock) == -1 && errno == EINVAL);
	CHECK(locked(file, F_SETLK, 9, 0, 0) == EINVAL && locked(file, F_GETLK, F_UNLCK, 0, 0) == EINVAL);
	CHECK(locked(file, F_SETLK, F_WRLCK, -1, 0) == EINVAL && locked(file, F_SETLK, F_WRLCK, 3, -4) == EINVAL);
	CHECK(locked(file, F_SETLK, F_WRLCK, 2, 0x7fffffffffffffff) == EOVERFLOW);
	CHECK(locked(reader, F_SETLK, F_WRLCK, 0, 0) == EBADF && locked(writer, F_SETLK, F_RDLCK, 0, 0) == EBADF);
	CHECK(locked(99, F_SETLK, F_WRLCK, 0, 0) == EBADF);
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1};
	CHECK(fcntl(file, F_OFD_SETLK, &lock) == -1 && errno == EINVAL);
	CHECK(fcntl(file, F_SETLK, (void *)8) == -1 && errno == EFAULT);
	CHECK(flock(file, 0) == -1 && errno == EINVAL && flock(99, LOCK_EX) == -1 && errno == EBADF);
	close(writer);
	close(reader);
	close(file);
	unlink(lock_file);
}

static void record_locks_from_offset_and_end(void)
{
	int file = lock_open(O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -2, .l_len = 2};

	CHECK(write(file, "0123456789", 10) == 10 && fcntl(file, F_SETLK, &lock) == 0);
	CHECK(of_another(F_WRLCK, 7, 1) == 0 && of_another(F_WRLCK, 8, 1) == EAGAIN && of_another(F_WRLCK, 9, 1) == EAGAIN);
	CHECK(of_another(F_WRLCK, 10, 1) == 0);
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -5, .l_len = -2};
	CHECK(fcntl(file, F_SETLK, &lock) == 0);
	CHECK(of_another(F_WRLCK, 2, 1) == 0 && of_another(F_WRLCK, 3, 1) == EAGAIN && of_another(F_WRLCK, 4, 1) == EAGAIN);
	CHECK(of_another(F_WRLCK, 5, 1) == 0);
	close(file);
	unlink(lock_file);
}

/* A process's record locks go with any of its descriptors of the file, and are not its child's. */
static void record_locks_end(void)
{
	int file = lock_open(O_RDWR), other, status;

	CHECK(locked(file, F_SETLK, F_WRLCK, 0, 0) == 0 && of_another(F_WRLCK, 0, 0) == EAGAIN);
	other = lock_open(O_RDONLY);
	CHECK(of_another(F_WRLCK, 0, 0) == EAGAIN);
	close(other);
	CHECK(of_another(F_WRLCK, 0, 0) == 0);
	CHECK(locked(file, F_SETLK, F_WRLCK, 0, 0) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(locked(file, F_SETLK, F_WRLCK, 0, 0) == EAGAIN);
		close(file);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0 && of_another(F_WRLCK, 0, 0) == EAGAIN);
	CHECK(dup2(0, file) == file && of_another(F_WRLCK, 0, 0) == 0);
	close(file);
	child = fork();
	if (child == 0) {
		CHECK(locked(lock_open(O_RDWR), F_SETLK, F_WRLCK, 0, 0) == 0);
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL && of_another(F_WRLCK, 0, 0) == 0);
	unlink(lock_file);
}

static void on_lock_alarm(int signal)
{
	(void)signal;
}

static void record_locks_wait(void)
{
	int file = lock_open(O_RDWR), ready[2], go[2], status;
	char byte = 0;

	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		CHECK(locked(file, F_SETLK, F_WRLCK, 0, 4) == 0 && write(ready[1], "r", 1) == 1);
		CHECK(read(go[0], &byte, 1) == 1);
		until_asleep(parent);
		CHECK(pwrite(file, "done", 4, 0) == 4);
		_exit(0);
	}
	CHECK(read(ready[0], &byte, 1) == 1 && locked(file, F_SETLK, F_RDLCK, 3, 1) == EAGAIN && write(go[1], "g", 1) == 1);
	CHECK(locked(file, F_SETLKW, F_RDLCK, 3, 1) == 0);
	CHECK(pread(file, &byte, 1, 3) == 1 && byte == 'e');
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	/* A signal ends the wait. */
	child = fork();
	if (child == 0) {
		CHECK(locked(file, F_SETLK, F_WRLCK, 10, 4) == 0 && write(ready[1], "r", 1) == 1);
		pause();
	}
	struct sigaction action = {.sa_handler = on_lock_alarm}, before;
	CHECK(read(ready[0], &byte, 1) == 1 && sigaction(SIGALRM, &action, &before) == 0);
	/* Again and again: the first one may come before the wait. */
	struct itimerval often = {{.tv_usec = 50000}, {.tv_usec = 50000}}, never = {0};
	setitimer(ITIMER_REAL, &often, NULL);
	CHECK(locked(file, F_SETLKW, F_WRLCK, 13, 1) == EINTR);
	CHECK(locked(file, F_OFD_SETLKW, F_WRLCK, 13, 1) == EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
	CHECK(locked(file, F_SETLKW, F_WRLCK, 13, 1) == 0);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
	close(file);
	unlink(lock_file);
}

static void record_locks_see_a_deadlock(void)
{
	int file = lock_open(O_RDWR), ready[2], status;
	char byte;

	CHECK(pipe(ready) == 0 && locked(file, F_SETLK, F_WRLCK, 0, 1) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(locked(file, F_SETLK, F_WRLCK, 1, 1) == 0 && write(ready[1], "r", 1) == 1);
		CHECK(locked(file, F_SETLKW, F_WRLCK, 0, 1) == 0);
		_exit(0);
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	until_asleep(child);
	CHECK(locked(file, F_SETLKW, F_WRLCK, 1, 1) == EDEADLK);
	CHECK(locked(file, F_SETLK, F_UNLCK, 0, 1) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(ready[0]);
	close(ready[1]);
	close(file);
	unlink(lock_file);
}

/* Locks of open files belong to what open gave, however many descriptors and processes share it. */
static void locks_of_open_files(void)
{
	int file = lock_open(O_RDWR), other = lock_open(O_RDWR), copy = dup(file), status;

	CHECK(locked(file, F_OFD_SETLK, F_WRLCK, 0, 10) == 0 && locked(copy, F_OFD_SETLK, F_WRLCK, 5, 10) == 0);
	CHECK(locked(other, F_OFD_SETLK, F_RDLCK, 14, 1) == EAGAIN && locked(other, F_SETLK, F_RDLCK, 0, 1) == EAGAIN);
	CHECK(locked(other, F_OFD_SETLK, F_WRLCK, 15, 5) == 0 && locked(file, F_OFD_SETLK, F_RDLCK, 0, 0) == EAGAIN);
	close(other);
	CHECK(locked(file, F_OFD_SETLK, F_RDLCK, 0, 0) == 0);
	pid_t child = fork();
	if (child == 0)
		_exit(locked(file, F_OFD_SETLK, F_WRLCK, 0, 0));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(file);
	CHECK(of_another(F_RDLCK, 0, 1) == EAGAIN);
	close(copy);
	CHECK(of_another(F_RDLCK, 0, 1) == 0);
	unlink(lock_file);
}

static void flock_excludes(void)
{
	int file = lock_open(O_RDONLY), other = lock_open(O_RDONLY), copy = dup(file), status, ready[2], go[2];
	char byte;

	CHECK(flock(file, LOCK_SH) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
	CHECK(flock(file, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	CHECK(flock(other, LOCK_UN) == 0 && flock(file, LOCK_EX | LOCK_NB) == 0);
	CHECK(flock(other, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK && flock_of_another(LOCK_EX | LOCK_NB) == EWOULDBLOCK);
	CHECK(of_another(F_WRLCK, 0, 0) == 0);
	close(file);
	CHECK(flock(other, LOCK_SH | LOCK_NB) == -1);
	close(copy);
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		CHECK(flock(lock_open(O_RDWR), LOCK_EX) == 0 && write(ready[1], "r", 1) == 1);
		CHECK(read(go[0], &byte, 1) == 1);
		until_asleep(parent);
		_exit(0);
	}
	CHECK(read(ready[0], &byte, 1) == 1 && flock(other, LOCK_SH | LOCK_NB) == -1 && write(go[1], "g", 1) == 1);
	CHECK(flock(other, LOCK_SH) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(flock(ready[0], LOCK_EX) == 0 && flock(ready[1], LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
	close(ready[0]);
	CHECK(flock(ready[1], LOCK_EX | LOCK_NB) == 0);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	close(other);
	unlink(lock_file);
}
