//! Adding entries to a database: which trees change, and how.
//!
//! Imports, edits and merges all end here, so all of them derive the same views. First the entries
//! are sorted and compared with what is known of each element: that gives the new heads, what
//! becomes history, and which references come and go. From these follow the places where the spatial tree
//! and the tags tree must be looked at again: changed elements, elements whose users changed, and the ways of
//! nodes that moved. There the pairs that they have and the pairs that they should have are derived by
//! the same function, from the database before and after.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prolly::{KeyRange, PageSink, PageSource, Tree, ValueRef};

use super::load::{self, Body, Groups, Scratch, Sorted, Sorter, beside, body_of};
use super::snapshot::Snapshot;
use super::tree_writer::TreeWriter;
use crate::entry::{Fresh, Known, only_head, superseded};
use crate::error::Error;
use crate::model::{ElementId, Kind};
use crate::root::{Counts, Root, Trees};
use crate::views::derive::{Derived, derived, shown_coord};
use crate::views::keys::{self, ELEMENT_BYTES};
use crate::views::spatial::KEY_BYTES;

/// Elements are looked up this many at a time, to bound memory.
const CHUNK: usize = 20_000;

/// A walk over pairs is worth it up to so many for each element that is looked for.
const WALKED_PER_ELEMENT: u64 = 8;

/// Sorted entries are added in portions of about so many bytes of new ones, which take several times as
/// much memory meanwhile.
const PORTION_BYTES: usize = 16 << 20;

/// What a batch of entries did to a database.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) root: Root,
    /// How many of the entries were new.
    pub(crate) gained: u64,
    /// The elements that have become forks, in order.
    pub(crate) forked: Vec<ElementId>,
}

/// Adds sorted entries to the database at a root, in the way that costs least for so many; new pages go to
/// the store, nothing is committed.
pub(crate) fn grow<S: PageSource + PageSink + Sync>(
    store: &S,
    root: &Root,
    entries: &Arc<Sorted<ELEMENT_BYTES>>,
    count: u64,
    scratch: &Scratch,
) -> Result<Applied, Error> {
    if root.counts.entries == 0 {
        load::load(store, root, entries, scratch)
    } else if load::is_worth_it(root.counts.entries, count) {
        load::reload(store, &Snapshot::of(store, root.clone()), Arc::clone(entries), scratch)
    } else {
        apply_sorted(store, root, entries)
    }
}

/// Adds entries to the database at a root; new pages go to the store, nothing is committed.
pub(crate) fn apply<S>(store: &S, root: &Root, mut new: Vec<Fresh>) -> Result<Applied, Error>
where
    S: PageSource + PageSink + Sync,
{
    new.sort_unstable_by_key(|fresh| (fresh.element, fresh.version));
    new.dedup_by(|a, b| a.element == b.element && a.version == b.version);
    let old = Snapshot::of(store, root.clone());
    let heads = TreeWriter::new(store, root.trees.heads)?;
    let mut changes = Changes { counts: root.counts, ..Changes::new(heads) };
    let mut rest = new.into_iter().peekable();
    loop {
        let mut groups: Vec<(ElementId, Vec<Fresh>)> = Vec::new();
        while let Some(fresh) = rest.peek() {
            let element = fresh.element;
            if groups.last().is_none_or(|(last, _)| *last != element) {
                if groups.len() == CHUNK {
                    break;
                }
                groups.push((element, Vec::new()));
            }
            if let Some((_, group)) = groups.last_mut() {
                group.extend(rest.next());
            }
        }
        if groups.is_empty() {
            break;
        }
        changes.add(&old, groups)?;
    }
    changes.finish(store, &old)
}

