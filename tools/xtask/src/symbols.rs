//! Names for addresses: those of a kernel panic, and of whatever a trace shows.
//!
//! The kernel prints each return address as a line `  at 0x1234`, relative to its file; here the symbol table of that file gives
//! it the function's name. The kernel carries no names of its own.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSymbol, SymbolKind};

/// What the log's first line of a panic contains.
const PANIC: &str = "kernel panic: ";
/// How a line with a return address starts, after its indentation.
const ADDRESS: &str = "at 0x";

/// Functions by address: start, end, name.
#[derive(Debug)]
pub(crate) struct Symbols(Vec<(u64, u64, String)>);

/// What the log says about the panic, with a name beside each address; empty when there is none.
pub(crate) fn explain_panic(kernel: &Path, log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let symbols = fs::read(kernel).map(|elf| Symbols::read(&elf)).unwrap_or(Symbols(Vec::new()));
    explained(&String::from_utf8_lossy(&log), &symbols)
}

fn explained(log: &str, symbols: &Symbols) -> String {
    let mut text = String::new();
    for line in log.lines().skip_while(|line| !line.contains(PANIC)) {
        let name = line.trim_start().strip_prefix(ADDRESS).and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
        let name = name.and_then(|address| symbols.name(address)).map(|name| format!(" {name}")).unwrap_or_default();
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{line}{name}");
    }
    text
}

impl Symbols {
    /// The functions of a program; none of what is no ELF file.
    pub(crate) fn read(elf: &[u8]) -> Self {
        let Ok(file) = object::File::parse(elf) else { return Self(Vec::new()) };
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() != 0);
        let function = |symbol: object::Symbol<'_, '_>| {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
            // Functions written in assembly often have no size: such a one reaches to the next.
            let end = if symbol.size() == 0 { u64::MAX } else { symbol.address().checked_add(symbol.size())? };
            Some((symbol.address(), end, name))
        };
        let mut functions: Vec<_> = functions.filter_map(function).collect();
        functions.sort();
        Self(functions)
    }

    /// The function that a *return* address lies in: the call ends right before it, so the address may be the next function's first.
    fn name(&self, return_address: u64) -> Option<&str> {
        self.function(return_address.checked_sub(1)?).map(|(_, name)| name)
    }

    /// Where the function begins that an instruction belongs to, and its name.
    pub(crate) fn function(&self, address: u64) -> Option<(u64, &str)> {
        let behind = self.0.partition_point(|(start, ..)| *start <= address);
        let (start, end, name) = self.0.get(behind.checked_sub(1)?)?;
        (address < *end).then_some((*start, name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Symbols {
        pub(crate) fn of(functions: &[(u64, u64, &str)]) -> Self {
            Self(functions.iter().map(|(start, end, name)| (*start, *end, (*name).into())).collect())
        }
    }

    fn symbols() -> Symbols {
        Symbols::of(&[(0x1000, u64::MAX, "kernel::trap"), (0x2000, 0x2100, "kernel::main")])
    }

    #[test]
    fn each_address_of_the_panic_gets_a_name_and_nothing_before_it_is_shown() {
        let log = "booting\n  at 0x1001\nkernel panic: oh\n  at 0x1010\n  at 0x2000\n  at 0xfff\n  at 0x2101\nend\n";
        let expected = "kernel panic: oh\n  at 0x1010 kernel::trap\n  at 0x2000 kernel::trap\n  at 0xfff\n  at 0x2101\nend\n";
        assert_eq!(explained(log, &symbols()), expected);
    }

    #[test]
    fn a_log_without_panic_explains_nothing() {
        assert_eq!(explained("all is well\n", &symbols()), "");
    }

    #[test]
    fn our_own_program_has_symbols() {
        let own = std::env::current_exe().and_then(fs::read).expect("our own file");
        let symbols = Symbols::read(&own);
        assert!(symbols.0.iter().any(|(.., name)| name.contains("symbols::tests::our_own_program_has_symbols")));
    }
}
