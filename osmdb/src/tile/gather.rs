//! Making one tile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use prolly::PageSource;
use prost::Message;

use super::classes::{self, BY_TAG_BELOW, Class, Layer, NODES_BELOW, Shape};
use super::clip;
use super::grid::{Grid, MAX_ZOOM, Point, TileId};
use super::mvt::{self, GeometryKind, Pen, TileMessage, Value};
use super::relations::{Relations, Shown, ShownBy};
use super::simplify;
use crate::area::{Polygon, is_area};
use crate::db::Snapshot;
use crate::db::places::{Part, Places, Visit, Wants, damaged};
use crate::db::query::meets;
use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{Coord, ElementId, Kind, Tags};
use crate::views::spatial::{self, Geometry};

/// No tile is longer than this, in bytes: what matters least is left out. A dense quarter of a city at
/// [`MAX_ZOOM`] has some 300 kB.
///
/// ```
/// assert_eq!(osmdb::tile::MAX_TILE_BYTES, 1 << 20);
/// ```
pub const MAX_TILE_BYTES: usize = 1 << 20;

/// No tile has more features than this.
///
/// ```
/// assert_eq!(osmdb::tile::MAX_TILE_FEATURES, 32_768);
/// ```
pub const MAX_TILE_FEATURES: usize = 1 << 15;

/// Of what is found by a tag, so much is looked at.
const MAX_TAGGED: usize = 1 << 16;

/// So many places of ways are held until it is known what the relations are that name them.
const MAX_HELD_PLACES: usize = 1 << 20;

/// No more relations are looked at.
const MAX_RELATIONS: usize = 1 << 12;

/// What is simplified below [`MAX_ZOOM`] stays within so many units of its line: half a pixel, if a tile is drawn 512
/// wide.
pub(super) const TOLERANCE: i64 = 4;

/// What a layer takes beside its features, at most.
const BYTES_PER_LAYER: usize = 256;

pub(super) fn tile<S: PageSource>(
    snapshot: &Snapshot<S>,
    tile: TileId,
    forked: &HashSet<ElementId>,
    relations: &Mutex<Relations>,
) -> Result<Vec<u8>, Error> {
    let mut gather = Gather::new(tile, forked);
    gather.by_tag(snapshot)?;
    let from = [spatial::least_class(gather.least_side)];
    let part = if gather.least_side > 0 { Part::From(&from) } else { Part::All };
    let mut places = Places::new(snapshot.root().trees.spatial, tile.windows(), part);
    while places.step(snapshot.source(), &mut gather)?.complete()? {}
    let shown = match gather.relations.is_empty() {
        true => Vec::new(),
        false => relations.lock().unwrap_or_else(PoisonError::into_inner).of(snapshot, &gather.relations)?,
    };
    for (id, shown) in &shown {
        let is_forked = shown.len() > 1 || forked.contains(&ElementId::relation(*id));
        for shown in shown.iter() {
            if let Shown::Area(tags, polygons) = shown {
                gather.area(ElementId::relation(*id), tags, polygons, is_forked);
            }
        }
    }
    gather.borders(&shown);
    Ok(gather.kept.finish())
}

/// A way that relations name.
#[derive(Debug)]
struct Held {
    way: ElementId,
    line: Vec<Coord>,
    relations: Vec<u64>,
    is_forked: bool,
    /// It is shown as a border because of its own tags.
    is_border: bool,
}

struct Gather<'a> {
    tile: TileId,
    grid: Grid,
    forked: &'a HashSet<ElementId>,
    kept: Kept,
    /// What is smaller is not shown, in 10⁻⁷ degree.
    least_side: i64,
    relations: BTreeSet<u64>,
    held: Vec<Held>,
    held_places: usize,
}

impl<'a> Gather<'a> {
    fn new(tile: TileId, forked: &'a HashSet<ElementId>) -> Self {
        let pixel = tile.pixel();
        // Towards the poles, a degree of longitude is shorter than one of latitude.
        let least_side = match tile.zoom() {
            MAX_ZOOM => 0,
            zoom if zoom < BY_TAG_BELOW => pixel / 2,
            _ => pixel / 4,
        };
        Self {
            tile,
            grid: Grid::of(tile),
            forked,
            kept: Kept::default(),
            least_side,
            relations: BTreeSet::new(),
            held: Vec::new(),
            held_places: 0,
        }
    }

