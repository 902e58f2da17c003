/* Small promises that programs rely on: what a signal says of its cause, what is forgotten when it is ignored, what advice about memory does to a fork,
 * flags of mappings, clocks of other threads and processes, owners of files.
 *
 * Build: gcc -static -O1 -pthread -o promises promises.c
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
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static const char *told(long result)
{
	return result < 0 ? strerrorname_np(errno) : "works";
}

static char *closed_page;

static void tell_cause(int signal, siginfo_t *info, void *context)
{
	const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	uintptr_t address = (uintptr_t)info->si_addr;
	const char *place = address == (uintptr_t)registers[REG_RIP] ? "the instruction"
			    : address == (uintptr_t)closed_page      ? "the page"
			    : address == 0			     ? "nowhere"
								     : "elsewhere";

	printf("SIG%s, code %d, at %s, trap %d, error %d\n", sigabbrev_np(signal), info->si_code, place, (int)registers[REG_TRAPNO],
	       (int)registers[REG_ERR]);
	fflush(stdout);
	_exit(0);
}

static void write_closed(void)
{
	*(volatile char *)closed_page = 1;
}

static void read_closed(void)
{
	(void)*(volatile char *)closed_page;
}

static void run_closed(void)
{
	((void (*)(void))closed_page)();
}

static void write_nothing(void)
{
	munmap(closed_page, PAGE);
	write_closed();
}

static void run_data(void)
{
	mprotect(closed_page, PAGE, PROT_READ);
	read_closed();
	run_closed();
}

static void divide(void)
{
	__asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx");
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void privileged(void)
{
	__asm__ volatile("hlt");
}

static void non_canonical(void)
{
	*(volatile char *)0x1234567812345678 = 1;
}

static void beyond_the_file(void)
{
	int file = open("/tmp/short", O_RDWR | O_CREAT | O_TRUNC, 0600);

	closed_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	write_closed();
}

static void causes(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} faults[] = {
		{"write to a closed page", write_closed}, {"read of a closed page", read_closed}, {"call into a closed page", run_closed},
		{"write to nothing", write_nothing},	  {"call into data", run_data},		  {"division by zero", divide},
		{"no instruction", undefined},		  {"breakpoint", breakpoint},		  {"privileged instruction", privileged},
		{"non-canonical address", non_canonical}, {"write beyond a file", beyond_the_file},
	};
	static const int signals[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV};
	struct sigaction action = {.sa_sigaction = tell_cause, .sa_flags = SA_SIGINFO};

	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		printf("%s: ", faults[i].name);
		fflush(stdout);
		if (fork() == 0) {
			for (size_t j = 0; j < sizeof signals / sizeof *signals; j++)
				sigaction(signals[j], &action, NULL);
			closed_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			faults[i].run();
			_exit(1);
		}
		wait(NULL);
	}
	unlink("/tmp/short");
}

static int is_pending(int signal)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, signal);
}

static void handle(int number)
{
	(void)number;
}

static void ignored_signals(void)
{
	static const int signals[] = {SIGUSR1, SIGCHLD};
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		signal(signals[i], handle);
		raise(signals[i]);
		kill(getpid(), signals[i]);
		printf("%s waits: %d", sigabbrev_np(signals[i]), is_pending(signals[i]));
		signal(signals[i], SIG_DFL);
		printf(", by default %d", is_pending(signals[i]));
		signal(signals[i], SIG_IGN);
		printf(", ignored %d\n", is_pending(signals[i]));
		signal(signals[i], SIG_DFL);
	}
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void take(int signal)
{
	struct timespec none = {0, 0};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	if (sigtimedwait(&set, &info, &none) != signal)
		printf("nothing\n");
	else
		printf("code %d, value %d, from me %d\n", info.si_code, info.si_value.sival_int, info.si_pid == getpid());
}

static void signals_with_values(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	sigset_t blocked;
	int status;

	info.si_pid = getpid();
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	printf("queued: %s, ", told(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42})));
	take(SIGUSR1);
	printf("real-time: %s, ", told(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = -1})));
	take(SIGRTMIN);
	info.si_value.sival_int = 7;
	printf("to a thread: %s, ", told(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &info)));
	take(SIGUSR1);
	int file = signalfd(-1, &blocked, SFD_NONBLOCK);
	struct signalfd_siginfo read_info;
	sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x123456789a});
	printf("from a file: %d, ", read(file, &read_info, sizeof read_info) == sizeof read_info);
	printf("code %d, value %x, pointer %llx\n", read_info.ssi_code, read_info.ssi_int, (unsigned long long)read_info.ssi_ptr);
	printf("nothing sent: %s, ", told(sigqueue(getpid(), 0, (union sigval){.sival_int = 1})));
	take(SIGUSR1);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	info.si_code = SI_USER;
	printf("as the kernel, to another: %s, ", told(syscall(SYS_rt_sigqueueinfo, child, SIGTERM, &info)));
	printf("to me %s\n", told(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info)));
	info.si_code = SI_TKILL;
	printf("as tkill: %s\n", told(syscall(SYS_rt_sigqueueinfo, child, SIGTERM, &info)));
	printf("to a child: %s, ", told(sigqueue(child, SIGTERM, (union sigval){.sival_int = 1})));
	waitpid(child, &status, 0);
	printf("ends it %d\n", WTERMSIG(status));
	printf("to nobody: %s\n", told(sigqueue(child, SIGTERM, (union sigval){.sival_int = 1})));
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void kills(void)
{
	static const int targets[] = {32767, -32767, -2147483647 - 1};
	int status;
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0);
		pause();
		_exit(0);
	}
	setpgid(child, child);
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		printf("to nobody %zu: %s, ", i, told(kill(targets[i], 0)));
		printf("no such signal %s, negative %s\n", told(kill(targets[i], 65)), told(kill(targets[i], -1)));
	}
	printf("no such signal to a child: %s, ", told(kill(child, 65)));
	printf("to its group %s, ", told(kill(-child, 65)));
	printf("to all %s\n", told(kill(-1, 65)));
	printf("no such signal to a thread: %s, ", told(syscall(SYS_tkill, child, 65)));
	printf("of another %s, ", told(syscall(SYS_tgkill, getpid(), child, 65)));
	printf("to nobody's thread %s, to thread 0 %s\n", told(syscall(SYS_tkill, 32767, 65)), told(syscall(SYS_tkill, 0, 65)));
	fflush(stdout);
	if (fork() == 0) {
		if (setuid(1000) != 0)
			_exit(1);
		printf("of another user: %s, no such signal %s, ", told(kill(child, 0)), told(kill(child, 65)));
		printf("his group %s, all %s\n", told(kill(-child, 0)), told(kill(-1, 0)));
		_exit(fflush(stdout));
	}
	wait(&status);
	printf("its end: %s, ", told(kill(-child, SIGTERM)));
	/* A process that nobody has waited for is one still. */
	siginfo_t info;
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	printf("then %s, %s\n", told(kill(child, SIGTERM)), told(kill(child, 65)));
	waitpid(child, &status, 0);
}

