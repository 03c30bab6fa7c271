//! Walking over the spatial tree where it may touch some windows, and over the heads of elements.
//!
//! Every reading operation that begins with a box goes this way: the box query, counting, the nearest
//! places, the map call. What each makes of a pair is its own [`Visit`].

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use prolly::{Cid, KeyRange, MAX_FRONTIER, PageSource, ReadValue, Run, Scan, Step, Tree, Value, ValueRef};

use super::by_tag::{ByTag, Found};
use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{ElementId, Kind};
use crate::root::Root;
use crate::views::{keys, spatial};

/// While a value is waited for, no more pairs than this are looked at to say which others will be needed.
const MAX_AHEAD: usize = 1 << 16;

/// How much of a pair somebody needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    Key,
    KeyAndValue,
}

/// Looks at pairs that may touch the windows, in the order of their keys. No windows are everywhere, and what is
/// nowhere too.
pub(crate) trait Visit {
    /// Tells from its key how much of a pair is to be seen.
    fn wants(&self, key: &[u8], windows: &[Window]) -> Wants;

    /// Looks at a pair. The value is empty if only the key was wanted.
    fn look(&mut self, key: &[u8], value: &[u8], windows: &[Window]) -> Result<(), Error>;
}

/// Which of the pairs of some windows are walked over, by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    All,
    From(&'a [u8]),
    Before(&'a [u8]),
}

/// The walk.
#[derive(Debug)]
pub(crate) struct Places {
    spatial: Tree,
    windows: Vec<Window>,
    ranges: Vec<KeyRange>,
    walk: Walk,
    /// Pairs of a leaf, the first of which has its value out of line.
    rest: VecDeque<(Bytes, Value)>,
    reading: Option<(Bytes, ReadValue)>,
    no_relations: bool,
}

/// Where the pairs come from.
#[derive(Debug)]
enum Walk {
    /// What is to be walked over; the ranges of a box are worth reckoning only if somebody asks.
    NotBegun(PartOf, Option<Box<Passing>>),
    All(Scan),
    Tagged(Box<ByTag>),
}

/// A [`Part`] that owns its key.
#[derive(Debug)]
enum PartOf {
    All,
    From(Bytes),
    Before(Bytes),
}

/// What is looked for.
#[derive(Debug)]
struct Passing {
    root: Root,
    filter: Filter,
    wants_relations: bool,
}

impl Places {
    /// Begins to walk over all pairs.
    pub(crate) fn new(spatial: Tree, windows: Vec<Window>, part: Part<'_>) -> Self {
        let part = match part {
            Part::All => PartOf::All,
            Part::From(key) => PartOf::From(Bytes::copy_from_slice(key)),
            Part::Before(key) => PartOf::Before(Bytes::copy_from_slice(key)),
        };
        Self {
            spatial,
            windows,
            ranges: Vec::new(),
            walk: Walk::NotBegun(part, None),
            rest: VecDeque::new(),
            reading: None,
            no_relations: false,
        }
    }

    /// Begins to walk over the pairs of what may pass a filter: all of them, or those of what has a tag that it
    /// demands, whichever costs less. If relations are wanted, these are all pairs whose relations may pass.
    pub(crate) fn passing(
        root: &Root,
        windows: Vec<Window>,
        part: Part<'_>,
        filter: &Filter,
        wants_relations: bool,
    ) -> Self {
        let mut places = Self::new(root.trees.spatial, windows, part);
        if let Walk::NotBegun(_, passing) = &mut places.walk {
            *passing =
                Some(Box::new(Passing { root: root.clone(), filter: filter.clone(), wants_relations }));
        }
        places
    }

    /// Makes the walk that was only noted.
    fn begin(&self, part: &PartOf, passing: Option<&Passing>) -> (Vec<KeyRange>, Walk) {
        let mut ranges: Vec<KeyRange> = match self.windows.is_empty() {
            true => vec![KeyRange::all()],
            false => self.windows.iter().flat_map(spatial::ranges).collect(),
        };
        match part {
            PartOf::All => {}
            PartOf::From(key) => ranges.iter_mut().filter(|range| range.from < key).for_each(|range| {
                range.from = key.clone();
            }),
            PartOf::Before(key) => {
                let ends_behind = |to: &Option<Bytes>| to.as_ref().is_none_or(|to| to > key);
                ranges.iter_mut().filter(|range| ends_behind(&range.to)).for_each(|range| {
                    range.to = Some(key.clone());
                });
            }
        }
        let tagged = passing.and_then(|Passing { root, filter, wants_relations }| {
            ByTag::new(root, filter, &self.windows, &ranges, *wants_relations)
        });
        match tagged {
            Some(tagged) => (ranges, Walk::Tagged(Box::new(tagged))),
            None => (Vec::new(), Walk::All(Scan::new(self.spatial, ranges))),
        }
    }

    /// Tells whether it has turned out that no relation can pass the filter.
    pub(crate) fn no_relations(&self) -> bool {
        match &self.walk {
            Walk::NotBegun(..) | Walk::All(_) => self.no_relations,
            Walk::Tagged(tagged) => tagged.no_relations(),
        }
    }

    /// Returns more pairs, at most those of one leaf.
    fn run<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Run>>, Error> {
        loop {
            match &mut self.walk {
                Walk::NotBegun(part, passing) => {
                    let (part, passing) = (std::mem::replace(part, PartOf::All), passing.take());
                    (self.ranges, self.walk) = self.begin(&part, passing.as_deref());
                }
                Walk::All(scan) => return Ok(scan.step(source)?),
                Walk::Tagged(tagged) => match tagged.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Found::Pairs(run)) => return Ok(Step::Ready(Some(run))),
                    Step::Ready(Found::End) => return Ok(Step::Ready(None)),
                    Step::Ready(Found::NotHere) => {
                        self.no_relations = tagged.no_relations();
                        self.walk = Walk::All(Scan::new(self.spatial, std::mem::take(&mut self.ranges)));
                    }
                },
            }
        }
    }

    /// Shows pairs, at most those of one leaf; tells whether there may be more.
    pub(crate) fn step<S, V>(&mut self, source: &S, visit: &mut V) -> Result<Step<bool>, Error>
    where
        S: PageSource,
        V: Visit,
    {
        if self.reading.is_none() && self.rest.is_empty() {
            match self.run(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(None) => return Ok(Step::Ready(false)),
                Step::Ready(Some(run)) => self.show(&run, visit)?,
            }
        }
        loop {
            if let Some((key, mut value)) = self.reading.take() {
                match value.step(source)? {
                    Step::Ready(bytes) => visit.look(&key, &bytes, &self.windows)?,
                    Step::Missing(cids) => {
                        self.reading = Some((key, value));
                        return self.look_ahead(source, visit, cids);
                    }
                }
            }
            let Some((key, value)) = self.rest.pop_front() else { return Ok(Step::Ready(true)) };
            match wants(&key, &self.windows, visit) {
                Wants::Nothing => {}
                Wants::Key => visit.look(&key, &[], &self.windows)?,
                Wants::KeyAndValue => self.reading = Some((key, ReadValue::new(value))),
            }
        }
    }

    fn look_ahead<S, V>(&mut self, source: &S, visit: &V, missing: Vec<Cid>) -> Result<Step<bool>, Error>
    where
        S: PageSource,
        V: Visit,
    {
        let mut rest = std::mem::take(&mut self.rest);
        let windows = self.windows.clone();
        let wants = |key: &[u8]| wants(key, &windows, visit) == Wants::KeyAndValue;
        let step = look_ahead(source, || self.run(source), &mut rest, wants, missing);
        self.rest = rest;
        step
    }

    /// Shows the pairs of a leaf up to the first whose value must be read from elsewhere.
    fn show<V: Visit>(&mut self, run: &Run, visit: &mut V) -> Result<(), Error> {
        for (index, (key, value)) in run.iter().enumerate() {
            match (wants(key, &self.windows, visit), value) {
                (Wants::Nothing, _) => {}
                (Wants::Key, _) => visit.look(key, &[], &self.windows)?,
                (Wants::KeyAndValue, ValueRef::Inline(value)) => visit.look(key, value, &self.windows)?,
                (Wants::KeyAndValue, ValueRef::Linked(..)) => {
                    self.rest.extend(run.pairs().skip(index));
                    break;
                }
            }
        }
        Ok(())
    }
}

