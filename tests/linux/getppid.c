/* The smallest Linux program that shows a system call's result: three times "getppid: N", no C library.
 *
 * Build: gcc -static -nostdlib -ffreestanding -fno-stack-protector -O2 -o getppid getppid.c
 */

enum { SYS_WRITE = 1, SYS_GETPPID = 110, SYS_EXIT_GROUP = 231, STDOUT = 1, ROUNDS = 3 };

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

/* Digits of `value` in front of `end`; where they start. */
static char *decimal(char *end, unsigned long value)
{
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	return end;
}

static int report(long value)
{
	static const char label[] = "getppid: ";
	char line[40];
	char *end = line + sizeof line;
	char *start = end;

	*--start = '\n';
	start = decimal(start, (unsigned long)value);
	for (int i = sizeof label - 2; i >= 0; i--)
		*--start = label[i];
	return call(SYS_WRITE, STDOUT, (long)start, end - start) == end - start;
}

void _start(void)
{
	int good = 1;

	for (int round = 0; round < ROUNDS; round++)
		good &= report(call(SYS_GETPPID, 0, 0, 0));
	call(SYS_EXIT_GROUP, good ? 0 : 1, 0, 0);
	__builtin_unreachable();
}
