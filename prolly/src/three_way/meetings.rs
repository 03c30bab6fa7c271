//! Where the right tree of three differs from the tree that both sides grew from, and what it meets on the
//! left.
//!
//! As for the difference of two trees, the keys are cut into segments that begin and end at the same key
//! in all three trees. A segment drops out where the right side changed nothing, or the same as the left
//! one; where only the right side changed much it is a splice, and is not looked into.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::diff::leaves::Line;
use crate::diff::segment::{Scope, Stretch, Walk, open_all, shared};
use crate::error::Error;
use crate::page::{Page, Value};
use crate::patchwork::Splice;
use crate::step::{Frontier, Step, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// So many leaves side by side that only the right side changed are taken over unread; of fewer, only
/// the pairs: the pages around the ends of a splice must be cut anew.
const SPLICED_LEAVES: usize = 8;

/// So many branches of one level side by side are.
const SPLICED_BRANCHES: usize = 2;

/// A key that the right side changed.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) key: Bytes,
    pub(super) base: Option<Value>,
    pub(super) left: Option<Value>,
    pub(super) right: Option<Value>,
}

/// What is found.
#[derive(Debug)]
pub(super) enum Found {
    Meeting(Meeting),
    Splice(Splice),
}

/// Walks over three trees.
#[derive(Debug)]
pub(super) struct Meetings {
    /// The base, the left tree, the right one.
    trees: [Tree; 3],
    scope: Scope,
    /// May stretches of the right tree be taken over unread?
    splices: bool,
    begun: bool,
    queue: VecDeque<Todo>,
    leaves: Option<[Line; 3]>,
}

#[derive(Debug)]
enum Todo {
    Segment(Segment),
    Splice(Splice),
}

/// A stretch of keys, and the subtrees that cover it in each tree: all on one level on each side.
#[derive(Debug, Default)]
struct Segment {
    sides: [Vec<Stretch>; 3],
    after: Option<Bytes>,
    last: Option<Bytes>,
}

impl Meetings {
    pub(super) fn new(base: Tree, left: Tree, right: Tree, splices: bool) -> Self {
        let scope = Scope { config: base.config, range: None, only: None };
        let trees = [base, left, right];
        Self { trees, scope, splices, begun: false, queue: VecDeque::new(), leaves: None }
    }

    /// Walks on to what is found next, in order of keys; `None` at the end.
    pub(super) fn step<S>(&mut self, source: &S) -> Result<Step<Option<Found>>, Error>
    where
        S: PageSource + ?Sized,
    {
        if !self.begun
            && let Some(frontier) = self.begin(source)?
        {
            return Ok(frontier.into_step());
        }
        loop {
            if let Some(lines) = &mut self.leaves {
                for line in lines.iter_mut() {
                    if !line.open(source, &self.scope)? {
                        return self.missing(source);
                    }
                }
                match next(lines) {
                    Progress::Meeting(meeting) => return Ok(Step::Ready(Some(Found::Meeting(meeting)))),
                    Progress::Opening => continue,
                    Progress::Done => self.leaves = None,
                }
            }
            let segment = match self.queue.pop_front() {
                None => return Ok(Step::Ready(None)),
                Some(Todo::Splice(splice)) => return Ok(Step::Ready(Some(Found::Splice(splice)))),
                Some(Todo::Segment(segment)) => segment,
            };
            if segment.level() == 0 {
                self.leaves = Some(segment.sides.map(Line::new));
                continue;
            }
            match self.expand(&segment, source)? {
                Some(parts) => parts.into_iter().rev().for_each(|part| self.queue.push_front(part)),
                None => {
                    self.queue.push_front(Todo::Segment(segment));
                    return self.missing(source);
                }
            }
        }
    }

