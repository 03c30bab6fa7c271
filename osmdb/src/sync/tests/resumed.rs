//! Walks that are cut anywhere, again and again: they go on where they were, whoever said what had come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prolly::MemoryStore;

use super::cuts::Numbers;
use super::hostile::{Memory, same, strangers};
use super::{copy, edit, filled, imported, into};
use crate::model::{Coord, ElementId, Payload, Tags};
use crate::sync::message::{self, Had, Message};
use crate::sync::transcript::Extent;
use crate::sync::wire::{Incoming, Outgoing};
use crate::sync::{FRAME_BYTES, Inbox, MAX_SILENCE, Session, Summary, SyncError, Way};

/// What one try has come to.
struct Try {
    bytes: u64,
    /// Entries that came on either side.
    entries: u64,
    ways: Option<(Summary, Summary)>,
}

type Talker<'a> = Session<'a, MemoryStore>;

/// Lets two talk, a frame of one and a frame of the other, until so many bytes were sent by both together or nothing is
/// left to be said. Returns how many were.
fn exchange(here: &mut Talker<'_>, there: &mut Talker<'_>, most: u64) -> u64 {
    let mut bytes = 0;
    let mut pass = |from: &mut Talker<'_>, to: &mut Talker<'_>| {
        if bytes == most {
            return false;
        }
        let Some(frame) = from.send().unwrap() else { return false };
        let some = &frame[..frame.len().min(usize::try_from(most - bytes).unwrap_or(usize::MAX))];
        bytes += some.len() as u64;
        to.receive(some).unwrap();
        true
    };
    while pass(here, there) | pass(there, here) {}
    bytes
}

fn begin<'a>(databases: [&'a Memory; 2], inboxes: &[Arc<Inbox>; 2]) -> (Talker<'a>, Talker<'a>) {
    let [here, there] = [0, 1].map(|side| Session::new(databases[side], into(&inboxes[side])).unwrap());
    (here, there)
}

/// Lets two talk, and cuts the connection after so many bytes.
fn talk(databases: [&Memory; 2], inboxes: &[Arc<Inbox>; 2], most: u64) -> Try {
    let (mut here, mut there) = begin(databases, inboxes);
    let bytes = exchange(&mut here, &mut there, most);
    let is_done = here.is_finished() && there.is_finished();
    assert!(is_done || bytes == most, "both wait for each other");
    let entries = here.summary().received + there.summary().received;
    let ways = is_done.then(|| (here.summary(), there.summary()));
    Try { bytes, entries, ways }
}

fn in_memory() -> [Arc<Inbox>; 2] {
    [(); 2].map(|()| Arc::new(Inbox::in_memory()))
}

fn in_dir(dir: &Path) -> [Arc<Inbox>; 2] {
    ["here", "there"].map(|side| Arc::new(Inbox::in_dir(dir.join(side)).unwrap()))
}

fn left_in(dir: &Path) -> usize {
    ["here", "there"].map(|side| std::fs::read_dir(dir.join(side)).unwrap().count()).iter().sum()
}

