//! What can be wrong in entries and views.

use serde_json::{Value, json};

use crate::adapter::reference::{answer, views::views};
use crate::adapter::{Params, hex};
use crate::reference::address;
use crate::reference::entry::{Edited, Entry, Origin};
use crate::reference::views::{Superseded, Views, superseded};

/// Tags are sorted before they are written.
pub(super) fn tags_sorted(method: &str, params: &Value) -> Result<Value, String> {
    let mut params = params.clone();
    let payload = params.pointer_mut("/entry/payload").and_then(Value::as_array_mut);
    let is_tag =
        |tag: &Value| tag.as_array().is_some_and(|two| two.len() == 2 && two.iter().all(Value::is_string));
    for part in payload.into_iter().flatten().filter_map(Value::as_array_mut) {
        if part.iter().all(is_tag) {
            part.sort_by_key(ToString::to_string);
        }
    }
    answer(method, &params)
}

/// The version is the hash of what is signed and not of what is written.
pub(super) fn version_unsigned(method: &str, params: &Value) -> Result<Value, String> {
    let mut found = answer(method, params)?;
    let entry = match method {
        "entry_encode" => Params(params).at("entry").entry()?,
        "entry_decode" => Entry::read(&Params(params).at("record").bytes()?)?,
        _ => return Ok(found),
    };
    let mut plain = entry;
    if let Origin::Edited(Edited { seal, .. }) = &mut plain.origin {
        *seal = None;
    }
    found["version"] = json!(hex(&address(&plain.record())));
    Ok(found)
}

/// Takes a record or an entry that is refused for a reason.
pub(super) fn taken(method: &str, params: &Value, reason: &str) -> Result<Value, String> {
    match answer(method, params) {
        Err(why) if method.starts_with("entry") && why == reason => Ok(json!(null)),
        answer => answer,
    }
}

/// Derives views by another rule for what is superseded.
pub(super) fn ruled(method: &str, params: &Value, rule: Superseded) -> Result<Value, String> {
    match method {
        "views" | "view_pairs" => views(Params(params), rule, |_, _| ()),
        _ => answer(method, params),
    }
}

/// Derives views and changes them.
pub(super) fn viewed(method: &str, params: &Value, look: fn(&mut Views, &[Entry])) -> Result<Value, String> {
    match method {
        "views" | "view_pairs" => views(Params(params), superseded, look),
        _ => answer(method, params),
    }
}

/// Which entries of an element edits link to, or an import has a greater number than they.
fn linked_or_older(entries: &[Entry]) -> Vec<bool> {
    let linked = |entry: &Entry| {
        let version = entry.version();
        entries
            .iter()
            .any(|other| matches!(&other.origin, Origin::Edited(edit) if edit.links.contains(&version)))
    };
    let older = |entry: &Entry| {
        entries.iter().any(|other| match (&entry.origin, &other.origin) {
            (Origin::Imported(entry), Origin::Imported(other)) => entry.version < other.version,
            _ => false,
        })
    };
    entries.iter().map(|entry| linked(entry) || older(entry)).collect()
}

/// Of the same version in two files both stay.
pub(super) fn metadata_ignored(entries: &[Entry]) -> Vec<bool> {
    linked_or_older(entries)
}

/// An edit supersedes what it links to, and not the same from another file.
pub(super) fn twin_spared(entries: &[Entry]) -> Vec<bool> {
    let edits = |entry: &Entry| matches!(entry.origin, Origin::Edited(_));
    let imports: Vec<Entry> = entries.iter().filter(|entry| !edits(entry)).cloned().collect();
    let mut by_import = superseded(&imports).into_iter();
    let by_link = linked_or_older(entries);
    let both = entries
        .iter()
        .zip(by_link)
        .map(|(entry, by_link)| by_link | (!edits(entry) && by_import.next().unwrap_or_default()));
    both.collect()
}
