//! The system's log: bytes to QEMU's debug console, apart from the console's UART.

use core::fmt;

use abi::boot::LOG_PORT;
use x86_64::instructions::port::Port;

/// Writes to the log. Any number may exist: a byte is written at once.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Log {
    /// Appends bytes.
    pub fn write(self, bytes: &[u8]) {
        let mut port: Port<u8> = Port::new(LOG_PORT);
        for byte in bytes {
            // SAFETY: the debug console's port takes any byte and has no other effect.
            unsafe { port.write(*byte) }
        }
    }
}

impl fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Writes a line to the log.
#[macro_export]
macro_rules! klog {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        // Writing to the debug console cannot fail.
        let _ = writeln!($crate::arch::x86_64::log::Log, $($argument)*);
    }};
}
