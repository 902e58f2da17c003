//! Walking paths: from a directory and bytes to a file and the place of its name, as `man 7 path_resolution` says.
//!
//! A walk changes nothing. Symbolic links are followed by putting what they say in front of what is left of the path, at most
//! [`MAX_LINKS_FOLLOWED`] times. The walk stops with [`Error::Elsewhere`] when it enters a directory that the caller answers for, and leaves the rest
//! of the path in the attempt.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use protocols::vfs::{Actor, At, Error, FileId, Kind, MAX_LINKS_FOLLOWED, MAX_NAME, MAX_PATH, Within};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{Inode, MOUNT};
use crate::permission::{EXECUTE, require};

/// Most bytes that links may make of a path.
const MAX_EXPANDED: usize = 16 * 1024;

/// What the last part of the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name,
    /// `.`.
    Dot,
    /// `..`.
    DotDot,
    /// Nothing: an empty path, or slashes only.
    Start,
}

/// Whether a symbolic link as the last part is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Follow,
    /// Only before a slash.
    Keep,
    /// Never, nor is a mount entered: the name is what matters.
    Name,
}

/// Where a walk ended.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory that has, or could have, the name; 0 if the last part is no name.
    pub directory: u32,
    /// The name.
    pub name: heapless::Vec<u8, MAX_NAME>,
    /// What the last part is.
    pub last: Last,
    /// Slashes followed it: it has to be a directory.
    pub slash: bool,
    /// The entry of the name; 0 if there is none.
    pub entry: u32,
    /// The file; 0 if there is none.
    pub found: u32,
}

struct Path<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
}

struct Part {
    /// Where its name stands in the path.
    name: Range<usize>,
    /// It is the last one.
    last: bool,
    /// Slashes follow it.
    slash: bool,
}

/// Where a part of the path leads: a [`Place`] without its name, which is copied for the last part only.
#[derive(Clone, Copy)]
struct Step {
    directory: u32,
    last: Last,
    slash: bool,
    entry: u32,
    found: u32,
}

impl Step {
    const fn to(found: u32, last: Last, slash: bool) -> Self {
        Self { directory: 0, last, slash, entry: 0, found }
    }

    fn named(self, name: &[u8]) -> Result<Place, Error> {
        let name = if self.last == Last::Name { name } else { &[] };
        let name = heapless::Vec::from_slice(name).map_err(|_| Error::NameTooLong)?;
        let Self { directory, last, slash, entry, found } = self;
        Ok(Place { directory, name, last, slash, entry, found })
    }
}

impl Path<'_> {
    fn name(&self, part: &Part) -> &[u8] {
        self.bytes.get(part.name.clone()).unwrap_or_default()
    }

    fn skip_slashes(&mut self) {
        while self.bytes.get(self.at) == Some(&b'/') {
            self.at += 1;
        }
    }

    fn next_part(&mut self) -> Result<Option<Part>, Error> {
        self.skip_slashes();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        if end > MAX_NAME {
            return Err(Error::NameTooLong);
        }
        let name = self.at..self.at + end;
        self.at += end;
        let before = self.at;
        self.skip_slashes();
        Ok(Some(Part { name, last: self.at == self.bytes.len(), slash: self.at != before }))
    }

    /// What is left, with `target` before it.
    fn expand(&mut self, target: &[u8], slash: bool) -> Result<(), Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(target.len() + 1 + rest.len());
        bytes.extend_from_slice(target);
        if slash && target.last() != Some(&b'/') {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(rest);
        if bytes.len() > MAX_EXPANDED {
            return Err(Error::NameTooLong);
        }
        (self.bytes, self.at) = (Cow::Owned(bytes), 0);
        Ok(())
    }
}

