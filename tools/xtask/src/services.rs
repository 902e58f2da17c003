//! The manifest for a build: which servers there are, and what the supervisor reads.

use std::path::Path;

use crate::cargo::Bare;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// A checked manifest.
#[derive(Debug)]
pub(crate) struct Services {
    /// The servers to compile, each for its target.
    pub(crate) servers: Vec<(String, Bare)>,
    /// The form that the supervisor reads.
    pub(crate) encoded: Vec<u8>,
}

/// Reads `initrd/services.toml`, with the services of `overlay` changed or added.
pub(crate) fn load(workspace: &Workspace, overlay: Option<&Path>) -> Result<Services> {
    let services = manifest::Services::load(&workspace.file("initrd/services.toml"), overlay).map_err(refused)?;
    let servers = services.servers().map(|(name, fpu)| (name.to_owned(), if fpu { Bare::Fpu } else { Bare::Soft }));
    Ok(Services { servers: servers.collect(), encoded: services.encode().map_err(refused)? })
}

fn refused(error: manifest::Error) -> Error {
    Error::Refused(error.to_string())
}
