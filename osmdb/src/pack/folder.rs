//! A folder by its name: a directory, or a URL.

use std::io;
use std::ops::Range;

use bytes::Bytes;

#[cfg(feature = "object-store")]
use super::bucket::BucketFiles;
use super::files::{Directory, Files, Publish};
#[cfg(feature = "http")]
use super::http::HttpFiles;

#[cfg(feature = "http")]
const NOT_THERE: &str = "a web server takes no files: publish to a directory or a bucket";

/// A folder with a published dataset, or for one, as a program is told of it: a directory, or a URL (with the
/// feature `http` of a web server, with `object-store` of a bucket too).
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
    /// A folder in a bucket of an object store.
    #[cfg(feature = "object-store")]
    Bucket(BucketFiles),
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
            "http" | "https" => Err(unsupported("install this program with --features http")),
            #[cfg(feature = "object-store")]
            "s3" | "s3a" | "gs" | "az" | "azure" => BucketFiles::new(name).map(Self::Bucket),
            #[cfg(not(feature = "object-store"))]
            "s3" | "s3a" | "gs" | "az" | "azure" => {
                Err(unsupported("install this program with --features object-store"))
            }
            _ => Err(unsupported(
                "name a directory, or a URL that begins with https://, http://, s3://, gs:// or az://",
            )),
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
            #[cfg(feature = "object-store")]
            Self::Bucket(files) => files.name(),
        }
    }

    async fn read(&self, file: &str, range: Option<Range<u64>>, limit: usize) -> io::Result<Bytes> {
        match self {
            Self::Directory(files) => files.read(file, range, limit).await,
            #[cfg(feature = "http")]
            Self::Http(files) => files.read(file, range, limit).await,
            #[cfg(feature = "object-store")]
            Self::Bucket(files) => files.read(file, range, limit).await,
        }
    }
}

impl Publish for Folder {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Directory(files) => files.write(file, bytes),
            #[cfg(feature = "http")]
            Self::Http(_) => Err(unsupported(NOT_THERE)),
            #[cfg(feature = "object-store")]
            Self::Bucket(files) => files.write(file, bytes),
        }
    }

    fn swap(&mut self, file: &str, old: Option<&[u8]>, new: Bytes) -> io::Result<bool> {
        match self {
            Self::Directory(files) => files.swap(file, old, new),
            #[cfg(feature = "http")]
            Self::Http(_) => Err(unsupported(NOT_THERE)),
            #[cfg(feature = "object-store")]
            Self::Bucket(files) => files.swap(file, old, new),
        }
    }
}
