//! Following what changes.
//!
//! Nothing is queued: a watch keeps the root that it has told everything of, and compares it with the root of
//! now when it is asked. So whoever asks late is told the difference of the two, once, and memory does not
//! grow with what was written meanwhile.

mod bell;
mod delta;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

use prolly::{Cid, PageStore, Pin, Tree};

pub(super) use self::bell::Bell;
use self::delta::Delta;
use super::diff::{Compare, Difference};
use super::{Db, Head, MAIN, Query, Snapshot};
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{BBox, ElementId};

/// Elements are looked up this many at a time, to bound memory.
const CHUNK: usize = 256;

/// What a watch follows.
///
/// ```
/// use std::time::Duration;
/// use osmdb::WatchScope;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let mut everywhere = db.watch(WatchScope::Database)?;
/// let mut here = db.watch(WatchScope::Box("-1,-1,1,1".parse()?))?;
/// // In the south, outside of the box:
/// db.create(Payload::Node { coord: Coord::new(-425_000_000, 0)?, tags: Tags::new() })?;
/// assert!(everywhere.next_within(Duration::ZERO)?.is_some());
/// assert!(here.next_within(Duration::ZERO)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchScope {
    /// Every element, by its heads.
    Database,
    /// What [`Snapshot::query`] finds in a box: elements come in and go out, and change inside of it. A way
    /// changes too when one of its nodes moves.
    Box(BBox),
    /// One element, by its heads.
    Element(ElementId),
}

/// What became of an element.
///
/// ```
/// use std::time::Duration;
/// use osmdb::{WatchScope, What};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
/// let element = db.create(node(1))?;
/// let mut watch = db.watch(WatchScope::Element(element))?;
/// let mut what = || watch.next_within(Duration::ZERO).map(|update| update.map(|update| update.what));
/// db.put(element, node(2))?;
/// assert_eq!(what()?, Some(What::Updated));
/// db.delete(element)?;
/// assert_eq!(what()?, Some(What::Removed));
/// db.put(element, node(3))?;
/// assert_eq!(what()?, Some(What::Added));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// It was there when the watch began.
    Present,
    /// It was made or restored; or, in a box, it has come into it.
    Added,
    /// It has other heads than before; or, in a box, another place.
    Updated,
    /// It was deleted; or, in a box, it has left it.
    Removed,
    /// It has several heads, and had fewer than two before.
    Forked,
}

/// A change of an element, or that it is there.
///
/// ```
/// use std::time::Duration;
/// use osmdb::{WatchScope, What};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let mut watch = db.watch(WatchScope::Database)?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let update = watch.next_within(Duration::ZERO)?.ok_or("an edit")?;
/// assert_eq!((update.element, update.what), (node, What::Added));
/// assert_eq!(update.heads, db.get(node)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The element.
    pub element: ElementId,
    /// What became of it.
    pub what: What,
    /// Its heads now, sorted by version; those of deletions too.
    pub heads: Vec<Head>,
}

impl<S: PageStore> Db<S> {
    /// Begins to follow what changes from now on, whoever changes it: edits, imports, merges.
    ///
    /// Whoever asks for changes late is told the difference between what he was told last and what is
    /// now: an element that was changed twice comes once, and one that was made and deleted again does not
    /// come at all. The order is that of elements for a database, and that of nothing in particular for a
    /// box.
    ///
    /// Costs what differs between two roots: the pages that only one of them has, and for a box also those
    /// that hold what changed. Memory: a few hundred elements at a time, and for a box the names of up to
    /// 100,000 that changed place (beyond that, one may come twice). The pages of the root that was told of
    /// last are kept from collection.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osmdb::{Coord, Db, Payload, Tags, WatchScope, What};
    /// let db = Db::in_memory("osm")?;
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let mut watch = db.watch(WatchScope::Box("-1,-1,1,1".parse()?))?;
    /// let element = db.create(node(1))?;
    /// db.create(node(20_000_000))?;
    /// db.put(element, node(2))?;
    /// let update = watch.next_within(Duration::ZERO)?.expect("something has changed");
    /// assert_eq!((update.element, update.what), (element, What::Added));
    /// assert_eq!(watch.next_within(Duration::ZERO)?, None, "the other one is outside");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn watch(&self, scope: WatchScope) -> Result<Watch<'_, S>, Error> {
        let told = Told::now(self)?;
        let windows = match scope {
            WatchScope::Box(bbox) => Window::of(bbox),
            _ => Vec::new(),
        };
        Ok(Watch {
            db: self,
            scope,
            windows,
            told,
            present: None,
            delta: None,
            ready: VecDeque::new(),
            ended: false,
        })
    }
}

