//! The areas that features are.

use std::collections::{BTreeMap, BTreeSet};

use prolly::PageSource;

use super::diff::shown;
use super::{Feature, Head, Snapshot};
use crate::area::{AreaError, MAX_AREA_SEGMENTS, Polygon, assemble, is_area, is_area_relation};
use crate::error::Error;
use crate::model::{Coord, ElementId, Kind, Member, Payload};
use crate::views::derive::shown_coord;
use crate::views::spatial::Geometry;

/// Whether a feature is an area, and which. [`Snapshot::area`] tells, and has an example.
///
/// ```
/// use osmdb::{Area, Db};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("map.osm");
/// # std::fs::write(&path, "<osm><node id='1' lat='1' lon='1'/><relation id='7'>
/// #     <member type='node' ref='1' role='label'/><member type='way' ref='5' role='outer'/>
/// #     <tag k='type' v='multipolygon'/></relation></osm>")?;
/// # let db = Db::in_memory("osm")?;
/// # db.import(&[&path], |_, _| {})?;
/// let snapshot = db.snapshot();
/// let clipped = snapshot.query("0,0,9,9".parse()?).last().unwrap()?;
/// let text = match snapshot.area(&clipped)? {
///     Area::NotOne => "a point or a line".to_owned(),
///     Area::Polygons(polygons) => format!("{} polygons", polygons.len()),
///     Area::Broken(why) => why.to_string(),
/// };
/// assert_eq!(text, "way/5 is not here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Area {
    /// It is none: a point, a line, a relation of another type.
    NotOne,
    /// It is one.
    Polygons(Vec<Polygon>),
    /// Its tags say that it is one, but its lines bound none.
    Broken(AreaError),
}

impl From<Result<Vec<Polygon>, AreaError>> for Area {
    fn from(assembled: Result<Vec<Polygon>, AreaError>) -> Self {
        assembled.map_or_else(Self::Broken, Self::Polygons)
    }
}

impl<S: PageSource> Snapshot<S> {
    /// Returns the area that a feature is, if it is one: a way that ends where it begins and whose tags
    /// [say so](is_area), or a relation whose [type](is_area_relation) says so. Of relations all ways count,
    /// whatever their roles; a relation that is not here whole is broken. A way whose line lacks places that
    /// are not here is taken as it is.
    ///
    /// A way costs no page; a relation the pages of `heads` that hold its ways and their nodes, and the
    /// memory of their places.
    ///
    /// ```
    /// use osmdb::{Area, Db};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><node id='1' lat='1' lon='1'/><node id='2' lat='1' lon='2'/>
    ///     <node id='3' lat='2' lon='2'/><way id='5'><nd ref='1'/><nd ref='2'/><nd ref='3'/></way>
    ///     <way id='6'><nd ref='3'/><nd ref='1'/></way><relation id='7'><tag k='type' v='multipolygon'/>
    ///     <member type='way' ref='5' role='outer'/><member type='way' ref='6' role=''/></relation></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let snapshot = db.snapshot();
    /// let lake = snapshot.query("0,0,9,9".parse()?).last().unwrap()?;
    /// let Area::Polygons(polygons) = snapshot.area(&lake)? else { panic!("no area") };
    /// assert_eq!(polygons[0].outer.len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn area(&self, feature: &Feature) -> Result<Area, Error> {
        match &feature.geometry {
            Geometry::Line(line) if is_ring(line) && is_area(&feature.tags) => {
                Ok(assemble([line.as_slice()]).into())
            }
            Geometry::Members if is_area_relation(&feature.tags) => self.area_of(&feature.members),
            _ => Ok(Area::NotOne),
        }
    }

    /// Returns the area that the ways among some members bound.
    fn area_of(&self, members: &[Member]) -> Result<Area, Error> {
        // A way that is there twice is a mistake, not a reason for it to cancel out.
        let ways: BTreeSet<ElementId> =
            members.iter().map(|member| member.element).filter(|element| element.kind == Kind::Way).collect();
        let mut lines: Vec<(ElementId, Vec<u64>)> = Vec::with_capacity(ways.len());
        let (mut nodes, mut size) = (BTreeSet::new(), 0_usize);
        for heads in self.heads_among(&ways) {
            let heads = heads?;
            let Some(Head { entry, .. }) = shown(&heads) else { continue };
            if let Some(Payload::Way { refs, .. }) = &entry.payload {
                size = size.saturating_add(refs.len());
                if size > MAX_AREA_SEGMENTS {
                    return Ok(Area::Broken(AreaError::TooComplex));
                }
                nodes.extend(refs);
                lines.push((entry.element, refs.clone()));
            }
        }
        let is_there = |way: &&ElementId| lines.binary_search_by_key(*way, |(way, _)| *way).is_ok();
        if let Some(way) = ways.iter().find(|way| !is_there(way)) {
            return Ok(Area::Broken(AreaError::Missing(*way)));
        }
        let mut places: BTreeMap<u64, Coord> = BTreeMap::new();
        for head in self.heads_of(nodes.into_iter().map(ElementId::node)) {
            let (element, value) = head?;
            if let Some(coord) = shown_coord(element, &value)? {
                places.insert(element.id, coord);
            }
        }
        let coord = |id: &u64| places.get(id).copied().ok_or(AreaError::Missing(ElementId::node(*id)));
        let line = |(_, refs): &(ElementId, Vec<u64>)| refs.iter().map(coord).collect::<Result<Vec<_>, _>>();
        let lines: Result<Vec<Vec<Coord>>, AreaError> = lines.iter().map(line).collect();
        Ok(lines.and_then(|lines| assemble(lines.iter().map(Vec::as_slice))).into())
    }
}

/// Tells whether a line ends where it begins, and may enclose something.
fn is_ring(line: &[Coord]) -> bool {
    line.len() > 3 && line.first() == line.last()
}
