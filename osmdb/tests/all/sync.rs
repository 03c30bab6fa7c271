//! Two programs that sync, over everything that can carry them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use osmdb::{Coord, Db, ElementId, Payload, Tags};
use prolly::FjallStore;
use serde_json::Value;

use crate::program::Place;

pub fn node(lat: u64) -> Payload {
    let coord = Coord::new(i64::try_from(lat).unwrap(), 7).unwrap();
    Payload::Node { coord, tags: Tags::from([("name", "somewhere")]) }
}

pub fn put(dir: &Path, ids: impl IntoIterator<Item = u64>, lat: u64) {
    let db = Db::create_or_open(dir).unwrap();
    let mut batch = db.batch();
    for id in ids {
        batch.put(ElementId::node(id), node(id + lat));
    }
    batch.commit().unwrap();
}

/// Makes the databases `a` and `b`, and returns how many entries they have together.
pub fn pair(place: &Place, case: usize) -> u64 {
    let (a, b) = (place.path("a"), place.path("b"));
    match case {
        // One that is not there yet.
        0 => {
            put(&b, 1..300, 0);
            299
        }
        // A root in common, forks, a deletion.
        1 => {
            put(&a, 1..300, 0);
            place.run(["--db", "b", "merge", "a"]).done();
            put(&a, 1..40, 10);
            put(&b, 20..60, 20);
            Db::open(&a).unwrap().delete(ElementId::node(200)).unwrap();
            299 + 39 + 40 + 1
        }
        // Nothing in common.
        2 => {
            put(&a, 1..100, 0);
            put(&b, 50..200, 0);
            99 + 150
        }
        // Equal ones.
        _ => {
            put(&a, 1..10, 0);
            place.run(["--db", "b", "merge", "a"]).done();
            9
        }
    }
}

pub fn root(place: &Place, name: &str) -> String {
    place.run(["--db", name, "root"]).done().trim().to_owned()
}

pub fn entries(place: &Place, name: &str) -> u64 {
    place.run(["--db", name, "verify"]).done();
    Db::open(place.path(name)).unwrap().counts().entries
}

/// A program that serves a database.
pub struct Served {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub address: String,
    pub fingerprint: String,
}

impl Served {
    pub fn start(place: &Place, db: &str, more: &[&str]) -> Self {
        let mut command = place.command(["serve", "--sync", "--listen", "127.0.0.1:0", db]);
        let mut child = command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let line = line.trim().strip_prefix("listening at tcp://").unwrap_or_else(|| panic!("{line}"));
        let (address, fingerprint) = line.split_once(", fingerprint ").unwrap();
        let (address, fingerprint) = (address.to_owned(), fingerprint.to_owned());
        Self { child, lines, address, fingerprint }
    }

