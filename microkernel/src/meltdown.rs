//! Whether user code could read the kernel's half, which is mapped while it runs: Meltdown, CVE-2017-5754.
//!
//! The kernel has no second set of page tables against it. It starts all the same, for machines under development, and says what is at stake.

/// What the processor says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// CPUID leaf 0: EBX, EDX, ECX, the vendor's name.
    pub vendor: [u32; 3],
    /// CPUID leaf 7, subleaf 0: EDX.
    pub features: u32,
    /// IA32_ARCH_CAPABILITIES; 0 where [`Identity::has_capabilities`] says that there is none.
    pub capabilities: u64,
}

/// Vendors none of whose 64-bit processors forwards data past a failed check of privilege (as Linux has it, `cpu_vuln_whitelist`).
const IMMUNE_VENDORS: [&[u8; 12]; 2] = [b"AuthenticAMD", b"HygonGenuine"];
/// CPUID.7.0:EDX: IA32_ARCH_CAPABILITIES exists (SDM vol. 2, CPUID).
const HAS_CAPABILITIES: u32 = 1 << 29;
/// IA32_ARCH_CAPABILITIES: RDCL_NO (SDM vol. 4).
const NOT_SUSCEPTIBLE: u64 = 1;

impl Identity {
    /// Whether the processor has the register that can say more.
    #[must_use]
    pub const fn has_capabilities(&self) -> bool {
        self.features & HAS_CAPABILITIES != 0
    }

    /// Whether it is certain that user code cannot read the kernel's memory.
    #[must_use]
    pub fn is_immune(&self) -> bool {
        let name = self.vendor.map(u32::to_le_bytes);
        let immune_vendor = IMMUNE_VENDORS.iter().any(|vendor| vendor.as_slice() == name.as_flattened());
        immune_vendor || self.has_capabilities() && self.capabilities & NOT_SUSCEPTIBLE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{HAS_CAPABILITIES, Identity};

    fn identity(name: &[u8; 12], features: u32, capabilities: u64) -> Identity {
        let word = |at: usize| u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        Identity { vendor: [word(0), word(4), word(8)], features, capabilities }
    }

    #[test]
    fn amd_and_hygon_are_immune_whatever_else_they_say() {
        for name in [b"AuthenticAMD", b"HygonGenuine"] {
            assert!(identity(name, 0, 0).is_immune());
        }
    }

    #[test]
    fn intel_is_immune_only_if_it_says_so_in_a_register_that_exists() {
        let intel = |features, capabilities| identity(b"GenuineIntel", features, capabilities).is_immune();
        assert!(intel(HAS_CAPABILITIES, 1) && intel(u32::MAX, u64::MAX));
        assert!(!intel(0, 0), "before there was such a register");
        assert!(!intel(HAS_CAPABILITIES, 0) && !intel(HAS_CAPABILITIES, !1), "it says that it is not");
        assert!(!intel(!HAS_CAPABILITIES, 1), "nothing that was not asked counts");
    }

    #[test]
    fn nobody_else_is_taken_at_a_part_of_a_name() {
        for name in [b"AuthenticAMX", b"GenuineTMx86", b"CentaurHauls", b"AMDAuthentic"] {
            assert!(!identity(name, 0, 0).is_immune());
            assert!(identity(name, HAS_CAPABILITIES, 1).is_immune());
        }
    }
}
