//! Attributes of a tag.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;
use std::borrow::Cow;

use super::super::error::{ElementProblem, Problem, XmlProblem};

/// The most attributes that one tag may have. OSM's own have ten.
///
/// ```
/// use osmdb::io::{MAX_XML_ATTRIBUTES, Problem, Reader, XmlProblem};
/// let attributes: String = (0..=MAX_XML_ATTRIBUTES).map(|number| format!(" a{number}=''")).collect();
/// let text = format!("<osm><way id='5'{attributes}/></osm>");
/// let error = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap().unwrap_err();
/// assert!(matches!(error.problem(), Problem::Xml(XmlProblem::Attributes { limit: MAX_XML_ATTRIBUTES })));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_XML_ATTRIBUTES: usize = 256;

/// Shows each attribute of a tag, references resolved.
pub(super) fn each(
    tag: &BytesStart<'_>,
    version: XmlVersion,
    mut show: impl FnMut(&str, Cow<'_, str>),
) -> Result<(), Problem> {
    for (count, attribute) in tag.attributes().enumerate() {
        // The parser looks for duplicates among all the attributes before: the limit keeps that short.
        if count >= MAX_XML_ATTRIBUTES {
            return Err(XmlProblem::Attributes { limit: MAX_XML_ATTRIBUTES }.into());
        }
        let attribute = attribute.map_err(|error| XmlProblem::Malformed(error.to_string()))?;
        let value =
            attribute.normalized_value(version).map_err(|error| XmlProblem::Malformed(error.to_string()))?;
        show(attribute.key.as_ref(), value);
    }
    Ok(())
}

/// Reads a whole number.
pub(super) fn whole(attribute: &'static str, text: &str) -> Result<i64, ElementProblem> {
    text.parse().map_err(|_| wrong(attribute, "a whole number", text))
}

/// Says what an attribute should be.
pub(super) fn wrong(attribute: &'static str, expected: &'static str, found: &str) -> ElementProblem {
    ElementProblem::Attribute { attribute, expected, found: shortened(found) }
}

/// Returns the tag's name, short enough to show.
pub(super) fn name_of(tag: &BytesStart<'_>) -> String {
    shortened(tag.name().as_ref())
}

/// Cuts a text to a length that can be shown, and escapes what is not to be printed.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
}
