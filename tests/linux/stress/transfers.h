/* Words between processes and threads: pipes, files, shared memory behind a lock. */

/* A whole transfer, in pieces of any length. */
static size_t transfer(int to_write, int descriptor, char *bytes, size_t length)
{
	size_t done = 0;

	while (done < length) {
		size_t piece = 1 + draw(length - done);
		ssize_t count = to_write ? write(descriptor, bytes + done, piece) : read(descriptor, bytes + done, piece);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += count;
	}
	return done;
}

enum { BLOCK = 9000 };

/* A child sends numbered words, each comes once and in order. */
static void pipe_in_order(void)
{
	static uint32_t block[BLOCK];
	unsigned blocks = 1 + draw(8);
	int ends[2];
	pid_t child;

	MUST(pipe(ends) == 0);
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		close(ends[0]);
		for (uint32_t first = 0; first < blocks * BLOCK; first += BLOCK) {
			for (unsigned index = 0; index < BLOCK; index++)
				block[index] = first + index;
			SAME("bytes sent", transfer(1, ends[1], (char *)block, sizeof block), sizeof block);
		}
		_exit(0);
	}
	close(ends[1]);
	for (uint32_t first = 0; first < blocks * BLOCK; first += BLOCK) {
		SAME("bytes received", transfer(0, ends[0], (char *)block, sizeof block), sizeof block);
		for (unsigned index = 0; index < BLOCK; index++)
			if (block[index] != first + index) {
				SAME("word from a pipe", block[index], first + index);
				break;
			}
	}
	SAME("bytes after the end", read(ends[0], block, 1), 0);
	close(ends[0]);
	must_end(child, 0);
}

/* A file's bytes are the same by descriptor and by mapping, whichever wrote them. */
static void file_both_ways(void)
{
	enum { PAGES = 8 };
	char name[64], page[PAGE];
	uint32_t version = 0;
	char *mapped;
	int file;

	snprintf(name, sizeof name, "/tmp/stress.%d", getpid());
	file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(file >= 0 && ftruncate(file, PAGES * PAGE) == 0);
	mapped = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	MUST(mapped != MAP_FAILED);
	for (unsigned step = 0; step < 12; step++) {
		unsigned at = draw(PAGES);
		uint64_t value = pattern(worker + 1, at, ++version);

		memset(page, 0, PAGE);
		stamp(page, value);
		if (draw(2)) {
			memcpy(mapped + at * PAGE, page, PAGE);
			memset(page, 1, PAGE);
			MUST(pread(file, page, PAGE, at * PAGE) == PAGE);
			check(page, value, "page of a file");
		} else {
			MUST(pwrite(file, page, PAGE, at * PAGE) == PAGE);
			check(mapped + at * PAGE, value, "mapped page of a file");
		}
	}
	munmap(mapped, PAGES * PAGE);
	close(file);
	MUST(unlink(name) == 0);
}

static void *add_guarded(void *argument)
{
	for (unsigned times = *(unsigned *)argument; times > 0; times--) {
		uint64_t before;

		pthread_mutex_lock(&shared->lock);
		before = shared->guarded;
		if (times % 16 == 0)
			sched_yield();
		shared->guarded = before + 1;
		pthread_mutex_unlock(&shared->lock);
		atomic_fetch_add(&shared->expected, 1);
	}
	return NULL;
}

/* Threads of all workers add under one lock. */
static void guarded_counter(void)
{
	unsigned times = 100;
	pthread_t threads[3];

	for (unsigned index = 0; index < 3; index++)
		threads[index] = start(add_guarded, &times);
	for (unsigned index = 0; index < 3; index++)
		join(threads[index]);
}
