//! `sendto`, `recvfrom`, `sendmsg`, `recvmsg`.

use alloc::vec;
use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::io::{Data, MAX_COUNT, Vector};
use crate::saved::{File, SocketName};
use crate::server::BUFFER_BYTES;
use crate::socket::{DATAGRAM, Granted, MOST_RIGHTS, Outgoing, Received, flag, option};

const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// Bytes of a `cmsghdr`.
const CONTROL_HEADER: usize = 16;
/// Most bytes of control messages (Linux: `optmem_max`).
const MOST_CONTROL: u64 = 20480;
/// Most buffers (`UIO_MAXIOV`).
const MOST_VECTORS: u64 = 1024;
/// Places in `struct msghdr`.
const NAME_LENGTH: u64 = 8;
const CONTROL_LENGTH: u64 = 40;
const FLAGS: u64 = 48;

/// `struct msghdr`.
struct Message {
    name: u64,
    name_length: u32,
    vectors: Vec<Vector>,
    control: u64,
    control_length: u64,
}

fn message_argument(call: &mut Call<'_, '_>) -> Result<Message, Stop> {
    let [name, name_length, vectors, count, control, control_length, _flags] = call.read_words(call.arguments[1])?;
    let name_length = name_length as u32;
    if name_length > i32::MAX as u32 {
        return Err(Errno::EINVAL.into());
    }
    if count > MOST_VECTORS {
        return Err(Errno::EMSGSIZE.into());
    }
    let vectors = call.vectors(vectors, count)?;
    // Linux cuts the length of a name; without a place for it there is none.
    let name_length = if name == 0 { 0 } else { name_length.min(128) };
    Ok(Message { name, name_length, vectors, control, control_length })
}

/// Flags of the calls with a `msghdr`.
fn message_flags(call: &Call<'_, '_>) -> Result<u32, Errno> {
    let flags = call.arguments[2] as u32;
    if flags & flag::COMPATIBLE != 0 { Err(Errno::EINVAL) } else { Ok(flags) }
}

/// Sends to a name, or to the other end.
pub fn sys_sendto(call: &mut Call<'_, '_>) -> SysResult {
    let [_, address, length, flags, to, to_length] = call.arguments;
    let from = call.buffer_argument(address, length.min(MAX_COUNT))?;
    let (file, _) = call.socket_argument()?;
    let to = if to == 0 { None } else { Some((to, to_length)) };
    let to = destination(call, &file, to)?;
    call.send_message(&file, &Outgoing { data: Data::Program(from), flags: flags as u32, to, files: &[] })
}

/// Only datagrams look at the name that they go to; a stream minds that there is one.
fn destination(call: &mut Call<'_, '_>, file: &File, to: Option<(u64, u64)>) -> Result<Option<SocketName>, Stop> {
    let Some((address, length)) = to.filter(|(_, length)| *length as u32 != 0) else { return Ok(None) };
    if call.posix.store.socket(file.object as usize).kind == DATAGRAM {
        return call.name_argument(address, length).map(Some);
    }
    call.address_argument(address, length).map(|_| Some(SocketName::zeroed()))
}

/// Sends buffers, with descriptors.
pub fn sys_sendmsg(call: &mut Call<'_, '_>) -> SysResult {
    let flags = message_flags(call)?;
    let (file, _) = call.socket_argument()?;
    let message = message_argument(call)?;
    let to = destination(call, &file, Some((message.name, u64::from(message.name_length))))?;
    let files = sent_files(call, &message)?;
    if let [only] = message.vectors.as_slice() {
        return call.send_message(&file, &Outgoing { data: Data::Program(*only), flags, to, files: &files });
    }
    let bytes = gather(call, &file, &message.vectors)?;
    call.send_message(&file, &Outgoing { data: Data::Bytes(&bytes), flags, to, files: &files })
}

