//! Records and trees that must be refused.

use serde_json::{Value, json};

use super::{Cases, END, KIND, OTHER, RESERVED, Refusal, SMALL, compact};
use crate::adapter::{hex, reference::answer};
use crate::reference::{Address, Value as Held, address, branch, bytes, leaf, links};

pub(super) fn configs() -> Vec<Refusal> {
    let not = "not a configuration";
    let valid = "8701183618a01835189d011830";
    let record = |from: &str, to: &str| valid.replacen(from, to, 1);
    let records = [
        ("4: format 2", not, record("8701", "8702")),
        ("4: six items", "another record", "8601183618a01835189d01".to_owned()),
        ("4: eight items", "another record", "8801183618a01835189d01183000".to_owned()),
        ("3: bytes after the last item", not, format!("{valid}00")),
        ("3: a number in a longer head than it needs", not, record("1836", "190036")),
        ("3: a length in a longer head than it needs", not, record("87", "9807")),
        ("3: an indefinite length", RESERVED, format!("9f{}ff", &valid[2..])),
        ("3: no bytes", END, String::new()),
        ("3: the end within a number", END, valid[..valid.len() - 2].to_owned()),
        ("3: the end between two numbers", END, valid[..valid.len() - 4].to_owned()),
        ("3: a byte string where a number belongs", KIND, record("1836", "4136")),
        ("3: a negative integer", KIND, record("1836", "3836")),
        ("4: a limit above 2^32 - 1", "a limit too great", record("18a0", "1b0000000100000000")),
        ("4: leaf_min not above a pair", not, record("1836", "1835")),
        ("4: leaf_max below leaf_min and two pairs", not, record("18a0", "189f")),
        ("4: branch_min not above a pair", not, record("1835", "1834")),
        ("4: branch_max below branch_min and two pairs", not, record("189d", "189c")),
        ("4: leaf_max above MAX_WINDOW_BYTES", not, record("18a0", "19fde9")),
        ("4: branch_max above MAX_WINDOW_BYTES", not, record("189d", "19fde9")),
    ];
    let refusal = |(rule, says, record): (&str, _, String)| Refusal {
        rule: rule.to_owned(),
        says,
        method: "config_read",
        params: json!({ "record": record }),
    };
    records.into_iter().map(refusal).collect()
}

/// Pages of a tree whose root is the first.
fn tree(pages: &[Vec<u8>]) -> Value {
    let root = pages.first().map_or([0; 32], |page| address(page));
    let pages: Vec<_> = pages.iter().map(|page| compact(&json!(hex(page)))).collect();
    json!({ "config": SMALL, "root": hex(&root), "pages": pages })
}

fn leaf_of(keys: &str) -> Vec<u8> {
    leaf(&keys.bytes().map(|key| (vec![key], Held::Inline(vec![b'v'; 45]))).collect::<Vec<_>>())
}

fn over(level: u64, children: &[(&str, &[u8], u64)]) -> Vec<u8> {
    let child = |(last, page, count): &(&str, &[u8], u64)| (last.as_bytes().to_vec(), address(page), *count);
    branch(level, &children.iter().map(child).collect::<Vec<_>>())
}

fn linking(len: u64, top: &Address) -> Vec<u8> {
    leaf(&[(b"a".to_vec(), Held::Linked(len, *top))])
}

