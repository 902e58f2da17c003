//! Listings of /proc's directories, and the paths of its places.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocols::vfs::{Kind, Record, encode_record, record_length};

use super::{Entry, PROCESS_FILES, PROCESS_LINKS, SYSTEM_FILES, synos};
use crate::call::Call;
use crate::fd::FOREIGN;

/// The path of a place.
pub(super) fn path(entry: Entry) -> Vec<u8> {
    let name = |names: &[&'static str], index: u16| names.get(usize::from(index)).copied().unwrap_or_default();
    let text = match entry {
        Entry::Root => String::from("/proc"),
        Entry::Oneself => "/proc/self".into(),
        Entry::Mounts => "/proc/mounts".into(),
        Entry::Tasks(pid) => format!("/proc/{pid}/task"),
        Entry::Task(pid, tid) => format!("/proc/{pid}/task/{tid}"),
        Entry::TaskFile(pid, tid, file) => format!("/proc/{pid}/task/{tid}/{}", name(&PROCESS_FILES, file)),
        Entry::System(file) => format!("/proc/{}", name(&SYSTEM_FILES, file)),
        Entry::Synos => "/proc/synos".into(),
        Entry::SynosFile(file) => format!("/proc/synos/{}", synos::name(file)),
        Entry::Process(pid) => format!("/proc/{pid}"),
        Entry::ProcessFile(pid, file) => format!("/proc/{pid}/{}", name(&PROCESS_FILES, file)),
        Entry::ProcessLink(pid, link) => format!("/proc/{pid}/{}", name(&PROCESS_LINKS, link)),
        Entry::Descriptors(pid) => format!("/proc/{pid}/fd"),
        Entry::Descriptor(pid, number) => format!("/proc/{pid}/fd/{number}"),
        Entry::Devpts(place) => place.path(),
    };
    text.into_bytes()
}

/// The path of a place, for `getcwd`.
#[must_use]
pub fn path_of(entry: Entry) -> Vec<u8> {
    path(entry)
}

impl Call<'_, '_> {
    /// Entries of a directory of /proc from the `cookie`-th on, as records of at most `room` bytes; and the cookie to go on with.
    pub fn list_proc(&mut self, entry: Entry, cookie: u64, room: usize) -> (Vec<u8>, u64) {
        let entries = self.proc_entries(entry);
        let mut bytes = Vec::new();
        let mut next = cookie;
        for (name, entry) in entries.iter().skip(cookie as usize) {
            let length = record_length(name.len());
            if bytes.len() + length > room {
                break;
            }
            let kind = if entry.is_directory() {
                Kind::Directory
            } else if entry.is_link() {
                Kind::Symlink
            } else if let Entry::Devpts(_) = entry {
                Kind::CharacterDevice
            } else {
                Kind::File
            };
            let inode = match entry {
                Entry::Devpts(place) => place.inode(),
                _ => u64::from(entry.to_id().inode & !FOREIGN) + 1,
            };
            next += 1;
            let start = bytes.len();
            bytes.resize(start + length, 0);
            let record = Record { inode, next, kind, name: name.as_bytes() };
            if encode_record(&record, bytes.get_mut(start..).unwrap_or_default()).is_none() {
                bytes.truncate(start);
                break;
            }
        }
        (bytes, next)
    }

    fn proc_entries(&self, entry: Entry) -> Vec<(String, Entry)> {
        let mut entries = Vec::from([(String::from("."), entry), (String::from(".."), Entry::Root)]);
        let mut add = |names: &[&str], make: &dyn Fn(u16) -> Entry| {
            entries.extend(names.iter().enumerate().map(|(index, name)| (String::from(*name), make(index as u16))));
        };
        match entry {
            Entry::Root => {
                add(&SYSTEM_FILES, &Entry::System);
                entries.extend([("self".into(), Entry::Oneself), ("mounts".into(), Entry::Mounts)]);
                entries.push(("synos".into(), Entry::Synos));
                let mut pids: Vec<u32> = self.posix.processes.iter().map(|process| self.posix.store.process(*process).pid).collect();
                pids.sort_unstable();
                entries.extend(pids.into_iter().map(|pid| (format!("{pid}"), Entry::Process(pid))));
            }
            Entry::Synos => add(&synos::FILES, &Entry::SynosFile),
            Entry::Process(pid) => {
                add(&PROCESS_FILES, &|file| Entry::ProcessFile(pid, file));
                add(&PROCESS_LINKS, &|link| Entry::ProcessLink(pid, link));
                entries.extend([("fd".into(), Entry::Descriptors(pid)), ("task".into(), Entry::Tasks(pid))]);
            }
            Entry::Descriptors(pid) => {
                let numbers = self.posix.find_pid(pid).map(|process| self.posix.descriptors(process)).unwrap_or_default();
                entries.extend(numbers.into_iter().map(|number| (format!("{number}"), Entry::Descriptor(pid, number as u16))));
            }
            Entry::Tasks(pid) => {
                let numbers = self.posix.find_pid(pid).map(|process| self.posix.thread_numbers(process)).unwrap_or_default();
                entries.extend(numbers.into_iter().map(|tid| (format!("{tid}"), Entry::Task(pid, tid))));
            }
            Entry::Task(pid, tid) => add(&PROCESS_FILES, &|file| Entry::TaskFile(pid, tid, file)),
            Entry::Devpts(_) => entries.extend(self.posix.list_devpts().into_iter().map(|place| (place.name(), Entry::Devpts(place)))),
            _ => {}
        }
        entries
    }
}
