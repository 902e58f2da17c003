/* A person at a pseudo terminal with busybox's shell: types, waits for what is shown, and tells all of it. Included by terminal.c. */

static int screen;
static pid_t shell;
static char seen[65536];
static size_t seen_length;

/* Tells bytes so that each shows. */
static void tell(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = bytes[i];
		if (byte == '\n')
			printf("\\n\n");
		else if (byte == '\r')
			printf("\\r");
		else if (byte == '\x1b')
			printf("\\e");
		else if (byte < 32)
			printf("^%c", byte + 64);
		else if (byte >= 127)
			printf("\\x%02x", byte);
		else
			putchar(byte);
	}
}

static void give_up(const char *why, const char *text)
{
	printf("\n%s while waiting for \"%s\"; shown since:\n", why, text);
	tell(seen, seen_length);
	printf("\n");
	fflush(stdout);
	kill(shell, SIGKILL);
	_exit(1);
}

/* Waits until `text` is shown, and tells everything up to its end. */
static void see(const char *text)
{
	for (;;) {
		char *found = memmem(seen, seen_length, text, strlen(text));
		if (found) {
			size_t length = found + strlen(text) - seen;
			tell(seen, length);
			memmove(seen, seen + length, seen_length - length);
			seen_length -= length;
			return;
		}
		if (!(ready_for(screen, POLLIN, 30000) & POLLIN))
			give_up("nothing came", text);
		ssize_t count = read(screen, seen + seen_length, sizeof seen - seen_length);
		if (count <= 0)
			give_up("the shell ended", text);
		seen_length += count;
	}
}

static void press(const char *keys)
{
	CHECK(write(screen, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

/* Waits until another program than the shell has the terminal: before, keys are the shell's to edit. */
static void await_program(void)
{
	pid_t group = shell;

	for (int i = 0; i < 3000 && group == shell; i++) {
		wait_ms(10);
		CHECK(ioctl(screen, TIOCGPGRP, &group) == 0);
	}
	CHECK(group != shell);
}

/* Waits until the terminal edits lines itself: before, the shell does. */
static void await_lines(void)
{
	struct termios modes = {0};

	for (int i = 0; i < 3000 && !(modes.c_lflag & ICANON); i++) {
		wait_ms(10);
		CHECK(tcgetattr(screen, &modes) == 0);
	}
	CHECK(modes.c_lflag & ICANON);
}

/* A command that ends by itself. */
static void run(const char *command)
{
	press(command);
	press("\n");
	see("\n");
	see("$ ");
}

/* A command that waits for keys. */
static void begin(const char *command)
{
	press(command);
	press("\n");
	see("\n");
	await_program();
}

static void manage_jobs(void)
{
	begin("sleep 1000");
	press("\x1a");
	see("$ ");
	run("echo status $?");
	run("jobs");
	begin("fg");
	press("\x03");
	see("$ ");
	run("echo status $?");
	run("jobs");
	begin("sleep 1");
	press("\x1a");
	see("$ ");
	run("bg");
	run("wait; echo waited");
	run("trap 'echo caught' INT");
	begin("sleep 1000");
	press("\x03");
	see("$ ");
	run("trap - INT");
	begin("sleep 1000");
	press("\x1c");
	see("$ ");
	run("echo status $?");
}

static void type_lines(void)
{
	begin("cat");
	press("wrong\x15right wrd\x17word\x7f" "d\n");
	see("\r\nright word\r\n");
	press("\x04");
	see("$ ");
	run("echo ac\x1b[D" "b");
	run("echo lost\x15" "echo kept");
	press("read -r line; echo \"got $line\"\n");
	see("\n");
	await_lines();
	press("typed\n");
	see("got ");
	see("$ ");
	press("discarded\x03");
	see("$ ");
}

static void edit_a_file(void)
{
	run("echo first >note");
	press("vi note\n");
	/* What the last line says comes before the cursor is put back, and the next key is waited for. */
	see("note 1/1 100%\x1b[1;1H");
	press("o");
	see("I note [Modified] 2/2 100%\x1b[2;1H");
	press("second line\x1b");
	see("- note [Modified] 2/2 100%\x1b[2;11H");
	press(":wq\n");
	see("$ ");
	run("cat note");
}

static void page_through_a_file(void)
{
	run("seq 1 100 >numbers");
	begin("less numbers");
	see("numbers\x1b[m");
	press(" ");
	see("46\r\n\x1b[24;0H\x1b[K:");
	press("q");
	see("$ ");
}

static void person(void)
{
	struct pair pair = open_pair();
	struct winsize size = {24, 80, 0, 0};
	char *const environment[] = {"PATH=/bin:/sbin:/usr/bin", "HOME=/tmp/person", "TERM=linux", "PS1=$ ", NULL};

	current = "person";
	setvbuf(stdout, NULL, _IOFBF, 65536);
	screen = pair.master;
	CHECK(ioctl(screen, TIOCSWINSZ, &size) == 0);
	mkdir("/tmp/person", 0755);
	CHECK((shell = start()) >= 0);
	if (shell == 0) {
		lead(pair);
		for (int file = 0; file < 3; file++)
			dup2(pair.slave, file);
		close(pair.slave);
		chdir("/tmp/person");
		execle("/bin/sh", "sh", NULL, environment);
		_exit(127);
	}
	close(pair.slave);
	see("$ ");
	run("tty");
	run("stty -a");
	run("stty size");
	run("stty rows 30 columns 100; stty size; stty rows 24 columns 80");
	run("test -t 0 && echo a terminal");
	run("ps -o tty,pid | awk -v me=$$ '$2 == me { print $1 }'");
	run("who; echo status $?");
	manage_jobs();
	type_lines();
	edit_a_file();
	page_through_a_file();
	press("exit 3\n");
	see("\n");
	int status = ended_with(shell);
	printf("the shell ended with %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	close(screen);
}
