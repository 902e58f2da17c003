//! Control registers: what protects the kernel, set once and read back.

use core::arch::x86_64::{__cpuid, __cpuid_count};

use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, Msr};

use crate::klog;
use crate::meltdown::Identity;

/// IA32_ARCH_CAPABILITIES (SDM vol. 4).
const ARCH_CAPABILITIES: u32 = 0x10a;

/// IA32_TSC_AUX: what RDTSCP and RDPID tell user code, the number of the processor in its low twelve bits, as Linux has it (SDM vol. 2, RDTSCP).
const TSC_AUX: u32 = 0xc000_0103;

/// What protects the kernel on this processor, as its registers say.
#[derive(Clone, Copy, Debug)]
pub struct Protection {
    /// The kernel too writes only to what is mapped writable.
    pub wp: bool,
    /// Pages can be closed to execution.
    pub nx: bool,
    /// Supervisor-mode execution prevention.
    pub smep: bool,
    /// Supervisor-mode access prevention.
    pub smap: bool,
    /// User-mode instruction prevention.
    pub umip: bool,
}

/// Turns on every protection that the processor has.
pub fn protect() -> Protection {
    let features = __cpuid_count(7, 0);
    let bit = |word: u32, index: u32| word >> index & 1 != 0;
    let mut cr4 = Cr4::read();
    cr4.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, bit(features.ebx, 7));
    cr4.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, bit(features.ebx, 20));
    cr4.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, bit(features.ecx, 2));
    cr4.remove(Cr4Flags::FSGSBASE | Cr4Flags::PERFORMANCE_MONITOR_COUNTER);
    cr4.insert(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE | Cr4Flags::OSXSAVE);
    // The trap is on from the start, as `Kernel::new` has it: nobody owns the FPU yet.
    let cr0 = (Cr0::read() | Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR | Cr0Flags::TASK_SWITCHED)
        .difference(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::ALIGNMENT_MASK);
    // SAFETY: the kernel never accesses user pages, never executes them and writes only to pages mapped writable; `xsave::check` found XSAVE.
    unsafe {
        Cr0::write(cr0);
        Cr4::write(cr4);
        Efer::update(|efer| efer.insert(EferFlags::NO_EXECUTE_ENABLE | EferFlags::SYSTEM_CALL_EXTENSIONS));
    }
    read_back(cr0, cr4)
}

/// The control registers that protect the kernel: the same on every processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// CR0.
    pub cr0: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
}

impl Registers {
    /// What this processor has.
    pub fn read() -> Self {
        Self { cr0: Cr0::read_raw(), cr4: Cr4::read_raw(), efer: Efer::read_raw() }
    }

    /// Sets them on this processor, and reads them back.
    pub fn write(self) {
        // SAFETY: they hold on the first processor, for the same kernel.
        unsafe {
            Efer::write_raw(self.efer);
            Cr0::write_raw(self.cr0);
            Cr4::write_raw(self.cr4);
        }
        assert!(Self::read() == self, "this processor does not keep the first one's CR0, CR4 or EFER");
    }
}

/// Lets user code ask the processor which one it is, where it can be asked.
pub fn name_processor(index: u16) {
    let has_rdtscp = __cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).edx >> 27 & 1 != 0;
    if has_rdtscp {
        // SAFETY: the MSR exists when CPUID says so, and the kernel itself never reads it.
        unsafe { Msr::new(TSC_AUX).write(u64::from(index)) };
    }
}

fn read_back(cr0: Cr0Flags, cr4: Cr4Flags) -> Protection {
    let (found_cr0, found_cr4, efer) = (Cr0::read(), Cr4::read(), Efer::read());
    assert!(found_cr0.contains(cr0), "CR0 does not keep its bits");
    assert!(found_cr4 == cr4, "CR4 does not keep its bits");
    assert!(efer.contains(EferFlags::NO_EXECUTE_ENABLE | EferFlags::SYSTEM_CALL_EXTENSIONS), "EFER does not keep its bits");
    Protection {
        wp: found_cr0.contains(Cr0Flags::WRITE_PROTECT),
        nx: efer.contains(EferFlags::NO_EXECUTE_ENABLE),
        smep: found_cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        smap: found_cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        umip: found_cr4.contains(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
    }
}

/// Says what the processor leaves open: the kernel starts all the same, for machines under development.
pub fn warn(protection: Protection) {
    for (has, name) in [(protection.smep, "SMEP"), (protection.smap, "SMAP"), (protection.umip, "UMIP")] {
        if !has {
            klog!("kernel: warning: this processor has no {name}");
        }
    }
    if !identity().is_immune() {
        klog!("kernel: warning: this processor does not say that it is immune to Meltdown; user programs may read kernel memory");
    }
}

fn identity() -> Identity {
    let vendor = __cpuid(0);
    let mut identity = Identity { vendor: [vendor.ebx, vendor.edx, vendor.ecx], features: __cpuid_count(7, 0).edx, capabilities: 0 };
    if identity.has_capabilities() {
        // SAFETY: the MSR exists when CPUID says so.
        identity.capabilities = unsafe { Msr::new(ARCH_CAPABILITIES).read() };
    }
    identity
}
