//! The saved state as the rest of posix sees it: records by index, changed inside the transaction of the message in hand.
//!
//! A message is one transaction, opened by the first change and committed before the answer, so a crash in between leaves no trace of it and the message,
//! delivered again, finds everything as it was. An operation that must leave something for after a crash (an intent) commits in between.

mod nodes;
mod open;

use libsys::field;
use libsys::saved::{Area, Field, Plain, Transaction};
use terminal::saved::SavedLine;

use crate::saved::{
    AREAS, Action, COUNTED_CALLS, DESCRIPTORS, Descriptor, Done, FILES, File, Globals, Id, LARGE_PIPES, Lane, Load, Lock, Map, MapIndex, Name, Node,
    Origin, PIPE_BYTES, Pipe, Process, ProcessIndex, QueuedSignal, Right, SIGNALS, SMALL_PIPE_BYTES, SavedFrame, Socket, State, Terminal, Thread,
    Timer, Vma, Watch, Worked,
};
use crate::vma::{Areas, PAGE};
pub use open::Set as OpenSet;

/// The saved state and the transaction in progress.
pub struct Store {
    area: &'static Area<State>,
    transaction: Option<Transaction<'static>>,
    /// Changes were committed since [`Store::take_news`].
    news: bool,
    open: open::Open,
    nodes: nodes::Nodes,
    /// No file beyond is in use.
    files_end: usize,
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $get:ident $set:ident $edit:ident: $kind:ty = $field:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $get(&self, index: usize) -> $kind {
            self.area.state().$field.get(index).map_or_else(<$kind>::default, libsys::saved::Cell::get)
        }

        /// Sets the whole record.
        pub fn $set(&mut self, index: usize, value: $kind) {
            self.open();
            if let (Some(transaction), Some(cell)) = (&self.transaction, self.area.state().$field.get(index)) {
                cell.set(transaction, value);
            }
        }

        /// Changes some of its fields.
        pub fn $edit(&mut self, index: usize, change: impl FnOnce(&mut $kind)) {
            let mut value = self.$get(index);
            change(&mut value);
            self.$set(index, value);
        }
    )* };
}

impl Store {
    /// Over an opened area.
    #[must_use]
    pub fn new(area: &'static Area<State>) -> Self {
        let used = |index: &usize| area.state().files.get(*index).is_some_and(|file| file.get().references != 0);
        let files_end = (0..FILES).rfind(used).map_or(0, |last| last + 1);
        Self { area, transaction: None, news: true, open: open::Open::new(), nodes: nodes::Nodes::default(), files_end }
    }

    fn open(&mut self) {
        if self.transaction.is_none() {
            self.transaction = Some(self.area.begin());
        }
    }

