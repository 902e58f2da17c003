/* Sockets of one machine: a line for each thing asked, with its result or the name of its error.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o sockets sockets.c
 * What it prints depends on no number of a process and on no size of a buffer, which differ.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static long show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
	return result;
}

static const char *const kinds[] = {[SOCK_STREAM] = "stream", [SOCK_DGRAM] = "datagrams", [SOCK_SEQPACKET] = "packets"};
static const int all_kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static void show_received(const char *what, int from, size_t size, int flags)
{
	char buffer[64] = "";
	ssize_t count = recv(from, buffer, size, flags);

	show(what, count);
	if (count >= 0)
		printf("  \"%.*s\"\n", (int)((size_t)count < size ? (size_t)count : size), buffer);
}

static int ready(int descriptor, short events)
{
	struct pollfd poll_one = {.fd = descriptor, .events = events};

	poll(&poll_one, 1, 0);
	return poll_one.revents;
}

static void pairs(int kind)
{
	struct iovec parts[2] = {{"gath", 4}, {"ered", 4}};
	char first[3], second[8];
	struct iovec scattered[2] = {{first, sizeof first}, {second, sizeof second}};
	struct stat about;
	int ends[2], waiting;

	printf("-- %s\n", kinds[kind]);
	show("socketpair", socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends));
	printf("flags %x, descriptor's %x\n", fcntl(ends[0], F_GETFL), fcntl(ends[0], F_GETFD));
	fstat(ends[0], &about);
	printf("mode %o, size %ld\n", about.st_mode, (long)about.st_size);
	printf("ready %x\n", ready(ends[1], POLLIN | POLLOUT | POLLRDHUP));
	show("send", send(ends[0], "one", 3, 0));
	show("write", write(ends[0], "two!", 4));
	ioctl(ends[1], FIONREAD, &waiting);
	printf("FIONREAD %d\n", waiting);
	printf("ready %x\n", ready(ends[1], POLLIN | POLLOUT | POLLRDHUP));
	show_received("peek", ends[1], 2, MSG_PEEK);
	show_received("peek, truncated", ends[1], 2, MSG_PEEK | MSG_TRUNC);
	show_received("receive 5", ends[1], 5, 0);
	show_received("receive 5", ends[1], 5, MSG_DONTWAIT);
	show_received("receive 5", ends[1], 5, MSG_DONTWAIT);
	show("writev", writev(ends[0], parts, 2));
	show("readv", readv(ends[1], scattered, 2));
	show("empty message", send(ends[0], "", 0, 0));
	show_received("receive it", ends[1], 5, MSG_DONTWAIT);
	show("lseek", lseek(ends[0], 0, SEEK_SET));
	show("pread", pread(ends[0], first, 1, 0));
	show("out of band", recv(ends[0], first, 1, MSG_OOB) < 0 && (errno == EOPNOTSUPP || errno == EINVAL) ? 0 : -1);
	show("shutdown of writing", shutdown(ends[0], SHUT_WR));
	printf("ready %x, other %x\n", ready(ends[0], POLLIN | POLLOUT | POLLRDHUP), ready(ends[1], POLLIN | POLLOUT | POLLRDHUP));
	show("send after it", send(ends[0], "x", 1, MSG_NOSIGNAL));
	if (kind != SOCK_DGRAM)
		show_received("receive at the other end", ends[1], 5, 0);
	show("other direction", send(ends[1], "y", 1, 0));
	show("close with something unread", close(ends[0]));
	printf("ready %x\n", ready(ends[1], POLLIN | POLLOUT | POLLRDHUP));
	show_received("receive", ends[1], 5, MSG_DONTWAIT);
	show_received("receive", ends[1], 5, MSG_DONTWAIT);
	show("send", send(ends[1], "z", 1, MSG_NOSIGNAL));
	show("send", send(ends[1], "z", 1, MSG_NOSIGNAL));
	show("shutdown with a wrong how", shutdown(ends[1], 3));
	close(ends[1]);
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

static void broken(int kind)
{
	int ends[2];

	socketpair(AF_UNIX, kind, 0, ends);
	close(ends[1]);
	signals = 0;
	signal(SIGPIPE, count_signal);
	errno = 0;
	ssize_t result = write(ends[0], "x", 1);
	printf("write to nobody, %s: %s, %d signals\n", kinds[kind], result < 0 ? strerrorname_np(errno) : "ok", (int)signals);
	result = send(ends[0], "x", 1, MSG_NOSIGNAL);
	printf("without signal: %s, %d signals\n", result < 0 ? strerrorname_np(errno) : "ok", (int)signals);
	close(ends[0]);
}

static void give(int to, const int *descriptors, int count)
{
	char control[CMSG_SPACE(3 * sizeof(int))] = "";
	struct iovec vector = {"d", 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
	memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
	show("sendmsg", sendmsg(to, &message, 0));
}

/* The descriptors of the last message. */
static int came[3];

