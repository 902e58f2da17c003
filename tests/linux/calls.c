/* Each system call that cannot simply be made again, several times in a row, for posix to die in: tests/tests/failpoints.rs lets it die at each step of each.
 *
 * Build: gcc -static -O1 -pthread -Wall -Wextra -Werror -o calls calls.c
 * A line "NAME ok" for each call; "NAME FAILED: file:line: condition" and exit status 1 where one was lost, or made twice. The calls are in the order of their
 * numbers, in which posix dies of them too, and are made by their numbers, so that the C library takes no other; those that a turn needs besides come by the
 * library. The repetitions are more than twice the steps of a call: the first passage after a death is that of the request that posix died of.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

enum { TIMES = 12, PAGE = 4096 };

#define CALL(name, ...) syscall(SYS_##name __VA_OPT__(, ) __VA_ARGS__)

static const char *current;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s FAILED: %s:%d: %s (errno %d)\n", current, __FILE_NAME__, __LINE__, #condition, errno); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

#include "calls/descriptors.h"
#include "calls/files.h"
#include "calls/names.h"
#include "calls/memory.h"
#include "calls/signals.h"
#include "calls/waits.h"
#include "calls/sockets.h"
#include "calls/processes.h"
#include "calls/rights.h"

#define ENTRY(name) {#name, call_##name}

static const struct {
	const char *name;
	void (*turn)(int);
} calls[] = {
	ENTRY(read), ENTRY(write), ENTRY(open), ENTRY(close), ENTRY(poll), ENTRY(lseek), ENTRY(mmap), ENTRY(mprotect), ENTRY(munmap),
	ENTRY(brk), ENTRY(rt_sigaction), ENTRY(rt_sigprocmask), ENTRY(rt_sigreturn), ENTRY(ioctl), ENTRY(pwrite64), ENTRY(readv),
	ENTRY(writev), ENTRY(pipe), ENTRY(select), ENTRY(mremap), ENTRY(madvise), ENTRY(dup), ENTRY(dup2), ENTRY(pause), ENTRY(nanosleep),
	ENTRY(alarm), ENTRY(setitimer), ENTRY(sendfile), ENTRY(socket), ENTRY(connect), ENTRY(accept), ENTRY(sendto), ENTRY(recvfrom),
	ENTRY(sendmsg), ENTRY(recvmsg), ENTRY(shutdown), ENTRY(bind), ENTRY(listen), ENTRY(socketpair), ENTRY(setsockopt), ENTRY(getsockopt),
	ENTRY(clone), ENTRY(fork), ENTRY(vfork), ENTRY(execve), ENTRY(exit), ENTRY(wait4), ENTRY(kill), ENTRY(fcntl), ENTRY(flock),
	ENTRY(truncate), ENTRY(ftruncate), ENTRY(chdir), ENTRY(fchdir), ENTRY(rename), ENTRY(mkdir), ENTRY(rmdir), ENTRY(creat), ENTRY(link),
	ENTRY(unlink), ENTRY(symlink), ENTRY(chmod), ENTRY(fchmod), ENTRY(chown), ENTRY(fchown), ENTRY(lchown), ENTRY(umask), ENTRY(setuid),
	ENTRY(setgid), ENTRY(setpgid), ENTRY(setsid), ENTRY(setreuid), ENTRY(setregid), ENTRY(setgroups), ENTRY(setresuid), ENTRY(setresgid),
	ENTRY(setfsuid), ENTRY(setfsgid), ENTRY(rt_sigtimedwait), ENTRY(rt_sigqueueinfo), ENTRY(rt_sigsuspend), ENTRY(sigaltstack),
	ENTRY(utime), ENTRY(mknod), ENTRY(personality), ENTRY(setpriority), ENTRY(sched_setparam), ENTRY(sched_setscheduler), ENTRY(prctl),
	ENTRY(arch_prctl), ENTRY(setrlimit), ENTRY(chroot), ENTRY(settimeofday), ENTRY(sethostname), ENTRY(setdomainname), ENTRY(tkill),
	ENTRY(futex), ENTRY(sched_setaffinity), ENTRY(epoll_create), ENTRY(getdents64), ENTRY(set_tid_address), ENTRY(timer_create),
	ENTRY(timer_settime), ENTRY(timer_delete), ENTRY(clock_settime), ENTRY(clock_nanosleep), ENTRY(exit_group), ENTRY(epoll_wait),
	ENTRY(epoll_ctl), ENTRY(tgkill), ENTRY(utimes), ENTRY(waitid), ENTRY(openat), ENTRY(mkdirat), ENTRY(mknodat), ENTRY(fchownat),
	ENTRY(futimesat), ENTRY(unlinkat), ENTRY(renameat), ENTRY(linkat), ENTRY(symlinkat), ENTRY(fchmodat), ENTRY(pselect6), ENTRY(ppoll),
	ENTRY(set_robust_list), ENTRY(utimensat), ENTRY(epoll_pwait), ENTRY(signalfd), ENTRY(timerfd_create), ENTRY(eventfd), ENTRY(fallocate),
	ENTRY(timerfd_settime), ENTRY(accept4), ENTRY(signalfd4), ENTRY(eventfd2), ENTRY(epoll_create1), ENTRY(dup3), ENTRY(pipe2),
	ENTRY(pwritev), ENTRY(rt_tgsigqueueinfo), ENTRY(prlimit64), ENTRY(renameat2), ENTRY(memfd_create), ENTRY(execveat),
	ENTRY(copy_file_range), ENTRY(preadv2), ENTRY(pwritev2), ENTRY(pidfd_send_signal), ENTRY(pidfd_open), ENTRY(clone3),
	ENTRY(close_range), ENTRY(openat2), ENTRY(epoll_pwait2),
};

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "exit") == 0)
		return atoi(arguments[2]);
	current = "start";
	CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	umask(022);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		current = calls[i].name;
		for (int turn = 0; turn < TIMES; turn++)
			calls[i].turn(turn);
		printf("%s ok\n", current);
		fflush(stdout);
	}
	return 0;
}
