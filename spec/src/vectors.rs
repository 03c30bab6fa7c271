//! The vectors, as the reference makes them.

mod cuts;
mod entries;
mod merge;
mod proof;
mod refused;
mod sync;
mod views;

use serde_json::{Value, json};

use crate::adapter::{hex, reference::answer};
use crate::reference::address;

/// The files of the vectors, in their directory.
pub const FILES: [&str; 24] = [
    "cid.json",
    "config.json",
    "page.json",
    "key_hash.json",
    "cuts.json",
    "build.json",
    "edit.json",
    "read.json",
    "diff.json",
    "merge.json",
    "tree.json",
    "proof.json",
    "car.json",
    "entries.json",
    "views.json",
    "sync.json",
    "must-refuse/config.json",
    "must-refuse/page.json",
    "must-refuse/tree.json",
    "must-refuse/proof.json",
    "must-refuse/car.json",
    "must-refuse/entries.json",
    "must-refuse/views.json",
    "must-refuse/sync.json",
];

const SMALL: [u32; 6] = [120, 360, 100, 300, 40, 50];
const DEFAULT: [u32; 6] = [4096, 12288, 4096, 12288, 1024, 1024];

const OTHER: &str = "another encoding than the one there is";
const RESERVED: &str = "an indefinite or reserved length";
const KIND: &str = "another kind of item";
const END: &str = "the end of the bytes";
const LEVEL: &str = "a level that does not fit";
const LENGTH: &str = "an impossible length of a value";