fn wants<V: Visit>(key: &[u8], windows: &[Window], visit: &V) -> Wants {
    if spatial::may_touch(key, windows) { visit.wants(key, windows) } else { Wants::Nothing }
}

/// Says what else will be needed beside the pages that a value lacks: those of the values behind it, as far
/// as the leaves are here, and then the next leaves. So values out of line cost a round trip together.
fn look_ahead<S: PageSource, T>(
    source: &S,
    mut next: impl FnMut() -> Result<Step<Option<Run>>, Error>,
    rest: &mut VecDeque<(Bytes, Value)>,
    wants: impl Fn(&[u8]) -> bool,
    mut frontier: Vec<Cid>,
) -> Result<Step<T>, Error> {
    let mut seen: HashSet<Cid> = frontier.iter().copied().collect();
    let mut looked_at = 0;
    while frontier.len() < MAX_FRONTIER {
        let Some((key, value)) = rest.get(looked_at) else {
            if looked_at >= MAX_AHEAD {
                break;
            }
            match next()? {
                Step::Ready(Some(run)) => rest.extend(run.pairs()),
                Step::Ready(None) => break,
                Step::Missing(cids) => {
                    frontier.extend(cids.into_iter().filter(|cid| seen.insert(*cid)));
                    break;
                }
            }
            continue;
        };
        looked_at += 1;
        if matches!(value, Value::Linked(..))
            && wants(key)
            && let Step::Missing(cids) = ReadValue::new(value.clone()).step(source)?
        {
            frontier.extend(cids.into_iter().filter(|cid| seen.insert(*cid)));
        }
    }
    frontier.truncate(MAX_FRONTIER);
    Ok(Step::Missing(frontier))
}

