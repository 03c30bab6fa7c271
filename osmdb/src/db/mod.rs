//! A database: entries and the trees that follow from them, in a store.

mod apply;
mod areas;
mod authors;
mod batch;
mod by_tag;
mod change_file;
mod changeset;
#[cfg(feature = "server")]
mod changesets;
pub(crate) mod count;
mod cursor;
mod diff;
pub(crate) mod find;
mod forks;
mod history;
mod import;
mod items;
mod keeping;
mod load;
pub(crate) mod map;
mod merge;
pub(crate) mod nearest;
mod new_ids;
#[cfg(feature = "server")]
mod notes;
mod numbers;
pub(crate) mod places;
pub(crate) mod query;
mod receive;
mod reflog;
mod single;
mod snapshot;
mod stage;
mod standing;
mod time;
mod tree_writer;
mod undo;
mod verify;
mod walk;
mod watch;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
#[cfg(feature = "net")]
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use prolly::{
    Cid, Commit, Config, FjallStore, MemoryStore, PageSink, PageSource, PageStore, RootChange, Tree,
};

pub use self::areas::Area;
pub use self::authors::{AuthorInfo, MAX_AUTHOR_NAME_BYTES};
pub use self::batch::Batch;
pub use self::changeset::ChangesetInfo;
pub use self::cursor::{Cursor, CursorError, MAX_CURSOR_BYTES};
pub use self::diff::{Diff, Difference};
pub use self::forks::Forks;
pub use self::history::Revision;
pub use self::import::Imported;
pub use self::keeping::{Collected, Keep};
pub use self::map::Map;
pub use self::merge::{Authors, Everyone, Merged, Policy, Refused, Unfit};
pub use self::nearest::{Nearest, Neighbour};
pub use self::query::{Feature, Query};
pub use self::reflog::Reflog;
pub use self::snapshot::{Head, Snapshot};
pub use self::time::{At, ParseAtError};
pub use self::undo::Undone;
pub use self::verify::{Repaired, Verified};
pub use self::watch::{Update, Watch, WatchScope, What};
pub use self::write::{Edited, InUse, Replaces, Write, Written};
use crate::entry::{DeviceKey, Fresh};
use crate::error::Error;
use crate::root::{Counts, MAX_NAME_BYTES, Root, Trees};
use crate::signed_root::SignedRoot;
use apply::Applied;
#[cfg(feature = "net")]
pub(crate) use authors::stored_key;
#[cfg(feature = "server")]
pub(crate) use changesets::ChangesetState;
#[cfg(feature = "server")]
pub(crate) use numbers::numbers;
pub(crate) use receive::{Heap, Received};
use reflog::Cause;
pub(crate) use snapshot::parse_history;

/// The store's name for the root of the database.
const MAIN: &str = "main";

/// A database of OpenStreetMap elements with all their versions.
///
/// Every change is one commit: readers see the root before it or after it, and what a method has
/// returned survives a crash. A database may be shared between threads; writes take turns.
///
/// ```
/// use osmdb::{Db, ElementId};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("osm.db");
/// let db = Db::create_or_open(&path)?;
/// assert!(db.get(ElementId::node(1))?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Db<S = FjallStore> {
    store: S,
    root: RwLock<Root>,
    /// Held while a change is made.
    writing: Mutex<Turn>,
    /// Rings when there is another root.
    bell: watch::Bell,
    ids: Mutex<new_ids::NewIds>,
    key: OnceLock<Arc<DeviceKey>>,
    /// The root that was signed last.
    signed: Mutex<Option<SignedRoot>>,
}

/// The turn to change the database.
#[derive(Debug, Default)]
struct Turn {
    /// The number of the last record of the reflog, once it is known.
    last: Option<u64>,
}

impl Db<FjallStore> {
    /// Opens the database in a directory.
    ///
    /// ```
    /// use osmdb::Db;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("osm.db");
    /// assert!(Db::open(&path).is_err(), "there is none yet");
    /// drop(Db::create_or_open(&path)?);
    /// assert_eq!(Db::open(&path)?.counts().entries, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is none, another process has it open, or it is damaged.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let store = FjallStore::open_existing(dir.as_ref())?;
        Self::with_store(store, crate::root::DEFAULT_NAME)
    }

    /// Opens the database in a directory, or creates an empty one named `osm` there.
    ///
    /// ```
    /// use osmdb::Db;
    /// # use osmdb::{Coord, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("osm.db");
    /// let db = Db::create_or_open(&path)?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// drop(db);
    /// assert_eq!(Db::create_or_open(&path)?.get(node)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The directory holds something else, another process has it open, or it is damaged.
    pub fn create_or_open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::with_store(FjallStore::open(dir.as_ref())?, crate::root::DEFAULT_NAME)
    }
}

impl Db<MemoryStore> {
    /// Creates an empty database that is forgotten when it is dropped. Its name has 1 to 255 bytes
    /// ([`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES)).
    ///
    /// ```
    /// use osmdb::{Db, Error};
    /// let db = Db::in_memory("village")?;
    /// assert_eq!(db.snapshot().root().name, "village");
    /// assert!(matches!(Db::in_memory(""), Err(Error::Name)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The name is empty or too long.
    pub fn in_memory(name: &str) -> Result<Self, Error> {
        Self::with_store(MemoryStore::new(), name)
    }
}

