//! Finding what touches a box.

use std::collections::{BTreeSet, VecDeque};

use prolly::{KeyRange, PageSource, ReadValue, Scan, Step, Value};

use crate::entry::{Entry, Known};
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{BBox, ElementId, Kind, Payload, Tags};
use crate::root::Trees;
use crate::views::keys;
use crate::views::spatial::{self, Geometry};

/// What a map needs of one head of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// The element.
    pub element: ElementId,
    /// Where it is.
    pub geometry: Geometry,
    /// What it is.
    pub tags: Tags,
    /// The members, if it is a relation.
    pub members: Vec<crate::model::Member>,
}

/// Finds what touches a box, in steps; or, as an iterator, where all pages are at hand.
#[derive(Debug)]
pub struct Query<S> {
    source: S,
    find: Find,
    ended: bool,
}

impl<S: PageSource> Query<S> {
    pub(crate) fn new(source: S, trees: &Trees, bbox: BBox) -> Self {
        Self { source, find: Find::new(trees, bbox), ended: false }
    }
}

impl<S: PageSource> Iterator for Query<S> {
    type Item = Result<Feature, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.find.step(&self.source).and_then(|step| Ok(step.complete()?));
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// The query itself: knows no source.
#[derive(Debug)]
struct Find {
    trees: Trees,
    windows: Vec<Window>,
    scan: Scan,
    /// Which tree the scan walks over.
    phase: Phase,
    /// Pairs found and not yet looked at.
    pairs: VecDeque<(bytes::Bytes, Value)>,
    /// The value being read, which may live out of line.
    reading: Option<(bytes::Bytes, ReadValue)>,
    found: VecDeque<Feature>,
    relations: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Spatial,
    Relations,
}

impl Find {
    fn new(trees: &Trees, bbox: BBox) -> Self {
        let windows = Window::of(bbox);
        let ranges = windows.iter().flat_map(spatial::ranges).collect();
        Self {
            trees: *trees,
            windows,
            scan: Scan::new(trees.spatial, ranges),
            phase: Phase::Spatial,
            pairs: VecDeque::new(),
            reading: None,
            found: VecDeque::new(),
            relations: BTreeSet::new(),
        }
    }

    fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Feature>>, Error> {
        loop {
            if let Some(feature) = self.found.pop_front() {
                return Ok(Step::Ready(Some(feature)));
            }
            if let Some((key, mut value)) = self.reading.take() {
                match value.step(source)? {
                    Step::Ready(bytes) => self.look_at(&key, &bytes)?,
                    Step::Missing(cids) => {
                        self.reading = Some((key, value));
                        return Ok(Step::Missing(cids));
                    }
                }
                continue;
            }
            if let Some((key, value)) = self.pairs.pop_front() {
                if self.phase == Phase::Relations || spatial::may_touch(&key, &self.windows) {
                    self.reading = Some((key, ReadValue::new(value)));
                }
                continue;
            }
            match self.scan.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(run)) => self.pairs.extend(run.pairs()),
                Step::Ready(None) if self.phase == Phase::Spatial => self.go_on_to_relations(),
                Step::Ready(None) => return Ok(Step::Ready(None)),
            }
        }
    }

    fn go_on_to_relations(&mut self) {
        self.phase = Phase::Relations;
        let relations = std::mem::take(&mut self.relations).into_iter().map(ElementId::relation);
        let ranges = relations.map(|relation| KeyRange::point(&keys::element(relation))).collect();
        self.scan = Scan::new(self.trees.heads, ranges);
    }

    fn look_at(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match self.phase {
            Phase::Spatial => self.look_at_place(key, value),
            Phase::Relations => self.look_at_relation(key, value),
        }
    }

    fn look_at_place(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let damaged = |source| match keys::split_element(key.get(spatial::ELEMENT_AT..).unwrap_or_default()) {
            Some((element, _)) => Error::Entry { element, source },
            None => Error::Key { tree: "spatial" },
        };
        let pair = spatial::parse(key, value).map_err(damaged)?;
        let before = self.found.len();
        for located in pair.features {
            if self.windows.iter().any(|window| touches(window, &located.geometry)) {
                let (geometry, tags) = (located.geometry, located.tags);
                self.found.push_back(Feature { element: pair.element, geometry, tags, members: Vec::new() });
            }
        }
        if self.found.len() > before {
            self.relations.extend(pair.relations);
        }
        Ok(())
    }

    fn look_at_relation(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let element = keys::parse_element(key).filter(|element| element.kind == Kind::Relation);
        let element = element.ok_or(Error::Key { tree: "heads" })?;
        let heads = Known::decode_heads(element, value).map_err(Error::entry(element))?;
        for Known { entry: Entry { payload, .. }, .. } in heads {
            if let Some(Payload::Relation { members, tags }) = payload {
                self.found.push_back(Feature { element, geometry: Geometry::Members, tags, members });
            }
        }
        Ok(())
    }
}

fn touches(window: &Window, geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Point(coord) => window.contains(*coord),
        Geometry::Line(line) => window.touches(line),
        Geometry::Members => false,
    }
}
