/* The vDSO, found as a C library finds it: by AT_SYSINFO_EHDR, its dynamic table, both hash tables and its versions.
 *
 * Build: gcc -static -O2 -o vdso vdso.c
 * Without argument: what it offers and whether it agrees with the calls, one line each, the same on every Linux.
 * `vdso count`: how many calls the system counted while a thousand of each were made (on a system that has /proc/synos/calls).
 * `vdso monotonic N`: reads both clocks around N writes to a pipe; the system may restart its servers meanwhile.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *base;
static const Elf64_Sym *symbols;
static const char *strings;
static const uint32_t *hash_table, *gnu_hash_table;
static const uint16_t *versions;
static const Elf64_Verdef *definitions;

static void open_object(int silent)
{
	const Elf64_Ehdr *header;
	const Elf64_Phdr *segments;
	const Elf64_Dyn *dynamic = NULL;

	base = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (base == NULL || memcmp(base, ELFMAG, SELFMAG) != 0) {
		puts("no vDSO");
		exit(1);
	}
	header = (const void *)base;
	segments = (const void *)(base + header->e_phoff);
	if (!silent)
		printf("type %d, machine %d, page aligned %d\n", header->e_type, header->e_machine, ((uintptr_t)base & 4095) == 0);
	for (int i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && !silent)
			printf("loaded at %d, readable and executable only: %d\n", (int)segments[i].p_vaddr, segments[i].p_flags == (PF_R | PF_X));
		if (segments[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + segments[i].p_offset);
	}
	uint64_t soname = 0;
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		const void *place = base + dynamic->d_un.d_ptr;
		switch (dynamic->d_tag) {
		case DT_SYMTAB: symbols = place; break;
		case DT_STRTAB: strings = place; break;
		case DT_HASH: hash_table = place; break;
		case DT_GNU_HASH: gnu_hash_table = place; break;
		case DT_VERSYM: versions = place; break;
		case DT_VERDEF: definitions = place; break;
		case DT_SONAME: soname = dynamic->d_un.d_val; break;
		}
	}
	if (!silent)
		printf("name %s\n", strings + soname);
}

static const char *version_of(uint32_t symbol)
{
	const Elf64_Verdef *definition = definitions;

	for (;;) {
		if (definition->vd_ndx == (versions[symbol] & 0x7fff)) {
			const Elf64_Verdaux *names = (const void *)((const char *)definition + definition->vd_aux);
			return strings + names->vda_name;
		}
		if (definition->vd_next == 0)
			return "none";
		definition = (const void *)((const char *)definition + definition->vd_next);
	}
}

static uint32_t find_by_hash(const char *name)
{
	uint32_t hash = 0;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		uint32_t high = hash & 0xf0000000;
		hash = (hash ^ high >> 24) & ~high;
	}
	for (uint32_t i = hash_table[2 + hash % hash_table[0]]; i != 0; i = hash_table[2 + hash_table[0] + i])
		if (strcmp(strings + symbols[i].st_name, name) == 0)
			return i;
	return 0;
}

static uint32_t find_by_gnu_hash(const char *name)
{
	uint32_t hash = 5381, buckets = gnu_hash_table[0], first = gnu_hash_table[1], words = gnu_hash_table[2], shift = gnu_hash_table[3];
	const uint64_t *bloom = (const void *)(gnu_hash_table + 4);
	const uint32_t *bucket = (const void *)(bloom + words), *chain = bucket + buckets;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	uint64_t word = bloom[hash / 64 % words];
	if (!(word >> hash % 64 & 1) || !(word >> (hash >> shift) % 64 & 1) || bucket[hash % buckets] == 0)
		return 0;
	for (uint32_t i = bucket[hash % buckets];; i++) {
		uint32_t found = chain[i - first];
		if ((found | 1) == (hash | 1) && strcmp(strings + symbols[i].st_name, name) == 0)
			return i;
		if (found & 1)
			return 0;
	}
}

static void *look_up(const char *name)
{
	uint32_t symbol = find_by_gnu_hash(name);

	if (symbol == 0 || find_by_hash(name) != symbol) {
		printf("%s: not in both hash tables\n", name);
		exit(1);
	}
	return (void *)(base + symbols[symbol].st_value);
}

static void show(const char *name)
{
	uint32_t symbol = find_by_gnu_hash(name);

	look_up(name);
	printf("%s@%s: function %d, %s\n", name, version_of(symbol), ELF64_ST_TYPE(symbols[symbol].st_info) == STT_FUNC,
	       ELF64_ST_BIND(symbols[symbol].st_info) == STB_WEAK ? "weak" : "global");
}

static int (*fast_gettime)(clockid_t, struct timespec *);
static int (*fast_getres)(clockid_t, struct timespec *);
static int (*fast_gettimeofday)(struct timeval *, void *);
static time_t (*fast_time)(time_t *);
static int (*fast_getcpu)(unsigned *, unsigned *, void *);

static long long ns_of(struct timespec time)
{
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long fast(clockid_t clock)
{
	struct timespec time;

	return fast_gettime(clock, &time) == 0 ? ns_of(time) : -1;
}

static long long slow(clockid_t clock)
{
	struct timespec time;

	return syscall(SYS_clock_gettime, clock, &time) == 0 ? ns_of(time) : -1;
}

static void clocks_agree(void)
{
	static const struct { clockid_t clock; const char *name; } clocks[] = {
		{CLOCK_REALTIME, "realtime"}, {CLOCK_MONOTONIC, "monotonic"}, {CLOCK_MONOTONIC_RAW, "raw"}, {CLOCK_BOOTTIME, "boottime"},
		{CLOCK_TAI, "tai"}, {CLOCK_REALTIME_COARSE, "coarse realtime"}, {CLOCK_MONOTONIC_COARSE, "coarse monotonic"},
	};

	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		int agrees = 1;
		for (int round = 0; round < 200; round++) {
			long long before = slow(clocks[i].clock), between = fast(clocks[i].clock), after = slow(clocks[i].clock);
			agrees &= before > 0 && before <= between && between <= after;
		}
		printf("%s: the call and the vDSO show one clock: %d\n", clocks[i].name, agrees);
	}
	struct timeval day;
	long long before = slow(CLOCK_REALTIME) / 1000;
	int done = fast_gettimeofday(&day, NULL);
	long long shown = day.tv_sec * 1000000LL + day.tv_usec;
	printf("gettimeofday: %d, in between: %d\n", done, before <= shown && shown <= slow(CLOCK_REALTIME) / 1000);
	time_t kept = 0, told = fast_time(&kept);
	printf("time: %d %d\n", told == kept, told - slow(CLOCK_REALTIME_COARSE) / 1000000000LL <= 1);
	struct timezone zone = {1, 1};
	done = fast_gettimeofday(NULL, &zone);
	printf("gettimeofday of the zone alone: %d, %d %d\n", done, zone.tz_minuteswest, zone.tz_dsttime);
	struct timespec resolution;
	for (clockid_t clock = 0; clock < 2; clock++) {
		done = fast_getres(clock, &resolution);
		printf("resolution: %d, %lld ns\n", done, ns_of(resolution));
	}
	printf("resolution to nowhere: %d, of no clock: %d\n", fast_getres(1, NULL), fast_getres(99, &resolution));
	printf("no clock: %d, process time: %d\n", fast_gettime(99, &resolution), fast_gettime(CLOCK_PROCESS_CPUTIME_ID, &resolution));
	unsigned processor[2] = {77, 77}, called[2] = {78, 78}, earlier;
	/* Whoever is moved in between is asked again. */
	do {
		syscall(SYS_getcpu, &earlier, NULL, NULL);
		done = fast_getcpu(&processor[0], &processor[1], NULL);
		syscall(SYS_getcpu, &called[0], &called[1], NULL);
	} while (earlier != called[0]);
	printf("getcpu: %d, as the call: %d %d, of nothing: %d\n", done, processor[0] == called[0], processor[1] == called[1], fast_getcpu(NULL, NULL, NULL));
}

