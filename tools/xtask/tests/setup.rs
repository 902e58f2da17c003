//! Set-up on machines that lack something: the thing is named, and so is the command that would help.
//!
//! The machine is simulated by what xtask finds in `PATH`: programs of ours in the place of rustc, rustup, apt and QEMU, and links to the
//! few of the host's own that are harmless. Nothing is fetched, installed or changed outside a temporary folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs of the host that set-up uses and that change nothing elsewhere.
const HARMLESS: [&str; 4] = ["timeout", "cp", "dpkg-deb", "sh"];
/// What apt says without a network.
const NO_NETWORK: &str = "echo 'E: Failed to fetch http://mirror: Temporary failure resolving' >&2; exit 100";

/// A simulated machine, gone when dropped.
struct Machine(PathBuf);

impl Machine {
    /// With a compiler that has everything, a user without rights, QEMU, and no network.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("synos-setup-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).expect("a temporary folder");
        let machine = Self(folder);
        for program in HARMLESS {
            let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(program)).into_iter().find(|path| path.exists());
            if let Some(path) = found {
                symlink(path, machine.bin(program)).expect("to link");
            }
        }
        let sysroot = machine.0.join("sysroot");
        machine.program("rustc", &format!("[ $2 = sysroot ] && echo {} || echo host-tuple", sysroot.display()));
        for file in
            ["lib/rustlib/src/rust/library/Cargo.lock", "lib/rustlib/src/rust/library/core/src/lib.rs", "lib/rustlib/host-tuple/bin/rust-objcopy"]
        {
            machine.file(&format!("sysroot/{file}"), "");
        }
        machine.file("target/setup/busybox/tree/bin/busybox", "\x7fELF\x02");
        machine.program("id", "echo 1000");
        machine.program("rustup", "exit 1");
        machine.program("apt-get", NO_NETWORK);
        machine.program("qemu-system-x86_64", "exit 0");
        machine
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).and_then(|()| fs::write(path, text)).expect("to write");
    }

    fn program(&self, name: &str, script: &str) {
        self.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.bin(name), fs::Permissions::from_mode(0o755)).expect("to set the mode");
    }

    fn without(self, name: &str) -> Self {
        let path = self.0.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.expect("it was there");
        self
    }

    fn set_up(&self) -> Output {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.arg("setup").env("PATH", self.0.join("bin")).env("CARGO_TARGET_DIR", self.0.join("target"));
        xtask.output().expect("xtask can be run")
    }

    /// Set-up fails, and says these words, the last of them the command that helps.
    #[track_caller]
    fn expect_failure(&self, words: &[&str]) {
        let output = self.set_up();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What cannot be removed from the host's temporary folder harms nobody.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// OVMF is found by its fixed place, which cannot be simulated.
fn has_ovmf() -> bool {
    qemu::Ovmf::find().is_some()
}

#[test]
fn complete_machine_needs_no_rights_and_no_network_and_the_second_time_says_nothing() {
    let machine = Machine::new("complete");
    if !has_ovmf() {
        return machine.expect_failure(&["OVMF", "apt-get install"]);
    }
    let first = machine.set_up();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(first.status.success() && said.lines().all(|line| line.starts_with("setup: linked")), "{said}");
    let second = machine.set_up();
    assert!(second.status.success() && second.stderr.is_empty() && second.stdout.is_empty(), "{second:?}");
}

#[test]
fn missing_library_source_names_the_component() {
    let machine = Machine::new("source").without("sysroot/lib/rustlib/src");
    machine.expect_failure(&["standard library", "Temporary failure resolving", "try: rustup component add rust-src llvm-tools"]);
}

#[test]
fn missing_objcopy_names_the_component() {
    let machine = Machine::new("objcopy").without("sysroot/lib/rustlib/host-tuple/bin/rust-objcopy");
    machine.expect_failure(&["llvm-objcopy", "try: rustup component add llvm-tools"]);
}

#[test]
fn missing_emulator_names_the_package_for_whoever_has_no_rights() {
    let machine = Machine::new("emulator").without("bin/qemu-system-x86_64");
    machine.expect_failure(&["QEMU (package qemu-system-x86) is missing", "only root", "try: sudo apt-get install qemu-system-x86 ovmf"]);
}

#[test]
fn missing_emulator_that_root_cannot_install_says_why() {
    let machine = Machine::new("root").without("bin/qemu-system-x86_64");
    machine.program("id", "echo 0");
    machine.expect_failure(&["QEMU (package qemu-system-x86) is missing", "Temporary failure resolving", "apt-get install"]);
}

#[test]
fn missing_busybox_without_network_names_the_way_around() {
    if has_ovmf() {
        let machine = Machine::new("busybox").without("target/setup/busybox");
        machine.expect_failure(&["busybox-static", "Temporary failure resolving", "--busybox PATH"]);
    }
}

#[test]
fn missing_apt_is_named() {
    if has_ovmf() {
        let machine = Machine::new("apt").without("target/setup/busybox").without("bin/apt-get");
        machine.expect_failure(&["busybox-static", "apt-get", "--busybox PATH"]);
    }
}

#[test]
fn unwritable_build_folder_is_named() {
    if has_ovmf() {
        let machine = Machine::new("unwritable").without("target/setup");
        // A file in its place: not even root can make a folder there.
        machine.file("target/setup", "in the way");
        machine.expect_failure(&["busybox-static", "target/setup/busybox", "--busybox PATH"]);
    }
}

#[test]
fn missing_compiler_is_named() {
    Machine::new("compiler").without("bin/rustc").expect_failure(&["rustc", "rustup"]);
}
