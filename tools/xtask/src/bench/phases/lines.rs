//! Modules by the files that instructions come from, as line tables have them: most of the kernel is inlined into a few functions.

use gimli::{Dwarf, EndianSlice, LittleEndian};
use object::{Object, ObjectSection};

/// Where a package has its sources.
const SOURCES: &str = "/src/";
/// Packages of the standard library.
const LIBRARY: [&str; 5] = ["core", "core_arch", "alloc", "std", "compiler_builtins"];
/// Files that are their package itself.
const ROOTS: [&str; 2] = ["lib", "main"];

/// From which address on what module's text lies, sorted; nothing where no text does.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(u64, Option<String>)>);

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

impl Lines {
    /// The line tables of the program `name`, whose own modules are named without it.
    pub(super) fn read(elf: &[u8], name: &str) -> Option<Self> {
        let file = object::File::parse(elf).ok()?;
        let dwarf = dwarf(&file).ok()?;
        let mut lines = Vec::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next().ok()? {
            lines.extend(unit(&dwarf, header, name).ok()?);
        }
        lines.sort();
        Some(Self(lines))
    }

    pub(super) fn module(&self, address: u64) -> Option<&str> {
        let behind = self.0.partition_point(|(start, _)| *start <= address);
        self.0.get(behind.checked_sub(1)?)?.1.as_deref()
    }
}

fn dwarf<'a>(file: &object::File<'a>) -> gimli::Result<Dwarf<Bytes<'a>>> {
    Dwarf::load(|id| {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    })
}

/// What the line table of one unit of compilation says.
fn unit(dwarf: &Dwarf<Bytes<'_>>, header: gimli::UnitHeader<Bytes<'_>>, name: &str) -> gimli::Result<Vec<(u64, Option<String>)>> {
    let unit = dwarf.unit(header)?;
    let mut lines: Vec<(u64, Option<String>)> = Vec::new();
    let Some(program) = unit.line_program.clone() else { return Ok(lines) };
    let mut rows = program.rows();
    let mut sequence = 0;
    while let Some((header, row)) = rows.next_row()? {
        if row.end_sequence() {
            settle(lines.get_mut(sequence..).unwrap_or_default());
            lines.push((row.address(), None));
            sequence = lines.len();
        } else if let Some(file) = row.file(header) {
            let directory = match file.directory(header) {
                Some(directory) => dwarf.attr_string(&unit, directory)?.to_string_lossy(),
                None => "".into(),
            };
            let path = format!("{directory}/{}", dwarf.attr_string(&unit, file.path_name())?.to_string_lossy());
            lines.push((row.address(), module(&path, name)));
        }
    }
    Ok(lines)
}

/// What is of the standard library counts to the module before it in its function, or else behind.
fn settle(function: &mut [(u64, Option<String>)]) {
    let mut last = function.iter().find_map(|(_, module)| module.clone());
    for (_, module) in function {
        match module {
            Some(_) => last.clone_from(module),
            None => module.clone_from(&last),
        }
    }
}

/// The module of a source file, to the program `own`; `None` in the standard library.
fn module(path: &str, own: &str) -> Option<String> {
    let (package, file) = path.rsplit_once(SOURCES)?;
    let package = without_version(package.rsplit('/').next()?);
    if LIBRARY.contains(&package) {
        return None;
    }
    let module = file.split('/').next()?.trim_end_matches(".rs");
    let module = if ROOTS.contains(&module) { package } else { module };
    Some(if package == own || package == module { module.into() } else { format!("{package}::{module}") })
}

/// Packages from elsewhere lie in folders that have their version in the name.
fn without_version(folder: &str) -> &str {
    folder.rsplit_once('-').filter(|(_, version)| version.starts_with(|letter: char| letter.is_ascii_digit())).map_or(folder, |(package, _)| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_files_and_other_packages_are_told() {
        let own = |path| module(path, "posix");
        assert_eq!(own("/w/servers/posix/src/process/fork.rs").as_deref(), Some("process"));
        assert_eq!(own("/w/servers/posix/src/lib.rs").as_deref(), Some("posix"));
        assert_eq!(own("/w/libsys/src/saved.rs").as_deref(), Some("libsys::saved"));
        assert_eq!(own("/w/libsys/abi/src/lib.rs").as_deref(), Some("abi"));
        assert_eq!(own("/r/postcard-1.1.3/src/ser/mod.rs").as_deref(), Some("postcard::ser"));
        assert_eq!(own("/rustc/0/library/core/src/num/mod.rs"), None);
    }

    #[test]
    fn what_is_inlined_of_the_library_counts_where_it_stands() {
        let lines = |modules: [Option<&str>; 5]| modules.map(|module| (0, module.map(String::from)));
        let mut function = lines([None, Some("a"), None, Some("b"), None]);
        settle(&mut function);
        assert_eq!(function, lines([Some("a"), Some("a"), Some("a"), Some("b"), Some("b")]));
    }

    #[test]
    fn lines_hold_from_their_address_to_the_next() {
        let lines = Lines(vec![(0x10, Some("a".into())), (0x20, None)]);
        assert_eq!([0xf, 0x10, 0x1f, 0x20].map(|address| lines.module(address)), [None, Some("a"), Some("a"), None]);
    }

    /// Up to the first unit of this package: all would take seconds.
    #[test]
    fn our_own_lines_are_read() {
        let own = std::env::current_exe().and_then(std::fs::read).expect("our own file");
        let file = object::File::parse(&*own).expect("it is an ELF file");
        let dwarf = dwarf(&file).expect("it has line tables");
        let mut units = dwarf.units();
        let is_ours = |(_, module): &(u64, Option<String>)| module.as_deref() == Some("bench");
        while !unit(&dwarf, units.next().expect("it is one").expect("there is a unit of ours"), "xtask").expect("it is one").iter().any(is_ours) {}
    }
}
