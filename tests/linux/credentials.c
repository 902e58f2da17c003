/* Who a process is, and what follows of it: identities given up and taken back, groups, files, and programs that are executed as somebody else.
 *
 * Build: gcc -static -O2 -o credentials credentials.c
 * Run by root; each line tells what came of one thing, so that two systems can be compared. Executed as `credentials -t` it tells who it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *told(int result)
{
	return result == 0 ? "works" : strerrorname_np(errno);
}

static void tell(const char *when)
{
	uid_t uid[3];
	gid_t gid[3];

	getresuid(&uid[0], &uid[1], &uid[2]);
	getresgid(&gid[0], &gid[1], &gid[2]);
	printf("%s: users %u %u %u, groups %u %u %u\n", when, uid[0], uid[1], uid[2], gid[0], gid[1], gid[2]);
}

/* Does something in a child, so that nobody else is changed. */
static void apart(void (*act)(void))
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		act();
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (status != 0)
		printf("ended with %#x\n", status);
}

static void give_up_and_take_back(void)
{
	printf("seteuid %s\n", told(seteuid(1000)));
	tell("for a while");
	printf("setuid of another %s\n", told(setuid(1001)));
	printf("seteuid back %s\n", told(seteuid(0)));
	tell("back");
	printf("setresuid %s\n", told(setresuid(1000, 1001, 1002)));
	tell("three");
	printf("real one %s, ", told(seteuid(1000)));
	printf("saved one %s, ", told(seteuid(1002)));
	printf("another %s\n", told(seteuid(0)));
	printf("setreuid %s\n", told(setreuid(1002, 1000)));
	tell("swapped");
}

static void give_up_for_good(void)
{
	printf("setgid %s, setuid %s\n", told(setgid(1000)), told(setuid(1000)));
	tell("for good");
	printf("setuid %s, ", told(setuid(0)));
	printf("seteuid %s, ", told(seteuid(0)));
	printf("setresuid %s, ", told(setresuid(-1, -1, 0)));
	printf("setgid %s, ", told(setgid(0)));
	printf("setgroups %s, ", told(setgroups(0, NULL)));
	printf("nothing %s\n", told(setresuid(-1, -1, -1)));
}

static void file_system_ids(void)
{
	printf("setfsuid was %d, ", setfsuid(1000));
	printf("is %d, ", setfsuid(-1));
	printf("secret %s, ", told(access("/tmp/credentials/secret", R_OK)));
	int file = open("/tmp/credentials/secret", O_RDONLY);
	printf("open %s, ", file >= 0 ? "works" : strerrorname_np(errno));
	seteuid(0);
	printf("after seteuid %d, ", setfsuid(-1));
	printf("setfsgid was %d, is %d\n", setfsgid(1000), setfsgid(-1));
}

static void groups_count(void)
{
	gid_t list[] = {7, 1234, 9}, back[8];

	printf("setgroups %s\n", told(setgroups(3, list)));
	int count = getgroups(8, back);
	printf("%d groups: %u %u %u, too little room %s\n", count, back[0], back[1], back[2], getgroups(2, back) == -1 ? strerrorname_np(errno) : "works");
	setgid(1000);
	setuid(1000);
	printf("a group's file %s, ", told(access("/tmp/credentials/group", R_OK)));
	printf("to write %s, ", told(access("/tmp/credentials/group", W_OK)));
	printf("another group's %s\n", told(access("/tmp/credentials/other", R_OK)));
	printf("chgrp to an own group %s, ", told(chown("/tmp/credentials/mine", -1, 1234)));
	printf("to another %s, ", told(chown("/tmp/credentials/mine", -1, 4321)));
	printf("chown %s\n", told(chown("/tmp/credentials/mine", 1001, -1)));
}

static void file_of(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	int file = open(path, O_CREAT | O_WRONLY, 0600);

	if (file < 0 || fchown(file, uid, gid) != 0 || fchmod(file, mode) != 0)
		printf("%s: %s\n", path, strerrorname_np(errno));
	close(file);
}