    /// Finds what would be too small to be found by its place.
    fn by_tag<S: PageSource>(&mut self, snapshot: &Snapshot<S>) -> Result<(), Error> {
        let zoom = self.tile.zoom();
        let roads = classes::MAIN_ROADS.into_iter().filter(|(_, from)| zoom < BY_TAG_BELOW && *from <= zoom);
        let roads = roads.map(|(road, _)| Filter::new().of(&[Kind::Way]).is("highway", road));
        let nodes = || Filter::new().of(&[Kind::Node]);
        let places = (zoom < NODES_BELOW).then(|| nodes().has("place"));
        let peaks = (11..NODES_BELOW).contains(&zoom).then(|| nodes().is("natural", "peak"));
        for filter in roads.chain(places).chain(peaks) {
            for feature in snapshot.query(self.tile.buffered()).filter(&filter).take(MAX_TAGGED) {
                let feature = feature?;
                let is_forked = self.forked.contains(&feature.element);
                self.show(feature.element, &feature.geometry, &feature.tags, is_forked);
            }
        }
        Ok(())
    }

    fn show(&mut self, element: ElementId, geometry: &Geometry, tags: &Tags, is_forked: bool) -> bool {
        let zoom = self.tile.zoom();
        match geometry {
            Geometry::Point(coord) => {
                let class = classes::classify(Shape::Point, tags);
                let point = self.grid.project(*coord);
                if class.zoom > zoom || !clip::contains(point) {
                    return false;
                }
                let mut pen = Pen::default();
                pen.point(point);
                self.keep(element, &class, tags, GeometryKind::Points, pen, is_forked);
            }
            Geometry::Line(line) if is_ring(line) && is_area(tags) => {
                let class = classes::classify(Shape::Area, tags);
                if class.zoom > zoom {
                    return false;
                }
                if class.layer == Layer::Boundaries {
                    return self.line(element, &class, tags, line, is_forked);
                }
                let mut pen = Pen::default();
                self.ring(&mut pen, line, Winding::Outer);
                self.keep(element, &class, tags, GeometryKind::Polygons, pen, is_forked);
            }
            Geometry::Line(line) => {
                let class = classes::classify(Shape::Line, tags);
                return class.zoom <= zoom && self.line(element, &class, tags, line, is_forked);
            }
            Geometry::Members => {}
        }
        false
    }

    /// Shows a line; tells whether it is a border.
    fn line(
        &mut self,
        way: ElementId,
        class: &Class<'_>,
        tags: &Tags,
        line: &[Coord],
        is_forked: bool,
    ) -> bool {
        let points: Vec<Point> = line.iter().map(|coord| self.grid.project(*coord)).collect();
        let mut pen = Pen::default();
        for part in clip::line(&points) {
            let part = simplify::line(part, self.tolerance());
            if part.len() > 1 {
                pen.line(&part);
            }
        }
        self.keep(way, class, tags, GeometryKind::Lines, pen, is_forked);
        class.layer == Layer::Boundaries
    }

    fn area(&mut self, relation: ElementId, tags: &Tags, polygons: &[Polygon], is_forked: bool) {
        let class = classes::classify(Shape::Area, tags);
        if class.zoom > self.tile.zoom() {
            return;
        }
        let mut pen = Pen::default();
        for Polygon { outer, inner } in polygons {
            if self.ring(&mut pen, outer, Winding::Outer) {
                for inner in inner {
                    self.ring(&mut pen, inner, Winding::Inner);
                }
            }
        }
        self.keep(relation, &class, tags, GeometryKind::Polygons, pen, is_forked);
    }

    /// Draws a ring, if anything of it can be seen.
    fn ring(&self, pen: &mut Pen, line: &[Coord], winding: Winding) -> bool {
        let open = line.split_last().map_or(line, |(_, open)| open);
        let points: Vec<Point> = open.iter().map(|coord| self.grid.project(*coord)).collect();
        let mut ring = simplify::ring(&clip::ring(&points), self.tolerance());
        let doubled = mvt::doubled_area(&ring);
        let least = if self.tile.zoom() == MAX_ZOOM { 1 } else { 2 * TOLERANCE * TOLERANCE };
        if ring.len() < 3 || doubled.abs() < least {
            return false;
        }
        if (doubled > 0) != (winding == Winding::Outer) {
            ring.reverse();
        }
        pen.ring(&ring);
        true
    }

