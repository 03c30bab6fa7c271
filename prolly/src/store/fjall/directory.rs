//! The directory of a store: what is in it, who holds it, and how it comes to be.
//!
//! `format` says that it is a store, and of which version; `engine/` is fjall's; `commits` has the
//! commit slots; `lock` is locked while the store is open; `scratch/` has files that nobody needs after
//! that, and is removed when the store is opened. A store is made in an order in which a
//! crash at any moment leaves something that the next opening finishes: the engine under another
//! name, then its name, then the slots, then `format`.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

const FORMAT: &str = "format";
const ENGINE: &str = "engine";
const SLOTS: &str = "commits";
const LOCK: &str = "lock";
const SCRATCH: &str = "scratch";
const NEW: &str = "new";

/// What may be there before `format` is.
const OURS: [&str; 7] = [LOCK, SCRATCH, ENGINE, "engine.new", SLOTS, "commits.new", "format.new"];

/// How `format` begins; the version follows.
const HEAD: &str = "prolly page store\nformat ";

/// The version of what is in the directory.
const VERSION: u64 = 1;

/// The directory of an open store.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

/// Whether a store may be made where none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Create,
    Refuse,
}

impl Drop for Directory {
    /// Closing the file would not do while another thread starts a process, which holds all files for
    /// a moment. If it fails, the lock goes with the file.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Directory {
    /// Takes hold of a directory that is a store, or may become one.
    pub(super) fn open(path: &Path, absent: Absent) -> Result<Self, StoreError> {
        check(path, absent)?;
        if absent == Absent::Create {
            create_all(path)?;
        }
        let lock = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock);
        let lock = lock.map_err(io("opening the lock file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked { path: path.into() },
            TryLockError::Error(source) => StoreError::Io { what: "locking the store", source },
        })?;
        // Whoever held it meanwhile may have changed what is there.
        check(path, absent)?;
        Ok(Self { path: path.into(), lock })
    }

    /// Returns where the slots are of a store that is there, whoever holds it.
    pub(super) fn slots_of(path: &Path) -> Result<PathBuf, StoreError> {
        check(path, Absent::Refuse)?;
        Ok(path.join(SLOTS))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn engine(&self) -> PathBuf {
        self.path.join(ENGINE)
    }

    pub(super) fn slots(&self) -> PathBuf {
        self.path.join(SLOTS)
    }

    /// Makes the directory for files that nobody needs when the store is closed.
    pub(super) fn scratch(&self) -> Result<PathBuf, StoreError> {
        let path = self.path.join(SCRATCH);
        std::fs::create_dir_all(&path).map_err(io("making the scratch directory"))?;
        Ok(path)
    }

    /// Removes what somebody left there who could not.
    pub(super) fn clear_scratch(&self) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(self.path.join(SCRATCH)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io("clearing the scratch directory")(error))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether the store was made completely.
    pub(super) fn is_complete(&self) -> Result<bool, StoreError> {
        self.path.join(FORMAT).try_exists().map_err(io("looking for the format file"))
    }

    /// Makes an engine, unless there is one.
    pub(super) fn make_engine(
        &self,
        make: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (engine, new) = (self.engine(), self.engine().with_extension(NEW));
        if engine.try_exists().map_err(io("looking for the engine"))? {
            return Ok(());
        }
        match std::fs::remove_dir_all(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("clearing an engine")(error)),
            _ => make(&new)?,
        }
        // DURABILITY: the engine's files are whole on disk before they get their name.
        let mut folders = Vec::new();
        walk(&new, &mut |path, meta| {
            if meta.is_dir() {
                folders.push(path.to_owned());
            } else {
                File::open(path)?.sync_all()?;
            }
            Ok(())
        })
        .map_err(io("syncing the engine"))?;
        folders.iter().rev().try_for_each(|folder| sync_directory(folder))?;
        std::fs::rename(&new, &engine).map_err(io("naming the engine"))?;
        sync_directory(&self.path)
    }

    /// Marks the store as made completely.
    pub(super) fn complete(&self) -> Result<(), StoreError> {
        replace(&self.path.join(FORMAT), format!("{HEAD}{VERSION}\n").as_bytes())
    }

    /// Returns how much of the disk all files take together.
    pub(super) fn disk_bytes(&self) -> Result<u64, StoreError> {
        let mut sum = 0;
        let mut add = |_: &Path, meta: &std::fs::Metadata| {
            sum += allocated(meta);
            Ok(())
        };
        walk(&self.path, &mut add).map_err(io("measuring the store"))?;
        Ok(sum)
    }
}

/// Refuses what is neither a store that can be read, nor empty, nor a store half made.
fn check(path: &Path, absent: Absent) -> Result<(), StoreError> {
    let refuse = |why: String| Err(StoreError::NotAStore { path: path.into(), why });
    let mut text = String::new();
    match File::open(path.join(FORMAT)) {
        Ok(file) => {
            let read = file.take(64).read_to_string(&mut text);
            let version = text.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix('\n'));
            return match (read, version.map(str::parse::<u64>)) {
                (Ok(_), Some(Ok(VERSION))) => Ok(()),
                (Ok(_), Some(Ok(other))) => refuse(format!(
                    "it has format {other}, but this program reads format {VERSION}: use a program that reads format {other}"
                )),
                (Err(error), _) if error.kind() != ErrorKind::InvalidData => {
                    Err(io("reading the format file")(error))
                }
                _ => refuse("its format file is damaged".into()),
            };
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return refuse("it is not a directory".into());
        }
        Err(error) => return Err(io("opening the format file")(error)),
    }
    if absent == Absent::Refuse {
        return refuse("there is no format file".into());
    }
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io("listing the directory"))?,
    };
    for entry in entries {
        let name = entry.map_err(io("listing the directory"))?.file_name();
        if !OURS.iter().any(|ours| name == OsStr::new(ours)) {
            return refuse(format!("it holds other files, such as `{}`", name.display()));
        }
    }
    Ok(())
}

/// Creates a directory and those above it, durably.
fn create_all(path: &Path) -> Result<(), StoreError> {
    let missing: Vec<_> =
        path.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
    std::fs::create_dir_all(path).map_err(io("creating the directory"))?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        sync_directory(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Writes a file, whole or not at all. DURABILITY: it is on disk, under its name, on return.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension(NEW);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(io("writing a file of the store"))?;
    path.parent().map_or(Ok(()), sync_directory)
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io("syncing a directory"))
}

/// Other systems cannot sync a directory, and keep names in order by themselves.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(unix)]
fn allocated(meta: &std::fs::Metadata) -> u64 {
    // The engine's journal is a sparse file: its length says nothing.
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn allocated(meta: &std::fs::Metadata) -> u64 {
    meta.len()
}

/// Visits a directory and all in it, every directory before what is in it. A file that the engine
/// removes meanwhile is left out.
fn walk(
    path: &Path,
    each: &mut impl FnMut(&Path, &std::fs::Metadata) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut stack = vec![path.to_owned()];
    while let Some(path) = stack.pop() {
        let meta = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            meta => meta?,
        };
        each(&path, &meta)?;
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                stack.push(entry?.path());
            }
        }
    }
    Ok(())
}

pub(super) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io { what, source }
}
