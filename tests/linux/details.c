/* Details that programs rely on: programs that run are not written to, robust locks outlive their owners, death signals, subreapers, random bytes.
 *
 * Build: gcc -static -O1 -pthread -o details details.c
 * One line for each observation; no number that differs from run to run is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *told(int result)
{
	return result < 0 ? strerror(errno) : "works";
}

static int opened(const char *path, int flags)
{
	int file = open(path, flags, 0755);

	if (file >= 0)
		close(file);
	return file;
}

static void copy_of_self(const char *path)
{
	char buffer[65536];
	ssize_t count;
	int from = open("/proc/self/exe", O_RDONLY), to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	while ((count = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, (size_t)count) != count)
			exit(1);
	close(from);
	close(to);
}

static int executed(const char *path)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execl(path, path, "exit", (char *)NULL);
		_exit(errno);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void text_busy(void)
{
	static const char program[] = "/tmp/details.program", script[] = "/tmp/details.script";
	int ends[2];
	struct stat before, after;
	char ready;

	copy_of_self(program);
	stat(program, &before);
	printf("executed: %d\n", executed(program));
	int file = open(program, O_WRONLY);
	printf("executed while it is open for writing: %s\n", strerror(executed(program)));
	close(file);
	file = open(program, O_RDONLY);
	printf("executed while it is open for reading: %d\n", executed(program));
	close(file);
	if (pipe(ends) != 0)
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		execl(program, program, "wait", (char *)NULL);
		_exit(1);
	}
	if (read(ends[0], &ready, 1) != 1)
		exit(1);
	printf("while it runs: O_RDONLY %s, ", told(opened(program, O_RDONLY)));
	printf("O_WRONLY %s, ", told(opened(program, O_WRONLY)));
	printf("O_RDWR %s, ", told(opened(program, O_RDWR)));
	printf("O_TRUNC %s, ", told(opened(program, O_WRONLY | O_CREAT | O_TRUNC)));
	printf("truncate %s\n", told(truncate(program, 0)));
	stat(program, &after);
	printf("it is as long as before: %d\n", before.st_size == after.st_size);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("after it ran: O_RDWR %s, ", told(opened(program, O_RDWR)));
	printf("O_TRUNC %s\n", told(opened(program, O_WRONLY | O_TRUNC)));
	unlink(program);
	file = open(script, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	if (write(file, "#!/bin/sh\nexit 3\n", 17) != 17)
		exit(1);
	printf("script that is being written: %s\n", strerror(executed(script)));
	close(file);
	printf("script: %d\n", executed(script));
	unlink(script);
	close(ends[0]);
	close(ends[1]);
}

static pthread_mutex_t *robust_mutex(void)
{
	pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t kind;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &kind);
	return mutex;
}

static void *lock_and_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	usleep(100000);
	return NULL;
}

static void robust_locks(void)
{
	pthread_mutex_t *mutex = robust_mutex();
	pthread_t thread;
	int ends[2];
	char byte;

	pthread_create(&thread, NULL, lock_and_end, mutex);
	usleep(20000);
	/* Most likely it waits, and is woken by the death. */
	printf("lock of a thread that ended: %s\n", strerror(pthread_mutex_lock(mutex)));
	pthread_join(thread, NULL);
	printf("made consistent: %d, ", pthread_mutex_consistent(mutex));
	printf("unlocked: %d, ", pthread_mutex_unlock(mutex));
	printf("locked: %d, ", pthread_mutex_lock(mutex));
	printf("unlocked: %d\n", pthread_mutex_unlock(mutex));
	if (pipe(ends) != 0)
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		pthread_mutex_lock(mutex);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		exit(1);
	printf("tried: %s\n", strerror(pthread_mutex_trylock(mutex)));
	kill(child, SIGKILL);
	printf("lock of a process that was killed: %s\n", strerror(pthread_mutex_lock(mutex)));
	waitpid(child, NULL, 0);
	void *head = NULL;
	size_t length = 0;
	long done = syscall(SYS_get_robust_list, 0, &head, &length);
	printf("list of this thread: %ld, there: %d, %zu bytes\n", done, head != NULL, length);
	done = syscall(SYS_get_robust_list, -1, &head, &length);
	printf("list of nobody: %ld %s\n", done, strerror(errno));
}

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	signalled = number;
}

