//! Programs of others read our CAR files: with the IPLD packages of Python and of JavaScript.
//!
//! `.ci/interop` installs these packages and sets `OSMDB_INTEROP=require`. Without them a test prints why
//! it is skipped. `OSMDB_INTEROP_PYTHON` names the Python to use, `OSMDB_INTEROP_JS` a directory with
//! `read_car.mjs` and the JavaScript packages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use prolly::{Config, MemoryStore, Tree};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop")
}

/// A few thousand pairs, with values at every limit between inline and three rows of value pages.
fn sample() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut pairs: BTreeMap<_, _> = (0u32..5_000)
        .map(|n| {
            let hash = *blake3::hash(&n.to_be_bytes()).as_bytes();
            let len = usize::from(hash[31]);
            (hash[..16].to_vec(), hash.repeat(8)[..len].to_vec())
        })
        .collect();
    pairs.insert(Vec::new(), Vec::new());
    for len in [1024, 1025, 8192, 8193, 300_000, 1 << 20, (1 << 20) + 1] {
        let value = (0..len).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        pairs.insert(format!("long {len}").into_bytes(), value);
    }
    pairs
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

/// Runs a reader on an exported tree and compares the pairs that it prints.
fn reads_what_we_write(name: &str, probe: &mut Command, reader: &mut Command) {
    let found = probe.output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var("OSMDB_INTEROP").as_deref() != Ok("require"), "{name} cannot run");
        println!("skipped: {name} or its packages are not installed; .ci/interop installs them");
        return;
    }
    let pairs = sample();
    let store = MemoryStore::new();
    let tree = Tree::build(&store, Config::default(), &pairs).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tree.car");
    let file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let exported = tree.export_car(&store, file).unwrap();

    let output = reader.arg(&path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = pairs.iter().map(|(key, value)| format!("{} {}", hex(key), hex(value)));
    assert!(printed.lines().eq(expected), "{name} reads other pairs");
    println!("{name} read {} pairs from {} blocks", pairs.len(), exported.blocks);
}

#[test]
fn python_reads_our_files() {
    let python = env::var("OSMDB_INTEROP_PYTHON").unwrap_or_else(|_| "python3".into());
    reads_what_we_write(
        "python",
        Command::new(&python).args(["-c", "import dag_cbor, multiformats, blake3"]),
        Command::new(&python).arg(scripts().join("read_car.py")),
    );
}

#[test]
fn javascript_reads_our_files() {
    let directory = env::var("OSMDB_INTEROP_JS").map_or_else(|_| scripts(), PathBuf::from);
    let packages = ["@ipld/car", "@ipld/dag-cbor", "multiformats", "@noble/hashes/blake3.js"];
    let imports = packages.map(|package| format!("import('{package}')")).join(", ");
    let probe = format!("await Promise.all([{imports}])");
    reads_what_we_write(
        "javascript",
        Command::new("node").args(["--input-type=module", "-e", &probe]).current_dir(&directory),
        Command::new("node").arg(directory.join("read_car.mjs")),
    );
}
