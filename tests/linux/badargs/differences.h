/* Where Linux and SynOS differ, and why that is right. The values are tried all the same: a signal is never excused. Included by badargs.c. */

enum { AS_IS = -1, ALL = -2 };

/* NULL stands for all variants, all bad values. */
static const struct difference {
	int number;
	const char *variant;
	int argument;
	const char *value;
	const char *reason;
} differences[] = {
	{SYS_rseq, NULL, ALL, NULL, "SynOS has none, which Linux too answers with ENOSYS where it is not configured"},
	{SYS_mmap, "", 1, "2^31", "Linux maps less than its memory, by default"},
	{SYS_mmap, "", 1, "2^32", "likewise"},
	{SYS_mmap, " (fixed)", 1, "2^31", "likewise"},
	{SYS_mmap, " (fixed)", 1, "2^32", "likewise"},
	{SYS_mremap, NULL, 2, "2^31", "likewise"},
	{SYS_mremap, NULL, 2, "2^32", "likewise"},
	{SYS_mmap, " (fixed)", 0, "null", "SynOS keeps the first pages empty for root too, so that a null pointer is one"},
	{SYS_mremap, " (fixed)", 4, "null", "likewise"},
	{SYS_mmap, " (fixed)", 0, "end of user half", "Linux has more user space where page tables have five levels, and says what else is wrong"},
	{SYS_mmap, " (fixed)", 0, "last byte", "Linux rounds it up to 0 and then refuses that"},
	{SYS_arch_prctl, NULL, 1, "beyond 2^47", "Linux has five levels of page tables where the processor has them"},
	{SYS_futex, NULL, 0, "beyond 2^47", "likewise"},
	{SYS_futex, NULL, 4, "beyond 2^47", "likewise"},
	{SYS_madvise, NULL, 1, "2^57", "Linux comes to a page of its own on the way, which cannot be dropped"},
	{SYS_madvise, NULL, 1, "largest signed", "likewise"},
	{SYS_madvise, NULL, 1, "smallest signed", "likewise"},
	{SYS_clone, NULL, 1, "non-canonical", "Linux makes a child that dies of its first instruction; SynOS says so at once"},
	{SYS_clone, NULL, 1, "middle of the hole", "likewise"},
	{SYS_clone, NULL, 1, "kernel half", "likewise"},
	{SYS_clone, NULL, 1, "kernel image", "likewise"},
	{SYS_clone, NULL, 1, "last byte", "likewise"},
	{SYS_pwrite64, NULL, 3, "upper half set", "SynOS has a smaller largest file"},
	{SYS_pwritev, NULL, 3, "upper half set", "likewise"},
	{SYS_pwritev2, NULL, 3, "upper half set", "likewise"},
	{SYS_truncate, NULL, 1, "2^57", "likewise"},
	{SYS_truncate, NULL, 1, "largest signed", "likewise"},
	{SYS_ftruncate, NULL, 1, "2^57", "likewise"},
	{SYS_ftruncate, NULL, 1, "largest signed", "likewise"},
	{SYS_fallocate, NULL, 2, "upper half set", "likewise"},
	{SYS_fallocate, NULL, 3, "2^57", "likewise"},
	{SYS_fallocate, NULL, 3, "largest signed", "likewise"},
	{SYS_fallocate, NULL, 3, "2^31", "SynOS sets no pages aside: its files are sparse, and fallocate makes them longer"},
	{SYS_fallocate, NULL, 3, "2^32", "likewise"},
	{SYS_sched_getaffinity, NULL, 1, "2^31", "Linux counts bits in 32 bits, where eight times this is none"},
	{SYS_sethostname, NULL, ALL, NULL, "the name of a SynOS machine is fixed"},
	{SYS_sendto, "", 3, "-1", "SynOS has no out-of-band data, and says so; Linux sends some"},
};

static int is_excused(const struct base *base, int argument, const char *value)
{
	for (size_t i = 0; i < COUNT(differences); i++) {
		const struct difference *each = &differences[i];
		if (each->number == base->number && (!each->variant || strcmp(each->variant, base->variant) == 0)
		    && (each->argument == ALL || each->argument == argument) && (!each->value || strcmp(each->value, value) == 0))
			return 1;
	}
	return 0;
}
