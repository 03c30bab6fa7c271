//! Taking in what sections hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use prolly::{Cid, PageStore};

use super::format::HEAD_FRAME;
use super::links::{Chain, Links};
use super::scan::{Scan, Section};
use super::{Announced, BundleError, Options, Summary, Torn};
use crate::db::{Db, Received, Snapshot};
use crate::entry::Author;
use crate::error::Error;
use crate::root::Root;
use crate::sync::{Bases, ENTRIES, Incoming, Receiving, SyncError};

/// So many bytes of a file are read at once.
const PIECE: usize = 64 << 10;

/// Which roots are known here.
pub(super) struct Known {
    bases: Bases,
    /// Those whose entries this database has.
    below: BTreeSet<Cid>,
    /// Those that were undone, too.
    ever: BTreeSet<Cid>,
}

impl Known {
    pub(super) fn read<S: PageStore>(db: &Db<S>) -> Result<Self, Error> {
        let now = db.snapshot().root().clone();
        let bases = Bases::read(db, &now)?;
        let mut below: BTreeSet<Cid> = [now.cid(), bases.empty.cid()].into();
        below.extend(db.roots_below(&now.cid())?.into_iter().map(|(root, _)| root));
        let ever = db.reflog()?.into_iter().flat_map(|entry| [Some(entry.root), entry.merged]);
        Ok(Self { bases, below, ever: ever.flatten().collect() })
    }

    pub(super) fn has(&self, root: &Cid) -> bool {
        self.below.contains(root)
    }

    pub(super) fn empty(&self) -> &Root {
        &self.bases.empty
    }

    /// Returns a root from which can be counted: its entries are here, and its pages.
    pub(super) fn open<S: PageStore>(&self, db: &Db<S>, root: &Cid) -> Result<Option<Root>, Error> {
        self.bases.get(db, root)
    }
}

/// Reads files, and takes in what is new in them.
pub(super) struct Taking<'a, S> {
    db: &'a Db<S>,
    options: &'a Options,
    here: Author,
    pub(super) files: Vec<Scan>,
    pub(super) links: Links,
    pub(super) known: Known,
    /// How many bytes of entries were taken in.
    taken: u64,
    pub(super) summary: Summary,
}

/// Why a chain was not taken in.
enum Fault {
    /// It is the fault of this section.
    Of(usize, Box<BundleError>),
    /// Its entries do not fit together, whoever's fault that is.
    Chain(Box<BundleError>),
}

impl<'a, S: PageStore + Sync> Taking<'a, S> {
    pub(super) fn new(db: &'a Db<S>, options: &'a Options) -> Result<Self, Error> {
        let summary = Summary {
            gained: 0,
            received: 0,
            forked: Vec::new(),
            refused: Vec::new(),
            bytes_in: 0,
            wrote: None,
            announced: Vec::new(),
            torn: Vec::new(),
            problems: Vec::new(),
            unwritten: None,
            root: db.root(),
        };
        let (files, links) = (Vec::new(), Links::default());
        let known = Known::read(db)?;
        Ok(Self { db, options, here: db.author()?, files, links, known, taken: 0, summary })
    }

    /// Looks at the heads of files.
    pub(super) fn scan<P: AsRef<Path>>(&mut self, paths: &[P]) {
        let tag = crate::sync::tag(self.db.snapshot().root());
        for path in paths {
            match Scan::read(path.as_ref(), tag) {
                Ok(scan) => self.files.push(scan),
                Err(error) => self.summary.problems.push(error),
            }
        }
        let forged = |section: Section| {
            move |path: &Path, at| BundleError::Forged { path: path.into(), at, author: section.head.author }
        };
        for scan in &mut self.files {
            while let Some(last) = scan.sections.last().filter(|last| !last.end.is_signed(&last.head)) {
                let why = forged(*last);
                scan.cut(scan.sections.len() - 1, why);
            }
            self.summary.bytes_in += scan.read;
            self.summary.problems.extend(scan.damage.take());
            if scan.torn > 0 {
                self.summary.torn.push(Torn { path: scan.path.clone(), at: scan.end, bytes: scan.torn });
            }
        }
        self.links = Links::find(&self.files);
        for (file, place) in &self.links.partial {
            let Some(scan) = self.files.get(*file) else { continue };
            if let Some(section) = scan.sections.get(*place) {
                let (at, bytes) = (section.at, section.behind() - section.at);
                self.summary.torn.push(Torn { path: scan.path.clone(), at, bytes });
            }
        }
        self.summary.torn.sort_by(|a, b| (&a.path, a.at).cmp(&(&b.path, b.at)));
    }

