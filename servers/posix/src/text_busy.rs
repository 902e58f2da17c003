//! `ETXTBSY`: a program that runs is not written to, and what is being written to is not executed (execve(2), open(2)).
//!
//! Both are read off the records that name a file, so there is no count to keep: a map names its program, an open file its node.

use protocols::vfs::FileId;

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::saved::state;
use crate::server::Posix;

impl Posix<'_> {
    /// Whether a process runs this file as its program.
    #[must_use]
    pub fn is_running(&self, file: FileId) -> bool {
        let Some(node) = self.find_node(file.into()) else { return false };
        let mut maps = self.processes.iter().map(|process| self.store.map(self.store.process(*process).map as usize));
        maps.any(|map| map.state == state::LIVE && map.program as usize == node)
    }

    /// Whether somebody has this file open for writing.
    #[must_use]
    pub fn is_open_for_writing(&self, file: FileId) -> bool {
        let Some(node) = self.find_node(file.into()) else { return false };
        let writes = |file: crate::saved::File| {
            file.references != 0 && file.kind == kind::REGULAR && file.node as usize == node && file.writes() && file.detail == 0
        };
        self.store.files().any(|index| writes(self.store.file(index)))
    }
}

impl Call<'_, '_> {
    /// Refuses to cut a program that runs, before anything is cut.
    ///
    /// # Errors
    /// `ETXTBSY`, or a wait for vfs; whatever else is wrong with the path is for the operation itself to say.
    pub fn refuse_running(&mut self, start: FileId, path: &[u8], follow: bool) -> Result<(), Stop> {
        let number = self.ask();
        match self.at_vfs(start, path, follow, |call, at, actor| call.posix.vfs_to_ask().stat(number, at, actor)) {
            Ok(attributes) if self.posix.is_running(attributes.file) => Err(Errno::ETXTBSY.into()),
            Ok(_) | Err(Stop::Errno(_)) => Ok(()),
            Err(stop) => Err(stop),
        }
    }
}
