//! Two sessions, side by side.

mod bounds;
mod cuts;
mod following;
mod hostile;
#[cfg(feature = "net")]
mod liars;
mod resumed;

use std::sync::Arc;

use prolly::MemoryStore;

use super::*;
use crate::db::{Db, Write};
use crate::model::{Coord, ElementId, Payload, Tags};

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 7).unwrap(), tags: Tags::from([("name", "somewhere")]) }
}

fn filled(nodes: i64) -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for lat in 0..nodes {
        batch.push(Write::put(ElementId::node(u64::try_from(lat).unwrap() + 1), node(lat)));
    }
    batch.commit().unwrap();
    db
}

/// Returns a database with the same entries, and a reflog of its own.
fn copy(db: &Db<MemoryStore>) -> Db<MemoryStore> {
    let copy = Db::in_memory("osm").unwrap();
    copy.merge(&db.snapshot()).unwrap();
    assert_eq!(copy.root(), db.root());
    copy
}

/// What is kept of streams and walks that were cut goes here.
fn into(inbox: &Arc<Inbox>) -> Options {
    Options { inbox: Some(Arc::clone(inbox)), ..Options::default() }
}

fn edit(db: &Db<MemoryStore>, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        db.put(ElementId::node(id), node(i64::try_from(id).unwrap() + 1_000)).unwrap();
    }
}

/// Lets two sessions talk until both have finished; returns what came of them.
fn talk(
    ours: &Db<MemoryStore>,
    theirs: &Db<MemoryStore>,
    options: &[Options; 2],
) -> Result<(Summary, Summary), SyncError> {
    let mut here = Session::new(ours, options[0].clone())?;
    let mut there = Session::new(theirs, options[1].clone())?;
    while !(here.is_finished() && there.is_finished()) {
        // What is on its way at the same time crosses.
        let (mut right, mut left) = (Vec::new(), Vec::new());
        while let Some(bytes) = here.send()? {
            right.push(bytes);
        }
        while let Some(bytes) = there.send()? {
            left.push(bytes);
        }
        assert!(!(left.is_empty() && right.is_empty()), "both wait for each other");
        left.iter().try_for_each(|bytes| here.receive(bytes))?;
        right.iter().try_for_each(|bytes| there.receive(bytes))?;
    }
    Ok((here.summary(), there.summary()))
}

fn agree(ours: &Db<MemoryStore>, theirs: &Db<MemoryStore>) -> (Summary, Summary) {
    let (here, there) = talk(ours, theirs, &Default::default()).unwrap();
    assert_eq!(ours.root(), theirs.root());
    assert_eq!((here.root, there.root), (ours.root(), theirs.root()));
    assert_eq!((here.gained, here.given), (there.given, there.gained));
    assert_eq!((here.bytes_in, here.bytes_out), (there.bytes_out, there.bytes_in));
    ours.verify().unwrap();
    (here, there)
}

#[test]
fn equal_databases_say_one_sentence() {
    let ours = filled(1_000);
    let (here, _) = agree(&ours, &copy(&ours));
    assert_eq!((here.way, here.crossings), (Some(Way::Equal), 1));
    assert!(here.bytes_in + here.bytes_out <= 80 + 10, "{here:?}");
}

#[test]
fn what_came_after_a_shared_root_takes_one_round_trip() {
    let ours = filled(3_000);
    let theirs = copy(&ours);
    edit(&ours, 1..40);
    edit(&theirs, 20..60);
    let expected = ours.counts().entries + 40;
    let (here, there) = agree(&ours, &theirs);
    assert_eq!((here.way, here.crossings, there.way), (Some(Way::Delta), 2, Some(Way::Delta)));
    assert_eq!((here.gained, there.gained, here.forked.len()), (40, 39, 20));
    assert_eq!(ours.counts().entries, expected);
    // Again, from where they met.
    edit(&theirs, 100..103);
    let (here, _) = agree(&ours, &theirs);
    assert_eq!((here.gained, here.received, here.sent), (3, 3, 0));
}

#[test]
fn an_empty_peer_gets_everything() {
    let ours = filled(5_000);
    edit(&ours, [7, 8, 9]);
    let theirs = Db::in_memory("osm").unwrap();
    let (here, there) = agree(&ours, &theirs);
    assert_eq!((here.way, there.gained, here.gained), (Some(Way::Delta), 5_003, 0));
}

#[test]
fn without_a_shared_root_both_walk() {
    let ours = filled(6_000);
    // The same entries, by another way.
    let theirs = Db::in_memory("osm").unwrap();
    let half = Db::in_memory("osm").unwrap();
    half.merge_admitting(&ours.snapshot(), &|entry: &crate::Entry| entry.element.id.is_multiple_of(2))
        .unwrap();
    edit(&half, [2, 4]);
    theirs.merge(&half.snapshot()).unwrap();
    theirs.merge(&ours.snapshot()).unwrap();
    edit(&theirs, (0..50).map(|n| 60 * n + 61));
    edit(&ours, (0..50).map(|n| 70 * n + 77));
    for id in 1..100 {
        edit(&theirs, [id]);
    }
    let (here, there) = agree(&ours, &theirs);
    assert_eq!((here.way, there.way), (Some(Way::Walk), Some(Way::Walk)));
    assert_eq!(here.gained, here.received, "nothing came that was here");
    assert_eq!(there.gained, 50);
}

