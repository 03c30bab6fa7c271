//! Reading a published dataset: pages by their places, places by the pages that link to them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prolly::{Cid, Page};

use super::files::{Directory, Files};
use super::format::{
    Leaves, MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest, PackError, PackFile, Place, Record, key_number,
};
use super::links_of;
use super::parts::{Part, Reading, all, ranges};
use crate::geometry::Window;
use crate::model::Kind;
use crate::remote::{Announced, Ask, Incoming, MAX_READ_BYTES, OriginError, PageOrigin, Request, Traffic};
use crate::root::{RawRoot, RawTops};
use crate::views::spatial;

/// No more places than this are remembered.
const MAX_PLACES: usize = 1 << 20;

/// An [`PageOrigin`] of static files, as [`Db::publish_to`](crate::Db::publish_to) writes them: any web server or object
/// store will do.
///
/// Costs one small file at first, with the topmost pages, and then a few ranges for each level of a tree:
/// pages that are near one another are read together. The places of pages are hints, and what is found there
/// is checked like everything else.
///
/// ```
/// use osmdb::{BlockingRemote, Coord, Db, PackOrigin, Payload, Tags};
/// # let dir = tempfile::tempdir()?;
/// let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// db.publish_to(dir.path())?;
/// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
/// assert_eq!(remote.get(node)?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackOrigin<F = Directory> {
    files: F,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    root: Option<Cid>,
    packs: BTreeMap<u64, PackFile>,
    places: HashMap<Cid, Place>,
    /// The topmost pages.
    tops: HashMap<Cid, Record>,
    /// Where the leaves of the spatial tree of this root are.
    directory: Vec<Leaves>,
    /// Where the records were that were given: they are not read ahead again.
    given: HashSet<(u64, u64)>,
    trees: Option<RawTops>,
    traffic: Traffic,
}

impl State {
    fn learn(&mut self, cid: Cid, record: &Record) {
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
            self.given.clear();
        }
        let places = record.places.iter().copied();
        let places = links_of(cid, &record.page).into_iter().zip(places);
        self.places.extend(places.filter(|(_, place)| !place.is_nowhere()));
    }

    fn learn_manifest(&mut self, manifest: Manifest) {
        // A number that means another pack now says nothing about what was known of the old one.
        for pack in &manifest.packs {
            if self.packs.get(&pack.number).is_some_and(|known| known != pack) {
                self.places.retain(|_, place| place.pack != pack.number);
            }
        }
        self.packs.extend(manifest.packs.into_iter().map(|pack| (pack.number, pack)));
        for top in manifest.tops {
            let cid = Cid::of(&top.page);
            self.learn(cid, &top);
            self.tops.insert(cid, top);
        }
        let record = self.tops.get(&manifest.root).and_then(|top| RawRoot::decode(&top.page).ok());
        self.trees = record.map(|record| record.tops());
        self.directory = manifest.directory;
        self.root = Some(manifest.root);
    }
}

impl PackOrigin {
    /// Reads from a directory. Nothing is read yet.
    ///
    /// ```
    /// use osmdb::{PageOrigin, PackOrigin};
    /// assert_eq!(PackOrigin::directory("/srv/osm").name(), "/srv/osm");
    /// ```
    #[must_use]
    pub fn directory(path: impl AsRef<Path>) -> Self {
        Self::new(Directory::new(path))
    }
}

