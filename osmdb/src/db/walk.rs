//! Walking over whole elements, in order: what an export reads.

use std::collections::BTreeSet;
use std::iter::Peekable;

use bytes::Bytes;
use prolly::{KeyRange, PageSource, Pairs};

use super::snapshot::parse_history;
use super::{Head, Snapshot};
use crate::entry::{Known, Origin};
use crate::error::Error;
use crate::model::{BBox, ElementId, Kind, Payload};
use crate::views::keys;

/// Elements are looked up this many at a time, to bound memory.
const CHUNK: usize = 20_000;

impl<S: PageSource> Snapshot<S> {
    /// Iterates over all elements: nodes, ways, relations, changesets, each by id. Gives the heads of
    /// each element, sorted by version, as [`get`](Self::get) does. Ends after the first error. Costs the
    /// pages of one tree, each once, and the memory of a few.
    ///
    /// ```
    /// use osmdb::{Db, ElementId};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><way id='5'/><node id='2' lat='1' lon='1'/>
    ///     <node id='1' lat='1' lon='1'/></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let all: Vec<Vec<_>> = db.snapshot().heads().collect::<Result<_, _>>()?;
    /// let elements = all.iter().map(|heads| heads[0].entry.element);
    /// assert!(elements.eq([ElementId::node(1), ElementId::node(2), ElementId::way(5)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn heads(&self) -> impl Iterator<Item = Result<Vec<Head>, Error>> + '_ {
        let heads = self.root().trees.heads.ranges(self.source(), vec![KeyRange::all()]);
        Elements { heads, history: None::<Replaced<&S>>, ended: false }
    }

    /// Iterates over all elements as [`heads`](Self::heads) does, and gives all versions of each: imported
    /// ones by their number, then edits by their time. Costs the pages of two trees, each once, and the
    /// memory of a few and of all versions of one element.
    ///
    /// ```
    /// use osmdb::Db;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><way id='5' version='2'/>
    ///     <way id='5' version='1' visible='false'/></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let all: Vec<Vec<_>> = db.snapshot().versions().collect::<Result<_, _>>()?;
    /// assert_eq!(all.len(), 1);
    /// assert!(all[0][0].entry.payload.is_none() && all[0][1].entry.payload.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn versions(&self) -> impl Iterator<Item = Result<Vec<Head>, Error>> + '_ {
        let heads = self.root().trees.heads.ranges(self.source(), vec![KeyRange::all()]);
        let history = self.root().trees.history.ranges(self.source(), vec![KeyRange::all()]);
        Elements { heads, history: Some(replaced(history)), ended: false }
    }

    /// Gives the heads of some elements as [`heads`](Self::heads) does; those that never existed are
    /// passed over. Costs the pages that hold them.
    ///
    /// ```
    /// use osmdb::ElementId;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let wanted = [node, ElementId::way(1)].into();
    /// let found = db.snapshot().heads_among(&wanted).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!((found.len(), found[0][0].entry.element), (1, node));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn heads_among<'a>(
        &'a self,
        elements: &'a BTreeSet<ElementId>,
    ) -> impl Iterator<Item = Result<Vec<Head>, Error>> + 'a {
        chunks(elements).flat_map(move |chunk| {
            let heads = self.root().trees.heads.prefixes(self.source(), chunk);
            Elements { heads, history: None::<Replaced<&S>>, ended: false }
        })
    }

    /// Gives all versions of some elements as [`versions`](Self::versions) does; those that never existed
    /// are passed over. Costs the pages that hold them.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.delete(node)?;
    /// let found = db.snapshot().versions_among(&[node].into()).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!((found.len(), found[0].len()), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn versions_among<'a>(
        &'a self,
        elements: &'a BTreeSet<ElementId>,
    ) -> impl Iterator<Item = Result<Vec<Head>, Error>> + 'a {
        chunks(elements).flat_map(move |chunk| {
            let history = self.root().trees.history.prefixes(self.source(), chunk.clone());
            let heads = self.root().trees.heads.prefixes(self.source(), chunk);
            Elements { heads, history: Some(replaced(history)), ended: false }
        })
    }

    /// Returns what a map of a box consists of: all that [`query`](Self::query) finds, and all nodes of the
    /// ways among it, so that every way is whole. Of relations, members that are not in the box are not
    /// among it. Costs the pages that hold them, and memory for the names of all.
    ///
    /// ```
    /// use osmdb::{Db, ElementId};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><node id='1' lat='1' lon='1'/><node id='2' lat='1' lon='9'/>
    ///     <node id='3' lat='1' lon='9'/><way id='5'><nd ref='1'/><nd ref='2'/></way></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let found = db.snapshot().extract("0,0,2,2".parse()?)?;
    /// assert!(found.into_iter().eq([ElementId::node(1), ElementId::node(2), ElementId::way(5)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn extract(&self, bbox: BBox) -> Result<BTreeSet<ElementId>, Error> {
        let mut found = BTreeSet::new();
        for feature in self.query(bbox) {
            found.insert(feature?.element);
        }
        let ways: BTreeSet<ElementId> =
            found.iter().copied().filter(|element| element.kind == Kind::Way).collect();
        for heads in self.heads_among(&ways) {
            for head in heads? {
                found.extend(head.entry.payload.iter().flat_map(Payload::references));
            }
        }
        Ok(found)
    }
}

