//! Peers who stay connected, over sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use osmdb::net::{self, Followed, Identity, NetError, ServeOptions};
use osmdb::sync::Options;
use osmdb::{Coord, Db, Payload, Tags};
use prolly::MemoryStore;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::program::{MAP, Place};
use crate::sync::Served;

type Memory = Db<MemoryStore>;

/// What a moment is at most, on a machine that has much else to do.
const MOMENT: Duration = Duration::from_secs(60);

fn edit(db: &Memory) {
    db.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() }).unwrap();
}

/// Waits until something is so; returns how long that took.
#[track_caller]
fn soon(mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < MOMENT, "it does not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A database that is served, with somebody who follows it, through a line that can be cut.
struct Line {
    there: Arc<Memory>,
    here: Arc<Memory>,
    /// Bytes that crossed, both ways.
    crossed: Arc<AtomicU64>,
    /// How often it was connected.
    connected: Arc<AtomicUsize>,
    cut: Arc<tokio::sync::Notify>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), NetError>>,
    runtime: Runtime,
}

impl Line {
    fn new(there: Memory, here: Memory) -> Self {
        let (there, here) = (Arc::new(there), Arc::new(here));
        let runtime = runtime();
        let (crossed, connected) = (Arc::<AtomicU64>::default(), Arc::<AtomicUsize>::default());
        let cut = Arc::new(tokio::sync::Notify::new());
        let server = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = server.local_addr().unwrap();
        let options = ServeOptions { admit: Arc::new(|_| true), ..ServeOptions::default() };
        runtime.spawn(net::serve(Arc::clone(&there), server, options, std::future::pending()));
        // Somebody between them who counts, and cuts.
        let between = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let peer = format!("tcp://{}", between.local_addr().unwrap());
        runtime.spawn({
            let (crossed, cut) = (Arc::clone(&crossed), Arc::clone(&cut));
            async move {
                while let Ok((mut near, _)) = between.accept().await {
                    let mut far = TcpStream::connect(address).await.unwrap();
                    let (crossed, cut) = (Arc::clone(&crossed), Arc::clone(&cut));
                    tokio::spawn(async move {
                        let mut buffers = [[0; 4096], [0; 4096]];
                        let [out, back] = &mut buffers;
                        // Made once: who is told while something is written hears of it afterwards.
                        let mut is_cut = std::pin::pin!(cut.notified());
                        loop {
                            use tokio::io::{AsyncReadExt, AsyncWriteExt};
                            let (count, to, bytes) = tokio::select! {
                                () = &mut is_cut => return,
                                count = near.read(out) => (count, &mut far, &*out),
                                count = far.read(back) => (count, &mut near, &*back),
                            };
                            let Ok(count @ 1..) = count else { return };
                            crossed.fetch_add(count as u64, Ordering::Relaxed);
                            to.write_all(&bytes[..count]).await.unwrap();
                        }
                    });
                }
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = {
            let (here, connected) = (Arc::clone(&here), Arc::clone(&connected));
            let handle = runtime.handle().clone();
            runtime.spawn_blocking(move || {
                let identity = Identity::of(&here).unwrap();
                let address: net::Address = peer.parse().unwrap();
                let dial = || {
                    connected.fetch_add(1, Ordering::Relaxed);
                    net::dial(&address, &identity, Arc::new(|_| true))
                };
                let report = |followed: Followed<'_>| {
                    if let Followed::Lost { why, .. } = followed {
                        eprintln!("lost: {why:?}");
                    }
                };
                let stop = async { drop(stopped.await) };
                handle.block_on(net::follow(&here, dial, Options::default(), report, stop))
            })
        };
        Self { there, here, crossed, connected, cut, stop, ended, runtime }
    }

    fn is_equal(&self) -> bool {
        self.here.root() == self.there.root()
    }

    fn end(self) {
        drop(self.stop);
        self.runtime.block_on(self.ended).unwrap().unwrap();
        self.here.verify().unwrap();
        self.there.verify().unwrap();
        self.runtime.shutdown_background();
    }
}

#[test]
fn edits_on_either_side_arrive_within_a_moment_and_silence_costs_nothing() {
    let (there, here) = (Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
    edit(&there);
    edit(&here);
    let line = Line::new(there, here);
    soon(|| line.is_equal());
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        edit(if round % 2 == 0 { &line.there } else { &line.here });
        slowest = slowest.max(soon(|| line.is_equal()));
    }
    println!("an edit arrives after at most {slowest:?}");
    // Nobody asks: while nothing happens, nothing crosses.
    std::thread::sleep(Duration::from_millis(300));
    let before = line.crossed.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(line.crossed.load(Ordering::Relaxed), before);
    edit(&line.there);
    soon(|| line.is_equal());
    let after = line.crossed.load(Ordering::Relaxed);
    println!("{} bytes for one edit, with all that secures it", after - before);
    assert!(after - before < 1_000);
    assert_eq!((line.connected.load(Ordering::Relaxed), line.here.counts().entries), (1, 23));
    line.end();
}

#[test]
fn what_is_written_while_the_line_is_cut_is_exchanged_afterwards() {
    let line = Line::new(Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
    edit(&line.there);
    soon(|| line.is_equal());
    for round in 1..=2 {
        // In the middle of edits on both sides.
        for number in 0..40 {
            edit(if number % 3 == 0 { &line.there } else { &line.here });
            if number == 20 {
                line.cut.notify_waiters();
            }
        }
        soon(|| line.connected.load(Ordering::Relaxed) == 1 + round);
        soon(|| line.is_equal());
        // It is connected again.
        edit(&line.there);
        soon(|| line.is_equal());
        assert_eq!(line.here.counts().entries, 1 + 41 * round as u64);
    }
    line.end();
}

#[test]
fn three_who_follow_one_have_what_each_writes() {
    let hub = Line::new(Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
    let (first, second) = (Arc::clone(&hub.here), Arc::new(Db::in_memory("osm").unwrap()));
    // The second one follows the first one: what the hub hears goes on.
    let (near, far) = tokio::io::duplex(1 << 16);
    let (db, handle) = (Arc::clone(&first), hub.runtime.handle().clone());
    hub.runtime
        .spawn_blocking(move || handle.block_on(net::sync_over(&*db, near, Options::default(), |_| ())));
    let (db, handle) = (Arc::clone(&second), hub.runtime.handle().clone());
    hub.runtime.spawn_blocking(move || {
        let follow = Options { follow: true, ..Options::default() };
        handle.block_on(net::sync_over(&*db, far, follow, |_| ()))
    });
    for db in [&hub.there, &first, &second, &hub.there] {
        edit(db);
        let root = db.root();
        soon(|| [&hub.there, &first, &second].iter().all(|db| db.root() == root));
    }
    assert_eq!(second.counts().entries, 4);
    hub.end();
}

#[test]
fn the_program_follows_a_peer() {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.run(["--db", "there", "import", "map.osm"]).done();
    let served = Served::start(&place, "there", &[]);
    let peer = format!("tcp://{}", served.address);
    let mut command = place.command(["--db", "here", "sync", &peer, "--follow", "--json"]);
    command.args(["--accept", &served.fingerprint]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!((next()["gained"].as_u64(), place.path("here").exists()), (Some(10), true));
    // Somebody else brings something there.
    place.write("more.osm", MAP.replace("id=\"1\"", "id=\"1001\""));
    place.run(["--db", "third", "import", "map.osm", "more.osm"]).done();
    place.run(["--db", "third", "sync", &peer, "--accept", &served.fingerprint]).done();
    let news = next();
    let root = place.run(["--db", "third", "root"]).done();
    assert!(news["gained"].as_u64() > Some(0) && news["root"].as_str() == Some(root.trim()), "{news}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.run(["--db", "here", "root"]).done(), root);
    let sentence = place.run(["--db", "here", "sync", "third", "--follow"]).refused(2);
    assert!(sentence.contains("nobody tells what is new in a directory"), "{sentence}");
}

#[test]
fn a_sync_beside_edits_that_never_pause_says_so() {
    let (place, there, runtime) = (Place::new(), Arc::new(Db::in_memory("osm").unwrap()), runtime());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let fingerprint = Identity::of(&*there).unwrap().fingerprint().to_string();
    let options = ServeOptions { admit: Arc::new(|_| true), ..ServeOptions::default() };
    runtime.spawn(net::serve(Arc::clone(&there), listener, options, std::future::pending()));
    let sync = || place.run(["--db", "here", "sync", &address, "--accept", &fingerprint]).done();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let edits = threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                edit(&there);
            }
        });
        soon(|| sync().contains("\nedits went on meanwhile: sync again for the rest\nroot "));
        is_over.store(true, Ordering::Relaxed);
        edits.join().unwrap();
    });
    let last = sync();
    assert!(!last.contains("edits went on"), "{last}");
    assert!(last.ends_with(&format!("root {}\n", there.root())), "{last}");
}
