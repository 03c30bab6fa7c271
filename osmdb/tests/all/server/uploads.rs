//! Changesets and uploads: what is written, and every cause of a refusal, which leaves the root as it was.

use std::io::Write as _;

use osmdb::{ElementId, Payload};
use serde_json::Value;

use super::{Answer, Server};

const MAP: &str = r#"<osm version="0.6">
  <node id="1" version="1" lat="1" lon="1"/>
  <node id="2" version="3" lat="1" lon="1.01"/>
  <node id="3" version="4" lat="1.5" lon="1.5"><tag k="amenity" v="well"/></node>
  <node id="4" version="1" lat="2" lon="2"/>
  <node id="13" version="3" visible="false"/>
  <way id="5" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="path"/></way>
  <way id="6" version="1"><nd ref="2"/><nd ref="999"/><tag k="highway" v="cut off"/></way>
  <way id="7" version="1"><nd ref="1"/><nd ref="4"/></way>
  <relation id="9" version="1"><member type="way" ref="5" role="outer"/><member type="node" ref="3" role=""/></relation>
  <relation id="10" version="2"><member type="relation" ref="9" role=""/></relation>
</osm>"#;

/// Opens a changeset.
fn open(server: &Server) -> u64 {
    let body = "<osm><changeset><tag k='comment' v='a test &amp; more'/><tag k='created_by' v='me'/></changeset></osm>";
    server.put("/api/0.6/changeset/create", body).good().parse().unwrap()
}

/// Uploads the sections of a change file; `CS` stands for the changeset.
fn upload(server: &Server, changeset: u64, sections: &str, query: &str) -> Answer {
    let body =
        format!("<osmChange version=\"0.6\">{}</osmChange>", sections.replace("CS", &changeset.to_string()));
    server.post(&format!("/api/0.6/changeset/{changeset}/upload{query}"), &body)
}

/// Returns the lines of a result: what they are, and their three attributes.
fn lines(document: &str) -> Vec<String> {
    let tags = document.lines().map(str::trim).filter(|line| line.contains("old_id"));
    tags.map(|tag| tag.trim_start_matches('<').trim_end_matches("/>").to_owned()).collect()
}

fn attribute(line: &str, name: &str) -> Option<String> {
    let rest = line.split_once(&format!(" {name}=\""))?.1;
    Some(rest.split('"').next()?.to_owned())
}

