/* What the right arguments refer to: memory at fixed addresses, descriptors with fixed numbers, files with fixed names. Included by badargs.c. */

#define FOLDER "/tmp/badargs"
#define EXECUTED "executed"

/* Regions, each followed by nothing for a while, and far from where a system puts anything. */
enum {
	ZEROS = 0x100000000000,	/* two pages of zeros: input that is right for most */
	SPACE = 0x100000010000,	/* two pages to write to */
	SPACE_2 = 0x100000020000,
	SPACE_3 = 0x100000030000,
	DATA = 0x100000040000,	/* structures with something in them */
	LAST = 0x100000050000,	/* a page of the letter a */
	READ_ONLY = 0x100000060000,	/* a page that cannot be written */
	CLOSED = 0x100000070000,	/* a page that cannot be used */
	FREE = 0x200000000000,	/* nothing */
	PAGE = 4096,
};

/* Descriptors. */
enum {
	FILE_FD = 10, FOLDER_FD = 11, PIPE_READ = 12, PIPE_WRITE = 13,
	SOCKET_FD = 14,	/* one end of a pair, with bytes to receive */
	OTHER_FD = 15,	/* its other end */
	EPOLL_FD = 16,	/* watches the pipe, which can be read */
	TIMER_FD = 17, SIGNAL_FD = 18,
	PROCESS_FD = 19,	/* the process itself */
	LISTEN_FD = 20,	/* a listener, with somebody who waits */
	CLIENT_FD = 31,	/* a socket without a name or another end */
	NOT_OPEN = 9999
};

/* What a call needs besides. */
enum { CHILD = 1, BLOCKS = 2, ONLY_AS_IS = 4, SOCKETS = 8 };

/* Structures of DATA, which are the same for all calls. */
static struct data {
	char file[16], folder[16], link[16], new[16], self[16], name[16];
	struct iovec vector[1], vector_wild[2], vector_kernel[1], vector_huge[1], vector_sum[2];
	u64 arguments[2], arguments_wild[3], arguments_kernel[2], arguments_endless[PAGE / 8];
	struct timespec negative_seconds, many_nanoseconds, endless, moment;
	struct timeval many_microseconds;
	stack_t no_stack, kernel_stack;
	siginfo_t queued;
	struct sigevent event_signal;
	struct clone_args clone, clone_wild;
	u64 signals[2], signals_wild[2];
	u64 ones, far;
	struct flock lock;
	struct pollfd polls[1];
	struct rlimit limit, limit_crossed;
	struct sockaddr_un address, unused_address;
	socklen_t address_length;
	struct msghdr message, message_wild, message_kernel, message_many, message_control;
	struct epoll_event event;
} *const data = (struct data *)DATA;

#define AT(member) (DATA + __builtin_offsetof(struct data, member))

static void map(u64 address, size_t length, int protection)
{
	void *got = mmap((void *)address, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (got != (void *)address) {
		printf("cannot map: %s\n", strerror(errno));
		exit(1);
	}
}

static void make_memory(void)
{
	const u64 wild = 0x5a5a5a5a0000, kernel = 0xffff800000001000;

	for (u64 region = ZEROS; region <= DATA; region += SPACE - ZEROS)
		map(region, region == DATA ? 4 * PAGE : 2 * PAGE, PROT_READ | PROT_WRITE);
	map(LAST, PAGE, PROT_READ | PROT_WRITE);
	memset((void *)LAST, 'a', PAGE);
	map(READ_ONLY, PAGE, PROT_READ);
	map(CLOSED, PAGE, PROT_NONE);
	*data = (struct data){
		.file = "file", .folder = "folder", .link = "link", .new = "new", .self = "/proc/self/exe", .name = "name",
		.vector = {{(void *)SPACE, 16}},
		.vector_wild = {{(void *)SPACE, 16}, {(void *)wild, 16}},
		.vector_kernel = {{(void *)kernel, 16}},
		.vector_huge = {{(void *)SPACE, (size_t)1 << 63}},
		.vector_sum = {{(void *)SPACE, SIZE_MAX / 2}, {(void *)SPACE, SIZE_MAX / 2}},
		.arguments = {AT(name), 0}, .arguments_wild = {AT(name), wild, 0}, .arguments_kernel = {kernel, 0},
		.negative_seconds = {-1, 0}, .many_nanoseconds = {0, 1000000000}, .endless = {INT64_MAX, 0}, .moment = {2000000000, 0},
		.many_microseconds = {0, 1000000},
		.no_stack = {NULL, SS_DISABLE, 0}, .kernel_stack = {(void *)kernel, 0, 1 << 16},
		.queued = {.si_code = SI_QUEUE},
		.event_signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1},
		.clone = {.exit_signal = SIGCHLD}, .clone_wild = {.flags = CLONE_PARENT_SETTID, .parent_tid = wild, .exit_signal = SIGCHLD},
		.signals = {ZEROS, 8}, .signals_wild = {wild, 8},
		.ones = ~(u64)0, .far = 4096,
		.lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET},
		.polls = {{.fd = FILE_FD, .events = POLLIN}},
		.limit = {256, 256}, .limit_crossed = {2, 1},
		.address = {.sun_family = AF_UNIX}, .unused_address = {.sun_family = AF_UNIX}, .address_length = sizeof(struct sockaddr_un),
		.message = {.msg_iov = (struct iovec *)AT(vector), .msg_iovlen = 1},
		.message_wild = {.msg_iov = (struct iovec *)AT(vector_wild), .msg_iovlen = 2},
		.message_kernel = {.msg_iov = (struct iovec *)AT(vector_kernel), .msg_iovlen = 1},
		.message_many = {.msg_iov = (struct iovec *)ZEROS, .msg_iovlen = 1025},
		.message_control = {.msg_iov = (struct iovec *)AT(vector), .msg_iovlen = 1, .msg_control = (void *)wild, .msg_controllen = 64},
		.event = {.events = EPOLLOUT},
	};
	strcpy(data->name, EXECUTED);
	for (size_t i = 0; i < COUNT(data->arguments_endless); i++)
		data->arguments_endless[i] = AT(name);
}

