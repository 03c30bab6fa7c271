//! Stretches of keys, and the subtrees of both trees that cover them.

use std::ops::Range;

use bytes::Bytes;

use crate::cid::Cid;
use crate::config::Config;
use crate::error::Error;
use crate::page::Page;
use crate::range::KeyRange;
use crate::step::{Bound, open_child};
use crate::store::PageSource;

use super::Side;

/// Subtrees of one tree that stand side by side, all on one level.
#[derive(Debug, Clone)]
pub(crate) enum Stretch {
    /// The whole tree.
    Root(Page),
    /// Some children of a branch.
    Children {
        branch: Page,
        children: Range<usize>,
        /// All keys of the branch are behind this one.
        after: Option<Bound>,
    },
}

impl Stretch {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Root(_) => 1,
            Self::Children { children, .. } => children.len(),
        }
    }

    fn level(&self) -> u8 {
        match self {
            Self::Root(page) => page.level(),
            Self::Children { branch, .. } => branch.level().saturating_sub(1),
        }
    }

    pub(crate) fn last(&self, place: usize) -> &[u8] {
        match self {
            Self::Root(page) => page.key(page.len() - 1),
            Self::Children { branch, children, .. } => branch.key(children.start + place),
        }
    }

    pub(crate) fn last_bytes(&self, place: usize) -> Bytes {
        match self {
            Self::Root(page) => page.key_bytes(page.len() - 1),
            Self::Children { branch, children, .. } => branch.key_bytes(children.start + place),
        }
    }

    /// Returns the level of subtrees that stand side by side. `None`: there are none.
    pub(crate) fn level_of(side: &[Self]) -> Option<u8> {
        side.first().map(Self::level)
    }

    /// Returns the key behind which a subtree begins.
    fn after(&self, place: usize) -> Option<Bound> {
        match self {
            Self::Root(_) => None,
            Self::Children { branch, children, after } => match (children.start + place).checked_sub(1) {
                Some(before) => Some((branch.clone(), before)),
                None => after.clone(),
            },
        }
    }

    fn cid(&self, place: usize) -> Option<Cid> {
        match self {
            Self::Root(page) => Some(*page.cid()),
            Self::Children { branch, children, .. } => branch.child(children.start + place),
        }
    }

    fn part(&self, places: Range<usize>) -> Self {
        match self {
            Self::Root(page) => Self::Root(page.clone()),
            Self::Children { branch, children, after } => {
                let children = children.start + places.start..children.start + places.end;
                Self::Children { branch: branch.clone(), children, after: after.clone() }
            }
        }
    }

    fn open<S>(&self, place: usize, source: &S, config: &Config) -> Result<Option<Page>, Error>
    where
        S: PageSource + ?Sized,
    {
        match self {
            Self::Root(page) => Ok(Some(page.clone())),
            Self::Children { branch, children, after } => {
                let after = after.as_ref().map(|(branch, index)| branch.key(*index));
                open_child(source, config, branch, children.start + place, after)
            }
        }
    }

    /// Opens the first subtree and takes it off. `None`: it is missing.
    pub(crate) fn open_first<S>(&mut self, source: &S, config: &Config) -> Result<Option<Page>, Error>
    where
        S: PageSource + ?Sized,
    {
        let page = self.open(0, source, config)?;
        if let (Some(_), Self::Children { children, .. }) = (&page, self) {
            children.start += 1;
        }
        Ok(page)
    }

    /// Tells whether this is no subtree at all any more.
    pub(crate) fn is_used_up(&self) -> bool {
        self.len() == 0
    }

    /// Returns the addresses of all its subtrees.
    pub(crate) fn cids(&self) -> impl Iterator<Item = Cid> {
        (0..self.len()).filter_map(|place| self.cid(place))
    }
}

/// Has the pages of many segments on their way from memory at once, before one is waited for.
pub(crate) fn foresee<'a>(stretches: impl Iterator<Item = &'a Stretch> + Clone) {
    let children = stretches.filter_map(|stretch| match stretch {
        Stretch::Root(_) => None,
        Stretch::Children { branch, children, .. } => Some((branch, children)),
    });
    children.clone().for_each(|(branch, children)| branch.foresee_pages(children.clone()));
    children.for_each(|(branch, children)| branch.foresee_bytes(children.clone()));
}

/// What is compared, and what is of interest.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) config: Config,
    /// `None`: all keys.
    pub(crate) range: Option<KeyRange>,
    /// Only what this side has.
    pub(crate) only: Option<Side>,
}

impl Scope {
    fn meets(&self, stretch: &Stretch, place: usize) -> bool {
        self.range.as_ref().is_none_or(|range| {
            let begins = |(branch, index): Bound| !range.ends_with(branch.key(index));
            range.from <= stretch.last(place) && stretch.after(place).is_none_or(begins)
        })
    }
}

/// A stretch of keys, and the subtrees that cover it: all on one level on each side.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) left: Vec<Stretch>,
    pub(crate) right: Vec<Stretch>,
}

impl Segment {
    pub(crate) fn is_leaves(&self) -> bool {
        let level = |side: &[Stretch]| side.first().map_or(0, Stretch::level);
        level(&self.left) == 0 && level(&self.right) == 0
    }

    /// Tells which sides are to be opened next: the higher one, or both. `None` sorts lowest.
    fn higher(&self) -> (bool, bool) {
        let (left, right) = (Stretch::level_of(&self.left), Stretch::level_of(&self.right));
        (left >= right && left.is_some(), right >= left && right.is_some())
    }

