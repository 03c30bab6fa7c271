//! Reading by the API: elements, versions, several, maps.

use osmdb::io::Reader;
use osmdb::{Coord, ElementId, Payload, Tags, Write};
use serde_json::Value;

use super::Server;

const MAP: &str = r#"<osm version="0.6">
  <node id="1" version="1" timestamp="2024-02-29T12:34:56Z" lat="1" lon="1"/>
  <node id="2" version="1" lat="1.0000001" lon="-3"/>
  <node id="3" version="4" lat="1.5" lon="1.5" changeset="7" uid="8" user="Ada &quot;A&quot;"><tag k="amenity" v="a &lt;well&gt; &amp; &quot;more&quot;"/></node>
  <node id="13" version="3" visible="false"/>
  <way id="5" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="path"/></way>
  <way id="6" version="1"><nd ref="2"/><nd ref="999"/><tag k="highway" v="cut off"/></way>
  <way id="7"><nd ref="3"/></way>
  <relation id="9" version="1"><member type="way" ref="5" role="outer"/><member type="node" ref="77" role=""/><tag k="type" v="route"/></relation>
  <relation id="10" version="1"><member type="relation" ref="9" role=""/></relation>
</osm>"#;

/// Lists the elements of a document, in either form.
fn names(server: &Server, path: &str) -> Vec<String> {
    let xml = server.get(path);
    assert_eq!(xml.header("content-type"), Some("application/xml; charset=utf-8"), "{path}: {xml:?}");
    let xml = xml.good();
    let tags = xml.lines().filter_map(|line| line.trim().strip_prefix('<'));
    let from_xml: Vec<String> = tags
        .filter(|tag| ["node ", "way ", "relation "].iter().any(|kind| tag.starts_with(kind)))
        .map(|tag| format!("{}/{}", tag.split(' ').next().unwrap(), tag.split('"').nth(1).unwrap()))
        .collect();
    let json: Value =
        serde_json::from_str(&server.ask("GET", path, &[("Accept", "application/json")], b"").good())
            .unwrap();
    let from_json: Vec<String> = json["elements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}/{}", one["type"].as_str().unwrap(), one["id"].to_string().trim_matches('"')))
        .collect();
    assert_eq!(from_xml, from_json, "{path}");
    from_xml
}

#[test]
fn every_route_has_its_status() {
    let server = Server::of(MAP);
    for (path, status) in [
        ("/healthz", 200),
        ("/api/versions", 200),
        ("/api/0.6/node/1", 200),
        ("/api/0.6/node/1.json", 200),
        ("/api/0.6/node/4", 404),
        ("/api/0.6/node/0", 404),
        ("/api/0.6/node/x", 404),
        ("/api/0.6/node/18446744073709551616", 404),
        ("/api/0.6/node/9223372036854775808", 404),
        ("/api/0.6/node/13", 410),
        ("/api/0.6/node/13/3", 200),
        ("/api/0.6/node/13/2", 404),
        ("/api/0.6/node/13/x", 404),
        ("/api/0.6/node/13/history", 200),
        ("/api/0.6/node/4/history", 404),
        ("/api/0.6/node/4/1", 404),
        ("/api/0.6/node/1/full", 404),
        ("/api/0.6/way/5/full", 200),
        ("/api/0.6/way/8/full", 404),
        ("/api/0.6/relation/9/full", 200),
        ("/api/0.6/node/1/ways", 200),
        ("/api/0.6/way/5/ways", 404),
        ("/api/0.6/node/4/relations", 200),
        ("/api/0.6/nodes?nodes=1,2", 200),
        ("/api/0.6/nodes?nodes=1,13", 200),
        ("/api/0.6/nodes?nodes=1,4", 404),
        ("/api/0.6/nodes?nodes=", 400),
        ("/api/0.6/nodes", 400),
        ("/api/0.6/nodes?nodes=1,x", 400),
        ("/api/0.6/nodes?nodes=1v9", 404),
        ("/api/0.6/ways?ways=5v1", 200),
        ("/api/0.6/map?bbox=0,0,0.4,0.4", 200),
        ("/api/0.6/map", 400),
        ("/api/0.6/map?bbox=1,2,3", 400),
        ("/api/0.6/map?bbox=a,b,c,d", 400),
        ("/api/0.6/map?bbox=2,1,1,2", 400),
        ("/api/0.6/map?bbox=1,2,2,1", 400),
        ("/api/0.6/map?bbox=-181,0,-180.9,0.1", 400),
        ("/api/0.6/map?bbox=0,0,0.52,0.5", 400),
        ("/api/0.6/map?bbox=-180,-90,180,90", 400),
        ("/api/0.6/node/3/forks", 200),
        ("/api/0.6/node/4/forks", 404),
        ("/api/0.6/changeset/7", 200),
        ("/api/0.6/changeset/8", 404),
        ("/api/0.6/changeset/7/download", 200),
        ("/api/0.6/changeset/8/download", 404),
        ("/api/0.6/changesets", 200),
        ("/api/0.6/changesets?limit=101", 400),
        ("/api/0.6/changesets?time=yesterday", 400),
        ("/api/0.6/changesets?display_name=Nobody", 404),
        ("/api/0.6/changesets?user=x", 400),
        ("/api/0.6/changesets?user=1&display_name=x", 400),
        ("/api/0.6/house/1", 404),
        ("/api/0.7/node/1", 404),
        ("/api/0.6/", 404),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if status != 200 {
            answer.refused(status);
        }
    }
    server.ask("DELETE", "/api/0.6/map", &[], b"").refused(405);
    server.ask("POST", "/api/0.6/node/1", &[], b"").refused(405);
    server.ask("PATCH", "/api/versions", &[], b"").refused(405);
}

