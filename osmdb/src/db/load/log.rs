//! The trees `heads`, `history` and `changes`, and what the root counts.

use prolly::{Builder, Config, PageSink, Tree};

use super::groups::Group;
use super::{Groups, Scratch, Sorted, Sorter, build as build_sorted};
use crate::entry::{Known, ONE_HEAD, is_deleted, version_of};
use crate::error::Error;
use crate::model::{ElementId, Kind};
use crate::root::Counts;
use crate::views::keys::{self, CHANGE_BYTES, ELEMENT_BYTES};

/// What follows from the entries of each element for itself.
pub(super) struct Log {
    pub(super) heads: Tree,
    pub(super) history: Tree,
    pub(super) changes: Tree,
    pub(super) counts: Counts,
    pub(super) forked: Vec<ElementId>,
}

pub(super) fn build<S: PageSink>(
    store: &S,
    config: Config,
    entries: &Sorted<ELEMENT_BYTES>,
    scratch: &Scratch,
) -> Result<Log, Error> {
    let mut writer = Writer {
        heads: Builder::new(store, config)?,
        history: Builder::new(store, config)?,
        changes: Sorter::new(scratch, scratch.pairs),
        counts: Counts::EMPTY,
        forked: Vec::new(),
        value: Vec::new(),
    };
    let mut groups = Groups::new(entries)?;
    while let Some(group) = groups.next()? {
        writer.add(&group)?;
    }
    let changes = writer.changes.finish()?;
    Ok(Log {
        heads: writer.heads.finish()?,
        history: writer.history.finish()?,
        changes: build_sorted(store, config, &changes)?,
        counts: writer.counts,
        forked: writer.forked,
    })
}

struct Writer<'a, S> {
    heads: Builder<&'a S>,
    history: Builder<&'a S>,
    changes: Sorter<CHANGE_BYTES>,
    counts: Counts,
    forked: Vec<ElementId>,
    value: Vec<u8>,
}

impl<S: PageSink> Writer<'_, S> {
    fn add(&mut self, group: &Group<'_>) -> Result<(), Error> {
        let element = group.element;
        let [body] = group.bodies else { return self.add_several(group) };
        self.value.clear();
        self.value.push(ONE_HEAD);
        self.value.extend_from_slice(&body.bytes);
        self.heads.push(&keys::element(element), &self.value)?;
        let changeset = body.encoded().changeset().map_err(Error::entry(element))?;
        if let Some(changeset) = changeset {
            let version = version_of(element, &body.bytes);
            self.changes.push(&keys::change(changeset, element, &version), &[])?;
        }
        self.count(element.kind, 1, 1, !is_deleted(&body.bytes));
        Ok(())
    }

    fn add_several(&mut self, group: &Group<'_>) -> Result<(), Error> {
        let element = group.element;
        let resolved = group.resolve()?;
        for known in &resolved.replaced {
            self.history.push(&keys::history(element, &known.version), &known.body)?;
        }
        self.heads.push(&keys::element(element), &Known::encode_heads(resolved.heads.iter()))?;
        for known in resolved.heads.iter().chain(&resolved.replaced) {
            if let Some(changeset) = known.entry.changeset() {
                self.changes.push(&keys::change(changeset, element, &known.version), &[])?;
            }
        }
        let is_live = resolved.heads.iter().any(|known| known.entry.payload.is_some());
        if resolved.heads.len() > 1 {
            self.forked.push(element);
        }
        self.count(
            element.kind,
            resolved.heads.len() + resolved.replaced.len(),
            resolved.heads.len(),
            is_live,
        );
        Ok(())
    }

    fn count(&mut self, kind: Kind, entries: usize, heads: usize, is_live: bool) {
        let counts = &mut self.counts;
        counts.entries += entries as u64;
        counts.forks += u64::from(heads > 1);
        *match kind {
            _ if !is_live => &mut counts.deleted,
            Kind::Node => &mut counts.nodes,
            Kind::Way => &mut counts.ways,
            Kind::Relation => &mut counts.relations,
            Kind::Changeset => &mut counts.changesets,
        } += 1;
    }
}
