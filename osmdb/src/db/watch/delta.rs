//! What became of elements between two roots.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use bytes::Bytes;
use prolly::{Change, Diff, PageSource, PageStore, Value, read};

use super::{CHUNK, Told, Update, WatchScope, What, is_live};
use crate::db::Snapshot;
use crate::db::diff::{Compare, Difference, heads};
use crate::db::places::damaged;
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{ElementId, Kind, Payload};
use crate::views::derive::derived;
use crate::views::spatial;

/// Members of relations are looked up this many at a time.
const MEMBERS: usize = 20_000;

/// So many elements are remembered at most, so that each is told of once.
const REMEMBERED: usize = 100_000;

/// What differs between two roots, as far as it was not told of.
#[derive(Debug)]
pub(super) struct Delta<'a, S> {
    before: Told<'a, S>,
    /// First the elements with other heads.
    heads: Option<Compare>,
    /// Then, for a box, those with the same heads in another place.
    places: Option<Diff>,
    seen: HashSet<ElementId>,
}

impl<'a, S: PageStore> Delta<'a, S> {
    pub(super) fn new(
        before: Told<'a, S>,
        after: &Told<'_, S>,
        heads: Compare,
        scope: WatchScope,
    ) -> Result<Self, Error> {
        let places = match scope {
            WatchScope::Box(_) => {
                let spatial = |told: &Told<'_, S>| told.snapshot.root().trees.spatial;
                Some(Diff::new(spatial(&before), spatial(after))?)
            }
            WatchScope::Database | WatchScope::Element(_) => None,
        };
        Ok(Self { before, heads: Some(heads), places, seen: HashSet::new() })
    }

