//! The examples in `conformance.md`, asked of both of ours.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use spec::adapter::{self, Answer};
use spec::vectors;

const TEXT: &str = include_str!("../conformance.md");

/// Requests and the responses below them.
fn examples() -> Vec<(Value, Value)> {
    let lines: Vec<&str> = TEXT.lines().filter_map(|line| line.strip_prefix("    {")).collect();
    let line = |line: &str| serde_json::from_str(&format!("{{{line}")).expect("a line of JSON");
    lines.chunks(2).map(|two| (line(two[0]), line(two[1]))).collect()
}

#[test]
fn every_example_is_answered_as_the_text_says() {
    for answer in [adapter::prolly::answer as Answer, adapter::reference::answer] {
        for (request, expected) in examples() {
            let mut output = Vec::new();
            adapter::serve(answer, format!("{request}\n").as_bytes(), &mut output).unwrap();
            let mut got: Value = serde_json::from_slice(&output).unwrap();
            if request["method"] == "hello" {
                got["result"]["name"] = expected["result"]["name"].clone();
            }
            // The text of an error is free.
            if expected["error"].is_string() {
                assert!(got["error"].is_string() && got["id"] == expected["id"], "{request}: {got}");
            } else {
                assert_eq!(got, expected, "{request}");
            }
        }
    }
}

#[test]
fn every_method_and_section_has_an_example() {
    let shown: BTreeSet<String> =
        examples().iter().map(|(request, _)| request["method"].as_str().unwrap().to_owned()).collect();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for name in vectors::FILES {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(dir.join(name)).unwrap()).unwrap();
        let section = file["section"].as_str().unwrap();
        assert!(adapter::SECTIONS.contains(&section), "{section} is not served");
        assert!(TEXT.contains(&format!("\n### {section}\n")), "{section}");
        for case in file["cases"].as_array().unwrap() {
            assert!(shown.contains(case["method"].as_str().unwrap()), "{}", case["method"]);
        }
    }
}
