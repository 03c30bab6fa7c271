//! The verbs that edit and that keep, as their users run them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::Place;
use serde_json::Value;

fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn root(place: &Place) -> String {
    place.run(["root"]).done()
}

#[test]
fn new_elements_name_each_other_by_any_id() {
    let place = Place::with_map();
    let input = r#"
        [{"type": "way", "id": -3, "nodes": [-1, -2, 1], "tags": {"highway": "path"}},
         {"type": "node", "id": -1, "lat": 1.00000005, "lon": 2e-1},
         {"type": "node", "id": -2, "lat": 1, "lon": 2, "tags": {"name": "Süd"}}]
        {"type": "relation", "id": 5, "members": [{"type": "way", "ref": -3, "role": "outer"}, {"type": "way", "ref": 5}]}
        {"type": "node", "lat": 3, "lon": 3, "tags": {}}"#;
    let made = values(&place.feed(&["create", "--json"], input).done());
    assert_eq!(
        made.iter().map(|made| made["given_id"].as_i64()).collect::<Vec<_>>(),
        [Some(-3), Some(-1), Some(-2), Some(5), None]
    );
    let id = |index: usize| made[index]["id"].as_u64().unwrap();
    let way = values(&place.run(["get", &format!("way/{}", id(0))]).done());
    let nodes: Vec<u64> = way[0]["nodes"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(nodes, [id(1), id(2), 1]);
    let relation = values(&place.run(["get", &format!("relation/{}", id(3))]).done());
    assert_eq!(relation[0]["members"][0]["ref"].as_u64(), Some(id(0)));
    assert_eq!(relation[0]["members"][1]["ref"].as_u64(), Some(5), "the way that was there");
    let node = values(&place.run(["get", &format!("node/{}", id(1))]).done());
    assert_eq!((node[0]["lat"].as_f64(), node[0]["lon"].as_f64()), (Some(1.000_000_1), Some(0.2)));
    assert_eq!(node[0]["author"].as_str().unwrap().len(), 64);
    place.run(["verify"]).done();
}

#[test]
fn a_file_of_osm_can_be_put_and_created() {
    let place = Place::with_map();
    let file = "<osm><node id='3' lat='7' lon='8'><tag k='amenity' v='spring'/></node>\
                <way id='70'><nd ref='3'/><nd ref='1'/></way></osm>";
    let printed = place.feed(&["put"], file).done();
    assert!(printed.starts_with("node/3 ") && printed.contains("\nway/70 "), "{printed}");
    assert_eq!(values(&place.run(["get", "node/3"]).done())[0]["tags"]["amenity"], "spring");
    let made = place.feed(&["create"], file).done();
    let names: Vec<&str> = made.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let way = values(&place.run(["get", names[1]]).done());
    assert_eq!(format!("node/{}", way[0]["nodes"][0]), names[0], "ids of what is all new are placeholders");
}

#[test]
fn what_was_read_and_edited_meanwhile_becomes_a_fork() {
    let place = Place::with_map();
    let ours = place.run(["get", "node/3"]).done().replace("well", "spring");
    let theirs = place.run(["get", "node/3"]).done().replace("well", "pump");
    place.feed(&["put"], &ours).done();
    place.feed(&["put"], &theirs).done();
    let heads = values(&place.run(["get", "node/3"]).done());
    assert_eq!(heads.len(), 2);
    assert!(place.run(["forks"]).done().contains("node/3"));
    let spring = heads.iter().find(|head| head["tags"]["amenity"] == "spring").unwrap();
    let printed = place.run(["resolve", "node/3", spring["version"].as_str().unwrap()]).done();
    assert!(printed.starts_with("node/3 "), "{printed}");
    let heads = values(&place.run(["get", "node/3"]).done());
    assert_eq!((heads.len(), heads[0]["tags"]["amenity"].as_str()), (1, Some("spring")));
    // An old version again, but against all heads: no fork.
    place.feed(&["put", "--heads"], &theirs).done();
    assert_eq!(values(&place.run(["get", "node/3"]).done()).len(), 1);
    let sentence = place.run(["resolve", "node/3", &"0".repeat(64)]).refused(1);
    assert!(sentence.contains("has no version"), "{sentence}");
}

#[test]
fn what_cannot_be_written_leaves_everything_as_it_was() {
    let place = Place::with_map();
    let before = root(&place);
    let refused = |verb: &str, input: &str| {
        let sentence = place.feed(&[verb], input).refused(1);
        assert_eq!(root(&place), before, "{sentence}");
        sentence
    };
    for (input, expected) in [
        ("", "nothing is on the standard input: expected elements as JSON or an OSM file"),
        (
            "{",
            "element 1 of the standard input: EOF while parsing an object at line 1 column 1; nothing was written",
        ),
        ("[7]", "expected an object, such as"),
        ("{\"type\":\"node\",\"lon\":1}", "`lat` is missing: expected degrees"),
        ("{\"type\":\"node\",\"lat\":91,\"lon\":1}", "`lat,lon` is 91,1: expected degrees on the globe"),
        ("{\"type\":\"node\",\"lat\":\"1\",\"lon\":1}", "`lat` is \"1\": expected degrees"),
        ("{\"type\":\"town\"}", "`type` is \"town\": expected node, way or relation"),
        ("{\"type\":\"way\",\"nodes\":[1.5]}", "`nodes` is [1.5]: expected an array of ids"),
        ("{\"type\":\"way\",\"nodes\":[-9]}", "it names node/-9, which is no element of the input"),
        (
            "{\"type\":\"way\",\"nodes\":[4711]}",
            "names node/4711, which is not in the database or deleted; write both at once",
        ),
        ("{\"type\":\"way\",\"nodes\":[]}", "a way has at least one node"),
        (
            "{\"type\":\"node\",\"lat\":1,\"lon\":1,\"tags\":{\"a\":7}}",
            "`tags` is {\"a\":7}: expected an object of texts",
        ),
        (
            "{\"type\":\"node\",\"id\":1,\"lat\":1,\"lon\":1}{\"type\":\"node\",\"id\":1,\"lat\":1,\"lon\":1}",
            "element 2 of the standard input: the id node/1 is there twice",
        ),
        ("<osm><node id='1'/></osm>", "nothing was imported"),
        (
            "<osm><node id='1' visible='false'/></osm>",
            "element 1 of the standard input: it is deleted, and would be new",
        ),
    ] {
        let sentence = refused("create", input);
        assert!(sentence.contains(expected), "{sentence}");
    }
    let sentence = refused("put", "{\"type\":\"node\",\"lat\":1,\"lon\":1}");
    assert!(sentence.contains("it has no id: `osmdb create` makes new elements"), "{sentence}");
    let sentence = place.run(["delete", "node/3", "node/1"]).refused(1);
    assert_eq!(
        sentence,
        "node/1 cannot be deleted: way/5 names it; delete both at once, or with --even-if-used"
    );
    let sentence = place.run(["delete", "node/4711"]).refused(1);
    assert!(sentence.contains("node/4711 is not in the database"), "{sentence}");
    assert_eq!(root(&place), before);
    let empty = Place::new();
    empty.feed(&["create"], "{").refused(1);
    assert!(empty.names().is_empty(), "no database stays behind");
}

#[test]
fn elements_are_deleted_together() {
    let place = Place::with_map();
    let printed = place.run(["delete", "--if-unused", "node/1", "node/3"]).done();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "node/1 is in use and was kept");
    assert!(lines[1].starts_with("node/3 ") && lines[1].len() == 71, "{printed}");
    place.run(["delete", "way/5", "relation/9", "node/1"]).done();
    assert_eq!(values(&place.run(["get", "way/5"]).done())[0]["deleted"], true);
    place.run(["delete", "--even-if-used", "node/2"]).done();
    place.run(["verify"]).done();
}

