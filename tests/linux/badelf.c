/* Programs that are none: what execve says of each, or how each ends.
 *
 * Build: gcc -static -O1 -Wall -Wextra -Werror -o badelf badelf.c
 * A right program of two segments, which exits with status 7, is cut short, and has each field of its headers replaced. One line for each group, with what
 * came of each: "exit N"; "refused" for an execve that says so and for one of which nothing is left but a signal, because systems look at a program in
 * different orders, and what Linux finds late it can only kill for; or an errno or signal that is neither.
 * `badelf exact` tells the two apart: "killed", or the errno.
 * `badelf fuzz SEED COUNT` makes random changes and says only that it ended: what counts there is that the system is still alive.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH "/tmp/badelf.program"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BASE = 0x400000, PAGE = 4096, DATA_OFFSET = PAGE, FILE_BYTES = PAGE + 64, STATUS = 7, SECONDS = 5 };

struct program {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	unsigned char code[32];
};

static union {
	struct program program;
	unsigned char bytes[FILE_BYTES];
} file;

/* mov DATA, %edi; mov (%rdi), %edi; mov $60, %eax; syscall */
static const unsigned char code[] = {0xbf, 0x00, 0x10, 0x40, 0x00, 0x8b, 0x3f, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05};

static void make_program(void)
{
	memset(&file, 0, sizeof file);
	file.program.header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = BASE + offsetof(struct program, code),
		.e_phoff = offsetof(struct program, segments), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	file.program.segments[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = BASE, .p_paddr = BASE, .p_filesz = sizeof(struct program),
		.p_memsz = sizeof(struct program), .p_align = PAGE,
	};
	file.program.segments[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = DATA_OFFSET, .p_vaddr = BASE + DATA_OFFSET, .p_paddr = BASE + DATA_OFFSET,
		.p_filesz = 64, .p_memsz = 3 * PAGE, .p_align = PAGE,
	};
	file.program.segments[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16};
	memcpy(file.program.code, code, sizeof code);
	file.bytes[DATA_OFFSET] = STATUS;
}

