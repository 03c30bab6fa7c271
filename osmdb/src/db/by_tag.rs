//! Finding what has a tag through the tags tree, where that costs less than to walk over all that is there.
//!
//! A filter that demands tags can be answered from either tree: the spatial tree has what is in the box, the
//! tags tree what has the tag. Ranks tell how much each is, for a few pages. What the tags tree names is then
//! looked up in the spatial tree, in the order of its keys: so the answer is the same, in the same order.

use prolly::{Cid, CountRange, KeyRange, PageSource, Run, Scan, Step, Tree};

use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{ElementId, Kind};
use crate::root::Root;
use crate::views::spatial::{self, KEY_BYTES};
use crate::views::tags::{Texts, place_of};

/// What so few have is looked up, however little there may be in the box.
const FEW: u64 = 64;

/// To look something up costs at most as much as to walk over so many pairs of the spatial tree: measured.
const PAIRS_PER_LOOKUP: u128 = 2;

/// To walk over so many keys of the tags tree costs at most as much as over one pair of the spatial tree:
/// measured.
const KEYS_PER_PAIR: u64 = 8;

/// No more places than this are gathered at once, at 20 bytes each: those of a tag's key, whatever its value,
/// come in the order of values and must be sorted.
const MAX_GATHERED: u64 = 1 << 17;

/// At first so many pairs are looked up at once, and later more, so that the first ones come soon.
const FIRST_BATCH: usize = 256;

/// No more pairs than this are looked up at once, if they need not be sorted.
const MAX_BATCH: usize = 4_096;

type Place = [u8; KEY_BYTES];

/// A tag that is demanded.
#[derive(Debug, Clone)]
struct Demanded {
    /// What the keys of the tags tree begin with.
    prefix: Vec<u8>,
    /// Whether they say the value too: then what follows are keys of the spatial tree in their order.
    is_exact: bool,
}

fn demanded(filter: &Filter, tags: Tree) -> Vec<Demanded> {
    let texts = Texts::of(&tags.config);
    let demands = filter.demands();
    demands
        .map(|demand| Demanded { prefix: texts.prefix(demand), is_exact: demand.value.is_some() })
        .collect()
}

/// Counts of ranges, all at once.
#[derive(Debug)]
struct Counts(Vec<CountRange>);

impl Counts {
    fn new(tree: Tree, ranges: impl IntoIterator<Item = KeyRange>) -> Self {
        Self(ranges.into_iter().map(|range| CountRange::new(tree, &range)).collect())
    }

    fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Vec<u64>>, Error> {
        let mut counts = Vec::with_capacity(self.0.len());
        let mut missing: Vec<Cid> = Vec::new();
        for count in &mut self.0 {
            match count.step(source)? {
                Step::Ready(count) => counts.push(count),
                Step::Missing(cids) => missing.extend(cids),
            }
        }
        if missing.is_empty() {
            return Ok(Step::Ready(counts));
        }
        missing.sort_unstable();
        missing.dedup();
        Ok(Step::Missing(missing))
    }
}

/// What comes out of a step.
#[derive(Debug)]
pub(super) enum Found {
    /// Pairs of the spatial tree.
    Pairs(Run),
    End,
    /// The spatial tree costs less, or relations must be found by their members. Only at the beginning.
    NotHere,
}

/// Finds the spatial pairs of what has a tag that a filter demands.
#[derive(Debug)]
pub(super) struct ByTag {
    spatial: Tree,
    tags: Tree,
    filter: Filter,
    demands: Vec<Demanded>,
    windows: Vec<Window>,
    /// The ranges of the spatial tree that are asked for.
    ranges: Vec<KeyRange>,
    /// Whether relations are asked for, by their members.
    wants_relations: bool,
    /// No relation has the tag.
    no_relations: bool,
    stage: Stage,
    batch: usize,
}

#[derive(Debug)]
enum Stage {
    Begin,
    /// How many pairs there are for each demand.
    Demands(Counts),
    /// How many relations have the tag, of which there are so many pairs.
    Relations(Counts, Demanded, u64),
    /// How many pairs of the tags tree, and of the spatial tree: first of all, then in the box.
    Here(Counts, Counts, Demanded),
    Places(Scan, Gathering),
    /// Pairs of the spatial tree, and the walk over more places.
    Pairs(Scan, Option<Scan>),
}

#[derive(Debug)]
struct Gathering {
    /// All of them, to be sorted.
    all: bool,
    places: Vec<Place>,
}

impl ByTag {
    /// Begins. `None`: no tag is demanded. No windows are everywhere.
    pub(super) fn new(
        root: &Root,
        filter: &Filter,
        windows: &[Window],
        ranges: &[KeyRange],
        wants_relations: bool,
    ) -> Option<Self> {
        let demands = demanded(filter, root.trees.tags);
        (!demands.is_empty()).then(|| Self {
            spatial: root.trees.spatial,
            tags: root.trees.tags,
            filter: filter.clone(),
            demands,
            windows: windows.to_vec(),
            ranges: ranges.to_vec(),
            wants_relations,
            no_relations: false,
            stage: Stage::Begin,
            batch: FIRST_BATCH,
        })
    }

