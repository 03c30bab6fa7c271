//! Opening databases, and leaving nothing behind where a new one was not wanted after all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use osmdb::{At, Db, Error, Snapshot};
use prolly::{FjallStore, StoreError};

use super::failure::Failure;
use super::output::note;

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
pub(super) fn existing(dir: &Path) -> Result<Db, Failure> {
    match Place::look(dir)? {
        Place::Taken => Db::open(dir).map_err(|error| opening(dir, error)),
        Place::Absent(_) | Place::Empty => Err(Failure::NoDatabase(dir.into())),
    }
}

/// Makes sure that there is something in the place of a database, without opening it.
pub(super) fn look(dir: &Path) -> Result<(), Failure> {
    match Place::look(dir)? {
        Place::Taken => Ok(()),
        Place::Absent(_) | Place::Empty => Err(Failure::NoDatabase(dir.into())),
    }
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
pub(super) fn change<T>(dir: &Path, change: impl FnOnce(&Db) -> Result<T, Failure>) -> Result<T, Failure> {
    let place = Place::look(dir)?;
    let db = Db::create_or_open(dir).map_err(|error| opening(dir, error))?;
    let result = change(&db);
    // Whoever else may have created it meanwhile has done something with it.
    let is_unused = || db.counts().entries == 0 && db.reflog().is_ok_and(|log| log.len() <= 1);
    if result.is_err() && place != Place::Taken && is_unused() {
        drop(db);
        if let Err(failure) = place.clear(dir) {
            note(&format!("osmdb: {failure}"));
        }
    }
    result
}

fn opening(dir: &Path, error: Error) -> Failure {
    match error {
        Error::Tree(prolly::Error::Store(StoreError::NotAStore { why, .. })) => {
            Failure::NotADatabase { path: dir.into(), why }
        }
        other => other.into(),
    }
}
