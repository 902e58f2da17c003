//! Random programs of requests against a model of a few lines, with `Pending` at random and deaths at random stores.

use std::collections::BTreeMap;

use super::harness::{System, at};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use protocols::vfs::{Error, FileId, Kind, MAX_LINKS_FOLLOWED, OpenFlags, RenameMode, WriteAt};

/// One thing that a program does.
#[derive(Clone, Debug)]
enum Step {
    Mkdir(String),
    Create(String),
    Write(String, Option<u64>, usize, u8),
    Truncate(String, u64),
    Unlink(String),
    Rmdir(String),
    Rename(String, String, RenameMode),
    Link(String, String),
    Symlink(String, String),
    Read(String),
    Open(String),
    CloseOpened(usize),
    WriteOpened(usize, u8),
    ReadOpened(usize),
    Restart,
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![6 => Just("a"), 6 => Just("b"), 3 => Just("c"), 1 => Just("..")];
    let last = prop_oneof![Just("a"), Just("b"), Just("c")];
    (any::<bool>(), prop::collection::vec(part, 0..3), last).prop_map(|(absolute, parts, last)| {
        let parts: Vec<&str> = parts.into_iter().chain([last]).collect();
        format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
    })
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![3 => Just(RenameMode::Replace), 1 => Just(RenameMode::NoReplace), 1 => Just(RenameMode::Exchange)];
    let offset = prop_oneof![1 => Just(None), 1 => (0..40_000u64).prop_map(Some)];
    prop_oneof![
        5 => path().prop_map(Step::Mkdir),
        5 => path().prop_map(Step::Create),
        5 => (path(), offset, 1..9000usize, any::<u8>()).prop_map(|(path, offset, length, byte)| Step::Write(path, offset, length, byte)),
        2 => (path(), 0..50_000u64).prop_map(|(path, size)| Step::Truncate(path, size)),
        3 => path().prop_map(Step::Unlink),
        3 => path().prop_map(Step::Rmdir),
        5 => (path(), path(), mode).prop_map(|(from, to, mode)| Step::Rename(from, to, mode)),
        2 => (path(), path()).prop_map(|(from, to)| Step::Link(from, to)),
        2 => (path(), path()).prop_map(|(target, at)| Step::Symlink(target, at)),
        2 => path().prop_map(Step::Read),
        3 => path().prop_map(Step::Open),
        2 => any::<usize>().prop_map(Step::CloseOpened),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(index, byte)| Step::WriteOpened(index, byte)),
        1 => any::<usize>().prop_map(Step::ReadOpened),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug)]
enum Node {
    Directory(BTreeMap<String, usize>, usize),
    File(Vec<u8>),
    Link(String),
}

/// A tree of nodes that are never freed; node 0 is the root.
struct Model {
    nodes: Vec<Node>,
    opened: Vec<(usize, FileId)>,
}

/// A directory, a name in it, and what is there.
type Found = (usize, String, Option<usize>);

impl Model {
    fn new() -> Self {
        Self { nodes: vec![Node::Directory(BTreeMap::new(), 0)], opened: Vec::new() }
    }

    fn entries(&mut self, directory: usize) -> Result<&mut BTreeMap<String, usize>, Error> {
        match &mut self.nodes[directory] {
            Node::Directory(entries, _) => Ok(entries),
            _ => Err(Error::NotDirectory),
        }
    }

    fn parent(&self, directory: usize) -> usize {
        match &self.nodes[directory] {
            Node::Directory(_, parent) => *parent,
            _ => 0,
        }
    }

    fn walk(&mut self, path: &str, follow: bool) -> Result<Found, Error> {
        let (mut current, mut followed) = (0, 0);
        let mut left: Vec<String> = path.split('/').filter(|part| !part.is_empty()).rev().map(String::from).collect();
        while let Some(part) = left.pop() {
            let entries = self.entries(current)?;
            if part == ".." {
                current = self.parent(current);
                continue;
            }
            let Some(found) = entries.get(&part).copied() else {
                return if left.is_empty() { Ok((current, part, None)) } else { Err(Error::NotFound) };
            };
            if let Node::Link(target) = &self.nodes[found]
                && (follow || !left.is_empty())
            {
                followed += 1;
                if followed > MAX_LINKS_FOLLOWED {
                    return Err(Error::TooManyLinksFollowed);
                }
                if target.starts_with('/') {
                    current = 0;
                }
                left.extend(target.split('/').filter(|part| !part.is_empty()).rev().map(String::from));
            } else if left.is_empty() {
                return Ok((current, part, Some(found)));
            } else {
                current = found;
            }
        }
        Err(Error::Invalid)
    }

    fn add(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let (directory, name, found) = self.walk(path, false)?;
        if found.is_some() {
            return Err(Error::Exists);
        }
        self.insert(directory, name, node);
        Ok(())
    }

    fn insert(&mut self, directory: usize, name: String, mut node: Node) -> usize {
        if let Node::Directory(_, parent) = &mut node {
            *parent = directory;
        }
        let number = self.nodes.len();
        self.nodes.push(node);
        if let Node::Directory(entries, _) = &mut self.nodes[directory] {
            entries.insert(name, number);
        }
        number
    }

