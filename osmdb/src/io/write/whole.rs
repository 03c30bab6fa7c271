//! A file of anything, written as files of maps are.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::{WriteError, WriteProblem};
use super::partial::Partial;

/// A file that takes its place when it is whole, whatever is written into it: for formats that
/// [`Writer`](super::Writer) does not know.
///
/// It grows beside its place under another name. If it is dropped before it is
/// [finished](Self::finish), what was there is as it was.
///
/// ```
/// use std::io::Write;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("names.txt");
/// let mut file = osmdb::io::WholeFile::create(&path)?;
/// writeln!(file, "Old Spring")?;
/// assert!(!path.exists());
/// file.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "Old Spring\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    file: BufWriter<File>,
    // After the file: some systems remove no open files.
    partial: Partial,
}

impl WholeFile {
    /// Begins a file. Nothing of that name is touched yet.
    ///
    /// ```
    /// use osmdb::io::{WholeFile, WriteProblem};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let error = WholeFile::create(dir.path()).unwrap_err();
    /// assert!(matches!(error.problem(), WriteProblem::NotAFile));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is something else than a file in its place, or no file can be created beside it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, WriteError> {
        let path = path.as_ref();
        let (partial, file) = Partial::create(path).map_err(|problem| WriteError::new(path, problem))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), partial })
    }

    /// Makes the file durable and puts it in its place, where it replaces the file that was there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("names.txt");
    /// std::fs::write(&path, "what was there")?;
    /// osmdb::io::WholeFile::create(&path)?.finish()?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "", "nothing was written into it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written; what was in its place is still there.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { path, file, partial } = self;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        let kept = file.and_then(|file| partial.keep(file));
        kept.map_err(|error| WriteError::new(&path, WriteProblem::Io(error)))
    }

    /// Makes an error of one that writing to it gave.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind, Write};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("names.txt");
    /// let mut file = osmdb::io::WholeFile::create(&path)?;
    /// file.write_all(b"Old Spring\n").map_err(|error| file.error(error))?;
    /// let full = file.error(Error::from(ErrorKind::StorageFull));
    /// assert_eq!(full.path(), path);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn error(&self, error: io::Error) -> WriteError {
        WriteError::new(&self.path, WriteProblem::Io(error))
    }
}

impl Write for WholeFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
