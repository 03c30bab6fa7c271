//! The section `proof`, by `prolly`.

use prolly::{Cid, KeyRange, MemoryStore, Proof, Proven, Statement, Tree, Value as Held};
use serde_json::{Value, json};

use super::{config, text};
use crate::adapter::{Params, hex};

pub(super) fn make(params: Params<'_>) -> Result<Value, String> {
    let store = MemoryStore::new();
    let tree = |name| Tree::build(&store, config(params)?, &params.at(name).pairs()?).map_err(text);
    let left = tree("pairs")?;
    let statement = params.at("statement");
    let range = || {
        let to = statement.nth(2).optional_bytes()?.map(Into::into);
        Ok::<_, String>(KeyRange { from: statement.nth(1).bytes()?.into(), to })
    };
    let proof = match statement.nth(0).text()? {
        "get" => Proof::get(&left, &store, &statement.nth(1).bytes()?),
        "range" => Proof::range(&left, &store, range()?),
        "count" => Proof::count(&left, &store, range()?),
        "diff" => Proof::diff(&left, &tree("right")?, &store),
        other => return Err(format!("unknown statement: {other}")),
    };
    let proof = proof.map_err(text)?;
    Ok(json!({ "root": hex(left.root.as_bytes()), "proof": hex(&proof.to_bytes()) }))
}

pub(super) fn verify(params: Params<'_>) -> Result<Value, String> {
    let root = Cid::from_hash(params.at("root").address()?);
    let proof = Proof::from_bytes(params.at("proof").bytes()?).map_err(text)?;
    let proven = proof.verify(&root).map_err(text)?;
    let range = |kind, range: &KeyRange| json!([kind, hex(&range.from), range.to.as_ref().map(|to| hex(to))]);
    let statement = match proof.statement() {
        Statement::Get(key) => json!(["get", hex(key)]),
        Statement::Range(limits) => range("range", limits),
        Statement::Count(limits) => range("count", limits),
        Statement::Diff(right) => json!(["diff", hex(right.as_bytes())]),
    };
    let shows = match proven {
        Proven::Value(value) => json!(value.map(|value| hex(&value))),
        Proven::Pairs(pairs) => {
            json!(pairs.iter().map(|(key, value)| [hex(key), hex(value)]).collect::<Vec<_>>())
        }
        Proven::Count(count) => json!(count),
        Proven::Changes(changes) => {
            let changes = changes
                .iter()
                .map(|change| json!([hex(&change.key), side(&change.left), side(&change.right)]));
            changes.collect()
        }
    };
    let c = proof.config();
    let config = [c.leaf_min, c.leaf_max, c.branch_min, c.branch_max, c.key_max, c.inline_max];
    Ok(json!({ "config": config, "statement": statement, "shows": shows }))
}

fn side(value: &Option<Held>) -> Value {
    match value {
        None => Value::Null,
        Some(Held::Inline(bytes)) => json!(hex(bytes)),
        Some(Held::Linked(len, top)) => json!([len, hex(top.as_bytes())]),
    }
}
