//! How the guest's instructions are executed.
//!
//! KVM is used only where it can run this kernel: `/dev/kvm` opens *and* the host's CPU shows `vmx` or `svm`. Some hosts have a
//! `/dev/kvm` without either (nested or emulated virtualisation), which accepts a virtual machine and then cannot run it.

use std::fs;
use std::str::FromStr;

use crate::Error;

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
    ///
    /// # Errors
    /// KVM was asked for and cannot work here: why, and what does.
    pub fn settled(self) -> Result<Self, Error> {
        match (self, obstacle()) {
            (Self::Auto | Self::Kvm, None) => Ok(Self::Kvm),
            (Self::Auto | Self::Tcg, _) => Ok(Self::Tcg),
            (Self::Kvm, Some(why)) => Err(Error::Options(why)),
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

/// Why KVM cannot run this kernel here.
fn obstacle() -> Option<&'static str> {
    if fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Some("--accel kvm: /dev/kvm cannot be opened; try: --accel tcg");
    }
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    (!can_virtualise(&cpuinfo)).then_some("--accel kvm: this host's CPU shows neither vmx nor svm; try: --accel tcg")
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
    fn auto_falls_back_and_kvm_is_refused_in_words_where_it_cannot_work() {
        assert!(matches!(Accel::Tcg.settled(), Ok(Accel::Tcg)));
        match (Accel::Auto.settled(), Accel::Kvm.settled()) {
            (Ok(Accel::Kvm), Ok(Accel::Kvm)) => {}
            (Ok(Accel::Tcg), Err(Error::Options(why))) => assert!(why.contains("kvm") && why.contains("--accel tcg"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!("kvm".parse(), Ok(Accel::Kvm));
        assert!("hvf".parse::<Accel>().is_err());
    }
}
