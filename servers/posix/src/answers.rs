//! What vfs has answered to `stat` and to opens since it was last asked for anything else: programs ask for the same few paths again and again, and for many that are not
//! there.
//!
//! posix is the only one that asks vfs for changes, so an answer stays true until posix does, but for the time of a file's last read: inference reads models, and says so
//! before anybody hears what came of it. Which request changes what is hardly followed here: each one that is not made
//! through [`Posix::vfs_to_ask`] makes all answers to `stat` old, a read too, because it may move the time of the last read; and each one but those of
//! [`Posix::vfs_to_read`] those to opens, which say where a path leads and who may go there. That a file was opened so before does not open it: vfs must still count
//! it as open (see [`crate::linger`]).
//!
//! Nothing of this is saved. Each answer is kept with a sum of its words, because a flipped bit would be another file's length or owner in a program.

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::vfs::{self, Actor, At, FileId, OpenFlags, Opened};

use crate::call::Call;
use crate::kernel::Port;
use crate::saved::Lane;
use crate::server::Posix;
use crate::stat::Stat;
use crate::sure::{Sure, Table};

/// How many answers are kept.
const ANSWERS: usize = 64;
/// Longest path that is kept.
const PATH_BYTES: usize = 64;

/// What can be kept.
trait Found: Clone + PartialEq {
    /// Whether it is what a call is made again for (see [`crate::doubt`]): it is an answer when it was heard twice, or the second attempt would hear the first one's again.
    fn is_doubtful(&self) -> bool;

    /// A sum in which no bit can be changed alone.
    fn sum(&self) -> u64;
}

/// An answer, and what was asked.
#[derive(Clone, Debug)]
struct Answer<T> {
    age: u64,
    start: FileId,
    follow: bool,
    length: usize,
    path: [u8; PATH_BYTES],
    actor: Actor,
    found: T,
    heard_twice: bool,
    sum: u64,
}

/// Answers to one kind of question.
#[derive(Debug)]
struct Kept<T> {
    answers: Table<Option<Answer<T>>, ANSWERS>,
    /// The age that answers have which are true.
    age: Sure,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Answers {
    stats: Kept<Result<Stat, vfs::Error>>,
    opens: Kept<(OpenFlags, Opened)>,
}

impl<T: Clone> Default for Kept<T> {
    fn default() -> Self {
        Self { answers: Table::default(), age: Sure::default() }
    }
}

/// Where the answer to a question is kept: FNV-1a, a word at a time.
fn place_of(start: FileId, path: &[u8]) -> usize {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    let (words, rest) = path.as_chunks();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325 ^ u64::from(start.inode), |hash, word| step(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)));
    (hash ^ hash >> 32 ^ hash >> 16) as usize % ANSWERS
}

fn sum_of(words: &[u64], first: u64) -> u64 {
    words.iter().fold(first, |sum, word| sum.rotate_left(5) ^ word)
}

impl Found for Result<Stat, vfs::Error> {
    fn is_doubtful(&self) -> bool {
        self.is_err()
    }

    fn sum(&self) -> u64 {
        let words = match self {
            Ok(stat) => stat.words(),
            Err(vfs::Error::NotFound) => [1; 15],
            Err(vfs::Error::NotDirectory) => [2; 15],
            // No other refusal is kept.
            Err(_) => [0; 15],
        };
        sum_of(&words, u64::from(self.is_ok()))
    }
}

impl Found for (OpenFlags, Opened) {
    fn is_doubtful(&self) -> bool {
        false
    }

    fn sum(&self) -> u64 {
        let (flags, Opened { file, kind, permissions, uid, gid, device, size, created }) = *self;
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let what = pair(kind.mode_bits() | u32::from(permissions), u32::from(created));
        sum_of(&[pair(file.inode, file.generation), what, pair(uid, gid), u64::from(device), size], flags.0.into())
    }
}

