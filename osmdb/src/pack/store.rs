//! Published files on an object store: S3 and what speaks its language, Google Cloud Storage, Azure.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::{Builder, Runtime};

use super::files::{Files, Publish};
use crate::remote::block_on;

/// A folder on an object store.
///
/// It has a small runtime of its own, so it can be read from any other, or from none. Keys and regions come
/// from the environment, as in `AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT`.
///
/// ```
/// use osmdb::{Files, StoreFiles};
/// let files = StoreFiles::new("memory:///andorra")?;
/// assert_eq!(files.name(), "memory:///andorra");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct StoreFiles {
    url: String,
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl StoreFiles {
    /// Names a folder by its URL: `s3://bucket/folder`, `gs://…`, `az://…`. Nothing is asked yet.
    ///
    /// ```
    /// use osmdb::StoreFiles;
    /// assert!(StoreFiles::new("gopher://example.org").is_err());
    /// ```
    ///
    /// # Errors
    /// It is no URL of an object store, or what the environment says about it is wrong.
    pub fn new(url: &str) -> io::Result<Self> {
        let parsed =
            url::Url::parse(url).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let settings = std::env::vars_os().filter_map(|(key, value)| {
            Some((key.into_string().ok()?.to_ascii_lowercase(), value.into_string().ok()?))
        });
        let (store, folder) = object_store::parse_url_opts(&parsed, settings).map_err(io::Error::from)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { url: url.to_owned(), store: store.into(), folder, runtime: Some(runtime) })
    }

    /// Runs something on its own runtime, whatever runs the caller.
    fn run<T, F>(&self, work: F) -> impl Future<Output = io::Result<T>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, object_store::Error>> + Send + 'static,
    {
        let task = self.runtime.as_ref().map(|runtime| runtime.spawn(work));
        async move {
            let Some(task) = task else { return Err(io::ErrorKind::NotConnected.into()) };
            task.await?.map_err(io::Error::from)
        }
    }
}

impl Drop for StoreFiles {
    fn drop(&mut self) {
        // A runtime must not wait for its threads where another one runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Files for StoreFiles {
    fn name(&self) -> String {
        self.url.clone()
    }

    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send {
        let (store, path) = (Arc::clone(&self.store), self.folder.clone().join(file));
        let read = self.run(async move {
            let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
            let is_whole = options.range.is_none();
            let found = store.get_opts(&path, options).await?;
            if is_whole && found.meta.size > limit as u64 {
                return Ok(None);
            }
            found.bytes().await.map(Some)
        });
        async move { read.await?.ok_or_else(|| io::ErrorKind::FileTooLarge.into()) }
    }
}

impl Publish for StoreFiles {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.folder.clone().join(file));
        block_on(self.run(async move { store.put(&path, PutPayload::from_bytes(bytes)).await.map(|_| ()) }))
    }
}
