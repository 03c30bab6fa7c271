//! The examples run, without arguments as whoever tries them runs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

/// Runs an example, which `cargo test` has built beside the program.
fn run(name: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_osmdb")).parent().unwrap().join("examples");
    let output = Command::new(folder.join(name)).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{name}: {errors}");
    assert_eq!(errors, "", "{name}");
    out
}

#[test]
fn import_and_query() {
    let out = run("import_and_query");
    assert!(out.starts_with("4 versions, root bafy"), "{out}");
    assert!(
        out.ends_with(
            "2 elements touch 1.5000000,42.5000000,1.5500000,42.5200000\nnode/3: Central\nway/1: Long Lane\n"
        ),
        "{out}"
    );
}

#[test]
fn two_villages() {
    let out = run("two_villages");
    for line in
        ["one root again, 1 fork", "Hilltop says yes", "Riverside says no", "settled, and known to both"]
    {
        assert!(out.contains(&format!("{line}\n")), "{line}: {out}");
    }
}

#[cfg(feature = "net")]
#[test]
fn meet() {
    let out = run("meet");
    assert!(out.contains("\ngained 1, gave 1\n"), "{out}");
    assert!(out.contains("\na stranger: the peer does not know this device, whose fingerprint is "), "{out}");
}

#[test]
fn watch() {
    let out = run("watch");
    assert!(out.starts_with("Present node/"), "{out}");
}

#[test]
fn time_travel() {
    let out = run("time_travel");
    for line in
        ["0 create: the bridge is not there", "1 edit: the bridge is good", "3 edit: the bridge is closed"]
    {
        assert!(out.contains(&format!("{line}\n")), "{line}: {out}");
    }
    assert!(out.contains("undid edit: root bafy"), "{out}");
}

#[test]
fn tag_search() {
    let out = run("tag_search");
    assert!(out.starts_with("10 match amenity=drinking_water\npage 1: node/"), "{out}");
    assert!(out.contains("\n10 around 42.507"), "{out}");
    assert_eq!(out.lines().count(), 7, "{out}");
}

#[test]
fn sparse_query() {
    let out = run("sparse_query");
    let number = |word: &str| word.parse::<u64>().unwrap();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(' ').collect()).collect();
    let all = number(lines[0][1]);
    assert!(lines[1].starts_with(&["40000", "nodes"]), "{out}");
    assert_eq!(number(lines[2][0]), 121, "{out}");
    let read = number(lines[2][4]);
    assert!(read * 20 < all, "{read} of {all} bytes: {out}");
}
