/* Where Linux and SynOS differ, and why that is right. The values are tried all the same: a signal is never excused. Included by badargs.c. */

enum { AS_IS = -1, ALL = -2 };

/* NULL stands for all variants, all bad values. What SynOS says is checked there, and that Linux says something else. */
static const struct difference {
	int number;
	const char *variant;
	int argument;
	const char *value;
	const char *synos;
	const char *reason;
} differences[] = {
	{SYS_rseq, NULL, ALL, NULL, "ENOSYS", "SynOS has none, which Linux too answers with ENOSYS where it is not configured"},
	{SYS_mmap, "", 1, "2^31", "ok", "Linux maps less than its memory, by default"},
	{SYS_mmap, "", 1, "2^32", "ok", "likewise"},
	{SYS_mmap, " (fixed)", 1, "2^31", "ok", "likewise"},
	{SYS_mmap, " (fixed)", 1, "2^32", "ok", "likewise"},
	{SYS_mremap, NULL, 2, "2^31", "ok", "likewise"},
	{SYS_mremap, NULL, 2, "2^32", "ok", "likewise"},
	{SYS_mmap, " (fixed)", 0, "null", "EPERM", "SynOS keeps the first pages empty for root too, so that a null pointer is one"},
	{SYS_mremap, " (fixed)", 4, "null", "EPERM", "likewise"},
	{SYS_mmap, " (fixed)", 0, "last byte", "ENOMEM", "Linux rounds it up to 0 and then refuses that"},
	{SYS_madvise, NULL, 1, "2^57", "ENOMEM", "Linux comes to a page of its own on the way, which cannot be dropped"},
	{SYS_madvise, NULL, 1, "largest signed", "ENOMEM", "likewise"},
	{SYS_madvise, NULL, 1, "smallest signed", "ENOMEM", "likewise"},
	{SYS_clone, NULL, 1, "non-canonical", "EINVAL", "Linux makes a child that dies of its first instruction; SynOS says so at once"},
	{SYS_clone, NULL, 1, "middle of the hole", "EINVAL", "likewise"},
	{SYS_clone, NULL, 1, "kernel half", "EINVAL", "likewise"},
	{SYS_clone, NULL, 1, "kernel image", "EINVAL", "likewise"},
	{SYS_clone, NULL, 1, "last byte", "EINVAL", "likewise"},
	{SYS_pwrite64, NULL, 3, "upper half set", "EFBIG", "SynOS has a smaller largest file"},
	{SYS_pwritev, NULL, 3, "upper half set", "EFBIG", "likewise"},
	{SYS_pwritev2, NULL, 3, "upper half set", "EFBIG", "likewise"},
	{SYS_truncate, NULL, 1, "2^57", "EFBIG", "likewise"},
	{SYS_truncate, NULL, 1, "largest signed", "EFBIG", "likewise"},
	{SYS_ftruncate, NULL, 1, "2^57", "EFBIG", "likewise"},
	{SYS_ftruncate, NULL, 1, "largest signed", "EFBIG", "likewise"},
	{SYS_fallocate, NULL, 2, "upper half set", "EFBIG", "likewise"},
	{SYS_sched_getaffinity, NULL, 1, "2^31", "ok", "Linux counts bits in 32 bits, where eight times this is none"},
	{SYS_sendto, "", 3, "-1", "EOPNOTSUPP", "SynOS has no out-of-band data, and says so; Linux sends some"},
};

/* Whether what came of a call is the difference that is known. */
static int is_excused(const struct base *base, int argument, const char *value, int outcome)
{
	static int is_synos = -1;

	if (is_synos < 0)
		is_synos = access("/proc/synos/version", F_OK) == 0;
	for (size_t i = 0; i < COUNT(differences) && outcome < 1000; i++) {
		const struct difference *each = &differences[i];
		if (each->number == base->number && (!each->variant || strcmp(each->variant, base->variant) == 0)
		    && (each->argument == ALL || each->argument == argument) && (!each->value || strcmp(each->value, value) == 0))
			return (strcmp(each->synos, outcome_name(outcome)) == 0) == is_synos;
	}
	return 0;
}
