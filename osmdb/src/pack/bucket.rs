//! Published files in a bucket of an object store: S3 and what speaks its language, Google Cloud Storage, Azure.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpError;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};

use super::bucket_http::{Connector, PastEnd};
use super::files::{Files, Publish};
use crate::remote::block_on;

/// A request that fails for a passing reason is sent again so often at most.
const MAX_RETRIES: usize = 3;

/// And no more when this has passed.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// So much is told of what a store says of an error, in characters.
const MAX_TOLD: usize = 400;

/// A folder in a bucket of an object store.
///
/// Keys, regions and endpoints come from the environment, under the names that the stores' own programs have for
/// them: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` and `AWS_ENDPOINT_URL`
/// (a store that is not Amazon's); `GOOGLE_APPLICATION_CREDENTIALS` or `GOOGLE_SERVICE_ACCOUNT`;
/// `AZURE_STORAGE_ACCOUNT_NAME` and `AZURE_STORAGE_ACCOUNT_KEY`. `AWS_SKIP_SIGNATURE=true` reads a public bucket
/// without keys. All names:
/// [S3](object_store::aws::AmazonS3ConfigKey), [Google](object_store::gcp::GoogleConfigKey),
/// [Azure](object_store::azure::AzureConfigKey).
///
/// It has a small runtime of its own, so it can be used from any other, or from none. Costs a request for each
/// part read or file written, and two for a [swap](Publish::swap), which the store does only if the file is still
/// what it was (`If-Match`, `If-None-Match`). With `AWS_CONDITIONAL_PUT=disabled`, for a store that cannot do
/// that, what somebody else writes between these two is lost.
///
/// ```no_run
/// use osmdb::{BlockingRemote, BucketFiles, PackOrigin};
/// let remote = BlockingRemote::open(PackOrigin::new(BucketFiles::new("s3://maps/andorra")?))?;
/// println!("{}", remote.counts().nodes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BucketFiles {
    url: String,
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for BucketFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store has keys.
        f.debug_struct("BucketFiles").field("url", &self.url).finish_non_exhaustive()
    }
}

impl BucketFiles {
    /// Names a folder by its URL: `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`. Nothing
    /// is asked yet.
    ///
    /// ```
    /// use osmdb::{BucketFiles, Files};
    /// assert_eq!(BucketFiles::new("s3://maps/andorra/")?.name(), "s3://maps/andorra");
    /// assert!(BucketFiles::new("gopher://example.org").is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// It is no URL of an object store, or what the environment says of the store is wrong.
    pub fn new(url: &str) -> io::Result<Self> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::with_settings(url, std::env::vars_os().filter_map(text))
    }

    /// Names a folder by its URL, with these settings in place of those of the environment. What does not concern
    /// this store is ignored.
    ///
    /// ```
    /// use osmdb::BucketFiles;
    /// let settings = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"), ("AWS_SKIP_SIGNATURE", "true")];
    /// let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    /// BucketFiles::with_settings("s3://maps/andorra", settings)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// It is no URL of an object store, or a setting is wrong.
    pub fn with_settings(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> io::Result<Self> {
        let url = url.trim_end_matches('/');
        let no_url = || io::Error::new(io::ErrorKind::InvalidInput, "expected a URL like s3://bucket/folder");
        let (scheme, rest) = url.split_once("://").ok_or_else(no_url)?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(no_url());
        }
        let folder = Path::parse(folder).map_err(|error| refused(&Error::from(error)))?;
        let store = store(scheme, bucket, settings).ok_or_else(no_url)?.map_err(|error| refused(&error))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
        Ok(Self { url: url.to_owned(), store, folder, runtime: Some(runtime) })
    }

    /// Runs something on its own runtime, whatever runs the caller.
    fn run<T, W>(&self, work: W) -> impl Future<Output = io::Result<T>> + Send + 'static + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let task = self.runtime.as_ref().map(|runtime| runtime.spawn(work));
        async move {
            let Some(task) = task else { return Err(io::ErrorKind::NotConnected.into()) };
            task.await?.map_err(|error| refused(&error))
        }
    }

    fn place(&self, file: &str) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.store), self.folder.clone().join(file))
    }
}

