/* Calls that change the map of memory. */

#define PLACE ((char *)0x200000000)

static void call_mmap(int turn)
{
	/* A second time there would be something already. */
	char *at = (char *)CALL(mmap, PLACE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0L);

	CHECK(at == PLACE);
	at[0] = at[PAGE] = (char)turn;
	CHECK(munmap(at, 2 * PAGE) == 0);
}

/* Two pages that can be written, with the turn in each. */
static void lay_out(int turn)
{
	CHECK(mmap(PLACE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == PLACE);
	PLACE[0] = PLACE[PAGE] = (char)turn;
}

/* Whether something is there. */
static int is_mapped(const char *at)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	int is_readable = write(ends[1], at, 1) == 1;
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	return is_readable;
}

static void call_mprotect(int turn)
{
	lay_out(turn);
	CHECK(CALL(mprotect, PLACE, PAGE, PROT_NONE) == 0 && !is_mapped(PLACE) && PLACE[PAGE] == turn);
	CHECK(CALL(mprotect, PLACE, PAGE, PROT_READ) == 0 && PLACE[0] == turn);
	CHECK(munmap(PLACE, 2 * PAGE) == 0);
}

static void call_munmap(int turn)
{
	lay_out(turn);
	CHECK(CALL(munmap, PLACE, PAGE) == 0 && !is_mapped(PLACE) && PLACE[PAGE] == turn);
	CHECK(CALL(munmap, PLACE + PAGE, PAGE) == 0);
}

static void call_brk(int turn)
{
	char *before = (char *)CALL(brk, 0);

	CHECK((char *)CALL(brk, before + 3 * PAGE) == before + 3 * PAGE);
	before[2 * PAGE] = (char)turn;
	CHECK(before[2 * PAGE] == turn && (char *)CALL(brk, before) == before);
}

static void call_mremap(int turn)
{
	lay_out(turn);
	/* From where there would be nothing a second time. */
	char *to = PLACE + 16 * PAGE;
	CHECK((char *)CALL(mremap, PLACE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(to[0] == turn && to[PAGE] == turn && to[2 * PAGE] == 0 && !is_mapped(PLACE));
	CHECK(munmap(to, 3 * PAGE) == 0);
}

static void call_madvise(int turn)
{
	lay_out(turn);
	CHECK(CALL(madvise, PLACE, PAGE, MADV_DONTNEED) == 0 && PLACE[0] == 0 && PLACE[PAGE] == turn);
	CHECK(munmap(PLACE, 2 * PAGE) == 0);
}