    /// The file of a path that is opened for writing.
    fn file(&mut self, path: &str) -> Result<usize, Error> {
        let number = self.walk(path, true)?.2.ok_or(Error::NotFound)?;
        match self.nodes[number] {
            Node::File(_) => Ok(number),
            _ => Err(Error::IsDirectory),
        }
    }

    fn create(&mut self, path: &str) -> Result<usize, Error> {
        match self.walk(path, true)? {
            (directory, name, None) => Ok(self.insert(directory, name, Node::File(Vec::new()))),
            (_, _, Some(_)) => self.file(path),
        }
    }

    fn bytes(&mut self, number: usize) -> &mut Vec<u8> {
        match &mut self.nodes[number] {
            Node::File(bytes) => bytes,
            node => panic!("{node:?} has no bytes"),
        }
    }

    fn write(&mut self, number: usize, offset: Option<u64>, piece: &[u8]) {
        let bytes = self.bytes(number);
        let offset = offset.map_or(bytes.len(), |offset| offset as usize);
        bytes.resize(bytes.len().max(offset + piece.len()), 0);
        bytes[offset..offset + piece.len()].copy_from_slice(piece);
    }

    fn remove(&mut self, path: &str, directory_wanted: bool) -> Result<(), Error> {
        let (directory, name, found) = self.walk(path, false)?;
        match (&self.nodes[found.ok_or(Error::NotFound)?], directory_wanted) {
            (Node::Directory(..), false) => return Err(Error::IsDirectory),
            (Node::Directory(entries, _), true) if !entries.is_empty() => return Err(Error::NotEmpty),
            (Node::File(_) | Node::Link(_), true) => return Err(Error::NotDirectory),
            _ => {}
        }
        self.entries(directory)?.remove(&name);
        Ok(())
    }

    fn is_within(&self, mut directory: usize, ancestor: usize) -> bool {
        while directory != ancestor && directory != 0 {
            directory = self.parent(directory);
        }
        directory == ancestor
    }

    fn rename(&mut self, from: &str, to: &str, mode: RenameMode) -> Result<(), Error> {
        let (old_directory, old_name, source) = self.walk(from, false)?;
        let (new_directory, new_name, target) = self.walk(to, false)?;
        let source = source.ok_or(Error::NotFound)?;
        match (mode, target) {
            (RenameMode::NoReplace, Some(_)) => return Err(Error::Exists),
            (RenameMode::Exchange, None) => return Err(Error::NotFound),
            _ => {}
        }
        let is_directory = |node: usize| matches!(self.nodes[node], Node::Directory(..));
        if is_directory(source) && self.is_within(new_directory, source) {
            return Err(Error::Invalid);
        }
        if target.is_some_and(|target| is_directory(target) && self.is_within(old_directory, target)) {
            return Err(if mode == RenameMode::Exchange { Error::Invalid } else { Error::NotEmpty });
        }
        if target == Some(source) {
            return Ok(());
        }
        if let (Some(target), RenameMode::Replace) = (target, mode) {
            match (&self.nodes[source], &self.nodes[target]) {
                (Node::Directory(..), Node::Directory(entries, _)) if !entries.is_empty() => return Err(Error::NotEmpty),
                (Node::Directory(..), Node::Directory(..)) => {}
                (Node::Directory(..), _) => return Err(Error::NotDirectory),
                (_, Node::Directory(..)) => return Err(Error::IsDirectory),
                _ => {}
            }
        }
        self.entries(old_directory)?.remove(&old_name);
        self.place(new_directory, new_name, source);
        if let (Some(target), RenameMode::Exchange) = (target, mode) {
            self.place(old_directory, old_name, target);
        }
        Ok(())
    }

    fn place(&mut self, directory: usize, name: String, node: usize) {
        if let Node::Directory(_, parent) = &mut self.nodes[node] {
            *parent = directory;
        }
        if let Node::Directory(entries, _) = &mut self.nodes[directory] {
            entries.insert(name, node);
        }
    }

    fn link(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let source = self.walk(from, false)?.2.ok_or(Error::NotFound)?;
        let (directory, name, found) = self.walk(to, false)?;
        if found.is_some() {
            return Err(Error::Exists);
        }
        if matches!(self.nodes[source], Node::Directory(..)) {
            return Err(Error::NotPermitted);
        }
        self.place(directory, name, source);
        Ok(())
    }

    /// Kind, names and content by path.
    fn tree(&self) -> BTreeMap<String, (Kind, u32, Vec<u8>)> {
        let mut names = vec![0; self.nodes.len()];
        let mut paths = Vec::new();
        let mut left = vec![(String::from("/"), 0)];
        while let Some((path, number)) = left.pop() {
            names[number] += 1;
            if let Node::Directory(entries, _) = &self.nodes[number] {
                left.extend(entries.iter().map(|(name, child)| (format!("{}/{name}", path.trim_end_matches('/')), *child)));
            }
            paths.push((path, number));
        }
        let seen = |number: usize| match &self.nodes[number] {
            Node::Directory(entries, _) => {
                let directories = entries.values().filter(|child| matches!(self.nodes[**child], Node::Directory(..))).count();
                (Kind::Directory, 2 + directories as u32, Vec::new())
            }
            Node::File(bytes) => (Kind::File, names[number], bytes.clone()),
            Node::Link(target) => (Kind::Symlink, names[number], target.clone().into_bytes()),
        };
        paths.into_iter().map(|(path, number)| (path, seen(number))).collect()
    }
}

