//! Answering a question in steps, over any source of pages.
//!
//! Whoever asks and whoever serves run the same: the one to know which pages it lacks, the other to know
//! which it has to send.

use prolly::{KeyRange, PageSource, Scan, Step};

use super::ask::{Ask, AskError, AskNearest};
use crate::db::count::Count;
use crate::db::find::{FindHistory, FindRefs, FindVersion};
use crate::db::map::FindMap;
use crate::db::nearest::FindNearest;
use crate::db::places::{HeadsOf, PairsOf};
use crate::db::query::Find;
use crate::db::{Feature, Head, Neighbour, Revision};
use crate::entry::Known;
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The heads of an element that has or had some.
    Heads(ElementId, Vec<Head>),
    /// The version that was asked for.
    Version(Head),
    /// All versions of the element, in order.
    History(Vec<Revision>),
    /// What names the element.
    Refs(Vec<ElementId>),
    /// Something in the box, or anywhere.
    Feature(Feature),
    /// How many there are.
    Count(u64),
    /// Something near.
    Neighbour(Neighbour),
    /// A tree was read: its name, and how many pairs it has.
    Tree(&'static str, u64),
}

/// A question that is being answered: knows no source.
#[derive(Debug)]
pub(crate) struct Answering(Phase);

#[derive(Debug)]
enum Phase {
    Heads(HeadsOf, Live),
    Version(FindVersion),
    History(FindHistory),
    Refs(FindRefs),
    Find(Box<Find>),
    Count(Box<Count>),
    Map(Box<FindMap>, Root),
    Nearest(Box<FindNearest>, u32),
    /// Trees from the last to the next: the next one, and how many of its pairs were read.
    Trees(Vec<(&'static str, PairsOf)>, u64),
    Ended,
}

/// Whether only live heads are told of.
type Live = bool;

impl Answering {
    /// Begins to answer a question at a root.
    ///
    /// # Errors
    /// It names a tree that is not there.
    pub(crate) fn new(root: &Root, ask: &Ask) -> Result<Self, AskError> {
        let trees = &root.trees;
        Ok(Self(match ask {
            Ask::Get(elements) => Phase::Heads(HeadsOf::new(trees.heads, elements.iter().copied()), false),
            Ask::Version(element, version) => Phase::Version(FindVersion::new(trees, *element, *version)),
            Ask::History(element) => Phase::History(FindHistory::new(trees, *element)),
            Ask::Refs(element) => Phase::Refs(FindRefs::new(trees, *element)),
            Ask::Query(bbox, filter) => Phase::Find(Box::new(Find::whole(root, Some(*bbox), filter.clone()))),
            Ask::Search(filter) => Phase::Find(Box::new(Find::whole(root, None, filter.clone()))),
            Ask::Count(bbox, filter) => Phase::Count(Box::new(Count::new(root, Some(*bbox), filter.clone()))),
            Ask::Map(bbox) => Phase::Map(Box::new(FindMap::new(trees, *bbox)), root.clone()),
            Ask::Nearest(AskNearest { from, filter, within, at_most }) => {
                let mut find = FindNearest::new(root, *from, filter.clone());
                if let Some(metres) = within {
                    find.within(f64::from(*metres));
                }
                Phase::Nearest(Box::new(find), *at_most)
            }
            Ask::Trees(names) => {
                let all = trees.named();
                let find = |wanted: &String| {
                    let found = all.iter().find(|(name, _)| name == wanted);
                    let (name, tree) = found.ok_or_else(|| AskError::NoTree { name: wanted.clone() })?;
                    Ok((*name, PairsOf::new(Scan::new(*tree, vec![KeyRange::all()]))))
                };
                Phase::Trees(names.iter().rev().map(find).collect::<Result<_, AskError>>()?, 0)
            }
        }))
    }

    /// Returns the next part of the answer; `None` at the end. A question may have an answer without parts.
    ///
    /// # Errors
    /// The source failed, or a page is damaged.
    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Answer>>, Error> {
        loop {
            let (answer, is_last) = match &mut self.0 {
                Phase::Ended => return Ok(Step::Ready(None)),
                Phase::Heads(heads, live) => match heads.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(None) => (None, true),
                    Step::Ready(Some((element, value))) => match heads_of(element, &value, *live)? {
                        heads if heads.is_empty() => continue,
                        heads => (Some(Answer::Heads(element, heads)), false),
                    },
                },
                Phase::Version(find) => match find.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(found) => (found.map(Answer::Version), true),
                },
                Phase::History(find) => match find.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(found) => (Some(Answer::History(found)), true),
                },
                Phase::Refs(find) => match find.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(found) => (Some(Answer::Refs(found)), true),
                },
                Phase::Find(find) => match find.next(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(found) => (found.map(Answer::Feature), false),
                },
                Phase::Count(count) => match count.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(count) => (Some(Answer::Count(count)), true),
                },
                Phase::Map(find, root) => match find.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(()) => {
                        self.0 = Phase::Heads(heads_of_map(find, root), true);
                        continue;
                    }
                },
                Phase::Nearest(_, 0) => (None, true),
                Phase::Nearest(find, left) => match find.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(found) => {
                        *left -= 1;
                        (found.map(Answer::Neighbour), false)
                    }
                },
                Phase::Trees(left, pairs) => {
                    let Some((name, tree)) = left.last_mut() else {
                        self.0 = Phase::Ended;
                        continue;
                    };
                    match tree.step(source)? {
                        Step::Missing(cids) => return Ok(Step::Missing(cids)),
                        Step::Ready(Some(_)) => {
                            *pairs += 1;
                            continue;
                        }
                        Step::Ready(None) => {
                            let answer = Answer::Tree(name, std::mem::take(pairs));
                            left.pop();
                            (Some(answer), false)
                        }
                    }
                }
            };
            if is_last || answer.is_none() {
                self.0 = Phase::Ended;
            }
            return Ok(Step::Ready(answer));
        }
    }
}

fn heads_of(element: ElementId, value: &[u8], live: Live) -> Result<Vec<Head>, Error> {
    let heads = Known::decode_versions(element, value).map_err(Error::entry(element))?;
    let heads = heads.into_iter().filter(|(_, entry)| !live || entry.payload.is_some());
    Ok(heads.map(|(version, entry)| Head { version, entry }).collect())
}

/// Looks up what a map names: nodes, ways, relations.
fn heads_of_map(find: &FindMap, root: &Root) -> HeadsOf {
    let nodes = find.nodes.iter().copied().map(ElementId::node);
    let ways = find.ways.iter().map(|(way, _)| *way);
    let relations = find.relations.iter().copied().map(ElementId::relation);
    HeadsOf::new(root.trees.heads, nodes.chain(ways).chain(relations))
}
