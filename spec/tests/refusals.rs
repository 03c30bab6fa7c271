//! What must be refused is refused for the reason that the vector names, by both of ours.

use std::path::Path;

use serde_json::Value;
use spec::adapter::{osmdb, reference};
use spec::vectors;

/// The words of the reference, and what the words of `prolly` and `osmdb` for the same reason contain. The reference
/// decodes leniently, encodes again and compares, so it has fewer words for encodings; `prolly` compares
/// a value page's length before it decodes it.
const REASONS: &[(&str, &[&str])] = &[
    ("another encoding than the one there is", &["not in its shortest form", "bytes too many follow"]),
    ("an indefinite or reserved length", &["does not begin an array", "its length differs"]),
    ("another kind of item", &["does not begin", "its length differs"]),
    ("something that is no link", &["does not begin a link"]),
    ("the end of the bytes", &["bytes end at", "CAR file ends"]),
    ("a level that does not fit", &["cannot be on level"]),
    ("arrays of different lengths", &["keys stand beside"]),
    ("keys that do not ascend", &["is not greater than the one before"]),
    ("an impossible length of a value", &["has the impossible length"]),
    ("a branch with fewer than two children", &["a branch has 1 children"]),
    ("a count of zero", &["child 0 has an impossible count"]),
    ("too many pairs", &["child 1 has an impossible count"]),
    ("a value too short", &["a value out of line has 50 bytes"]),
    ("a key too long", &["a key has 41 bytes"]),
    ("a value too long", &["an inline value has 51 bytes"]),
    ("another address", &["the bytes hash to"]),
    ("a page beyond the window", &["the page's pairs has"]),
    ("a page too long", &["bytes are more than the limit"]),
    ("a missing page", &["is missing"]),
    ("a page that is not needed", &["is not needed"]),
    ("pages that do not ascend by address", &["does not ascend by its address"]),
    ("bytes behind the end", &["bytes too many follow"]),
    ("another number of parts", &["is out of range", "its length differs"]),
    ("not a configuration", &["format version", "pages of", "shortest form", "bytes too many follow"]),
    ("another record", &["is out of range"]),
    ("a limit too great", &["is out of range"]),
    ("an unknown statement", &["a statement of kind"]),
    ("a range that ends before it begins", &["must not be empty"]),
    ("a range with several ends", &["a range has 2 ends"]),
    ("a key longer than any page", &["a key of 65536 bytes"]),
    ("a child on another level", &["its level differs"]),
    ("a child with another count", &["its count differs"]),
    ("a child with another last key", &["its last key differs"]),
    ("a child that begins too early", &["its first key differs"]),
    ("a short page before another", &["ends where the boundary rule ends no page"]),
    ("a part of another length", &["its length differs"]),
    ("values too long together", &["more than 67108864 bytes together"]),
    ("boundaries that break the rule", &["break the boundary rule"]),
    ("a block of another kind", &["is not dag-cbor with blake3"]),
    ("a root of another kind", &["is not dag-cbor with blake3"]),
    ("a block under another address than its own", &["the block at byte"]),
    ("another version", &["a CAR file of version 2"]),
    ("another header", &["0 roots", "no root"]),
    ("another number of items", &["is out of range", "has one item if open", "an origin has five items"]),
    ("an element that cannot be", &["cannot exist"]),
    ("a changeset as a member", &["cannot exist"]),
    ("a place off the globe", &["is not between -"]),
    ("a number too great", &["is out of range"]),
    ("a tag without a value", &["every tag has a key and a value"]),
    ("a member without a role", &["every member has a kind, an id and a role"]),
    ("a text that is not UTF-8", &["is not UTF-8"]),
    ("a box upside down", &["south is not above its north"]),
    ("a link of another length", &["a link has 32 bytes"]),
    ("links that do not ascend", &["links ascend"]),
    ("a seal of another length", &["have 96 bytes"]),
    ("a forged signature", &["the signature is not"]),
    ("another format", &["a proof of format", "the database has format"]),
    ("an impossible name", &["the dataset's name is"]),
];

#[test]
fn every_refusal_has_its_reason() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for name in vectors::FILES.into_iter().filter(|name| name.starts_with("must-refuse/")) {
        // How ours end a session is looked at when these are made.
        if name == "must-refuse/sync.json" {
            continue;
        }
        let file: Value = serde_json::from_str(&std::fs::read_to_string(dir.join(name)).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let rule = case["refused"].as_str().unwrap();
            let section = rule.split(':').next().unwrap_or_default();
            let section = section.strip_prefix("views ").unwrap_or(section);
            assert!(section == "CAR" || section.split('.').all(|n| n.parse::<u8>().is_ok()), "{rule}");
            let method = case["method"].as_str().unwrap();
            let ours = reference::answer(method, &case["params"]).unwrap_err();
            let theirs = osmdb::answer(method, &case["params"]).unwrap_err();
            let reason = REASONS.iter().find(|(words, _)| *words == ours);
            let fits = reason.is_some_and(|(_, parts)| parts.iter().any(|part| theirs.contains(part)));
            assert!(fits, "{name}, {rule}: {ours}; but osmdb: {theirs}");
        }
    }
}
