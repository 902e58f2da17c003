//! How the guest's instructions are executed.
//!
//! KVM is used only where it can run this kernel: `/dev/kvm` opens *and* the host's CPU shows `vmx` or `svm`. Some hosts have a
//! `/dev/kvm` without either (nested or emulated virtualisation), which accepts a virtual machine and then cannot run it.

use std::fs;
use std::str::FromStr;

/// What executes the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM where it can work, else TCG.
    #[default]
    Auto,
    /// QEMU's own translator.
    Tcg,
    /// The host's virtualisation.
    Kvm,
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "tcg" => Ok(Self::Tcg),
            "kvm" => Ok(Self::Kvm),
            _ => Err(format!("{text}: one of auto, tcg, kvm")),
        }
    }
}

impl Accel {
    /// Settles [`Accel::Auto`] on what this host has.
    #[must_use]
    pub fn settled(self) -> Self {
        match self {
            Self::Auto if kvm_opens() && can_virtualise(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()) => Self::Kvm,
            Self::Auto => Self::Tcg,
            chosen => chosen,
        }
    }

    /// QEMU's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Auto | Self::Tcg => "tcg",
        }
    }
}

fn kvm_opens() -> bool {
    fs::File::options().read(true).write(true).open("/dev/kvm").is_ok()
}

fn can_virtualise(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_without_vmx_or_svm_cannot_run_kvm() {
        assert!(can_virtualise("processor: 0\nflags\t\t: fpu vmx sse\n"));
        assert!(can_virtualise("flags : svm\n"));
        assert!(!can_virtualise("flags : fpu svm_lock hypervisor\n"));
        assert!(!can_virtualise(""));
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!("kvm".parse(), Ok(Accel::Kvm));
        assert!("hvf".parse::<Accel>().is_err());
    }
}
