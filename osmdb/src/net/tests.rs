//! Two peers, over streams.

#[cfg(feature = "iroh")]
mod quic;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use prolly::MemoryStore;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::*;
use crate::db::{Db, Write};
use crate::model::{Coord, ElementId, Payload, Tags};
use crate::sync::{Inbox, Options, Summary, SyncError, Way};

type Memory = Db<MemoryStore>;

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 7).unwrap(), tags: Tags::from([("name", "somewhere")]) }
}

fn filled(nodes: i64) -> Memory {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for lat in 0..nodes {
        batch.push(Write::put(ElementId::node(u64::try_from(lat).unwrap() + 1), node(lat)));
    }
    batch.commit().unwrap();
    db
}

fn copy(db: &Memory) -> Memory {
    let copy = Db::in_memory("osm").unwrap();
    copy.merge(&db.snapshot()).unwrap();
    copy
}

fn edit(db: &Memory, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        db.put(ElementId::node(id), node(i64::try_from(id).unwrap() + 1_000)).unwrap();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn keep() -> Options {
    Options { inbox: Some(Arc::new(Inbox::in_memory())), ..Options::default() }
}

async fn both<T>(ours: &Memory, theirs: &Memory, streams: (T, T)) -> (Summary, Summary)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (here, there) = tokio::join!(
        sync_over(ours, streams.0, Options::default(), |_| ()),
        sync_over(theirs, streams.1, Options::default(), |_| ()),
    );
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_eq!(ours.root(), theirs.root());
    assert_eq!((here.root, here.gained, here.given), (there.root, there.given, there.gained));
    ours.verify().unwrap();
    (here, there)
}

/// Pairs of databases, each with the entries that its two have together.
fn pairs() -> Vec<(&'static str, Memory, Memory, u64)> {
    let empty = || Db::in_memory("osm").unwrap();
    let mut pairs = vec![
        ("two empty ones", empty(), empty(), 0),
        ("an empty one", empty(), filled(500), 500),
        ("nothing in common", filled(40), filled(50), 90),
    ];
    let ours = filled(800);
    let theirs = copy(&ours);
    pairs.push(("equal ones", copy(&ours), copy(&ours), 800));
    edit(&ours, 1..30);
    edit(&theirs, 20..50);
    theirs.delete(ElementId::node(5)).unwrap();
    ours.delete(ElementId::node(700)).unwrap();
    pairs.push(("forks and deletions", ours, theirs, 800 + 29 + 30 + 2));
    let (ours, theirs) = (filled(300), empty());
    for id in 1..60 {
        theirs.merge_admitting(&ours.snapshot(), &|e: &crate::Entry| e.element.id <= id * 5).unwrap();
    }
    edit(&theirs, 10..20);
    pairs.push(("no root in common", ours, theirs, 310));
    pairs
}

#[test]
fn every_pair_becomes_one_over_every_stream() {
    let runtime = runtime();
    for bytes in [1, 100, 100_000] {
        for (name, ours, theirs, entries) in pairs() {
            runtime.block_on(both(&ours, &theirs, duplex(bytes)));
            assert_eq!(ours.counts().entries, entries, "{name} over {bytes} bytes");
        }
    }
    for (name, ours, theirs, entries) in pairs() {
        let streams = async {
            let (left, right) = duplex(10_000);
            let address = "ws://hilltop/sync";
            let (left, right) = tokio::join!(WebSocket::connect(left, address), WebSocket::accept(right));
            let (left, right) = (left.unwrap(), right.unwrap());
            let (here, there) = (Identity::of(&ours).unwrap(), Identity::of(&theirs).unwrap());
            let (left, right) = tokio::join!(
                Secured::connect(left, &here, Arc::new(|_| true)),
                Secured::accept(right, &there, Arc::new(|_| true)),
            );
            (left.unwrap(), right.unwrap())
        };
        let streams = runtime.block_on(streams);
        assert_eq!(streams.0.peer(), theirs.author().unwrap());
        assert_eq!(streams.1.peer(), ours.author().unwrap());
        runtime.block_on(both(&ours, &theirs, streams));
        assert_eq!(ours.counts().entries, entries, "{name} by WebSocket");
    }
}

