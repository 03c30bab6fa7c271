//! Building a database anew from what it holds and what is new, where that costs less than to change it.

use std::sync::Arc;

use prolly::{KeyRange, PageSink, PageSource};

use super::groups::join;
use super::{Scratch, Sorted, Sorter, load};
use crate::db::Snapshot;
use crate::db::apply::Applied;
use crate::db::snapshot::parse_history;
use crate::entry::{Known, only_head, payload_end};
use crate::error::Error;
use crate::views::keys::{self, ELEMENT_BYTES};

/// A change of an entry costs as much as building so many anew: measured, with few cores.
const ENTRIES_PER_CHANGE: u64 = 5;

/// Tells whether building anew costs less than to change so many entries.
pub(crate) const fn is_worth_it(old_entries: u64, new_entries: u64) -> bool {
    new_entries.saturating_mul(ENTRIES_PER_CHANGE) >= old_entries
}

/// Adds sorted entries to a database, some of which it may have; new pages go to the store, nothing is
/// committed. Costs reading the log, and building all trees; pages that are there are not written again.
pub(crate) fn reload<S>(
    store: &S,
    old: &Snapshot<&S>,
    new: Arc<Sorted<ELEMENT_BYTES>>,
    scratch: &Scratch,
) -> Result<Applied, Error>
where
    S: PageSource + PageSink + Sync,
{
    let all = Sorted::Several(vec![Arc::new(heads(old, scratch)?), Arc::new(history(old, scratch)?), new]);
    let mut applied = load(store, old.root(), &all, scratch)?;
    applied.gained = applied.gained.saturating_sub(old.root().counts.entries);
    let mut forked = Vec::new();
    for element in applied.forked {
        if old.get(element)?.len() < 2 {
            forked.push(element);
        }
    }
    applied.forked = forked;
    Ok(applied)
}

/// Takes the heads out of their tree.
fn heads<S: PageSource>(old: &Snapshot<&S>, scratch: &Scratch) -> Result<Sorted<ELEMENT_BYTES>, Error> {
    let mut sorter = Sorter::new(scratch, scratch.entries / 2);
    for pair in old.root().trees.heads.ranges(*old.source(), vec![KeyRange::all()]) {
        let (key, value) = pair?;
        let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
        let damaged = || Error::entry(element);
        let key = keys::element(element);
        if let Some(body) = only_head(&value) {
            let end = payload_end(element.kind, body).map_err(damaged())?;
            sorter.push(&key, &join(end, body))?;
        } else {
            for known in Known::decode_heads(element, &value).map_err(damaged())? {
                sorter.push(&key, &join(known.encoded().payload_end, &known.body))?;
            }
        }
    }
    sorter.finish()
}

/// Takes all other entries out of their tree.
fn history<S: PageSource>(old: &Snapshot<&S>, scratch: &Scratch) -> Result<Sorted<ELEMENT_BYTES>, Error> {
    let mut sorter = Sorter::new(scratch, scratch.entries / 2);
    for pair in old.root().trees.history.ranges(*old.source(), vec![KeyRange::all()]) {
        let known = parse_history(pair?)?;
        let key = keys::element(known.entry.element);
        sorter.push(&key, &join(known.encoded().payload_end, &known.body))?;
    }
    sorter.finish()
}
