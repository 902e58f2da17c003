//! What is shown of the servers: a table for people, JSON for programs.

use std::fmt::Write as _;

use crate::follow::Part;
use crate::proc::{Crash, Service};

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";
/// What a record has a line of for each, however many there are.
const LISTS: [&str; 3] = ["words", "return", "log"];
/// The request that a thread had in hand when it died.
const REQUEST: &str = "request";
/// Columns of a policy, in the words of services.toml.
const POLICY: [&str; 8] = ["restart", "backoff_ms", "backoff_most_ms", "burst", "per_ms", "watchdog_ms", "helper_watchdog_ms", "on_giving_up"];

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

/// Lines of a log; for programs each is an object of its own, so that a log may go on.
pub(crate) fn log(name: &str, parts: &[Part], json: bool) -> String {
    if !json {
        return parts.iter().map(|part| part.text.as_str()).collect();
    }
    let line = |instance, line| format!("{{\"service\":{},\"instance\":{instance},\"line\":{}}}\n", quoted(name), quoted(line));
    parts.iter().flat_map(|part| part.text.lines().map(move |text| line(part.instance, text))).collect()
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
        let value = match title.as_str() {
            list if LISTS.contains(&list) => array(same.map(|(_, value)| quoted(value))),
            REQUEST => request(value).unwrap_or_else(|| quoted(value)),
            _ => scalar(value),
        };
        members.push(format!("{}:{value}", quoted(title)));
    }
    format!("{{{}}}", members.join(","))
}

/// What `protocols::crash` writes of a request, `a call, posix:3:7:2, attempt 1, and refuses it now`, in its parts.
fn request(text: &str) -> Option<String> {
    let (text, refused) = text.strip_suffix(", and refuses it now").map_or((text, false), |text| (text, true));
    let (article_and_kind, rest) = text.split_once(", ")?;
    let (_article, kind) = article_and_kind.split_once(' ')?;
    let (number, attempt) = rest.split_once(", attempt ")?;
    let attempt: u32 = attempt.parse().ok()?;
    Some(format!("{{\"kind\":{},\"number\":{},\"attempt\":{attempt},\"refused\":{refused}}}", quoted(kind), quoted(number)))
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
    use super::{list, log, quoted, status};
    use crate::follow::Part;
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
    fn request_in_hand_is_an_object_of_its_parts() {
        for (text, json) in [
            ("a Linux call, posix:2:80:0, attempt 1", r#"{"kind":"Linux call","number":"posix:2:80:0","attempt":1,"refused":false}"#),
            ("a call, vfs:0:7:2, attempt 2, and refuses it now", r#"{"kind":"call","number":"vfs:0:7:2","attempt":2,"refused":true}"#),
            // What another system may write is passed on as it is.
            ("something else", r#""something else""#),
            ("a call, vfs:0:7:2, attempt x", r#""a call, vfs:0:7:2, attempt x""#),
        ] {
            let crash = Crash(vec![("service".into(), "vfs".into()), ("request".into(), text.into())]);
            let shown = status(&service(), std::slice::from_ref(&crash), true, false);
            assert!(shown.ends_with(&format!(",\"crashes\":[{{\"service\":\"vfs\",\"request\":{json}}}]}}\n")), "{shown}");
            assert!(status(&service(), &[crash], false, false).ends_with(&format!("\n  request {text}\n")));
        }
    }

    #[test]
    fn log_for_programs_is_an_object_a_line() {
        let parts = [(1, "[vfs] a \"b\"\n"), (2, ""), (3, "[vfs] c\nd\n")].map(|(instance, text)| Part { instance, text: text.into() });
        assert_eq!(log("vfs", &parts, false), "[vfs] a \"b\"\n[vfs] c\nd\n");
        let lines = [(1, r#"[vfs] a \"b\""#), (3, "[vfs] c"), (3, "d")];
        let lines = lines.map(|(instance, line)| format!("{{\"service\":\"vfs\",\"instance\":{instance},\"line\":\"{line}\"}}\n"));
        assert_eq!(log("vfs", &parts, true), lines.concat());
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
