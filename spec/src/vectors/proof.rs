//! Proofs that hold, and proofs that must be refused.

use serde_json::{Value, json};

use super::{Cases, KIND, OTHER, Refusal, SMALL, compact, recipe};
use crate::adapter::{Params, hex, reference::answer};
use crate::reference::proof::{Proof, Statement};
use crate::reference::{Address, Config, Value as Held, address, branch, leaf};

/// Statements about trees: the proof of each, and what it shows.
pub(super) fn holding() -> Result<Cases, String> {
    let (none, one) = (json!([]), json!([["61", "01"]]));
    let three = json!([["61", "01"], ["62", "02"], ["63", "03"]]);
    // Three levels; long values of one and of several value pages.
    let many = recipe(60, "", 8, [0, 60]);
    let long = json!([["61", "01"], ["62", [["62", 51]]], ["63", [["63", 8200]]], ["64", ""]]);
    let prefixed = json!([["61", "01"], ["6261", "02"], ["6262", "03"], ["62ff", "04"], ["63", "05"]]);
    let mut asked = Vec::new();
    for (pairs, statement) in [
        (&none, json!(["get", ""])),
        (&none, json!(["range", "", null])),
        (&none, json!(["count", "", null])),
        (&one, json!(["get", "61"])),
        (&one, json!(["get", "60"])),
        (&one, json!(["get", "62"])),
        // Longer than any key of the tree.
        (&one, json!(["get", [["61", 100]]])),
        (&three, json!(["get", "62"])),
        (&three, json!(["range", "6100", "62"])),
        (&three, json!(["range", "61", "63"])),
        (&three, json!(["range", "62", null])),
        (&three, json!(["count", "61", "63"])),
        (&three, json!(["count", "64", null])),
        (&many, json!(["get", ""])),
        (&many, json!(["get", "80"])),
        (&many, json!(["get", "ffffffffffffffff"])),
        (&many, json!(["range", "40", "60"])),
        (&many, json!(["range", "f0", null])),
        (&many, json!(["range", "ffffffffffffffff", null])),
        (&many, json!(["range", "", "00"])),
        (&many, json!(["range", "8000", "8001"])),
        (&many, json!(["count", "40", "c0"])),
        (&many, json!(["count", "40", "4000"])),
        (&many, json!(["count", "", null])),
        (&many, json!(["count", "ff", null])),
        (&long, json!(["get", "62"])),
        (&long, json!(["get", "63"])),
        (&long, json!(["range", "61", "63"])),
        (&long, json!(["count", "61", "64"])),
        // All keys that begin with 62.
        (&prefixed, json!(["range", "62", "63"])),
        (&prefixed, json!(["count", "62", "63"])),
    ] {
        asked.push(json!({ "config": SMALL, "pairs": pairs, "statement": statement }));
    }
    for key in first_keys(&many)? {
        asked.push(json!({ "config": SMALL, "pairs": many, "statement": ["get", key] }));
        asked
            .push(json!({ "config": SMALL, "pairs": many, "statement": ["range", key, format!("{key}00")] }));
    }
    // The root of the right tree is a leaf of the left one.
    let ten: Vec<_> = (0..10).map(|n| json!([format!("{n:04}"), [["76", 40]]])).collect();
    let (seven, ten) = (json!(ten.get(3..)), json!(ten));
    for (left, right) in [
        (&none, &none),
        (&ten, &seven),
        (&seven, &ten),
        (&none, &three),
        (&three, &none),
        (&one, &three),
        (&many, &many),
        (&many, &recipe(61, "", 8, [0, 60])),
        (&three, &long),
        (&long, &json!([["61", "01"], ["62", [["63", 51]]], ["64", "02"]])),
    ] {
        asked.push(json!({ "config": SMALL, "pairs": left, "right": right, "statement": ["diff"] }));
    }
    let mut cases = Cases::new();
    for params in asked {
        let mut made = answer("proof_make", &params)?;
        made["proof"] = compact(&made["proof"]);
        cases.extend([("proof_make", params), ("proof_verify", made)]);
    }
    for statement in [json!(["range", "62", "62"]), json!(["range", "63", "62"]), json!(["count", "00", ""])]
    {
        cases.push(("proof_make", json!({ "config": SMALL, "pairs": three, "statement": statement })));
    }
    Ok(cases)
}