static void death_signals(void)
{
	int ends[2], signal_number = -1;
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked, before;

	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	prctl(PR_GET_PDEATHSIG, &signal_number);
	printf("death signal: %d, of no signal: %s\n", signal_number == SIGUSR1, told(prctl(PR_SET_PDEATHSIG, 65)));
	prctl(PR_SET_PDEATHSIG, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe(ends) != 0)
		exit(1);
	fflush(stdout);
	pid_t parent = fork();
	if (parent == 0) {
		pid_t own = getpid();
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGUSR2);
		sigprocmask(SIG_BLOCK, &blocked, &before);
		if (fork() == 0) {
			prctl(PR_GET_PDEATHSIG, &signal_number);
			sigaction(SIGUSR2, &action, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			while (!signalled && getppid() == own)
				sigsuspend(&before);
			/* The parent may have been gone before the signal was asked for. */
			printf("orphan: inherited %d, signalled %d, its parent is the subreaper: %d\n", signal_number, signalled == SIGUSR2,
			       getppid() != own && getppid() != 1);
			fflush(stdout);
			_exit(7);
		}
		usleep(200000);
		_exit(5);
	}
	int status = 0, sum = 0;
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	printf("both were waited for: %d\n", sum);
	int subreaper = 0;
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	printf("subreaper: %d\n", subreaper);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(ends[0]);
	close(ends[1]);
}

static void names_and_domains(void)
{
	char name[16] = "";

	prctl(PR_SET_NAME, "a name that is too long");
	prctl(PR_GET_NAME, name);
	printf("name: %s\n", name);
	printf("domain: %#x\n", personality(0xffffffff));
	printf("set: %#x\n", personality(ADDR_NO_RANDOMIZE));
	printf("domain: %#x\n", personality(0xffffffff));
	fflush(stdout);
	if (fork() == 0) {
		printf("in a child: %#x\n", personality(0xffffffff));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	personality(0);
	printf("domain: %#x\n", personality(0xffffffff));
}

static void random_bytes(void)
{
	unsigned char bytes[5][64], all = 0;
	int ends[2], same = 0;

	if (pipe(ends) != 0)
		exit(1);
	int file = open("/dev/urandom", O_RDONLY);
	printf("getrandom: %zd\n", getrandom(bytes[0], 64, 0));
	printf("without waiting: %zd\n", getrandom(bytes[1], 64, GRND_NONBLOCK));
	printf("/dev/urandom: %zd\n", read(file, bytes[2], 64));
	close(file);
	file = open("/dev/random", O_RDONLY);
	printf("/dev/random: %zd\n", read(file, bytes[3], 64));
	close(file);
	if (fork() == 0) {
		getrandom(bytes[4], 64, 0);
		_exit(write(ends[1], bytes[4], 64) == 64 ? 0 : 1);
	}
	if (read(ends[0], bytes[4], 64) != 64)
		exit(1);
	wait(NULL);
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < i; k++)
			same += memcmp(bytes[i], bytes[k], 64) == 0;
		for (int k = 0; k < 64; k++)
			all |= bytes[i][k];
	}
	printf("the same: %d, bits that never were: %d\n", same, (unsigned char)~all);
	printf("unknown flag: %s\n", told((int)getrandom(bytes, 1, 64)));
	printf("nowhere: %s\n", told((int)syscall(SYS_getrandom, 16, 1, 0)));
}

static void *burn(void *unused)
{
	struct timespec own, process;
	struct rusage used;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	while (own.tv_sec == 0 && own.tv_nsec < 50000000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process);
	printf("thread's time is the process's: %d\n",
	       process.tv_sec * 1000000000LL + process.tv_nsec >= own.tv_sec * 1000000000LL + own.tv_nsec);
	printf("usage of the thread: %d\n", getrusage(RUSAGE_THREAD, &used));
	return unused;
}

static void thread_times(void)
{
	pthread_t thread;
	struct timespec own;

	pthread_create(&thread, NULL, burn, NULL);
	pthread_join(thread, NULL);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	struct timespec process;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process);
	long long other = process.tv_sec * 1000000000LL + process.tv_nsec - own.tv_sec * 1000000000LL - own.tv_nsec;
	printf("another thread's time is not this one's: %d\n", other >= 50000000);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "wait") == 0) {
		if (write(1, "r", 1) == 1)
			pause();
		return 0;
	}
	if (argc > 1)
		return 42;
	setvbuf(stdout, NULL, _IOLBF, 0);
	text_busy();
	robust_locks();
	death_signals();
	names_and_domains();
	random_bytes();
	thread_times();
	return 0;
}