fn chunks(elements: &BTreeSet<ElementId>) -> impl Iterator<Item = Vec<[u8; keys::ELEMENT_BYTES]>> + '_ {
    let mut rest = elements.iter().copied().map(keys::element);
    std::iter::from_fn(move || {
        let chunk: Vec<_> = rest.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

type Replaced<S> = Peekable<ReplacedVersions<S>>;

/// Reads the pairs of the history tree.
struct ReplacedVersions<S>(Pairs<S>);

fn replaced<S: PageSource>(pairs: Pairs<S>) -> Replaced<S> {
    ReplacedVersions(pairs).peekable()
}

impl<S: PageSource> Iterator for ReplacedVersions<S> {
    type Item = Result<Known, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|pair| parse_history(pair?))
    }
}

/// Element by element: the pairs of the heads tree, and beside them those of the history tree, whose keys
/// begin with the same names in the same order.
struct Elements<S: PageSource> {
    heads: Pairs<S>,
    history: Option<Replaced<S>>,
    ended: bool,
}

impl<S: PageSource> Elements<S> {
    fn element(&mut self, (key, value): (Bytes, Bytes)) -> Result<Vec<Head>, Error> {
        let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
        let mut versions = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
        let Some(history) = &mut self.history else {
            return Ok(versions.into_iter().map(Head::from).collect());
        };
        let belongs = |known: &Result<Known, Error>| {
            known.as_ref().map_or(true, |known| known.entry.element <= element)
        };
        while let Some(known) = history.next_if(belongs) {
            let known = known?;
            // An element that was ever there has a head.
            if known.entry.element != element {
                return Err(Error::Key { tree: "history" });
            }
            versions.push(known);
        }
        versions.sort_unstable_by_key(|known| (age(known), known.version));
        Ok(versions.into_iter().map(Head::from).collect())
    }
}

impl<S: PageSource> Iterator for Elements<S> {
    type Item = Result<Vec<Head>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let element = match self.heads.next() {
            Some(pair) => Some(pair.map_err(Error::from).and_then(|pair| self.element(pair))),
            // Nothing is left of the history either, or it belongs to elements without heads.
            None => match self.history.as_mut().and_then(Iterator::next) {
                Some(Ok(_)) => Some(Err(Error::Key { tree: "history" })),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            },
        };
        self.ended = !matches!(element, Some(Ok(_)));
        element
    }
}

