//! Segment descriptors, the task state segment and the interrupt gates.
//!
//! The selectors' order is what SYSCALL and SYSRET want (SDM vol. 3, 5.8.8): kernel code, kernel data, user data, user code.

use core::arch::asm;
use core::mem::size_of;

use super::{entry, trap};
use crate::endpoint::MAX_CPUS;
use crate::wrap;

/// Kernel code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel data segment.
pub const KERNEL_DATA: u16 = 0x10;
/// User data segment, with its privilege level.
pub const USER_DATA: u16 = 0x18 | 3;
/// User code segment, with its privilege level.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK: u16 = 0x28;

/// Interrupt stack of what may come while there is no good stack.
const FATAL_STACK: u8 = 1;
const BREAKPOINT: usize = 3;
const OVERFLOW: usize = 4;
const STACK_BYTES: usize = 32 * 1024;

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    stacks: [u64; 3],
    reserved2: u64,
    interrupt_stacks: [u64; 7],
    reserved3: [u16; 5],
    io_map: u16,
}

#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Gate {
    low: u64,
    high: u64,
}

#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// What belongs to one processor.
#[repr(C, align(16))]
struct Processor {
    kernel_stack: Stack,
    fault_stack: Stack,
    task: TaskState,
    segments: [u64; 7],
}

impl Processor {
    const NEW: Self = Self {
        kernel_stack: Stack([0; STACK_BYTES]),
        fault_stack: Stack([0; STACK_BYTES]),
        task: TaskState { reserved: 0, stacks: [0; 3], reserved2: 0, interrupt_stacks: [0; 7], reserved3: [0; 5], io_map: 0 },
        segments: [0; 7],
    };
}

/// All segments but the task's.
pub const SEGMENTS: [u64; 5] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff];

static mut PROCESSORS: [Processor; MAX_CPUS] = [Processor::NEW; MAX_CPUS];
static mut GATES: [Gate; 256] = [Gate { low: 0, high: 0 }; 256];

fn processor(index: usize) -> *mut Processor {
    assert!(index < MAX_CPUS, "there is no record of so many processors");
    // SAFETY: in bounds of the array.
    unsafe { (&raw mut PROCESSORS).cast::<Processor>().add(index) }
}

/// Top of a processor's kernel stack.
pub fn kernel_stack_top(index: usize) -> u64 {
    // SAFETY: takes an address only.
    let stack = unsafe { &raw const (*processor(index)).kernel_stack };
    stack as u64 + STACK_BYTES as u64
}

/// Fills in the gates, which all processors share. Called once, by the first.
pub fn init_gates() {
    for (vector, address) in entry::VECTORS.iter().enumerate() {
        set_gate(vector, *address);
    }
}

/// Loads all tables of processor `index`. Called once on each, before interrupts or user code.
pub fn load(index: usize) {
    let own = processor(index);
    // SAFETY: only this processor uses its record, and so far only here.
    let (segments, gates) = unsafe {
        let base = &raw const (*own).task as u64;
        let low = (size_of::<TaskState>() as u64 - 1) | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        let [_, code, data, user_data, user_code] = SEGMENTS;
        (*own).segments = [0, code, data, user_data, user_code, low, base >> 32];
        (*own).task.stacks[0] = kernel_stack_top(index);
        (*own).task.interrupt_stacks[0] = &raw const (*own).fault_stack as u64 + STACK_BYTES as u64;
        (*own).task.io_map = size_of::<TaskState>() as u16;
        (&raw const (*own).segments, &raw const GATES as u64)
    };
    let segments = Pointer { limit: (size_of::<[u64; 7]>() - 1) as u16, base: segments as u64 };
    let gates = Pointer { limit: (size_of::<[Gate; 256]>() - 1) as u16, base: gates };
    // SAFETY: the tables are complete and live for ever; the selectors name descriptors in them.
    unsafe {
        asm!(
            "lgdt [{segments}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {data:x}",
            "mov es, {data:x}",
            "mov ss, {data:x}",
            "xor {scratch:e}, {scratch:e}",
            "mov fs, {scratch:x}",
            "mov gs, {scratch:x}",
            "ltr {task:x}",
            "lidt [{gates}]",
            segments = in(reg) &raw const segments,
            gates = in(reg) &raw const gates,
            code = const KERNEL_CODE,
            data = in(reg) u64::from(KERNEL_DATA),
            task = in(reg) u64::from(TASK),
            scratch = out(reg) _,
        );
    }
}

/// Lets a vector arrive elsewhere.
pub fn set_gate(vector: usize, entry: extern "C" fn()) {
    let gates = &raw mut GATES;
    // SAFETY: called at boot, by the first processor; interrupts are off, so nothing reads the gate meanwhile.
    unsafe { *wrap::at_mut(&mut *gates, vector) = gate(entry as usize as u64, vector) };
}

/// An interrupt gate: interrupts stay off; only the breakpoint instructions may be executed in ring 3.
fn gate(address: u64, vector: usize) -> Gate {
    let stack = if trap::is_fatal(vector as u64) { u64::from(FATAL_STACK) } else { 0 };
    let privilege = if vector == BREAKPOINT || vector == OVERFLOW { 3 } else { 0 };
    let kind: u64 = 0x8e | privilege << 5;
    Gate { low: address & 0xffff | u64::from(KERNEL_CODE) << 16 | stack << 32 | kind << 40 | (address >> 16 & 0xffff) << 48, high: address >> 32 }
}
