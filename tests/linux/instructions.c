/* What the processor keeps from programs: where the kernel's tables lie, its registers, its ports, its half of the address space; and code in data.
 *
 * Build: gcc -static -O1 -o instructions instructions.c
 * One line for each attempt. A program is "refused" by a signal; "hidden" is what a kernel answers in the processor's place, without telling anything of itself (Linux:
 * arch/x86/kernel/umip.c).
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf after_fault;

static void on_fault(int number)
{
	siglongjmp(after_fault, number);
}

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* Bases that Linux makes up, none of which is anybody's. */
static int is_made_up(uint64_t base)
{
	return base == 0xfffffffffffe0000 || base == 0xffffffffffff0000;
}

static int sgdt_tells(void)
{
	struct table table;

	__asm__ volatile("sgdt %0" : "=m"(table));
	return !is_made_up(table.base);
}

static int sidt_tells(void)
{
	struct table table;

	__asm__ volatile("sidt %0" : "=m"(table));
	return !is_made_up(table.base);
}

static int hlt_works(void)
{
	__asm__ volatile("hlt");
	return 1;
}

static int cli_works(void)
{
	__asm__ volatile("cli; sti");
	return 1;
}

static int cr0_tells(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return 1;
}

static int cr3_is_set(void)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(0UL));
	return 1;
}

static int rdmsr_tells(void)
{
	__asm__ volatile("rdmsr" : : "c"(0xc0000082) : "eax", "edx");
	return 1;
}

static int rdpmc_tells(void)
{
	__asm__ volatile("rdpmc" : : "c"(0) : "eax", "edx");
	return 1;
}

static int in_works(void)
{
	__asm__ volatile("inb $0x64, %%al" : : : "eax");
	return 1;
}

static int swapgs_works(void)
{
	__asm__ volatile("swapgs");
	return 1;
}

static int invlpg_works(void)
{
	__asm__ volatile("invlpg (%0)" : : "r"(0x400000UL));
	return 1;
}

static int lgdt_works(void)
{
	struct table table = {0, 0};

	__asm__ volatile("lgdt %0" : : "m"(table));
	return 1;
}

static const uint64_t kernel_half[] = {0xffff800000000000, 0xffff900000000000, 0xffffffff81000000, 0xffffffffff000000};
static uint64_t place;

static int kernel_is_read(void)
{
	return *(volatile char *)place | 1;
}

static int kernel_is_written(void)
{
	*(volatile char *)place = 0;
	return 1;
}

static int kernel_is_called(void)
{
	((void (*)(void))place)();
	return 1;
}

static int data_is_called(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = (char)0xc3;
	((void (*)(void))page)();
	return 1;
}

static int stack_is_called(void)
{
	volatile char code[16] = {(char)0xc3};

	((void (*)(void))code)();
	return 1;
}

static int code_is_written(void)
{
	*(volatile char *)code_is_written = 0;
	return 1;
}

static void attempt(const char *name, int (*run)(void))
{
	int number = sigsetjmp(after_fault, 1);

	if (number == 0)
		printf("%s: %s\n", name, run() ? "done" : "refused or hidden");
	else
		printf("%s: %s\n", name, run == sgdt_tells || run == sidt_tells ? "refused or hidden" : sigabbrev_np(number));
}

int main(void)
{
	static const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP};
	struct sigaction action = {.sa_handler = on_fault};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	attempt("sgdt", sgdt_tells);
	attempt("sidt", sidt_tells);
	attempt("lgdt", lgdt_works);
	attempt("hlt", hlt_works);
	attempt("cli", cli_works);
	attempt("read cr0", cr0_tells);
	attempt("set cr3", cr3_is_set);
	attempt("rdmsr", rdmsr_tells);
	attempt("rdpmc", rdpmc_tells);
	attempt("in", in_works);
	attempt("swapgs", swapgs_works);
	attempt("invlpg", invlpg_works);
	for (size_t i = 0; i < sizeof kernel_half / sizeof *kernel_half; i++) {
		place = kernel_half[i];
		attempt("kernel's half read", kernel_is_read);
		attempt("written", kernel_is_written);
		attempt("called", kernel_is_called);
	}
	attempt("data called", data_is_called);
	attempt("stack called", stack_is_called);
	attempt("code written", code_is_written);
	return 0;
}
