//! A debugger, as far as a test needs one: GDB's remote serial protocol over TCP ("Debugging with GDB", appendix E).
//!
//! A packet is `$DATA#SUM`, the sum of its bytes in two digits, answered by `+`. Absent: run-length encoding of answers, which QEMU uses
//! only for registers, and every packet but the few here.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Boot, Session};

/// Where QEMU waits for a debugger.
const ADDRESS: &str = "127.0.0.1:1234";
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
const INTERRUPT: u8 = 3;

/// How long a machine may take to be built and started.
const STARTED: Duration = Duration::from_secs(120);
/// There is one address, so there is one machine at a time.
static ADDRESS_IS_TAKEN: Mutex<()> = Mutex::new(());

/// A machine that a debugger looks at. It is ended when dropped, and the address is free again.
#[derive(Debug)]
pub struct Debugged {
    /// Its terminal.
    pub session: Session,
    /// The connection: the machine waits for the first `c`.
    pub debugger: Debugger,
    _alone: MutexGuard<'static, ()>,
}

impl Debugged {
    /// Boots, with one processor, as far as the debugger lets it. `name` tells the boot's files from those of other tests.
    ///
    /// # Panics
    /// Nobody waits for a debugger within two minutes.
    #[must_use]
    pub fn boot(name: &str) -> Self {
        Self::boot_on(name, 1)
    }

    /// The same with so many processors, all of which stop and go on together.
    ///
    /// # Panics
    /// As [`Self::boot`].
    #[must_use]
    pub fn boot_on(name: &str, processors: u32) -> Self {
        let alone = ADDRESS_IS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Boot::new(name).flag("--gdb").with("--smp", processors.to_string()).session();
        let debugger = Debugger::connect(STARTED).expect("QEMU waits for a debugger");
        Self { session, debugger, _alone: alone }
    }
}

/// A connection to a stopped machine.
#[derive(Debug)]
pub struct Debugger(TcpStream);

impl Debugger {
    /// Connects as soon as somebody listens, which is an error if nobody does within `patience`.
    fn connect(patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
        loop {
            match TcpStream::connect(ADDRESS) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(ANSWER))?;
                    // Short packets that wait for each other: nothing is to be gathered.
                    stream.set_nodelay(true)?;
                    return Ok(Self(stream));
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Sends a packet and returns the answer's data.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn ask(&mut self, data: &str) -> io::Result<String> {
        self.send(data)?;
        self.answer()
    }

    /// Sends a packet whose answer comes when something happens.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn send(&mut self, data: &str) -> io::Result<()> {
        let sum = data.bytes().fold(0u8, u8::wrapping_add);
        self.0.write_all(format!("${data}#{sum:02x}").as_bytes())
    }

    /// Stops the machine; returns why it says that it stopped.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn interrupt(&mut self) -> io::Result<String> {
        self.0.write_all(&[INTERRUPT])?;
        self.answer()
    }

    /// `length` bytes of memory, as the processor sees it now.
    ///
    /// # Errors
    /// Those of the connection; [`io::ErrorKind::InvalidData`] for an answer that is none, as for memory that is not there.
    pub fn memory(&mut self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let answer = self.ask(&format!("m{address:x},{length:x}"))?;
        bytes_of(&answer)
    }

    /// What QEMU's monitor says to a command.
    ///
    /// # Errors
    /// Those of the connection; [`io::ErrorKind::InvalidData`] for an answer that is none.
    pub fn monitor(&mut self, command: &str) -> io::Result<String> {
        let digits: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut answer = self.ask(&format!("qRcmd,{digits}"))?;
        let mut text = Vec::new();
        // Its output comes in pieces, and OK behind them.
        while let Some(piece) = answer.strip_prefix('O').filter(|_| answer != "OK") {
            text.extend(bytes_of(piece)?);
            answer = self.answer()?;
        }
        if answer == "OK" { Ok(String::from_utf8_lossy(&text).into_owned()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, answer)) }
    }

    fn answer(&mut self) -> io::Result<String> {
        while self.byte()? != b'$' {}
        let mut data = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => data.push(char::from(byte)),
            }
        }
        // The two digits of the sum; TCP has one of its own.
        self.byte()?;
        self.byte()?;
        self.0.write_all(b"+")?;
        Ok(data)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

/// What is written as two digits for each byte.
fn bytes_of(answer: &str) -> io::Result<Vec<u8>> {
    let digits = answer.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    digits.collect::<Option<Vec<u8>>>().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, answer))
}
