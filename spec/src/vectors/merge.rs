//! Merges of trees that grew from a third, and trees as CAR files.

use serde_json::{Value, json};

use super::{Cases, Refusal, SMALL, compact, recipe};
use crate::adapter::reference::answer;

pub(super) fn cases() -> Cases {
    let base = json!([["61", "01"], ["62", "02"], ["63", "03"]]);
    let sides = [
        // Nothing changed; one side only; both in the same way; different keys.
        (base.clone(), base.clone()),
        (base.clone(), json!([["61", "01"], ["62", "07"], ["64", "04"]])),
        (json!([["61", "01"], ["62", "07"]]), base.clone()),
        (
            json!([["61", "01"], ["62", "07"], ["65", "05"]]),
            json!([["61", "01"], ["62", "07"], ["65", "05"]]),
        ),
        (json!([["61", "05"], ["62", "02"], ["63", "03"]]), json!([["61", "01"], ["62", "02"], ["64", ""]])),
        (json!([]), base.clone()),
        (json!([]), json!([])),
        // Conflicts: both changed it; one changed and one removed it; both put it.
        (
            json!([["61", "05"], ["62", "02"], ["63", "03"]]),
            json!([["61", "06"], ["62", "02"], ["63", "03"]]),
        ),
        (json!([["61", "01"], ["63", "03"]]), json!([["61", "01"], ["62", "09"], ["63", "03"]])),
        (json!([["61", "01"], ["62", "09"], ["63", "03"]]), json!([["61", "01"], ["63", "03"]])),
        (
            json!([["60", "aa"], ["61", "01"], ["62", "02"], ["63", "0300"]]),
            json!([["60", "ab"], ["61", "01"], ["62", "02"], ["63", ""]]),
        ),
        (json!([["61", [["61", 51]]], ["62", "02"]]), json!([["61", [["62", 51]]], ["62", "02"]])),
    ];
    let mut cases = Cases::new();
    let mut push = |base: &Value, left: &Value, right: &Value| {
        let params = json!({ "config": SMALL, "base": base, "left": left, "right": right });
        let mut resolved = params.clone();
        resolved["resolve"] = json!("greater");
        cases.extend([("merge", params), ("merge", resolved)]);
    };
    for (left, right) in &sides {
        push(&base, left, right);
    }
    push(&json!([]), &base, &json!([["61", "02"]]));
    let many = |count| recipe(count, "", 8, [0, 60]);
    push(&many(60), &many(63), &recipe(20, "", 8, [0, 60]));
    push(&many(60), &recipe(60, "", 8, [0, 61]), &many(100));
    cases
}

/// Trees as CAR files.
pub(super) fn cars() -> Result<Cases, String> {
    let mut cases = Cases::new();
    for pairs in [
        json!([]),
        json!([["61", "01"], ["62", "02"]]),
        recipe(12, "", 8, [0, 60]),
        // The same value out of line twice.
        json!([["61", [["61", 51]]], ["62", [["61", 51]]]]),
    ] {
        let params = json!({ "config": SMALL, "pairs": pairs });
        let car = answer("car_write", &params)?;
        cases.extend([("car_write", params), ("car_read", json!({ "config": SMALL, "car": car }))]);
    }
    let params = json!({ "config": SMALL, "pairs": recipe(12, "", 8, [0, 60]) });
    let car = blocks(&params)?;
    // In another order, a block twice, and one that no tree has.
    let mut other: Vec<&str> = car.iter().map(String::as_str).collect();
    other[1..].reverse();
    other.push(&car[1]);
    let stranger = block("83008080");
    other.push(&stranger);
    cases.push(("car_read", json!({ "config": SMALL, "car": other.concat() })));
    Ok(cases)
}

/// A block of a CAR file shorter than 92 bytes.
fn block(page: &str) -> String {
    let address = super::check(page, SMALL)["address"].as_str().unwrap_or_default().to_owned();
    format!("{:02x}01711e20{address}{page}", 36 + page.len() / 2)
}

/// The header of a CAR file, then its blocks.
fn blocks(params: &Value) -> Result<Vec<String>, String> {
    let car = answer("car_write", params)?;
    let mut left = car.as_str().ok_or("no CAR file")?;
    let mut parts = Vec::new();
    while !left.is_empty() {
        let byte = |at: usize| left.get(at..at + 2).and_then(|text| usize::from_str_radix(text, 16).ok());
        let first = byte(0).ok_or("no length")?;
        let (len, used) = match first {
            0..128 => (first, 1),
            _ => (first - 128 + 128 * byte(2).ok_or("no length")?, 2),
        };
        let (part, rest) = left.split_at_checked(2 * (used + len)).ok_or("a short block")?;
        parts.push(part.to_owned());
        left = rest;
    }
    Ok(parts)
}

/// CAR files that must be refused.
pub(super) fn refused() -> Result<Vec<Refusal>, String> {
    let parts = blocks(&json!({ "config": SMALL, "pairs": recipe(12, "", 8, [0, 60]) }))?;
    let whole = parts.concat();
    let header = &parts[0];
    let without = |n: usize| {
        let kept = parts.iter().enumerate().filter(|(index, _)| *index != n);
        kept.map(|(_, part)| part.as_str()).collect::<String>()
    };
    let mut changed = whole.clone();
    let last = changed.pop();
    changed.push(if last == Some('0') { '1' } else { '0' });
    let end = "the end of the bytes";
    let version = header.replacen("6776657273696f6e01", "6776657273696f6e02", 1);
    let no_root = "11a265726f6f7473806776657273696f6e01";
    let kind = whole.replacen("01711e20", "01551e20", 1);
    let cases = [
        ("an empty file", end, String::new()),
        ("a file without its last byte", end, whole[..whole.len() - 2].to_owned()),
        ("a file that ends in a length", end, format!("{whole}80")),
        (
            "a block of another kind",
            "a block of another kind",
            format!("{whole}{}", block("83008080").replacen("0171", "0155", 1)),
        ),
        ("a root of another kind", "a root of another kind", kind),
        ("a changed byte in a block", "a block under another address than its own", changed),
        ("no root page", "a missing page", without(1)),
        ("a page of the tree missing", "a missing page", without(parts.len() - 1)),
        ("version 2", "another version", whole.replacen(header, &version, 1)),
        ("a header without roots", "another header", whole.replacen(header, no_root, 1)),
        ("a header alone", "a missing page", header.clone()),
    ];
    let refusal = |(rule, says, car): (&str, _, String)| Refusal {
        rule: format!("CAR: {rule}"),
        says,
        method: "car_read",
        params: json!({ "config": SMALL, "car": compact(&json!(car)) }),
    };
    Ok(cases.into_iter().map(refusal).collect())
}
