//! Elements as the JSON of the API.

use super::{Names, Text};
use crate::model::{BBox, Member, Payload};
use crate::server::about::GENERATOR;
use crate::server::view::View;
use crate::timestamp::show_timestamp;

/// The greatest number that every reader of JSON takes as it is: many read numbers as floats.
const MAX_NUMBER: u64 = (1 << 53) - 1;

pub(super) fn begin(out: &mut String, bounds: Option<BBox>) {
    out.extend(["{\"version\":\"0.6\",\"generator\":\"", GENERATOR, "\","]);
    if let Some(bounds) = bounds {
        let (low, high) = (bounds.south_west(), bounds.north_east());
        let sides =
            [("minlat", low.lat()), ("minlon", low.lon()), ("maxlat", high.lat()), ("maxlon", high.lon())];
        out.push_str("\"bounds\":{");
        for (at, (name, units)) in sides.into_iter().enumerate() {
            out.extend([if at > 0 { ",\"" } else { "\"" }, name, "\":"]);
            out.push_degrees(units);
        }
        out.push_str("},");
    }
    out.push_str("\"elements\":[");
}

/// Writes one version.
pub(super) fn element(out: &mut String, view: &View, names: &Names<'_>) {
    let entry = &view.entry;
    out.extend(["{\"type\":\"", entry.element.kind.name(), "\",\"id\":"]);
    id(out, entry.element.id);
    if let Some(Payload::Node { coord, .. }) = &entry.payload {
        out.push_str(",\"lat\":");
        out.push_degrees(coord.lat());
        out.push_str(",\"lon\":");
        out.push_degrees(coord.lon());
    }
    if let Some(time) = entry.timestamp().and_then(show_timestamp) {
        out.extend([",\"timestamp\":\"", &time, "\""]);
    }
    out.push_str(",\"version\":");
    out.push_number(view.number);
    if let Some(changeset) = names.changeset {
        out.push_str(",\"changeset\":");
        out.push_number(changeset);
    }
    if let Some(user) = &names.user {
        out.push_str(",\"user\":");
        escaped(out, user);
    }
    if let Some(uid) = names.uid {
        out.push_str(",\"uid\":");
        out.push_number(uid);
    }
    if let Some(heads) = view.heads {
        out.push_str(",\"osmdb:forks\":");
        out.push_number(heads as u64);
    }
    if let Some(hash) = view.hash {
        out.extend([",\"osmdb:version\":\"", &hash.to_string(), "\""]);
    }
    match &entry.payload {
        None => out.push_str(",\"visible\":false"),
        Some(payload) => content(out, payload),
    }
    out.push('}');
}

fn content(out: &mut String, payload: &Payload) {
    match payload {
        Payload::Way { refs, .. } if !refs.is_empty() => {
            for (at, node) in refs.iter().enumerate() {
                out.push_str(if at == 0 { ",\"nodes\":[" } else { "," });
                id(out, *node);
            }
            out.push(']');
        }
        Payload::Relation { members, .. } if !members.is_empty() => {
            for (at, Member { element, role }) in members.iter().enumerate() {
                out.push_str(if at == 0 { ",\"members\":[" } else { "," });
                out.extend(["{\"type\":\"", element.kind.name(), "\",\"ref\":"]);
                id(out, element.id);
                out.push_str(",\"role\":");
                escaped(out, role);
                out.push('}');
            }
            out.push(']');
        }
        _ => {}
    }
    for (at, (key, value)) in payload.tags().iter().enumerate() {
        out.push_str(if at == 0 { ",\"tags\":{" } else { "," });
        escaped(out, key);
        out.push(':');
        escaped(out, value);
    }
    if !payload.tags().is_empty() {
        out.push('}');
    }
}

/// Writes an id: as a string if it is too large for readers that make floats of numbers.
pub(crate) fn id(out: &mut String, id: u64) {
    if id <= MAX_NUMBER {
        out.push_number(id);
    } else {
        out.push('"');
        out.push_number(id);
        out.push('"');
    }
}

/// Writes a text with its quotation marks.
pub(crate) fn escaped(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = from.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(odd) => out.push_str(&format!("\\u{:04x}", u32::from(odd))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn large_ids_are_text() {
        let mut out = String::new();
        super::id(&mut out, (1 << 53) - 1);
        super::id(&mut out, 1 << 53);
        assert_eq!(out, "9007199254740991\"9007199254740992\"");
    }

    proptest! {
        #[test]
        fn texts_read_back(text in any::<String>()) {
            let mut out = String::new();
            super::escaped(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