#[test]
fn both_may_have_much_to_say() {
    // Far more than fits into the stream, in both directions at once.
    let base = filled(1);
    let (ours, theirs) = (copy(&base), copy(&base));
    let mut batches = (ours.batch(), theirs.batch());
    for id in 0..6_000 {
        batches.0.push(Write::put(ElementId::node(10 + 2 * id), node(i64::try_from(id).unwrap())));
        batches.1.push(Write::put(ElementId::node(11 + 2 * id), node(i64::try_from(id).unwrap())));
    }
    batches.0.commit().unwrap();
    batches.1.commit().unwrap();
    let (here, there) = runtime().block_on(both(&ours, &theirs, duplex(256)));
    assert_eq!((here.gained, there.gained), (6_000, 6_000));
}

/// A stream that is cut after so many bytes of what comes.
struct Cut<T> {
    stream: T,
    left: Arc<AtomicU64>,
    came: Arc<AtomicU64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Cut<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = usize::try_from(self.left.load(Ordering::Relaxed)).unwrap();
        if left == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut some = buf.take(left);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut some);
        let came = some.filled().len();
        buf.advance(came);
        self.left.fetch_sub(came as u64, Ordering::Relaxed);
        self.came.fetch_add(came as u64, Ordering::Relaxed);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Cut<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Numbers that look random, and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn a_thousand_cuts() {
    let runtime = runtime();
    let mut numbers = Numbers(7);
    let base = filled(300);
    let (our_edits, their_edits) = (copy(&base), copy(&base));
    edit(&our_edits, 1..40);
    edit(&their_edits, 30..90);
    let edited = |edits: &Memory| {
        let db = copy(&base);
        db.merge(&edits.snapshot()).unwrap();
        db
    };
    let pair = || (edited(&our_edits), edited(&their_edits));
    let whole = {
        let (ours, theirs) = pair();
        runtime.block_on(both(&ours, &theirs, duplex(1_000))).0.bytes_in
    };
    let (mut cuts, mut runs) = (0, 0);
    while cuts < 1_000 {
        runs += 1;
        let (ours, theirs) = pair();
        let (our_options, their_options) = (keep(), keep());
        let (mut all, mut tries) = (0, 0);
        loop {
            tries += 1;
            let before = (ours.root(), theirs.root());
            // More and more, so that it ends.
            let left = Arc::new(AtomicU64::new(numbers.below(whole / 2 + tries * 100)));
            let came = Arc::new(AtomicU64::new(0));
            let (left_end, right_end) = duplex(64);
            let cut = Cut { stream: left_end, left, came: Arc::clone(&came) };
            let (here, there) = runtime.block_on(async {
                let here = sync_over(&ours, cut, our_options.clone(), |_| ());
                tokio::join!(here, sync_over(&theirs, right_end, their_options.clone(), |_| ()))
            });
            all += came.load(Ordering::Relaxed);
            match (here, there) {
                (Ok(_), Ok(_)) => break,
                (here, there) => {
                    cuts += 1;
                    for error in [here.err(), there.err()].into_iter().flatten() {
                        assert!(matches!(error, NetError::Sync(SyncError::Cut)), "{error}");
                    }
                    // Half of it is never seen: a side has all of the other or nothing.
                    assert!(ours.root() == before.0 || ours.counts().entries >= 300 + 39 + 60);
                    assert!(theirs.root() == before.1 || theirs.counts().entries >= 300 + 39 + 60);
                }
            }
        }
        assert_eq!(ours.root(), theirs.root());
        assert_eq!(ours.counts().entries, 300 + 39 + 60);
        assert!(all <= whole + tries * (whole + 100), "{all} bytes in {tries} tries");
    }
    assert!(runs > 10);
}

