//! The seam to the machine: ports, interrupt line, notifications.

pub use libsys::syscall::PortRecord;
use libsys::{slot, syscall};
use protocols::console::Stream;
use protocols::service::Service;

/// What the console does to the outside.
pub trait Machine {
    /// Reads a register of the UART.
    fn read(&mut self, register: u8) -> u8;
    /// Writes a register of the UART.
    fn write(&mut self, register: u8, value: u8);
    /// Writes bytes to one register of the UART, one after the other.
    fn write_all(&mut self, register: u8, bytes: &[u8]);
    /// What was done to the UART's data register, by predecessors too: bytes received and sent.
    fn data_record(&mut self) -> PortRecord;
    /// What was written to the script streams, by predecessors too.
    fn script_record(&mut self) -> PortRecord;
    /// Passes bytes, at most a message's length, to a stream of the host, which takes them all at once.
    fn script(&mut self, stream: Stream, bytes: &[u8]);
    /// Lets the interrupt line deliver again.
    fn acknowledge(&mut self);
    /// Tells the services that call the console.
    fn notify(&mut self, events: u64);
    /// Comes back to [`crate::service::WORK`] after the messages that wait already.
    fn come_back(&mut self);
}

/// The real one: capabilities that the supervisor wired as `services.toml` declares them.
///
/// Range 0 of the ports is the UART's data register, range 1 its other seven, range 2 the script streams' three; line 0 is the UART's.
#[derive(Debug)]
pub struct Wired {
    _private: (),
}

const DATA_PORT: u32 = slot::PORTS;
const CONTROL_PORTS: u32 = slot::PORTS + 1;
const SCRIPT_PORTS: u32 = slot::PORTS + 2;
const BYTE: u64 = 1;

/// The capability for a register of the UART, and the offset in it.
fn place(register: u8) -> (u32, u64) {
    match register.checked_sub(1) {
        None => (DATA_PORT, 0),
        Some(offset) => (CONTROL_PORTS, u64::from(offset)),
    }
}

impl Wired {
    /// Binds the interrupt line to the server's notification, and that to its endpoint.
    ///
    /// # Errors
    /// What the kernel says, if the capabilities are not there.
    pub fn new() -> Result<Self, abi::Error> {
        libsys::serve::bind_notification()?;
        syscall::irq_bind(slot::IRQ, 0, slot::NOTIFICATION, crate::service::WORK)?;
        Ok(Self { _private: () })
    }
}

/// A capability that was there at the start and is refused now was revoked: this instance is being replaced and has nothing left to do well.
fn wired<T>(result: Result<T, abi::Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a declared capability is refused: {error:?}"),
    }
}

impl Machine for Wired {
    fn read(&mut self, register: u8) -> u8 {
        let (ports, offset) = place(register);
        wired(syscall::port_in(ports, offset, BYTE)) as u8
    }

    fn write(&mut self, register: u8, value: u8) {
        let (ports, offset) = place(register);
        wired(syscall::port_out(ports, offset, BYTE, u64::from(value)));
    }

    fn write_all(&mut self, register: u8, bytes: &[u8]) {
        let (ports, offset) = place(register);
        wired(syscall::port_out_bytes(ports, offset, bytes));
    }

    fn data_record(&mut self) -> PortRecord {
        wired(syscall::port_record(DATA_PORT))
    }

    fn script_record(&mut self) -> PortRecord {
        wired(syscall::port_record(SCRIPT_PORTS))
    }

    fn script(&mut self, stream: Stream, bytes: &[u8]) {
        let port = match stream {
            Stream::Output => abi::boot::SCRIPT_STDOUT_PORT,
            Stream::Error => abi::boot::SCRIPT_STDERR_PORT,
            Stream::Status => abi::boot::SCRIPT_STATUS_PORT,
        };
        wired(syscall::port_out_bytes(SCRIPT_PORTS, u64::from(port - abi::boot::SCRIPT_STDOUT_PORT), bytes));
    }

    fn acknowledge(&mut self) {
        wired(syscall::irq_ack(slot::IRQ, 0));
    }

    fn notify(&mut self, events: u64) {
        // A caller that is not declared in this system has no notification to signal.
        let _undeclared = syscall::signal(slot::notification_of(Service::Posix), events);
    }

    fn come_back(&mut self) {
        wired(syscall::signal(slot::NOTIFICATION, crate::service::WORK));
    }
}