    /// Whether something changed since the last commit.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.transaction.is_some()
    }

    /// Makes all changes since the last commit last.
    pub fn commit(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            transaction.commit();
            self.news = true;
        }
    }

    /// Whether something was changed, or is being changed, since the last time this was asked.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news) || self.is_changed()
    }

    /// Takes all changes since the last commit back.
    pub fn roll_back(&mut self) {
        if self.transaction.take().is_some() {
            self.open.forget();
            self.nodes.forget();
        }
    }

    accessors! {
        /// The machine's name, and its domain's.
        name set_name edit_name: Name = names;
        /// What a processor did for threads that are no more.
        worked set_worked edit_worked: Worked = worked;
        /// A process.
        process set_process edit_process: Process = processes;
        /// A thread.
        thread set_thread edit_thread: Thread = threads;
        /// A frame to be set.
        frame set_frame edit_frame: SavedFrame = frames;
        /// An address space.
        map set_map edit_map: Map = maps;
        /// An open file description.
        file set_file edit_file: File = files;
        /// A vfs file.
        node set_node edit_node: Node = nodes;
        /// A pipe.
        pipe set_pipe edit_pipe: Pipe = pipes;
        /// A socket.
        socket set_socket edit_socket: Socket = sockets;
        /// A descriptor in a message.
        right set_right edit_right: Right = rights;
        /// What an epoll watches.
        watch set_watch edit_watch: Watch = watches;
        /// A timer of `timer_create`.
        timer set_timer edit_timer: Timer = timers;
        /// A signal that waits behind another one.
        queued_signal set_queued_signal edit_queued_signal: QueuedSignal = queued_signals;
        /// A lock.
        lock set_lock edit_lock: Lock = locks;
        /// A terminal.
        terminal set_terminal edit_terminal: Terminal = terminals;
        /// A vfs file that waits to be closed.
        closing set_closing edit_closing: Id = closing;
        /// A work of inference that waits to be ended.
        ending set_ending edit_ending: u64 = ending;
        /// How often an unknown call was made.
        unknown_calls set_unknown_calls edit_unknown_calls: u32 = unknown_calls;
        /// An action, by its place in the whole array: see [`Store::action`].
        raw_action set_raw_action edit_raw_action: Action = actions;
        /// See [`Store::origin`].
        raw_origin set_raw_origin edit_raw_origin: Origin = origins;
        /// See [`Store::thread_origin`].
        raw_thread_origin set_raw_thread_origin edit_raw_thread_origin: Origin = thread_origins;
        /// See [`Store::descriptor`].
        raw_descriptor set_raw_descriptor edit_raw_descriptor: Descriptor = descriptors;
        /// See [`Store::areas`].
        raw_area set_raw_area edit_raw_area: Vma = areas;
    }

    /// Puts an open file description where there is none. Its index, if there is room.
    pub fn add_file(&mut self, file: File) -> Option<usize> {
        let index = (0..FILES).find(|index| self.file(*index).references == 0)?;
        self.files_end = self.files_end.max(index + 1);
        self.set_file(index, file);
        Some(index)
    }

    /// Sets how many descriptors name an open file description.
    pub fn set_file_references(&mut self, index: usize, references: u32) {
        self.open();
        if let (Some(transaction), Some(file)) = (&self.transaction, self.area.state().files.get(index)) {
            file.set_field(transaction, field!(File, references), references);
        }
    }

    /// The places where open file descriptions may be.
    #[must_use]
    pub const fn files(&self) -> core::ops::Range<usize> {
        0..self.files_end
    }

    /// Sets one field of a thread's record, without a look at the others.
    pub fn set_thread_field<F: Plain>(&mut self, lane: Lane, field: Field<Thread, F>, value: F) {
        self.open();
        if let (Some(transaction), Some(cell)) = (&self.transaction, self.area.state().threads.get(lane)) {
            cell.set_field(transaction, field, value);
        }
    }

    /// Sets what the last request of a thread came to: this is what most calls change, and often all.
    pub fn set_done(&mut self, lane: Lane, done: Done) {
        self.set_thread_field(lane, field!(Thread, done), done);
    }

    /// What belongs to no process.
    #[must_use]
    pub fn globals(&self) -> Globals {
        self.area.state().globals.get()
    }

    /// Changes it.
    pub fn edit_globals(&mut self, change: impl FnOnce(&mut Globals)) {
        let mut value = self.globals();
        change(&mut value);
        self.open();
        if let Some(transaction) = &self.transaction {
            self.area.state().globals.set(transaction, value);
        }
    }

    /// The load of the machine.
    #[must_use]
    pub fn load(&self) -> Load {
        self.area.state().load.get()
    }

    /// Sets it.
    pub fn set_load(&mut self, load: Load) {
        self.open();
        if let Some(transaction) = &self.transaction {
            self.area.state().load.set(transaction, load);
        }
    }

    /// Sets how many threads are active, at once: it belongs to no message.
    pub fn set_active(&self, active: u64) {
        self.area.state().load.set_word(field!(Load, active), active);
    }

    /// What a process does with a signal (1 to 64).
    #[must_use]
    pub fn action(&self, process: ProcessIndex, signal: usize) -> Action {
        self.raw_action(process * SIGNALS + signal - 1)
    }

    /// Sets it. A fork and an execve set all of a process, of which hardly any change.
    pub fn set_action(&mut self, process: ProcessIndex, signal: usize, action: Action) {
        if self.action(process, signal) != action {
            self.set_raw_action(process * SIGNALS + signal - 1, action);
        }
    }

    /// Gives a process all actions of another. One store: hardly any differ.
    pub fn copy_actions(&mut self, from: ProcessIndex, to: ProcessIndex) {
        let actions: [Action; SIGNALS] = core::array::from_fn(|index| self.raw_action(from * SIGNALS + index));
        self.open();
        if let Some(transaction) = &self.transaction {
            // Indices of processes have their whole range in the array.
            let _all = self.area.state().actions.set_range(transaction, to * SIGNALS, &actions);
        }
    }

    /// Where a signal sent to a process came from.
    #[must_use]
    pub fn origin(&self, process: ProcessIndex, signal: usize) -> Origin {
        self.raw_origin(process * SIGNALS + signal - 1)
    }

    /// Sets it.
    pub fn set_origin(&mut self, process: ProcessIndex, signal: usize, origin: Origin) {
        self.set_raw_origin(process * SIGNALS + signal - 1, origin);
    }

    /// Where a signal sent to a thread came from.
    #[must_use]
    pub fn thread_origin(&self, lane: Lane, signal: usize) -> Origin {
        self.raw_thread_origin(lane * SIGNALS + signal - 1)
    }

    /// Sets it.
    pub fn set_thread_origin(&mut self, lane: Lane, signal: usize, origin: Origin) {
        self.set_raw_thread_origin(lane * SIGNALS + signal - 1, origin);
    }

    /// A descriptor, free if it is beyond the table.
    #[must_use]
    pub fn descriptor(&self, process: ProcessIndex, number: usize) -> Descriptor {
        if number < DESCRIPTORS { self.raw_descriptor(process * DESCRIPTORS + number) } else { Descriptor::default() }
    }

    /// Sets it, as [`Store::set_action`].
    pub fn set_descriptor(&mut self, process: ProcessIndex, number: usize, descriptor: Descriptor) {
        if number < DESCRIPTORS && self.descriptor(process, number) != descriptor {
            self.set_raw_descriptor(process * DESCRIPTORS + number, descriptor);
            self.open.changed(process, number, descriptor.file != 0);
        }
    }

    /// The open descriptors of a process.
    #[must_use]
    pub fn open_descriptors(&self, process: ProcessIndex) -> OpenSet {
        self.open.of(process, |number| self.descriptor(process, number).file != 0)
    }

    /// The areas of an address space.
    #[must_use]
    pub fn areas(&self, map: MapIndex) -> Areas {
        let count = (self.map(map).areas as usize).min(AREAS);
        Areas((0..count).map(|index| self.raw_area(map * AREAS + index)).collect())
    }

    /// The area that holds an address, without loading all of them.
    #[must_use]
    pub fn area_at(&self, map: MapIndex, address: u64) -> Option<Vma> {
        let mut above = (self.map(map).areas as usize).min(AREAS);
        let mut found = 0;
        // They are sorted: the last one that begins at or below the address is it.
        while found < above {
            let middle = usize::midpoint(found, above);
            if self.raw_area(map * AREAS + middle).start <= address {
                found = middle + 1;
            } else {
                above = middle;
            }
        }
        let index = found.checked_sub(1)?;
        Some(self.raw_area(map * AREAS + index)).filter(|area| area.contains(address))
    }

    /// Sets the areas of an address space; `false` if there are too many.
    #[must_use]
    pub fn set_areas(&mut self, map: MapIndex, areas: &Areas) -> bool {
        if areas.0.len() > AREAS {
            return false;
        }
        self.open();
        if let Some(transaction) = &self.transaction {
            // As one store: most of them are what they were. A map has its whole range in the array.
            let _all = self.area.state().areas.set_range(transaction, map * AREAS, &areas.0);
        }
        let pages = areas.0.iter().map(|area| area.length() / PAGE).sum();
        self.edit_map(map, |map| (map.areas, map.peak) = (areas.0.len() as u32, map.peak.max(pages)));
        true
    }

    /// Where a pipe's bytes begin, and how many there are.
    #[must_use]
    pub const fn pipe_place(pipe: usize) -> (usize, usize) {
        match pipe.checked_sub(LARGE_PIPES) {
            None => (pipe * PIPE_BYTES, PIPE_BYTES),
            Some(small) => (LARGE_PIPES * PIPE_BYTES + small * SMALL_PIPE_BYTES, SMALL_PIPE_BYTES),
        }
    }

    /// Copies bytes of a pipe's ring, from position `at` on.
    pub fn read_pipe(&self, pipe: usize, at: u64, to: &mut [u8]) {
        let bytes = &self.area.state().pipe_bytes;
        let (place, size) = Self::pipe_place(pipe);
        let start = (at % size as u64) as usize;
        let (head, tail) = to.split_at_mut(to.len().min(size - start));
        bytes.read(place + start, head);
        bytes.read(place, tail);
    }

    /// Writes bytes into the free part of a pipe's ring.
    pub fn write_pipe(&mut self, pipe: usize, at: u64, from: &[u8]) {
        self.open();
        let Some(transaction) = &self.transaction else { return };
        let bytes = &self.area.state().pipe_bytes;
        let (place, size) = Self::pipe_place(pipe);
        let start = (at % size as u64) as usize;
        let (head, tail) = from.split_at(from.len().min(size - start));
        // Both parts lie within the pipe's own range, so there is room for them.
        let _all = bytes.write(transaction, place + start, head) + bytes.write(transaction, place, tail);
    }

    /// A pseudo terminal's line, to be looked at.
    #[must_use]
    pub fn line(&self, pty: usize) -> Option<&'static SavedLine> {
        self.area.state().lines.get(pty)
    }

    /// Changes a pseudo terminal's line; `None` if there is no such line.
    pub fn edit_line<T>(&mut self, pty: usize, change: impl FnOnce(&'static SavedLine, &Transaction<'_>) -> T) -> Option<T> {
        self.open();
        Some(change(self.line(pty)?, self.transaction.as_ref()?))
    }

    /// Counts an unknown call.
    pub fn count_unknown(&mut self, number: usize) {
        let index = number.min(COUNTED_CALLS - 1);
        self.edit_unknown_calls(index, |count| *count = count.saturating_add(1));
    }
}
