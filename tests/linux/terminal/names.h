/* /dev/ptmx, /dev/pts and what is called there. Included by terminal.c. */

static int is_listed(const char *path)
{
	DIR *folder = opendir("/dev/pts");
	struct dirent *entry;
	int found = 0;

	CHECK(folder != NULL);
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, strrchr(path, '/') + 1) == 0) {
			CHECK(entry->d_type == DT_CHR);
			found = 1;
		}
	closedir(folder);
	return found;
}

static void slave_has_a_name(void)
{
	struct pair pair = open_pair();
	struct stat by_name, by_file, maker;
	char path[64], link[64], target[64] = "";
	int number = -1;

	strcpy(path, ptsname(pair.master));
	CHECK(ioctl(pair.master, TIOCGPTN, &number) == 0);
	CHECK(atoi(path + strlen("/dev/pts/")) == number);
	CHECK(isatty(pair.slave) && isatty(pair.master));
	CHECK(strcmp(ttyname(pair.slave), path) == 0);
	snprintf(link, sizeof link, "/proc/self/fd/%d", pair.slave);
	CHECK(readlink(link, target, sizeof target - 1) > 0 && strcmp(target, path) == 0);
	CHECK(stat(path, &by_name) == 0 && fstat(pair.slave, &by_file) == 0);
	CHECK(by_name.st_ino == by_file.st_ino && by_name.st_dev == by_file.st_dev);
	CHECK(by_name.st_rdev == makedev(136, number) && by_file.st_rdev == by_name.st_rdev);
	CHECK(by_name.st_mode == (S_IFCHR | 0620) && by_name.st_uid == 0 && by_name.st_gid == 5);
	CHECK(stat("/dev/ptmx", &maker) == 0 && maker.st_rdev == makedev(5, 2) && maker.st_mode == (S_IFCHR | 0666));
	CHECK(stat("/dev/pts", &maker) == 0 && maker.st_mode == (S_IFDIR | 0755));
	CHECK(is_listed(path) && is_listed("/dev/pts/ptmx"));
	CHECK(access(path, R_OK | W_OK) == 0);
	close(pair.master);
	CHECK(!is_listed(path) && stat(path, &by_name) == -1 && errno == ENOENT);
	close(pair.slave);
	CHECK(open(path, O_RDWR) == -1 && errno == ENOENT);
}

static void slave_is_locked_at_first(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), locked = -1, open_it = 0, peer;
	char path[64];

	CHECK(master >= 0);
	strcpy(path, ptsname(master));
	CHECK(open(path, O_RDWR | O_NOCTTY) == -1 && errno == EIO);
	CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1);
	CHECK(ioctl(master, TIOCSPTLCK, &open_it) == 0);
	CHECK((peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY)) >= 0);
	CHECK(strcmp(ttyname(peer), path) == 0);
	CHECK(ioctl(peer, TIOCGPTN, &locked) == -1 && errno == ENOTTY);
	close(peer);
	close(master);
}

static void name_can_change_hands(void)
{
	struct pair pair = open_pair();
	struct stat about;

	CHECK(fchmod(pair.slave, 0600) == 0 && fchown(pair.slave, 1000, 1000) == 0);
	CHECK(stat(ptsname(pair.master), &about) == 0);
	CHECK((about.st_mode & 07777) == 0600 && about.st_uid == 1000 && about.st_gid == 1000);
	pid_t child = start();
	if (child == 0) {
		CHECK(setgid(1001) == 0 && setuid(1001) == 0);
		CHECK(open(ptsname(pair.master), O_RDWR) == -1 && errno == EACCES);
		CHECK(chmod(ptsname(pair.master), 0666) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK(ended_with(child) == 0);
	close_pair(pair);
}

static void numbers_are_used_again(void)
{
	struct pair first = open_pair(), second = open_pair();
	char path[64];

	strcpy(path, ptsname(first.master));
	CHECK(strcmp(path, ptsname(second.master)) != 0);
	close_pair(first);
	first = open_pair();
	CHECK(strcmp(path, ptsname(first.master)) == 0);
	close_pair(first);
	close_pair(second);
}