    /// Returns what is printed of the next visit.
    pub fn visit(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_pair_becomes_one_over_everything() {
    for carrier in ["tcp", "ws", "exec", "directory"] {
        for case in 0..4 {
            let place = Place::new();
            let expected = pair(&place, case);
            let program = env!("CARGO_BIN_EXE_osmdb");
            let (peer, served) = match carrier {
                "exec" => (format!("exec:'{program}' serve --stdio b"), None),
                "directory" => ("b".to_owned(), None),
                scheme => {
                    let served = Served::start(&place, "b", &[]);
                    (format!("{scheme}://{}", served.address), Some(served))
                }
            };
            let mut arguments =
                vec!["--db".to_owned(), "a".into(), "sync".into(), peer.clone(), "--json".into()];
            if let Some(served) = &served {
                arguments.extend(["--accept".into(), served.fingerprint.clone()]);
            }
            let ran = place.run(&arguments);
            assert_eq!(ran.stderr, "", "{carrier} {case}");
            let done: Value = serde_json::from_str(&ran.done()).unwrap();
            // It is over there too when it is over here.
            let visit = served.map(|mut served| served.visit()).unwrap_or_default();
            assert_eq!(root(&place, "a"), root(&place, "b"), "{carrier} {case}");
            assert_eq!(entries(&place, "a"), expected, "{carrier} {case}");
            assert_eq!(entries(&place, "b"), expected, "{carrier} {case}");
            assert_eq!(done["root"], root(&place, "a").as_str(), "{carrier} {case}");
            assert_eq!(done["their_root"], done["root"], "{carrier} {case}");
            let (gained, given) = (done["gained"].as_u64().unwrap(), done["given"].as_u64().unwrap());
            if matches!(carrier, "tcp" | "ws") {
                assert!(visit.contains(&format!(" gained {given} ")), "{visit}");
                assert!(visit.contains(&format!("gave {gained},")), "{visit}");
            }
            match case {
                0 => assert_eq!((gained, given), (299, 0)),
                1 => {
                    assert_eq!((gained, given), (40, 40));
                    assert_eq!(done["forked"].as_array().unwrap().len(), 20);
                }
                _ => {}
            }
            if carrier != "directory" {
                let most = if case == 2 { 4 } else { 1 };
                assert!(done["round_trips"].as_u64().unwrap() <= most, "{carrier} {case}: {done}");
            }
        }
    }
}

#[test]
fn what_a_sync_prints() {
    let place = Place::new();
    pair(&place, 1);
    let served = Served::start(&place, "b", &[]);
    let peer = format!("tcp://{}", served.address);
    let said = place.run(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]).done();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert_eq!(lines[0], format!("synced with {} ({peer})", served.fingerprint));
    assert_eq!(lines[1], "gained 40 entries, gave 40, 20 forks, 0 refused");
    assert!(lines[2].starts_with("1 round trip, "), "{said}");
    assert!(lines[3].starts_with("common root bafy"), "{said}");
    assert_eq!(lines[4], format!("root {}", root(&place, "a")));
    // It is remembered: nobody is asked again, and a name can be given to it.
    let listed = place.run(["--db", "a", "peers"]).done();
    assert!(listed.contains(&format!("{}  {peer}  synced ", served.fingerprint)), "{listed}");
    assert!(listed.lines().next().unwrap().ends_with("  this database"), "{listed}");
    place.run(["--db", "a", "peers", "accept", &served.fingerprint, "Hilltop"]).done();
    let said = place.run(["--db", "a", "sync", &peer]).done();
    assert!(said.starts_with(&format!("synced with Hilltop ({peer})\ngained 0 entries")), "{said}");
    assert!(said.contains("\nboth were equal\n"), "{said}");
    let listed = place.run(["--db", "a", "peers", "--json"]).done();
    let peer: Value = serde_json::from_str(listed.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&peer["name"], &peer["root"]), (&"Hilltop".into(), &root(&place, "a").into()));
    // Forgotten, it is unknown again.
    place.run(["--db", "a", "peers", "forget", "Hilltop"]).done();
    let sentence = place.run(["--db", "a", "sync", &format!("tcp://{}", served.address)]).refused(1);
    assert!(sentence.ends_with(&format!("try again with --accept {}", served.fingerprint)), "{sentence}");
    let sentence = place.run(["--db", "a", "peers", "forget", "Hilltop"]).refused(1);
    assert_eq!(sentence, "no peer is called `Hilltop`: see `osmdb peers`");
}

#[test]
fn who_is_not_known_is_refused_until_somebody_lets_it_in() {
    let place = Place::new();
    pair(&place, 2);
    let before = root(&place, "b");
    let mut served = Served::start(&place, "b", &["--allow", "known"]);
    for scheme in ["tcp", "ws"] {
        let peer = format!("{scheme}://{}", served.address);
        let wrong = "11111-22222-33333-44444";
        let sentence = place.run(["--db", "a", "sync", &peer, "--accept", wrong]).refused(1);
        assert!(sentence.contains("the peer is not known here: its fingerprint is"), "{sentence}");
        let visit = served.visit();
        assert!(visit.contains("failed: the peer does not know this device"), "{visit}");

        let sentence = place.run(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]).refused(1);
        let visit = served.visit();
        let (_, command) = visit.split_once("refused: not known here; `osmdb ").unwrap();
        let command = command.split_once('`').unwrap().0;
        assert!(sentence.contains(&format!("ask for `osmdb {command}` there")), "{sentence}");
        // While it serves.
        let arguments: Vec<&str> = ["--db", "b"].into_iter().chain(command.split(' ')).collect();
        place.run(&arguments).done();
        place.run(["--db", "a", "sync", &peer]).done();
        assert!(served.visit().contains("gained "));
        let fingerprint = command.split(' ').next_back().unwrap();
        place.run(["--db", "b", "peers", "forget", fingerprint]).done();
        place.run(["--db", "a", "peers", "forget", &served.fingerprint]).done();
    }
    drop(served);
    assert_ne!(root(&place, "b"), before);
    assert_eq!(root(&place, "a"), root(&place, "b"));
}

#[test]
fn an_unknown_peer_leaves_a_new_database_that_keeps_its_key() {
    let place = Place::new();
    put(&place.path("b"), 1..10, 0);
    let served = Served::start(&place, "b", &["--allow", "known"]);
    let peer = format!("tcp://{}", served.address);
    let ask = || place.run(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]).refused(1);
    // Whoever lets it in by what it says now meets the same key the next time.
    assert_eq!(ask(), ask());
    assert!(place.path("a").exists());
    drop(served);
    // Where nobody is, nothing is made.
    let sentence = place.run(["--db", "c", "sync", &peer]).refused(1);
    assert!(sentence.ends_with("is `osmdb serve --sync` running there?"), "{sentence}");
    assert!(!place.path("c").exists());
}