/// Adds sorted entries to the database at a root; new pages go to the store, nothing is committed.
///
/// They are added in portions, each onto the root that the one before has made: the last root is the
/// same, whatever the portions.
pub(crate) fn apply_sorted<S>(
    store: &S,
    root: &Root,
    entries: &Sorted<ELEMENT_BYTES>,
) -> Result<Applied, Error>
where
    S: PageSource + PageSink + Sync,
{
    let mut all = Applied { root: root.clone(), gained: 0, forked: Vec::new() };
    let mut groups = Groups::new(entries)?;
    loop {
        let mut portion = Vec::new();
        let mut bytes = 0;
        while bytes < PORTION_BYTES
            && let Some(group) = groups.next()?
        {
            for body in group.bodies {
                bytes += body.bytes.len() + size_of::<Fresh>();
                portion.push(Fresh::of_body(group.element, body.bytes.as_slice().into()));
            }
        }
        if portion.is_empty() {
            return Ok(all);
        }
        let applied = apply(store, &all.root, portion)?;
        all.root = applied.root;
        all.gained += applied.gained;
        all.forked.extend(applied.forked);
    }
}

/// Leaves out the entries of elements that are the same in the database at a root: those whose only head
/// each is the only entry. Costs a look at their pairs in the heads tree. Also counts what is left.
pub(crate) fn differing<S: PageSource>(
    old: &Snapshot<&S>,
    entries: &Sorted<ELEMENT_BYTES>,
    scratch: &Scratch,
) -> Result<(Sorted<ELEMENT_BYTES>, u64), Error> {
    let mut differing = Sorter::new(scratch, scratch.entries());
    let mut count = 0;
    let mut groups = Groups::new(entries)?;
    let mut some = Vec::with_capacity(CHUNK);
    loop {
        some.clear();
        let mut bytes = 0;
        while some.len() < CHUNK
            && bytes < PORTION_BYTES
            && let Some(group) = groups.next()?
        {
            let records: Vec<_> = group.bodies.iter().map(Body::record).collect();
            bytes += records.iter().map(Vec::len).sum::<usize>();
            some.push((group.element, records));
        }
        if some.is_empty() {
            return Ok((differing.finish()?, count));
        }
        let same = are_same(old, &some)?;
        for ((element, records), _) in some.iter().zip(same).filter(|(_, same)| !same) {
            for record in records {
                differing.push(&keys::element(*element), record)?;
                count += 1;
            }
        }
    }
}

/// Tells for elements, which are in order, whether each has one head, and all its records are that. When
/// in doubt, no.
fn are_same<S: PageSource>(
    old: &Snapshot<&S>,
    new: &[(ElementId, Vec<Vec<u8>>)],
) -> Result<Vec<bool>, Error> {
    let mut same = vec![false; new.len()];
    let point = |(element, _): &(ElementId, _)| KeyRange::point(&keys::element(*element));
    let (Some(first), Some(last)) = (new.first().map(point), new.last().map(point)) else { return Ok(same) };
    // A walk over all between the first and the last, if that is not much more than is looked for.
    let (tree, source) = (old.root().trees.heads, *old.source());
    let between = KeyRange { from: first.from, to: last.to };
    let pairs = tree.count_range(source, &between)?;
    let is_dense = pairs <= (new.len() as u64).saturating_mul(WALKED_PER_ELEMENT);
    let ranges = if is_dense { vec![between] } else { new.iter().map(point).collect() };
    let mut left = new.iter().zip(&mut same).peekable();
    for run in tree.runs(source, ranges) {
        for (key, value) in &run? {
            let found = |(element, _): &(ElementId, _)| keys::element(*element)[..].cmp(key);
            while left.next_if(|(new, _)| found(new).is_lt()).is_some() {}
            if let Some(((_, records), same)) = left.next_if(|(new, _)| found(new).is_eq())
                && let ValueRef::Inline(value) = value
            {
                *same = records.iter().all(|record| only_head(value) == Some(body_of(record)));
            }
        }
    }
    drop(left);
    Ok(same)
}

/// Puts and removals under keys, in any order.
type Edits<K> = Vec<(K, Option<Vec<u8>>)>;

struct Changes<'a, S> {
    counts: Counts,
    gained: u64,
    forked: Vec<ElementId>,
    heads: TreeWriter<'a, S>,
    history: Edits<[u8; keys::HISTORY_BYTES]>,
    refs: Edits<[u8; keys::REFERENCE_BYTES]>,
    changes: Edits<[u8; keys::CHANGE_BYTES]>,
    /// Elements whose pairs in the spatial tree and in the tags tree may change.
    touched: Vec<ElementId>,
    /// Nodes that are shown elsewhere than before.
    moved: Vec<u64>,
}

