//! Models that are loaded: the bytes of a file, and all that was made of them.
//!
//! They are known by what file they are and how it was when it was read: a file that was written to since is another model. One that nobody uses stays until its room is
//! needed.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use protocols::vfs::{Actor, FileId};

use super::words::Reason;
use crate::adapter::Adapter;
use crate::chat::Template;
use crate::config::Config;
use crate::engine::{Adapters, Engine, Session};
use crate::error::Error;
use crate::gguf::File;
use crate::grammar::Vocabulary;
use crate::kernel::Processor;
use crate::model::Model;
use crate::tokenizer::Tokenizer;

/// A mebibyte.
const MIB: u64 = 1 << 20;

/// A file as it was when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which.
    pub file: FileId,
    /// Its length.
    pub bytes: u64,
    /// When it was last written to (ns since the epoch).
    pub written_ns: u64,
}

/// What the worker needs of the machine.
pub trait Machine {
    /// How a file is, for those who may read it.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn version(&mut self, path: &str, actor: &(Actor, FileId)) -> Result<Version, Reason>;

    /// All bytes of a file as it was, in room that was made for them.
    ///
    /// # Errors
    /// As [`Machine::version`]'s; or it is another file now, or was written to since: what is kept under this version would be something else for everybody.
    fn read(&mut self, path: &str, actor: &(Actor, FileId), version: Version, room: Vec<u8>) -> Result<Vec<u8>, Reason>;

    /// How many bytes of memory are left.
    fn left(&mut self) -> u64;

    /// Nanoseconds of a clock that never goes back.
    fn now_ns(&mut self) -> u64;
}

/// What is made of a file's bytes.
pub struct Parts<'a> {
    /// The model, as adapters need it.
    pub model: Model<'a>,
    /// It at speed.
    pub engine: Engine<'a>,
    /// Its vocabulary.
    pub tokenizer: Tokenizer<'a>,
    /// The chat template in its file.
    pub template: Result<Template, Error>,
}

self_cell::self_cell!(
    struct Whole {
        owner: Vec<u8>,
        #[not_covariant]
        dependent: Parts,
    }
);

/// A model that is loaded.
pub struct Ready {
    /// Its file.
    pub version: Version,
    /// What it was called.
    pub path: String,
    /// Pieces of work that use it.
    pub users: usize,
    /// When it was last used, as a count of uses.
    used: u64,
    whole: Whole,
    vocabulary: Option<Arc<Vocabulary>>,
    /// What the last text has left, for one that begins alike.
    idle: Option<Session>,
}

impl core::fmt::Debug for Ready {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Ready").field("path", &self.path).field("users", &self.users).finish_non_exhaustive()
    }
}

/// All that is loaded.
#[derive(Debug, Default)]
pub struct Models {
    all: Vec<Ready>,
    uses: u64,
}

/// The words for an error of the engine's.
pub(super) fn words(error: &Error) -> Reason {
    error.to_string()
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}

impl Ready {
    /// Uses what was made of the file.
    pub fn with<R>(&self, run: impl FnOnce(&Parts<'_>) -> R) -> R {
        self.whole.with_dependent(|_, parts| run(parts))
    }

    /// Bytes of the file, and of its matrices laid out anew.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.version.bytes + self.with(|parts| parts.engine.bytes() as u64)
    }

    /// The vocabulary as grammars see it.
    pub fn vocabulary(&mut self) -> Arc<Vocabulary> {
        let made = self.vocabulary.take().unwrap_or_else(|| self.with(|parts| Arc::new(Vocabulary::new(&parts.tokenizer))));
        Arc::clone(self.vocabulary.insert(made))
    }

    /// A session with room for `capacity` tokens: the last one if it is large enough.
    ///
    /// # Errors
    /// There is no room for another one.
    pub fn session(&mut self, capacity: usize, left: u64) -> Result<Session, Reason> {
        if let Some(session) = self.idle.take_if(|idle| idle.position() + idle.room() >= capacity) {
            return Ok(session);
        }
        // The old one makes room for the new one.
        self.idle = None;
        let needed = self.with(|parts| session_bytes(parts.engine.config(), capacity));
        if needed > left {
            return Err(format!("{capacity} tokens need {} MiB, and {} MiB are left", mib(needed), mib(left)));
        }
        Ok(self.with(|parts| Session::new(&parts.engine, capacity, 1)))
    }

    /// Takes a session back.
    pub fn give_back(&mut self, mut session: Session) {
        if session.is_adapted() {
            session.adapt(None);
        }
        self.idle = Some(session);
    }
}

/// About what a session takes: keys and values in halves, and the buffers of a batch.
fn session_bytes(config: &Config, capacity: usize) -> u64 {
    let kept = 4 * config.layers * config.kv_width() * capacity;
    let batch = 64 * (8 * config.width + 8 * config.query_width() + 4 * config.inner) * 4;
    (kept + batch) as u64 * 3 / 2
}

