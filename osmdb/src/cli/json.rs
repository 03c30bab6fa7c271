//! Elements as JSON: heads for `get`, GeoJSON features for `query` and `export`.

use osmdb::area::Polygon;
use osmdb::{
    Area, Closed, Coord, EditMeta, ElementId, Feature, Geometry, Head, Member, Origin, OsmMeta, Payload,
    Tags, UNITS_PER_DEGREE, show_timestamp,
};
use serde_json::{Map, Value, json};

/// Returns the name of an element.
pub(super) fn element(element: ElementId) -> Value {
    json!({ "type": element.kind.name(), "id": element.id })
}

/// Returns one head of an element.
pub(super) fn head(Head { version, entry }: &Head) -> Value {
    let mut out = Map::new();
    out.insert("type".into(), entry.element.kind.name().into());
    out.insert("id".into(), entry.element.id.into());
    out.insert("version".into(), version.to_string().into());
    match &entry.payload {
        None => {
            out.insert("deleted".into(), true.into());
        }
        Some(payload) => put_payload(&mut out, payload),
    }
    match &entry.origin {
        Origin::Imported(meta) => {
            out.insert("osm".into(), osm(meta));
        }
        Origin::Edited(EditMeta { links, changeset, timestamp, signed }) => {
            let links: Vec<String> = links.iter().map(ToString::to_string).collect();
            out.insert("links".into(), links.into());
            put_known(&mut out, "changeset", *changeset);
            out.insert("timestamp".into(), time(*timestamp));
            put_known(&mut out, "author", signed.map(|signed| signed.author.to_string()));
        }
    }
    out.into()
}

fn put_payload(out: &mut Map<String, Value>, payload: &Payload) {
    match payload {
        Payload::Node { coord, .. } => {
            out.insert("lat".into(), degrees(coord.lat()));
            out.insert("lon".into(), degrees(coord.lon()));
        }
        Payload::Way { refs, .. } => {
            out.insert("nodes".into(), refs.clone().into());
        }
        Payload::Relation { members, .. } => {
            out.insert("members".into(), self::members(members));
        }
        Payload::Changeset { closed, .. } => {
            if let Some(Closed { at, bbox }) = closed {
                out.insert("closed".into(), time(*at));
                put_known(out, "bbox", bbox.map(|bbox| bbox.to_string()));
            }
        }
    }
    out.insert("tags".into(), tags(payload.tags()));
}

/// Returns tags as an object.
pub(super) fn tags(tags: &Tags) -> Value {
    let mut out = Map::new();
    put_tags(&mut out, tags, str::to_owned);
    out.into()
}

/// A key that is there twice keeps its last value: JSON objects hold each key once.
fn put_tags(out: &mut Map<String, Value>, tags: &Tags, name: impl Fn(&str) -> String) {
    out.extend(tags.iter().map(|(key, value)| (name(key), value.into())));
}

fn put_known(out: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(name.into(), value.into());
    }
}

fn members(members: &[Member]) -> Value {
    let member = |Member { element, role }: &Member| json!({ "type": element.kind.name(), "ref": element.id, "role": role });
    members.iter().map(member).collect()
}

fn osm(meta: &OsmMeta) -> Value {
    let mut out = Map::new();
    put_known(&mut out, "version", meta.version);
    put_known(&mut out, "timestamp", meta.timestamp.map(time));
    put_known(&mut out, "changeset", meta.changeset);
    put_known(&mut out, "uid", meta.uid);
    put_known(&mut out, "user", meta.user.as_deref());
    out.into()
}

/// Returns a GeoJSON feature. A way of which one place is known is a point: a line needs two. What should be
/// an area and is none says why in the property `@error`.
pub(super) fn feature(feature: &Feature, area: &Area) -> Value {
    let Feature { element, geometry, tags, members } = feature;
    let geometry = match (area, geometry) {
        (Area::Polygons(polygons), _) => self::polygons(polygons),
        (_, Geometry::Point(coord)) => point(*coord),
        (_, Geometry::Line(line)) => match line.as_slice() {
            [] => Value::Null,
            [coord] => point(*coord),
            line => json!({ "type": "LineString", "coordinates": positions(line) }),
        },
        (_, Geometry::Members) => Value::Null,
    };
    let mut properties = Map::new();
    properties.insert("@id".into(), element.to_string().into());
    properties.insert("@type".into(), element.kind.name().into());
    put_tags(&mut properties, tags, |key| if key.starts_with('@') { format!("@{key}") } else { key.into() });
    if element.kind == osmdb::Kind::Relation {
        properties.insert("@members".into(), self::members(members));
    }
    if let Area::Broken(reason) = area {
        properties.insert("@error".into(), reason.to_string().into());
    }
    json!({ "type": "Feature", "id": element.to_string(), "geometry": geometry, "properties": properties })
}

fn polygons(polygons: &[Polygon]) -> Value {
    let rings = |Polygon { outer, inner }: &Polygon| -> Value {
        std::iter::once(outer).chain(inner).map(|ring| positions(ring)).collect()
    };
    match polygons {
        [polygon] => json!({ "type": "Polygon", "coordinates": rings(polygon) }),
        many => json!({ "type": "MultiPolygon", "coordinates": many.iter().map(rings).collect::<Value>() }),
    }
}

fn positions(line: &[Coord]) -> Value {
    line.iter().map(|coord| position(*coord)).collect()
}

fn point(coord: Coord) -> Value {
    json!({ "type": "Point", "coordinates": position(coord) })
}

fn position(coord: Coord) -> Value {
    Value::Array(vec![degrees(coord.lon()), degrees(coord.lat())])
}

/// Shows units of 10⁻⁷ degree as degrees: the shortest decimal that reads back the same.
fn degrees(units: i32) -> Value {
    (f64::from(units) / f64::from(UNITS_PER_DEGREE)).into()
}

/// Shows seconds since 1970 as ISO 8601 in UTC; beyond the years of four digits as the number it is.
pub(super) fn time(seconds: i64) -> Value {
    show_timestamp(seconds).map_or_else(|| seconds.into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_no_year_of_four_digits_are_numbers() {
        assert_eq!(time(951_827_696), Value::from("2000-02-29T12:34:56Z"));
        for seconds in [i64::MIN, i64::MAX, 253_402_300_800, -62_167_219_201] {
            assert_eq!(time(seconds), Value::from(seconds));
        }
    }

    #[test]
    fn degrees_have_at_most_seven_decimals() {
        let shown = [15_655_240, -1, 0, 1_800_000_000, 425_921_967].map(|units| degrees(units).to_string());
        assert_eq!(shown, ["1.565524", "-1e-7", "0.0", "180.0", "42.5921967"]);
    }

    #[test]
    fn no_tag_hides_what_the_feature_is() {
        let tags = Tags::from([("@id", "a"), ("@@id", "b"), ("name", "c"), ("name", "d")]);
        let element = ElementId::node(7);
        let geometry = Geometry::Point(Coord::new(10_000_000, 20_000_000).unwrap());
        let shown = feature(&Feature { element, geometry, tags, members: Vec::new() }, &Area::NotOne);
        assert_eq!(
            shown.to_string(),
            r#"{"type":"Feature","id":"node/7","geometry":{"type":"Point","coordinates":[2.0,1.0]},"properties":{"@id":"node/7","@type":"node","@@id":"a","@@@id":"b","name":"d"}}"#
        );
    }
}
