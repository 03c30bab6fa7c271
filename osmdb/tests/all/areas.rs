//! Areas in what the program prints and writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use crate::program::{Place, real_data};
use osmdb::{Area, Db};
use serde_json::{Value, json};

/// A square lake of two ways with an island, a house, a road around it, a lake that is cut off, one whose way
/// is not here, and a house whose walls cross.
const LAKES: &str = "<osm version='0.6'>
  <node id='1' version='1' lat='0' lon='0'/><node id='2' version='1' lat='0' lon='8'/>
  <node id='3' version='1' lat='8' lon='8'/><node id='4' version='1' lat='8' lon='0'/>
  <node id='5' version='1' lat='2' lon='2'/><node id='6' version='1' lat='2' lon='4'/>
  <node id='7' version='1' lat='4' lon='3'/>
  <way id='1' version='1'><nd ref='1'/><nd ref='4'/><nd ref='3'/></way>
  <way id='2' version='1'><nd ref='1'/><nd ref='2'/><nd ref='3'/></way>
  <way id='3' version='1'><nd ref='5'/><nd ref='6'/><nd ref='7'/><nd ref='5'/><tag k='building' v='yes'/></way>
  <way id='4' version='1'><nd ref='5'/><nd ref='6'/><nd ref='7'/><nd ref='5'/><tag k='highway' v='track'/></way>
  <way id='5' version='1'><nd ref='1'/><nd ref='3'/><nd ref='2'/><nd ref='4'/><nd ref='1'/><tag k='building' v='yes'/></way>
  <relation id='1' version='1'><member type='way' ref='1' role='outer'/><member type='way' ref='2' role=''/>
    <member type='way' ref='3' role='outer'/><tag k='type' v='multipolygon'/><tag k='natural' v='water'/></relation>
  <relation id='2' version='1'><member type='way' ref='1' role='outer'/><tag k='type' v='multipolygon'/></relation>
  <relation id='3' version='1'><member type='way' ref='3' role='outer'/><member type='way' ref='9' role='outer'/>
    <tag k='type' v='boundary'/></relation>
  <relation id='4' version='1'><member type='way' ref='3' role='outer'/><tag k='type' v='route'/></relation>
</osm>";

fn features(text: &str) -> BTreeMap<String, Value> {
    let collection: Value = serde_json::from_str(text).unwrap();
    let features = collection["features"].as_array().unwrap().iter();
    features.map(|feature| (feature["id"].as_str().unwrap().to_owned(), feature.clone())).collect()
}

#[test]
fn areas_are_polygons() {
    let place = Place::new();
    place.write("lakes.osm", LAKES);
    place.run(["import", "lakes.osm"]).done();
    let ran = place.run(["export", "lakes.geojson"]);
    assert_eq!(
        ran.stderr,
        "9 features written to lakes.geojson\n\
         3 areas are not closed or otherwise broken: their \"@error\" says why\n"
    );
    ran.done();
    let text = std::fs::read_to_string(place.path("lakes.geojson")).unwrap();
    assert_eq!(text, place.run(["query", "--bbox", "-1,-1,9,9"]).done());
    place.run(["export", "lakes.geojsonseq"]).done();
    let sequence = std::fs::read_to_string(place.path("lakes.geojsonseq")).unwrap();
    assert_eq!(sequence, place.run(["query", "--bbox", "-1,-1,9,9", "--format", "geojsonseq"]).done());
    let found = features(&text);
    assert!(sequence.contains(&found["relation/1"].to_string()));
    let shape = |id: &str| found[id]["geometry"].clone();
    let lake = json!({ "type": "Polygon", "coordinates": [
        [[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0], [0.0, 0.0]],
        [[2.0, 2.0], [3.0, 4.0], [4.0, 2.0], [2.0, 2.0]],
    ] });
    let house =
        json!({ "type": "Polygon", "coordinates": [[[2.0, 2.0], [4.0, 2.0], [3.0, 4.0], [2.0, 2.0]]] });
    assert_eq!(shape("relation/1"), lake, "the outer ring counterclockwise, the inner one clockwise");
    assert_eq!(shape("way/3"), house);
    assert_eq!(shape("way/4")["type"], "LineString");
    assert_eq!(shape("way/5")["type"], "LineString");
    assert_eq!(shape("relation/4"), Value::Null);
    let reason = |id: &str| found[id]["properties"]["@error"].as_str().map(str::to_owned);
    assert_eq!((reason("relation/1"), reason("relation/4"), reason("way/4")), (None, None, None));
    let unclosed = "the line ends at 0.0000000,0.0000000, where no other goes on";
    assert_eq!((reason("relation/2").as_deref(), shape("relation/2")), (Some(unclosed), Value::Null));
    assert_eq!(
        (reason("relation/3").as_deref(), shape("relation/3")),
        (Some("way/9 is not here"), Value::Null)
    );
    assert!(reason("way/5").unwrap().starts_with("two lines cross"));
}

#[test]
fn a_lake_in_two_parts_is_a_multipolygon() {
    let place = Place::new();
    let mut map = LAKES.replace("lon='8'", "lon='1'");
    map = map.replace("lat='8'", "lat='1'");
    place.write("lakes.osm", map);
    place.run(["import", "lakes.osm"]).done();
    let found = features(&place.run(["query", "--bbox", "-1,-1,9,9"]).done());
    let shape = &found["relation/1"]["geometry"];
    assert_eq!(shape["type"], "MultiPolygon");
    assert_eq!(shape["coordinates"].as_array().map(Vec::len), Some(2));
}

#[test]
fn real_areas_are_put_together() {
    for (name, least) in
        [("monaco-2023.osm.pbf", 1_000), ("liechtenstein-2013.osm.pbf", 1_000), ("grid.osm", 10)]
    {
        let Some(file) = real_data(name) else { continue };
        let db = Db::in_memory("osm").unwrap();
        db.import(&[&file], |_, _| {}).unwrap();
        let snapshot = db.snapshot();
        let (mut whole, mut reasons) = (0, BTreeMap::<String, u64>::new());
        for feature in snapshot.query("-180,-90,180,90".parse().unwrap()) {
            match snapshot.area(&feature.unwrap()).unwrap() {
                Area::NotOne => {}
                Area::Polygons(polygons) => {
                    assert!(!polygons.is_empty());
                    whole += 1;
                }
                Area::Broken(reason) => {
                    let reason = format!("{reason:?}");
                    *reasons.entry(reason.split('(').next().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
        println!("{name}: {whole} areas, broken: {reasons:?}");
        assert!(whole >= least, "{name}: {whole}");
    }
}
