/* A process's own pages: each says whose it is and how often it was written. */

enum { OWN = 48 };

struct own {
	char *pages;
	uint32_t versions[OWN];
};

static uint64_t pattern(uint64_t owner, unsigned page, uint32_t version)
{
	return version == 0 ? 0 : owner << 48 | (uint64_t)page << 32 | version;
}

static void stamp(char *page, uint64_t value)
{
	uint64_t *words = (uint64_t *)page;

	for (unsigned index = 0; index < PAGE / 8; index += 73)
		words[index] = value;
}

static void check(const char *page, uint64_t value, const char *what)
{
	const uint64_t *words = (const uint64_t *)page;

	for (unsigned index = 0; index < PAGE / 8; index += 73)
		SAME(what, words[index], value);
}

static void check_all(const struct own *own, uint64_t owner, const char *what)
{
	for (unsigned page = 0; page < OWN; page++)
		check(own->pages + page * PAGE, pattern(owner, page, own->versions[page]), what);
}

static void write_some(struct own *own, uint64_t owner)
{
	for (unsigned index = draw(OWN); index > 0; index--) {
		unsigned page = draw(OWN);

		own->versions[page]++;
		stamp(own->pages + page * PAGE, pattern(owner, page, own->versions[page]));
	}
}

/* A new mapping in place of some pages, or their content given up: zeros. */
static void lose_some(struct own *own, int remap)
{
	unsigned first = draw(OWN), pages = 1 + draw(OWN - first);
	char *at = own->pages + first * PAGE;

	if (remap) {
		MUST(munmap(at, pages * PAGE) == 0);
		MUST(mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	} else
		MUST(madvise(at, pages * PAGE, MADV_DONTNEED) == 0);
	memset(own->versions + first, 0, pages * sizeof *own->versions);
}

static void move_all(struct own *own)
{
	char *place = map_pages(OWN, MAP_PRIVATE);

	own->pages = mremap(own->pages, OWN * PAGE, OWN * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	MUST(own->pages == place);
}

static void protect_some(struct own *own)
{
	unsigned first = draw(OWN), pages = 1 + draw(OWN - first);
	char *at = own->pages + first * PAGE;

	MUST(mprotect(at, pages * PAGE, PROT_READ) == 0);
	check_all(own, worker + 1, "read-only page");
	MUST(mprotect(at, pages * PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* Parent and child write the same pages at the same time; neither sees the other's. */
static void copy_all(struct own *own)
{
	pid_t child = fork();

	MUST(child >= 0);
	if (child == 0) {
		check_all(own, worker + 1, "inherited page");
		memset(own->versions, 0, sizeof own->versions);
		for (unsigned page = 0; page < OWN; page++)
			stamp(own->pages + page * PAGE, pattern(worker + 101, page, ++own->versions[page]));
		check_all(own, worker + 101, "child's page");
		_exit(0);
	}
	write_some(own, worker + 1);
	check_all(own, worker + 1, "parent's page");
	must_end(child, 0);
}

static void own_pages(void)
{
	struct own own = {.pages = map_pages(OWN, MAP_PRIVATE)};

	for (unsigned step = 0; step < 20; step++) {
		write_some(&own, worker + 1);
		switch (draw(6)) {
		case 0: lose_some(&own, 1); break;
		case 1: lose_some(&own, 0); break;
		case 2: move_all(&own); break;
		case 3: protect_some(&own); break;
		case 4: copy_all(&own); break;
		default: break;
		}
		check_all(&own, worker + 1, "page");
	}
	MUST(munmap(own.pages, OWN * PAGE) == 0);
}
