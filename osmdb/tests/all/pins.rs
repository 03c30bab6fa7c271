//! Areas that are kept for when nobody can be reached.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use osmdb::net::{self, PeerOrigin};
use osmdb::sync::Options;
use osmdb::{
    Ask, BBox, BlockingRemote, Coord, Db, ElementId, Feature, Filter, PackOrigin, Payload, RemoteError,
    RemoteOptions, Tags, Write,
};
use prolly::{FjallStore, MemoryStore, PageSource};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::runtime::Runtime;

use crate::program::{MAP, Place};
use crate::publishing::land;

type Memory = Db<MemoryStore>;
type Peer = BlockingRemote<PeerOrigin<DuplexStream>, FjallStore>;

/// The middle of the land: some 600 wells of 4,000.
fn middle() -> BBox {
    "0.0150,0.0150,0.0380,0.0400".parse().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Asks a peer, with a cache on disk.
fn ask(runtime: &Runtime, there: &Arc<Memory>, cache: &Path, options: &RemoteOptions) -> Peer {
    let (near, far) = tokio::io::duplex(1 << 16);
    let there = Arc::clone(there);
    runtime.spawn(async move { net::sync_over(&*there, far, Options::default(), |_| ()).await });
    let origin = PeerOrigin::new("peer", near);
    let _runtime = runtime.enter();
    BlockingRemote::open_with(options, vec![origin], FjallStore::open(cache).unwrap()).unwrap()
}

/// Asks a peer whose line is cut after so many bytes of what it says.
fn ask_until(runtime: &Runtime, there: &Arc<Memory>, cache: &Path, bytes: u64) -> Result<Peer, RemoteError> {
    let ((near, here), (beyond, far)) = (tokio::io::duplex(1 << 16), tokio::io::duplex(1 << 16));
    let there = Arc::clone(there);
    runtime.spawn(async move { net::sync_over(&*there, far, Options::default(), |_| ()).await });
    runtime.spawn(async move {
        let ((mut asked, mut answered), (said, mut told)) =
            (tokio::io::split(here), tokio::io::split(beyond));
        let mut said = said.take(bytes);
        tokio::select! {
            _ = tokio::io::copy(&mut asked, &mut told) => {}
            _ = tokio::io::copy(&mut said, &mut answered) => {}
        }
    });
    let origin = PeerOrigin::new("peer", near);
    let _runtime = runtime.enter();
    BlockingRemote::open_with(&RemoteOptions::default(), vec![origin], FjallStore::open(cache).unwrap())
}

/// Asks nobody.
fn alone(
    cache: &Path,
    options: &RemoteOptions,
) -> Result<BlockingRemote<PackOrigin, FjallStore>, RemoteError> {
    BlockingRemote::open_with(options, Vec::new(), FjallStore::open(cache).unwrap())
}

/// A path of three wells in the middle, a route over it, and the wells around.
fn town() -> (Arc<Memory>, ElementId) {
    let db = land();
    let inside: Vec<u64> =
        db.snapshot().query(middle()).map(|feature| feature.unwrap().element.id).take(3).collect();
    let path = db.create(Payload::Way { refs: inside, tags: Tags::from([("highway", "path")]) }).unwrap();
    (Arc::new(db), path)
}

/// Where a well is, and its tags.
fn well(db: &Memory, feature: &Feature) -> (Coord, Tags) {
    match db.get(feature.element).unwrap().remove(0).entry.payload {
        Some(Payload::Node { coord, tags }) => (coord, tags),
        other => panic!("a well is a node, not {other:?}"),
    }
}

fn move_well(db: &Memory, feature: &Feature, by: i64) {
    let (coord, tags) = well(db, feature);
    let coord = Coord::new(i64::from(coord.lat()) + by, coord.lon().into()).unwrap();
    db.put(feature.element, Payload::Node { coord, tags }).unwrap();
}

fn all<T>(found: impl Iterator<Item = Result<T, impl std::fmt::Debug>>) -> Vec<T> {
    found.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_pinned_answers_without_anybody_and_says_as_of_when() {
    let (runtime, dir) = (runtime(), tempfile::tempdir().unwrap());
    let (there, path) = town();
    let options = RemoteOptions::default();
    let pinned = {
        let remote = ask(&runtime, &there, dir.path(), &options);
        assert!(remote.offline().is_none());
        remote.pin(middle()).unwrap()
    };
    assert_eq!((pinned.root, pinned.areas.as_slice()), (there.root(), &[middle()][..]));
    let remote = alone(dir.path(), &options).unwrap();
    assert_eq!(remote.offline(), Some(&pinned));
    let (snapshot, inner) = (there.snapshot(), "0.0170,0.0170,0.0360,0.0380".parse::<BBox>().unwrap());
    for bbox in [middle(), inner] {
        assert_eq!(all(remote.query(bbox)), all(snapshot.query(bbox)));
        for filter in ["amenity=well", "highway", "way", "amenity and name~=7", "nothing=there"] {
            let filter: Filter = filter.parse().unwrap();
            assert_eq!(all(remote.query(bbox).filter(&filter)), all(snapshot.query(bbox).filter(&filter)));
            assert_eq!(
                remote.count(bbox, &filter).unwrap(),
                snapshot.query(bbox).filter(&filter).count_elements().unwrap()
            );
        }
        let wells = snapshot.query(bbox).filter(&"node".parse().unwrap()).count_elements().unwrap();
        assert!(all(remote.map(bbox)).len() as u64 >= wells);
    }
    assert_eq!(remote.get(path).unwrap(), there.get(path).unwrap());
    // Outside, nobody knows.
    let outside = "0.0500,0.0500,0.0520,0.0520".parse().unwrap();
    assert!(matches!(remote.query(outside).next(), Some(Err(RemoteError::NoOrigin))));
    assert!(matches!(remote.pin(outside), Err(RemoteError::NoOrigin)));
    assert_eq!(remote.pins().unwrap(), Some(pinned), "it stays as it was");
    // Whoever trusts somebody else does not read it.
    let stranger = Db::in_memory("osm").unwrap().author().unwrap();
    drop(remote);
    assert!(alone(dir.path(), &RemoteOptions::default().trusting([stranger])).is_err());
    let signer = there.author().unwrap();
    assert!(alone(dir.path(), &RemoteOptions::default().trusting([signer])).is_ok());
}

#[test]
fn a_refresh_reads_what_has_changed_and_nothing_twice() {
    let (runtime, dir) = (runtime(), tempfile::tempdir().unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let (there, _) = town();
    let options = RemoteOptions::default();
    let first = {
        let remote = ask(&runtime, &there, dir.path(), &options);
        remote.pin(middle()).unwrap();
        remote.traffic()
    };
    let wells = all(there.snapshot().query(middle()).filter(&"amenity=well".parse().unwrap()));
    for (number, well) in (0..).zip(wells.iter().step_by(wells.len() / 50).take(50)) {
        move_well(&there, well, number % 7 - 3);
    }
    let remote = ask(&runtime, &there, dir.path(), &options);
    let opened = remote.traffic();
    let known = |cid| remote.remote().cache().contains(&cid).unwrap();
    assert!(!known(there.snapshot().root().trees.heads.root));
    let pins = remote.refresh_pins().unwrap().unwrap();
    let after = remote.traffic();
    let (bytes, rounds, pages) =
        (after.bytes - opened.bytes, after.rounds - opened.rounds, after.pages - opened.pages);
    println!(
        "{} wells: pinned with {} bytes, {} pages; after 50 edits {bytes} bytes, {pages} pages, {rounds} rounds",
        wells.len(),
        first.bytes,
        first.pages,
    );
    assert_eq!(pins.root, there.root());
    // A third time, nothing is new.
    remote.refresh_pins().unwrap();
    assert_eq!(remote.traffic(), after);
    // As much as there is of pages that the old dataset had not.
    let fresh = ask(&runtime, &there, elsewhere.path(), &options);
    let before = fresh.traffic();
    fresh.pin(middle()).unwrap();
    let whole = fresh.traffic();
    assert!(pages < whole.pages - before.pages, "{pages} of {}", whole.pages - before.pages);
    drop(remote);
    let alone = alone(dir.path(), &options).unwrap();
    assert_eq!(all(alone.query(middle())), all(there.snapshot().query(middle())));
}

#[test]
fn a_pin_that_is_cut_changes_nothing_and_goes_on_where_it_was() {
    let runtime = runtime();
    let (there, _) = town();
    let options = RemoteOptions::default();
    let (whole, first) = {
        let dir = tempfile::tempdir().unwrap();
        let remote = ask(&runtime, &there, dir.path(), &options);
        let first = remote.pin(middle()).unwrap();
        (remote.traffic().bytes, first)
    };
    let dir = tempfile::tempdir().unwrap();
    let mut cuts = 0;
    for eighths in 1..8 {
        // It is cut while it opens, or while it pins.
        if let Ok(remote) = ask_until(&runtime, &there, dir.path(), whole * eighths / 8) {
            if remote.pin(middle()).is_err() {
                assert_eq!(remote.pins().unwrap(), None, "not before all is there");
                cuts += 1;
            }
            remote.unpin(middle()).unwrap();
        } else {
            cuts += 1;
        }
    }
    assert!(cuts > 1, "{cuts}");
    let remote = ask(&runtime, &there, dir.path(), &options);
    assert_eq!(remote.pin(middle()).unwrap().root, first.root);
    assert!(remote.traffic().bytes < whole / 2, "what had come is not asked for again");
    drop(remote);

    // So is a refresh: until all is there, what was pinned answers.
    let before = all(there.snapshot().query(middle()));
    for well in before.iter().filter(|feature| feature.element.kind == osmdb::Kind::Node).step_by(9) {
        move_well(&there, well, 2);
    }
    let remote = ask_until(&runtime, &there, dir.path(), 4_000).unwrap();
    remote.refresh_pins().unwrap_err();
    assert_eq!(remote.pins().unwrap().unwrap().root, first.root);
    drop(remote);
    assert_eq!(all(alone(dir.path(), &options).unwrap().query(middle())), before);
    assert_eq!(
        ask(&runtime, &there, dir.path(), &options).refresh_pins().unwrap().unwrap().root,
        there.root()
    );
    assert_eq!(
        all(alone(dir.path(), &options).unwrap().query(middle())),
        all(there.snapshot().query(middle()))
    );
}

#[test]
fn what_is_pinned_is_never_removed_and_lets_others_have_room() {
    let (runtime, dir) = (runtime(), tempfile::tempdir().unwrap());
    let (there, _) = town();
    let options = RemoteOptions { cache_pages: 16, ..RemoteOptions::default() };
    let remote = ask(&runtime, &there, dir.path(), &options);
    remote.pin(middle()).unwrap();
    for number in 0..8 {
        let west = f64::from(number) * 0.006;
        let bbox: BBox = format!("{west},0,{},0.06", west + 0.002).parse().unwrap();
        assert_eq!(all(remote.query(bbox)), all(there.snapshot().query(bbox)));
    }
    remote.bring(Ask::Trees(vec!["heads".into(), "tags".into()])).unwrap();
    drop(remote);
    let alone_with = |options: &RemoteOptions| all(alone(dir.path(), options).unwrap().query(middle()));
    assert_eq!(alone_with(&options), all(there.snapshot().query(middle())));
    // Let go of, it is removed as all else is.
    let remote = ask(&runtime, &there, dir.path(), &options);
    assert!(remote.unpin(middle()).unwrap() && !remote.unpin(middle()).unwrap());
    remote.bring(Ask::Trees(vec!["heads".into()])).unwrap();
    drop(remote);
    assert!(matches!(alone(dir.path(), &options), Err(RemoteError::NoOrigin)));
}

#[test]
fn edits_made_in_the_field_are_edits_of_what_was_pinned() {
    let (runtime, dir) = (runtime(), tempfile::tempdir().unwrap());
    let (there, path) = town();
    // One that was edited before, and one that is a fork.
    let wells = all(there.snapshot().query(middle()).filter(&"amenity=well".parse().unwrap()));
    move_well(&there, &wells[10], 1);
    move_well(&there, &wells[10], 1);
    let other = Db::in_memory("osm").unwrap();
    other.merge(&there.snapshot()).unwrap();
    move_well(&there, &wells[20], 1);
    move_well(&other, &wells[20], -1);
    there.merge(&other.snapshot()).unwrap();
    assert_eq!(there.counts().forks, 1);
    let options = RemoteOptions::default();
    ask(&runtime, &there, dir.path(), &options).pin(middle()).unwrap();

    let own = Db::in_memory("osm").unwrap();
    let remote = alone(dir.path(), &options).unwrap();
    let copied = remote.check_out(middle(), &own).unwrap();
    assert!(copied >= wells.len() as u64);
    assert_eq!(remote.check_out(middle(), &own).unwrap(), 0, "a second time, nothing is new");
    own.verify().unwrap();
    assert_eq!(all(own.snapshot().query(middle())), all(there.snapshot().query(middle())));
    for well in [&wells[10], &wells[20], &wells[30]] {
        assert_eq!(own.get(well.element).unwrap(), there.get(well.element).unwrap());
        move_well(&own, well, 2);
    }
    let mut batch = own.batch();
    let (coord, tags) = well(&own, &wells[40]);
    let made = batch.create(Payload::Node { coord, tags }).unwrap();
    batch.push(Write::delete(path));
    batch.commit().unwrap();
    // Meanwhile somebody edits something else there.
    move_well(&there, &wells[50], 3);

    let merged = there.merge(&own.snapshot()).unwrap();
    assert_eq!((merged.gained, merged.forked.as_slice()), (5, &[][..]));
    assert_eq!(there.counts().forks, 0, "the fork was ended in the field");
    for well in [&wells[10], &wells[20], &wells[30]] {
        assert_eq!(there.get(well.element).unwrap(), own.get(well.element).unwrap());
    }
    assert!(there.get(path).unwrap()[0].entry.payload.is_none() && there.get(made).unwrap().len() == 1);
    there.verify().unwrap();
    // Another dataset is not mixed in.
    let another = Db::in_memory("another").unwrap();
    assert!(matches!(
        remote.check_out(middle(), &another),
        Err(RemoteError::Read(osmdb::Error::OtherDataset { .. }))
    ));
}

#[test]
fn the_program_keeps_areas() {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.run(["--db", "there", "import", "map.osm"]).done();
    let root = place.run(["--db", "there", "publish", "site"]).done();
    let cache = ["--cache", "kept"];
    let run = |arguments: &[&str]| place.run([&cache, arguments].concat());
    assert_eq!(run(&["pins"]).done(), "");
    assert!(!place.path("kept").exists());
    assert!(run(&["root"]).refused(2).contains("and nothing was"));
    assert!(run(&["pin", "0,0,2,2"]).refused(2).contains("--from where they are read"));
    assert!(place.run(["--from", "site", "pin", "0,0,2,2"]).refused(2).contains("say with --cache"));
    assert!(run(&["--from", "site", "pin"]).stderr.contains("nothing is pinned there yet"));
    let pinned = run(&["--from", "site", "pin", "0,0,2,2"]).done();
    assert!(
        pinned.starts_with("0.0000000,0.0000000,2.0000000,2.0000000  root ") && pinned.contains(root.trim())
    );
    assert_eq!(run(&["pins"]).done(), pinned);
    // The site is gone; a peer that nobody answers for is as good.
    std::fs::remove_dir_all(place.path("site")).unwrap();
    for from in [&[][..], &["--from", "site"], &["--from", "tcp://127.0.0.1:1"]] {
        for verb in [
            &["query", "--bbox", "0,0,2,2"][..],
            &["query", "--bbox", "0,0,2,2", "--filter", "amenity=well", "--format", "ids"],
            &["query", "--bbox", "0,0,2,2", "--format", "count", "--filter", "highway"],
            &["get", "node/1", "way/5"],
            &["export", "box.osm", "--bbox", "0,0,2,2"],
        ] {
            let expected = place.run([&["--db", "there"], verb].concat()).done();
            let ran = run(&[from, verb].concat());
            assert!(ran.stderr.contains("this is what is pinned, root "), "{}", ran.stderr);
            assert_eq!(ran.done(), expected, "{verb:?}");
        }
    }
    let ran = run(&["query", "--bbox", "-71,-34,-70,-33"]);
    assert!(ran.code == Some(1) || ran.stdout.contains("FeatureCollection"), "{ran:?}");
    // Edited in the field, and merged at home.
    let done = place.run([&cache, &["--db", "field", "check-out", "0,0,2,2"][..]].concat()).done();
    assert!(done.contains(" new, root "), "{done}");
    let node = place.run(["--db", "field", "get", "node/3"]).done();
    let mut child = place.command(["--db", "field", "put"]);
    child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), node.replace("1.5", "1.6").as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    let merged: serde_json::Value =
        serde_json::from_str(&place.run(["--db", "there", "merge", "field", "--json"]).done()).unwrap();
    assert_eq!(merged["gained"], 1, "{merged}");
    assert_eq!(place.run(["--db", "there", "forks"]).done(), "");
    run(&["unpin", "0,0,2,2"]).done();
    assert!(run(&["unpin", "0,0,2,2"]).refused(1).contains("is not pinned there"));
    assert_eq!(run(&["pins"]).done(), "");
}
