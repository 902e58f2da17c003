//! The project's own rules, as ordinary tests: what no compiler checks and every reader relies on.

mod tidy {
    pub(crate) mod sources;
}

use std::collections::BTreeSet;
use std::fs;

use tidy::sources::{self, Source, crates, root, sources};

/// What a visitor sees at the top, besides dotfiles and `target`.
const TOP_LEVEL: [&str; 15] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "initrd",
    "libsys",
    "microkernel",
    "protocols",
    "rust-toolchain.toml",
    "clippy.toml",
    "rustfmt.toml",
    "servers",
    "tests",
    "tools",
];
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["base", "common", "helper", "helpers", "manager", "util", "utils"];
/// Most lines of a file.
const MOST_LINES: usize = 700;
/// Most lines of a function that ships.
const MOST_FUNCTION_LINES: usize = 80;
/// How far above an unsafe block its reason may begin.
const REASON_LINES: usize = 8;

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Descriptions of the sources for which `broken` finds something.
fn offenders(broken: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(|source| broken(source).into_iter().map(|what| format!("{}: {what}", source.path.display()))).collect()
}

#[test]
fn the_top_level_is_the_fixed_one() {
    let seen: BTreeSet<String> =
        fs::read_dir(root()).expect("the project").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let unknown: Vec<String> =
        seen.into_iter().filter(|name| !name.starts_with('.') && name != "target" && !TOP_LEVEL.contains(&name.as_str())).collect();
    assert_none(&unknown, "the top level is fixed");
}

#[test]
fn every_server_is_in_the_readme_and_has_its_own() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let mut missing = Vec::new();
    for server in crates().iter().filter(|folder| folder.starts_with(root().join("servers"))) {
        let name = server.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !readme.contains(&name) {
            missing.push(format!("{name} is not in README.md"));
        }
        if !server.join("README.md").exists() {
            missing.push(format!("{name} has no README.md"));
        }
    }
    assert_none(&missing, "every server is introduced");
}

/// The words of those text files of a folder whose paths in it begin with a name that is `wanted`.
fn words_below(folder: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let folder = root().join(folder);
    let begins_rightly = |path: &std::path::Path| {
        let first = path.strip_prefix(&folder).ok().and_then(|path| path.components().next());
        first.is_some_and(|first| wanted(&std::path::Path::new(&first).with_extension("").to_string_lossy()))
    };
    let paths = sources::files(&folder).into_iter().filter(|path| begins_rightly(path));
    let texts = paths.filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What the file lists is nothing that somebody once believed: a test gives each of them. That the calls are those of the table is a test of posix.
#[test]
fn coverage_lists_only_flags_that_tests_give() {
    let text = fs::read_to_string(root().join("servers/posix/coverage.toml")).expect("the list of calls");
    let compared = words_below("tests/linux", |name| root().join(format!("tests/expected/{name}.txt")).exists());
    let refused = words_below("servers/posix/src/tests", |name| name == "refused");
    let (mut broken, mut call, mut names) = (Vec::new(), "", 0);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
        match key {
            "number" => {}
            "flags" | "refused" => {
                for name in value.trim_matches(['[', ']']).split(", ").map(|name| name.trim_matches('"')) {
                    names += 1;
                    if !compared.contains(name) && (key == "flags" || !refused.contains(name)) {
                        broken.push(format!("{call} {key} {name}"));
                    }
                }
            }
            _ if line.starts_with("[call.") => call = line,
            _ => broken.push(format!("{call} {key}: nothing checks that")),
        }
    }
    assert!(names > 200, "{names} names");
    assert_none(&broken, "servers/posix/coverage.toml lists what tests give");
}

/// A grant that no code uses is one that a server gone astray could use. Where a server calls another it names it: `Service::Vfs`.
#[test]
fn every_call_that_a_server_is_granted_is_one_that_it_makes() {
    let text = fs::read_to_string(root().join("initrd/services.toml")).expect("a manifest");
    let sources = sources();
    let mut unused = Vec::new();
    let mut granted = 0;
    for service in text.split("[[service]]").skip(1) {
        let value = |key: &str| service.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix("= "));
        let name = value("name").expect("a name").trim_matches('"');
        let own = root().join("servers").join(name).join("src");
        let ships =
            |source: &&Source| source.path.starts_with(&own) && !source.is_test() && !source.path.components().any(|part| part.as_os_str() == "fake");
        for peer in value("calls").unwrap_or_default().trim_matches(['[', ']']).split(", ").filter(|peer| !peer.is_empty()) {
            let (first, rest) = peer.trim_matches('"').split_at(1);
            let named = format!("Service::{}{rest}", first.to_uppercase());
            granted += 1;
            if !sources.iter().filter(ships).any(|source| source.text.contains(&named)) {
                unused.push(format!("{name} may call {peer}, and has no {named}"));
            }
        }
    }
    assert!(granted > 0, "no grant was found");
    assert_none(&unused, "initrd/services.toml grants what is used");
}

#[test]
fn readme_maps_every_folder_and_every_folder_introduces_itself() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let mut missing = Vec::new();
    for entry in fs::read_dir(root()).expect("the project").flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if !readme.contains(&format!("| [{name}]({name}) |")) {
            missing.push(format!("{name} is not in README.md's map"));
        }
        if !entry.path().join("README.md").exists() {
            missing.push(format!("{name} has no README.md"));
        }
    }
    assert_none(&missing, "every folder is introduced");
}

