//! Trees whose boundaries are decided by one rule each.

use serde_json::{Value, json};

use super::{Cases, SMALL, recipe};
use crate::adapter::Params;
use crate::reference::{build, key_hash};
use crate::wrong::build::{RIGHT, Rules, build as build_by};

/// Two keys with the same hash on level 0 (`examples/tie.rs` found them).
const TIE: [u64; 2] = [0xbfe6_3dc9_b68b_426c, 0xd1ea_a0b3_b96a_d79a];

/// The same on level 1.
const BRANCH_TIE: [u64; 2] = [0x4495_d955_8578_e299, 0x8f43_ff3f_5070_f3b5];

pub(super) fn cases() -> Result<Cases, String> {
    let mut pairs = vec![
        json!([]),
        json!([["61", "01"]]),
        tie()?,
        branch_tie()?,
        // One page that is exactly full; the same with a byte more.
        json!(plain(0, 8, 40)),
        with_last(&plain(0, 8, 40), 41),
        // The last leaf is below the least size.
        json!(plain(0, 10, 40)),
        recipe(400, "", 8, [0, 60]),
        recipe(100, "", 40, [50, 50]),
        // A branch that is exactly full: five children with last keys of 9 bytes.
        exactly_full_branch()?,
    ];
    for rules in [
        Rules { least: false, ..RIGHT },
        Rules { greatest: false, ..RIGHT },
        Rules { lone_child: true, ..RIGHT },
        Rules { level_in_hash: false, ..RIGHT },
    ] {
        pairs.push(json!(telling(&rules)?));
    }
    let mut cases = Cases::new();
    for pairs in pairs {
        let params = json!({ "config": SMALL, "pairs": pairs });
        cases.extend([("cuts", params.clone()), ("build", params)]);
    }
    let default = json!({ "config": super::DEFAULT, "pairs": recipe(20_000, "", 16, [0, 40]) });
    cases.push(("cuts", default));
    Ok(cases)
}

/// Pairs of keys of two bytes, the first of them given, and values of one length.
fn plain(first: u8, count: u8, len: u64) -> Vec<Value> {
    (0..count).map(|n| json!([format!("{first:02x}{n:02x}"), [["76", len]]])).collect()
}

fn with_last(pairs: &[Value], len: u64) -> Value {
    let mut pairs = pairs.to_vec();
    if let Some(last) = pairs.last_mut() {
        last[1] = json!([["76", len]]);
    }
    json!(pairs)
}

/// The first pairs that another rule would cut elsewhere.
fn telling(rules: &Rules) -> Result<Vec<Value>, String> {
    let config = Params(&json!(SMALL)).config()?;
    for count in (10..=60).step_by(10) {
        for first in 0..=255 {
            let pairs = plain(first, count, 35);
            let set = Params(&json!(pairs)).pairs()?;
            if build_by(&config, &set, rules)?.root != build(&config, &set)?.0 {
                return Ok(pairs);
            }
        }
    }
    Err("no pairs tell the rule".to_owned())
}

/// Six pairs and more, where the two least hashes among the places of the first page are the same.
fn tie() -> Result<Value, String> {
    let least = TIE.map(|key| key_hash(0, &key.to_be_bytes()));
    if least[0] != least[1] {
        return Err("no tie".to_owned());
    }
    let greater = |key: &u64| key_hash(0, &key.to_be_bytes()) > least[0];
    let before = (0u64..).filter(greater).take(2);
    let behind = (0xe000_0000_0000_0000..).filter(greater).take(4);
    let keys: Vec<u64> = before.chain(TIE).chain(behind).collect();
    Ok(keys.iter().map(|key| json!([format!("{key:016x}"), [["76", 48]]])).collect())
}

/// Leaves of five pairs whose last keys have the same two least hashes on level 1.
fn branch_tie() -> Result<Value, String> {
    let hash = |level, key: u64| key_hash(level, &key.to_be_bytes());
    let least = BRANCH_TIE.map(|key| hash(1, key));
    if least[0] != least[1] {
        return Err("no tie".to_owned());
    }
    let behind = (0xa000_0000_0000_0000..).step_by(1 << 32).filter(|key| hash(1, *key) > least[0]).take(4);
    let mut pairs = Vec::new();
    let mut first = 0;
    for last in std::iter::once(0x2000_0000_0000_0000).chain(BRANCH_TIE).chain(behind) {
        // The last key has the least hash on level 0 among the places of its leaf.
        let others = (first..last).filter(|key| hash(0, *key) > hash(0, last)).take(4);
        pairs.extend(others.chain([last]).map(|key| json!([format!("{key:016x}"), [["76", 50]]])));
        first = last + 1;
    }
    Ok(json!(pairs))
}

fn exactly_full_branch() -> Result<Value, String> {
    let config = Params(&json!(SMALL)).config()?;
    for n in 0..1000 {
        let pairs = recipe(16, &format!("{n:04x}"), 7, [40, 50]);
        let (root, pages) = build(&config, &Params(&pairs).pairs()?)?;
        if crate::reference::shape(&root, &pages)?[1..] == [vec![5]] {
            return Ok(pairs);
        }
    }
    Err("no branch is exactly full".to_owned())
}
