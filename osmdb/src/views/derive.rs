//! What follows from the heads of some elements: their pairs in the spatial tree and in the tags tree.

use std::collections::{BTreeMap, BTreeSet};

use prolly::PageSource;

use super::spatial::{self, Geometry, KEY_BYTES, Located};
use super::tags::Texts;
use crate::db::Snapshot;
use crate::entry::{Known, live_payloads, shown, single_coord};
use crate::error::Error;
use crate::model::{Coord, ElementId, Kind, Payload};

/// The known places of nodes, by id.
struct Places(Vec<(u64, Coord)>);

impl Places {
    fn find(&self, id: u64) -> Option<Coord> {
        let place = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.0.get(place).map(|(_, coord)| *coord)
    }

    /// Looks up where nodes are shown.
    fn of<S: PageSource>(snapshot: &Snapshot<S>, mut ids: Vec<u64>) -> Result<Self, Error> {
        ids.sort_unstable();
        ids.dedup();
        let mut places = Vec::with_capacity(ids.len());
        for head in snapshot.heads_of(ids.into_iter().map(ElementId::node)) {
            let (element, value) = head?;
            if let Some(coord) = shown_coord(element, &value)? {
                places.push((element.id, coord));
            }
        }
        Ok(Self(places))
    }
}

/// Returns where a node is shown: the place of its shown live head.
pub(crate) fn shown_coord(element: ElementId, value: &[u8]) -> Result<Option<Coord>, Error> {
    // Nearly every node has one live head, whose place stands in front.
    if let Some(coord) = single_coord(value).map_err(Error::entry(element))? {
        return Ok(Some(coord));
    }
    let heads = Known::decode_heads(element, value).map_err(Error::entry(element))?;
    Ok(match shown(&heads) {
        Some(Payload::Node { coord, .. }) => Some(*coord),
        _ => None,
    })
}

/// What some elements have in the trees that are about places and tags.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    /// Pairs of the spatial tree.
    pub(crate) spatial: BTreeMap<[u8; KEY_BYTES], Vec<u8>>,
    /// Keys of the tags tree.
    pub(crate) tags: BTreeSet<Vec<u8>>,
}

/// Returns what some nodes, ways and relations, given in order, have in the spatial tree and in the tags tree.
pub(crate) fn derived<S: PageSource>(
    snapshot: &Snapshot<S>,
    elements: &[ElementId],
) -> Result<Derived, Error> {
    let texts = Texts::of(&snapshot.root().trees.tags.config);
    let relations = elements.partition_point(|element| element.kind < Kind::Relation);
    let named = Named::of(snapshot, elements.get(..relations).unwrap_or_default())?;
    let mut heads = Vec::with_capacity(elements.len());
    let mut refs = Vec::new();
    for head in snapshot.heads_of(elements.iter().copied()) {
        let (element, value) = head?;
        // An untagged node in a way is only a part of that way's line.
        if element.kind == Kind::Node && named.in_way(element) && is_untagged(&value) {
            continue;
        }
        let payloads = live_payloads(element, &value).map_err(Error::entry(element))?;
        for payload in &payloads {
            if let Payload::Way { refs: nodes, .. } = payload {
                refs.extend(nodes);
            }
        }
        heads.push((element, payloads));
    }
    let places = Places::of(snapshot, refs)?;
    let mut derived = Derived::default();
    for (element, payloads) in heads {
        let relations = named.relations(element);
        let mut features: BTreeMap<[u8; KEY_BYTES], Vec<Located>> = BTreeMap::new();
        for payload in payloads {
            let Some(located) = locate(payload, named.in_way(element), &places) else { continue };
            let key = spatial::key(element, &located.geometry);
            derived.tags.extend(texts.keys(&located.tags, &key));
            if located.geometry != Geometry::Members {
                features.entry(key).or_default().push(located);
            }
        }
        derived.spatial.extend(features.into_iter().map(|(key, located)| {
            let value = spatial::value(&relations, &located);
            (key, value)
        }));
    }
    Ok(derived)
}

/// Tells whether a node's heads all lack tags, without decoding them: the value of a single untagged
/// live head has an empty array after two coordinates. When in doubt, no.
fn is_untagged(value: &[u8]) -> bool {
    let mut reader = prolly::cbor::Reader::new(value);
    let mut read = || {
        reader.array_of(1)?;
        reader.array_of(2)?;
        reader.array_of(3)?;
        reader.signed()?;
        reader.signed()?;
        reader.array()
    };
    read() == Ok(0)
}

fn locate(payload: Payload, in_way: bool, places: &Places) -> Option<Located> {
    match payload {
        Payload::Node { coord, tags } if !in_way || !tags.is_empty() => {
            Some(Located { geometry: Geometry::Point(coord), tags })
        }
        Payload::Way { refs, tags } => {
            let line = refs.iter().filter_map(|id| places.find(*id)).collect();
            Some(Located { geometry: Geometry::Line(line), tags })
        }
        Payload::Relation { tags, .. } => Some(Located { geometry: Geometry::Members, tags }),
        _ => None,
    }
}

/// Which ways and relations name some elements.
struct Named(Vec<(ElementId, ElementId)>);

impl Named {
    fn of<S: PageSource>(snapshot: &Snapshot<S>, elements: &[ElementId]) -> Result<Self, Error> {
        let pairs = snapshot.references(elements.iter().copied(), &[Kind::Way, Kind::Relation]);
        pairs.collect::<Result<_, _>>().map(Self)
    }

    fn sources(&self, element: ElementId) -> impl Iterator<Item = ElementId> + '_ {
        let start = self.0.partition_point(|(target, _)| *target < element);
        let pairs = self.0.get(start..).unwrap_or_default().iter();
        pairs.take_while(move |(target, _)| *target == element).map(|(_, source)| *source)
    }

    fn in_way(&self, element: ElementId) -> bool {
        self.sources(element).any(|source| source.kind == Kind::Way)
    }

    fn relations(&self, element: ElementId) -> Vec<u64> {
        let sources = self.sources(element).filter(|source| source.kind == Kind::Relation);
        sources.map(|source| source.id).collect()
    }
}
