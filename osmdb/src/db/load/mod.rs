//! Filling an empty database: all trees are built from sorted streams, side by side.
//!
//! Entries are sorted by element, on disk if they are many. One thread walks over them and builds the
//! log (`heads` and `history`), and sorts and builds `changes`. Another one walks over the ways and
//! relations for the references; when these are sorted, a third thread builds `refs`, while the second
//! walks over all of them once more, side by side with the references to nodes and ways, sorts the pairs of
//! the spatial tree and of `tags`, and builds both side by side. Entries are looked at as they are encoded
//! and not decoded, unless an element has several.
//!
//! What comes out is what [`apply`](super::apply) makes of the same entries, root for root; it derives
//! the spatial tree and `tags` from pages, and this here from streams.

mod groups;
mod log;
mod places;
mod read;
mod records;
mod reload;
mod sorter;
mod spatial;
mod tags;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};

use prolly::{Builder, Config, PageSink, Tree};

pub(crate) use self::groups::{Body, Groups, body_of, record_of};
pub(crate) use self::read::read;
pub(crate) use self::reload::{is_worth_it, reload};
use self::sorter::Merge;
pub(crate) use self::sorter::{Sorted, Sorter};
use super::apply::Applied;
use crate::entry::{Glance, glance};
use crate::error::Error;
use crate::model::{ElementId, Kind};
use crate::root::{Root, Trees};
use crate::views::keys::{self, ELEMENT_BYTES, REFERENCE_BYTES};

/// Entries take at most about so many bytes of memory while they are sorted; more go to files.
const ENTRIES_BYTES: usize = 64 << 20;

/// So do the keys of each of the refs, changes and tags trees, and the pairs of the spatial tree.
const PAIRS_BYTES: usize = 48 << 20;

/// So do the places of nodes.
const PLACES_BYTES: usize = 24 << 20;

/// The places of so many of the ways' nodes are looked up at once; they take 36 bytes each meanwhile.
const WANTED_NODES: usize = 1 << 18;

/// Where what does not fit into memory goes, and how much memory there is.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    /// A directory for files that nobody needs after the import. `None`: all stays in memory.
    dir: Option<PathBuf>,
    entries: usize,
    pairs: usize,
    places: usize,
    wanted: usize,
}

impl Scratch {
    pub(crate) const fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, entries: ENTRIES_BYTES, pairs: PAIRS_BYTES, places: PLACES_BYTES, wanted: WANTED_NODES }
    }

    pub(crate) const fn entries(&self) -> usize {
        self.entries
    }
}

/// Returns how many threads can run at once.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Adds sorted entries to an empty database; new pages go to the store, nothing is committed.
pub(crate) fn load<S: PageSink + Sync>(
    store: &S,
    empty: &Root,
    entries: &Sorted<ELEMENT_BYTES>,
    scratch: &Scratch,
) -> Result<Applied, Error> {
    let config = empty.trees.heads.config;
    let views = || {
        let references = references(entries, scratch)?;
        beside(
            || spatial::build(store, config, entries, &references, scratch),
            || build::<S, REFERENCE_BYTES>(store, config, &references),
        )
    };
    let (((spatial, tags), refs), log) = beside(views, || log::build(store, config, entries, scratch))?;
    let trees = Trees { heads: log.heads, history: log.history, spatial, refs, changes: log.changes, tags };
    let root = Root { name: empty.name.clone(), trees, counts: log.counts };
    Ok(Applied { root, gained: log.counts.entries, forked: log.forked })
}

/// Does two things at the same time. Neither changes what the other reads: pages that are there stay.
pub(super) fn beside<A, B: Send>(
    first: impl FnOnce() -> Result<A, Error>,
    second: impl FnOnce() -> Result<B, Error> + Send,
) -> Result<(A, B), Error> {
    thread::scope(|scope| {
        let second = scope.spawn(second);
        let (first, second) = (first(), joined(second));
        Ok((first?, second?))
    })
}

/// Waits for the end of a thread. None is let go instead (`pthread_detach`): glibc 2.36 may look at one that ends just
/// then when its memory is another thread's already, whose `pthread_join` fails later.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Builds a tree from sorted pairs, of which equal ones may come several times.
fn build<S: PageSink, const N: usize>(store: &S, config: Config, pairs: &Sorted<N>) -> Result<Tree, Error> {
    let mut builder = Builder::new(store, config)?;
    let mut pairs = pairs.iter()?;
    let mut before = None;
    while let Some((key, value)) = pairs.next()? {
        if before != Some(*key) {
            builder.push(key, value)?;
            before = Some(*key);
        }
    }
    Ok(builder.finish()?)
}

/// Gathers the references of all live heads. One may come several times.
fn references(entries: &Sorted<ELEMENT_BYTES>, scratch: &Scratch) -> Result<Sorted<REFERENCE_BYTES>, Error> {
    let mut sorter = Sorter::new(scratch, scratch.pairs);
    let mut groups = Groups::from_kind(entries, Kind::Way)?;
    while let Some(group) = groups.next()? {
        let source = group.element;
        if let [body] = group.bodies {
            note_references(&mut sorter, source, &body.bytes)?;
        } else {
            for head in group.resolve()?.heads {
                note_references(&mut sorter, source, &head.body)?;
            }
        }
    }
    sorter.finish()
}

fn note_references(
    sorter: &mut Sorter<REFERENCE_BYTES>,
    source: ElementId,
    body: &[u8],
) -> Result<(), Error> {
    let damaged = || Error::entry(source);
    match glance(source.kind, body).map_err(damaged())? {
        Glance::Way(mut refs) => {
            while let Some(id) = refs.next().map_err(damaged())? {
                sorter.push(&keys::reference(ElementId::node(id), source), &[])?;
            }
        }
        Glance::Relation(mut members) => {
            while let Some(member) = members.next().map_err(damaged())? {
                sorter.push(&keys::reference(member, source), &[])?;
            }
        }
        Glance::Deleted | Glance::Node(..) | Glance::Changeset => {}
    }
    Ok(())
}
