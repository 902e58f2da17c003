//! The manifest's text: its fields, and where each service stands.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::{Error, check};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<Spanned<Service>>,
    #[serde(default)]
    policy: Vec<Spanned<Patch>>,
}

/// Another policy, or another quota, for a service of an earlier file: what is not written here stays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    name: Spanned<String>,
    restart: Option<Spanned<Restart>>,
    backoff_ms: Option<Spanned<[u32; 2]>>,
    burst: Option<Spanned<u32>>,
    per_ms: Option<Spanned<u32>>,
    watchdog_ms: Option<Spanned<u32>>,
    helper_watchdog_ms: Option<Spanned<u32>>,
    on_giving_up: Option<OnGivingUp>,
    buys_percent: Option<Spanned<u8>>,
    buys_pages: Option<Spanned<u32>>,
}

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    pub(crate) count: u16,
}

impl Ports {
    /// The first port after the range.
    pub(crate) fn end(self) -> u32 {
        u32::from(self.first) + u32::from(self.count)
    }

    /// Whether a port belongs to both.
    pub(crate) fn overlaps(self, other: &Self) -> bool {
        u32::from(self.first) < other.end() && u32::from(other.first) < self.end()
    }
}

/// A service as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: Spanned<String>,
    pub(crate) priority: Spanned<u8>,
    #[serde(default = "one")]
    pub(crate) threads: Spanned<u8>,
    #[serde(default = "none")]
    pub(crate) helpers: Spanned<u8>,
    #[serde(default = "none")]
    pub(crate) helper_priority: Spanned<u8>,
    pub(crate) heap_pages: u32,
    #[serde(default)]
    pub(crate) saved_pages: u32,
    #[serde(default)]
    pub(crate) region_pages: u32,
    #[serde(default)]
    pub(crate) keeps: u32,
    #[serde(default = "none")]
    pub(crate) buys_percent: Spanned<u8>,
    #[serde(default)]
    pub(crate) buys_pages: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) rootfs: bool,
    #[serde(default)]
    pub(crate) processor: Option<Spanned<u8>>,
    #[serde(default = "no")]
    pub(crate) fpu: Spanned<bool>,
    #[serde(default = "always")]
    pub(crate) restart: Spanned<Restart>,
    #[serde(default = "backoff_ms")]
    pub(crate) backoff_ms: Spanned<[u32; 2]>,
    #[serde(default = "burst")]
    pub(crate) burst: Spanned<u32>,
    #[serde(default = "per_ms")]
    pub(crate) per_ms: Spanned<u32>,
    #[serde(default = "watchdog_ms")]
    pub(crate) watchdog_ms: Spanned<u32>,
    #[serde(default = "helper_watchdog_ms")]
    pub(crate) helper_watchdog_ms: Spanned<u32>,
    #[serde(default = "close")]
    pub(crate) on_giving_up: OnGivingUp,
    #[serde(default)]
    pub(crate) ports: Vec<Spanned<Ports>>,
    #[serde(default)]
    pub(crate) irqs: Vec<Spanned<u8>>,
    #[serde(default)]
    pub(crate) calls: Vec<Spanned<String>>,
}

/// What `protocols::manifest::Restart` is as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    Always,
    Never,
}

/// What `protocols::manifest::OnGivingUp` is as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnGivingUp {
    Close,
    PowerOff,
}

/// A value that nobody wrote: it stands for the service as a whole.
fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

fn one() -> Spanned<u8> {
    unwritten(1)
}

fn none() -> Spanned<u8> {
    unwritten(0)
}

fn no() -> Spanned<bool> {
    unwritten(false)
}

// The defaults below are argued in initrd/services.toml, where people look for them.

fn always() -> Spanned<Restart> {
    unwritten(Restart::Always)
}

fn backoff_ms() -> Spanned<[u32; 2]> {
    unwritten([10, 10_000])
}

fn burst() -> Spanned<u32> {
    unwritten(10)
}

