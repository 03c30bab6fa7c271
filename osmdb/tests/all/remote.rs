//! Datasets that are not here: the same answers as here, whoever gives the pages, or an error that says why.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use osmdb::{
    BBox, BlockingRemote, Coord, Db, Directory, ElementId, Error, Feature, Files, Filter, Incoming,
    OriginError, PackOrigin, PageOrigin, Payload, Remote, RemoteError, RemoteOptions, Request, Tags, Traffic,
    block_on,
};
use prolly::{Cid, FjallStore, MemoryStore, PageSource};
use proptest::prelude::*;

use crate::maps::{add, bbox, database, entries, place};

/// What an origin does with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Changes a byte of every page of this number and on.
    Lies(usize),
    /// Has no page of this number and on.
    Lacks(usize),
    /// Cannot be reached from this request on.
    Offline(usize),
    /// Gives what nobody asked for.
    Chatters,
}

/// Another database in this process.
#[derive(Debug)]
struct Near<'a> {
    name: &'static str,
    store: &'a MemoryStore,
    root: Cid,
    manner: Manner,
    requests: AtomicUsize,
    pages: AtomicUsize,
    given: Mutex<BTreeSet<Cid>>,
}

impl<'a> Near<'a> {
    fn new(db: &'a Db<MemoryStore>, manner: Manner) -> Self {
        Self {
            name: "near",
            store: db.store(),
            root: db.root(),
            manner,
            requests: AtomicUsize::new(0),
            pages: AtomicUsize::new(0),
            given: Mutex::default(),
        }
    }
}

impl PageOrigin for Near<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn root(&self) -> Result<Cid, OriginError> {
        Ok(self.root)
    }

    async fn read(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<(), OriginError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if matches!(self.manner, Manner::Offline(from) if number >= from) {
            let source = std::io::ErrorKind::ConnectionReset.into();
            return Err(OriginError::Offline { what: "asking".to_owned(), source });
        }
        for cid in request.missing {
            let Some(page) = self.store.load(cid)? else { continue };
            let number = self.pages.fetch_add(1, Ordering::SeqCst);
            let page = match self.manner {
                Manner::Lies(from) if number >= from => {
                    let mut bytes = page.to_vec();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    Bytes::from(bytes)
                }
                Manner::Lacks(from) if number >= from => continue,
                Manner::Chatters => {
                    pages.page(page)?;
                    Bytes::from_static(b"and by the way")
                }
                _ => page,
            };
            self.given.lock().unwrap().insert(*cid);
            pages.page(page)?;
        }
        Ok(())
    }

    fn traffic(&self) -> Traffic {
        let requests = self.requests.load(Ordering::SeqCst) as u64;
        Traffic { requests, rounds: requests, ..Traffic::default() }
    }
}

/// Compares all that can be asked.
fn same<O: PageOrigin>(remote: &Remote<O, MemoryStore>, db: &Db<MemoryStore>, area: BBox, from: Coord) {
    let snapshot = db.snapshot();
    let filters =
        ["", "kind", "node", "relation", "name!=a and way"].map(|text| text.parse::<Filter>().unwrap());
    for filter in &filters {
        let expected: Vec<Feature> = snapshot.query(area).filter(filter).collect::<Result<_, _>>().unwrap();
        let mut answers = remote.query(area).filter(filter);
        let found = async {
            let mut found = Vec::new();
            while let Some(feature) = answers.next().await {
                found.push(feature.unwrap());
            }
            found
        };
        assert_eq!(block_on(found), expected);
        let count = snapshot.query(area).filter(filter).count_elements().unwrap();
        assert_eq!(block_on(remote.count(area, filter)).unwrap(), count);
        let mut nearest = remote.nearest(from, filter, 5).within(200_000.5);
        for expected in snapshot.nearest(from, filter).within(200_000.5).take(5) {
            assert_eq!(block_on(nearest.next()).unwrap().unwrap(), expected.unwrap());
        }
    }
    let mut map = remote.map(area);
    for heads in snapshot.map(area).unwrap().heads() {
        assert_eq!(block_on(map.next()).unwrap().unwrap(), heads.unwrap());
    }
    assert!(block_on(map.next()).is_none());
    let elements: Vec<ElementId> =
        (1..25).flat_map(|id| [ElementId::node(id), ElementId::way(id), ElementId::relation(id)]).collect();
    for element in &elements {
        let heads = snapshot.get(*element).unwrap();
        assert_eq!(block_on(remote.get(*element)).unwrap(), heads);
        assert_eq!(block_on(remote.history(*element)).unwrap(), snapshot.history(*element).unwrap());
        assert_eq!(block_on(remote.refs(*element)).unwrap(), snapshot.refs(*element).unwrap());
        for head in heads {
            assert_eq!(block_on(remote.version(*element, head.version)).unwrap(), Some(head));
        }
    }
    let mut many = remote.get_many(elements.iter().copied().rev());
    let mut expected = elements.clone();
    expected.sort();
    for heads in expected.iter().map(|id| snapshot.get(*id).unwrap()).filter(|heads| !heads.is_empty()) {
        assert_eq!(block_on(many.next()).unwrap().unwrap(), heads);
    }
}

