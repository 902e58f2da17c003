//! The kernel's trace for root: turned on and off, and read.
//!
//! A traced system leaves the fast path, so tracing ends by itself [`MOST_US`] after it was asked for, should whoever asked be gone.

use abi::{Error as KernelError, TraceRecord};
use protocols::service::Badge;
use protocols::supervisor::{Error, MAX_TRACED, Traced};

use crate::kernel::Kernel;
use crate::life::Supervisor;
use crate::requests::MAY_CONTROL;

/// Tracing lasts so long unless it is asked for again.
const MOST_US: u64 = 10_000_000;

impl<K: Kernel> Supervisor<'_, K> {
    /// Answers a request for records from `start` on.
    pub(crate) fn traced(&mut self, from: Badge, on: Option<bool>, start: u64) -> Result<Traced, Error> {
        if from.service() != Some(MAY_CONTROL) {
            return Err(Error::NotAllowed);
        }
        if let Some(on) = on {
            self.traced_until = on.then(|| self.after_us(MOST_US));
        }
        let mut records = [TraceRecord::default(); MAX_TRACED];
        // The kernel refuses nothing of this but to who is not the supervisor.
        let (first, count) = self.read_trace(start, &mut records).map_err(|_| Error::NotAllowed)?;
        let mut traced = Traced { next: first + count as u64, ..Traced::default() };
        for record in records.iter().take(count) {
            let timed = TraceRecord { at: self.microseconds(record.at), ..*record };
            // There is room for as many as were asked for.
            let _full = traced.records.push(timed.words());
        }
        Ok(traced)
    }

    fn read_trace(&mut self, from: u64, records: &mut [TraceRecord]) -> Result<(u64, usize), KernelError> {
        let on = self.traced_until.is_some();
        self.kernel.trace(on, from, records)
    }

    /// Ends tracing that nobody asked for again.
    pub(crate) fn end_trace(&mut self) {
        let now = self.kernel.now();
        if self.traced_until.is_some_and(|until| until <= now) {
            self.traced_until = None;
            // As above.
            let _refused = self.read_trace(u64::MAX, &mut []);
        }
    }
}
