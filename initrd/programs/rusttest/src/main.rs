//! What Rust's standard library asks of the system: one line `NAME ok` for each check, or a panic and status 101.
//!
//! Built static (`-C target-feature=+crt-static` for `x86_64-unknown-linux-gnu`), it must pass on Linux and in the guest with the same output. Checks stand alone and clean up;
//! nothing printed depends on time, addresses or process numbers. Arguments choose checks by name.

mod files;
mod processes;
mod threads;

use std::io::{self, Write};

/// Why a check did not hold.
type Outcome = Result<(), Box<dyn std::error::Error>>;
type Check = (&'static str, fn() -> Outcome);

const CHECKS: [&[Check]; 3] = [&threads::CHECKS, &files::CHECKS, &processes::CHECKS];

/// A failed condition, in words.
fn expect(condition: bool, what: &str) -> Outcome {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).collect::<Vec<_>>();
    if let [role, rest @ ..] = arguments.as_slice()
        && let Some(status) = processes::as_child(role, rest)
    {
        std::process::exit(status);
    }
    arguments.retain(|argument| !argument.starts_with('-'));
    for (name, check) in CHECKS.concat() {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            check().map_err(|error| format!("{name} FAILED: {error}"))?;
            writeln!(io::stdout(), "{name} ok")?;
        }
    }
    Ok(())
}
