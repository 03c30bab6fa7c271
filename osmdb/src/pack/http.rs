//! Published files on a web server.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use ureq::Agent;

use super::files::Files;

/// A request that takes longer than this has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

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
        (200, Some(_)) => return Err(io::Error::other("the server answers no range requests")),
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

/// What a thread gives in the end. If it is dropped, the thread still ends by itself.
struct OnThread<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    result: Option<io::Result<T>>,
    waker: Option<Waker>,
}

impl<T: Send + 'static> OnThread<T> {
    fn run(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Self {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let there = Arc::clone(&slot);
        let give = move |result| {
            let mut slot = there.lock().unwrap_or_else(PoisonError::into_inner);
            slot.result = Some(result);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        };
        let failed = give.clone();
        if let Err(error) = std::thread::Builder::new().spawn(move || give(work())) {
            failed(Err(error));
        }
        Self(slot)
    }
}

impl<T> Future for OnThread<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
