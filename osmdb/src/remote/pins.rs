//! Areas that are kept for when there is nobody to ask.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use prolly::cbor::{CborError, Reader, put_array, put_bytes, put_link, put_optional, put_signed};
use prolly::{Cid, Commit, Page, PageSource, PageStore, Step, StoreError};

use super::answering::{Answer, Answering};
use super::ask::{Ask, MAX_ASK_IDS};
use super::asking::lock;
use super::blocking::{BlockingRemote, block_on};
use super::origin::PageOrigin;
use super::reader::{Remote, RemoteError};
use crate::db::{Db, Everyone, Received, now};
use crate::entry::{Entry, Fresh, Known};
use crate::error::Error;
use crate::filter::Filter;
use crate::model::{BBox, Coord, ElementId, Kind, Payload};
use crate::root::RawRoot;
use crate::signed_root::SignedRoot;

/// The note in the cache.
const NOTE: &[u8] = b"pins";

/// No more areas than this are pinned in one cache.
///
/// ```
/// assert_eq!(osmdb::MAX_PINS, 256);
/// ```
pub const MAX_PINS: usize = 256;

/// The areas that a cache keeps, all at one root.
///
/// ```
/// use osmdb::{BBox, BlockingRemote, Db, PackOrigin};
/// # let dir = tempfile::tempdir()?;
/// # let db = Db::in_memory("osm")?;
/// db.publish_to(dir.path())?;
/// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
/// assert_eq!(remote.pins()?, None);
/// let valley: BBox = "1.50,42.50,1.55,42.52".parse()?;
/// let pins = remote.pin(valley)?;
/// assert_eq!((pins.root, pins.areas.as_slice()), (db.root(), &[valley][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// The root.
    pub root: Cid,
    /// When it was the root of the dataset, in seconds since 1970.
    pub time: i64,
    /// Who stood for it.
    pub signed: Option<SignedRoot>,
    /// The areas, in the order in which they were pinned.
    pub areas: Vec<BBox>,
}

impl Pins {
    /// Returns what is pinned in a cache. Costs a note.
    ///
    /// ```
    /// use osmdb::Pins;
    /// assert_eq!(Pins::in_cache(&prolly::MemoryStore::new())?, None);
    /// # Ok::<(), prolly::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn in_cache<C: PageStore>(cache: &C) -> Result<Option<Self>, StoreError> {
        let notes = cache.notes(NOTE)?;
        let note = notes.iter().find(|(key, _)| key == NOTE);
        // A damaged note is as good as none: what is in a cache can be lost.
        Ok(note.and_then(|(_, note)| Self::decode(note).ok().flatten()))
    }

    /// Lets go of an area in a cache: its pages stay until there is no room for them. Tells whether it was pinned.
    ///
    /// ```
    /// use osmdb::Pins;
    /// assert!(!Pins::let_go(&prolly::MemoryStore::new(), "1.50,42.50,1.55,42.52".parse()?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn let_go<C: PageStore>(cache: &C, area: BBox) -> Result<bool, StoreError> {
        let Some(mut pins) = Self::in_cache(cache)? else { return Ok(false) };
        let before = pins.areas.len();
        pins.areas.retain(|known| *known != area);
        if pins.areas.len() == before {
            return Ok(false);
        }
        write(cache, Some(&pins).filter(|pins| !pins.areas.is_empty()))?;
        Ok(true)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_array(&mut out, 4);
        put_link(&mut out, &self.root);
        put_signed(&mut out, self.time);
        let signed = self.signed.as_ref().map(SignedRoot::encode);
        put_optional(&mut out, signed.as_deref(), put_bytes);
        put_array(&mut out, self.areas.len() * 4);
        for area in &self.areas {
            let (south_west, north_east) = (area.south_west(), area.north_east());
            for degrees in [south_west.lat(), south_west.lon(), north_east.lat(), north_east.lon()] {
                put_signed(&mut out, degrees.into());
            }
        }
        out
    }

    fn decode(note: &[u8]) -> Result<Option<Self>, CborError> {
        let mut reader = Reader::new(note);
        reader.array_of(4)?;
        let (root, time) = (reader.link()?, reader.signed()?);
        let signed = reader.optional(Reader::bytes)?.map(SignedRoot::decode);
        let count = reader.array()? / 4;
        let mut areas = Vec::new();
        for _ in 0..count {
            let mut coord = || Ok(Coord::new(reader.signed()?, reader.signed()?).ok());
            let (south_west, north_east) = (coord()?, coord()?);
            let corners = south_west.zip(north_east);
            areas.extend(corners.and_then(|(south_west, north_east)| BBox::new(south_west, north_east).ok()));
        }
        reader.end()?;
        let is_whole = areas.len() == count && count <= MAX_PINS;
        Ok(is_whole.then(|| Self { root, time, signed: signed.and_then(Result::ok), areas }))
    }
}

