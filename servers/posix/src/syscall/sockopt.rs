//! `getsockopt`, `setsockopt`: the options of a socket itself.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::PIPE_BYTES;
use crate::socket::name::UNIX;
use crate::socket::{option, state};

const SOL_SOCKET: u64 = 1;
const SO_DEBUG: u64 = 1;
const SO_REUSEADDR: u64 = 2;
const SO_TYPE: u64 = 3;
const SO_ERROR: u64 = 4;
const SO_DONTROUTE: u64 = 5;
const SO_BROADCAST: u64 = 6;
const SO_SNDBUF: u64 = 7;
const SO_RCVBUF: u64 = 8;
const SO_KEEPALIVE: u64 = 9;
const SO_PASSCRED: u64 = 16;
const SO_PEERCRED: u64 = 17;
const SO_RCVTIMEO: u64 = 20;
const SO_SNDTIMEO: u64 = 21;
const SO_ACCEPTCONN: u64 = 30;
const SO_PROTOCOL: u64 = 38;
const SO_DOMAIN: u64 = 39;
const NS: u64 = 1_000_000_000;

fn is_switch(name: u64) -> bool {
    matches!(name, SO_DEBUG | SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_PASSCRED)
}

/// Asks for an option.
pub fn sys_getsockopt(call: &mut Call<'_, '_>) -> SysResult {
    let [_, level, name, to, length_address, _] = call.arguments;
    let (_, index) = call.socket_argument()?;
    if level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let room = usize::try_from(call.read_u32(length_address)? as i32).map_err(|_| Errno::EINVAL)?;
    let socket = call.posix.store.socket(index);
    let mut bytes = [0; 16];
    let length = match name {
        SO_PEERCRED => put(&mut bytes, &socket.peer_credentials.map(u32::to_le_bytes).concat()),
        SO_RCVTIMEO | SO_SNDTIMEO => {
            let timeout = socket.timeouts[usize::from(name == SO_SNDTIMEO)];
            put(&mut bytes, &[timeout / NS, timeout % NS / 1000].map(u64::to_le_bytes).concat())
        }
        _ => {
            let value = match name {
                SO_TYPE => socket.kind,
                SO_ERROR => socket.error,
                SO_SNDBUF | SO_RCVBUF => PIPE_BYTES as u32,
                SO_ACCEPTCONN => u32::from(socket.state == state::LISTENING),
                SO_PROTOCOL => 0,
                SO_DOMAIN => UNIX,
                _ if is_switch(name) => socket.options >> name & 1,
                _ => return Err(Errno::ENOPROTOOPT.into()),
            };
            put(&mut bytes, &value.to_le_bytes())
        }
    }
    .min(room);
    call.write(to, bytes.get(..length).unwrap_or_default())?;
    call.write_u32(length_address, length as u32)?;
    if name == SO_ERROR && socket.error != 0 {
        call.posix.store.edit_socket(index, |socket| socket.error = 0);
    }
    Ok(0)
}

fn put(to: &mut [u8; 16], bytes: &[u8]) -> usize {
    to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    bytes.len()
}

/// Sets an option.
pub fn sys_setsockopt(call: &mut Call<'_, '_>) -> SysResult {
    let [_, level, name, from, length, _] = call.arguments;
    let (_, index) = call.socket_argument()?;
    let length = usize::try_from(length as u32 as i32).map_err(|_| Errno::EINVAL)?;
    if level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if length < 4 {
        return Err(Errno::EINVAL.into());
    }
    let value = call.read_u32(from)?;
    match name {
        SO_RCVTIMEO | SO_SNDTIMEO => {
            let timeout = timeout(call, from, length)?;
            call.posix.store.edit_socket(index, |socket| socket.timeouts[usize::from(name == SO_SNDTIMEO)] = timeout);
        }
        // Queues have one size.
        SO_SNDBUF | SO_RCVBUF => {}
        _ if is_switch(name) => {
            let bit = 1 << name & (option::KEPT | option::PASS_CREDENTIALS);
            call.posix.store.edit_socket(index, |socket| socket.options = if value != 0 { socket.options | bit } else { socket.options & !bit });
        }
        _ => return Err(Errno::ENOPROTOOPT.into()),
    }
    Ok(0)
}

/// A `timeval`, in ns; 0 is for ever.
fn timeout(call: &mut Call<'_, '_>, from: u64, length: usize) -> Result<u64, Stop> {
    if length < 16 {
        return Err(Errno::EINVAL.into());
    }
    let [seconds, micro] = call.read_words(from)?;
    if micro >= 1_000_000 {
        return Err(Errno::EDOM.into());
    }
    // Linux takes a negative time for none at all to wait: the shortest one.
    Ok(if seconds > i64::MAX as u64 { 1 } else { seconds.saturating_mul(NS).saturating_add(micro * 1000) })
}