impl<'a, S: PageSource + PageSink + Sync> Changes<'a, S> {
    const fn new(heads: TreeWriter<'a, S>) -> Self {
        Self {
            counts: Counts::EMPTY,
            gained: 0,
            forked: Vec::new(),
            heads,
            history: Vec::new(),
            refs: Vec::new(),
            changes: Vec::new(),
            touched: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Compares the new versions of some elements with what is known of these, both in order.
    fn add(&mut self, old: &Snapshot<&S>, groups: Vec<(ElementId, Vec<Fresh>)>) -> Result<(), Error> {
        let elements = || groups.iter().map(|(element, _)| *element);
        let mut heads = old.heads_of(elements()).peekable();
        let mut history = old.replaced_of(elements()).peekable();
        for (element, new) in groups {
            let head = heads.next_if(|head| head.as_ref().map_or(true, |(found, _)| *found == element));
            let value = head.transpose()?.map(|(_, value)| value);
            let mut replaced = Vec::new();
            while let Some(known) =
                history.next_if(|known| known.as_ref().map_or(true, |known| known.entry.element == element))
            {
                replaced.push(known?);
            }
            self.add_element(element, value.as_ref(), replaced, new)?;
        }
        Ok(())
    }

    fn add_element(
        &mut self,
        element: ElementId,
        old_value: Option<&Bytes>,
        replaced: Vec<Known>,
        new: Vec<Fresh>,
    ) -> Result<(), Error> {
        let old_heads = match old_value {
            Some(value) => Known::decode_heads(element, value).map_err(Error::entry(element))?,
            None => Vec::new(),
        };
        let known: BTreeSet<_> = old_heads.iter().chain(&replaced).map(|known| known.version).collect();
        let before = State::of(&old_heads);
        let old_links = links(&old_heads);
        let mut all = old_heads;
        let first_replaced = all.len();
        all.extend(replaced);
        let first_new = all.len();
        for fresh in new.into_iter().filter(|fresh| !known.contains(&fresh.version)) {
            all.push(Known::of(fresh).map_err(Error::entry(element))?);
        }
        if all.len() == first_new {
            return Ok(());
        }
        self.note_new(element, &all[first_new..]);
        let superseded = superseded(&all);
        let mut heads = Vec::new();
        for (index, (known, superseded)) in all.into_iter().zip(superseded).enumerate() {
            if !superseded {
                heads.push(known);
            } else if !(first_replaced..first_new).contains(&index) {
                self.history.push((keys::history(element, &known.version), Some(known.body)));
            }
        }
        heads.sort_unstable_by_key(|known| known.version);
        let value = Known::encode_heads(heads.iter());
        let after = State::of(&heads);
        before.count(&mut self.counts, element.kind, u64::wrapping_sub);
        after.count(&mut self.counts, element.kind, u64::wrapping_add);
        if after.heads > 1 && before.heads < 2 {
            self.forked.push(element);
        }
        self.note_references(element, &old_links, &links(&heads));
        if element.kind == Kind::Node {
            let old = old_value.map(|value| shown_coord(element, value)).transpose()?.flatten();
            if old != shown_coord(element, &value)? {
                self.moved.push(element.id);
            }
        }
        if element.kind != Kind::Changeset {
            self.touched.push(element);
        }
        self.heads.put(&keys::element(element), value)
    }

    fn note_new(&mut self, element: ElementId, new: &[Known]) {
        self.gained += new.len() as u64;
        self.counts.entries += new.len() as u64;
        for known in new {
            if let Some(changeset) = known.entry.changeset() {
                self.changes.push((keys::change(changeset, element, &known.version), Some(Vec::new())));
            }
        }
    }

    fn note_references(&mut self, source: ElementId, old: &BTreeSet<ElementId>, new: &BTreeSet<ElementId>) {
        for target in old.symmetric_difference(new) {
            let value = new.contains(target).then(Vec::new);
            self.refs.push((keys::reference(*target, source), value));
            if matches!(target.kind, Kind::Node | Kind::Way) {
                self.touched.push(*target);
            }
        }
    }

    /// Writes the trees.
    fn finish(mut self, store: &S, old: &Snapshot<&S>) -> Result<Applied, Error> {
        let Trees { history, spatial, refs, changes, tags, .. } = old.root().trees;
        let log = || {
            let history = edit(store, history, self.history)?;
            Ok((history, edit(store, refs, self.refs)?, edit(store, changes, self.changes)?))
        };
        let (heads, (history, refs, changes)) = beside(|| self.heads.finish(), log)?;
        let trees = Trees { heads, history, spatial, refs, changes, tags };
        let mut root = Root { name: old.root().name.clone(), trees, counts: self.counts };
        let new = Snapshot::of(store, root.clone());
        // In an empty database all ways are new, and touched already.
        if old.root().counts.entries > 0 {
            for way in new.references(self.moved.iter().copied().map(ElementId::node), &[Kind::Way]) {
                self.touched.push(way?.1);
            }
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        let edits = Derivations::of(old, &new, &self.touched)?;
        (root.trees.spatial, root.trees.tags) =
            beside(|| edit(store, spatial, edits.spatial), || edit(store, tags, edits.tags))?;
        Ok(Applied { root, gained: self.gained, forked: self.forked })
    }
}

/// What changes in the trees that are derived from heads and their surroundings.
#[derive(Default)]
struct Derivations {
    spatial: Edits<[u8; KEY_BYTES]>,
    tags: Edits<Vec<u8>>,
}

impl Derivations {
    /// Returns what changes for some elements.
    fn of<S: PageSource + Sync>(
        old: &Snapshot<&S>,
        new: &Snapshot<&S>,
        touched: &[ElementId],
    ) -> Result<Self, Error> {
        let mut edits = Self::default();
        for elements in touched.chunks(CHUNK) {
            let is_empty = old.root().counts.entries == 0;
            let before = || if is_empty { Ok(Derived::default()) } else { derived(old, elements) };
            let (mut before, after) = beside(before, || derived(new, elements))?;
            for (key, value) in after.spatial {
                if before.spatial.remove(&key).as_ref() != Some(&value) {
                    edits.spatial.push((key, Some(value)));
                }
            }
            for key in after.tags {
                if !before.tags.remove(&key) {
                    edits.tags.push((key, Some(Vec::new())));
                }
            }
            edits.tags.extend(before.tags.into_iter().map(|key| (key, None)));
            edits.spatial.extend(before.spatial.into_keys().map(|key| (key, None)));
        }
        Ok(edits)
    }
}

fn edit<S, K>(store: &S, tree: Tree, mut edits: Edits<K>) -> Result<Tree, Error>
where
    S: PageSource + PageSink + Sync,
    K: AsRef<[u8]> + Ord,
{
    edits.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut writer = TreeWriter::new(store, tree)?;
    for (key, value) in edits {
        match value {
            Some(value) => writer.put(key.as_ref(), value)?,
            None => writer.remove(key.as_ref()),
        }
    }
    writer.finish()
}

/// Returns what the live heads of an element name.
fn links(heads: &[Known]) -> BTreeSet<ElementId> {
    heads
        .iter()
        .filter_map(|known| known.entry.payload.as_ref())
        .flat_map(|payload| payload.references())
        .collect()
}

/// How an element counts.
struct State {
    heads: usize,
    live: bool,
}

impl State {
    fn of(heads: &[Known]) -> Self {
        Self { heads: heads.len(), live: heads.iter().any(|known| known.entry.payload.is_some()) }
    }

    fn count(&self, counts: &mut Counts, kind: Kind, change: impl Fn(u64, u64) -> u64) {
        if self.heads == 0 {
            return;
        }
        let count = match (self.live, kind) {
            (false, _) => &mut counts.deleted,
            (true, Kind::Node) => &mut counts.nodes,
            (true, Kind::Way) => &mut counts.ways,
            (true, Kind::Relation) => &mut counts.relations,
            (true, Kind::Changeset) => &mut counts.changesets,
        };
        *count = change(*count, 1);
        counts.forks = change(counts.forks, u64::from(self.heads > 1));
    }
}