/// Asks until all was asked or something failed.
fn drain<O: PageOrigin>(remote: &BlockingRemote<O>, bbox: BBox) -> Result<Vec<Feature>, RemoteError> {
    remote.query(bbox).collect()
}

fn globe() -> BBox {
    "-180,-90,180,90".parse().unwrap()
}

/// So many nodes and ways that the trees have several levels.
fn town() -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for row in 0..60_i64 {
        let mut ids = Vec::new();
        for column in 0..60_i64 {
            let coord = Coord::new(row * 7_919 + column, column * 10_007 + row).unwrap();
            let tags = match (row * column) % 5 {
                0 => Tags::from([("amenity", "well"), ("name", &format!("well {row} {column}"))]),
                _ => Tags::new(),
            };
            ids.push(batch.create(Payload::Node { coord, tags }).unwrap().id);
        }
        let long: Vec<u64> = if row % 10 == 0 { ids.repeat(6) } else { ids };
        batch.create(Payload::Way { refs: long, tags: Tags::from([("highway", "path")]) }).unwrap();
    }
    batch.commit().unwrap();
    db
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_remote_answers_as_the_database_does(all in entries(), more in entries(), area in bbox(), from in place()) {
        let db = database(&all);
        let near = block_on(Remote::open(Near::new(&db, Manner::Honest))).unwrap();
        same(&near, &db, area, from);
        let dir = tempfile::tempdir().unwrap();
        db.publish_to(dir.path()).unwrap();
        let mut packs = block_on(Remote::open(PackOrigin::directory(dir.path()))).unwrap();
        same(&packs, &db, area, from);
        // A new root: the cache has pages of the old one, and they make no answer wrong.
        let before = db.root();
        add(&db, &more);
        db.publish_to(dir.path()).unwrap();
        prop_assert_eq!(block_on(packs.refresh()).unwrap(), db.root() != before);
        same(&packs, &db, area, from);
    }

    #[test]
    fn whatever_an_origin_does_the_answer_is_right_or_an_error(
        all in entries(), which in 0..4_usize, at in 0..6_usize, area in bbox()
    ) {
        let db = database(&all);
        let manner = [Manner::Lies(at), Manner::Lacks(at), Manner::Offline(at), Manner::Chatters][which];
        let expected = db.snapshot().query(area).collect::<Result<Vec<_>, _>>().unwrap();
        let options = RemoteOptions { root: Some(db.root()), ..RemoteOptions::default() };
        let alone = block_on(Remote::open_with(&options, vec![Near::new(&db, manner)], MemoryStore::new()));
        if let Ok(remote) = alone {
            let mut answers = remote.query(area);
            let mut found = Vec::new();
            let mut failed = None;
            while let Some(feature) = block_on(answers.next()) {
                match feature {
                    Ok(feature) => found.push(feature),
                    Err(error) => failed = Some(error),
                }
            }
            prop_assert!(expected.starts_with(&found));
            prop_assert_eq!(found.len() == expected.len(), failed.is_none() || found.len() == expected.len());
        }
        // With somebody honest beside, the answer is there.
        let mut liar = Near::new(&db, manner);
        liar.name = "the other";
        let origins = vec![liar, Near::new(&db, Manner::Honest)];
        let remote = block_on(Remote::open_with(&options, origins, MemoryStore::new())).unwrap();
        let mut answers = remote.query(area);
        for feature in expected {
            prop_assert_eq!(block_on(answers.next()).unwrap().unwrap(), feature);
        }
        for dropped in remote.dropped() {
            prop_assert_eq!(&dropped.name, "the other");
            prop_assert!(matches!(manner, Manner::Lies(_) | Manner::Chatters));
        }
    }
}