    fn begin<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Option<Frontier>, Error> {
        let mut frontier = Frontier::default();
        let mut roots: Vec<Page> = Vec::with_capacity(3);
        for tree in &self.trees {
            match open_root(source, &tree.config, &tree.root)? {
                Some(page) => roots.push(page),
                None => frontier.add(tree.root),
            }
        }
        let Ok([base, left, right]) = <[Page; 3]>::try_from(roots) else { return Ok(Some(frontier)) };
        // Seams are looked for on every level of both trees.
        self.splices &= left.level() == right.level() && !left.is_empty() && !right.is_empty();
        let whole = |page: Page| Vec::from_iter((!page.is_empty()).then_some(Stretch::Root(page)));
        let sides = [base, left, right].map(whole);
        self.queue.extend(split(&sides, None, None, self.splices));
        self.begun = true;
        Ok(None)
    }

    /// Opens the highest subtrees of a segment, and splits what comes out. `None`: a page is missing.
    fn expand<S>(&self, segment: &Segment, source: &S) -> Result<Option<Vec<Todo>>, Error>
    where
        S: PageSource + ?Sized,
    {
        let level = segment.level();
        let mut opened = [const { Vec::new() }; 3];
        for (side, opened) in segment.sides.iter().zip(&mut opened) {
            *opened = if Stretch::level_of(side) == Some(level) {
                let Some(pages) = open_all(side, source, &self.scope)? else { return Ok(None) };
                pages
            } else {
                side.clone()
            };
        }
        Ok(Some(split(&opened, segment.after.clone(), segment.last.clone(), self.splices)))
    }

    /// Opens every branch that is here, and reports all pages that are missing.
    fn missing<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Found>>, Error> {
        let mut frontier = Frontier::default();
        for cid in self.leaves.iter().flatten().flat_map(Line::to_open) {
            if !source.contains(&cid)? {
                frontier.add(cid);
            }
        }
        let mut kept = VecDeque::with_capacity(self.queue.len());
        while let Some(todo) = self.queue.pop_front() {
            if frontier.is_full() {
                kept.push_back(todo);
                kept.append(&mut self.queue);
                break;
            }
            if let Todo::Segment(segment) = &todo {
                let expanded = if segment.level() == 0 { None } else { self.expand(segment, source)? };
                if let Some(parts) = expanded {
                    parts.into_iter().rev().for_each(|part| self.queue.push_front(part));
                    continue;
                }
                for cid in segment.to_open() {
                    if !source.contains(&cid)? {
                        frontier.add(cid);
                    }
                }
            }
            kept.push_back(todo);
        }
        self.queue = kept;
        Ok(frontier.into_step())
    }
}

impl Segment {
    /// Returns the level of the highest subtrees.
    fn level(&self) -> u8 {
        self.sides.iter().filter_map(|side| Stretch::level_of(side)).max().unwrap_or(0)
    }

    /// Returns the addresses of what is to be opened next.
    fn to_open(&self) -> impl Iterator<Item = crate::cid::Cid> {
        let level = self.level();
        let highest = self.sides.iter().filter(move |side| Stretch::level_of(side) == Some(level));
        highest.flatten().flat_map(Stretch::cids)
    }

    fn same(&self, one: usize, other: usize) -> bool {
        let cids = |side: usize| self.sides.get(side).into_iter().flatten().flat_map(Stretch::cids);
        cids(one).eq(cids(other))
    }

    /// Tells whether the right side changed something here, and not just what the left one did.
    fn matters(&self) -> bool {
        !self.same(BASE, RIGHT) && !self.same(LEFT, RIGHT)
    }
}

const BASE: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;

