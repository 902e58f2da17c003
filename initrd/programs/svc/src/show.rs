//! What is shown of the servers: a table for people, JSON for programs.

use std::fmt::Write as _;

use crate::proc::{Crash, Service};

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";
/// What a record has a line of for each, however many there are.
const LISTS: [&str; 3] = ["words", "return", "log"];
/// Columns of a policy, in the words of services.toml.
const POLICY: [&str; 7] = ["restart", "backoff_ms", "backoff_most_ms", "burst", "per_ms", "watchdog_ms", "on_giving_up"];

/// All servers.
pub(crate) fn list(services: &[Service], json: bool, colours: bool) -> String {
    if json {
        return format!("{}\n", array(services.iter().map(|service| object(&service.columns))));
    }
    let mut text = format!("{:<14}{:<10}{:>8}{:>8}{:>12}{:>12}{:>10}\n", "NAME", "STATE", "INSTANCE", "DEATHS", "AGE", "CPU", "CALLS");
    for service in services {
        text.push_str(&row(service, colours));
    }
    text
}

fn row(service: &Service, colours: bool) -> String {
    let state = service.get("state");
    let (on, off) = match state {
        _ if !colours => ("", ""),
        "up" => (GREEN, PLAIN),
        "given-up" => (RED, PLAIN),
        _ => (YELLOW, PLAIN),
    };
    let (age, cpu) = (seconds(service.number("age_us")), seconds(service.number("own_us")));
    let [instance, deaths, calls] = ["instance", "deaths", "calls"].map(|title| service.get(title));
    format!("{:<14}{on}{state:<10}{off}{instance:>8}{deaths:>8}{age:>12}{cpu:>12}{calls:>10}\n", service.name)
}

/// Microseconds as seconds, with the digits that tell a restart from a rest.
fn seconds(us: u64) -> String {
    format!("{}.{:03}s", us / 1_000_000, us / 1000 % 1000)
}

/// One server, its policy, and its last death.
pub(crate) fn status(service: &Service, crashes: &[Crash], json: bool, colours: bool) -> String {
    if json {
        let crashes = array(crashes.iter().map(|crash| object(&crash.0)));
        let service = object(&service.columns);
        return format!("{{\"service\":{service},\"crashes\":{crashes}}}\n");
    }
    let mut text = list(std::slice::from_ref(service), false, colours);
    let policy: Vec<String> = POLICY.iter().map(|title| format!("{title} {}", service.get(title))).collect();
    // A string grows as needed.
    let _infallible = writeln!(text, "policy: {}", policy.join(", "));
    if service.number("pause_us") > 0 {
        let _infallible = writeln!(text, "starts again in {}", seconds(service.number("pause_us")));
    }
    match crashes.first() {
        None => text.push_str("no death on record\n"),
        Some(crash) => text.push_str(&death(crash)),
    }
    text
}

fn death(crash: &Crash) -> String {
    let at = seconds(crash.number("at_us"));
    let mut text = format!("last death: instance {} at {at}, {}\n", crash.get("instance").unwrap_or("?"), crash.get("cause").unwrap_or("?"));
    for (title, value) in crash.0.iter().filter(|(title, _)| !["service", "instance", "at_us", "cause"].contains(&title.as_str())) {
        // A string grows as needed.
        let _infallible = writeln!(text, "  {title} {value}");
    }
    text
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// An object; what there may be several of is an array of strings, of one too.
fn object(columns: &[(String, String)]) -> String {
    let mut members = Vec::new();
    for (index, (title, value)) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|(earlier, _)| earlier == title) {
            continue;
        }
        let same = columns.iter().filter(|(other, _)| other == title);
        let value = if LISTS.contains(&title.as_str()) { array(same.map(|(_, value)| quoted(value))) } else { scalar(value) };
        members.push(format!("{}:{value}", quoted(title)));
    }
    format!("{{{}}}", members.join(","))
}

fn scalar(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    if plain { value.to_owned() } else { quoted(value) }
}

/// A JSON string (RFC 8259, section 7).
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => {
                // A string grows as needed.
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{list, quoted, status};
    use crate::proc::{Crash, Service};

    fn service() -> Service {
        let columns = [("name", "vfs"), ("state", "up"), ("instance", "3"), ("deaths", "2"), ("age_us", "1234567"), ("own_us", "0"), ("calls", "9")];
        Service { name: "vfs".into(), columns: columns.map(|(title, value)| (title.into(), value.into())).to_vec() }
    }

    fn crash() -> Crash {
        let lines = [("service", "vfs"), ("cause", "hung"), ("at_us", "5"), ("words", "7"), ("log", "a \"b\""), ("log", "007")];
        Crash(lines.map(|(title, value)| (title.into(), value.into())).to_vec())
    }

    #[test]
    fn table_has_colours_only_when_asked() {
        let plain = list(&[service()], false, false);
        assert!(plain.lines().nth(1).is_some_and(|line| line.starts_with("vfs           up") && line.contains("1.234s")), "{plain}");
        assert!(!plain.contains('\x1b') && list(&[service()], false, true).contains("\x1b[32mup"));
    }

    #[test]
    fn json_has_numbers_strings_and_arrays() {
        let text = list(&[service()], true, true);
        assert!(text.starts_with("[{\"name\":\"vfs\",\"state\":\"up\",\"instance\":3,") && !text.contains('\x1b'), "{text}");
        let text = status(&service(), &[crash()], true, false);
        assert!(text.contains("\"words\":[\"7\"],\"log\":[\"a \\\"b\\\"\",\"007\"]") && text.contains("\"at_us\":5"), "{text}");
    }

    #[test]
    fn status_tells_the_last_death() {
        assert!(status(&service(), &[], false, false).ends_with("no death on record\n"));
        assert!(status(&service(), &[crash()], false, false).contains("at 0.000s, hung\n  words 7\n  log a"));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(quoted("a\tb\\"), "\"a\\u0009b\\\\\"");
    }
}