    /// Tells whether it is known that no relation has the tag.
    pub(super) const fn no_relations(&self) -> bool {
        self.no_relations
    }

    pub(super) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Found>, Error> {
        macro_rules! ready {
            ($step:expr) => {
                match $step {
                    Step::Ready(ready) => ready,
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                }
            };
        }
        loop {
            match &mut self.stage {
                Stage::Begin => {
                    let ranges = self.demands.iter().map(|demand| KeyRange::prefix(&demand.prefix));
                    self.stage = Stage::Demands(Counts::new(self.tags, ranges));
                }
                Stage::Demands(counts) => {
                    let counts = ready!(counts.step(source)?);
                    let least = counts.into_iter().zip(&self.demands).min_by_key(|(count, _)| *count);
                    let Some((count, demand)) = least else { return Ok(Step::Ready(Found::NotHere)) };
                    let demand = demand.clone();
                    if self.wants_relations && count > 0 && demand.is_exact {
                        let relations = [&demand.prefix[..], &spatial::nowhere_of(Kind::Relation)].concat();
                        let counts = Counts::new(self.tags, [KeyRange::prefix(&relations)]);
                        self.stage = Stage::Relations(counts, demand, count);
                    } else {
                        self.no_relations = count == 0;
                        self.weigh(demand, count);
                    }
                }
                Stage::Relations(counts, demand, count) => {
                    if ready!(counts.step(source)?).iter().any(|count| *count > 0) {
                        return Ok(Step::Ready(Found::NotHere));
                    }
                    self.no_relations = true;
                    let (demand, count) = (demand.clone(), *count);
                    self.weigh(demand, count);
                }
                Stage::Here(tags, spatial, demand) => {
                    let (tags, spatial) = (tags.step(source)?, spatial.step(source)?);
                    let (tags, spatial) = match (tags, spatial) {
                        (Step::Ready(tags), Step::Ready(spatial)) => (tags, spatial),
                        (Step::Missing(mut cids), Step::Missing(more)) => {
                            cids.extend(more);
                            return Ok(Step::Missing(cids));
                        }
                        (Step::Missing(cids), _) | (_, Step::Missing(cids)) => {
                            return Ok(Step::Missing(cids));
                        }
                    };
                    let fits = demand.is_exact || tags.iter().sum::<u64>() <= MAX_GATHERED;
                    if !fits || !costs_less(demand.is_exact, &tags, &spatial) {
                        return Ok(Step::Ready(Found::NotHere));
                    }
                    let demand = demand.clone();
                    self.begin(&demand);
                }
                Stage::Places(scan, gathering) => {
                    let run = ready!(scan.step(source)?);
                    if let Some(run) = &run
                        && !gather(
                            run,
                            &self.filter,
                            &self.windows,
                            self.wants_relations,
                            &mut gathering.places,
                        )?
                    {
                        return Ok(Step::Ready(Found::NotHere));
                    }
                    let is_enough = !gathering.all && gathering.places.len() >= self.batch;
                    if run.is_some() && !is_enough {
                        continue;
                    }
                    let mut places = std::mem::take(&mut gathering.places);
                    if gathering.all {
                        self.no_relations = self.wants_relations;
                        let ranges = &self.ranges;
                        places.retain(|place| ranges.iter().any(|range| range.contains(place)));
                        places.sort_unstable();
                        places.dedup();
                    }
                    let stage = std::mem::replace(&mut self.stage, Stage::Begin);
                    let rest = match stage {
                        Stage::Places(scan, _) if run.is_some() => Some(scan),
                        _ => None,
                    };
                    self.stage = Stage::Pairs(Scan::prefixes(self.spatial, places), rest);
                }
                Stage::Pairs(pairs, rest) => match (ready!(pairs.step(source)?), rest.take()) {
                    (Some(run), more) => {
                        *rest = more;
                        return Ok(Step::Ready(Found::Pairs(run)));
                    }
                    (None, Some(scan)) => {
                        self.batch = (self.batch * 2).min(MAX_BATCH);
                        self.stage = Stage::Places(scan, Gathering { all: false, places: Vec::new() });
                    }
                    (None, None) => return Ok(Step::Ready(Found::End)),
                },
            }
        }
    }

    /// Begins to find out which tree costs less.
    fn weigh(&mut self, demand: Demanded, count: u64) {
        if count <= FEW {
            self.begin(&demand);
            return;
        }
        let mut ranges: Vec<KeyRange> = self.windows.iter().flat_map(spatial::rough_ranges).collect();
        if self.windows.is_empty() {
            ranges.push(KeyRange::all());
        }
        // The places of a key, whatever its value, are all looked at, wherever they are.
        let tags = match demand.is_exact {
            true => Counts::new(self.tags, ranges.iter().map(|range| behind(&demand.prefix, range))),
            false => Counts::new(self.tags, [KeyRange::prefix(&demand.prefix)]),
        };
        let spatial = Counts::new(self.spatial, std::iter::once(KeyRange::all()).chain(ranges));
        self.stage = Stage::Here(tags, spatial, demand);
    }

