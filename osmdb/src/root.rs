//! The root record: one hash that says everything about a database.

use prolly::cbor::{CborError, Reader, put_array, put_link, put_text, put_unsigned};
use prolly::{Cid, Config, ConfigError, Tree};

/// The version of the root record, and so of all formats below it.
///
/// ```
/// let record = osmdb::Db::in_memory("osm")?.snapshot().root().encode();
/// assert_eq!(u64::from(record[1]), osmdb::FORMAT);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const FORMAT: u64 = 2;

/// No dataset's name is longer than this, in bytes.
///
/// ```
/// use osmdb::{Db, MAX_NAME_BYTES};
/// assert!(Db::in_memory(&"a".repeat(MAX_NAME_BYTES)).is_ok());
/// assert!(Db::in_memory(&"a".repeat(MAX_NAME_BYTES + 1)).is_err());
/// ```
pub const MAX_NAME_BYTES: usize = 255;

/// The name of a dataset that was given none.
///
/// ```
/// use osmdb::{DEFAULT_NAME, Db};
/// # let dir = tempfile::tempdir()?;
/// let db = Db::create_or_open(dir.path().join("osm.db"))?;
/// assert_eq!(db.snapshot().root().name, DEFAULT_NAME);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const DEFAULT_NAME: &str = "osm";

/// How many elements a database shows. Derived from its entries, like everything in the root.
///
/// ```
/// use osmdb::Counts;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// assert_eq!(db.counts(), Counts::EMPTY);
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// db.delete(node)?;
/// assert_eq!(db.counts(), Counts { entries: 2, deleted: 1, ..Counts::EMPTY });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All versions, of all elements.
    pub entries: u64,
    /// Nodes with a live head.
    pub nodes: u64,
    /// Ways with a live head.
    pub ways: u64,
    /// Relations with a live head.
    pub relations: u64,
    /// Changesets with a live head.
    pub changesets: u64,
    /// Elements all of whose heads are tombstones.
    pub deleted: u64,
    /// Elements with several heads.
    pub forks: u64,
}

impl Counts {
    /// The counts of a database without entries.
    ///
    /// ```
    /// use osmdb::{Counts, Db};
    /// assert_eq!(Db::in_memory("osm")?.counts(), Counts::EMPTY);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const EMPTY: Self =
        Self { entries: 0, nodes: 0, ways: 0, relations: 0, changesets: 0, deleted: 0, forks: 0 };
}

/// The trees of a database.
///
/// ```
/// # let db = osmdb::Db::in_memory("osm")?;
/// let trees = db.snapshot().root().trees;
/// assert_eq!(trees.heads.stats(db.store())?.pairs, 0);
/// assert_eq!(trees.heads, trees.history, "both are empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trees {
    /// The heads of every element, by kind and id.
    pub heads: Tree,
    /// All other versions, by kind, id and version.
    pub history: Tree,
    /// What is where: tags and geometry, by size class and geohash.
    pub spatial: Tree,
    /// Which elements name an element.
    pub refs: Tree,
    /// Which versions belong to a changeset.
    pub changes: Tree,
    /// What has a tag, by its key, its value and the place.
    pub tags: Tree,
}

impl Trees {
    /// Returns the trees with their names, in the order of the root record.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let named = db.snapshot().root().trees.named();
    /// let names = named.map(|(name, _)| name);
    /// assert_eq!(names, ["heads", "history", "spatial", "refs", "changes", "tags"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Tree); 6] {
        [
            ("heads", self.heads),
            ("history", self.history),
            ("spatial", self.spatial),
            ("refs", self.refs),
            ("changes", self.changes),
            ("tags", self.tags),
        ]
    }
}

/// The root record: `[format, name, configuration, [heads, history, spatial, refs, changes,
/// tags], [entries, nodes, ways, relations, changesets, deleted, forks]]`, the configuration and the trees
/// as links. Its hash is the root of the database.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let snapshot = db.snapshot();
/// let root = snapshot.root();
/// assert_eq!((root.name.as_str(), root.counts.nodes), ("osm", 1));
/// assert_eq!(root.cid(), db.root());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The dataset's name. Datasets of different names do not merge.
    pub name: String,
    /// The trees.
    pub trees: Trees,
    /// How much they hold.
    pub counts: Counts,
}

