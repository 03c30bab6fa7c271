//! Documents that are tags alone: a changeset's, and preferences.

use super::element::{check_tags, read_tag};
use super::xml::Xml;
use crate::model::{Kind, Tags};
use crate::server::error::ApiError;

/// Reads the tags of a changeset.
pub(crate) fn changeset_tags(text: &str) -> Result<Tags, ApiError> {
    let mut xml = Xml::new("changeset", text);
    xml.root("osm")?;
    let mut tags = Tags::new();
    let mut is_there = false;
    // The tags of several add up, as in the reference server.
    while let Some(tag) = xml.child()? {
        if tag.name().as_ref() != "changeset" {
            xml.skip()?;
            continue;
        }
        is_there = true;
        while let Some(child) = xml.child()? {
            if child.name().as_ref() == "tag" {
                read_tag(&xml, &child, &mut tags)?;
            }
            xml.skip()?;
        }
    }
    xml.end()?;
    if !is_there {
        return Err(xml.bad("XML doesn't contain an osm/changeset element."));
    }
    check_tags(Kind::Changeset, 0, &tags)?;
    Ok(tags)
}

/// Reads preferences: one more than the most that may be, if there are so many.
pub(crate) fn preferences(text: &str, most: usize) -> Result<Vec<(String, String)>, ApiError> {
    let mut xml = Xml::new("preferences", text);
    xml.root("osm")?;
    let mut found: Vec<(String, String)> = Vec::new();
    while let Some(tag) = xml.child()? {
        if tag.name().as_ref() != "preferences" {
            xml.skip()?;
            continue;
        }
        while let Some(child) = xml.child()? {
            if child.name().as_ref() == "preference" {
                let [key, value] = xml.values(&child, ["k", "v"])?;
                let missing = |name: &str| xml.bad_in(&child, &format!("{name} is missing"));
                let (key, value) = (key.ok_or_else(|| missing("k"))?, value.ok_or_else(|| missing("v"))?);
                if found.len() > most {
                    return Ok(found);
                }
                if found.iter().any(|(known, _)| *known == key) {
                    return Err(ApiError::bad_request(format!("Duplicate preferences with key {key}")));
                }
                found.push((key, value));
            }
            xml.skip()?;
        }
    }
    xml.end()?;
    let tags = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    check_tags(Kind::Changeset, 0, &tags)?;
    Ok(found)
}
