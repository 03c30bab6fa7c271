//! Asking origins for pages: whom, for which share, and who is asked no more.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use prolly::{Cid, PageSource, PageStore};

use super::ask::Ask;
use super::origin::{Incoming, OriginError, PageOrigin, Request, links};
use super::reader::{Dropped, RemoteError};
use super::shelf::{Session, Shelf};
use crate::error::Error;
use crate::root::{RawRoot, Root};

/// From so many missing pages on, several origins are asked side by side.
const MIN_SHARED: usize = 8;

/// What came of a request to one of several origins.
type Came<'a> = Pin<Box<dyn Future<Output = (usize, Incoming, Result<(), OriginError>)> + Send + 'a>>;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks origins for pages.
pub(super) struct Asking<'a, O, C: PageStore> {
    pub(super) origins: &'a [O],
    pub(super) dropped: &'a Mutex<Vec<Option<Dropped>>>,
    pub(super) shelf: &'a Shelf<C>,
    /// The top pages of the trees, which an origin may give at any time.
    pub(super) tops: Vec<Cid>,
    /// How many pages came.
    pub(super) came: u64,
}

impl<O: PageOrigin, C: PageStore> Asking<'_, O, C> {
    /// Reads the root record and its configuration.
    pub(super) async fn open(&mut self, cid: Cid) -> Result<Root, RemoteError> {
        let damaged = |source| Error::Root { cid, source };
        let raw = RawRoot::decode(&self.load(cid, cid).await?).map_err(damaged)?;
        let config = self.load(cid, raw.config).await?;
        Ok(raw.with_config(&config).map_err(damaged)?)
    }

    async fn load(&mut self, root: Cid, cid: Cid) -> Result<bytes::Bytes, RemoteError> {
        let session = Session::new(self.shelf);
        loop {
            match session.load(&cid)? {
                Some(bytes) => return Ok(bytes),
                None => self.fetch(root, None, &session, vec![cid]).await?,
            }
        }
    }

    /// Asks until something has come. What failed is asked no more for these pages; who lied, never.
    pub(super) async fn fetch(
        &mut self,
        root: Cid,
        ask: Option<&Ask>,
        session: &Session<'_, C>,
        missing: Vec<Cid>,
    ) -> Result<(), RemoteError> {
        // What was here and had to make room is missing again: it is not to be left out.
        let lacking: HashSet<&Cid> = missing.iter().collect();
        let mut have = session.touched();
        have.retain(|cid| !lacking.contains(cid));
        let mut asked = vec![false; self.origins.len()];
        let mut failed = RemoteError::NoOrigin;
        loop {
            let left: Vec<usize> = self.left(&asked);
            let Some(first) = left.first() else { return Err(failed) };
            let shares = if missing.len() < MIN_SHARED { vec![*first] } else { left };
            let share = missing.len().div_ceil(shares.len()).max(1);
            let requests = shares.iter().zip(missing.chunks(share)).filter_map(|(index, missing)| {
                let request = Request { root, ask, missing, have: &have };
                let origin = self.origins.get(*index)?;
                let links =
                    if origin.answers_questions() { links_of_all(session, &have) } else { Vec::new() };
                let expected = missing.iter().copied().chain(self.tops.iter().copied()).chain(links);
                Some(request_of(*index, origin, request, Incoming::of(expected)))
            });
            let mut some = false;
            let mut went_well = true;
            for (index, pages, result) in all(requests.collect()).await {
                let (pages, wanted) = (pages.into_pages(), pages_wanted(index, &shares, share, &missing));
                self.came += pages.len() as u64;
                some |= !pages.is_empty();
                let lacks = pages.is_empty().then_some(wanted).flatten();
                session.take(pages)?;
                let result = match (result, lacks) {
                    (Ok(()), Some(cid)) => Err(OriginError::Missing(cid)),
                    (result, _) => result,
                };
                if let Err(source) = result {
                    if let Some(asked) = asked.get_mut(index) {
                        *asked = true;
                    }
                    failed = self.blame(index, source);
                    went_well = false;
                }
            }
            // What is still missing will be asked for again, if there is anybody to ask.
            if some && (went_well || !self.left(&asked).is_empty()) {
                return Ok(());
            }
        }
    }

    /// Returns the origins that can be asked.
    fn left(&self, asked: &[bool]) -> Vec<usize> {
        let dropped = lock(self.dropped);
        let is_left = |index: &usize| {
            asked.get(*index) == Some(&false) && dropped.get(*index).is_some_and(Option::is_none)
        };
        (0..self.origins.len()).filter(is_left).collect()
    }

    fn blame(&self, index: usize, source: OriginError) -> RemoteError {
        let name = self.origins.get(index).map(PageOrigin::name).unwrap_or_default();
        if source.is_lie()
            && let Some(dropped) = lock(self.dropped).get_mut(index)
        {
            *dropped = Some(Dropped { name: name.clone(), reason: source.to_string() });
        }
        RemoteError::Origin { name, source }
    }
}

/// Returns the first page that was wanted of an origin.
fn pages_wanted(index: usize, shares: &[usize], share: usize, missing: &[Cid]) -> Option<Cid> {
    let place = shares.iter().position(|known| *known == index)?;
    missing.get(place * share).copied()
}

/// Returns what pages that are here link to: somebody who answers questions leaves these pages out.
fn links_of_all<S: PageSource>(here: &S, have: &[Cid]) -> Vec<Cid> {
    let page = |cid: &Cid| here.load(cid).ok().flatten().map(|bytes| links(*cid, &bytes));
    have.iter().filter_map(page).flatten().collect()
}

fn request_of<'a, O: PageOrigin>(
    index: usize,
    origin: &'a O,
    request: Request<'a>,
    mut pages: Incoming,
) -> Came<'a> {
    Box::pin(async move {
        let result = origin.read(&request, &mut pages).await;
        (index, pages, result)
    })
}

/// Waits for all requests together.
async fn all(mut requests: Vec<Came<'_>>) -> Vec<(usize, Incoming, Result<(), OriginError>)> {
    let mut came = Vec::with_capacity(requests.len());
    poll_fn(|context| {
        requests.retain_mut(|request| match request.as_mut().poll(context) {
            Poll::Ready(answer) => {
                came.push(answer);
                false
            }
            Poll::Pending => true,
        });
        if requests.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    came
}