    /// Takes in all that is new.
    pub(super) fn take(&mut self) -> Result<(), BundleError> {
        let mut stuck: BTreeMap<usize, Cid> = BTreeMap::new();
        loop {
            let (known, here) = (&self.known, self.here);
            self.links.mark(|link| {
                known.has(&link.root) || (link.author == here && known.ever.contains(&link.root))
            });
            // The last sections of a file lead through all before them.
            let mut open = self.links.all.iter().enumerate().rev();
            let open = open
                .find(|(place, link)| !link.done && !link.failed && !stuck.contains_key(place))
                .map(|(place, _)| place);
            let Some(target) = open else { break };
            let had = |root: &Cid| Ok(self.known.open(self.db, root)?.is_some());
            match self.links.chain(target, had)? {
                Chain::Stuck { base, links } => stuck.extend(links.into_iter().map(|link| (link, base))),
                Chain::Found(chain) => match self.unite_some(&chain)? {
                    Ok(()) => {
                        self.known = Known::read(self.db)?;
                        stuck.clear();
                    }
                    Err((link, error)) => {
                        self.links.all.get_mut(link).into_iter().for_each(|link| link.failed = true);
                        self.summary.problems.push(*error);
                    }
                },
            }
        }
        // One word for each file that leads nowhere.
        let mut said = BTreeSet::new();
        for (place, base) in stuck {
            let Some(link) = self.links.all.get(place).filter(|link| !link.failed && !link.done) else {
                continue;
            };
            let file = link.parts.first().map(|(file, _)| *file);
            let Some(scan) = file.and_then(|file| self.files.get(file)) else { continue };
            if said.insert(file) && !self.summary.problems.iter().any(|problem| names(problem, &scan.path)) {
                self.summary.problems.push(BundleError::Base { path: scan.path.clone(), base });
            }
        }
        self.announce();
        self.summary.root = self.db.root();
        self.summary.forked.sort_unstable();
        self.summary.forked.dedup();
        Ok(())
    }

    /// Takes in a chain of sections, or the first of them if they do not all fit together: until it is known
    /// whose fault that is.
    fn unite_some(&mut self, chain: &[usize]) -> Result<Result<(), (usize, Box<BundleError>)>, BundleError> {
        let Some(target) = chain.last() else { return Ok(Ok(())) };
        let (mut some, mut why) = (chain, None);
        loop {
            let Some(last) = some.last() else { return Ok(Ok(())) };
            match self.unite(some)? {
                Ok(()) => {
                    for place in some {
                        self.links.all.get_mut(*place).into_iter().for_each(|link| link.done = true);
                    }
                    let is_known = |db| Known::read(db).map(|known| self.knows_end(&known, *last));
                    return match why {
                        // What the policy refused is no beginning for the others.
                        Some(error) if !is_known(self.db)? => Ok(Err((*target, error))),
                        _ => Ok(Ok(())),
                    };
                }
                Err(Fault::Of(link, error)) => return Ok(Err((link, error))),
                Err(Fault::Chain(error)) if some.len() == 1 => return Ok(Err((*last, error))),
                Err(Fault::Chain(error)) => {
                    why = Some(error);
                    some = some.get(..some.len() / 2).unwrap_or_default();
                }
            }
        }
    }

    fn knows_end(&self, known: &Known, link: usize) -> bool {
        self.links.all.get(link).is_some_and(|link| known.has(&link.root))
    }

    /// Takes in the entries of sections that follow on each other, in one commit.
    fn unite(&mut self, chain: &[usize]) -> Result<Result<(), Fault>, BundleError> {
        let Some((first, last)) = chain.first().zip(chain.last()) else { return Ok(Ok(())) };
        let root_of = |place: &usize, links: &Links| links.all.get(*place).map(|link| (link.base, link.root));
        let Some(((base, _), (_, root))) = root_of(first, &self.links).zip(root_of(last, &self.links)) else {
            return Ok(Ok(()));
        };
        let Some(base) = self.known.open(self.db, &base)? else { return Ok(Ok(())) };
        let mut received = 0;
        let mut receiving = match Receiving::since(self.db, base, None) {
            Ok(receiving) => receiving,
            Err(error) => return Err(local_only(error)),
        };
        for link in chain {
            let parts = self.links.all.get(*link).map(|link| link.parts.clone()).unwrap_or_default();
            for (file, place) in parts {
                let Some(scan) = self.files.get(file) else { continue };
                let Some(section) = scan.sections.get(place) else { continue };
                let limit = self.options.most_bytes;
                match read(&scan.path, section, &mut receiving, (&mut self.taken, limit)) {
                    Ok(()) => {
                        self.summary.bytes_in += section.behind() - section.at;
                        received += section.end.entries;
                    }
                    Err(error @ BundleError::Db(_)) => return Err(error),
                    Err(error) => return Ok(Err(Fault::Of(*link, Box::new(error)))),
                }
            }
        }
        let (base, heap) = match receiving.finish(self.db) {
            Ok(finished) => finished,
            Err(error) => return Err(local_only(error)),
        };
        let source = match self.db.unite(base.as_ref(), root, heap, &*self.options.policy)? {
            Received::United { gained, forked, refused, .. } => {
                self.summary.received += received;
                self.summary.gained += gained;
                self.summary.forked.extend(forked);
                self.summary.refused.extend(refused);
                return Ok(Ok(()));
            }
            Received::Astray(found) => SyncError::Root { announced: root, found },
            Received::Orphan { element, version, parent } => SyncError::Parent { element, version, parent },
        };
        let place = self.links.all.get(*last).and_then(|link| link.parts.last()).copied();
        let section = place.and_then(|(file, place)| {
            let scan = self.files.get(file)?;
            Some((scan.path.clone(), scan.sections.get(place)?.at))
        });
        let (path, at) = section.unwrap_or_default();
        Ok(Err(Fault::Chain(Box::new(BundleError::Entries { path, at, source }))))
    }

