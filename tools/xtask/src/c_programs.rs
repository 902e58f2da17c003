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

/// Compiles the programs that are older than any of the sources.
pub(crate) fn compile(workspace: &Workspace, voice: Voice) -> Result<()> {
    let folder = workspace.file(SOURCES);
    if !folder.exists() {
        return Ok(());
    }
    let sources = files(&folder)?;
    let changed = sources.iter().filter_map(|path| modified(path)).max();
    let into = workspace.built("linux");
    fs::create_dir_all(&into).map_err(Error::io("creating", &into))?;
    for source in sources.iter().filter(|path| path.parent() == Some(&folder) && path.extension().is_some_and(|ending| ending == "c")) {
        let program = into.join(source.file_stem().unwrap_or_default());
        if modified(&program) < changed {
            let text = fs::read_to_string(source).map_err(Error::io("reading", source))?;
            voice.run(Command::new("cc").args(flags(&text)).arg("-o").args([&program, source]))?;
        }
    }
    Ok(())
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
    fn flags_come_from_the_program_itself() {
        assert_eq!(flags("/* What it does.\n * Build: gcc -static -nostdlib -o a a.c\n */"), ["-static", "-nostdlib"]);
        assert_eq!(flags("int main(void) {}"), FLAGS);
    }
}
