//! Publishing that is interrupted, or that somebody else does at the same time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "without features, the tests of other folders are not there")]

use std::future::Future;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use osmdb::{
    BlockingRemote, Coord, Db, Directory, ElementId, Files, PackOrigin, Payload, Publish, PublishError, Tags,
};
use prolly::MemoryStore;

/// 4,000 wells, a few metres from each other.
pub fn land() -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for number in 0..4_000_i64 {
        let coord = Coord::new(number / 60 * 9_000, number % 60 * 9_000).unwrap();
        let tags = Tags::from([("amenity", "well".to_owned()), ("ref", number.to_string())]);
        batch.create(Payload::Node { coord, tags }).unwrap();
    }
    batch.commit().unwrap();
    db
}

/// Digs another well.
pub fn well(db: &Db<MemoryStore>, number: i64) -> ElementId {
    let tags = Tags::from([("amenity", "well".to_owned()), ("name", number.to_string())]);
    db.create(Payload::Node { coord: Coord::new(100_000 + number, 200_000).unwrap(), tags }).unwrap()
}

/// A folder at which something happens.
pub struct Troubled<P, B> {
    pub files: P,
    /// So many files can be written; `None`: any number.
    pub left: Option<usize>,
    /// What somebody else does before the manifest is replaced.
    pub before_swap: B,
}

impl<P: Publish, B: FnMut() + Send + Sync> Files for Troubled<P, B> {
    fn name(&self) -> String {
        self.files.name()
    }

    fn read(
        &self,
        file: &str,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> impl Future<Output = io::Result<Bytes>> + Send {
        self.files.read(file, range, limit)
    }
}

impl<P: Publish, B: FnMut() + Send + Sync> Troubled<P, B> {
    fn write_one(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::ConnectionReset)?;
        }
        Ok(())
    }
}

impl<P: Publish, B: FnMut() + Send + Sync> Publish for Troubled<P, B> {
    fn write(&mut self, file: &str, bytes: Bytes) -> io::Result<()> {
        self.write_one()?;
        self.files.write(file, bytes)
    }

    fn swap(&mut self, file: &str, old: Option<&[u8]>, new: Bytes) -> io::Result<bool> {
        self.write_one()?;
        (self.before_swap)();
        self.files.swap(file, old, new)
    }
}

/// Publishes to a folder, which must be new, while somebody else does.
pub fn two_publish<P: Publish>(open: impl Fn() -> P + Send + Sync) {
    let (ours, theirs) = (land(), land());
    let id = well(&theirs, 1);
    // The first manifest of the folder, and then one that replaces another.
    for number in 2..4 {
        well(&ours, number);
        well(&theirs, -number);
        let meanwhile = || {
            theirs.snapshot().publish_to(&mut open()).unwrap();
        };
        let mut folder = Troubled { files: open(), left: None, before_swap: meanwhile };
        match ours.snapshot().publish_to(&mut folder) {
            Err(PublishError::Overtaken { .. }) => {}
            other => panic!("{other:?}"),
        }
        let remote = BlockingRemote::open(PackOrigin::new(open())).unwrap();
        assert_eq!(remote.root(), theirs.root());
        assert_eq!(remote.get(id).unwrap(), theirs.get(id).unwrap());
    }
    ours.snapshot().publish_to(&mut open()).unwrap();
    assert_eq!(BlockingRemote::open(PackOrigin::new(open())).unwrap().root(), ours.root());
}

#[test]
fn of_two_who_publish_at_once_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    two_publish(|| Directory::new(dir.path()));
}

#[test]
fn of_many_who_publish_at_once_each_knows_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let publish = |thread: i64| {
        let db = Db::in_memory("osm").unwrap();
        let mut published = Vec::new();
        for number in 0..20 {
            well(&db, 100 * thread + number);
            match db.publish_to(dir.path()) {
                Ok(done) => published.push(done.root),
                Err(PublishError::Overtaken { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        published.last().copied()
    };
    let last: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn({
                    let publish = &publish;
                    move || publish(thread)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let remote = BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
    assert!(last.contains(&remote.root()));
    assert!(remote.query("-180,-90,180,90".parse().unwrap()).map(Result::unwrap).count() > 0);
}

#[test]
fn an_interrupted_publish_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let db = land();
    let old = db.publish_to(dir.path()).unwrap().root;
    well(&db, 1);
    for left in 0..2 {
        let files = Directory::new(dir.path());
        let mut folder = Troubled { files, left: Some(left), before_swap: || {} };
        assert!(matches!(db.snapshot().publish_to(&mut folder), Err(PublishError::Io { .. })));
        let remote = BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
        assert_eq!(remote.root(), old);
        assert_eq!(remote.query("-180,-90,180,90".parse().unwrap()).map(Result::unwrap).count(), 4_000);
    }
    assert_eq!(db.publish_to(dir.path()).unwrap().root, db.root());
}