    const fn tolerance(&self) -> i64 {
        if self.tile.zoom() == MAX_ZOOM { 0 } else { TOLERANCE }
    }

    /// Shows the ways of relations that are borders, each once: as that of the least level.
    fn borders(&mut self, relations: &[ShownBy]) {
        let mut borders: BTreeMap<u64, (u8, &Tags)> = BTreeMap::new();
        for (id, shown) in relations {
            for shown in shown.iter() {
                if let Shown::Border(level, tags) = shown {
                    borders.insert(*id, (*level, tags));
                }
            }
        }
        for held in std::mem::take(&mut self.held) {
            let of = held.relations.iter().filter_map(|id| borders.get(id));
            let Some((level, tags)) = of.min_by_key(|(level, _)| *level).filter(|_| !held.is_border) else {
                continue;
            };
            let zoom = classes::zoom_of_level(*level);
            if zoom <= self.tile.zoom() {
                let class = Class { layer: Layer::Boundaries, class: "administrative", zoom, rank: 1 };
                self.line(held.way, &class, tags, &held.line, held.is_forked);
            }
        }
    }

    fn keep(
        &mut self,
        element: ElementId,
        class: &Class<'_>,
        tags: &Tags,
        kind: GeometryKind,
        pen: Pen,
        is_forked: bool,
    ) {
        let (geometry, doubled_area) = pen.finish();
        if geometry.is_empty() {
            return;
        }
        let properties = properties(element, class, tags, is_forked, self.tile.zoom());
        let (rank, layer) = (class.rank, class.layer);
        self.kept.push(Found { rank, layer, element, kind, geometry, doubled_area, properties });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winding {
    Outer,
    Inner,
}

impl Visit for Gather<'_> {
    fn wants(&self, key: &[u8], _: &[Window]) -> Wants {
        let Some(element) = spatial::element_of(key) else { return Wants::KeyAndValue };
        let is_seen = match element.kind {
            Kind::Node => self.tile.zoom() >= NODES_BELOW,
            _ => spatial::side_of(key).is_none_or(|side| side >= self.least_side),
        };
        if is_seen { Wants::KeyAndValue } else { Wants::Nothing }
    }

    fn look(&mut self, key: &[u8], value: &[u8], windows: &[Window]) -> Result<(), Error> {
        let pair = spatial::parse(key, value).map_err(damaged(key))?;
        let is_forked = pair.features.len() > 1 || self.forked.contains(&pair.element);
        let has_main_roads = self.tile.zoom() < BY_TAG_BELOW;
        let mut touches = false;
        for located in &pair.features {
            if !meets(windows, &located.geometry) {
                continue;
            }
            touches = true;
            let by_tag = has_main_roads && is_main_road(&located.tags);
            let is_border = !by_tag && self.show(pair.element, &located.geometry, &located.tags, is_forked);
            if let Geometry::Line(line) = &located.geometry
                && !pair.relations.is_empty()
                && self.held_places + line.len() <= MAX_HELD_PLACES
            {
                self.held_places += line.len();
                let (line, relations) = (line.clone(), pair.relations.clone());
                self.held.push(Held { way: pair.element, line, relations, is_forked, is_border });
            }
        }
        if touches && pair.element.kind == Kind::Way && self.relations.len() < MAX_RELATIONS {
            self.relations.extend(pair.relations);
        }
        Ok(())
    }
}

/// Tells whether a way was found by its tags already.
fn is_main_road(tags: &Tags) -> bool {
    tags.get("highway").is_some_and(|road| classes::MAIN_ROADS.iter().any(|(main, _)| *main == road))
}

fn is_ring(line: &[Coord]) -> bool {
    line.len() > 3 && line.first() == line.last()
}

fn text(text: &str) -> Value {
    Value { text: Some(text.to_owned()), ..Value::default() }
}

fn properties(
    element: ElementId,
    class: &Class<'_>,
    tags: &Tags,
    is_forked: bool,
    zoom: u8,
) -> Vec<(&'static str, Value)> {
    let mut out = vec![("element", text(&element.to_string())), ("class", text(class.class))];
    let mut tag = |key: &'static str| out.extend(tags.get(key).map(|value| (key, text(value))));
    tag("name");
    match class.layer {
        Layer::Roads => {
            tag("ref");
            if zoom >= 12 {
                tag("oneway");
            }
            for key in ["bridge", "tunnel"] {
                out.extend(
                    tags.get(key)
                        .filter(|value| *value != "no")
                        .map(|_| (key, Value { is: Some(true), ..Value::default() })),
                );
            }
        }
        Layer::Boundaries => {
            let level = Value { number: Some(classes::level(tags).into()), ..Value::default() };
            out.push(("level", level));
        }
        Layer::Pois => tag("ele"),
        Layer::Buildings => tag("addr:housenumber"),
        Layer::Water | Layer::Landuse | Layer::Others | Layer::Places => {}
    }
    if matches!(class.layer, Layer::Buildings | Layer::Others | Layer::Landuse) {
        out.extend(classes::poi(tags, class).map(|poi| ("poi", text(poi))));
    }
    let height = tags.get("layer").and_then(|layer| layer.parse().ok()).filter(|layer: &i8| *layer != 0);
    if let Some(layer) = height {
        out.push(("layer", Value { signed: Some(layer.into()), ..Value::default() }));
    }
    if is_forked {
        out.push(("forked", Value { is: Some(true), ..Value::default() }));
    }
    out
}

/// A feature on its way into the tile.
#[derive(Debug)]
struct Found {
    rank: u8,
    layer: Layer,
    element: ElementId,
    kind: GeometryKind,
    geometry: Vec<u32>,
    /// Twice its area, less that of its holes.
    doubled_area: i64,
    properties: Vec<(&'static str, Value)>,
}

impl Found {
    /// Returns how many bytes it takes at most: a number of 32 bits takes up to 5.
    fn bytes(&self) -> usize {
        let varint = |value: &u32| (38 - (value | 1).leading_zeros() as usize) / 7;
        let geometry: usize = self.geometry.iter().map(varint).sum();
        let properties: usize =
            self.properties.iter().map(|(key, value)| key.len() + value.encoded_len() + 16).sum();
        geometry + properties + 24
    }
}

/// Features, as many as a tile may have.
#[derive(Debug, Default)]
struct Kept {
    found: Vec<Found>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, found: Found) {
        self.bytes += found.bytes();
        self.found.push(found);
        if self.bytes > 4 * MAX_TILE_BYTES || self.found.len() > 4 * MAX_TILE_FEATURES {
            self.prune(2);
        }
    }

