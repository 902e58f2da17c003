//! A running guest, from the start of QEMU to its end.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use abi::boot::EXIT_PANIC;

use crate::machine::{MONITOR, SCRIPT_CHANNELS};
use crate::{Console, Error, Firmware, Machine, PROGRAM, ScriptOutput, Serial};

/// How long QEMU may take to connect to the sockets it was given.
const CONNECT: Duration = Duration::from_secs(20);
/// How long QEMU may take to end by itself once asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a wait looks whether QEMU has ended.
const INTERVAL: Duration = Duration::from_millis(10);

/// What makes the monitor write every instruction to QEMU's standard output: its bytes when it is translated, and a line whenever it is executed.
/// The second line is what QEMU 8.1 and later call the first; whichever is unknown changes nothing.
const TRACE: &str = "stop\nsinglestep on\none-insn-per-tb on\nlogfile /dev/stdout\nlog in_asm,exec,nochain\ncont\n";

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The power went off, or the machine wanted to reboot.
    Off,
    /// The kernel panicked.
    Panicked,
    /// It was killed because its time was over.
    TimedOut,
    /// QEMU itself failed: its status and what it said.
    Failed(String),
}

/// A running guest. Dropping it kills QEMU.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    console: Option<Console>,
    monitor: Option<UnixStream>,
    log: PathBuf,
    errors: PathBuf,
    deadline: Option<Instant>,
    started: Instant,
}

impl Machine {
    /// Starts the guest; a script's output goes nowhere.
    ///
    /// # Errors
    /// [`Error`] when QEMU cannot be started or refuses its options.
    pub fn start(&self) -> Result<Guest, Error> {
        let (guest, output) = self.start_with_output(std::io::sink(), std::io::sink())?;
        drop(output);
        Ok(guest)
    }

    /// Starts the guest; a script's output goes to `out` and `err`.
    ///
    /// # Errors
    /// [`Error`] when QEMU cannot be started or refuses its options.
    pub fn start_with_output(
        &self,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Result<(Guest, Option<ScriptOutput>), Error> {
        let accel = self.accelerator()?;
        fs::create_dir_all(&self.folder).map_err(Error::io("creating", &self.folder))?;
        fs::write(self.log(), []).map_err(Error::io("emptying", &self.log()))?;
        if let Firmware::Uefi(ovmf) = &self.firmware {
            let copied = fs::read(&ovmf.variables).and_then(|bytes| fs::write(self.variables(), bytes));
            copied.map_err(Error::io("copying", &ovmf.variables))?;
        }
        let sockets = Sockets::new()?;
        let console = if self.serial == Serial::Console { Some(sockets.listen("console")?) } else { None };
        let monitor = if self.trace { Some(sockets.listen(MONITOR)?) } else { None };
        let mut channels = Vec::new();
        for (name, _) in SCRIPT_CHANNELS.iter().filter(|_| self.script) {
            channels.push(sockets.listen(name)?);
        }
        let mut guest = self.spawn(&self.arguments(accel, &sockets.0))?;
        guest.console = console.map(|listener| guest.accept(&listener)).transpose()?.map(Console::new);
        guest.monitor = monitor.map(|listener| guest.accept(&listener)).transpose()?;
        let streams: Result<Vec<_>, _> = channels.iter().map(|listener| guest.accept(listener)).collect();
        let output = <[UnixStream; 3]>::try_from(streams?).ok().map(|streams| ScriptOutput::start(streams, out, err));
        Ok((guest, output))
    }

    fn spawn(&self, arguments: &[String]) -> Result<Guest, Error> {
        let errors = self.folder.join("qemu-errors");
        let error_file = fs::File::create(&errors).map_err(Error::io("creating", &errors))?;
        let mut command = crate::command();
        command.args(arguments).stderr(error_file);
        if self.serial != Serial::Terminal {
            command.stdin(Stdio::null()).stdout(if self.trace { Stdio::piped() } else { Stdio::null() });
        }
        let child = command.spawn().map_err(|error| Error::Io(format!("starting {PROGRAM}"), error))?;
        let started = Instant::now();
        let deadline = self.timeout.map(|timeout| started + timeout);
        Ok(Guest { child, console: None, monitor: None, log: self.log(), errors, deadline, started })
    }
}

impl Guest {
    /// The guest's terminal, when the machine was started with [`Serial::Console`].
    pub fn console(&mut self) -> Option<&mut Console> {
        self.console.as_mut()
    }

