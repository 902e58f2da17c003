/* Messages, descriptors and sleepers of several processes, for servers to die under: tests/tests/restart.rs runs it with failpoints.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o survive survive.c
 * One process sends numbered packets, one with a descriptor; one sleeps in epoll_wait at the edge of each and prints what it received, so a packet that is lost or
 * comes twice shows; one sleeps in epoll_wait through everything until it is woken at the end; one waits for a timer.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PACKETS = 16, WITH_DESCRIPTOR = 7 };

static int watch(int descriptor, uint32_t events)
{
	struct epoll_event event = {.events = events};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
		exit(2);
	return epoll;
}

static ssize_t receive(int from, char *buffer, size_t size, int *descriptor)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = {buffer, size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t count = recvmsg(from, &message, MSG_DONTWAIT);

	if (count >= 0 && message.msg_controllen > 0)
		memcpy(descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof *descriptor);
	return count;
}

static void send_packet(int to, const char *text, int descriptor)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = "";
	struct iovec vector = {(void *)text, strlen(text)};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	struct cmsghdr *header = (struct cmsghdr *)control;

	if (descriptor >= 0) {
		*header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof descriptor)};
		memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
		message.msg_control = control;
		message.msg_controllen = sizeof control;
	}
	if (sendmsg(to, &message, 0) != (ssize_t)vector.iov_len)
		exit(3);
}

static void print_packets(int from)
{
	struct epoll_event event;
	int epoll = watch(from, EPOLLIN | EPOLLET);
	char packet[64];
	ssize_t count;

	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			exit(4);
		for (;;) {
			int descriptor = -1;
			if ((count = receive(from, packet, sizeof packet, &descriptor)) <= 0)
				break;
			printf("%.*s%s\n", (int)count, packet, descriptor >= 0 ? ", with a descriptor" : "");
			if (descriptor >= 0 && write(descriptor, "from the receiver", 17) != 17)
				exit(5);
		}
		if (count == 0) {
			printf("the end\n");
			exit(0);
		}
	}
}

static void sleep_through(int from)
{
	struct epoll_event event;
	int count = epoll_wait(watch(from, EPOLLIN), &event, 1, -1);
	char byte = '?';
	ssize_t bytes = read(from, &byte, 1);

	printf("woken by %d event, %zd byte: %c\n", count, bytes, byte);
	exit(0);
}

/* Reads the timer only when `over` has ended: until then all reads are the receiver's, and which of them is whose second does not depend on how fast the machine is. */
static void wait_for_timer(int over)
{
	struct itimerspec once = {.it_value = {1, 0}};
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct epoll_event event;
	uint64_t times = 0;
	char nothing;

	timerfd_settime(timer, 0, &once, NULL);
	int count = epoll_wait(watch(timer, EPOLLIN), &event, 1, -1);
	/* When it is over depends on how fast the machine is: the one who waits for it prints what came of it. */
	exit(count == 1 && read(over, &nothing, 1) == 0 && read(timer, &times, sizeof times) == sizeof times && times == 1 ? 0 : 6);
}

static void finish(const char *who, pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	printf("%s: status %d\n", who, WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status));
	fflush(stdout);
}

int main(void)
{
	int packets[2], alarm[2], wire[2], over[2];
	pid_t receiver, sleeper, timer;
	char text[64];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, alarm) != 0 || pipe(wire) != 0 ||
	    pipe(over) != 0)
		return 1;
	if ((receiver = fork()) == 0) {
		close(packets[0]);
		close(over[1]);
		print_packets(packets[1]);
	}
	close(packets[1]);
	if ((sleeper = fork()) == 0) {
		close(packets[0]);
		close(over[1]);
		sleep_through(alarm[1]);
	}
	if ((timer = fork()) == 0) {
		close(packets[0]);
		close(over[1]);
		wait_for_timer(over[0]);
	}
	usleep(200000);
	for (int i = 1; i <= PACKETS; i++) {
		snprintf(text, sizeof text, "packet %d", i);
		send_packet(packets[0], text, i == WITH_DESCRIPTOR ? wire[1] : -1);
		if (i % 5 == 0)
			usleep(20000);
	}
	close(packets[0]);
	close(wire[1]);
	finish("receiver", receiver);
	close(over[1]);
	printf("%.*s\n", (int)read(wire[0], text, sizeof text), text);
	fflush(stdout);
	finish("timer", timer);
	if (write(alarm[0], "!", 1) != 1)
		return 1;
	finish("sleeper", sleeper);
	return 0;
}
