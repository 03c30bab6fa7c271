//! The map call of the OSM API 0.6.

use std::collections::BTreeSet;

use bytes::Bytes;
use prolly::{PageSource, Run, Scan, Step, Value, ValueRef, read};

use super::items::each;
use super::places::{HeadsOf, Part, Places, Visit, Wants, damaged};
use super::snapshot::heads_of;
use super::{Head, Snapshot};
use crate::entry::{Entry, Known, live_entries, live_payloads};
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{BBox, ElementId, Kind, Payload};
use crate::root::Trees;
use crate::views::{keys, spatial};

/// What the map call of the OSM API answers for a box: names first, contents on demand.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let snapshot = db.snapshot();
/// let map = snapshot.map("-1,-1,1,1".parse()?)?;
/// assert!(map.nodes() <= 50_000);
/// assert!(map.elements().eq([node]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Map<S> {
    source: S,
    trees: Trees,
    nodes: Vec<u64>,
    /// Ways with their heads: these were read to know their nodes.
    ways: Vec<(ElementId, Bytes)>,
    relations: Vec<u64>,
}

impl<S: PageSource> Snapshot<S> {
    /// Answers the map call of the OSM API 0.6: all live nodes in the box; all ways of which a node is in it;
    /// all nodes of these ways; all relations that name any of these; and all that name one of these
    /// relations, but not those that name these in turn. Members of relations are not added.
    ///
    /// This is less than [`query`](Self::query) finds, by the ways that cross the box without a node in it. A
    /// node that is only a vertex is where its shown head is: the latest, if it has several.
    ///
    /// Costs the pages of `spatial` that cover the box, those of `heads` that hold the ways, and those of
    /// `refs` that stand at the nodes and the relations; memory: about 10 bytes for each node, and the ways.
    ///
    /// ```
    /// use osmdb::{Db, ElementId};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><node id='1' lat='1' lon='1'/><node id='2' lat='1' lon='9'/>
    ///     <node id='3' lat='0' lon='3'/><node id='4' lat='3' lon='0'/>
    ///     <way id='5'><nd ref='1'/><nd ref='2'/></way><way id='6'><nd ref='3'/><nd ref='4'/></way></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let snapshot = db.snapshot();
    /// let map = snapshot.map("0,0,2,2".parse()?)?;
    /// assert!(map.elements().eq([ElementId::node(1), ElementId::node(2), ElementId::way(5)]));
    /// assert_eq!(map.heads().count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn map(&self, bbox: BBox) -> Result<Map<&S>, Error> {
        self.map_up_to(bbox, usize::MAX)
    }

    /// Answers the map call as [`map`](Self::map) does, and gives up when there are more than so many nodes:
    /// then the map names more, and not all.
    pub(crate) fn map_up_to(&self, bbox: BBox, nodes: usize) -> Result<Map<&S>, Error> {
        let mut find = FindMap::new(&self.root().trees, bbox);
        find.most = nodes;
        find.step(self.source())?.complete()?;
        let FindMap { trees, nodes, ways, relations, .. } = find;
        Ok(Map { source: self.source(), trees, nodes, ways, relations: relations.into_iter().collect() })
    }
}

impl<S> Map<S> {
    /// Iterates over the names of all elements: nodes, ways, relations, each by id. Of the nodes of ways,
    /// some may be deleted or unknown, because extracts are clipped. Costs no page.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// assert!(db.snapshot().map("-1,-1,1,1".parse()?)?.elements().eq([node, way]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn elements(&self) -> impl Iterator<Item = ElementId> + '_ {
        let nodes = self.nodes.iter().copied().map(ElementId::node);
        let relations = self.relations.iter().copied().map(ElementId::relation);
        nodes.chain(self.ways.iter().map(|(way, _)| *way)).chain(relations)
    }

    /// Returns how many nodes are named: the API refuses a box with more than 50,000.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert_eq!(db.snapshot().map("-1,-1,1,1".parse()?)?.nodes(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes.len()
    }
}

