//! Bundles the page at `/` of `osmdb serve`, with the map library that it uses.
//!
//! The bundle is taken from the folder that the environment variable `OSMDB_PAGE` names; else from `page/dist`, which
//! a published crate brings along; else npm makes it, outside of the source tree. Where it cannot, or `OSMDB_PAGE` is
//! `off`, the program is built without a map, says so, and at `/` it says how to get one.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the bundle is made of.
const SOURCES: [&str; 6] = ["package.json", "package-lock.json", ".npmrc", "bundle.mjs", "index.html", "src"];

/// What is in the bundle, each compressed.
const FILES: [&str; 4] = ["index.html", "page.js", "style.css", "licences.txt"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=OSMDB_PAGE");
    if env::var_os("CARGO_FEATURE_PAGE").is_none() {
        return Ok(());
    }
    let (source, out) = (folder("CARGO_MANIFEST_DIR")?.join("page"), folder("OUT_DIR")?);
    for name in SOURCES {
        println!("cargo::rerun-if-changed=page/{name}");
    }
    let code = match bundle(&source, &out) {
        Ok(bundle) => included(&bundle),
        Err(why) => {
            println!("cargo::warning=the page at / of `osmdb serve` has no map: {why}");
            format!("Err({why:?})")
        }
    };
    fs::write(out.join("page_files.rs"), code)
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("cargo sets {variable}")))
}

/// Finds the bundle or makes it; else says why there is none.
fn bundle(source: &Path, out: &Path) -> Result<PathBuf, String> {
    let made = source.join("dist");
    match env::var_os("OSMDB_PAGE") {
        Some(off) if off == "off" => return Err("OSMDB_PAGE is off".to_owned()),
        Some(dir) if !dir.is_empty() => return whole(Path::new(&dir)),
        _ if made.is_dir() => {
            println!("cargo::rerun-if-changed=page/dist");
            return whole(&made);
        }
        _ => {}
    }
    if env::var_os("DOCS_RS").is_some() {
        return Err("it is not needed for the documentation".to_owned());
    }
    let work = out.join("page");
    let copied = fs::remove_dir_all(&work).or_else(absent).and_then(|()| copy(source, &work));
    copied.map_err(|error| format!("its sources cannot be copied: {error}"))?;
    // Nothing of a package is run but the bundler.
    run(
        &work,
        &["ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000"],
    )?;
    run(&work, &["run", "--silent", "build"])?;
    // They are large, and no longer needed.
    let _ = fs::remove_dir_all(work.join("node_modules"));
    whole(&work.join("dist"))
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn whole(dir: &Path) -> Result<PathBuf, String> {
    // Paths from the environment are relative to where cargo was started, which is not here.
    let dir = fs::canonicalize(dir).map_err(|error| format!("{} cannot be read: {error}", dir.display()))?;
    let lacks = FILES.iter().find(|name| !dir.join(format!("{name}.gz")).is_file());
    lacks.map_or(Ok(dir.clone()), |name| Err(format!("{} has no {name}.gz", dir.display())))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("src"))?;
    for name in SOURCES.into_iter().filter(|name| *name != "src") {
        fs::copy(from.join(name), to.join(name))?;
    }
    for file in fs::read_dir(from.join("src"))? {
        let file = file?;
        fs::copy(file.path(), to.join("src").join(file.file_name()))?;
    }
    Ok(())
}

fn run(dir: &Path, arguments: &[&str]) -> Result<(), String> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let ran = Command::new(npm).args(arguments).current_dir(dir).output();
    let ran = ran.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "npm is not installed".to_owned(),
        _ => format!("npm cannot be run: {error}"),
    })?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let reason =
        said.lines().find(|line| line.contains("error") || line.contains("ERR")).unwrap_or("").trim();
    Err(format!("`npm {}` failed: {reason}", arguments.first().unwrap_or(&"")))
}

/// Returns the code of the names of the files and their contents.
fn included(dir: &Path) -> String {
    let mut code = "Ok(&[".to_owned();
    for name in FILES {
        let path = dir.join(format!("{name}.gz"));
        // Writing into a text cannot fail.
        let _ = write!(code, "({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    code + "])"
}
