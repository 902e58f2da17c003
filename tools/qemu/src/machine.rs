//! What machine to start, as QEMU's command line.
//!
//! The arguments are a pure function of [`Machine`], the settled accelerator and the run's folder, so that they are tested
//! without starting anything. Choices that look odd:
//! - the boot disk is virtio, because the BIOS reads an IDE disk by port I/O, which takes three times as long under emulation;
//! - `-nic none`: a default network card brings an option ROM that the BIOS initialises at every boot;
//! - debug console and script output leave through QEMU's `isa-debugcon`, one port each, because it passes bytes unchanged
//!   and waits for the reader, while a UART belongs to the guest's terminal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use abi::boot::{EXIT_PORT, LOG_PORT, SCRIPT_STATUS_PORT, SCRIPT_STDERR_PORT, SCRIPT_STDOUT_PORT};

use crate::{Accel, Error};

/// Memory of the guest when nothing else is asked for.
const DEFAULT_MEMORY: &str = "512M";
/// The guest's processor when nothing else is asked for: all that the accelerator can.
const DEFAULT_CPU: &str = "max";

/// OVMF's files on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ovmf {
    /// The firmware's code.
    pub code: PathBuf,
    /// Its variables as they are at first boot; each run gets a copy.
    pub variables: PathBuf,
}

/// Where distributions put OVMF: (code, fresh variables).
const OVMF: [(&str, &str); 3] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

impl Ovmf {
    /// The firmware as this host has it.
    #[must_use]
    pub fn find() -> Option<Self> {
        let pairs = OVMF.into_iter().map(|(code, variables)| Self { code: code.into(), variables: variables.into() });
        pairs.into_iter().find(|ovmf| ovmf.code.exists() && ovmf.variables.exists())
    }
}

/// What starts the boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi(Ovmf),
}

/// Where the guest's serial line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serial {
    /// Our own terminal, raw, shared with QEMU's monitor (Ctrl-A X ends QEMU).
    Terminal,
    /// A [`crate::Console`] for a program that types and reads.
    Console,
    /// Nowhere.
    Unused,
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The disk image that boots.
    pub image: PathBuf,
    /// BIOS or UEFI.
    pub firmware: Firmware,
    /// Folder for this run's log and sockets; made when missing. Two guests at once need two.
    pub folder: PathBuf,
    /// Where the serial line goes.
    pub serial: Serial,
    /// Whether a script's output and status are carried to the host.
    pub script: bool,
    /// Guest memory, in QEMU's notation.
    pub memory: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// Their model and features, in QEMU's notation.
    pub cpu: String,
    /// What executes the guest.
    pub accel: Accel,
    /// One tick of guest time per instruction: exact and repeatable.
    pub icount: bool,
    /// Lets [`crate::Guest::trace`] tell every instruction.
    pub trace: bool,
    /// Further disks, as virtio-blk in this order.
    pub disks: Vec<PathBuf>,
    /// Wait for a debugger on TCP port 1234.
    pub gdb: bool,
    /// The guest is killed after this long.
    pub timeout: Option<Duration>,
}

impl Machine {
    /// A machine with one CPU that boots `image` by BIOS, with its log in `folder`.
    #[must_use]
    pub fn new(image: PathBuf, folder: PathBuf) -> Self {
        Self {
            image,
            folder,
            firmware: Firmware::Bios,
            serial: Serial::Unused,
            script: false,
            memory: DEFAULT_MEMORY.into(),
            cpus: 1,
            cpu: DEFAULT_CPU.into(),
            accel: Accel::Auto,
            icount: false,
            trace: false,
            disks: Vec::new(),
            gdb: false,
            timeout: None,
        }
    }

    /// The log's file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The accelerator this machine will get on this host.
    ///
    /// # Errors
    /// [`Error::Options`] when instruction counting is asked for together with KVM, or KVM where it cannot work.
    pub fn accelerator(&self) -> Result<Accel, Error> {
        match (self.icount, self.accel) {
            (true, Accel::Kvm) => Err(Error::Options("--icount counts translated instructions: it needs --accel tcg")),
            (true, _) => Ok(Accel::Tcg),
            (false, accel) => accel.settled(),
        }
    }

    /// QEMU's arguments; `sockets` is the folder where the host listens.
    pub(crate) fn arguments(&self, accel: Accel, sockets: &Path) -> Vec<String> {
        let mut arguments = Arguments::default();
        arguments.add("-machine", "pc,usb=off,vmport=off");
        arguments.add("-accel", accel.name());
        arguments.add("-cpu", &format!("{}{}", self.cpu, if self.icount { ",-erms,-fsrm" } else { "" }));
        if self.icount {
            arguments.add("-icount", "shift=0,sleep=off");
        }
        arguments.add("-m", &self.memory);
        arguments.add("-smp", &self.cpus.to_string());
        arguments.add("-display", "none");
        arguments.add("-nic", "none");
        arguments.flag("-no-reboot");
        arguments.flag("-nodefaults");
        arguments.add("-vga", "std");
        self.firmware(&mut arguments);
        self.drives(&mut arguments);
        self.serial(&mut arguments, sockets);
        self.channels(&mut arguments, sockets);
        if self.trace {
            arguments.add("-chardev", &socket(MONITOR, sockets));
            arguments.add("-mon", &format!("chardev={MONITOR}"));
        }
        if self.gdb {
            arguments.flag("-s");
            arguments.flag("-S");
        }
        arguments.0
    }