impl<S: PageSource> Map<S> {
    /// Gives the live heads of all elements: nodes, ways, relations, each by id; more than one if the element
    /// is a fork. Elements that are deleted or unknown are passed over. Ends after the first error. Costs the
    /// pages of `heads` that hold the nodes and relations.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let snapshot = db.snapshot();
    /// let map = snapshot.map("-1,-1,1,1".parse()?)?;
    /// let heads = map.heads().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(heads, [db.get(node)?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn heads(&self) -> impl Iterator<Item = Result<Vec<Head>, Error>> + '_ {
        let nodes = self.nodes.iter().copied().map(ElementId::node);
        let nodes = self.values_of(nodes);
        let ways = self.ways.iter().cloned().map(Ok);
        let relations = self.relations.iter().copied().map(ElementId::relation);
        let relations = self.values_of(relations);
        let live = |value: Result<(ElementId, Bytes), Error>| {
            let (element, value) = value?;
            let heads = Known::decode_versions(element, &value).map_err(Error::entry(element))?;
            let live = heads.into_iter().filter(|(_, entry)| entry.payload.is_some());
            Ok(live.map(|(version, entry)| Head { version, entry }).collect())
        };
        let is_there =
            |heads: &Result<Vec<Head>, Error>| heads.as_ref().map_or(true, |heads| !heads.is_empty());
        nodes.chain(ways).chain(relations).map(live).filter(is_there)
    }
}

impl<S: PageSource> Map<S> {
    /// Gives the live heads as [`heads`](Self::heads) does, one by one and without their versions: who only
    /// writes them out again needs no hash of every one. Ends after the first error.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let snapshot = db.snapshot();
    /// let map = snapshot.map("-1,-1,1,1".parse()?)?;
    /// let entries = map.entries().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!((entries.len(), entries[0].element), (1, node));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Error>> + '_ {
        let nodes = self.nodes.iter().copied().map(ElementId::node);
        let ways = self.ways.iter().map(|(way, value)| {
            let mut entries = Vec::new();
            live_entries(*way, value, &mut entries).map_err(Error::entry(*way))?;
            Ok(entries)
        });
        let relations = self.relations.iter().copied().map(ElementId::relation);
        let entries = self.entries_of(nodes).chain(ways).chain(self.entries_of(relations));
        entries.flat_map(each)
    }

    /// Looks up the heads of elements.
    fn values_of(
        &self,
        elements: impl Iterator<Item = ElementId>,
    ) -> impl Iterator<Item = Result<(ElementId, Bytes), Error>> + '_ {
        let keys = elements.map(keys::element).collect();
        self.trees.heads.prefixes(&self.source, keys).map(heads_of)
    }

    /// Decodes the live heads of elements, a page at a time.
    fn entries_of(
        &self,
        elements: impl Iterator<Item = ElementId>,
    ) -> impl Iterator<Item = Result<Vec<Entry>, Error>> + '_ {
        let mut scan = Some(Scan::prefixes(self.trees.heads, elements.map(keys::element).collect()));
        std::iter::from_fn(move || {
            let run = scan.as_mut()?.step(&self.source).and_then(Step::complete).map_err(Error::from);
            let entries = run.transpose()?.and_then(|run| self.decode(&run));
            if entries.is_err() {
                scan = None;
            }
            Some(entries)
        })
    }

    fn decode(&self, run: &Run) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(run.len());
        for (key, value) in run {
            let element = keys::parse_element(key).ok_or(Error::Key { tree: "heads" })?;
            let long;
            let value = match value {
                ValueRef::Inline(value) => value,
                ValueRef::Linked(len, cid) => {
                    long = read(&self.source, Value::Linked(len, cid))?;
                    &long
                }
            };
            live_entries(element, value, &mut entries).map_err(Error::entry(element))?;
        }
        Ok(entries)
    }
}

/// The call itself: knows no source. Each phase asks for all it needs at once.
#[derive(Debug)]
pub(crate) struct FindMap {
    trees: Trees,
    phase: Phase,
    found: Found,
    pub(crate) nodes: Vec<u64>,
    pub(crate) ways: Vec<(ElementId, Bytes)>,
    pub(crate) relations: BTreeSet<u64>,
    /// With more nodes than this, nobody wants to know the rest.
    most: usize,
    /// Relations that the phase found; their own are not looked up in it.
    named: Vec<u64>,
}

#[derive(Debug)]
enum Phase {
    Box(Places),
    /// The ways, which name their nodes.
    Ways(HeadsOf),
    /// The relations that name what was found.
    Relations(Scan, Of),
}

/// Whose relations are looked up.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Those of all nodes that the spatial tree does not hold: it has those of the others.
    Nodes,
    /// Those of the relations.
    Relations,
}

impl FindMap {
    pub(crate) fn new(trees: &Trees, bbox: BBox) -> Self {
        let phase = Phase::Box(Places::new(trees.spatial, Window::of(bbox), Part::All));
        let (nodes, ways, relations, named) = (Vec::new(), Vec::new(), BTreeSet::new(), Vec::new());
        Self {
            trees: *trees,
            phase,
            found: Found::default(),
            nodes,
            ways,
            relations,
            most: usize::MAX,
            named,
        }
    }

