/* FIFOs: who waits for whom when they are opened, what is read and written with and without the other end, and what poll says of it.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o fifos fifos.c
 * A line for each thing asked. Who has to wait is known by the state that /proc shows, not by time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char fifo[] = "/tmp/fifos.fifo";
static char block[1 << 17];

static void show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

static int opened(const char *what, int flags)
{
	int file = open(fifo, flags);

	show(what, file < 0 ? -1 : 0);
	return file;
}

static void polled(const char *what, int file)
{
	struct pollfd one = {.fd = file, .events = POLLIN | POLLOUT};

	printf("%s: %d", what, poll(&one, 1, 0));
	printf("%s%s%s%s\n", one.revents & POLLIN ? " in" : "", one.revents & POLLOUT ? " out" : "", one.revents & POLLHUP ? " hup" : "",
	       one.revents & POLLERR ? " err" : "");
}

static long unread(int file)
{
	int count = -1;

	return ioctl(file, FIONREAD, &count) ? -1 : count;
}

/* Waits until a process sleeps. */
static void until_asleep(pid_t process)
{
	char path[64], text[512], state = 0;
	const struct timespec pause = {.tv_nsec = 10000000};

	snprintf(path, sizeof path, "/proc/%d/stat", process);
	while (state != 'S') {
		int file = open(path, O_RDONLY);
		long count = read(file, text, sizeof text - 1);

		close(file);
		if (count <= 0)
			return;
		text[count] = 0;
		state = strrchr(text, ')')[2];
		nanosleep(&pause, NULL);
	}
}

