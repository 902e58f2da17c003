//! Answering requests.
//!
//! A numbered request runs in one shape: look whether its number was answered before; try; record the result in the transaction of the effect. A read's result is the
//! *place* of its bytes, which stay in the ring, so that any length can be given again from a small record. A write's result is how far it
//! got, recorded with each piece that entered the ring, so the same request under the same number goes on where it stopped, whoever died in between.

use abi::RequestNumber;
use heapless::Vec;
use libsys::lane::{RecordError, Recorded, Verdict};
use libsys::saved::{Area, Transaction};
use protocols::console::{self, Error, INLINE_BYTES, Patience, Pending, Queue, Reply, Request, Service, Status, Stream, Termios, When, event};
use protocols::serve::{Answer, Caller, Serve};
use terminal::saved::Line;
use terminal::{Discipline, Span};

use crate::machine::Machine;
use crate::point::Point;
use crate::saved::{Progress, State};
use crate::uart::Uart;

/// Bit of the console's own notification: the line may have something to do.
pub const WORK: u64 = 1;
/// Bytes that are moved in one transaction or one copy.
const PIECE: usize = 512;
/// Most bytes of one [`Request::ScriptWrite`]: others wait meanwhile.
const MOST_SCRIPT_BYTES: u32 = 64 << 10;

/// The server.
#[derive(Debug)]
pub struct Console<M> {
    area: &'static Area<State>,
    pub(crate) machine: M,
    pub(crate) uart: Uart,
    /// Events that somebody was told to wait for. Not saved: a restart signals all.
    pub(crate) awaited: u64,
}

/// Where a write's bytes come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Inline(&'a [u8]),
    Lease(u32),
}

/// What is kept of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    accepted: u32,
    finished: bool,
}

impl<M: Machine> Console<M> {
    /// Starts serving from what `area` holds, and tells everybody to ask again.
    pub fn new(area: &'static Area<State>, mut machine: M) -> Self {
        let transaction = area.begin();
        let emptied = area.state().prepare(&transaction);
        transaction.commit();
        if emptied {
            libsys::log!("saved positions were damaged: the rings are emptied");
        }
        let taken_over = area.state().set_up.get() != 0;
        let uart = Uart::new(&mut machine, taken_over);
        let mut console = Self { area, machine, uart, awaited: 0 };
        if taken_over {
            console.catch_up();
        } else {
            console.begin_counting();
        }
        console.pump();
        console.machine.notify(event::ALL);
        // A predecessor may have died between an interrupt and its acknowledgement.
        console.machine.acknowledge();
        console
    }

    /// The device is set up, and what that took is not counted.
    fn begin_counting(&mut self) {
        let (data, script) = (self.machine.data_record(), self.machine.script_record());
        let transaction = self.begin();
        self.adopt(&transaction, data, script);
        self.area.state().set_up.set(&transaction, 1);
        transaction.commit();
    }

