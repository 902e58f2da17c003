//! Who may do what: the permission rules of `man 7 path_resolution`, as pure functions of an inode and an actor.

use protocols::vfs::{Actor, Error, Kind};

use crate::inode::Inode;

/// Permission to read.
pub const READ: u8 = 4;
/// Permission to write.
pub const WRITE: u8 = 2;
/// Permission to execute a file, to search a directory.
pub const EXECUTE: u8 = 1;

/// Runs with the owner's user.
pub const SET_USER: u16 = 0o4000;
/// Runs with the owner's group; of a directory: its new files get its group.
pub const SET_GROUP: u16 = 0o2000;
/// Of a directory: only owners remove names.
pub const STICKY: u16 = 0o1000;

const GROUP_EXECUTE: u16 = 0o010;
const ANY_EXECUTE: u16 = 0o111;

/// Whether the actor has the group.
#[must_use]
pub fn in_group(actor: &Actor, gid: u32) -> bool {
    actor.gid == gid || actor.groups.contains(&gid)
}

/// Whether the actor has all of `wanted` on the file.
#[must_use]
pub fn allows(inode: &Inode, actor: &Actor, wanted: u8) -> bool {
    if actor.uid == 0 {
        let executable = inode.kind == Kind::Directory as u8 || inode.permissions & ANY_EXECUTE != 0;
        return wanted & EXECUTE == 0 || executable;
    }
    let shift = if actor.uid == inode.uid {
        6
    } else if in_group(actor, inode.gid) {
        3
    } else {
        0
    };
    let granted = (inode.permissions >> shift & 7) as u8;
    granted & wanted == wanted
}

/// As [`allows`], with the error.
///
/// # Errors
/// [`Error::Denied`].
pub fn require(inode: &Inode, actor: &Actor, wanted: u8) -> Result<(), Error> {
    if allows(inode, actor, wanted) { Ok(()) } else { Err(Error::Denied) }
}

/// Whether the actor counts as the file's owner.
#[must_use]
pub const fn owns(inode: &Inode, actor: &Actor) -> bool {
    actor.uid == 0 || actor.uid == inode.uid
}

/// Whether the actor may remove or replace the name of `victim` in `directory`.
///
/// # Errors
/// [`Error::Denied`]; [`Error::NotPermitted`] in a sticky directory.
pub fn require_removal(directory: &Inode, victim: &Inode, actor: &Actor) -> Result<(), Error> {
    require(directory, actor, WRITE | EXECUTE)?;
    let sticky = directory.permissions & STICKY != 0;
    if sticky && !owns(victim, actor) && !owns(directory, actor) { Err(Error::NotPermitted) } else { Ok(()) }
}

/// The permission bits that are left when someone without privilege writes to the file or its owner changes.
#[must_use]
pub const fn without_privilege(permissions: u16) -> u16 {
    let left = permissions & !SET_USER;
    if left & GROUP_EXECUTE != 0 { left & !SET_GROUP } else { left }
}

#[cfg(test)]
mod tests {
    use super::{EXECUTE, READ, WRITE, allows, require_removal, without_privilege};
    use crate::inode::Inode;
    use protocols::vfs::{Actor, Error, Kind};

    fn inode(kind: Kind, permissions: u16) -> Inode {
        Inode { kind: kind as u8, permissions, uid: 10, gid: 20, ..Inode::default() }
    }

    fn actor(uid: u32, gid: u32, groups: &[u32]) -> Actor {
        Actor { uid, gid, groups: groups.iter().copied().collect(), ..Actor::default() }
    }

    #[test]
    fn first_class_that_fits_decides_alone() {
        let file = inode(Kind::File, 0o047);
        assert!(!allows(&file, &actor(10, 20, &[]), READ));
        assert!(allows(&file, &actor(11, 20, &[]), READ));
        assert!(!allows(&file, &actor(11, 5, &[20]), WRITE));
        assert!(allows(&file, &actor(11, 5, &[6]), READ | WRITE | EXECUTE));
    }

    #[test]
    fn root_may_do_all_but_execute_what_nobody_may() {
        let root = actor(0, 0, &[]);
        assert!(allows(&inode(Kind::File, 0), &root, READ | WRITE));
        assert!(!allows(&inode(Kind::File, 0o666), &root, EXECUTE));
        assert!(allows(&inode(Kind::File, 0o001), &root, EXECUTE));
        assert!(allows(&inode(Kind::Directory, 0), &root, EXECUTE));
    }

    #[test]
    fn names_in_a_sticky_directory_are_their_owners() {
        let directory = Inode { uid: 0, ..inode(Kind::Directory, 0o1777) };
        let file = inode(Kind::File, 0o666);
        assert_eq!(require_removal(&directory, &file, &actor(10, 5, &[])), Ok(()));
        assert_eq!(require_removal(&directory, &file, &actor(11, 5, &[])), Err(Error::NotPermitted));
        assert_eq!(require_removal(&directory, &file, &actor(0, 0, &[])), Ok(()));
        assert_eq!(require_removal(&inode(Kind::Directory, 0o555), &file, &actor(11, 5, &[])), Err(Error::Denied));
    }

    #[test]
    fn set_group_without_group_execute_stays() {
        assert_eq!(without_privilege(0o6755), 0o755);
        assert_eq!(without_privilege(0o6745), 0o2745);
    }
}
