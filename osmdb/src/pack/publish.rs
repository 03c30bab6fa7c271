//! Writing a dataset as static files: what is there already stays, new pages go to new packs, and a manifest is
//! written last.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

use bytes::Bytes;
use prolly::{Cid, Page, PageSource, PageStore};

use super::files::{Directory, Files, Publish};
use super::format::{
    Leaves, MANIFEST_NAME, MAX_MANIFEST_BYTES, MAX_PACK_BYTES, Manifest, PACK_MAGIC, PackError, PackFile,
    Place, Record, key_number,
};
use super::links_of;
use super::parts::{Part, Reading, all, ranges};
use crate::db::{Db, Snapshot};
use crate::error::Error;
use crate::remote::block_on;
use crate::remote::origin::links;
use crate::signed_root::SignedRoot;

/// How hard packs are compressed: they are written once and read often.
const ZSTD_LEVEL: i32 = 12;

/// So many bytes of top pages of trees stand in the manifest; more are in a pack.
const MAX_TOP_BYTES: usize = 12 << 10;

/// So many bytes of values are read together with the leaf that they belong to; longer ones by themselves.
const MAX_MORE_BYTES: u64 = 32 << 10;

/// So many digits of its hash are the name of a pack.
const NAME_DIGITS: usize = 32;

/// So many entries has the directory of leaves at most: about 10 kB.
const MAX_DIRECTORY: usize = 1_600;

/// If more leaves than this went together, the directory would cost more than it saves.
const MAX_TOGETHER: usize = 4;

/// So many records are looked for at once at most.
const MAX_RECORDS: usize = 1 << 10;

/// From so many packs on, everything is written anew.
const MANY_PACKS: usize = 64;

/// What publishing wrote.
///
/// ```
/// use osmdb::{Coord, Db, Payload, Tags};
/// # let dir = tempfile::tempdir()?;
/// let db = Db::in_memory("osm")?;
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let first = db.publish_to(dir.path())?;
/// assert_eq!(first.root, db.root());
/// let again = db.publish_to(dir.path())?;
/// assert_eq!((again.root, again.packs), (first.root, 0), "nothing is new");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The root that readers see now.
    pub root: Cid,
    /// New packs.
    pub packs: usize,
    /// New pages in them.
    pub pages: u64,
    /// Bytes written, the manifest among them.
    pub bytes: u64,
}

/// Publishing failed. Readers see what they saw before.
///
/// ```
/// use osmdb::{Db, PublishError};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, "not a directory")?;
/// assert!(matches!(Db::in_memory("osm")?.publish_to(&path), Err(PublishError::Io { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A page is missing or damaged here.
    #[error(transparent)]
    Read(#[from] Error),
    /// What is published there already is damaged.
    #[error("{name}: {source}")]
    Pack {
        /// The folder.
        name: String,
        /// What is wrong.
        source: PackError,
    },
    /// Somebody else published to the folder meanwhile. Their dataset is there now, and nothing of it was
    /// replaced.
    #[error(
        "somebody else published to {name} at the same time, and was faster: look at theirs, and publish again"
    )]
    Overtaken {
        /// The folder.
        name: String,
    },
    /// The folder cannot be read or written.
    #[error("{what} in {name} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The folder.
        name: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl<S: PageStore> Db<S> {
    /// Publishes the database as it is now to a directory, which any web server can then serve, with its
    /// signature: see [`publish_signed`](Self::publish_signed).
    ///
    /// ```
    /// use osmdb::{BlockingRemote, Coord, Db, PackOrigin, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.get(node)?, db.get(node)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the directory cannot be read or written.
    pub fn publish_to(&self, dir: impl AsRef<Path>) -> Result<Published, PublishError> {
        self.publish_signed(&self.snapshot(), &mut Directory::new(dir))
    }

    /// Publishes the database as it is or was at a moment, as [`Snapshot::publish_to`] does, and signs the root
    /// with the database's [key](Db::author): readers who trust the key know whose it is, and notice if somebody
    /// gives them an older one instead. Costs about 150 bytes, and a commit of one note here.
    ///
    /// ```
    /// use osmdb::{BlockingRemote, Db, Directory, PackOrigin, RemoteOptions};
    /// use prolly::MemoryStore;
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.publish_signed(&db.snapshot(), &mut Directory::new(dir.path()))?;
    ///
    /// let options = RemoteOptions::default().trusting([db.author()?]);
    /// let origins = vec![PackOrigin::directory(dir.path())];
    /// let remote = BlockingRemote::open_with(&options, origins, MemoryStore::new())?;
    /// assert_eq!(remote.root(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::publish_to`]; or the database cannot sign.
    pub fn publish_signed<T: PageSource, P: Publish>(
        &self,
        snapshot: &Snapshot<T>,
        to: &mut P,
    ) -> Result<Published, PublishError> {
        snapshot.publish_as(to, |root| self.sign(|| root).map(Some))
    }
}

