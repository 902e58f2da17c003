//! Programs: found, opened, laid out in a new address space.
//!
//! The new space is built aside, in a map of its own, and becomes the process's with one commit; until then a failure costs nothing but the map. Files are
//! opened by numbered requests with a step for each round of `#!`, so that a re-run finds the same opens; or not at all, when vfs counts them as open already (see
//! [`crate::answers`]).

use alloc::vec;
use alloc::vec::Vec;

use abi::{Frame, RequestNumber};
use protocols::vfs::{Actor, At, FileId, Kind, OpenFlags, Opened};

use crate::call::{ASK, EFFECT, Stop, vfs_stop};
use crate::elf::{self, Program};
use crate::errno::Errno;
use crate::path::Target;
use crate::saved::{AREAS, Id, Lane, MapIndex, Vma};
use crate::server::Posix;
use crate::stack::{self, Auxiliary, Stack};
use crate::vma::{Areas, EXEC, FILE, GROWS_DOWN, HEAP, PAGE, READ, STACK, STACK_BYTES, STACK_TOP, WRITE};

/// Most rounds of `#!` (Linux: `BINPRM_MAX_RECURSION` and a half).
const MAX_ROUNDS: u8 = 5;
/// Step of the interpreter's open.
const INTERPRETER_STEP: u8 = EFFECT + MAX_ROUNDS + 1;

/// What is to be executed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where a relative path starts.
    pub start: FileId,
    /// The path.
    pub path: Vec<u8>,
    /// What the program hears that it was executed by: the path, or by way of /dev/fd where that is seen from a descriptor.
    pub name: Vec<u8>,
    /// Whether nobody can open it by that name once the program runs.
    pub is_hidden: bool,
    /// Whether a link as its last part is followed.
    pub follow: bool,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
    /// For whom.
    pub actor: Actor,
    /// The process, for `/proc/self`; 0 for none.
    pub process: usize,
    /// Real and effective user and group.
    pub ids: [u32; 4],
    /// Number of the request.
    pub number: RequestNumber,
    /// The lane whose message asks for it; `None` when it is nobody's.
    pub lane: Option<Lane>,
}

/// A file that was opened for a request.
#[derive(Clone, Copy, Debug)]
struct Open {
    opened: Opened,
    /// vfs was not told, because it has the file open already.
    already: bool,
}

/// A program that was found, with all that it needs open.
#[derive(Clone, Debug)]
pub struct Found {
    program: Program,
    open: Open,
    interpreter: Option<(Program, Open)>,
    arguments: Vec<Vec<u8>>,
    /// What `AT_EXECFN` says: the path that was asked for, also when it is a script's.
    name: Vec<u8>,
    /// Last part of that path: the process's name.
    pub short_name: [u8; 16],
}

impl Found {
    /// Mode bits and owners, for set-user-id.
    #[must_use]
    pub fn owner(&self) -> (u16, u32, u32) {
        (self.open.opened.permissions, self.open.opened.uid, self.open.opened.gid)
    }

    /// The program's file.
    #[must_use]
    pub fn file(&self) -> FileId {
        self.open.opened.file
    }

    /// Names the process by another path.
    pub fn rename(&mut self, path: &[u8]) {
        self.short_name = last_part(path);
    }
}

/// What a process is called by its program's path.
fn last_part(path: &[u8]) -> [u8; 16] {
    let base = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().take(15).zip(base) {
        *to = *from;
    }
    name
}

/// What a program starts with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Instruction pointer.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
}

impl Start {
    /// All registers.
    #[must_use]
    pub fn frame(self) -> Frame {
        Frame { rip: self.entry, rsp: self.stack, ..Frame::new() }
    }
}