#[test]
fn a_session_of_an_editor() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    assert!(changeset < 1 << 31, "clients read 32 bits");
    let shown = server.get(&format!("/api/0.6/changeset/{changeset}")).good();
    assert!(
        shown.contains("open=\"true\"") && shown.contains("<tag k=\"comment\" v=\"a test &amp; more\"/>"),
        "{shown}"
    );

    // Placeholders in any order, of all kinds; a way before its nodes.
    let result = upload(&server, changeset, "
        <create>
          <relation id='-1' changeset='CS'><member type='way' ref='-1' role='a'/><member type='node' ref='3' role=''/></relation>
          <way id='-1' version='0' changeset='CS'><nd ref='-1'/><nd ref='-2'/><nd ref='1'/><tag k='highway' v='track'/></way>
          <node id='-1' version='0' changeset='CS' lat='1.1' lon='1.1'/>
          <node id='-2' changeset='CS' lat='1.2' lon='1.2'><tag k='name' v='&quot;new&quot; &lt;é&gt;'/></node>
        </create>
        <modify>
          <node id='3' version='4' changeset='CS' lat='1.6' lon='1.5'><tag k='amenity' v='clinic'/></node>
          <node id='-2' version='1' changeset='CS' lat='1.25' lon='1.2'/>
        </modify>
        <delete if-unused='true'/>", "").good();
    let made = lines(&result);
    assert_eq!(made.len(), 6, "{result}");
    let kinds: Vec<&str> = made.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["relation", "way", "node", "node", "node", "node"]);
    let old: Vec<_> = made.iter().map(|line| attribute(line, "old_id").unwrap()).collect();
    assert_eq!(old, ["-1", "-1", "-1", "-2", "3", "-2"]);
    let versions: Vec<_> = made.iter().map(|line| attribute(line, "new_version").unwrap()).collect();
    assert_eq!(versions, ["1", "1", "1", "1", "5", "2"]);
    let ids: Vec<u64> = made.iter().map(|line| attribute(line, "new_id").unwrap().parse().unwrap()).collect();
    assert_eq!((ids[4], ids[3]), (3, ids[5]));

    let way = server.db.get(ElementId::way(ids[1])).unwrap().remove(0).entry;
    let Some(Payload::Way { refs, .. }) = way.payload else { panic!("a way") };
    assert_eq!(refs, [ids[2], ids[3], 1]);
    let read = server.get(&format!("/api/0.6/way/{}/full", ids[1])).good();
    assert!(
        read.contains(&format!("changeset=\"{changeset}\"")) && read.contains("lat=\"1.2500000\""),
        "{read}"
    );
    let history = server.get(&format!("/api/0.6/node/{}/history", ids[3])).good();
    assert!(history.contains("version=\"1\"") && history.contains("version=\"2\""), "{history}");
    assert!(server.get(&format!("/api/0.6/node/{}/1", ids[3])).good().contains("&quot;new&quot; &lt;é&gt;"));
    // Readers of JSON that make floats of numbers get such ids as text.
    let json: Value =
        serde_json::from_str(&server.get(&format!("/api/0.6/way/{}.json", ids[1])).good()).unwrap();
    assert_eq!(json["elements"][0]["id"], ids[1].to_string());
    assert_eq!(json["elements"][0]["nodes"], serde_json::json!([ids[2].to_string(), ids[3].to_string(), 1]));

    // Deletes: one that is used stays if it may, another goes.
    let result = upload(&server, changeset, &format!("
        <delete if-unused='true'><node id='1' version='1' changeset='CS'/><node id='13' version='3' changeset='CS'/></delete>
        <delete><relation id='{}' version='1' changeset='CS' lat='x'><nonsense/></relation></delete>", ids[0]), "").good();
    let result = lines(&result);
    assert_eq!(result[0], "node old_id=\"1\" new_id=\"1\" new_version=\"1\"");
    assert_eq!(result[1], "node old_id=\"13\" new_id=\"13\" new_version=\"3\"");
    assert_eq!(result[2], format!("relation old_id=\"{}\"", ids[0]));
    assert_eq!(server.get(&format!("/api/0.6/relation/{}", ids[0])).status, 410);

    let download = server.get(&format!("/api/0.6/changeset/{changeset}/download")).good();
    for (section, times) in [("<create>", 4), ("<modify>", 2), ("<delete>", 1)] {
        assert_eq!(download.matches(section).count(), times, "{section}: {download}");
    }
    // JOSM sends a blank line along.
    assert_eq!(server.put(&format!("/api/0.6/changeset/{changeset}/close"), "\n").good(), "");
    let shown: Value =
        serde_json::from_str(&server.get(&format!("/api/0.6/changeset/{changeset}.json")).good()).unwrap();
    let shown = &shown["changeset"];
    assert_eq!((&shown["open"], &shown["changes_count"]), (&false.into(), &7.into()));
    assert_eq!(shown["min_lat"], 1.0);
    assert!(shown["closed_at"].is_string() && shown["tags"]["created_by"] == "me", "{shown}");
    let text = server.put(&format!("/api/0.6/changeset/{changeset}/close"), "").refused(409);
    assert!(
        text.starts_with(&format!("The changeset {changeset} was closed at 2")) && text.ends_with(" UTC"),
        "{text}"
    );
    assert_eq!(server.db.snapshot().verify().unwrap().entries, server.db.counts().entries);
}

#[test]
fn numbers_of_changesets_stay() {
    let server = Server::of(MAP);
    let (first, second) = (open(&server), open(&server));
    assert_eq!(second, first + 1);
    let dir = server.stop();
    let server = Server::in_dir(dir, osmdb::server::ServerOptions::default(), None);
    for number in [second, first] {
        let shown = server.get(&format!("/api/0.6/changeset/{number}")).good();
        assert!(shown.contains("open=\"true\""), "{shown}");
    }
    assert_eq!(open(&server), first + 2);
}

#[test]
fn every_refusal_has_its_text_and_leaves_the_root() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    let root = server.db.root();
    let long = "é".repeat(256);
    let key = format!(
        "<create><node id='-1' changeset='CS' lat='1' lon='1'><tag k='{long}' v='x'/></node></create>"
    );
    let value = format!(
        "<create><node id='-1' changeset='CS' lat='1' lon='1'><tag k='x' v='{long}'/></node></create>"
    );
    let way = format!("<create><way id='-1' changeset='CS'>{}</way></create>", "<nd ref='1'/>".repeat(2_001));
    let member = "<member type='node' ref='1' role=''/>";
    let relation =
        format!("<create><relation id='-1' changeset='CS'>{}</relation></create>", member.repeat(32_001));
    let cases: &[(&str, u16, &str)] = &[
        // What is wrong in itself.
        (
            "<create><node id='-1' changeset='CS' lat='91' lon='1'/></create>",
            400,
            "The node is outside this world",
        ),
        ("<create><node id='-1' changeset='CS' lon='1'/></create>", 400, "lat missing"),
        ("<create><node id='-1' changeset='CS' lat='1'/></create>", 400, "lon missing"),
        ("<create><node id='-1' changeset='CS' lat='x' lon='1'/></create>", 400, "lat is not a number"),
        ("<create><node id='-1' lat='1' lon='1'/></create>", 400, "Changeset id is missing"),
        (
            "<modify><node id='3' changeset='CS' lat='1' lon='1'/></modify>",
            400,
            "Version is required when updating",
        ),
        (
            "<modify><node version='4' changeset='CS' lat='1' lon='1'/></modify>",
            400,
            "ID is required when updating.",
        ),
        (
            "<modify><node id='0' version='4' changeset='CS' lat='1' lon='1'/></modify>",
            400,
            "ID of node cannot be zero when updating.",
        ),
        (
            "<invent><node id='3' changeset='CS' lat='1' lon='1'/></invent>",
            400,
            "Unknown action invent, choices are create, modify, delete",
        ),
        (
            "<create><house id='-1' changeset='CS'/></create>",
            400,
            "Unknown element, expecting node, way or relation",
        ),
        (
            "<create><node id='-1' changeset='CS' lat='1' lon='1'><tag k='a' v='1'/><tag k='a' v='2'/></node></create>",
            400,
            "Element node/-1 has duplicate tags with key a",
        ),
        (&key, 400, "Key has more than 255 unicode characters"),
        (&value, 400, "Value has more than 255 unicode characters"),
        (
            "<create><node id='-1' changeset='CS' lat='1' lon='1'><tag k='' v='x'/></node></create>",
            400,
            "Key may not be empty",
        ),
        (
            "<create><node id='-1' changeset='CS' lat='1' lon='1'><tag k='a'/></node></create>",
            400,
            "v is missing",
        ),
        (&way, 400, "You tried to add 2001 nodes to way -1, however only 2000 are allowed"),
        (&relation, 400, "You tried to add 32001 members to relation -1, however only 32000 are allowed"),
        ("<create><way id='-1' changeset='CS'><nd ref='0'/></way></create>", 400, "ref is no id"),
        (
            "<create><relation id='-1' changeset='CS'><member type='house' ref='1' role=''/></relation></create>",
            400,
            "type is not node, way or relation",
        ),
        (
            "<create><node id='-1' changeset='CS' lat='1' lon='1'></create>",
            400,
            "Cannot parse valid osmChange from xml string.",
        ),
        // Placeholders.
        (
            "<create><node id='-1' changeset='CS' lat='1' lon='1'/><node id='-1' changeset='CS' lat='1' lon='1'/></create>",
            400,
            "Placeholder IDs must be unique for created elements.",
        ),
        (
            "<create><way id='-1' changeset='CS'><nd ref='-7'/></way></create>",
            400,
            "Placeholder node not found for reference -7 in way -1",
        ),
        (
            "<create><relation id='-1' changeset='CS'><member type='way' ref='-7' role=''/></relation></create>",
            400,
            "Placeholder way not found for reference -7 in relation -1",
        ),
        (
            "<modify><node id='-1' version='1' changeset='CS' lat='1' lon='1'/></modify>",
            400,
            "Placeholder node not found for reference -1",
        ),
        // What is not there.
        (
            "<modify><node id='77' version='1' changeset='CS' lat='1' lon='1'/></modify>",
            404,
            "The node with the id 77 was not found",
        ),
        (
            "<delete><way id='77' version='1' changeset='CS'/></delete>",
            404,
            "The way with the id 77 was not found",
        ),
        // Conflicts.
        (
            "<create><node id='-1' changeset='12' lat='1' lon='1'/></create>",
            409,
            "Changeset mismatch: Provided 12 but only CS is allowed",
        ),
        (
            "<modify><node id='3' version='1' changeset='CS' lat='1' lon='1'/></modify>",
            409,
            "Version mismatch: Provided 1, server had: 4 of Node 3",
        ),
        (
            "<modify><way id='5' version='9' changeset='CS'><nd ref='1'/></way></modify>",
            409,
            "Version mismatch: Provided 9, server had: 1 of Way 5",
        ),
        (
            "<delete><relation id='10' version='1' changeset='CS'/></delete>",
            409,
            "Version mismatch: Provided 1, server had: 2 of Relation 10",
        ),
        (
            "<delete if-unused='true'><node id='3' version='3' changeset='CS'/></delete>",
            409,
            "Version mismatch: Provided 3, server had: 4 of Node 3",
        ),
        (
            "<modify><node id='3' version='4' changeset='CS' lat='1' lon='1'/><node id='3' version='4' changeset='CS' lat='1' lon='1'/></modify>",
            409,
            "Version mismatch: Provided 4, server had: 5 of Node 3",
        ),
        (
            "<delete><node id='13' version='3' changeset='CS'/></delete>",
            410,
            "The node with the id 13 has already been deleted",
        ),
        // What others need.
        (
            "<delete><node id='1' version='1' changeset='CS'/></delete>",
            412,
            "Precondition failed: Node 1 is still used by ways 5,7.",
        ),
        (
            "<delete><node id='3' version='4' changeset='CS'/></delete>",
            412,
            "Precondition failed: Node 3 is still used by relations 9.",
        ),
        (
            "<delete><way id='5' version='1' changeset='CS'/></delete>",
            412,
            "Precondition failed: Way 5 is still used by relations 9.",
        ),
        (
            "<delete><relation id='9' version='1' changeset='CS'/></delete>",
            412,
            "Precondition failed: The relation 9 is used in relation 10.",
        ),
        (
            "<delete><way id='7' version='1' changeset='CS'/><node id='1' version='1' changeset='CS'/></delete>",
            412,
            "Precondition failed: Node 1 is still used by ways 5.",
        ),
        (
            "<create><way id='-5' changeset='CS'><nd ref='13'/><nd ref='77'/><nd ref='1'/></way></create>",
            412,
            "Precondition failed: Way -5 requires the nodes with id in (13,77), which either do not exist, or are not visible.",
        ),
        (
            "<modify><way id='6' version='1' changeset='CS'><nd ref='2'/><nd ref='999'/><nd ref='998'/></way></modify>",
            412,
            "Precondition failed: Way 6 requires the nodes with id in (998), which either do not exist, or are not visible.",
        ),
        (
            "<create><relation id='-5' changeset='CS'><member type='way' ref='77' role=''/></relation></create>",
            412,
            "Precondition failed: Relation with id -5 cannot be saved due to Way with id 77",
        ),
        (
            "<create><way id='-5' changeset='CS'/></create>",
            412,
            "Precondition failed: Way -5 must have at least one node",
        ),
    ];
    for (sections, status, text) in cases {
        // Something that is right comes before what is wrong.
        let right = "<create><node id='-99' changeset='CS' lat='1' lon='1'/></create>";
        let found = upload(&server, changeset, &format!("{right}{sections}"), "").refused(*status);
        let text = text.replace("CS", &changeset.to_string());
        let is_exact = *status != 400 || text.starts_with("Element") || text.starts_with("You");
        assert!(if is_exact { found == text } else { found.contains(&text) }, "{found}\ninstead of\n{text}");
        assert_eq!(server.db.root(), root, "{sections}");
    }
    for (body, text) in [
        ("", "XML doesn't contain an osmChange element"),
        ("<osm/>", "XML doesn't contain an osmChange element"),
        ("<osmChange/><osmChange/>", "something follows its end"),
        ("<osmChange>", "the document ends inside a tag"),
        ("<?xml version='1.0' encoding='latin1'?><osmChange/>", "its encoding is not UTF-8"),
        ("<!DOCTYPE osmChange [<!ENTITY a 'b'>]><osmChange/>", "a document type has no place here"),
        (
            "<osmChange><create><node id='-1' changeset='1' lat='1' lon='1'><tag k='a' v='&b;'/></node></create></osmChange>",
            "b",
        ),
    ] {
        let found = server.post(&format!("/api/0.6/changeset/{changeset}/upload"), body).refused(400);
        assert!(found.contains(text), "{found}");
        assert_eq!(server.db.root(), root, "{body}");
    }
    for (path, status) in [("changeset/99/upload", 404), ("changeset/x/upload", 404)] {
        server.post(&format!("/api/0.6/{path}"), "<osmChange/>").refused(status);
    }
    assert_eq!(server.db.root(), root);
}