/// Cuts a meeting after some bytes, again and again, until it is through; many times.
fn cut_again_and_again(ours: &Memory, theirs: &Memory, runs: u64, most: u64) {
    let (whole, united) = {
        let (ours, theirs) = (copy(ours), copy(theirs));
        let whole = talk([&ours, &theirs], &in_memory(), u64::MAX);
        assert_eq!(ours.root(), theirs.root());
        (whole, ours.root())
    };
    assert_eq!(whole.ways.as_ref().unwrap().0.way, Some(Way::Walk));
    // What each try begins with, on either side: a hello with parts, a compressor that knows nothing yet, and messages
    // that were not whole.
    let repeated = 2 * FRAME_BYTES as u64;
    let mut numbers = Numbers(7);
    let dir = tempfile::tempdir().unwrap();
    let mut cuts = 0;
    for run in 0..runs {
        let (ours, theirs) = (copy(ours), copy(theirs));
        let before = [ours.root(), theirs.root()];
        let on_disk = run % 2 == 1;
        let mut inboxes = in_memory();
        let (mut bytes, mut entries, mut tries) = (0, 0, 0_u64);
        loop {
            if on_disk {
                // As after a crash: only what is in files is left. A session that ends puts nothing there.
                drop(inboxes);
                inboxes = in_dir(dir.path());
            }
            tries += 1;
            assert!(tries < 1_000, "no end");
            let one = talk([&ours, &theirs], &inboxes, 1 + numbers.below(most));
            bytes += one.bytes;
            entries += one.entries;
            if one.ways.is_some() {
                break;
            }
            cuts += 1;
            for (side, db) in [&ours, &theirs].into_iter().enumerate() {
                assert!([before[side], united].contains(&db.root()), "half of a stream is never seen");
            }
        }
        assert_eq!((ours.root(), theirs.root()), (united, united));
        assert_eq!(entries, whole.entries, "an entry came twice, in {tries} tries");
        let limit = whole.bytes + tries * repeated;
        assert!(bytes <= limit, "{bytes} bytes in {tries} tries, {} in one", whole.bytes);
        if on_disk {
            assert_eq!(left_in(dir.path()), 0, "nothing is left");
        }
    }
    assert!(cuts > runs, "{cuts} cuts in {runs} runs");
}

/// No root in common, and a few entries in the midst of many that differ.
fn nearly_equal() -> (Memory, Memory) {
    let ours = filled(3_000);
    let theirs = copy(&ours);
    for (db, step) in [(&ours, 40), (&theirs, 47)] {
        let mut batch = db.batch();
        for id in (0..60_u64).map(|n| step * n + 7) {
            // So long that there are several messages of them.
            let note = |n: u64| blake3::hash(&[id, n].map(u64::to_be_bytes).concat()).to_string();
            let tags: Vec<(String, String)> = (0..20).map(|n| (format!("note:{n}"), note(n))).collect();
            let tags = Tags::from_iter(tags);
            batch.put(ElementId::node(id), Payload::Node { coord: Coord::new(1, 2).unwrap(), tags });
        }
        batch.commit().unwrap();
    }
    (copy(&ours), copy(&theirs))
}

#[test]
fn walks_by_cells_go_on_where_they_were_cut() {
    let (ours, theirs) = nearly_equal();
    cut_again_and_again(&ours, &theirs, 12, 30_000);
}

#[test]
fn walks_by_lists_go_on_where_they_were_cut() {
    let (ours, theirs) = (imported(1, 1..12_001), imported(2, (0..6_000).map(|id| 2 * id + 1)));
    cut_again_and_again(&ours, &theirs, 4, 150_000);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_cuts_of_walks() {
    let (ours, theirs) = nearly_equal();
    cut_again_and_again(&ours, &theirs, 300, 30_000);
    let (ours, theirs) = (imported(1, 1..12_001), imported(2, (0..6_000).map(|id| 2 * id + 1)));
    cut_again_and_again(&ours, &theirs, 100, 150_000);
}

/// Meets once, cut after so many bytes.
fn cut_once(databases: [&Memory; 2], inboxes: &[Arc<Inbox>; 2], bytes: u64) {
    assert!(talk(databases, inboxes, bytes).ways.is_none(), "it was cut");
}

/// How many bytes a meeting has, but for the last.
fn most_of_it(ours: &Memory, theirs: &Memory) -> u64 {
    talk([&copy(ours), &copy(theirs)], &in_memory(), u64::MAX).bytes - 200
}

#[test]
fn who_edits_between_two_tries_loses_neither() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    // All but the last of it came.
    cut_once([&ours, &theirs], &inboxes, most_of_it(&ours, &theirs));
    edit(&ours, [5]);
    edit(&theirs, [6]);
    let end = talk([&ours, &theirs], &inboxes, u64::MAX);
    assert_eq!(ours.root(), theirs.root());
    assert!(end.entries < 40, "what came is not sent again: {} entries", end.entries);
    let heads = |id| ours.get(ElementId::node(id)).unwrap().len();
    assert_eq!((heads(5), heads(6)), (1, 1));
    ours.verify().unwrap();
}

