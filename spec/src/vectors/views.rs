//! Sets of entries, and the trees and roots that follow from them.

use serde_json::{Value, json};

use super::entries::{edited, entry, imported, sign};
use super::{Cases, DEFAULT, OTHER, Refusal};
use crate::adapter::{hex, reference::answer};
use crate::reference::entry::Entry;
use crate::reference::views::TREES;

/// Pages of a few pairs, with keys as long as the least that keys of tags need.
pub(super) const NARROW: [u32; 6] = [200, 600, 130, 400, 64, 100];

pub(super) fn hexes(entries: &[Entry]) -> Value {
    entries.iter().map(|entry| hex(&entry.record())).collect()
}

/// What a village has mapped: elements of all kinds, edited, merged, deleted.
pub(super) fn village() -> Result<Vec<Entry>, String> {
    let node = |id, lat: i64, lon: i64, tags: Value| entry(0, id, &json!([lat, lon, tags]), &imported(1));
    let spring = node(1, 425_121_500, 15_029_000, json!([["natural", "spring"], ["name", "Font Freda"]]))?;
    let alone = node(2, 425_121_501, 15_029_000, json!([]))?;
    let corners = [
        node(3, 425_100_000, 15_000_000, json!([]))?,
        node(4, 425_100_500, 15_000_900, json!([["barrier", "gate"]]))?,
        node(5, 425_400_000, 15_300_000, json!([]))?,
    ];
    let path = entry(1, 1, &json!([["3", "4", "5"], [["highway", "path"]]]), &imported(2))?;
    let far = entry(1, 2, &json!([["3", "99", "6"], [["power", "line"]]]), &imported(1))?;
    let nowhere = entry(1, 3, &json!([["98"], [["waterway", "stream"]]]), &imported(1))?;
    let end = node(6, -425_000_000, -1_799_999_999, json!([]))?;
    let members = json!([[0, "1", ""], [1, "1", "main"], [2, "8", ""], [1, "1", "again"], [0, "50", "lost"]]);
    let route = entry(2, 7, &json!([members, [["type", "route"], ["name", "Font Freda"]]]), &imported(1))?;
    let parent = entry(2, 8, &json!([[[2, "7", ""], [0, "1", "start"]], []]), &imported(1))?;
    let moved = |lat: i64, time, links: &[&Entry]| {
        entry(0, 3, &json!([lat, 15_000_001, [["note", "moved"]]]), &edited(links, time))
    };
    // Two edits that do not know of each other, and one of them edited on and signed.
    let (ours, theirs) = (
        moved(425_100_010, 1_700_000_000, &[&corners[0]])?,
        moved(425_100_020, 1_700_000_001, &[&corners[0]])?,
    );
    let further = sign(moved(425_100_030, 1_700_000_002, &[&ours])?, 7);
    // A fork of deleted and edited; one that was merged; and something that is gone.
    let gone = entry(0, 4, &Value::Null, &edited(&[&corners[1]], 5))?;
    let kept = entry(
        0,
        4,
        &json!([425_100_501, 15_000_900, [["barrier", "lift_gate"]]]),
        &edited(&[&corners[1]], 6),
    )?;
    let left = entry(1, 1, &json!([["3", "4"], [["highway", "path"]]]), &edited(&[&path], 7))?;
    let right = entry(1, 1, &json!([["4", "5"], [["highway", "track"]]]), &edited(&[&path], 8))?;
    let merged =
        entry(1, 1, &json!([["3", "4", "5"], [["highway", "track"]]]), &edited(&[&left, &right], 9))?;
    let lost = entry(2, 9, &json!([[[0, "2", ""]], []]), &imported(1))?;
    let deleted = entry(2, 9, &Value::Null, &edited(&[&lost], 10))?;
    let session = json!({ "edited": [[], null, "11"] });
    let open = entry(3, 77, &json!([[["comment", "survey"]]]), &session)?;
    let closed = json!([[["comment", "survey"]], "1700000010", [1, 2, 3, 4]]);
    let closed = entry(3, 77, &closed, &edited(&[&open], 12))?;
    let in_it = json!({ "edited": [[hex(&spring.version())], "77", "13"] });
    let tagged = entry(
        0,
        1,
        &json!([425_121_500, 15_029_000, [["natural", "spring"], ["drinking_water", "yes"]]]),
        &in_it,
    )?;
    let [third, fourth, fifth] = corners;
    Ok(vec![
        spring, alone, third, fourth, fifth, path, far, nowhere, end, route, parent, ours, theirs, further,
        gone, kept, left, right, merged, lost, deleted, open, closed, tagged,
    ])
}

/// What files say of one node: versions, the same version with other content and with more metadata.
fn imports() -> Result<Vec<Entry>, String> {
    let at = |lat: i64, origin: Value| entry(0, 1, &json!([lat, 0, []]), &json!({ "imported": origin }));
    let old = at(1, json!(["2", null, null, null, null]))?;
    let bare = at(2, json!(["3", null, null, null, null]))?;
    let full = at(2, json!(["3", "1356998400", "12", null, null]))?;
    let as_much = at(2, json!(["3", null, null, "34", "mapper"]))?;
    let other = at(3, json!(["3", null, null, null, null]))?;
    let unknown = at(9, json!([null, "1", "2", "3", "who"]))?;
    let gone = entry(0, 2, &Value::Null, &imported(4))?;
    Ok(vec![old, bare, full, as_much, other, unknown, gone])
}

