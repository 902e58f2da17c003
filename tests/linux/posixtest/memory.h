/* Memory: mapping, protection, copy-on-write. A fault is caught and looked at. Included by posixtest.c. */

static sigjmp_buf after_fault;
static volatile sig_atomic_t fault_code;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_code = info->si_code;
	siglongjmp(after_fault, 1);
}

/* The si_code of the SIGSEGV that a store to `address` raises, or 0. */
static int fault_of_store(volatile char *address)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction before;

	fault_code = 0;
	CHECK(sigaction(SIGSEGV, &action, &before) == 0);
	if (sigsetjmp(after_fault, 1) == 0)
		*address = 1;
	CHECK(sigaction(SIGSEGV, &before, NULL) == 0);
	return fault_code;
}

static void anonymous_memory(void)
{
	size_t length = 64 * 4096;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	for (size_t i = 0; i < length; i += 4096)
		CHECK(memory[i] == 0);
	memset(memory, 7, length);
	CHECK(mprotect(memory, 4096, PROT_READ) == 0);
	CHECK(fault_of_store(memory) == SEGV_ACCERR);
	CHECK(mprotect(memory, 4096, PROT_READ | PROT_WRITE) == 0);
	CHECK(fault_of_store(memory) == 0 && memory[0] == 1);
	CHECK(munmap(memory + 4096, 4096) == 0);
	CHECK(fault_of_store(memory + 4096) == SEGV_MAPERR);
	CHECK(memory[8192] == 7);
	CHECK(munmap(memory, length) == 0);
	CHECK(fault_of_store(NULL) == SEGV_MAPERR);
}

static void memory_grows(void)
{
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	memory[8191] = 5;
	memory = mremap(memory, 8192, 1 << 20, MREMAP_MAYMOVE);
	CHECK(memory != MAP_FAILED && memory[8191] == 5 && memory[(1 << 20) - 1] == 0);
	CHECK(munmap(memory, 1 << 20) == 0);
	char *end = sbrk(0);
	CHECK(sbrk(1 << 16) == end);
	memset(end, 1, 1 << 16);
	CHECK(sbrk(-(1 << 16)) == end + (1 << 16));
}

static void fork_copies_memory(void)
{
	char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(private != MAP_FAILED && shared != MAP_FAILED);
	private[0] = shared[0] = 1;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		private[0] = shared[0] = 2;
		_exit(private[0]);
	}
	CHECK(WEXITSTATUS(status_of(child)) == 2);
	CHECK(private[0] == 1 && shared[0] == 2);
	CHECK(munmap(private, 4096) == 0 && munmap(shared, 4096) == 0);
}

static void mapped_file(void)
{
	char buffer[5] = "";
	int file = open("/tmp/posixtest.m", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(file >= 0 && unlink("/tmp/posixtest.m") == 0);
	CHECK(write(file, "data", 4) == 4);
	char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(copy != MAP_FAILED && memcmp(copy, "data\0", 5) == 0);
	copy[0] = 'D';
	CHECK(pread(file, buffer, 4, 0) == 4 && strcmp(buffer, "data") == 0);
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(shared != MAP_FAILED);
	shared[1] = 'A';
	CHECK(pread(file, buffer, 4, 0) == 4 && strcmp(buffer, "dAta") == 0);
	CHECK(munmap(copy, 4096) == 0 && munmap(shared, 4096) == 0);
	close(file);
}