/* Receives a message with room for `room` bytes of control; how many descriptors came. */
static int take(int from, size_t room, int flags)
{
	char control[256] __attribute__((aligned(8))) = "", byte[8];
	struct iovec vector = {byte, sizeof byte};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
	int count = 0;

	if (show("recvmsg", recvmsg(from, &message, flags)) < 0)
		return 0;
	printf("  flags %x, control %zu\n", message.msg_flags, message.msg_controllen);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		printf("  level %d type %d length %zu\n", header->cmsg_level, header->cmsg_type, (size_t)header->cmsg_len);
		if (header->cmsg_type == SCM_RIGHTS)
			for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
				memcpy(&came[count], CMSG_DATA(header) + at, sizeof came[count]);
				printf("  descriptor %d, closed by exec %d\n", came[count], fcntl(came[count], F_GETFD));
				count++;
			}
		else if (header->cmsg_type == SCM_CREDENTIALS) {
			struct ucred sender;
			memcpy(&sender, CMSG_DATA(header), sizeof sender);
			printf("  from %s, user %d\n", sender.pid == getpid() ? "this process" : "another", (int)sender.uid);
		}
	}
	return count;
}

static void rights(int kind)
{
	int ends[2], wire[2], on = 1, descriptors[3], bad = 99;
	char byte = '?';

	printf("-- descriptors in %s\n", kinds[kind]);
	socketpair(AF_UNIX, kind, 0, ends);
	if (pipe(wire) != 0)
		exit(1);
	give(ends[0], wire, 2);
	show("bytes after it", write(ends[0], "abc", 3));
	close(wire[0]);
	take(ends[1], 256, MSG_CMSG_CLOEXEC);
	show("write to what came", write(came[1], "!", 1));
	show("read from the other", read(came[0], &byte, 1));
	printf("  '%c'\n", byte);
	take(ends[1], 256, 0);
	close(came[0]);
	close(came[1]);
	descriptors[0] = descriptors[1] = descriptors[2] = wire[1];
	give(ends[0], descriptors, 3);
	for (int count = take(ends[1], CMSG_LEN(2 * sizeof(int)), 0); count > 0; count--)
		close(came[count - 1]);
	give(ends[0], descriptors, 3);
	take(ends[1], 0, 0);
	give(ends[0], descriptors, 1);
	show("read drops it", read(ends[1], &byte, 1));
	give(ends[0], &bad, 1);
	close(wire[1]);
	show("SO_PASSCRED", setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	send(ends[0], "c", 1, 0);
	take(ends[1], 256, 0);
	close(ends[0]);
	close(ends[1]);
}

static socklen_t name_of(struct sockaddr_un *address, const char *path, size_t length)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, length);
	return offsetof(struct sockaddr_un, sun_path) + length;
}

static void show_name(const char *what, int (*ask)(int, struct sockaddr *, socklen_t *), int socket)
{
	struct sockaddr_un address = {0};
	socklen_t length = sizeof address;

	if (show(what, ask(socket, (struct sockaddr *)&address, &length)) < 0)
		return;
	printf("  family %d, %u bytes: ", address.sun_family, length);
	for (socklen_t at = 0; at + offsetof(struct sockaddr_un, sun_path) < length; at++)
		putchar(address.sun_path[at] ? address.sun_path[at] : '@');
	putchar('\n');
}

static void show_option(const char *what, int socket, int option)
{
	int value = -1;
	socklen_t length = sizeof value;

	if (show(what, getsockopt(socket, SOL_SOCKET, option, &value, &length)) >= 0)
		printf("  %d, %u bytes\n", value, length);
}

