//! Files about the machine: /proc/meminfo and its neighbours, in Linux's formats (proc(5)).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use protocols::memory;
use protocols::service::Service;

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::kernel::Port;
use crate::saved::{COUNTED_CALLS, flag, state};
use crate::server::Posix;
use crate::syscall::uname;

/// What is mounted.
pub(super) const MOUNTS: &str =
    "rootfs / rootfs rw 0 0\nproc /proc proc rw,relatime 0 0\ndevpts /dev/pts devpts rw,relatime,gid=5,mode=620,ptmxmode=666 0 0\n";
const FILE_SYSTEMS: &str = "nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\n";
const NS_PER_TICK: u64 = 10_000_000;

impl Posix<'_> {
    /// Total and free memory in pages.
    pub fn memory_usage(&mut self) -> (u64, u64) {
        let number = self.kernel.own_number();
        let usage = memory::Client(Port { kernel: self.kernel, service: Service::Memory }).usage(number).unwrap_or_default();
        let own = self.frames.count_free(self.kernel);
        (usage.total, usage.free + own)
    }

    /// How many processes could run.
    #[must_use]
    pub fn running(&self) -> usize {
        let runs = |process: &&usize| {
            let record = self.store.process(**process);
            let waits = |lane: &usize| self.in_hand[*lane].is_some_and(|hand| hand.wait.is_some());
            record.state == state::LIVE && record.flags & flag::STOPPED == 0 && !self.lanes_of(**process).iter().all(waits)
        };
        self.processes.iter().filter(runs).count()
    }
}

impl Call<'_, '_> {
    pub(super) fn system_text(&mut self, file: u16) -> Result<Vec<u8>, Stop> {
        let text = match file {
            0 => self.meminfo(),
            1 => MOUNTS.into(),
            2 => {
                let hundredths = self.posix.kernel.now_ns() / NS_PER_TICK;
                format!("{0}.{1:02} {0}.{1:02}\n", hundredths / 100, hundredths % 100)
            }
            3 => format!("0.00 0.00 0.00 {}/{} {}\n", self.posix.running(), self.posix.lanes.len(), self.posix.store.globals().last_pid),
            4 => self.machine_stat(),
            5 => format!("{} version {} ({}) {}\n", uname::SYSTEM, uname::RELEASE, uname::MACHINE, uname::VERSION),
            6 => cpuinfo(self.posix.kernel.ticks_per_second()),
            7 => FILE_SYSTEMS.into(),
            8 => "synos\n".into(),
            9 => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".into(),
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

    fn meminfo(&mut self) -> String {
        let (total, free) = self.posix.memory_usage();
        let (total, free) = (total * 4, free * 4);
        let mut text = String::new();
        let lines = [
            ("MemTotal:", total),
            ("MemFree:", free),
            ("MemAvailable:", free),
            ("Buffers:", 0),
            ("Cached:", 0),
            ("SwapCached:", 0),
            ("Active:", 0),
            ("Inactive:", 0),
            ("SwapTotal:", 0),
            ("SwapFree:", 0),
            ("Dirty:", 0),
            ("Writeback:", 0),
            ("AnonPages:", 0),
            ("Mapped:", 0),
            ("Shmem:", 0),
            ("Slab:", 0),
            ("SReclaimable:", 0),
        ];
        for (name, kilobytes) in lines {
            // A string grows as needed.
            let _infallible = writeln!(text, "{name:<16}{kilobytes:>8} kB");
        }
        text
    }

    fn machine_stat(&mut self) -> String {
        let hz = self.posix.kernel.ticks_per_second().max(1);
        let (mut user, mut system) = (0, 0);
        for process in self.posix.processes.clone() {
            let ticks = self.posix.process_ticks(process);
            user += ticks[0];
            system += ticks[1];
        }
        let [user, system] = [user, system].map(|ticks: u64| ticks / (hz / 100).max(1));
        let idle = (self.posix.kernel.now_ns() / NS_PER_TICK).saturating_sub(user + system);
        let globals = self.posix.store.globals();
        let boot = self.posix.kernel.wall_base_ns() / 1_000_000_000;
        format!(
            "cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\ncpu0 {user} 0 {system} {idle} 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime {boot}\nprocesses \
             {}\nprocs_running {}\nprocs_blocked 0\n",
            globals.forks,
            self.posix.running()
        )
    }
}

fn cpuinfo(hz: u64) -> String {
    format!(
        "processor\t: 0\nvendor_id\t: SynOS\ncpu family\t: 6\nmodel\t\t: 0\nmodel name\t: x86_64\ncpu MHz\t\t: {}.{:03}\nflags\t\t: fpu tsc \
         sse sse2\nbogomips\t: {}.00\n\n",
        hz / 1_000_000,
        hz / 1000 % 1000,
        hz / 500_000
    )
}
