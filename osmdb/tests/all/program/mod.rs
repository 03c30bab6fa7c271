//! Runs the program as its users do.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A map of a few elements: a square of houses' worth, a road through it, a fork-free history.
pub const MAP: &str = r#"<?xml version="1.0"?>
<osm version="0.6">
  <node id="1" version="1" timestamp="2024-02-29T12:34:56Z" lat="1" lon="1"/>
  <node id="2" version="1" lat="1" lon="3"/>
  <node id="3" version="2" lat="1.5" lon="1.5" changeset="7" uid="8" user="Ada"><tag k="amenity" v="well"/><tag k="@id" v="x"/></node>
  <node id="10" version="1" lat="-33.5" lon="-70.25"><tag k="name" v="Süd &quot;1&quot;"/></node>
  <node id="11" version="1" lat="-17" lon="179.5"><tag k="place" v="island"/></node>
  <node id="12" version="1" lat="-17" lon="-179.5"><tag k="place" v="island"/></node>
  <node id="13" version="3" visible="false"/>
  <way id="5" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="path"/></way>
  <way id="6" version="1"><nd ref="2"/><nd ref="999"/><tag k="highway" v="cut off"/></way>
  <relation id="9" version="1"><member type="way" ref="5" role="outer"/><member type="node" ref="77" role=""/><tag k="type" v="route"/></relation>
</osm>
"#;

/// A file name of every OSM format and packing that is written.
pub const NAMES: [&str; 9] = [
    "a.osm",
    "a.osm.gz",
    "a.osm.bz2",
    "a.osm.zst",
    "a.osm.pbf",
    "a.osc",
    "a.osc.gz",
    "a.osc.bz2",
    "a.osc.zst",
];

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Ran {
    /// Takes the results of a run that must have worked.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Checks that a run failed, with one sentence and no results; returns the sentence.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        let [line] = lines.as_slice() else { panic!("not one line: {self:?}") };
        let sentence = line.strip_prefix("osmdb: ").unwrap_or_else(|| panic!("{self:?}"));
        let dumps = ["panicked", "backtrace", "Error {", "Some(", "Err("];
        assert!(dumps.iter().all(|dump| !sentence.contains(dump)), "{self:?}");
        sentence.to_owned()
    }
}

/// An empty directory in which the program runs.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the map in `map.osm`, imported into `osm.db`.
    pub fn with_map() -> Self {
        let place = Self::new();
        place.write("map.osm", MAP);
        place.run(["import", "map.osm"]).done();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Lists what is there.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osmdb"));
        command.current_dir(self.0.path()).args(arguments).env("RUST_BACKTRACE", "1");
        command
    }

    /// Runs the program with something on its standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        self.command(arguments).output().unwrap().into()
    }
}

/// Finds a file of real data; says so where there is none.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let dir = std::env::var_os("OSMDB_TEST_DATA").map_or(beside, PathBuf::from);
    let path = dir.join(name);
    if !path.exists() {
        println!("skipped: {name} is not here; name its directory with OSMDB_TEST_DATA");
        return None;
    }
    Some(path)
}
