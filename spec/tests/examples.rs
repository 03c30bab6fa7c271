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

/// The session: its request, the lines of the runner, and those of the implementation.
fn session() -> (Value, Vec<Value>, Vec<Value>) {
    let lines = |mark: &str| -> Vec<Value> {
        let lines = TEXT.lines().filter_map(|line| line.strip_prefix("    ")?.strip_prefix(mark));
        lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    };
    let mut asked = lines("> ");
    (asked.remove(0), asked, lines("< "))
}

#[test]
fn the_session_goes_as_the_text_says() {
    let (request, more, expected) = session();
    let input: String = [request].iter().chain(&more).map(|line| format!("{line}\n")).collect();
    let mut output = Vec::new();
    let osmdb = (adapter::osmdb::answer, Some(adapter::osmdb::peer::talk as adapter::Talk));
    adapter::serve(osmdb.0, osmdb.1, input.as_bytes(), &mut output).unwrap();
    let got: Vec<Value> =
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got, expected);
}

#[test]
fn every_example_is_answered_as_the_text_says() {
    for answer in [adapter::osmdb::answer as Answer, adapter::reference::answer] {
        for (request, expected) in examples() {
            let mut output = Vec::new();
            adapter::serve(answer, None, format!("{request}\n").as_bytes(), &mut output).unwrap();
            let mut got: Value = serde_json::from_slice(&output).unwrap();
            if request["method"] == "hello" {
                // That of the reference; `osmdb` serves more.
                let all = got["result"]["sections"].as_array().unwrap();
                let sections = expected["result"]["sections"].as_array().unwrap();
                assert!(sections.iter().all(|section| all.contains(section)));
                got["result"] = expected["result"].clone();
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
    let mut shown: BTreeSet<String> =
        examples().iter().map(|(request, _)| request["method"].as_str().unwrap().to_owned()).collect();
    shown.insert(session().0["method"].as_str().unwrap().to_owned());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for name in vectors::FILES {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(dir.join(name)).unwrap()).unwrap();
        let section = file["section"].as_str().unwrap();
        assert!(adapter::osmdb::SECTIONS.contains(&section), "{section} is not served");
        assert!(TEXT.contains(&format!("\n### {section}\n")), "{section}");
        for case in file["cases"].as_array().unwrap() {
            assert!(shown.contains(case["method"].as_str().unwrap()), "{}", case["method"]);
        }
    }
}