impl<F: Files> PackOrigin<F> {
    /// Reads from any files. Nothing is read yet.
    ///
    /// ```
    /// use osmdb::{Directory, PackOrigin};
    /// let origin = PackOrigin::new(Directory::new("/srv/osm"));
    /// # let _ = origin;
    /// ```
    #[must_use]
    pub fn new(files: F) -> Self {
        Self { files, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn manifest(&self) -> Result<Announced, OriginError> {
        let read = self.files.read(MANIFEST_NAME, None, MAX_MANIFEST_BYTES).await;
        let bytes = read.map_err(|source| match source.kind() {
            io::ErrorKind::FileTooLarge => PackError::Limit { what: "it is too long" }.into(),
            _ => self.offline(MANIFEST_NAME, source),
        })?;
        let mut state = self.state();
        state.traffic += Traffic { rounds: 1, requests: 1, bytes: bytes.len() as u64, pages: 0 };
        let manifest = Manifest::decode(&bytes)?;
        let announced = Announced { root: manifest.root, signed: manifest.signed, peer: None };
        state.learn_manifest(manifest);
        Ok(announced)
    }

    fn offline(&self, file: &str, source: io::Error) -> OriginError {
        OriginError::Offline { what: format!("reading {file}"), source }
    }

    /// Says where pages are, as far as that is known.
    fn known(&self, wanted: &[Cid]) -> (Vec<(Cid, Place)>, Vec<Cid>) {
        let state = self.state();
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for cid in wanted {
            match state.places.get(cid) {
                Some(place) => known.push((*cid, *place)),
                None => unknown.push(*cid),
            }
        }
        (known, unknown)
    }

    /// Finds out where pages are by reading again those that link to them. This is needed if these came from
    /// a cache.
    async fn locate(&self, wanted: &[Cid], have: &[Cid]) -> Result<Vec<(Cid, Place)>, OriginError> {
        let have: HashSet<&Cid> = have.iter().collect();
        let mut read: HashSet<Cid> = self.state().tops.keys().copied().collect();
        // First only through pages that are known to lead there, then through all that have links.
        for only_had in [true, false] {
            loop {
                let (known, unknown) = self.known(wanted);
                if unknown.is_empty() {
                    return Ok(known);
                }
                let next: Vec<(Cid, Place)> = {
                    let state = self.state();
                    let leads = |cid: &Cid| !read.contains(cid) && (!only_had || have.contains(cid));
                    let places = state.places.iter().filter(|(cid, _)| leads(cid));
                    places.map(|(cid, place)| (*cid, *place)).collect()
                };
                if next.is_empty() {
                    break;
                }
                let mut pages = Incoming::of(next.iter().map(|(cid, _)| *cid));
                self.fetch(&next, Vec::new(), &mut pages).await?;
                let came = pages.into_pages();
                if came.is_empty() {
                    break;
                }
                read.extend(came.into_iter().map(|(cid, _)| cid));
            }
        }
        Ok(self.known(wanted).0)
    }

    /// Says what else a question will need, as well as can be told from the topmost pages: the leaves that
    /// its box touches, and the branches that lead to relations.
    fn foresee(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<Vec<Place>, OriginError> {
        let (bbox, relations) = match request.ask {
            Some(Ask::Query(bbox, filter) | Ask::Count(bbox, filter)) => {
                (*bbox, filter.admits(Kind::Relation))
            }
            Some(Ask::Map(bbox)) => (*bbox, true),
            _ => return Ok(Vec::new()),
        };
        let state = self.state();
        let Some(trees) = state.trees.filter(|_| state.root == Some(request.root)) else {
            return Ok(Vec::new());
        };
        let top = |cid: &Cid| state.tops.get(cid).and_then(|top| Page::verify(*cid, top.page.clone()).ok());
        // Only a question that begins; later the branches say better what is needed.
        let begins = top(&trees.spatial).filter(|top| top.level() > 1).is_some_and(|top| {
            (0..top.len()).filter_map(|index| top.child(index)).any(|child| request.missing.contains(&child))
        });
        if !begins {
            return Ok(Vec::new());
        }
        let mut places = Vec::new();
        for window in Window::of(bbox) {
            for range in spatial::ranges(&window) {
                let from = key_number(&range.from);
                let to = range.to.as_ref().map_or(u64::MAX, |to| key_number(to));
                let first = state.directory.partition_point(|leaves| leaves.last < from);
                let behind = state.directory.iter().skip(first);
                let count = behind.clone().take_while(|leaves| leaves.last <= to).count();
                places.extend(behind.take(count + 1).map(|leaves| leaves.place));
            }
        }
        if relations && let Some(heads) = top(&trees.heads).filter(|heads| heads.level() > 1) {
            let first = [Kind::Relation.code()];
            let from = (0..heads.len()).find(|index| heads.key(*index) >= &first[..]);
            for index in from.into_iter().flat_map(|from| from..heads.len()) {
                let before = index.checked_sub(1).map(|before| heads.key(before));
                let leads = before.is_none_or(|before| before < &[Kind::Relation.code() + 1][..]);
                let place = heads.child(index).and_then(|cid| state.places.get(&cid).copied());
                places.extend(place.filter(|_| leads));
            }
            if pages.expects(&trees.heads) {
                pages.page(heads.bytes().clone())?;
            }
        }
        places.retain(|place| !state.given.contains(&(place.pack, place.start())));
        Ok(places)
    }

    /// Reads pages from their places, and gives what else is read with them.
    async fn fetch(
        &self,
        wanted: &[(Cid, Place)],
        foreseen: Vec<Place>,
        pages: &mut Incoming,
    ) -> Result<(), OriginError> {
        let places = wanted.iter().map(|(_, place)| *place).chain(foreseen);
        let ranges = ranges(at_once(places));
        let mut requests: Vec<Reading<'_, OriginError>> = Vec::with_capacity(ranges.len());
        let total = ranges.len();
        for (pack, range) in ranges {
            let file = self.state().packs.get(&pack).cloned().ok_or(PackError::NoPack { number: pack })?;
            let expected = range.end;
            if expected > file.size {
                return Err(PackError::Truncated { file: file.name, end: file.size, expected }.into());
            }
            requests.push(Box::pin(async move {
                let bytes = self.files.read(&file.name, Some(range.clone()), usize::MAX).await;
                let bytes = bytes.map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => PackError::Missing { file: file.name.clone() }.into(),
                    _ => self.offline(&file.name, source),
                })?;
                self.state().traffic +=
                    Traffic { requests: 1, bytes: bytes.len() as u64, ..Traffic::default() };
                if (bytes.len() as u64) < range.end - range.start {
                    let (file, end) = (file.name, range.start + bytes.len() as u64);
                    return Err(PackError::Truncated { file, end, expected }.into());
                }
                Ok(Part { pack: file, at: range.start, bytes })
            }));
        }
        self.state().traffic.rounds += u64::from(total > 0);
        let parts = all(requests).await?;
        let mut left = wanted.to_vec();
        // Of what came besides, what is below the topmost pages.
        let state = self.state();
        let tops = state.trees.iter().flat_map(|trees| [trees.spatial, trees.heads]);
        let tops = tops.filter_map(|cid| state.tops.get(&cid).map(|top| (cid, top.clone())));
        for (cid, top) in tops.collect::<Vec<_>>() {
            left.extend(links_of(cid, &top.page).into_iter().zip(top.places));
        }
        drop(state);
        self.give(left, &parts, pages)
    }

    /// Gives pages that were read, and those that they link to and that were read too.
    fn give(
        &self,
        mut left: Vec<(Cid, Place)>,
        parts: &[Part],
        pages: &mut Incoming,
    ) -> Result<(), OriginError> {
        left.reverse();
        while let Some((cid, place)) = left.pop() {
            let found = parts.iter().find_map(|part| Some((part, part.slice(&place)?)));
            let Some((part, stored)) = found.filter(|_| pages.expects(&cid)) else { continue };
            let damaged = || PackError::Record { file: part.pack.name.clone(), at: place.at };
            let record = Record::decode(&stored).ok_or_else(damaged)?;
            if record.page.len() > pages.room() {
                return Ok(());
            }
            pages.page(record.page.clone())?;
            let mut state = self.state();
            state.learn(cid, &record);
            state.given.insert((place.pack, place.start()));
            drop(state);
            let links = links_of(cid, &record.page).into_iter().zip(record.places);
            left.extend(links.filter(|(_, place)| !place.is_nowhere()).collect::<Vec<_>>().into_iter().rev());
        }
        Ok(())
    }
}

/// Takes the places that are read at once: what is beyond is asked for again.
fn at_once(places: impl Iterator<Item = Place>) -> Vec<Place> {
    let mut bytes = 0_u64;
    let has_room = |place: &Place| {
        let has_room = bytes < MAX_READ_BYTES as u64;
        bytes = bytes.saturating_add(place.len).saturating_add(place.more);
        has_room
    };
    places.take_while(has_room).collect()
}

impl<F: Files> PageOrigin for PackOrigin<F> {
    fn name(&self) -> String {
        self.files.name()
    }

    async fn root(&self) -> Result<Cid, OriginError> {
        Ok(self.manifest().await?.root)
    }

    async fn announced(&self) -> Result<Announced, OriginError> {
        self.manifest().await
    }

    async fn read(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<(), OriginError> {
        if self.state().root.is_none() {
            self.manifest().await?;
        }
        let mut wanted = Vec::with_capacity(request.missing.len());
        for cid in request.missing {
            let top = self.state().tops.get(cid).map(|top| top.page.clone());
            match top {
                Some(page) => pages.page(page)?,
                None => wanted.push(*cid),
            }
        }
        let (mut known, unknown) = self.known(&wanted);
        if !unknown.is_empty() {
            known = self.locate(&wanted, request.have).await?;
        }
        let foreseen = self.foresee(request, pages)?;
        self.fetch(&known, foreseen, pages).await
    }

    fn traffic(&self) -> Traffic {
        self.state().traffic
    }
}