#[test]
fn changesets_hold_edits_until_they_are_closed() {
    let place = Place::with_map();
    let id = place.run(["changeset", "open", "comment=the wells = good", "source=survey"]).done();
    let id = id.trim();
    let node = "{\"type\":\"node\",\"lat\":1,\"lon\":2}";
    place.feed(&["create", "--changeset", id], node).done();
    place.run(["delete", "--changeset", id, "node/10"]).done();
    place.run(["changeset", "tag", id, "comment=wells"]).done();
    place.run(["changeset", "close", id]).done();
    let shown = &values(&place.run(["changeset", "show", id]).done())[0];
    assert_eq!((&shown["tags"]["comment"], shown["versions"].as_u64()), (&Value::from("wells"), Some(2)));
    assert_eq!(shown["bbox"], "-70.2500000,-33.5000000,2.0000000,1.0000000", "what is deleted was somewhere");
    assert!(shown["closed"].as_str().unwrap().ends_with('Z'));
    assert_eq!(place.run(["changes", id]).done().lines().count(), 2);
    let sentence = place.feed(&["create", "--changeset", id], node).refused(1);
    assert!(sentence.ends_with(&format!("changeset {id} is closed")), "{sentence}");
    let sentence = place.run(["changeset", "close", "77"]).refused(1);
    assert!(sentence.ends_with("there is no changeset 77"), "{sentence}");
    place.run(["changeset", "show", "77"]).refused(1);
    place.run(["changeset", "open", "comment"]).refused(2);
}

