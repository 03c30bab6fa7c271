//! Batched mutation: rewrites the pages that a batch touches, level by level.
//!
//! On each level the batch is a sorted list of items to put or remove: pairs in the leaves, children
//! in the branches. A page whose items only change their values keeps its boundaries and is
//! rewritten in place. Everything else is cut into pages anew, from as far back as the boundary
//! rule could have looked ahead to the change, until a new page ends where an old one ended. The
//! pages that went and the pages that came are the batch for the level above.

mod level;

use bytes::Bytes;

use crate::build::{Builder, check_key};
use crate::cbor;
use crate::cid::Cid;
use crate::config::Config;
use crate::error::Error;
use crate::page::Value;
use crate::patchwork::{PatchCursor, Splices};
use crate::range::KeyRange;
use crate::scan::Scan;
use crate::step::{Frontier, Step};
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;
use crate::value;
use crate::walk::Halt;

use self::level::LevelRun;

/// Puts and removes pairs of a tree, in steps.
///
/// Costs, for every page that holds a key of the batch: that page, up to ⌈max/min⌉ pages before and
/// after it if keys come or go or sizes change, and the branches above. The same pages are written.
///
/// ```
/// use prolly::{Config, Edit, MemoryStore, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// let mut edit = Edit::new(tree, [("a", None), ("c", Some("3"))])?;
/// let Step::Ready(edited) = edit.step(&store, &store)? else { unreachable!("all pages are here") };
/// // The same pairs make the same root, whatever way they came.
/// assert_eq!(edited, Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Edit {
    tree: Tree,
    /// In order of keys.
    puts: Vec<Put>,
    /// Stretches that are taken from another tree; no put lies in one.
    splices: Option<Splices>,
}

/// A pair to write; without a value, a key to remove.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Value>,
}

impl Edit {
    /// Begins a batch: values to put under keys, or `None` to remove a key. Of several edits of one
    /// key the last one counts.
    ///
    /// ```
    /// # use prolly::{Config, Edit, Error, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let edited = Edit::new(tree, [("b", Some("4")), ("a", None), ("b", Some("5"))])?;
    /// # let mut edited = edited;
    /// let edited = edited.step(&store, &store)?.complete()?;
    /// assert_eq!(edited.get(&store, b"b")?, Some("5".into()), "the last edit of a key counts");
    /// let long = "k".repeat(2_000);
    /// assert!(matches!(Edit::new(tree, [(long, Some("1"))]), Err(Error::KeyTooLong { limit: 1024, .. })));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A key or a value is longer than any may be.
    pub fn new<K, V>(tree: Tree, edits: impl IntoIterator<Item = (K, Option<V>)>) -> Result<Self, Error>
    where
        K: Into<Bytes>,
        V: Into<Bytes>,
    {
        let mut puts = Vec::new();
        for (key, value) in edits {
            let (key, value) = (key.into(), value.map(Into::into));
            check_key(&tree.config, &key)?;
            value.as_ref().map_or(Ok(()), |value: &Bytes| value::check(value))?;
            puts.push(Put { key, value: value.map(Value::Inline) });
        }
        if !puts.is_sorted_by(|a, b| a.key < b.key) {
            // Stable: of several edits of one key the last one stays last, and is the one kept.
            puts.sort_by(|a, b| a.key.cmp(&b.key));
            puts.dedup_by(|later, kept| {
                let same = later.key == kept.key;
                if same {
                    kept.value = later.value.take();
                }
                same
            });
        }
        Ok(Self { tree, puts, splices: None })
    }

    /// Begins a batch that is in order already.
    pub(crate) const fn of_values(tree: Tree, puts: Vec<Put>) -> Self {
        Self { tree, puts, splices: None }
    }

    /// Takes stretches of another tree over, unread but for the pages at their ends. The trees are of one
    /// height and configuration; at the ends of a stretch pages of both trees end, or one has no more.
    pub(crate) fn with_splices(mut self, splices: Splices) -> Self {
        self.splices = Some(splices).filter(|splices| !splices.stretches.is_empty());
        self
    }

    /// Applies the batch, if all pages are here; new pages go to the sink.
    ///
    /// ```
    /// # use prolly::{Config, Edit, MemoryStore, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut edit = Edit::new(tree, [("c", None::<&str>)])?;
    /// // A source that lacks pages is told which; the edit goes on when they are there.
    /// let lacking = MemoryStore::new();
    /// assert_eq!(edit.step(&lacking, &lacking)?, Step::Missing(vec![tree.root]));
    /// assert_eq!(edit.step(&store, &store)?.complete()?.count(&store)?, 2);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A store failed, or a page is damaged.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        self.place_values(sink)?;
        match apply(&self.tree, &self.puts, self.splices.as_ref(), source, sink) {
            Ok(tree) => Ok(Step::Ready(tree)),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Missing(cid)) => self.missing(cid, source),
        }
    }

    fn place_values<W: PageSink + ?Sized>(&mut self, sink: &W) -> Result<(), Error> {
        for put in &mut self.puts {
            if let Some(Value::Inline(bytes)) = &put.value {
                put.value = Some(value::place(sink, &self.tree.config, bytes.clone())?);
            }
        }
        Ok(())
    }

    /// Reports the missing pages on the way to all keys of the batch; when these are there, the one
    /// that is needed beside them.
    fn missing<S: PageSource + ?Sized>(&self, cid: Cid, source: &S) -> Result<Step<Tree>, Error> {
        let seams = || self.splices.iter().flat_map(Splices::seams);
        let keys = self.puts.iter().map(|put| &put.key).chain(seams());
        let mut scans = vec![Scan::new(self.tree, keys.map(|key| KeyRange::point(key)).collect())];
        let seams = seams().map(|key| KeyRange::point(key)).collect();
        scans.extend(self.splices.as_ref().map(|splices| Scan::new(splices.right, seams)));
        let mut frontier = Frontier::default();
        for mut scan in scans {
            loop {
                match scan.step(source)? {
                    Step::Ready(Some(_)) => {}
                    Step::Ready(None) => break,
                    Step::Missing(cids) => {
                        cids.into_iter().for_each(|cid| frontier.add(cid));
                        break;
                    }
                }
            }
        }
        if frontier.is_empty() {
            frontier.add(cid);
        }
        Ok(frontier.into_step())
    }
}