#[test]
fn other_datasets_are_left_alone() {
    let place = Place::new();
    put(&place.path("a"), 1..10, 0);
    let other = FjallStore::open(place.path("b")).unwrap();
    drop(Db::with_store(other, "village").unwrap());
    let before = (root(&place, "a"), root(&place, "b"));
    let mut served = Served::start(&place, "b", &[]);
    let peer = format!("tcp://{}", served.address);
    let sentence = place.run(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]).refused(1);
    assert!(sentence.contains("the peer holds another dataset"), "{sentence}");
    assert!(served.visit().contains("the peer holds another dataset"));
    drop(served);
    let sentence = place.run(["--db", "a", "sync", "b"]).refused(1);
    assert!(sentence.contains("the datasets do not belong together"), "{sentence}");
    assert_eq!((root(&place, "a"), root(&place, "b")), before);
}

#[test]
fn several_peers_in_one_call() {
    let place = Place::new();
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        let first = 100 * u64::try_from(number).unwrap() + 1;
        put(&place.path(name), first..first + 10, 0);
    }
    let ran = place.run(["--db", "a", "sync", "b", "nowhere", "c", "b"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stdout.matches("synced with ").count(), 3, "{ran:?}");
    assert_eq!(
        ran.stderr,
        "osmdb: nowhere holds no database: name the directory of the database to merge from\n"
    );
    for name in ["a", "b", "c"] {
        assert_eq!(entries(&place, name), 30);
    }
}

#[test]
fn what_cannot_be_asked_for() {
    let place = Place::with_map();
    place.run(["sync", "./osm.db"]).refused(2);
    let sentence = place.run(["sync", "wss://hilltop"]).refused(2);
    assert!(sentence.contains("`wss://hilltop` is no peer: expected tcp://HOST:PORT"), "{sentence}");
    place.run(["serve", "--listen", "127.0.0.1:0"]).refused(2);
    place.run(["serve", "--sync", "--stdio"]).refused(2);
    place.run(["sync"]).refused(2);
    let sentence = place.run(["serve", "--sync", "nowhere"]).refused(1);
    assert!(sentence.starts_with("nowhere holds no database"), "{sentence}");
    let sentence = place.run(["sync", "exec:exit 3"]).refused(1);
    assert!(sentence.contains("the connection ended before all was exchanged"), "{sentence}");
    // Somebody serves the other one: only one program at a time has it.
    put(&place.path("b"), 1..3, 0);
    let _served = Served::start(&place, "b", &[]);
    let sentence = place.run(["--wait", "0", "sync", "b"]).refused(1);
    assert!(sentence.contains("another process has b open"), "{sentence}");
    let listed = place.run(["--db", "b", "peers"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), ""));
}

/// Hides what differs from run to run.
fn masked(line: &str) -> String {
    let word = |word: &str| -> String {
        let place = ["tcp://", "(10.", "(127."].iter().any(|start| word.contains(start));
        match word {
            word if word.starts_with("bafyr4i") => "ROOT".to_owned(),
            _ if place => "PLACE".to_owned(),
            word => word.chars().map(|sign| if sign.is_ascii_digit() { '#' } else { sign }).collect(),
        }
    };
    let line = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    // A figure has as many digits as it has, and its unit follows from it.
    let line = line.split('#').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#");
    line.replace("#.# kB", "# bytes")
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = include_str!("../../../README.md");
    let place = Place::new();
    pair(&place, 1);
    let mut served = Served::start(&place, "a", &[]);
    let peer = format!("tcp://{}", served.address);
    let hello = format!("listening at {peer}, fingerprint {}", served.fingerprint);
    let said = place.run(["--db", "b", "sync", &peer, "--accept", &served.fingerprint]).done();
    let visit = served.visit();
    let shown: Vec<String> = readme.lines().map(masked).collect();
    for line in [hello.as_str()].into_iter().chain(said.lines()) {
        assert!(shown.contains(&masked(line)), "the README does not show: {line}");
    }
    // The README's visitor has a name.
    let (_, rest) = visit.trim().split_once("): ").unwrap();
    assert!(shown.iter().any(|line| line.ends_with(&masked(rest))), "the README does not show: {visit}");
}

