//! Reading the boot archive: the manifest, the servers' images, the options.
//!
//! Everything in it was checked when it was built, and is checked again here: a damaged archive ends in words on the log, never in a panic and
//! never in a server that is wired wrongly.

use core::fmt;

use abi::boot::{Archive, FormatError, Image, OPTIONS, ROOT_FILE_SYSTEM, SERVER_PREFIX, SERVICES};
use abi::{PAGE_SIZE, PRIORITIES};
use heapless::{String, Vec};
use protocols::manifest::{Entry, MAX_NAME, MAX_THREADS, Manifest};
use protocols::service::Service;

use crate::build::RootFs;
use crate::spec::{MAX_SERVICES, Spec};

const _: () = assert!(MAX_THREADS as u64 <= libsys::layout::MAX_THREADS);

/// What is wrong with the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// The archive itself, or the entry or image that is named.
    Format(&'static str, FormatError),
    /// A server's image is missing or damaged.
    Server(String<MAX_NAME>, FormatError),
    /// The manifest is not one.
    Manifest,
    /// The manifest names a service that there is not, or names one twice.
    Service(String<MAX_NAME>),
    /// A number in a service's entry is out of its range.
    Range(String<MAX_NAME>),
    /// The options are not text.
    Options,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(what, error) => write!(out, "the boot archive is damaged: {what}: {}", words(*error)),
            Self::Server(name, error) => write!(out, "the image of {name} is damaged: {}", words(*error)),
            Self::Manifest => out.write_str("services.toml in the boot archive is damaged: it cannot be decoded"),
            Self::Service(name) => write!(out, "services.toml in the boot archive is damaged: {name:?} is no service, or there twice"),
            Self::Range(name) => write!(out, "services.toml in the boot archive is damaged: a number of {name} is out of range"),
            Self::Options => out.write_str("the boot archive is damaged: the options are not text"),
        }
    }
}

const fn words(error: FormatError) -> &'static str {
    match error {
        FormatError::Magic => "it does not begin as it should",
        FormatError::Truncated => "it is shorter than it says",
        FormatError::Range => "an offset leads out of it",
        FormatError::Checksum => "the checksum is wrong",
        FormatError::Missing => "it is missing",
        FormatError::Segment => "a segment is writable and executable",
    }
}

/// What the archive tells the supervisor.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    /// The services, in the order in which they start.
    pub specs: Vec<Spec<'a>, MAX_SERVICES>,
    /// The options' text.
    pub options: &'a str,
    /// Where the root file system lies.
    pub rootfs: RootFs,
}

/// Reads an archive.
///
/// # Errors
/// [`ArchiveError`] with what is wrong first.
pub fn read(bytes: &[u8]) -> Result<Contents<'_>, ArchiveError> {
    let archive = Archive::open(bytes, true).map_err(|error| ArchiveError::Format("as a whole", error))?;
    let manifest = Manifest::decode(part(&archive, SERVICES)?).map_err(|_| ArchiveError::Manifest)?;
    let mut specs = Vec::new();
    for entry in &manifest.services {
        let spec = spec(&archive, entry)?;
        let twice = specs.iter().any(|other: &Spec<'_>| other.service == spec.service);
        if twice || specs.push(spec).is_err() {
            return Err(ArchiveError::Service(entry.name.clone()));
        }
    }
    let options = match part(&archive, OPTIONS) {
        Ok(options) => core::str::from_utf8(options).map_err(|_| ArchiveError::Options)?,
        Err(ArchiveError::Format(_, FormatError::Missing)) => "",
        Err(error) => return Err(error),
    };
    Ok(Contents { specs, options, rootfs: root_file_system(&archive)? })
}

fn part<'a>(archive: &Archive<'a>, name: &'static str) -> Result<&'a [u8], ArchiveError> {
    let entry = archive.find(name).and_then(|entry| archive.bytes(&entry));
    entry.map_err(|error| ArchiveError::Format(name, error))
}

/// A machine without Linux programs needs no root file system.
fn root_file_system(archive: &Archive<'_>) -> Result<RootFs, ArchiveError> {
    match archive.find(ROOT_FILE_SYSTEM) {
        Ok(entry) => Ok(RootFs { page: entry.offset as u64 / PAGE_SIZE, bytes: entry.length as u64 }),
        Err(FormatError::Missing) => Ok(RootFs::default()),
        Err(error) => Err(ArchiveError::Format(ROOT_FILE_SYSTEM, error)),
    }
}

fn image<'a>(archive: &Archive<'a>, name: &str) -> Result<Image<'a>, FormatError> {
    let mut path = String::<{ SERVER_PREFIX.len() + MAX_NAME }>::new();
    let whole = path.push_str(SERVER_PREFIX).and_then(|()| path.push_str(name));
    whole.map_err(|_| FormatError::Missing)?;
    Image::open(archive.bytes(&archive.find(&path)?)?)
}

fn spec<'a>(archive: &Archive<'a>, entry: &Entry) -> Result<Spec<'a>, ArchiveError> {
    let unknown = || ArchiveError::Service(entry.name.clone());
    let service = Service::from_name(&entry.name).filter(|service| *service != Service::Supervisor).ok_or_else(unknown)?;
    let threads = entry.threads.saturating_add(entry.helpers);
    if entry.threads == 0 || threads > MAX_THREADS || entry.priority.max(entry.helper_priority) >= PRIORITIES {
        return Err(ArchiveError::Range(entry.name.clone()));
    }
    let mut calls = Vec::new();
    for peer in &entry.calls {
        let peer = Service::from_id(*peer).ok_or_else(unknown)?;
        // A manifest's list is no longer than a specification's.
        let _full = calls.push(peer);
    }
    let image = image(archive, &entry.name).map_err(|error| ArchiveError::Server(entry.name.clone(), error))?;
    Ok(Spec {
        service,
        priority: entry.priority,
        threads: entry.threads,
        helpers: entry.helpers,
        helper_priority: entry.helper_priority,
        heap_pages: entry.heap_pages,
        saved_pages: entry.saved_pages,
        region_pages: entry.region_pages,
        keeps: entry.keeps,
        quota: entry.quota,
        processor: entry.processor,
        fpu: entry.fpu,
        rootfs: entry.rootfs,
        policy: entry.policy,
        ports: entry.ports.clone(),
        irqs: entry.irqs.clone(),
        calls,
        image,
    })
}

#[cfg(test)]
mod tests;
