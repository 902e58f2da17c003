//! Processes: this program as its own child.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use crate::{Check, Outcome, expect};

pub(crate) const CHECKS: [Check; 7] = [
    ("a_child_has_a_status", a_child_has_a_status),
    ("a_child_is_piped_to", a_child_is_piped_to),
    ("children_are_chained", children_are_chained),
    ("environment_and_folder_are_given", environment_and_folder_are_given),
    ("a_child_is_killed", a_child_is_killed),
    ("a_program_replaces_itself", a_program_replaces_itself),
    ("what_is_not_there_does_not_start", what_is_not_there_does_not_start),
];

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// What this program does when it is started as a child: the status, or `None` if `role` is none.
pub(crate) fn as_child(role: &str, rest: &[String]) -> Option<i32> {
    match role {
        "child-exit" => rest.first()?.parse().ok(),
        "child-upper" => Some(i32::from(upper().is_err())),
        "child-env" => {
            println!("{} {}", env::var("GREETING").unwrap_or_default(), env::current_dir().ok()?.display());
            Some(0)
        }
        "child-waits" => Some(i32::from(io::stdin().read(&mut [0; 1]).is_err())),
        "child-aborts" => std::process::abort(),
        "child-execs" => {
            let error = this(&["child-exit", "23"]).ok()?.exec();
            eprintln!("{error}");
            Some(1)
        }
        _ => None,
    }
}

fn upper() -> io::Result<()> {
    let mut out = io::stdout().lock();
    io::stdin().lock().lines().try_for_each(|line| writeln!(out, "{}", line?.to_uppercase()))
}

fn this(arguments: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments);
    Ok(command)
}

fn a_child_has_a_status() -> Outcome {
    for code in [0, 1, 42, 255] {
        let status = this(&["child-exit", &code.to_string()])?.status()?;
        expect(status.code() == Some(code), "the child's status")?;
    }
    let status = this(&["child-aborts"])?.stderr(Stdio::null()).status()?;
    expect(status.signal() == Some(SIGABRT), "the signal of an abort")
}

fn a_child_is_piped_to() -> Outcome {
    let mut child = this(&["child-upper"])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("no pipe")?;
    let writer = std::thread::spawn(move || (0..5000).try_for_each(|number| writeln!(input, "row {number}")));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    expect(output.status.success(), "the child succeeds")?;
    let text = String::from_utf8(output.stdout)?;
    expect(text.lines().count() == 5000 && text.starts_with("ROW 0\n") && text.ends_with("ROW 4999\n"), "every row")
}

fn children_are_chained() -> Outcome {
    let mut first = this(&["child-upper"])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let second = this(&["child-upper"])?.stdin(first.stdout.take().ok_or("no pipe")?).stdout(Stdio::piped()).spawn()?;
    first.stdin.take().ok_or("no pipe")?.write_all(b"through two\n")?;
    let output = second.wait_with_output()?;
    expect(first.wait()?.success() && output.stdout == b"THROUGH TWO\n", "the text went through both")
}

fn environment_and_folder_are_given() -> Outcome {
    let output = this(&["child-env"])?.env_clear().envs(HashMap::from([("GREETING", "hello")])).current_dir("/").output()?;
    expect(output.stdout == b"hello /\n", "what the child printed")
}

fn a_child_is_killed() -> Outcome {
    let mut child = this(&["child-waits"])?.stdin(Stdio::piped()).spawn()?;
    expect(child.try_wait()?.is_none(), "it waits")?;
    child.kill()?;
    expect(child.wait()?.signal() == Some(SIGKILL), "the signal")
}

fn a_program_replaces_itself() -> Outcome {
    expect(this(&["child-execs"])?.status()?.code() == Some(23), "the status of the second program")
}

fn what_is_not_there_does_not_start() -> Outcome {
    let error = Command::new("/no/such/program").spawn().err().ok_or("it started")?;
    expect(error.kind() == io::ErrorKind::NotFound, "not found")
}
