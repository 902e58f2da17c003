//! posix as vfs sees it in tests: a caller who lends its own memory.

use abi::{Lease, RequestNumber};
use protocols::serve::{Caller, LeaseError};
use protocols::service::{Badge, Service};

/// A caller whose leases are pointers.
pub(super) struct Pointers<'a> {
    pub(super) number: RequestNumber,
    pub(super) leases: &'a [Lease],
}

impl Caller for Pointers<'_> {
    fn badge(&self) -> u64 {
        Badge::new(Service::Posix, 1).to_word()
    }

    fn number(&self) -> RequestNumber {
        self.number
    }

    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError> {
        let lease = self.leases.get(lease).ok_or(LeaseError::Invalid)?;
        if offset + to.len() as u64 > lease.length || lease.rights & Lease::READ == 0 {
            return Err(LeaseError::Invalid);
        }
        // SAFETY: the lease was made from a slice that outlives the call.
        let from = unsafe { std::slice::from_raw_parts((lease.address + offset) as *const u8, to.len()) };
        to.copy_from_slice(from);
        Ok(())
    }

    fn write(&mut self, lease: usize, offset: u64, from: &[u8]) -> Result<(), LeaseError> {
        let lease = self.leases.get(lease).ok_or(LeaseError::Invalid)?;
        if offset + from.len() as u64 > lease.length || lease.rights & Lease::WRITE == 0 {
            return Err(LeaseError::Invalid);
        }
        // SAFETY: as in `read`, of a slice that was mutable.
        let to = unsafe { std::slice::from_raw_parts_mut((lease.address + offset) as *mut u8, from.len()) };
        to.copy_from_slice(from);
        Ok(())
    }

    fn caps(&self) -> usize {
        0
    }
}
