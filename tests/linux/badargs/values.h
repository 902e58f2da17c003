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
};

static const struct bad_value {
	const char *name;
	unsigned kinds;
	u64 value;
} bad_values[] = {
	{"null", ADDRESSES, 0},
	{"first page", ADDRESSES, 8},
	{"wild", ADDRESSES, 0x5a5a5a5a0000},
	{"last page", ADDRESSES, 0x7fffffffe000},
	{"end of user half", ADDRESSES, 0x7fffffffffff},
	{"non-canonical", ADDRESSES, 0x0000800000000000},
	{"middle of the hole", ADDRESSES, 0x1234567812345678},
	{"kernel half", ADDRESSES, 0xffff800000001000},
	{"kernel image", ADDRESSES, 0xffffffff81000000},
	{"last byte", ADDRESSES, ~(u64)0},
	{"closed page", POINTERS, CLOSED},
	{"read-only page", WRITES, READ_ONLY},
	{"straddling", POINTERS, LAST + PAGE - 1},
	{"unaligned", FOR(ADDRESS) | FOR(BOTH), SPACE + 1},
	{"zero", AMOUNTS, 0},
	{"one", AMOUNTS, 1},
	{"2^31", AMOUNTS, 0x80000000},
	{"2^32", AMOUNTS, 0x100000000},
	{"user half", AMOUNTS, 0x800000000000},
	{"largest signed", AMOUNTS, INT64_MAX},
	{"smallest signed", AMOUNTS, (u64)INT64_MIN},
	{"sum is 0", AMOUNTS, -(u64)SPACE},
	{"page below 2^64", AMOUNTS, -(u64)PAGE},
	{"-1", AMOUNTS | DESCRIPTORS | FOR(SIGNAL), ~(u64)0},
	{"not open", DESCRIPTORS, NOT_OPEN},
	{"smallest int", DESCRIPTORS | FOR(SIGNAL), 0x80000000},
	{"largest int", DESCRIPTORS | FOR(SIGNAL), INT32_MAX},
	{"a file", FOR(DIRECTORY), FILE_FD},
	{"65", FOR(SIGNAL), 65},
};