fn write<C: PageStore>(store: &C, pins: Option<&Pins>) -> Result<(), StoreError> {
    store.commit(&Commit { roots: Vec::new(), notes: vec![(NOTE.to_vec(), pins.map(Pins::encode))] })
}

/// What is asked of an area, one question after another: what the box query and the map call touch; the heads of what
/// only the former finds, with the nodes of its ways, and the lines of areas; and the earlier versions of what was edited, so that whoever
/// edits it has all that its versions link to.
struct Plan {
    asks: Vec<Ask>,
    heads: BTreeSet<ElementId>,
    wanted: BTreeSet<ElementId>,
}

impl Plan {
    fn of(area: BBox) -> Self {
        let asks = vec![Ask::Map(area), Ask::Query(area, Filter::new())];
        Self { asks, heads: BTreeSet::new(), wanted: BTreeSet::new() }
    }

    fn next(&mut self) -> Option<Ask> {
        self.asks.pop().or_else(|| {
            let lacking: Vec<ElementId> =
                self.wanted.difference(&self.heads).copied().take(MAX_ASK_IDS).collect();
            // What is not there is asked for once.
            self.heads.extend(&lacking);
            (!lacking.is_empty()).then_some(Ask::Get(lacking))
        })
    }

    /// Learns from an answer what else to ask.
    fn hear(&mut self, answer: &Answer) {
        match answer {
            Answer::Feature(feature) => {
                self.wanted.insert(feature.element);
                // What an area is drawn from.
                if matches!(feature.tags.get("type"), Some("multipolygon" | "boundary")) {
                    let ways = feature.members.iter().map(|member| member.element);
                    self.wanted.extend(ways.filter(|element| element.kind == Kind::Way));
                }
            }
            Answer::Heads(element, heads) => {
                self.heads.insert(*element);
                for head in heads {
                    if let Some(Payload::Way { refs, .. }) = &head.entry.payload {
                        self.wanted.extend(refs.iter().copied().map(ElementId::node));
                    }
                }
                if heads.iter().any(|head| !head.entry.links().is_empty()) {
                    self.asks.push(Ask::History(*element));
                }
            }
            _ => {}
        }
    }
}

/// Remembers which pages are looked at.
struct Touching<'a, C> {
    store: &'a C,
    touched: Mutex<HashSet<Cid>>,
}

impl<C: PageStore> Touching<'_, C> {
    /// Whatever is wrong with a page, it is fetched again.
    fn seen<T>(&self, cid: &Cid, found: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
        let found = match found {
            Err(StoreError::Page { .. }) => None,
            found => found?,
        };
        if found.is_some() {
            lock(&self.touched).insert(*cid);
        }
        Ok(found)
    }
}

impl<C: PageStore> PageSource for Touching<'_, C> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.seen(cid, self.store.load(cid))
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        self.seen(cid, self.store.page(cid))
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.contains(cid)
    }
}

