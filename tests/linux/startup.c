/* What a program finds when it starts: arguments, environment and auxiliary vector in Linux's order, and what its own code made of its segments before main.
 *
 * Build: gcc -static-pie -fPIE -O1 -Wl,-z,relro,-z,now -o startup startup.c
 * Each line tells one thing; addresses show only as what they point at. Executed as `startup again ...`, or without environment, it tells what it was given.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
extern char _start[], __ehdr_start[];

/* In .data.rel.ro: relocated at the start, and read-only afterwards. */
static int one = 1, two = 2;
static int *const relocated[] = {&one, &two};

static __thread int initialised = 42;
static __thread char zeroed[100];
static __thread int aligned __attribute__((aligned(64))) = 7;

static int constructed;

__attribute__((constructor)) static void construct(void)
{
	constructed = initialised + two;
}

static int chosen_by_resolver(void)
{
	return 5;
}

static int (*resolve_choice(void))(void)
{
	return chosen_by_resolver;
}

/* An IRELATIVE relocation: whoever starts the program calls the resolver. */
static int choice(void) __attribute__((ifunc("resolve_choice")));

static const struct {
	unsigned long tag;
	const char *name;
} tags[] = {
	{AT_SYSINFO_EHDR, "SYSINFO_EHDR"}, {51, "MINSIGSTKSZ"}, {AT_HWCAP, "HWCAP"}, {AT_PAGESZ, "PAGESZ"}, {AT_CLKTCK, "CLKTCK"}, {AT_PHDR, "PHDR"},
	{AT_PHENT, "PHENT"}, {AT_PHNUM, "PHNUM"}, {AT_BASE, "BASE"}, {AT_FLAGS, "FLAGS"}, {AT_ENTRY, "ENTRY"}, {AT_UID, "UID"}, {AT_EUID, "EUID"},
	{AT_GID, "GID"}, {AT_EGID, "EGID"}, {AT_SECURE, "SECURE"}, {AT_RANDOM, "RANDOM"}, {AT_HWCAP2, "HWCAP2"}, {AT_EXECFN, "EXECFN"},
	{AT_PLATFORM, "PLATFORM"},
};

static void vector(void)
{
	char **end = environ;

	while (*end)
		end++;
	printf("vector:");
	for (const Elf64_auxv_t *entry = (void *)(end + 1); entry->a_type != AT_NULL; entry++) {
		const char *name = NULL;
		for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
			name = tags[i].tag == entry->a_type ? tags[i].name : name;
		if (name)
			printf(" %s", name);
		else
			printf(" %lu", entry->a_type);
	}
	printf("\n");
	/* Whether programs may set their segments' bases themselves (HWCAP2_FSGSBASE) is the system's choice. */
	printf("page %lu, ticks %lu, entries of %lu bytes, base %lu, flags %lu, secure %lu, hwcap2 %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
	       getauxval(AT_PHENT), getauxval(AT_BASE), getauxval(AT_FLAGS), getauxval(AT_SECURE), getauxval(AT_HWCAP2) & ~2ul);
	printf("platform %s, executed as %s\n", (const char *)getauxval(AT_PLATFORM), (const char *)getauxval(AT_EXECFN));
	const Elf64_Ehdr *header = (const void *)__ehdr_start;
	printf("headers %s, as many as the file says %s, entry %s, type %s\n",
	       getauxval(AT_PHDR) == (uintptr_t)__ehdr_start + header->e_phoff ? "are there" : "are elsewhere",
	       getauxval(AT_PHNUM) == header->e_phnum ? "yes" : "no", getauxval(AT_ENTRY) == (uintptr_t)_start ? "is its own" : "is another",
	       header->e_type == ET_DYN ? "relocatable" : "fixed");
	const unsigned char *random = (const void *)getauxval(AT_RANDOM);
	int sum = 0;
	for (int i = 0; i < 16; i++)
		sum |= random[i];
	printf("random %s, the stack's end %s\n", sum ? "is" : "is zeros", (const char *)getauxval(AT_EXECFN) > (const char *)random ? "has the name" : "has not");
	printf("stack %s\n", ((uintptr_t)(end + 1) & 7) == 0 ? "is aligned" : "is not aligned");
}

static sigjmp_buf back;

static void catch(int number)
{
	siglongjmp(back, number);
}

static const char *writes_to(volatile void *address)
{
	struct sigaction action = {.sa_handler = catch}, before;
	const char *came = "works";

	sigaction(SIGSEGV, &action, &before);
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)address = *(volatile char *)address;
	else
		came = "is refused";
	sigaction(SIGSEGV, &before, NULL);
	return came;
}

static void *another(void *result)
{
	*(int *)result = initialised == 42 && aligned == 7 && ((uintptr_t)&aligned & 63) == 0 && zeroed[99] == 0;
	initialised = 1;
	return NULL;
}

static void segments(void)
{
	pthread_t thread;
	int right = 0;

	printf("relocated %d %d, written to %s\n", *relocated[0], *relocated[1], writes_to((void *)relocated));
	printf("code %s, constants %s, data %s\n", writes_to((void *)segments), writes_to((void *)"constant"), writes_to(&one));
	printf("constructor %d, choice %d\n", constructed, choice());
	printf("of the thread %d %d, aligned %d\n", initialised, aligned, ((uintptr_t)&aligned & 63) == 0);
	pthread_create(&thread, NULL, another, &right);
	pthread_join(thread, NULL);
	printf("of another %s, and ours stays %d\n", right ? "right" : "wrong", initialised);
}

static void told(int argc, char **argv)
{
	printf("%d arguments:", argc);
	for (int i = 0; i < argc; i++)
		printf(" <%s>", argv[i]);
	printf("%s\nenvironment:", argv[argc] == NULL ? "" : " and more");
	for (char **entry = environ; *entry; entry++)
		printf(" <%s>", *entry);
	printf("\n");
}

int main(int argc, char **argv)
{
	if (*environ == NULL || (argc > 1 && strcmp(argv[1], "again") == 0)) {
		told(argc, argv);
		return 0;
	}
	vector();
	segments();
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		char *const arguments[] = {"", "again", "", "two words", "\t", NULL}, *const environment[] = {"A=", "B=1=2", "not a setting", "A=again", NULL};
		execve("/proc/self/exe", arguments, environment);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		execve("/proc/self/exe", NULL, NULL);
		printf("nothing at all: %s\n", strerrorname_np(errno));
		exit(0);
	}
	waitpid(child, NULL, 0);
	return 0;
}
