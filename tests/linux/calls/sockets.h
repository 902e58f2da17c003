/* Calls on sockets: how many messages wait, connections are made and errors are kept. */

#define SOCKET_NAME "/tmp/calls.socket"

static const struct sockaddr_un address = {AF_UNIX, SOCKET_NAME};

static int new_socket(void)
{
	int made = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(made >= 0);
	return made;
}

static int listening(void)
{
	int made = new_socket();

	CHECK(bind(made, (const struct sockaddr *)&address, sizeof address) == 0 && listen(made, 4) == 0);
	return made;
}

static void end_listening(int made)
{
	CHECK(close(made) == 0 && unlink(SOCKET_NAME) == 0);
}

static void packets(int *ends)
{
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
}

/* One packet waits in a socket, with this text, and no second one. */
static void check_one_packet(const int *ends, const char *text, int turn)
{
	char bytes[16];

	CHECK(recv(ends[0], bytes, sizeof bytes, MSG_DONTWAIT) == 4 && memcmp(bytes, text, 4) == 0);
	CHECK(recv(ends[0], bytes, sizeof bytes, MSG_DONTWAIT) == -1 && errno == EAGAIN && turn >= 0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_socket(int turn)
{
	int next = lowest();

	check_made(CALL(socket, AF_UNIX, SOCK_STREAM, 0), next);
	CHECK(turn >= 0);
}

static void call_socketpair(int turn)
{
	int ends[2], next = lowest();

	CHECK(CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, ends) == 0 && turn >= 0);
	check_two(ends, next);
}

/* A socket has one name. */
static void call_bind(int turn)
{
	static const struct sockaddr_un other = {AF_UNIX, "/tmp/calls.other"};
	int made = new_socket();

	CHECK(CALL(bind, made, &address, sizeof address) == 0 && turn >= 0);
	CHECK(CALL(bind, made, &other, sizeof other) == -1 && errno == EINVAL && access(other.sun_path, F_OK) == -1);
	end_listening(made);
}

static void call_listen(int turn)
{
	int made = new_socket(), calling = new_socket();

	CHECK(bind(made, (const struct sockaddr *)&address, sizeof address) == 0);
	CHECK(CALL(listen, made, 4) == 0 && turn >= 0);
	CHECK(connect(calling, (const struct sockaddr *)&address, sizeof address) == 0 && close(calling) == 0);
	end_listening(made);
}

/* One connection waits to be accepted. */
static void call_connect(int turn)
{
	int made = listening(), calling = new_socket();

	CHECK(CALL(connect, calling, &address, sizeof address) == 0 && turn >= 0);
	int accepted = accept(made, NULL, NULL);
	CHECK(accepted >= 0 && fcntl(made, F_SETFL, O_NONBLOCK) == 0);
	CHECK(accept(made, NULL, NULL) == -1 && errno == EAGAIN);
	CHECK(close(accepted) == 0 && close(calling) == 0);
	end_listening(made);
}

/* Of two connections one is accepted, and the other one waits. */
static void check_accepted(long accepted, int next, int made, const int *calling)
{
	CHECK(accepted == next && lowest() == next + 1);
	CHECK(write(calling[0], "1st", 3) == 3 && waiting_in((int)accepted) == 3);
	int other = accept(made, NULL, NULL);
	CHECK(other == next + 1 && write(calling[1], "other", 5) == 5 && waiting_in(other) == 5);
	CHECK(close(other) == 0 && close((int)accepted) == 0 && close(calling[0]) == 0 && close(calling[1]) == 0);
	end_listening(made);
}

static int two_call(int *calling)
{
	int made = listening();

	for (int i = 0; i < 2; i++) {
		calling[i] = new_socket();
		CHECK(connect(calling[i], (const struct sockaddr *)&address, sizeof address) == 0);
	}
	return made;
}

static void call_accept(int turn)
{
	int calling[2], made = two_call(calling), next = lowest();

	check_accepted(CALL(accept, made, NULL, NULL), next, made, calling);
	CHECK(turn >= 0);
}

static void call_accept4(int turn)
{
	int calling[2], made = two_call(calling), next = lowest();

	check_accepted(CALL(accept4, made, NULL, NULL, SOCK_CLOEXEC), next, made, calling);
	CHECK(turn >= 0);
}

static void call_sendto(int turn)
{
	int ends[2];

	packets(ends);
	CHECK(CALL(sendto, ends[1], "once", 4, 0, NULL, 0) == 4);
	check_one_packet(ends, "once", turn);
}

static void call_sendmsg(int turn)
{
	struct iovec part = {"once", 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int ends[2];

	packets(ends);
	CHECK(CALL(sendmsg, ends[1], &message, 0) == 4);
	check_one_packet(ends, "once", turn);
}

static void call_recvfrom(int turn)
{
	char bytes[16];
	int ends[2];

	packets(ends);
	CHECK(send(ends[1], "1st.", 4, 0) == 4 && send(ends[1], "then", 4, 0) == 4);
	CHECK(CALL(recvfrom, ends[0], bytes, sizeof bytes, 0, NULL, NULL) == 4 && memcmp(bytes, "1st.", 4) == 0);
	check_one_packet(ends, "then", turn);
}

/* With a descriptor in the first message, which comes once. */
static void call_recvmsg(int turn)
{
	char bytes[16], control[2][CMSG_SPACE(sizeof(int))] = {{0}};
	struct iovec out = {"1st.", 4}, in = {bytes, sizeof bytes};
	struct msghdr sent = {.msg_iov = &out, .msg_iovlen = 1, .msg_control = control[0], .msg_controllen = sizeof control[0]};
	struct msghdr received = {.msg_iov = &in, .msg_iovlen = 1, .msg_control = control[1], .msg_controllen = sizeof control[1]};
	int ends[2], granted = 0;

	packets(ends);
	*CMSG_FIRSTHDR(&sent) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&sent)), &granted, sizeof granted);
	CHECK(sendmsg(ends[1], &sent, 0) == 4 && send(ends[1], "then", 4, 0) == 4);
	int next = lowest();
	CHECK(CALL(recvmsg, ends[0], &received, 0) == 4 && memcmp(bytes, "1st.", 4) == 0);
	memcpy(&granted, CMSG_DATA(CMSG_FIRSTHDR(&received)), sizeof granted);
	check_made(granted, next);
	check_one_packet(ends, "then", turn);
}

static void call_shutdown(int turn)
{
	char byte;
	int ends[2];

	packets(ends);
	CHECK(CALL(shutdown, ends[1], SHUT_WR) == 0 && recv(ends[0], &byte, 1, 0) == 0 && turn >= 0);
	CHECK(send(ends[0], "back", 4, 0) == 4 && recv(ends[1], &byte, 1, 0) == 1);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_setsockopt(int turn)
{
	int ends[2], is_on = 1, is_set = 0;
	socklen_t size = sizeof is_set;

	packets(ends);
	CHECK(CALL(setsockopt, ends[0], SOL_SOCKET, SO_PASSCRED, &is_on, sizeof is_on) == 0 && turn >= 0);
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &is_set, &size) == 0 && is_set == 1);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* Tells an error once: that of the other end, which was closed with something unread. */
static void call_getsockopt(int turn)
{
	int ends[2], error = 0;
	socklen_t size = sizeof error;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[0], "unread", 6) == 6 && close(ends[1]) == 0);
	CHECK(CALL(getsockopt, ends[0], SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNRESET && turn >= 0);
	CHECK(CALL(getsockopt, ends[0], SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
	CHECK(close(ends[0]) == 0);
}