static int child_sees(const char *page)
{
	int status;

	if (fork() == 0)
		_exit(*(const volatile char *)page);
	wait(&status);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void advice(void)
{
	char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(pages, 7, 4 * PAGE);
	*shared = 7;
	printf("wiped on fork: %s, ", told(madvise(pages + PAGE, PAGE, MADV_WIPEONFORK)));
	printf("before it %d, there %d, here still %d\n", child_sees(pages), child_sees(pages + PAGE), pages[PAGE]);
	printf("kept on fork: %s, ", told(madvise(pages + PAGE, PAGE, MADV_KEEPONFORK)));
	printf("there %d\n", child_sees(pages + PAGE));
	printf("not forked: %s, ", told(madvise(pages + 2 * PAGE, PAGE, MADV_DONTFORK)));
	printf("there %d, behind it %d\n", child_sees(pages + 2 * PAGE), child_sees(pages + 3 * PAGE));
	printf("forked again: %s, ", told(madvise(pages + 2 * PAGE, PAGE, MADV_DOFORK)));
	printf("there %d\n", child_sees(pages + 2 * PAGE));
	printf("shared memory wiped: %s\n", told(madvise(shared, PAGE, MADV_WIPEONFORK)));
	printf("shared memory not forked: %s, ", told(madvise(shared, PAGE, MADV_DONTFORK)));
	printf("there %d\n", child_sees(shared));
	printf("private memory removed: %s\n", told(madvise(pages, PAGE, MADV_REMOVE)));
}

static long map(int protection, int flags, int file)
{
	char *at = mmap(NULL, PAGE, protection, flags, file, 0);

	return at == MAP_FAILED ? -1 : (long)at;
}

static void mappings(void)
{
	enum { UNKNOWN = 0x80000000 };
	char *page = (char *)map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *stack = (char *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1));
	int file = open("/tmp/mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int zero = open("/dev/zero", O_RDWR);

	printf("semaphores: %s\n", told(mprotect(page, PAGE, PROT_READ | 8)));
	printf("growing down: %s, ", told(mprotect(page, PAGE, PROT_READ | PROT_GROWSDOWN)));
	printf("the stack %s\n", told(mprotect(stack, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN)));
	printf("growing up: %s\n", told(mprotect(page, PAGE, PROT_READ | PROT_GROWSUP)));
	printf("both: %s\n", told(mprotect(page, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP)));
	printf("nothing protected: %s\n", told(mprotect(page, 0, 0xffff)));
	printf("below 2 GiB: %d\n", map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1) < 0x80000000);
	printf("huge pages: %s, ", told(map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1)));
	printf("of a file %s\n", told(map(PROT_READ, MAP_PRIVATE | MAP_HUGETLB, file)));
	printf("checked flags: %s, ", told(map(PROT_READ, MAP_SHARED_VALIDATE, file)));
	printf("unknown ones %s, ", told(map(PROT_READ, MAP_SHARED_VALIDATE | (int)UNKNOWN, file)));
	printf("without a file %s\n", told(map(PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1)));
	char *shared = (char *)map(PROT_READ | PROT_WRITE, MAP_SHARED, zero);
	printf("zeros shared: %s\n", told((long)shared));
	if (fork() == 0) {
		*shared = 9;
		_exit(0);
	}
	wait(NULL);
	printf("child's write: %d\n", *shared);
	unlink("/tmp/mapped");
}