impl<S: PageSource> Snapshot<S> {
    /// Publishes all pages of the dataset as packs, to be read by a [`PackOrigin`](crate::PackOrigin).
    ///
    /// Costs all pages the first time; after that the pages that are new, and those of the old branches, to know
    /// what is there. Packs are only added, and the manifest is replaced last, so that readers see the old
    /// dataset or the new one. Of two who publish to a folder at the same time, one does; the other is told.
    /// Memory: 64 MiB, and about 100 bytes for each page.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Directory, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let published = db.snapshot().publish_to(&mut Directory::new(dir.path()))?;
    /// assert_eq!(published.root, db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the folder cannot be read or written, or somebody else published to it
    /// meanwhile.
    pub fn publish_to<P: Publish>(&self, to: &mut P) -> Result<Published, PublishError> {
        self.publish_as(to, |_| Ok(None))
    }

    fn publish_as<P: Publish>(
        &self,
        to: &mut P,
        sign: impl FnOnce(Cid) -> Result<Option<SignedRoot>, Error>,
    ) -> Result<Published, PublishError> {
        let (replaced, before) = old(to)?.unzip();
        let root = self.root().cid();
        if let Some(same) = before.as_ref().filter(|manifest| manifest.root == root) {
            let signed = sign(root)?;
            let bytes = if signed.is_none() || signed == same.signed {
                0
            } else {
                replace(to, replaced.as_deref(), &Manifest { signed, ..same.clone() })?
            };
            return Ok(Published { root, packs: 0, pages: 0, bytes });
        }
        let reuse = before.as_ref().filter(|manifest| manifest.packs.len() < MANY_PACKS);
        let places =
            reuse.map_or_else(|| Ok(HashMap::new()), |manifest| places(to, manifest, self.source()))?;
        let next = before.as_ref().and_then(|before| before.packs.last()).map_or(0, |pack| pack.number + 1);
        let mut packing = Packing::new(self.source(), to, places, next);
        let tops = packing.tops(self)?;
        packing.finish_pack()?;
        let directory = packing.directory(self.root().trees.spatial.root)?;
        let Packing { packs: new, pages, written, used, .. } = packing;
        let old_packs = before.into_iter().flat_map(|before| before.packs);
        let mut packs: Vec<PackFile> = old_packs.filter(|pack| used.contains(&pack.number)).collect();
        let count = new.len();
        packs.extend(new);
        let manifest = Manifest { root, packs, tops, directory, signed: sign(root)? };
        let written = written + replace(to, replaced.as_deref(), &manifest)?;
        Ok(Published { root, packs: count, pages, bytes: written })
    }
}

/// Replaces the manifest, if it still is what was read; returns how many bytes it has.
fn replace<P: Publish>(to: &mut P, old: Option<&[u8]>, manifest: &Manifest) -> Result<u64, PublishError> {
    let bytes = Bytes::from(manifest.encode().map_err(failed(to, "compressing the manifest"))?);
    let written = bytes.len() as u64;
    if !to.swap(MANIFEST_NAME, old, bytes).map_err(failed(to, "writing the manifest"))? {
        return Err(PublishError::Overtaken { name: to.name() });
    }
    Ok(written)
}

