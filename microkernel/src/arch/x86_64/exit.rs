//! The end of the machine, as seen from ring 0: only a panic ends here, with a failing status.

use abi::boot::{EXIT_PANIC, EXIT_PORT};
use x86_64::instructions::port::Port;

/// Ends QEMU with the panic status; on a machine without that device, halts for ever.
pub fn fail() -> ! {
    let mut port: Port<u32> = Port::new(EXIT_PORT);
    // SAFETY: the port belongs to QEMU's exit device, or to nothing.
    unsafe { port.write(EXIT_PANIC) }
    halt()
}

/// This processor does nothing any more.
pub fn halt() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
