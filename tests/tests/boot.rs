//! What a boot promises and no program sees: what the processor keeps for the kernel is on, as QEMU sees it and as the log says, which warns of a
//! processor that leaves something open; no page is both written and run; and the log tells when who was up.

use std::time::Duration;

use tests::gdb::{Debugged, Debugger};
use tests::{Boot, Session};

/// CR0: PE, WP, PG. CR4: UMIP, SMEP, SMAP; not FSGSBASE, not PCE. EFER: SCE, LME, LMA, NXE (SDM vol. 3, 2.5; vol. 4).
const CR0_SET: u64 = 1 | 1 << 16 | 1 << 31;
const CR0_TASK_SWITCHED: u64 = 1 << 3;
const CR4_SET: u64 = 1 << 11 | 1 << 20 | 1 << 21;
const CR4_CLEAR: u64 = 1 << 16 | 1 << 8;
const EFER_SET: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;
/// Entries of page tables (SDM vol. 3, 4.5).
const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Where the kernel has all physical memory.
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
const LOWER_HALF_END: u64 = 1 << 47;
/// What QEMU shows of a processor that waits, and of one that runs a program or server.
const HALTED: (&str, u64) = ("HLT", 1);
const IN_USER_CODE: (&str, u64) = ("CPL", 3);
/// How often a state is looked for.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Bytes that one packet of QEMU's can hold, with two digits for each.
const PIECE: u64 = 1024;

fn register(text: &str, name: &str) -> u64 {
    let (_, rest) = text.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {text}"));
    u64::from_str_radix(rest.split_whitespace().next().unwrap_or_default(), 16).expect("a number")
}

fn table(debugger: &mut Debugger, frame: u64) -> Vec<u64> {
    let piece = |offset| debugger.memory(DIRECT_MAP + frame + offset, PIECE as usize).expect("a page table");
    let bytes: Vec<u8> = (0..4096 / PIECE).map(|index| index * PIECE).flat_map(piece).collect();
    bytes.chunks(8).map(|entry| u64::from_le_bytes(entry.try_into().expect("eight bytes"))).collect()
}

/// What is mapped.
#[derive(Debug, Default)]
struct Mapped {
    leaves: usize,
    executable: usize,
    /// Of those, in the half of programs and servers.
    executable_low: usize,
    both: Vec<u64>,
}

impl Mapped {
    /// Below an entry that is not executable nothing is, so nobody need look there.
    fn look(&mut self, debugger: &mut Debugger, frame: u64, level: u32, base: u64, above: u64) {
        for (index, entry) in table(debugger, frame).into_iter().enumerate() {
            let at = base | (index as u64) << (12 + 9 * level);
            let rights = above & entry & WRITABLE | (above | entry) & NO_EXECUTE;
            if entry & PRESENT == 0 || rights & NO_EXECUTE != 0 {
                self.leaves += usize::from(entry & PRESENT != 0);
            } else if level != 0 && entry & LARGE == 0 {
                self.look(debugger, entry & FRAME, level - 1, at, rights);
            } else {
                self.leaves += 1;
                self.executable += 1;
                self.executable_low += usize::from(at < LOWER_HALF_END);
                if rights & WRITABLE != 0 {
                    self.both.push(at);
                }
            }
        }
    }
}

/// Stops the machine in this state: one look may meet it at something else, many only if it hardly ever is in it. Returns all registers.
fn stop_where(debugger: &mut Debugger, name: &str, value: u64) -> String {
    for _ in 0..LOOKS {
        debugger.interrupt().expect("it stops");
        let registers = debugger.monitor("info registers").expect("QEMU has a monitor");
        if register(&registers, name) == value {
            return registers;
        }
        debugger.send("c").expect("it is sent");
        std::thread::sleep(BETWEEN_LOOKS);
    }
    panic!("{name} is never {value}");
}

