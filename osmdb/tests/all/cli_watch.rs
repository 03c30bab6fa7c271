//! `watch` beside processes that write, and waiting for a database that another process has open.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::program::Place;
use osmdb::Db;
use serde_json::Value;

/// No test waits longer for a line.
const SOON: Duration = Duration::from_secs(60);

/// A running `osmdb watch`.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    notes: BufReader<ChildStderr>,
    /// The root from which it tells.
    begin: String,
}

impl Watching {
    /// Starts one, and waits until it has begun.
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(["--wait", "60", "watch"]);
        let command = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut notes = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        notes.read_line(&mut first).unwrap();
        let words: Vec<&str> = first.split_whitespace().collect();
        assert_eq!(words[..4], ["watching", "./osm.db", "from", "root"], "{first}");
        Self { child, lines, notes, begin: words[4].to_owned() }
    }

    #[track_caller]
    fn next(&self) -> String {
        self.lines.recv_timeout(SOON).unwrap()
    }

    /// Ends it as Ctrl-C does, and returns the root that it names last.
    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        // Twice at once, as whoever signals a process and its group does.
        assert!(Command::new("kill").args(["-INT", &id, &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut notes = String::new();
        self.notes.read_to_string(&mut notes).unwrap();
        assert_eq!(self.lines.iter().collect::<Vec<_>>(), [""; 0], "{notes}");
        notes.lines().last().unwrap().strip_prefix("root ").unwrap().to_owned()
    }
}

/// Opens the database, which a watch may have open for a moment.
fn open(place: &Place) -> Db {
    let open = || Db::open(place.path("osm.db")).ok();
    let tries = (0..600).map(|_| {
        open().or_else(|| {
            thread::sleep(Duration::from_millis(100));
            None
        })
    });
    tries.flatten().next().unwrap()
}

const NODE: &str = r#"{"type":"node","id":1,"lat":1,"lon":1,"tags":{"name":"%"}}"#;

#[test]
#[cfg(unix)]
fn changes_of_other_processes_are_told_and_none_of_them_fails() {
    let place = Place::with_map();
    let watching = Watching::start(&place, &[]);
    assert_eq!(watching.begin, place.run(["root"]).done().trim());
    place.feed(&["put"], NODE).done();
    assert_eq!(watching.next(), "updated node/1");
    place.write("more.osm", "<osm><node id='50' lat='5' lon='5'/></osm>");
    place.run(["import", "more.osm"]).done();
    assert_eq!(watching.next(), "added node/50");
    place.run(["delete", "node/50"]).done();
    assert_eq!(watching.next(), "removed node/50");

    // Two writers at once, and the watch between them.
    thread::scope(|threads| {
        for id in [60, 70] {
            let place = &place;
            threads.spawn(move || {
                for id in id..id + 5 {
                    let node = format!(r#"{{"type":"node","id":{id},"lat":1,"lon":1}}"#);
                    place.feed(&["--wait", "60", "put"], &node).done();
                }
            });
        }
    });
    let mut added: Vec<String> = (0..10).map(|_| watching.next()).collect();
    added.sort();
    let expected = (60..65).chain(70..75).map(|id| format!("added node/{id}"));
    assert_eq!(added, expected.collect::<Vec<_>>());
    assert_eq!(watching.end(), place.run(["root"]).done().trim());
}

#[test]
#[cfg(unix)]
fn a_watch_goes_on_where_another_ended() {
    let place = Place::with_map();
    let watching = Watching::start(&place, &["node/1", "--present", "--json"]);
    let line: Value = serde_json::from_str(&watching.next()).unwrap();
    assert_eq!((&line["what"], &line["type"], &line["id"]), (&"present".into(), &"node".into(), &1.into()));
    assert_eq!(line["heads"][0]["osm"]["timestamp"], "2024-02-29T12:34:56Z");
    let root = watching.end();

    place.feed(&["put"], &NODE.replace('%', "first")).done();
    place.feed(&["put"], &NODE.replace("\"id\":1", "\"id\":3")).done();
    let watching = Watching::start(&place, &["node/1", "--json", "--since", &root]);
    assert_eq!(watching.begin, root);
    let line: Value = serde_json::from_str(&watching.next()).unwrap();
    assert_eq!((&line["what"], &line["heads"][0]["tags"]["name"]), (&"updated".into(), &"first".into()));
    watching.end();

    // Only what is in the box, and with it the way that a node of it moves.
    let watching = Watching::start(&place, &["--bbox", "1.9,0.9,2.1,1.1", "--present"]);
    let mut present = [watching.next(), watching.next()];
    present.sort();
    assert_eq!(present, ["present relation/9", "present way/5"]);
    place.run(["delete", "node/10"]).done();
    place.feed(&["put"], r#"{"type":"node","id":2,"lat":1.05,"lon":3}"#).done();
    assert_eq!(watching.next(), "updated way/5");
    watching.end();
}

#[test]
#[cfg(unix)]
fn what_was_told_of_last_may_be_collected() {
    let place = Place::with_map();
    let mut watching = Watching::start(&place, &[]);
    let mut db = open(&place);
    // The watch sees the database only when both are over.
    db.delete("node/10".parse().unwrap()).unwrap();
    db.gc(osmdb::Keep { newest: 1, since: None }).unwrap();
    drop(db);
    let mut note = String::new();
    watching.notes.read_line(&mut note).unwrap();
    assert_eq!(note, "what was told of last is collected: changes since are left out\n");
    place.run(["delete", "node/11"]).done();
    assert_eq!(watching.next(), "removed node/11");
    watching.end();
}

#[test]
fn a_database_in_use_is_waited_for() {
    let place = Place::with_map();
    let db = Db::open(place.path("osm.db")).unwrap();
    let root = format!("{}\n", db.root());
    let error = place.run(["--wait", "0", "root"]).refused(1);
    let expected =
        "another process has ./osm.db open: close it first; or give it more time with --wait SECONDS";
    assert_eq!(error, expected);
    place.write("more.osm", "<osm><node id='50' lat='5' lon='5'/></osm>");
    assert_eq!(place.run(["import", "--wait", "0", "more.osm"]).refused(1), expected);
    thread::scope(|threads| {
        let running = threads.spawn(|| place.run(["--wait", "60", "root"]));
        thread::sleep(Duration::from_millis(1500));
        drop(db);
        let ran = running.join().unwrap();
        assert_eq!(ran.stderr, "waiting for another process to close ./osm.db\n");
        assert_eq!(ran.done(), root);
    });
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let place = Place::new();
    assert!(place.run(["watch"]).refused(1).contains("holds no database"));
    place.write("map.osm", "<osm><node id='1' lat='1' lon='1'/></osm>");
    place.run(["import", "map.osm"]).done();
    assert!(place.run(["watch", "node/1", "--bbox", "0,0,1,1"]).refused(2).contains("cannot be used with"));
    assert!(place.run(["watch", "--at", "0"]).refused(2).contains("--at is for reading alone"));
    let sentence = place.run(["watch", "--wait", "long"]).refused(2);
    assert!(sentence.starts_with("invalid value 'long' for '--wait <SECONDS>'"), "{sentence}");
    assert!(place.run(["watch", "--since", "0"]).refused(1).contains("was not there at 0"));
}
