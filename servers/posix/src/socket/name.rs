//! Names of sockets: paths, abstract names, none (unix(7)).
//!
//! A path leads to a node of vfs, and the node's identity to the socket that was bound to it; so a name that was unlinked, or whose socket is gone, leads to
//! nobody.

use protocols::vfs::{Kind, Node};

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::saved::{Id, SOCKETS, SocketName};
use crate::server::Posix;
use crate::socket::{queue::Header, state};

/// `AF_UNIX`.
pub const UNIX: u32 = 1;
/// Bytes of the family before a name.
const FAMILY_BYTES: usize = 2;
/// `sizeof(struct sockaddr_storage)`.
const MOST_BYTES: u32 = 128;
/// `MAY_WRITE` of a node's owner, group and others.
const WRITE: u16 = 2;

/// What a socket with an abstract name is bound to. An accepted one has its listener's name and is bound to nothing.
const ABSTRACT: Id = Id { inode: u32::MAX, generation: u32::MAX };

impl SocketName {
    /// The bytes after the family.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.path.get(..self.length as usize).unwrap_or_default()
    }

    /// Whether the file system does not know it.
    #[must_use]
    pub fn is_abstract(&self) -> bool {
        self.length > 0 && self.path[0] == 0
    }

    /// An abstract name.
    #[must_use]
    fn of_number(number: u32) -> Self {
        let mut name = Self { length: 6, path: [0; 108] };
        for (place, digit) in name.path.iter_mut().skip(1).take(5).enumerate() {
            *digit = b"0123456789abcdef"[(number >> (16 - 4 * place)) as usize & 15];
        }
        name
    }

    /// As a program sees it: `struct sockaddr_un`.
    #[must_use]
    pub fn encode(&self) -> alloc::vec::Vec<u8> {
        [&(UNIX as u16).to_le_bytes(), self.bytes()].concat()
    }
}

/// What an address argument says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// No name: `bind` is to find one.
    None,
    /// `AF_UNSPEC`: a connection for datagrams is to end.
    Unspecified,
    /// A name.
    Name(SocketName),
}

impl Posix<'_> {
    /// The socket that has an abstract name: each kind has names of its own.
    fn find_abstract(&self, name: &SocketName, kind: u32) -> Option<usize> {
        (0..SOCKETS).find(|index| {
            let socket = self.store.socket(*index);
            socket.state != state::FREE && socket.kind == kind && socket.bound == ABSTRACT && socket.name == *name
        })
    }

    /// The socket that is bound to a file.
    fn find_bound(&self, file: Id) -> Option<usize> {
        (0..SOCKETS).find(|index| {
            let socket = self.store.socket(*index);
            socket.state != state::FREE && socket.bound == file
        })
    }

    /// An abstract name that no socket has.
    #[must_use]
    pub fn unused_name(&self, kind: u32) -> SocketName {
        let mut number = 0;
        while self.find_abstract(&SocketName::of_number(number), kind).is_some() {
            number += 1;
        }
        SocketName::of_number(number)
    }
}

impl Call<'_, '_> {
    /// An address argument.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn address_argument(&mut self, address: u64, length: u64) -> Result<Address, Stop> {
        let length = length as u32;
        if length > MOST_BYTES {
            return Err(Errno::EINVAL.into());
        }
        let mut bytes = [0; MOST_BYTES as usize];
        let bytes = bytes.get_mut(..length as usize).unwrap_or_default();
        self.read(address, bytes)?;
        let (family, path) = bytes.split_at_checked(FAMILY_BYTES).ok_or(Errno::EINVAL)?;
        match u32::from(u16::from_le_bytes([family[0], family[1]])) {
            0 => return Ok(Address::Unspecified),
            UNIX if path.is_empty() => return Ok(Address::None),
            UNIX if path.len() <= 108 => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        let mut name = SocketName::zeroed();
        // A path ends at its first zero, and is known with one; an abstract name has all bytes that were given.
        let end = if path[0] == 0 { path.len() } else { path.iter().position(|byte| *byte == 0).unwrap_or(path.len()) };
        let to = name.path.iter_mut().zip(path.get(..end).unwrap_or_default());
        to.for_each(|(to, from)| *to = *from);
        name.length = if path[0] == 0 { end } else { (end + 1).min(108) } as u32;
        Ok(Address::Name(name))
    }

