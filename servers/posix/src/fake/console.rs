//! A console that keeps what is written and gives what a test typed.

use std::collections::{BTreeMap, VecDeque};

use protocols::console::{self, WindowSize};
use protocols::serve::Caller;

/// A console that keeps what is written, and gives what tests type.
#[derive(Default)]
pub(crate) struct FakeConsole {
    pub(crate) input: VecDeque<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) streams: [Vec<u8>; 2],
    pub(crate) signals: console::Signals,
    done: BTreeMap<u64, console::Reply>,
}

impl console::Service for FakeConsole {
    fn handle(&mut self, caller: &mut dyn Caller, request: console::Request<'_>) -> Result<console::Reply, console::Error> {
        use console::{Reply, Request};
        let number = caller.number().0;
        match request {
            Request::Read { length, .. } => {
                if self.input.is_empty() {
                    return Err(console::Error::Pending(console::Pending::default()));
                }
                let count = self.input.len().min(length as usize);
                let bytes: Vec<u8> = self.input.drain(..count).collect();
                caller.write(0, 0, &bytes)?;
                Ok(Reply::Count(count as u32))
            }
            Request::Write { length, .. } | Request::ScriptWrite { length, .. } => {
                if let Some(reply) = self.done.get(&number) {
                    return Ok(reply.clone());
                }
                let mut bytes = vec![0; length as usize];
                caller.read(0, 0, &mut bytes)?;
                match request {
                    Request::ScriptWrite { stream: console::Stream::Error, .. } => self.streams[1].extend(bytes),
                    Request::ScriptWrite { .. } => self.streams[0].extend(bytes),
                    _ => self.output.extend(bytes),
                }
                self.done.insert(number, Reply::Count(length));
                Ok(Reply::Count(length))
            }
            Request::Status => {
                let input = self.input.len() as u32;
                Ok(Reply::Status(console::Status { readable: input > 0, input_bytes: input, output_room: 4096, output_bytes: 0 }))
            }
            Request::Signals => Ok(Reply::Signals(self.signals)),
            Request::Termios => Ok(Reply::Termios(console::Termios::INITIAL)),
            Request::WindowSize => Ok(Reply::WindowSize(WindowSize::INITIAL)),
            _ => Ok(Reply::Done),
        }
    }
}
