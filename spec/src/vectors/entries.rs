//! Entries: their records, what is refused, and signatures.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::{Cases, END, KIND, OTHER, RESERVED, Refusal};
use crate::adapter::{Params, entries::show, hex};
use crate::reference::Address;
use crate::reference::entry::{Edited, Entry, Imported, Origin, Payload};

const MAX_ID: u64 = (1 << 63) - 1;
/// The order of the group of ed25519 signatures, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn imported(version: u64) -> Value {
    json!({ "imported": [version.to_string(), null, null, null, null] })
}

pub(super) fn edited(links: &[&Entry], timestamp: i64) -> Value {
    let mut links: Vec<_> = links.iter().map(|entry| hex(&entry.version())).collect();
    links.sort();
    json!({ "edited": [links, null, timestamp.to_string()] })
}

/// Makes an entry of what a request says of it.
pub(super) fn entry(kind: u8, id: u64, payload: &Value, origin: &Value) -> Result<Entry, String> {
    Params(&json!({ "element": [kind, id.to_string()], "payload": payload, "origin": origin })).entry()
}

/// Signs an edit with a key that everybody knows.
pub(super) fn sign(mut entry: Entry, secret: u8) -> Entry {
    let key = SigningKey::from_bytes(&[secret; 32]);
    let author = key.verifying_key().to_bytes();
    let signature = key.sign(&entry.message(&author)).to_bytes();
    if let Origin::Edited(edited) = &mut entry.origin {
        edited.seal = Some([&author[..], &signature[..]].concat());
    }
    entry
}

/// Entries of all forms.
fn samples() -> Result<Vec<Entry>, String> {
    let tag = json!([["highway", "path"]]);
    let all = json!({ "imported": ["3", "1356998400", "12", "34", "mapper"] });
    let most = json!({ "imported": [
        u64::MAX.to_string(), i64::MIN.to_string(), u64::MAX.to_string(), u64::MAX.to_string(), ""
    ] });
    let none = json!({ "imported": [null, null, null, null, null] });
    let old = entry(0, 7, &json!([425_000_000, -15_000_000, []]), &imported(3))?;
    let other = entry(0, 7, &json!([425_000_001, -15_000_000, []]), &imported(5))?;
    let edit = json!({ "edited": [[hex(&old.version())], "77", "1700000000"] });
    let text = "né\u{0}\u{1f6b2}".to_owned();
    let mut samples = vec![
        old.clone(),
        entry(0, 1, &json!([0, 0, []]), &none)?,
        entry(0, MAX_ID, &json!([900_000_000, 1_800_000_000, []]), &all)?,
        entry(0, 23, &json!([-900_000_000, -1_800_000_000, []]), &most)?,
        entry(0, 24, &json!([-1, -24, []]), &imported(0))?,
        entry(0, 256, &json!([-25, -257, [["name", text], ["", ""], ["name", "again"]]]), &all)?,
        entry(0, 1 << 32, &json!([1, 1, [["long", "x".repeat(300)]]]), &all)?,
        entry(0, 7, &Value::Null, &json!({ "imported": ["4", "1400000000", null, null, null] }))?,
        entry(0, 7, &Value::Null, &edit)?,
        entry(0, 7, &json!([425_000_000, -15_000_000, tag]), &edited(&[], i64::MAX))?,
        entry(0, 7, &json!([1, 2, tag]), &edited(&[&old, &other], -1))?,
        entry(1, 9, &json!([[], []]), &imported(1))?,
        entry(1, 9, &json!([["1"], tag]), &imported(1))?,
        entry(1, 9, &json!([["5", "6", "5", "5", "1000"], tag]), &all)?,
        entry(1, MAX_ID, &json!([["1", MAX_ID.to_string(), "1"], []]), &imported(1))?,
        entry(2, 9, &json!([[], tag]), &imported(1))?,
        entry(2, 9, &json!([[[0, "1", ""], [1, "2", "outer"], [2, "9", "ñ"], [0, "1", ""]], []]), &all)?,
        entry(2, 9, &json!([[[1, MAX_ID.to_string(), "inner"]], tag]), &imported(1))?,
        entry(3, 12, &json!([[]]), &edited(&[], 0))?,
        entry(3, 12, &json!([[["comment", "paths"]], "1700000000", null]), &edited(&[], 1))?,
        entry(3, 12, &json!([[], "-1", [-5, 1_800_000_000, 5, -1_800_000_000]]), &edited(&[], 1))?,
    ];
    for n in [9, 10, 16] {
        samples.push(sign(samples[n].clone(), 7));
    }
    let deletion = entry(1, 9, &Value::Null, &edit)?;
    samples.push(sign(deletion, 8));
    Ok(samples)
}

