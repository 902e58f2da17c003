/* A thread writes what another one copies, unmaps, moves or protects meanwhile. */

/* Set where a fault is expected. */
static _Thread_local sigjmp_buf *fault_place;

static void on_fault(int number)
{
	if (fault_place == NULL) {
		wrong(__FILE_NAME__, __LINE__, "unexpected fault", number, 0);
		_exit(97);
	}
	siglongjmp(*fault_place, 1);
}

/* Two words far from each other, of which the first is written first, and where the writer is. */
struct writer {
	volatile uint64_t *first, *second;
	atomic_uint_fast64_t began, done;
	atomic_int stop, faulted;
};

static void *write_up(void *argument)
{
	struct writer *writer = argument;
	sigjmp_buf place;

	fault_place = &place;
	if (sigsetjmp(place, 1) != 0) {
		atomic_store(&writer->faulted, 1);
		return NULL;
	}
	for (uint64_t number = 1; !atomic_load(&writer->stop); number++) {
		atomic_store(&writer->began, number);
		*writer->first = number;
		*writer->second = number;
		atomic_store(&writer->done, number);
	}
	return NULL;
}

/* Waits until the writer is in full swing: its pages are there and its processor knows them. */
static void wait_for(struct writer *writer)
{
	uint64_t from = atomic_load(&writer->done);

	while (atomic_load(&writer->done) < from + 20)
		sched_yield();
}

/* What a child sees is one moment: never the later word newer than the earlier one, and nothing moves afterwards. */
static void fork_while_written(void)
{
	char *pages = map_pages(1200, MAP_PRIVATE);
	struct writer writer = {.first = (uint64_t *)(pages + draw(600) * PAGE), .second = (uint64_t *)(pages + (600 + draw(600)) * PAGE)};
	pthread_t thread;

	if (draw(2)) {
		volatile uint64_t *swap = writer.first;
		writer.first = writer.second;
		writer.second = swap;
	}
	thread = start(write_up, &writer);
	for (unsigned index = 0; index < 4; index++) {
		pid_t child;

		wait_for(&writer);
		child = fork();
		MUST(child >= 0);
		if (child == 0) {
			uint64_t second = *writer.second, first = *writer.first;

			if (first != second)
				SAME("words of one moment", first, second + 1);
			for (unsigned turn = 0; turn < 1000; turn++)
				if (*writer.first != first || *writer.second != second)
					SAME("word that nobody here writes", *writer.first, first);
			_exit(0);
		}
		must_end(child, 0);
	}
	atomic_store(&writer.stop, 1);
	join(thread);
	SAME("last word", *writer.second, atomic_load(&writer.done));
	munmap(pages, 1200 * PAGE);
}

/* Frames of an unmapped page belong to somebody else at once: no write comes after. */
static void unmap_under_writer(void)
{
	for (unsigned turn = 0; turn < 4; turn++) {
		char *page = map_pages(2, MAP_PRIVATE), *others[8];
		struct writer writer = {.first = (uint64_t *)page, .second = (uint64_t *)(page + PAGE)};
		pthread_t thread = start(write_up, &writer);

		wait_for(&writer);
		/* The place stays taken, so that nothing else is mapped there under the writer. */
		if (draw(2))
			MUST(mmap(page, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
		else
			MUST(mprotect(page, 2 * PAGE, PROT_NONE) == 0 && madvise(page, 2 * PAGE, MADV_DONTNEED) == 0);
		for (unsigned index = 0; index < 8; index++) {
			others[index] = map_pages(1, MAP_PRIVATE);
			stamp(others[index], ~0ULL);
		}
		join(thread);
		SAME("writer's fault", atomic_load(&writer.faulted), 1);
		for (unsigned index = 0; index < 8; index++) {
			check(others[index], ~0ULL, "page of a new owner");
			munmap(others[index], PAGE);
		}
		munmap(page, 2 * PAGE);
	}
}

/* A write that was done is there after the move. */
static void move_under_writer(void)
{
	char *from = map_pages(2, MAP_PRIVATE), *to = map_pages(2, MAP_PRIVATE);
	struct writer writer = {.first = (uint64_t *)from, .second = (uint64_t *)(from + PAGE)};
	pthread_t thread = start(write_up, &writer);

	wait_for(&writer);
	MUST(mremap(from, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	join(thread);
	SAME("writer's fault", atomic_load(&writer.faulted), 1);
	if (*(uint64_t *)(to + PAGE) != atomic_load(&writer.done))
		SAME("word that was written before the move", *(uint64_t *)(to + PAGE), atomic_load(&writer.began));
	if (*(uint64_t *)to != atomic_load(&writer.done))
		SAME("first word that was written before the move", *(uint64_t *)to, atomic_load(&writer.began));
	munmap(to, 2 * PAGE);
}

/* Nothing is written any more when mprotect has returned, and nothing that was written is lost. */
static void protect_under_writer(void)
{
	char *pages = map_pages(2, draw(2) ? MAP_PRIVATE : MAP_SHARED);
	struct writer writer = {.first = (uint64_t *)pages, .second = (uint64_t *)(pages + PAGE)};
	pthread_t thread = start(write_up, &writer);
	uint64_t first, second;

	wait_for(&writer);
	MUST(mprotect(pages, 2 * PAGE, PROT_READ) == 0);
	first = *writer.first;
	second = *writer.second;
	join(thread);
	SAME("writer's fault", atomic_load(&writer.faulted), 1);
	SAME("word after mprotect", *writer.first, first);
	SAME("second word after mprotect", *writer.second, second);
	if (second != atomic_load(&writer.done))
		SAME("word that was written", second, atomic_load(&writer.began));
	munmap(pages, 2 * PAGE);
}