fn failed<F: Files>(to: &F, what: impl Into<String>) -> impl FnOnce(io::Error) -> PublishError {
    let (what, name) = (what.into(), to.name());
    move |source| PublishError::Io { what, name, source }
}

/// Reads the manifest of what is published already: its bytes, and what they say.
fn old<F: Files>(to: &F) -> Result<Option<(Bytes, Manifest)>, PublishError> {
    match block_on(to.read(MANIFEST_NAME, None, MAX_MANIFEST_BYTES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(to, "reading the manifest")(source)),
        Ok(bytes) => {
            let damaged = |source| PublishError::Pack { name: to.name(), source };
            let manifest = Manifest::decode(&bytes).map_err(damaged)?;
            Ok(Some((bytes, manifest)))
        }
    }
}

/// Says where the pages are that are published already: reads the branches again, and of the leaves those that are
/// not here any more, because their values may be.
fn places<F, S>(to: &F, manifest: &Manifest, here: &S) -> Result<HashMap<Cid, Place>, PublishError>
where
    F: Files,
    S: PageSource,
{
    let mut places = HashMap::new();
    let mut level: Vec<(Cid, Record)> =
        manifest.tops.iter().map(|top| (Cid::of(&top.page), top.clone())).collect();
    let mut seen: HashSet<Cid> = level.iter().map(|(cid, _)| *cid).collect();
    while !level.is_empty() {
        let mut below = Vec::new();
        for (cid, record) in level {
            let is_above_leaves = Page::verify(cid, record.page.clone()).is_ok_and(|page| page.level() == 1);
            for (link, place) in links_of(cid, &record.page).into_iter().zip(record.places) {
                if place.is_nowhere() {
                    continue;
                }
                places.insert(link, place);
                let contains = || here.contains(&link).map_err(Error::from);
                if seen.insert(link) && (!is_above_leaves || !contains()?) {
                    below.push((link, place));
                }
            }
        }
        level = read_records(to, manifest, below)?;
    }
    Ok(places)
}

/// Reads branches, which are near one another, and what else is asked for.
fn read_records<F: Files>(
    to: &F,
    manifest: &Manifest,
    mut wanted: Vec<(Cid, Place)>,
) -> Result<Vec<(Cid, Record)>, PublishError> {
    wanted.sort_unstable_by_key(|(_, place)| (place.pack, place.at));
    let mut records = Vec::with_capacity(wanted.len());
    let damaged = |source| PublishError::Pack { name: to.name(), source };
    for wanted in wanted.chunks(MAX_RECORDS) {
        // Without what belongs to them.
        let places = wanted.iter().map(|(_, place)| Place { more: 0, ..*place });
        let mut reading: Vec<Reading<'_, PublishError>> = Vec::new();
        for (number, range) in ranges(places.collect()) {
            let pack = manifest.packs.iter().find(|pack| pack.number == number);
            let pack = pack.cloned().ok_or_else(|| damaged(PackError::NoPack { number }))?;
            reading.push(Box::pin(async move {
                let at = range.start;
                let read = to.read(&pack.name, Some(range), usize::MAX).await;
                let bytes = read.map_err(failed(to, format!("reading {}", pack.name)))?;
                Ok(Part { pack, at, bytes })
            }));
        }
        let parts = block_on(all(reading))?;
        for (cid, place) in wanted {
            let stored = parts.iter().find_map(|part| part.slice(place));
            let record = stored.and_then(|stored| Record::decode(&stored));
            let record = record.filter(|record| Cid::of(&record.page) == *cid).ok_or_else(|| {
                let file = manifest.packs.iter().find(|pack| pack.number == place.pack);
                let file = file.map(|pack| pack.name.clone()).unwrap_or_default();
                damaged(PackError::Record { file, at: place.at })
            })?;
            records.push((*cid, record));
        }
    }
    Ok(records)
}

/// Puts the pages of a dataset into packs.
struct Packing<'a, S, P> {
    source: &'a S,
    to: &'a mut P,
    /// Where pages are.
    places: HashMap<Cid, Place>,
    /// The pack that is being written, and its number.
    pack: Vec<u8>,
    number: u64,
    packs: Vec<PackFile>,
    /// Numbers of packs that a page is in.
    used: BTreeSet<u64>,
    pages: u64,
    written: u64,
}

