//! A folder by its name: a directory, or a URL.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::files::{Directory, Files, Publish};
#[cfg(feature = "http")]
use super::http::HttpFiles;

/// A folder with a published dataset, or for one, as a program is told of it: a directory, and with the
/// feature `http` a URL.
///
/// ```
/// use osmdb::{Db, Folder, PackOrigin};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().to_str().unwrap();
/// Db::in_memory("osm")?.snapshot().publish_to(&mut Folder::open(name)?)?;
/// let origin = PackOrigin::new(Folder::open(name)?);
/// # let _ = origin;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Folder {
    /// A directory here.
    Directory(Directory),
    /// A folder on a web server; it can only be read.
    #[cfg(feature = "http")]
    Http(HttpFiles),
}

impl Folder {
    /// Names a folder: a URL if it has `://` in it, else the path of a directory. Nothing is read yet.
    ///
    /// ```
    /// use osmdb::Folder;
    /// assert!(matches!(Folder::open("/srv/osm"), Ok(Folder::Directory(_))));
    /// assert!(Folder::open("gopher://example.org").is_err());
    /// ```
    ///
    /// # Errors
    /// This program was built without what reads such a URL
    /// ([`Unsupported`](io::ErrorKind::Unsupported)), or the URL is none.
    pub fn open(name: &str) -> io::Result<Self> {
        let Some((scheme, _)) = name.split_once("://") else {
            return Ok(Self::Directory(Directory::new(name)));
        };
        match scheme {
            #[cfg(feature = "http")]
            "http" | "https" => Ok(Self::Http(HttpFiles::new(name))),
            #[cfg(not(feature = "http"))]
            "http" | "https" => Err(unsupported("build this program with the feature `http`")),
            _ => Err(unsupported("name a directory, or a URL that begins with http:// or https://")),
        }
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

impl Files for Folder {
    fn name(&self) -> String {
        match self {
            Self::Directory(files) => files.name(),
            #[cfg(feature = "http")]
            Self::Http(files) => files.name(),
        }
    }

    async fn read(&self, file: &str, range: Option<Range<u64>>, limit: usize) -> io::Result<Bytes> {
        match self {
            Self::Directory(files) => files.read(file, range, limit).await,
            #[cfg(feature = "http")]
            Self::Http(files) => files.read(file, range, limit).await,
        }
    }
}

impl Publish for Folder {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Directory(files) => files.write(file, bytes),
            #[cfg(feature = "http")]
            Self::Http(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a web server takes no files: publish to a directory",
            )),
        }
    }
}