#[test]
fn who_has_forgotten_all_begins_anew() {
    for forgets in [0, 1] {
        let (ours, theirs) = nearly_equal();
        let mut inboxes = in_memory();
        cut_once([&ours, &theirs], &inboxes, 20_000);
        inboxes[forgets] = Arc::new(Inbox::in_memory());
        let end = talk([&ours, &theirs], &inboxes, u64::MAX);
        assert_eq!((ours.root(), end.entries), (theirs.root(), 120));
    }
}

#[test]
fn another_one_can_come_in_between() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    cut_once([&ours, &theirs], &inboxes, most_of_it(&ours, &theirs));
    let (third, thirds) = (copy(&strangers().1), Arc::new(Inbox::in_memory()));
    cut_once([&third, &theirs], &[Arc::clone(&thirds), Arc::clone(&inboxes[1])], 6_000);
    let with_both = talk([&ours, &theirs], &inboxes, u64::MAX);
    assert!(with_both.entries < 120, "it went on: {} entries", with_both.entries);
    assert_eq!(ours.root(), theirs.root());
    // The root that was walked from is still here.
    assert!(talk([&third, &theirs], &[thirds, Arc::clone(&inboxes[1])], u64::MAX).ways.is_some());
    assert_eq!(third.root(), theirs.root());
}

#[test]
fn a_session_that_has_not_noticed_the_cut_lets_go() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    let (mut here, mut there) = begin([&ours, &theirs], &inboxes);
    exchange(&mut here, &mut there, most_of_it(&ours, &theirs));
    drop(here);
    // The other one stays, as where a radio link is silent.
    let end = talk([&ours, &theirs], &inboxes, u64::MAX);
    assert!(end.entries < 60, "it went on: {} entries", end.entries);
    assert_eq!(ours.root(), theirs.root());
    drop(there);
    assert!(inboxes.iter().all(|inbox| inbox.held().is_empty()));
}

#[test]
fn who_takes_in_much_again_may_be_silent_for_longer() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    cut_once([&ours, &theirs], &inboxes, most_of_it(&ours, &theirs));
    let messages: u32 = inboxes.iter().flat_map(|inbox| inbox.held()).map(|held| messages(&held.had)).sum();
    let (mut here, mut there) = begin([&ours, &theirs], &inboxes);
    here.tick(Duration::ZERO).unwrap();
    let hello = there.send().unwrap().unwrap();
    here.receive(&hello).unwrap();
    let longer = Duration::from_secs(u64::from(messages / 10));
    assert!(longer > Duration::ZERO, "{messages} messages");
    here.tick(MAX_SILENCE + longer).unwrap();
    let silent = here.tick(MAX_SILENCE + longer + Duration::from_secs(1));
    assert!(matches!(silent, Err(SyncError::Silence { .. })), "{silent:?}");
}

fn messages(had: &Had) -> u32 {
    match had {
        Had::Messages(extent) => extent.messages,
        Had::Cursor(_) => panic!("a stream"),
    }
}

/// Lets two talk to the end, with somebody between them who changes what goes to the left one, and cuts the connection
/// after so many messages of the right one. Returns how the session ends, and what was said to the right one.
fn between(
    databases: [&Memory; 2],
    inboxes: &[Arc<Inbox>; 2],
    mut most: usize,
    mut lie: impl FnMut(u8, &[u8]) -> Vec<(u8, Vec<u8>)>,
) -> (Result<(), SyncError>, Vec<u8>) {
    let (mut here, mut there) = begin(databases, inboxes);
    let (mut heard, mut told) = (Incoming::new(), Outgoing::new());
    let (mut back, mut said) = (Incoming::new(), Vec::new());
    let mut end = || -> Result<(), SyncError> {
        loop {
            let mut quiet = true;
            while most > 0
                && let Some(bytes) = there.send()?
            {
                quiet = false;
                heard.push(&bytes);
                while let Some((kind, body)) = heard.pop()? {
                    most -= 1;
                    for (kind, body) in lie(kind, &body) {
                        told.push(kind, &body, true)?;
                    }
                }
            }
            while let Some(bytes) = told.pop() {
                here.receive(&bytes)?;
            }
            if most == 0 {
                return Err(SyncError::Cut);
            }
            while let Some(bytes) = here.send()? {
                quiet = false;
                back.push(&bytes);
                while let Some((kind, _)) = back.pop()? {
                    said.push(kind);
                }
                there.receive(&bytes)?;
            }
            if here.is_finished() && there.is_finished() {
                return Ok(());
            }
            if quiet {
                here.tick(Duration::ZERO)?;
                here.tick(MAX_SILENCE * 1_000_000)?;
            }
        }
    };
    let ended = end();
    (ended, said)
}