    pub(crate) fn state(&self) -> &'static State {
        self.area.state()
    }

    pub(crate) fn begin(&self) -> Transaction<'static> {
        self.area.begin()
    }

    /// Looks at the line.
    pub(crate) fn with_line<T>(&self, look: impl FnOnce(&Discipline<Line<'_, 0>>) -> T) -> T {
        self.area.state().line.look(look)
    }

    /// Changes the line.
    pub(crate) fn change_line<T>(&self, change: impl FnOnce(&mut Discipline<Line<'_, 0>>) -> T) -> T {
        let transaction = self.area.begin();
        let result = self.area.state().line.change(&transaction, change);
        transaction.commit();
        result
    }

    fn known(&self, number: RequestNumber) -> Result<Option<Recorded>, Error> {
        match self.area.state().lanes.check(number) {
            Verdict::Fresh => Ok(None),
            Verdict::Done(result) => Ok(Some(result)),
            Verdict::Stale => Err(Error::Stale),
        }
    }

    fn record(&self, transaction: &Transaction<'_>, number: RequestNumber, result: &[u8]) -> Result<(), Error> {
        self.area.state().lanes.record(transaction, number, result).map_err(|error| match error {
            RecordError::Full => Error::TooManyLanes,
            RecordError::TooLong => Error::TooLong,
        })
    }

    fn read(
        &mut self,
        caller: &mut dyn Caller,
        length: u32,
        patience: Patience,
        mut deliver: impl FnMut(&mut dyn Caller, u32, &[u8]) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let number = caller.number();
        if let Some(result) = self.known(number)? {
            let span = span_from(&result);
            self.with_line(|line| copy_span(line, span, |offset, bytes| deliver(caller, offset, bytes)))?;
            return Ok(span.count);
        }
        Point::ReadIntent.hit();
        let found = self.with_line(|line| line.find_input(length, patience));
        let span = found.map_err(|wait| Error::Pending(Pending { accepted: 0, timer_ms: wait.timer_ms }))?;
        self.with_line(|line| copy_span(line, span, |offset, bytes| deliver(caller, offset, bytes)))?;
        let transaction = self.area.begin();
        self.area.state().line.change::<0, _>(&transaction, |line| line.take_input(span));
        Point::ReadEffect.hit();
        self.record(&transaction, number, &span_to(span))?;
        Point::ReadRecord.hit();
        transaction.commit();
        Point::ReadReply.hit();
        self.pump();
        Ok(span.count)
    }

    fn read_inline(&mut self, caller: &mut dyn Caller, length: u32, patience: Patience) -> Result<Reply, Error> {
        if length as usize > INLINE_BYTES {
            return Err(Error::TooLong);
        }
        let mut data = Vec::new();
        self.read(caller, length, patience, |_, _, bytes| data.extend_from_slice(bytes).map_err(|_| Error::TooLong))?;
        Ok(Reply::Data(data))
    }

    fn write(&mut self, caller: &mut dyn Caller, source: Source<'_>, patience: Patience) -> Result<Reply, Error> {
        let number = caller.number();
        let mut written = self.known(number)?.map_or(Written::default(), |result| Written::from_kept(&result));
        Point::WriteIntent.hit();
        while !written.finished && written.accepted < source.length() {
            let room = self.with_line(|line| line.room());
            if room == 0 {
                return self.write_is_stuck(number, written, patience);
            }
            let mut piece = [0; PIECE];
            let count = match source.piece(caller, written.accepted, &mut piece) {
                Ok(count) => count,
                // What was accepted counts, as for a write whose memory ends half-way.
                Err(Error::InvalidLease) if written.accepted > 0 => return self.finish_write(number, written),
                Err(error) => return Err(error),
            };
            written = self.accept(number, written, piece.get(..count).unwrap_or_default(), source.length())?;
            self.pump();
        }
        Ok(Reply::Count(written.accepted))
    }

    /// Puts a piece, or as much of it as fits, into the ring.
    fn accept(&mut self, number: RequestNumber, before: Written, piece: &[u8], length: u32) -> Result<Written, Error> {
        let transaction = self.area.begin();
        let taken = self.area.state().line.change::<0, _>(&transaction, |line| line.write(piece));
        let written = before.further(taken, length);
        Point::WriteEffect.hit();
        self.record(&transaction, number, &written.to_kept())?;
        Point::WriteRecord.hit();
        transaction.commit();
        Point::WriteReply.hit();
        Ok(written)
    }

    fn write_is_stuck(&mut self, number: RequestNumber, written: Written, patience: Patience) -> Result<Reply, Error> {
        if patience != Patience::Wait && written.accepted > 0 {
            return self.finish_write(number, written);
        }
        self.awaited |= event::WRITABLE;
        Err(Error::Pending(Pending { accepted: written.accepted, timer_ms: 0 }))
    }

    fn finish_write(&mut self, number: RequestNumber, written: Written) -> Result<Reply, Error> {
        let transaction = self.area.begin();
        self.record(&transaction, number, &Written { finished: true, ..written }.to_kept())?;
        transaction.commit();
        Ok(Reply::Count(written.accepted))
    }

    fn script_write(&mut self, caller: &mut dyn Caller, stream: Stream, length: u32) -> Result<Reply, Error> {
        let number = caller.number();
        let source = Source::Lease(length.min(MOST_SCRIPT_BYTES));
        let mut written = self.known(number)?.map_or(Written::default(), |result| Written::from_kept(&result));
        while written.accepted < source.length() {
            let mut piece = [0; PIECE];
            let count = source.piece(caller, written.accepted, &mut piece)?;
            let before = written.accepted;
            written = written.further(count, source.length());
            Point::ScriptIntent.hit();
            let transaction = self.begin();
            self.record(&transaction, number, &written.to_kept())?;
            self.change_progress(&transaction, |progress| {
                let piece = u32::try_from(count).unwrap_or(u32::MAX);
                let scripted = progress.scripted.wrapping_add(piece);
                *progress = Progress { scripted, piece, writer: number.0, before: u64::from(before), ..*progress };
            });
            Point::ScriptRecord.hit();
            transaction.commit();
            Point::ScriptEffect.hit();
            self.machine.script(stream, piece.get(..count).unwrap_or_default());
            Self::require(self.machine.script_record().writes, self.state().progress.get().scripted);
            Point::ScriptReply.hit();
        }
        // More would be what nobody has written, and less the loop would have seen.
        assert!(written.accepted == source.length(), "{} bytes are accepted of {}", written.accepted, source.length());
        Ok(Reply::Count(written.accepted))
    }

    /// What of a piece was recorded and never written did not happen.
    pub(crate) fn forget_piece(&self, transaction: &Transaction<'_>, writer: u64, before: Written) {
        let number = RequestNumber(writer);
        // Only the result of this very request is set back, and there was room for it.
        if let (Ok(Some(_)), Err(error)) = (self.known(number), self.record(transaction, number, &before.to_kept())) {
            libsys::log!("a piece of a script's output is lost: {error:?}");
        }
    }

    fn set_termios(&mut self, number: RequestNumber, modes: Termios, when: When) -> Result<Reply, Error> {
        if self.known(number)?.is_some() {
            return Ok(Reply::Done);
        }
        if when != When::Now {
            self.wait_for_drain()?;
        }
        Point::ModesIntent.hit();
        let transaction = self.area.begin();
        self.area.state().line.change::<0, _>(&transaction, |line| {
            if when == When::Flushed {
                line.flush(Queue::Input);
            }
            line.set_modes(modes);
        });
        Point::ModesEffect.hit();
        self.record(&transaction, number, &[])?;
        Point::ModesRecord.hit();
        transaction.commit();
        Point::ModesReply.hit();
        self.pump();
        // What could not be read as lines may be readable raw, and the other way round.
        self.machine.notify(event::READABLE);
        Ok(Reply::Done)
    }

    fn flush(&mut self, number: RequestNumber, queue: Queue) -> Result<Reply, Error> {
        if self.known(number)?.is_some() {
            return Ok(Reply::Done);
        }
        Point::FlushIntent.hit();
        let transaction = self.area.begin();
        self.area.state().line.change::<0, _>(&transaction, |line| line.flush(queue));
        Point::FlushEffect.hit();
        self.record(&transaction, number, &[])?;
        Point::FlushRecord.hit();
        transaction.commit();
        Point::FlushReply.hit();
        self.pump();
        Ok(Reply::Done)
    }

    fn wait_for_drain(&mut self) -> Result<(), Error> {
        if self.drained() {
            return Ok(());
        }
        self.awaited |= event::DRAINED;
        self.pump();
        if self.drained() { Ok(()) } else { Err(Error::Pending(Pending::default())) }
    }

    fn status(&mut self) -> Status {
        let status = self.with_line(|line| line.status());
        if status.output_room == 0 {
            self.awaited |= event::WRITABLE;
        }
        status
    }

    fn set_window_size(&mut self, size: console::WindowSize) {
        let transaction = self.area.begin();
        self.area.state().line.set_window_size(&transaction, size);
        transaction.commit();
    }
}

impl<M: Machine> Service for Console<M> {
    fn handle(&mut self, caller: &mut dyn Caller, request: Request<'_>) -> Result<Reply, Error> {
        let number = caller.number();
        match request {
            Request::Read { length, patience } => {
                let to_lease = |caller: &mut dyn Caller, offset, bytes: &[u8]| Ok(caller.write(0, u64::from(offset), bytes)?);
                self.read(caller, length, patience, to_lease).map(Reply::Count)
            }
            Request::ReadInline { length, patience } => self.read_inline(caller, length, patience),
            Request::Write { length, patience } => self.write(caller, Source::Lease(length), patience),
            Request::WriteInline { bytes, patience } => self.write(caller, Source::Inline(bytes), patience),
            Request::ScriptWrite { stream, length } => self.script_write(caller, stream, length),
            Request::Status => Ok(Reply::Status(self.status())),
            Request::Signals => Ok(Reply::Signals(self.with_line(|line| line.signals()))),
            Request::Termios => Ok(Reply::Termios(self.with_line(|line| line.modes()))),
            Request::SetTermios { modes, when } => self.set_termios(number, modes, when),
            Request::WindowSize => Ok(Reply::WindowSize(self.area.state().line.window_size())),
            Request::SetWindowSize(size) => {
                self.set_window_size(size);
                Ok(Reply::Done)
            }
            Request::Flush(queue) => self.flush(number, queue),
            Request::Drain => self.wait_for_drain().map(|()| Reply::Done),
            Request::Flow(flow) => {
                self.change_line(|line| line.flow(flow));
                self.pump();
                Ok(Reply::Done)
            }
        }
    }
}

impl<M: Machine> Serve for Console<M> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        console::serve(self, caller, request, reply)
    }

    /// The pump, acknowledge, pump again: what came in between raised no interrupt.
    fn notified(&mut self, bits: u64) {
        if bits & WORK != 0 {
            self.pump();
            self.machine.acknowledge();
            self.pump();
        }
    }
}

