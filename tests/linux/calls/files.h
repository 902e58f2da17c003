/* Calls that open files, or change their bytes, lengths or offsets. */

#define FILE_NAME "/tmp/calls.file"
#define TEXT "0123456789abcdef"

/* A file of sixteen bytes, open at its start. */
static int new_file(void)
{
	int file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(file >= 0 && write(file, TEXT, 16) == 16 && lseek(file, 0, SEEK_SET) == 0);
	return file;
}

/* The file's end: its offset and length, and no more of it. */
static void end_file(int file, long offset, long length)
{
	struct stat about;

	CHECK(lseek(file, 0, SEEK_CUR) == offset);
	CHECK(fstat(file, &about) == 0 && about.st_size == length);
	CHECK(close(file) == 0 && unlink(FILE_NAME) == 0);
}

static void call_read(int turn)
{
	char bytes[8];
	int ends[2], file = new_file();

	CHECK(pipe(ends) == 0 && write(ends[1], TEXT, 16) == 16);
	CHECK(CALL(read, ends[0], bytes, 8) == 8 && memcmp(bytes, TEXT, 8) == 0 && waiting_in(ends[0]) == 8 && turn >= 0);
	CHECK(CALL(read, file, bytes, 8) == 8 && memcmp(bytes, TEXT, 8) == 0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	end_file(file, 8, 16);
}

static void call_write(int turn)
{
	int ends[2], file = new_file();

	CHECK(pipe(ends) == 0);
	CHECK(CALL(write, ends[1], TEXT, 8) == 8 && waiting_in(ends[0]) == 8 && turn >= 0);
	CHECK(fcntl(file, F_SETFL, O_APPEND) == 0 && CALL(write, file, TEXT, 8) == 8);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	end_file(file, 24, 24);
}

static void call_open(int turn)
{
	int next = lowest();

	check_made(CALL(open, FILE_NAME, O_RDWR | O_CREAT | O_EXCL, 0600), next);
	CHECK(unlink(FILE_NAME) == 0 && turn >= 0);
}

static void call_creat(int turn)
{
	int next = lowest();

	check_made(CALL(creat, FILE_NAME, 0600), next);
	CHECK(unlink(FILE_NAME) == 0 && turn >= 0);
}

static void call_openat(int turn)
{
	int next = lowest();

	check_made(CALL(openat, AT_FDCWD, FILE_NAME, O_RDWR | O_CREAT | O_EXCL, 0600), next);
	CHECK(unlink(FILE_NAME) == 0 && turn >= 0);
}

static void call_openat2(int turn)
{
	struct open_how how = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600};
	int next = lowest();

	check_made(CALL(openat2, AT_FDCWD, FILE_NAME, &how, sizeof how), next);
	CHECK(unlink(FILE_NAME) == 0 && turn >= 0);
}

static void call_lseek(int turn)
{
	int file = new_file();

	CHECK(CALL(lseek, file, 3, SEEK_CUR) == 3 && CALL(lseek, file, turn, SEEK_CUR) == 3 + turn);
	end_file(file, 3 + turn, 16);
}

static void call_pwrite64(int turn)
{
	int file = new_file();

	CHECK(CALL(pwrite64, file, TEXT, 16, turn) == 16);
	end_file(file, 0, 16 + turn);
}

static void call_readv(int turn)
{
	char left[4], right[4];
	struct iovec parts[] = {{left, 4}, {right, 4}};
	int file = new_file();

	CHECK(CALL(readv, file, parts, 2) == 8 && memcmp(left, TEXT, 4) == 0 && memcmp(right, TEXT + 4, 4) == 0 && turn >= 0);
	end_file(file, 8, 16);
}

static void call_writev(int turn)
{
	struct iovec parts[] = {{TEXT, 4}, {TEXT, 16}};
	int file = new_file();

	CHECK(fcntl(file, F_SETFL, O_APPEND) == 0);
	CHECK(CALL(writev, file, parts, 2) == 20 && turn >= 0);
	end_file(file, 36, 36);
}

static void call_preadv2(int turn)
{
	char bytes[5];
	struct iovec part = {bytes, 5};
	int file = new_file();

	CHECK(CALL(preadv2, file, &part, 1, -1L, -1L, 0) == 5 && memcmp(bytes, TEXT, 5) == 0 && turn >= 0);
	end_file(file, 5, 16);
}

static void call_pwritev(int turn)
{
	struct iovec part = {TEXT, 16};
	int file = new_file();

	CHECK(CALL(pwritev, file, &part, 1, (long)turn, 0L) == 16);
	end_file(file, 0, 16 + turn);
}

static void call_pwritev2(int turn)
{
	struct iovec part = {TEXT, 6};
	int file = new_file();

	CHECK(CALL(pwritev2, file, &part, 1, -1L, -1L, 0) == 6 && turn >= 0);
	end_file(file, 6, 16);
}

static void call_sendfile(int turn)
{
	int ends[2], file = new_file();

	CHECK(pipe(ends) == 0);
	CHECK(CALL(sendfile, ends[1], file, NULL, 5) == 5 && waiting_in(ends[0]) == 5 && turn >= 0);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	end_file(file, 5, 16);
}

static void call_copy_file_range(int turn)
{
	int from = new_file(), to = open("/tmp/calls.copy", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(CALL(copy_file_range, from, NULL, to, NULL, 7, 0) == 7 && turn >= 0);
	CHECK(lseek(to, 0, SEEK_CUR) == 7 && lseek(to, 0, SEEK_END) == 7);
	CHECK(close(to) == 0 && unlink("/tmp/calls.copy") == 0);
	end_file(from, 7, 16);
}

static void call_truncate(int turn)
{
	int file = new_file();

	CHECK(CALL(truncate, FILE_NAME, 100 + turn) == 0);
	end_file(file, 0, 100 + turn);
}

static void call_ftruncate(int turn)
{
	int file = new_file();

	CHECK(CALL(ftruncate, file, turn) == 0);
	end_file(file, 0, turn);
}

static void call_fallocate(int turn)
{
	int file = new_file();

	CHECK(CALL(fallocate, file, 0, 10L, 100L + turn) == 0);
	end_file(file, 0, 110 + turn);
}

static void call_flock(int turn)
{
	int file = new_file(), other = open(FILE_NAME, O_RDWR);

	CHECK(CALL(flock, file, LOCK_EX) == 0);
	CHECK(CALL(flock, other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK && turn >= 0);
	CHECK(CALL(flock, file, LOCK_UN) == 0 && CALL(flock, other, LOCK_EX | LOCK_NB) == 0);
	CHECK(close(other) == 0);
	end_file(file, 0, 16);
}

/* All names of a folder come once, few at a time. */
static void call_getdents64(int turn)
{
	static const char *const names[] = {"/tmp/calls.d/a", "/tmp/calls.d/b", "/tmp/calls.d/c", "/tmp/calls.d/d", "/tmp/calls.d/e"};
	char bytes[64];
	long count, entries = 0;

	CHECK(mkdir("/tmp/calls.d", 0700) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(mkdir(names[i], 0700) == 0);
	int folder = open("/tmp/calls.d", O_RDONLY | O_DIRECTORY);
	while ((count = CALL(getdents64, folder, bytes, sizeof bytes)) > 0)
		for (long at = 0; at < count; at += *(unsigned short *)(bytes + at + 16))
			entries++;
	CHECK(count == 0 && entries == 7 && turn >= 0 && close(folder) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(rmdir(names[i]) == 0);
	CHECK(rmdir("/tmp/calls.d") == 0);
}