#[test]
fn errors_say_what_happened() {
    let db = town();
    let open = |manner| BlockingRemote::open(Near::new(&db, manner));
    let error = drain(&open(Manner::Lies(4)).unwrap(), globe()).unwrap_err();
    assert!(
        matches!(&error, RemoteError::Origin { name, source: OriginError::Unasked { .. } } if name == "near"),
        "{error}"
    );
    let error = drain(&open(Manner::Lacks(4)).unwrap(), globe()).unwrap_err();
    assert!(matches!(error, RemoteError::Origin { source: OriginError::Missing(_), .. }), "{error}");
    let error = drain(&open(Manner::Offline(3)).unwrap(), globe()).unwrap_err();
    assert!(matches!(error, RemoteError::Origin { source: OriginError::Offline { .. }, .. }), "{error}");
    let error = open(Manner::Chatters).unwrap_err();
    assert!(matches!(error, RemoteError::Origin { source: OriginError::Unasked { .. }, .. }), "{error}");
    // Nobody is left after that.
    let remote = open(Manner::Lies(4)).unwrap();
    assert!(drain(&remote, globe()).is_err());
    assert_eq!(remote.dropped().len(), 1);
    assert!(matches!(drain(&remote, globe()), Err(RemoteError::NoOrigin)));
}

#[test]
fn a_root_that_the_user_names_is_the_one_that_is_read() {
    let (db, other) = (town(), Db::in_memory("osm").unwrap());
    other.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() }).unwrap();
    let options = RemoteOptions { root: Some(other.root()), ..RemoteOptions::default() };
    let opened =
        BlockingRemote::open_with(&options, vec![Near::new(&db, Manner::Honest)], MemoryStore::new());
    assert!(matches!(opened, Err(RemoteError::Origin { source: OriginError::Missing(_), .. })));
}

#[test]
fn boundaries_that_break_the_rule_are_an_error() {
    // Every hash is right, but a tree is that of another dataset, with its levels swapped.
    let db = town();
    let snapshot = db.snapshot();
    let heads = snapshot.root().trees.heads.root;
    let page = prolly::Page::verify(heads, db.store().load(&heads).unwrap().unwrap()).unwrap();
    assert!(page.level() > 0);
    // A branch whose children are in the wrong order, under a root record that names it.
    let mut bytes = page.bytes().to_vec();
    let links: Vec<Cid> = (0..page.len()).filter_map(|index| page.child(index)).collect();
    let find =
        |cid: &Cid, bytes: &[u8]| bytes.windows(32).position(|window| window == cid.as_bytes()).unwrap();
    let (first, second) = (find(&links[0], &bytes), find(&links[1], &bytes));
    bytes[first..first + 32].copy_from_slice(links[1].as_bytes());
    bytes[second..second + 32].copy_from_slice(links[0].as_bytes());
    let forged = Cid::of(&bytes);
    let mut record = snapshot.root().encode();
    let at = find(&heads, &record);
    record[at..at + 32].copy_from_slice(forged.as_bytes());
    let root = Cid::of(&record);
    let store = db.store();
    prolly::PageSink::put(store, forged, bytes.into()).unwrap();
    prolly::PageSink::put(store, root, record.into()).unwrap();
    let mut near = Near::new(&db, Manner::Honest);
    near.root = root;
    let remote = BlockingRemote::open(near).unwrap();
    let all = snapshot.query(globe()).filter(&"node".parse().unwrap()).count();
    assert!(all > 0);
    let ids: Vec<ElementId> = snapshot.heads().map(|heads| heads.unwrap()[0].entry.element).collect();
    let error = remote.get_many(ids).find_map(Result::err).unwrap();
    assert!(matches!(error, RemoteError::Read(Error::Tree(prolly::Error::Page { .. }))), "{error}");
}

