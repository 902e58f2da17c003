//! Threads, and the two operations that name no object.

use abi::{Error, Frame, Label, MAX_MESSAGE, MessageKind, Operation, RequestNumber, ThreadSetting};

use super::{command, operate, page, query};

/// What a thread was doing when it was stopped or kicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was stopped before.
    Before,
    /// It ran, or could have.
    Running,
    /// It waited in a call or a fault.
    Calling,
    /// It waited on a notification or an endpoint.
    Waiting,
}

impl Stopped {
    fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Running,
            2 => Self::Calling,
            3 => Self::Waiting,
            _ => Self::Before,
        }
    }
}

/// A thread's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Ticks that it ran.
    pub own_ticks: u64,
    /// Ticks that others ran on its behalf.
    pub behalf_ticks: u64,
    /// Its calls.
    pub calls: u64,
    /// Its state.
    pub state: u64,
    /// The request that it received last.
    pub request: u64,
    /// When that was, in ticks.
    pub received_at: u64,
}

/// Sets one of a thread's settings; unused values are 0.
///
/// # Errors
/// What the kernel says.
pub fn thread_configure(thread: u32, setting: ThreadSetting, first: u64, second: u64) -> Result<(), Error> {
    command(Operation::ThreadConfigure, thread, [setting as u64, first, second])
}

/// Makes a thread runnable.
///
/// # Errors
/// What the kernel says.
pub fn thread_start(thread: u32) -> Result<(), Error> {
    command(Operation::ThreadStart, thread, [])
}

/// Stops a thread wherever it is; its frame is stored when this returns.
///
/// # Errors
/// What the kernel says.
pub fn thread_stop(thread: u32) -> Result<Stopped, Error> {
    query(Operation::ThreadStop, thread, []).map(Stopped::from_word)
}

/// Ends a thread's wait: in a native system call it returns with [`Error::Kicked`], in a reflected call or a fault it runs its instruction again. A
/// thread that does not wait goes on as if nothing had been.
///
/// # Errors
/// What the kernel says.
pub fn thread_kick(thread: u32) -> Result<Stopped, Error> {
    query(Operation::ThreadKick, thread, []).map(Stopped::from_word)
}

/// The registers of a thread that is stopped or waits in a call.
///
/// # Errors
/// What the kernel says.
pub fn get_frame(thread: u32) -> Result<Frame, Error> {
    command(Operation::GetFrame, thread, [])?;
    Ok(page::take_frame())
}

/// Sets them.
///
/// # Errors
/// What the kernel says.
pub fn set_frame(thread: u32, frame: &Frame) -> Result<(), Error> {
    page::put_frame(frame);
    command(Operation::SetFrame, thread, [])
}

/// A thread's counters.
///
/// # Errors
/// What the kernel says.
pub fn counters(thread: u32) -> Result<Counters, Error> {
    let [own_ticks, behalf_ticks, calls, state, request, received_at, ..] = operate(Operation::Counters, thread, [])?;
    Ok(Counters { own_ticks, behalf_ticks, calls, state, request, received_at })
}

/// The request that a thread has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InHand {
    /// Its number.
    pub number: RequestNumber,
    /// What kind of message it is; `None` for a kind that this build does not know.
    pub kind: Option<MessageKind>,
    /// The badge that it came with.
    pub badge: u64,
    /// How many instances died of it so far.
    pub attempts: u32,
    /// Its caller was refused.
    pub refused: bool,
}

/// Blames the request that a thread has in hand for the thread's end, and refuses it when that is the `limit`-th time. With 0 it only tells.
///
/// # Errors
/// What the kernel says.
pub fn blame(thread: u32, limit: u32) -> Result<Option<InHand>, Error> {
    let [in_hand, number, kind, badge, attempts, refused, ..] = operate(Operation::Blame, thread, [u64::from(limit)])?;
    let kind = Label::default().with_kind(kind as u8).message_kind();
    let request = InHand { number: RequestNumber(number), kind, badge, attempts: attempts as u32, refused: refused != 0 };
    Ok((in_hand != 0).then_some(request))
}

/// Gives up the processor to threads of the same priority.
#[inline]
pub fn yield_now() {
    // It names nothing and takes nothing, so it cannot fail.
    let _always_ok = command(Operation::Yield, 0, []);
}

/// Writes bytes to the system's log; what is longer than a message is cut off.
pub fn log(bytes: &[u8]) {
    page::put(bytes);
    // A log that cannot be written has nowhere to say so.
    let _unlogged = command(Operation::Log, 0, [bytes.len().min(MAX_MESSAGE) as u64]);
}
