//! Entries as OSM XML, packed or not.

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use osmdb::{Entry, Origin, OsmMeta, Payload};

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => write!(out, "&#{};", u32::from(char)).expect("memory takes text"),
            other => out.push(other),
        }
    }
    out
}

/// Writes seconds since 1970 as a date (Howard Hinnant's `civil_from_days`).
fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

fn attributes(meta: &OsmMeta) -> String {
    let mut out = String::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(out, " {name}=\"{}\"", escaped(&value)).expect("memory takes text");
        }
    };
    put("version", meta.version.map(|version| version.to_string()));
    put("timestamp", meta.timestamp.map(date));
    put("changeset", meta.changeset.map(|changeset| changeset.to_string()));
    put("uid", meta.uid.map(|uid| uid.to_string()));
    put("user", meta.user.clone());
    out
}

/// Writes imported entries as an `.osm` file, in their order.
#[must_use]
pub fn to_xml(entries: &[Entry]) -> String {
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<osm version=\"0.6\">\n");
    for entry in entries {
        put_entry(&mut out, entry).expect("memory takes text");
    }
    out.push_str("</osm>\n");
    out
}

fn put_entry(out: &mut String, entry: &Entry) -> std::fmt::Result {
    let Origin::Imported(meta) = &entry.origin else { return Ok(()) };
    let kind = entry.element.kind;
    write!(out, " <{kind} id=\"{}\"{}", entry.element.id, attributes(meta))?;
    let Some(payload) = &entry.payload else { return writeln!(out, " visible=\"false\"/>") };
    if let Payload::Node { coord, .. } = payload {
        let place = coord.to_string();
        let (lat, lon) = place.split_once(',').unwrap_or_default();
        write!(out, " lat=\"{lat}\" lon=\"{lon}\"")?;
    }
    writeln!(out, ">")?;
    if let Payload::Way { refs, .. } = payload {
        refs.iter().try_for_each(|id| writeln!(out, "  <nd ref=\"{id}\"/>"))?;
    }
    if let Payload::Relation { members, .. } = payload {
        for member in members {
            let (kind, id, role) = (member.element.kind, member.element.id, escaped(&member.role));
            writeln!(out, "  <member type=\"{kind}\" ref=\"{id}\" role=\"{role}\"/>")?;
        }
    }
    for (key, value) in payload.tags().iter() {
        writeln!(out, "  <tag k=\"{}\" v=\"{}\"/>", escaped(key), escaped(value))?;
    }
    writeln!(out, " </{kind}>")
}

/// Packs a file as gzip.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory takes bytes");
    packed.finish().expect("memory takes bytes")
}

/// Packs a file as bzip2.
#[must_use]
pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory takes bytes");
    packed
}
