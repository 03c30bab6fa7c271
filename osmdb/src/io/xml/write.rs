//! Writing OSM XML, one element at a time.

use std::fmt::Display;
use std::io::{self, Write};

use quick_xml::events::attributes::Attribute;

use super::super::write::{Action, Checked, Content, EncodeError, Limits, Shape, Unwritable, check};
use super::{Document, MAX_XML_EVENT_BYTES};
use crate::entry::Entry;
use crate::model::{Degrees, MAX_ID, Member};
use crate::timestamp::{MAX_TIME, MIN_TIME, show_timestamp};

/// What can be told in XML.
const LIMITS: Limits =
    Limits { version: MAX_ID, uid: MAX_ID, times: (MIN_TIME, MAX_TIME), character: is_xml };

/// Tells whether XML 1.0 can hold a character, be it escaped or not.
const fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Returns the section that an element of a change file stands in if none is named.
fn section_of(element: &Checked<'_>) -> Action {
    if element.is_new || element.meta.version == Some(1) { Action::Create } else { Action::Modify }
}

/// Writes elements as XML.
pub(in crate::io) struct XmlWriter<W> {
    out: W,
    document: Document,
    /// The section that is open.
    section: Option<Action>,
    buffer: String,
}

impl<W: Write> XmlWriter<W> {
    /// Begins the document.
    pub(in crate::io) fn new(mut out: W, document: Document) -> io::Result<Self> {
        let (root, program) = (document.name(), concat!("osmdb ", env!("CARGO_PKG_VERSION")));
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(out, "<{root} version=\"0.6\" generator=\"{program}\">")?;
        Ok(Self { out, document, section: None, buffer: String::new() })
    }

    /// Writes an entry; in a change file in the section that is named, or in the one that follows from it.
    pub(in crate::io) fn write(&mut self, entry: &Entry, action: Option<Action>) -> Result<(), EncodeError> {
        let mut element = check(entry, &LIMITS)?;
        let mut section = None;
        if self.document == Document::Change {
            if action == Some(Action::Delete) {
                element.content = None;
            }
            let live = action.unwrap_or_else(|| section_of(&element));
            section = Some(if element.content.is_none() { Action::Delete } else { live });
        }
        self.buffer.clear();
        put_element(&mut self.buffer, &element, self.document)?;
        self.enter(section)?;
        Ok(self.out.write_all(self.buffer.as_bytes())?)
    }

    /// Ends the document and returns what it was written to.
    pub(in crate::io) fn finish(mut self) -> io::Result<W> {
        self.enter(None)?;
        writeln!(self.out, "</{}>", self.document.name())?;
        Ok(self.out)
    }

    /// Ends the section that is open and begins another, if it is another.
    fn enter(&mut self, section: Option<Action>) -> io::Result<()> {
        if self.section == section {
            return Ok(());
        }
        if let Some(open) = self.section {
            writeln!(self.out, "  </{open}>")?;
        }
        if let Some(next) = section {
            writeln!(self.out, "  <{next}>")?;
        }
        self.section = section;
        Ok(())
    }
}

fn put_element(out: &mut String, element: &Checked<'_>, document: Document) -> Result<(), Unwritable> {
    let (kind, indent) = (element.kind.name(), if document == Document::Change { "    " } else { "  " });
    let mut tag = Tag::begin(out, indent, kind);
    tag.number("id", Some(element.id));
    let meta = &element.meta;
    tag.number("version", meta.version);
    if let Some(time) = meta.timestamp.and_then(show_timestamp) {
        tag.text("timestamp", &time);
    }
    tag.number("uid", meta.uid);
    if let Some(user) = meta.user {
        tag.text("user", user);
    }
    tag.number("changeset", meta.changeset);
    let Some(Content { shape, tags }) = &element.content else {
        if document != Document::Change {
            tag.text("visible", "false");
        }
        return tag.end("/>\n");
    };
    if document == Document::History {
        tag.text("visible", "true");
    }
    if let Shape::Node(coord) = shape {
        tag.number("lat", Some(Degrees(coord.lat().into())));
        tag.number("lon", Some(Degrees(coord.lon().into())));
    }
    let is_empty = match shape {
        Shape::Node(_) => true,
        Shape::Way(refs) => refs.is_empty(),
        Shape::Relation(members) => members.is_empty(),
    };
    if is_empty && tags.is_empty() {
        return tag.end("/>\n");
    }
    tag.end(">\n")?;
    let inner = if document == Document::Change { "      " } else { "    " };
    put_shape(out, inner, shape)?;
    for (key, value) in tags.iter() {
        let mut tag = Tag::begin(out, inner, "tag");
        tag.text("k", key);
        tag.text("v", value);
        tag.end("/>\n")?;
    }
    out.push_str(indent);
    out.push_str("</");
    out.push_str(kind);
    out.push_str(">\n");
    Ok(())
}

fn put_shape(out: &mut String, indent: &str, shape: &Shape<'_>) -> Result<(), Unwritable> {
    match shape {
        Shape::Node(_) => {}
        Shape::Way(refs) => {
            for id in *refs {
                let mut tag = Tag::begin(out, indent, "nd");
                tag.number("ref", Some(id));
                tag.end("/>\n")?;
            }
        }
        Shape::Relation(members) => {
            for Member { element, role } in *members {
                let mut tag = Tag::begin(out, indent, "member");
                tag.text("type", element.kind.name());
                tag.number("ref", Some(element.id));
                tag.text("role", role);
                tag.end("/>\n")?;
            }
        }
    }
    Ok(())
}

