//! Set-up on machines that lack something: it is fetched, once; where that fails the thing is named, and so is the command that would help.
//!
//! The machine is simulated by what xtask finds in `PATH`: programs of ours in the place of rustc, rustup, apt and QEMU, and links to the
//! few of the host's own that are harmless. apt's mirror is a folder. Nothing is fetched, installed or changed outside a temporary folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Programs of the host that set-up uses and that change nothing elsewhere.
const HARMLESS: [&str; 5] = ["timeout", "cp", "dpkg-deb", "tar", "sh"];
/// What apt says without a network.
const NO_NETWORK: &str = "echo 'E: Failed to fetch http://mirror: Temporary failure resolving' >&2; exit 100";
/// What every 64-bit ELF file begins with.
const ELF: &str = "\x7fELF\x02";
/// The library's source, as far as set-up looks at it.
const LIBRARY: [&str; 2] = ["library/Cargo.lock", "library/core/src/lib.rs"];

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
        machine.file("target/setup/busybox/tree/bin/busybox", ELF);
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

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// An apt that has `package` with these files on its mirror, notes what it is asked for, and runs `more` first.
    fn mirror(&self, package: &str, files: &[(&str, &str)], more: &str) {
        fs::create_dir_all(self.0.join("mirror")).expect("a temporary folder");
        fs::write(self.served(package), debian_package(&self.0.join("stage"), files)).expect("to write");
        let folder = self.0.display();
        self.program("apt-get", &format!("echo \"$*\" >> {folder}/asked\n{more}\ncase \"$*\" in *download*) cp {folder}/mirror/*.deb . ;; esac"));
    }

    fn served(&self, package: &str) -> PathBuf {
        self.0.join(format!("mirror/{package}_1_amd64.deb"))
    }

    /// What apt was asked for, in order.
    fn asked(&self) -> Vec<String> {
        self.text("asked").lines().map(str::to_owned).collect()
    }

    fn set_up(&self) -> Output {
        self.xtask(&["setup"])
    }

    fn xtask(&self, arguments: &[&str]) -> Output {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(arguments).env("PATH", self.0.join("bin")).env("CARGO_TARGET_DIR", self.0.join("target"));
        xtask.output().expect("xtask can be run")
    }

    /// Set-up does this and says so; the second time it asks nobody, does nothing and says nothing.
    #[track_caller]
    fn expect_done_once(&self, done: &str) {
        let first = self.set_up();
        let said = String::from_utf8_lossy(&first.stderr).into_owned();
        assert!(first.status.success() && first.stdout.is_empty() && said.lines().any(|line| line.starts_with(done)), "{said}");
        let asked = self.asked();
        let second = self.set_up();
        assert!(second.status.success() && second.stderr.is_empty() && second.stdout.is_empty(), "{second:?}");
        assert_eq!(self.asked(), asked);
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

/// A package as apt leaves it (deb(5)): an `ar` archive of a version, what is said about it, and a `tar` archive of files.
fn debian_package(stage: &Path, files: &[(&str, &str)]) -> Vec<u8> {
    let archive = |name: &str, files: &[(&str, &str)]| {
        let folder = stage.join(name);
        fs::create_dir_all(&folder).expect("a temporary folder");
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("it has one")).and_then(|()| fs::write(path, text)).expect("to write");
        }
        let tar = Command::new("tar").arg("-C").arg(&folder).args(["-c", "."]).output().expect("the host has tar");
        assert!(tar.status.success(), "{tar:?}");
        tar.stdout
    };
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar", archive("control", &[("control", "Package: simulated\nVersion: 1\nArchitecture: amd64\n")])),
        ("data.tar", archive("data", files)),
    ];
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, member) in members {
        // Name, time, owner, group, mode and length; members begin at even places.
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, member.len()).bytes());
        bytes.extend(&member);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
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
fn missing_busybox_is_fetched_and_unpacked_once() {
    if !has_ovmf() {
        return;
    }
    for place in ["bin/busybox", "usr/bin/busybox"] {
        let machine = Machine::new("fetched").without("target/setup/busybox");
        let program = format!("{ELF} of {place}");
        machine.mirror("busybox-static", &[(place, &program), ("usr/share/doc/busybox-static/copyright", "free")], "");
        machine.expect_done_once("setup: unpacked busybox-static into ");
        assert_eq!(machine.text(&format!("target/setup/busybox/tree/{place}")), program);
        assert_eq!(machine.asked(), ["download -q busybox-static"]);
        let left: Vec<_> = fs::read_dir(machine.0.join("target/setup/busybox")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["tree"]);
    }
}

#[test]
fn machine_whose_lists_are_of_no_use_gets_others_in_a_folder_of_ours() {
    if !has_ovmf() {
        return;
    }
    let machine = Machine::new("lists").without("target/setup/busybox");
    let refused = format!("case \"$*\" in *Dir::State=*) ;; *) {NO_NETWORK} ;; esac");
    machine.mirror("busybox-static", &[("bin/busybox", ELF)], &refused);
    machine.expect_done_once("setup: unpacked busybox-static into ");
    let asked = machine.asked();
    let state = format!("-o Dir::State={}", machine.0.join("target/setup/busybox/state").display());
    assert_eq!(asked.iter().map(|line| line.contains(&state)).collect::<Vec<_>>(), [false, true, true], "{asked:?}");
    assert!(asked[1].ends_with(" update -q") && asked[2].ends_with(" download -q busybox-static"), "{asked:?}");
    assert_eq!(machine.text("target/setup/busybox/tree/bin/busybox"), ELF);
}