fn per_ms() -> Spanned<u32> {
    unwritten(8000)
}

fn watchdog_ms() -> Spanned<u32> {
    unwritten(5000)
}

fn helper_watchdog_ms() -> Spanned<u32> {
    unwritten(0)
}

fn close() -> OnGivingUp {
    OnGivingUp::Close
}

/// A service with the file that it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) service: Service,
    place: Place<'a>,
    /// Where its policy was written last.
    policy_place: Place<'a>,
}

/// A table of a file.
#[derive(Clone, Debug)]
struct Place<'a> {
    at: Range<usize>,
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn error(&self, at: Range<usize>, what: String) -> Error {
        let offset = if at.is_empty() { self.at.start } else { at.start };
        Error::Line { path: PathBuf::from(self.path), line: line_of(self.text, offset), what }
    }
}

impl<'a> Entry<'a> {
    /// An error of this service, at a place in its file; an empty place stands for the service as a whole.
    pub(crate) fn error(&self, at: Range<usize>, what: String) -> Error {
        self.place.error(at, what)
    }

    /// An error of its policy.
    pub(crate) fn policy_error(&self, at: Range<usize>, what: String) -> Error {
        self.policy_place.error(at, what)
    }

    fn patch(&mut self, patch: Patch, place: Place<'a>) {
        fn put<T>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        put(&mut self.service.restart, patch.restart);
        put(&mut self.service.backoff_ms, patch.backoff_ms);
        put(&mut self.service.burst, patch.burst);
        put(&mut self.service.per_ms, patch.per_ms);
        put(&mut self.service.watchdog_ms, patch.watchdog_ms);
        put(&mut self.service.helper_watchdog_ms, patch.helper_watchdog_ms);
        put(&mut self.service.on_giving_up, patch.on_giving_up);
        put(&mut self.service.buys_percent, patch.buys_percent);
        self.service.buys_pages = patch.buys_pages.or(self.service.buys_pages.take());
        self.policy_place = place;
    }
}

/// The services of all files; one of a later file takes the place of the one with its name, and a policy there changes that of the one with its name.
pub(crate) fn merge<'a>(files: &[(&'a Path, &'a str)]) -> Result<Vec<Entry<'a>>, Error> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (path, text) in files {
        let mut here: Vec<Entry<'a>> = Vec::new();
        let (services, patches) = parse(path, text)?;
        for entry in services {
            let name = entry.service.name.get_ref();
            if here.iter().any(|other| other.service.name.get_ref() == name) {
                return Err(entry.error(entry.service.name.span(), format!("there is another service called {name:?}")));
            }
            here.push(entry);
        }
        for entry in here {
            match entries.iter_mut().find(|other| other.service.name.get_ref() == entry.service.name.get_ref()) {
                Some(other) => *other = entry,
                None => entries.push(entry),
            }
        }
        for patch in patches {
            let place = Place { at: patch.span(), path, text };
            let (name, at) = (patch.get_ref().name.get_ref(), patch.get_ref().name.span());
            let entry = entries.iter_mut().find(|entry| entry.service.name.get_ref() == name);
            let entry = entry.ok_or_else(|| place.error(at, format!("there is no service called {name:?} to have this policy")))?;
            // What is wrong in the earlier file must not be taken for something of this one.
            check::policy(entry)?;
            entry.patch(patch.into_inner(), place);
        }
    }
    Ok(entries)
}

fn parse<'a>(path: &'a Path, text: &'a str) -> Result<(Vec<Entry<'a>>, Vec<Spanned<Patch>>), Error> {
    let file: File = toml::from_str(text).map_err(|error| Error::Line {
        path: path.to_path_buf(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        what: error.message().to_owned(),
    })?;
    let entry = |service: Spanned<Service>| {
        let place = Place { at: service.span(), path, text };
        Entry { service: service.into_inner(), policy_place: place.clone(), place }
    };
    Ok((file.service.into_iter().map(entry).collect(), file.policy))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
