//! Files of editors, in which ids below 0 stand for elements that are new.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::Place;
use proptest::prelude::*;
use serde_json::Value;

/// What JOSM saves after a survey: a path from a new node to one that is there, a route that has the path
/// and itself stands first, and what is to be deleted.
const SURVEY: &str = r#"<?xml version='1.0' encoding='UTF-8'?>
<osm version='0.6' generator='JOSM'>
  <relation id='-77' action='modify'><member type='way' ref='-40' role='forward'/>
    <member type='relation' ref='9' role=''/><member type='node' ref='-2' role='stop'/></relation>
  <way id='-40' action='modify' visible='true'><nd ref='-2'/><nd ref='1'/><nd ref='-9223372036854775808'/>
    <tag k='highway' v='path'/></way>
  <node id='-2' action='modify' visible='true' lat='1.25' lon='1.5'><tag k='name' v='Stop'/></node>
  <node id='-9223372036854775808' lat='2' lon='2'/>
  <node id='3' action='modify' version='2' lat='1.5' lon='1.75'><tag k='amenity' v='well'/></node>
  <node id='10' action='delete' version='1' visible='true' lat='-33.5' lon='-70.25'/>
</osm>"#;

fn get(place: &Place, element: &str) -> Value {
    let heads = place.run(["get", element]).done();
    let [head] = heads.lines().collect::<Vec<_>>()[..] else { panic!("{heads}") };
    serde_json::from_str(head).unwrap()
}

/// What was written: the id that each element came with, and the name that it has.
fn written(lines: &str) -> Vec<(Option<i64>, String)> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = format!("{}/{}", line["type"].as_str().unwrap(), line["id"]);
        (line["given_id"].as_i64(), name)
    };
    lines.lines().map(line).collect()
}

#[test]
fn new_elements_of_an_editor_get_ids() {
    let place = Place::with_map();
    let made = written(&place.feed(&["put", "--json"], SURVEY).done());
    let given: Vec<Option<i64>> = made.iter().map(|(given, _)| *given).collect();
    assert_eq!(given, [Some(-77), Some(-40), Some(-2), Some(i64::MIN), None, None]);
    let id = |at: usize| made[at].1.split('/').nth(1).unwrap().parse::<u64>().unwrap();
    assert!((0..4).all(|at| id(at) >= 1 << 62), "{made:?}");
    let way = get(&place, &made[1].1);
    assert_eq!(way["nodes"], Value::from(vec![id(2), 1, id(3)]));
    let relation = get(&place, &made[0].1);
    let members: Vec<u64> = relation["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["ref"].as_u64().unwrap())
        .collect();
    assert_eq!(members, [id(1), 9, id(2)]);
    assert_eq!(get(&place, &made[2].1)["tags"]["name"], "Stop");
    assert_eq!(get(&place, "node/3")["lon"], 1.75);
    assert_eq!(get(&place, "node/10")["deleted"], true);
    place.run(["verify"]).done();
}

#[test]
fn a_change_file_creates_modifies_and_deletes() {
    let place = Place::with_map();
    let changes = "<osmChange version='0.6'>
        <create><way id='-1'><nd ref='-5'/><nd ref='2'/></way><node id='-5' lat='1' lon='2'/></create>
        <modify><way id='5' version='1'><nd ref='2'/><nd ref='-5'/></way></modify>
        <delete><way id='6' version='1'/><node id='11' version='1'/></delete></osmChange>";
    let made = written(&place.feed(&["put", "--json"], changes).done());
    let node = made[1].1.strip_prefix("node/").unwrap().parse::<u64>().unwrap();
    assert_eq!(get(&place, &made[0].1)["nodes"], Value::from(vec![node, 2]));
    assert_eq!(get(&place, "way/5")["nodes"], Value::from(vec![2, node]));
    for element in ["way/6", "node/11"] {
        assert_eq!(get(&place, element)["deleted"], true);
    }
    // What somebody has read as deleted says so again.
    let deleted = place.run(["get", "way/6"]).done();
    place.feed(&["put"], &deleted).done();
    assert_eq!(get(&place, "way/6")["deleted"], true);
}

#[test]
fn what_has_no_place_is_refused() {
    let place = Place::with_map();
    place.write("survey.osm", SURVEY);
    let root = place.run(["root"]).done();
    let sentence = place.run(["import", "survey.osm"]).refused(1);
    assert!(sentence.starts_with("survey.osm: line 3 (byte "), "{sentence}");
    let advice = "relation/-77: ids must be positive: upload the object to get a real id; \
                  or give the file to `osmdb put`, which finds ids for what is new";
    assert!(sentence.ends_with(advice), "{sentence}");
    place.write("way.osm", "<osm><way id='7'><nd ref='-1'/></way></osm>");
    let sentence = place.run(["import", "way.osm"]).refused(1);
    assert!(
        sentence.ends_with("or give the file to `osmdb put`, which finds ids for what is new"),
        "{sentence}"
    );
    for (input, expected) in [
        (
            "<osm><way id='-7'><nd ref='-1'/></way></osm>",
            "it names node/-1, which is no element of the input",
        ),
        (
            "<osm><node id='-1' lat='1' lon='1'/><node id='-1' lat='1' lon='1'/></osm>",
            "element 2 of the standard input: the id node/-1 is there twice",
        ),
        ("<osm><node id='0' lat='1' lon='1'/></osm>", "ids must be positive"),
        ("<osm><node id='-1' action='delete' lat='1' lon='1'/></osm>", "it is deleted, and would be new"),
    ] {
        let sentence = place.feed(&["put"], input).refused(1);
        assert!(sentence.contains(expected), "{sentence}");
    }
    assert_eq!(place.run(["root"]).done(), root);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Nodes and a way that names them, in any order and under any ids.
    #[test]
    fn placeholders_may_stand_anywhere(
        ids in proptest::collection::btree_set(i64::MIN..0, 1..6),
        turn in 0..7usize,
    ) {
        let place = Place::new();
        let mut elements: Vec<String> =
            ids.iter().enumerate().map(|(at, id)| format!("<node id='{id}' lat='{at}' lon='0'/>")).collect();
        let refs: String = ids.iter().map(|id| format!("<nd ref='{id}'/>")).collect();
        elements.push(format!("<way id='-1'>{refs}</way>"));
        let len = elements.len();
        elements.rotate_left(turn % len);
        let made = written(&place.feed(&["put", "--json"], &format!("<osm>{}</osm>", elements.concat())).done());
        let way = &made.iter().find(|(_, name)| name.starts_with("way/")).unwrap().1;
        let refs: Vec<Value> = get(&place, way)["nodes"].as_array().unwrap().clone();
        prop_assert_eq!(refs.len(), ids.len());
        for (at, id) in refs.iter().enumerate() {
            prop_assert_eq!(get(&place, &format!("node/{id}"))["lat"].as_f64(), Some(at as f64));
        }
    }
}