impl Models {
    /// The model in a file, loaded if it was not, and how long that took.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub fn find(&mut self, machine: &mut impl Machine, path: &str, actor: &(Actor, FileId)) -> Result<(usize, Option<u64>), Reason> {
        let version = machine.version(path, actor)?;
        self.uses += 1;
        let index = match self.all.iter().position(|ready| ready.version == version) {
            Some(index) => (index, None),
            None => {
                let started = machine.now_ns();
                let ready = self.load(machine, (path, version), actor)?;
                self.all.push(ready);
                (self.all.len() - 1, Some(machine.now_ns().saturating_sub(started)))
            }
        };
        self.all[index.0].used = self.uses;
        Ok(index)
    }

    fn load(&mut self, machine: &mut impl Machine, (path, version): (&str, Version), actor: &(Actor, FileId)) -> Result<Ready, Reason> {
        // The file, its matrices laid out anew, and some for the rest.
        let needed = version.bytes.saturating_mul(5) / 2 + MIB;
        while needed > machine.left() {
            let unused = self.all.iter().enumerate().filter(|(_, ready)| ready.users == 0).min_by_key(|(_, ready)| ready.used);
            let Some((index, _)) = unused else {
                return Err(format!("{path}: it needs {} MiB, and {} MiB are left", mib(needed), mib(machine.left())));
            };
            self.all.swap_remove(index);
        }
        let mut room = Vec::new();
        room.try_reserve_exact(usize::try_from(version.bytes).unwrap_or(usize::MAX)).map_err(|_| format!("{path}: larger than there is room for"))?;
        let bytes = machine.read(path, actor, version, room)?;
        let whole = Whole::try_new(bytes, |bytes| {
            let file = File::read(bytes)?;
            let model = Model::read(&file)?;
            let tokenizer = Tokenizer::read(&file)?;
            let engine = Engine::new(&model, Processor::detect(), |_, _| libsys::thread::beat());
            Ok(Parts { model, engine, tokenizer, template: Template::of(&file) })
        });
        let whole = whole.map_err(|error: Error| format!("{path}: {error}"))?;
        Ok(Ready { version, path: path.to_owned(), users: 0, used: self.uses, whole, vocabulary: None, idle: None })
    }

    /// A model that was found.
    pub fn get_mut(&mut self, version: Version) -> Option<&mut Ready> {
        self.all.iter_mut().find(|ready| ready.version == version)
    }

    /// A model by the place that [`Models::find`] gave.
    pub fn at(&mut self, index: usize) -> &mut Ready {
        &mut self.all[index]
    }

    /// Gives the memory of a model back.
    ///
    /// # Errors
    /// It is in use, or not loaded.
    pub fn unload(&mut self, version: Version) -> Result<(), Reason> {
        let index = self.all.iter().position(|ready| ready.version == version).ok_or_else(|| "it is not loaded".to_owned())?;
        if self.all[index].users > 0 {
            return Err("it is in use".to_owned());
        }
        self.all.swap_remove(index);
        Ok(())
    }

    /// A line for each: bytes of the file, pieces of work that use it, the kernels that compute it, and what it was called.
    #[must_use]
    pub fn list(&self) -> String {
        let line = |ready: &Ready| {
            let kernels = ready.with(|parts| parts.engine.processor().name());
            format!("{} {} {kernels} {}\n", ready.version.bytes, ready.users, ready.path)
        };
        self.all.iter().map(line).collect()
    }
}

/// Reads adapters for a model and stacks them.
///
/// # Errors
/// Why they cannot be read, or do not go with the model.
pub fn adapters(machine: &mut impl Machine, ready: &Ready, files: &[(f32, &str)], actor: &(Actor, FileId)) -> Result<Option<Arc<Adapters>>, Reason> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for (scale, path) in files {
        all.push((*path, *scale, read_whole(machine, path, actor)?));
    }
    ready.with(|parts| {
        let read = |(path, scale, bytes)| -> Result<_, Reason> {
            let (path, scale, bytes): (&str, f32, &Vec<u8>) = (path, scale, bytes);
            let adapter = File::read(bytes).and_then(|file| Adapter::read(&file, &parts.model));
            Ok((adapter.map_err(|error| format!("{path}: {error}"))?, scale))
        };
        let adapters = all.iter().map(|(path, scale, bytes)| read((*path, *scale, bytes))).collect::<Result<Vec<_>, Reason>>()?;
        let scaled: Vec<(&Adapter<'_>, f32)> = adapters.iter().map(|(adapter, scale)| (adapter, *scale)).collect();
        Adapters::new(&scaled).map(|adapters| Some(Arc::new(adapters))).map_err(|error| words(&error))
    })
}

/// All bytes of a small file.
pub(super) fn read_whole(machine: &mut impl Machine, path: &str, actor: &(Actor, FileId)) -> Result<Vec<u8>, Reason> {
    let version = machine.version(path, actor)?;
    if version.bytes > machine.left() / 4 {
        return Err(format!("{path}: larger than there is room for"));
    }
    let mut room = Vec::new();
    room.try_reserve_exact(version.bytes as usize).map_err(|_| format!("{path}: larger than there is room for"))?;
    machine.read(path, actor, version, room)
}