impl Posix<'_> {
    /// Finds and opens a program, following `#!`.
    ///
    /// # Errors
    /// Linux's for `execve`.
    pub fn find_program(&mut self, request: &Request) -> Result<Found, Stop> {
        let mut arguments = request.arguments.clone();
        let (mut path, mut name) = (request.path.clone(), request.name.clone());
        let (mut start, mut follow) = (request.start, request.follow);
        for round in 0..MAX_ROUNDS {
            let open = self.open_program(request, start, &path, follow, EFFECT + round)?;
            let mut head = vec![0; elf::HEAD_BYTES];
            let length = self.read_file(request.number, open.opened.file, 0, &mut head);
            let length = self.or_close(length, open)?;
            let head = head.get(..length).unwrap_or_default();
            match elf::shebang(head) {
                Ok(None) => return self.open_elf(request, head, open, arguments),
                // Its interpreter could not open it.
                Ok(Some(_)) if request.is_hidden => return self.or_close(Err(Errno::ENOENT.into()), open),
                Ok(Some(line)) => {
                    if arguments.is_empty() {
                        arguments.push(Vec::new());
                    }
                    arguments[0] = name;
                    if let Some(argument) = line.argument {
                        arguments.insert(0, argument.to_vec());
                    }
                    arguments.insert(0, line.interpreter.to_vec());
                    path = line.interpreter.to_vec();
                    name = path.clone();
                    (start, follow) = (request.start, true);
                    self.close_again(open);
                }
                Err(errno) => return self.or_close(Err(errno.into()), open),
            }
        }
        Err(Errno::ELOOP.into())
    }

    fn open_program(&mut self, request: &Request, start: FileId, path: &[u8], follow: bool, step: u8) -> Result<Open, Stop> {
        let number = request.number.with_step(step);
        let at = At { start, path, follow };
        match self.open_in_vfs(request.lane, number, at, &request.actor, OpenFlags::EXECUTE) {
            Ok((opened, already)) => {
                let open = Open { opened, already };
                match opened.kind {
                    Kind::File if self.is_open_for_writing(opened.file) => self.or_close(Err(Errno::ETXTBSY.into()), open),
                    Kind::File => Ok(open),
                    _ => self.or_close(Err(Errno::EACCES.into()), open),
                }
            }
            Err(error) => match self.leaves_vfs(error, at, &request.actor, request.process, number)? {
                Target::Vfs { start, rest } => {
                    let at = At { start, path: &rest, follow };
                    let opened = self.vfs().open(number, at, &request.actor, OpenFlags::EXECUTE, 0).map_err(vfs_stop)?;
                    Ok(Open { opened, already: false })
                }
                Target::Proc(_) => Err(Errno::EACCES.into()),
            },
        }
    }

    /// Passes a result on; an error closes what was opened.
    fn or_close<T>(&mut self, result: Result<T, Stop>, open: Open) -> Result<T, Stop> {
        // One that waits runs again under the same numbers, and finds its files open.
        if let Err(Stop::Errno(_)) = &result {
            self.close_again(open);
        }
        result
    }

    fn close_again(&mut self, open: Open) {
        if !open.already {
            self.close_later(open.opened.file.into());
        }
    }

    fn open_elf(&mut self, request: &Request, head: &[u8], open: Open, arguments: Vec<Vec<u8>>) -> Result<Found, Stop> {
        let program = elf::parse(head).and_then(|program| program.whole_in(open.opened.size));
        let program = self.or_close(program.map_err(Stop::from), open)?;
        let interpreter = match program.interpreter {
            None => None,
            Some((offset, length)) => {
                let found = self.open_interpreter(request, open.opened.file, offset, length);
                Some(self.or_close(found, open)?)
            }
        };
        let name = request.name.clone();
        let short_name = last_part(&name);
        Ok(Found { program, open, interpreter, arguments, name, short_name })
    }

    fn open_interpreter(&mut self, request: &Request, file: FileId, offset: u64, length: usize) -> Result<(Program, Open), Stop> {
        let mut path = vec![0; length];
        if self.read_file(request.number, file, offset, &mut path)? != length {
            return Err(Errno::ENOEXEC.into());
        }
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        path.truncate(end);
        let open = self.open_program(request, request.actor.root, &path, true, INTERPRETER_STEP)?;
        let mut head = vec![0; elf::HEAD_BYTES];
        let read = self.read_file(request.number, open.opened.file, 0, &mut head);
        let read = self.or_close(read, open)?;
        let program = elf::parse(head.get(..read).unwrap_or_default()).and_then(|program| program.whole_in(open.opened.size));
        Ok((self.or_close(program.map_err(|_| Stop::Errno(Errno::ENOEXEC)), open)?, open))
    }

    /// A program that was found is not executed after all.
    pub fn close_program(&mut self, found: &Found) {
        for open in found.interpreter.iter().map(|(_, open)| *open).chain([found.open]) {
            self.close_again(open);
        }
    }

    /// One more user of a file's node.
    fn program_node(&mut self, Open { opened, already }: Open) -> Result<usize, Errno> {
        if already {
            // It went with all that lingered, when there was no room for another one.
            return self.node_open_already(opened.file).ok_or(Errno::ENFILE);
        }
        self.node_opened(opened.file, Kind::File.mode_bits() | u32::from(opened.permissions), 0)
    }

    /// Reads a file of vfs until the buffer is full or the file ends.
    ///
    /// # Errors
    /// What vfs says.
    pub fn read_file(&mut self, number: RequestNumber, file: FileId, offset: u64, to: &mut [u8]) -> Result<usize, Stop> {
        let mut done = 0;
        while done < to.len() {
            let part = (to.len() - done).min(crate::server::BUFFER_BYTES);
            let mut buffer = core::mem::take(&mut self.buffer);
            let lease = self.kernel.lend_mut(buffer.get_mut(..part).unwrap_or_default());
            let result = self.vfs_to_read().read(number.with_step(ASK), file, offset + done as u64, part as u32, lease);
            let count = result.as_ref().map_or(0, |count| (*count as usize).min(part));
            if let (Some(to), Some(from)) = (to.get_mut(done..done + count), buffer.get(..count)) {
                to.copy_from_slice(from);
            }
            buffer.resize(crate::server::BUFFER_BYTES, 0);
            self.buffer = buffer;
            if result.map_err(vfs_stop)? == 0 {
                break;
            }
            done += count;
        }
        Ok(done)
    }

    /// Lays a program out in a map whose space is empty.
    ///
    /// # Errors
    /// `ENOMEM`, `E2BIG`, or what vfs says.
    pub fn load_program(&mut self, map: MapIndex, request: &Request, found: &Found) -> Result<Start, Stop> {
        let node = self.program_node(found.open)?;
        let mut areas = Areas::default();
        let bias = found.program.bias(elf::PIE_BASE);
        let mut tails = Vec::new();
        add_segments(&mut areas, &found.program, found.file().into(), bias, &mut tails)?;
        let heap = found.program.extent().1.wrapping_add(bias);
        let mut entry = found.program.entry.wrapping_add(bias);
        let mut interpreter_base = 0;
        let mut interpreter_node = 0;
        if let Some((program, open)) = &found.interpreter {
            interpreter_node = self.program_node(*open)?;
            let bias = program.bias(elf::INTERPRETER_BASE);
            add_segments(&mut areas, program, open.opened.file.into(), bias, &mut tails)?;
            interpreter_base = bias;
            entry = program.entry.wrapping_add(bias);
        }
        // No thread can be set to go there.
        if entry >= abi::USER_END {
            return Err(Errno::ENOEXEC.into());
        }
        let execute = if found.program.executable_stack { EXEC } else { 0 };
        let flags = READ | WRITE | execute | STACK | GROWS_DOWN;
        areas.insert(Vma { start: STACK_TOP - STACK_BYTES, end: STACK_TOP, flags, ..Vma::default() });
        let vdso = self.map_vdso(map, &mut areas)?;
        self.set_areas(map, &areas)?;
        // The areas count as its users from here on.
        self.release_node(interpreter_node);
        for (start, end) in tails {
            self.clear_tail(map, start, end, request.number)?;
        }
        let auxiliary = Auxiliary {
            headers: found.program.headers.wrapping_add(bias),
            header_count: found.program.header_count,
            interpreter_base,
            entry: found.program.entry.wrapping_add(bias),
            ids: request.ids.map(u64::from),
            hwcap: 0x0f8b_fbff,
            vdso,
            random: self.random_bytes(),
        };
        let stack = stack::build(STACK_TOP, &found.name, &found.arguments, &request.environment, &auxiliary)?;
        self.write_guest(map, stack.pointer, &stack.bytes, request.number)?;
        self.record_map(map, node, heap, &stack);
        Ok(Start { entry, stack: stack.pointer })
    }

    fn record_map(&mut self, map: MapIndex, node: usize, heap: u64, stack: &Stack) {
        self.store.edit_map(map, |map| {
            map.program = node as u32;
            (map.heap_start, map.heap_end) = (heap, heap);
            map.arguments = [stack.arguments.0, stack.arguments.1];
            map.environment = [stack.environment.0, stack.environment.1];
            map.stack = stack.pointer;
        });
    }

    /// Zeros between the end of a segment's file bytes and the end of their page.
    fn clear_tail(&mut self, map: MapIndex, start: u64, end: u64, number: RequestNumber) -> Result<(), Stop> {
        let zeros = [0; PAGE as usize];
        let length = (end - start) as usize;
        self.write_guest(map, start, zeros.get(..length).unwrap_or_default(), number).map_err(|stop| match stop {
            // The file ends before its segment does.
            Stop::Errno(Errno::EFAULT) => Errno::ENOEXEC.into(),
            other => other,
        })
    }

    /// Sixteen bytes that cannot be foreseen.
    pub fn random_bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill_random(&mut bytes);
        bytes
    }
}