/// Names the record that is damaged at a spatial key.
pub(crate) fn damaged(key: &[u8]) -> impl FnOnce(crate::entry::EntryError) -> Error {
    let element = spatial::element_of(key);
    move |source| match element {
        Some(element) => Error::Entry { element, source },
        None => Error::Key { tree: "spatial" },
    }
}

/// Walks over the pairs of a tree with their values, wherever these are kept.
#[derive(Debug)]
pub(crate) struct PairsOf {
    scan: Scan,
    rest: VecDeque<(Bytes, Value)>,
    reading: Option<(Bytes, ReadValue)>,
}

impl PairsOf {
    pub(crate) fn new(scan: Scan) -> Self {
        Self { scan, rest: VecDeque::new(), reading: None }
    }

    /// Returns the next pair; `None` at the end.
    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<(Bytes, Bytes)>>, Error> {
        loop {
            if let Some((key, mut value)) = self.reading.take() {
                return match value.step(source)? {
                    Step::Ready(bytes) => Ok(Step::Ready(Some((key, bytes)))),
                    Step::Missing(cids) => {
                        self.reading = Some((key, value));
                        let next = || Ok(self.scan.step(source)?);
                        look_ahead(source, next, &mut self.rest, |_| true, cids)
                    }
                };
            }
            match self.rest.pop_front() {
                Some((key, Value::Inline(bytes))) => return Ok(Step::Ready(Some((key, bytes)))),
                Some((key, value)) => self.reading = Some((key, ReadValue::new(value))),
                None => match self.scan.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(None) => return Ok(Step::Ready(None)),
                    Step::Ready(Some(run)) => self.rest.extend(run.pairs()),
                },
            }
        }
    }
}

/// Looks up the heads of elements, in order; those that never existed are passed over.
#[derive(Debug)]
pub(crate) struct HeadsOf(PairsOf);

impl HeadsOf {
    pub(crate) fn new(heads: Tree, elements: impl IntoIterator<Item = ElementId>) -> Self {
        let keys = elements.into_iter().map(keys::element).collect();
        Self(PairsOf::new(Scan::prefixes(heads, keys)))
    }

    /// Looks up the heads of all elements of a kind, from an id on.
    pub(crate) fn of_kind(heads: Tree, kind: Kind, from: u64) -> Self {
        let mut range = KeyRange::prefix(&[kind.code()]);
        range.from = Bytes::copy_from_slice(&keys::element(ElementId::new(kind, from)));
        Self(PairsOf::new(Scan::new(heads, vec![range])))
    }

    /// Looks up the heads of all elements behind one.
    pub(crate) fn behind(heads: Tree, last: Option<ElementId>) -> Self {
        let from = last.map(|last| [&keys::element(last)[..], &[0]].concat()).unwrap_or_default();
        let range = KeyRange { from: from.into(), to: None };
        Self(PairsOf::new(Scan::new(heads, vec![range])))
    }

    /// Returns the next element and the value of its heads; `None` at the end.
    pub(crate) fn step<S>(&mut self, source: &S) -> Result<Step<Option<(ElementId, Bytes)>>, Error>
    where
        S: PageSource,
    {
        Ok(match self.0.step(source)? {
            Step::Missing(cids) => Step::Missing(cids),
            Step::Ready(None) => Step::Ready(None),
            Step::Ready(Some((key, value))) => {
                let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
                Step::Ready(Some((element, value)))
            }
        })
    }
}
