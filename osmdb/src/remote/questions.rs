//! The questions that a dataset which is not here answers: those of a [`Snapshot`](crate::Snapshot).

use prolly::PageStore;

use super::answering::Answer;
use super::answers::Answers;
use super::ask::{Ask, AskNearest};
use super::origin::PageOrigin;
use super::reader::{Remote, RemoteError};
use crate::db::{Feature, Head, Neighbour, Revision};
use crate::entry::Version;
use crate::filter::Filter;
use crate::model::{BBox, Coord, ElementId};

impl<O: PageOrigin, C: PageStore> Remote<O, C> {
    /// Returns all heads of an element: see [`Snapshot::get`](crate::Snapshot::get).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.get(node).await?, db.get(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn get(&self, element: ElementId) -> Result<Vec<Head>, RemoteError> {
        let heads = self.first(Ask::Get(vec![element]), Answer::heads).await?;
        Ok(heads.unwrap_or_default())
    }

    /// Gives the heads of elements, by id, each once; those that never existed are passed over. Costs one
    /// round per level for all together.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, ElementId, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut heads = remote.get_many([ElementId::way(1), node, node]);
    /// assert_eq!(heads.next().await.transpose()?, Some(db.get(node)?));
    /// assert!(heads.next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn get_many(&self, elements: impl IntoIterator<Item = ElementId>) -> Answers<'_, O, C, Vec<Head>> {
        let mut elements: Vec<ElementId> = elements.into_iter().collect();
        elements.sort_unstable();
        elements.dedup();
        Answers::new(self, Ask::Get(elements), Answer::heads)
    }

    /// Returns one version of an element: see [`Snapshot::version`](crate::Snapshot::version).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let first = db.get(node)?.remove(0);
    /// db.delete(node)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.version(node, first.version).await?, Some(first));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn version(&self, element: ElementId, version: Version) -> Result<Option<Head>, RemoteError> {
        self.first(Ask::Version(element, version), Answer::version).await
    }

    /// Returns all versions of an element, causes before effects: see
    /// [`Snapshot::history`](crate::Snapshot::history).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.delete(node)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.history(node).await?, db.snapshot().history(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn history(&self, element: ElementId) -> Result<Vec<Revision>, RemoteError> {
        Ok(self.first(Ask::History(element), Answer::history).await?.unwrap_or_default())
    }

    /// Returns which ways and relations name an element: see [`Snapshot::refs`](crate::Snapshot::refs).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.refs(node).await?, [way]);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn refs(&self, element: ElementId) -> Result<Vec<ElementId>, RemoteError> {
        Ok(self.first(Ask::Refs(element), Answer::refs).await?.unwrap_or_default())
    }

    /// Finds what touches a box: see [`Snapshot::query`](crate::Snapshot::query). Nothing is asked before the
    /// first [`next`](Answers::next).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # for value in ["peak", "spring"] {
    /// #     let tags = Tags::from([("natural", value)]);
    /// #     db.create(Payload::Node { coord: Coord::new(0, 0)?, tags })?;
    /// # }
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut peaks = remote.query("-1,-1,1,1".parse()?).filter(&"natural=peak".parse()?);
    /// assert!(peaks.next().await.transpose()?.is_some());
    /// assert!(peaks.next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub const fn query(&self, bbox: BBox) -> Answers<'_, O, C, Feature> {
        Answers::new(self, Ask::Query(bbox, Filter::new()), Answer::feature)
    }

    /// Counts the elements that touch a box and pass a filter: see
    /// [`Query::count_elements`](crate::Query::count_elements).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, Filter, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.count("-1,-1,1,1".parse()?, &Filter::new()).await?, 1);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn count(&self, bbox: BBox, filter: &Filter) -> Result<u64, RemoteError> {
        Ok(self.first(Ask::Count(bbox, filter.clone()), Answer::count).await?.unwrap_or_default())
    }

    /// Answers the map call of the OSM API: the live heads of all elements, nodes, ways, relations, each by
    /// id. See [`Snapshot::map`](crate::Snapshot::map).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut map = remote.map("-1,-1,1,1".parse()?);
    /// assert_eq!(map.next().await.transpose()?, Some(db.get(node)?));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub const fn map(&self, bbox: BBox) -> Answers<'_, O, C, Vec<Head>> {
        Answers::new(self, Ask::Map(bbox), Answer::heads)
    }

    /// Finds what is nearest to a place and passes a filter, the nearest first, and no more than so many:
    /// see [`Snapshot::nearest`](crate::Snapshot::nearest).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let well = Payload::Node { coord: Coord::new(0, 90)?, tags: Tags::from([("amenity", "well")]) };
    /// # db.create(well)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut wells = remote.nearest(Coord::new(0, 0)?, &"amenity=well".parse()?, 1).within(500.0);
    /// assert_eq!(wells.next().await.unwrap()?.metres.round(), 1.0);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn nearest(&self, from: Coord, filter: &Filter, at_most: u32) -> Answers<'_, O, C, Neighbour> {
        let ask = Ask::Nearest(AskNearest { from, filter: filter.clone(), within: None, at_most });
        Answers::new(self, ask, Answer::neighbour)
    }

    /// Finds what passes a filter, anywhere: see [`Snapshot::find`](crate::Snapshot::find).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let well = Payload::Node { coord: Coord::new(0, 90)?, tags: Tags::from([("amenity", "well")]) };
    /// # db.create(well)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert!(remote.search(&"amenity=well".parse()?).next().await.is_some());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn search(&self, filter: &Filter) -> Answers<'_, O, C, Feature> {
        Answers::new(self, Ask::Search(filter.clone()), Answer::feature)
    }

    /// Brings all pages that a question touches into the cache, and returns how many parts its answer has.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Ask, Coord, Db, PackOrigin, Payload, Remote, Snapshot, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// remote.bring(Ask::Get(vec![node])).await?;
    /// // What was brought can be asked for as often as one likes, with nobody to ask.
    /// assert_eq!(Snapshot::open(remote.cache(), remote.root())?.get(node)?, db.get(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn bring(&self, ask: Ask) -> Result<u64, RemoteError> {
        let mut parts = 0;
        let mut running = self.begin(&ask)?;
        while self.go_on(&ask, &mut running).await?.is_some() {
            parts += 1;
        }
        Ok(parts)
    }

    async fn first<T>(&self, ask: Ask, take: fn(Answer) -> Option<T>) -> Result<Option<T>, RemoteError> {
        let mut running = self.begin(&ask)?;
        Ok(self.go_on(&ask, &mut running).await?.and_then(take))
    }
}