/// Cut off inside the program, so that a piece of it could be unpacked and taken for the whole by the next run.
#[test]
fn damaged_package_is_named_and_leaves_nothing_that_a_later_run_takes_for_whole() {
    if !has_ovmf() {
        return;
    }
    let machine = Machine::new("damaged").without("target/setup/busybox");
    let program = format!("{ELF}{}", "whole".repeat(50_000));
    machine.mirror("busybox-static", &[("bin/busybox", &program)], "");
    let whole = fs::read(machine.served("busybox-static")).expect("it was written");
    for damaged in [&whole[..whole.len() / 2], &whole[..100], b"<html>no such page</html>\n"] {
        fs::write(machine.served("busybox-static"), damaged).expect("to write");
        machine.expect_failure(&["busybox-static_1_amd64.deb cannot be unpacked", "--busybox PATH"]);
    }
    fs::write(machine.served("busybox-static"), &whole).expect("to write");
    machine.expect_done_once("setup: unpacked busybox-static into ");
    assert!(machine.text("target/setup/busybox/tree/bin/busybox") == program, "it is not whole");
}

#[test]
fn package_without_what_is_wanted_is_no_success() {
    if has_ovmf() {
        let machine = Machine::new("empty").without("target/setup/busybox");
        machine.mirror("busybox-static", &[("bin/busybox", "#!/bin/sh\n")], "");
        machine.expect_failure(&["busybox-static", "holds none", "--busybox PATH"]);
    }
}

#[test]
fn missing_emulator_is_installed_by_root() {
    if has_ovmf() {
        let machine = Machine::new("install").without("bin/qemu-system-x86_64");
        machine.program("id", "echo 0");
        let bin = machine.0.join("bin");
        machine.mirror("unused", &[], &format!("cp {0}/id {0}/qemu-system-x86_64", bin.display()));
        machine.expect_done_once("setup: installed qemu-system-x86 and ovmf");
        assert_eq!(machine.asked(), ["install -y -q --no-install-recommends qemu-system-x86 ovmf"]);
    }
}

#[test]
fn missing_library_source_comes_from_rustup() {
    if has_ovmf() {
        let machine = Machine::new("rustup");
        let folder = machine.0.display();
        machine.program("rustup", &format!("echo \"$*\" >> {folder}/asked; cp -R {folder}/kept {folder}/sysroot/lib/rustlib/src"));
        fs::rename(machine.0.join("sysroot/lib/rustlib/src"), machine.0.join("kept")).expect("to rename");
        machine.expect_done_once("setup: rustup added the standard library's source");
        assert_eq!(machine.asked(), ["component add rust-src llvm-tools"]);
    }
}

/// Of exactly our version, from the suite that has it, on the mirror that the machine uses.
#[test]
fn missing_library_source_comes_from_debian_where_rustup_cannot_have_it() {
    let names_its_release = fs::read_to_string("/etc/os-release").is_ok_and(|text| text.contains("VERSION_CODENAME="));
    if !has_ovmf() || !names_its_release {
        return;
    }
    let machine = Machine::new("debian").without("sysroot/lib/rustlib/src");
    let files = LIBRARY.map(|file| (format!("usr/src/rustc-1/{file}"), format!("the text of {file}")));
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let more = format!(
        ". /etc/os-release\ncase \"$*\" in *indextargets*) echo \"http://mirror.test $VERSION_CODENAME\" ;; esac\n\
         for word; do case $word in Dir::Etc::sourcelist=*) cp ${{word#*=}} {}/sources ;; esac; done",
        machine.0.display()
    );
    machine.mirror("rust-src", &files, &more);
    machine.expect_done_once("setup: unpacked the standard library's source from Debian's rust-src");
    for file in LIBRARY {
        assert_eq!(machine.text(&format!("sysroot/lib/rustlib/src/rust/{file}")), format!("the text of {file}"));
    }
    assert!(machine.text("sources").ends_with("http://mirror.test trixie-backports main\n"), "{}", machine.text("sources"));
    let version = concat!("download -q rust-src=", env!("CARGO_PKG_RUST_VERSION"), "*");
    assert!(machine.asked().last().is_some_and(|asked| asked.ends_with(version)), "{:?}", machine.asked());
    assert!(!machine.0.join("target/setup/rust-src").exists(), "it is copied, so the package can go");
}

/// Other programs drive `run` and must tell this from anything that the guest said.
#[test]
fn run_whose_set_up_fails_ends_with_status_125_and_says_nothing_on_standard_output() {
    let machine = Machine::new("run").without("bin/qemu-system-x86_64");
    machine.file("script", "echo never\n");
    let output = machine.xtask(&["run", "--script", &machine.0.join("script").to_string_lossy()]);
    assert!(output.status.code() == Some(125) && output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("QEMU (package qemu-system-x86) is missing"), "{output:?}");
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
