/* Files, folders, links, devices. Included by posixtest.c. */

static void files(void)
{
	char buffer[16] = "";
	struct stat about;
	int file = open("/tmp/posixtest.f", O_RDWR | O_CREAT | O_EXCL, 0640);

	CHECK(file >= 0);
	CHECK(open("/tmp/posixtest.f", O_RDWR | O_CREAT | O_EXCL, 0640) == -1 && errno == EEXIST);
	CHECK(write(file, "0123456789", 10) == 10);
	CHECK(pread(file, buffer, 4, 3) == 4 && strcmp(buffer, "3456") == 0);
	CHECK(pwrite(file, "AB", 2, 4095) == 2);
	CHECK(fstat(file, &about) == 0 && about.st_size == 4097 && (about.st_mode & 0777) == 0640);
	CHECK(pread(file, buffer, 1, 100) == 1 && buffer[0] == 0);
	CHECK(ftruncate(file, 2) == 0);
	CHECK(lseek(file, 0, SEEK_END) == 2);
	struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cd", 2}};
	CHECK(writev(file, parts, 3) == 4);
	close(file);
	CHECK(link("/tmp/posixtest.f", "/tmp/posixtest.g") == 0);
	CHECK(stat("/tmp/posixtest.g", &about) == 0 && about.st_nlink == 2 && about.st_size == 6);
	CHECK(rename("/tmp/posixtest.g", "/tmp/posixtest.h") == 0);
	CHECK(unlink("/tmp/posixtest.f") == 0 && unlink("/tmp/posixtest.h") == 0);
	CHECK(stat("/tmp/posixtest.h", &about) == -1 && errno == ENOENT);
}

static void an_unlinked_file_lives_while_open(void)
{
	char buffer[8] = "";
	int file = open("/tmp/posixtest.u", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(file >= 0 && unlink("/tmp/posixtest.u") == 0);
	CHECK(write(file, "alive", 5) == 5 && lseek(file, 0, SEEK_SET) == 0);
	CHECK(read(file, buffer, 8) == 5 && strcmp(buffer, "alive") == 0);
	close(file);
}

static void folders_and_links(void)
{
	char target[32] = "";
	char place[64];
	struct stat about;

	CHECK(mkdir("/tmp/posixtest.d", 0755) == 0);
	CHECK(mkdir("/tmp/posixtest.d", 0755) == -1 && errno == EEXIST);
	CHECK(symlink("../posixtest.d", "/tmp/posixtest.d/self") == 0);
	CHECK(readlink("/tmp/posixtest.d/self", target, sizeof target - 1) == 14 && strcmp(target, "../posixtest.d") == 0);
	CHECK(lstat("/tmp/posixtest.d/self", &about) == 0 && S_ISLNK(about.st_mode));
	CHECK(stat("/tmp/posixtest.d/self", &about) == 0 && S_ISDIR(about.st_mode));
	CHECK(chdir("/tmp/posixtest.d/self/../posixtest.d") == 0);
	CHECK(getcwd(place, sizeof place) == place && strcmp(place, "/tmp/posixtest.d") == 0);
	CHECK(rmdir("/tmp/posixtest.d") == -1 && errno == ENOTEMPTY);
	CHECK(unlink("self") == 0 && chdir("/") == 0 && rmdir("/tmp/posixtest.d") == 0);
	CHECK(symlink("posixtest.loop", "/tmp/posixtest.loop") == 0);
	CHECK(open("/tmp/posixtest.loop", O_RDONLY) == -1 && errno == ELOOP);
	CHECK(unlink("/tmp/posixtest.loop") == 0);
}

static void devices(void)
{
	char buffer[8];
	int null = open("/dev/null", O_RDWR);
	int zero = open("/dev/zero", O_RDONLY);
	int random = open("/dev/urandom", O_RDONLY);

	CHECK(null >= 0 && zero >= 0 && random >= 0);
	CHECK(write(null, "x", 1) == 1 && read(null, buffer, 8) == 0);
	CHECK(read(zero, buffer, 8) == 8 && memcmp(buffer, "\0\0\0\0\0\0\0\0", 8) == 0);
	CHECK(read(random, buffer, 8) == 8);
	struct termios modes;
	CHECK(tcgetattr(null, &modes) == -1 && errno == ENOTTY);
	close(null);
	close(zero);
	close(random);
}