/// A change of one level.
struct ItemEdit {
    key: Bytes,
    change: ItemChange,
}

enum ItemChange {
    Put(Item),
    Remove,
    /// Nothing, but behind the item with this key, or where it would stand, pages are another tree's: the
    /// ends of those before it are to be decided anew.
    Seam,
}

/// A value or a link, as it stands in a page, and how many pairs it stands for.
#[derive(PartialEq, Eq)]
struct Item {
    encoded: Bytes,
    count: u64,
}

/// A page that went or came: what the branch above says of it.
struct Child {
    last: Bytes,
    cid: Cid,
    count: u64,
}

impl ItemEdit {
    fn of_put(put: &Put) -> Self {
        let change = put.value.as_ref().map_or(ItemChange::Remove, |value| {
            let mut encoded = Vec::new();
            value::encode(&mut encoded, value);
            ItemChange::Put(Item { encoded: encoded.into(), count: 1 })
        });
        Self { key: put.key.clone(), change }
    }

    fn of_child(child: Child) -> Self {
        let mut encoded = Vec::with_capacity(cbor::LINK_BYTES);
        cbor::put_link(&mut encoded, &child.cid);
        Self {
            key: child.last,
            change: ItemChange::Put(Item { encoded: encoded.into(), count: child.count }),
        }
    }
}

/// Adds the seams to the changes of a level, which are in order.
fn with_seams(edits: Vec<ItemEdit>, splices: Option<&Splices>) -> Vec<ItemEdit> {
    let Some(splices) = splices else { return edits };
    let mut all = Vec::with_capacity(edits.len() + 2 * splices.stretches.len());
    let mut edits = edits.into_iter().peekable();
    for seam in splices.seams() {
        while let Some(edit) = edits.next_if(|edit| edit.key <= *seam) {
            all.push(edit);
        }
        all.push(ItemEdit { key: seam.clone(), change: ItemChange::Seam });
    }
    all.extend(edits);
    all
}

fn apply<S, W>(
    tree: &Tree,
    puts: &[Put],
    splices: Option<&Splices>,
    source: &S,
    sink: &W,
) -> Result<Tree, Halt>
where
    S: PageSource + ?Sized,
    W: PageSink + ?Sized,
{
    let mut edits = with_seams(puts.iter().map(ItemEdit::of_put).collect(), splices);
    let mut level = 0;
    while !edits.is_empty() {
        let cursor = PatchCursor::new(source, tree, splices, level)?;
        let (top, total) = (cursor.root().level(), cursor.root().count());
        if cursor.is_empty() {
            return Ok(build(tree.config, level, edits, sink)?);
        }
        let mut run = LevelRun::new(cursor, tree.config, level, &edits, sink);
        if splices.is_some() && level == top {
            // The level above is nobody's yet.
            run.run_all()?;
        } else {
            run.run()?;
        }
        let LevelRun { gone, mut come, anew, .. } = run;
        // In a patchwork nobody knows how many pairs there were.
        let all = || splices.is_none() && gone.iter().map(|page| page.count).sum::<u64>() == total;
        if anew || all() {
            if come.len() <= 1 {
                let only = come.pop().map(|page| Tree::new(tree.config, page.cid));
                return Ok(only.map_or_else(|| Tree::empty(sink, tree.config), Ok)?);
            }
            if level == top {
                let children = come.into_iter().map(ItemEdit::of_child).collect();
                return Ok(build(tree.config, level + 1, children, sink)?);
            }
        }
        edits = with_seams(replacements(gone, come), splices);
        level += 1;
    }
    Ok(*tree)
}

/// Builds all levels from one up.
fn build<W: PageSink + ?Sized>(
    config: Config,
    level: u8,
    items: Vec<ItemEdit>,
    sink: &W,
) -> Result<Tree, Error> {
    let mut builder = Builder::from_level(sink, config, level);
    for edit in items {
        if let ItemChange::Put(item) = edit.change {
            builder.push_item(&edit.key, &item.encoded, item.count)?;
        }
    }
    builder.finish()
}

/// Returns what the pages that went and came mean for the level above. Pages that only were cut
/// anew as they were mean nothing.
fn replacements(gone: Vec<Child>, come: Vec<Child>) -> Vec<ItemEdit> {
    let mut edits = Vec::with_capacity(come.len());
    let (mut gone, mut come) = (gone.into_iter().peekable(), come.into_iter().peekable());
    loop {
        let order = match (gone.peek(), come.peek()) {
            (Some(old), Some(new)) => old.last.cmp(&new.last),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return edits,
        };
        let old = if order.is_le() { gone.next() } else { None };
        let new = if order.is_ge() { come.next() } else { None };
        match (old, new) {
            (Some(old), Some(new)) if old.cid == new.cid => {}
            (_, Some(new)) => edits.push(ItemEdit::of_child(new)),
            (Some(old), None) => edits.push(ItemEdit { key: old.last, change: ItemChange::Remove }),
            (None, None) => {}
        }
    }
}