#[test]
fn hostile_bodies_are_refused_at_once() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    let root = server.db.root();
    let path = format!("/api/0.6/changeset/{changeset}/upload");
    let began = std::time::Instant::now();
    // A body that says how long it is, is not read.
    let text = server.ask("POST", &path, &[("X", "y")], &vec![b' '; 100 << 20]).status;
    assert_eq!(text, 413);
    let laughs =
        "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><osmChange>&b;</osmChange>";
    server.post(&path, laughs).refused(400);
    let deep = format!("<osmChange>{}", "<create>".repeat(100_000));
    server.post(&path, &deep).refused(400);
    let deep =
        format!("<osmChange><create><node id='-1' changeset='1' lat='1' lon='1'>{}", "<x>".repeat(100_000));
    assert!(server.post(&path, &deep).refused(400).contains("deeper"));
    let text = server.ask("POST", &path, &[], b"<osmChange>\xff</osmChange>").refused(400);
    assert_eq!(text, "The body is not UTF-8: byte 11 is wrong");
    let many =
        format!("<create>{}</create>", "<node id='-1' changeset='CS' lat='1' lon='1'/>".repeat(10_001));
    let text = upload(&server, changeset, &many, "").refused(409);
    assert!(text.starts_with(&format!("The changeset {changeset} was closed at ")), "{text}");
    // More tags than anything has, and a relation that no value of a tree would hold.
    let tags: String = (0..5_001).map(|key| format!("<tag k='{key}' v=''/>")).collect();
    let tagged = format!("<create><node id='-1' changeset='CS' lat='1' lon='1'>{tags}</node></create>");
    assert!(upload(&server, changeset, &tagged, "").refused(400).contains("More than 5000 tags"));
    let body = format!("<osm><changeset>{tags}</changeset></osm>");
    assert!(server.put("/api/0.6/changeset/create", &body).refused(400).contains("More than 5000 tags"));
    let member = format!("<member type='node' ref='1' role='{}'/>", "й".repeat(255));
    let wide =
        format!("<create><relation id='-1' changeset='CS'>{}</relation></create>", member.repeat(32_000));
    let text = upload(&server, changeset, &wide, "").refused(400);
    assert!(text.contains("have at most 8388608 bytes"), "{text}");
    let many: String = (0..200_000).map(|key| format!("<preference k='{key}' v=''/>")).collect();
    let body = format!("<osm><preferences>{many}</preferences></osm>");
    server.put("/api/0.6/user/preferences", &body).refused(413);
    // A little that unpacks to much.
    let packed = gzip(&vec![b' '; 70 << 20]);
    server.ask("POST", &path, &[("Content-Encoding", "gzip")], &packed).refused(413);
    server.ask("POST", &path, &[("Content-Encoding", "gzip")], b"no gzip").refused(400);
    server.ask("POST", &path, &[("Content-Encoding", "br")], b"x").refused(415);
    assert_eq!(server.db.root(), root);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_packed_upload_is_taken() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    let body = format!(
        "<osmChange><create><node id='-1' changeset='{changeset}' lat='1' lon='1'/></create></osmChange>"
    );
    let path = format!("/api/0.6/changeset/{changeset}/upload.json");
    let result = server.ask("POST", &path, &[("Content-Encoding", "gzip")], &gzip(body.as_bytes())).good();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(
        (&result["diffResult"][0]["old_id"], &result["diffResult"][0]["new_version"]),
        (&(-1).into(), &1.into())
    );
}