/// The keys at both sides of a boundary between two leaves, and the last of all.
fn first_keys(pairs: &Value) -> Result<Vec<String>, String> {
    let pages = answer("pages", &json!({ "config": SMALL, "pairs": pairs }))?;
    let leaves = pages.as_array().ok_or("no pages")?.iter().filter_map(Value::as_str);
    let leaf = leaves.filter(|page| page.starts_with("8300")).min().ok_or("no leaf")?;
    let first = leaf.get(8..24).ok_or("a leaf without keys")?.to_owned();
    let keys: Vec<_> = Params(pairs).pairs()?.into_keys().map(|key| hex(&key)).collect();
    let at = keys.iter().position(|key| *key == first).ok_or("a key lost")?;
    let before = at.checked_sub(1).and_then(|at| keys.get(at)).unwrap_or(&first);
    Ok([Some(before), Some(&first), keys.last()].into_iter().flatten().cloned().collect())
}

/// A proof and its root, as the reference makes it.
fn made(pairs: &Value, statement: &Value, right: &Value) -> Result<(Address, Proof), String> {
    let params = json!({ "config": SMALL, "pairs": pairs, "right": right, "statement": statement });
    let made = answer("proof_make", &params)?;
    let made = Params(&made);
    Ok((made.at("root").address()?, Proof::read(&made.at("proof").bytes()?)?))
}

/// A proof of these pages, for the first of them as the root.
fn lying(statement: Statement, pages: &[Vec<u8>]) -> (Address, Proof) {
    let [a, b, c, d, key_max, inline_max] = SMALL;
    let config = Config { leaf: [a, b], branch: [c, d], key_max, inline_max };
    let root = pages.first().map_or([0; 32], |root| address(root));
    (
        root,
        Proof { config, statement, pages: pages.iter().map(|page| (address(page), page.clone())).collect() },
    )
}

const MISSING: &str = "a missing page";
const UNUSED: &str = "a page that is not needed";
const ORDER: &str = "pages that do not ascend by address";
const STATEMENT: &str = "an unknown statement";
const BEFORE: &str = "a range that ends before it begins";
const CONFIG: &str = "not a configuration";

#[derive(Default)]
struct List(Vec<Refusal>);

impl List {
    fn push(&mut self, rule: &str, says: &'static str, root: &Address, proof: &[u8]) {
        self.push_params(rule, says, json!({ "root": hex(root), "proof": hex(proof) }));
    }

    fn push_params(&mut self, rule: &str, says: &'static str, mut params: Value) {
        params["proof"] = compact(&params["proof"]);
        self.0.push(Refusal { rule: rule.to_owned(), says, method: "proof_verify", params });
    }
}

/// Proofs with one thing wrong each.
pub(super) fn refused() -> Result<Vec<Refusal>, String> {
    let mut list = List::default();
    pages(&mut list)?;
    encodings(&mut list)?;
    statements(&mut list)?;
    lies(&mut list)?;
    Ok(list.0)
}