pub(super) fn cases() -> Result<Cases, String> {
    let mut cases = Cases::new();
    let samples = samples()?;
    for entry in &samples {
        cases.push(("entry_encode", json!({ "entry": show(entry) })));
        cases.push(("entry_decode", json!({ "record": hex(&entry.record()) })));
    }
    let verified = samples.iter().filter(|entry| matches!(entry.origin, Origin::Edited(_)));
    for entry in verified {
        cases.push(("entry_verify", json!({ "record": hex(&entry.record()) })));
    }
    Ok(cases)
}

/// A record with one thing in it changed.
fn changed(entry: &Entry, from: &str, to: &str) -> String {
    hex(&entry.record()).replacen(from, to, 1)
}

fn malformed() -> Result<Vec<(&'static str, &'static str, String)>, String> {
    let none = json!({ "imported": [null, null, null, null, null] });
    let node = entry(0, 7, &json!([1, 2, [["a", "b"]]]), &none)?;
    let way = entry(1, 9, &json!([["5", "6"], []]), &none)?;
    let relation = entry(2, 9, &json!([[[0, "1", "r"]], []]), &none)?;
    let set = entry(3, 9, &json!([[], "5", [1, 2, 3, 4]]), &edited(&[], 6))?;
    let edit = |links: &[Address], seal: Option<Vec<u8>>| {
        let origin = Edited { links: links.to_vec(), changeset: None, timestamp: 9, seal };
        hex(&Entry { element: (0, 7), payload: None, origin: Origin::Edited(origin) }.record())
    };
    let place = |lat, lon| {
        let origin = Origin::Imported(Imported::default());
        hex(&Entry { element: (0, 7), payload: Some(Payload::Node(lat, lon, Vec::new())), origin }.record())
    };
    let impossible = "an element that cannot be";
    let items = "another number of items";
    let globe = "a place off the globe";
    let link = "42".repeat(32);
    let one = edit(&[[0x42; 32]], None);
    Ok(vec![
        ("an id in a longer head than it needs", OTHER, changed(&node, "830007", "83001807")),
        ("a kind in a longer head than it needs", OTHER, changed(&node, "830007", "83180007")),
        ("a coordinate in a longer head than it needs", OTHER, changed(&node, "830102", "83180102")),
        ("a text in a longer head than it needs", OTHER, changed(&node, "6161", "780161")),
        ("an array in a longer head than it needs", OTHER, changed(&node, "830007", "98030007")),
        ("an indefinite array", RESERVED, changed(&node, "830007", "9f0007")),
        ("bytes behind the record", OTHER, format!("{}00", hex(&node.record()))),
        ("no bytes", END, String::new()),
        ("a record without its last byte", END, {
            let mut all = hex(&node.record());
            all.truncate(all.len() - 2);
            all
        }),
        ("a record of four items", items, changed(&node, "830007", "840007")),
        ("a body of three items", items, changed(&node, "83000782", "83000783")),
        ("kind 4", impossible, changed(&node, "830007", "830407")),
        ("kind 256", impossible, changed(&node, "830007", "8319010007")),
        ("id 0", impossible, changed(&node, "830007", "830000")),
        ("id 2^63", impossible, changed(&node, "830007", "83001b8000000000000000")),
        ("a negative id", KIND, changed(&node, "830007", "830026")),
        ("a node without tags", items, changed(&node, "8301028261616162", "820102")),
        ("a node with the payload of a way", items, changed(&way, "830109", "830009")),
        ("a latitude above the pole", globe, place(900_000_001, 0)),
        ("a latitude below the pole", globe, place(-900_000_001, 0)),
        ("a longitude above 180", globe, place(0, 1_800_000_001)),
        ("a longitude below -180", globe, place(0, -1_800_000_001)),
        ("a latitude of 2^63", "a number too great", changed(&node, "830102", "831b800000000000000002")),
        ("a key without a value", "a tag without a value", changed(&node, "8261616162", "816161")),
        ("a key that is bytes", KIND, changed(&node, "6161", "4161")),
        ("a key that is not UTF-8", "a text that is not UTF-8", changed(&node, "6161", "61ff")),
        (
            "a key that is half a surrogate pair",
            "a text that is not UTF-8",
            changed(&node, "6161", "63eda080"),
        ),
        ("a way's node 0", impossible, changed(&way, "820501", "820524")),
        ("a way's node below 0", impossible, changed(&way, "820501", "8205392710")),
        ("a way's node 2^63", impossible, changed(&way, "820501", "82011b7fffffffffffffff")),
        ("a changeset as a member", "a changeset as a member", changed(&relation, "83000161", "83030161")),
        ("a member with id 0", impossible, changed(&relation, "83000161", "83000061")),
        ("a member of kind 4", impossible, changed(&relation, "83000161", "83040161")),
        ("a member without a role", "a member without a role", changed(&relation, "8300016172", "820001")),
        ("a changeset of two items", items, changed(&set, "8380058401020304", "828005")),
        ("a box upside down", "a box upside down", changed(&set, "8401020304", "8403020104")),
        ("a box of three items", items, changed(&set, "8401020304", "83010203")),
        ("a box off the globe", globe, changed(&set, "8401020304", "840102031a6b49d201")),
        ("an origin of two items", items, changed(&node, "85f6f6f6f6f6", "82f6f6")),
        ("an origin of six items", items, changed(&node, "85f6f6f6f6f6", "86f6f6f6f6f6f6")),
        ("a negative version", KIND, changed(&node, "85f6", "8520")),
        ("a user that is a number", KIND, changed(&node, "85f6f6f6f6f6", "85f6f6f6f600")),
        ("an edit without a time", KIND, changed(&set, "8380f606", "8380f6f6")),
        (
            "a link of 31 bytes",
            "a link of another length",
            one.replacen(&format!("5820{link}"), &format!("581f{}", &link[2..]), 1),
        ),
        ("links that fall", "links that do not ascend", edit(&[[2; 32], [1; 32]], None)),
        ("the same link twice", "links that do not ascend", edit(&[[1; 32], [1; 32]], None)),
        ("a signature of 63 bytes", "a seal of another length", edit(&[], Some(vec![0; 95]))),
        ("null for a signature", KIND, changed(&set, "8380f606", "8480f606f6")),
    ])
}

