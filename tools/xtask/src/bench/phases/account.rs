//! Where the instructions of an operation go: a trace, cut at the marks of the program that repeats it, and summed by whose they are.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::image::Image;
use super::log::{Instruction, Trace};
use super::{KERNEL, privileged, spaces};

/// What programs mark: an operation begins here, and has ended; those from here on are of the row, or of another that runs by turns with it.
pub(super) const ROUND: &str = "round";
const END: &str = "end";
const ON: &str = "on";
const OFF: &str = "off";
/// The kernel's own phases, in the order of a call's way; its other code is told apart by modules.
const PHASES: [&str; 5] = ["entry", "lookup", "transfer", "switch", "exit"];
/// Who executes what no file has.
const NOBODY: &str = "elsewhere";
/// What is listed of an operation's modules and functions: those of at least this share.
const SHARE: f64 = 0.01;

/// Whose code runs in a guest.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) kernel: Image,
    /// What the boot loader added to the kernel's addresses.
    pub(super) kernel_at: u64,
    pub(super) users: Vec<Image>,
}

/// All traced operations of a row.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Account {
    operations: u64,
    instructions: u64,
    /// By whose they are, and in the kernel by phase, elsewhere and where it has none by module.
    parts: BTreeMap<(String, String), u64>,
    /// By whose they are and the function.
    functions: BTreeMap<(String, String), u64>,
    /// Executions of [`privileged::KINDS`].
    privileged: BTreeMap<&'static str, u64>,
}

impl Programs {
    /// Sums up the whole operations of a trace.
    pub(super) fn account(&self, trace: &Trace) -> Account {
        let owners = spaces::owners(trace, &self.users);
        let marks: Vec<Option<&str>> = trace.instructions.iter().zip(&owners).map(|(instruction, owner)| self.mark(instruction, *owner)).collect();
        let (operations, counts) = whole_operations(trace, &marks);
        let mut account = Account { operations, instructions: counts.iter().sum(), ..Account::default() };
        for ((instruction, owner), count) in trace.instructions.iter().zip(owners).zip(counts).filter(|(_, count)| *count > 0) {
            let (who, part, function) = self.place(instruction, owner);
            *account.parts.entry((who.clone(), part)).or_default() += count;
            *account.functions.entry((who, function)).or_default() += count;
            if let Some(kind) = privileged::kind(&instruction.bytes).filter(|_| spaces::is_kernel(instruction)) {
                *account.privileged.entry(kind).or_default() += count;
            }
        }
        account
    }

    fn mark(&self, instruction: &Instruction, owner: Option<usize>) -> Option<&str> {
        self.users.get(owner?)?.mark_at(instruction.address)
    }

    /// Whether an instruction looks like the first of an operation; another program may have the same one at the same address.
    pub(super) fn may_begin(&self, instruction: &Instruction) -> bool {
        self.users.iter().any(|image| image.mark_at(instruction.address) == Some(ROUND) && image.has(instruction.address, &instruction.bytes))
    }

    /// Whose an instruction is, in which part, and in which function.
    fn place(&self, instruction: &Instruction, owner: Option<usize>) -> (String, String, String) {
        if spaces::is_kernel(instruction) {
            let address = instruction.address.wrapping_sub(self.kernel_at);
            let function = self.kernel.function(address).unwrap_or(NOBODY);
            let part = self.kernel.phase(address).or_else(|| self.kernel.module(address)).unwrap_or(function);
            return (self.kernel.name.clone(), part.into(), function.into());
        }
        match owner.and_then(|owner| self.users.get(owner)) {
            Some(image) => {
                let part = image.module(instruction.address).unwrap_or_default();
                (image.name.clone(), part.into(), image.function(instruction.address).unwrap_or(NOBODY).into())
            }
            None => (NOBODY.into(), String::new(), NOBODY.into()),
        }
    }
}

/// How many operations began and ended, and how often they executed each instruction. One that faults right at its beginning is seen to begin twice.
fn whole_operations(trace: &Trace, marks: &[Option<&str>]) -> (u64, Vec<u64>) {
    let mut counts = vec![0; trace.instructions.len()];
    // Where there is another row, it is unknown whose the operations before the first mark are.
    let mut on = !marks.contains(&Some(OFF));
    let (mut operations, mut begun) = (0, None);
    for (at, index) in trace.executed.iter().enumerate() {
        match marks.get(*index).copied().flatten() {
            Some(ON) => on = true,
            Some(OFF) => on = false,
            Some(ROUND) if on && begun.is_none() => begun = Some(at),
            Some(END) => {
                operations += u64::from(begun.is_some());
                for executed in begun.take().and_then(|from| trace.executed.get(from..at)).unwrap_or_default() {
                    if let Some(count) = counts.get_mut(*executed) {
                        *count += 1;
                    }
                }
            }
            _ => {}
        }
    }
    (operations, counts)
}