type Cases = Vec<(&'static str, Value)>;

/// What must be refused: the rule and the reason, the words of the reference for it, what is asked.
struct Refusal {
    rule: String,
    says: &'static str,
    method: &'static str,
    params: Value,
}

/// Makes all files: their names and their text.
///
/// # Errors
/// The reference refuses what a vector says it takes, takes what must be refused, or refuses it for
/// another reason.
pub fn make() -> Result<Vec<(&'static str, String)>, String> {
    let made = [
        cids(),
        configs(),
        pages(),
        key_hashes(),
        cuts::cases()?,
        builds(),
        edits(),
        reads(),
        diffs(),
        merge::cases(),
        trees()?,
        proof::holding()?,
        merge::cars()?,
        entries::cases()?,
        views::cases()?,
    ];
    let mut files: Vec<Vec<Value>> = Vec::new();
    for cases in made {
        let cases = cases.into_iter().map(|(method, params)| match answer(method, &params) {
            Ok(result) => json!({ "method": method, "params": params, "result": result }),
            Err(reason) => json!({ "method": method, "params": params, "refused": reason }),
        });
        files.push(cases.collect());
    }
    files.push(sync::cases()?);
    let refused = [
        refused::configs(),
        page_refusals(),
        refused::trees()?,
        proof::refused()?,
        merge::refused()?,
        entries::refused()?,
        views::refused()?,
    ];
    for cases in refused {
        files.push(cases.into_iter().map(Refusal::case).collect::<Result<_, _>>()?);
    }
    files.push(sync::refused()?);
    let section = |name: &str| name.trim_start_matches("must-refuse/").trim_end_matches(".json").to_owned();
    Ok(FILES.into_iter().zip(files).map(|(name, cases)| (name, text(&section(name), &cases))).collect())
}

impl Refusal {
    fn case(self) -> Result<Value, String> {
        let Self { rule, says, method, params } = self;
        match answer(method, &params) {
            Ok(_) => Err(format!("taken: {rule}")),
            Err(said) if said != says => Err(format!("{rule}: refused since: {said}")),
            Err(_) => Ok(json!({ "method": method, "params": params, "refused": rule })),
        }
    }
}

fn text(section: &str, cases: &[Value]) -> String {
    let cases: Vec<String> = cases.iter().map(Value::to_string).collect();
    format!("{{\"section\":\"{section}\",\"cases\":[\n{}\n]}}\n", cases.join(",\n"))
}

/// Bytes with their long runs of one byte written as `[digits, times]`.
fn compact(digits: &Value) -> Value {
    let Some(text) = digits.as_str() else { return digits.clone() };
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(2).collect();
    let (mut parts, mut plain) = (Vec::new(), String::new());
    for run in bytes.chunk_by(|a, b| a == b) {
        let byte = String::from_utf8_lossy(run[0]);
        if run.len() < 64 {
            plain.push_str(&byte.repeat(run.len()));
        } else {
            parts.extend([json!(std::mem::take(&mut plain)), json!([byte, run.len()])]);
        }
    }
    if parts.is_empty() {
        return digits.clone();
    }
    parts.push(json!(plain));
    json!(parts)
}

fn recipe(count: u64, prefix: &str, key: u64, value: [u64; 2]) -> Value {
    json!({ "count": count, "prefix": prefix, "key": key, "value": value })
}

fn cids() -> Cases {
    let address_text = "bafyr4ia7siz5l5elqrdazz5wtmd4m3xjejlo5wpep2g3kne4lnsjmepowa";
    let read = |text: String| ("cid_read", json!({ "text": text }));
    vec![
        ("cid_text", json!({ "address": hex(&address(b"")) })),
        ("cid_text", json!({ "address": hex(&[0xff; 32]) })),
        read(address_text.to_owned()),
        read(address_text.to_uppercase()),
        read(format!("{address_text}=")),
        read(address_text[..58].to_owned()),
        // A fill bit that is set, and another codec.
        read(format!("{}b", &address_text[..58])),
        read(address_text.replacen("bafyr", "bafkr", 1)),
    ]
}

fn configs() -> Cases {
    let mut cases = Cases::new();
    for config in [
        DEFAULT,
        SMALL,
        [54, 160, 53, 157, 1, 48],
        [53, 160, 53, 157, 1, 48],
        [54, 159, 53, 157, 1, 48],
        [54, 160, 52, 157, 1, 48],
        [54, 160, 53, 156, 1, 48],
        [54, 65_000, 53, 65_000, 1, 48],
        [54, 65_001, 53, 157, 1, 48],
        [u32::MAX; 6],
    ] {
        cases.push(("config_encode", json!({ "config": config })));
    }
    for record in ["8701183618a01835189d011830", "8701191000193000191000193000190400190400"] {
        cases.push(("config_read", json!({ "record": record })));
    }
    cases
}

fn check(page: &str, config: [u32; 6]) -> Value {
    let bytes: Vec<u8> = (0..page.len() / 2)
        .map(|i| u8::from_str_radix(&page[2 * i..2 * i + 2], 16).unwrap_or_default())
        .collect();
    json!({ "page": page, "address": hex(&address(&bytes)), "config": config })
}

fn link(byte: &str) -> String {
    format!("d82a58250001711e20{}", byte.repeat(32))
}

fn pages() -> Cases {
    let two = format!("840182416141628 2{}{}820102", link("00"), link("11")).replace(' ', "");
    let key = |n: usize| format!("830081{}{}8140", format_args!("58{n:02x}"), "61".repeat(n));
    let value =
        |n: usize| format!("8300814061{}", "").replace("61", &format!("8158{n:02x}{}", "62".repeat(n)));
    [
        "83008080".to_owned(),
        "830081408140".to_owned(),
        two,
        key(40),
        key(41),
        value(50),
        value(51),
        format!("8300814081821833{}", link("00")),
        format!("8300814081821832{}", link("00")),
        // The greatest value, the greatest level, the greatest sum of counts.
        format!("830081408182 1a01000000{}", link("00")).replace(' ', ""),
        format!("84181f824161416282{}{}820102", link("00"), link("11")),
        format!("8401824161416282{}{}821bfffffffffffffffe01", link("00"), link("11")),
    ]
    .iter()
    .map(|page| ("page_check", check(page, SMALL)))
    .chain(refused::long_pages().0)
    .collect()
}

fn page_refusals() -> Vec<Refusal> {
    let (a, b) = (link("00"), link("11"));
    let branch = |level: &str, keys: &str, counts: &str| format!("84{level}82{keys}82{a}{b}82{counts}");
    let other_prefix = branch("01", "41614162", "0102").replacen("0001711e", "0001551e", 1);
    let cases = [
        ("3: a number in a longer head than it needs", OTHER, "8318008080".to_owned()),
        ("3: a length in a longer head than it needs", OTHER, "8300980080".to_owned()),
        ("3: an indefinite length", RESERVED, "83009fff80".to_owned()),
        ("3: a reserved length", RESERVED, "83009c80".to_owned()),
        ("9.1.3: a text where bytes belong", KIND, "83008161618140".to_owned()),
        ("9.1.3: a link with another prefix", "something that is no link", other_prefix),
        ("3: an item beyond the end", END, "83008141".to_owned()),
        ("3: bytes after the last item", OTHER, "8300808000".to_owned()),
        ("9.1.4: a leaf with another level", LEVEL, "83018080".to_owned()),
        ("9.1.4: a branch of level 0", LEVEL, branch("00", "41614162", "0102")),
        ("9.1.4: a level above MAX_LEVEL", LEVEL, branch("1820", "41614162", "0102")),
        ("9.1.5: arrays of different lengths", "arrays of different lengths", "830081414080".to_owned()),
        ("9.1.6: keys that fall", "keys that do not ascend", "83008241624161824040".to_owned()),
        ("9.1.6: the same key twice", "keys that do not ascend", "83008241614161824040".to_owned()),
        ("9.1.7: a value of length 0 out of line", LENGTH, format!("83008141618182 00{a}")),
        ("9.1.7: a value above MAX_VALUE_BYTES", LENGTH, format!("830081416181821a01000001{a}")),
        (
            "9.1.8: a branch with one child",
            "a branch with fewer than two children",
            format!("840181416181{a}8101"),
        ),
        ("9.1.9: a count of 0", "a count of zero", branch("01", "41614162", "0001")),
        (
            "9.1.9: counts above the greatest",
            "too many pairs",
            branch("01", "41614162", "1bffffffffffffffff01"),
        ),
        ("9.2: a value too short to be out of line", "a value too short", format!("83008141618182 1832{a}")),
        ("9.2: a key too long", "a key too long", format!("8300815829{}8140", "61".repeat(41))),
        (
            "9.2: a value too long for its leaf",
            "a value too long",
            format!("8300814161815833{}", "62".repeat(51)),
        ),
    ];
    let mut cases: Vec<_> = cases
        .map(|(rule, says, page)| Refusal {
            rule: rule.to_owned(),
            says,
            method: "page_check",
            params: check(&page.replace(' ', ""), SMALL),
        })
        .into();
    cases.push(Refusal {
        rule: "9.1.2: another address".to_owned(),
        says: "another address",
        method: "page_check",
        params: json!({ "page": "83008080", "address": "00".repeat(32), "config": SMALL }),
    });
    cases.extend(refused::long_pages().1);
    cases
}

fn key_hashes() -> Cases {
    let case = |(level, key): (u8, &str)| ("key_hash", json!({ "level": level, "key": key }));
    [(0, ""), (1, ""), (31, ""), (0, "61"), (0, "62"), (0, "63"), (0, "64"), (1, "61"), (7, "00ff")]
        .map(case)
        .into()
}

fn builds() -> Cases {
    let mut cases = Cases::new();
    for count in [0, 1, 2, 3, 4, 7, 20, 100, 1000] {
        cases.push(("build", json!({ "config": SMALL, "pairs": recipe(count, "", 8, [0, 60]) })));
        cases.push(("build", json!({ "config": DEFAULT, "pairs": recipe(count, "70726566", 16, [0, 200]) })));
    }
    cases.push(("build", json!({ "config": DEFAULT, "pairs": recipe(100_000, "", 16, [0, 40]) })));
    for len in [1024, 1025, 8192, 8193, 1_048_576, 1_048_577, 16_777_216, 16_777_217] {
        cases.push(("build", json!({ "config": DEFAULT, "pairs": recipe(1, "", 4, [len, len]) })));
    }
    for (key, len) in [(40, 0), (41, 0), (40, 50), (40, 51)] {
        cases.push(("build", json!({ "config": SMALL, "pairs": recipe(1, "", key, [len, len]) })));
    }
    for count in [10_000, 50_000] {
        cases.push(("build", json!({ "config": DEFAULT, "pairs": recipe(count, "", 16, [0, 200]) })));
    }
    cases.push(("pages", json!({ "config": SMALL, "pairs": recipe(30, "", 8, [0, 60]) })));
    cases.push(("build", json!({ "config": SMALL, "pairs": [["", ""]] })));
    cases
}

fn edits() -> Cases {
    let pairs = recipe(60, "", 8, [0, 60]);
    let batches = json!([
        [["00", "01"], ["00", "02"]],
        [["80", ""], ["00", null], ["c0", "aa"]],
        [["ff", null]],
        [["80", "11".repeat(51)]],
        [["80", null], ["80", "05"], ["c0", null]]
    ]);
    vec![
        ("edit", json!({ "config": SMALL, "pairs": pairs, "batches": batches })),
        ("edit", json!({ "config": SMALL, "pairs": [["61", "62"]], "batches": [[["61", null]]] })),
        // Level by level down to the empty tree, and up again.
        (
            "edit",
            json!({ "config": SMALL, "pairs": letters(26), "batches": [gone(6..26), gone(1..6), gone(0..1)] }),
        ),
        ("edit", json!({ "config": SMALL, "pairs": [], "batches": [letters(1), letters(7), letters(26)] })),
        // A key beyond key_max, also when it is removed; a value beyond the greatest.
        ("edit", json!({ "config": SMALL, "pairs": [], "batches": [[[[["6b", 41]], ""]]] })),
        ("edit", json!({ "config": SMALL, "pairs": [], "batches": [[[[["6b", 41]], null]]] })),
        (
            "edit",
            json!({ "config": SMALL, "pairs": [], "batches": [[["6b", [["00", 16_777_217]]], ["6b", null]]] }),
        ),
    ]
}

fn letters(count: u8) -> Value {
    (0..count).map(|n| json!([format!("{:02x}", b'a' + n), [["76", 50]]])).collect()
}

fn gone(letters: std::ops::Range<u8>) -> Value {
    letters.map(|n| json!([format!("{:02x}", b'a' + n), null])).collect()
}

fn reads() -> Cases {
    let pairs = || recipe(100, "", 2, [0, 60]);
    let mut cases = Cases::new();
    for key in ["", "40", "80", "ffff", "ffffff"] {
        cases.push(("get", json!({ "config": SMALL, "pairs": pairs(), "key": key })));
        cases.push(("rank", json!({ "config": SMALL, "pairs": pairs(), "key": key })));
    }
    for index in [0, 1, 50, 99, 100] {
        cases.push(("select", json!({ "config": SMALL, "pairs": pairs(), "index": index })));
    }
    let three = json!([["61", "01"], ["62", "02"], ["63", "03"]]);
    cases.push(("get", json!({ "config": SMALL, "pairs": three, "key": "62" })));
    for (from, to) in [("61", "63"), ("6100", "63"), ("", "61"), ("62", "62"), ("61", "6300")] {
        cases.push(("range", json!({ "config": SMALL, "pairs": three, "from": from, "to": to })));
    }
    for (from, to) in [("61", json!("63")), ("6100", json!("63")), ("62", Value::Null), ("64", json!("62"))] {
        cases.push(("count", json!({ "config": SMALL, "pairs": three, "from": from, "to": to })));
    }
    for (from, to) in [("20", json!("40")), ("f0", Value::Null)] {
        cases.push(("range", json!({ "config": SMALL, "pairs": pairs(), "from": from, "to": to })));
        cases.push(("count", json!({ "config": SMALL, "pairs": pairs(), "from": from, "to": to })));
    }
    for key in ["61", "62", "6200"] {
        cases.push(("rank", json!({ "config": SMALL, "pairs": three, "key": key })));
    }
    cases
}

fn diffs() -> Cases {
    let sides = [
        (json!([]), json!([])),
        (json!([["61", ""]]), json!([])),
        (json!([["61", "01"]]), json!([["61", "02"]])),
        (json!([["61", "01"], ["62", "09"]]), json!([["62", "03"], ["63", ""]])),
        (recipe(60, "", 8, [0, 60]), recipe(63, "", 8, [0, 60])),
    ];
    let mut cases = Cases::new();
    for (left, right) in sides {
        let params = json!({ "config": SMALL, "left": left, "right": right });
        cases.extend([("diff", params.clone()), ("union", params)]);
    }
    cases
}

/// Whole trees.
fn trees() -> Result<Cases, String> {
    let mut cases = Cases::new();
    for pairs in [json!([]), recipe(12, "", 8, [0, 60]), json!([["61", [["61", 51]]], ["62", [["61", 51]]]])]
    {
        let params = json!({ "config": SMALL, "pairs": pairs });
        let (root, pages) = (answer("build", &params)?["root"].clone(), answer("pages", &params)?);
        cases.push(("tree_check", json!({ "config": SMALL, "root": root, "pages": pages })));
    }
    Ok(cases)
}