/// Too few pages, too many, others, in another order.
fn pages(list: &mut List) -> Result<(), String> {
    let many = recipe(60, "", 8, [0, 60]);
    let three = json!([["61", "01"], ["62", "02"], ["63", "03"]]);
    let long = json!([["61", "01"], ["63", [["63", 8200]]]]);
    let more = recipe(61, "", 8, [0, 60]);
    let all = made(&many, &json!(["range", "", null]), &Value::Null)?.1;
    for (what, pairs, statement) in [
        ("a value", &many, json!(["get", "80"])),
        ("a long value", &long, json!(["get", "63"])),
        ("a range", &many, json!(["range", "40", "50"])),
        ("a count", &many, json!(["count", "40", "c0"])),
        ("a diff", &many, json!(["diff"])),
    ] {
        let (root, proof) = made(pairs, &statement, &more)?;
        for missing in proof.pages.keys() {
            let mut short = proof.clone();
            short.pages.remove(missing);
            list.push(&format!("12: {what}, a needed page missing"), MISSING, &root, &short.encode());
        }
        let mut longer = proof.clone();
        let other =
            all.pages.iter().find(|(other, _)| !proof.pages.contains_key(*other) && what != "a long value");
        let stranger = leaf(&[(b"x".to_vec(), Held::Inline(Vec::new()))]);
        let (other, page) =
            other.map_or((address(&stranger), stranger), |(other, page)| (*other, page.clone()));
        longer.pages.insert(other, page);
        let rule = format!("12: {what}, a page of the tree that is not needed");
        list.push(&rule, UNUSED, &root, &longer.encode());
    }
    let (root, proof) = made(&many, &json!(["get", "80"]), &Value::Null)?;
    let mut other = proof.clone();
    let empty = leaf(&[]);
    other.pages.insert(address(&empty), empty);
    list.push("12: a page of no tree that is not needed", UNUSED, &root, &other.encode());
    let mut changed = proof.clone();
    let (_, mut page) =
        changed.pages.iter().find(|(_, page)| page[1] == 0).map(|(a, p)| (*a, p.clone())).ok_or("no leaf")?;
    changed.pages.remove(&address(&page));
    if let Some(last) = page.last_mut() {
        *last ^= 1;
    }
    changed.pages.insert(address(&page), page);
    list.push("9.1.2: a changed byte in a page", MISSING, &root, &changed.encode());
    list.push("9.1.2: another root", MISSING, &address(b""), &proof.encode());
    let (equal, diff) = made(&three, &json!(["diff"]), &three)?;
    let mut shared = diff.clone();
    let page = leaf(&[1u8, 2, 3].map(|n| (vec![0x60 + n], Held::Inline(vec![n]))));
    shared.pages.insert(equal, page);
    list.push("12: a diff of equal trees, with the page of both", UNUSED, &equal, &shared.encode());
    list.push("12: a diff of equal trees, against another root", MISSING, &address(b""), &diff.encode());
    // Encoded by hand: the pages swapped, and one twice.
    let bare = Proof { pages: std::collections::BTreeMap::new(), ..proof.clone() }.encode();
    let listed: Vec<Vec<u8>> = proof.pages.values().map(|page| crate::reference::bytes(page)).collect();
    let with = |order: &[&Vec<u8>]| {
        let count = 0x80 + u8::try_from(order.len()).unwrap_or(0);
        let mut out = bare[..bare.len() - 1].to_vec();
        out.push(count);
        order.iter().for_each(|page| out.extend_from_slice(page));
        out
    };
    let mut order: Vec<&Vec<u8>> = listed.iter().collect();
    order.swap(0, 1);
    list.push("12: pages out of order", ORDER, &root, &with(&order));
    let mut order: Vec<&Vec<u8>> = listed.iter().collect();
    order.insert(0, &listed[0]);
    list.push("12: a page twice", ORDER, &root, &with(&order));
    Ok(())
}

/// Bytes that are not the one encoding of a proof.
fn encodings(list: &mut List) -> Result<(), String> {
    let (root, proof) = made(&json!([["61", "01"]]), &json!(["get", "61"]), &Value::Null)?;
    let bytes = hex(&proof.encode());
    let mut push = |rule: &str, says, text: String| {
        list.push_params(rule, says, json!({ "root": hex(&root), "proof": text }));
    };
    let end = "the end of the bytes";
    push("3: no bytes", end, String::new());
    push("3: a proof without its last byte", end, bytes[..bytes.len() - 2].to_owned());
    push("3: a proof without its pages", end, bytes[..2 * (2 + proof.config.record().len() + 4)].to_owned());
    push("3: bytes behind the end", "bytes behind the end", format!("{bytes}00"));
    push("3: a number in a longer head than it needs", OTHER, bytes.replacen("8401", "841801", 1));
    push("3: a length in a longer head than it needs", OTHER, bytes.replacen("8401", "980401", 1));
    push("3: a key's length in a longer head", OTHER, bytes.replacen("82004161", "8200580161", 1));
    push("3: a text where the key belongs", KIND, bytes.replacen("82004161", "82006161", 1));
    push("12: five parts", "another number of parts", format!("85{}00", &bytes[2..]));
    push("12: format 2", "another format", bytes.replacen("8401", "8402", 1));
    push("12: format 0", "another format", bytes.replacen("8401", "8400", 1));
    push("4: a configuration of another format", CONFIG, bytes.replacen("8701", "8702", 1));
    push("4: a configuration that is not valid", CONFIG, bytes.replacen("8701187819", "8701185e19", 1));
    push(
        "4: a limit in a longer head than it needs",
        OTHER,
        bytes.replacen("870118781901681864", "87011900781901681864", 1),
    );
    push("12: an unknown statement", STATEMENT, bytes.replacen("82004161", "82044161", 1));
    push("12: a get with three items", STATEMENT, bytes.replacen("82004161", "8300416180", 1));
    push("12: a range with two items", STATEMENT, bytes.replacen("82004161", "82014161", 1));
    push(
        "12: a diff to what is no link",
        "something that is no link",
        bytes.replacen("82004161", "82034161", 1),
    );
    Ok(())
}

