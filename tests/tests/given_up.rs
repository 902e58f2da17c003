//! Servers that are given up: whoever calls one is told at once, whether another server or a program, and is served again when root revives it.

use tests::{AWAIT, Boot, victim_and_probe};

/// Given up at the second death, however long after the first; then callers are refused.
const CLOSES: &str = "burst = 1\nper_ms = 600000\nbackoff_ms = [1, 1]\non_giving_up = \"close\"";

#[test]
fn server_that_calls_a_given_up_one_is_refused_until_that_is_revived() {
    let boot = Boot::new("given-up-native").services(&victim_and_probe(r#"["victim"]"#)).policy("victim", CLOSES).with("--option", "probe=closed");
    let said = |line: &str| format!("await '/usr/bin/svc log probe | grep -q \"probe: {line}\"'\n");
    let state = "/usr/bin/svc list | awk '$1 == \"victim\" { print $2, $3, $4 }'\n";
    let outcome = boot.script(&format!("{AWAIT}{}{state}/usr/bin/svc restart victim\n{}{state}", said("closed"), said("done")));
    outcome.expect_output("given-up 2 2\nup 3 2\n");
    let lines: Vec<&str> = outcome.log.lines().filter_map(|line| line.strip_prefix("[probe] ")).collect();
    assert_eq!(lines, ["probe: closed ok", "probe: revived ok", "probe: done"], "{outcome}");
    assert_eq!((outcome.deaths("victim"), outcome.deaths("probe")), (2, 0), "{outcome}");
}

/// What needs the file server, and what does not, once it is given up; posix knows what it was told before, so it is asked
/// for what it must ask for. Nothing can be started then that would write to `control`, which is why it ships with
/// `power-off`; the shell has the file open here. It has read the script to its end, because that is one command.
const WITHOUT_FILES: &str = r#"{
    exec 3> /proc/synos/control 4< /etc/passwd
    echo kept > /tmp/file
    echo "crash vfs panic" >&3
    echo back >> /tmp/file; cat /tmp/file
    echo "crash vfs panic" >&3
    while echo alive >> /tmp/alive; do :; done
    echo closed
    cat /etc/group; echo "cat $?"
    /bin/ls; echo "ls $?"
    echo new > /tmp/new; echo "echo $?"
    cd /tmp; echo "cd $?"
    read line <&4; echo "read $?"
    echo piped | { read line; echo "$line"; exit 3; }; echo "pipe $?"
    echo "restart vfs" >&3
    read line <&4; echo "read $? ${line%%:*}"
    cat /tmp/file; ls /tmp | grep new
    /usr/bin/svc list | awk '$1 == "vfs" { print $2, $3, $4 }'
}
"#;
/// What the script writes.
const OUTPUT: &str = "\
    kept\nback\nclosed\ncat 126\nls 126\necho 1\ncd 2\nread 1\npiped\npipe 3\n\
    read 0 root\nkept\nback\nup 3 2\n";

#[test]
fn program_that_needs_a_given_up_server_gets_an_error_until_that_is_revived() {
    let outcome = Boot::new("given-up-vfs").policy("vfs", CLOSES).script(WITHOUT_FILES);
    outcome.expect_output(OUTPUT);
    let refused = outcome.stderr.lines().filter(|line| line.ends_with(": Input/output error")).count();
    assert_eq!((refused, outcome.stderr.lines().count()), (5, 5), "{outcome}");
    assert!(outcome.deaths("vfs") == 2 && outcome.log.contains("vfs is given up: it died too often"), "{outcome}");
}
