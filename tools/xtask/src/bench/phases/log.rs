//! QEMU's words for what it executes (`-d in_asm,exec`), with one instruction a block.
//!
//! A block's instruction stands before its first execution, as address and bytes; each execution names the block by where its translation lies on the
//! host. That is what tells address spaces apart: the same address in two of them is two blocks, because their pages are two.

use std::collections::HashMap;
use std::io::{self, BufRead};

/// An instruction somewhere in somebody's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

/// What was executed: instructions, and the order in which they were, as indices.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) instructions: Vec<Instruction>,
    pub(super) executed: Vec<usize>,
}

/// Reads until `enough` says so of what was executed last, or the end.
pub(super) fn read(mut from: impl BufRead, mut enough: impl FnMut(&Instruction, &Trace) -> bool) -> io::Result<Trace> {
    let mut trace = Trace::default();
    let mut blocks: HashMap<String, usize> = HashMap::new();
    let mut translated: Option<Instruction> = None;
    let mut line = String::new();
    while {
        line.clear();
        from.read_line(&mut line)?
    } > 0
    {
        match line_of(&line) {
            Line::Bytes(address, bytes) => match &mut translated {
                // Of a long instruction the rest.
                Some(begun) if begun.address + begun.bytes.len() as u64 == address => begun.bytes.extend(bytes),
                _ => translated = Some(Instruction { address, bytes }),
            },
            Line::Executed(block, address) => {
                let known = blocks.get(block).copied().filter(|_| translated.is_none());
                let index = match known {
                    Some(index) => index,
                    None => {
                        let instruction = translated.take().filter(|instruction| instruction.address == address);
                        trace.instructions.push(instruction.unwrap_or(Instruction { address, bytes: Vec::new() }));
                        let index = trace.instructions.len() - 1;
                        blocks.insert(block.to_owned(), index);
                        index
                    }
                };
                trace.executed.push(index);
                if trace.instructions.get(index).is_some_and(|instruction| enough(instruction, &trace)) {
                    break;
                }
            }
            Line::NotExecuted => {
                trace.executed.pop();
            }
            Line::Other => {}
        }
    }
    Ok(trace)
}

enum Line<'a> {
    /// Bytes at an address, about to be executed for the first time.
    Bytes(u64, Vec<u8>),
    /// A block and its address.
    Executed(&'a str, u64),
    /// An interrupt came before what was said to be executed.
    NotExecuted,
    Other,
}

fn line_of(line: &str) -> Line<'_> {
    let parsed = if let Some(told) = line.strip_prefix("Trace ") {
        executed(told)
    } else if line.starts_with("Stopped execution") {
        Some(Line::NotExecuted)
    } else {
        line.strip_prefix("0x").and_then(bytes)
    };
    parsed.unwrap_or(Line::Other)
}

/// `0: 0x7f12 [0000/ffff9000/00c0/ff00] symbol`: processor, block, and its code segment, address and flags.
fn executed(told: &str) -> Option<Line<'_>> {
    let mut words = told.split_whitespace().skip(1);
    let block = words.next()?;
    let address = words.next()?.split('/').nth(1)?;
    Some(Line::Executed(block, u64::from_str_radix(address, 16).ok()?))
}

/// `1234:  0f 22 d9   movq %rcx, %cr3`, or without the text.
fn bytes(told: &str) -> Option<Line<'_>> {
    let (address, rest) = told.split_once(':')?;
    let bytes = rest.split_whitespace().map_while(|word| u8::from_str_radix(word, 16).ok().filter(|_| word.len() == 2)).collect();
    Some(Line::Bytes(u64::from_str_radix(address, 16).ok()?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU 7.2 says it. The last block of `0x401000` is another page's, so another program's; its translation is not repeated.
    const LOG: &str = "\
----------------
IN: entry
0xffff900000001000:  0f 01 f8                 swapgs

Trace 0: 0x7f0000000100 [0000000000000000/ffff900000001000/00c0a2b0/ff000201] entry
----------------
IN:
0x00401000:  48 c7 84 24 00 01 00 00  movq     $0x5, 0x100(%rsp)
0x00401008:  05 00 00 00

Trace 0: 0x7f0000000200 [0000000000000000/0000000000401000/00c0a2b0/ff000201]
Trace 0: 0x7f0000000100 [0000000000000000/ffff900000001000/00c0a2b0/ff000201] entry
Stopped execution of TB chain before 0x7f0000000100 [ffff900000001000] entry
----------------
IN:
0x00401000:  cc                       int3

Trace 0: 0x7f0000000300 [0000000000000000/0000000000401000/00c0a2b0/ff000201]
Trace 0: 0x7f0000000200 [0000000000000000/0000000000401000/00c0a2b0/ff000201]
";

    #[test]
    fn executions_are_told_apart_by_block_and_undone_where_they_did_not_happen() {
        let trace = read(LOG.as_bytes(), |_, _| false).expect("it is there");
        let long = vec![0x48, 0xc7, 0x84, 0x24, 0, 1, 0, 0, 5, 0, 0, 0];
        let expected = [(0xffff_9000_0000_1000, vec![0x0f, 0x01, 0xf8]), (0x40_1000, long), (0x40_1000, vec![0xcc])];
        assert_eq!(trace.instructions, expected.map(|(address, bytes)| Instruction { address, bytes }));
        assert_eq!(trace.executed, [0, 1, 2, 1]);
    }

    #[test]
    fn a_place_on_the_host_that_is_used_again_is_another_instruction() {
        let again = LOG.replace("0x7f0000000300", "0x7f0000000100");
        let trace = read(again.as_bytes(), |_, _| false).expect("it is there");
        assert_eq!(trace.executed, [0, 1, 2, 1]);
    }

    #[test]
    fn reading_ends_when_that_is_enough() {
        let trace = read(LOG.as_bytes(), |instruction, trace| instruction.address == 0x40_1000 && trace.executed.len() == 2).expect("it is there");
        assert_eq!(trace.executed, [0, 1]);
    }
}