/// Several buffers as one: what is longer than any queue is no message, and of a stream the first part.
fn gather(call: &mut Call<'_, '_>, file: &File, vectors: &[Vector]) -> Result<Vec<u8>, Stop> {
    let total: usize = vectors.iter().map(|vector| vector.length).sum();
    if total > BUFFER_BYTES && call.posix.store.socket(file.object as usize).kind != crate::socket::STREAM {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut bytes = vec![0; total.min(BUFFER_BYTES)];
    let mut rest = bytes.as_mut_slice();
    for vector in vectors {
        let (part, others) = rest.split_at_mut(rest.len().min(vector.length));
        call.read(vector.address, part)?;
        rest = others;
    }
    Ok(bytes)
}

/// Writes buffers to a socket, as one message.
///
/// # Errors
/// Linux's for `writev`.
pub fn write_vectors(call: &mut Call<'_, '_>, file: &File, vectors: &[Vector]) -> SysResult {
    let bytes = gather(call, file, vectors)?;
    call.send_message(file, &Outgoing { data: Data::Bytes(&bytes), flags: 0, to: None, files: &[] })
}

/// The files that control messages name.
fn sent_files(call: &mut Call<'_, '_>, message: &Message) -> Result<Vec<usize>, Stop> {
    if message.control_length > MOST_CONTROL {
        return Err(Errno::ENOBUFS.into());
    }
    let mut control = vec![0; message.control_length as usize];
    call.read(message.control, &mut control)?;
    let mut files = Vec::new();
    let mut rest = control.as_slice();
    while let Some((header, _)) = rest.split_at_checked(CONTROL_HEADER) {
        let word = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let length = u64::from(word(0)) | u64::from(word(4)) << 32;
        let length = usize::try_from(length).ok().filter(|length| (CONTROL_HEADER..=rest.len()).contains(length)).ok_or(Errno::EINVAL)?;
        let body = rest.get(CONTROL_HEADER..length).unwrap_or_default();
        match (word(8), word(12)) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                let numbers = body.as_chunks::<4>().0;
                if files.len() + numbers.len() > MOST_RIGHTS {
                    return Err(Errno::EINVAL.into());
                }
                for number in numbers {
                    files.push(call.posix.place_of(call.process, u64::from(u32::from_le_bytes(*number)))?.0);
                }
            }
            (SOL_SOCKET, SCM_CREDENTIALS) => check_credentials(call, body)?,
            (SOL_SOCKET, _) => return Err(Errno::EINVAL.into()),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(files)
}

/// Who a sender says that it is must be who it is, unless it may be anybody.
fn check_credentials(call: &Call<'_, '_>, body: &[u8]) -> Result<(), Errno> {
    let [pid, uid, gid] = body.as_chunks::<4>().0 else { return Err(Errno::EINVAL) };
    let [pid, uid, gid] = [pid, uid, gid].map(|word| u32::from_le_bytes(*word));
    let me = call.me();
    let may = me.uid[1] == 0 || pid == me.pid && me.uid[..3].contains(&uid) && me.gid[..3].contains(&gid);
    if may { Ok(()) } else { Err(Errno::EPERM) }
}

/// Receives, and tells from whom.
pub fn sys_recvfrom(call: &mut Call<'_, '_>) -> SysResult {
    let [_, address, length, flags, from, from_length] = call.arguments;
    let to = call.buffer_argument(address, length.min(MAX_COUNT))?;
    let (file, _) = call.socket_argument()?;
    call.receive_message(&file, &[to], flags as u32, |call, received| {
        if from != 0 {
            let name = if received.sender.length == 0 { Vec::new() } else { received.sender.encode() };
            call.tell_name(&name, from, from_length)?;
        }
        Ok(Vec::new())
    })
}

/// Receives into buffers, with descriptors.
pub fn sys_recvmsg(call: &mut Call<'_, '_>) -> SysResult {
    let flags = message_flags(call)?;
    let (file, index) = call.socket_argument()?;
    let message = message_argument(call)?;
    let stream = call.posix.store.socket(index).kind == crate::socket::STREAM;
    call.receive_message(&file, &message.vectors, flags, |call, received| {
        let header = call.arguments[1];
        if message.name != 0 {
            let name = if received.sender.length == 0 { Vec::new() } else { received.sender.encode() };
            call.write(message.name, name.get(..name.len().min(message.name_length as usize)).unwrap_or_default())?;
            call.write_u32(header + NAME_LENGTH, name.len() as u32)?;
        }
        let passes = call.posix.store.socket(index).options & option::PASS_CREDENTIALS != 0;
        let mut control = Control { room: message.control_length as usize, ..Control::default() };
        if passes {
            control.put(SCM_CREDENTIALS, &received.credentials.map(u32::to_le_bytes).concat());
        }
        let granted = grant(call, received, &mut control);
        call.write(message.control, &control.bytes)?;
        call.write_words(header + CONTROL_LENGTH, &[control.bytes.len() as u64])?;
        let longer = if !stream && received.whole > received.count { flag::TRUNCATED } else { 0 };
        let cut = if control.cut { flag::CONTROL_TRUNCATED } else { 0 };
        call.write_u32(header + FLAGS, flags & flag::CLOSE_ON_EXEC | longer | cut)?;
        Ok(granted)
    })
}

/// Control messages that a program is told.
#[derive(Default)]
struct Control {
    bytes: Vec<u8>,
    room: usize,
    cut: bool,
}

impl Control {
    fn left(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }

    /// Adds a message, as much of it as there is room for.
    fn put(&mut self, kind: u32, body: &[u8]) {
        let length = CONTROL_HEADER + body.len();
        let told = length.min(self.left());
        self.cut |= told < length;
        if told < CONTROL_HEADER {
            return;
        }
        let header = [&(told as u64).to_le_bytes()[..], &SOL_SOCKET.to_le_bytes(), &kind.to_le_bytes()].concat();
        let space = length.next_multiple_of(8).min(self.left());
        let start = self.bytes.len();
        self.bytes.extend([&header, body].concat().into_iter().take(told));
        self.bytes.resize(start + space, 0);
    }
}

/// Descriptors for the files of a message: as many as there is room to tell of, and free ones.
fn grant(call: &Call<'_, '_>, received: &Received, control: &mut Control) -> Vec<Granted> {
    let room = control.left().saturating_sub(CONTROL_HEADER) / 4;
    let mut granted = Vec::new();
    let mut least = 0;
    for file in received.files.iter().take(room) {
        let Ok(number) = call.posix.free_descriptor(call.process, least) else { break };
        least = number + 1;
        granted.push((number, *file));
    }
    control.cut |= granted.len() < received.files.len();
    if !granted.is_empty() {
        let numbers: Vec<u8> = granted.iter().flat_map(|(number, _)| (*number as u32).to_le_bytes()).collect();
        control.put(SCM_RIGHTS, &numbers);
    }
    granted
}
