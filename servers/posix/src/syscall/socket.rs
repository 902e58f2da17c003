//! `socket`, `socketpair`, `bind`, `listen`, `accept`, `accept4`, `connect`, `shutdown`, `getsockname`, `getpeername`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::NONBLOCK;
use crate::saved::{Id, SocketName};
use crate::socket::name::{Address, UNIX};
use crate::socket::{DATAGRAM, PACKETS, SHUT_READ, SHUT_WRITE, STREAM, state};
use crate::wait::Event;

const SOCK_CLOEXEC: u64 = 0o2_000_000;
const SOCK_TYPE_MASK: u64 = 0xf;
const SOCK_RAW: u64 = 3;
/// One more than the largest type and family that Linux knows.
const TYPES: u64 = 11;
const FAMILIES: u64 = 46;
/// `SOMAXCONN`.
const MOST_WAITING: u32 = 4096;

/// What kind of socket is asked for.
fn kind(family: u64, kind: u64, protocol: u64) -> Result<u32, Errno> {
    if family >= FAMILIES {
        return Err(Errno::EAFNOSUPPORT);
    }
    match kind & SOCK_TYPE_MASK {
        TYPES.. => Err(Errno::EINVAL),
        _ if family != u64::from(UNIX) => Err(Errno::EAFNOSUPPORT),
        _ if protocol != 0 && protocol != u64::from(UNIX) => Err(Errno::EPROTONOSUPPORT),
        1 => Ok(STREAM),
        2 | SOCK_RAW => Ok(DATAGRAM),
        5 => Ok(PACKETS),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

fn check_flags(flags: u64) -> Result<(), Errno> {
    if flags & !(SOCK_CLOEXEC | u64::from(NONBLOCK)) == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Makes a socket.
pub fn sys_socket(call: &mut Call<'_, '_>) -> SysResult {
    let [family, what, protocol, ..] = call.arguments;
    check_flags(what & !SOCK_TYPE_MASK)?;
    let kind = kind(family, what, protocol)?;
    call.posix.free_descriptor(call.process, 0)?;
    call.posix.check_room_for_files(call.process, 1)?;
    call.posix.check_room_for_sockets(call.process, 1, 1)?;
    let socket = call.posix.make_socket(kind)?;
    Ok(call.posix.open_socket(call.process, socket, what as u32 & NONBLOCK, what & SOCK_CLOEXEC != 0)? as u64)
}

/// Makes two that are connected.
pub fn sys_socketpair(call: &mut Call<'_, '_>) -> SysResult {
    let [family, what, protocol, to, ..] = call.arguments;
    check_flags(what & !SOCK_TYPE_MASK)?;
    let first = call.posix.free_descriptor(call.process, 0)?;
    let second = call.posix.free_descriptor(call.process, first + 1)?;
    let bytes = [(first as u32).to_le_bytes(), (second as u32).to_le_bytes()].concat();
    call.write(to, &bytes)?;
    let kind = kind(family, what, protocol)?;
    call.posix.check_room_for_files(call.process, 2)?;
    call.posix.check_room_for_sockets(call.process, 2, 2)?;
    let sockets = [call.posix.make_socket(kind)?, call.posix.make_socket(kind)?];
    call.posix.join_sockets(sockets[0], sockets[1])?;
    let credentials = call.credentials();
    for socket in sockets {
        call.posix.store.edit_socket(socket, |socket| socket.peer_credentials = credentials);
        call.posix.open_socket(call.process, socket, what as u32 & NONBLOCK, what & SOCK_CLOEXEC != 0)?;
    }
    Ok(0)
}

/// Gives a socket a name.
pub fn sys_bind(call: &mut Call<'_, '_>) -> SysResult {
    let (_, index) = call.socket_argument()?;
    let socket = call.posix.store.socket(index);
    let has_name = socket.name.length != 0;
    let name = match call.address_argument(call.arguments[1], call.arguments[2])? {
        Address::Unspecified => return Err(Errno::EINVAL.into()),
        // Linux makes the file first: a path that is taken is the first thing that it finds wrong.
        Address::Name(name) if has_name && !name.is_abstract() && call.is_taken(&name)? => return Err(Errno::EADDRINUSE.into()),
        _ if has_name => return Err(Errno::EINVAL.into()),
        Address::None => call.posix.unused_name(socket.kind),
        Address::Name(name) => name,
    };
    let bound = call.claim_name(&name, socket.kind)?;
    call.posix.store.edit_socket(index, |socket| (socket.name, socket.bound) = (name, bound));
    Ok(0)
}

/// Lets others connect.
pub fn sys_listen(call: &mut Call<'_, '_>) -> SysResult {
    let (_, index) = call.socket_argument()?;
    let socket = call.posix.store.socket(index);
    if !socket.is_connection() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if socket.bound == Id::default() || socket.state == state::CONNECTED {
        return Err(Errno::EINVAL.into());
    }
    let (backlog, credentials) = ((call.arguments[1] as u32).min(MOST_WAITING), call.credentials());
    call.posix.store.edit_socket(index, |socket| {
        socket.state = state::LISTENING;
        socket.backlog = backlog;
        socket.credentials = credentials;
    });
    call.posix.socket_changed(index);
    Ok(0)
}

/// Connects to a name.
pub fn sys_connect(call: &mut Call<'_, '_>) -> SysResult {
    let (file, index) = call.socket_argument()?;
    let socket = call.posix.store.socket(index);
    let name = match call.address_argument(call.arguments[1], call.arguments[2])? {
        Address::Name(name) => name,
        Address::Unspecified if !socket.is_connection() => {
            call.posix.store.edit_socket(index, |socket| {
                (socket.state, socket.peer, socket.peer_name) = (state::OPEN, 0, SocketName::zeroed());
            });
            return Ok(0);
        }
        Address::Unspecified | Address::None => return Err(Errno::EINVAL.into()),
    };
    let other = call.find_socket(&name, socket.kind)?;
    if socket.is_connection() { connect(call, file.is_nonblocking(), index, other) } else { address(call, index, other) }
}

/// Datagrams go to a socket from now on.
fn address(call: &mut Call<'_, '_>, index: usize, other: usize) -> SysResult {
    let receiver = call.posix.store.socket(other);
    if receiver.other().is_some_and(|its| its != index) {
        return Err(Errno::EPERM.into());
    }
    call.posix.store.edit_socket(index, |socket| {
        (socket.state, socket.peer, socket.peer_name) = (state::CONNECTED, other as u32 + 1, receiver.name);
    });
    Ok(0)
}

/// Makes the other end of a connection and puts it where `accept` looks.
fn connect(call: &mut Call<'_, '_>, nonblocking: bool, index: usize, listener: usize) -> SysResult {
    let (socket, listening) = (call.posix.store.socket(index), call.posix.store.socket(listener));
    if listening.state != state::LISTENING || listening.shut & SHUT_READ != 0 {
        return Err(Errno::ECONNREFUSED.into());
    }
    if listening.waiting > listening.backlog {
        if nonblocking {
            return Err(Errno::EAGAIN.into());
        }
        return call.wait(crate::wait::Wait::on(Event::Socket(listener as u32)), true);
    }
    match socket.state {
        state::OPEN => {}
        state::CONNECTED => return Err(Errno::EISCONN.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    call.posix.check_room_for_sockets(call.process, 1, 2)?;
    let connection = call.posix.make_socket(socket.kind)?;
    call.posix.join_sockets(index, connection)?;
    let credentials = call.credentials();
    call.posix.store.edit_socket(index, |socket| {
        socket.peer_credentials = listening.credentials;
        socket.peer_name = listening.name;
    });
    call.posix.store.edit_socket(connection, |end| {
        end.peer_credentials = credentials;
        end.name = listening.name;
        end.peer_name = socket.name;
        end.options = listening.options;
    });
    let mut last = None;
    let mut waiting = listening.first;
    while let Some(each) = (waiting as usize).checked_sub(1) {
        waiting = call.posix.store.socket(each).next;
        last = Some(each);
    }
    match last {
        Some(last) => call.posix.store.edit_socket(last, |last| last.next = connection as u32 + 1),
        None => call.posix.store.edit_socket(listener, |listener| listener.first = connection as u32 + 1),
    }
    call.posix.store.edit_socket(listener, |listener| listener.waiting += 1);
    call.posix.socket_changed(listener);
    Ok(0)
}

/// Takes a connection.
pub fn sys_accept(call: &mut Call<'_, '_>) -> SysResult {
    accept(call, 0)
}

/// Likewise, with flags for the new descriptor.
pub fn sys_accept4(call: &mut Call<'_, '_>) -> SysResult {
    accept(call, call.arguments[3])
}

fn accept(call: &mut Call<'_, '_>, flags: u64) -> SysResult {
    check_flags(flags)?;
    let (file, index) = call.socket_argument()?;
    call.posix.free_descriptor(call.process, 0)?;
    let listener = call.posix.store.socket(index);
    if !listener.is_connection() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if listener.state != state::LISTENING {
        return Err(Errno::EINVAL.into());
    }
    let Some(connection) = (listener.first as usize).checked_sub(1) else {
        if listener.shut & SHUT_READ != 0 {
            return Err(Errno::EINVAL.into());
        }
        if file.is_nonblocking() {
            return Err(Errno::EAGAIN.into());
        }
        let deadline = (listener.timeouts[0] != 0).then(|| call.deadline_after(listener.timeouts[0]));
        if call.has_passed(deadline) {
            return Err(Errno::EAGAIN.into());
        }
        return call.wait(call.until(Event::Socket(index as u32), deadline), deadline.is_none());
    };
    call.posix.check_room_for_files(call.process, 1)?;
    let [_, address, length_address, ..] = call.arguments;
    let record = call.posix.store.socket(connection);
    if address != 0 {
        call.tell_name(&record.peer_name.encode(), address, length_address)?;
    }
    call.posix.store.edit_socket(index, |listener| {
        listener.first = record.next;
        listener.waiting = listener.waiting.saturating_sub(1);
    });
    call.posix.store.edit_socket(connection, |connection| connection.next = 0);
    call.posix.wake(Event::Socket(index as u32));
    Ok(call.posix.open_socket(call.process, connection, flags as u32 & NONBLOCK, flags & SOCK_CLOEXEC != 0)? as u64)
}

/// Ends one or both directions.
pub fn sys_shutdown(call: &mut Call<'_, '_>) -> SysResult {
    let (_, index) = call.socket_argument()?;
    let (own, others) = match call.arguments[1] {
        0 => (SHUT_READ, SHUT_WRITE),
        1 => (SHUT_WRITE, SHUT_READ),
        2 => (SHUT_READ | SHUT_WRITE, SHUT_READ | SHUT_WRITE),
        _ => return Err(Errno::EINVAL.into()),
    };
    call.posix.store.edit_socket(index, |socket| socket.shut |= own);
    call.posix.socket_changed(index);
    let socket = call.posix.store.socket(index);
    if let Some(other) = socket.other().filter(|_| socket.is_connection()) {
        call.posix.store.edit_socket(other, |socket| socket.shut |= others);
        call.posix.socket_changed(other);
    }
    Ok(0)
}

fn tell(call: &mut Call<'_, '_>, name: &[u8]) -> SysResult {
    let [_, address, length_address, ..] = call.arguments;
    call.tell_name(name, address, length_address)?;
    Ok(0)
}

/// A socket's own name.
pub fn sys_getsockname(call: &mut Call<'_, '_>) -> SysResult {
    let (_, index) = call.socket_argument()?;
    let name = call.posix.store.socket(index).name.encode();
    tell(call, &name)
}

/// The other end's name.
pub fn sys_getpeername(call: &mut Call<'_, '_>) -> SysResult {
    let (_, index) = call.socket_argument()?;
    let socket = call.posix.store.socket(index);
    if socket.state != state::CONNECTED {
        return Err(Errno::ENOTCONN.into());
    }
    // An end that got its name after it was connected.
    let name = socket.other().map_or(socket.peer_name, |other| call.posix.store.socket(other).name);
    tell(call, &name.encode())
}