impl<T: Found> Kept<T> {
    fn heard(&self, at: &At<'_>, actor: &Actor) -> Option<&Answer<T>> {
        let answer = self.answers.get(place_of(at.start, at.path))?.as_ref()?;
        let is_asked = answer.age == self.age.get() && answer.start == at.start && answer.follow == at.follow;
        if !is_asked || answer.path.get(..answer.length) != Some(at.path) || answer.actor != *actor {
            return None;
        }
        assert!(answer.sum == answer.found.sum(), "an answer is not what vfs said");
        Some(answer)
    }

    fn find(&self, at: &At<'_>, actor: &Actor) -> Option<&T> {
        self.heard(at, actor).filter(|answer| answer.heard_twice || !answer.found.is_doubtful()).map(|answer| &answer.found)
    }

    fn keep(&mut self, at: &At<'_>, actor: &Actor, found: T) {
        let mut path = [0; PATH_BYTES];
        let heard_twice = self.heard(at, actor).is_some_and(|answer| answer.found == found);
        let (Some(kept), Some(to)) = (self.answers.get_mut(place_of(at.start, at.path)), path.get_mut(..at.path.len())) else { return };
        to.copy_from_slice(at.path);
        let sum = found.sum();
        *kept = Some(Answer {
            age: self.age.get(),
            start: at.start,
            follow: at.follow,
            length: at.path.len(),
            path,
            actor: actor.clone(),
            found,
            heard_twice,
            sum,
        });
    }
}

impl Answers {
    /// Somebody else may have read a file, which moves the time of its last read.
    pub const fn was_read(&mut self) {
        self.stats.age.grow();
    }

    /// vfs is about to be asked for something that may change what it answered.
    pub const fn grow_old(&mut self) {
        self.stats.age.grow();
        self.opens.age.grow();
    }
}

impl Posix<'_> {
    /// The client of vfs for a request that changes nothing that it has answered.
    pub fn vfs_to_ask(&mut self) -> vfs::Client<Port<'_>> {
        vfs::Client(self.port_of_vfs())
    }

    /// The client of vfs for a request that changes no name and no permission.
    pub fn vfs_to_read(&mut self) -> vfs::Client<Port<'_>> {
        self.answers.was_read();
        vfs::Client(self.port_of_vfs())
    }

    /// Opens a place in vfs for a lane's message, or nobody's, without a change of anything. The second is whether vfs was not told, because it has the file open already.
    /// Who may have asked before asks again, and gets the same answer: what vfs has counted for it is to be closed.
    ///
    /// # Errors
    /// What vfs says.
    pub fn open_in_vfs(
        &mut self,
        lane: Option<Lane>,
        number: RequestNumber,
        at: At<'_>,
        actor: &Actor,
        flags: OpenFlags,
    ) -> Result<(Opened, bool), CallError<vfs::Error>> {
        if lane.and_then(|lane| self.hands.get(lane)).is_some_and(|hand| !hand.may_have_opened)
            && let Some((_, opened)) = self.answers.opens.find(&at, actor).filter(|(asked, _)| *asked == flags)
            && self.is_open_in_vfs(opened.file)
        {
            let opened = *opened;
            self.named.note(opened.file);
            return Ok((opened, true));
        }
        if let Some(lane) = lane {
            self.hands.opens(lane);
        }
        let opened = self.vfs_to_ask().open(number, at, actor, flags, 0)?;
        // What is opened without a path may have none.
        if !at.path.is_empty() {
            self.answers.opens.keep(&at, actor, (flags, opened));
            self.named.note(opened.file);
        }
        Ok((opened, false))
    }
}