#[test]
fn authors_have_names_here() {
    let place = Place::with_map();
    place.feed(&["create"], "{\"type\":\"node\",\"lat\":1,\"lon\":2}").done();
    let author = values(&place.run(["authors", "--json"]).done())[0]["author"].as_str().unwrap().to_owned();
    let printed = place.run(["authors", "--name", &author, "Amina"]).done();
    assert_eq!(printed, format!("{author}         1 version  Amina (this database)\n"));
    place.run(["authors", "--name", "amina", "Amina"]).refused(2);
}

#[test]
fn undo_reflog_and_collection() {
    let place = Place::with_map();
    let imported = root(&place);
    for lat in 1..4 {
        place.feed(&["create"], &format!("{{\"type\":\"node\",\"lat\":{lat},\"lon\":2}}")).done();
    }
    let edited = root(&place);
    let printed = place.run(["undo"]).done();
    assert!(printed.starts_with("undid edit\n"), "{printed}");
    place.run(["undo"]).done();
    place.run(["undo"]).done();
    assert_eq!(root(&place), imported);
    place.run(["undo", "--to", edited.trim()]).done();
    assert_eq!(root(&place), edited);
    let log = values(&place.run(["reflog", "--json"]).done());
    let whats: Vec<&str> = log.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["undo", "undo", "undo", "undo", "edit", "edit", "edit", "import", "create"]);
    assert_eq!(place.run(["reflog"]).done().lines().count(), 9);
    let printed = place.run(["gc", "--keep", "2"]).done();
    assert!(printed.starts_with("2 roots are kept, 7 forgotten\n"), "{printed}");
    assert!(printed.contains(" removed\non disk "), "{printed}");
    assert_eq!(root(&place), edited);
    place.run(["verify", "--repair"]).done();
    let sentence = place.run(["undo", "--to", &"b".repeat(59)]).refused(2);
    assert!(!sentence.is_empty());
    place.run(["gc"]).done();
    let sentence = place.run(["undo"]).refused(1);
    assert_eq!(sentence, "there is nothing to undo");
    let elsewhere = Place::with_map();
    elsewhere.feed(&["create"], "{\"type\":\"node\",\"lat\":1,\"lon\":2}").done();
    let sentence = place.run(["undo", "--to", root(&elsewhere).trim()]).refused(1);
    assert!(sentence.ends_with("; see `osmdb reflog`"), "{sentence}");
}

#[test]
fn completions_are_scripts() {
    let place = Place::new();
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef osmdb"), ("fish", "complete -c osmdb")] {
        let script = place.run(["completions", shell]).done();
        assert!(script.contains(word) && script.contains("nearest"), "{shell}");
    }
    place.run(["completions", "cmd.exe"]).refused(2);
}
