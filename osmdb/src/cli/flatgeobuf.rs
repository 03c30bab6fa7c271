//! FlatGeobuf files that `export` writes: <https://flatgeobuf.org>.
//!
//! Memory: some 150 bytes for each feature, for the index of places; the features themselves wait in a
//! temporary file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use flatgeobuf::geozero::error::Result as GeoResult;
use flatgeobuf::geozero::{ColumnValue, GeomProcessor, PropertyProcessor};
use flatgeobuf::{ColumnType, FgbCrs, FgbWriter, FgbWriterOptions, GeometryType, GeozeroGeometry};
use osmdb::area::Polygon;
use osmdb::io::WholeFile;
use osmdb::{Area, BBox, Coord, Feature, Geometry, Snapshot, Tags, UNITS_PER_DEGREE};
use prolly::PageSource;

use super::failure::Failure;
use super::json;

/// The columns that every feature has, before those of tags: its name, its kind, and all its tags as JSON.
const COLUMNS: [(&str, ColumnType); 3] =
    [("@id", ColumnType::String), ("@type", ColumnType::String), ("@tags", ColumnType::Json)];
/// The keys that most features have get a column of their own; so many do.
const TAG_COLUMNS: usize = 64;
/// So many different keys are counted to find these; the planet has some 100,000.
const COUNTED_KEYS: usize = 1 << 17;
/// The number that longitude and latitude have among the systems of coordinates (EPSG).
const WGS_84: i32 = 4326;

/// How many features were written.
#[derive(Debug, Default)]
pub(super) struct Features {
    pub(super) all: u64,
    /// Those that have no shape, and are not in the file.
    pub(super) shapeless: u64,
}

/// Writes what touches a box. Reads it twice: what columns there are stands before the features.
pub(super) fn write<S: PageSource>(
    snapshot: &Snapshot<S>,
    file: &Path,
    bbox: BBox,
) -> Result<Features, Failure> {
    let mut out = WholeFile::create(file)?;
    let keys = common_keys(snapshot, bbox)?;
    let failed = |error: String| Failure::from(out.error(io::Error::other(error)));
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let begin = |write_index| begin(&name, &keys, write_index).map_err(|error| failed(error.to_string()));
    let mut writer = begin(true)?;
    let mut count = Features::default();
    for feature in snapshot.query(bbox) {
        let feature = feature?;
        let area = snapshot.area(&feature)?;
        if feature.geometry == Geometry::Members && !matches!(area, Area::Polygons(_)) {
            count.shapeless += 1;
            continue;
        }
        let mut properties = Ok(());
        let shape = Shape { geometry: &feature.geometry, area: &area };
        let added = writer.add_feature_geom(shape, |out| properties = put_properties(out, &feature, &keys));
        added.and(properties).map_err(|error| failed(error.to_string()))?;
        count.all += 1;
    }
    if count.all == 0 {
        // An index of nothing is more than readers bear.
        writer = begin(false)?;
    }
    writer.write(&mut out).map_err(|error| out.error(io::Error::other(error.to_string())))?;
    out.finish()?;
    Ok(count)
}

/// Begins a file with its columns.
fn begin<'a>(name: &str, keys: &[String], write_index: bool) -> flatgeobuf::Result<FgbWriter<'a>> {
    let options = FgbWriterOptions {
        write_index,
        detect_type: false,
        promote_to_multi: false,
        crs: FgbCrs { code: WGS_84, ..FgbCrs::default() },
        ..FgbWriterOptions::default()
    };
    let mut writer = FgbWriter::create_with_options(name, GeometryType::Unknown, options)?;
    for (name, kind) in COLUMNS {
        writer.add_column(name, kind, |_, _| {});
    }
    for key in keys {
        writer.add_column(key, ColumnType::String, |_, _| {});
    }
    Ok(writer)
}