/// A record that is no root.
///
/// ```
/// use osmdb::{Error, RootError, Snapshot};
/// use prolly::{Cid, MemoryStore, PageSink};
/// # let store = MemoryStore::new();
/// // A record as it may be some day, of format 3:
/// let mut record = osmdb::Db::in_memory("osm")?.snapshot().root().encode();
/// record[1] = 3;
/// let cid = Cid::of(&record);
/// store.put(cid, record.into())?;
/// match Snapshot::open(&store, cid) {
///     Err(Error::Root { source: RootError::Format { found }, .. }) => assert_eq!(found, 3),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// Not in the one encoding.
    #[error("the root record is malformed: {0}")]
    Cbor(#[from] CborError),
    /// Of another version of the format.
    #[error(
        "the database has format {found}, but this program reads format {FORMAT}: import its files into a \
         new database, or use the version of the program that wrote it"
    )]
    Format {
        /// The version found.
        found: u64,
    },
    /// The configuration is not one this program can use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name is too long.
    #[error("the dataset's name is longer than {MAX_NAME_BYTES} bytes")]
    NameTooLong,
}

impl Root {
    /// Returns the record.
    ///
    /// ```
    /// use prolly::PageSource;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let record = db.snapshot().root().encode();
    /// assert_eq!(db.store().load(&db.root())?, Some(record.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(360);
        put_array(&mut out, 5);
        put_unsigned(&mut out, FORMAT);
        put_text(&mut out, &self.name);
        put_link(&mut out, &self.trees.heads.config.cid());
        put_array(&mut out, 6);
        self.trees.named().iter().for_each(|(_, tree)| put_link(&mut out, &tree.root));
        let Counts { entries, nodes, ways, relations, changesets, deleted, forks } = self.counts;
        put_array(&mut out, 7);
        for count in [entries, nodes, ways, relations, changesets, deleted, forks] {
            put_unsigned(&mut out, count);
        }
        out
    }

    /// Returns the root: the address of the record.
    ///
    /// ```
    /// use prolly::Cid;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let root = db.snapshot().root().clone();
    /// assert_eq!(root.cid(), Cid::of(&root.encode()));
    /// assert_eq!(root.cid(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid::of(&self.encode())
    }
}

/// A root record whose configuration is still to be read.
#[derive(Debug)]
pub(crate) struct RawRoot {
    name: String,
    pub(crate) config: Cid,
    trees: [Cid; 6],
    counts: Counts,
}

/// The top pages of the trees that questions begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawTops {
    pub(crate) heads: Cid,
    pub(crate) spatial: Cid,
}

impl RawRoot {
    /// Returns the top pages of the trees that questions begin with.
    pub(crate) const fn tops(&self) -> RawTops {
        let [heads, _, spatial, ..] = self.trees;
        RawTops { heads, spatial }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RootError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5)?;
        let found = reader.unsigned()?;
        if found != FORMAT {
            return Err(RootError::Format { found });
        }
        let name = reader.text()?.to_owned();
        if name.len() > MAX_NAME_BYTES {
            return Err(RootError::NameTooLong);
        }
        let config = reader.link()?;
        reader.array_of(6)?;
        let mut link = || reader.link();
        let trees = [link()?, link()?, link()?, link()?, link()?, link()?];
        reader.array_of(7)?;
        let mut count = || reader.unsigned();
        let counts = Counts {
            entries: count()?,
            nodes: count()?,
            ways: count()?,
            relations: count()?,
            changesets: count()?,
            deleted: count()?,
            forks: count()?,
        };
        reader.end()?;
        Ok(Self { name, config, trees, counts })
    }

    /// Returns what the record links to: the configuration, then the trees.
    pub(crate) fn links(&self) -> Vec<Cid> {
        [self.config].into_iter().chain(self.trees).collect()
    }

    pub(crate) fn with_config(self, record: &[u8]) -> Result<Root, RootError> {
        let config = Config::decode(record)?;
        let [heads, history, spatial, refs, changes, tags] = self.trees.map(|root| Tree::new(config, root));
        let trees = Trees { heads, history, spatial, refs, changes, tags };
        Ok(Root { name: self.name, trees, counts: self.counts })
    }
}