    /// Begins to gather places.
    fn begin(&mut self, demand: &Demanded) {
        let all = !demand.is_exact;
        let ranges = match all {
            true => vec![KeyRange::prefix(&demand.prefix)],
            false => self.ranges.iter().map(|range| behind(&demand.prefix, range)).collect(),
        };
        let scan = Scan::new(self.tags, ranges);
        self.stage = Stage::Places(scan, Gathering { all, places: Vec::new() });
    }
}

/// Tells whether it costs less to look up what has a tag. `tags` says how many pairs of the tags tree are looked
/// at; `spatial`, how many the spatial tree has, and how many of these are in ranges around the box.
fn costs_less(is_exact: bool, tags: &[u64], spatial: &[u64]) -> bool {
    let tags: u128 = tags.iter().copied().map(u128::from).sum();
    let Some((all, here)) = spatial.split_first() else { return false };
    let (all, here): (u128, u128) = (u128::from(*all), here.iter().copied().map(u128::from).sum());
    if is_exact {
        return tags * PAIRS_PER_LOOKUP <= here;
    }
    // What is not in the box is not looked up: as much of what has the tag is there as of all.
    tags / u128::from(KEYS_PER_PAIR) + tags * here.min(all) / all.max(1) * PAIRS_PER_LOOKUP <= here
}

/// Returns the range of keys that are a prefix and a key of another range.
fn behind(prefix: &[u8], range: &KeyRange) -> KeyRange {
    let all = KeyRange::prefix(prefix);
    let joined = |key: &[u8]| [prefix, key].concat().into();
    KeyRange { from: joined(&range.from), to: range.to.as_ref().map_or(all.to, |to| Some(joined(to))) }
}

/// Gathers places of nodes and ways that may be in the windows; `false`: a relation has the tag, and is asked
/// for.
fn gather(
    run: &Run,
    filter: &Filter,
    windows: &[Window],
    wants_relations: bool,
    places: &mut Vec<Place>,
) -> Result<bool, Error> {
    for (key, _) in run.iter() {
        let (place, element) = place_of(key).ok_or(Error::Key { tree: "tags" })?;
        match element.kind {
            Kind::Relation if wants_relations => return Ok(false),
            Kind::Node | Kind::Way if filter.admits(element.kind) && spatial::may_touch(place, windows) => {
                places.push(*place);
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Which relations may pass a filter, wherever they are.
#[derive(Debug)]
pub(super) struct RelationsByTag {
    tags: Tree,
    /// The ranges of the tags tree that say so for each demand.
    ranges: Vec<KeyRange>,
    /// If there are more pairs, all relations are looked at.
    most: u64,
    stage: RelationsStage,
    found: Vec<u64>,
}

#[derive(Debug)]
enum RelationsStage {
    Counting(Counts),
    Gathering(Scan),
}

impl RelationsByTag {
    pub(super) fn new(root: &Root, filter: &Filter) -> Self {
        let tags = root.trees.tags;
        let range = |demand: Demanded| match demand.is_exact {
            true => KeyRange::prefix(&[&demand.prefix[..], &spatial::nowhere_of(Kind::Relation)].concat()),
            false => KeyRange::prefix(&demand.prefix),
        };
        let ranges: Vec<KeyRange> = demanded(filter, tags).into_iter().map(range).collect();
        let counts = Counts::new(tags, ranges.iter().cloned());
        // The heads of relations are large; the keys of tags are not.
        let most = MAX_GATHERED.min(root.counts.relations.saturating_mul(KEYS_PER_PAIR));
        Self { tags, ranges, most, stage: RelationsStage::Counting(counts), found: Vec::new() }
    }

    /// Returns the relations, in order; `None`: any.
    pub(super) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Vec<ElementId>>>, Error> {
        loop {
            match &mut self.stage {
                RelationsStage::Counting(counts) => match counts.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(counts) => {
                        let least = counts.into_iter().zip(&self.ranges).min_by_key(|(count, _)| *count);
                        let Some((count, range)) = least else { return Ok(Step::Ready(None)) };
                        if count > self.most {
                            return Ok(Step::Ready(None));
                        }
                        self.stage = RelationsStage::Gathering(Scan::new(self.tags, vec![range.clone()]));
                    }
                },
                RelationsStage::Gathering(scan) => match scan.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Some(run)) => {
                        for (key, _) in run.iter() {
                            let (_, element) = place_of(key).ok_or(Error::Key { tree: "tags" })?;
                            self.found.extend((element.kind == Kind::Relation).then_some(element.id));
                        }
                    }
                    Step::Ready(None) => {
                        let mut found = std::mem::take(&mut self.found);
                        found.sort_unstable();
                        found.dedup();
                        return Ok(Step::Ready(Some(found.into_iter().map(ElementId::relation).collect())));
                    }
                },
            }
        }
    }
}
