//! Counting what touches a box, or is anywhere, without decoding what the count does not depend on.

use std::collections::{BTreeSet, HashSet};

use prolly::{PageSource, Step};

use super::by_tag::RelationsByTag;
use super::places::{HeadsOf, Part, Places, Visit, Wants, damaged};
use super::query::{meets, relation_features, relations_from};
use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{BBox, ElementId, Kind};
use crate::root::Root;
use crate::views::spatial;

/// Counts, in steps.
#[derive(Debug)]
pub(crate) struct Count {
    root: Root,
    phase: Phase,
    tally: Tally,
}

#[derive(Debug)]
enum Phase {
    Spatial(Places),
    /// Which relations may pass, if it does not matter where they are.
    Tagged(RelationsByTag),
    Relations(HeadsOf),
}

impl Count {
    /// Begins to count; `None`: everywhere.
    pub(crate) fn new(root: &Root, bbox: Option<BBox>, filter: Filter) -> Self {
        let windows = bbox.map(Window::of).unwrap_or_default();
        let wants_relations = !windows.is_empty() && filter.admits(Kind::Relation);
        let places = Places::passing(root, windows, Part::All, &filter, wants_relations);
        // Only a fork can be found twice.
        let seen = (root.counts.forks > 0).then(HashSet::new);
        let tally = Tally { filter, wants_relations, count: 0, seen, relations: BTreeSet::new() };
        let phase = match wants_relations || tally.filter.admits_places() {
            true => Phase::Spatial(places),
            false => Phase::Tagged(RelationsByTag::new(root, &tally.filter)),
        };
        Self { root: root.clone(), phase, tally }
    }

    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<u64>, Error> {
        let asks_for_tags = self.tally.filter.asks_for_tags();
        loop {
            match &mut self.phase {
                Phase::Spatial(places) => match places.step(source, &mut self.tally)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(true) => {}
                    Step::Ready(false)
                        if !self.tally.filter.admits(Kind::Relation) || places.no_relations() =>
                    {
                        return Ok(Step::Ready(self.tally.count));
                    }
                    Step::Ready(false) if !self.tally.wants_relations => {
                        self.phase = Phase::Tagged(RelationsByTag::new(&self.root, &self.tally.filter));
                    }
                    // References come from live heads alone: what names something is there.
                    Step::Ready(false) if !asks_for_tags => {
                        return Ok(Step::Ready(self.tally.count + self.tally.relations.len() as u64));
                    }
                    Step::Ready(false) => {
                        let relations = self.tally.relations.iter().copied().map(ElementId::relation);
                        self.phase = Phase::Relations(HeadsOf::new(self.root.trees.heads, relations));
                    }
                },
                Phase::Tagged(_) if !self.tally.filter.admits(Kind::Relation) => {
                    return Ok(Step::Ready(self.tally.count));
                }
                Phase::Tagged(_) if !asks_for_tags => {
                    return Ok(Step::Ready(self.tally.count + self.root.counts.relations));
                }
                Phase::Tagged(relations) => match relations.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(relations) => {
                        self.phase = Phase::Relations(relations_from(&self.root, relations, 0));
                    }
                },
                Phase::Relations(heads) => match heads.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(None) => return Ok(Step::Ready(self.tally.count)),
                    Step::Ready(Some((relation, value))) => {
                        let passes = |tags| self.tally.filter.matches(Kind::Relation, tags);
                        let features = relation_features(relation, &value)?;
                        self.tally.count += u64::from(features.iter().any(|feature| passes(&feature.tags)));
                    }
                },
            }
        }
    }
}

#[derive(Debug)]
struct Tally {
    filter: Filter,
    /// Whether relations are found through their members.
    wants_relations: bool,
    count: u64,
    /// What was counted, if anything can be found twice.
    seen: Option<HashSet<ElementId>>,
    relations: BTreeSet<u64>,
}

impl Tally {
    fn add(&mut self, element: ElementId) {
        let is_new = self.seen.as_mut().is_none_or(|seen| seen.insert(element));
        self.count += u64::from(is_new);
    }
}

impl Visit for Tally {
    fn wants(&self, key: &[u8], windows: &[Window]) -> Wants {
        let wants_relations = self.wants_relations;
        let admits = spatial::element_of(key).is_none_or(|element| self.filter.admits(element.kind));
        if !admits && !wants_relations {
            Wants::Nothing
        } else if wants_relations || self.filter.asks_for_tags() || !spatial::surely_touches(key, windows) {
            Wants::KeyAndValue
        } else {
            Wants::Key
        }
    }

    fn look(&mut self, key: &[u8], value: &[u8], windows: &[Window]) -> Result<(), Error> {
        let element = spatial::element_of(key).ok_or(Error::Key { tree: "spatial" })?;
        let wants_relations = self.wants_relations;
        let admits = self.filter.admits(element.kind);
        let asks_for_tags = admits && self.filter.asks_for_tags();
        if !asks_for_tags && spatial::surely_touches(key, windows) {
            if wants_relations {
                self.relations.extend(spatial::relations_of(value).map_err(damaged(key))?);
            }
            if admits {
                self.add(element);
            }
            return Ok(());
        }
        let pair = spatial::parse(key, value).map_err(damaged(key))?;
        let touches = |located: &&spatial::Located| meets(windows, &located.geometry);
        let mut found = pair.features.iter().filter(touches).peekable();
        if wants_relations && found.peek().is_some() {
            self.relations.extend(pair.relations);
        }
        if found.any(|located| self.filter.matches(element.kind, &located.tags)) {
            self.add(element);
        }
        Ok(())
    }
}
