//! From a trap to the kernel and back out.
//!
//! The lock is taken at entry and released before the exit, and is the only way to [`Kernel`]. What the thread that runs here has in its frame only this
//! processor changes, so an exit may read it when the lock is gone.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{FLAGS_STEP, Frame};
use x86_64::registers::control::Cr2;
use x86_64::registers::model_specific::{FsBase, KernelGsBase};

use super::apic::{FIRST_LINE_VECTOR, IPI_VECTOR, LINES, SPURIOUS_VECTOR, TIMER_VECTOR};
use super::entry::{self, Pushed};
use super::hardware::Hardware;
use super::{descriptors, duties, exit};
use crate::fastpath::LOCK;
use crate::fault::PAGE_FAULT;
use crate::kernel::Kernel;
use crate::page::{self, Ref};
use crate::smp;
use crate::thread::Thread;

/// Vectors below this are exceptions.
const EXCEPTIONS: u64 = 32;

/// The kernel behind its one lock, [`LOCK`].
struct Big(UnsafeCell<Option<Kernel<Hardware>>>);

// SAFETY: reached only in `with_kernel`, and by the fast path, while the lock is held; and before other processors and user code run.
unsafe impl Sync for Big {}

static BIG: Big = Big(UnsafeCell::new(None));
/// How many processors wait for the lock.
static WAITING: AtomicU32 = AtomicU32::new(0);
/// Whether other processors may come in, and system calls do without the fast path.
static OPEN: AtomicBool = AtomicBool::new(false);
static SLOW_PATH: AtomicBool = AtomicBool::new(false);

/// Takes the lock.
pub extern "C" fn lock() {
    smp::take(&LOCK, &WAITING, duties::perform);
}

/// Whether another processor waits for the lock that this one has.
pub fn is_waited_for() -> bool {
    smp::is_waited_for(&WAITING)
}

/// The kernel, for who has the lock, or is alone.
pub fn with_kernel<R>(act: impl FnOnce(&mut Kernel<Hardware>) -> R) -> R {
    // SAFETY: the lock is held, and nothing below takes it again: traps in ring 0 panic, and interrupts are off.
    let kernel = unsafe { &mut *BIG.0.get() };
    let Some(kernel) = kernel else { panic!("trap before the kernel was built") };
    act(kernel)
}

/// Puts the kernel where it stays, and points this processor, the first, at its record. Without the fast path if `slow_path` says so.
pub fn install(kernel: Kernel<Hardware>, slow_path: bool) {
    // SAFETY: called once, before any trap can come and any other processor may come in.
    let place = unsafe { (*BIG.0.get()).insert(kernel) };
    let (infos, direct_map) = (place.machine.infos.as_ptr() as u64, place.machine.direct_map);
    let root = u64::from(place.machine.root) << 12;
    for (index, cpu) in place.cpus.used_mut().iter_mut().enumerate() {
        (cpu.infos, cpu.direct_map, cpu.kernel_root, cpu.stack) = (infos, direct_map, root, descriptors::kernel_stack_top(index));
    }
    SLOW_PATH.store(slow_path, Ordering::Relaxed);
    if !slow_path {
        entry::use_fast_path();
    }
    use_record(0);
}

fn use_record(index: usize) {
    with_kernel(|kernel| {
        // SAFETY: the kernel is never moved from where it is, and each processor takes the record with its own number; the fast path takes the lock.
        unsafe { entry::use_record(&raw mut *kernel.cpu_at(index), SLOW_PATH.load(Ordering::Relaxed)) }
    });
}

/// Runs the first thread, and lets other processors in.
pub fn run() -> ! {
    OPEN.store(true, Ordering::Release);
    lock();
    resume()
}

