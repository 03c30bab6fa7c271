//! The reference as an implementation that the runner can check.

mod proof;
pub(crate) mod views;

use serde_json::{Value, json};

use super::{Params, hex};
use crate::reference::{self, Pages, Pairs};

/// The sections that the reference serves: all but that in which a peer is needed.
pub const SECTIONS: [&str; 15] = [
    "cid", "config", "page", "key_hash", "cuts", "build", "edit", "read", "diff", "merge", "tree", "proof",
    "car", "entries", "views",
];

/// Answers a request by the reference.
///
/// # Errors
/// What is asked is refused.
pub fn answer(method: &str, params: &Value) -> Result<Value, String> {
    let params = Params(params);
    let config = || params.at("config").config();
    let build = || reference::build(&config()?, &params.at("pairs").pairs()?);
    Ok(match method {
        "hello" => json!({ "name": "reference", "format": reference::FORMAT, "sections": SECTIONS }),
        "cid_text" => json!(reference::cid_text(&params.at("address").address()?)),
        "cid_read" => json!(hex(&reference::read_cid_text(params.at("text").0.as_str().ok_or("no text")?)?)),
        "config_encode" => {
            let config = config()?;
            if !config.is_valid() {
                return Err("an invalid configuration".to_owned());
            }
            json!({ "record": hex(&config.record()), "address": hex(&reference::address(&config.record())) })
        }
        "config_read" => {
            let c = reference::Config::read(&params.at("record").bytes()?)?;
            json!([c.leaf[0], c.leaf[1], c.branch[0], c.branch[1], c.key_max, c.inline_max])
        }
        "page_check" => {
            let bytes = params.at("page").bytes()?;
            if params.at("address").address()? != reference::address(&bytes) {
                return Err("another address".to_owned());
            }
            reference::check_page_within(&bytes, &config()?)?;
            json!(true)
        }
        "key_hash" => {
            let level = u8::try_from(params.at("level").number()?).map_err(|_| "no level")?;
            json!(format!("{:016x}", reference::key_hash(level, &params.at("key").bytes()?)))
        }
        "build" => {
            let (root, pages) = build()?;
            json!({ "root": hex(&root), "pages": pages.len() })
        }
        "pages" => json!(build()?.1.values().map(|page| hex(page)).collect::<Vec<_>>()),
        "edit" => edit(params)?,
        "get" => json!(params.at("pairs").pairs()?.get(&params.at("key").bytes()?).map(|value| hex(value))),
        "rank" => {
            let key = params.at("key").bytes()?;
            json!(params.at("pairs").pairs()?.keys().filter(|other| **other < key).count())
        }
        "select" => {
            let index = usize::try_from(params.at("index").number()?).map_err(|_| "no index")?;
            json!(params.at("pairs").pairs()?.iter().nth(index).map(|(k, v)| [hex(k), hex(v)]))
        }
        "range" => {
            let inside = inside(params)?;
            let inside = inside.iter();
            json!(inside.map(|(key, value)| [hex(key), hex(value)]).collect::<Vec<_>>())
        }
        "count" => json!(inside(params)?.len()),
        "cuts" => {
            let (root, pages) = build()?;
            json!(reference::shape(&root, &pages)?)
        }
        "merge" => merge(params)?,
        "car_write" => {
            let (root, pages) = build()?;
            json!(hex(&reference::car::write(&root, &pages)?))
        }
        "car_read" => {
            let (root, pages) = reference::car::read(&params.at("car").bytes()?)?;
            let pairs = reference::read_canonical(&config()?, &root, &pages)?;
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| [hex(key), hex(value)]).collect();
            json!({ "root": hex(&root), "pairs": pairs })
        }
        "diff" => {
            let changes = reference::diff(&params.at("left").pairs()?, &params.at("right").pairs()?);
            let side = |value: &Option<Vec<u8>>| json!(value.as_ref().map(|value| hex(value)));
            let changes =
                changes.iter().map(|(key, sides)| json!([hex(key), side(&sides.0), side(&sides.1)]));
            json!(changes.collect::<Vec<_>>())
        }
        "union" => {
            let mut both = params.at("left").pairs()?;
            for (key, value) in params.at("right").pairs()? {
                // The resolver of the vectors: the greater value.
                let old = both.entry(key).or_default();
                *old = value.max(std::mem::take(old));
            }
            json!(hex(&reference::build(&config()?, &both)?.0))
        }
        "tree_check" => {
            let pages = params.at("pages").items()?.map(|page| {
                let page = page.bytes()?;
                Ok((reference::address(&page), page))
            });
            let pages = pages.collect::<Result<Pages, String>>()?;
            let pairs = reference::read_canonical(&config()?, &params.at("root").address()?, &pages)?;
            json!(pairs.len())
        }
        "proof_make" => proof::make(params)?,
        "proof_verify" => proof::verify(params)?,
        "entry_encode" => views::encode(params)?,
        "entry_decode" => views::decode(params)?,
        "entry_verify" => views::verify(params)?,
        "views" | "view_pairs" => views::views(params, reference::views::superseded, |_, _| ())?,
        "root_read" => views::root_read(params)?,
        _ => return Err(format!("unknown method: {method}")),
    })
}

fn edit(params: Params<'_>) -> Result<Value, String> {
    let config = params.at("config").config()?;
    let mut pairs: Pairs = params.at("pairs").pairs()?;
    let mut roots = Vec::new();
    for batch in params.at("batches").items()? {
        let edits = batch.items()?.map(|edit| Ok((edit.nth(0).bytes()?, edit.nth(1).optional_bytes()?)));
        let edits = edits.collect::<Result<Vec<_>, String>>()?;
        reference::check_edits(&config, &edits)?;
        reference::edit(&mut pairs, &edits);
        roots.push(hex(&reference::build(&config, &pairs)?.0));
    }
    Ok(json!(roots))
}

/// The pairs of a range.
fn inside(params: Params<'_>) -> Result<Pairs, String> {
    let (from, to) = (params.at("from").bytes()?, params.at("to").optional_bytes()?);
    let pairs = params.at("pairs").pairs()?.into_iter();
    Ok(pairs.filter(|(key, _)| *key >= from && to.as_ref().is_none_or(|to| key < to)).collect())
}

fn merge(params: Params<'_>) -> Result<Value, String> {
    let side = |name| params.at(name).pairs();
    let config = params.at("config").config()?;
    let [base, left, right] = [side("base")?, side("left")?, side("right")?];
    for side in [&base, &left, &right] {
        reference::build(&config, side)?;
    }
    let (mut merged, conflicts) = reference::merge(&base, &left, &right);
    if params.at("resolve").0 == "greater" {
        for (key, [_, left, right]) in conflicts {
            merged.extend(left.max(right).map(|value| (key, value)));
        }
    } else if !conflicts.is_empty() {
        let side = |value: &Option<Vec<u8>>| json!(value.as_ref().map(|value| hex(value)));
        let conflict = conflicts
            .iter()
            .map(|(key, [base, left, right])| json!([hex(key), side(base), side(left), side(right)]));
        return Ok(json!({ "conflicts": conflict.collect::<Vec<_>>() }));
    }
    Ok(json!({ "root": hex(&reference::build(&config, &merged)?.0) }))
}
