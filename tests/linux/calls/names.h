/* Calls that make, end or change names, and what is known of a file. A second time they would fail, or find another value. */

#define NAME "/tmp/calls.name"
#define OTHER "/tmp/calls.other"

static void make(const char *name)
{
	int file = creat(name, 0600);

	CHECK(file >= 0 && close(file) == 0);
}

static int is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

static struct stat about(const char *name)
{
	struct stat about;

	CHECK(lstat(name, &about) == 0);
	return about;
}

static void check_renamed(void)
{
	CHECK(!is_there(NAME) && is_there(OTHER) && unlink(OTHER) == 0);
}

static void call_rename(int turn)
{
	make(NAME);
	CHECK(CALL(rename, NAME, OTHER) == 0 && turn >= 0);
	check_renamed();
}

static void call_renameat(int turn)
{
	make(NAME);
	CHECK(CALL(renameat, AT_FDCWD, NAME, AT_FDCWD, OTHER) == 0 && turn >= 0);
	check_renamed();
}

/* Twice exchanged is as before. */
static void call_renameat2(int turn)
{
	make(NAME);
	CHECK(mkdir(OTHER, 0700) == 0);
	CHECK(CALL(renameat2, AT_FDCWD, NAME, AT_FDCWD, OTHER, RENAME_EXCHANGE) == 0 && turn >= 0);
	CHECK(S_ISDIR(about(NAME).st_mode) && S_ISREG(about(OTHER).st_mode));
	CHECK(rmdir(NAME) == 0 && unlink(OTHER) == 0);
}

static void call_mkdir(int turn)
{
	CHECK(CALL(mkdir, NAME, 0700) == 0 && turn >= 0);
	CHECK(rmdir(NAME) == 0);
}

static void call_mkdirat(int turn)
{
	CHECK(CALL(mkdirat, AT_FDCWD, NAME, 0700) == 0 && turn >= 0);
	CHECK(rmdir(NAME) == 0);
}

static void call_rmdir(int turn)
{
	CHECK(mkdir(NAME, 0700) == 0);
	CHECK(CALL(rmdir, NAME) == 0 && !is_there(NAME) && turn >= 0);
}

static void call_link(int turn)
{
	make(NAME);
	CHECK(CALL(link, NAME, OTHER) == 0 && about(NAME).st_nlink == 2 && turn >= 0);
	CHECK(unlink(NAME) == 0 && unlink(OTHER) == 0);
}

static void call_linkat(int turn)
{
	make(NAME);
	CHECK(CALL(linkat, AT_FDCWD, NAME, AT_FDCWD, OTHER, 0) == 0 && about(NAME).st_nlink == 2 && turn >= 0);
	CHECK(unlink(NAME) == 0 && unlink(OTHER) == 0);
}

static void call_unlink(int turn)
{
	make(NAME);
	CHECK(CALL(unlink, NAME) == 0 && !is_there(NAME) && turn >= 0);
}

static void call_unlinkat(int turn)
{
	CHECK(mkdir(NAME, 0700) == 0);
	CHECK(CALL(unlinkat, AT_FDCWD, NAME, AT_REMOVEDIR) == 0 && !is_there(NAME) && turn >= 0);
}

static void call_symlink(int turn)
{
	CHECK(CALL(symlink, "to", NAME) == 0 && about(NAME).st_size == 2 && turn >= 0);
	CHECK(unlink(NAME) == 0);
}

static void call_symlinkat(int turn)
{
	CHECK(CALL(symlinkat, "to", AT_FDCWD, NAME) == 0 && about(NAME).st_size == 2 && turn >= 0);
	CHECK(unlink(NAME) == 0);
}

static void call_mknod(int turn)
{
	CHECK(CALL(mknod, NAME, S_IFIFO | 0600, 0) == 0 && S_ISFIFO(about(NAME).st_mode) && turn >= 0);
	CHECK(unlink(NAME) == 0);
}

static void call_mknodat(int turn)
{
	CHECK(CALL(mknodat, AT_FDCWD, NAME, S_IFIFO | 0600, 0) == 0 && S_ISFIFO(about(NAME).st_mode) && turn >= 0);
	CHECK(unlink(NAME) == 0);
}

static void check_mode(mode_t mode)
{
	CHECK((about(NAME).st_mode & 07777) == mode && unlink(NAME) == 0);
}

static void call_chmod(int turn)
{
	make(NAME);
	CHECK(CALL(chmod, NAME, 0600 + turn) == 0);
	check_mode(0600 + turn);
}

static void call_fchmod(int turn)
{
	int file = creat(NAME, 0600);

	CHECK(CALL(fchmod, file, 0600 + turn) == 0 && close(file) == 0);
	check_mode(0600 + turn);
}

static void call_fchmodat(int turn)
{
	make(NAME);
	CHECK(CALL(fchmodat, AT_FDCWD, NAME, 0600 + turn) == 0);
	check_mode(0600 + turn);
}

static void check_owner(int turn)
{
	CHECK(about(NAME).st_uid == 100 + (uid_t)turn && about(NAME).st_gid == 200 + (gid_t)turn && unlink(NAME) == 0);
}

static void call_chown(int turn)
{
	make(NAME);
	CHECK(CALL(chown, NAME, 100 + turn, 200 + turn) == 0);
	check_owner(turn);
}

static void call_fchown(int turn)
{
	int file = creat(NAME, 0600);

	CHECK(CALL(fchown, file, 100 + turn, 200 + turn) == 0 && close(file) == 0);
	check_owner(turn);
}

static void call_lchown(int turn)
{
	CHECK(symlink("nowhere", NAME) == 0);
	CHECK(CALL(lchown, NAME, 100 + turn, 200 + turn) == 0);
	check_owner(turn);
}

static void call_fchownat(int turn)
{
	make(NAME);
	CHECK(CALL(fchownat, AT_FDCWD, NAME, 100 + turn, 200 + turn, 0) == 0);
	check_owner(turn);
}

static void check_times(int turn)
{
	CHECK(about(NAME).st_atime == 1000 + turn && about(NAME).st_mtime == 2000 + turn && unlink(NAME) == 0);
}

static void call_utime(int turn)
{
	struct utimbuf times = {1000 + turn, 2000 + turn};

	make(NAME);
	CHECK(CALL(utime, NAME, &times) == 0);
	check_times(turn);
}

static void call_utimes(int turn)
{
	struct timeval times[] = {{1000 + turn, 0}, {2000 + turn, 0}};

	make(NAME);
	CHECK(CALL(utimes, NAME, times) == 0);
	check_times(turn);
}

static void call_futimesat(int turn)
{
	struct timeval times[] = {{1000 + turn, 0}, {2000 + turn, 0}};

	make(NAME);
	CHECK(CALL(futimesat, AT_FDCWD, NAME, times) == 0);
	check_times(turn);
}

static void call_utimensat(int turn)
{
	struct timespec times[] = {{1000 + turn, 0}, {2000 + turn, 0}};

	make(NAME);
	CHECK(CALL(utimensat, AT_FDCWD, NAME, times, 0) == 0);
	check_times(turn);
}