/// A root, and what keeps its pages.
#[derive(Debug)]
struct Told<'a, S> {
    snapshot: Snapshot<&'a S>,
    _pin: Option<Pin>,
}

impl<'a, S: PageStore> Told<'a, S> {
    fn now(db: &'a Db<S>) -> Result<Self, Error> {
        let pin = db.store().pin_root(MAIN).map_err(prolly::Error::from)?;
        let snapshot = match pin.as_ref().and_then(Pin::root) {
            Some(root) => Snapshot::open(db.store(), root)?,
            None => db.snapshot(),
        };
        Ok(Self { snapshot, _pin: pin })
    }
}

/// Follows what changes in a database. As an iterator it waits for the next change, and ends only after an
/// error; [`next_within`](Self::next_within) waits no longer than it is told.
///
/// ```
/// use osmdb::{Db, WatchScope};
/// # use osmdb::{Coord, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let mut watch = db.watch(WatchScope::Database)?;
/// let payload = Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() };
/// std::thread::scope(|threads| -> Result<(), Box<dyn std::error::Error>> {
///     let editor = threads.spawn(|| db.create(payload));
///     let update = watch.next().ok_or("a watch does not end")??;
///     assert_eq!(update.element, editor.join().unwrap()?);
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch<'a, S> {
    db: &'a Db<S>,
    scope: WatchScope,
    windows: Vec<Window>,
    /// What was told of, or is being told of.
    told: Told<'a, S>,
    present: Option<Present<'a, S>>,
    delta: Option<Delta<'a, S>>,
    ready: VecDeque<Update>,
    ended: bool,
}

