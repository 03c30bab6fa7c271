//! Odd and hostile documents.

use proptest::prelude::*;

use super::{MAX_XML_ATTRIBUTES, MAX_XML_DEPTH, MAX_XML_EVENT_BYTES, XmlReader};
use crate::entry::{Entry, Origin, OsmMeta};
use crate::io::error::{ElementProblem, Problem, XmlProblem};
use crate::model::{Coord, Payload};

const SAMPLE: &str = "<?xml version='1.0' encoding='UTF-8'?>
<osm version=\"0.6\" generator=\"a &amp; b\">
  <note>some text &lt; <b>deep</b></note><bounds minlat='1'/>
  <node id='1' version='2' timestamp='2013-01-01T00:00:00Z' uid='3' user='&#x4e;é' changeset='4' lat='-1.5' lon='2'/>
  <node id='2' visible='false'/>
  <way id='5'><nd ref='1'/><nd ref='2'></nd><tag k='highway' v='path'/></way>
  <relation id='7'><member type='way' ref='5' role='outer'/><tag k='a' v='b'/></relation>
  <!-- the end -->
</osm>
";

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Entry>, Problem> {
    let mut reader = XmlReader::new(text.as_ref(), None);
    std::iter::from_fn(|| reader.next_entry().transpose()).collect()
}

fn read_inside(elements: &str) -> Result<Vec<Entry>, Problem> {
    read(format!("<osm>{elements}</osm>"))
}

fn element_problem(elements: &str) -> ElementProblem {
    match read_inside(elements) {
        Err(Problem::Element { problem, .. }) => problem,
        other => panic!("{elements}: expected an element's problem, found {other:?}"),
    }
}

fn xml_problem(text: impl AsRef<[u8]>) -> XmlProblem {
    match read(text) {
        Err(Problem::Xml(problem)) => problem,
        other => panic!("expected a problem of the file, found {other:?}"),
    }
}

#[test]
fn every_kind_of_element_is_read() {
    let entries = read(SAMPLE).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.element.to_string()).collect();
    assert_eq!(names, ["node/1", "node/2", "way/5", "relation/7"]);
    let expected = OsmMeta {
        version: Some(2),
        timestamp: Some(1_356_998_400),
        changeset: Some(4),
        uid: Some(3),
        user: Some("Né".to_owned()),
    };
    assert_eq!(entries[0].origin, Origin::Imported(expected));
    let Some(Payload::Node { coord, .. }) = &entries[0].payload else { panic!("no node") };
    assert_eq!(*coord, Coord::new(-15_000_000, 20_000_000).unwrap());
    assert_eq!(entries[1].payload, None);
    let Some(Payload::Way { refs, .. }) = &entries[2].payload else { panic!("no way") };
    assert_eq!(refs, &[1, 2]);
}

#[test]
fn what_does_not_matter_is_passed_over() {
    let plain = read_inside("<way id='1'><tag k='a' v='b'/></way>").unwrap();
    let odd = [
        "<way id='1' action='modify' x:y='z'><center lat='1'/><tag k='a' v='b'><x><y/></x></tag></way>",
        "<x><way id='2'/></x><way id='1'>text<tag v='b' k='a'/><!-- <tag/> --></way><remark> a </remark>",
        "<changeset id='8'><tag k='a'/></changeset><way visible='true' id='+1'><tag k='a' v='b'/></way>",
    ];
    for text in odd {
        assert_eq!(read_inside(text).unwrap(), plain, "{text}");
    }
    let deleted = read_inside("<node id='1' visible='false' lat='none' lon='999'><nd ref='-1'/></node>");
    assert_eq!(deleted.unwrap()[0].payload, None);
    assert_eq!(read("\u{feff}<!DOCTYPE osm><osm/>\n<!-- end -->").unwrap(), []);
}

#[test]
fn elements_are_checked() {
    assert_eq!(element_problem("<node lat='1' lon='1' id='-1'/>"), ElementProblem::Id);
    assert_eq!(element_problem("<node id='-1' action='delete'/>"), ElementProblem::Id);
    assert_eq!(element_problem("<way id='0'/>"), ElementProblem::Id);
    assert!(matches!(element_problem("<node id='1' lat='1'/>"), ElementProblem::Missing { .. }));
    assert!(matches!(element_problem("<node id='1' lat='1' lon='181'/>"), ElementProblem::Coord(_)));
    assert!(matches!(element_problem("<way id='1'><nd ref='-4'/></way>"), ElementProblem::Reference { .. }));
    assert!(matches!(element_problem("<way id='1'><nd/></way>"), ElementProblem::Missing { .. }));
    assert!(matches!(element_problem("<way id='1'><tag k='a'/></way>"), ElementProblem::Missing { .. }));
    let attributes = [
        "<node lat='north' id='1'/>",
        "<way id='1' version='1.5'/>",
        "<way id='1' uid='99999999999999999999'/>",
        "<way id='1' timestamp='yesterday'/>",
        "<way id='1' visible='maybe'/>",
        "<way id='1'><nd ref='x'/></way>",
        "<relation id='1'><member type='area' ref='1'/></relation>",
    ];
    for text in attributes {
        assert!(matches!(element_problem(text), ElementProblem::Attribute { .. }), "{text}");
    }
    let named = read_inside("<way version='x' id='8'/>").unwrap_err().to_string();
    assert_eq!(named, "way/8: `version` should be a whole number, found `x`");
    for text in ["<way/>", "<way id=''/>", "<way id='9223372036854775808'/>"] {
        assert!(matches!(xml_problem(format!("<osm>{text}</osm>")), XmlProblem::Id { .. }), "{text}");
    }
}

