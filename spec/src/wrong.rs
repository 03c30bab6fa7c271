//! Implementations that are wrong in one thing each: what the suite must find.
//!
//! `spec adapter wrong-NAME` serves one. Each is the reference, but for the one mistake; those that are peers
//! are `osmdb`.

pub(crate) mod build;
mod peer;
mod views;

use serde_json::{Value, json};

use self::build::{RIGHT, Rules};
use crate::adapter::{Answer, Params, Talk, hex, reference::answer};
use crate::reference::{self, Pairs, edit, proof::Proof};

/// An implementation with a mistake.
#[derive(Debug, Clone, Copy)]
pub struct Wrong {
    /// What follows `wrong-`.
    pub name: &'static str,
    /// The sections in which it must fail, and no others.
    pub sections: &'static [&'static str],
    /// What it answers.
    pub answer: Answer,
    /// How it talks to a peer, if it does.
    pub talk: Option<Talk>,
}

/// All of them.
pub const WRONG: &[Wrong] = &[
    wrong("tie-takes-the-last", &["cuts"], |method, params| {
        building(&Rules { last_of_a_tie: true, ..RIGHT }, method, params)
    }),
    wrong("level-not-in-the-hash", &["build", "cuts", "diff", "edit"], |method, params| {
        building(&Rules { level_in_hash: false, ..RIGHT }, method, params)
    }),
    wrong("window-ends-before-the-greatest", &["cuts"], |method, params| {
        building(&Rules { greatest: false, ..RIGHT }, method, params)
    }),
    wrong("window-begins-behind-the-least", &["cuts"], |method, params| {
        building(&Rules { least: false, ..RIGHT }, method, params)
    }),
    wrong("single-child-left-alone", &["cuts"], |method, params| {
        building(&Rules { lone_child: true, ..RIGHT }, method, params)
    }),
    wrong("inline-limit-off-by-one", &["build", "cuts", "diff", "edit"], |method, params| {
        building(&Rules { inline: false, ..RIGHT }, method, params)
    }),
    wrong("value-pages-not-equally-deep", &["build"], |method, params| {
        building(&Rules { bare_page: true, ..RIGHT }, method, params)
    }),
    wrong("single-child-root-left-standing", &["edit"], single_root),
    wrong("first-edit-of-a-key-counts", &["edit"], first_edit),
    wrong("text-in-upper-case-taken", &["cid"], |method, params| {
        let lower = params["text"].as_str().map(str::to_lowercase);
        answer(method, &if method == "cid_read" { json!({ "text": lower }) } else { params.clone() })
    }),
    wrong("longer-heads-taken", &["entries", "page", "tree", "views"], |method, params| {
        takes(method, params, &["another encoding than the one there is"])
    }),
    wrong("unsorted-keys-taken", &["page"], |method, params| {
        takes(method, params, &["keys that do not ascend"])
    }),
    wrong("counts-not-checked", &["tree"], |method, params| {
        takes(method, params, &["a child with another count"])
    }),
    wrong("boundaries-not-checked", &["tree"], |method, params| {
        takes(method, params, &["boundaries that break the rule"])
    }),
    wrong("invalid-configuration-taken", &["config"], |method, params| {
        takes(method, params, &["an invalid configuration"])
    }),
    wrong("range-end-inclusive", &["read"], |method, params| {
        let mut params = params.clone();
        if let ("range", Some(to)) = (method, params["to"].as_str()) {
            params["to"] = json!(format!("{to}00"));
        }
        answer(method, &params)
    }),
    wrong("rank-counts-the-key-itself", &["read"], |method, params| {
        let mut params = params.clone();
        if let ("rank", Some(key)) = (method, params["key"].as_str()) {
            params["key"] = json!(format!("{key}00"));
        }
        answer(method, &params)
    }),
    wrong("changed-values-ignored-in-diffs", &["diff"], |method, params| {
        let mut found = answer(method, params)?;
        if let ("diff", Some(changes)) = (method, found.as_array_mut()) {
            changes.retain(|change| change[1].is_null() || change[2].is_null());
        }
        Ok(found)
    }),
    wrong("left-side-wins-conflicts-silently", &["merge"], |method, params| {
        let found = answer(method, params)?;
        if method != "merge" || found["conflicts"].is_null() {
            return Ok(found);
        }
        let asked = Params(params);
        let side = |name| asked.at(name).pairs();
        let left = side("left")?;
        let (mut merged, conflicts) = reference::merge(&side("base")?, &left, &side("right")?);
        merged.extend(left.into_iter().filter(|(key, _)| conflicts.contains_key(key)));
        Ok(json!({ "root": hex(&reference::build(&asked.at("config").config()?, &merged)?.0) }))
    }),
    wrong("proof-without-a-page-taken", &["proof"], |method, params| match answer(method, params) {
        Err(why) if method == "proof_verify" && why == "a missing page" => Ok(json!({ "shows": null })),
        answer => answer,
    }),
    wrong("proof-with-a-page-more-taken", &["proof"], proof_with_more),
    wrong("tags-sorted", &["entries"], views::tags_sorted),
    wrong("version-without-the-signature", &["entries"], views::version_unsigned),
    wrong("links-in-any-order", &["entries"], |method, params| {
        views::taken(method, params, "links that do not ascend")
    }),
    wrong("places-off-the-globe-taken", &["entries"], |method, params| {
        views::taken(method, params, "a place off the globe")
    }),
    wrong("forged-signatures-taken", &["entries"], |method, params| {
        views::taken(method, params, "a forged signature")
    }),
    wrong("metadata-decides-nothing", &["views"], |method, params| {
        views::ruled(method, params, views::metadata_ignored)
    }),
    wrong("edit-spares-the-same-from-another-file", &["views"], |method, params| {
        views::ruled(method, params, views::twin_spared)
    }),
    wrong("what-is-nowhere-left-out", &["views"], |method, params| {
        views::viewed(method, params, |views, _| views.trees[2].retain(|key, _| key[0] < 255))
    }),
    wrong("relations-without-tags", &["views"], |method, params| {
        views::viewed(method, params, |views, _| views.trees[5].retain(|key, _| key[key.len() - 9] != 2))
    }),
    wrong("what-is-superseded-in-no-changeset", &["views"], |method, params| {
        views::viewed(method, params, |views, _| {
            let [_, history, _, _, changes, _] = &mut views.trees;
            changes.retain(|key, _| !history.contains_key(&key[8..]));
        })
    }),
    wrong("forks-not-counted", &["views"], |method, params| {
        views::viewed(method, params, |views, _| views.counts[6] = 0)
    }),
    peer("own-entries-kept-back", peer::keeps_back),
    peer("forgeries-of-peers-taken", peer::forgeries),
    peer("any-root-believed", peer::any_root),
    peer("cut-taken-for-the-end", peer::cuts),
    peer("stops-without-a-word", peer::mute),
    peer("lengths-of-frames-in-any-form", peer::lenient),
];

