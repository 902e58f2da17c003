//! From a trap to the kernel and back out.
//!
//! The lock is taken at entry and released before the exit: on one processor it is never contended, and it is the only way to [`Kernel`].

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use x86_64::registers::control::Cr2;
use x86_64::registers::model_specific::{FsBase, KernelGsBase};

use super::apic::{FIRST_LINE_VECTOR, LINES, SPURIOUS_VECTOR, TIMER_VECTOR};
use super::entry::{self, Pushed};
use super::hardware::Hardware;
use crate::fastpath::LOCK;
use crate::fault::PAGE_FAULT;
use crate::kernel::Kernel;
use crate::page::{self, Ref};
use crate::thread::Thread;

/// Vectors below this are exceptions.
const EXCEPTIONS: u64 = 32;

/// The kernel behind its one lock, [`LOCK`].
struct Big(UnsafeCell<Option<Kernel<Hardware>>>);

// SAFETY: reached only in `with_kernel`, and by the fast path, while the lock is held.
unsafe impl Sync for Big {}

static BIG: Big = Big(UnsafeCell::new(None));

fn lock() {
    while LOCK.swap(1, Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// The kernel, for who has the lock.
fn with_kernel<R>(act: impl FnOnce(&mut Kernel<Hardware>) -> R) -> R {
    // SAFETY: the lock is held, and nothing below takes it again: traps in ring 0 panic, and interrupts are off.
    let kernel = unsafe { &mut *BIG.0.get() };
    let Some(kernel) = kernel else { panic!("trap before the kernel was built") };
    act(kernel)
}

/// Installs the kernel and runs the first thread. Without the fast path if `slow_path` says so.
pub fn start(kernel: Kernel<Hardware>, slow_path: bool) -> ! {
    // SAFETY: called once, before any trap can come, and never moved from there; the fast path takes the lock.
    unsafe {
        let place = (*BIG.0.get()).insert(kernel);
        place.cpu.infos = place.machine.infos.as_ptr() as u64;
        place.cpu.direct_map = place.machine.direct_map;
        entry::use_record(&raw mut place.cpu, slow_path);
    }
    lock();
    resume()
}

/// A system call: the registers are in the current frame, and the entry code has taken the lock.
pub extern "C" fn system_call() -> ! {
    with_kernel(Kernel::system_call);
    resume()
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
    lock();
    let vector = pushed.vector;
    if vector < EXCEPTIONS {
        let address = if vector == PAGE_FAULT { Cr2::read_raw() } else { 0 };
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
        let address = Cr2::read_raw();
        panic!("exception {} (code {:#x}, address {address:#x}) in ring 0 at {:#x}", pushed.vector, pushed.code, pushed.rip);
    }
    lock();
    interrupt(pushed.vector);
    resume()
}

fn interrupt(vector: u64) {
    with_kernel(|kernel| {
        if vector == SPURIOUS_VECTOR {
            return;
        }
        if vector == TIMER_VECTOR {
            kernel.timer_fired();
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
    LOCK.store(0, Ordering::Release);
    let Some(frame) = next else { entry::idle() };
    // SAFETY: the frame is that of the current thread, whose page lives while it runs; the kernel checked its values when they were set.
    unsafe {
        let fast = (*frame).rcx == (*frame).rip && (*frame).r11 == (*frame).rflags;
        entry::leave(frame, u64::from(fast))
    }
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
