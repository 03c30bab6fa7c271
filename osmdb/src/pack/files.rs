//! Where published files are read: a directory, a web server, an object store.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// Whoever writes to a directory locks this file in it.
const LOCK_NAME: &str = ".osmdb.lock";

/// A folder of files that can be read in parts.
///
/// ```
/// use osmdb::{Directory, Files};
/// # let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("greeting"), "hello")?;
/// let files = Directory::new(dir.path());
/// let part = osmdb::block_on(files.read("greeting", Some(1..3), 100))?;
/// assert_eq!(part, "el");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Files: Send + Sync {
    /// Names the folder, for people.
    fn name(&self) -> String;

    /// Reads a file, or the bytes of a range of it: fewer if the file ends before. Of a whole file no more
    /// than `limit` bytes are read.
    ///
    /// # Errors
    /// The file is not there ([`NotFound`](io::ErrorKind::NotFound)), or too long
    /// ([`FileTooLarge`](io::ErrorKind::FileTooLarge)), or cannot be read.
    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send;
}

/// A folder to which a dataset is published.
///
/// ```
/// use osmdb::{Directory, Publish};
/// # let dir = tempfile::tempdir()?;
/// let mut folder = Directory::new(dir.path());
/// folder.write("greeting", b"hello".as_slice().into())?;
/// assert_eq!(std::fs::read(dir.path().join("greeting"))?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Publish: Files {
    /// Writes a file, or replaces it, so that a reader sees the old one or the new one, and that it is
    /// durable when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()>;

    /// Replaces a file, as [`write`](Publish::write) does, if its bytes are still these, or if it is still not
    /// there (`None`): of several who replace it at once, one does. Says whether it was replaced.
    ///
    /// ```
    /// use osmdb::{Directory, Publish};
    /// # let dir = tempfile::tempdir()?;
    /// let mut folder = Directory::new(dir.path());
    /// assert!(folder.swap("greeting", None, b"hello".as_slice().into())?);
    /// assert!(!folder.swap("greeting", None, b"hi".as_slice().into())?, "somebody else was faster");
    /// assert!(folder.swap("greeting", Some(b"hello"), b"hi".as_slice().into())?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// It cannot be read or written.
    fn swap(&mut self, file: &str, old: Option<&[u8]>, new: Bytes) -> io::Result<bool>;
}

/// A directory with a published dataset, or for one.
///
/// ```
/// use osmdb::{Directory, Files};
/// assert_eq!(Directory::new("/srv/osm").name(), "/srv/osm");
/// ```
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Names a directory. Nothing is read.
    ///
    /// ```
    /// let files = osmdb::Directory::new("/srv/osm");
    /// # let _ = files;
    /// ```
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    fn read_now(&self, file: &str, range: Option<&Range<u64>>, limit: usize) -> io::Result<Bytes> {
        let mut file = File::open(self.path.join(file))?;
        let most = match range {
            Some(range) => range.end.saturating_sub(range.start),
            None => limit as u64 + 1,
        };
        if let Some(range) = range {
            file.seek(SeekFrom::Start(range.start))?;
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        if range.is_none() && bytes.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.into())
    }

    /// Waits until nobody else writes to the directory. Dropping what this returns lets others.
    fn alone(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.path)?;
        let lock = File::options().create(true).append(true).open(self.path.join(LOCK_NAME))?;
        match lock.lock() {
            // A file system without locks has one writer.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(lock),
        }
    }

    fn put(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        // DURABILITY: the bytes are on disk before they have the name, and the name before this returns.
        let new = self.path.join(format!(".{file}.new"));
        let mut out = File::create(&new)?;
        io::Write::write_all(&mut out, bytes)?;
        out.sync_all()?;
        std::fs::rename(&new, self.path.join(file))?;
        if cfg!(unix) {
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }
}

impl Files for Directory {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send {
        std::future::ready(self.read_now(file, range.as_ref(), limit))
    }
}

impl Publish for Directory {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        let _alone = self.alone()?;
        self.put(file, &bytes)
    }

    fn swap(&mut self, file: &str, old: Option<&[u8]>, new: Bytes) -> io::Result<bool> {
        let _alone = self.alone()?;
        let is_old = match self.read_now(file, None, old.map_or(0, <[u8]>::len)) {
            Ok(now) => old == Some(&now[..]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => old.is_none(),
            // It was not that long.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => false,
            Err(error) => return Err(error),
        };
        if is_old {
            self.put(file, &new)?;
        }
        Ok(is_old)
    }
}
