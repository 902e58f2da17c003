//! What vfs has answered to `stat` since it was last asked for anything else: programs ask for the same few paths again and again, and for many that are not there.
//!
//! posix is the only one that asks vfs for changes, so an answer stays true until posix does. Which request changes what is not followed here: each one that is not made
//! through [`Posix::vfs_to_ask`] makes all answers old. A read is such a one, because it may move the time of the last read.
//!
//! Nothing of this is saved. Each answer is kept with a sum of its words, because a flipped bit would be another file's length or owner in a program.

use alloc::vec;
use alloc::vec::Vec;

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::vfs::{self, Actor, At, FileId};

use crate::call::Call;
use crate::kernel::Port;
use crate::server::Posix;
use crate::stat::Stat;

/// How many answers are kept.
const ANSWERS: usize = 64;
/// Longest path that is kept.
const PATH_BYTES: usize = 64;

/// An answer, and what was asked.
#[derive(Clone, Debug)]
struct Answer {
    age: u64,
    start: FileId,
    follow: bool,
    length: usize,
    path: [u8; PATH_BYTES],
    actor: Actor,
    found: Result<Stat, vfs::Error>,
    sum: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Answers {
    kept: Vec<Option<Answer>>,
    /// The age that answers have which are true.
    age: u64,
}

impl Default for Answers {
    fn default() -> Self {
        Self { kept: vec![None; ANSWERS], age: 0 }
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

/// A sum in which no bit can be changed alone.
fn sum_of(found: &Result<Stat, vfs::Error>) -> u64 {
    let words = match found {
        Ok(stat) => stat.words(),
        Err(vfs::Error::NotFound) => [1; 15],
        Err(vfs::Error::NotDirectory) => [2; 15],
        // No other refusal is kept.
        Err(_) => [0; 15],
    };
    words.iter().fold(u64::from(found.is_ok()), |sum, word| sum.rotate_left(5) ^ word)
}

impl Answers {
    /// vfs is about to be asked for something that may change what it answered.
    pub const fn grow_old(&mut self) {
        self.age += 1;
    }

    fn find(&self, at: &At<'_>, actor: &Actor) -> Option<Result<Stat, vfs::Error>> {
        let answer = self.kept.get(place_of(at.start, at.path))?.as_ref()?;
        let is_asked = answer.age == self.age && answer.start == at.start && answer.follow == at.follow;
        if !is_asked || answer.path.get(..answer.length) != Some(at.path) || answer.actor != *actor {
            return None;
        }
        assert!(answer.sum == sum_of(&answer.found), "an answer is not what vfs said");
        Some(answer.found)
    }

    fn keep(&mut self, at: &At<'_>, actor: &Actor, found: Result<Stat, vfs::Error>) {
        let mut path = [0; PATH_BYTES];
        let (Some(kept), Some(to)) = (self.kept.get_mut(place_of(at.start, at.path)), path.get_mut(..at.path.len())) else { return };
        to.copy_from_slice(at.path);
        let sum = sum_of(&found);
        *kept = Some(Answer { age: self.age, start: at.start, follow: at.follow, length: at.path.len(), path, actor: actor.clone(), found, sum });
    }
}

impl Posix<'_> {
    /// The client of vfs for a request that changes nothing that it has answered.
    pub fn vfs_to_ask(&mut self) -> vfs::Client<Port<'_>> {
        vfs::Client(self.port_of_vfs())
    }
}

impl Call<'_, '_> {
    /// What a place in vfs is like.
    ///
    /// # Errors
    /// What vfs says.
    pub fn stat_in_vfs(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor) -> Result<Stat, CallError<vfs::Error>> {
        if let Some(found) = self.posix.answers.find(&at, actor) {
            return found.map_err(CallError::Service);
        }
        let found = self.posix.vfs_to_ask().stat(number, at, actor).map(Stat::from);
        match &found {
            Ok(stat) => self.posix.answers.keep(&at, actor, Ok(*stat)),
            Err(CallError::Service(error @ (vfs::Error::NotFound | vfs::Error::NotDirectory))) => self.posix.answers.keep(&at, actor, Err(*error)),
            Err(_) => {}
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, PATH_BYTES};
    use crate::stat::Stat;
    use protocols::vfs::{Actor, At, Error, FileId, ROOT};

    fn stat(size: u64) -> Result<Stat, Error> {
        Ok(Stat { size, mode: 0o100_644, ..Stat::default() })
    }

    #[test]
    fn answer_is_that_to_the_same_question_of_the_same_caller() {
        let (mut answers, root) = (Answers::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"/etc/passwd", follow: true };
        answers.keep(&at, &root, stat(5));
        assert_eq!(answers.find(&at, &root), Some(stat(5)));
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
        assert_eq!(answers.find(&at, &root), Some(Err(Error::NotFound)));
        answers.grow_old();
        assert_eq!(answers.find(&at, &root), None);
    }

    #[test]
    fn long_paths_are_not_kept() {
        let (mut answers, root) = (Answers::default(), Actor::superuser());
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
        let (mut answers, root) = (Answers::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"f", follow: true };
        answers.keep(&at, &root, stat(4096));
        if let Some(Ok(stat)) = answers.kept.iter_mut().flatten().next().map(|answer| answer.found.as_mut()) {
            stat.size ^= 1 << 40;
        }
        answers.find(&at, &root);
    }

    #[test]
    #[should_panic = "not what vfs said"]
    fn flipped_bit_is_no_other_refusal() {
        let (mut answers, root) = (Answers::default(), Actor::superuser());
        let at = At { start: ROOT, path: b"f", follow: true };
        answers.keep(&at, &root, Err(Error::NotFound));
        if let Some(answer) = answers.kept.iter_mut().flatten().next() {
            answer.found = Err(Error::NotDirectory);
        }
        answers.find(&at, &root);
    }
}