    /// Returns the addresses of what is to be opened next.
    pub(crate) fn to_open(&self) -> impl Iterator<Item = Cid> {
        let (left, right) = self.higher();
        let left = self.left.iter().filter(move |_| left);
        left.chain(self.right.iter().filter(move |_| right)).flat_map(Stretch::cids)
    }

    /// Opens the higher side, or both, and splits what comes out. `None`: a page is missing.
    pub(crate) fn expand<S>(&self, source: &S, scope: &Scope) -> Result<Option<Vec<Self>>, Error>
    where
        S: PageSource + ?Sized,
    {
        let (open_left, open_right) = self.higher();
        let left = if open_left { open_all(&self.left, source, scope)? } else { None };
        let right = if open_right { open_all(&self.right, source, scope)? } else { None };
        if (open_left && left.is_none()) || (open_right && right.is_none()) {
            return Ok(None);
        }
        let (left, right) = (left.as_ref().unwrap_or(&self.left), right.as_ref().unwrap_or(&self.right));
        Ok(Some(split(left, right, scope)))
    }

    /// Adds the segment to the others, if something in it is of interest. Where one side is empty,
    /// every subtree stands for itself.
    fn finish(&mut self, parts: &mut Vec<Self>, only: Option<Side>) {
        let Self { left, right } = std::mem::take(self);
        if right.is_empty() && only != Some(Side::Right) {
            parts.extend(singles(&left).map(|left| Self { left: vec![left], right: Vec::new() }));
        } else if left.is_empty() && only != Some(Side::Left) {
            parts.extend(singles(&right).map(|right| Self { left: Vec::new(), right: vec![right] }));
        } else if !left.is_empty() && !right.is_empty() {
            parts.push(Self { left, right });
        }
    }
}

fn singles(stretches: &[Stretch]) -> impl Iterator<Item = Stretch> {
    stretches.iter().flat_map(|stretch| (0..stretch.len()).map(|place| stretch.part(place..place + 1)))
}

/// Opens all of these branches. `None`: one is missing.
pub(crate) fn open_all<S>(side: &[Stretch], source: &S, scope: &Scope) -> Result<Option<Vec<Stretch>>, Error>
where
    S: PageSource + ?Sized,
{
    let mut opened = Vec::with_capacity(side.len());
    for stretch in side {
        for place in 0..stretch.len() {
            let Some(branch) = stretch.open(place, source, &scope.config)? else { return Ok(None) };
            let children = 0..branch.len();
            opened.push(Stretch::Children { branch, children, after: stretch.after(place) });
        }
    }
    Ok(Some(opened))
}

/// Walks over the subtrees of one side.
pub(crate) struct Walk<'a> {
    side: std::slice::Iter<'a, Stretch>,
    pub(crate) at: Option<(&'a Stretch, usize)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(side: &'a [Stretch]) -> Self {
        let mut side = side.iter();
        Self { at: side.next().map(|first| (first, 0)), side }
    }

    /// Passes over some subtrees of the present stretch.
    pub(crate) fn pass(&mut self, subtrees: usize) {
        if let Some((stretch, place)) = &mut self.at {
            *place += subtrees;
            if *place >= stretch.len() {
                self.at = self.side.next().map(|next| (next, 0));
            }
        }
    }

    /// Passes over the present subtree, and gathers it if it is of interest.
    fn take(&mut self, gathered: &mut Vec<Stretch>, scope: &Scope) {
        match self.at {
            Some((stretch, place)) if scope.meets(stretch, place) => self.gather(gathered),
            _ => self.pass(1),
        }
    }

    /// Gathers the present subtree.
    pub(crate) fn gather(&mut self, gathered: &mut Vec<Stretch>) {
        let Some((stretch, place)) = self.at else { return };
        self.pass(1);
        match (gathered.last_mut(), stretch) {
            (
                Some(Stretch::Children { branch: last, children: taken, .. }),
                Stretch::Children { branch, children, .. },
            ) if last.cid() == branch.cid() && taken.end == children.start + place => taken.end += 1,
            _ => gathered.push(stretch.part(place..place + 1)),
        }
    }
}

/// Returns how many subtrees from here on are the same on both sides. What has the same address is the
/// same, whatever the branches say of it.
pub(crate) fn shared(left: (&Stretch, usize), right: (&Stretch, usize)) -> usize {
    match (left, right) {
        (
            (Stretch::Children { branch: a, children: i, .. }, left),
            (Stretch::Children { branch: b, children: j, .. }, right),
        ) => a.items_shared(i.start + left..i.end, b, j.start + right..j.end),
        ((a, left), (b, right)) => usize::from(a.cid(left) == b.cid(right)),
    }
}

/// Cuts a stretch of keys wherever a subtree on the left and one on the right end at the same key,
/// and drops the subtrees that both sides share.
pub(crate) fn split(left: &[Stretch], right: &[Stretch], scope: &Scope) -> Vec<Segment> {
    let mut parts = Vec::new();
    let mut part = Segment::default();
    let (mut left, mut right) = (Walk::new(left), Walk::new(right));
    loop {
        let order = match (left.at, right.at) {
            (Some(a), Some(b)) => {
                let shared = shared(a, b);
                if shared > 0 {
                    left.pass(shared);
                    right.pass(shared);
                    part.finish(&mut parts, scope.only);
                    continue;
                }
                a.0.last(a.1).cmp(b.0.last(b.1))
            }
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        if order.is_le() {
            left.take(&mut part.left, scope);
        }
        if order.is_ge() {
            right.take(&mut part.right, scope);
        }
        if order.is_eq() {
            part.finish(&mut parts, scope.only);
        }
    }
    part.finish(&mut parts, scope.only);
    parts
}
