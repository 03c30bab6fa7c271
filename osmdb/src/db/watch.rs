//! Following what changes.
//!
//! Nothing is queued: a watch keeps the root that it has told everything of, and compares it with the root of
//! now when it is asked. So whoever asks late is told the difference of the two, once, and memory does not
//! grow with what was written meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prolly::{Change, Diff, KeyRange, PageStore, Pin, Tree, Value, read};

use super::{Db, Head, MAIN, Query, Snapshot};
use crate::entry::Known;
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{BBox, ElementId, Kind, Payload};
use crate::views::derive::derived;
use crate::views::{keys, spatial};

/// Elements are looked up this many at a time, to bound memory.
const CHUNK: usize = 256;

/// Members of relations are looked up this many at a time.
const MEMBERS: usize = 20_000;

/// So many elements are remembered at most, so that each is told of once.
const REMEMBERED: usize = 100_000;

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

/// Wakes those that wait for a change.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn count(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has rung more often than this; tells whether it has.
    fn wait(&self, count: u64, until: Option<Instant>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while *rung == count {
            rung = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(rung).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => self.changed.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }
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
            if self.delta.is_some() {
                self.tell_what_changed()?;
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
            let places = match self.scope {
                WatchScope::Box(_) => Some(Diff::new(
                    before.snapshot.root().trees.spatial,
                    self.told.snapshot.root().trees.spatial,
                )?),
                _ => None,
            };
            self.delta = Some(Delta { before, heads: Some(heads), places, seen: HashSet::new() });
        }
    }

    /// Compares heads, as far as they belong to what is watched.
    fn compare(&self, before: Tree, after: Tree) -> Result<Diff, Error> {
        let diff = Diff::new(before, after)?;
        Ok(match self.scope {
            WatchScope::Element(element) => diff.within(KeyRange::point(&keys::element(element))),
            _ => diff,
        })
    }

    fn tell_what_is_there(&mut self) -> Result<(), Error> {
        let store = self.db.store();
        match &mut self.present {
            Some(Present::Heads(diff)) => {
                let Some(change) = diff.step(store)?.complete()? else {
                    self.present = None;
                    return Ok(());
                };
                let (element, _, heads) = heads_of(store, change)?;
                if is_live(&heads) {
                    self.ready.push_back(Update { element, what: What::Present, heads });
                }
            }
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

    fn tell_what_changed(&mut self) -> Result<(), Error> {
        let store = self.db.store();
        let Some(delta) = &mut self.delta else { return Ok(()) };
        let after = &self.told.snapshot;
        if let Some(heads) = &mut delta.heads {
            let mut changes = Vec::new();
            while changes.len() < CHUNK
                && let Some(change) = heads.step(store)?.complete()?
            {
                changes.push(heads_of(store, change)?);
            }
            if changes.is_empty() {
                delta.heads = None;
            } else if self.windows.is_empty() {
                for (element, before, heads) in changes {
                    let (was, is) = (is_live(&before), is_live(&heads));
                    if was || is {
                        let what = became(was, is, before.len(), heads.len());
                        self.ready.push_back(Update { element, what, heads });
                    }
                }
            } else {
                let elements: BTreeSet<ElementId> = changes.iter().map(|(element, ..)| *element).collect();
                let was = touching(&delta.before.snapshot, &elements, &self.windows)?;
                let is = touching(after, &elements, &self.windows)?;
                for (element, before, heads) in changes {
                    let (was, is) = (was.contains(&element), is.contains(&element));
                    if was || is {
                        let what = became(was, is, before.len(), heads.len());
                        self.ready.push_back(Update { element, what, heads });
                    }
                }
            }
            return Ok(());
        }
        let Some(places) = &mut delta.places else {
            self.delta = None;
            return Ok(());
        };
        let mut moved = BTreeSet::new();
        let mut named = BTreeSet::new();
        while moved.len() + named.len() < CHUNK {
            let Some(change) = places.step(store)?.complete()? else {
                delta.places = None;
                break;
            };
            if !spatial::may_touch(&change.key, &self.windows) {
                continue;
            }
            let parse = |value: Option<Value>| match value {
                Some(value) => {
                    let value = read(store, value)?;
                    spatial::parse(&change.key, &value).map(Some).map_err(super::places::damaged(&change.key))
                }
                None => Ok(None),
            };
            let (left, right) = (parse(change.left)?, parse(change.right)?);
            let is_here = |located: &&spatial::Located| {
                self.windows.iter().any(|window| window.meets(&located.geometry))
            };
            let here = |pair: &Option<spatial::SpatialPair>| -> Vec<spatial::Located> {
                pair.iter().flat_map(|pair| &pair.features).filter(is_here).cloned().collect()
            };
            let is_moved = here(&left) != here(&right);
            for pair in [left, right].into_iter().flatten() {
                named.extend(pair.relations.into_iter().map(ElementId::relation));
                moved.extend(is_moved.then_some(pair.element));
            }
        }
        let mut elements: BTreeSet<ElementId> = moved.union(&named).copied().collect();
        if delta.seen.len() > REMEMBERED {
            delta.seen.clear();
        }
        elements.retain(|element| delta.seen.insert(*element));
        let was = touching(&delta.before.snapshot, &elements, &self.windows)?;
        let is = touching(after, &elements, &self.windows)?;
        elements.retain(|element| was.contains(element) || is.contains(element));
        let values = |snapshot: &Snapshot<&S>| -> Result<BTreeMap<ElementId, bytes::Bytes>, Error> {
            snapshot.heads_of(elements.iter().copied()).collect()
        };
        let before = values(&delta.before.snapshot)?;
        for (element, value) in values(after)? {
            // Elements with other heads were told of already.
            if before.get(&element) != Some(&value) {
                continue;
            }
            let (was, is) = (was.contains(&element), is.contains(&element));
            if was != is || moved.contains(&element) {
                let heads = decode(element, &value)?;
                let what = became(was, is, heads.len(), heads.len());
                self.ready.push_back(Update { element, what, heads });
            }
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
    Heads(Box<Diff>),
    /// Only forks come twice.
    Box {
        query: Box<Query<&'a S>>,
        seen: Option<HashSet<ElementId>>,
    },
}

/// What differs between two roots, as far as it was not told of.
#[derive(Debug)]
struct Delta<'a, S> {
    before: Told<'a, S>,
    /// First the elements with other heads.
    heads: Option<Diff>,
    /// Then, for a box, those with the same heads in another place.
    places: Option<Diff>,
    seen: HashSet<ElementId>,
}

fn became(was: bool, is: bool, heads_before: usize, heads: usize) -> What {
    match (was, is) {
        _ if is && heads > 1 && heads_before < 2 => What::Forked,
        (false, true) => What::Added,
        (true, false) => What::Removed,
        _ => What::Updated,
    }
}

fn is_live(heads: &[Head]) -> bool {
    heads.iter().any(|head| head.entry.payload.is_some())
}

fn decode(element: ElementId, value: &[u8]) -> Result<Vec<Head>, Error> {
    let heads = Known::decode_heads(element, value).map_err(Error::entry(element))?;
    Ok(heads.into_iter().map(Head::from).collect())
}

/// Reads the heads before and after a change of them.
fn heads_of<S: PageStore>(store: &S, change: Change) -> Result<(ElementId, Vec<Head>, Vec<Head>), Error> {
    let element = keys::parse_element(&change.key).ok_or(Error::Key { tree: "heads" })?;
    let heads = |value: Option<Value>| match value {
        Some(value) => decode(element, &read(store, value)?),
        None => Ok(Vec::new()),
    };
    Ok((element, heads(change.left)?, heads(change.right)?))
}

/// Returns which of some elements a query for these windows finds.
fn touching<S: PageStore>(
    snapshot: &Snapshot<&S>,
    elements: &BTreeSet<ElementId>,
    windows: &[Window],
) -> Result<BTreeSet<ElementId>, Error> {
    let mut found = BTreeSet::new();
    let is_somewhere = |element: &&ElementId| matches!(element.kind, Kind::Node | Kind::Way);
    let places: Vec<ElementId> = elements.iter().filter(is_somewhere).copied().collect();
    find_places(snapshot, &places, windows, &mut found)?;
    let relations = elements.iter().filter(|element| element.kind == Kind::Relation).copied();
    for pair in snapshot.heads_of(relations) {
        let (relation, value) = pair?;
        let mut members: Vec<ElementId> = Vec::new();
        for head in decode(relation, &value)? {
            members.extend(
                head.entry
                    .payload
                    .iter()
                    .flat_map(Payload::references)
                    .filter(|member| is_somewhere(&member)),
            );
        }
        members.sort_unstable();
        members.dedup();
        for members in members.chunks(MEMBERS) {
            let mut here = BTreeSet::new();
            find_places(snapshot, members, windows, &mut here)?;
            if !here.is_empty() {
                found.insert(relation);
                break;
            }
        }
    }
    Ok(found)
}

fn find_places<S: PageStore>(
    snapshot: &Snapshot<&S>,
    elements: &[ElementId],
    windows: &[Window],
    found: &mut BTreeSet<ElementId>,
) -> Result<(), Error> {
    for (key, value) in derived(snapshot, elements)?.spatial {
        let pair = spatial::parse(&key, &value).map_err(super::places::damaged(&key))?;
        let mut geometries = pair.features.iter().map(|located| &located.geometry);
        if geometries.any(|geometry| windows.iter().any(|window| window.meets(geometry))) {
            found.insert(pair.element);
        }
    }
    Ok(())
}