impl<M: Machine> libsys::serve::Server for Console<M> {}

impl Source<'_> {
    fn length(&self) -> u32 {
        match self {
            Self::Inline(bytes) => u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            Self::Lease(length) => *length,
        }
    }

    /// Fetches bytes from `offset` on; how many.
    fn piece(&self, caller: &mut dyn Caller, offset: u32, to: &mut [u8; PIECE]) -> Result<usize, Error> {
        let count = (self.length().saturating_sub(offset) as usize).min(PIECE);
        let to = to.get_mut(..count).unwrap_or_default();
        match self {
            Self::Inline(bytes) => {
                for (to, from) in to.iter_mut().zip(bytes.iter().skip(offset as usize)) {
                    *to = *from;
                }
            }
            Self::Lease(_) => caller.read(0, u64::from(offset), to)?,
        }
        Ok(count)
    }
}

impl Written {
    /// So much was accepted, and there is more.
    pub(crate) const fn begun(accepted: u32) -> Self {
        Self { accepted, finished: false }
    }

    /// So many bytes more were accepted, of `length` in all. What is recorded is answered for ever, so it must be possible.
    fn further(self, bytes: usize, length: u32) -> Self {
        let accepted = u32::try_from(bytes).ok().and_then(|bytes| self.accepted.checked_add(bytes));
        assert!(accepted.is_some_and(|accepted| accepted <= length), "{bytes} bytes behind {} are more than {length}", self.accepted);
        let accepted = accepted.unwrap_or(length);
        Self { accepted, finished: accepted == length }
    }