static void *idle(void *gate)
{
	pthread_mutex_lock(gate);
	return gate;
}

static void clocks(void)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct timespec time, none = {0, 0};
	pthread_t thread;
	clockid_t clock;
	int status;

	printf("process: %d\n", clock_getcpuclockid(0, &clock));
	printf("its clock: %s\n", told(clock_gettime(clock, &time)));
	printf("used: %d\n", time.tv_sec > 0 || time.tv_nsec > 0);
	printf("sleep by it: %s\n", strerrorname_np(clock_nanosleep(clock, 0, &none, NULL)));
	pthread_mutex_lock(&gate);
	pthread_create(&thread, NULL, idle, &gate);
	printf("thread: %d, ", pthread_getcpuclockid(thread, &clock));
	printf("its clock %s\n", told(clock_gettime(clock, &time)));
	pthread_mutex_unlock(&gate);
	pthread_join(thread, NULL);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	printf("child: %d, ", clock_getcpuclockid(child, &clock));
	printf("its clock %s\n", told(clock_gettime(clock, &time)));
	pthread_getcpuclockid(pthread_self(), &clock);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf("its clock after its end: %d\n", clock_getcpuclockid(child, &clock));
	for (int number = -8; number < 8; number++)
		printf("clock %d: %s, sleep %s\n", number, told(syscall(SYS_clock_gettime, number, &time)),
		       told(syscall(SYS_clock_nanosleep, number, 0, &none, NULL)));
}

static void owners(void)
{
	int file = open("/tmp/owned", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getpid()};

	printf("owner: %d, ", fcntl(file, F_GETOWN));
	printf("set %s, ", told(fcntl(file, F_SETOWN, getpid())));
	printf("mine %d\n", fcntl(file, F_GETOWN) == getpid());
	printf("group: %s, ", told(fcntl(file, F_SETOWN, -getpgrp())));
	printf("mine %d, ", fcntl(file, F_GETOWN) == -getpgrp());
	printf("told %s ", told(fcntl(file, F_GETOWN_EX, &owner)));
	printf("%d %d\n", owner.type, owner.pid == getpgrp());
	owner = (struct f_owner_ex){.type = F_OWNER_PID, .pid = getpid()};
	printf("process: %s, ", told(fcntl(file, F_SETOWN_EX, &owner)));
	printf("mine %d\n", fcntl(file, F_GETOWN) == getpid());
	owner.type = 9;
	printf("nobody: %s\n", told(fcntl(file, F_SETOWN_EX, &owner)));
	unlink("/tmp/owned");
}

static void names(void)
{
	struct timespec omitted[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};

	printf("times omitted of nothing: %s\n", told(utimensat(AT_FDCWD, "/tmp/nothing", omitted, 0)));
	printf("node that is a folder: %s\n", told(mknod("/tmp/folder", S_IFDIR | 0700, 0)));
	printf("node that is a link: %s\n", told(mknod("/tmp/link", S_IFLNK | 0700, 0)));
	printf("capabilities of the processor are told: %d\n", (errno = 0, getauxval(AT_HWCAP2), errno == 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	causes();
	ignored_signals();
	signals_with_values();
	kills();
	advice();
	mappings();
	clocks();
	owners();
	names();
	return 0;
}