#[test]
fn other_documents_are_named() {
    assert_eq!(xml_problem("<gpx/>"), XmlProblem::Root { found: "gpx".to_owned() });
    assert_eq!(xml_problem("<osm/><osm/>"), XmlProblem::AfterEnd { found: "osm".to_owned() });
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><osm/>";
    assert_eq!(xml_problem(latin), XmlProblem::Encoding { found: "ISO-8859-1".to_owned() });
    let broken = b"<osm><way id='1'><tag k='\xe9' v=''/></way></osm>";
    assert!(matches!(xml_problem(broken), XmlProblem::Encoding { .. }));
    for text in ["text<osm/>", "<osm></node>", "<osm><way id='1' id='2'/></osm>", "<osm/>text", "<osm a=b/><"]
    {
        assert!(read(text).is_err() || text.contains("a=b"), "{text}");
    }
}

#[test]
fn change_files_create_modify_and_delete() {
    let text = "<osmChange version='0.6'><note/>
        <create><node id='1' version='1' lat='1' lon='2'/><way id='2'><nd ref='1'/></way></create><modify/>
        <modify><x><node id='8'/></x><node id='3' version='4' visible='false'/></modify>
        <delete if-unused='true'><node id='5' version='6' visible='true' lat='none'><tag/></node>
        <relation id='7' version='2'/></delete></osmChange>";
    let entries = read(text).unwrap();
    let found: Vec<_> =
        entries.iter().map(|entry| (entry.element.to_string(), entry.payload.is_some())).collect();
    let expected =
        [("node/1", true), ("way/2", true), ("node/3", false), ("node/5", false), ("relation/7", false)];
    assert_eq!(found, expected.map(|(element, live)| (element.to_owned(), live)));
    let version = OsmMeta { version: Some(6), ..OsmMeta::default() };
    assert_eq!(entries[3].origin, Origin::Imported(version));
    assert_eq!(read("<osmChange/>").unwrap(), []);
    assert_eq!(read("<osmChange></osmChange>").unwrap(), []);
}

#[test]
fn what_is_out_of_place_in_a_change_file_is_refused() {
    let section = |found: &str| XmlProblem::Section { found: found.to_owned() };
    let node = "<node id='1' lat='1' lon='1'/>";
    assert_eq!(xml_problem(format!("<osmChange>{node}</osmChange>")), section("node"));
    assert_eq!(xml_problem("<osmChange><way id='1'></way></osmChange>"), section("way"));
    assert_eq!(xml_problem("<osmChange><create><delete>"), section("delete"));
    assert_eq!(xml_problem("<osmChange><create><create/>"), section("create"));
    // Outside of change files these are tags like any other that is not OSM's.
    assert_eq!(read_inside(&format!("<delete>{node}</delete>")).unwrap(), []);
    let cut = read("<osmChange><delete><node id='1'/>").unwrap_err();
    assert!(matches!(cut, Problem::Truncated { inside: "<osmChange>" }), "{cut}");
}

#[test]
fn entities_of_the_document_are_never_expanded() {
    let text = "<!DOCTYPE osm [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>\
        <osm><way id='1'><tag k='a' v='&b;'/></way></osm>";
    assert!(matches!(xml_problem(text), XmlProblem::Malformed(_)));
}

#[test]
fn what_grows_is_bounded() {
    let long = "x".repeat(MAX_XML_EVENT_BYTES);
    let limit = MAX_XML_EVENT_BYTES;
    for text in
        [format!("<osm><way id='{long}'/></osm>"), format!("<osm><!--{long}"), format!("<osm>{long}x")]
    {
        assert_eq!(xml_problem(text), XmlProblem::EventBytes { limit });
    }
    let deep = format!("<osm>{}", "<a>".repeat(MAX_XML_DEPTH + 1));
    assert_eq!(xml_problem(deep), XmlProblem::Depth { limit: MAX_XML_DEPTH });
    let attributes: String = (0..=MAX_XML_ATTRIBUTES).map(|n| format!(" a{n}=''")).collect();
    let limit = MAX_XML_ATTRIBUTES;
    assert_eq!(xml_problem(format!("<osm><way{attributes}/></osm>")), XmlProblem::Attributes { limit });
    let tags = format!("<tag k='k' v='{}'/>", "x".repeat(1_000_000)).repeat(17);
    let problem = element_problem(&format!("<way id='1'>{tags}</way>"));
    assert!(matches!(problem, ElementProblem::Text { .. }));
    let refs = "<nd ref='1'/>".repeat(crate::io::MAX_ELEMENT_REFS + 1);
    let problem = element_problem(&format!("<way id='1'>{refs}</way>"));
    assert!(matches!(problem, ElementProblem::TooMany { what: "nodes", .. }));
}

#[test]
fn a_document_cut_off_anywhere_is_an_error() {
    let end = SAMPLE.trim_end().len();
    for length in 1..end {
        let problem = read(&SAMPLE.as_bytes()[..length]).unwrap_err();
        assert!(matches!(problem, Problem::Truncated { .. }), "{length}: {problem}");
    }
    assert!(read(&SAMPLE.as_bytes()[..end]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn flipped_bits_are_no_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4)) {
        let mut damaged = SAMPLE.as_bytes().to_vec();
        for (place, bit) in flips {
            let place = place.index(damaged.len());
            damaged[place] ^= 1 << bit;
        }
        let _ = read(&damaged);
    }

    #[test]
    fn any_text_is_no_panic(text in "[<>/&;'\"=a-d \n!?\\[\\]-]{0,60}") {
        let _ = read(&text);
        let _ = read_inside(&text);
    }

    #[test]
    fn any_time_is_no_panic(text in "[0-9TZ:.+-]{0,26}") {
        let _ = crate::timestamp::parse_timestamp(&text);
    }
}
