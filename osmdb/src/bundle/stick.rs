//! What a database does with bundles.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use prolly::{Cid, PageStore};

use super::draft::{self, Begin, DRAFT, Split};
use super::links::Link;
use super::scan::Scan;
use super::take::{Known, Taking, open_base};
use super::{BundleError, ENDING, MAX_FILES, MAX_SECTIONS, Options, Summary, Wrote};
use crate::db::Db;
use crate::entry::Author;

/// So many of the digits of a device's key stand in the names of its files.
const KEY_DIGITS: usize = 16;

impl<S: PageStore + Sync> Db<S> {
    /// Unites with the other databases that have written to a stick, or to any other directory, and writes there
    /// what this database has since it last did.
    ///
    /// Reads the bundles of the directory ([`ENDING`]): of those whose last root is known here, only heads. What
    /// comes is checked as from a peer, and taken in in one commit for each device. Then, unless this database's
    /// last section there has the present root already, a section is added to its own file, which is named
    /// after its key, or else to a new one: a stick on which nobody has written gets everything. Afterwards all is on the
    /// disk.
    ///
    /// Files that cannot be read, and a stick that cannot be written, are told in the [`Summary`].
    ///
    /// ```
    /// use osmdb::bundle::Options;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let stick = tempfile::tempdir()?;
    /// # let stick = stick.path();
    /// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// # theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// theirs.sync_stick(stick, &Options::default())?;
    /// let summary = ours.sync_stick(stick, &Options::default())?;
    /// assert_eq!((summary.gained, ours.root()), (1, theirs.root()));
    /// // A second time there is nothing to do.
    /// let summary = ours.sync_stick(stick, &Options::default())?;
    /// assert_eq!((summary.received, summary.wrote), (0, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The directory cannot be listed, or the database here fails.
    pub fn sync_stick(&self, dir: impl AsRef<Path>, options: &Options) -> Result<Summary, BundleError> {
        let dir = dir.as_ref();
        let paths = list(dir)?;
        let mut taking = Taking::new(self, options)?;
        taking.scan(&paths);
        taking.take()?;
        let stick = Stick::new(self.author()?, dir, &paths, &taking);
        match stick.write(self, options) {
            Ok(wrote) => taking.summary.wrote = wrote,
            Err(BundleError::Db(error)) => return Err(error.into()),
            Err(error) => taking.summary.unwritten = Some(error),
        }
        Ok(taking.summary)
    }

    /// Takes in what is in bundles, and writes none.
    ///
    /// ```
    /// use osmdb::bundle::Options;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// # theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let file = dir.path().join("all.osmb");
    /// theirs.write_bundle(&file, None)?;
    /// assert_eq!(ours.take_bundles(&[file], &Options::default())?.gained, 1);
    /// assert_eq!(ours.root(), theirs.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The database here fails. Files that cannot be read are told in the [`Summary`].
    pub fn take_bundles<P: AsRef<Path>>(
        &self,
        files: &[P],
        options: &Options,
    ) -> Result<Summary, BundleError> {
        let mut taking = Taking::new(self, options)?;
        taking.scan(files);
        taking.take()?;
        Ok(taking.summary)
    }

    /// Writes one file with all entries, or those that came after a root that the database had. A file of this name
    /// is replaced when the new one is whole.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// db.create(node(1))?;
    /// let before = db.root();
    /// db.create(node(2))?;
    /// assert_eq!(db.write_bundle(dir.path().join("all.osmb"), None)?.entries, 2);
    /// let wrote = db.write_bundle(dir.path().join("new.osmb"), Some(before))?;
    /// assert_eq!((wrote.entries, wrote.base), (1, before));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written, or the database never had the root, or has no pages of it any more.
    pub fn write_bundle(&self, file: impl AsRef<Path>, since: Option<Cid>) -> Result<Wrote, BundleError> {
        let root = self.snapshot().root().clone();
        let known = Known::read(self)?;
        let base = match since {
            None => known.empty().clone(),
            Some(since) => open_base(self, &known, since)?,
        };
        draft::write(self, (&base, &root), &Begin::New(file.as_ref().to_owned()), None)
    }
}

/// Tells whether bundles are read and written in a place: a file, or a directory that is not that of a
/// database. Whether they are any good is not looked at.
///
/// ```
/// use osmdb::bundle::is_place;
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// assert!(is_place(dir), "a stick with nothing on it");
/// osmdb::Db::create_or_open(dir.join("osm.db"))?;
/// assert!(is_place(dir) && !is_place(&dir.join("osm.db")) && !is_place(&dir.join("nowhere")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn is_place(path: &Path) -> bool {
    path.is_file() || (path.is_dir() && !is_database(path))
}

/// Tells whether a directory is a database, or was to become one.
fn is_database(dir: &Path) -> bool {
    dir.join("format").is_file() || (dir.join("lock").is_file() && dir.join("engine").is_dir())
}

