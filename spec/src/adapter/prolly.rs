//! `prolly` as an implementation that the runner can check.

mod proof;
mod trees;

use prolly::ipld::Foreign;
use prolly::{Cid, Config, KeyRange, MemoryStore, Page, PageSink, PageSource, Tree, Union};
use serde_json::{Value, json};

use super::{Params, hex};

/// The sections that `prolly` serves.
pub const SECTIONS: [&str; 13] = [
    "cid", "config", "page", "key_hash", "cuts", "build", "edit", "read", "diff", "merge", "tree", "proof",
    "car",
];

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Answers a request by `prolly`.
///
/// # Errors
/// What is asked is refused.
pub fn answer(method: &str, params: &Value) -> Result<Value, String> {
    let params = Params(params);
    let store = MemoryStore::new();
    let tree = |name: &str| -> Result<Tree, String> {
        Tree::build(&store, config(params)?, &params.at(name).pairs()?).map_err(text)
    };
    let key = || params.at("key").bytes();
    let pair = |(key, value): (bytes::Bytes, bytes::Bytes)| [hex(&key), hex(&value)];
    Ok(match method {
        "hello" => json!({ "name": "prolly", "format": prolly::FORMAT, "sections": SECTIONS }),
        "cid_text" => json!(Cid::from_hash(params.at("address").address()?).to_string()),
        "cid_read" => {
            let cid: Cid = params.at("text").0.as_str().ok_or("no text")?.parse().map_err(text)?;
            json!(hex(cid.as_bytes()))
        }
        "config_encode" => {
            let config = config(params)?;
            config.validate().map_err(text)?;
            json!({ "record": hex(&config.encode()), "address": hex(config.cid().as_bytes()) })
        }
        "config_read" => {
            let c = Config::decode(&params.at("record").bytes()?).map_err(text)?;
            json!([c.leaf_min, c.leaf_max, c.branch_min, c.branch_max, c.key_max, c.inline_max])
        }
        "page_check" => {
            let cid = Cid::from_hash(params.at("address").address()?);
            let page = Page::verify(cid, params.at("page").bytes()?.into()).map_err(text)?;
            page.within(&config(params)?).map_err(text)?;
            json!(true)
        }
        "key_hash" => {
            let level = u8::try_from(params.at("level").number()?).map_err(text)?;
            json!(format!("{:016x}", prolly::boundary_hash(level, &key()?)))
        }
        "build" => json!({ "root": hex(tree("pairs")?.root.as_bytes()), "pages": store.len() }),
        "pages" => {
            tree("pairs")?;
            let mut cids = store.cids();
            cids.sort_by_key(|cid| *cid.as_bytes());
            let page = |cid| Ok(hex(&store.load(cid).map_err(text)?.ok_or("a page lost")?));
            json!(cids.iter().map(page).collect::<Result<Vec<_>, String>>()?)
        }
        "edit" => edit(params, &store, tree("pairs")?)?,
        "get" => json!(tree("pairs")?.get(&store, &key()?).map_err(text)?.map(|value| hex(&value))),
        "rank" => json!(tree("pairs")?.rank(&store, &key()?).map_err(text)?),
        "select" => {
            json!(tree("pairs")?.select(&store, params.at("index").number()?).map_err(text)?.map(pair))
        }
        "range" => {
            let pairs = tree("pairs")?.ranges(&store, vec![range(params)?]);
            let pairs = pairs.map(|found| found.map(pair).map_err(text));
            json!(pairs.collect::<Result<Vec<_>, String>>()?)
        }
        "count" => {
            json!(tree("pairs")?.count_range(&store, &range(params)?).map_err(text)?)
        }
        "cuts" => trees::cuts(&store, &tree("pairs")?)?,
        "merge" => trees::merge(params, &store, [tree("base")?, tree("left")?, tree("right")?])?,
        "car_write" => {
            let mut car = Vec::new();
            tree("pairs")?.export_car(&store, &mut car).map_err(text)?;
            json!(hex(&car))
        }
        "car_read" => {
            let car = params.at("car").bytes()?;
            let tree = Tree::import_car(&car[..], &store, config(params)?, Foreign::Refuse).map_err(text)?;
            let pairs = tree.ranges(&store, vec![KeyRange::all()]).map(|found| found.map(pair).map_err(text));
            json!({ "root": hex(tree.root.as_bytes()), "pairs": pairs.collect::<Result<Vec<_>, String>>()? })
        }
        "diff" => {
            let side = |value: Option<_>| match value {
                Some(value) => Ok(json!(hex(&prolly::read(&store, value).map_err(text)?))),
                None => Ok::<_, String>(Value::Null),
            };
            let changes = tree("left")?.diff(&tree("right")?, &store).map_err(text)?.map(|change| {
                let change = change.map_err(text)?;
                Ok(json!([hex(&change.key), side(change.left)?, side(change.right)?]))
            });
            json!(changes.collect::<Result<Vec<_>, String>>()?)
        }
        "union" => {
            let resolve = |_: &[u8], left: bytes::Bytes, right| left.max(right);
            let mut union = Union::new(tree("left")?, tree("right")?, resolve).map_err(text)?;
            match union.step(&store, &store).map_err(text)? {
                prolly::Step::Ready(tree) => json!(hex(tree.root.as_bytes())),
                prolly::Step::Missing(_) => return Err("a page lost".to_owned()),
            }
        }
        "tree_check" => {
            for page in params.at("pages").items()? {
                let page = page.bytes()?;
                store.put(Cid::of(&page), page.into()).map_err(text)?;
            }
            let root = Cid::from_hash(params.at("root").address()?);
            let tree = Tree { root, config: config(params)? };
            json!(tree.verify(&store).map_err(text)?.pairs)
        }
        "proof_make" => proof::make(params)?,
        "proof_verify" => proof::verify(params)?,
        _ => return Err(format!("unknown method: {method}")),
    })
}

pub(super) fn config(params: Params<'_>) -> Result<Config, String> {
    let c = params.at("config").config()?;
    Ok(Config {
        leaf_min: c.leaf[0],
        leaf_max: c.leaf[1],
        branch_min: c.branch[0],
        branch_max: c.branch[1],
        key_max: c.key_max,
        inline_max: c.inline_max,
    })
}

fn edit(params: Params<'_>, store: &MemoryStore, mut tree: Tree) -> Result<Value, String> {
    let mut roots = Vec::new();
    for batch in params.at("batches").items()? {
        let edits = batch.items()?.map(|edit| Ok((edit.nth(0).bytes()?, edit.nth(1).optional_bytes()?)));
        tree = tree.edit(store, edits.collect::<Result<Vec<_>, String>>()?).map_err(text)?;
        roots.push(hex(tree.root.as_bytes()));
    }
    Ok(json!(roots))
}

fn range(params: Params<'_>) -> Result<KeyRange, String> {
    let to = params.at("to").optional_bytes()?.map(Into::into);
    Ok(KeyRange { from: params.at("from").bytes()?.into(), to })
}