/// Adds a program's segments; `tails` gets the ranges whose bytes must be cleared.
fn add_segments(areas: &mut Areas, program: &Program, file: Id, bias: u64, tails: &mut Vec<(u64, u64)>) -> Result<(), Errno> {
    for segment in &program.segments {
        let address = segment.address.wrapping_add(bias);
        let end = address.checked_add(segment.memory_bytes).filter(|end| *end <= STACK_TOP - STACK_BYTES).ok_or(Errno::ENOMEM)?;
        let (start, end) = (address & !(PAGE - 1), end.next_multiple_of(PAGE));
        if start < crate::vma::LOWEST || !areas.is_free(start, end) || areas.0.len() + 5 > AREAS {
            return Err(Errno::ENOMEM);
        }
        let file_end = address + segment.file_bytes;
        let mapped_end = if segment.file_bytes == 0 { start } else { file_end.next_multiple_of(PAGE) };
        if mapped_end > start {
            areas.insert(Vma {
                start,
                end: mapped_end,
                flags: segment.protection | FILE,
                inode: file.inode,
                generation: file.generation,
                offset: segment.offset & !(PAGE - 1),
            });
            if segment.memory_bytes > segment.file_bytes && segment.protection & WRITE != 0 && file_end < mapped_end {
                tails.push((file_end, mapped_end));
            }
        }
        if end > mapped_end {
            areas.insert(Vma { start: mapped_end, end, flags: segment.protection, ..Vma::default() });
        }
    }
    Ok(())
}

/// The flags of the program break's area.
pub const HEAP_FLAGS: u64 = READ | WRITE | HEAP;
