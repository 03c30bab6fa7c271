//! What the README says works, and the story it shows is the one the program tells.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use crate::program::{MAP, Place};

const README: &str = include_str!("../../../README.md");

/// How the README runs the program before it is installed.
const FROM_SOURCE: &str = "cargo run --release --bin osmdb -- ";

/// Returns the lines of all blocks of a language.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if found == language {
                blocks.push(block);
            }
        }
    }
    blocks
}

#[test]
fn every_command_works() {
    let place = Place::new();
    // The element ids that the README asks for, in the box that it asks for.
    let map = MAP.replace(
        "</osm>",
        "<node id='625025' version='1' lat='42.51' lon='1.51'><tag k='place' v='town'/></node>
         <way id='6128540' version='1'><nd ref='625025'/><nd ref='1'/></way></osm>",
    );
    place.write("andorra.osm.pbf", &map);
    place.write("andorra-newer.osm.pbf", map.replace("version='1' lat='42.51'", "version='2' lat='42.515'"));
    let mut roots = BTreeSet::new();
    let mut commands = 0;
    for line in blocks("sh").into_iter().flatten() {
        let Some(arguments) = line.strip_prefix(FROM_SOURCE).or_else(|| line.strip_prefix("osmdb ")) else {
            assert!(["cargo install --path osmdb", "cargo test --workspace"].contains(&line), "{line}");
            continue;
        };
        // The results that a shell writes to a file are those we look at.
        let (arguments, _) = arguments.split_once(" > ").unwrap_or((arguments, ""));
        let results = place.run(arguments.split(' ')).done();
        assert!(!results.is_empty(), "{line}");
        if arguments.contains(" merge ") {
            roots.extend(results.lines().last().map(str::to_owned));
        }
        commands += 1;
    }
    assert!(commands > 8, "the README shows every verb");
    assert_eq!(roots.len(), 1, "both merges end with one root");
}

/// Hides what differs from run to run: ids, hashes, times and figures.
fn masked(line: &str) -> String {
    let word = |word: &str| -> String {
        if word.contains("bafyr4i") {
            return "ROOT".to_owned();
        }
        if word.ends_with('…') {
            return "VERSION".to_owned();
        }
        let mut out = String::new();
        for character in word.chars() {
            match character {
                '0'..='9' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                // Groups and decimals are a part of their number.
                '.' | ',' if out.ends_with('#') => {}
                other => out.push(other),
            }
        }
        out
    };
    let line: Vec<String> = line.split(' ').map(word).collect();
    line.join(" ")
}

#[test]
fn the_story_is_the_one_the_demo_tells() {
    let told = Place::new().run(["demo"]).done();
    let shown = blocks("text").into_iter().map(|block| block.join("\n")).find(|text| text.starts_with("Two"));
    let shown = shown.expect("the README shows the demo");
    // Heads are sorted by version, and so in an order of their own every time.
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(|line| masked(line).replace("water=yes", "water=no")).collect()
    };
    assert_eq!(lines(&shown), lines(&told), "paste what `osmdb demo` prints into the README");
    let first_root = |text: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix("root ").map(str::to_owned)).unwrap()
    };
    assert_eq!(
        first_root(&shown),
        first_root(&told),
        "the import gives the same root everywhere; if a format changed, paste the new output"
    );
}

#[test]
fn what_is_typed_elsewhere_has_a_meaning() {
    // What needs a network, a peer or an editor is not run here; but each verb and each option must be there.
    let place = Place::new();
    let mut commands = 0;
    for line in blocks("console").into_iter().flatten() {
        for command in line.strip_prefix("$ ").unwrap_or_default().split(" | ") {
            let Some(arguments) = command.strip_prefix("osmdb ") else { continue };
            let mut words = arguments.split(' ').peekable();
            let global = ["--db", "--from", "--cache"];
            while words.next_if(|word| global.contains(word)).is_some() {
                words.next();
            }
            let verb = words.next().unwrap();
            let help = place.run([verb, "--help"]).done();
            for option in words.filter(|word| word.starts_with("--")) {
                let is_there = help.split([' ', ',', '\n', '=']).any(|word| word == option);
                assert!(is_there, "`osmdb {verb} --help` does not know {option}: {line}");
            }
            commands += 1;
        }
    }
    assert!(commands > 10, "the README shows more than {commands} commands");
}