    /// Notes the latest root of every device.
    fn announce(&mut self) {
        let mut latest: BTreeMap<Author, Announced> = BTreeMap::new();
        for scan in &self.files {
            let Some(Section { head, .. }) = scan.sections.last() else { continue };
            if latest.get(&head.author).is_none_or(|earlier| earlier.time <= head.time) {
                let announced = Announced {
                    author: head.author,
                    root: head.root,
                    time: head.time,
                    path: scan.path.clone(),
                    is_here: head.author == self.here,
                    is_united: self.known.has(&head.root),
                };
                latest.insert(head.author, announced);
            }
        }
        self.summary.announced = latest.into_values().collect();
    }
}

/// Takes what is the fault of the database here out of an error of a stream.
fn local(error: SyncError) -> Result<SyncError, Error> {
    match error {
        SyncError::Db(error) => Err(error),
        other => Ok(other),
    }
}

/// Preparing a stream fails for the database's reasons alone.
fn local_only(error: SyncError) -> BundleError {
    local(error).map_or_else(BundleError::Db, BundleError::Stream)
}

/// Tells whether a problem of a file has been told.
fn names(problem: &BundleError, file: &Path) -> bool {
    match problem {
        BundleError::Io { path, .. }
        | BundleError::Damaged { path, .. }
        | BundleError::Forged { path, .. }
        | BundleError::Entries { path, .. }
        | BundleError::Base { path, .. } => path == file,
        _ => false,
    }
}

/// Reads the entries of a section. Whatever is wrong with them is damage, unless the section is as its
/// author has signed it.
fn read(
    path: &Path,
    section: &Section,
    receiving: &mut Receiving,
    (taken, limit): (&mut u64, u64),
) -> Result<(), BundleError> {
    let Section { head, end, at } = section;
    if !end.is_signed(head) {
        return Err(BundleError::Forged { path: path.to_owned(), at: *at, author: head.author });
    }
    let failed = || BundleError::io(path, "reading");
    let mut file = File::open(path).map_err(failed())?;
    file.seek(SeekFrom::Start(*at)).map_err(failed())?;
    let mut start = [0; HEAD_FRAME];
    file.read_exact(&mut start).map_err(failed())?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&start);
    let mut body = file.take(end.length.saturating_sub(HEAD_FRAME as u64));
    let mut piece = vec![0; PIECE];
    let mut incoming = Incoming::new();
    let place = |incoming: &Incoming| at + HEAD_FRAME as u64 + incoming.consumed();
    let mut wrong: Option<(u64, SyncError)> = None;
    loop {
        let found = body.read(&mut piece).map_err(failed())?;
        let Some(found) = piece.get(..found).filter(|found| !found.is_empty()) else { break };
        hasher.update(found);
        if wrong.is_some() {
            continue;
        }
        incoming.push(found);
        wrong = loop {
            let at = place(&incoming);
            match incoming.pop() {
                Ok(None) => break None,
                Ok(Some((ENTRIES, message))) => {
                    match receiving.take(&message) {
                        Ok(bytes) => *taken = taken.saturating_add(bytes),
                        Err(error) => break Some((at, error)),
                    }
                    if *taken > limit {
                        break Some((at, SyncError::TooMuch { limit }));
                    }
                }
                Ok(Some((kind, _))) => break Some((at, SyncError::Turn { kind })),
                Err(error) => break Some((at, error)),
            }
        };
    }
    if *hasher.finalize().as_bytes() != end.digest {
        let at = wrong.map_or(*at, |(at, _)| at);
        return Err(BundleError::damaged(path, at, "its section does not have the hash that was signed"));
    }
    if wrong.is_none() && incoming.is_inside() {
        wrong = Some((place(&incoming), SyncError::Frame { what: "a frame goes beyond its section" }));
    }
    if wrong.is_none()
        && let Err(error) = receiving.check(end.entries)
    {
        wrong = Some((section.behind(), error));
    }
    if let Some((at, error)) = wrong {
        let source = local(error)?;
        return Err(BundleError::Entries { path: path.to_owned(), at, source });
    }
    // The next section begins with any element again.
    receiving.expect(&[]);
    Ok(())
}

/// Opens a root of this database to count from.
pub(super) fn open_base<S: PageStore>(db: &Db<S>, known: &Known, root: Cid) -> Result<Root, Error> {
    if !known.has(&root) {
        return Err(Error::NotInReflog { root });
    }
    match known.open(db, &root)? {
        Some(root) => Ok(root),
        None => Err(Snapshot::open(db.store(), root).err().unwrap_or(Error::NoRoot { root })),
    }
}
