//! The entries that one root has and an earlier one has not, element by element, parents first.

use prolly::{Diff, KeyRange, PageSource, Side, read};

use crate::db::parse_history;
use crate::entry::{Known, lineage};
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;
use crate::views::keys;

/// Walks over what differs between the logs of two roots.
///
/// An entry of the newer root is missing in the older one if it is a head that was none, or history that
/// was not and no head before: what is history stays history.
pub(crate) struct Additions {
    heads: Diff,
    history: Diff,
    /// The next element with other heads: those before, and those now.
    head: Option<(ElementId, Vec<Known>, Vec<Known>)>,
    replaced: Option<Known>,
}

impl Additions {
    /// Begins at an element, or at the first.
    pub(crate) fn new(older: &Root, newer: &Root, from: Option<ElementId>) -> Result<Self, Error> {
        let from = from.map(keys::element).unwrap_or_default();
        let range = || KeyRange { from: bytes::Bytes::copy_from_slice(&from), to: None };
        let heads = Diff::new(older.trees.heads, newer.trees.heads)?.within(range());
        let history = Diff::new(older.trees.history, newer.trees.history)?.within(range()).only(Side::Right);
        Ok(Self { heads, history, head: None, replaced: None })
    }

    fn read_head<S: PageSource>(&mut self, source: &S) -> Result<(), Error> {
        if self.head.is_some() {
            return Ok(());
        }
        let Some(change) = self.heads.step(source)?.complete()? else { return Ok(()) };
        let element = keys::parse_element(&change.key).ok_or(Error::Key { tree: "heads" })?;
        let decode =
            |value| Known::decode_heads(element, &read(source, value)?).map_err(Error::entry(element));
        let before = change.left.map(decode).transpose()?.unwrap_or_default();
        let now = change.right.map(decode).transpose()?.unwrap_or_default();
        self.head = Some((element, before, now));
        Ok(())
    }

    fn read_replaced<S: PageSource>(&mut self, source: &S) -> Result<(), Error> {
        while self.replaced.is_none() {
            let Some(change) = self.history.step(source)?.complete()? else { break };
            if let Some(value) = change.right {
                self.replaced = Some(parse_history((change.key, read(source, value)?))?);
            }
        }
        Ok(())
    }

    /// Returns the next element that has entries which are missing in the older root.
    pub(crate) fn next<S: PageSource>(
        &mut self,
        source: &S,
    ) -> Result<Option<(ElementId, Vec<Known>)>, Error> {
        loop {
            self.read_head(source)?;
            self.read_replaced(source)?;
            let replaced = self.replaced.as_ref().map(|known| known.entry.element);
            let head = self.head.as_ref().map(|(element, ..)| *element);
            let Some(element) = head.into_iter().chain(replaced).min() else { return Ok(None) };
            let (mut before, mut new) = (Vec::new(), Vec::new());
            if let Some((_, older, newer)) = self.head.take_if(|(found, ..)| *found == element) {
                before = older;
                new = newer;
            }
            while let Some(known) = self.replaced.take_if(|known| known.entry.element == element) {
                new.push(known);
                self.read_replaced(source)?;
            }
            new.retain(|known| before.iter().all(|older| older.version != known.version));
            if !new.is_empty() {
                return Ok(Some((element, parents_first(new))));
            }
        }
    }
}

/// Orders entries of one element such that none comes before one that it replaces.
pub(crate) fn parents_first(entries: Vec<Known>) -> Vec<Known> {
    if entries.len() < 2 {
        return entries;
    }
    let order = lineage(&entries).order;
    let mut entries: Vec<Option<Known>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| entries.get_mut(place)?.take()).collect()
}
