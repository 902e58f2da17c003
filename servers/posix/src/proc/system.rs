//! Files about the machine: /proc/meminfo and its neighbours, in Linux's formats (proc(5)).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use protocols::memory;
use protocols::service::Service;

use super::cpuinfo;
use super::pages::Pages;
use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::kernel::Port;
use crate::load::FRACTION_BITS;
use crate::saved::{COUNTED_CALLS, MAPS, Worked, slot, state};
use crate::server::Posix;
use crate::syscall::uname;

/// What is mounted.
pub(super) const MOUNTED: &str =
    "rootfs / rootfs rw 0 0\nproc /proc proc rw,relatime 0 0\ndevpts /dev/pts devpts rw,relatime,gid=5,mode=620,ptmxmode=666 0 0\n";
const FILE_SYSTEMS: &str = "nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\n";
const NS_PER_TICK: u64 = 10_000_000;
/// Addresses that Linux has for `vmalloc` (x86_64): what programs expect to read.
const VMALLOC_PAGES: u64 = 1 << 33;
/// A huge page, in pages.
const HUGE_PAGES: u64 = 512;

/// Who built the system with what: no host and no person, so that two builds of one source are alike.
const WHO: &str = "synos@synos";
const COMPILER: &str = "rustc";

/// The lines of /proc/meminfo. What SynOS has not (swap, slabs, huge pages of programs) is 0.
const MEMORY_LINES: [&str; 48] = [
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "Active",
    "Inactive",
    "Active(anon)",
    "Inactive(anon)",
    "Active(file)",
    "Inactive(file)",
    "Unevictable",
    "Mlocked",
    "SwapTotal",
    "SwapFree",
    "Dirty",
    "Writeback",
    "AnonPages",
    "Mapped",
    "Shmem",
    "KReclaimable",
    "Slab",
    "SReclaimable",
    "SUnreclaim",
    "KernelStack",
    "PageTables",
    "SecPageTables",
    "NFS_Unstable",
    "Bounce",
    "WritebackTmp",
    "CommitLimit",
    "Committed_AS",
    "VmallocTotal",
    "VmallocUsed",
    "VmallocChunk",
    "Percpu",
    "AnonHugePages",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "FileHugePages",
    "FilePmdMapped",
    "HugePages_Total",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "Hugepagesize",
    "Hugetlb",
];

impl Posix<'_> {
    /// Total and free memory in pages.
    pub fn memory_usage(&mut self) -> (u64, u64) {
        let number = self.kernel.own_number();
        let usage = memory::Client(Port { kernel: self.kernel, service: Service::Memory }).usage(number).unwrap_or_default();
        let own = self.frames.count_free(self.kernel);
        (usage.total, usage.free + own)
    }
}

impl Call<'_, '_> {
    pub(super) fn system_text(&mut self, file: u16) -> Result<Vec<u8>, Stop> {
        let text = match file {
            0 => self.meminfo(),
            1 => self.uptime(),
            2 => self.loadavg(),
            3 => self.machine_stat(),
            4 => format!("{} version {} ({WHO}) ({COMPILER}) {}\n", uname::SYSTEM, uname::RELEASE, uname::VERSION),
            5 => cpuinfo::text(self.posix.kernel),
            6 => FILE_SYSTEMS.into(),
            7 => "synos\n".into(),
            8 => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".into(),
            _ => return Err(Errno::ENOENT.into()),
        };
        Ok(text.into_bytes())
    }

    /// The calls that programs made, by number, and how often: all of them, or those that there are not.
    pub(super) fn calls_text(&self, all: bool) -> String {
        let mut text = String::new();
        for number in 0..COUNTED_CALLS {
            let made = self.posix.calls.get(number).copied().unwrap_or_default();
            // A string grows as needed.
            let _infallible = match (all, self.posix.store.unknown_calls(number)) {
                (false, unknown @ 1..) => writeln!(text, "{number} {unknown}"),
                (true, _) if made > 0 => writeln!(text, "{number} {made}"),
                _ => Ok(()),
            };
        }
        text
    }

    /// Pages of processes, summed, with their address spaces' tables.
    fn all_pages(&mut self) -> Pages {
        let mut all = Pages::default();
        for map in (1..MAPS).filter(|map| self.posix.store.map(*map).state == state::LIVE).collect::<Vec<_>>() {
            let pages = self.posix.pages_of(map);
            all.anonymous += pages.anonymous;
            all.file += pages.file;
            all.shared += pages.shared;
            all.data += pages.data + pages.stack;
            all.tables += pages.tables;
        }
        all
    }