/* Executes the program's copy, whose owner and mode say as whom. */
static void execute(void)
{
	char *const arguments[] = {"copy", "-t", NULL};

	fflush(stdout);
	execv("/tmp/credentials/copy", arguments);
	printf("exec: %s\n", strerrorname_np(errno));
}

static void execute_as_user(void)
{
	setgid(1000);
	setuid(1000);
	execute();
}

static void execute_as_half_root(void)
{
	setreuid(1000, 0);
	execute();
}

static void execute_without_privileges(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	execute_as_user();
}

static void execute_script(void)
{
	char *const arguments[] = {"script", NULL};

	setgid(1000);
	setuid(1000);
	execv("/tmp/credentials/script", arguments);
	printf("exec: %s\n", strerrorname_np(errno));
}

static void write_to_it(void)
{
	struct stat about;
	int file = open("/tmp/credentials/writable", O_WRONLY);

	setgid(1000);
	setuid(1000);
	printf("a write by another %s, ", write(file, "x", 1) == 1 ? "works" : strerrorname_np(errno));
	fstat(file, &about);
	printf("mode %o\n", about.st_mode & 07777);
}

static void copy_self(uid_t uid, gid_t gid, mode_t mode)
{
	char buffer[65536];
	ssize_t count;

	unlink("/tmp/credentials/copy");
	int from = open("/proc/self/exe", O_RDONLY), to = open("/tmp/credentials/copy", O_CREAT | O_WRONLY, 0700);
	while ((count = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, count) != count)
			printf("write: %s\n", strerrorname_np(errno));
	close(from);
	if (fchown(to, uid, gid) != 0 || fchmod(to, mode) != 0)
		printf("copy: %s\n", strerrorname_np(errno));
	close(to);
}

static void signals(void)
{
	pid_t other = getppid();

	setresuid(1000, 1000, 1000);
	printf("a signal to root's %s, ", told(kill(other, 0)));
	printf("to itself %s\n", told(kill(getpid(), 0)));
}

static void programs(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
		mode_t mode;
	} kinds[] = {{0, 0, 0755}, {0, 0, 04755}, {1001, 1001, 04755}, {1001, 1001, 02755}, {1001, 1001, 02745}, {1001, 1001, 06755}, {1000, 1000, 06755}};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		copy_self(kinds[i].uid, kinds[i].gid, kinds[i].mode);
		printf("-- a program of %u and %u, mode %o\n", kinds[i].uid, kinds[i].gid, kinds[i].mode);
		apart(execute);
		apart(execute_as_user);
		apart(execute_as_half_root);
		apart(execute_without_privileges);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		tell("executed");
		printf("vector: %lu %lu %lu %lu, secure %lu, dumpable %d\n", getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID),
		       getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE));
		return 0;
	}
	umask(022);
	mkdir("/tmp/credentials", 0755);
	file_of("/tmp/credentials/secret", 0, 0, 0600);
	file_of("/tmp/credentials/group", 0, 1234, 0640);
	file_of("/tmp/credentials/other", 0, 4321, 0640);
	file_of("/tmp/credentials/mine", 1000, 1000, 06755);
	file_of("/tmp/credentials/writable", 0, 0, 06757);
	tell("at first");
	apart(give_up_and_take_back);
	apart(give_up_for_good);
	apart(file_system_ids);
	apart(groups_count);
	struct stat about;
	stat("/tmp/credentials/mine", &about);
	printf("mine is of %u and %u, mode %o\n", about.st_uid, about.st_gid, about.st_mode & 07777);
	apart(write_to_it);
	apart(signals);
	programs();
	FILE *script = fopen("/tmp/credentials/script", "w");
	fprintf(script, "#!/tmp/credentials/copy -t\n");
	fclose(script);
	chown("/tmp/credentials/script", 1002, 1002);
	chmod("/tmp/credentials/script", 06755);
	printf("-- a script\n");
	apart(execute_script);
	return 0;
}
