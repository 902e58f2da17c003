//! /proc/cpuinfo: each processor, by what CPUID says of the one that asks it (SDM vol. 2A, AMD APM vol. 3 appendix E). All are alike: the kernel starts no others.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::kernel::Kernel;

/// First leaf of the extended ones.
const EXTENDED: u32 = 0x8000_0000;

/// Where a word of features comes from, and Linux's names of its bits, lowest first; `-` is none.
const FEATURES: [(u32, usize, &str); 5] = [
    (1, 3, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"),
    (EXTENDED + 1, 3, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"),
    (
        1,
        2,
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt \
         tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor",
    ),
    (
        EXTENDED + 1,
        2,
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm \
         topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -",
    ),
    (
        7,
        1,
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid rtm cqm zero_fcs_fds mpx rdt_a avx512f avx512dq rdseed adx \
         smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
    ),
];

/// The file.
pub(super) fn text(kernel: &dyn Kernel) -> String {
    (0..kernel.processors()).map(|index| one(kernel, index)).collect()
}

/// Bits of an address that four levels of page tables translate: a processor may have more, but there are no others.
const USED_BITS: u32 = 48;

/// What it says of one processor.
fn one(kernel: &dyn Kernel, index: usize) -> String {
    let hz = kernel.ticks_per_second();
    let [level, vendor @ ..] = kernel.cpuid(0);
    let [signature, about, ..] = kernel.cpuid(1);
    let [_, tlb, cache, _] = extended(kernel, 6);
    let [sizes, ..] = extended(kernel, 8);
    let (family, model, stepping) = model_of(signature);
    let [first, third, second] = vendor;
    let vendor: Vec<u8> = [first, second, third].into_iter().flat_map(u32::to_le_bytes).collect();
    let name: Vec<u8> = (2..5).flat_map(|leaf| extended(kernel, leaf)).flat_map(u32::to_le_bytes).take_while(|byte| *byte != 0).collect();
    let line = (about >> 8 & 0xff) * 8;
    let mut text = format!(
        "processor\t: {index}\nvendor_id\t: {}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {}\nstepping\t: {stepping}\nmicrocode\t: 0x0\n",
        String::from_utf8_lossy(&vendor),
        String::from_utf8_lossy(&name).trim(),
    );
    // A string grows as needed, here and below.
    let _infallible = write!(
        text,
        "cpu MHz\t\t: {}.{:03}\ncache size\t: {} KB\nphysical id\t: {index}\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\napicid\t\t: {index}\n\
         initial apicid\t: {index}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {level}\nwp\t\t: yes\nflags\t\t:{}\nbugs\t\t:\n\
         bogomips\t: {}.{:02}\n",
        hz / 1_000_000,
        hz / 1000 % 1000,
        cache >> 16,
        features(kernel),
        hz / 500_000,
        hz / 5000 % 100,
    );
    let tlb = (tlb >> 16 & 0xfff) + (tlb & 0xfff);
    if tlb != 0 {
        let _infallible = writeln!(text, "TLB size\t: {tlb} 4K pages");
    }
    let _infallible = write!(
        text,
        "clflush size\t: {line}\ncache_alignment\t: {line}\naddress sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
        sizes & 0xff,
        (sizes >> 8 & 0xff).min(USED_BITS)
    );
    text
}

/// An extended leaf; zeros if there is none.
fn extended(kernel: &dyn Kernel, leaf: u32) -> [u32; 4] {
    let [last, ..] = kernel.cpuid(EXTENDED);
    if last >= EXTENDED + leaf { kernel.cpuid(EXTENDED + leaf) } else { [0; 4] }
}

/// Family, model and stepping.
const fn model_of(signature: u32) -> (u32, u32, u32) {
    let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
    let whole = if family == 0xf { family + (signature >> 20 & 0xff) } else { family };
    let model = if whole >= 6 { model | (signature >> 16 & 0xf) << 4 } else { model };
    (whole, model, signature & 0xf)
}

/// The names of all features, each after a space.
fn features(kernel: &dyn Kernel) -> String {
    let ([last, ..], [last_extended, ..]) = (kernel.cpuid(0), kernel.cpuid(EXTENDED));
    let mut text = String::new();
    for (leaf, register, names) in FEATURES {
        if leaf > if leaf < EXTENDED { last } else { last_extended } {
            continue;
        }
        let word = kernel.cpuid(leaf).get(register).copied().unwrap_or_default();
        for (_, name) in names.split(' ').enumerate().filter(|(bit, name)| word >> bit & 1 != 0 && *name != "-") {
            text.push(' ');
            text.push_str(name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{FEATURES, model_of};

    #[test]
    fn every_bit_of_a_word_has_its_place() {
        for (leaf, register, names) in FEATURES {
            assert_eq!(names.split(' ').count(), 32, "{leaf:#x} {register}");
        }
    }

    #[test]
    fn signatures_are_read_as_linux_does() {
        assert_eq!(model_of(0x0006_0fb1), (15, 0x6b, 1));
        assert_eq!(model_of(0x0080_0f12), (23, 1, 2));
        assert_eq!(model_of(0x0009_06ea), (6, 0x9e, 10));
        assert_eq!(model_of(0x0000_0543), (5, 4, 3));
    }
}
