//! A file that gets its name when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::WriteProblem;

/// So many names are tried; all are taken only where something else goes wrong.
const TRIES: u32 = 100;

/// A file beside its target, removed unless it is [kept](Self::keep).
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Partial {
    /// Creates an empty file beside the target.
    pub(super) fn create(target: &Path) -> Result<(Self, File), WriteProblem> {
        // Where the target is a link, the file it leads to is replaced, not the link.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        if fs::metadata(&target).is_ok_and(|meta| !meta.is_file()) {
            return Err(WriteProblem::NotAFile);
        }
        let name = target.file_name().ok_or(WriteProblem::NotAFile)?;
        let mut failed = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..TRIES {
            let mut beside = OsString::from(".");
            beside.push(name);
            beside.push(format!(".{}-{number}.part", std::process::id()));
            let path = target.with_file_name(beside);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self { path, target, kept: false }, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failed = error,
                Err(error) => return Err(WriteProblem::Io(error)),
            }
        }
        Err(WriteProblem::Io(failed))
    }

    /// Gives the whole file the name of the target.
    pub(super) fn keep(mut self, file: File) -> io::Result<()> {
        // DURABILITY: the content is on the disk before the name leads to it.
        file.sync_all()?;
        drop(file);
        fs::rename(&self.path, &self.target)?;
        self.kept = true;
        // Not every system can sync a directory; the file is whole under one name or the other.
        let dir = self.target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // If it cannot be removed, there is nobody left to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}