impl<'a, S: PageSource, P: Publish> Packing<'a, S, P> {
    fn new(source: &'a S, to: &'a mut P, places: HashMap<Cid, Place>, number: u64) -> Self {
        let pack = PACK_MAGIC.to_vec();
        // Old packs stay named, as long as anything of them may be used.
        let used = places.values().map(|place| place.pack).collect();
        Self { source, to, places, pack, number, packs: Vec::new(), used, pages: 0, written: 0 }
    }

    fn load(&self, cid: &Cid) -> Result<Bytes, Error> {
        let page = self.source.load(cid)?;
        page.ok_or(Error::Tree(prolly::Error::Missing(*cid)))
    }

    /// Packs everything, and returns what the manifest holds itself.
    fn tops(&mut self, snapshot: &Snapshot<S>) -> Result<Vec<Record>, PublishError> {
        let root = snapshot.root();
        let mut tops = Vec::new();
        let mut room = MAX_TOP_BYTES;
        let mut trees: Vec<Cid> = root.trees.named().iter().map(|(_, tree)| tree.root).collect();
        trees.sort_unstable();
        trees.dedup();
        let mut found = Vec::with_capacity(trees.len());
        for cid in trees {
            found.push((cid, self.tree(cid)?));
        }
        found.sort_by_key(|(_, record)| record.page.len());
        for (cid, record) in found {
            match room.checked_sub(record.page.len()) {
                Some(left) => {
                    room = left;
                    tops.push(record);
                }
                None if self.places.contains_key(&cid) => {}
                None => self.append(cid, &record, 0)?,
            }
        }
        let config = Record { page: self.load(&root.trees.heads.config.cid())?, places: Vec::new() };
        let page = Bytes::from(root.encode());
        // Whoever reads the manifest has what is in no pack.
        let place = |cid: &Cid| self.places.get(cid).copied().unwrap_or(Place::NOWHERE);
        let places = links_of(snapshot.root().cid(), &page).iter().map(place).collect();
        tops.push(config);
        tops.push(Record { page, places });
        Ok(tops)
    }

    /// Packs what is below the top page of a tree: leaves in order, then branches, level by level; returns the
    /// top page.
    fn tree(&mut self, top: Cid) -> Result<Record, PublishError> {
        let top = self.page(top)?;
        let mut levels: Vec<Vec<Page>> = Vec::new();
        self.below(&top, &mut levels)?;
        for level in levels {
            for branch in level {
                let record = self.record(*branch.cid(), branch.bytes().clone());
                self.append(*branch.cid(), &record, 0)?;
            }
        }
        if top.level() == 0 {
            self.values(&top)?;
        }
        Ok(self.record(*top.cid(), top.bytes().clone()))
    }

    /// Packs the leaves below a branch, and gathers the branches by level.
    fn below(&mut self, branch: &Page, levels: &mut Vec<Vec<Page>>) -> Result<(), PublishError> {
        for cid in (0..branch.len()).filter_map(|index| branch.child(index)) {
            if self.places.contains_key(&cid) {
                continue;
            }
            let page = self.page(cid)?;
            if page.level() == 0 {
                self.leaf(&page)?;
                continue;
            }
            self.below(&page, levels)?;
            let level = usize::from(page.level() - 1);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            if let Some(level) = levels.get_mut(level) {
                level.push(page);
            }
        }
        Ok(())
    }

