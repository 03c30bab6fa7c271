//! Finding many keys, or many places in the order of keys, at once.

use bytes::Bytes;

use crate::error::Error;
use crate::page::{Page, Value};
use crate::range::KeyRange;
use crate::scan::Scan;
use crate::step::{Frontier, Step, open_child, open_root};
use crate::store::PageSource;
use crate::tree::{Tree, read};

/// Finds the values of many keys, in steps. Costs the pages on the way to the keys, each once; a
/// source that lacks pages is told of a whole level at once.
///
/// ```
/// use prolly::{Config, GetMany, MemoryStore, Step, Tree, Value};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let Step::Ready(found) = GetMany::new(tree, ["c", "x", "a"]).step(&store)? else {
///     unreachable!("all pages are here")
/// };
/// assert_eq!(found, [Some(Value::Inline("3".into())), None, Some(Value::Inline("1".into()))]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct GetMany {
    keys: Vec<Bytes>,
    /// The places of the keys as they were asked for, in the order of the keys.
    order: Vec<usize>,
    scan: Scan,
    /// How many keys, in their order, are behind the walk.
    passed: usize,
    found: Vec<Option<Value>>,
}

impl GetMany {
    /// Begins to look for keys, which may come in any order and more than once.
    ///
    /// ```
    /// # use prolly::{Config, GetMany, MemoryStore, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut get = GetMany::new(tree, ["c", "c"]);
    /// let found = get.step(&store)?.complete()?;
    /// assert_eq!(found, vec![Some(Value::Inline("3".into())); 2]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn new<K: Into<Bytes>>(tree: Tree, keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<Bytes> = keys.into_iter().map(Into::into).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|place| keys.get(*place));
        let scan = Scan::new(tree, keys.iter().map(|key| KeyRange::point(key)).collect());
        Self { found: vec![None; keys.len()], keys, order, scan, passed: 0 }
    }

    /// Looks on. The values are in the order in which the keys were asked for; `None`: not there.
    ///
    /// ```
    /// # use prolly::{Config, GetMany, MemoryStore, Step, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut get = GetMany::new(tree, ["a", "x"]);
    /// assert_eq!(get.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert_eq!(get.step(&store)?, Step::Ready(vec![Some(Value::Inline("1".into())), None]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Vec<Option<Value>>>, Error> {
        loop {
            match self.scan.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(run)) => run.pairs().for_each(|(key, value)| self.note(&key, &value)),
                Step::Ready(None) => return Ok(Step::Ready(self.found.clone())),
            }
        }
    }

    fn note(&mut self, found: &Bytes, value: &Value) {
        while let Some(&place) = self.order.get(self.passed)
            && let Some(key) = self.keys.get(place)
            && key <= found
        {
            if let Some(slot) = self.found.get_mut(place).filter(|_| key == found) {
                *slot = Some(value.clone());
            }
            self.passed += 1;
        }
    }
}

/// Finds the pairs at many places in the order of keys, in steps. Costs the pages on the way to them,
/// each once; a source that lacks pages is told of a whole level at once.
///
/// ```
/// use prolly::{Config, MemoryStore, SelectMany, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("c", "2"), ("e", "3")])?;
/// let Step::Ready(found) = SelectMany::new(tree, vec![2, 0, 7]).step(&store)? else {
///     unreachable!("all pages are here")
/// };
/// let keys: Vec<_> = found.iter().map(|(key, _)| &key[..]).collect();
/// assert_eq!(keys, [b"a", b"e"], "in order, and only those that there are");
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct SelectMany {
    tree: Tree,
    places: Vec<u64>,
}

impl SelectMany {
    /// Begins to look for the pairs at some places; the first one is at 0.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, SelectMany, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let found = SelectMany::new(tree, vec![1, 1, 9]).step(&store)?.complete()?;
    /// assert_eq!(found.len(), 1, "one place twice, and one behind the end");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn new(tree: Tree, mut places: Vec<u64>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self { tree, places }
    }

    /// Looks on, from the root: pages already there are soon passed again. The pairs are in the order
    /// of their keys, each once.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, SelectMany, Step, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut select = SelectMany::new(tree, vec![2]);
    /// assert_eq!(select.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert_eq!(select.step(&store)?, Step::Ready(vec![("c".into(), Value::Inline("3".into()))]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Vec<(Bytes, Value)>>, Error> {
        let Some(root) = open_root(source, &self.tree.config, &self.tree.root)? else {
            return Ok(Step::Missing(vec![self.tree.root]));
        };
        let (frontier, found) = (Frontier::default(), Vec::new());
        let mut visit = Visit { source, tree: &self.tree, frontier, found };
        visit.page(&root, 0, &self.places, None)?;
        if visit.frontier.is_empty() { Ok(Step::Ready(visit.found)) } else { Ok(visit.frontier.into_step()) }
    }
}

struct Visit<'a, S: ?Sized> {
    source: &'a S,
    tree: &'a Tree,
    frontier: Frontier,
    found: Vec<(Bytes, Value)>,
}

