/* Pseudo terminals as a C program meets them: one line "NAME ok" for each check, or "NAME FAILED: file:line: condition" and exit status 1; then what a person
 * at such a terminal sees of busybox, byte by byte.
 *
 * Build: gcc -static -O2 -o terminal terminal.c
 * The checks are in terminal/, one file for each subject, included so that one command builds all. Nothing depends on pids, times or the number of a terminal,
 * so the output is the same everywhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char *current;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s FAILED: %s:%d: %s (errno %d)\n", current, __FILE__, __LINE__, #condition, errno); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

#include "terminal/pair.h"
#include "terminal/names.h"
#include "terminal/discipline.h"
#include "terminal/sessions.h"
#include "terminal/ends.h"
#include "terminal/person.h"

#define ENTRY(name) {#name, name}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	ENTRY(slave_has_a_name), ENTRY(slave_is_locked_at_first), ENTRY(name_can_change_hands), ENTRY(numbers_are_used_again),
	ENTRY(lines_are_edited), ENTRY(raw_reads_count_and_time), ENTRY(output_is_processed), ENTRY(output_stops_and_starts), ENTRY(queues_can_be_flushed),
	ENTRY(long_writes_wait), ENTRY(readiness), ENTRY(session_takes_a_terminal), ENTRY(keys_send_signals), ENTRY(background_is_stopped),
	ENTRY(orphans_get_errors), ENTRY(size_changes_are_told), ENTRY(master_closes), ENTRY(slave_closes), ENTRY(leader_ends), ENTRY(terminal_is_given_up),
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		if (argc > 1 && strcmp(argv[1], checks[i].name) != 0)
			continue;
		current = checks[i].name;
		checks[i].run();
		printf("%s ok\n", current);
	}
	if (argc == 1 || strcmp(argv[1], "person") == 0)
		person();
	return 0;
}