    /// From now on tells every instruction, in the words of QEMU's `-d in_asm,exec` with one instruction a block. The guest waits while nobody reads.
    ///
    /// # Errors
    /// [`Error::Options`] when the machine was not started for that, or is traced already; [`Error::Io`] when QEMU does not listen.
    pub fn trace(&mut self) -> Result<ChildStdout, Error> {
        let (Some(monitor), Some(told)) = (self.monitor.as_mut(), self.child.stdout.take()) else {
            return Err(Error::Options("a machine is traced once, and if it was started for that"));
        };
        monitor.write_all(TRACE.as_bytes()).map_err(|error| Error::Io("asking QEMU's monitor".into(), error))?;
        Ok(told)
    }

    /// When QEMU was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What the system has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for the guest's end, which the machine's time-out bounds.
    ///
    /// # Errors
    /// [`Error::Io`] when the host no longer answers for the process.
    pub fn wait(&mut self) -> Result<Outcome, Error> {
        loop {
            if let Some(outcome) = self.ended()? {
                return Ok(outcome);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.terminate();
                return Ok(Outcome::TimedOut);
            }
            sleep(INTERVAL);
        }
    }

    /// How the guest ended, if it has.
    ///
    /// # Errors
    /// [`Error::Io`] when the host no longer answers for the process.
    pub fn ended(&mut self) -> Result<Option<Outcome>, Error> {
        let status = self.child.try_wait().map_err(|error| Error::Io(format!("waiting for {PROGRAM}"), error))?;
        Ok(status.map(|status| self.outcome(status)))
    }

    /// Asks QEMU to end, so that it gives the terminal back as it was, and insists when it does not.
    fn terminate(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let patience = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < patience && matches!(self.child.try_wait(), Ok(None)) {
            sleep(INTERVAL);
        }
        self.kill();
    }

    /// Ends the guest now.
    pub fn kill(&mut self) {
        // Both fail only when the process has ended already, which is what is wanted.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        let panicked = i32::try_from((EXIT_PANIC << 1) | 1).ok();
        match status.code() {
            Some(0) => Outcome::Off,
            code if code == panicked => Outcome::Panicked,
            _ => Outcome::Failed(format!("{} {status}", self.said())),
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream, Error> {
        let doing = "waiting for QEMU to connect";
        let deadline = Instant::now() + CONNECT;
        listener.set_nonblocking(true).map_err(|error| Error::Io(doing.into(), error))?;
        loop {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(false).map_err(|error| Error::Io(doing.into(), error))?;
                return Ok(stream);
            }
            if self.ended()?.is_some() || Instant::now() > deadline {
                return Err(Error::Refused(self.said()));
            }
            sleep(INTERVAL);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A private folder of sockets, gone once QEMU has connected. Not in the run's folder: the path of a socket is at most 108 bytes.
struct Sockets(PathBuf);

impl Sockets {
    fn new() -> Result<Self, Error> {
        let mut random = [0u8; 8];
        let source = Path::new("/dev/urandom");
        fs::File::open(source).and_then(|mut file| file.read_exact(&mut random)).map_err(Error::io("reading", source))?;
        let folder = std::env::temp_dir().join(format!("synos-{:016x}", u64::from_le_bytes(random)));
        fs::create_dir(&folder).map_err(Error::io("creating", &folder))?;
        Ok(Self(folder))
    }

    fn listen(&self, name: &str) -> Result<UnixListener, Error> {
        let path = self.0.join(name);
        UnixListener::bind(&path).map_err(Error::io("listening at", &path))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // What cannot be removed from the host's temporary folder harms nobody.
        let _removed = fs::remove_dir_all(&self.0);
    }
}