static void places(void)
{
	char line[512], wanted[64];
	unsigned long start, end, vvar = 0;
	char protection[5];
	FILE *maps = fopen("/proc/self/maps", "r");

	snprintf(wanted, sizeof wanted, "%lx-", (unsigned long)base);
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, protection) != 3)
			continue;
		if (strstr(line, "[vvar]")) {
			vvar = start;
			printf("[vvar] %s\n", protection);
		}
		if (strstr(line, "[vdso]"))
			printf("[vdso] %s, at its address: %d\n", protection, strncmp(line, wanted, strlen(wanted)) == 0);
	}
	fclose(maps);
	errno = 0;
	int refused = mprotect((void *)vvar, 4096, PROT_READ | PROT_WRITE);
	printf("making [vvar] writable: %d %s\n", refused, strerror(errno));
}

static void forked(void)
{
	int ends[2];
	long long before = fast(CLOCK_MONOTONIC), inside = 0;

	if (pipe(ends) != 0)
		exit(1);
	fflush(stdout);
	if (fork() == 0) {
		inside = fast(CLOCK_MONOTONIC);
		_exit(write(ends[1], &inside, sizeof inside) == sizeof inside ? 0 : 1);
	}
	if (read(ends[0], &inside, sizeof inside) != sizeof inside || wait(NULL) < 0)
		exit(1);
	printf("over a fork: %d\n", before <= inside && inside <= fast(CLOCK_MONOTONIC));
}