/// Returns the bundles in a directory, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>, BundleError> {
    let failed = || BundleError::io(dir, "listing the directory");
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_bundle = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING));
        if is_bundle && !is_hidden && path.is_file() {
            if paths.len() == MAX_FILES {
                return Err(BundleError::TooMany { path: dir.to_owned() });
            }
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Where this database writes on a stick.
struct Stick<'a, 'b, S> {
    dir: &'a Path,
    /// What the names of its files begin with.
    prefix: String,
    here: Author,
    taking: &'a Taking<'b, S>,
    /// The greatest number of one of its files.
    last: u64,
}

impl<'a, 'b, S: PageStore + Sync> Stick<'a, 'b, S> {
    fn new(here: Author, dir: &'a Path, paths: &[PathBuf], taking: &'a Taking<'b, S>) -> Self {
        let key: String = here.to_string().chars().take(KEY_DIGITS).collect();
        let prefix = format!("osmdb-{key}-");
        let last = paths.iter().filter_map(|path| number(path, &prefix)).max().unwrap_or(0);
        Self { dir, prefix, here, taking, last }
    }

    fn is_own(&self, scan: &Scan) -> bool {
        number(&scan.path, &self.prefix).is_some()
            && scan.sections.iter().all(|section| section.head.author == self.here)
    }

    /// Writes what this database has, and the stick has not from it.
    fn write(&self, db: &Db<S>, options: &Options) -> Result<Option<Wrote>, BundleError> {
        self.tidy()?;
        let (known, links) = (&self.taking.known, &self.taking.links);
        let root = db.snapshot().root().clone();
        let reachable = links.reachable(known.empty().cid());
        let last = self.last_own();
        let is_said = last.is_some_and(|last| last.root == root.cid() && reachable.contains(&last.root));
        if is_said || root.counts.entries == 0 {
            return Ok(None);
        }
        // What others can be led to, and this database counts from.
        let usable = |cid: &Cid| {
            let cid = Some(cid).filter(|cid| reachable.contains(cid) && known.has(cid));
            cid.map_or(Ok(None), |cid| known.open(db, cid))
        };
        let mut base = last.map_or(Ok(None), |last| usable(&last.root))?;
        if base.is_none() {
            let ends = self.taking.files.iter().filter_map(|scan| scan.sections.last());
            let ends: BTreeSet<Cid> = ends.map(|section| section.head.root).collect();
            for end in &ends {
                let found = usable(end)?;
                let most = base.as_ref().map_or(0, |base| base.counts.entries);
                base = found.filter(|found| found.counts.entries > most).or(base);
            }
        }
        let base = base.unwrap_or_else(|| known.empty().clone());
        let mut name = self.last;
        let mut next = || {
            name = name.saturating_add(1);
            self.dir.join(format!("{}{name}.{ENDING}", self.prefix))
        };
        let follows = last.is_some_and(|last| last.root == base.cid());
        let begin = match self.open_file(options).filter(|_| follows) {
            Some((path, end)) => Begin::Append(path, end),
            None => Begin::New(next()),
        };
        let split = Split { part_bytes: options.part_bytes, next: &mut next };
        draft::write(db, (&base, &root), &begin, Some(split)).map(Some)
    }

    /// Returns the last section of this database.
    fn last_own(&self) -> Option<&'a Link> {
        let files = &self.taking.files;
        let place = |link: &&Link| {
            let (file, section) = link.parts.last()?;
            let scan = files.get(*file).filter(|scan| self.is_own(scan))?;
            Some((number(&scan.path, &self.prefix)?, *section))
        };
        let own = self.taking.links.all.iter().filter(|link| !link.failed && place(link).is_some());
        own.max_by_key(place)
    }

    /// Returns the file to append to, and where what is whole in it ends.
    fn open_file(&self, options: &Options) -> Option<(PathBuf, u64)> {
        let is_last = |scan: &&Scan| number(&scan.path, &self.prefix) == Some(self.last) && self.is_own(scan);
        let (file, scan) = self.taking.files.iter().enumerate().find(|(_, scan)| is_last(scan))?;
        let partial = |place: usize| self.taking.links.partial.contains(&(file, place));
        let whole = scan.sections.iter().enumerate().take_while(|(place, _)| !partial(*place)).last();
        let (_, last) = whole?;
        let has_room = last.behind() < options.part_bytes && scan.sections.len() < MAX_SECTIONS;
        (has_room && !scan.is_damaged).then(|| (scan.path.clone(), last.behind()))
    }

    /// Takes away what this database began and did not finish.
    fn tidy(&self) -> Result<(), BundleError> {
        for (file, scan) in self.taking.files.iter().enumerate().filter(|(_, scan)| self.is_own(scan)) {
            let partial = |place: &usize| self.taking.links.partial.contains(&(file, *place));
            let count = scan.sections.len();
            let left = (0..count).rev().skip_while(partial).count();
            if scan.is_damaged || (left == count && count > 0 && scan.torn == 0) {
                continue;
            }
            let failed = || BundleError::io(&scan.path, "removing what is torn");
            match left.checked_sub(1).and_then(|last| scan.sections.get(last)) {
                None => fs::remove_file(&scan.path).map_err(failed())?,
                Some(last) => {
                    let file = OpenOptions::new().write(true).open(&scan.path).map_err(failed())?;
                    file.set_len(last.behind()).and_then(|()| file.sync_all()).map_err(failed())?;
                }
            }
        }
        let failed = || BundleError::io(self.dir, "listing the directory");
        for entry in fs::read_dir(self.dir).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let draft = name.strip_suffix(DRAFT).and_then(|name| name.strip_prefix('.'));
            if draft.is_some_and(|name| number(Path::new(name), &self.prefix).is_some()) {
                fs::remove_file(&path).map_err(BundleError::io(&path, "removing what is torn"))?;
            }
        }
        Ok(())
    }
}

/// Returns the number of a file of a device.
fn number(path: &Path, prefix: &str) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix(prefix)?.strip_suffix(ENDING)?.strip_suffix('.')?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}
