//! Elements as OSM XML.

use quick_xml::events::attributes::Attribute;

use super::{Names, Text, begin_xml};
use crate::model::{BBox, Member, Payload};
use crate::server::view::View;
use crate::timestamp::show_timestamp;

pub(super) fn begin(out: &mut String, bounds: Option<BBox>) {
    begin_xml(out, "osm");
    if let Some(bounds) = bounds {
        let mut tag = Tag::begin(out, "  ", "bounds");
        let (low, high) = (bounds.south_west(), bounds.north_east());
        tag.degrees("minlat", low.lat());
        tag.degrees("minlon", low.lon());
        tag.degrees("maxlat", high.lat());
        tag.degrees("maxlon", high.lon());
        tag.end("/>\n");
    }
}

/// Writes one version.
pub(super) fn element(out: &mut String, view: &View, names: &Names<'_>, indent: &str) {
    let entry = &view.entry;
    let kind = entry.element.kind.name();
    let mut tag = Tag::begin(out, indent, kind);
    tag.number("id", entry.element.id);
    tag.plain("visible", if entry.payload.is_some() { "true" } else { "false" });
    tag.number("version", view.number);
    names.changeset.into_iter().for_each(|changeset| tag.number("changeset", changeset));
    if let Some(time) = entry.timestamp().and_then(show_timestamp) {
        tag.plain("timestamp", &time);
    }
    names.user.iter().for_each(|user| tag.text("user", user));
    names.uid.into_iter().for_each(|uid| tag.number("uid", uid));
    if let Some(heads) = view.heads {
        tag.number("osmdb:forks", heads as u64);
    }
    if let Some(hash) = view.hash {
        tag.plain("osmdb:version", &hash.to_string());
    }
    let Some(payload) = &entry.payload else {
        tag.end("/>\n");
        return;
    };
    if let Payload::Node { coord, .. } = payload {
        tag.degrees("lat", coord.lat());
        tag.degrees("lon", coord.lon());
    }
    if payload.tags().is_empty() && payload.references().next().is_none() {
        tag.end("/>\n");
        return;
    }
    tag.end(">\n");
    match payload {
        Payload::Way { refs, .. } => {
            for id in refs {
                out.push_str(indent);
                out.push_str("  <nd ref=\"");
                out.push_number(*id);
                out.push_str("\"/>\n");
            }
        }
        Payload::Relation { members, .. } => {
            for Member { element, role } in members {
                out.push_str(indent);
                let mut tag = Tag::begin(out, "  ", "member");
                tag.plain("type", element.kind.name());
                tag.number("ref", element.id);
                tag.text("role", role);
                tag.end("/>\n");
            }
        }
        Payload::Node { .. } | Payload::Changeset { .. } => {}
    }
    for (key, value) in payload.tags().iter() {
        out.push_str(indent);
        let mut tag = Tag::begin(out, "  ", "tag");
        tag.text("k", key);
        tag.text("v", value);
        tag.end("/>\n");
    }
    out.extend([indent, "</", kind, ">\n"]);
}

/// A tag that is being written.
pub(crate) struct Tag<'a>(&'a mut String);

impl<'a> Tag<'a> {
    pub(crate) fn begin(out: &'a mut String, indent: &str, name: &str) -> Self {
        out.push_str(indent);
        out.push('<');
        out.push_str(name);
        Self(out)
    }

    fn name(&mut self, name: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.0.push_number(value);
        self.0.push('"');
    }

    pub(crate) fn degrees(&mut self, name: &str, units: i32) {
        self.name(name);
        self.0.push_degrees(units);
        self.0.push('"');
    }

    /// Adds an attribute that needs no escaping.
    pub(crate) fn plain(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
        self.0.push('"');
    }

    /// Adds an attribute of any text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        // Nearly all texts are plain; what begins with the last byte here may be no character of XML.
        let is_plain = |byte: u8| !matches!(byte, ..b' ' | b'<' | b'>' | b'&' | b'\'' | b'"' | 0xef);
        if value.bytes().all(is_plain) {
            self.0.push_str(value);
            self.0.push('"');
            return;
        }
        let start = self.0.len();
        self.0.push_str(&Attribute::from((name, value)).value);
        // What files hold may be more than XML can: a reader would refuse the whole document.
        let odd = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if self.0.get(start..).is_some_and(|text| text.contains(odd)) {
            let text = self.0.split_off(start);
            self.0.push_str(&text.replace(odd, "\u{fffd}"));
        }
        self.0.push('"');
    }

    pub(crate) fn end(self, end: &str) {
        self.0.push_str(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::events::attributes::Attribute;

    use super::Tag;

    fn written(value: &str) -> String {
        let mut out = String::new();
        Tag::begin(&mut out, "", "a").text("v", value);
        out.strip_prefix("<a v=\"").unwrap().strip_suffix('"').unwrap().to_owned()
    }

    proptest! {
        #[test]
        fn texts_are_escaped_as_the_library_does(value in "[ -~é\u{f000}\u{ffef}\u{10000}\t\n\r]*") {
            prop_assert_eq!(written(&value), &*Attribute::from(("v", value.as_str())).value);
        }
    }

    #[test]
    fn what_xml_has_not_is_replaced() {
        assert_eq!(written("a\u{1}<\u{ffff}\u{fffe}\u{fffd}é"), "a\u{fffd}&lt;\u{fffd}\u{fffd}\u{fffd}é");
    }
}
