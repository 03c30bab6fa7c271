//! Opening databases, and leaving nothing behind where a new one was not wanted after all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use osmdb::{At, Db, Error, Snapshot};
use prolly::{FjallStore, StoreError};

use super::failure::Failure;
use super::output::note;

/// How long to sleep between two looks whether another process has closed the database.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// After so long the user is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The directory of a database, and how long another process may have it open meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) wait: Duration,
}

impl Directory {
    /// Another directory, that is waited for as long.
    pub(super) fn other(&self, path: &Path) -> Self {
        Self { path: path.into(), wait: self.wait }
    }

    /// Opens the database, once no other process has it open.
    fn open(&self, open: impl Fn(&Path) -> Result<Db, Error>) -> Result<Db, Failure> {
        let start = Instant::now();
        let mut is_told = false;
        loop {
            match open(&self.path) {
                Err(error) if is_locked(&error) && start.elapsed() < self.wait => {
                    if !is_told && start.elapsed() >= PATIENCE {
                        note(&format!("waiting for another process to close {}", self.path.display()));
                        is_told = true;
                    }
                    thread::sleep(LOOK_AGAIN);
                }
                result => return result.map_err(|error| opening(&self.path, error)),
            }
        }
    }
}

/// What is in the place of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Nothing. Creating it creates these directories, the innermost first.
    Absent(Vec<PathBuf>),
    /// A directory with nothing in it.
    Empty,
    /// A directory with something in it.
    Taken,
}

impl Place {
    fn look(dir: &Path) -> Result<Self, Failure> {
        match fs::metadata(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Absent(missing(dir))),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Failure::IsFile(dir.into())),
            Err(source) => Err(Failure::file(dir, "opening the directory")(source)),
            Ok(meta) if !meta.is_dir() => Err(Failure::IsFile(dir.into())),
            Ok(_) if is_empty(dir)? => Ok(Self::Empty),
            Ok(_) => Ok(Self::Taken),
        }
    }

    /// Removes what was created in this place.
    fn clear(&self, dir: &Path) -> Result<(), Failure> {
        let failed = || Failure::file(dir, "removing the new database");
        match self {
            Self::Taken => {}
            Self::Empty => {
                for entry in fs::read_dir(dir).map_err(failed())? {
                    let path = entry.map_err(failed())?.path();
                    let removed =
                        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    removed.map_err(failed())?;
                }
            }
            Self::Absent(made) => {
                fs::remove_dir_all(dir).map_err(failed())?;
                for above in made.iter().skip(1) {
                    // If it is not empty any more, somebody else has a use for it.
                    let _ = fs::remove_dir(above);
                }
            }
        }
        Ok(())
    }
}

fn missing(dir: &Path) -> Vec<PathBuf> {
    let absent = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    dir.ancestors().take_while(absent).map(Path::to_owned).collect()
}

/// Tells whether a directory has nothing in it.
pub(super) fn is_empty(dir: &Path) -> Result<bool, Failure> {
    let mut entries = fs::read_dir(dir).map_err(Failure::file(dir, "listing the directory"))?;
    Ok(entries.next().is_none())
}

/// Opens a database that must be there.
pub(super) fn existing(dir: &Directory) -> Result<Db, Failure> {
    match Place::look(&dir.path)? {
        Place::Taken => dir.open(|path| Db::open(path)),
        Place::Absent(_) | Place::Empty => Err(Failure::NoDatabase(dir.path.clone())),
    }
}

/// Makes sure that there is something in the place of a database, without opening it.
pub(super) fn look(dir: &Directory) -> Result<(), Failure> {
    match Place::look(&dir.path)? {
        Place::Taken => Ok(()),
        Place::Absent(_) | Place::Empty => Err(Failure::NoDatabase(dir.path.clone())),
    }
}

/// Opens a database that must be there; `None` if another process has it open.
pub(super) fn unless_locked(dir: &Directory) -> Result<Option<Db>, Failure> {
    match Db::open(&dir.path) {
        Ok(db) => Ok(Some(db)),
        Err(error) if is_locked(&error) => Ok(None),
        Err(error) => Err(opening(&dir.path, error)),
    }
}

fn is_locked(error: &Error) -> bool {
    matches!(error, Error::Tree(prolly::Error::Store(StoreError::Locked { .. })))
}

/// Returns the database as it is, or as it was at a moment.
pub(super) fn snapshot(db: &Db, at: Option<At>) -> Result<Snapshot<&FjallStore>, Failure> {
    match at {
        None => Ok(db.snapshot()),
        Some(at) => db.at_moment(at).map_err(|error| match error {
            Error::NotYet { .. } => Failure::NotYet { at },
            other => other.into(),
        }),
    }
}

/// Changes a database, which is created if it is absent. If the change fails, a new database does not
/// stay behind.
pub(super) fn change<T>(
    dir: &Directory,
    change: impl FnOnce(&Db) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let place = Place::look(&dir.path)?;
    let db = dir.open(|path| Db::create_or_open(path))?;
    let result = change(&db);
    // Whoever else may have created it meanwhile has done something with it.
    let is_unused = || db.counts().entries == 0 && db.reflog().is_ok_and(|log| log.len() <= 1);
    if result.is_err() && place != Place::Taken && is_unused() {
        drop(db);
        if let Err(failure) = place.clear(&dir.path) {
            note(&format!("osmdb: {failure}"));
        }
    }
    result
}

pub(super) fn opening(dir: &Path, error: impl Into<Error>) -> Failure {
    match error.into() {
        Error::Tree(prolly::Error::Store(StoreError::NotAStore { why, .. })) => {
            Failure::NotADatabase { path: dir.into(), why }
        }
        other => other.into(),
    }
}
