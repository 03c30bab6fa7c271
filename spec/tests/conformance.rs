//! The vectors, the runner, and implementations that are wrong in one thing each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use spec::adapter::{prolly, reference};
use spec::wrong::{WRONG, Wrong};
use spec::{runner, vectors};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn osmdb() -> runner::Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spec"));
    command.args(["adapter", "osmdb"]);
    runner::Process::start(command, Duration::from_secs(60)).expect("a process")
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
fn osmdb_passes() {
    let sections = runner::check(&mut osmdb(), &dir()).unwrap();
    for (name, section) in sections {
        assert!(section.failures.is_empty() && section.skipped == 0, "{name}: {:?}", section.failures);
    }
}

#[test]
fn a_changed_vector_fails_in_every_file() {
    for changed in vectors::FILES {
        let copy =
            std::env::temp_dir().join(format!("spec-{}-{}", std::process::id(), changed.replace('/', "-")));
        std::fs::create_dir_all(copy.join("must-refuse")).unwrap();
        for name in vectors::FILES {
            let text = std::fs::read_to_string(dir().join(name)).unwrap();
            let mut file: Value = serde_json::from_str(&text).unwrap();
            let cases = file["cases"].as_array_mut().unwrap();
            cases.truncate(usize::from(name == changed));
            if let Some(case) = cases.first_mut().and_then(Value::as_object_mut) {
                case.remove("refused");
                case.insert("result".to_owned(), json!("changed"));
            }
            std::fs::write(copy.join(name), file.to_string()).unwrap();
        }
        let found = if changed.ends_with("sync.json") {
            failed(&mut osmdb(), &copy)
        } else {
            failed(&mut reference::answer, &copy)
        };
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

#[test]
fn every_wrong_implementation_fails_where_it_is_wrong() {
    let worker = |wrongs: Vec<&Wrong>| {
        for wrong in wrongs {
            let mut command = Command::new(env!("CARGO_BIN_EXE_spec"));
            command.args(["adapter", &format!("wrong-{}", wrong.name)]);
            let mut process = runner::Process::start(command, Duration::from_secs(60)).unwrap();
            assert_eq!(failed(&mut process, &dir()), wrong.sections, "{}", wrong.name);
        }
    };
    std::thread::scope(|scope| {
        for n in 0..2 {
            scope.spawn(move || worker(WRONG.iter().skip(n).step_by(2).collect()));
        }
    });
}

#[test]
fn a_failure_says_where_and_what() {
    let wrong = WRONG.iter().find(|wrong| wrong.name == "first-edit-of-a-key-counts").unwrap();
    let sections = runner::check(&mut wrong.answer.clone(), &dir()).unwrap();
    let failure = &sections["edit"].failures[0];
    for part in ["edit.json: case 0", "asked    edit {", "expected [\"", "got      [\""] {
        assert!(failure.contains(part), "{failure}");
    }
}

#[test]
fn the_program_says_by_its_exit_code_whether_all_passed() {
    let spec = env!("CARGO_BIN_EXE_spec");
    let without = ["--without", "sync"];
    for (name, flags, good) in [
        ("osmdb", &[][..], true),
        // A section that is not served must be said not to be, and what is said not to be served must not be.
        ("osmdb", &without, false),
        ("reference", &without, true),
        ("reference", &[], false),
        ("wrong-text-in-upper-case-taken", &without, false),
    ] {
        let mut command = Command::new(spec);
        command.args(["check", "--strict"]).args(flags).args(["--", spec, "adapter", name]);
        let found = command.output().unwrap();
        let report = String::from_utf8_lossy(&found.stdout);
        assert_eq!(found.status.success(), good, "{name} {flags:?}: {report}");
        for section in spec::adapter::osmdb::SECTIONS {
            assert!(report.lines().any(|line| line.starts_with(section)), "{section} in {report}");
        }
        assert_eq!(report.contains("cid.json: case "), name.starts_with("wrong"), "{report}");
        assert_eq!(report.contains("not served"), name != "osmdb", "{report}");
    }
}

#[test]
fn who_is_silent_in_a_session_fails_and_is_not_waited_for_twice() {
    // It says hello as the reference does, then nothing more.
    let mut command = Command::new("sh");
    let hello = json!({ "id": 1, "result": { "name": "x", "format": 1, "sections": ["sync"] } });
    command.args(["-c", &format!("echo '{hello}'; sleep 60")]);
    let mut process = runner::Process::start(command, Duration::from_millis(300)).unwrap();
    let error = runner::check(&mut process, &dir()).unwrap_err();
    assert!(error.contains("sync.json: case 0: it is silent"), "{error}");
}
