//! The section `proof`, by the reference.

use serde_json::{Value, json};

use crate::adapter::{Params, hex};
use crate::reference::proof::{Proof, Shown, Statement};
use crate::reference::{self, Config, Value as Held};

pub(super) fn make(params: Params<'_>) -> Result<Value, String> {
    let config = params.at("config").config()?;
    let (root, mut pages) = reference::build(&config, &params.at("pairs").pairs()?)?;
    let statement = params.at("statement");
    let range = || Ok::<_, String>((statement.nth(1).bytes()?, statement.nth(2).optional_bytes()?));
    let statement = match statement.nth(0).text()? {
        "get" => Statement::Get(statement.nth(1).bytes()?),
        "range" => Statement::Range(range()?),
        "count" => Statement::Count(range()?),
        "diff" => {
            let (right, more) = reference::build(&config, &params.at("right").pairs()?)?;
            pages.extend(more);
            Statement::Diff(right)
        }
        other => return Err(format!("unknown statement: {other}")),
    };
    let proof = Proof::make(config, &root, statement, &pages)?;
    Ok(json!({ "root": hex(&root), "proof": hex(&proof.encode()) }))
}

pub(super) fn verify(params: Params<'_>) -> Result<Value, String> {
    let root = params.at("root").address()?;
    let proof = Proof::read(&params.at("proof").bytes()?)?;
    let shown = proof.verify(&root)?;
    let Config { leaf, branch, key_max, inline_max } = proof.config;
    let statement = match &proof.statement {
        Statement::Get(key) => json!(["get", hex(key)]),
        Statement::Range((from, to)) => json!(["range", hex(from), to.as_ref().map(|to| hex(to))]),
        Statement::Count((from, to)) => json!(["count", hex(from), to.as_ref().map(|to| hex(to))]),
        Statement::Diff(right) => json!(["diff", hex(right)]),
    };
    let shows = match shown {
        Shown::Value(value) => json!(value.map(|value| hex(&value))),
        Shown::Pairs(pairs) => {
            json!(pairs.iter().map(|(key, value)| [hex(key), hex(value)]).collect::<Vec<_>>())
        }
        Shown::Count(count) => json!(count),
        Shown::Changes(changes) => {
            let changes =
                changes.iter().map(|(key, (left, right))| json!([hex(key), side(left), side(right)]));
            changes.collect()
        }
    };
    let config = [leaf[0], leaf[1], branch[0], branch[1], key_max, inline_max];
    Ok(json!({ "config": config, "statement": statement, "shows": shows }))
}

fn side(value: &Option<Held>) -> Value {
    match value {
        None => Value::Null,
        Some(Held::Inline(bytes)) => json!(hex(bytes)),
        Some(Held::Linked(len, top)) => json!([len, hex(top)]),
    }
}