/// What a processor keeps for the kernel is on; returns all of CR0 but TS, CR4 and EFER.
#[track_caller]
fn protected(registers: &str) -> [u64; 3] {
    let [cr0, cr4, efer] = ["CR0", "CR4", "EFER"].map(|name| register(registers, name));
    assert_eq!(cr0 & CR0_SET, CR0_SET, "CR0 {cr0:#x}");
    assert_eq!((cr4 & CR4_SET, cr4 & CR4_CLEAR), (CR4_SET, 0), "CR4 {cr4:#x}");
    assert_eq!(efer & EFER_SET, EFER_SET, "EFER {efer:#x}");
    [cr0 & !CR0_TASK_SWITCHED, cr4, efer]
}

fn look(session: &mut Session, debugger: &mut Debugger, registers: &str) -> Mapped {
    protected(registers);
    let cr3 = register(registers, "CR3");
    let mut mapped = Mapped::default();
    mapped.look(debugger, cr3 & FRAME, 3, 0, WRITABLE);
    debugger.send("c").expect("it is sent");
    session.send("echo still $((40 + 2))\n");
    session.expect("still 42");
    session.expect("# ");
    mapped
}

#[test]
fn protections_are_on_and_nothing_is_both_writable_and_executable() {
    let mut machine = Debugged::boot("protections");
    let Debugged { session, debugger, .. } = &mut machine;
    debugger.send("c").expect("it is sent");
    session.expect("# ");
    let log = session.log();
    assert!(log.contains("kernel: wp true nx true smep true smap true umip true"), "{log}");
    // At rest, and with a program of a process of its own at work.
    let registers = stop_where(debugger, HALTED.0, HALTED.1);
    let at_rest = look(session, debugger, &registers);
    session.send("while :; do :; done &\n");
    session.expect("# ");
    let registers = stop_where(debugger, IN_USER_CODE.0, IN_USER_CODE.1);
    let at_work = look(session, debugger, &registers);
    assert!(at_work.executable_low > 0, "{at_work:?}");
    for mapped in [at_rest, at_work] {
        assert!(mapped.executable > 1 && mapped.leaves > mapped.executable, "{mapped:?}");
        assert!(mapped.both.is_empty(), "{mapped:x?}");
    }
}

#[test]
fn every_processor_keeps_the_same_for_the_kernel_at_rest_and_at_work() {
    const PROCESSORS: usize = 4;
    let mut machine = Debugged::boot_on("protections-everywhere", PROCESSORS as u32);
    let Debugged { session, debugger, .. } = &mut machine;
    debugger.send("c").expect("it is sent");
    session.expect("# ");
    for command in ["echo at rest", "for job in 1 2 3 4 5 6; do while :; do :; done & done; echo at work"] {
        session.send(&format!("{command}\n"));
        session.expect("\r\nat ");
        session.expect("# ");
        debugger.interrupt().expect("it stops");
        let all = debugger.monitor("info registers -a").expect("QEMU has a monitor");
        debugger.send("c").expect("it is sent");
        let registers: Vec<[u64; 3]> = all.split("CPU#").skip(1).map(protected).collect();
        assert_eq!(registers, [registers[0]; PROCESSORS], "{all}");
    }
}

/// Of the first without UMIP (SDM: Cannon Lake and later) and without a word of Meltdown, of the second without more.
#[test]
fn what_a_processor_leaves_open_is_said_and_nothing_of_one_that_leaves_nothing() {
    let warned = |cpu: &str| {
        let outcome = Boot::new("cpu").with("--accel", "tcg").with("--cpu", cpu).script("sed -n 's/^vendor_id.*: //p' /proc/cpuinfo | uniq\n");
        assert_eq!(outcome.status, 0, "{cpu}: {outcome}");
        let warnings = outcome.log.lines().filter_map(|line| line.strip_prefix("kernel: warning: this processor ")).map(str::to_owned);
        (outcome.stdout.trim().to_owned(), warnings.collect::<Vec<_>>())
    };
    let open = "does not say that it is immune to Meltdown; user programs may read kernel memory";
    assert_eq!(warned("max"), ("AuthenticAMD".into(), vec![]));
    assert_eq!(warned("Skylake-Client"), ("GenuineIntel".into(), vec!["has no UMIP".into(), open.into()]));
    assert_eq!(warned("max,-smep,-smap").1, ["has no SMEP", "has no SMAP"]);
}

