//! Change files as clients upload them.

use super::element::{Action, Edit, element, kind_of};
use super::xml::Xml;
use crate::server::error::ApiError;

/// Reads all edits of a change file, in their order. With more than so many it is refused, as `full` says.
pub(crate) fn change(text: &str, most: u64, full: impl Fn() -> ApiError) -> Result<Vec<Edit>, ApiError> {
    let mut xml = Xml::new("osmChange", text);
    xml.root("osmChange")?;
    let mut edits = Vec::new();
    while let Some(section) = xml.child()? {
        let action = match section.name().as_ref() {
            "create" => Action::Create,
            "modify" => Action::Modify,
            "delete" => {
                let [if_unused] = xml.values(&section, ["if-unused"])?;
                // The reference server asks only whether it is there.
                Action::Delete { if_unused: if_unused.is_some_and(|value| value != "false") }
            }
            other => {
                let other: String = other.chars().take(40).collect();
                let text = format!("Unknown action {other}, choices are create, modify, delete");
                return Err(ApiError::bad_request(text));
            }
        };
        while let Some(tag) = xml.child()? {
            let kind = kind_of(&tag)
                .ok_or_else(|| xml.bad_in(&tag, "Unknown element, expecting node, way or relation"))?;
            if edits.len() as u64 >= most {
                return Err(full());
            }
            edits.push(element(&mut xml, &tag, kind, action)?);
        }
    }
    xml.end()?;
    Ok(edits)
}