/// Numbers that look random, and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Passes one connection on, until so many bytes went to the one who called.
fn proxy(to: &str, left: u64) -> (String, std::thread::JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let to = to.to_owned();
    let passing = std::thread::spawn(move || {
        let (caller, _) = listener.accept().unwrap();
        let server = TcpStream::connect(to).unwrap();
        let up = {
            let (mut from, mut to) = (caller.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
                // If bytes came that nobody reads, the system would throw away what is on its way to the caller.
                let _ = std::io::copy(&mut from, &mut std::io::sink());
            })
        };
        let passed = Arc::new(AtomicU64::new(0));
        let (mut from, mut to) = (server.try_clone().unwrap().take(left), caller.try_clone().unwrap());
        let mut buffer = [0; 4_096];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
            }
            passed.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        let _ = caller.shutdown(Shutdown::Write);
        let _ = server.shutdown(Shutdown::Both);
        up.join().unwrap();
        passed.load(Ordering::Relaxed)
    });
    (address, passing)
}

#[test]
fn a_sync_that_is_cut_goes_on_where_it_was() {
    let mut numbers = Numbers(3);
    // Who has nothing, and who has something else.
    for (scheme, own) in [("tcp", 0), ("ws", 0), ("tcp", 5_000)] {
        let place = Place::new();
        for (ours, theirs) in [("a", "b"), ("whole-a", "whole-b")] {
            put(&place.path(theirs), (1..20_000).map(|id| id * 77), 0);
            if own > 0 {
                put(&place.path(ours), (1..own).map(|id| id * 77 + 1), 1);
            }
        }
        let whole = {
            let served = Served::start(&place, "whole-b", &[]);
            let peer = format!("{scheme}://{}", served.address);
            let words = ["--db", "whole-a", "sync", &peer, "--accept", &served.fingerprint, "--json"];
            let done = place.run(words).done();
            serde_json::from_str::<Value>(&done).unwrap()["wire_bytes_in"].as_u64().unwrap()
        };
        let served = Served::start(&place, "b", &[]);
        let (mut all, mut tries) = (0, 0);
        loop {
            tries += 1;
            let (address, passing) = proxy(&served.address, 2_000 + numbers.below(whole / 4));
            let peer = format!("{scheme}://{address}");
            let ran = place.run(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]);
            all += passing.join().unwrap();
            if ran.code == Some(0) {
                break;
            }
            let sentence = ran.refused(1);
            assert!(sentence.contains("sync again, what came is not sent again"), "{sentence}");
        }
        drop(served);
        assert_eq!(root(&place, "a"), root(&place, "b"));
        assert!(tries > 3, "{tries} tries");
        // A try repeats a message at most, and the handshake.
        assert!(all < whole + tries * 25_000, "{scheme}: {all} bytes in {tries} tries, {whole} in one");
        for inbox in ["a/inbox", "b/inbox"] {
            assert_eq!(std::fs::read_dir(place.path(inbox)).unwrap().count(), 0, "nothing is left");
        }
    }
}

#[test]
fn a_killed_program_loses_nothing() {
    let place = Place::new();
    put(&place.path("a"), 1..4_000, 0);
    put(&place.path("b"), 3_000..9_000, 1);
    let expected = 3_999 + 6_000;
    let mut numbers = Numbers(5);
    for round in 0..6 {
        let mut served = Served::start(&place, "b", &[]);
        let peer = format!("tcp://{}", served.address);
        let mut command = place.command(["--db", "a", "sync", &peer, "--accept", &served.fingerprint]);
        let mut caller = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 + numbers.below(400)));
        // One side after the other dies in the middle.
        let victim = if round % 2 == 0 { &mut caller } else { &mut served.child };
        victim.kill().unwrap();
        caller.wait().unwrap();
        drop(served);
    }
    place.run(["--db", "a", "sync", "b"]).done();
    assert_eq!((entries(&place, "a"), entries(&place, "b")), (expected, expected));
    assert_eq!(root(&place, "a"), root(&place, "b"));
}

#[cfg(unix)]
#[test]
fn ssh_is_asked_to_serve() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let expected = pair(&place, 1);
    // Stands in for `ssh`: says how it was called, and runs the words as the shell there would.
    let script = "#!/bin/sh\necho \"$@\" > called\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nexec sh -c \"$*\"\n";
    place.write("ssh", script);
    std::fs::set_permissions(place.path("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_osmdb")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", place.path("").display(), program.display());
    let peer = format!("ssh://amina@hilltop:22{}", place.path("b").display());
    let output = place.command(["--db", "a", "sync", &peer]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let called = std::fs::read_to_string(place.path("called")).unwrap();
    let expected_call =
        format!("-p 22 -- amina@hilltop osmdb serve --stdio '{}'\n", place.path("b").display());
    assert_eq!(called, expected_call);
    assert_eq!((entries(&place, "a"), entries(&place, "b")), (expected, expected));
}