static void named(int kind, const char *path, size_t path_length)
{
	struct sockaddr_un address, other_address;
	socklen_t length = name_of(&address, path, path_length), other_length = name_of(&other_address, "\0client", 7);
	struct stat about;
	struct ucred who;
	socklen_t who_length = sizeof who;
	int listener, client, accepted;

	printf("-- %s by %s name\n", kinds[kind], path[0] ? "a path's" : "an abstract");
	listener = socket(AF_UNIX, kind, 0);
	client = socket(AF_UNIX, kind | SOCK_NONBLOCK, 0);
	printf("ready %x\n", ready(client, POLLIN | POLLOUT));
	show("connect to nobody", connect(client, (struct sockaddr *)&address, length));
	show("listen without a name", listen(listener, 1));
	show("bind", bind(listener, (struct sockaddr *)&address, length));
	show("bind again", bind(listener, (struct sockaddr *)&address, length));
	show("bind another", bind(client, (struct sockaddr *)&address, length));
	show_name("getsockname", getsockname, listener);
	show("connect before listen", connect(client, (struct sockaddr *)&address, length));
	show("accept before listen", accept(listener, NULL, NULL));
	show("listen", listen(listener, 1));
	show_option("SO_ACCEPTCONN", listener, SO_ACCEPTCONN);
	printf("ready %x\n", ready(listener, POLLIN | POLLOUT));
	show("bind the client", bind(client, (struct sockaddr *)&other_address, other_length));
	show("connect", connect(client, (struct sockaddr *)&address, length));
	show("connect again", connect(client, (struct sockaddr *)&address, length));
	printf("ready %x, client %x\n", ready(listener, POLLIN | POLLOUT), ready(client, POLLIN | POLLOUT));
	show_name("getpeername", getpeername, client);
	show("send before accept", send(client, "early", 5, 0));
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	printf("accepted: flags %x, descriptor's %x\n", fcntl(accepted, F_GETFL), fcntl(accepted, F_GETFD));
	show_name("its own name", getsockname, accepted);
	show_name("its other end", getpeername, accepted);
	show_received("receive", accepted, 10, 0);
	show_received("receive", accepted, 10, 0);
	show("send with a name", sendto(accepted, "x", 1, 0, (struct sockaddr *)&address, length));
	getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &who, &who_length);
	printf("SO_PEERCRED: %s, user %d group %d\n", who.pid == getpid() ? "this process" : "another", (int)who.uid, (int)who.gid);
	show("connect to a type that it is not", connect(socket(AF_UNIX, SOCK_DGRAM, 0), (struct sockaddr *)&address, length));
	if (path[0] && stat(path, &about) == 0) {
		printf("mode %o\n", about.st_mode & S_IFMT);
		show("open", open(path, O_RDWR));
		show("unlink", unlink(path));
		show("connect to what was unlinked", connect(socket(AF_UNIX, kind, 0), (struct sockaddr *)&address, length));
	}
	close(listener);
	show("connection without its listener", send(accepted, "late", 4, 0));
	show_received("receive", client, 10, 0);
	close(accepted);
	show_received("receive the end", client, 10, 0);
	show("connect when closed", connect(socket(AF_UNIX, kind, 0), (struct sockaddr *)&address, length));
	close(client);
}

static void datagrams_by_name(void)
{
	struct sockaddr_un address, from = {0};
	socklen_t length = name_of(&address, "inbox", 5), from_length = sizeof from;
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	int inbox = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
	char buffer[16];

	printf("-- datagrams by name\n");
	show("send to nobody", sendto(sender, "x", 1, 0, (struct sockaddr *)&address, length));
	bind(inbox, (struct sockaddr *)&address, length);
	show("listen", listen(inbox, 1));
	show("accept", accept(inbox, NULL, NULL));
	show("send without a name", send(sender, "x", 1, 0));
	show("sendto", sendto(sender, "letter", 6, 0, (struct sockaddr *)&address, length));
	show("recvfrom", recvfrom(inbox, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length));
	printf("  a name of %u bytes\n", from_length);
	show("bind to any name", bind(sender, (struct sockaddr *)&from, sizeof from.sun_family));
	from.sun_family = AF_UNIX;
	show("bind to any name", bind(sender, (struct sockaddr *)&from, sizeof from.sun_family));
	from_length = sizeof from;
	getsockname(sender, (struct sockaddr *)&from, &from_length);
	printf("  a name of %u bytes, abstract %d\n", from_length, from.sun_path[0] == 0);
	show("connect", connect(sender, (struct sockaddr *)&address, length));
	show("send", send(sender, "letter", 6, 0));
	from_length = sizeof from;
	show("recvfrom", recvfrom(inbox, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length));
	printf("  a name of %u bytes\n", from_length);
	show("connect to nobody", connect(sender, &nobody, sizeof nobody));
	show_name("getpeername", getpeername, sender);
	show("connect", connect(sender, (struct sockaddr *)&address, length));
	close(inbox);
	show("send to who has left", send(sender, "x", 1, 0));
	show("send to who has left", send(sender, "x", 1, 0));
	close(sender);
	unlink("inbox");
}