#[test]
fn an_element_is_written_exactly() {
    let server = Server::of(MAP);
    let xml = server.get("/api/0.6/node/3").good();
    let expected = "  <node id=\"3\" visible=\"true\" version=\"4\" changeset=\"7\" user=\"Ada &quot;A&quot;\" uid=\"8\" \
                    lat=\"1.5000000\" lon=\"1.5000000\">\n    <tag k=\"amenity\" v=\"a &lt;well&gt; &amp; &quot;more&quot;\"/>\n  </node>\n</osm>\n";
    assert!(xml.ends_with(expected), "{xml}");
    let json: Value = serde_json::from_str(&server.get("/api/0.6/node/3.json").good()).unwrap();
    let expected = serde_json::json!({
        "type": "node", "id": 3, "lat": 1.5, "lon": 1.5, "version": 4, "changeset": 7,
        "user": "Ada \"A\"", "uid": 8, "tags": {"amenity": "a <well> & \"more\""},
    });
    assert_eq!(json["elements"][0], expected);
    // What is not known is not invented, but clients need a version.
    assert!(server.get("/api/0.6/way/7").good().contains("<way id=\"7\" visible=\"true\" version=\"1\">"));
    let node = server.get("/api/0.6/node/1");
    assert_eq!(node.header("last-modified"), Some("Thu, 29 Feb 2024 12:34:56 GMT"));
    // But JOSM reads no history in which these are missing.
    for path in ["/api/0.6/node/13/3", "/api/0.6/node/13/history"] {
        let gone = server.get(path).good();
        let expected = "<node id=\"13\" visible=\"false\" version=\"3\" changeset=\"1073741824\" timestamp=\"1970-01-01T00:00:00Z\"/>";
        assert!(gone.contains(expected), "{gone}");
    }
    assert_eq!(
        server.get("/api/0.6/node/13").refused(410),
        "The node with the id 13 has already been deleted"
    );
}

#[test]
fn lists_have_their_elements() {
    let server = Server::of(MAP);
    for (path, expected) in [
        ("/api/0.6/map?bbox=0.9,0.9,1.1,1.1", "node/1 node/2 way/5 relation/9 relation/10"),
        ("/api/0.6/map?bbox=1.4,1.4,1.6,1.6", "node/3 way/7"),
        ("/api/0.6/map?bbox=20,20,20,20", ""),
        ("/api/0.6/way/5/full", "node/1 node/2 way/5"),
        ("/api/0.6/way/6/full", "node/2 way/6"),
        ("/api/0.6/relation/9/full", "node/1 node/2 way/5 relation/9"),
        ("/api/0.6/relation/10/full", "relation/9 relation/10"),
        ("/api/0.6/node/2/ways", "way/5 way/6"),
        ("/api/0.6/node/77/relations", "relation/9"),
        ("/api/0.6/relation/9/relations", "relation/10"),
        ("/api/0.6/node/1/relations", ""),
        ("/api/0.6/nodes?nodes=3,1,13,1", "node/1 node/3 node/13"),
        ("/api/0.6/nodes?nodes=3v4,1", "node/1 node/3"),
        ("/api/0.6/nodes?nodes=1v1,3", "node/1 node/3"),
    ] {
        assert_eq!(names(&server, path).join(" "), expected, "{path}");
    }
}

