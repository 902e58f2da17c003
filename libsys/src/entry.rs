//! A program's first instruction and its last words.

use crate::{fail, start};

/// Defines the program's entry: `entry!(main)` runs `fn main() -> !` on thread 0; `entry!(main, helper)` also runs `fn helper(thread: u64)
/// -> !` on the others, which the supervisor starts once this instance said that it is up.
///
/// The first process is not started by the supervisor and says so: `entry!(first main)`.
#[macro_export]
macro_rules! entry {
    (first $main:path) => {
        $crate::entry!(@define |_thread| $main());
    };
    ($main:path) => {
        $crate::entry!($main, $crate::thread_without_work);
    };
    ($main:path, $helper:path) => {
        $crate::entry!(@define |thread: u64| {
            $crate::begin(thread);
            if thread == 0 { $main() } else { $helper(thread) }
        });
    };
    (@define $run:expr) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        extern "sysv64" fn _start(thread: u64) -> ! {
            let run: fn(u64) -> ! = $run;
            run(thread)
        }
    };
}

/// What [`entry!`] does before the program's own function.
pub fn begin(thread: u64) {
    if let Some(how) = crate::death::asked_by(thread) {
        crate::death::die(how);
    }
    if thread != 0 {
        return;
    }
    start::read();
    let info = start::info();
    crate::heap::limit(u64::from(info.heap_pages));
    if let Some(point) = &info.fail {
        fail::arm(&point.point, point.nth);
    }
}

/// What a thread runs for which the program has no function: the manifest asks for threads that the program does not know.
#[doc(hidden)]
pub fn thread_without_work(thread: u64) -> ! {
    panic!("thread {thread} has no work: the manifest declares too many threads")
}

/// Ends this instance with an exception that names it.
pub(crate) fn die() -> ! {
    #[cfg(target_os = "none")]
    {
        #[allow(unsafe_code, reason = "the undefined instruction")]
        // SAFETY: the instruction raises an exception, which the supervisor takes as this instance's death.
        unsafe {
            core::arch::asm!("ud2", options(noreturn, nomem, nostack))
        }
    }
    #[cfg(not(target_os = "none"))]
    crate::host::crash()
}

/// Last words to the log and the supervisor. Nothing here allocates, and a panic within it does not come back.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write as _;
    use core::sync::atomic::{AtomicBool, Ordering};
    use protocols::supervisor::{Client, MAX_REPORT};

    static PANICKING: AtomicBool = AtomicBool::new(false);
    if PANICKING.swap(true, Ordering::Relaxed) {
        die();
    }
    crate::log!("{info}");
    if start::try_info().is_some() {
        let mut text = crate::log::Line::<MAX_REPORT>::new();
        // An error says that the text is full; its start is still worth sending.
        let _cut_off = write!(text, "{info}");
        // The report is a courtesy: the exception that follows is what counts.
        let _unheard = Client(crate::Peer::new(crate::slot::SUPERVISOR)).crash_report(crate::next_number(), text.as_str());
    }
    die()
}
