//! Where things lie: the one place that knows the folders of the project and of its build products.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's folder and its build folder.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    own: Option<PathBuf>,
}

impl Workspace {
    /// Finds the project: from cargo's environment when started by cargo, else from where xtask was compiled.
    pub(crate) fn find() -> Self {
        let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = own.filter(|folder| folder.ends_with("tools/xtask")).unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = own.ancestors().nth(2).map(Path::to_path_buf).unwrap_or(own);
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        Self { root, target, own: std::env::current_exe().ok() }
    }

    /// A copy of the project somewhere else.
    pub(crate) fn at(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target, own: None }
    }

    /// The same project with a build folder of its own below the build folder.
    pub(crate) fn with_target(&self, name: &str) -> Self {
        Self { root: self.root.clone(), target: self.target.join(name), own: self.own.clone() }
    }

    /// Tells a program that is to be started where this xtask is.
    ///
    /// The path is that of xtask's start: later, when cargo has put an equal binary in its place, the system names the one that is gone.
    pub(crate) fn introduce(&self, command: &mut Command) {
        if let Some(own) = &self.own {
            command.env("SYNOS_XTASK", own);
        }
    }

    /// A file or folder of the project.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The build folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A file or folder of the build folder.
    pub(crate) fn built(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }
}
