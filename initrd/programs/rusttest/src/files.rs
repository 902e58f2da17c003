//! Files, folders, pipes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::thread;

use crate::{Check, Outcome, expect};

pub(crate) const CHECKS: [Check; 7] = [
    ("files_are_written_and_read", files_are_written_and_read),
    ("seeking_and_appending", seeking_and_appending),
    ("folders_are_listed_and_removed", folders_are_listed_and_removed),
    ("links_and_permissions", links_and_permissions),
    ("errors_have_their_kinds", errors_have_their_kinds),
    ("pipes_carry_data", pipes_carry_data),
    ("memory_is_plenty", memory_is_plenty),
];

/// A folder of this process, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("rusttest-{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The checks' result matters, not what is left in /tmp.
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn files_are_written_and_read() -> Outcome {
    let folder = Folder::new("files")?;
    let path = folder.at("lines");
    let mut writer = BufWriter::new(File::create(&path)?);
    for number in 0..10_000 {
        writeln!(writer, "line {number}")?;
    }
    writer.into_inner()?.sync_all()?;
    let lines = BufReader::new(File::open(&path)?).lines().collect::<Result<Vec<_>, _>>()?;
    expect(lines.len() == 10_000 && lines.last().is_some_and(|line| line == "line 9999"), "ten thousand lines")?;
    expect(fs::metadata(&path)?.len() == 98_890, "the size")?;
    fs::rename(&path, folder.at("moved"))?;
    fs::copy(folder.at("moved"), folder.at("copy"))?;
    expect(fs::read(folder.at("copy"))? == fs::read(folder.at("moved"))?, "a copy is the same")
}

fn seeking_and_appending() -> Outcome {
    let folder = Folder::new("seek")?;
    let path = folder.at("file");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(b"hello world")?;
    file.seek(SeekFrom::Start(6))?;
    file.write_all(b"there")?;
    file.seek(SeekFrom::End(-5))?;
    let mut tail = String::new();
    file.read_to_string(&mut tail)?;
    expect(tail == "there", "what was written over")?;
    OpenOptions::new().append(true).open(&path)?.write_all(b"!")?;
    expect(fs::read_to_string(&path)? == "hello there!", "what was appended")?;
    file.set_len(5)?;
    expect(fs::read_to_string(&path)? == "hello", "what was cut off")
}

fn folders_are_listed_and_removed() -> Outcome {
    let folder = Folder::new("folders")?;
    fs::create_dir_all(folder.at("a/b/c"))?;
    for index in 0..50 {
        File::create(folder.at(&format!("a/b/file{index:02}")))?;
    }
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(folder.at("a/b"))? {
        let entry = entry?;
        kinds.insert(entry.file_name(), entry.file_type()?.is_dir());
    }
    expect(kinds.len() == 51 && kinds.values().filter(|is_folder| **is_folder).count() == 1, "fifty files and a folder")?;
    fs::remove_dir_all(folder.at("a"))?;
    expect(!folder.at("a").try_exists()?, "nothing is left")
}

fn links_and_permissions() -> Outcome {
    let folder = Folder::new("links")?;
    fs::write(folder.at("file"), "x")?;
    fs::hard_link(folder.at("file"), folder.at("hard"))?;
    symlink("file", folder.at("soft"))?;
    expect(fs::metadata(folder.at("soft"))?.ino() == fs::metadata(folder.at("hard"))?.ino(), "one inode")?;
    expect(fs::metadata(folder.at("file"))?.nlink() == 2, "two names")?;
    expect(fs::read_link(folder.at("soft"))?.to_str() == Some("file"), "the link's target")?;
    fs::set_permissions(folder.at("file"), fs::Permissions::from_mode(0o640))?;
    expect(fs::metadata(folder.at("hard"))?.mode() & 0o7777 == 0o640, "the mode")?;
    expect(fs::canonicalize(folder.at("soft"))? == fs::canonicalize(folder.at("file"))?, "the same path")
}

fn errors_have_their_kinds() -> Outcome {
    let folder = Folder::new("errors")?;
    let kind = |result: std::io::Result<()>| result.err().map(|error| error.kind());
    expect(kind(File::open(folder.at("none")).map(drop)) == Some(ErrorKind::NotFound), "not found")?;
    fs::write(folder.at("file"), "x")?;
    expect(kind(fs::create_dir(folder.at("file"))) == Some(ErrorKind::AlreadyExists), "already exists")?;
    expect(kind(fs::read_dir(folder.at("file")).map(drop)) == Some(ErrorKind::NotADirectory), "not a folder")?;
    expect(kind(fs::remove_dir(&folder.0)) == Some(ErrorKind::DirectoryNotEmpty), "not empty")
}

fn pipes_carry_data() -> Outcome {
    const BYTES: usize = 1 << 20;
    let (mut reader, mut writer) = std::io::pipe()?;
    let sender = thread::spawn(move || {
        let block: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
        writer.write_all(&block)
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received)?;
    sender.join().map_err(|_| "the sender panicked")??;
    expect(received.len() == BYTES, "all bytes")?;
    expect(received.iter().enumerate().all(|(index, byte)| *byte == index as u8), "in order")
}

fn memory_is_plenty() -> Outcome {
    let mut blocks: Vec<Vec<u8>> = (1..=64).map(|index| vec![index; 128 * 1024]).collect();
    blocks.retain(|block| block.first().is_some_and(|byte| byte % 2 == 0));
    blocks.iter_mut().for_each(|block| block.resize(256 * 1024, 7));
    let total: u64 = blocks.iter().flatten().map(|byte| u64::from(*byte)).sum();
    expect(total == 167_772_160, "the sum of all bytes")
}