#[test]
fn a_changeset_takes_so_many_changes() {
    let mut options = osmdb::server::ServerOptions::default();
    options.limits.changeset_elements = 3;
    let server = Server::with(options, Some(MAP));
    let changeset = open(&server);
    let one = "<create><node id='-1' changeset='CS' lat='1' lon='1'/></create>";
    for _ in 0..3 {
        upload(&server, changeset, one, "").good();
    }
    let root = server.db.root();
    upload(&server, changeset, one, "").refused(409);
    let body = format!("<osm><node changeset='{changeset}' lat='1' lon='1'/></osm>");
    server.put("/api/0.6/node/create", &body).refused(409);
    assert_eq!(server.db.root(), root);
}

#[test]
fn an_edit_of_an_old_version_may_fork() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    let edit = |version: u32, lat: &str| {
        format!("<modify><node id='3' version='{version}' changeset='CS' lat='{lat}' lon='1.5'/></modify>")
    };
    upload(&server, changeset, &edit(4, "1.1"), "?fork=true").good();
    assert_eq!(server.db.counts().forks, 0, "it knew the latest");
    upload(&server, changeset, &edit(4, "1.2"), "").refused(409);
    let made = upload(&server, changeset, &edit(4, "1.2"), "?fork=true").good();
    assert_eq!(lines(&made), ["node old_id=\"3\" new_id=\"3\" new_version=\"5\""]);
    assert_eq!(server.db.counts().forks, 1);
    upload(&server, changeset, &edit(9, "1.2"), "?fork=true").refused(409);
    upload(&server, changeset, &edit(5, "1.2"), "?fork=true&resolve=true").refused(400);

    // An ordinary edit replaces the head that is shown, and the other stays.
    let made = upload(&server, changeset, &edit(5, "1.3"), "").good();
    assert_eq!(lines(&made), ["node old_id=\"3\" new_id=\"3\" new_version=\"6\""]);
    assert_eq!(server.db.counts().forks, 1);
    // A head can be named: one that is not shown.
    let (number, version) = heads(&server).into_iter().find(|(_, version)| !shows(&server, version)).unwrap();
    let named = format!(
        "<modify><node id='3' version='{number}' osmdb:version='{version}' changeset='CS' lat='1.4' lon='1.5'/></modify>"
    );
    upload(&server, changeset, &named, "").good();
    assert!(heads(&server).iter().all(|(_, head)| *head != version));
    assert_eq!(heads(&server).len(), 2);
    let greatest = heads(&server).into_iter().map(|(number, _)| number).max().unwrap();
    upload(&server, changeset, &edit(4, "1.5"), "?resolve=true").refused(409);
    let end = upload(&server, changeset, &edit(greatest, "1.5"), "?resolve=true").good();
    let last = greatest + 1;
    assert_eq!(lines(&end), [format!("node old_id=\"3\" new_id=\"3\" new_version=\"{last}\"")]);
    assert_eq!(server.db.counts().forks, 0);

    // The same by the element's own path.
    upload(&server, changeset, &edit(4, "1.6"), "?fork=true").good();
    assert_eq!(server.db.counts().forks, 1);
    let body =
        format!("<osm><node id='3' version='{last}' changeset='{changeset}' lat='1.7' lon='1.5'/></osm>");
    assert_eq!(server.put("/api/0.6/node/3/forks", &body).good(), (last + 1).to_string());
    assert_eq!(server.db.counts().forks, 0);
}