/// That the text compiles and runs is a documentation test of libsys; that it is as short as promised is seen here.
#[test]
fn a_server_is_written_in_60_lines() {
    let text = fs::read_to_string(root().join("libsys/README.md")).expect("a README");
    let example = text.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```")).expect("an example").0;
    let shown = example.lines().filter(|line| !line.starts_with("# ") && !line.trim().is_empty() && !line.trim().starts_with("//")).count();
    assert!((20..=60).contains(&shown), "{shown} lines");
    assert!(fs::read_to_string(root().join("libsys/src/lib.rs")).is_ok_and(|text| text.contains("include_str!(\"../README.md\")")));
}

/// What the README shows of the tour is what Linux prints, and so what SynOS must.
#[test]
fn readme_shows_the_tour_as_it_is() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let printed = fs::read_to_string(root().join("tests/expected/tour.txt")).expect("the tour ran on Linux");
    let shown: Vec<&str> = readme.split("```text\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let broken: Vec<String> = shown.iter().filter(|block| !printed.contains(**block)).map(|block| (*block).to_owned()).collect();
    assert!(!shown.is_empty(), "README.md shows nothing of the tour");
    assert_none(&broken, "README.md quotes the tour's output (tests/expected/tour.txt)");
}

#[test]
fn readme_names_only_commands_and_files_that_exist() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let linked = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let named = readme.split("--script ").skip(1).filter_map(|rest| rest.split(|letter: char| letter == '`' || letter.is_whitespace()).next());
    let broken: Vec<String> = linked.chain(named).filter(|path| !root().join(path).exists()).map(str::to_owned).collect();
    assert_none(&broken, "README.md names files that are there");
}

#[test]
fn every_crate_inherits_the_lints() {
    let without = |folder: &std::path::PathBuf| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        !manifest.contains("[lints]\nworkspace = true")
    };
    let broken: Vec<String> = crates().iter().filter(|folder| without(folder)).map(|folder| folder.display().to_string()).collect();
    assert_none(&broken, "a crate's Cargo.toml has `[lints] workspace = true`");
}

#[test]
fn no_crate_and_no_module_has_an_empty_name() {
    let empty = |name: &std::ffi::OsStr| EMPTY_NAMES.iter().any(|bad| name == *bad);
    let mut broken: Vec<String> =
        crates().iter().filter(|folder| folder.file_name().is_some_and(empty)).map(|folder| folder.display().to_string()).collect();
    broken.extend(offenders(|source| if source.path.file_stem().is_some_and(empty) { vec!["its name".into()] } else { vec![] }));
    assert_none(&broken, "a name says what is inside");
}

#[test]
fn no_file_is_too_long() {
    let broken = offenders(|source| {
        let lines = source.text.lines().count();
        if lines > MOST_LINES { vec![format!("{lines} lines")] } else { vec![] }
    });
    assert_none(&broken, "a file has one idea");
}

#[test]
fn no_function_is_too_long() {
    let broken = offenders(|source| {
        let functions = if source.is_test() { Vec::new() } else { source.functions() };
        functions.into_iter().filter(|(_, lines)| *lines > MOST_FUNCTION_LINES).map(|(name, lines)| format!("fn {name}: {lines} lines")).collect()
    });
    assert_none(&broken, "a function does one thing");
}

#[test]
fn every_module_says_what_it_is_for() {
    let broken = offenders(|source| {
        let says = source.text.starts_with("//!") || source.text.starts_with("#!");
        if says || source.is_test() { vec![] } else { vec!["no //! at its start".into()] }
    });
    assert_none(&broken, "a file starts with its module's documentation");
}

#[test]
fn every_unsafe_block_has_its_reason() {
    let broken = offenders(|source| {
        let lines: Vec<&str> = source.text.lines().collect();
        let unsafe_line = |line: &str| {
            let code = line.trim();
            !code.starts_with("//") && !code.contains('"') && (code.contains("unsafe {") || code.starts_with("unsafe impl"))
        };
        let reasoned = |index: usize| {
            lines.get(index.saturating_sub(REASON_LINES)..=index).is_some_and(|above| above.iter().any(|line| line.contains("SAFETY:")))
        };
        lines
            .iter()
            .enumerate()
            .filter(|(index, line)| unsafe_line(line) && !reasoned(*index))
            .map(|(index, _)| format!("line {}", index + 1))
            .collect()
    });
    assert_none(&broken, "an unsafe block stands below a SAFETY comment");
}

#[test]
fn every_file_is_part_of_a_crate() {
    let all = sources();
    let broken = offenders(|source| if source.is_declared(&all) { vec![] } else { vec!["no module declares it".into()] });
    assert_none(&broken, "there is no orphan file");
}

#[test]
fn no_code_in_the_documentation_is_left_untested() {
    let fence = concat!("```", "ignore");
    let broken = offenders(|source| if source.text.contains(fence) { vec!["an ignored code block".into()] } else { vec![] });
    assert_none(&broken, "code in documentation runs");
}

#[test]
fn nothing_is_put_off() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let broken = offenders(|source| marks.iter().filter(|mark| source.text.contains(*mark)).map(|mark| format!("a {mark}")).collect());
    assert_none(&broken, "what is not done stands in an issue");
}