impl Call<'_, '_> {
    /// What a place in vfs is like.
    ///
    /// # Errors
    /// What vfs says.
    pub fn stat_in_vfs(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor) -> Result<Stat, CallError<vfs::Error>> {
        if let Some(found) = self.posix.answers.stats.find(&at, actor) {
            return found.map_err(CallError::Service);
        }
        let found = self.posix.vfs_to_ask().stat(number, at, actor).map(Stat::from);
        match &found {
            Ok(stat) => self.posix.answers.stats.keep(&at, actor, Ok(*stat)),
            Err(CallError::Service(error @ (vfs::Error::NotFound | vfs::Error::NotDirectory))) => {
                self.posix.answers.stats.keep(&at, actor, Err(*error))
            }
            Err(_) => {}
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, PATH_BYTES};
    use crate::stat::Stat;
    use protocols::vfs::{Actor, At, Error, FileId, Kind, OpenFlags, Opened, ROOT};

    fn stat(size: u64) -> Result<Stat, Error> {
        Ok(Stat { size, mode: 0o100_644, ..Stat::default() })
    }

    #[test]
    fn answer_is_that_to_the_same_question_of_the_same_caller() {
        let (mut answers, root) = (Kept::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"/etc/passwd", follow: true };
        answers.keep(&at, &root, stat(5));
        assert_eq!(answers.find(&at, &root), Some(&stat(5)));
        assert_eq!(answers.find(&At { follow: false, ..at }, &root), None);
        assert_eq!(answers.find(&At { start: FileId { inode: 9, generation: 1 }, ..at }, &root), None);
        assert_eq!(answers.find(&At { path: b"/etc/passwe", ..at }, &root), None);
        assert_eq!(answers.find(&At { path: b"/etc/passw", ..at }, &root), None);
        for other in
            [Actor { uid: 1, ..root.clone() }, Actor { gid: 1, ..root.clone() }, Actor { root: FileId { inode: 9, generation: 1 }, ..root.clone() }]
        {
            assert_eq!(answers.find(&at, &other), None);
        }
        answers.keep(&at, &root, Err(Error::NotFound));
        assert_eq!(answers.find(&at, &root), None, "a failure that was heard once");
        answers.keep(&at, &root, Err(Error::NotFound));
        assert_eq!(answers.find(&at, &root), Some(&Err(Error::NotFound)));
        answers.keep(&at, &root, Err(Error::NotDirectory));
        assert_eq!(answers.find(&at, &root), None, "another one");
        answers.keep(&at, &root, Err(Error::NotDirectory));
        answers.age.grow();
        assert_eq!(answers.find(&at, &root), None);
    }

    #[test]
    fn long_paths_are_not_kept() {
        let (mut answers, root) = (Kept::default(), Actor::superuser());
        for length in [0, 1, PATH_BYTES, PATH_BYTES + 1] {
            let path = vec![b'x'; length];
            let at = At { start: ROOT, path: &path, follow: true };
            answers.keep(&at, &root, stat(1));
            assert_eq!(answers.find(&at, &root).is_some(), length <= PATH_BYTES, "{length}");
        }
    }

    #[test]
    #[should_panic = "not what vfs said"]
    fn flipped_bit_is_no_answer() {
        let (mut answers, root) = (Kept::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"f", follow: true };
        answers.keep(&at, &root, stat(4096));
        if let Some(Ok(stat)) = answers.answers.iter_mut().flatten().next().map(|answer| answer.found.as_mut()) {
            stat.size ^= 1 << 40;
        }
        answers.find(&at, &root);
    }

    #[test]
    #[should_panic = "not what vfs said"]
    fn flipped_bit_is_no_other_refusal() {
        let (mut answers, root) = (Kept::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"f", follow: true };
        answers.keep(&at, &root, Err(Error::NotFound));
        answers.keep(&at, &root, Err(Error::NotFound));
        if let Some(answer) = answers.answers.iter_mut().flatten().next() {
            answer.found = Err(Error::NotDirectory);
        }
        answers.find(&at, &root);
    }

    #[test]
    #[should_panic = "not what vfs said"]
    fn flipped_bit_opens_no_other_file() {
        let (mut opens, root) = (Kept::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"f", follow: true };
        let file = FileId { inode: 7, generation: 1 };
        let opened = Opened { file, kind: Kind::File, permissions: 0o644, uid: 0, gid: 0, device: 0, size: 3, created: false };
        opens.keep(&at, &root, (OpenFlags::READ, opened));
        assert_eq!(opens.find(&at, &root), Some(&(OpenFlags::READ, opened)));
        if let Some(answer) = opens.answers.iter_mut().flatten().next() {
            answer.found.1.file.inode = 6;
        }
        opens.find(&at, &root);
    }
}