/// Lists the heads of node 3: their numbers and versions.
fn heads(server: &Server) -> Vec<(u32, String)> {
    let json: Value = serde_json::from_str(&server.get("/api/0.6/node/3/forks.json").good()).unwrap();
    let heads = json["elements"].as_array().unwrap().iter();
    let number = |head: &Value| u32::try_from(head["version"].as_u64().unwrap()).unwrap();
    heads.map(|head| (number(head), head["osmdb:version"].as_str().unwrap().to_owned())).collect()
}

fn shows(server: &Server, version: &str) -> bool {
    server.get("/api/0.6/node/3").good().contains(version)
}

#[test]
fn uploads_at_the_same_time_take_turns() {
    let server = Server::of(MAP);
    let changesets: Vec<u64> = (0..4).map(|_| open(&server)).collect();
    let before = server.db.counts().nodes;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let edit = |changeset: u64| {
            let server = &server;
            move || {
                for _ in 0..3 {
                    let create = "<create><node id='-1' changeset='CS' lat='1' lon='1'/></create>";
                    upload(server, changeset, create, "").good();
                }
                let modify = "<modify><node id='3' version='4' changeset='CS' lat='2' lon='2'/></modify>";
                upload(server, changeset, modify, "").status
            }
        };
        let threads: Vec<_> = changesets.iter().map(|changeset| scope.spawn(edit(*changeset))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(server.db.counts().nodes, before + 12);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 3, "{statuses:?}");
    assert_eq!(server.db.counts().forks, 0);
}