#[test]
fn a_peer_that_edits_meanwhile_loses_nothing() {
    let runtime = runtime();
    let ours = Arc::new(filled(3_000));
    let theirs = Arc::new(Db::in_memory("osm").unwrap());
    let editor = std::thread::spawn({
        let (ours, theirs) = (Arc::clone(&ours), Arc::clone(&theirs));
        move || {
            for id in 0..60 {
                edit(&ours, [5_000 + id]);
                edit(&theirs, [6_000 + id]);
            }
        }
    });
    while !editor.is_finished() {
        let (here, there) = duplex(1_000);
        let (here, there) = runtime.block_on(async {
            let here = sync_over(&*ours, here, keep(), |_| ());
            tokio::join!(here, sync_over(&*theirs, there, keep(), |_| ()))
        });
        // Where edits come faster than rounds end, the last round leaves what is to be done by the next sync.
        let (here, there) = (here.unwrap(), there.unwrap());
        let differ = here.their_root != there.their_root;
        assert_eq!((here.edited, there.edited), (differ, differ));
    }
    editor.join().unwrap();
    runtime.block_on(both(&ours, &theirs, duplex(1_000)));
    assert_eq!(ours.counts().entries, 3_000 + 120);
}

/// A stream whose other side takes the last word and is gone at the same moment.
struct Hasty<T> {
    stream: T,
    went: u64,
    last: u64,
}

impl<T: AsyncRead + Unpin> AsyncRead for Hasty<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.went == self.last {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Hasty<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = written {
            self.went += bytes as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[test]
fn a_peer_that_goes_with_the_last_word_has_heard_it() {
    let runtime = runtime();
    let theirs = filled(500);
    let empty = || Db::in_memory("osm").unwrap();
    let (here, _) = runtime.block_on(both(&empty(), &theirs, duplex(10_000)));
    let (left, right) = duplex(10_000);
    let hasty = Hasty { stream: left, went: 0, last: here.bytes_out };
    let ours = empty();
    let (here, there) = runtime.block_on(async {
        let here = sync_over(&ours, hasty, Options::default(), |_| ());
        tokio::join!(here, sync_over(&theirs, right, Options::default(), |_| ()))
    });
    assert_eq!((here.unwrap().gained, there.unwrap().given), (500, 500));
}

#[test]
fn an_end_in_the_middle_is_a_cut() {
    runtime().block_on(async {
        let db = filled(3);
        let (here, mut there) = duplex(1_000);
        let peer = async {
            there.read_u8().await.unwrap();
            drop(there);
        };
        let (outcome, ()) = tokio::join!(sync_over(&db, here, Options::default(), |_| ()), peer);
        assert!(matches!(outcome, Err(NetError::Sync(SyncError::Cut))), "{outcome:?}");
    });
}

#[test]
fn the_peer_hears_why_a_session_ends() {
    runtime().block_on(async {
        let (ours, theirs) = (filled(3), Db::in_memory("village").unwrap());
        let (here, there) = duplex(10_000);
        let (here, there) = tokio::join!(
            sync_over(&ours, here, Options::default(), |_| ()),
            sync_over(&theirs, there, Options::default(), |_| ()),
        );
        for outcome in [here, there] {
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains("the peer holds another dataset"), "{error}");
        }
        // Garbage is answered with a reason.
        let (here, mut there) = duplex(10_000);
        let peer = async {
            there.write_all(&[0; 100]).await.unwrap();
            there.shutdown().await.unwrap();
            let mut said = Vec::new();
            there.read_to_end(&mut said).await.unwrap();
            said
        };
        let (outcome, said) = tokio::join!(sync_over(&ours, here, Options::default(), |_| ()), peer);
        let reason = outcome.unwrap_err().to_string();
        assert!(String::from_utf8_lossy(&said).contains(&reason), "{reason}: {said:?}");
    });
}

#[test]
fn progress_goes_on_to_the_end() {
    let (ours, theirs) = (filled(2_000), Db::in_memory("osm").unwrap());
    let mut seen = Vec::new();
    runtime().block_on(async {
        let (here, there) = duplex(1_000);
        let (here, there) = tokio::join!(
            sync_over(&ours, here, Options::default(), |_| ()),
            sync_over(&theirs, there, Options::default(), |summary| seen.push(summary.clone())),
        );
        here.unwrap();
        there.unwrap();
    });
    assert!(seen.is_sorted_by_key(|summary| summary.bytes_in));
    let last = seen.last().unwrap();
    assert_eq!((last.way, last.gained), (Some(Way::Delta), 2_000));
}

async fn meet(
    ours: &Memory,
    theirs: &Memory,
    admit: [Admit; 2],
) -> [Result<Secured<impl Sized>, NetError>; 2] {
    let [ours_admit, theirs_admit] = admit;
    let (here, there) = (Identity::of(ours).unwrap(), Identity::of(theirs).unwrap());
    let (left, right) = duplex(10_000);
    let (left, right) = tokio::join!(
        Secured::connect(left, &here, ours_admit),
        Secured::accept(right, &there, theirs_admit),
    );
    [left, right]
}

#[test]
fn only_those_who_are_admitted_come_in() {
    let everyone: Admit = Arc::new(|_| true);
    let nobody: Admit = Arc::new(|_| false);
    let (ours, theirs) = (filled(1), filled(1));
    let (our_key, their_key) = (ours.author().unwrap(), theirs.author().unwrap());
    runtime().block_on(async {
        let [left, right] = meet(&ours, &theirs, [Arc::clone(&nobody), Arc::clone(&everyone)]).await;
        assert!(matches!(left, Err(NetError::UnknownPeer { key }) if key == their_key));
        let error = right.unwrap_err();
        assert!(matches!(error, NetError::NotKnownThere { .. }), "{error}");

        let identity = [Identity::of(&ours).unwrap(), Identity::of(&theirs).unwrap()];
        let (left, right) = duplex(10_000);
        let caller = async {
            let secured = Secured::connect(left, &identity[0], everyone).await?;
            sync_over(&ours, secured, Options::default(), |_| ()).await
        };
        let (outcome, refused) = tokio::join!(caller, Secured::accept(right, &identity[1], nobody));
        assert!(matches!(refused, Err(NetError::UnknownPeer { key }) if key == our_key));
        let error = outcome.unwrap_err();
        let fingerprint = Fingerprint::of(&our_key);
        assert!(matches!(error, NetError::NotKnownThere { ours } if ours == fingerprint), "{error}");
    });
}

#[test]
fn who_speaks_something_else_is_no_peer() {
    let db = filled(1);
    let identity = Identity::of(&db).unwrap();
    runtime().block_on(async {
        for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 1_000], b"\x16\x03\x01\x00\x02hm"] {
            let (here, mut there) = duplex(10_000);
            let peer = async {
                there.write_all(said).await.unwrap();
                there.shutdown().await.unwrap();
                let _ = there.read_to_end(&mut Vec::new()).await;
            };
            let (outcome, ()) = tokio::join!(Secured::accept(here, &identity, Arc::new(|_| true)), peer);
            assert!(matches!(outcome, Err(NetError::Handshake { .. })), "{outcome:?}");
        }
    });
}