impl<S: PageStore> Db<S> {
    /// Opens the database in a store, or creates an empty one there with this name. The name of a
    /// database that is there already stays as it is.
    ///
    /// ```
    /// use osmdb::Db;
    /// use prolly::MemoryStore;
    /// let db = Db::with_store(MemoryStore::new(), "village")?;
    /// assert_eq!(db.root(), Db::in_memory("village")?.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails or is damaged, or the name is empty or too long.
    pub fn with_store(store: S, name: &str) -> Result<Self, Error> {
        let root = match store.root(MAIN)? {
            Some(cid) => Snapshot::open(&store, cid)?.root().clone(),
            None => create(&store, name)?,
        };
        Ok(Self {
            store,
            root: RwLock::new(root),
            writing: Mutex::default(),
            bell: watch::Bell::default(),
            ids: Mutex::default(),
            key: OnceLock::new(),
            signed: Mutex::default(),
        })
    }

    /// Returns the store.
    ///
    /// ```
    /// use prolly::PageSource;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(db.store().load(&db.root())?.is_some(), "the root record is a page too");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the root: equal roots mean equal databases. Costs no page.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// assert_eq!(ours.root(), theirs.root());
    /// ours.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_ne!(ours.root(), theirs.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn root(&self) -> Cid {
        self.root_record().cid()
    }

    /// Returns how many elements and versions there are. Costs no page: the root record says it.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_eq!((db.counts().nodes, db.counts().entries), (1, 1));
    /// db.delete(node)?;
    /// assert_eq!((db.counts().nodes, db.counts().entries), (0, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.root_record().counts
    }

    fn root_record(&self) -> Root {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the database as it is now. Later changes do not reach it. Costs no page; nothing is copied.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let before = db.snapshot();
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert!(before.get(node)?.is_empty());
    /// assert_eq!(db.snapshot().get(node)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<&S> {
        Snapshot::of(&self.store, self.root_record())
    }

    /// Returns all heads of an element, as it is now. See [`Snapshot::get`].
    ///
    /// ```
    /// use osmdb::ElementId;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let heads = db.get(node)?;
    /// assert_eq!((heads.len(), heads[0].entry.element), (1, node));
    /// assert!(db.get(ElementId::way(1))?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn get(&self, element: crate::model::ElementId) -> Result<Vec<Head>, Error> {
        self.snapshot().get(element)
    }

    /// Returns the roots that the database had, the oldest first. Costs one note of the store for each.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let log = db.reflog()?;
    /// assert!(log.iter().map(|record| record.what.as_str()).eq(["create", "edit"]));
    /// assert_eq!(log[1].root, db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails, or a record is damaged.
    pub fn reflog(&self) -> Result<Vec<Reflog>, Error> {
        reflog::read(&self.store)
    }

    /// Returns how often the root has changed since the database was opened.
    #[cfg(feature = "net")]
    pub(crate) fn changes(&self) -> u64 {
        self.bell.count()
    }

    /// Is ready with that number when it is another one; the task is woken then.
    #[cfg(feature = "net")]
    pub(crate) fn poll_changes(&self, known: u64, cx: &Context<'_>) -> Poll<u64> {
        self.bell.poll(known, cx)
    }

    fn write_turn(&self) -> MutexGuard<'_, Turn> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries in one commit, with pages of the store seen through `pages`.
    fn add<P>(&self, turn: &mut Turn, pages: &P, new: Vec<Fresh>, cause: Cause<'_>) -> Result<Applied, Error>
    where
        P: PageSource + PageSink + Sync,
    {
        let old = self.root_record();
        let applied = apply::apply(pages, &old, new)?;
        self.publish(turn, &old, &applied.root, cause)?;
        Ok(applied)
    }

    /// Commits a root, whose trees are in the store already, if it is another one.
    fn publish(&self, turn: &mut Turn, old: &Root, new: &Root, cause: Cause<'_>) -> Result<(), Error> {
        if old.cid() != new.cid() || cause.merged.is_some() {
            self.change_root(turn, new, cause)?;
        }
        Ok(())
    }

    /// Makes another root that of the database, in one commit with its record of the reflog.
    fn change_root(&self, turn: &mut Turn, root: &Root, cause: Cause<'_>) -> Result<(), Error> {
        let number = reflog::next_number(&self.store, turn.last)?;
        commit_root(&self.store, Some(self.root()), root, number, cause)?;
        turn.last = Some(number);
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = root.clone();
        self.bell.ring();
        Ok(())
    }
}

fn create<S: PageStore>(store: &S, name: &str) -> Result<Root, Error> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Error::Name);
    }
    let root = empty_root(store, name, Config::default())?;
    commit_root(store, None, &root, 0, Cause::new(reflog::CREATE))?;
    Ok(root)
}

/// Writes a root record, names it the root of the database, and notes in the reflog why.
fn commit_root<S: PageStore>(
    store: &S,
    before: Option<Cid>,
    root: &Root,
    number: u64,
    cause: Cause<'_>,
) -> Result<(), Error> {
    let after = root.cid();
    store.put(after, root.encode().into())?;
    let Cause { what, merged } = cause;
    let log = Reflog { number, root: after, what: what.to_owned(), time: now(), merged };
    let change = RootChange { name: MAIN.to_owned(), expected: before, new: Some(after) };
    store.commit(&Commit { roots: vec![change], notes: vec![log.note()] })?;
    Ok(())
}

/// Writes the pages of a database without entries.
fn empty_root<W: PageSink>(sink: &W, name: &str, config: Config) -> Result<Root, Error> {
    sink.put(config.cid(), config.encode().into())?;
    let empty = Tree::empty(sink, config)?;
    let trees =
        Trees { heads: empty, history: empty, spatial: empty, refs: empty, changes: empty, tags: empty };
    Ok(Root { name: name.to_owned(), trees, counts: Counts::default() })
}

/// Returns the seconds since 1970. The clock dates edits and the reflog, and decides nothing.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