/// Returns the keys that most features have, in order.
fn common_keys<S: PageSource>(snapshot: &Snapshot<S>, bbox: BBox) -> Result<Vec<String>, Failure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for feature in snapshot.query(bbox) {
        for (key, _) in feature?.tags.iter() {
            if let Some(count) = counts.get_mut(key) {
                *count += 1;
            } else if counts.len() < COUNTED_KEYS {
                counts.insert(key.to_owned(), 1);
            }
        }
    }
    let mut counts: Vec<(u64, String)> = counts.into_iter().map(|(key, count)| (count, key)).collect();
    counts.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    counts.retain(|(_, key)| COLUMNS.iter().all(|(column, _)| column != key));
    counts.truncate(TAG_COLUMNS);
    let mut keys: Vec<String> = counts.into_iter().map(|(_, key)| key).collect();
    keys.sort();
    Ok(keys)
}

fn put_properties(out: &mut impl PropertyProcessor, feature: &Feature, keys: &[String]) -> GeoResult<()> {
    let Feature { element, tags, .. } = feature;
    let (id, all) = (element.to_string(), json::tags(tags).to_string());
    let values =
        [ColumnValue::String(&id), ColumnValue::String(element.kind.name()), ColumnValue::Json(&all)];
    for (index, ((name, _), value)) in COLUMNS.iter().zip(&values).enumerate() {
        out.property(index, name, value)?;
    }
    for (index, key) in keys.iter().enumerate() {
        // As in the JSON: of a key that is there twice, the last value.
        if let Some(value) = last(tags, key) {
            out.property(COLUMNS.len() + index, key, &ColumnValue::String(value))?;
        }
    }
    Ok(())
}

fn last<'a>(tags: &'a Tags, key: &str) -> Option<&'a str> {
    tags.iter().filter(|(known, _)| *known == key).last().map(|(_, value)| value)
}

/// What a feature looks like.
struct Shape<'a> {
    geometry: &'a Geometry,
    area: &'a Area,
}

impl GeozeroGeometry for Shape<'_> {
    fn process_geom<P: GeomProcessor>(&self, out: &mut P) -> GeoResult<()> {
        match (self.area, self.geometry) {
            (Area::Polygons(polygons), _) => match polygons.as_slice() {
                [one] => put_polygon(out, one, true, 0),
                many => {
                    out.multipolygon_begin(many.len(), 0)?;
                    many.iter()
                        .enumerate()
                        .try_for_each(|(index, polygon)| put_polygon(out, polygon, false, index))?;
                    out.multipolygon_end(0)
                }
            },
            (_, Geometry::Point(coord)) => put_point(out, *coord),
            // A line needs two places.
            (_, Geometry::Line(line)) => match line.as_slice() {
                [] => Ok(()),
                [coord] => put_point(out, *coord),
                line => put_line(out, line, true, 0),
            },
            (_, Geometry::Members) => Ok(()),
        }
    }
}

fn put_polygon(
    out: &mut impl GeomProcessor,
    Polygon { outer, inner }: &Polygon,
    alone: bool,
    index: usize,
) -> GeoResult<()> {
    out.polygon_begin(alone, 1 + inner.len(), index)?;
    put_line(out, outer, false, 0)?;
    inner.iter().enumerate().try_for_each(|(index, ring)| put_line(out, ring, false, index + 1))?;
    out.polygon_end(alone, index)
}

fn put_line(out: &mut impl GeomProcessor, line: &[Coord], alone: bool, index: usize) -> GeoResult<()> {
    out.linestring_begin(alone, line.len(), index)?;
    line.iter().enumerate().try_for_each(|(index, coord)| put_place(out, *coord, index))?;
    out.linestring_end(alone, index)
}

fn put_point(out: &mut impl GeomProcessor, coord: Coord) -> GeoResult<()> {
    out.point_begin(0)?;
    put_place(out, coord, 0)?;
    out.point_end(0)
}

/// The format has places in degrees, as floats.
fn put_place(out: &mut impl GeomProcessor, coord: Coord, index: usize) -> GeoResult<()> {
    let degrees = |units: i32| f64::from(units) / f64::from(UNITS_PER_DEGREE);
    out.xy(degrees(coord.lon()), degrees(coord.lat()), index)
}