#[test]
fn one_element_at_a_time() {
    let server = Server::of(MAP);
    let changeset = open(&server);
    let node = |id: &str, version: u32| {
        format!(
            "<osm><node id='{id}' version='{version}' changeset='{changeset}' lat='1.5' lon='1.5'/></osm>"
        )
    };
    let id = server.put("/api/0.6/node/create", &node("-1", 0)).good();
    assert!(id.parse::<u64>().unwrap() >= 1 << 62);
    let path = format!("/api/0.6/node/{id}");
    assert_eq!(server.put(&path, &node(&id, 1)).good(), "2");
    server.put(&path, &node(&id, 1)).refused(409);
    let text = server.put(&path, &node("3", 1)).refused(400);
    assert_eq!(text, format!("The id in the url ({id}) is not the same as provided in the xml (3)"));
    assert_eq!(server.ask("DELETE", &path, &[], node(&id, 2).as_bytes()).good(), "3");
    server.ask("DELETE", &path, &[], node(&id, 3).as_bytes()).refused(410);
    server.get(&path).refused(410);
    // What was deleted can be made to live again.
    assert_eq!(server.put(&path, &node(&id, 3)).good(), "4");
    server.get(&path).good();
    server.put("/api/0.6/way/create", &node("-1", 0)).refused(400);
    server.put("/api/0.6/node/77", &node("77", 1)).refused(404);
    // A way of an extract can be edited, though nodes of it are not here.
    let way = format!(
        "<osm><way id='6' version='1' changeset='{changeset}'><nd ref='2'/><nd ref='999'/></way></osm>"
    );
    assert_eq!(server.put("/api/0.6/way/6", &way).good(), "2");
    let tags = "<osm><changeset><tag k='comment' v='other'/></changeset></osm>";
    let shown = server.put(&format!("/api/0.6/changeset/{changeset}"), tags).good();
    assert!(shown.contains("v=\"other\"") && !shown.contains("created_by"), "{shown}");
}