/// Edits that link to imported versions.
fn edits_of_imports() -> Result<Vec<Entry>, String> {
    let mut all = imports()?;
    let edit = |lat: i64, link: &Entry| entry(0, 1, &json!([lat, 5, []]), &edited(&[link], lat));
    // One knew the stripped file; what says more of the same content is superseded with it.
    all.extend([edit(20, &all[1])?, edit(21, &all[0])?]);
    Ok(all)
}

/// What is somewhere: at the ends of the globe, on the edges of classes, at one place twice.
fn places() -> Result<Vec<Entry>, String> {
    let mut all = Vec::new();
    let corners: [(i64, i64); 8] = [
        (900_000_000, 1_800_000_000),
        (-900_000_000, -1_800_000_000),
        (0, 0),
        (-1, -1),
        (8_191, 0),
        (16_383, 16_384),
        (0, 1_800_000_000),
        (425_000_000, 15_000_000),
    ];
    for (id, (lat, lon)) in (1..).zip(corners) {
        all.push(entry(0, id, &json!([lat, lon, []]), &imported(1))?);
    }
    let lines = [["1", "2"], ["3", "3"], ["3", "5"], ["3", "6"], ["4", "6"], ["3", "7"], ["4", "8"]];
    for (id, line) in (1..).zip(lines) {
        let name = "ñ".repeat(usize::try_from(id).unwrap_or(0) * 8);
        let tags =
            json!([["ref", id.to_string()], ["name", name], ["\u{0}", "\u{1}"], ["ref", id.to_string()]]);
        all.push(entry(1, id, &json!([line, tags]), &imported(1))?);
    }
    // A node as two edits have it: at one place with other tags, which makes one pair; and at another place.
    let node =
        |lat: i64, tag: &str| entry(0, 60, &json!([lat, 4, [["name", tag], ["a", "b"]]]), &edited(&[], 3));
    all.extend([node(3, "one")?, node(3, "two")?, node(4, "three")?]);
    Ok(all)
}

pub(super) fn cases() -> Result<Cases, String> {
    let mut cases = Cases::new();
    let village = village()?;
    let mut turned = village.clone();
    turned.reverse();
    turned.push(village[0].clone());
    let sets = [
        ("osm", Value::Array(Vec::new())),
        ("osm", hexes(&village[..1])),
        ("osm", hexes(&village)),
        // In another order, and one of them twice: the same root. Then another name.
        ("osm", hexes(&turned)),
        ("ñ village", hexes(&village)),
        ("osm", hexes(&imports()?)),
        ("osm", hexes(&edits_of_imports()?)),
        ("osm", hexes(&places()?)),
    ];
    for config in [DEFAULT, NARROW] {
        for (name, entries) in &sets {
            cases.push(("views", json!({ "config": config, "name": name, "entries": entries })));
        }
    }
    let many = json!([{ "nodes": [1, 1000], "version": 1 }, { "nodes": [500, 700], "version": 2 }]);
    for config in [DEFAULT, NARROW] {
        cases.push(("views", json!({ "config": config, "name": "osm", "entries": many })));
    }
    for entries in [hexes(&village), hexes(&edits_of_imports()?), hexes(&places()?)] {
        for tree in TREES {
            cases.push(("view_pairs", json!({ "config": NARROW, "entries": entries, "tree": tree })));
        }
    }
    let root = answer("views", &json!({ "config": DEFAULT, "name": "osm", "entries": hexes(&village) }))?;
    cases.push(("root_read", json!({ "config": DEFAULT, "record": root["record"] })));
    Ok(cases)
}

/// Records that are no roots.
pub(super) fn refused() -> Result<Vec<Refusal>, String> {
    let root = answer("views", &json!({ "config": DEFAULT, "name": "osm", "entries": [] }))?;
    let good = root["record"].as_str().unwrap_or_default();
    let changed = |from: &str, to: &str| good.replacen(from, to, 1);
    // The six links, then the counts, end the record.
    let (front, counts) = good.split_at(good.len() - 16);
    let five = format!("{}{counts}", front[..front.len() - 82].replacen("86d82a", "85d82a", 1));
    let name = |len: usize| changed("636f736d", &format!("79{len:04x}{}", "61".repeat(len)));
    let items = "another number of items";
    let cases = [
        ("format 1", "another format", changed("8502", "8501")),
        ("format 3", "another format", changed("8502", "8503")),
        ("format 2 in a longer head than it needs", OTHER, changed("8502", "851802")),
        ("a name of 256 bytes", "an impossible name", name(256)),
        ("five trees", items, five),
        ("six counts", items, changed("8700000000000000", "86000000000000")),
        ("a count that is null", super::KIND, changed("8700", "87f6")),
        ("a link with another prefix", "something that is no link", changed("0001711e", "0001551e")),
        ("bytes behind the record", OTHER, format!("{good}00")),
        ("a record without its last byte", super::END, good[..good.len() - 2].to_owned()),
    ];
    let refusal = |(rule, says, record): (&str, _, String)| Refusal {
        rule: format!("views 1: {rule}"),
        says,
        method: "root_read",
        params: json!({ "config": DEFAULT, "record": record }),
    };
    Ok(cases.into_iter().map(refusal).collect())
}
