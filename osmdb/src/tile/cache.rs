//! Tiles that were made before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prolly::{Cid, PageSource};

use super::changed::{Changed, forked};
use super::gather;
use super::grid::TileId;
use super::relations::Relations;
use crate::db::Snapshot;
use crate::error::Error;
use crate::model::ElementId;

/// Tiles are remembered up to so many bytes, compressed ones and what goes with them included.
///
/// ```
/// assert_eq!(osmdb::tile::MAX_CACHE_BYTES, 64 << 20);
/// ```
pub const MAX_CACHE_BYTES: usize = 64 << 20;

/// What a remembered tile takes beside its bytes.
const BYTES_PER_TILE: usize = 512;

/// What is known of so many roots is remembered.
const MAX_ROOTS: usize = 4;

/// A vector tile.
///
/// ```
/// use osmdb::tile::{TileId, Tiles};
/// # let db = osmdb::Db::in_memory("osm")?;
/// let tile = Tiles::new().get(&db.snapshot(), TileId::new(0, 0, 0).ok_or("no such tile")?)?;
/// assert!(tile.bytes().is_empty(), "an empty world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tile(Arc<Made>);

#[derive(Debug)]
struct Made {
    bytes: Bytes,
    gzipped: OnceLock<Bytes>,
    hash: String,
}

impl Tile {
    fn new(bytes: Vec<u8>) -> Self {
        let hash = blake3::hash(&bytes).to_hex().chars().take(32).collect();
        Self(Arc::new(Made { bytes: bytes.into(), gzipped: OnceLock::new(), hash }))
    }

    /// Returns the tile as the format has it; none if it shows nothing.
    ///
    /// ```
    /// # use osmdb::tile::{TileId, Tiles};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// # let id = TileId::new(0, 0, 0).ok_or("no such tile")?;
    /// assert_eq!(Tiles::new().get(&db.snapshot(), id)?.bytes(), &db.snapshot().tile(id)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Returns the tile compressed by gzip. Compressed once, when it is asked for first.
    ///
    /// ```
    /// # use osmdb::tile::{TileId, Tiles};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let tile = Tiles::new().get(&db.snapshot(), TileId::new(0, 0, 0).ok_or("no such tile")?)?;
    /// assert!(tile.gzipped().starts_with(&[0x1f, 0x8b]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn gzipped(&self) -> &Bytes {
        self.0.gzipped.get_or_init(|| {
            let mut out = GzEncoder::new(Vec::new(), Compression::fast());
            // Writing into memory cannot fail.
            let _ = out.write_all(&self.0.bytes);
            out.finish().unwrap_or_default().into()
        })
    }

    /// Returns what names its content: the first 32 hexadecimal digits of its BLAKE3 hash.
    ///
    /// ```
    /// # use osmdb::tile::{TileId, Tiles};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let tile = Tiles::new().get(&db.snapshot(), TileId::new(0, 0, 0).ok_or("no such tile")?)?;
    /// assert_eq!(tile.hash(), "af1349b9f5f9a1a6a0404dea36dcc949");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.0.hash
    }

    fn size(&self) -> usize {
        // As if it were compressed already, and that of no use.
        2 * self.0.bytes.len()
    }
}

/// Tiles of a database, remembered in bounded memory: up to [`MAX_CACHE_BYTES`], and what is known of a few roots.
///
/// A tile belongs to a root. When there is another one, what differs is found by a comparison of the two, and the
/// tiles that show nothing of it are those of the new root too.
///
/// ```
/// use osmdb::tile::{TileId, Tiles};
/// use osmdb::{Coord, Db, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let tags = Tags::from([("natural", "spring")]);
/// let spring = db.create(Payload::Node { coord: Coord::new(425_000_000, 15_000_000)?, tags })?;
/// let (tiles, id) = (Tiles::new(), TileId::new(14, 8_260, 6_051).ok_or("no such tile")?);
/// let before = tiles.get(&db.snapshot(), id)?;
/// assert!(before.bytes().windows(6).any(|part| part == b"spring"));
/// // Far away from it:
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// assert_eq!(tiles.get(&db.snapshot(), id)?.hash(), before.hash());
/// db.delete(spring)?;
/// assert!(tiles.get(&db.snapshot(), id)?.bytes().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tiles {
    state: Mutex<State>,
    most: usize,
}

impl Default for Tiles {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Default)]
struct State {
    tiles: HashMap<TileId, Vec<Kept>>,
    bytes: usize,
    /// Counts what is asked for.
    clock: u64,
    /// What is known of roots, the one that was asked for last behind.
    roots: Vec<(Cid, Arc<Known>)>,
    /// What differs between pairs of roots.
    changed: Vec<((Cid, Cid), Arc<Changed>)>,
}

#[derive(Debug)]
struct Kept {
    root: Cid,
    tile: Tile,
    used: u64,
}

/// What is known of a root.
#[derive(Debug)]
struct Known {
    forked: HashSet<ElementId>,
    relations: Mutex<Relations>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tiles {
    /// Makes a cache with nothing in it.
    ///
    /// ```
    /// assert!(format!("{:?}", osmdb::tile::Tiles::new()).contains("bytes: 0"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(MAX_CACHE_BYTES)
    }

    fn with_capacity(most: usize) -> Self {
        Self { state: Mutex::default(), most }
    }