    /// Says where the leaves of the spatial tree are, as well as that can be said in a few kilobytes.
    fn directory(&self, spatial: Cid) -> Result<Vec<Leaves>, PublishError> {
        let mut leaves = Vec::new();
        let mut left = vec![spatial];
        while let Some(cid) = left.pop() {
            let page = self.page(cid)?;
            if page.level() != 1 {
                left.extend((0..page.len()).rev().filter_map(|index| page.child(index)));
                continue;
            }
            for index in 0..page.len() {
                let place = page.child(index).and_then(|cid| self.places.get(&cid).copied());
                if let Some(place) = place {
                    let (at, len) = (place.start(), place.end() - place.start());
                    let last = key_number(page.key(index));
                    leaves.push(Leaves { last, place: Place { at, len, more: 0, ..place } });
                }
            }
        }
        // As many neighbours go together as are needed to stay within the limit.
        let together = leaves.len().div_ceil(MAX_DIRECTORY);
        let mut directory: Vec<Leaves> = Vec::new();
        let mut joined = 0;
        for leaf in leaves {
            match directory.last_mut() {
                Some(Leaves { last, place })
                    if joined < together && place.pack == leaf.place.pack && place.end() == leaf.place.at =>
                {
                    *last = leaf.last;
                    place.len += leaf.place.len;
                    joined += 1;
                }
                _ => {
                    directory.push(leaf);
                    joined = 1;
                }
            }
        }
        Ok(if directory.len() > 2 * MAX_DIRECTORY || together > MAX_TOGETHER {
            Vec::new()
        } else {
            directory
        })
    }

    fn page(&self, cid: Cid) -> Result<Page, Error> {
        let damaged = |source| Error::Tree(prolly::Error::Page { cid, source });
        Page::verify(cid, self.load(&cid)?).map_err(damaged)
    }

    /// Packs a leaf, and in front of it its values that are out of line.
    fn leaf(&mut self, leaf: &Page) -> Result<(), PublishError> {
        let before = (self.number, self.pack.len());
        self.values(leaf)?;
        let record = self.record(*leaf.cid(), leaf.bytes().clone());
        let more = if before.0 == self.number { (self.pack.len() - before.1) as u64 } else { 0 };
        self.append(*leaf.cid(), &record, if more > MAX_MORE_BYTES { 0 } else { more })
    }

    fn values(&mut self, leaf: &Page) -> Result<(), PublishError> {
        links_of(*leaf.cid(), leaf.bytes()).into_iter().try_for_each(|cid| self.value(cid))
    }

    /// Packs a value that is out of line: its parts, then the page that names them.
    fn value(&mut self, cid: Cid) -> Result<(), PublishError> {
        if self.places.contains_key(&cid) {
            return Ok(());
        }
        let page = self.load(&cid)?;
        // A part is bytes, and bytes name nothing. Values have at most four levels.
        links(cid, &page).into_iter().try_for_each(|part| self.value(part))?;
        let record = self.record(cid, page);
        self.append(cid, &record, 0)
    }

    /// Makes the record of a page, when all that it links to is packed.
    fn record(&self, cid: Cid, page: Bytes) -> Record {
        let links = links_of(cid, &page);
        let places = links.iter().filter_map(|link| self.places.get(link).copied()).collect();
        Record { page, places }
    }

    fn append(&mut self, cid: Cid, record: &Record, more: u64) -> Result<(), PublishError> {
        let stored = record.encode(ZSTD_LEVEL).map_err(failed(self.to, "compressing a page"))?;
        let mut more = more;
        if (self.pack.len() + stored.len()) as u64 > MAX_PACK_BYTES {
            self.finish_pack()?;
            more = 0;
        }
        let (at, len) = (self.pack.len() as u64, stored.len() as u64);
        self.pack.extend(stored);
        self.places.insert(cid, Place { pack: self.number, at, len, more });
        self.pages += 1;
        Ok(())
    }

    fn finish_pack(&mut self) -> Result<(), PublishError> {
        if self.pack.len() == PACK_MAGIC.len() {
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::replace(&mut self.pack, PACK_MAGIC.to_vec()));
        let hash = blake3::hash(&bytes).to_hex();
        let name = format!("{}.osmpack", hash.get(..NAME_DIGITS).unwrap_or_default());
        let size = bytes.len() as u64;
        self.to.write(&name, bytes).map_err(failed(self.to, format!("writing {name}")))?;
        self.packs.push(PackFile { number: self.number, name, size });
        self.written += size;
        self.number += 1;
        Ok(())
    }
}
