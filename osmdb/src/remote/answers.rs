//! The parts of an answer, one after another.

use prolly::{MemoryStore, PageStore};

use super::answering::Answer;
use super::ask::Ask;
use super::origin::PageOrigin;
use super::reader::{Remote, RemoteError, Running};
use crate::db::{Feature, Head, Neighbour, Revision};
use crate::filter::Filter;

/// The parts of an answer, as they can be told. After an error it ends.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
/// # let dir = tempfile::tempdir()?;
/// # let db = Db::in_memory("osm")?;
/// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// db.publish_to(dir.path())?;
/// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
/// let mut found = remote.query("-1,-1,1,1".parse()?);
/// let mut count = 0;
/// while let Some(feature) = found.next().await {
///     println!("{}", feature?.element);
///     count += 1;
/// }
/// assert_eq!(count, 1);
/// # Ok(())
/// # }
/// # osmdb::block_on(run()).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked before the first part is wanted"]
pub struct Answers<'a, O, C: PageStore = MemoryStore, T = Feature> {
    remote: &'a Remote<O, C>,
    ask: Ask,
    running: Option<Running<'a, C>>,
    ended: bool,
    /// What is farther away ends the answer.
    limit: f64,
    take: fn(Answer) -> Option<T>,
}

impl<'a, O: PageOrigin, C: PageStore, T> Answers<'a, O, C, T> {
    pub(super) const fn new(remote: &'a Remote<O, C>, ask: Ask, take: fn(Answer) -> Option<T>) -> Self {
        Self { remote, ask, running: None, ended: false, limit: f64::INFINITY, take }
    }

    /// Returns the next part; `None` at the end.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert!(remote.query("-1,-1,1,1".parse()?).next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn next(&mut self) -> Option<Result<T, RemoteError>> {
        if self.ended {
            return None;
        }
        let next = self.try_next().await.transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }

    async fn try_next(&mut self) -> Result<Option<T>, RemoteError> {
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(self.remote.begin(&self.ask)?),
        };
        let answer = self.remote.go_on(&self.ask, running).await?;
        let is_too_far = |answer: &Answer| match answer {
            Answer::Neighbour(neighbour) => neighbour.metres > self.limit,
            _ => false,
        };
        Ok(answer.filter(|answer| !is_too_far(answer)).and_then(self.take))
    }
}

impl<O: PageOrigin, C: PageStore> Answers<'_, O, C, Feature> {
    /// Finds only what passes a filter, and what passed the filters before. To be called before the first
    /// part is taken.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert!(remote.query("-1,-1,1,1".parse()?).filter(&"way".parse()?).next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn filter(mut self, filter: &Filter) -> Self {
        if let Ask::Query(_, before) | Ask::Search(before) = &mut self.ask {
            *before = std::mem::take(before).and(filter.clone());
        }
        self.running = None;
        self
    }
}

impl<O: PageOrigin, C: PageStore> Answers<'_, O, C, Neighbour> {
    /// Finds only what is at most so many metres away. To be called before the first part is taken.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, Filter, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let tags = Tags::from([("amenity", "well")]);
    /// # db.create(Payload::Node { coord: Coord::new(0, 90)?, tags })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let here = Coord::new(0, 0)?;
    /// assert!(remote.nearest(here, &Filter::new(), 9).within(0.5).next().await.is_none());
    /// assert!(remote.nearest(here, &Filter::new(), 9).within(1.5).next().await.is_some());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within the bounds, or not asked for"
    )]
    pub fn within(mut self, metres: f64) -> Self {
        self.limit = metres;
        if let Ask::Nearest(ask) = &mut self.ask {
            // Half the way around the globe is 20,016,000 m.
            ask.within = (metres < 20_100_000.0).then(|| metres.max(0.0).ceil() as u32);
        }
        self.running = None;
        self
    }
}

impl Answer {
    pub(super) fn heads(self) -> Option<Vec<Head>> {
        if let Self::Heads(_, heads) = self { Some(heads) } else { None }
    }

    pub(super) fn version(self) -> Option<Head> {
        if let Self::Version(head) = self { Some(head) } else { None }
    }

    pub(super) fn history(self) -> Option<Vec<Revision>> {
        if let Self::History(revisions) = self { Some(revisions) } else { None }
    }

    pub(super) fn refs(self) -> Option<Vec<crate::model::ElementId>> {
        if let Self::Refs(elements) = self { Some(elements) } else { None }
    }

    pub(super) fn feature(self) -> Option<Feature> {
        if let Self::Feature(feature) = self { Some(feature) } else { None }
    }

    pub(super) fn count(self) -> Option<u64> {
        if let Self::Count(count) = self { Some(count) } else { None }
    }

    pub(super) fn neighbour(self) -> Option<Neighbour> {
        if let Self::Neighbour(neighbour) = self { Some(neighbour) } else { None }
    }
}