#[test]
fn several_origins_share_the_work() {
    let db = town();
    let options = RemoteOptions::default();
    let origins = vec![Near::new(&db, Manner::Honest), Near::new(&db, Manner::Honest)];
    let remote = BlockingRemote::open_with(&options, origins, MemoryStore::new()).unwrap();
    let expected = db.snapshot().query(globe()).count();
    assert_eq!(drain_with(&remote).len(), expected);
    let traffic = remote.traffic();
    assert!(traffic.requests > 4, "{traffic:?}");
}

fn drain_with(remote: &BlockingRemote<Near<'_>>) -> Vec<Feature> {
    remote.query(globe()).collect::<Result<_, _>>().unwrap()
}

#[test]
fn nothing_is_fetched_twice_and_a_tiny_cache_still_answers() {
    let db = town();
    let expected: Vec<Feature> = db.snapshot().query(globe()).collect::<Result<_, _>>().unwrap();
    let remote = BlockingRemote::open(Near::new(&db, Manner::Honest)).unwrap();
    assert_eq!(drain(&remote, globe()).unwrap(), expected);
    let before = remote.traffic();
    assert_eq!(drain(&remote, globe()).unwrap(), expected);
    assert_eq!(remote.traffic(), before, "all is in the cache");
    for cache_pages in [0, 1, 3, 20] {
        let options = RemoteOptions { cache_pages, ..RemoteOptions::default() };
        let origins = vec![Near::new(&db, Manner::Honest)];
        let remote = BlockingRemote::open_with(&options, origins, MemoryStore::new()).unwrap();
        let found: Vec<Feature> = remote.query(globe()).collect::<Result<_, _>>().unwrap();
        assert_eq!(found, expected);
        remote.remote().flush().unwrap();
        assert!(remote.remote().cache().len() <= cache_pages.max(1), "{}", remote.remote().cache().len());
    }
}

#[test]
fn a_cache_on_disk_outlives_the_program() {
    let db = town();
    let dir = tempfile::tempdir().unwrap();
    let (files, cache) = (dir.path().join("files"), dir.path().join("cache"));
    db.publish_to(&files).unwrap();
    let area: BBox = "0,0,0.003,0.003".parse().unwrap();
    let expected: Vec<Feature> = db.snapshot().query(area).collect::<Result<_, _>>().unwrap();
    let open = || {
        let origins = vec![PackOrigin::directory(&files)];
        let cache = FjallStore::open(&cache).unwrap();
        BlockingRemote::open_with(&RemoteOptions::default(), origins, cache).unwrap()
    };
    for round in 0..2 {
        let remote = open();
        let found: Vec<Feature> = remote.query(area).collect::<Result<_, _>>().unwrap();
        assert_eq!(found, expected);
        if round == 1 {
            assert_eq!(remote.traffic().requests, 1, "the manifest says which root");
        }
    }
    // What is not in the cache is found though the pages that lead there are.
    let remote = open();
    let found: Vec<Feature> = remote.query(globe()).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.len(), db.snapshot().query(globe()).count());
    drop(remote);
    assert_eq!(open().snapshot().query(globe()).count(), found.len());
}

/// What becomes of the bytes of a file, or of a range of it.
type Change = dyn Fn(&str, Option<Range<u64>>, Bytes) -> Bytes + Sync;

/// Files that fail in one way.
struct Broken<'a> {
    files: Directory,
    change: &'a Change,
}

impl Files for Broken<'_> {
    fn name(&self) -> String {
        "broken".to_owned()
    }

    async fn read(&self, file: &str, range: Option<Range<u64>>, limit: usize) -> std::io::Result<Bytes> {
        let bytes = self.files.read(file, range.clone(), limit).await?;
        Ok((self.change)(file, range, bytes))
    }
}