/// Another processor, which is protected, waits until it may run threads, and does.
pub fn join(index: usize) -> ! {
    while !OPEN.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    // Who is to know its own record cannot wait as others do: nobody wants anything of it yet.
    while LOCK.swap(1, Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
    if index >= with_kernel(|kernel| kernel.processors()) {
        // It came when the first one had given it up.
        smp::release(&LOCK);
        exit::halt();
    }
    use_record(index);
    with_kernel(|kernel| kernel.machine.apic.enable());
    resume()
}

/// A system call: the registers are in the current frame, and the entry code has taken the lock.
pub extern "C" fn system_call() -> ! {
    with_kernel(Kernel::system_call);
    resume()
}

/// The same for entry code that has not.
pub extern "C" fn slow_system_call() -> ! {
    lock();
    system_call()
}

/// A system call of `thread`, which is the current one, native, and has its registers in its frame; the entry code has taken the lock. Returns whether it
/// goes on at once; else the trap is still to be ended.
pub extern "C" fn native_call(thread: u64) -> bool {
    with_kernel(|kernel| kernel.operate(Ref::at(thread)))
}

/// A page fault in ring 3: the registers are in the current frame, and the entry code has taken the lock.
pub extern "C" fn page_fault(code: u64, address: u64) -> ! {
    with_kernel(|kernel| kernel.exception(PAGE_FAULT, code, address));
    resume()
}

/// An exception or interrupt in ring 3.
pub extern "C" fn from_user(pushed: &Pushed) -> ! {
    let vector = pushed.vector;
    if is_fatal(vector) {
        die_of(pushed);
    }
    let address = if vector == PAGE_FAULT { Cr2::read_raw() } else { 0 };
    enter(vector);
    if vector < EXCEPTIONS {
        let code = pushed.code;
        with_kernel(|kernel| kernel.exception(vector, code, address));
    } else {
        interrupt(vector);
    }
    resume()
}

/// An interrupt of the idle processor; anything else in ring 0 is a bug.
pub extern "C" fn from_kernel(pushed: &Pushed) -> ! {
    if pushed.vector < EXCEPTIONS {
        die_of(pushed);
    }
    enter(pushed.vector);
    interrupt(pushed.vector);
    resume()
}

/// Whether no thread is to blame, whichever ran: a non-maskable interrupt (a failing board, or a person who asks where the machine is), a double fault, a
/// machine check (SDM vol. 3, 6.15). They come between any two instructions, also on the entry's first ones and the exit's last ones, where the
/// stack is still or already the program's: they have a stack of their own.
pub const fn is_fatal(vector: u64) -> bool {
    matches!(vector, 2 | 8 | 18)
}

fn die_of(pushed: &Pushed) -> ! {
    let Pushed { vector, code, rip, cs, .. } = pushed;
    panic!("exception {vector} (code {code:#x}, address {:#x}) in ring {} at {rip:#x}", Cr2::read_raw(), cs & 3);
}

/// Takes the lock. Who interrupted this processor may have it, and wait for what this one is to do.
fn enter(vector: u64) {
    if vector == IPI_VECTOR {
        duties::perform();
    }
    lock();
}

fn interrupt(vector: u64) {
    with_kernel(|kernel| {
        if vector == SPURIOUS_VECTOR {
            return;
        }
        if vector == TIMER_VECTOR {
            kernel.timer_fired();
        } else if vector == IPI_VECTOR {
            kernel.take_ipi();
        } else if (FIRST_LINE_VECTOR..FIRST_LINE_VECTOR + u64::from(LINES)).contains(&vector) {
            kernel.line_fired((vector - FIRST_LINE_VECTOR) as u32);
        }
        // Only now: a line that is still asked for and not masked yet would be taken at once again.
        kernel.machine.apic.end_of_interrupt();
    });
}

/// Ends the trap, for who has the lock: the thread that the kernel chose runs, or the processor idles.
pub extern "C" fn resume() -> ! {
    let next = with_kernel(|kernel| {
        kernel.finish();
        let current = kernel.current()?;
        load_bases(kernel, current);
        Some(&raw const page::object(&mut kernel.machine, current).frame)
    });
    smp::release(&LOCK);
    smp::give_way(&LOCK, &WAITING, duties::perform);
    let Some(frame) = next else { entry::idle() };
    // SAFETY: the frame is that of the current thread, whose page lives while it runs; the kernel checked its values when they were set.
    unsafe { entry::leave(frame, u64::from(can_sysret(&*frame))) }
}

/// SYSRET takes two registers. With the trap flag set it traps before the first instruction instead of after it, so that a thread that executes one
/// instruction at a time would never get past the place where it returned to.
fn can_sysret(frame: &Frame) -> bool {
    frame.rcx == frame.rip && frame.r11 == frame.rflags && frame.rflags & FLAGS_STEP == 0
}

/// Loads the segment bases where they matter and changed: a write is dear.
fn load_bases(kernel: &mut Kernel<Hardware>, current: Ref<Thread>) {
    let thread = page::object(&mut kernel.machine, current);
    if !thread.has_bases() {
        return;
    }
    let [fs, gs] = [thread.frame.fs_base, thread.frame.gs_base];
    let loaded = core::mem::replace(&mut kernel.cpu().loaded_bases, [fs, gs]);
    if loaded[0] != fs {
        FsBase::write(x86_64::VirtAddr::new_truncate(fs));
    }
    if loaded[1] != gs {
        KernelGsBase::write(x86_64::VirtAddr::new_truncate(gs));
    }
}
