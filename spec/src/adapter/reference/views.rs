//! Entries and views, by the reference.

use serde_json::{Value, json};

use crate::adapter::{Params, entries, hex};
use crate::reference::entry::Entry;
use crate::reference::views::{Root, Superseded, TREES, Views, derive};

pub(super) fn encode(params: Params<'_>) -> Result<Value, String> {
    let entry = params.at("entry").entry()?;
    entry.check()?;
    Ok(json!({ "record": hex(&entry.record()), "version": hex(&entry.version()) }))
}

pub(super) fn decode(params: Params<'_>) -> Result<Value, String> {
    let entry = Entry::read(&params.at("record").bytes()?)?;
    Ok(json!({ "entry": entries::show(&entry), "version": hex(&entry.version()) }))
}

pub(super) fn verify(params: Params<'_>) -> Result<Value, String> {
    Ok(json!(Entry::read(&params.at("record").bytes()?)?.verify()?.map(|author| hex(&author))))
}

/// Answers what is asked of a set of entries; `look` may see their views otherwise.
pub(crate) fn views(
    params: Params<'_>,
    superseded: Superseded,
    look: fn(&mut Views, &[Entry]),
) -> Result<Value, String> {
    let config = params.at("config").config()?;
    let entries = params.at("entries").records()?;
    let entries = entries.iter().map(|record| Entry::read(record)).collect::<Result<Vec<_>, _>>()?;
    let mut views = derive(&config, &entries, superseded);
    look(&mut views, &entries);
    if let Some(tree) = params.at("tree").0.as_str() {
        let place = TREES.iter().position(|name| *name == tree).ok_or("no such tree")?;
        let pairs = views.trees[place].iter().map(|(key, value)| [hex(key), hex(value)]);
        return Ok(json!(pairs.collect::<Vec<_>>()));
    }
    let root = Root::of(params.at("name").text()?, &config, &views)?;
    let mut shown = show(&root);
    shown["record"] = json!(hex(&root.record()));
    shown["root"] = json!(hex(&crate::reference::address(&root.record())));
    Ok(shown)
}

pub(super) fn root_read(params: Params<'_>) -> Result<Value, String> {
    Ok(show(&Root::read(&params.at("record").bytes()?)?))
}

fn show(root: &Root) -> Value {
    json!({
        "name": root.name,
        "config": hex(&root.config),
        "trees": root.trees.map(|tree| hex(&tree)),
        "counts": root.counts,
    })
}