/// A server of a database, its address, and what stops it.
async fn served(
    db: &Arc<Memory>,
) -> (Address, oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), NetError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let report = |visit: &Visit| {
        if let Err(error) = &visit.outcome {
            println!("{}: {error}", visit.from);
        }
    };
    let options = ServeOptions { admit: Arc::new(|_| true), sync: keep(), report: Arc::new(report) };
    let stopped = async {
        let _ = stopped.await;
    };
    let running = tokio::spawn(serve(Arc::clone(db), listener, options, stopped));
    (address, stop, running)
}

/// Syncs with a server; tells whether both have the same root then.
async fn come(address: &Address, peer: &Memory) -> bool {
    let identity = Identity::of(peer).unwrap();
    let connection = dial(address, &identity, Arc::new(|_| true)).await.unwrap();
    let wire = connection.wire().clone();
    let summary = sync_over(peer, connection, Options::default(), |_| ()).await.unwrap();
    assert!(wire.bytes_in() > summary.bytes_in, "encryption has a price");
    !summary.edited
}

#[test]
fn many_come_at_once_and_bad_ones_harm_nobody() {
    let db = Arc::new(filled(2_000));
    runtime().block_on(async {
        let (address, stop, running) = served(&db).await;
        let Address::Tcp { host, port } = &address else { panic!("{address}") };
        // Some who say nothing, and some who say nonsense.
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect((host.as_str(), *port)).await.unwrap());
            let mut rude = TcpStream::connect((host.as_str(), *port)).await.unwrap();
            rude.write_all(b"GET /\r\n\r\n").await.unwrap();
        }
        let mut peers = Vec::new();
        for number in 0..24 {
            let address = address.clone();
            peers.push(tokio::task::spawn_blocking(move || {
                let peer = Db::in_memory("osm").unwrap();
                edit(&peer, [10_000 + number]);
                let handle = tokio::runtime::Handle::current();
                handle.block_on(async {
                    // Where many write at once, two may not come to an end of it before a third one writes.
                    while !come(&address, &peer).await {}
                });
                peer
            }));
        }
        let mut roots = Vec::new();
        for peer in peers {
            roots.push(peer.await.unwrap());
        }
        assert_eq!(db.counts().entries, 2_024);
        // Once more, and all have everything.
        for peer in &roots {
            assert!(come(&address, peer).await);
            assert_eq!(peer.root(), db.root());
        }
        drop(silent);
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn a_ring_of_three_converges() {
    let dbs = [Arc::new(filled(100)), Arc::new(filled(200)), Arc::new(filled(300))];
    edit(&dbs[1], [7]);
    dbs[2].delete(ElementId::node(7)).unwrap();
    runtime().block_on(async {
        let mut servers = Vec::new();
        for db in &dbs {
            servers.push(served(db).await);
        }
        for _ in 0..2 {
            for (place, db) in dbs.iter().enumerate() {
                let next = &servers[(place + 1) % 3].0;
                let identity = Identity::of(&**db).unwrap();
                let connection = dial(next, &identity, Arc::new(|_| true)).await.unwrap();
                sync_over(&**db, connection, Options::default(), |_| ()).await.unwrap();
            }
        }
        for (_, stop, running) in servers {
            stop.send(()).unwrap();
            running.await.unwrap().unwrap();
        }
    });
    assert_eq!(dbs[0].root(), dbs[1].root());
    assert_eq!(dbs[0].root(), dbs[2].root());
    assert_eq!(dbs[0].counts().entries, 602);
}

#[test]
fn nobody_answers() {
    let db = filled(1);
    let identity = Identity::of(&db).unwrap();
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let error = dial(&address, &identity, Arc::new(|_| true)).await.unwrap_err();
        assert!(matches!(error, NetError::Connect { .. }), "{error}");
        let error = dial(&"exec:exit 3".parse().unwrap(), &identity, Arc::new(|_| true)).await;
        let connection = error.unwrap();
        let error = sync_over(&db, connection, Options::default(), |_| ()).await.unwrap_err();
        assert!(matches!(error, NetError::Sync(SyncError::Cut)), "{error}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn peers_are_read_as_they_were_written(
        names in prop::collection::vec(prop::option::of(".{0,20}"), 0..6),
        addresses in prop::collection::vec(".{1,30}", 0..4),
        time in any::<i64>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let root = prolly::Cid::of(b"a root");
        let change = |peers: &mut Peers| {
            for (number, name) in names.iter().enumerate() {
                let key = crate::DeviceKey::new(&[u8::try_from(number).unwrap(); 32]).author();
                peers.accept(Fingerprint::of(&key), name.as_deref());
                if number % 2 == 0 {
                    peers.synced(Some(key), Some("tcp://hilltop"), root, time);
                }
            }
            for address in &addresses {
                peers.synced(None, Some(address), root, time);
            }
            peers.clone()
        };
        let written = Peers::update(dir.path(), change).unwrap();
        prop_assert_eq!(Peers::read(dir.path()).unwrap(), written);
    }

    #[test]
    fn fingerprints_are_read_as_they_are_written(secret in any::<[u8; 32]>()) {
        let fingerprint = Fingerprint::of(&crate::DeviceKey::new(&secret).author());
        let text = fingerprint.to_string();
        prop_assert_eq!(text.len(), 23);
        prop_assert_eq!(text.replace('-', " ").parse(), Ok(fingerprint));
    }
}

#[test]
fn an_unknown_visitor_does_not_become_known_by_coming() {
    let key = crate::DeviceKey::new(&[1; 32]).author();
    let mut peers = Peers::default();
    peers.synced(Some(key), Some("tcp://stranger"), prolly::Cid::of(b""), 1);
    assert!(peers.list().is_empty());
}
