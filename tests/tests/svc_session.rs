//! `svc` as somebody at the terminal meets it, and what it leaves out where nobody is.

use tests::{Boot, Outcome, Session};

/// The end of root's prompt.
const PROMPT: &str = "# ";
/// What begins a colour.
const ESCAPE: char = '\x1b';
/// What the shell's line editor asks the terminal; no colour.
const WHERE_IS_THE_CURSOR: &str = "\x1b[6n";
/// A server that is up, in green.
const GREEN_UP: &str = "\x1b[32mup";
/// What every list of servers begins with.
const TITLES: &str = "NAME          STATE     INSTANCE";
/// Words before the deaths in a server's line with colours: name, state, the end of its colour, instance.
const DEATHS: usize = 4;

fn session(name: &str) -> Session {
    let mut session = Boot::new(name).session();
    session.expect(PROMPT);
    session
}

/// Types a command and returns what it showed.
fn run(session: &mut Session, command: &str) -> String {
    session.send(&format!("{command}\n"));
    session.expect("\r\n");
    session.expect(PROMPT).replace(WHERE_IS_THE_CURSOR, "")
}

fn script(name: &str, text: &str) -> Outcome {
    let outcome = Boot::new(name).script(text);
    assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    outcome
}

#[test]
fn colours_are_for_a_terminal_and_nobody_else() {
    let mut session = session("svc-colours");
    for command in ["svc list", "svc status vfs"] {
        let shown = run(&mut session, command);
        assert!(shown.contains(GREEN_UP) && shown.contains(TITLES), "{shown:?}");
    }
    for command in ["svc list | cat", "svc status vfs > /tmp/out; cat /tmp/out", "svc --json list", "svc status vfs --json"] {
        let shown = run(&mut session, command);
        assert!(shown.contains("vfs") && shown.contains("up"), "{shown:?}");
        let (text, _prompt) = shown.rsplit_once("\r\n").unwrap_or_default();
        assert!(!text.contains(ESCAPE), "{command}: {shown:?}");
    }
}

#[test]
fn top_is_live_until_q_or_control_c_and_leaves_the_terminal_as_it_was() {
    let mut session = session("svc-top");
    let modes = run(&mut session, "stty -a");
    for (key, crashed) in [("q", "vfs"), ("\x03", "console")] {
        // Whenever the first screen comes, there is a death after it.
        session.send(&format!("(until [ -e /tmp/{crashed} ]; do sleep 3; /usr/bin/svc crash {crashed} panic; done) & svc top\n"));
        // Each screen is drawn from the top of an empty one.
        let before = session.expect("\x1b[H\x1b[2J");
        assert!(!before.contains(TITLES), "{before:?}");
        let mut deaths = || {
            let screen = session.expect("\x1b[H\x1b[2J");
            assert!(screen.contains(TITLES) && screen.contains(GREEN_UP), "{screen:?}");
            let row = screen.lines().find(|line| line.starts_with(crashed)).expect("it has a line");
            row.split_whitespace().nth(DEATHS).and_then(|word| word.parse::<u32>().ok()).expect("a number")
        };
        let first = deaths();
        assert!((0..15).any(|_| deaths() > first), "{first} deaths of {crashed} on every screen");
        session.send(&format!("z{key}"));
        let end = session.expect(PROMPT);
        assert!(!end.contains('z') && !end.contains("^C"), "a key was shown: {end:?}");
        run(&mut session, &format!("touch /tmp/{crashed}; wait"));
    }
    assert_eq!(run(&mut session, "stty -a"), modes);
    let shown = run(&mut session, "svc top -n 2");
    assert_eq!(shown.matches(TITLES).count(), 2, "{shown:?}");
}

#[test]
fn top_without_a_terminal_is_lists_without_colours() {
    let outcome = script("svc-top-batch", "svc() { /usr/bin/svc \"$@\"; }\nsvc top -n 2; svc top -n 1 --json; svc top | head -n 1\n");
    let (lists, rest) = outcome.stdout.split_once('[').unwrap_or_default();
    assert!(lists.matches(TITLES).count() == 2 && rest.starts_with("{\"name\":\"memory\",") && rest.matches(TITLES).count() == 1, "{outcome}");
    assert!(!outcome.stdout.contains(ESCAPE), "{outcome}");
}

#[test]
fn log_that_is_followed_shows_what_comes_later_until_control_c() {
    let mut session = session("svc-log-follow");
    // Beside it, each line that is typed lets the server die once more: it is typed when what was before is seen.
    session.send(
        "sh -c '(read -r line; /usr/bin/svc crash vfs panic; read -r line; /usr/bin/svc restart vfs) <&3 & exec /usr/bin/svc log vfs -f' 3<&0\n",
    );
    for (line, typed) in [
        ("[vfs] Fresh: ", "\n"),
        ("[vfs] panicked at ", ""),
        ("asked to panic\r\n", ""),
        // Instance 2, whose log is gone when it is ended, and instance 3, which says the same.
        ("[vfs] Recovered ", "\n"),
        ("[vfs] Recovered ", ""),
    ] {
        let shown = session.expect(line);
        assert_eq!(shown.matches("[vfs] ").count(), line.matches("[vfs] ").count(), "{line}: {shown:?}");
        session.send(typed);
    }
    session.send("\x03");
    session.expect(PROMPT);
    let shown = run(&mut session, "echo status $?");
    assert!(shown.contains("status 130"), "{shown:?}");
}

#[test]
fn log_that_is_followed_into_a_file_ends_when_it_is_killed() {
    // The file is there before the job that fills it runs: the first search may come before that.
    let text = "\
        : > /tmp/log\n\
        /usr/bin/svc log -f posix > /tmp/log & follower=$!\n\
        until grep -q Fresh /tmp/log; do sleep 0.1; done\n\
        /usr/bin/svc restart posix\n\
        until grep -q Recovered /tmp/log; do sleep 0.1; done\n\
        kill $follower; wait $follower; echo $?\n\
        grep -c posix /tmp/log\n";
    let outcome = script("svc-log-kill", text);
    assert_eq!(outcome.stdout, "143\n2\n", "{outcome}");
}