    fn firmware(&self, arguments: &mut Arguments) {
        if let Firmware::Uefi(ovmf) = &self.firmware {
            let code = format!("if=pflash,format=raw,unit=0,readonly=on,file={}", escaped(&ovmf.code));
            let variables = format!("if=pflash,format=raw,unit=1,file={}", escaped(&self.variables()));
            arguments.add("-drive", &code);
            arguments.add("-drive", &variables);
        }
    }

    /// This run's copy of the firmware's variables.
    pub(crate) fn variables(&self) -> PathBuf {
        self.folder.join("uefi-variables")
    }

    fn drives(&self, arguments: &mut Arguments) {
        arguments.add("-drive", &format!("if=none,id=boot,format=raw,readonly=on,file={}", escaped(&self.image)));
        arguments.add("-device", "virtio-blk-pci,drive=boot,serial=boot,bootindex=0");
        for (index, disk) in self.disks.iter().enumerate() {
            let format = disk_format(disk);
            arguments.add("-drive", &format!("if=none,id=disk{index},format={format},file={}", escaped(disk)));
            arguments.add("-device", &format!("virtio-blk-pci,drive=disk{index},serial=disk{index}"));
        }
    }

    fn serial(&self, arguments: &mut Arguments, sockets: &Path) {
        match self.serial {
            Serial::Terminal => arguments.add("-serial", "mon:stdio"),
            Serial::Console => {
                arguments.add("-chardev", &socket("console", sockets));
                arguments.add("-serial", "chardev:console");
            }
            Serial::Unused => arguments.add("-serial", "null"),
        }
    }

    fn channels(&self, arguments: &mut Arguments, sockets: &Path) {
        let log = format!("file,id=log,path={}", escaped(&self.log()));
        let mut channel = |name: &str, backend: &str, port: u16| {
            arguments.add("-chardev", backend);
            arguments.add("-device", &format!("isa-debugcon,iobase={port:#x},chardev={name}"));
        };
        channel("log", &log, LOG_PORT);
        if self.script {
            for (name, port) in SCRIPT_CHANNELS {
                channel(name, &socket(name, sockets), port);
            }
        }
        arguments.add("-device", &format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=0x4"));
    }
}

/// A script's channels: name of the socket, and port.
pub(crate) const SCRIPT_CHANNELS: [(&str, u16); 3] = [("stdout", SCRIPT_STDOUT_PORT), ("stderr", SCRIPT_STDERR_PORT), ("status", SCRIPT_STATUS_PORT)];

/// The socket of QEMU's monitor.
pub(crate) const MONITOR: &str = "monitor";

/// The host listens and QEMU connects as it starts, so that no byte comes before its reader.
fn socket(name: &str, sockets: &Path) -> String {
    format!("socket,id={name},path={}", escaped(&sockets.join(name)))
}

/// QEMU separates options by commas and doubles those in values.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Raw, unless the file starts with qcow2's magic: QEMU warns when it has to guess.
fn disk_format(disk: &Path) -> &'static str {
    let mut magic = [0u8; 4];
    let read = std::fs::File::open(disk).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    if read.is_ok() && magic == *b"QFI\xfb" { "qcow2" } else { "raw" }
}

/// A command line under construction.
#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn add(&mut self, name: &str, value: &str) {
        self.0.extend([String::from(name), value.into()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Machine) -> String {
        machine.arguments(machine.accelerator().expect("consistent options"), Path::new("/run")).join(" ")
    }

    fn machine() -> Machine {
        Machine { accel: Accel::Tcg, ..Machine::new("/i.img".into(), "/f".into()) }
    }

    #[test]
    fn the_plain_machine_boots_from_virtio_and_never_reboots() {
        let line = line(&machine());
        assert!(line.contains("virtio-blk-pci,drive=boot") && line.contains("-no-reboot") && line.contains("-m 512M"), "{line}");
        assert!(line.contains("isa-debugcon,iobase=0xe9,chardev=log") && !line.contains("0xea"), "{line}");
    }

    #[test]
    fn a_script_has_three_channels_of_its_own() {
        let line = line(&Machine { script: true, ..machine() });
        for port in ["0xea", "0xeb", "0xec"] {
            assert!(line.contains(&format!("isa-debugcon,iobase={port}")), "{line}");
        }
    }

    #[test]
    fn only_a_traced_machine_has_a_monitor() {
        let traced = line(&Machine { trace: true, ..machine() });
        assert!(traced.contains("socket,id=monitor,path=/run/monitor -mon chardev=monitor"), "{traced}");
        assert!(!line(&machine()).contains("monitor"));
    }

    #[test]
    fn counting_instructions_masks_the_string_extensions_and_refuses_kvm() {
        let counting = Machine { icount: true, accel: Accel::Auto, ..machine() };
        assert!(line(&counting).contains("-cpu max,-erms,-fsrm -icount shift=0,sleep=off"));
        let contradiction = Machine { accel: Accel::Kvm, ..counting };
        assert!(matches!(contradiction.accelerator(), Err(Error::Options(_))));
    }

    #[test]
    fn accelerator_is_the_one_that_was_settled_on() {
        for (accel, name) in [(Accel::Tcg, "-accel tcg"), (Accel::Kvm, "-accel kvm")] {
            assert!(machine().arguments(accel, Path::new("/run")).join(" ").contains(name));
        }
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        let line = line(&Machine { disks: vec!["/a,b".into()], ..machine() });
        assert!(line.contains("file=/a,,b"), "{line}");
    }
}
