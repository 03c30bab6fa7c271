//! The spatial tree and the tags tree, from entries and the references to nodes and ways, side by side.

use prolly::{Config, PageSink, Tree};

use super::places::Places;
use super::tags::TagSorter;
use super::{Groups, Merge, Scratch, Sorted, Sorter, beside};
use crate::entry::{Encoded, Glance, Known, Members, Refs, glance, shown};
use crate::error::Error;
use crate::model::{Coord, ElementId, Kind, Payload};
use crate::views::keys::{self, ELEMENT_BYTES, REFERENCE_BYTES};
use crate::views::spatial::{self, KEY_BYTES};

/// Ways wait for the places of their nodes until their tags take so many bytes.
const TAGS_BYTES: usize = 4 << 20;

/// The tags of an element that has none.
const NO_TAGS: [u8; 1] = [0x80];

pub(super) fn build<S: PageSink + Sync>(
    store: &S,
    config: Config,
    entries: &Sorted<ELEMENT_BYTES>,
    references: &Sorted<REFERENCE_BYTES>,
    scratch: &Scratch,
) -> Result<(Tree, Tree), Error> {
    let mut features = Features {
        named: Named::new(references)?,
        places: Places::new(scratch),
        pairs: Sorter::new(scratch, scratch.pairs),
        tags: TagSorter::new(scratch, scratch.pairs, &config),
        ways: Ways::default(),
        most_wanted: scratch.wanted,
        value: Vec::new(),
    };
    let mut groups = Groups::new(entries)?;
    while let Some(group) = groups.next()?.filter(|group| group.element.kind <= Kind::Relation) {
        let element = group.element;
        let (in_way, relations) = features.named.of(element)?;
        if let [body] = group.bodies {
            features.add(element, in_way, &relations, body.encoded())?;
        } else {
            features.add_several(element, in_way, &relations, &group.resolve()?.heads)?;
        }
    }
    features.locate_ways()?;
    let (pairs, tags) = (features.pairs.finish()?, features.tags.finish()?);
    beside(|| super::build(store, config, &pairs), || tags.build(store, config))
}

/// What names the elements, which are asked for in order.
struct Named<'a> {
    references: Merge<'a, REFERENCE_BYTES>,
    next: Option<(ElementId, ElementId)>,
}

impl<'a> Named<'a> {
    fn new(references: &'a Sorted<REFERENCE_BYTES>) -> Result<Self, Error> {
        let mut named = Self { references: references.iter()?, next: None };
        named.advance()?;
        Ok(named)
    }

    fn advance(&mut self) -> Result<(), Error> {
        let next = self.references.next()?;
        let parse = |(key, _): (&[u8; REFERENCE_BYTES], _)| {
            keys::parse_reference(key).ok_or(Error::Key { tree: "refs" })
        };
        self.next = next.map(parse).transpose()?;
        Ok(())
    }

    /// Tells whether an element is in a way, and which relations name it.
    fn of(&mut self, element: ElementId) -> Result<(bool, Vec<u64>), Error> {
        let (mut in_way, mut relations) = (false, Vec::new());
        while let Some((target, source)) = self.next.filter(|(target, _)| *target <= element) {
            if target == element {
                in_way |= source.kind == Kind::Way;
                if source.kind == Kind::Relation && relations.last() != Some(&source.id) {
                    relations.push(source.id);
                }
            }
            self.advance()?;
        }
        Ok((in_way, relations))
    }
}

/// Heads of ways that wait for the places of their nodes.
#[derive(Default)]
struct Ways {
    heads: Vec<WayHead>,
    /// Of all heads, one after another.
    relations: Vec<u64>,
    tags: Vec<u8>,
    /// The ids of the nodes, each with its number.
    wanted: Vec<(u64, u32)>,
}

/// A head of a way, and where in the lists of [`Ways`] its own parts end.
struct WayHead {
    element: ElementId,
    relations: usize,
    tags: usize,
    wanted: usize,
}

struct Features<'a> {
    named: Named<'a>,
    places: Places,
    pairs: Sorter<KEY_BYTES>,
    tags: TagSorter,
    ways: Ways,
    most_wanted: usize,
    value: Vec<u8>,
}