impl<S: PageSource + ?Sized> Visit<'_, S> {
    /// Takes the pairs at these places out of the subtree of a page, before which there are some pairs.
    fn page(&mut self, page: &Page, before: u64, places: &[u64], after: Option<&[u8]>) -> Result<(), Error> {
        let (mut before, mut places) = (before, places);
        for index in 0..page.len() {
            let end = before.saturating_add(page.item_count(index));
            let (here, rest) = places.split_at(places.partition_point(|place| *place < end));
            if !here.is_empty() && !self.frontier.is_full() {
                self.item(page, index, before, here, after)?;
            }
            (before, places) = (end, rest);
            if places.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn item(
        &mut self,
        page: &Page,
        index: usize,
        before: u64,
        places: &[u64],
        after: Option<&[u8]>,
    ) -> Result<(), Error> {
        let Some(cid) = page.child(index) else {
            self.found.extend(page.value(index).map(|value| (page.key_bytes(index), value)));
            return Ok(());
        };
        match open_child(self.source, &self.tree.config, page, index, after)? {
            None => self.frontier.add(cid),
            Some(child) => {
                let before_key = index.checked_sub(1).map(|before| page.key(before));
                self.page(&child, before, places, before_key.or(after))?;
            }
        }
        Ok(())
    }
}

/// Draws pairs at random, but the same ones for the same seed, in steps. Every set of that many pairs
/// is drawn as often as any other. Costs the pages on the way to the pairs, each once.
///
/// The places are drawn by Floyd's algorithm (J. Bentley and B. Floyd, "A sample of brilliance", CACM
/// 30(9), 1987) from the extended output of BLAKE3 for the seed.
///
/// ```
/// use prolly::{Config, MemoryStore, Sample, Step, Tree};
/// let store = MemoryStore::new();
/// let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), "x"));
/// let tree = Tree::build(&store, Config::default(), pairs)?;
/// let Step::Ready(drawn) = Sample::new(tree, 7, 10).step(&store)? else { unreachable!("all is here") };
/// assert_eq!(drawn.len(), 10);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Sample {
    tree: Tree,
    seed: u64,
    amount: usize,
    drawn: Option<SelectMany>,
}

impl Sample {
    /// Begins to draw; all pairs if there are not so many.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Sample, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let drawn = Sample::new(tree, 7, 2).step(&store)?.complete()?;
    /// assert_eq!(drawn, Sample::new(tree, 7, 2).step(&store)?.complete()?, "the same seed, the same pairs");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn new(tree: Tree, seed: u64, amount: usize) -> Self {
        Self { tree, seed, amount, drawn: None }
    }

    /// Draws on. The pairs are in the order of their keys.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Sample, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut sample = Sample::new(tree, 7, 100);
    /// assert_eq!(sample.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert_eq!(sample.step(&store)?.complete()?.len(), 3, "there are no more");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Vec<(Bytes, Value)>>, Error> {
        if self.drawn.is_none() {
            let Some(root) = open_root(source, &self.tree.config, &self.tree.root)? else {
                return Ok(Step::Missing(vec![self.tree.root]));
            };
            let places = draw(self.seed, self.amount as u64, root.count());
            self.drawn = Some(SelectMany::new(self.tree, places));
        }
        match &mut self.drawn {
            Some(drawn) => drawn.step(source),
            None => Ok(Step::Ready(Vec::new())),
        }
    }
}

/// Draws different numbers below a count.
fn draw(seed: u64, amount: u64, count: u64) -> Vec<u64> {
    let mut stream =
        blake3::Hasher::new().update(b"prolly sample").update(&seed.to_be_bytes()).finalize_xof();
    let mut drawn = std::collections::BTreeSet::new();
    for most in count - amount.min(count)..count {
        let mut bytes = [0; 8];
        stream.fill(&mut bytes);
        // The high half of the product lies evenly in 0..=most, but for one part in 2⁶⁴ / most.
        let number = (u128::from(u64::from_be_bytes(bytes)) * (u128::from(most) + 1)) >> 64;
        let number = u64::try_from(number).unwrap_or(most);
        if !drawn.insert(number) {
            drawn.insert(most);
        }
    }
    drawn.into_iter().collect()
}

impl Tree {
    /// Returns the values of many keys, in the order in which the keys are given. Costs the pages on the
    /// way to the keys, each once, and those of long values.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// assert_eq!(tree.get_many(&store, ["b", "x"])?, [Some("2".into()), None]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the store failed.
    pub fn get_many<S, K>(
        &self,
        source: &S,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Bytes>>, Error>
    where
        S: PageSource + ?Sized,
        K: Into<Bytes>,
    {
        let found = GetMany::new(*self, keys).step(source)?.complete()?;
        found.into_iter().map(|value| value.map(|value| read(source, value)).transpose()).collect()
    }

    /// Draws pairs at random, but the same ones for the same seed: see [`Sample`]. Costs
    /// the pages on the way to the pairs, each once.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let drawn = tree.sample(&store, 7, 2)?;
    /// assert_eq!(drawn.len(), 2);
    /// assert_eq!(drawn, tree.sample(&store, 7, 2)?, "the same seed, the same pairs");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the store failed.
    pub fn sample<S>(&self, source: &S, seed: u64, amount: usize) -> Result<Vec<(Bytes, Bytes)>, Error>
    where
        S: PageSource + ?Sized,
    {
        let drawn = Sample::new(*self, seed, amount).step(source)?.complete()?;
        drawn.into_iter().map(|(key, value)| Ok((key, read(source, value)?))).collect()
    }
}