/// Whole trees; what is wrong is in one page or one promise.
pub(super) fn trees() -> Result<Vec<Refusal>, String> {
    let (one, two) = (leaf_of("abc"), leaf_of("de"));
    let pair = |a: (&str, &[u8], u64), b: (&str, &[u8], u64)| over(1, &[a, b]);
    let true_root = pair(("c", &one, 3), ("e", &two, 2));
    let (early, short, wide) = (leaf_of("ce"), leaf_of("c"), leaf_of("abcdefgh"));
    let (empty, deep) = (leaf_of(""), over(2, &[("c", &one, 3), ("e", &two, 2)]));
    let missing = "a missing page";
    let mut cases = vec![
        ("9.5: no page", missing, tree(&[])),
        ("9.5: a page missing", missing, tree(&[true_root.clone(), one.clone()])),
        (
            "9.5: boundaries that are not those of the rule",
            "boundaries that break the rule",
            tree(&[true_root, one.clone(), two.clone()]),
        ),
        (
            "9.3.1: a child two levels below",
            "a child on another level",
            tree(&[deep, one.clone(), two.clone()]),
        ),
        (
            "9.3.2: a child with another count",
            "a child with another count",
            tree(&[pair(("c", &one, 4), ("e", &two, 2)), one.clone(), two.clone()]),
        ),
        (
            "9.3.2: a leaf without pairs as a child",
            "a child with another count",
            tree(&[pair(("c", &one, 3), ("e", &empty, 1)), one.clone(), empty]),
        ),
        (
            "9.3.3: a child with another last key",
            "a child with another last key",
            tree(&[pair(("c", &one, 3), ("f", &two, 2)), one.clone(), two.clone()]),
        ),
        (
            "9.3.4: a child that begins with its lower bound",
            "a child that begins too early",
            tree(&[pair(("c", &one, 3), ("e", &early, 2)), one.clone(), early]),
        ),
        (
            "9.3.5: a page below the minimum before another",
            "a short page before another",
            tree(&[pair(("c", &short, 1), ("e", &two, 2)), short, two.clone()]),
        ),
        ("9.2: a page beyond the window", "a page beyond the window", tree(&[wide])),
    ];
    // Value pages of 51 bytes: one part; of 8193: two; of 1048577: three rows.
    let part = |len: usize| bytes(&vec![7; len]);
    let values: [(&str, &str, u64, Vec<Vec<u8>>); 10] = {
        let (full, rest) = (part(8192), part(1));
        let top = |to: &[&Vec<u8>]| links(&to.iter().map(|page| address(page)).collect::<Vec<_>>());
        let longer_head = [&[0x59, 0, 51][..], &[7; 51]].concat();
        let indefinite = [&[0x9f][..], &top(&[&full, &rest])[1..], &[0xff]].concat();
        let behind = [part(51), vec![0]].concat();
        [
            ("9.4: a part too short", "a part of another length", 51, vec![part(50)]),
            ("9.4: a part too long", "a part of another length", 51, vec![part(52)]),
            ("9.4: an array where a part belongs", KIND, 51, vec![links(&[[0; 32]])]),
            ("3: a part in a longer head than it needs", OTHER, 51, vec![longer_head]),
            ("3: bytes behind a part", OTHER, 51, vec![behind]),
            ("9.4: a part where an array belongs", KIND, 8193, vec![part(8193)]),
            ("9.4: a link too few", "another number of parts", 8193, vec![top(&[&full]), full.clone()]),
            (
                "9.4: a link too many",
                "another number of parts",
                8193,
                vec![top(&[&full, &rest, &rest]), full.clone(), rest.clone()],
            ),
            (
                "9.4: the short part first",
                "a part of another length",
                8193,
                vec![top(&[&rest, &full]), full.clone(), rest.clone()],
            ),
            ("3: an array of indefinite length", RESERVED, 8193, vec![indefinite, full, rest]),
        ]
    };
    for (rule, says, len, pages) in values {
        let top = address(&pages[0]);
        cases.push((rule, says, tree(&[vec![linking(len, &top)], pages].concat())));
    }
    // 128 parts and one more: the last group must be an array of one link, not the page itself.
    let (full, rest) = (part(8192), part(1));
    let middle = links(&[address(&full); 128]);
    let right = links(&[address(&rest)]);
    let bare = links(&[address(&middle), address(&rest)]);
    let deep = links(&[address(&middle), address(&right)]);
    let good =
        tree(&[linking(1_048_577, &address(&deep)), deep, middle.clone(), right, full.clone(), rest.clone()]);
    answer("tree_check", &good)?;
    let pages = [linking(1_048_577, &address(&bare)), bare, middle, full, rest];
    cases.push(("6.4: a last group of one page that is no array", KIND, tree(&pages)));
    let refusal = |(rule, says, params): (&str, _, _)| Refusal {
        rule: rule.to_owned(),
        says,
        method: "tree_check",
        params,
    };
    Ok(cases.into_iter().map(refusal).collect())
}

/// Leaves at the greatest lengths there are.
pub(super) fn long_pages() -> (Cases, Vec<Refusal>) {
    let config = json!([15_015, 65_000, 4096, 12_288, 10, 15_000]);
    let page = |last: usize| {
        let value = |n: u8| if n < 4 { vec![0; 15_000] } else { vec![0; last] };
        let page = leaf(&(0..5).map(|n| (vec![n], Held::Inline(value(n)))).collect::<Vec<_>>());
        json!({ "page": compact(&json!(hex(&page))), "address": hex(&address(&page)), "config": config })
    };
    let refusal = |rule: &str, says, last| Refusal {
        rule: rule.to_owned(),
        says,
        method: "page_check",
        params: page(last),
    };
    let refused = vec![
        refusal("9.2: a page of one byte above leaf_max", "a page beyond the window", 4976),
        refusal("9.2: a page of MAX_PAGE_BYTES, which no window allows", "a page beyond the window", 5506),
        refusal("9.1.1: a page of MAX_PAGE_BYTES and one more", "a page too long", 5507),
    ];
    (vec![("page_check", page(4975))], refused)
}