/// A tag that is being written.
struct Tag<'a> {
    out: &'a mut String,
    /// Where it begins.
    start: usize,
}

impl<'a> Tag<'a> {
    fn begin(out: &'a mut String, indent: &str, name: &str) -> Self {
        out.push_str(indent);
        let start = out.len();
        out.push('<');
        out.push_str(name);
        Self { out, start }
    }

    /// Adds an attribute that needs no escaping, if there is a value.
    fn number(&mut self, name: &str, value: Option<impl Display>) {
        use std::fmt::Write as _;
        if let Some(value) = value {
            // A string takes whatever is written to it.
            let _ = write!(self.out, " {name}=\"{value}\"");
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        // This escapes line breaks and tabs too, which a parser would make spaces of.
        self.out.push_str(&Attribute::from((name, value)).value);
        self.out.push('"');
    }

    /// Ends the tag. A reader takes it only if it is not too long.
    fn end(self, end: &str) -> Result<(), Unwritable> {
        self.out.push_str(end);
        if self.out.len() - self.start < MAX_XML_EVENT_BYTES {
            return Ok(());
        }
        Err(Unwritable::Text { limit: MAX_XML_EVENT_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{EditMeta, Origin, OsmMeta};
    use crate::model::{Coord, ElementId, Payload, Tags};

    fn written(document: Document, entries: &[Entry]) -> String {
        let mut writer = XmlWriter::new(Vec::new(), document).unwrap();
        entries.iter().for_each(|entry| writer.write(entry, None).unwrap());
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    }

    fn node(id: u64, version: u64, live: bool) -> Entry {
        let coord = Coord::new(425_000_000, -15_000_001).unwrap();
        Entry {
            element: ElementId::node(id),
            payload: live.then(|| Payload::Node { coord, tags: Tags::new() }),
            origin: Origin::Imported(OsmMeta { version: Some(version), ..OsmMeta::default() }),
        }
    }

    #[test]
    fn what_is_escaped_is_what_xml_would_change() {
        let tags = Tags::from([("a<b", "1 & \"2\"\t\n\r'"), ("", "é\u{85}\u{2028}")]);
        let meta = OsmMeta {
            version: Some(3),
            timestamp: Some(951_827_696),
            changeset: Some(7),
            uid: Some(8),
            user: Some("<Ada>".into()),
        };
        let entry = Entry {
            element: ElementId::way(5),
            payload: Some(Payload::Way { refs: vec![2, 1], tags }),
            origin: Origin::Imported(meta),
        };
        let expected = concat!(
            "<osm version=\"0.6\" generator=\"osmdb ",
            env!("CARGO_PKG_VERSION"),
            "\">\n  <way id=\"5\" version=\"3\" timestamp=\"2000-02-29T12:34:56Z\" uid=\"8\" ",
            "user=\"&lt;Ada&gt;\" changeset=\"7\">\n    <nd ref=\"2\"/>\n    <nd ref=\"1\"/>\n",
            "    <tag k=\"a&lt;b\" v=\"1 &amp; &quot;2&quot;&#9;&#10;&#13;&apos;\"/>\n",
            "    <tag k=\"\" v=\"é\u{85}\u{2028}\"/>\n  </way>\n</osm>\n"
        );
        assert_eq!(written(Document::Osm, &[entry]), expected);
    }

    #[test]
    fn a_change_file_has_a_section_for_each_run_of_changes() {
        let origin = Origin::Edited(EditMeta { timestamp: 1, ..EditMeta::default() });
        let made = Entry { origin, ..node(9, 0, true) };
        let entries = [node(1, 1, true), made, node(2, 3, true), node(3, 3, false), node(1, 1, false)];
        let text = written(Document::Change, &entries);
        let tags: Vec<&str> =
            text.lines().map(|line| line.trim().split([' ', '>']).next().unwrap()).collect();
        let expected = [
            "<osmChange",
            "<create",
            "<node",
            "<node",
            "</create",
            "<modify",
            "<node",
            "</modify",
            "<delete",
            "<node",
            "<node",
            "</delete",
            "</osmChange",
        ];
        assert_eq!(tags, expected, "{text}");
        assert!(!text.contains("visible"), "{text}");
        assert!(
            text.contains("<node id=\"1\" version=\"1\" lat=\"42.5000000\" lon=\"-1.5000001\"/>"),
            "{text}"
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_an_error_and_leaves_nothing() {
        let mut writer = XmlWriter::new(Vec::new(), Document::Osm).unwrap();
        let mut odd = node(1, 1, true);
        for text in ["\u{0}", "a\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let coord = Coord::new(0, 0).unwrap();
            odd.payload = Some(Payload::Node { coord, tags: Tags::from([("name", text)]) });
            let refused = writer.write(&odd, None).unwrap_err();
            assert!(matches!(refused, EncodeError::Element(Unwritable::Character(_))), "{refused}");
        }
        let long = "&".repeat(MAX_XML_EVENT_BYTES / 5);
        odd.payload = Some(Payload::Relation { members: Vec::new(), tags: Tags::from([("a", long)]) });
        odd.element = ElementId::relation(1);
        let refused = writer.write(&odd, None).unwrap_err();
        assert!(matches!(refused, EncodeError::Element(Unwritable::Text { .. })), "{refused}");
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert!(!text.contains("<node") && !text.contains("<relation"), "{text}");
    }
}
