//! Changesets as documents.

use super::{Tag, Text, begin_xml, json_text};
use crate::entry::Author;
use crate::model::{BBox, Tags};
use crate::server::about::GENERATOR;
use crate::server::ask::Form;
use crate::timestamp::show_timestamp;

/// What is known of a changeset.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) number: u64,
    /// Its id in the database, if that is another.
    pub(crate) id: Option<u64>,
    pub(crate) tags: Tags,
    pub(crate) created: Option<i64>,
    pub(crate) closed: Option<i64>,
    pub(crate) is_open: bool,
    pub(crate) bbox: Option<BBox>,
    pub(crate) changes: u64,
    pub(crate) uid: Option<u64>,
    pub(crate) user: Option<String>,
    pub(crate) author: Option<Author>,
}

/// Writes changesets: one alone, or a list, which differ in JSON. Nobody discusses them here.
pub(crate) fn changesets_document(form: Form, found: &[Summary], is_one: bool, discussion: bool) -> String {
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "osm");
            found.iter().for_each(|summary| xml(&mut out, summary, discussion));
            out.push_str("</osm>\n");
        }
        Form::Json => {
            out.extend(["{\"version\":\"0.6\",\"generator\":\"", GENERATOR, "\","]);
            out.push_str(if is_one { "\"changeset\":" } else { "\"changesets\":[" });
            for (at, summary) in found.iter().enumerate() {
                if at > 0 {
                    out.push_str(",\n");
                }
                json(&mut out, summary, discussion);
            }
            out.push_str(if is_one { "}\n" } else { "]}\n" });
        }
    }
    out
}

fn sides(bbox: BBox) -> [(&'static str, i32); 4] {
    let (low, high) = (bbox.south_west(), bbox.north_east());
    [("min_lat", low.lat()), ("min_lon", low.lon()), ("max_lat", high.lat()), ("max_lon", high.lon())]
}

fn xml(out: &mut String, summary: &Summary, discussion: bool) {
    let mut tag = Tag::begin(out, "  ", "changeset");
    tag.number("id", summary.number);
    summary.created.and_then(show_timestamp).into_iter().for_each(|time| tag.plain("created_at", &time));
    tag.plain("open", if summary.is_open { "true" } else { "false" });
    tag.number("comments_count", 0);
    tag.number("changes_count", summary.changes);
    summary.closed.and_then(show_timestamp).into_iter().for_each(|time| tag.plain("closed_at", &time));
    for (name, units) in summary.bbox.into_iter().flat_map(sides) {
        tag.degrees(name, units);
    }
    summary.uid.into_iter().for_each(|uid| tag.number("uid", uid));
    summary.user.iter().for_each(|user| tag.text("user", user));
    summary.id.into_iter().for_each(|id| tag.number("osmdb:id", id));
    if summary.tags.is_empty() && !discussion {
        tag.end("/>\n");
        return;
    }
    tag.end(">\n");
    for (key, value) in summary.tags.iter() {
        let mut tag = Tag::begin(out, "    ", "tag");
        tag.text("k", key);
        tag.text("v", value);
        tag.end("/>\n");
    }
    if discussion {
        out.push_str("    <discussion/>\n");
    }
    out.push_str("  </changeset>\n");
}

fn json(out: &mut String, summary: &Summary, discussion: bool) {
    out.push_str("{\"id\":");
    out.push_number(summary.number);
    if let Some(time) = summary.created.and_then(show_timestamp) {
        out.extend([",\"created_at\":\"", &time, "\""]);
    }
    out.extend([",\"open\":", if summary.is_open { "true" } else { "false" }]);
    out.push_str(",\"comments_count\":0,\"changes_count\":");
    out.push_number(summary.changes);
    if let Some(time) = summary.closed.and_then(show_timestamp) {
        out.extend([",\"closed_at\":\"", &time, "\""]);
    }
    for (name, units) in summary.bbox.into_iter().flat_map(sides) {
        out.extend([",\"", name, "\":"]);
        out.push_degrees(units);
    }
    if let Some(uid) = summary.uid {
        out.push_str(",\"uid\":");
        out.push_number(uid);
    }
    if let Some(user) = &summary.user {
        out.push_str(",\"user\":");
        json_text(out, user);
    }
    if let Some(id) = summary.id {
        out.push_str(",\"osmdb:id\":\"");
        out.push_number(id);
        out.push('"');
    }
    for (at, (key, value)) in summary.tags.iter().enumerate() {
        out.push_str(if at == 0 { ",\"tags\":{" } else { "," });
        json_text(out, key);
        out.push(':');
        json_text(out, value);
    }
    if !summary.tags.is_empty() {
        out.push('}');
    }
    if discussion {
        out.push_str(",\"comments\":[]");
    }
    out.push('}');
}