static void options(void)
{
	struct timeval short_time = {0, 50000}, wrong = {0, 2000000};
	int ends[2], on = 1;

	printf("-- options\n");
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
	show_option("SO_TYPE", ends[0], SO_TYPE);
	show_option("SO_DOMAIN", ends[0], SO_DOMAIN);
	show_option("SO_PROTOCOL", ends[0], SO_PROTOCOL);
	show_option("SO_ERROR", ends[0], SO_ERROR);
	show("SO_KEEPALIVE", setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
	show_option("SO_KEEPALIVE", ends[0], SO_KEEPALIVE);
	show("short option", setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, 3));
	show("unknown option", setsockopt(ends[0], SOL_SOCKET, 9999, &on, sizeof on));
	show("unknown level", setsockopt(ends[0], 9999, SO_KEEPALIVE, &on, sizeof on));
	show("SO_RCVTIMEO", setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time));
	show_received("receive with a timeout", ends[0], 1, 0);
	show("wrong SO_RCVTIMEO", setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
	send(ends[1], "unread", 6, 0);
	send(ends[0], "unread", 6, 0);
	close(ends[1]);
	show_option("SO_ERROR", ends[0], SO_ERROR);
	show_option("SO_ERROR", ends[0], SO_ERROR);
	show_received("receive", ends[0], 10, 0);
	close(ends[0]);
}

static void refused(void)
{
	struct sockaddr_un address;
	socklen_t length = name_of(&address, "file", 4);
	int one = socket(AF_UNIX, SOCK_STREAM, 0), ends[2];

	printf("-- refused\n");
	show("kind 4", socket(AF_UNIX, 4, 0));
	show("kind 11", socket(AF_UNIX, 11, 0));
	show("protocol", socket(AF_UNIX, SOCK_STREAM, 6));
	show("flags", socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
	show("family 99", socket(99, SOCK_STREAM, 0));
	show("pair of family 99", socketpair(99, SOCK_STREAM, 0, ends));
	show("send on a file", send(STDIN_FILENO, "x", 1, 0));
	show("send on nothing", send(99, "x", 1, 0));
	show("send unconnected", send(one, "x", 1, 0));
	show_received("receive unconnected", one, 1, 0);
	show_name("getpeername", getpeername, one);
	show_name("getsockname", getsockname, one);
	show("too short", bind(one, (struct sockaddr *)&address, 1));
	show("too long", bind(one, (struct sockaddr *)&address, 111));
	show("longer", bind(one, (struct sockaddr *)&address, 129));
	close(creat("file", 0644));
	show("bind to a file", bind(one, (struct sockaddr *)&address, length));
	show("connect to a file", connect(one, (struct sockaddr *)&address, length));
	unlink("file");
	show("connect to what is not there", connect(one, (struct sockaddr *)&address, length));
	show("accept", accept(one, NULL, NULL));
	show("accept4 with wrong flags", accept4(one, NULL, NULL, 1));
	close(one);
}

static void between_processes(void)
{
	int ends[2], status;
	char buffer[4096];
	long total = 0;
	ssize_t count;

	printf("-- between processes\n");
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	fflush(stdout);
	if (fork() == 0) {
		static char much[300000];
		close(ends[1]);
		memset(much, 'm', sizeof much);
		_exit(write(ends[0], much, sizeof much) == sizeof much ? 0 : 1);
	}
	close(ends[0]);
	while ((count = read(ends[1], buffer, sizeof buffer)) > 0)
		total += count;
	wait(&status);
	printf("%ld bytes came, status %d\n", total, WEXITSTATUS(status));
	close(ends[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	if (fork() == 0) {
		usleep(20000);
		if (write(ends[0], "all", 3) != 3)
			_exit(1);
		usleep(20000);
		_exit(write(ends[0], " of it", 6) == 6 ? 0 : 1);
	}
	close(ends[0]);
	show_received("MSG_WAITALL", ends[1], 9, MSG_WAITALL);
	show_received("the end", ends[1], 9, MSG_WAITALL);
	wait(&status);
	close(ends[1]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/tmp/sockets", 0755);
	if (chdir("/tmp/sockets") != 0)
		return 1;
	for (int i = 0; i < 3; i++)
		pairs(all_kinds[i]);
	for (int i = 0; i < 3; i++)
		broken(all_kinds[i]);
	for (int i = 0; i < 3; i++)
		rights(all_kinds[i]);
	named(SOCK_STREAM, "path", 4);
	named(SOCK_STREAM, "\0abstract", 9);
	named(SOCK_SEQPACKET, "path", 4);
	datagrams_by_name();
	options();
	refused();
	between_processes();
	return 0;
}
