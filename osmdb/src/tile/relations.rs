//! What relations show: areas put together from ways, and borders.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use prolly::PageSource;

use super::classes;
use crate::area::{Polygon, is_area_relation};
use crate::db::places::HeadsOf;
use crate::db::query::relation_features;
use crate::db::{Area, Feature, Snapshot};
use crate::error::Error;
use crate::model::{ElementId, Tags};

/// So many places of areas are remembered, and so many relations that show nothing count as one: 16 MiB.
const MAX_PLACES: usize = 2 << 20;

/// What is remembered of a relation counts as so many places, beside those of its rings.
const PLACES_PER_RELATION: usize = 32;

/// What a relation shows.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Nothing,
    /// The ways are a border; with its level.
    Border(u8, Tags),
    /// It is an area.
    Area(Tags, Vec<Polygon>),
}

/// A relation by its id, and what each of its heads shows.
pub(super) type ShownBy = (u64, Arc<[Shown]>);

/// Relations at one root, as far as they were looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Relations {
    known: HashMap<u64, Arc<[Shown]>>,
    places: usize,
}

impl Relations {
    /// Returns what some relations show, by id; a forked one more than once.
    pub(super) fn of<S: PageSource>(
        &mut self,
        snapshot: &Snapshot<S>,
        ids: &BTreeSet<u64>,
    ) -> Result<Vec<ShownBy>, Error> {
        let mut found = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.known.get(id) {
                Some(shown) => found.push((*id, Arc::clone(shown))),
                None => missing.push(ElementId::relation(*id)),
            }
        }
        let mut heads = HeadsOf::new(snapshot.root().trees.heads, missing);
        while let Some((relation, value)) = heads.step(snapshot.source())?.complete()? {
            let features = relation_features(relation, &value)?;
            let shown: Result<Arc<[Shown]>, Error> =
                features.iter().map(|feature| show(snapshot, feature)).collect();
            let shown = shown?;
            self.remember(relation.id, Arc::clone(&shown));
            found.push((relation.id, shown));
        }
        Ok(found)
    }

    /// Forgets what may have changed.
    pub(super) fn forget(&mut self, ids: &BTreeSet<u64>) {
        self.known.retain(|id, _| !ids.contains(id));
        self.places = self.known.values().map(|shown| places(shown)).sum();
    }

    fn remember(&mut self, id: u64, shown: Arc<[Shown]>) {
        let more = places(&shown);
        if self.places + more > MAX_PLACES {
            (self.known, self.places) = (HashMap::new(), 0);
        }
        if more <= MAX_PLACES {
            self.places += more;
            self.known.insert(id, shown);
        }
    }
}

fn places(shown: &[Shown]) -> usize {
    let of_polygon =
        |polygon: &Polygon| polygon.outer.len() + polygon.inner.iter().map(Vec::len).sum::<usize>();
    let of = |shown: &Shown| match shown {
        Shown::Nothing | Shown::Border(..) => 0,
        Shown::Area(_, polygons) => polygons.iter().map(of_polygon).sum(),
    };
    PLACES_PER_RELATION + shown.iter().map(of).sum::<usize>()
}

fn show<S: PageSource>(snapshot: &Snapshot<S>, feature: &Feature) -> Result<Shown, Error> {
    if !is_area_relation(&feature.tags) {
        return Ok(Shown::Nothing);
    }
    if feature.tags.get("boundary").is_some_and(|boundary| boundary == "administrative") {
        let level = classes::level(&feature.tags);
        return Ok(Shown::Border(level, feature.tags.clone()));
    }
    Ok(match snapshot.area(feature)? {
        Area::Polygons(polygons) => Shown::Area(feature.tags.clone(), polygons),
        Area::NotOne | Area::Broken(_) => Shown::Nothing,
    })
}
