//! `osmdb` as an implementation that the runner can check, with `prolly` below it.

mod convert;
pub mod database;
pub mod peer;

use osmdb::{Entry, Snapshot};
use prolly::{Cid, KeyRange, MemoryStore, PageSink};
use serde_json::{Value, json};

use super::{Params, entries, hex, prolly as trees};

/// The sections that `osmdb` serves: all.
pub const SECTIONS: [&str; 16] = [
    "cid", "config", "page", "key_hash", "cuts", "build", "edit", "read", "diff", "merge", "tree", "proof",
    "car", "entries", "views", "sync",
];

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Answers a request by `osmdb`, or by `prolly` if it is about trees.
///
/// # Errors
/// What is asked is refused.
pub fn answer(method: &str, params: &Value) -> Result<Value, String> {
    let params = Params(params);
    let read = || Entry::from_record(&params.at("record").bytes()?).map_err(text);
    Ok(match method {
        "hello" => json!({ "name": "osmdb", "format": prolly::FORMAT, "sections": SECTIONS }),
        "entry_encode" => {
            let entry = convert::to_ours(&params.at("entry").entry()?)?;
            let record = entry.to_record();
            Entry::from_record(&record).map_err(text)?;
            json!({ "record": hex(&record), "version": entry.version().to_string() })
        }
        "entry_decode" => {
            let entry = read()?;
            json!({ "entry": entries::show(&convert::from_ours(&entry)), "version": entry.version().to_string() })
        }
        "entry_verify" => {
            json!(read()?.check_signature().map_err(text)?.map(|author| author.to_string()))
        }
        "views" => views(params)?,
        "view_pairs" => pairs(params)?,
        "root_read" => {
            let (record, config) = (params.at("record").bytes()?, trees::config(params)?);
            let store = MemoryStore::new();
            let cid = Cid::of(&record);
            store.put(cid, record.into()).map_err(text)?;
            store.put(config.cid(), config.encode().into()).map_err(text)?;
            show(Snapshot::open(&store, cid).map_err(text)?.root())
        }
        _ => return trees::answer(method, params.0),
    })
}

fn filled(params: Params<'_>) -> Result<osmdb::Db<MemoryStore>, String> {
    let name = params.at("name").0.as_str().unwrap_or(osmdb::DEFAULT_NAME);
    let db = database::empty(name, trees::config(params)?)?;
    database::add(&db, &params.at("entries").records()?)?;
    Ok(db)
}

fn views(params: Params<'_>) -> Result<Value, String> {
    let db = filled(params)?;
    let snapshot = db.snapshot();
    let mut shown = show(snapshot.root());
    shown["record"] = json!(hex(&snapshot.root().encode()));
    shown["root"] = json!(hex(db.root().as_bytes()));
    Ok(shown)
}

fn pairs(params: Params<'_>) -> Result<Value, String> {
    let db = filled(params)?;
    let wanted = params.at("tree").text()?;
    let named = db.snapshot().root().trees.named();
    let tree = named.iter().find(|(name, _)| *name == wanted).ok_or("no such tree")?.1;
    let pairs = tree.ranges(db.store(), vec![KeyRange::all()]).map(|pair| {
        let (key, value) = pair.map_err(text)?;
        Ok([hex(&key), hex(&value)])
    });
    Ok(json!(pairs.collect::<Result<Vec<_>, String>>()?))
}

fn show(root: &osmdb::Root) -> Value {
    let counts = root.counts;
    json!({
        "name": root.name,
        "config": hex(root.trees.heads.config.cid().as_bytes()),
        "trees": root.trees.named().map(|(_, tree)| hex(tree.root.as_bytes())),
        "counts": [
            counts.entries, counts.nodes, counts.ways, counts.relations, counts.changesets, counts.deleted,
            counts.forks,
        ],
    })
}