#[test]
fn changesets_are_found() {
    let server = Server::of(MAP);
    let (first, second) = (open(&server), open(&server));
    upload(&server, first, "<create><node id='-1' changeset='CS' lat='40' lon='40'/></create>", "").good();
    server.put(&format!("/api/0.6/changeset/{second}/close"), "").good();
    let found = |query: &str| {
        let json = server.get(&format!("/api/0.6/changesets.json?{query}")).good();
        let json: Value = serde_json::from_str(&json).unwrap();
        let ids = json["changesets"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap());
        ids.collect::<Vec<_>>()
    };
    let uid: Value =
        serde_json::from_str(&server.get(&format!("/api/0.6/changeset/{first}.json")).good()).unwrap();
    let uid = uid["changeset"]["uid"].as_u64().unwrap();
    for (query, expected) in [
        ("", vec![second, first]),
        ("order=oldest", vec![first, second]),
        ("limit=1", vec![second]),
        ("open=true", vec![first]),
        ("closed=true", vec![second]),
        ("bbox=39,39,41,41", vec![first]),
        ("bbox=0,0,1,1", vec![]),
        (&format!("user={uid}"), vec![second, first]),
        (&format!("changesets={first},77"), vec![first]),
        ("time=2001-01-01", vec![second, first]),
        ("time=2001-01-01,2002-01-01", vec![]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
}