    /// Finds the names of all; then they are in the fields.
    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<()>, Error> {
        loop {
            match &mut self.phase {
                Phase::Box(places) => match places.step(source, &mut self.found)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(true) => {
                        if exceeds(&mut self.found.nodes, self.most) {
                            self.nodes = std::mem::take(&mut self.found.nodes);
                            return Ok(Step::Ready(()));
                        }
                    }
                    Step::Ready(false) => {
                        let ways = std::mem::take(&mut self.found.ways).into_iter().map(ElementId::way);
                        self.phase = Phase::Ways(HeadsOf::new(self.trees.heads, ways));
                    }
                },
                Phase::Ways(heads) => match heads.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Some((way, value))) => {
                        for payload in live_payloads(way, &value).map_err(Error::entry(way))? {
                            if let Payload::Way { refs, .. } = payload {
                                self.nodes.extend(refs);
                            }
                        }
                        self.ways.push((way, value));
                        if self.has_too_many() {
                            return Ok(Step::Ready(()));
                        }
                    }
                    Step::Ready(None) => self.go_on_to_relations(),
                },
                Phase::Relations(scan, of) => match scan.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Some(run)) => {
                        for (key, _) in run.iter() {
                            self.named.push(source_of(key)?);
                        }
                    }
                    Step::Ready(None) => {
                        self.relations.extend(std::mem::take(&mut self.named));
                        match of {
                            Of::Nodes => self.go_on_to_parents(),
                            Of::Relations => return Ok(Step::Ready(())),
                        }
                    }
                },
            }
        }
    }

    /// Tells whether the ways have too many nodes. Ways share nodes, so that they are counted only now and then.
    fn has_too_many(&mut self) -> bool {
        self.nodes.len() / 2 > self.most && exceeds(&mut self.nodes, self.most)
    }

    fn go_on_to_relations(&mut self) {
        let found = std::mem::take(&mut self.found);
        self.relations = found.relations;
        let mut known = found.nodes;
        known.sort_unstable();
        known.dedup();
        self.nodes.sort_unstable();
        self.nodes.dedup();
        let unknown = self.nodes.iter().filter(|node| known.binary_search(node).is_err());
        let prefix = |node: &u64| keys::references_by(ElementId::node(*node), Kind::Relation);
        let prefixes = unknown.map(prefix).collect();
        self.nodes.extend(known);
        self.nodes.sort_unstable();
        self.nodes.dedup();
        self.phase = Phase::Relations(Scan::prefixes(self.trees.refs, prefixes), Of::Nodes);
    }

    fn go_on_to_parents(&mut self) {
        let relations = self.relations.iter().copied().map(ElementId::relation);
        let prefixes = relations.map(|relation| keys::references_by(relation, Kind::Relation)).collect();
        self.phase = Phase::Relations(Scan::prefixes(self.trees.refs, prefixes), Of::Relations);
    }
}

/// Tells whether a list has more different ids than so many.
fn exceeds(ids: &mut Vec<u64>, most: usize) -> bool {
    if ids.len() <= most {
        return false;
    }
    ids.sort_unstable();
    ids.dedup();
    ids.len() > most
}

/// Returns the relation that a key of the refs tree names as the one that refers.
fn source_of(key: &[u8]) -> Result<u64, Error> {
    let (_, source) = keys::parse_reference(key).ok_or(Error::Key { tree: "refs" })?;
    Ok(source.id)
}

/// What is found in the box.
#[derive(Debug, Default)]
struct Found {
    nodes: Vec<u64>,
    ways: Vec<u64>,
    relations: BTreeSet<u64>,
}

impl Visit for Found {
    fn wants(&self, key: &[u8], windows: &[Window]) -> Wants {
        let is_node_outside =
            spatial::node_at(key).is_some_and(|at| !windows.iter().any(|window| window.contains(at)));
        if is_node_outside { Wants::Nothing } else { Wants::KeyAndValue }
    }

    fn look(&mut self, key: &[u8], value: &[u8], windows: &[Window]) -> Result<(), Error> {
        let element = spatial::element_of(key).ok_or(Error::Key { tree: "spatial" })?;
        let is_found = element.kind == Kind::Node
            || spatial::surely_touches(key, windows)
            || spatial::has_place_in(value, windows).map_err(damaged(key))?;
        if is_found {
            self.relations.extend(spatial::relations_of(value).map_err(damaged(key))?);
            if element.kind == Kind::Node { self.nodes.push(element.id) } else { self.ways.push(element.id) }
        }
        Ok(())
    }
}
