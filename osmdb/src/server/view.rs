//! A version of an element as clients see it: with a number, and with one head chosen where there are several.

use prolly::PageSource;

use super::local::FIRST_NUMBER;
use crate::db::{Head, Snapshot, numbers};
use crate::entry::{Entry, Origin, Version, shown_of};
use crate::error::Error;

/// What an imported version counts as whose number nobody knows: clients know none below 1.
pub(crate) const UNKNOWN: u64 = 1;

/// The greatest number of a version that a client reads.
const MAX_NUMBER: u64 = (1 << 31) - 1;

/// The changeset of a version of which nobody knows it: JOSM takes none below 1, and this is neither one of
/// OpenStreetMap nor one of this database.
const NO_CHANGESET: u64 = FIRST_NUMBER;

/// A version of an element as clients see it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) entry: Entry,
    pub(crate) number: u64,
    /// Its hash, where the number alone may not name it.
    pub(crate) hash: Option<Version>,
    /// How many heads the element has, if these are several.
    pub(crate) heads: Option<usize>,
}

impl View {
    /// Returns the heads of one element as clients see them: the one that the map shows, or all of them. Without
    /// a live one, the latest deletion is shown.
    pub(crate) fn of_heads<S: PageSource>(
        snapshot: &Snapshot<S>,
        heads: Vec<Head>,
        all: bool,
    ) -> Result<Vec<Self>, Error> {
        let many = (heads.len() > 1).then_some(heads.len());
        let numbers = snapshot.numbers_of(&heads, UNKNOWN)?;
        let shown = shown(&heads).map(|head| head.version);
        let is_wanted = |head: &Head| all || Some(head.version) == shown;
        let view = |head: Head| Self {
            number: limited(numbers.get(&head.version).copied()),
            hash: (many.is_some() || all).then_some(head.version),
            heads: many,
            entry: head.entry,
        };
        Ok(heads.into_iter().filter(is_wanted).map(view).collect())
    }

    /// Returns the only head of an element as clients see it.
    pub(crate) fn of_single<S: PageSource>(snapshot: &Snapshot<S>, entry: Entry) -> Result<Self, Error> {
        let number = match &entry.origin {
            Origin::Imported(meta) => meta.version.unwrap_or(UNKNOWN),
            Origin::Edited(meta) if meta.links.is_empty() => 1,
            Origin::Edited(meta) => {
                let numbers = numbers(&snapshot.replaced(entry.element)?, UNKNOWN);
                let greatest = meta.links.iter().filter_map(|link| numbers.get(link)).max();
                greatest.map_or(1, |number| number.saturating_add(1))
            }
        };
        Ok(Self { entry, number: limited(Some(number)), hash: None, heads: None })
    }

    /// Returns all versions of an element as clients see them, by number. Where several have one number, the one
    /// that is shown or was, or all of them.
    pub(crate) fn of_history<S: PageSource>(
        snapshot: &Snapshot<S>,
        element: crate::model::ElementId,
        all: bool,
    ) -> Result<Vec<Self>, Error> {
        let heads = snapshot.get(element)?;
        let shown = shown(&heads).map(|head| head.version);
        let many = (heads.len() > 1).then_some(heads.len());
        let mut versions = heads;
        versions.extend(snapshot.replaced(element)?);
        let numbers = numbers(&versions, UNKNOWN);
        let mut views: Vec<(bool, Self)> = Vec::with_capacity(versions.len());
        for Head { version, entry } in versions {
            let number = limited(numbers.get(&version).copied());
            let view = Self { entry, number, hash: Some(version), heads: many };
            views.push((Some(version) == shown, view));
        }
        // The preferred one of each number comes first.
        views.sort_by_key(|(is_shown, view)| {
            (view.number, std::cmp::Reverse((*is_shown, view.entry.timestamp(), view.hash)))
        });
        if !all {
            views.dedup_by_key(|(_, view)| view.number);
            // Then the number names one.
            for (_, view) in &mut views {
                view.hash = view.hash.filter(|_| many.is_some());
            }
        }
        // JOSM reads no history in which a version lacks these, and extracts leave them out.
        for (_, view) in &mut views {
            if let Origin::Imported(meta) = &mut view.entry.origin {
                meta.changeset.get_or_insert(NO_CHANGESET);
                meta.timestamp.get_or_insert(0);
            }
        }
        Ok(views.into_iter().map(|(_, view)| view).collect())
    }
}

/// Returns the head that clients see.
pub(crate) fn shown(heads: &[Head]) -> Option<&Head> {
    let live = shown_of(heads, |head| (head.version, &head.entry));
    live.or_else(|| heads.iter().max_by_key(|head| (head.entry.timestamp(), head.version)))
}

/// Returns a number that clients can read.
pub(crate) fn limited(number: Option<u64>) -> u64 {
    number.unwrap_or(UNKNOWN).clamp(1, MAX_NUMBER)
}