static void remove_world(void)
{
	const char *const names[] = {"file", "link", "new", "folder"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (unlink(names[i]) != 0)
			rmdir(names[i]);
}

static void open_as(const char *path, int flags, int number)
{
	int opened = open(path, flags, 0644);

	if (opened < 0 || dup2(opened, number) != number)
		_exit(255);
	close(opened);
}

static void keep(int descriptor, int number)
{
	if (descriptor < 0 || dup2(descriptor, number) != number)
		_exit(255);
	close(descriptor);
}

/* The length of the abstract names in data. */
#define NAME_BYTES (sizeof(sa_family_t) + 1 + 7)

static void make_sockets(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t none;
	int ends[2], client;

	/* Names of this process alone: one that a cloned child still has is no matter. */
	snprintf(data->address.sun_path + 1, 8, "%07d", getpid());
	snprintf(data->unused_address.sun_path + 1, 8, "x%06d", getpid());
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0 || write(ends[1], "bytes", 5) != 5)
		_exit(255);
	keep(ends[0], SOCKET_FD);
	keep(ends[1], OTHER_FD);
	keep(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), LISTEN_FD);
	keep(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), CLIENT_FD);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(LISTEN_FD, (struct sockaddr *)&data->address, NAME_BYTES) != 0 || listen(LISTEN_FD, 5) != 0
	    || connect(client, (struct sockaddr *)&data->address, NAME_BYTES) != 0)
		_exit(255);
	close(client);
	sigemptyset(&none);
	keep(signalfd(-1, &none, SFD_NONBLOCK), SIGNAL_FD);
	keep(syscall(SYS_pidfd_open, getpid(), 0), PROCESS_FD);
	keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), TIMER_FD);
	keep(epoll_create1(0), EPOLL_FD);
	if (epoll_ctl(EPOLL_FD, EPOLL_CTL_ADD, PIPE_READ, &event) != 0)
		_exit(255);
}

static void make_world(int needs)
{
	int ends[2];

	mkdir(FOLDER, 0755);
	if (chdir(FOLDER) != 0)
		_exit(255);
	remove_world();
	open_as("file", O_RDWR | O_CREAT, FILE_FD);
	if (write(FILE_FD, (void *)LAST, 256) != 256 || lseek(FILE_FD, 0, SEEK_SET) != 0)
		_exit(255);
	if (mkdir("folder", 0755) != 0 || symlink("file", "link") != 0 || pipe2(ends, O_NONBLOCK) != 0)
		_exit(255);
	open_as(".", O_RDONLY | O_DIRECTORY, FOLDER_FD);
	if (dup2(ends[0], PIPE_READ) != PIPE_READ || dup2(ends[1], PIPE_WRITE) != PIPE_WRITE || write(PIPE_WRITE, "bytes", 5) != 5)
		_exit(255);
	if (needs & SOCKETS)
		make_sockets();
	if (needs & CHILD && fork() == 0)
		_exit(0);
}