/// Statements that are refused whatever the pages.
fn statements(list: &mut List) -> Result<(), String> {
    let three = json!([["61", "01"], ["62", "02"], ["63", "03"]]);
    let (root, proof) = made(&three, &json!(["range", "61", "62"]), &Value::Null)?;
    let text = hex(&proof.encode());
    let range = "83014161814162";
    let mut push = |rule: &str, says, other: &str| {
        list.push_params(rule, says, json!({ "root": hex(&root), "proof": text.replacen(range, other, 1) }));
    };
    push("12: a range that ends where it begins", BEFORE, "83014161814161");
    push("12: a range that ends before it begins", BEFORE, "83014162814161");
    push("12: a count that ends where it begins", BEFORE, "83024161814161");
    push("12: a range that ends with the empty key", BEFORE, "8301408140");
    push(
        "12: a range with two ends",
        "a range with several ends",
        "8301416182416241 63".replace(' ', "").as_str(),
    );
    let (before, after) = text.split_once(range).ok_or("no statement")?;
    let long = "a key longer than any page";
    for (rule, head, tail) in [
        ("12: a key of 65536 bytes in a get", "82005a00010000", ""),
        ("12: a key of 65536 bytes at the end of a range", "830141618 15a00010000", ""),
        ("12: a key of 65536 bytes at the beginning of a count", "83025a00010000", "80"),
    ] {
        let head = head.replace(' ', "");
        let proof = json!([format!("{before}{head}"), ["62", 65_536], format!("{tail}{after}")]);
        list.push_params(rule, long, json!({ "root": hex(&root), "proof": proof }));
    }
    Ok(())
}

