//! Changesets for those who ask for several, or for one of which there are only the edits.

use prolly::PageSource;

use super::{Head, Snapshot};
use crate::entry::Author;
use crate::error::Error;
use crate::model::{BBox, ElementId, Kind};
use crate::views::keys;

/// What the edits of a changeset say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// When the first and the last of them were made, in seconds since 1970, if that is known.
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    /// One of them.
    pub(crate) sample: Option<Head>,
}

/// What decides whether an edit may be added to a changeset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangesetState {
    /// When it was opened and closed, in seconds since 1970.
    pub(crate) opened: Option<i64>,
    pub(crate) closed: Option<i64>,
    /// How many versions belong to it.
    pub(crate) versions: u64,
    /// Who opened it, if anybody says so.
    pub(crate) author: Option<Author>,
}

impl<S: PageSource> Snapshot<S> {
    /// Returns how a changeset stands that was opened in a database. Costs the pages of its own versions, however
    /// many edits it has.
    pub(crate) fn changeset_state(&self, id: u64) -> Result<Option<ChangesetState>, Error> {
        let Some((_, closed)) = self.changeset_payload(id)? else { return Ok(None) };
        let element = ElementId::new(Kind::Changeset, id);
        let mut own = self.get(element)?;
        own.extend(self.replaced(element)?);
        let first = own.iter().min_by_key(|head| (head.entry.timestamp(), head.version));
        Ok(Some(ChangesetState {
            opened: first.and_then(|head| head.entry.timestamp()),
            closed: closed.map(|closed| closed.at),
            versions: self.count_changes(id)?,
            author: first.and_then(|head| head.entry.author()),
        }))
    }

    /// Returns the ids of all changesets that were opened in a database, in order. Costs the pages of `heads`
    /// that hold them.
    pub(crate) fn changeset_ids(&self) -> Result<Vec<u64>, Error> {
        let pairs = self.root().trees.heads.prefix(self.source(), [Kind::Changeset.code()]);
        pairs.map(|pair| Ok(keys::parse_element(&pair?.0).ok_or(Error::Key { tree: "heads" })?.id)).collect()
    }

    /// Returns who opened a changeset, if anybody says so. Costs the pages of its versions.
    pub(crate) fn changeset_author(&self, id: u64) -> Result<Option<Author>, Error> {
        let element = ElementId::new(Kind::Changeset, id);
        let mut versions = self.get(element)?;
        versions.extend(self.replaced(element)?);
        let first = versions.iter().min_by_key(|head| (head.entry.timestamp(), head.version));
        Ok(first.and_then(|head| head.entry.author()))
    }

    /// Returns what the edits of a changeset touch, and how many there are. Costs the pages of these and of all
    /// that they name.
    pub(crate) fn changeset_extent(&self, id: u64) -> Result<(Option<BBox>, u64), Error> {
        self.touched(id)
    }

    /// Returns when the edits of a changeset were made. Costs the pages of these.
    pub(crate) fn changeset_span(&self, id: u64) -> Result<Span, Error> {
        let mut span = Span::default();
        for head in self.changes(id) {
            let head = head?;
            if let Some(time) = head.entry.timestamp() {
                span.first = Some(span.first.map_or(time, |first| first.min(time)));
                span.last = Some(span.last.map_or(time, |last| last.max(time)));
            }
            span.sample.get_or_insert(head);
        }
        Ok(span)
    }
}
