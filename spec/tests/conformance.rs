//! The vectors, the runner, and implementations that are wrong in one thing each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use spec::adapter::{prolly, reference};
use spec::{runner, vectors};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn failed(peer: &mut dyn runner::Peer, dir: &Path) -> Vec<String> {
    let sections = runner::check(peer, dir).expect("vectors and an implementation that works");
    sections.into_iter().filter(|(_, section)| !section.failures.is_empty()).map(|(name, _)| name).collect()
}

#[test]
fn the_vectors_are_what_the_reference_makes() {
    for (name, text) in vectors::make().unwrap() {
        assert!(std::fs::read_to_string(dir().join(name)).unwrap() == text, "{name} differs");
    }
}

#[test]
fn prolly_passes() {
    assert_eq!(failed(&mut prolly::answer, &dir()), Vec::<String>::new());
}

#[test]
fn a_changed_vector_fails_in_every_file() {
    for changed in vectors::FILES {
        let copy =
            std::env::temp_dir().join(format!("spec-{}-{}", std::process::id(), changed.replace('/', "-")));
        std::fs::create_dir_all(copy.join("must-refuse")).unwrap();
        for name in vectors::FILES {
            let mut file: Value =
                serde_json::from_str(&std::fs::read_to_string(dir().join(name)).unwrap()).unwrap();
            if name == changed {
                let case = file["cases"][0].as_object_mut().unwrap();
                case.remove("refused");
                case.insert("result".to_owned(), json!("changed"));
            }
            std::fs::write(copy.join(name), file.to_string()).unwrap();
        }
        let found = failed(&mut reference::answer, &copy);
        std::fs::remove_dir_all(&copy).unwrap();
        assert_eq!(found.len(), 1, "{changed}");
    }
}

#[test]
fn a_broken_process_is_an_error_and_no_hang() {
    for (script, expected) in [
        ("exit 0", "ended"),
        ("sleep 60", "no answer"),
        ("echo garbage; sleep 60", "no JSON"),
        ("printf x", "without an end"),
        ("echo '{\"id\":9,\"result\":1}'; sleep 60", "another id"),
    ] {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut process = runner::Process::start(command, Duration::from_millis(500)).unwrap();
        let error = runner::check(&mut process, &dir()).unwrap_err();
        assert!(error.contains(expected), "{script}: {error}");
    }
}

/// The reference, but it takes what it refuses for this reason.
fn takes(reason: &'static str, taken: Value) -> impl FnMut(&str, &Value) -> Result<Value, String> {
    move |method, params| match reference::answer(method, params) {
        // The sections without the large trees.
        Ok(mut hello) if method == "hello" => {
            hello["sections"] = json!(["page", "tree", "config"]);
            Ok(hello)
        }
        Err(why) if why == reason => Ok(taken.clone()),
        answer => answer,
    }
}

/// The reference, asked with other parameters.
fn asks(change: fn(&str, &mut Value)) -> impl FnMut(&str, &Value) -> Result<Value, String> {
    move |method, params| {
        let mut params = params.clone();
        change(method, &mut params);
        reference::answer(method, &params)
    }
}

fn add(params: &mut Value, index: usize, n: i64) {
    if let Some(limit) = params["config"][index].as_i64() {
        params["config"][index] = json!(limit + n);
    }
}

#[test]
fn what_must_be_refused_and_is_taken_fails() {
    for (reason, section) in [
        ("another encoding than the one there is", "page"),
        ("keys that do not ascend", "page"),
        ("arrays of different lengths", "page"),
        ("a branch with fewer than two children", "page"),
        ("a count of zero", "page"),
        ("too many pairs", "page"),
        ("an impossible length of a value", "page"),
        ("another address", "page"),
        ("a child with another count", "tree"),
        ("a child with another last key", "tree"),
        ("a short page before another", "tree"),
        ("an invalid configuration", "config"),
    ] {
        let found = failed(&mut takes(reason, json!(true)), &dir());
        assert!(found.iter().any(|name| name == section), "{reason}: {found:?}");
    }
}

#[test]
fn other_answers_fail() {
    let mut level_not_in_the_hash = asks(|method, params| {
        if method == "key_hash" {
            params["level"] = json!(0);
        }
    });
    assert_eq!(failed(&mut level_not_in_the_hash, &dir()), ["key_hash"]);
    let mut inline_off_by_one = asks(|method, params| {
        if method == "build" {
            add(params, 5, -1);
        }
    });
    assert_eq!(failed(&mut inline_off_by_one, &dir()), ["build"]);
    let mut range_end_inclusive = asks(|method, params| {
        if method == "range" {
            params["to"] = json!(format!("{}00", params["to"].as_str().unwrap()));
        }
    });
    assert_eq!(failed(&mut range_end_inclusive, &dir()), ["read"]);
    let mut first_edit_wins = asks(|method, params| {
        if method == "edit" {
            for batch in params["batches"].as_array_mut().unwrap() {
                batch.as_array_mut().unwrap().reverse();
            }
        }
    });
    assert_eq!(failed(&mut first_edit_wins, &dir()), ["edit"]);
    let mut values_ignored = |method: &str, params: &Value| {
        let mut answer = reference::answer(method, params)?;
        if method == "diff" {
            let one_sided = |change: &Value| change[1].is_null() || change[2].is_null();
            answer.as_array_mut().unwrap().retain(one_sided);
        }
        Ok(answer)
    };
    assert_eq!(failed(&mut values_ignored, &dir()), ["diff"]);
}