/// Pages that are right by themselves, in trees that are not.
fn lies(list: &mut List) -> Result<(), String> {
    let inline = |key: &str| (key.as_bytes().to_vec(), Held::Inline(vec![b'v'; 45]));
    let leaf_of = |keys: &[&str]| leaf(&keys.iter().map(|key| inline(key)).collect::<Vec<_>>());
    let (one, two) = (leaf_of(&["a", "b", "c"]), leaf_of(&["d", "e"]));
    let over = |level, first: (&str, &[u8], u64), second: (&str, &[u8], u64)| {
        let child =
            |(last, page, count): (&str, &[u8], u64)| (last.as_bytes().to_vec(), address(page), count);
        branch(level, &[child(first), child(second)])
    };
    let get = |key: &str| Statement::Get(key.as_bytes().to_vec());
    let mut push = |rule: &str, says: Option<&'static str>, statement, pages: &[Vec<u8>]| {
        let (root, proof) = lying(statement, pages);
        match says {
            Some(says) => list.push(rule, says, &root, &proof.encode()),
            // The same, and true: it must hold, or the lies are refused for another reason.
            None => return proof.verify(&root).map(|_| ()),
        }
        Ok(())
    };
    let truth = over(1, ("c", &one, 3), ("e", &two, 2));
    push("", None, get("a"), &[truth.clone(), one.clone()])?;
    push("", None, get("d"), &[truth, two.clone()])?;
    let root = over(2, ("c", &one, 3), ("e", &two, 2));
    push(
        "9.3.1: a child two levels below",
        Some("a child on another level"),
        get("a"),
        &[root, one.clone()],
    )?;
    let deep = over(1, ("c", &one, 3), ("e", &two, 2));
    let root = over(1, ("e", &deep, 5), ("z", &two, 2));
    push(
        "9.3.1: a child on the same level",
        Some("a child on another level"),
        get("a"),
        &[root, deep, one.clone()],
    )?;
    for count in [2, 4] {
        let root = over(1, ("c", &one, count), ("e", &two, 2));
        let says = Some("a child with another count");
        push("9.3.2: a child with another count", says, get("a"), &[root.clone(), one.clone()])?;
        let all = Statement::Range((Vec::new(), None));
        push("9.3.2: a child with another count", says, all, &[root.clone(), one.clone(), two.clone()])?;
        let some = Statement::Count((b"b".to_vec(), None));
        push("9.3.2: a child with another count", says, some, &[root.clone(), one.clone()])?;
        let other = leaf_of(&["x"]);
        let pages = [root, one.clone(), two.clone(), other.clone()];
        push("9.3.2: a child with another count", says, Statement::Diff(address(&other)), &pages)?;
    }
    let root = over(1, ("cc", &one, 3), ("e", &two, 2));
    let says = Some("a child with another last key");
    push("9.3.3: a child with another last key", says, get("a"), &[root.clone(), one.clone()])?;
    push("9.3.3: a child that hides an absent key", says, get("cb"), &[root, one.clone()])?;
    let early = leaf_of(&["b", "e"]);
    let root = over(1, ("c", &one, 3), ("e", &early, 2));
    let says = Some("a child that begins too early");
    push("9.3.4: a child that begins at or before its lower bound", says, get("e"), &[root, early])?;
    let short = leaf_of(&["c"]);
    let root = over(1, ("c", &short, 1), ("e", &two, 2));
    let says = Some("a short page before another");
    push("9.3.5: a page below the minimum before another", says, get("c"), &[root, short])?;
    let wide = leaf_of(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    let says = Some("a page beyond the window");
    push("9.2: a page beyond the limits of the configuration", says, get("a"), std::slice::from_ref(&wide))?;
    let long_key = leaf(&[(vec![b'k'; 41], Held::Inline(Vec::new()))]);
    push("9.2: a key beyond key_max", Some("a key too long"), get("a"), &[long_key])?;
    let long_value = leaf(&[(b"a".to_vec(), Held::Inline(vec![0; 51]))]);
    push("9.2: a value beyond inline_max in its leaf", Some("a value too long"), get("a"), &[long_value])?;
    // A value page that holds a byte less than promised, and one that holds another item.
    for (rule, says, part) in [
        (
            "9.4: a value page that is too short",
            "a part of another length",
            [&[0x58, 50][..], &[7; 50]].concat(),
        ),
        ("9.4: a value page of another kind", KIND, vec![0x80]),
    ] {
        let linked = leaf(&[(b"a".to_vec(), Held::Linked(51, address(&part)))]);
        push(rule, Some(says), get("a"), &[linked, part])?;
    }
    // 16 MiB of zeros have three pages: five keys name 80 MiB in a proof of 15 KiB.
    let part = crate::reference::bytes(&[0; 8192]);
    let links = |page: &[u8], count| crate::reference::links(&vec![address(page); count]);
    let middle = links(&part, 128);
    let top = links(&middle, 16);
    let keys =
        ["a", "b", "c", "d", "e"].map(|key| (key.as_bytes().to_vec(), Held::Linked(1 << 24, address(&top))));
    let all = Statement::Range((Vec::new(), None));
    let (root, proof) = lying(all, &[leaf(&keys), part, middle, top]);
    let proof = hex(&proof.encode());
    let rule = "12: values out of line beyond MAX_PROVEN_BYTES together";
    list.push_params(rule, "values too long together", json!({ "root": hex(&root), "proof": proof }));
    Ok(())
}