impl Account {
    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    /// The account as text, a row of the table being `value`; with the functions if they are wanted.
    pub(super) fn text(&self, name: &str, value: f64, functions: bool) -> String {
        let each = |count: u64| count as f64 / self.operations as f64;
        let mut text = format!("{name}: {value}; {:.1} in each of {} traced operations\n", each(self.instructions), self.operations);
        let mut owners: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for ((who, part), count) in &self.parts {
            owners.entry(who).or_default().push((part, *count));
        }
        // Writing to a string cannot fail.
        for (who, mut parts) in owners {
            let sum = parts.iter().map(|(_, count)| count).sum();
            let phase = |part: &str| PHASES.iter().position(|phase| who == KERNEL && *phase == part).unwrap_or(PHASES.len());
            parts.sort_by_key(|(part, count)| (phase(part), u64::MAX - count));
            let parts = parts.iter().filter(|(part, count)| !part.is_empty() && self.is_listed(*count));
            let parts: Vec<String> = parts.map(|(part, count)| format!("{part} {:.1}", each(*count))).collect();
            let _written = writeln!(text, "  {who:11} {:>9.1}  {}", each(sum), parts.join(", "));
        }
        let privileged = privileged::KINDS.iter().filter_map(|kind| Some(format!("{kind} {:.2}", each(*self.privileged.get(kind)?))));
        let _written = writeln!(text, "  {:11} {:>9}  {}", "of them", "", privileged.collect::<Vec<_>>().join(", "));
        if functions {
            let mut functions: Vec<_> = self.functions.iter().filter(|(_, count)| self.is_listed(**count)).collect();
            functions.sort_by_key(|(_, count)| u64::MAX - **count);
            for ((who, function), count) in functions {
                let _written = writeln!(text, "    {:>9.1} {who:11} {function}", each(*count));
            }
        }
        text
    }

    fn is_listed(&self, count: u64) -> bool {
        count as f64 >= self.instructions as f64 * SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Symbols;

    const KERNEL_AT: u64 = spaces::KERNEL_HALF + 0x100_0000;

    fn image(name: &str, bytes: &[u8], marks: &[(u64, &str)]) -> Image {
        let marks = marks.iter().map(|(address, mark)| (*address, (*mark).to_owned())).collect();
        Image::new(
            name,
            vec![(0x1000, bytes.to_vec())],
            Symbols::of(&[(0x1000, 0x1002, "microkernel::a::f"), (0x1002, 0x1004, "<T as microkernel::b::C>::g")]),
            marks,
        )
    }

    /// A program that calls: mark, `nop`, the kernel's two functions and one privileged instruction, `nop`, end.
    fn programs() -> Programs {
        Programs {
            kernel: image(KERNEL, &[0x0f, 0x30, 0x90, 0x90], &[(0x1000, "entry"), (0x1001, "exit")]),
            kernel_at: KERNEL_AT,
            users: vec![image("program", &[0x90, 0xc3, 0xcc, 0xcb], &[(0x1000, ROUND), (0x1002, END)])],
        }
    }

    fn trace(executed: &[usize]) -> Trace {
        let instructions = [
            (0x1000, &[0x90][..]),
            (0x1001, &[0xc3]),
            (0x1002, &[0xcc]),
            (KERNEL_AT + 0x1000, &[0x0f, 0x30]),
            (KERNEL_AT + 0x1002, &[0x90]),
            (0x7000, &[0x90]),
        ];
        let instructions = instructions.map(|(address, bytes)| Instruction { address, bytes: bytes.to_vec() });
        Trace { instructions: instructions.to_vec(), executed: executed.to_vec() }
    }

    #[test]
    fn whole_operations_count_and_what_is_around_them_does_not() {
        // The rest of one operation, a whole one, the loop, one that faults at once and begins again, the loop, and the begin of one.
        let account = programs()
            .account(&trace(&[1, 3, 2, /**/ 0, 3, 4, 1, /**/ 2, 1, /**/ 0, 3, 4, 4, 5, 0, /**/ 2, 1, 1, /**/ 0, 3]));
        let sums = |parts: &[(&str, &str, u64)]| parts.iter().map(|(who, part, count)| (((*who).into(), (*part).into()), *count)).collect();
        assert_eq!(account.operations, 2);
        assert_eq!(account.instructions, 10);
        assert_eq!(account.parts, sums(&[(KERNEL, "entry", 2), (KERNEL, "<T as microkernel::b::C>::g", 3), ("program", "", 4), (NOBODY, "", 1)]));
        assert_eq!(account.privileged, BTreeMap::from([("MSR", 2)]));
        let text = account.text("row", 5.0, true);
        let expected = [
            "row: 5; 5.0 in each of 2 traced operations",
            "  elsewhere         0.5  ",
            "  microkernel       2.5  entry 1.0, <T as microkernel::b::C>::g 1.5",
            "  program           2.0  ",
            "  of them                MSR 1.00",
        ];
        assert_eq!(text.lines().take(5).collect::<Vec<_>>(), expected, "{text}");
        assert!(text.contains("1.5 microkernel <T as microkernel::b::C>::g"), "{text}");
    }

    #[test]
    fn of_two_rows_by_turns_one_counts() {
        let trace = Trace { instructions: vec![Instruction::default(); 4], executed: vec![0, 1, /**/ 3, 0, 0, 1, /**/ 2, 0, 1, 0, 1, /**/ 3, 0, 1] };
        let marks = [Some(ROUND), Some(END), Some(OFF), Some(ON)];
        assert_eq!(whole_operations(&trace, &marks), (2, vec![3, 0, 0, 0]));
    }
}