    /// Tells of some more; returns whether there may be more behind it. No windows: the whole world.
    pub(super) fn tell(
        &mut self,
        after: &Told<'_, S>,
        windows: &[Window],
        ready: &mut VecDeque<Update>,
    ) -> Result<bool, Error> {
        let after = &after.snapshot;
        if self.heads.is_some() {
            self.tell_of_heads(after, windows, ready)?;
            return Ok(true);
        }
        if self.places.is_some() {
            self.tell_of_places(after, windows, ready)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn tell_of_heads(
        &mut self,
        after: &Snapshot<&S>,
        windows: &[Window],
        ready: &mut VecDeque<Update>,
    ) -> Result<(), Error> {
        let Some(compare) = &mut self.heads else { return Ok(()) };
        let mut changes: Vec<Difference> = Vec::new();
        while changes.len() < CHUNK
            && let Some(change) = compare.step(after.source())?.complete()?
        {
            changes.push(change);
        }
        if changes.is_empty() {
            self.heads = None;
            return Ok(());
        }
        let elements: BTreeSet<ElementId> = changes.iter().map(|change| change.element).collect();
        let everywhere = windows.is_empty();
        let here = |snapshot: &Snapshot<&S>| match everywhere {
            true => Ok(BTreeSet::new()),
            false => touching(snapshot, &elements, windows),
        };
        let (was_here, is_here) = (here(&self.before.snapshot)?, here(after)?);
        for Difference { element, before, after: heads } in changes {
            let (was, is) = match everywhere {
                true => (is_live(&before), is_live(&heads)),
                false => (was_here.contains(&element), is_here.contains(&element)),
            };
            if was || is {
                let what = became(was, is, before.len(), heads.len());
                ready.push_back(Update { element, what, heads });
            }
        }
        Ok(())
    }

    fn tell_of_places(
        &mut self,
        after: &Snapshot<&S>,
        windows: &[Window],
        ready: &mut VecDeque<Update>,
    ) -> Result<(), Error> {
        let Moved { moved, named } = self.next_moved(after.source(), windows)?;
        let mut elements: BTreeSet<ElementId> = moved.union(&named).copied().collect();
        if self.seen.len() > REMEMBERED {
            self.seen.clear();
        }
        elements.retain(|element| self.seen.insert(*element));
        let was = touching(&self.before.snapshot, &elements, windows)?;
        let is = touching(after, &elements, windows)?;
        elements.retain(|element| was.contains(element) || is.contains(element));
        let values = |snapshot: &Snapshot<&S>| -> Result<BTreeMap<ElementId, Bytes>, Error> {
            snapshot.heads_of(elements.iter().copied()).collect()
        };
        let before = values(&self.before.snapshot)?;
        for (element, value) in values(after)? {
            // Elements with other heads were told of already.
            if before.get(&element) != Some(&value) {
                continue;
            }
            let (was, is) = (was.contains(&element), is.contains(&element));
            if was != is || moved.contains(&element) {
                let heads = heads(element, &value)?;
                let what = became(was, is, heads.len(), heads.len());
                ready.push_back(Update { element, what, heads });
            }
        }
        Ok(())
    }

    /// Takes the next places that differ.
    fn next_moved(&mut self, store: &S, windows: &[Window]) -> Result<Moved, Error> {
        let mut found = Moved::default();
        while found.moved.len() + found.named.len() < CHUNK
            && let Some(places) = &mut self.places
        {
            match places.step(store)?.complete()? {
                Some(change) if spatial::may_touch(&change.key, windows) => {
                    found.add(store, &change, windows)?;
                }
                Some(_) => {}
                None => self.places = None,
            }
        }
        Ok(found)
    }
}

/// Elements whose place has changed, or that of something they name.
#[derive(Debug, Default)]
struct Moved {
    moved: BTreeSet<ElementId>,
    /// The relations that name what has changed.
    named: BTreeSet<ElementId>,
}

impl Moved {
    fn add<S: PageSource>(&mut self, source: &S, change: &Change, windows: &[Window]) -> Result<(), Error> {
        let parse = |value: Option<Value>| match value {
            Some(value) => {
                spatial::parse(&change.key, &read(source, value)?).map(Some).map_err(damaged(&change.key))
            }
            None => Ok(None),
        };
        let (left, right) = (parse(change.left.clone())?, parse(change.right.clone())?);
        let is_here =
            |located: &&spatial::Located| windows.iter().any(|window| window.meets(&located.geometry));
        let here = |pair: &Option<spatial::SpatialPair>| -> Vec<spatial::Located> {
            pair.iter().flat_map(|pair| &pair.features).filter(is_here).cloned().collect()
        };
        let is_moved = here(&left) != here(&right);
        for pair in [left, right].into_iter().flatten() {
            self.named.extend(pair.relations.into_iter().map(ElementId::relation));
            self.moved.extend(is_moved.then_some(pair.element));
        }
        Ok(())
    }
}

fn became(was: bool, is: bool, heads_before: usize, heads: usize) -> What {
    match (was, is) {
        _ if is && heads > 1 && heads_before < 2 => What::Forked,
        (false, true) => What::Added,
        (true, false) => What::Removed,
        _ => What::Updated,
    }
}

/// Returns which of some elements a query for these windows finds.
fn touching<S: PageStore>(
    snapshot: &Snapshot<&S>,
    elements: &BTreeSet<ElementId>,
    windows: &[Window],
) -> Result<BTreeSet<ElementId>, Error> {
    let mut found = BTreeSet::new();
    let is_somewhere = |element: &&ElementId| matches!(element.kind, Kind::Node | Kind::Way);
    let places: Vec<ElementId> = elements.iter().filter(is_somewhere).copied().collect();
    find_places(snapshot, &places, windows, &mut found)?;
    let relations = elements.iter().filter(|element| element.kind == Kind::Relation).copied();
    for pair in snapshot.heads_of(relations) {
        let (relation, value) = pair?;
        let mut members: Vec<ElementId> = Vec::new();
        for head in heads(relation, &value)? {
            members.extend(
                head.entry
                    .payload
                    .iter()
                    .flat_map(Payload::references)
                    .filter(|member| is_somewhere(&member)),
            );
        }
        members.sort_unstable();
        members.dedup();
        for members in members.chunks(MEMBERS) {
            let mut here = BTreeSet::new();
            find_places(snapshot, members, windows, &mut here)?;
            if !here.is_empty() {
                found.insert(relation);
                break;
            }
        }
    }
    Ok(found)
}

fn find_places<S: PageStore>(
    snapshot: &Snapshot<&S>,
    elements: &[ElementId],
    windows: &[Window],
    found: &mut BTreeSet<ElementId>,
) -> Result<(), Error> {
    for (key, value) in derived(snapshot, elements)?.spatial {
        let pair = spatial::parse(&key, &value).map_err(damaged(&key))?;
        let mut geometries = pair.features.iter().map(|located| &located.geometry);
        if geometries.any(|geometry| windows.iter().any(|window| window.meets(geometry))) {
            found.insert(pair.element);
        }
    }
    Ok(())
}
