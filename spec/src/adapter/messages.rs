//! What the messages of a session say, as cases have it.

use serde_json::{Value, json};

use super::hex;
use crate::reference::sync::Meaning;

/// Returns a meaning as cases have it.
#[must_use]
pub fn show(meaning: &Meaning) -> Value {
    match meaning {
        Meaning::Hello(first, tag, root) => json!(["HELLO", first, hex(tag), hex(root)]),
        Meaning::Delta(base) => json!(["DELTA", hex(base)]),
        Meaning::Entries(entries) => {
            let entries =
                entries.iter().map(|((kind, id), version)| json!([kind, id.to_string(), hex(version)]));
            json!(["ENTRIES", entries.collect::<Vec<_>>()])
        }
        Meaning::End(entries) => json!(["END", entries]),
        Meaning::Cells(phase, members, cells) => json!(["CELLS", phase, members, hex(cells)]),
        Meaning::Done(root, gained, refused) => json!(["DONE", hex(root), gained, refused]),
        Meaning::Stop => json!(["STOP"]),
        Meaning::Pages(number, pages) => {
            json!(["PAGES", number, pages.iter().map(|page| hex(page)).collect::<Vec<_>>()])
        }
        Meaning::ReadEnd(number, root, end) => json!(["READ_END", number, hex(root), end]),
        Meaning::Other(kind, body) => json!([kind, hex(body)]),
    }
}