/// Returns the pages that a cache is to keep, as far as they are there. Costs a look at each.
pub(super) fn pages<C: PageStore>(store: &C) -> Result<HashSet<Cid>, StoreError> {
    let Some(pins) = Pins::in_cache(store)? else { return Ok(HashSet::new()) };
    let source = Touching { store, touched: Mutex::default() };
    // What is damaged or missing is fetched again when it is asked for.
    let _ = touch(&source, &pins);
    Ok(source.touched.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn touch<C: PageStore>(source: &Touching<'_, C>, pins: &Pins) -> Result<(), Error> {
    let damaged = |cid, source| Error::Root { cid, source };
    let Some(bytes) = source.load(&pins.root)? else { return Ok(()) };
    let raw = RawRoot::decode(&bytes).map_err(|error| damaged(pins.root, error))?;
    let config = raw.config;
    let Some(bytes) = source.load(&config)? else { return Ok(()) };
    let root = raw.with_config(&bytes).map_err(|error| damaged(pins.root, error))?;
    for area in &pins.areas {
        let mut plan = Plan::of(*area);
        while let Some(ask) = plan.next() {
            let Ok(mut answering) = Answering::new(&root, &ask) else { continue };
            while let Step::Ready(Some(answer)) = answering.step(source)? {
                plan.hear(&answer);
            }
        }
    }
    Ok(())
}

impl<O: PageOrigin, C: PageStore> Remote<O, C> {
    /// Keeps an area in the cache, for when there is nobody to ask: what touches it, with all nodes of its ways,
    /// relations, and the earlier versions of what was edited. Nothing of it is ever removed to make room; queries
    /// inside the area are answered from it when no origin can be reached. All areas are kept at one root: those that
    /// were pinned before are brought to this one.
    ///
    /// Costs what a query costs. For an area that is kept already, only pages that are new are read, in a round for
    /// each level of each tree.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{BBox, Coord, Db, PackOrigin, Payload, Remote, RemoteOptions, Tags};
    /// use prolly::FjallStore;
    /// # let dir = tempfile::tempdir()?;
    /// # let (site, cache) = (dir.path().join("site"), dir.path().join("cache"));
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(&site)?;
    /// let here: BBox = "-1,-1,1,1".parse()?;
    /// let (options, origin) = (RemoteOptions::default(), PackOrigin::directory(&site));
    /// let remote = Remote::open_with(&options, vec![origin], FjallStore::open(&cache)?).await?;
    /// remote.pin(here).await?;
    /// drop(remote);
    ///
    /// // In the field, with nobody to ask:
    /// let nobody: Vec<PackOrigin> = Vec::new();
    /// let remote = Remote::open_with(&options, nobody, FjallStore::open(&cache)?).await?;
    /// let found = remote.query(here).next().await.ok_or("it is there")??;
    /// assert_eq!((found.element, remote.offline().map(|pins| pins.root)), (node, Some(db.root())));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what is needed; there are [`MAX_PINS`] areas already; the cache fails. What was pinned before
    /// stays as it was.
    pub async fn pin(&self, area: BBox) -> Result<Pins, RemoteError> {
        let before = self.pins()?;
        let mut areas = before.as_ref().map(|pins| pins.areas.clone()).unwrap_or_default();
        if !areas.contains(&area) {
            areas.push(area);
        }
        if areas.len() > MAX_PINS {
            return Err(RemoteError::TooManyPins);
        }
        self.keep(before.as_ref(), areas).await
    }

    /// Brings all areas that are pinned to the root that is read, and returns what is kept then: `None` if nothing is.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.publish_to(dir.path())?;
    /// let mut remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// remote.pin("-1,-1,1,1".parse()?).await?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// remote.refresh().await?;
    /// assert_eq!(remote.refresh_pins().await?.map(|pins| pins.root), Some(db.root()));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// As for [`pin`](Self::pin).
    pub async fn refresh_pins(&self) -> Result<Option<Pins>, RemoteError> {
        let Some(before) = self.pins()? else { return Ok(None) };
        self.keep(Some(&before), before.areas.clone()).await.map(Some)
    }

    /// Lets go of an area: its pages stay until there is no room for them. Tells whether it was pinned.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// remote.pin("-1,-1,1,1".parse()?).await?;
    /// assert!(remote.unpin("-1,-1,1,1".parse()?)?);
    /// assert_eq!(remote.pins()?, None);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// The cache fails.
    pub fn unpin(&self, area: BBox) -> Result<bool, RemoteError> {
        let _held = self.hold();
        Ok(Pins::let_go(self.cache(), area)?)
    }

    /// Returns what is pinned in the cache. Costs a note.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.pins()?, None);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// The cache fails.
    pub fn pins(&self) -> Result<Option<Pins>, RemoteError> {
        Ok(Pins::in_cache(self.cache())?)
    }

    async fn keep(&self, before: Option<&Pins>, areas: Vec<BBox>) -> Result<Pins, RemoteError> {
        // What comes now is not removed before it is noted that it is kept.
        let _held = self.hold();
        for area in &areas {
            let has_some = before.is_some_and(|pins| pins.areas.contains(area));
            let mut plan = Plan::of(*area);
            while let Some(ask) = plan.next() {
                let mut running = self.begin(&ask)?;
                // Whoever answers questions would send again what is here: so only the pages are asked for.
                let told = (!has_some).then_some(&ask);
                while let Some(answer) = self.go_on_asking(told, &mut running).await? {
                    plan.hear(&answer);
                }
            }
        }
        let pins = Pins { root: self.root(), time: now(), signed: self.signed(), areas };
        write(self.cache(), Some(&pins))?;
        Ok(pins)
    }

    /// Copies all elements of an area into a database, with all their versions: to edit them there, while nobody can be
    /// reached. What is edited replaces these versions, so whoever has them and takes in the database later has
    /// edits of them, and no forks if nobody else has edited them meanwhile. Returns how many versions were new.
    ///
    /// Nothing says that the database has all that the dataset has: it begins as one of its own, of the same name.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(0))?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let own = Db::in_memory("osm")?;
    /// assert_eq!(remote.check_out("-1,-1,1,1".parse()?, &own).await?, 1);
    /// own.put(element, node(1))?;
    /// let merged = db.merge(&own.snapshot())?;
    /// assert_eq!((merged.gained, merged.forked.len()), (1, 0));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what is needed; the database has another name or configuration, or fails.
    pub async fn check_out<S: PageStore + Sync>(&self, area: BBox, to: &Db<S>) -> Result<u64, RemoteError> {
        let own = to.snapshot();
        let (ours, theirs) = (own.root(), self.record());
        if ours.name != theirs.name || ours.trees.heads.config != theirs.trees.heads.config {
            return Err(Error::OtherDataset { ours: ours.name.clone(), theirs: theirs.name.clone() }.into());
        }
        let mut heap = to.heap()?;
        let mut known = BTreeSet::new();
        let mut push = |entry: &Entry| {
            let fresh = Fresh::new(entry);
            if known.insert(fresh.version) {
                let read = Known::of(fresh).map_err(Error::entry(entry.element))?;
                heap.push(&read)?;
            }
            Ok::<(), Error>(())
        };
        let mut plan = Plan::of(area);
        while let Some(ask) = plan.next() {
            let mut running = self.begin(&ask)?;
            while let Some(answer) = self.go_on(&ask, &mut running).await? {
                plan.hear(&answer);
                match answer {
                    Answer::Heads(_, heads) => heads.iter().try_for_each(|head| push(&head.entry))?,
                    Answer::History(all) => all.iter().try_for_each(|revision| push(&revision.entry))?,
                    _ => {}
                }
            }
        }
        let root = to.root();
        match to.unite(None, root, heap, &Everyone)? {
            Received::United { gained, .. } => Ok(gained),
            Received::Astray(found) => Err(Error::NoRoot { root: found }.into()),
            Received::Orphan { element, .. } => Err(RemoteError::Incomplete { element }),
        }
    }
}

impl<O: PageOrigin, C: PageStore> BlockingRemote<O, C> {
    /// Keeps an area in the cache: see [`Remote::pin`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.pin("1.50,42.50,1.55,42.52".parse()?)?.root, db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn pin(&self, area: BBox) -> Result<Pins, RemoteError> {
        block_on(self.remote().pin(area))
    }

    /// Brings all areas that are pinned to the root that is read: see [`Remote::refresh_pins`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.refresh_pins()?, None, "nothing is pinned");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn refresh_pins(&self) -> Result<Option<Pins>, RemoteError> {
        block_on(self.remote().refresh_pins())
    }

    /// Lets go of an area: see [`Remote::unpin`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(!remote.unpin("1.50,42.50,1.55,42.52".parse()?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn unpin(&self, area: BBox) -> Result<bool, RemoteError> {
        self.remote().unpin(area)
    }

    /// Returns what is pinned in the cache: see [`Remote::pins`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// assert_eq!(BlockingRemote::open(PackOrigin::directory(dir.path()))?.pins()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn pins(&self) -> Result<Option<Pins>, RemoteError> {
        self.remote().pins()
    }

    /// Returns what is read if nobody could be asked: see [`Remote::offline`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// assert_eq!(BlockingRemote::open(PackOrigin::directory(dir.path()))?.offline(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn offline(&self) -> Option<&Pins> {
        self.remote().offline()
    }

    /// Copies all elements of an area into a database: see [`Remote::check_out`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.check_out("-1,-1,1,1".parse()?, &Db::in_memory("osm")?)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn check_out<S: PageStore + Sync>(&self, area: BBox, to: &Db<S>) -> Result<u64, RemoteError> {
        block_on(self.remote().check_out(area, to))
    }
}
