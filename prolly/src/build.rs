//! Bulk build: a tree from pairs that come in order, in one pass and in bounded memory.

use crate::cbor;
use crate::chunker::{LevelWriter, NewPage};
use crate::cid::Cid;
use crate::config::{Config, MAX_LEVEL};
use crate::error::Error;
use crate::store::PageSink;
use crate::value;

/// Builds a tree from pairs in ascending order of their keys.
///
/// Memory: one page being filled per level. Every page is written once.
///
/// ```
/// use prolly::{Builder, Config, MemoryStore};
/// let store = MemoryStore::new();
/// let mut builder = Builder::new(&store, Config::default())?;
/// for n in 0u32..10_000 {
///     builder.push(&n.to_be_bytes(), b"value")?;
/// }
/// let tree = builder.finish()?;
/// assert_eq!(tree.count(&store)?, 10_000);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder<W> {
    sink: W,
    config: Config,
    levels: Vec<Level>,
    lowest: u8,
    last_key: Vec<u8>,
    pushed: u64,
    encoded: Vec<u8>,
}

#[derive(Debug)]
struct Level {
    writer: LevelWriter,
    /// How many pages the level has so far, and the address of the latest.
    pages: u64,
    latest: Option<Cid>,
}

impl<W: PageSink> Builder<W> {
    /// Begins an empty tree.
    ///
    /// ```
    /// # use prolly::{Builder, Config, Error, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// let tree = Builder::new(&store, Config::default())?.finish()?;
    /// assert_eq!(tree, Tree::empty(&store, Config::default())?);
    /// let narrow = Config { leaf_max: 1, ..Config::default() };
    /// assert!(matches!(Builder::new(&store, narrow), Err(Error::Config(_))));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The configuration allows no trees.
    pub fn new(sink: W, config: Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self::from_level(sink, config, 0))
    }

    /// Begins above pages that are there already.
    pub(crate) const fn from_level(sink: W, config: Config, lowest: u8) -> Self {
        Self {
            sink,
            config,
            levels: Vec::new(),
            lowest,
            last_key: Vec::new(),
            pushed: 0,
            encoded: Vec::new(),
        }
    }

    /// Adds a pair.
    ///
    /// ```
    /// # use prolly::{Builder, Config, Error, MemoryStore};
    /// # let store = MemoryStore::new();
    /// let mut builder = Builder::new(&store, Config::default())?;
    /// builder.push(b"b", b"2")?;
    /// assert!(matches!(builder.push(b"a", b"1"), Err(Error::Unsorted { index: 1 })));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The key is not greater than the one before, or too long; the value is too long; or the store
    /// failed. The builder is of no use afterwards.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        check_key(&self.config, key)?;
        if self.pushed > 0 && self.last_key.as_slice() >= key {
            return Err(Error::Unsorted { index: self.pushed });
        }
        self.pushed += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        if value.len() > self.config.inline_max as usize {
            value::encode(&mut encoded, &value::write(&self.sink, value)?);
        } else {
            cbor::put_bytes(&mut encoded, value);
        }
        self.level(0)?.writer.push(key, &encoded, 1);
        self.encoded = encoded;
        self.cut(0, false)
    }

    /// Adds a pair or a child of the lowest level, as it stands in a page.
    pub(crate) fn push_item(&mut self, key: &[u8], item: &[u8], count: u64) -> Result<(), Error> {
        self.level(0)?.writer.push(key, item, count);
        self.cut(0, false)
    }

    /// Ends the tree.
    ///
    /// ```
    /// # use prolly::{Builder, Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// let mut builder = Builder::new(&store, Config::default())?;
    /// builder.push(b"a", b"1")?;
    /// assert_eq!(builder.finish()?, Tree::build(&store, Config::default(), [("a", "1")])?);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    pub fn finish(mut self) -> Result<crate::Tree, Error> {
        let config = self.config;
        let mut index = 0;
        while index < self.levels.len() {
            self.cut(index, true)?;
            if let Some(Level { pages: 1, latest: Some(root), .. }) = self.levels.get(index) {
                return Ok(crate::Tree::new(config, *root));
            }
            index += 1;
        }
        crate::Tree::empty(&self.sink, config)
    }

    fn level(&mut self, index: usize) -> Result<&mut Level, Error> {
        if index == self.levels.len() {
            let level = u8::try_from(index).ok().and_then(|index| self.lowest.checked_add(index));
            // The level above the top page is begun too, but never ends a page.
            let level = level.filter(|level| *level <= MAX_LEVEL + 1).ok_or(Error::TooTall)?;
            let writer = LevelWriter::new(&self.config, level);
            self.levels.push(Level { writer, pages: 0, latest: None });
        }
        self.levels.get_mut(index).ok_or(Error::TooTall)
    }

    /// Writes the pages of a level that can be ended, and tells the levels above of them.
    fn cut(&mut self, lowest: usize, mut at_end: bool) -> Result<(), Error> {
        for index in lowest.. {
            let before = self.level(index)?.pages;
            while let Some(page) = self.level(index)?.writer.next_page(at_end) {
                let count = page.count()?;
                let NewPage { cid, bytes, last, .. } = page;
                self.sink.put(cid, bytes)?;
                let level = self.level(index)?;
                level.pages += 1;
                level.latest = Some(cid);
                self.level(index + 1)?.writer.push_child(&last, &cid, count);
            }
            if self.level(index)?.pages == before {
                break;
            }
            at_end = false;
        }
        Ok(())
    }
}

/// Makes sure that a key may be written.
pub(crate) const fn check_key(config: &Config, key: &[u8]) -> Result<(), Error> {
    if key.len() > config.key_max as usize {
        return Err(Error::KeyTooLong { len: key.len(), limit: config.key_max });
    }
    Ok(())
}
