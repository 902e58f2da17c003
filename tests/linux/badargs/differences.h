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
	{SYS_socketpair, NULL, ALL, NULL, "SynOS has no sockets yet"},
	{SYS_sethostname, NULL, ALL, NULL, "the name of a SynOS machine is fixed"},
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