static void ended(const char *what, pid_t process)
{
	int status;

	waitpid(process, &status, 0);
	printf("%s: %s %d\n", what, WIFEXITED(status) ? "status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* A child that opens the FIFO, and returns once it sleeps in it. */
static pid_t opener(int flags)
{
	pid_t child = fork();

	if (child == 0)
		_exit(open(fifo, flags) < 0 ? errno : 0);
	until_asleep(child);
	return child;
}

static void interrupted(int signal)
{
	(void)signal;
}

static void handle(int flags)
{
	const struct sigaction action = {.sa_handler = interrupted, .sa_flags = flags};

	sigaction(SIGUSR1, &action, NULL);
}

static void opening(void)
{
	int reader, writer, both;
	pid_t child;

	printf("-- opening\n");
	opened("writer that may not wait, without a reader", O_WRONLY | O_NONBLOCK);
	reader = opened("reader that may not wait", O_RDONLY | O_NONBLOCK);
	writer = opened("writer that may not wait, with a reader", O_WRONLY | O_NONBLOCK);
	close(writer);
	close(reader);
	both = opened("both", O_RDWR);
	show("written by both", write(both, "abc", 3));
	show("read by both", read(both, block, 10));
	close(both);
	child = opener(O_RDONLY);
	writer = opened("writer that a reader waits for", O_WRONLY);
	ended("reader that waited", child);
	close(writer);
	child = opener(O_WRONLY);
	reader = opened("reader that a writer waits for", O_RDONLY);
	ended("writer that waited", child);
	close(reader);
	child = opener(O_RDONLY);
	kill(child, SIGKILL);
	ended("reader that was killed", child);
	opened("writer after it", O_WRONLY | O_NONBLOCK);
	handle(0);
	child = opener(O_RDONLY);
	kill(child, SIGUSR1);
	ended("reader that was interrupted, its errno", child);
	handle(SA_RESTART);
	child = opener(O_RDONLY);
	kill(child, SIGUSR1);
	until_asleep(child);
	writer = opened("writer after a signal that restarts", O_WRONLY);
	ended("reader that was restarted", child);
	close(writer);
}

static void reading(void)
{
	int reader = open(fifo, O_RDONLY | O_NONBLOCK), writer;

	printf("-- reading\n");
	polled("reader before any writer", reader);
	show("read before any writer", read(reader, block, 10));
	writer = open(fifo, O_WRONLY);
	polled("reader with a writer", reader);
	polled("writer", writer);
	show("read with a writer", read(reader, block, 10));
	show("read of nothing", read(reader, block, 0));
	show("written", write(writer, "hello", 5));
	polled("reader with bytes", reader);
	show("unread", unread(reader));
	show("read", read(reader, block, 2));
	close(writer);
	polled("reader with bytes and no writer", reader);
	show("read of the rest", read(reader, block, 10));
	polled("reader at the end", reader);
	show("read at the end", read(reader, block, 10));
	writer = open(fifo, O_WRONLY);
	polled("reader with another writer", reader);
	show("read with another writer", read(reader, block, 10));
	close(writer);
	close(reader);
}

static void writing(void)
{
	int reader = open(fifo, O_RDONLY | O_NONBLOCK), writer = open(fifo, O_WRONLY | O_NONBLOCK);
	struct iovec parts[] = {{block, 3}, {block, PIPE_BUF}};
	long filled = 0, count;

	printf("-- writing\n");
	while ((count = write(writer, block, PIPE_BUF)) > 0)
		filled += count;
	show("write when it is full", count);
	printf("filled %ld, size %d\n", filled, fcntl(writer, F_GETPIPE_SZ));
	polled("writer when it is full", writer);
	show("a page read", read(reader, block, PIPE_BUF));
	polled("writer with a page's room", writer);
	show("a part of a long write", write(writer, block, sizeof block));
	show("a page less a byte read", read(reader, block, PIPE_BUF - 1));
	show("a whole page is not torn", write(writer, block, PIPE_BUF));
	show("one byte", write(writer, block, 1) == 1 || errno == EAGAIN);
	show("parts of one page and three bytes are", writev(writer, parts, 2) != 0);
	while (read(reader, block, sizeof block) > 0)
		;
	show("a long write into it", write(writer, block, sizeof block));
	show("made smaller than what it holds", fcntl(writer, F_SETPIPE_SZ, 4096));
	close(reader);
	polled("writer without reader", writer);
	signal(SIGPIPE, SIG_IGN);
	show("write without reader", write(writer, "x", 1));
	show("write of nothing without reader", write(writer, "x", 0));
	signal(SIGPIPE, SIG_DFL);
	pid_t child = fork();
	if (child == 0) {
		write(writer, "x", 1);
		_exit(0);
	}
	ended("writer without reader", child);
	reader = open(fifo, O_RDONLY | O_NONBLOCK);
	show("what was in it is read by another reader", read(reader, block, 10));
	close(reader);
	close(writer);
	reader = open(fifo, O_RDONLY | O_NONBLOCK);
	show("when both ends were closed it is empty", read(reader, block, 10));
	close(reader);
}

/* Two writers of whole pages: none is torn, however small the reads are. */
static void not_torn(void)
{
	enum { COUNT = 24 };
	pid_t children[2];
	int torn = 0, pages[2] = {0};
	char page[PIPE_BUF];

	printf("-- writes of a page are whole\n");
	/* Open for writing as long as both are at it: one may be done before the other one has begun. */
	int reader = open(fifo, O_RDONLY | O_NONBLOCK), held = open(fifo, O_WRONLY), have = 0;

	fcntl(reader, F_SETFL, 0);
	for (int i = 0; i < 2; i++)
		if ((children[i] = fork()) == 0) {
			int writer = open(fifo, O_WRONLY);

			memset(page, 'a' + i, sizeof page);
			for (int k = 0; k < COUNT; k++)
				if (write(writer, page, sizeof page) != sizeof page)
					_exit(1);
			_exit(0);
		}
	while (pages[0] + pages[1] < 2 * COUNT) {
		long wanted = (long)sizeof page - have < 700 ? (long)sizeof page - have : 700;
		long count = read(reader, page + have, wanted);

		if (count <= 0)
			break;
		have += count;
		if (have < (int)sizeof page)
			continue;
		for (int at = 1; at < have; at++)
			torn += page[at] != page[0];
		pages[page[0] - 'a' != 0]++;
		have = 0;
	}
	printf("torn %d, pages %d and %d\n", torn, pages[0], pages[1]);
	ended("first", children[0]);
	ended("second", children[1]);
	close(held);
	show("end", read(reader, page, 1));
	close(reader);
}

static void names(void)
{
	struct stat seen;
	int first = open(fifo, O_RDWR | O_NONBLOCK), second;

	printf("-- names\n");
	show("second name", link(fifo, "/tmp/fifos.second"));
	show("written by one name", write(first, "one", 3));
	second = open("/tmp/fifos.second", O_RDONLY | O_NONBLOCK);
	show("read by another", read(second, block, 10));
	show("removed", unlink(fifo));
	show("written without a name", write(first, "two", 3));
	show("read", read(second, block, 10));
	show("made again", mkfifo(fifo, 0600));
	opened("the new one has no reader", O_WRONLY | O_NONBLOCK);
	show("stat", fstat(second, &seen));
	printf("kind %o size %ld links %ld\n", seen.st_mode & S_IFMT, (long)seen.st_size, (long)seen.st_nlink);
	show("seek", lseek(second, 0, SEEK_SET));
	show("pread", pread(second, block, 1, 0));
	show("truncate", ftruncate(first, 0));
	show("truncate by name", truncate(fifo, 0));
	show("sync", fsync(first));
	close(first);
	close(second);
	first = open(fifo, O_RDONLY | O_NONBLOCK | O_TRUNC | O_APPEND);
	show("flags", fcntl(first, F_GETFL) & (O_NONBLOCK | O_APPEND | O_ACCMODE));
	close(first);
	unlink("/tmp/fifos.second");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	unlink(fifo);
	show("made", mkfifo(fifo, 0600));
	show("made twice", mkfifo(fifo, 0600));
	opening();
	reading();
	writing();
	not_torn();
	names();
	unlink(fifo);
	return 0;
}
