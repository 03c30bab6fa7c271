//! Operations over a source that answers later.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prolly::{
    AsyncSource, Cid, Diff, Edit, Error, Fetch, GetMany, KeyRange, MemoryStore, PageError, PageSource,
    ReadValue, Scan, StoreError, Tree, Value,
};
use proptest::prelude::*;
use support::{apply, batch, build, model, small};

/// A peer that takes its time, and counts.
#[derive(Default)]
struct Peer {
    store: MemoryStore,
    now: AtomicUsize,
    most: AtomicUsize,
    longest: AtomicUsize,
    requests: AtomicUsize,
    /// Fails every request after so many.
    fails_after: Option<usize>,
    lies: bool,
}

impl AsyncSource for Peer {
    fn fetch(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        self.longest.fetch_max(cids.len(), Ordering::SeqCst);
        let fails = self.fails_after.is_some_and(|after| number >= after);
        let pages = if fails {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            Err(StoreError::Io { what: "asking the peer", source })
        } else {
            let changed = |bytes: Bytes| [&bytes[..], b"!"].concat().into();
            let load =
                |cid| Ok(self.store.load(cid)?.map(|bytes| if self.lies { changed(bytes) } else { bytes }));
            cids.iter().map(load).collect()
        };
        async move {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Later requests are answered sooner.
            tokio::time::sleep(Duration::from_micros(400 / (number as u64 % 4 + 1))).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            pages
        }
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// 40,000 pairs on several levels of small pages.
fn large(store: &MemoryStore) -> Tree {
    Tree::build(store, small(), (0u32..40_000).map(|n| (n.to_be_bytes(), [7; 20]))).unwrap()
}

/// Walks to the end, or to an error; the pairs are counted before that too.
async fn count<H, A>(fetch: &Fetch<H, A>, scan: &mut Scan, count: &mut u64) -> Result<(), Error>
where
    H: PageSource + prolly::PageSink,
    A: AsyncSource + Sync,
{
    while let Some(run) = fetch.run(scan).await? {
        *count += run.len() as u64;
    }
    Ok(())
}

async fn all<H, A>(fetch: &Fetch<H, A>, scan: &mut Scan) -> Result<u64, Error>
where
    H: PageSource + prolly::PageSink,
    A: AsyncSource + Sync,
{
    let mut pairs = 0;
    count(fetch, scan, &mut pairs).await?;
    Ok(pairs)
}

#[test]
fn requests_keep_to_their_bounds_and_nothing_is_asked_for_twice() {
    let peer = Peer::default();
    let tree = large(&peer.store);
    let pages = tree.stats(&peer.store).unwrap().pages;
    let here = MemoryStore::new();
    let fetch = Fetch::new(&here, &peer).batch(10).in_flight(3);
    let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    assert_eq!(wait(all(&fetch, &mut scan)).unwrap(), 40_000);
    assert_eq!((peer.most.load(Ordering::SeqCst), peer.longest.load(Ordering::SeqCst)), (3, 10));
    assert_eq!(here.len() as u64, pages);
    let requests = peer.requests.load(Ordering::SeqCst) as u64;
    assert!(requests <= pages / 10 + 40, "{requests} requests for {pages} pages");
    // All is here now.
    assert_eq!(wait(all(&fetch, &mut Scan::new(tree, vec![KeyRange::all()]).reversed())).unwrap(), 40_000);
    assert_eq!(peer.requests.load(Ordering::SeqCst) as u64, requests);
}

#[test]
fn a_source_that_fails_lies_or_lacks_a_page_is_an_error_and_what_came_stays() {
    let mut peer = Peer { fails_after: Some(3), ..Peer::default() };
    let tree = large(&peer.store);
    let here = MemoryStore::new();
    let mut pairs = 0;
    let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    let failed = wait(count(&Fetch::new(&here, &peer), &mut scan, &mut pairs));
    assert!(matches!(failed, Err(Error::Store(StoreError::Io { .. }))), "{failed:?}");
    let came = here.len();
    assert!(came > 0);

    (peer.fails_after, peer.lies) = (None, true);
    let failed = wait(count(&Fetch::new(&here, &peer), &mut scan, &mut pairs));
    assert!(matches!(failed, Err(Error::Page { source: PageError::Hash { .. }, .. })), "{failed:?}");
    assert_eq!(here.len(), came, "what does not have its hash is not kept");

    peer.lies = false;
    let lost = *peer.store.cids().iter().rfind(|cid| !here.contains(cid).unwrap()).unwrap();
    let bytes = peer.store.load(&lost).unwrap().unwrap();
    peer.store.remove(&lost);
    let failed = wait(count(&Fetch::new(&here, &peer), &mut scan, &mut pairs));
    assert!(matches!(failed, Err(Error::Missing(cid)) if cid == lost), "{failed:?}");

    // The same walk goes on when the source is well again.
    prolly::PageSink::put(&peer.store, lost, bytes).unwrap();
    wait(count(&Fetch::new(&here, &peer), &mut scan, &mut pairs)).unwrap();
    assert_eq!(pairs, 40_000);
}

#[test]
fn a_driver_runs_on_any_thread_and_can_be_dropped() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let peer = std::sync::Arc::new(Peer::default());
    let tree = large(&peer.store);
    let here = std::sync::Arc::new(MemoryStore::new());
    /// A source that several tasks share.
    struct Shared(std::sync::Arc<Peer>);
    impl AsyncSource for Shared {
        fn fetch(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send {
            self.0.fetch(cids)
        }
    }
    let fetch = Fetch::new(here.clone(), Shared(peer.clone())).in_flight(0).batch(0);
    let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    let stopped = runtime
        .block_on(async { tokio::time::timeout(Duration::from_millis(30), all(&fetch, &mut scan)).await });
    assert!(stopped.is_err(), "one page at a time is slow");
    let came = here.len();
    assert!(came > 0);
    let fetch = Fetch::new(here.clone(), Shared(peer));
    let task = runtime.spawn(async move {
        let range = KeyRange { from: 100u32.to_be_bytes().to_vec().into(), to: None };
        all(&fetch, &mut Scan::new(tree, vec![range])).await
    });
    assert_eq!(runtime.block_on(task).unwrap().unwrap(), 39_900);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_operation_runs_over_it(start in model(300), left in batch(30), right in batch(30)) {
        let peer = Peer::default();
        let (mut a, mut b) = (start.clone(), start);
        apply(&mut a, &left);
        apply(&mut b, &right);
        let (ours, theirs) = (build(&peer.store, small(), &a), build(&peer.store, small(), &b));
        let here = MemoryStore::new();
        let fetch = Fetch::new(&here, &peer);
        wait(async {
            let keys: Vec<_> = a.keys().chain(b.keys()).cloned().collect();
            let found = fetch.run(&mut GetMany::new(ours, keys.clone())).await.unwrap();
            for (key, value) in keys.iter().zip(found) {
                let value = match value {
                    Some(value @ Value::Linked(..)) => Some(fetch.run(&mut ReadValue::new(value)).await.unwrap()),
                    Some(Value::Inline(bytes)) => Some(bytes),
                    None => None,
                };
                prop_assert_eq!(value.map(|value| value.to_vec()), a.get(key).cloned());
            }
            let mut diff = Diff::new(ours, theirs).unwrap();
            let mut changed = Vec::new();
            while let Some(change) = fetch.run(&mut diff).await.unwrap() {
                changed.push(change.key.to_vec());
            }
            let mut expected: Vec<_> = keys.into_iter().filter(|key| a.get(key) != b.get(key)).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(changed, expected);
            let sink = MemoryStore::new();
            let mut edit = Edit::new(ours, left.clone()).unwrap();
            let edited = fetch.run(&mut |source: &dyn PageSource| edit.step(source, &sink)).await.unwrap();
            prop_assert_eq!(edited, ours.edit(&peer.store, left).unwrap());
            Ok(())
        })?;
    }
}
