//! Published files on a web server.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use ureq::Agent;

use super::files::Files;
use super::thread::OnThread;

/// A request that takes longer than this has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

const WITHOUT_RANGES: &str = "the server answers no range requests, but sends whole files: serve the folder with one that does, as most do";

/// A folder on a web server that answers range requests, as nearly all do.
///
/// Each request runs on a thread of its own, so it needs no runtime, and keeps none from its work.
///
/// ```no_run
/// use osmdb::{BlockingRemote, HttpFiles, PackOrigin};
/// let remote = BlockingRemote::open(PackOrigin::new(HttpFiles::new("https://example.org/andorra")))?;
/// println!("{}", remote.counts().nodes);
/// # Ok::<(), osmdb::RemoteError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HttpFiles {
    base: String,
    agent: Agent,
}

impl HttpFiles {
    /// Names the folder by its URL. Nothing is asked yet.
    ///
    /// ```
    /// use osmdb::{Files, HttpFiles};
    /// assert_eq!(HttpFiles::new("https://example.org/andorra/").name(), "https://example.org/andorra");
    /// ```
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        Self { base: url.trim_end_matches('/').to_owned(), agent: Agent::new_with_config(config.build()) }
    }
}

fn read(agent: &Agent, url: &str, range: Option<&Range<u64>>, limit: usize) -> io::Result<Bytes> {
    let mut request = agent.get(url);
    let mut limit = limit as u64;
    if let Some(Range { start, end }) = range {
        let Some(last) = end.checked_sub(1).filter(|last| last >= start) else { return Ok(Bytes::new()) };
        request = request.header("range", format!("bytes={start}-{last}"));
        limit = end - start;
    }
    let mut response = request.call().map_err(ureq::Error::into_io)?;
    match (response.status().as_u16(), range) {
        (200, None) | (206, Some(_)) => {}
        (200, Some(_)) => return Err(io::Error::new(io::ErrorKind::Unsupported, WITHOUT_RANGES)),
        (416, Some(_)) => return Ok(Bytes::new()),
        (404 | 410, _) => return Err(io::ErrorKind::NotFound.into()),
        (status, _) => return Err(io::Error::other(format!("the server answered with status {status}"))),
    }
    let body = response.body_mut().with_config().limit(limit.saturating_add(1)).read_to_vec();
    let bytes = body.map_err(ureq::Error::into_io)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes.into())
}

impl Files for HttpFiles {
    fn name(&self) -> String {
        self.base.clone()
    }

    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send {
        let (agent, url) = (self.agent.clone(), format!("{}/{file}", self.base));
        OnThread::run(move || read(&agent, &url, range.as_ref(), limit))
    }
}
