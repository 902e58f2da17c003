//! The tests' C programs: each `tests/linux/NAME.c` becomes the static `target/linux/NAME`.
//!
//! How a program is compiled stands in the program: the words between compiler and `-o` in a comment line `Build: gcc ... -o ...`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

/// Folder of the sources; what a program includes lies in folders beside it.
const SOURCES: &str = "tests/linux";
/// For a program that does not say.
const FLAGS: [&str; 2] = ["-static", "-O1"];

/// Where the program `name` is, or will be.
pub(crate) fn program(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.built("linux").join(name)
}

/// Compiles those of the programs `names` that are older than their source or anything that it may include. Nothing else is looked at: a
/// source that does not compile is the concern of whoever uses it.
pub(crate) fn compile(workspace: &Workspace, names: &[&str], voice: Voice) -> Result<()> {
    let into = workspace.built("linux");
    fs::create_dir_all(&into).map_err(Error::io("creating", &into))?;
    for name in names {
        let source = workspace.file(SOURCES).join(format!("{name}.c"));
        let included = source.with_extension("");
        let mut sources = if included.is_dir() { files(&included)? } else { Vec::new() };
        sources.push(source.clone());
        let changed = sources.iter().filter_map(|path| modified(path)).max();
        let program = program(workspace, name);
        if modified(&program) < changed || changed.is_none() {
            let text = fs::read_to_string(&source).map_err(Error::io("reading", &source))?;
            // Another run may look at it meanwhile, or compile it too: it is there as a whole or not at all.
            let new = program.with_extension(std::process::id().to_string());
            voice.run(Command::new("cc").args(flags(&text)).arg("-o").args([&new, &source])).map_err(needs_compiler)?;
            fs::rename(&new, &program).map_err(Error::io("renaming", &new))?;
        }
    }
    Ok(())
}

/// A missing compiler is something that set-up does not bring: only some tests need one.
fn needs_compiler(error: Error) -> Error {
    match error {
        Error::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
            Error::Missing { what: "a C compiler, for the tests' C programs, is missing".into(), help: "sudo apt-get install gcc libc6-dev".into() }
        }
        other => other,
    }
}

fn flags(source: &str) -> Vec<&str> {
    let Some((_, line)) = source.lines().find_map(|line| line.split_once("Build: ")) else { return FLAGS.to_vec() };
    line.split_whitespace().skip(1).take_while(|word| *word != "-o").collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// All files below `folder`, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("reading", folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_compiled() {
        let root = std::env::temp_dir().join(format!("synos-c-{}", std::process::id()));
        let workspace = Workspace::at(root.clone(), root.join("target"));
        let sources = root.join(SOURCES);
        fs::create_dir_all(&sources).expect("a temporary folder");
        fs::write(sources.join("good.c"), "int main(void) { return 0; }\n").expect("to write");
        fs::write(sources.join("bad.c"), "this is not C\n").expect("to write");
        compile(&workspace, &["good"], Voice::Quiet).expect("the other is not looked at");
        let made = modified(&program(&workspace, "good")).expect("it is there");
        compile(&workspace, &["good"], Voice::Quiet).expect("nothing to do");
        assert_eq!(modified(&program(&workspace, "good")), Some(made), "a second time compiles nothing");
        assert!(compile(&workspace, &["bad"], Voice::Quiet).is_err_and(|error| error.to_string().contains("bad.c")));
        fs::remove_dir_all(root).expect("to tidy up");
    }

    #[test]
    fn flags_come_from_the_program_itself() {
        assert_eq!(flags("/* What it does.\n * Build: gcc -static -nostdlib -o a a.c\n */"), ["-static", "-nostdlib"]);
        assert_eq!(flags("int main(void) {}"), FLAGS);
    }
}
