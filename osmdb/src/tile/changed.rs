//! What differs between two roots, as far as tiles show it.

use std::collections::{BTreeSet, HashSet};

use prolly::{Change, Layered, PageSource, Value, read};

use super::grid::TileId;
use crate::area::is_area_relation;
use crate::db::places::{HeadsOf, damaged};
use crate::db::query::relation_features;
use crate::db::{Difference, Snapshot};
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{ElementId, Kind};
use crate::views::spatial;

/// If more differs, everything is taken as changed.
const MAX_CHANGES: usize = 1 << 12;

/// No more forked elements are marked.
const MAX_FORKED: usize = 1 << 18;

/// Returns the elements that have several heads.
pub(super) fn forked<S: PageSource>(snapshot: &Snapshot<S>) -> Result<HashSet<ElementId>, Error> {
    let element = |heads: Result<Vec<crate::db::Head>, Error>| {
        heads.map(|heads| heads.first().map(|head| head.entry.element)).transpose()
    };
    snapshot.forks().take(MAX_FORKED).filter_map(element).collect()
}

/// What differs. Where it is not certain that a tile is the same, it has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    /// Any tile may have changed.
    everywhere: bool,
    /// Where something has changed.
    windows: Vec<Window>,
    /// Relations that are to be looked at anew.
    pub(super) relations: BTreeSet<u64>,
    /// Elements that have become forked, and those that are no longer.
    pub(super) forked: Vec<ElementId>,
    pub(super) united: Vec<ElementId>,
    /// So much has changed that no list says it.
    pub(super) is_too_much: bool,
}

impl Changed {
    pub(super) fn everything() -> Self {
        Self { everywhere: true, is_too_much: true, ..Self::default() }
    }

    /// Compares two roots. Costs the pages of the heads and of the spatial tree that only one of them has, up to
    /// a limit.
    pub(super) fn between<A, B>(before: &Snapshot<A>, after: &Snapshot<B>) -> Result<Self, Error>
    where
        A: PageSource,
        B: PageSource,
    {
        let mut changed = Self::default();
        for (count, difference) in after.changes_since(before)?.enumerate() {
            if count >= MAX_CHANGES {
                return Ok(Self::everything());
            }
            changed.note(&difference?);
        }
        let source = Layered(before.source(), after.source());
        let (left, right) = (before.root().trees.spatial, after.root().trees.spatial);
        let mut places = prolly::Diff::new(left, right)?;
        while let Some(change) = places.step(&source)?.complete()? {
            if changed.windows.len() >= MAX_CHANGES {
                return Ok(Self::everything());
            }
            changed.windows.extend(spatial::window_of(&change.key));
            changed.relations.extend(relations(&source, &change)?);
        }
        // If a way of an area changes, the area may cease to be one, everywhere.
        changed.everywhere |= has_area(before, &changed.relations)? || has_area(after, &changed.relations)?;
        Ok(changed)
    }

    fn note(&mut self, Difference { element, before, after }: &Difference) {
        if (before.len() > 1) != (after.len() > 1) {
            // What is marked as forked may be elsewhere than what has changed.
            self.everywhere = true;
            if after.len() > 1 { &mut self.forked } else { &mut self.united }.push(*element);
        }
        if element.kind == Kind::Relation {
            self.everywhere = true;
            self.relations.insert(element.id);
        }
    }

    /// Tells whether a tile may show anything that has changed.
    pub(super) fn touches(&self, tile: TileId) -> bool {
        let here = tile.windows();
        self.everywhere || self.windows.iter().any(|window| here.iter().any(|here| here.overlaps(window)))
    }
}

/// Returns the relations that name an element whose place or tags have changed.
fn relations<S: PageSource>(source: &S, change: &Change) -> Result<Vec<u64>, Error> {
    let mut relations = Vec::new();
    for value in [&change.left, &change.right].into_iter().flatten() {
        let value: Value = value.clone();
        let value = read(source, value)?;
        relations.extend(spatial::relations_of(&value).map_err(damaged(&change.key))?);
    }
    Ok(relations)
}

fn has_area<S: PageSource>(snapshot: &Snapshot<S>, relations: &BTreeSet<u64>) -> Result<bool, Error> {
    let relations = relations.iter().copied().map(ElementId::relation);
    let mut heads = HeadsOf::new(snapshot.root().trees.heads, relations);
    while let Some((relation, value)) = heads.step(snapshot.source())?.complete()? {
        if relation_features(relation, &value)?.iter().any(|feature| is_area_relation(&feature.tags)) {
            return Ok(true);
        }
    }
    Ok(false)
}