    fn to_kept(self) -> [u8; 5] {
        let [a, b, c, d] = self.accepted.to_le_bytes();
        [a, b, c, d, u8::from(self.finished)]
    }

    fn from_kept(kept: &[u8]) -> Self {
        match kept {
            [a, b, c, d, finished] => Self { accepted: u32::from_le_bytes([*a, *b, *c, *d]), finished: *finished != 0 },
            _ => Self::default(),
        }
    }
}

fn span_to(span: Span) -> [u8; 12] {
    let mut kept = [0; 12];
    let fields = span.start.to_le_bytes().into_iter().chain(span.count.to_le_bytes());
    for (to, from) in kept.iter_mut().zip(fields) {
        *to = from;
    }
    kept
}

fn span_from(kept: &[u8]) -> Span {
    let start = kept.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let count = kept.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    Span { start, count, cells: count }
}

fn copy_span(line: &Discipline<Line<'_, 0>>, span: Span, mut deliver: impl FnMut(u32, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut offset = 0;
    while offset < span.count {
        let mut piece = [0; PIECE];
        let count = line.copy_input(span, offset, &mut piece).filter(|count| *count > 0).ok_or(Error::Stale)?;
        deliver(offset, piece.get(..count).unwrap_or_default())?;
        offset = offset.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Written;

    #[test]
    fn no_more_is_accepted_than_there_is() {
        assert_eq!(Written::begun(3).further(2, 6), Written { accepted: 5, finished: false });
        assert_eq!(Written::begun(3).further(3, 6), Written { accepted: 6, finished: true });
        for wrong in [Written::begun(1 << 30), Written::begun(4), Written::begun(u32::MAX)] {
            assert!(std::panic::catch_unwind(|| wrong.further(3, 6)).is_err(), "{wrong:?}");
        }
    }
}