impl<H: Host> Attempt<'_, H> {
    /// Walks to a place.
    ///
    /// # Errors
    /// Those of path resolution; that the last part is missing is none.
    pub fn walk(&mut self, at: &At<'_>, actor: &Actor, mode: Mode) -> Result<Place, Error> {
        if at.path.len() > MAX_PATH {
            return Err(Error::NameTooLong);
        }
        if at.path.contains(&0) {
            return Err(Error::Invalid);
        }
        let absolute = at.path.first() == Some(&b'/');
        if absolute && self.within.contains(Within::BENEATH) {
            return Err(Error::CrossesMount);
        }
        let (mut current, _) = self.find(if absolute { actor.root } else { at.start })?;
        let mut path = Path { bytes: Cow::Borrowed(at.path), at: 0 };
        let mut followed = 0;
        let mut ended = Step::to(current, Last::Start, absolute);
        let mut last_name = 0..0;
        while let Some(part) = path.next_part()? {
            let directory = self.searchable(current, actor)?;
            if path.name(&part) == b".." && current == at.start.inode && self.within.contains(Within::BENEATH) {
                return Err(Error::CrossesMount);
            }
            ended = self.step(current, &directory, path.name(&part), part.slash, actor)?;
            last_name.clone_from(&part.name);
            if ended.found == 0 {
                return if part.last { ended.named(path.name(&part)) } else { Err(Error::NotFound) };
            }
            let inode = self.inode(ended.found)?;
            if inode.is(Kind::Symlink) && (!part.last || mode == Mode::Follow || mode == Mode::Keep && part.slash) {
                followed += 1;
                if followed > MAX_LINKS_FOLLOWED || self.within.contains(Within::NO_LINKS) {
                    return Err(Error::TooManyLinksFollowed);
                }
                let target = self.state.text(inode.target, inode.size as usize)?;
                path.expand(&target, part.slash)?;
                if target.first() == Some(&b'/') {
                    if self.within.contains(Within::BENEATH) {
                        return Err(Error::CrossesMount);
                    }
                    (current, _) = self.find(actor.root)?;
                    ended = Step::to(current, Last::Start, true);
                }
                continue;
            }
            let enters = ended.last == Last::Name && !(part.last && mode == Mode::Name);
            if inode.flags & MOUNT != 0 && enters {
                if self.within.contains(Within::ONE_FILE_SYSTEM) {
                    return Err(Error::CrossesMount);
                }
                self.rest = path.bytes.get(path.at..).unwrap_or_default().to_vec();
                return Err(Error::Elsewhere(FileId { inode: ended.found, generation: inode.generation }));
            }
            if part.slash && !inode.is(Kind::Directory) {
                return Err(Error::NotDirectory);
            }
            current = ended.found;
        }
        ended.named(path.bytes.get(last_name).unwrap_or_default())
    }

    /// Walks to a file that must be there.
    ///
    /// # Errors
    /// As [`Self::walk`], and [`Error::NotFound`].
    pub fn walk_to_file(&mut self, at: &At<'_>, actor: &Actor) -> Result<(u32, Inode), Error> {
        let place = self.walk(at, actor, if at.follow { Mode::Follow } else { Mode::Keep })?;
        if place.found == 0 {
            return Err(Error::NotFound);
        }
        Ok((place.found, self.inode(place.found)?))
    }

    fn searchable(&mut self, number: u32, actor: &Actor) -> Result<Inode, Error> {
        let inode = self.inode(number)?;
        if !inode.is(Kind::Directory) {
            return Err(Error::NotDirectory);
        }
        require(&inode, actor, EXECUTE)?;
        Ok(inode)
    }

    fn step(&self, current: u32, directory: &Inode, name: &[u8], slash: bool, actor: &Actor) -> Result<Step, Error> {
        match name {
            b"." => Ok(Step::to(current, Last::Dot, slash)),
            b".." if current == actor.root.inode => Ok(Step::to(current, Last::DotDot, slash)),
            b".." if directory.parent == 0 => Err(Error::NotFound),
            b".." => Ok(Step::to(directory.parent, Last::DotDot, slash)),
            name => {
                let (entry, found) = self.state.lookup(current, name)?.map_or((0, 0), |(slot, entry)| (slot, entry.inode));
                Ok(Step { directory: current, last: Last::Name, slash, entry, found })
            }
        }
    }
}