#[test]
fn processor_that_the_kernel_cannot_do_without_is_refused_in_words() {
    let outcome = Boot::new("cpu-old").with("--accel", "tcg").with("--cpu", "max,-xsave").script("echo never\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (126, ""), "{outcome}");
    assert!(outcome.stderr.contains("the processor has no XSAVE"), "{outcome}");
}

/// Each server in the order of services.toml, none before those that it calls are up.
#[test]
fn log_has_the_timeline_of_the_boot() {
    let outcome = Boot::new("timeline").script("echo up\n");
    outcome.expect_output("up\n");
    let ups: Vec<(f64, &str)> = outcome
        .log
        .lines()
        .filter_map(|line| {
            let (at, event) = line.strip_prefix("[supervisor]")?.split_once(" ms: ")?;
            let (service, rest) = event.split_once(" up, instance 1, ")?;
            rest.trim_end().strip_suffix(" us after its start")?.parse::<u64>().ok()?;
            Some((at.trim().parse().ok()?, service))
        })
        .collect();
    let services: Vec<&str> = ups.iter().map(|(_, service)| *service).collect();
    assert_eq!(services, ["memory", "vfs", "console", "inference", "posix"], "{outcome}");
    assert!(ups.windows(2).all(|pair| pair[0].0 < pair[1].0), "{outcome}");
}

/// A non-maskable interrupt is nobody's fault: it ends the machine wherever it comes, with the kernel's report, and the run with the panic's status.
fn interrupted_for_good(name: &str, command: &str, shown: &str, state: (&str, u64), ring: u32) {
    let mut machine = Debugged::boot(name);
    let Debugged { session, debugger, .. } = &mut machine;
    debugger.send("c").expect("it is sent");
    session.expect("# ");
    session.send(command);
    session.expect(shown);
    let _registers = stop_where(debugger, state.0, state.1);
    debugger.monitor("nmi").expect("QEMU has a monitor");
    debugger.send("c").expect("it is sent");
    let status = session.ended();
    let (log, explained) = (session.log(), session.errors());
    assert_eq!(status, 126, "{log}");
    let report: Vec<&str> = log.lines().skip_while(|line| !line.starts_with("kernel panic: ")).skip(1).collect();
    let exception = report.first().unwrap_or_else(|| panic!("no panic in {log}"));
    assert!(exception.starts_with("exception 2 ") && exception.contains(&format!(" in ring {ring} at 0x")), "{log}");
    let addresses: Vec<&str> = report.into_iter().filter(|line| line.starts_with("  at 0x")).collect();
    assert!(addresses.len() > 1, "{log}");
    // Whoever ran it is shown the same with names.
    for address in addresses {
        let name = explained.lines().find_map(|line| line.strip_prefix(address)?.strip_prefix(' '));
        assert!(name.is_some_and(|name| !name.is_empty()), "{address} has no name:\n{explained}");
    }
    assert!(explained.contains(" microkernel::"), "{explained}");
}

#[test]
fn panic_while_nothing_runs_ends_the_machine_with_its_status_and_a_backtrace() {
    interrupted_for_good("panic-idle", "echo at $((40 + 2))\n", "at 42", HALTED, 0);
}

#[test]
fn panic_while_a_program_runs_is_not_laid_to_the_program() {
    interrupted_for_good("panic-busy", "awk 'BEGIN { print \"at\", 40 + 2; while (1) n++ }'\n", "at 42", IN_USER_CODE, 3);
}
