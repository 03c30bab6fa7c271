//! Which sections lead from one root to another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prolly::Cid;

use super::scan::{Scan, Section};
use crate::entry::Author;
use crate::error::Error;

/// Where a section stands: the file, and its place in it.
pub(super) type Place = (usize, usize);

/// A section with all its parts.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) base: Cid,
    pub(super) root: Cid,
    pub(super) author: Author,
    pub(super) parts: Vec<Place>,
    /// It was found to be no good.
    pub(super) failed: bool,
    /// Its entries are here.
    pub(super) done: bool,
}

/// How to come to the end of a section.
pub(super) enum Chain {
    /// By these sections, in order.
    Found(Vec<usize>),
    /// Not at all, from any of these; this root is the one furthest back.
    Stuck { base: Cid, links: Vec<usize> },
}

/// All sections of some files.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) all: Vec<Link>,
    /// Sections of which parts are missing.
    pub(super) partial: BTreeSet<Place>,
}

type PartKey = (Author, Cid, Cid, i64, u32);

const fn key(section: &Section, part: u32) -> PartKey {
    let head = &section.head;
    (head.author, head.base, head.root, head.time, part)
}

impl Links {
    /// Puts sections together that stand in several files.
    pub(super) fn find(files: &[Scan]) -> Self {
        let sections = || {
            let numbered = files.iter().enumerate();
            numbered.flat_map(|(file, scan)| {
                scan.sections.iter().enumerate().map(move |(place, section)| ((file, place), section))
            })
        };
        let parts: BTreeMap<PartKey, (Place, &Section)> = sections()
            .filter(|(_, section)| section.head.part > 0)
            .map(|(place, section)| (key(section, section.head.part), (place, section)))
            .collect();
        let mut partial: BTreeSet<Place> = parts.values().map(|(place, _)| *place).collect();
        let mut all = Vec::new();
        for (place, section) in sections().filter(|(_, section)| section.head.part == 0) {
            let (mut found, mut last, mut part) = (vec![place], section, 0);
            while last.end.more {
                part += 1;
                let Some((place, next)) = parts.get(&key(section, part)) else { break };
                found.push(*place);
                last = next;
            }
            if last.end.more {
                partial.extend(found);
                continue;
            }
            found.iter().for_each(|place| {
                partial.remove(place);
            });
            let head = &section.head;
            let (base, root, author) = (head.base, head.root, head.author);
            all.push(Link { base, root, author, parts: found, failed: false, done: false });
        }
        Self { all, partial }
    }

    /// Notes which sections' entries are here: those that led to a root that is, each by the word of its own
    /// author alone.
    pub(super) fn mark(&mut self, is_known: impl Fn(&Link) -> bool) {
        let mut leading: BTreeMap<(Author, Cid), Vec<usize>> = BTreeMap::new();
        for (place, link) in self.all.iter().enumerate() {
            leading.entry((link.author, link.root)).or_default().push(place);
        }
        let mut found: Vec<usize> = Vec::new();
        for (place, link) in self.all.iter().enumerate() {
            if link.done || is_known(link) {
                found.push(place);
            }
        }
        let mut seen: BTreeSet<usize> = found.iter().copied().collect();
        while let Some(place) = found.pop() {
            let Some(link) = self.all.get_mut(place) else { continue };
            link.done = true;
            let before = leading.get(&(link.author, link.base)).into_iter().flatten();
            found.extend(before.filter(|place| seen.insert(**place)));
        }
    }

    /// Finds the sections that lead to the end of one, from a root that is had already, as few as can be.
    pub(super) fn chain(
        &self,
        target: usize,
        mut is_had: impl FnMut(&Cid) -> Result<bool, Error>,
    ) -> Result<Chain, Error> {
        let mut makers: BTreeMap<Cid, Vec<usize>> = BTreeMap::new();
        for (place, link) in self.all.iter().enumerate().filter(|(_, link)| !link.failed) {
            makers.entry(link.root).or_default().push(place);
        }
        let mut after: BTreeMap<usize, Option<usize>> = BTreeMap::from([(target, None)]);
        let mut queue = VecDeque::from([target]);
        let mut last = None;
        while let Some(place) = queue.pop_front() {
            let Some(link) = self.all.get(place) else { break };
            if is_had(&link.base)? {
                let mut chain = vec![place];
                let mut here = place;
                while let Some(Some(next)) = after.get(&here) {
                    chain.push(*next);
                    here = *next;
                }
                return Ok(Chain::Found(chain));
            }
            last = Some(link.base);
            for maker in makers.get(&link.base).into_iter().flatten() {
                if !after.contains_key(maker) {
                    after.insert(*maker, Some(place));
                    queue.push_back(*maker);
                }
            }
        }
        let base = last.unwrap_or_else(|| Cid::of(b""));
        Ok(Chain::Stuck { base, links: after.into_keys().collect() })
    }

    /// Returns all roots to which sections lead from this one.
    pub(super) fn reachable(&self, start: Cid) -> BTreeSet<Cid> {
        let mut from: BTreeMap<Cid, Vec<Cid>> = BTreeMap::new();
        for link in self.all.iter().filter(|link| !link.failed) {
            from.entry(link.base).or_default().push(link.root);
        }
        let (mut found, mut queue) = (BTreeSet::from([start]), vec![start]);
        while let Some(root) = queue.pop() {
            queue.extend(from.get(&root).into_iter().flatten().filter(|root| found.insert(**root)));
        }
        found
    }
}
