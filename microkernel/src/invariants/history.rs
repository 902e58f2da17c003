//! What must be true of one step, and cannot be seen in a single state: no authority comes from nowhere, and nothing dead lives again.
//!
//! Whatever capability is new after a step must be a new object's, or come from one that worked before: the same object and epoch, no more
//! rights, and the same badge unless the source had none. A capability that did not work before the step does not work after it.

use std::collections::{HashMap, HashSet};

use abi::{ObjectKind, Rights};

use super::capabilities::for_each_slot;
use super::{Objects, Place, Violation, ensure};
use crate::capability::{CapTable, Slot};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::Ref;

/// The capabilities of all tables, as they were after the last step.
#[derive(Clone, Debug, Default)]
pub struct History {
    slots: HashMap<(u64, u32), (Slot, bool)>,
    revoked_at: Vec<u64>,
    epoch: u64,
}

impl History {
    /// What is there now.
    pub fn new<M: Machine>(kernel: &mut Kernel<M>) -> Self {
        let mut history = Self { epoch: kernel.epoch, ..Self::default() };
        for table in Objects::find(kernel).tables {
            let walked = for_each_slot(kernel, table, |kernel, place, slot| {
                let valid = kernel.is_valid(&slot);
                history.slots.insert((place.table.address(), place.index), (slot.without_record(), valid));
                Ok(())
            });
            walked.unwrap_or_else(|violation| panic!("{violation:?}"));
        }
        let pages = 0..kernel.machine.page_count();
        history.revoked_at = pages.map(|page| kernel.machine.page_info(page).map_or(0, |info| info.revoked_at)).collect();
        history
    }

    /// Compares with what is there after one more step, and goes on from there.
    ///
    /// # Errors
    /// [`Violation::Reborn`] or [`Violation::Authority`].
    pub fn step<M: Machine>(&mut self, kernel: &mut Kernel<M>) -> Result<(), Violation> {
        let now = Self::new(kernel);
        for (page, (before, after)) in self.revoked_at.iter().zip(&now.revoked_at).enumerate() {
            ensure(before <= after, || Violation::Epoch(page as u32))?;
        }
        let mut accepted: HashSet<[u64; 5]> = HashSet::new();
        for (key, (slot, valid)) in &now.slots {
            let place = Place { table: Ref::<CapTable>::at(key.0), index: key.1 };
            match self.slots.get(key) {
                Some((old, was_valid)) if old == slot => ensure(*was_valid || !valid, || Violation::Reborn(place))?,
                _ if *valid && slot.kind() != ObjectKind::Reply => {
                    let identity = [slot.object, slot.epoch, slot.badge, u64::from(slot.rights), u64::from(slot.first) << 8 | u64::from(slot.kind)];
                    if accepted.insert(identity) {
                        let explained = slot.epoch > self.epoch || self.slots.values().any(|(source, worked)| *worked && self.explains(source, slot));
                        ensure(explained, || Violation::Authority(place))?;
                    }
                }
                _ => {}
            }
        }
        *self = now;
        Ok(())
    }

    /// Whether `slot` can have been made from `source`.
    fn explains(&self, source: &Slot, slot: &Slot) -> bool {
        if source.kind != slot.kind || source.badge != 0 && source.badge != slot.badge || slot.rights & !source.rights != 0 {
            return false;
        }
        match slot.kind() {
            ObjectKind::Memory | ObjectKind::Device | ObjectKind::Irq | ObjectKind::IoPorts => {
                let fresh = source.rights & Rights::OWNED != 0 && slot.kind() == ObjectKind::Memory && slot.epoch == self.epoch;
                let inside = slot.first >= source.first && u64::from(slot.first) + slot.object <= u64::from(source.first) + source.object;
                // Merging makes a larger range of two owned ones; the check of owners sees to that.
                let merged = slot.is_owned_memory() && source.is_owned_memory() && slot.first == source.first;
                (inside || merged) && (slot.epoch == source.epoch || fresh)
            }
            _ => slot.object == source.object && slot.epoch == source.epoch,
        }
    }
}
