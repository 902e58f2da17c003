/* What a C program asks of the system: one line "NAME ok" for each check, or "NAME FAILED: file:line: condition" and exit status 1.
 *
 * Build: gcc -static -O2 -pthread -o posixtest posixtest.c
 * The checks are in posixtest/, one file for each subject, included so that one command builds all.
 * Each check stands alone and cleans up; nothing depends on pids, times or addresses, so the output is the same everywhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char *current;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s FAILED: %s:%d: %s (errno %d)\n", current, __FILE_NAME__, __LINE__, #condition, errno); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

#include "posixtest/processes.h"
#include "posixtest/pipes.h"
#include "posixtest/files.h"
#include "posixtest/memory.h"
#include "posixtest/signals.h"
#include "posixtest/threads.h"
#include "posixtest/system.h"
#include "posixtest/locks.h"
#include "posixtest/counters.h"
#include "posixtest/names.h"

#define ENTRY(name) {#name, name}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	ENTRY(fork_and_wait), ENTRY(many_children), ENTRY(vfork_and_exec), ENTRY(exec_of_nothing), ENTRY(wait_without_hanging),
	ENTRY(groups_and_sessions), ENTRY(pipe_carries_bytes), ENTRY(pipe_blocks_its_writer), ENTRY(pipe_without_reader),
	ENTRY(nonblocking_pipe), ENTRY(duplicates_share_their_offset), ENTRY(poll_and_select), ENTRY(files),
	ENTRY(an_unlinked_file_lives_while_open), ENTRY(folders_and_links), ENTRY(devices), ENTRY(anonymous_memory), ENTRY(memory_grows),
	ENTRY(fork_copies_memory), ENTRY(mapped_file), ENTRY(handlers_and_masks), ENTRY(suspend_until_a_signal), ENTRY(interrupted_calls),
	ENTRY(alternate_stack), ENTRY(deadly_signals), ENTRY(child_signal), ENTRY(stops_of_children), ENTRY(children_that_nobody_waits_for), ENTRY(alarms), ENTRY(threads_and_mutexes),
	ENTRY(condition_variables), ENTRY(thread_signals_and_cancellation), ENTRY(fork_from_a_thread), ENTRY(clocks), ENTRY(limits),
	ENTRY(identity), ENTRY(bad_pointers), ENTRY(record_locks_exclude), ENTRY(record_locks_are_told), ENTRY(record_locks_refuse_nonsense),
	ENTRY(record_locks_from_offset_and_end), ENTRY(record_locks_end), ENTRY(record_locks_wait), ENTRY(record_locks_see_a_deadlock),
	ENTRY(locks_of_open_files), ENTRY(flock_excludes), ENTRY(timers_of_processor_time), ENTRY(timers_are_not_inherited),
	ENTRY(timers_count_all_threads), ENTRY(limit_of_processor_time), ENTRY(threads_have_names),
};

/* With arguments: only the checks named. */
static int wanted(const char *name, int count, char **names)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return 1;
	return count == 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		if (!wanted(checks[i].name, argc - 1, argv + 1))
			continue;
		current = checks[i].name;
		checks[i].run();
		printf("%s ok\n", current);
	}
	return 0;
}
