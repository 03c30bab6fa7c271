//! Comparing leaves pair by pair.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::segment::{Scope, Segment, Stretch};
use super::{Change, Side};
use crate::cid::Cid;
use crate::error::Error;
use crate::page::{Page, Value};
use crate::store::PageSource;

/// Leaves of both sides that are being compared.
#[derive(Debug)]
pub(super) struct Leaves {
    left: Line,
    right: Line,
}

/// The leaves of one side: those to come, and the open one with the pairs that are left of it.
#[derive(Debug)]
pub(crate) struct Line {
    next: VecDeque<Stretch>,
    open: Option<(Page, Range<usize>)>,
}

/// How far a comparison came.
pub(super) enum Progress {
    Change(Change),
    /// A leaf is used up: the next one must be opened.
    Opening,
    Done,
}

impl Leaves {
    pub(super) fn new(segment: Segment) -> Self {
        Self { left: Line::new(segment.left), right: Line::new(segment.right) }
    }

    /// Opens the next leaf where the open one is used up. `false`: it is missing.
    pub(super) fn open<S: PageSource + ?Sized>(&mut self, source: &S, scope: &Scope) -> Result<bool, Error> {
        Ok(self.left.open(source, scope)? && self.right.open(source, scope)?)
    }

    /// Returns the addresses of the leaves to come.
    pub(super) fn to_open(&self) -> impl Iterator<Item = Cid> {
        self.left.to_open().chain(self.right.to_open())
    }

    /// Compares on to the next change that is of interest.
    pub(super) fn next(&mut self, only: Option<Side>) -> Progress {
        loop {
            let (Some((a, i)), Some((b, j))) = (&mut self.left.open, &mut self.right.open) else {
                return self.rest(only);
            };
            // Most pairs are the same on both sides: nothing is taken out of the leaves for them.
            let shared = a.pairs_shared(i.clone(), b, j.clone());
            if shared > 0 {
                self.left.skip(shared);
                self.right.skip(shared);
                if self.left.must_open() || self.right.must_open() {
                    return Progress::Opening;
                }
                continue;
            }
            let order = a.key(i.start).cmp(b.key(j.start));
            let unwanted = match only {
                Some(Side::Left) => order.is_gt(),
                Some(Side::Right) => order.is_lt(),
                None => false,
            };
            if unwanted {
                let passed = if order.is_lt() { &mut self.left } else { &mut self.right };
                passed.skip(1);
                if passed.must_open() {
                    return Progress::Opening;
                }
                continue;
            }
            let key = if order.is_le() { a.key_bytes(i.start) } else { b.key_bytes(j.start) };
            let left = if order.is_le() { self.left.take() } else { None };
            let right = if order.is_ge() { self.right.take() } else { None };
            return Progress::Change(Change { key, left, right });
        }
    }

    /// Goes on where at most one side has an open leaf.
    fn rest(&mut self, only: Option<Side>) -> Progress {
        let done = match only {
            Some(Side::Left) => self.left.is_done(),
            Some(Side::Right) => self.right.is_done(),
            None => self.left.is_done() && self.right.is_done(),
        };
        if done {
            return Progress::Done;
        }
        if self.left.must_open() || self.right.must_open() {
            return Progress::Opening;
        }
        let (left, right) = (self.left.key(), self.right.key());
        let Some(key) = left.clone().or(right) else { return Progress::Done };
        let (left, right) = if left.is_some() { (self.left.take(), None) } else { (None, self.right.take()) };
        Progress::Change(Change { key, left, right })
    }
}

impl Line {
    pub(crate) fn new(leaves: Vec<Stretch>) -> Self {
        Self { next: leaves.into(), open: None }
    }

    /// Returns the addresses of the leaves to come.
    pub(crate) fn to_open(&self) -> impl Iterator<Item = Cid> {
        self.next.iter().flat_map(Stretch::cids)
    }

    /// Returns the open leaf, and the pairs that are left of it.
    pub(crate) const fn at(&self) -> Option<&(Page, Range<usize>)> {
        self.open.as_ref()
    }

    pub(crate) fn must_open(&self) -> bool {
        self.open.is_none() && !self.next.is_empty()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.open.is_none() && self.next.is_empty()
    }

    pub(crate) fn open<S: PageSource + ?Sized>(&mut self, source: &S, scope: &Scope) -> Result<bool, Error> {
        while self.open.is_none()
            && let Some(stretch) = self.next.front_mut()
        {
            let Some(page) = stretch.open_first(source, &scope.config)? else { return Ok(false) };
            if stretch.is_used_up() || matches!(stretch, Stretch::Root(_)) {
                self.next.pop_front();
            }
            let pairs = match &scope.range {
                None => 0..page.len(),
                Some(range) => {
                    let end = range.to.as_ref().map_or(page.len(), |to| page.lower_bound(to));
                    page.lower_bound(&range.from)..end
                }
            };
            self.open = Some((page, pairs)).filter(|(_, pairs)| !pairs.is_empty());
        }
        Ok(true)
    }

    pub(crate) fn key(&self) -> Option<Bytes> {
        self.open.as_ref().map(|(page, pairs)| page.key_bytes(pairs.start))
    }

    /// Takes the next value, and closes the leaf after its last.
    pub(crate) fn take(&mut self) -> Option<Value> {
        let (page, pairs) = self.open.as_mut()?;
        let value = page.value(pairs.start);
        self.skip(1);
        value
    }

    /// Passes over pairs of the open leaf, and closes it after its last.
    pub(crate) fn skip(&mut self, passed: usize) {
        if let Some((_, pairs)) = &mut self.open {
            pairs.start += passed;
            if pairs.start == pairs.end {
                self.open = None;
            }
        }
    }
}