#[test]
fn what_is_edited_without_a_pause_is_left_for_another_session() {
    let ours = filled(2_000);
    let theirs = Db::in_memory("osm").unwrap();
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    let mut ids = 10_000_u64..;
    while !(here.is_finished() && there.is_finished()) {
        edit(&ours, ids.next());
        edit(&theirs, ids.next());
        let (right, left) = (here.send().unwrap(), there.send().unwrap());
        left.iter().for_each(|bytes| here.receive(bytes).unwrap());
        right.iter().for_each(|bytes| there.receive(bytes).unwrap());
    }
    let (here, there) = (here.summary(), there.summary());
    assert!(here.edited && there.edited, "{here:?}");
    assert_eq!((here.their_root, there.their_root), (Some(there.root), Some(here.root)));
    assert!(here.gained > 0 && there.gained > 2_000, "{here:?}, {there:?}");
    let (here, there) = agree(&ours, &theirs);
    assert!(!here.edited && !there.edited, "{here:?}");
    assert_eq!(ours.counts().entries, 2_000 + ids.start - 10_000);
}

#[test]
fn other_datasets_are_refused() {
    let ours = filled(3);
    let theirs = Db::in_memory("village").unwrap();
    let error = talk(&ours, &theirs, &Default::default()).unwrap_err();
    assert!(matches!(error, SyncError::OtherDataset), "{error}");
}

#[test]
fn a_cut_stream_goes_on_where_it_was() {
    let ours = filled(20_000);
    let whole = {
        let theirs = Db::in_memory("osm").unwrap();
        talk(&ours, &theirs, &Default::default()).unwrap().0.bytes_out
    };
    let dir = tempfile::tempdir().unwrap();
    for on_disk in [false, true] {
        let theirs = Db::in_memory("osm").unwrap();
        let mut inbox = Arc::new(Inbox::in_memory());
        let (mut all, mut tries) = (0, 0);
        let end = loop {
            if on_disk {
                // As after a crash: only what is in files is left.
                drop(inbox);
                inbox = Arc::new(Inbox::in_dir(dir.path()).unwrap());
            }
            tries += 1;
            let options = into(&inbox);
            let mut here = Session::new(&ours, Options::default()).unwrap();
            let mut there = Session::new(&theirs, options).unwrap();
            let mut left = 100_000;
            while left > 0 && !(here.is_finished() && there.is_finished()) {
                while let Some(bytes) = there.send().unwrap() {
                    here.receive(&bytes).unwrap();
                }
                while let Some(bytes) = here.send().unwrap() {
                    let some = &bytes[..bytes.len().min(left)];
                    left -= some.len();
                    all += some.len() as u64;
                    there.receive(some).unwrap();
                    if left == 0 {
                        break;
                    }
                }
            }
            if left > 0 {
                break there.summary();
            }
            if on_disk {
                // A crash: nobody puts it back.
                std::mem::forget(there);
            }
        };
        assert_eq!(ours.root(), theirs.root());
        assert_eq!(end.way, Some(Way::Delta));
        assert!(tries > 3, "{tries} tries");
        // Each try repeats one message at most, a hello, and the start of a compressed stream.
        assert!(all < whole + tries * 24_000, "{all} bytes in {tries} tries, {whole} in one");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn what_differs_much_is_listed() {
    // Two thirds of one, and the other two thirds, each edited in many places; nothing shared.
    let all = filled(30_000);
    let some = |keep: fn(u64) -> bool| {
        let db = Db::in_memory("osm").unwrap();
        db.merge_admitting(&all.snapshot(), &move |entry: &crate::Entry| keep(entry.element.id)).unwrap();
        db
    };
    let (ours, theirs) = (some(|id| id < 20_000), some(|id| id > 10_000));
    for (db, step) in [(&ours, 7), (&theirs, 5)] {
        let mut batch = db.batch();
        for id in (10_001..19_999).step_by(step) {
            batch.push(Write::put(ElementId::node(id), node(i64::try_from(id * 3 + step as u64).unwrap())));
        }
        batch.commit().unwrap();
    }
    let (here, there) = agree(&ours, &theirs);
    assert_eq!(here.way, Some(Way::Walk));
    let least = there.gained + here.gained;
    // By chance some of the bytes in the lists are those of other versions.
    assert!(here.received < here.gained + 60 && there.received < there.gained + 60, "{here:?}");
    assert_eq!((there.gained, here.gained), (10_000 + 1_429, 10_001 + 2_000));
    assert!(here.forked.len() > 200);
    // Once more, from the other side.
    edit(&ours, [3]);
    let (here, _) = agree(&theirs, &ours);
    assert_eq!((here.way, here.gained), (Some(Way::Delta), 1));
    assert!(least > 20_000);
}

/// A database of nodes that were imported, with names so long that leaves hold few of them.
fn imported(lat: u32, ids: impl Iterator<Item = u64>) -> Db<MemoryStore> {
    let node = |id| {
        let at = format!("id='{id}' version='1' lat='{lat}' lon='{}'", id % 180);
        format!("<node {at}><tag k='note' v='{id:0>150}'/></node>")
    };
    let text = format!("<osm>{}</osm>", ids.map(node).collect::<String>());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nodes.osm");
    std::fs::write(&path, text).unwrap();
    let db = Db::in_memory("osm").unwrap();
    db.import(&[&path], |_, _| {}).unwrap();
    db
}

#[test]
fn other_contents_of_the_same_numbers_become_one() {
    // Lists miss a few of so many, and the cells that are to find them are not enough at first: those that come then
    // must not overtake the first ones.
    let (ours, theirs) = (imported(1, 1..40_001), imported(2, (0..20_000).map(|id| 2 * id + 1)));
    let (here, there) = agree(&ours, &theirs);
    assert_eq!((here.gained, there.gained), (20_000, 40_000));
}