/// Sorts versions of one element: imported ones by their number, then edits by their time.
fn age(known: &Known) -> (bool, Option<u64>, Option<i64>) {
    match &known.entry.origin {
        Origin::Imported(meta) => (false, meta.version, meta.timestamp),
        Origin::Edited(meta) => (true, None, Some(meta.timestamp)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prolly::MemoryStore;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::Db;
    use crate::entry::{Entry, OsmMeta, Version};
    use crate::model::{Coord, Tags};

    /// An entry of one of a few elements, so that there are forks and histories.
    fn entry() -> impl Strategy<Value = Entry> {
        (0..3u8, 1..40u64, 1..4u64, any::<bool>(), 0..3i64).prop_map(|(kind, id, version, live, place)| {
            let kind = Kind::from_code(kind).unwrap();
            let tags = Tags::from([("place", place.to_string())]);
            let payload = match kind {
                Kind::Node => Payload::Node { coord: Coord::new(place, 0).unwrap(), tags },
                Kind::Way => Payload::Way { refs: vec![1, id, 99], tags },
                _ => Payload::Relation { members: Vec::new(), tags },
            };
            let meta = OsmMeta { version: Some(version), ..OsmMeta::default() };
            let element = ElementId::new(kind, id);
            Entry { element, payload: live.then_some(payload), origin: Origin::Imported(meta) }
        })
    }

    fn database(entries: &[Entry]) -> Db<MemoryStore> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.osm.pbf");
        let mut writer = crate::io::Writer::create(&path).unwrap();
        entries.iter().for_each(|entry| writer.write(entry).unwrap());
        writer.finish().unwrap();
        let db = Db::in_memory("osm").unwrap();
        db.import(&[path], |_, _| {}).unwrap();
        db
    }

    fn ids(heads: &[Head]) -> BTreeSet<Version> {
        heads.iter().map(|head| head.version).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn every_element_comes_once_in_order_with_all_it_has(entries in vec(entry(), 0..120)) {
            let db = database(&entries);
            let snapshot = db.snapshot();
            let mut all: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
            for entry in &entries {
                all.entry(entry.element).or_default().insert(entry.version());
            }
            let versions: Vec<Vec<Head>> = snapshot.versions().collect::<Result<_, _>>().unwrap();
            let found: Vec<_> = versions.iter().map(|heads| (heads[0].entry.element, ids(heads))).collect();
            prop_assert_eq!(&found, &all.clone().into_iter().collect::<Vec<_>>());
            for versions in &versions {
                let numbers = versions.iter().map(|head| match &head.entry.origin {
                    Origin::Imported(meta) => meta.version,
                    Origin::Edited(_) => None,
                });
                prop_assert!(numbers.is_sorted());
            }
            let heads: Vec<Vec<Head>> = snapshot.heads().collect::<Result<_, _>>().unwrap();
            let expected: Vec<Vec<Head>> = all.keys().map(|element| snapshot.get(*element).unwrap()).collect();
            prop_assert_eq!(&heads, &expected);

            let some: BTreeSet<ElementId> = (1..20).map(ElementId::node).chain((10..50).map(ElementId::way)).collect();
            let is_wanted = |heads: &Vec<Head>| some.contains(&heads[0].entry.element);
            let wanted = |all: Vec<Vec<Head>>| all.into_iter().filter(is_wanted).collect::<Vec<_>>();
            prop_assert_eq!(snapshot.heads_among(&some).collect::<Result<Vec<_>, _>>().unwrap(), wanted(heads));
            prop_assert_eq!(snapshot.versions_among(&some).collect::<Result<Vec<_>, _>>().unwrap(), wanted(versions));
        }

        #[test]
        fn the_map_of_a_box_has_whole_ways(entries in vec(entry(), 0..80)) {
            let db = database(&entries);
            let snapshot = db.snapshot();
            let bbox: BBox = "-1,0.00000005,1,1".parse().unwrap();
            let found = snapshot.extract(bbox).unwrap();
            let mut expected: BTreeSet<ElementId> = BTreeSet::new();
            for feature in snapshot.query(bbox) {
                let element = feature.unwrap().element;
                expected.insert(element);
                for head in snapshot.get(element).unwrap() {
                    if let Some(Payload::Way { refs, .. }) = head.entry.payload {
                        expected.extend(refs.into_iter().map(ElementId::node));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn history_without_a_head_is_damage() {
        let meta = OsmMeta { version: Some(1), ..OsmMeta::default() };
        let old = Entry { element: ElementId::way(3), payload: None, origin: Origin::Imported(meta) };
        let new = Entry {
            origin: Origin::Imported(OsmMeta { version: Some(2), ..OsmMeta::default() }),
            ..old.clone()
        };
        let db = database(&[old, new]);
        let mut root = db.snapshot().root().clone();
        root.trees.heads = prolly::Tree::empty(db.store(), root.trees.heads.config).unwrap();
        let damaged = Snapshot::of(db.store(), root);
        let mut versions = damaged.versions();
        assert!(matches!(versions.next(), Some(Err(Error::Key { tree: "history" }))));
        assert!(versions.next().is_none());
    }
}
