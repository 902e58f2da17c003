//! The manifest's text: its fields, and where each service stands.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::Error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<Spanned<Service>>,
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
    pub(crate) heap_pages: u32,
    #[serde(default)]
    pub(crate) saved_pages: u32,
    #[serde(default)]
    pub(crate) region_pages: u32,
    #[serde(default)]
    pub(crate) keeps: u32,
    #[serde(default)]
    pub(crate) buys_memory: bool,
    #[serde(default)]
    pub(crate) rootfs: bool,
    #[serde(default)]
    pub(crate) essential: bool,
    #[serde(default)]
    pub(crate) ports: Vec<Spanned<Ports>>,
    #[serde(default)]
    pub(crate) irqs: Vec<Spanned<u8>>,
    #[serde(default)]
    pub(crate) calls: Vec<Spanned<String>>,
}

fn one() -> Spanned<u8> {
    Spanned::new(0..0, 1)
}

/// A service with the file that it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) service: Service,
    at: Range<usize>,
    path: &'a Path,
    text: &'a str,
}

impl Entry<'_> {
    /// An error of this service, at a place in its file; an empty place stands for the service as a whole.
    pub(crate) fn error(&self, at: Range<usize>, what: String) -> Error {
        let offset = if at.is_empty() { self.at.start } else { at.start };
        Error::Line { path: PathBuf::from(self.path), line: line_of(self.text, offset), what }
    }
}

/// The services of all files; one of a later file takes the place of the one with its name.
pub(crate) fn merge<'a>(files: &[(&'a Path, &'a str)]) -> Result<Vec<Entry<'a>>, Error> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (path, text) in files {
        let mut here: Vec<Entry<'a>> = Vec::new();
        for entry in parse(path, text)? {
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
    }
    Ok(entries)
}

fn parse<'a>(path: &'a Path, text: &'a str) -> Result<Vec<Entry<'a>>, Error> {
    let file: File = toml::from_str(text).map_err(|error| Error::Line {
        path: path.to_path_buf(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        what: error.message().to_owned(),
    })?;
    let entry = |service: Spanned<Service>| Entry { at: service.span(), service: service.into_inner(), path, text };
    Ok(file.service.into_iter().map(entry).collect())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