/// Records that are no entries, and signatures that do not hold.
pub(super) fn refused() -> Result<Vec<Refusal>, String> {
    let refusal = |method| {
        move |(rule, says, record): (&str, _, String)| Refusal {
            rule: format!("views 2: {rule}"),
            says,
            method,
            params: json!({ "record": record }),
        }
    };
    let mut refused: Vec<Refusal> = malformed()?.into_iter().map(refusal("entry_decode")).collect();
    let mut entries = Vec::new();
    let node = |id: u64, lat: i64| json!({ "element": [0, id.to_string()], "payload": [lat, 0, []], "origin": imported(1) });
    entries.push(("id 0", "an element that cannot be", node(0, 0)));
    entries.push(("id 2^63", "an element that cannot be", node(1 << 63, 0)));
    entries.push(("a latitude above the pole", "a place off the globe", node(1, 900_000_001)));
    let way = json!({ "element": [1, "1"], "payload": [["0"], []], "origin": imported(1) });
    entries.push(("a way's node 0", "an element that cannot be", way));
    for (rule, says, entry) in entries {
        let params = json!({ "entry": entry });
        refused.push(Refusal { rule: format!("views 2: {rule}"), says, method: "entry_encode", params });
    }
    refused.extend(forged()?.into_iter().map(refusal("entry_verify")));
    Ok(refused)
}

/// Signatures that do not hold.
fn forged() -> Result<Vec<(&'static str, &'static str, String)>, String> {
    let edit = entry(0, 7, &json!([1, 2, [["a", "b"]]]), &edited(&[], 1_700_000_000))?;
    let good = sign(edit.clone(), 7);
    let seal = |entry: &Entry| match &entry.origin {
        Origin::Edited(Edited { seal: Some(seal), .. }) => seal.clone(),
        _ => Vec::new(),
    };
    let with = |change: &dyn Fn(&mut Entry, &mut Vec<u8>)| {
        let (mut entry, mut bytes) = (good.clone(), seal(&good));
        change(&mut entry, &mut bytes);
        if let Origin::Edited(edited) = &mut entry.origin {
            edited.seal = Some(bytes);
        }
        hex(&entry.record())
    };
    // The same number, with the order of the group added to it.
    let add_order = |seal: &mut Vec<u8>| {
        let mut carry = 0;
        for (byte, more) in seal[64..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
    };
    let says = "a forged signature";
    Ok(vec![
        ("a signature with a bit changed", says, with(&|_, seal| seal[40] ^= 1)),
        ("another author's name", says, with(&|_, seal| seal[..32].copy_from_slice(&author(8)))),
        ("a signature of another element", says, with(&|entry, _| entry.element.1 = 8)),
        ("a signature of other content", says, with(&|entry, _| entry.payload = None)),
        (
            "a signature of another time",
            says,
            with(&|entry, _| {
                if let Origin::Edited(edited) = &mut entry.origin {
                    edited.timestamp += 1;
                }
            }),
        ),
        (
            "a signature whose number is not below the order of the group",
            says,
            with(&|_, seal| add_order(seal)),
        ),
        (
            "an author of small order, whose signature fits everything",
            says,
            with(&|_, seal| {
                seal.fill(0);
                (seal[0], seal[32]) = (1, 1);
            }),
        ),
    ])
}

fn author(secret: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[secret; 32]).verifying_key().to_bytes()
}