#[test]
fn the_form_follows_what_is_accepted() {
    let server = Server::of(MAP);
    for (accept, form) in [
        ("*/*", Some("application/xml")),
        ("", Some("application/xml")),
        ("nonsense", Some("application/xml")),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Some("application/xml")),
        ("application/json", Some("application/json")),
        ("application/json;q=0.5, application/xml", Some("application/xml")),
        ("application/xml;q=0.5, application/json", Some("application/json")),
        ("text/xml", Some("application/xml")),
        ("image/png", None),
        ("application/json;q=0", None),
    ] {
        let answer = server.ask("GET", "/api/0.6/node/1", &[("Accept", accept)], b"");
        match form {
            Some(form) => {
                let found = answer.header("content-type").unwrap().to_owned();
                assert!(found.starts_with(form), "{accept}: {found}");
                assert_eq!(answer.status, 200);
            }
            None => drop(answer.refused(406)),
        }
        let json = server.ask("GET", "/api/0.6/node/1.json", &[("Accept", accept)], b"").good();
        assert!(serde_json::from_str::<Value>(&json).is_ok());
    }
}

#[test]
fn what_is_read_is_a_file_of_osm() {
    let server = Server::of(MAP);
    let map = server.get("/api/0.6/map?bbox=0.9,0.9,1.1,1.1").good();
    assert!(map.contains(
        "<bounds minlat=\"0.9000000\" minlon=\"0.9000000\" maxlat=\"1.1000000\" maxlon=\"1.1000000\"/>"
    ));
    let read: Vec<_> =
        Reader::from_source("map.osm", 0, std::io::Cursor::new(map)).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 5);
    for entry in read {
        let ours = server.db.get(entry.element).unwrap();
        assert_eq!(ours[0].entry.payload, entry.payload);
    }
}

#[test]
fn a_fork_shows_one_head_and_says_so() {
    let server = Server::of(MAP);
    let node = ElementId::node(3);
    let first = server.db.get(node).unwrap()[0].version;
    let at =
        |lat| Payload::Node { coord: Coord::new(lat, 15_000_000).unwrap(), tags: Tags::from([("n", "1")]) };
    for lat in [15_000_001, 15_000_002] {
        let mut batch = server.db.batch();
        batch.push(Write::put(node, at(lat)).replacing([first]));
        batch.commit().unwrap();
    }
    let heads = server.db.get(node).unwrap();
    assert_eq!(heads.len(), 2);
    for path in [
        "/api/0.6/node/3",
        "/api/0.6/map?bbox=1.4,1.4,1.6,1.6",
        "/api/0.6/nodes?nodes=3",
        "/api/0.6/way/7/full",
    ] {
        let shown = server.get(path).good();
        assert_eq!(shown.matches("<node id=\"3\"").count(), 1, "{shown}");
        assert!(shown.contains("version=\"5\"") && shown.contains("osmdb:forks=\"2\""), "{shown}");
        let join = if path.contains('?') { '&' } else { '?' };
        let all = server.get(&format!("{path}{join}forks=true")).good();
        assert_eq!(all.matches("<node id=\"3\"").count(), 2, "{all}");
        for head in &heads {
            assert!(all.contains(&format!("osmdb:version=\"{}\"", head.version)), "{all}");
        }
    }
    assert_eq!(server.get("/api/0.6/node/3/forks").good().matches("<node id=\"3\"").count(), 2);
    assert_eq!(server.get("/api/0.6/node/3/history").good().matches("<node id=\"3\"").count(), 2);
    assert_eq!(server.get("/api/0.6/node/3/history?forks=true").good().matches("<node id=\"3\"").count(), 3);
}

#[test]
fn a_map_has_limits() {
    let mut map = String::from("<osm>");
    for id in 1..=50_001 {
        map += &format!("<node id='{id}' version='1' lat='{:.5}' lon='1'/>", f64::from(id) * 0.000_002);
    }
    map += "</osm>";
    let server = Server::of(&map);
    let text = server.get("/api/0.6/map?bbox=0.9,0,1.1,0.2").refused(400);
    assert_eq!(
        text,
        "You requested too many nodes (limit is 50000). Either request a smaller area, or use planet.osm"
    );
    let text = server.get("/api/0.6/map?bbox=0,0,0.5,0.52").refused(400);
    assert_eq!(
        text,
        "The maximum bbox size is 0.250000, and your request was too large. Either request a smaller area, or use planet.osm"
    );
    let half = server.get("/api/0.6/map?bbox=0.9,0,1.1,0.05").good();
    assert!(half.matches("<node ").count() > 20_000);
    // An answer of many pieces is the same in the other form.
    let json: Value =
        serde_json::from_str(&server.get("/api/0.6/map.json?bbox=0.9,0,1.1,0.05").good()).unwrap();
    assert_eq!(json["elements"].as_array().unwrap().len(), half.matches("<node ").count());
}