impl Features<'_> {
    /// Adds the only head of an element.
    fn add(
        &mut self,
        element: ElementId,
        in_way: bool,
        relations: &[u64],
        head: Encoded<'_>,
    ) -> Result<(), Error> {
        match glance(element.kind, head.body).map_err(Error::entry(element))? {
            Glance::Node(coord, tags) => {
                self.places.push(element.id, coord)?;
                let tags = head.rest(tags);
                if !in_way || tags != NO_TAGS {
                    self.put(element, relations, &mut [(&[coord], tags)])?;
                }
            }
            Glance::Way(refs) => self.await_places(element, relations, refs, head)?,
            Glance::Relation(members) => self.add_relation(element, members, head)?,
            Glance::Deleted | Glance::Changeset => {}
        }
        if self.ways.wanted.len() >= self.most_wanted || self.ways.tags.len() >= TAGS_BYTES {
            self.locate_ways()?;
        }
        Ok(())
    }

    /// Adds the heads of an element that has several entries, sorted by version.
    fn add_several(
        &mut self,
        element: ElementId,
        in_way: bool,
        relations: &[u64],
        heads: &[Known],
    ) -> Result<(), Error> {
        if let Some(Payload::Node { coord, .. }) = shown(heads) {
            self.places.push(element.id, *coord)?;
        }
        let mut points = Vec::new();
        for head in heads {
            let head = head.encoded();
            match glance(element.kind, head.body).map_err(Error::entry(element))? {
                Glance::Node(coord, tags) => {
                    let tags = head.rest(tags);
                    if !in_way || tags != NO_TAGS {
                        points.push(([coord], tags));
                    }
                }
                Glance::Way(refs) => self.await_places(element, relations, refs, head)?,
                Glance::Relation(members) => self.add_relation(element, members, head)?,
                Glance::Deleted | Glance::Changeset => {}
            }
        }
        let mut features: Vec<(&[Coord], &[u8])> =
            points.iter().map(|(coord, tags)| (&coord[..], *tags)).collect();
        self.put(element, relations, &mut features)
    }

    /// Adds the tags of a relation, which has no place of its own.
    fn add_relation(
        &mut self,
        element: ElementId,
        mut members: Members<'_>,
        head: Encoded<'_>,
    ) -> Result<(), Error> {
        while members.next().map_err(Error::entry(element))?.is_some() {}
        self.tags.push(element, head.rest(members.position()), &spatial::nowhere(element))
    }

    /// Notes what a way needs.
    fn await_places(
        &mut self,
        element: ElementId,
        relations: &[u64],
        mut refs: Refs<'_>,
        head: Encoded<'_>,
    ) -> Result<(), Error> {
        let ways = &mut self.ways;
        while let Some(id) = refs.next().map_err(Error::entry(element))? {
            // Far fewer than 2³² wait.
            let number = u32::try_from(ways.wanted.len()).unwrap_or(u32::MAX);
            ways.wanted.push((id, number));
        }
        ways.relations.extend_from_slice(relations);
        ways.tags.extend_from_slice(head.rest(refs.position()));
        let (relations, tags, wanted) = (ways.relations.len(), ways.tags.len(), ways.wanted.len());
        ways.heads.push(WayHead { element, relations, tags, wanted });
        Ok(())
    }

    /// Looks the nodes of the waiting ways up. All nodes are known by then.
    fn locate_ways(&mut self) -> Result<(), Error> {
        let Ways { heads, relations, tags, mut wanted } = std::mem::take(&mut self.ways);
        let mut found = vec![None; wanted.len()];
        self.places.find(&mut wanted, &mut found)?;
        let (mut relations, mut tags, mut found) = (&relations[..], &tags[..], &found[..]);
        let mut before = (0, 0, 0);
        for same in heads.chunk_by(|a, b| a.element == b.element) {
            let Some(element) = same.first().map(|head| head.element) else { continue };
            let mut lines: Vec<Vec<Coord>> = Vec::with_capacity(same.len());
            let mut features: Vec<&[u8]> = Vec::with_capacity(same.len());
            let mut named: &[u64] = &[];
            for head in same {
                named = front(&mut relations, head.relations - before.0);
                features.push(front(&mut tags, head.tags - before.1));
                lines.push(front(&mut found, head.wanted - before.2).iter().flatten().copied().collect());
                before = (head.relations, head.tags, head.wanted);
            }
            let mut features: Vec<(&[Coord], &[u8])> =
                lines.iter().map(Vec::as_slice).zip(features).collect();
            self.put(element, named, &mut features)?;
        }
        Ok(())
    }

    /// Makes the pairs of an element from its features, each being places and tags, in order of versions.
    fn put(
        &mut self,
        element: ElementId,
        relations: &[u64],
        features: &mut [(&[Coord], &[u8])],
    ) -> Result<(), Error> {
        let key = |(coords, _): &(&[Coord], &[u8])| spatial::key_around(element, coords);
        if features.len() > 1 {
            features.sort_by_key(key);
        }
        for same in features.chunk_by(|a, b| key(a) == key(b)) {
            let Some(key) = same.first().map(key) else { continue };
            self.value.clear();
            spatial::put_front(&mut self.value, relations, same.len());
            for (coords, tags) in same {
                if element.kind == Kind::Way {
                    spatial::put_line(&mut self.value, coords);
                }
                self.value.extend_from_slice(tags);
                self.tags.push(element, tags, &key)?;
            }
            self.pairs.push(&key, &self.value)?;
        }
        Ok(())
    }
}

/// Takes so many off the front.
fn front<'a, T>(list: &mut &'a [T], len: usize) -> &'a [T] {
    let (front, rest) = list.split_at_checked(len).unwrap_or((list, &[]));
    *list = rest;
    front
}
