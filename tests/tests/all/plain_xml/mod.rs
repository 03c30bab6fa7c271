//! What an OSM XML file says of each element, read without any of the code that is tested: cut at `<`, and
//! compared as text.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

fn unpacked(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap(),
        "bz2" => bzip2::read::MultiBzDecoder::new(&*bytes).read_to_string(&mut text).unwrap(),
        _ => return String::from_utf8(bytes).unwrap(),
    };
    text
}

/// Replaces the entities of XML.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap();
        let number = entity.strip_prefix('#').map(|number| match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => number.parse().unwrap(),
        });
        out.push(match (entity, number) {
            (_, Some(number)) => char::from_u32(number).unwrap(),
            ("amp", _) => '&',
            ("lt", _) => '<',
            ("gt", _) => '>',
            ("quot", _) => '"',
            (other, _) => {
                assert_eq!(other, "apos");
                '\''
            }
        });
        out.push_str(rest);
    }
    out
}

/// Returns the attributes of a tag in the order of their names, and whether the tag ends its element.
fn attributes(mut rest: &str) -> (Vec<(String, String)>, bool) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.starts_with(['>', '/', '?']) || rest.is_empty() {
            found.sort();
            return (found, rest.starts_with('/'));
        }
        let (name, after) = rest.split_once('=').unwrap();
        let quote = after.trim_start().chars().next().unwrap();
        let (value, after) = after.trim_start()[1..].split_once(quote).unwrap();
        found.push((name.trim().to_owned(), unescaped(value)));
        rest = after;
    }
}

/// Shows an attribute in one way, if it says something that is kept.
fn shown((name, value): (String, String)) -> Option<String> {
    let value = match name.as_str() {
        "lat" | "lon" => format!("{}", (value.parse::<f64>().unwrap() * 1e7).round()),
        "visible" if value == "true" => return None,
        "user" if value.is_empty() => return None,
        "uid" | "changeset" | "version" if ["0", "-1"].contains(&value.as_str()) => return None,
        "timestamp" => value.trim_end_matches('Z').to_owned(),
        "id" | "version" | "uid" | "user" | "changeset" | "visible" | "ref" | "role" | "type" | "k" | "v" => {
            value
        }
        // What editors and query services add.
        _ => return None,
    };
    Some(format!("{name}={value:?}"))
}

/// Returns what a file says of each version of each element: its section in a change file, its attributes,
/// its tags in order, its nodes or members in order. What was deleted has neither place nor content.
pub fn facts(path: &Path) -> BTreeSet<String> {
    let text = unpacked(path);
    let (mut facts, mut section) = (BTreeSet::new(), "");
    let (mut fact, mut inside, mut gone) = (String::new(), String::new(), false);
    for tag in text.split('<').skip(1) {
        let name = tag.split(|end: char| end.is_whitespace() || "/>".contains(end)).next().unwrap();
        if tag.starts_with('/') {
            if ["/node", "/way", "/relation"].iter().any(|end| tag.starts_with(end)) {
                facts.insert(std::mem::take(&mut fact) + &std::mem::take(&mut inside));
            }
            continue;
        }
        match name {
            "create" | "modify" | "delete" => section = name,
            "node" | "way" | "relation" | "nd" | "member" | "tag" => {
                let (attributes, ends) = attributes(&tag[name.len()..]);
                let is_gone = |(name, value): &(String, String)| name == "visible" && value == "false";
                let is_element = ["node", "way", "relation"].contains(&name);
                if is_element {
                    gone = section == "delete" || attributes.iter().any(is_gone);
                    fact = format!("{section}{}", if gone { " deleted" } else { "" });
                } else if fact.is_empty() || gone {
                    continue;
                }
                let part = if ["nd", "member"].contains(&name) { &mut inside } else { &mut fact };
                *part += &format!("; {name}");
                for attribute in attributes {
                    let is_place = ["lat", "lon", "visible"].contains(&attribute.0.as_str());
                    if let Some(shown) = shown(attribute).filter(|_| !(gone && is_place)) {
                        *part += &format!(" {shown}");
                    }
                }
                if is_element && ends {
                    facts.insert(std::mem::take(&mut fact));
                }
            }
            _ => {}
        }
    }
    facts
}