impl<S: PageStore> Watch<'_, S> {
    /// Tells first of all that is there already, as [`What::Present`]: of what is deleted, nothing. Costs the
    /// pages of `heads`, or those of the box. To be called before the first change is taken.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osmdb::{Coord, Db, Payload, Tags, WatchScope, What};
    /// let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let mut watch = db.watch(WatchScope::Element(node))?.with_present()?;
    /// let present = watch.next_within(Duration::ZERO)?.map(|update| update.what);
    /// assert_eq!(present, Some(What::Present));
    /// db.delete(node)?;
    /// assert_eq!(watch.next_within(Duration::ZERO)?.map(|update| update.what), Some(What::Removed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn with_present(mut self) -> Result<Self, Error> {
        let root = self.told.snapshot.root();
        let store = self.db.store();
        self.present = Some(match self.scope {
            WatchScope::Box(bbox) => {
                let has_forks = root.counts.forks > 0;
                let seen = has_forks.then(HashSet::new);
                Present::Box { query: Box::new(Query::new(store, root, Some(bbox))), seen }
            }
            // All is what differs from nothing.
            WatchScope::Database | WatchScope::Element(_) => {
                let nothing = Tree::empty(store, root.trees.heads.config)?;
                Present::Heads(Box::new(self.compare(nothing, root.trees.heads)?))
            }
        });
        Ok(self)
    }

    /// Begins at an earlier root, and tells first of what has changed since. Costs the record of that root.
    /// To be called before the first change is taken, and before [`with_present`](Self::with_present), which
    /// then tells of what was there at that root.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osmdb::WatchScope;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let told = db.root();
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let mut watch = db.watch(WatchScope::Database)?.since(told)?;
    /// let update = watch.next_within(Duration::ZERO)?;
    /// assert_eq!(update.map(|update| update.element), Some(node));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Db::at`].
    pub fn since(mut self, root: Cid) -> Result<Self, Error> {
        let pin = self.db.store().pins().pin(root);
        self.told = Told { snapshot: self.db.at(root)?, _pin: Some(pin) };
        Ok(self)
    }

    /// Returns the root that all was told of when [`next_within`](Self::next_within) has returned `None`: who
    /// goes on [`since`](Self::since) this root misses nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osmdb::WatchScope;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let mut watch = db.watch(WatchScope::Database)?;
    /// assert_eq!(watch.root(), db.root());
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// while watch.next_within(Duration::ZERO)?.is_some() {}
    /// assert_eq!(watch.root(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn root(&self) -> Cid {
        self.told.snapshot.root().cid()
    }

    /// Returns the next change; `None` if there was none for so long. With [`Duration::ZERO`] it only looks.
    ///
    /// ```
    /// use std::time::Duration;
    /// use osmdb::WatchScope;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let mut watch = db.watch(WatchScope::Database)?;
    /// assert_eq!(watch.next_within(Duration::from_millis(1))?, None);
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let update = watch.next_within(Duration::from_secs(1))?;
    /// assert_eq!(update.map(|update| update.element), Some(node));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the store fails. The watch ends: begin another one.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<Update>, Error> {
        // A time that no clock reaches is no limit.
        self.wait(Instant::now().checked_add(timeout))
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<Option<Update>, Error> {
        if self.ended {
            return Ok(None);
        }
        let next = self.look(until);
        self.ended = next.is_err();
        next
    }

    fn look(&mut self, until: Option<Instant>) -> Result<Option<Update>, Error> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(Some(update));
            }
            if self.present.is_some() {
                self.tell_what_is_there()?;
                continue;
            }
            if let Some(delta) = &mut self.delta {
                if !delta.tell(&self.told, &self.windows, &mut self.ready)? {
                    self.delta = None;
                }
                continue;
            }
            let count = self.db.bell.count();
            let now = Told::now(self.db)?;
            if now.snapshot.root().cid() == self.told.snapshot.root().cid() {
                if !self.db.bell.wait(count, until) {
                    return Ok(None);
                }
                continue;
            }
            let before = std::mem::replace(&mut self.told, now);
            let heads =
                self.compare(before.snapshot.root().trees.heads, self.told.snapshot.root().trees.heads)?;
            self.delta = Some(Delta::new(before, &self.told, heads, self.scope)?);
        }
    }

    /// Compares heads, as far as they belong to what is watched.
    fn compare(&self, before: Tree, after: Tree) -> Result<Compare, Error> {
        let compare = Compare::of_heads(before, after)?;
        Ok(match self.scope {
            WatchScope::Element(element) => compare.within(element),
            _ => compare,
        })
    }

    fn tell_what_is_there(&mut self) -> Result<(), Error> {
        let store = self.db.store();
        match &mut self.present {
            Some(Present::Heads(compare)) => match compare.step(store)?.complete()? {
                Some(Difference { element, after: heads, .. }) => {
                    if is_live(&heads) {
                        self.ready.push_back(Update { element, what: What::Present, heads });
                    }
                }
                None => self.present = None,
            },
            Some(Present::Box { query, seen }) => {
                let mut elements = BTreeSet::new();
                for feature in query.by_ref().take(CHUNK) {
                    elements.insert(feature?.element);
                }
                if elements.is_empty() {
                    self.present = None;
                    return Ok(());
                }
                if let Some(seen) = seen {
                    elements.retain(|element| seen.insert(*element));
                }
                for heads in self.told.snapshot.heads_among(&elements) {
                    let heads = heads?;
                    let Some(element) = heads.first().map(|head| head.entry.element) else { continue };
                    self.ready.push_back(Update { element, what: What::Present, heads });
                }
            }
            None => {}
        }
        Ok(())
    }
}

impl<S: PageStore> Iterator for Watch<'_, S> {
    type Item = Result<Update, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None).transpose()
    }
}

/// What was there when the watch began, as far as it was not told of.
#[derive(Debug)]
enum Present<'a, S> {
    Heads(Box<Compare>),
    /// Only forks come twice.
    Box {
        query: Box<Query<&'a S>>,
        seen: Option<HashSet<ElementId>>,
    },
}

fn is_live(heads: &[Head]) -> bool {
    heads.iter().any(|head| head.entry.payload.is_some())
}
