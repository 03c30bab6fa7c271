//! FlatGeobuf files, read again with the format's own library: what is in them is what GeoJSON has.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::program::{MAP, Place, real_data};
use flatgeobuf::{FallibleStreamingIterator, FeatureProperties, FgbReader, GeometryType};
use serde_json::{Value, json};

/// Pairs of numbers, cut at ends if there are any.
fn rings(geometry: &flatgeobuf::Geometry<'_>) -> Vec<Value> {
    let xy: Vec<f64> = geometry.xy().unwrap().iter().collect();
    let places: Vec<Value> = xy.chunks(2).map(|pair| json!([pair[0], pair[1]])).collect();
    let ends: Vec<usize> = match geometry.ends() {
        Some(ends) => ends.iter().map(|end| usize::try_from(end).unwrap()).collect(),
        None => vec![places.len()],
    };
    let starts = std::iter::once(0).chain(ends.clone());
    starts.zip(&ends).map(|(start, end)| Value::from(places[start..*end].to_vec())).collect()
}

/// A geometry as GeoJSON has it.
fn geojson(geometry: &flatgeobuf::Geometry<'_>) -> Value {
    let (name, coordinates) = match geometry.type_() {
        GeometryType::Point => ("Point", rings(geometry)[0][0].clone()),
        GeometryType::LineString => ("LineString", rings(geometry)[0].clone()),
        GeometryType::Polygon => ("Polygon", rings(geometry).into()),
        GeometryType::MultiPolygon => {
            ("MultiPolygon", geometry.parts().unwrap().iter().map(|part| Value::from(rings(&part))).collect())
        }
        other => panic!("{other:?}"),
    };
    json!({ "type": name, "coordinates": coordinates })
}

type Features = BTreeMap<String, (Value, BTreeMap<String, String>)>;

/// Reads a file: geometry and properties of each feature, and how many there are.
fn read(path: &Path, bbox: Option<[f64; 4]>) -> (Features, usize) {
    let mut file = BufReader::new(File::open(path).unwrap());
    let reader = FgbReader::open(&mut file).unwrap();
    assert_eq!(reader.header().crs().unwrap().code(), 4326);
    let mut features = match bbox {
        None => reader.select_all().unwrap(),
        Some([west, south, east, north]) => reader.select_bbox(west, south, east, north).unwrap(),
    };
    let (mut found, mut count) = (Features::new(), 0);
    while let Some(feature) = features.next().unwrap() {
        let mut properties: BTreeMap<String, String> = feature.properties().unwrap().into_iter().collect();
        let id = properties.remove("@id").unwrap();
        found.insert(id, (geojson(&feature.geometry().unwrap()), properties));
        count += 1;
    }
    (found, count)
}

/// Compares a file with what GeoJSON has.
fn check(place: &Place, count: usize) {
    let (found, read) = read(&place.path("map.fgb"), None);
    assert_eq!((read, found.len()), (count, count));
    let collection: Value =
        serde_json::from_str(&place.run(["query", "--bbox", "-180,-90,180,90"]).done()).unwrap();
    let all = collection["features"].as_array().unwrap().iter();
    let expected: Vec<&Value> = all.filter(|feature| !feature["geometry"].is_null()).collect();
    assert_eq!(expected.len(), count);
    for feature in expected {
        let id = feature["id"].as_str().unwrap();
        let (geometry, properties) = &found[id];
        assert_eq!(geometry, &feature["geometry"], "{id}");
        let head: Value = serde_json::from_str(&properties["@tags"]).unwrap();
        let tags: BTreeMap<String, String> = head
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let own = feature["properties"].as_object().unwrap();
        for (key, value) in &tags {
            let shown = if key.starts_with('@') { format!("@{key}") } else { key.clone() };
            assert_eq!(own[&shown], *value.as_str(), "{id}");
        }
        let columns = properties.iter().filter(|(key, _)| !["@tags", "@type"].contains(&key.as_str()));
        assert!(columns.clone().all(|(key, value)| tags.get(key) == Some(value)), "{id}: {properties:?}");
        assert_eq!(properties["@type"], own["@type"]);
    }
}

#[test]
fn what_has_a_shape_is_in_the_file() {
    let place = Place::with_map();
    let root = place.run(["root"]).done();
    let ran = place.run(["export", "map.fgb"]);
    let told = "6 features written to map.fgb\n1 relation has no shape, and so no place in the file: GeoJSON has them\n";
    assert_eq!(ran.stderr, told);
    assert_eq!(ran.done(), root);
    check(&place, 6);
    // The index leads to what a box holds.
    let ids = |bbox| read(&place.path("map.fgb"), Some(bbox)).0.into_keys().collect::<Vec<_>>();
    assert_eq!(ids([-71.0, -34.0, -70.0, -33.0]), ["node/10"]);
    assert_eq!(ids([0.0, 0.0, 2.0, 2.0]), ["node/3", "way/5"]);

    place.run(["export", "map.fgb", "--bbox", "50,50,51,51"]).done();
    assert_eq!(read(&place.path("map.fgb"), None).1, 0);
    // GDAL finds no layer in a file that has an index of nothing.
    let mut file = BufReader::new(File::open(place.path("map.fgb")).unwrap());
    assert_eq!(FgbReader::open(&mut file).unwrap().header().index_node_size(), 0);
    let sentence = place.run(["export", "map.fgb", "--history"]).refused(2);
    assert!(sentence.starts_with("map.fgb: GeoJSON and FlatGeobuf have no history"), "{sentence}");
}

#[test]
fn many_keys_are_columns_and_all_are_in_the_tags() {
    let place = Place::new();
    let tags: String = (0..200).map(|key| format!("<tag k='key {key}' v='{key}'/>")).collect();
    let map = format!("<node id='50' lat='1' lon='1' version='1'>{tags}<tag k='name' v='Ω'/></node></osm>");
    place.write("map.osm", MAP.replace("</osm>", &map));
    place.run(["import", "map.osm"]).done();
    place.run(["export", "map.fgb"]).done();
    check(&place, 7);
}

#[test]
fn a_real_map_is_the_same_as_in_geojson() {
    let Some(file) = real_data("monaco-2023.osm.pbf") else { return };
    let place = Place::new();
    place.run(["import".as_ref(), file.as_os_str()]).done();
    let ran = place.run(["export", "map.fgb"]);
    println!("{}", ran.stderr);
    let count = ran.stderr.split(' ').next().unwrap().replace(',', "").parse().unwrap();
    ran.done();
    check(&place, count);
}