    /// Returns a tile: as it was made before, if it cannot have changed, and otherwise as
    /// [`Snapshot::tile`] makes it. Costs no page in the first case; the first time at another root, those that differ.
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn get<S: PageSource>(&self, snapshot: &Snapshot<S>, id: TileId) -> Result<Tile, Error> {
        let root = snapshot.root().cid();
        if let Some(tile) = self.kept(id, root) {
            return Ok(tile);
        }
        if let Some((before, tile)) = self.latest(id)
            && !self.changed(before, snapshot)?.touches(id)
        {
            self.keep(id, root, &tile);
            return Ok(tile);
        }
        let known = self.known(snapshot)?;
        let tile = Tile::new(gather::tile(snapshot, id, &known.forked, &known.relations)?);
        self.keep(id, root, &tile);
        Ok(tile)
    }

    fn kept(&self, id: TileId, root: Cid) -> Option<Tile> {
        let state = &mut *lock(&self.state);
        state.clock += 1;
        let kept = state.tiles.get_mut(&id)?.iter_mut().find(|kept| kept.root == root)?;
        kept.used = state.clock;
        Some(kept.tile.clone())
    }

    /// Returns the tile as it was at the root at which it was asked for last.
    fn latest(&self, id: TileId) -> Option<(Cid, Tile)> {
        let state = lock(&self.state);
        let latest = state.tiles.get(&id)?.iter().max_by_key(|kept| kept.used)?;
        Some((latest.root, latest.tile.clone()))
    }

    fn keep(&self, id: TileId, root: Cid, tile: &Tile) {
        let mut state = lock(&self.state);
        let used = state.clock;
        let kept = state.tiles.entry(id).or_default();
        if kept.iter().any(|kept| kept.root == root) {
            return;
        }
        kept.push(Kept { root, tile: tile.clone(), used });
        state.bytes += tile.size() + BYTES_PER_TILE;
        if state.bytes > self.most {
            state.evict();
        }
    }

    /// Returns what differs between a root and another one. Everything, if the pages of the former are gone.
    fn changed<S: PageSource>(&self, before: Cid, after: &Snapshot<S>) -> Result<Arc<Changed>, Error> {
        let pair = (before, after.root().cid());
        if let Some((_, changed)) = lock(&self.state).changed.iter().find(|(known, _)| *known == pair) {
            return Ok(Arc::clone(changed));
        }
        let changed = match Snapshot::open(after.source(), before)
            .and_then(|before| Changed::between(&before, after))
        {
            Err(Error::Tree(prolly::Error::Missing(_))) => Changed::everything(),
            changed => changed?,
        };
        let changed = Arc::new(changed);
        let known = &mut lock(&self.state).changed;
        known.truncate(2 * MAX_ROOTS);
        known.insert(0, (pair, Arc::clone(&changed)));
        Ok(changed)
    }

    /// Returns what is known of a root: from what is known of another one, and what differs, if that is little.
    fn known<S: PageSource>(&self, snapshot: &Snapshot<S>) -> Result<Arc<Known>, Error> {
        let root = snapshot.root().cid();
        let latest = {
            let mut state = lock(&self.state);
            if let Some(place) = state.roots.iter().position(|(known, _)| *known == root) {
                let found = state.roots.remove(place);
                let known = Arc::clone(&found.1);
                state.roots.push(found);
                return Ok(known);
            }
            state.roots.last().cloned()
        };
        let derived = match latest {
            Some((before, known)) => known.derive(&*self.changed(before, snapshot)?),
            None => None,
        };
        let known = match derived {
            Some(known) => known,
            None => Known { forked: forked(snapshot)?, relations: Mutex::default() },
        };
        let known = Arc::new(known);
        let mut state = lock(&self.state);
        // Somebody else may have found out the same meanwhile, and remembers areas already.
        if let Some((_, known)) = state.roots.iter().find(|(known, _)| *known == root) {
            return Ok(Arc::clone(known));
        }
        if state.roots.len() >= MAX_ROOTS {
            state.roots.remove(0);
        }
        state.roots.push((root, Arc::clone(&known)));
        Ok(known)
    }
}

impl Known {
    fn derive(&self, changed: &Changed) -> Option<Self> {
        if changed.is_too_much {
            return None;
        }
        let mut forked = self.forked.clone();
        changed.united.iter().for_each(|element| {
            forked.remove(element);
        });
        forked.extend(&changed.forked);
        let mut relations = lock(&self.relations).clone();
        relations.forget(&changed.relations);
        Some(Self { forked, relations: Mutex::new(relations) })
    }
}

impl State {
    /// Forgets what was not asked for for the longest time: half of all.
    fn evict(&mut self) {
        let mut by_age: BTreeMap<u64, usize> = BTreeMap::new();
        for kept in self.tiles.values().flatten() {
            *by_age.entry(kept.used).or_default() += kept.tile.size() + BYTES_PER_TILE;
        }
        let (mut freed, mut oldest) = (0, 0);
        for (used, bytes) in by_age {
            if freed > self.bytes / 2 {
                break;
            }
            (freed, oldest) = (freed + bytes, used);
        }
        for kept in self.tiles.values_mut() {
            kept.retain(|kept| kept.used > oldest);
        }
        self.tiles.retain(|_, kept| !kept.is_empty());
        self.bytes = self.bytes.saturating_sub(freed);
    }
}