/// Cuts a stretch of keys wherever subtrees of all three trees end at the same key, drops what does not
/// matter, and unites what only the right side changed to splices.
fn split(sides: &[Vec<Stretch>; 3], after: Option<Bytes>, last: Option<Bytes>, splices: bool) -> Vec<Todo> {
    let mut parts: Vec<Segment> = Vec::new();
    let mut part = Segment { after, ..Segment::default() };
    let mut walks = sides.each_ref().map(|side| Walk::new(side));
    loop {
        if let [Some(base), Some(left), Some(right)] = walks.each_ref().map(|walk| walk.at) {
            let run = shared(base, left).min(shared(base, right));
            if run > 0 {
                // What was gathered ends before the run: nothing stands between.
                let end = Some(base.0.last_bytes(base.1 + run - 1));
                walks.iter_mut().for_each(|walk| walk.pass(run));
                let before = part.last.clone();
                finish(&mut part, before, &mut parts);
                part.after = end;
                continue;
            }
        }
        let lasts = walks.each_ref().map(|walk| walk.at.map(|(stretch, place)| stretch.last(place)));
        let Some(least) = lasts.iter().flatten().min().copied() else { break };
        let aligned = lasts.iter().flatten().all(|last| *last == least);
        let end = walks.iter().find_map(|walk| {
            let (stretch, place) = walk.at?;
            (stretch.last(place) == least).then(|| stretch.last_bytes(place))
        });
        for ((walk, side), key) in walks.iter_mut().zip(&mut part.sides).zip(lasts) {
            if key == Some(least) {
                walk.gather(side);
            }
        }
        part.last.clone_from(&end);
        if aligned {
            let end = part.last.clone();
            finish(&mut part, end, &mut parts);
        }
    }
    finish(&mut part, last, &mut parts);
    if splices { spliced(parts) } else { parts.into_iter().map(Todo::Segment).collect() }
}

/// Adds a segment to the others, if it matters; the next one begins where it ends.
fn finish(part: &mut Segment, last: Option<Bytes>, parts: &mut Vec<Segment>) {
    let next = Segment { after: last.clone(), ..Segment::default() };
    let mut done = std::mem::replace(part, next);
    done.last = last;
    if done.matters() {
        parts.push(done);
    }
}

/// Unites neighbours that only the right side changed to splices, if they are many.
fn spliced(parts: Vec<Segment>) -> Vec<Todo> {
    let mut todo = Vec::with_capacity(parts.len());
    let mut run: Vec<Segment> = Vec::new();
    let end = |run: &mut Vec<Segment>, todo: &mut Vec<Todo>| {
        let subtrees = |segment: &Segment| segment.sides[RIGHT].iter().map(Stretch::len).sum::<usize>();
        let amount: usize = run.iter().map(|segment| subtrees(segment).max(1)).sum();
        let enough = match run.first().map(Segment::level) {
            Some(0) => SPLICED_LEAVES,
            _ => SPLICED_BRANCHES,
        };
        match (run.first(), run.last()) {
            (Some(first), Some(last)) if amount >= enough => {
                todo.push(Todo::Splice(Splice { after: first.after.clone(), last: last.last.clone() }));
                run.clear();
            }
            _ => todo.extend(run.drain(..).map(Todo::Segment)),
        }
    };
    for part in parts {
        let follows = run.last().is_none_or(|before| before.last.is_some() && before.last == part.after);
        if !follows {
            end(&mut run, &mut todo);
        }
        if part.same(BASE, LEFT) {
            run.push(part);
        } else {
            end(&mut run, &mut todo);
            todo.push(Todo::Segment(part));
        }
    }
    end(&mut run, &mut todo);
    todo
}

enum Progress {
    Meeting(Meeting),
    /// A leaf is used up: the next one must be opened.
    Opening,
    Done,
}

/// Compares leaves pair by pair.
fn next(lines: &mut [Line; 3]) -> Progress {
    loop {
        if lines.iter().any(Line::must_open) {
            return Progress::Opening;
        }
        if let [Some(base), Some(left), Some(right)] = lines.each_ref().map(Line::at) {
            let run = |(a, i): &(Page, std::ops::Range<usize>), (b, j): &(Page, std::ops::Range<usize>)| {
                a.pairs_shared(i.clone(), b, j.clone())
            };
            let run = run(base, left).min(run(base, right));
            if run > 0 {
                lines.iter_mut().for_each(|line| line.skip(run));
                continue;
            }
        }
        let Some(key) = lines.iter().filter_map(Line::key).min() else { return Progress::Done };
        let [base, left, right] = lines.each_mut().map(|line| {
            let here = line.key().is_some_and(|other| other == key);
            if here { line.take() } else { None }
        });
        if right != base && right != left {
            return Progress::Meeting(Meeting { key, base, left, right });
        }
    }
}