    /// An address argument that must be a name.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn name_argument(&mut self, address: u64, length: u64) -> Result<SocketName, Stop> {
        match self.address_argument(address, length)? {
            Address::Name(name) => Ok(name),
            Address::None | Address::Unspecified => Err(Errno::EINVAL.into()),
        }
    }

    /// Tells a program a name: as much of it as there is room for, and how long it is.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn tell_name(&mut self, bytes: &[u8], address: u64, length_address: u64) -> Result<(), Stop> {
        let room = usize::try_from(self.read_u32(length_address)? as i32).map_err(|_| Errno::EINVAL)?;
        self.write(address, bytes.get(..room.min(bytes.len())).unwrap_or_default())?;
        self.write_u32(length_address, bytes.len() as u32)
    }

    /// Makes a name's file in vfs, or sees that an abstract name is free. What it is bound to.
    ///
    /// # Errors
    /// `EADDRINUSE`, or what vfs says.
    pub fn claim_name(&mut self, name: &SocketName, kind: u32) -> Result<Id, Stop> {
        if name.is_abstract() {
            return if self.posix.find_abstract(name, kind).is_some() { Err(Errno::EADDRINUSE.into()) } else { Ok(ABSTRACT) };
        }
        let path = self.path_of_name(name);
        let permissions = (0o777 & !self.me().umask) as u16;
        let start = self.posix.node_id(self.me().directory);
        let (number, node) = (self.effect(), Node { kind: Kind::Socket, permissions, device: 0 });
        let made = self.at_vfs(start, &path, false, |call, at, actor| call.vfs().make_node(number, at, actor, node));
        match made {
            Ok(file) => Ok(file.into()),
            Err(Stop::Errno(Errno::EEXIST)) => Err(Errno::EADDRINUSE.into()),
            Err(stop) => Err(stop),
        }
    }

    /// Whether there is a file of a name.
    ///
    /// # Errors
    /// What vfs says of the way there.
    pub fn is_taken(&mut self, name: &SocketName) -> Result<bool, Stop> {
        let path = self.path_of_name(name);
        let (start, number) = (self.posix.node_id(self.me().directory), self.ask());
        match self.at_vfs(start, &path, false, |call, at, actor| call.posix.vfs_to_ask().stat(number, at, actor)) {
            Ok(_) => Ok(true),
            Err(Stop::Errno(Errno::ENOENT)) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn path_of_name(&self, name: &SocketName) -> alloc::vec::Vec<u8> {
        name.bytes().split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
    }

    /// The socket of a kind that a name leads to.
    ///
    /// # Errors
    /// `ECONNREFUSED`, `EPROTOTYPE`, `EACCES`, or what vfs says.
    pub fn find_socket(&mut self, name: &SocketName, kind: u32) -> Result<usize, Stop> {
        let found = if name.is_abstract() {
            self.posix.find_abstract(name, kind)
        } else {
            let path = self.path_of_name(name);
            let start = self.posix.node_id(self.me().directory);
            let number = self.ask();
            let attributes = self.at_vfs(start, &path, true, |call, at, actor| call.posix.vfs_to_ask().stat(number, at, actor))?;
            if attributes.kind != Kind::Socket {
                return Err(Errno::ECONNREFUSED.into());
            }
            let me = self.actor();
            let shift = if me.uid == attributes.uid {
                6
            } else if me.gid == attributes.gid || me.groups.contains(&attributes.gid) {
                3
            } else {
                0
            };
            if me.uid != 0 && attributes.permissions >> shift & WRITE == 0 {
                return Err(Errno::EACCES.into());
            }
            self.posix.find_bound(attributes.file.into())
        };
        let found = found.ok_or(Errno::ECONNREFUSED)?;
        if self.posix.store.socket(found).kind == kind { Ok(found) } else { Err(Errno::EPROTOTYPE.into()) }
    }

    /// The header of a message of the caller's.
    #[must_use]
    pub fn header(&self, length: usize, name: &SocketName, rights: u32) -> Header {
        Header { length: length as u32, name: name.length, rights, credentials: self.credentials() }
    }
}