    /// Pages of files that vfs has in memory, its writable root file system included.
    fn cached_pages(&mut self) -> u64 {
        let number = self.posix.kernel.own_number();
        let usage = memory::Client(Port { kernel: self.posix.kernel, service: Service::Memory }).service_usage(number, Service::Vfs.id());
        usage.map_or(0, |usage| usage.region.0)
    }

    fn meminfo(&mut self) -> String {
        let (total, free) = self.posix.memory_usage();
        let (pages, cached) = (self.all_pages(), self.cached_pages());
        // A thread's object is all that the kernel keeps for it.
        let stacks = self.posix.lanes.len() as u64;
        let known = [
            ("MemTotal", total),
            ("MemFree", free),
            ("MemAvailable", free),
            ("Cached", cached),
            ("Active", pages.anonymous + cached),
            ("Active(anon)", pages.anonymous),
            ("Active(file)", cached),
            ("AnonPages", pages.anonymous),
            ("Mapped", pages.file + pages.shared),
            ("Shmem", cached),
            ("KernelStack", stacks),
            ("PageTables", pages.tables),
            ("CommitLimit", total / 2),
            ("Committed_AS", pages.data),
            ("VmallocTotal", VMALLOC_PAGES),
            ("Hugepagesize", HUGE_PAGES),
        ];
        let mut text = String::new();
        for name in MEMORY_LINES {
            let pages = known.iter().find(|(known, _)| *known == name).map_or(0, |(_, pages)| *pages);
            let is_count = name.starts_with("HugePages_");
            // A string grows as needed.
            let _infallible =
                if is_count { writeln!(text, "{:<16}{pages:>8}", Title(name)) } else { writeln!(text, "{:<16}{:>8} kB", Title(name), pages * 4) };
        }
        text
    }

    /// Hundredths of a second that each processor worked in programs, and on their behalf.
    fn worked(&mut self) -> Vec<[u64; 2]> {
        let hundredth = (self.posix.kernel.ticks_per_second() / 100).max(1);
        let mut all: Vec<Worked> = (0..self.posix.kernel.processors()).map(|processor| self.posix.store.worked(processor)).collect();
        for lane in self.posix.lanes.clone() {
            let state = self.posix.kernel.thread_state(slot::thread(lane));
            if let (Ok((ticks, _)), Some(worked)) = (state, all.get_mut(self.posix.processor_of(lane))) {
                (worked.user, worked.system) = (worked.user.wrapping_add(ticks.user), worked.system.wrapping_add(ticks.system));
            }
        }
        all.into_iter().map(|worked| [worked.user / hundredth, worked.system / hundredth]).collect()
    }

    fn uptime(&mut self) -> String {
        let worked: u64 = self.worked().as_flattened().iter().sum();
        let up = self.posix.kernel.now_ns() / NS_PER_TICK;
        let idle = (up * self.posix.kernel.processors() as u64).saturating_sub(worked);
        format!("{}.{:02} {}.{:02}\n", up / 100, up % 100, idle / 100, idle % 100)
    }

    fn loadavg(&mut self) -> String {
        // Rounded to the hundredth, as Linux does.
        let shown = self.posix.load_averages().map(|average| {
            let average = average + (1 << FRACTION_BITS) / 200;
            let hundredths = ((average & ((1 << FRACTION_BITS) - 1)) * 100) >> FRACTION_BITS;
            format!("{}.{hundredths:02}", average >> FRACTION_BITS)
        });
        format!("{} {}/{} {}\n", shown.join(" "), self.posix.running(), self.posix.lanes.len(), self.posix.store.globals().last_pid)
    }

    fn machine_stat(&mut self) -> String {
        let up = self.posix.kernel.now_ns() / NS_PER_TICK;
        let times = |[user, system]: [u64; 2], up: u64| format!("{user} 0 {system} {} 0 0 0 0 0 0\n", up.saturating_sub(user + system));
        let worked = self.worked();
        let sum = worked.iter().fold([0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        let sum = times(sum, up * worked.len() as u64);
        let each: String = worked.into_iter().enumerate().map(|(number, one)| format!("cpu{number} {}", times(one, up))).collect();
        let boot = self.posix.kernel.wall_base_ns() / 1_000_000_000;
        let waiting = self.posix.lanes.iter().filter(|lane| self.posix.is_uninterruptible(**lane)).count();
        // Each call is a switch to posix and back.
        let switches: u64 = self.posix.calls.iter().sum();
        format!(
            "cpu  {sum}{each}intr 0 0\nctxt {switches}\nbtime {boot}\n\
             processes {}\nprocs_running {}\nprocs_blocked {waiting}\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
            self.posix.store.globals().forks,
            self.posix.running()
        )
    }
}

/// A name with its colon, padded as a whole.
struct Title(&'static str);

impl core::fmt::Display for Title {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        to.pad(&format!("{}:", self.0))
    }
}