/// Does a step in both; the results must agree.
fn run(system: &mut System, model: &mut Model, step: &Step, crash: Option<u64>) {
    let opened = |model: &Model, index: usize| index.checked_rem(model.opened.len()).map(|index| (index, model.opened[index]));
    match step {
        Step::Mkdir(path) => {
            system.crash_at = crash;
            assert_eq!(system.mkdir(path).map(|_| ()), model.add(path, Node::Directory(BTreeMap::new(), 0)));
        }
        Step::Create(path) => {
            system.crash_at = crash;
            let file = system.open(path, OpenFlags::CREATE.with(OpenFlags::WRITE)).map(|opened| opened.file);
            assert_eq!(file.map(|_| ()), model.create(path).map(|_| ()));
            if let Ok(file) = file {
                system.close(file).unwrap();
            }
        }
        Step::Write(path, offset, length, byte) => {
            let file = system.open(path, OpenFlags::WRITE).map(|opened| opened.file);
            let number = model.file(path);
            assert_eq!(file.map(|_| ()), number.map(|_| ()));
            if let (Ok(file), Ok(number)) = (file, number) {
                let piece = vec![*byte; *length];
                system.crash_at = crash;
                let written = system.write(file, offset.map_or(WriteAt::End, WriteAt::Offset), &piece);
                model.write(number, *offset, &piece);
                assert_eq!(written.map(|(count, _)| count as usize), Ok(*length));
                system.crash_at = crash;
                system.close(file).unwrap();
            }
        }
        Step::Truncate(path, size) => {
            system.crash_at = crash;
            let cut = system.ask(|vfs, number, actor| vfs.truncate(number, at(path), actor, *size));
            assert_eq!(cut, model.file(path).map(|number| model.bytes(number).resize(*size as usize, 0)));
        }
        Step::Unlink(path) => {
            system.crash_at = crash;
            assert_eq!(system.unlink(path), model.remove(path, false));
        }
        Step::Rmdir(path) => {
            system.crash_at = crash;
            assert_eq!(system.rmdir(path), model.remove(path, true));
        }
        Step::Rename(from, to, mode) => {
            system.crash_at = crash;
            assert_eq!(system.rename(from, to, *mode), model.rename(from, to, *mode));
        }
        Step::Link(from, to) => {
            system.crash_at = crash;
            assert_eq!(system.link(from, to), model.link(from, to));
        }
        Step::Symlink(target, path) => {
            system.crash_at = crash;
            assert_eq!(system.symlink(target, path).map(|_| ()), model.add(path, Node::Link(target.clone())));
        }
        Step::Read(path) => {
            system.crash_at = crash;
            let expected = model.file(path).map(|number| model.bytes(number).clone());
            assert!(system.content(path) == expected, "the bytes of {path} differ");
        }
        Step::Open(path) => {
            system.crash_at = crash;
            let file = system.open(path, OpenFlags::WRITE).map(|opened| opened.file);
            let number = model.file(path);
            assert_eq!(file.map(|_| ()), number.map(|_| ()));
            model.opened.extend(number.ok().zip(file.ok()));
        }
        Step::CloseOpened(index) => {
            if let Some((index, (_, file))) = opened(model, *index) {
                system.crash_at = crash;
                assert_eq!(system.close(file), Ok(()));
                model.opened.remove(index);
            }
        }
        Step::WriteOpened(index, byte) => {
            if let Some((_, (number, file))) = opened(model, *index) {
                system.crash_at = crash;
                assert_eq!(system.write(file, WriteAt::End, &[*byte; 5]).map(|(count, _)| count), Ok(5));
                model.write(number, None, &[*byte; 5]);
            }
        }
        Step::ReadOpened(index) => {
            if let Some((_, (number, file))) = opened(model, *index) {
                assert!(system.read_all(file).as_ref() == Ok(&*model.bytes(number)), "the bytes of {file:?} differ");
            }
        }
        Step::Restart => system.restart(),
    }
    system.crash_at = None;
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_programs_agree_with_the_model(
        steps in prop::collection::vec((step(), prop::option::weighted(0.3, 0..400u64)), 1..60),
        seed in prop::option::of(any::<u64>()),
    ) {
        let mut system = System::with(seed, &[]);
        let mut model = Model::new();
        for (step, crash) in &steps {
            run(&mut system, &mut model, step, *crash);
        }
        system.check();
        let seen = system.tree().into_iter().map(|(path, seen)| (path, (seen.kind, seen.links, seen.content)));
        assert_eq!(seen.collect::<BTreeMap<_, _>>(), model.tree());
        for (_, file) in std::mem::take(&mut model.opened) {
            system.close(file).unwrap();
        }
        system.check();
    }
}