/// `osmdb` with a mistake in its sessions.
const fn peer(name: &'static str, talk: Talk) -> Wrong {
    Wrong { name, sections: &["sync"], answer: crate::adapter::osmdb::answer, talk: Some(talk) }
}

const fn wrong(name: &'static str, sections: &'static [&'static str], answer: Answer) -> Wrong {
    Wrong { name, sections, answer, talk: None }
}

/// Builds trees by other rules.
fn building(rules: &Rules, method: &str, params: &Value) -> Result<Value, String> {
    let asked = Params(params);
    let build = |pairs: &Pairs| build::build(&asked.at("config").config()?, pairs, rules);
    Ok(match method {
        "build" => {
            let tree = build(&asked.at("pairs").pairs()?)?;
            json!({ "root": hex(&tree.root), "pages": tree.pages.len() })
        }
        "pages" => {
            let tree = build(&asked.at("pairs").pairs()?)?;
            json!(tree.pages.values().map(|page| hex(page)).collect::<Vec<_>>())
        }
        "cuts" => {
            let tree = build(&asked.at("pairs").pairs()?)?;
            json!(reference::shape(&tree.root, &tree.pages)?)
        }
        "edit" => edited(params, |_, pairs| Ok(build(pairs)?.root))?,
        "union" => {
            let mut both = asked.at("left").pairs()?;
            for (key, value) in asked.at("right").pairs()? {
                let old = both.entry(key).or_default();
                *old = value.max(std::mem::take(old));
            }
            json!(hex(&build(&both)?.root))
        }
        _ => return answer(method, params),
    })
}

/// Applies the batches of a request; what builds gets the pairs before a batch and after it.
fn edited(
    params: &Value,
    build: impl Fn(&Pairs, &Pairs) -> Result<[u8; 32], String>,
) -> Result<Value, String> {
    let mut pairs = Params(params).at("pairs").pairs()?;
    let mut roots = Vec::new();
    for batch in Params(params).at("batches").items()? {
        let before = pairs.clone();
        let edits = batch.items()?.map(|one| Ok((one.nth(0).bytes()?, one.nth(1).optional_bytes()?)));
        let edits = edits.collect::<Result<Vec<_>, String>>()?;
        reference::check_edits(&Params(params).at("config").config()?, &edits)?;
        edit(&mut pairs, &edits);
        roots.push(hex(&build(&before, &pairs)?));
    }
    Ok(json!(roots))
}

/// A tree that becomes lower keeps a branch above its root, with that as its one child.
fn single_root(method: &str, params: &Value) -> Result<Value, String> {
    if method != "edit" {
        return answer(method, params);
    }
    let config = Params(params).at("config").config()?;
    edited(params, |before, after| {
        let (before, after) = (build::build(&config, before, &RIGHT)?, build::build(&config, after, &RIGHT)?);
        Ok(if before.level > after.level { after.with_a_branch_above() } else { after.root })
    })
}

fn first_edit(method: &str, params: &Value) -> Result<Value, String> {
    let mut params = params.clone();
    for batch in params["batches"].as_array_mut().into_iter().flatten() {
        batch.as_array_mut().into_iter().for_each(|edits| edits.reverse());
    }
    answer(method, &params)
}

/// Takes what the reference refuses for one of these reasons.
fn takes(method: &str, params: &Value, reasons: &[&str]) -> Result<Value, String> {
    match answer(method, params) {
        Err(why) if !method.starts_with("proof") && reasons.contains(&why.as_str()) => Ok(json!(true)),
        answer => answer,
    }
}

/// Leaves pages out of a proof until each that is left is needed.
fn proof_with_more(method: &str, params: &Value) -> Result<Value, String> {
    let found = answer(method, params);
    if method != "proof_verify" || found != Err("a page that is not needed".to_owned()) {
        return found;
    }
    let proof = Proof::read(&Params(params).at("proof").bytes()?)?;
    for page in proof.pages.keys() {
        let mut fewer = proof.clone();
        fewer.pages.remove(page);
        let params = json!({ "root": params["root"], "proof": hex(&fewer.encode()) });
        if let Ok(found) = answer(method, &params) {
            return Ok(found);
        }
    }
    found
}
