/* Bad values, and the kinds of arguments that they are bad for. Included by badargs.c. */

#define FOR(kind) (1u << (kind))

enum {
	STRINGS = FOR(PATH),
	READS = FOR(PATH) | FOR(INPUT) | FOR(BOTH),
	WRITES = FOR(OUTPUT) | FOR(BOTH),
	POINTERS = FOR(PATH) | FOR(INPUT) | FOR(OUTPUT) | FOR(BOTH),
	ADDRESSES = POINTERS | FOR(ADDRESS),
	AMOUNTS = FOR(LENGTH) | FOR(SIZE),
	DESCRIPTORS = FOR(DESCRIPTOR) | FOR(DIRECTORY),
	INTEGERS = DESCRIPTORS | FOR(SIGNAL) | FOR(PROCESS) | FOR(VALUE),
	NUMBERS = INTEGERS | FOR(FLAGS) | FOR(LONG),
};

static const struct bad_value {
	const char *name;
	unsigned kinds;
	u64 value;
	int added; /* to the right argument, instead of in its place */
} bad_values[] = {
	{"null", ADDRESSES, 0, 0},
	{"first page", ADDRESSES, 8, 0},
	{"wild", ADDRESSES, 0x5a5a5a5a0000, 0},
	{"last page", ADDRESSES, 0x7fffffffe000, 0},
	{"end of user half", ADDRESSES, 0x7fffffffffff, 0},
	{"beyond 2^47", POINTERS, 0x0000800000000000, 0},
	{"non-canonical", ADDRESSES, 0x0100000000000000, 0},
	{"middle of the hole", ADDRESSES, 0x1234567812345678, 0},
	{"kernel half", ADDRESSES, 0xffff800000001000, 0},
	{"kernel image", ADDRESSES, 0xffffffff81000000, 0},
	{"last byte", ADDRESSES, ~(u64)0, 0},
	{"closed page", POINTERS, CLOSED, 0},
	{"read-only page", WRITES, READ_ONLY, 0},
	{"straddling", POINTERS, LAST + PAGE - 1, 0},
	{"unaligned", FOR(ADDRESS) | FOR(BOTH), SPACE + 1, 0},
	{"zero", AMOUNTS, 0, 0},
	{"one", AMOUNTS, 1, 0},
	{"2^31", AMOUNTS, 0x80000000, 0},
	{"2^32", AMOUNTS, 0x100000000, 0},
	{"2^47", FOR(SIZE), 0x800000000000, 0},
	{"2^57", AMOUNTS, 0x200000000000000, 0},
	{"largest signed", AMOUNTS | FOR(LONG), INT64_MAX, 0},
	{"smallest signed", AMOUNTS | FOR(LONG), (u64)INT64_MIN, 0},
	{"sum is 0", AMOUNTS, -(u64)SPACE, 0},
	{"page below 2^64", AMOUNTS, -(u64)PAGE, 0},
	{"-1", AMOUNTS | NUMBERS, ~(u64)0, 0},
	{"not open", DESCRIPTORS, NOT_OPEN, 0},
	{"smallest int", INTEGERS, 0x80000000, 0},
	{"largest int", INTEGERS, INT32_MAX, 0},
	{"a file", FOR(DIRECTORY), FILE_FD, 0},
	{"65", FOR(SIGNAL), 65, 0},
	{"upper half set", NUMBERS, 0x12345678ull << 32, 1},
};
