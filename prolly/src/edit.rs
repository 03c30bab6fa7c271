//! Batched mutation: rewrites the pages that a batch touches, level by level.
//!
//! On each level the batch is a sorted list of items to put or remove: pairs in the leaves, children
//! in the branches. A page whose items only change their values keeps its boundaries and is
//! rewritten in place. Everything else is cut into pages anew, from as far back as the boundary
//! rule could have looked ahead to the change, until a new page ends where an old one ended. The
//! pages that went and the pages that came are the batch for the level above.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::build::{Builder, check_key};
use crate::cbor;
use crate::chunker::{LevelWriter, NewPage, count_error};
use crate::cid::Cid;
use crate::config::{BRANCH_PAIR_BYTES, Config};
use crate::error::Error;
use crate::page::Value;
use crate::range::KeyRange;
use crate::scan::Scan;
use crate::step::Step;
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;
use crate::value;
use crate::walk::{Halt, LevelCursor};

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
        Ok(Self { tree, puts })
    }

    /// Begins a batch that is in order already.
    pub(crate) const fn of_values(tree: Tree, puts: Vec<Put>) -> Self {
        Self { tree, puts }
    }

    /// Applies the batch, if all pages are here; new pages go to the sink.
    ///
    /// # Errors
    /// A store failed, or a page is damaged.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        self.place_values(sink)?;
        match apply(&self.tree, &self.puts, source, sink) {
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
        let keys = self.puts.iter().map(|put| KeyRange::point(&put.key)).collect();
        let mut scan = Scan::new(self.tree, keys);
        loop {
            match scan.step(source)? {
                Step::Ready(Some(_)) => {}
                Step::Ready(None) => return Ok(Step::Missing(vec![cid])),
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
            }
        }
    }
}

/// An item of one level to put, or to remove.
struct ItemEdit {
    key: Bytes,
    new: Option<Item>,
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
        let new = put.value.as_ref().map(|value| {
            let mut encoded = Vec::new();
            value::encode(&mut encoded, value);
            Item { encoded: encoded.into(), count: 1 }
        });
        Self { key: put.key.clone(), new }
    }

    fn of_child(child: Child) -> Self {
        let mut encoded = Vec::with_capacity(cbor::LINK_BYTES);
        cbor::put_link(&mut encoded, &child.cid);
        Self { key: child.last, new: Some(Item { encoded: encoded.into(), count: child.count }) }
    }
}

fn apply<S, W>(tree: &Tree, puts: &[Put], source: &S, sink: &W) -> Result<Tree, Halt>
where
    S: PageSource + ?Sized,
    W: PageSink + ?Sized,
{
    let mut edits: Vec<ItemEdit> = puts.iter().map(ItemEdit::of_put).collect();
    let mut level = 0;
    while !edits.is_empty() {
        let cursor = LevelCursor::new(source, tree.config, &tree.root, level)?;
        let (top, total) = (cursor.root().level(), cursor.root().count());
        if total == 0 {
            return Ok(build(tree.config, 0, edits, sink)?);
        }
        let mut run = LevelRun::new(cursor, tree.config, level, &edits, sink);
        run.run()?;
        let LevelRun { gone, mut come, .. } = run;
        if gone.iter().map(|page| page.count).sum::<u64>() == total {
            if come.len() <= 1 {
                let only = come.pop().map(|page| Tree::new(tree.config, page.cid));
                return Ok(only.map_or_else(|| Tree::empty(sink, tree.config), Ok)?);
            }
            if level == top {
                let children = come.into_iter().map(ItemEdit::of_child).collect();
                return Ok(build(tree.config, level + 1, children, sink)?);
            }
        }
        edits = replacements(gone, come);
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
        if let Some(item) = edit.new {
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
            (Some(old), None) => edits.push(ItemEdit { key: old.last, new: None }),
            (None, None) => {}
        }
    }
}

/// Applies a batch to one level.
struct LevelRun<'a, S: ?Sized, W: ?Sized> {
    cursor: LevelCursor<'a, S>,
    writer: LevelWriter,
    sink: &'a W,
    edits: &'a [ItemEdit],
    /// The first edit that is not applied yet.
    next: usize,
    /// How far the boundary rule looks ahead, in bytes from the start of a page.
    reach: usize,
    /// A page holds at least this much, unless it is the last.
    min: usize,
    gone: Vec<Child>,
    come: Vec<Child>,
    /// Pages rewritten in place that a change behind them may still draw into cutting anew.
    kept: VecDeque<Kept>,
    /// Pages up to this key were cut anew, and are final.
    settled: Option<Bytes>,
}

/// A page whose boundaries stayed, and how things stood before it.
struct Kept {
    last: Bytes,
    next: usize,
    gone: usize,
    come: usize,
    page: (Cid, Bytes),
}

/// The end of an old page among the pairs that wait to be cut, and how things stood there.
struct Mark {
    pairs: usize,
    next: usize,
    gone: usize,
    last: Bytes,
}

impl<'a, S: PageSource + ?Sized, W: PageSink + ?Sized> LevelRun<'a, S, W> {
    fn new(
        cursor: LevelCursor<'a, S>,
        config: Config,
        level: u8,
        edits: &'a [ItemEdit],
        sink: &'a W,
    ) -> Self {
        let (min, max) = config.window(level);
        // A branch also looks at one child behind the window, so as not to leave a single one.
        let behind = if level == 0 { 0 } else { config.key_max as usize + 9 + BRANCH_PAIR_BYTES };
        Self {
            cursor,
            writer: LevelWriter::new(&config, level),
            sink,
            edits,
            next: 0,
            reach: max + behind,
            min,
            gone: Vec::new(),
            come: Vec::new(),
            kept: VecDeque::new(),
            settled: None,
        }
    }

