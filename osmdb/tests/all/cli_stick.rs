//! Sticks and bundles through the program: two villages, a full stick, a writer that is killed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::program::{MAP, Place, Ran};

/// Nodes that do not compress well.
fn many(nodes: u64, salt: u64) -> String {
    let mut text = String::from("<osm version='0.6'>");
    for n in 0..nodes {
        // Numbers that follow from one another, even far apart, would take no room.
        let mixed = (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let random = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
        let (lat, lon) = (random % 800_000_000, random / 7 % 900_000_000);
        let id = salt * 1_000_000 + n + 100;
        write!(
            text,
            "<node id='{id}' version='1' lat='{}.{:07}' lon='{}.{:07}'/>",
            lat / 10_000_000,
            lat % 10_000_000,
            lon / 10_000_000,
            lon % 10_000_000
        )
        .unwrap();
    }
    text + "</osm>"
}

fn root(place: &Place, db: &str) -> String {
    place.run(["--db", db, "root"]).done()
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.done()).unwrap()
}

fn bundles(stick: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(stick).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn two_villages_and_a_stick() {
    let place = Place::with_map();
    place.write("more.osm", "<osm><node id='3' version='2' lat='4' lon='4'/></osm>");
    place.run(["--db", "hill", "import", "map.osm", "more.osm"]).done();
    fs::create_dir(place.path("stick")).unwrap();

    let told = place.run(["--db", "hill", "sync", "stick"]).done();
    assert!(
        told.starts_with("synced with stick\ngained 0 entries, 0 forks, 0 refused, read 0 bytes\nwrote "),
        "{told}"
    );
    let files = bundles(&place.path("stick"));
    assert_eq!(files.len(), 1);

    let told = json(place.run(["sync", "stick", "--json"]));
    assert_eq!(
        (&told["gained"], &told["forked"][0], &told["wrote"]["entries"]),
        (&1.into(), &"node/3".into(), &0.into())
    );
    assert_eq!((&told["devices"][0]["here"], &told["devices"][0]["united"]), (&false.into(), &true.into()));
    assert_eq!(root(&place, "osm.db"), root(&place, "hill"));
    let told = json(place.run(["sync", "stick", "--json"]));
    assert_eq!(
        (&told["received"], &told["wrote"], &told["devices"].as_array().unwrap().len()),
        (&0.into(), &Value::Null, &2)
    );
    assert!(told["devices"][0]["age_seconds"].as_i64() < Some(1_000));
    let told = place.run(["sync", "stick"]).done();
    assert!(told.contains("(this database) had root ") && !told.contains("not united"), "{told}");

    // What ends in the middle is told, and is nobody's fault.
    let bytes = fs::read(&files[0]).unwrap();
    fs::write(&files[0], &bytes[..bytes.len() - 10]).unwrap();
    let ran = place.run(["--db", "late", "sync", "stick"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("torn off"), "{ran:?}");
    // What is damaged is.
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 4;
    fs::write(&files[0], &damaged).unwrap();
    let ran = place.run(["--db", "later", "sync", "stick"]);
    assert!(ran.code == Some(1) && ran.stderr.contains(" is damaged at byte "), "{ran:?}");
    assert!(!place.path("later").exists());

    place.write("stick/other.osmb", "not a bundle at all");
    fs::write(&files[0], &bytes).unwrap();
    let ran = place.run(["--db", "later", "sync", "stick"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("other.osmb is no bundle"), "{ran:?}");
    assert_eq!(root(&place, "later"), root(&place, "hill"));
}

#[test]
fn one_file_for_everything_and_one_for_what_is_new() {
    let place = Place::with_map();
    let before = root(&place, "osm.db");
    let told = json(place.run(["bundle", "all.osmb", "--json"]));
    assert_eq!((&told["entries"], &told["root"]), (&10.into(), &before.trim().into()));
    let told = place.run(["bundle", "all.osmb"]).done();
    assert!(told.starts_with("wrote 10 entries, ") && told.ends_with(&format!("root {before}")), "{told}");
    place.run(["delete", "way/6"]).done();
    let told = json(place.run(["bundle", "new.osmb", "--since", before.trim(), "--json"]));
    assert_eq!(told["entries"], 1);

    let sentence = place.run(["--db", "other", "take", "new.osmb"]);
    assert!(
        sentence.code == Some(1) && sentence.stderr.contains("begins at a root this database never had: ")
    );
    assert!(!place.path("other").exists(), "nothing came, so nothing is created");
    place.run(["--db", "other", "take", "new.osmb", "all.osmb"]).done();
    assert_eq!(root(&place, "other"), root(&place, "osm.db"));
    place.run(["--db", "third", "sync", "all.osmb"]).done();
    assert_eq!(json(place.run(["--db", "third", "sync", "new.osmb", "--json"]))["gained"], 1);
    assert_eq!(root(&place, "third"), root(&place, "osm.db"));

    let sentence = place.run(["--db", "nowhere", "bundle", "x.osmb"]).refused(1);
    assert!(sentence.contains("holds no database"), "{sentence}");
    let sentence = place.run(["bundle", "no/such/place.osmb"]).refused(1);
    assert!(
        sentence.contains("creating the file failed") && sentence.ends_with("check the path"),
        "{sentence}"
    );
    assert_eq!(place.run(["--db", "x", "take", "absent.osmb"]).code, Some(1));
}

/// A file system of its own that is too small, where the system lets a test have one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stick_stays_as_it_was() {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.write("many.osm", many(30_000, 1));
    fs::create_dir(place.path("stick")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=128k tmpfs stick || exit 77
        set -e
        "$OSMDB" --db a import map.osm
        "$OSMDB" --db a sync stick
        mkdir before; cp stick/* before/
        "$OSMDB" --db a import many.osm
        for try in 1 2; do
            if "$OSMDB" --db a sync stick 2>> said; then exit 1; fi
            diff -r before stick
        done
        # A stick on which there is nothing yet.
        mkdir kept; mv stick/* kept/
        if "$OSMDB" --db a sync stick 2>> said; then exit 1; fi
        test -z "$(ls -A stick)"
        mv kept/* stick/
        "$OSMDB" --db a verify
        "$OSMDB" --db b sync stick
        mount -o remount,size=64m stick
        "$OSMDB" --db a sync stick
        "$OSMDB" --db b sync stick
        "$OSMDB" --db a root > root.a
        "$OSMDB" --db b root > root.b
        cmp root.a root.b
    "#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.current_dir(place.path("")).env("OSMDB", env!("CARGO_BIN_EXE_osmdb"));
    let Ok(output) = command.output() else {
        println!("skipped: there is no `unshare`");
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(77) || errors.starts_with("unshare:") {
        println!("skipped: no file system can be mounted here: {errors}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let said = fs::read_to_string(place.path("said")).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    for line in said.lines() {
        let numbers: Vec<u64> = line
            .split_once("there is no room: ")
            .unwrap_or_else(|| panic!("{line}"))
            .1
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        // At least as much as was free is not enough.
        assert!(matches!(numbers[..], [needed, free] if needed > 128 << 10 && free <= 128 << 10), "{line}");
    }
}

#[test]
fn a_writer_that_is_killed_loses_nothing() {
    let place = Place::new();
    place.write("map.osm", MAP);
    let stick = place.path("stick");
    fs::create_dir(&stick).unwrap();
    place.run(["--db", "b", "import", "map.osm"]).done();
    place.run(["--db", "b", "sync", "stick"]).done();
    let theirs = bundles(&stick).remove(0);
    let before = fs::read(&theirs).unwrap();
    let take = |db: &str| {
        let files =
            bundles(&stick).into_iter().filter(|path| path.extension().is_some_and(|end| end == "osmb"));
        let files = files.map(|path| path.to_str().unwrap().to_owned());
        let arguments = ["--db", db, "take"].map(str::to_owned).into_iter().chain(files);
        place.run(arguments).done();
    };
    for (round, salt) in [1, 2].into_iter().enumerate() {
        // The first is a new file, the second is appended to it.
        place.write("many.osm", many(60_000, salt));
        place.run(["--db", "a", "import", "many.osm"]).done();
        let own = || bundles(&stick).into_iter().find(|path| *path != theirs);
        let old = own().map(|path| fs::read(path).unwrap()).unwrap_or_default();
        let mut command = place.command(["--db", "a", "sync", "stick"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_begun = || {
            own().is_some_and(|path| path.metadata().is_ok_and(|meta| meta.len() > old.len() as u64 + 10_000))
        };
        while !is_begun() && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let was_killed = !child.wait().unwrap().success();
        println!("round {round}: killed in the middle: {was_killed}");
        assert_eq!(fs::read(&theirs).unwrap(), before);
        assert!(fs::read(own().unwrap()).unwrap().starts_with(&old), "what was there is there");
        let db = format!("reader{round}");
        take(&db);
        place.run(["--db", "a", "verify"]).done();
        place.run(["--db", "a", "sync", "stick"]).done();
        take(&db);
        assert_eq!(root(&place, &db), root(&place, "a"));
        let names: Vec<_> = bundles(&stick).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert!(names.iter().all(|name| !name.to_str().unwrap().ends_with(".part")), "{names:?}");
    }
}