static void start(void)
{
	fast_gettime = look_up("__vdso_clock_gettime");
	fast_getres = look_up("__vdso_clock_getres");
	fast_gettimeofday = look_up("__vdso_gettimeofday");
	fast_time = look_up("__vdso_time");
	fast_getcpu = look_up("__vdso_getcpu");
}

static long long counted(int number)
{
	FILE *calls = fopen("/proc/synos/calls", "r");
	int found;
	long long count, sum = 0;

	while (calls && fscanf(calls, "%d %lld", &found, &count) == 2)
		if (found == number)
			sum = count;
	if (calls)
		fclose(calls);
	return sum;
}

static void count(void)
{
	static const struct { int number; const char *name; } calls[] = {
		{SYS_clock_gettime, "clock_gettime"}, {SYS_gettimeofday, "gettimeofday"}, {SYS_time, "time"}, {SYS_clock_getres, "clock_getres"},
		{SYS_getcpu, "getcpu"},
	};
	long long before[5];
	struct timespec time_of_clock;
	struct timeval day;
	unsigned processor;

	for (int i = 0; i < 5; i++)
		before[i] = counted(calls[i].number);
	for (int i = 0; i < 1000; i++) {
		/* As programs do it: the C library has looked it up. */
		clock_gettime(CLOCK_MONOTONIC, &time_of_clock);
		clock_gettime(CLOCK_REALTIME, &time_of_clock);
		fast_gettimeofday(&day, NULL);
		fast_time(NULL);
		fast_getres(CLOCK_MONOTONIC, &time_of_clock);
		fast_getcpu(&processor, NULL, NULL);
	}
	for (int i = 0; i < 5; i++)
		printf("%s %lld\n", calls[i].name, counted(calls[i].number) - before[i]);
	slow(CLOCK_MONOTONIC);
	printf("one call %lld\n", counted(SYS_clock_gettime) - before[0]);
}

static void monotonic(int rounds)
{
	int ends[2], backwards = 0;
	char byte = 0;

	if (pipe(ends) != 0)
		exit(1);
	long long last = fast(CLOCK_MONOTONIC);
	for (int i = 0; i < rounds; i++) {
		long long now[4] = {slow(CLOCK_MONOTONIC), 0, 0, 0};
		now[1] = fast(CLOCK_MONOTONIC);
		if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
			exit(1);
		now[2] = fast(CLOCK_MONOTONIC);
		now[3] = slow(CLOCK_MONOTONIC);
		for (int k = 0; k < 4; k++) {
			backwards += now[k] < last;
			last = now[k];
		}
	}
	printf("%d rounds, backwards %d\n", rounds, backwards);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "after") == 0) {
		open_object(1);
		start();
		printf("over an exec: %d\n", atoll(argv[2]) <= fast(CLOCK_MONOTONIC));
		return 0;
	}
	open_object(argc > 1);
	start();
	if (argc > 1 && strcmp(argv[1], "count") == 0) {
		count();
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "monotonic") == 0) {
		monotonic(atoi(argv[2]));
		return 0;
	}
	static const char *const names[] = {"clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char full[64];
		snprintf(full, sizeof full, "__vdso_%s", names[i]);
		show(full);
		show(names[i]);
	}
	printf("unknown: %u %u\n", find_by_hash("__vdso_nothing"), find_by_gnu_hash("__vdso_nothing"));
	clocks_agree();
	places();
	forked();
	char now[32];
	snprintf(now, sizeof now, "%lld", fast(CLOCK_MONOTONIC));
	execl("/proc/self/exe", "vdso", "after", now, (char *)NULL);
	return 1;
}