    fn run(&mut self) -> Result<(), Halt> {
        while let Some(edit) = self.edits.get(self.next) {
            self.cursor.seek(&edit.key)?;
            if !self.keep_boundaries()? {
                self.cut_anew()?;
            }
        }
        self.flush(0)
    }

    /// Rewrites the present page, if all that changes is values, at the same size. `false`: more does.
    fn keep_boundaries(&mut self) -> Result<bool, Halt> {
        let page = self.cursor.page();
        let Some(last) = page.last_key() else { return Ok(false) };
        let edits = &self.edits[self.next..];
        let edits = &edits[..edits.partition_point(|edit| edit.key <= last)];
        let mut changed = Vec::with_capacity(edits.len());
        for edit in edits {
            match (page.search(&edit.key), &edit.new) {
                (Err(_), None) => {}
                (Ok(index), Some(new)) if new.encoded.len() == page.item(index).len() => {
                    if new.encoded != page.item(index) || new.count != page.item_count(index) {
                        changed.push((index, &new.encoded[..], new.count));
                    }
                }
                _ => return Ok(false),
            }
        }
        if edits.is_empty() {
            return Ok(false);
        }
        let first = self.next;
        self.next += edits.len();
        if changed.is_empty() {
            return Ok(true);
        }
        let mut count = page.count();
        for (index, _, new) in &changed {
            let rest = count.checked_sub(page.item_count(*index));
            count = rest
                .and_then(|rest| rest.checked_add(*new))
                .ok_or_else(|| count_error(page.cid(), *index))?;
        }
        let bytes = Bytes::from(page.with_items(changed.into_iter()));
        let cid = Cid::of(&bytes);
        let (gone, come) = (self.gone.len(), self.come.len());
        self.gone.push(Child { last: last.clone(), cid: *page.cid(), count: page.count() });
        self.come.push(Child { last: last.clone(), cid, count });
        self.kept.push_back(Kept { last, next: first, gone, come, page: (cid, bytes) });
        self.flush(self.reach / self.min + 1)?;
        Ok(true)
    }

    /// Writes the kept pages but for the latest ones.
    fn flush(&mut self, but: usize) -> Result<(), Halt> {
        while self.kept.len() > but {
            if let Some(Kept { page: (cid, bytes), .. }) = self.kept.pop_front() {
                self.sink.put(cid, bytes)?;
            }
        }
        Ok(())
    }

    /// Cuts pages anew from before the present one, until an old boundary is met behind the edits.
    fn cut_anew(&mut self) -> Result<(), Halt> {
        self.look_back()?;
        self.take_back();
        self.flush(0)?;
        self.writer.clear();
        let mut marks: VecDeque<Mark> = VecDeque::new();
        loop {
            let last = self.cursor.is_last();
            self.feed(last);
            let page = self.cursor.page();
            let key = page.last_key().unwrap_or_default();
            self.gone.push(Child { last: key.clone(), cid: *page.cid(), count: page.count() });
            marks.push_back(Mark {
                pairs: self.writer.len(),
                next: self.next,
                gone: self.gone.len(),
                last: key,
            });
            while let Some(page) = self.writer.next_page(last) {
                let count = page.count()?;
                let NewPage { cid, bytes, len, last, .. } = page;
                self.sink.put(cid, bytes)?;
                self.come.push(Child { last, cid, count });
                while marks.front().is_some_and(|mark| mark.pairs < len) {
                    marks.pop_front();
                }
                marks.iter_mut().for_each(|mark| mark.pairs -= len);
                if let Some(mark) = marks.pop_front_if(|mark| mark.pairs == 0 && mark.next == self.next) {
                    self.gone.truncate(mark.gone);
                    self.settled = Some(mark.last);
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
            self.cursor.next()?;
        }
    }

    /// Goes back to the first page whose end the boundary rule may choose otherwise now.
    fn look_back(&mut self) -> Result<(), Halt> {
        let mut behind = 0;
        // The page before has at least `min` bytes: it need not be read to know that it is too far.
        while behind + self.min <= self.reach {
            if !self.cursor.previous()? {
                return Ok(());
            }
            let page = self.cursor.page();
            behind += page.payload();
            let last = page.last_key();
            if behind > self.reach
                || self.settled.as_ref().is_some_and(|settled| last.as_ref() <= Some(settled))
            {
                self.cursor.next()?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes back what was done to the pages from the present one on.
    fn take_back(&mut self) {
        let from = self.cursor.page().last_key().unwrap_or_default();
        while let Some(kept) = self.kept.pop_back_if(|kept| kept.last >= from) {
            self.next = kept.next;
            self.gone.truncate(kept.gone);
            self.come.truncate(kept.come);
        }
    }

    /// Gives the writer the items of the present page, with the edits among them; behind the last
    /// page, all edits that are left.
    fn feed(&mut self, last: bool) {
        let page = self.cursor.page();
        for index in 0..page.len() {
            let key = page.key(index);
            let mut replaced = false;
            while let Some(edit) = self.edits.get(self.next).filter(|edit| &edit.key[..] <= key) {
                replaced |= edit.key == key;
                put(&mut self.writer, edit);
                self.next += 1;
            }
            if !replaced {
                self.writer.push(key, page.item(index), page.item_count(index));
            }
        }
        if last {
            for edit in self.edits.get(self.next..).unwrap_or_default() {
                put(&mut self.writer, edit);
            }
            self.next = self.edits.len();
        }
    }
}

fn put(writer: &mut LevelWriter, edit: &ItemEdit) {
    if let Some(new) = &edit.new {
        writer.push(&edit.key, &new.encoded, new.count);
    }
}
