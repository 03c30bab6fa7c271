//! The elements that have several heads.

use prolly::cbor::Reader;
use prolly::{PageSource, Step};

use super::cursor::{Cursor, CursorError, Listing};
use super::places::HeadsOf;
use super::{Head, Snapshot};
use crate::entry::Known;
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;
use crate::views::keys;

impl<S: PageSource> Snapshot<S> {
    /// Finds all elements with several heads: nodes, ways, relations, changesets, each by id.
    ///
    /// The root says how many there are: so it costs nothing where there is none, and otherwise the pages of
    /// `heads` up to the last of them.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = ours.create(node(1))?;
    /// theirs.merge(&ours.snapshot())?;
    /// ours.put(element, node(2))?;
    /// theirs.put(element, node(3))?;
    /// ours.merge(&theirs.snapshot())?;
    /// let forks: Vec<Vec<_>> = ours.snapshot().forks().collect::<Result<_, _>>()?;
    /// assert_eq!(forks.len(), 1);
    /// assert_eq!(forks[0].len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn forks(&self) -> Forks<&S> {
        Forks { source: self.source(), root: self.root().clone(), find: FindForks::new(self.root(), None) }
    }
}

/// Finds elements with several heads, in steps; or, as an iterator over the heads of each, where all pages
/// are at hand. After an error it ends.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags, Write};
/// # let db = Db::in_memory("osm")?;
/// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
/// # let element = db.create(node(1))?;
/// # let first = db.get(element)?[0].version;
/// # db.put(element, node(2))?;
/// # // Somebody who knows only the first version edits too.
/// # let mut batch = db.batch();
/// # batch.push(Write::put(element, node(3)).replacing([first]));
/// # batch.commit()?;
/// // Somebody has edited an element without knowing of our edit of it.
/// let forks = db.snapshot().forks().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(forks.len(), 1);
/// assert!(forks[0].iter().all(|head| head.entry.element == element));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Forks<S> {
    source: S,
    root: Root,
    find: FindForks,
}

impl<S> Forks<S> {
    /// Goes on where [`save`](Self::save) was called, at the same root. Costs no page of those that were read
    /// before.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags, Write};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// # let element = db.create(node(1))?;
    /// # let first = db.get(element)?[0].version;
    /// # db.put(element, node(2))?;
    /// # // Somebody who knows only the first version edits too.
    /// # let mut batch = db.batch();
    /// # batch.push(Write::put(element, node(3)).replacing([first]));
    /// # batch.commit()?;
    /// let snapshot = db.snapshot();
    /// let mut forks = snapshot.forks();
    /// let begin = forks.save();
    /// assert_eq!(forks.by_ref().take(10).count(), 1);
    /// assert_eq!(snapshot.forks().after(&forks.save())?.count(), 0);
    /// assert_eq!(snapshot.forks().after(&begin)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The cursor belongs to another root or listing, or is damaged.
    pub fn after(mut self, cursor: &Cursor) -> Result<Self, CursorError> {
        let place = cursor.place(Listing::Forks, self.root.cid(), &[])?;
        let (seen, key) = place.split_first_chunk().ok_or(CursorError::Place)?;
        let seen = u64::from_be_bytes(*seen);
        let last = match key {
            [] => None,
            key => Some((seen, keys::parse_element(key).ok_or(CursorError::Place)?)),
        };
        self.find = FindForks::new(&self.root, last);
        Ok(self)
    }

    /// Says where the listing is: behind the last element that was handed out. Costs no page.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let snapshot = db.snapshot();
    /// let cursor = snapshot.forks().save();
    /// assert_eq!(cursor.root(), db.root());
    /// assert!(snapshot.forks().after(&cursor).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn save(&self) -> Cursor {
        let key = self.find.last.map(keys::element);
        let place =
            [&self.find.seen.to_be_bytes()[..], key.as_ref().map_or(&[][..], |key| &key[..])].concat();
        Cursor::new(Listing::Forks, self.root.cid(), &[], place)
    }
}

impl<S: PageSource> Iterator for Forks<S> {
    type Item = Result<Vec<Head>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.find.step(&self.source).and_then(|step| Ok(step.complete()?));
        if next.is_err() {
            self.find.left = 0;
        }
        next.transpose()
    }
}

/// The search itself: knows no source.
#[derive(Debug)]
struct FindForks {
    heads: HeadsOf,
    /// How many there are behind.
    left: u64,
    /// How many were handed out, and the last one.
    seen: u64,
    last: Option<ElementId>,
}

impl FindForks {
    fn new(root: &Root, last: Option<(u64, ElementId)>) -> Self {
        let (seen, last) = last.map_or((0, None), |(seen, last)| (seen, Some(last)));
        let heads = HeadsOf::behind(root.trees.heads, last);
        Self { heads, left: root.counts.forks.saturating_sub(seen), seen, last }
    }

    fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Vec<Head>>>, Error> {
        while self.left > 0 {
            let (element, value) = match self.heads.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(None) => break,
                Step::Ready(Some(pair)) => pair,
            };
            // Nearly every element has one head, which need not be decoded to see that.
            if Reader::new(&value).array() == Ok(1) {
                continue;
            }
            let heads = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
            (self.seen, self.left, self.last) = (self.seen + 1, self.left - 1, Some(element));
            return Ok(Step::Ready(Some(heads.into_iter().map(Head::from).collect())));
        }
        Ok(Step::Ready(None))
    }
}
