//! The root record: one hash that says everything about a database.

use prolly::cbor::{CborError, Reader, put_array, put_link, put_text, put_unsigned};
use prolly::{Cid, Config, ConfigError, Tree};

/// The version of the root record, and so of all formats below it.
pub const FORMAT: u64 = 1;

/// No dataset's name is longer than this, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The name of a dataset that was given none.
pub const DEFAULT_NAME: &str = "osm";

/// How many elements a database shows. Derived from its entries, like everything in the root.
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
    pub const EMPTY: Self =
        Self { entries: 0, nodes: 0, ways: 0, relations: 0, changesets: 0, deleted: 0, forks: 0 };
}

/// The trees of a database.
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
}

impl Trees {
    /// Returns the trees with their names, in the order of the root record.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Tree); 5] {
        [
            ("heads", self.heads),
            ("history", self.history),
            ("spatial", self.spatial),
            ("refs", self.refs),
            ("changes", self.changes),
        ]
    }
}

/// The root record: `[format, name, configuration, [heads, history, spatial, refs, changes],
/// [entries, nodes, ways, relations, changesets, deleted, forks]]`, the configuration and the trees
/// as links. Its hash is the root of the database.
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// Not in the one encoding.
    #[error("the root record is malformed: {0}")]
    Cbor(#[from] CborError),
    /// Of another version of the format.
    #[error(
        "the database has format {found}, but this program reads format {FORMAT}: use another version of it"
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
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        put_array(&mut out, 5);
        put_unsigned(&mut out, FORMAT);
        put_text(&mut out, &self.name);
        put_link(&mut out, &self.trees.heads.config.cid());
        put_array(&mut out, 5);
        self.trees.named().iter().for_each(|(_, tree)| put_link(&mut out, &tree.root));
        let Counts { entries, nodes, ways, relations, changesets, deleted, forks } = self.counts;
        put_array(&mut out, 7);
        for count in [entries, nodes, ways, relations, changesets, deleted, forks] {
            put_unsigned(&mut out, count);
        }
        out
    }

    /// Returns the root: the address of the record.
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
    trees: [Cid; 5],
    counts: Counts,
}

impl RawRoot {
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
        reader.array_of(5)?;
        let trees = [reader.link()?, reader.link()?, reader.link()?, reader.link()?, reader.link()?];
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

    pub(crate) fn with_config(self, record: &[u8]) -> Result<Root, RootError> {
        let config = Config::decode(record)?;
        let [heads, history, spatial, refs, changes] = self.trees.map(|root| Tree::new(config, root));
        let trees = Trees { heads, history, spatial, refs, changes };
        Ok(Root { name: self.name, trees, counts: self.counts })
    }
}