static void store(size_t length)
{
	int fd = open(PATH, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (fd < 0 || write(fd, file.bytes, length) != (ssize_t)length || close(fd) != 0) {
		printf("cannot store a program: %s\n", strerror(errno));
		exit(1);
	}
}

static int exact;

static int is_refusal(int error)
{
	return error == ENOEXEC || error == ENOMEM;
}

static int is_deadly(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGKILL;
}

/* Executes the first `length` bytes of the program. An exec that fails reports by a pipe, since any status may be the program's. */
static const char *outcome(size_t length)
{
	static char text[32];
	int ends[2], error = 0, status;

	store(length);
	if (pipe2(ends, O_CLOEXEC) != 0)
		exit(1);
	pid_t child = fork();
	if (child == 0) {
		char *const arguments[] = {"program", NULL};
		alarm(SECONDS);
		execve(PATH, arguments, arguments + 1);
		error = errno;
		_exit(write(ends[1], &error, sizeof error) != sizeof error);
	}
	close(ends[1]);
	if (child < 0 || waitpid(child, &status, 0) != child) {
		printf("cannot start a child: %s\n", strerror(errno));
		exit(1);
	}
	int failed = read(ends[0], &error, sizeof error) == sizeof error;
	int killed = !failed && WIFSIGNALED(status) && is_deadly(WTERMSIG(status));
	if (killed && exact)
		snprintf(text, sizeof text, "killed");
	else if (killed || (failed && is_refusal(error) && !exact))
		snprintf(text, sizeof text, "refused");
	else if (failed)
		snprintf(text, sizeof text, "%s", strerrorname_np(error));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	close(ends[0]);
	return text;
}

static void test_lengths(void)
{
	static const size_t lengths[] = {0, 1, 3, 4, 5, 16, 63, 64, 65, 119, 120, 175, 176, 231, 232, 240, 246, 256, 4095, 4096, 4097, FILE_BYTES};

	printf("cut to");
	for (size_t i = 0; i < COUNT(lengths); i++)
		printf("%s %zu %s", i ? "," : "", lengths[i], outcome(lengths[i]));
	printf("\n");
}

#define FIELD(type, name) {#name, offsetof(type, name), sizeof(((type *)0)->name)}

struct field {
	const char *name;
	size_t offset, size;
};

static const struct field header_fields[] = {
	FIELD(Elf64_Ehdr, e_ident[EI_MAG0]), FIELD(Elf64_Ehdr, e_type), FIELD(Elf64_Ehdr, e_machine),
	FIELD(Elf64_Ehdr, e_entry), FIELD(Elf64_Ehdr, e_phoff), FIELD(Elf64_Ehdr, e_shoff), FIELD(Elf64_Ehdr, e_phentsize), FIELD(Elf64_Ehdr, e_phnum),
};

static const struct field segment_fields[] = {
	FIELD(Elf64_Phdr, p_type), FIELD(Elf64_Phdr, p_flags), FIELD(Elf64_Phdr, p_offset), FIELD(Elf64_Phdr, p_vaddr), FIELD(Elf64_Phdr, p_filesz),
	FIELD(Elf64_Phdr, p_memsz), FIELD(Elf64_Phdr, p_align),
};

static const struct {
	const char *name;
	uint64_t value;
} values[] = {
	{"0", 0}, {"1", 1}, {"2", 2}, {"3", 3}, {"7", 7}, {"64", 64}, {"one page", PAGE}, {"two pages", 2 * PAGE}, {"2^31", 1ull << 31}, {"2^32-1", UINT32_MAX},
	{"2^46", 1ull << 46}, {"last page", 0x7fffffffe000}, {"kernel half", 0xffff800000000000}, {"2^63-1", INT64_MAX}, {"2^63", 1ull << 63},
	{"page below 2^64", -(uint64_t)PAGE}, {"all ones", UINT64_MAX},
};

/* Linux and SynOS differ there, and why that is right. */
static const struct {
	const char *field, *value, *reason;
} differences[] = {
	{"first p_memsz", "two pages", "Linux maps a segment over the end of another, which the wrong size makes of this one"},
	{"first p_memsz", "2^31", "likewise"},
	{"first p_memsz", "2^32-1", "likewise"},
	{"second p_flags", "1", "Linux 6.1 clears the rest of a page by the program's own means, which may not write; later ones map it"},
	{"second p_filesz", "two pages", "Linux maps pages that the file has not, and kills only who uses them"},
	{"second p_memsz", "2^31", "Linux refuses a segment for which it has too little memory, by default"},
	{"second p_memsz", "2^32-1", "likewise"},
	{"second p_memsz", "2^46", "likewise"},
};

static int is_excused(const char *field, const char *value)
{
	for (size_t i = 0; i < COUNT(differences); i++)
		if (strcmp(differences[i].field, field) == 0 && strcmp(differences[i].value, value) == 0)
			return 1;
	return 0;
}

static void test_field(const char *of, const struct field *field, size_t base)
{
	char name[64];

	snprintf(name, sizeof name, "%s%s", of, field->name);
	printf("%s:", name);
	for (size_t i = 0; i < COUNT(values); i++) {
		make_program();
		memcpy(file.bytes + base + field->offset, &values[i].value, field->size);
		const char *came = outcome(FILE_BYTES);
		printf("%s %s %s", i ? "," : "", values[i].name, is_excused(name, values[i].name) && !exact ? "differs" : came);
	}
	printf("\n");
}

static uint64_t random_state;

/* xorshift64*: the same on every machine. */
static uint64_t any(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

/* Up to four bytes of what a loader reads become others. */
static void random_change(uint64_t seed)
{
	random_state = seed * 2 + 1;
	make_program();
	for (uint64_t left = 1 + any() % 4; left > 0; left--)
		file.bytes[any() % offsetof(struct program, code)] = (unsigned char)(any() >> 32);
	outcome(any() % 8 ? FILE_BYTES : any() % FILE_BYTES);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "fuzz") == 0) {
		uint64_t seed = strtoul(argv[2], NULL, 0), count = strtoul(argv[3], NULL, 0);
		for (uint64_t i = 0; i < count; i++)
			random_change(seed * 1000003 + i);
		printf("fuzz %lu: %lu programs\n", seed, count);
		return 0;
	}
	exact = argc == 2 && strcmp(argv[1], "exact") == 0;
	make_program();
	test_lengths();
	for (size_t i = 0; i < COUNT(header_fields); i++)
		test_field("header ", &header_fields[i], 0);
	for (size_t i = 0; i < COUNT(segment_fields); i++) {
		test_field("first ", &segment_fields[i], offsetof(struct program, segments[0]));
		test_field("second ", &segment_fields[i], offsetof(struct program, segments[1]));
		test_field("stack ", &segment_fields[i], offsetof(struct program, segments[2]));
	}
	unlink(PATH);
	return 0;
}
