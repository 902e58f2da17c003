//! The real machine: memory through the direct map, the processor's registers, ports and controllers.

use core::arch::asm;

use abi::TraceRecord;
use x86_64::instructions::port::Port;
use x86_64::registers::control::{Cr0, Cr0Flags};

use super::apic::{Apic, LINES};
use super::log::Log;
use super::{clock, duties, entry, trap, xsave};
use crate::endpoint::MAX_CPUS;
use crate::machine::{Duty, Machine, PageNumber};
use crate::page::{self, PAGE_WORDS, PageInfo};
use crate::wrap;

/// First entry of the kernel's half in a top-level table.
const KERNEL_HALF: usize = 256;

/// Gives a top-level table the kernel's half of another.
pub fn copy_kernel_half(from: &[u64; PAGE_WORDS], to: &mut [u64; PAGE_WORDS]) {
    to.iter_mut().zip(from).skip(KERNEL_HALF).for_each(|(to, from)| *to = *from);
}

/// The hardware that the kernel runs on.
#[derive(Debug)]
pub struct Hardware {
    /// Where physical address 0 is mapped.
    pub direct_map: u64,
    /// The records of all pages.
    pub infos: &'static mut [PageInfo],
    /// The kernel's own top-level table.
    pub root: PageNumber,
    /// Interrupt controllers.
    pub apic: Apic,
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
    /// Local APIC ids of the processors, by their numbers.
    pub ids: [u32; MAX_CPUS],
    /// What threads did last.
    pub trace: &'static mut [TraceRecord],
}

impl Machine for Hardware {
    fn page_count(&self) -> PageNumber {
        self.infos.len() as PageNumber
    }

    fn page_info(&mut self, page: PageNumber) -> Option<&mut PageInfo> {
        self.infos.get_mut(page as usize)
    }

    fn page_address(&self, page: PageNumber) -> u64 {
        self.direct_map.wrapping_add(u64::from(page) << 12)
    }

    fn page_of(&self, address: u64) -> PageNumber {
        (address.wrapping_sub(self.direct_map) >> 12) as PageNumber
    }

    fn resolve(&mut self, address: u64) -> *mut u8 {
        address as *mut u8
    }

    fn fill_kernel_half(&mut self, root: PageNumber) {
        let kernel = *page::words(self, self.root);
        copy_kernel_half(&kernel, page::words(self, root));
    }

    fn load_root(&mut self, root: Option<PageNumber>) {
        let root = u64::from(root.unwrap_or(self.root)) << 12;
        // SAFETY: every root has the kernel's half, filled by `fill_kernel_half` and never changed afterwards.
        unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
    }

    fn flush(&mut self, address: u64) {
        // SAFETY: dropping a translation is always sound.
        unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
    }

    fn interrupted(&mut self) -> bool {
        self.apic.is_requested() || trap::is_waited_for()
    }

    fn processor(&self) -> usize {
        entry::processor()
    }

    fn send_ipi(&mut self, processor: usize) {
        self.apic.send_ipi(*wrap::at(&self.ids, processor));
    }

    fn delegate(&mut self, processor: usize, duty: Duty) {
        duties::post(processor, duty);
        self.send_ipi(processor);
        duties::await_done(processor);
    }

    fn now(&mut self) -> u64 {
        clock::now()
    }

    fn set_timer(&mut self, at: Option<u64>) {
        let count = at.map(|at| {
            let ticks = u128::from(at.saturating_sub(clock::now()));
            let count = ticks * u128::from(self.apic.timer_hz) / u128::from(self.tsc_hz);
            u32::try_from(count).unwrap_or(u32::MAX)
        });
        self.apic.start_timer(count);
    }

    fn set_line(&mut self, line: u32, enabled: bool) {
        if line < LINES {
            self.apic.set_line(line, enabled);
        }
    }

    fn lines(&self) -> u32 {
        LINES
    }

    fn port_in(&mut self, port: u16, width: u8) -> u32 {
        // SAFETY: only the holder of an IoPorts capability for the port gets here; what a device does is that holder's concern.
        unsafe {
            match width {
                1 => u32::from(Port::<u8>::new(port).read()),
                2 => u32::from(Port::<u16>::new(port).read()),
                _ => Port::<u32>::new(port).read(),
            }
        }
    }

    fn port_out(&mut self, port: u16, width: u8, value: u32) {
        // SAFETY: as in `port_in`.
        unsafe {
            match width {
                1 => Port::<u8>::new(port).write(value as u8),
                2 => Port::<u16>::new(port).write(value as u16),
                _ => Port::<u32>::new(port).write(value),
            }
        }
    }

    fn trace_ring(&mut self) -> &mut [TraceRecord] {
        self.trace
    }

    fn log(&mut self, bytes: &[u8]) {
        Log.write(bytes);
    }

    fn first_process_lost(&mut self, fault: [u64; 4]) {
        let [vector, code, address, rip] = fault;
        panic!("the first process cannot go on: exception {vector} (code {code:#x}, address {address:#x}) at {rip:#x}");
    }

    fn fpu_save(&mut self, address: u64) {
        // SAFETY: the kernel gives the XSAVE area of a thread's frame, aligned to 64, after it cleared the trap.
        unsafe { xsave::save(address as *mut u8) }
    }

    fn fpu_restore(&mut self, address: Option<u64>) {
        match address {
            // SAFETY: as in `fpu_save`.
            Some(address) => unsafe { xsave::restore(address as *mut u8) },
            None => xsave::restore_initial(),
        }
    }

    fn set_fpu_trap(&mut self, trap: bool) {
        let mut cr0 = Cr0::read();
        cr0.set(Cr0Flags::TASK_SWITCHED, trap);
        // SAFETY: CR0.TS only decides whether FPU instructions trap.
        unsafe { Cr0::write(cr0) }
    }
}
