//! The sections `cuts` and `merge`, by `prolly`.

use prolly::{MemoryStore, Page, PageSource, Resolution, Tree};
use serde_json::{Value, json};

use super::text;
use crate::adapter::{Params, hex};

/// How many pairs each page has, level by level from the leaves up.
pub(super) fn cuts(store: &MemoryStore, tree: &Tree) -> Result<Value, String> {
    let mut levels = Vec::new();
    let mut row = vec![tree.root];
    while !row.is_empty() {
        let page =
            |cid| Page::verify(cid, store.load(&cid).map_err(text)?.ok_or("a page lost")?).map_err(text);
        let pages = row.into_iter().map(page).collect::<Result<Vec<_>, String>>()?;
        row = pages.iter().flat_map(|page| (0..page.len()).filter_map(|n| page.child(n))).collect();
        levels.insert(0, pages.iter().map(Page::len).collect::<Vec<_>>());
    }
    Ok(json!(levels))
}

pub(super) fn merge(
    params: Params<'_>,
    store: &MemoryStore,
    [base, left, right]: [Tree; 3],
) -> Result<Value, String> {
    let greater = params.at("resolve").0 == "greater";
    let mut conflicts = Vec::new();
    let merged = left.merge(&base, &right, store, store, |key, both| {
        if greater {
            return both.left.max(both.right).into();
        }
        let side = |value: Option<bytes::Bytes>| value.map(|value| hex(&value));
        conflicts.push(json!([hex(key), side(both.base), side(both.left), side(both.right)]));
        Resolution::Remove
    });
    let root = merged.map_err(text)?.root;
    Ok(if conflicts.is_empty() {
        json!({ "root": hex(root.as_bytes()) })
    } else {
        json!({ "conflicts": conflicts })
    })
}