impl Drop for BucketFiles {
    fn drop(&mut self) {
        // A runtime must not wait for its threads where another one runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens the store that the scheme of a URL names; `None` if it names none.
fn store(
    scheme: &str,
    bucket: &str,
    settings: impl IntoIterator<Item = (String, String)>,
) -> Option<Result<Arc<dyn ObjectStore>, Error>> {
    let retry =
        RetryConfig { max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    let settings = settings.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    match scheme {
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::new().with_retry(retry).with_http_connector(Connector);
            for (name, value) in settings.filter(|(name, _)| name.starts_with("aws_")) {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            Some(builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as _))
        }
        "gs" => {
            let mut builder =
                GoogleCloudStorageBuilder::new().with_retry(retry).with_http_connector(Connector);
            for (name, value) in settings.filter(|(name, _)| name.starts_with("google_")) {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            Some(builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as _))
        }
        "az" | "azure" => {
            let mut builder = MicrosoftAzureBuilder::new().with_retry(retry).with_http_connector(Connector);
            for (name, value) in settings.filter(|(name, _)| name.starts_with("azure_")) {
                if let Ok(key) = name.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            Some(builder.with_container_name(bucket).build().map(|store| Arc::new(store) as _))
        }
        _ => None,
    }
}

/// Says in one line what a store said.
fn refused(error: &Error) -> io::Error {
    let kind = match error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::InvalidPath { .. } => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    let told = match error {
        Error::NotFound { .. } => "there is no such file or no such bucket".to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "the store refuses: set the keys of somebody who may, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned()
        }
        error => match cause::<HttpError>(error) {
            Some(error) => error.to_string(),
            None => error.to_string(),
        },
    };
    let words: Vec<&str> = told.split_whitespace().collect();
    io::Error::new(kind, words.join(" ").chars().take(MAX_TOLD).collect::<String>())
}

/// Finds what an error comes from.
fn cause<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Reads a part of a file; what is past its end is not there.
async fn part(
    store: &dyn ObjectStore,
    path: &Path,
    range: Range<u64>,
) -> Result<(Bytes, UpdateVersion), Error> {
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    match store.get_opts(path, options).await {
        Ok(found) => {
            let version =
                UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?, version))
        }
        Err(error) if cause::<PastEnd>(&error).is_some() => {
            Ok((Bytes::new(), UpdateVersion { e_tag: None, version: None }))
        }
        Err(error) => Err(error),
    }
}

/// Reads the beginning of a file, if it is there.
async fn beginning(
    store: &dyn ObjectStore,
    path: &Path,
    limit: usize,
) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
    match part(store, path, 0..limit as u64).await {
        Err(Error::NotFound { .. }) => Ok(None),
        found => found.map(Some),
    }
}

async fn swap(store: &dyn ObjectStore, path: &Path, old: Option<Bytes>, new: Bytes) -> Result<bool, Error> {
    let limit = old.as_ref().map_or(0, Bytes::len).max(new.len()) + 1;
    let mode = match (beginning(store, path, limit).await?, old) {
        (None, None) => PutMode::Create,
        (Some((now, version)), Some(old)) if now == old => PutMode::Update(version),
        _ => return Ok(false),
    };
    let payload = PutPayload::from_bytes(new.clone());
    match store.put_opts(path, payload, PutOptions::from(mode)).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
            // It may be ours: a request that was sent again because the answer to it was lost.
            let now = beginning(store, path, limit).await?;
            Ok(now.is_some_and(|(now, _)| now == new))
        }
        Err(Error::NotImplemented { .. }) => {
            store.put(path, PutPayload::from_bytes(new)).await?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

impl Files for BucketFiles {
    fn name(&self) -> String {
        self.url.clone()
    }

    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send {
        let (store, path) = self.place(file);
        let is_whole = range.is_none();
        let range = range.unwrap_or(0..(limit as u64).saturating_add(1));
        let read = (!range.is_empty())
            .then(|| self.run(async move { part(&*store, &path, range).await.map(|(bytes, _)| bytes) }));
        async move {
            let Some(read) = read else { return Ok(Bytes::new()) };
            let bytes = read.await?;
            if is_whole && bytes.len() > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(bytes)
        }
    }
}

impl Publish for BucketFiles {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        let (store, path) = self.place(file);
        block_on(self.run(async move { store.put(&path, PutPayload::from_bytes(bytes)).await.map(drop) }))
    }

    fn swap(&mut self, file: &str, old: Option<&[u8]>, new: Bytes) -> io::Result<bool> {
        let (store, path) = self.place(file);
        let old = old.map(Bytes::copy_from_slice);
        block_on(self.run(async move { swap(&*store, &path, old, new).await }))
    }
}