#[test]
fn what_a_liar_left_is_forgotten_when_it_does_not_fit() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    // Nobody can see yet that a cell was changed.
    let (end, _) = between([&ours, &theirs], &inboxes, 2, |kind, body| {
        let mut body = body.to_vec();
        if kind == message::CELLS {
            body[200] ^= 1;
        }
        same(kind, &body)
    });
    assert!(matches!(end, Err(SyncError::Cut)), "{end:?}");
    assert!(inboxes.iter().all(|inbox| inbox.held().len() == 1));
    let mut heard = Vec::new();
    let (end, said) = between([&ours, &theirs], &inboxes, usize::MAX, |kind, body| {
        heard.push(kind);
        same(kind, body)
    });
    end.unwrap();
    assert!(said.contains(&message::ANEW) || heard.contains(&message::ANEW), "{said:?}, {heard:?}");
    assert_eq!(ours.root(), theirs.root());
    assert!(inboxes.iter().all(|inbox| inbox.held().is_empty()));
}

/// Changes what a hello says of the walk that was cut.
fn with_extent(body: &[u8], change: impl Fn(&mut Extent)) -> Vec<(u8, Vec<u8>)> {
    let Message::Hello(mut hello) = Message::decode(message::HELLO, body.to_vec().into()).unwrap() else {
        panic!("no hello")
    };
    for part in &mut hello.parts {
        let Had::Messages(extent) = &mut part.had else { panic!("no walk") };
        change(extent);
    }
    same(message::HELLO, &hello.encode())
}

#[test]
fn messages_that_were_never_said_are_not_passed_over() {
    let (ours, theirs) = nearly_equal();
    let inboxes = in_memory();
    let cut = || cut_once([&ours, &theirs], &inboxes, 20_000);
    // The peer holds others.
    cut();
    let (end, said) = between([&ours, &theirs], &inboxes, usize::MAX, |kind, body| match kind {
        message::HELLO => with_extent(body, |extent| extent.hash[3] ^= 1),
        _ => same(kind, body),
    });
    assert!(said.contains(&message::ANEW), "{said:?}");
    end.unwrap();
    assert_eq!(ours.root(), theirs.root());
    // The peer holds more than there is, and so waits for ever: it is given up, and the next session begins anew.
    let (ours, theirs) = nearly_equal();
    cut_once([&ours, &theirs], &inboxes, 20_000);
    let (end, _) = between([&ours, &theirs], &inboxes, usize::MAX, |kind, body| match kind {
        message::HELLO => with_extent(body, |extent| extent.messages = u32::MAX),
        _ => same(kind, body),
    });
    assert!(matches!(end, Err(SyncError::Silence { .. })), "{end:?}");
    assert!(inboxes[0].held().is_empty());
    assert!(talk([&ours, &theirs], &inboxes, u64::MAX).ways.is_some());
    assert_eq!(ours.root(), theirs.root());
}

#[test]
fn nobody_begins_anew_who_did_not_go_on() {
    let (ours, theirs) = nearly_equal();
    let (end, _) = between([&ours, &theirs], &in_memory(), usize::MAX, |kind, body| match kind {
        message::CELLS => vec![(message::ANEW, Vec::new())],
        _ => same(kind, body),
    });
    assert!(matches!(end, Err(SyncError::Turn { kind: message::ANEW })), "{end:?}");
}