    /// Leaves out what matters least, so that what remains is no more than some tiles may have.
    fn prune(&mut self, tiles: usize) {
        self.found.sort_by_key(|found| (found.rank, found.element));
        let most = tiles * (MAX_TILE_BYTES - Layer::ALL.len() * BYTES_PER_LAYER);
        let mut bytes = 0;
        let fits = self.found.iter().take(tiles * MAX_TILE_FEATURES).take_while(|found| {
            bytes += found.bytes();
            bytes <= most
        });
        let fits = fits.count();
        self.found.truncate(fits);
        self.bytes = self.found.iter().map(Found::bytes).sum();
    }

    fn finish(mut self) -> Vec<u8> {
        self.prune(1);
        let mut layers: BTreeMap<Layer, Building> = BTreeMap::new();
        // Large areas are drawn before the small ones that lie on them.
        self.found.sort_by_key(|found| std::cmp::Reverse(found.doubled_area));
        for found in self.found {
            layers.entry(found.layer).or_default().push(found);
        }
        let layers = layers.into_iter().map(|(layer, building)| building.finish(layer)).collect();
        TileMessage { layers }.encode_to_vec()
    }
}

/// A layer on its way into the tile.
#[derive(Debug, Default)]
struct Building {
    features: Vec<mvt::Feature>,
    keys: Vec<&'static str>,
    values: Vec<Value>,
    places: HashMap<Value, u32>,
}

impl Building {
    fn push(&mut self, found: Found) {
        let mut tags = Vec::with_capacity(2 * found.properties.len());
        for (key, value) in found.properties {
            let place = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                self.keys.push(key);
                self.keys.len() - 1
            });
            let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
            let value = *self.places.entry(value).or_insert_with_key(|value| {
                self.values.push(value.clone());
                next
            });
            tags.extend([u32::try_from(place).unwrap_or(u32::MAX), value]);
        }
        self.features.push(mvt::Feature { tags, kind: found.kind.into(), geometry: found.geometry });
    }

    fn finish(self, layer: Layer) -> mvt::Layer {
        let keys = self.keys.into_iter().map(str::to_owned).collect();
        let Self { features, values, .. } = self;
        mvt::Layer { features, keys, values, ..mvt::Layer::named(layer.name()) }
    }
}