fn read_broken(dir: &Path, change: &Change) -> Result<Vec<Feature>, RemoteError> {
    let files = Broken { files: Directory::new(dir), change };
    let remote = BlockingRemote::open(PackOrigin::new(files))?;
    remote.query(globe()).collect()
}

#[test]
fn damaged_packs_are_errors() {
    let db = town();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let good = read_broken(dir.path(), &|_, _, bytes| bytes).unwrap();
    assert_eq!(good.len(), db.snapshot().query(globe()).count());
    // A range that ends early: the file is shorter than it was.
    let short = |_: &str, range: Option<Range<u64>>, bytes: Bytes| match range {
        Some(_) => bytes.slice(..bytes.len() - 1),
        None => bytes,
    };
    let error = read_broken(dir.path(), &short).unwrap_err();
    assert!(
        matches!(
            &error,
            RemoteError::Origin { source: OriginError::Pack(osmdb::PackError::Truncated { .. }), .. }
        ),
        "{error}"
    );
    // A bit anywhere.
    for place in 0..40 {
        let flip = move |_: &str, range: Option<Range<u64>>, bytes: Bytes| {
            let mut bytes = bytes.to_vec();
            if range.is_some() {
                let at = bytes.len() * place / 40;
                bytes[at] ^= 4;
            }
            Bytes::from(bytes)
        };
        match read_broken(dir.path(), &flip) {
            Ok(found) => assert_eq!(found, good),
            Err(RemoteError::Origin { source, .. }) => assert!(source.is_lie(), "{source}"),
            Err(other) => panic!("{other}"),
        }
    }
    // The manifest cut off anywhere.
    let whole = std::fs::read(dir.path().join(osmdb::MANIFEST_NAME)).unwrap().len();
    for end in (0..whole).step_by(whole / 30) {
        let cut = move |_: &str, range: Option<Range<u64>>, bytes: Bytes| match range {
            Some(_) => bytes,
            None => bytes.slice(..end),
        };
        let error = read_broken(dir.path(), &cut).unwrap_err();
        assert!(matches!(error, RemoteError::Origin { source: OriginError::Pack(_), .. }), "{error}");
    }
}

#[test]
fn a_second_publish_adds_new_pages_only_and_readers_see_the_old_or_the_new() {
    let db = town();
    let dir = tempfile::tempdir().unwrap();
    let first = db.publish_to(dir.path()).unwrap();
    let old = BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
    let before = db.snapshot().query(globe()).count();
    let mut size = first.bytes;
    for edit in 0..5 {
        let coord = Coord::new(100 + edit, 100).unwrap();
        db.create(Payload::Node { coord, tags: Tags::from([("amenity", "bench")]) }).unwrap();
        let next = db.publish_to(dir.path()).unwrap();
        assert_eq!((next.packs, next.root), (1, db.root()));
        assert!(next.pages < 20 && next.bytes * 4 < first.bytes, "{next:?} after {first:?}");
        size += next.bytes;
    }
    let new = BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
    assert_eq!(new.query(globe()).filter(&"amenity=bench".parse().unwrap()).count(), 5);
    assert_eq!(drain(&new, globe()).unwrap().len(), before + 5);
    // Whoever reads the old dataset goes on reading it.
    assert_eq!(drain(&old, globe()).unwrap().len(), before);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name());
    let files = names.filter(|name| !name.to_string_lossy().starts_with('.')).count();
    assert_eq!(files, 7, "six packs and a manifest, and a lock that nobody sees");
    let on_disk: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk <= size);
    // After many packs, everything is written anew.
    for edit in 0..70 {
        let coord = Coord::new(500 + edit, 100).unwrap();
        db.create(Payload::Node { coord, tags: Tags::new() }).unwrap();
        db.publish_to(dir.path()).unwrap();
    }
    let new = BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
    assert_eq!(drain(&new, globe()).unwrap().len(), before + 75);
}
