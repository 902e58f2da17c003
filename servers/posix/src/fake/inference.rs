//! An inference that answers what a test has it say.

use std::collections::BTreeMap;

use protocols::inference::{self, Error, Reply, Request, State, Status};
use protocols::serve::Caller;
use protocols::vfs::{Actor, FileId};

/// Work that was asked for.
pub(crate) struct Work {
    number: u64,
    pub(crate) words: Vec<u8>,
    pub(crate) actor: Actor,
    pub(crate) start: FileId,
    pub(crate) text: Vec<u8>,
    pub(crate) state: State,
}

/// Works by name, and what became of requests.
#[derive(Default)]
pub(crate) struct FakeInference {
    pub(crate) works: BTreeMap<u64, Work>,
    /// How many works were begun.
    pub(crate) begun: usize,
    /// There is room for no more.
    pub(crate) is_full: bool,
    /// What the kernel says of it instead of an answer.
    pub(crate) refused: Option<abi::Error>,
}

impl FakeInference {
    /// The only work there is.
    pub(crate) fn work(&mut self) -> &mut Work {
        assert_eq!(self.works.len(), 1, "one work");
        self.works.values_mut().next().expect("one")
    }
}

impl inference::Service for FakeInference {
    fn handle(&mut self, caller: &mut dyn Caller, request: &Request) -> Result<Reply, Error> {
        match request {
            Request::Begin { name, actor, start, length } => self.begin(caller, *name, (actor, *start), *length as usize),
            Request::Read { name, from, length } => {
                let work = self.works.get(name).ok_or(Error::NoSuchWork)?;
                let rest = work.text.get(*from as usize..).unwrap_or_default();
                match &work.state {
                    State::Working if rest.is_empty() => Err(Error::Pending),
                    State::Failed(_) if rest.is_empty() => Err(Error::Failed),
                    _ => Ok(Reply::Text(rest.iter().copied().take((*length as usize).min(inference::MAX_READ)).collect())),
                }
            }
            Request::Status { name } => {
                let work = self.works.get(name).ok_or(Error::NoSuchWork)?;
                Ok(Reply::Status(Status {
                    state: work.state.clone(),
                    bytes: work.text.len() as u64,
                    prompt_tokens: 11,
                    tokens: 12,
                    load_ns: 13,
                    prompt_ns: 14,
                    tokens_ns: 15,
                    p50_ns: 16,
                    p99_ns: 17,
                    memory: 18,
                }))
            }
            Request::End { name } => {
                self.works.remove(name);
                Ok(Reply::Done)
            }
        }
    }
}

impl FakeInference {
    fn begin(&mut self, caller: &mut dyn Caller, name: u64, (actor, start): (&Actor, FileId), length: usize) -> Result<Reply, Error> {
        let number = caller.number().0;
        if let Some(work) = self.works.get(&name) {
            return if work.number == number { Ok(Reply::Done) } else { Err(Error::Exists) };
        }
        if length > inference::MAX_WORDS {
            return Err(Error::TooLong);
        }
        if self.is_full {
            return Err(Error::Busy);
        }
        let mut words = vec![0; length];
        caller.read(0, 0, &mut words)?;
        self.begun += 1;
        self.works.insert(name, Work { number, words, actor: actor.clone(), start, text: Vec::new(), state: State::Working });
        Ok(Reply::Done)
    }
}
