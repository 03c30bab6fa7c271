//! Checks an implementation against the vectors, serves our own, and writes the vectors.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use spec::{adapter, runner, vectors, wrong};

const USAGE: &str =
    "usage: spec check [--strict] [--without SECTION]… [--timeout SECONDS] [--vectors DIR] [-- COMMAND…]
       spec adapter osmdb|prolly|reference|wrong-NAME
       spec vectors [DIR]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<bool, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    match words.as_slice() {
        ["check", rest @ ..] => check(rest, default),
        ["adapter", name] => {
            let (answer, talk): (adapter::Answer, Option<adapter::Talk>) = match *name {
                "osmdb" => (adapter::osmdb::answer, Some(adapter::osmdb::peer::talk)),
                "prolly" => (adapter::prolly::answer, None),
                "reference" => (adapter::reference::answer, None),
                other => {
                    let found =
                        wrong::WRONG.iter().find(|wrong| other.strip_prefix("wrong-") == Some(wrong.name));
                    let wrong = found.ok_or(USAGE)?;
                    (wrong.answer, wrong.talk)
                }
            };
            let served = adapter::serve(answer, talk, std::io::stdin().lock(), std::io::stdout().lock());
            served.map(|()| true).map_err(|error| error.to_string())
        }
        ["vectors", rest @ ..] if rest.len() < 2 => {
            let dir = rest.first().map_or(default, PathBuf::from);
            std::fs::create_dir_all(dir.join("must-refuse")).map_err(|error| error.to_string())?;
            for (name, text) in vectors::make()? {
                std::fs::write(dir.join(name), text).map_err(|error| format!("{name}: {error}"))?;
            }
            Ok(true)
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn check(mut args: &[&str], mut dir: PathBuf) -> Result<bool, String> {
    let (mut strict, mut seconds, mut without) = (false, 60, Vec::new());
    let command = loop {
        match args {
            ["--strict", rest @ ..] => (strict, args) = (true, rest),
            ["--without", section, rest @ ..] => {
                without.push(*section);
                args = rest;
            }
            ["--timeout", n, rest @ ..] => (seconds, args) = (n.parse().map_err(|_| USAGE)?, rest),
            ["--vectors", path, rest @ ..] => (dir, args) = (PathBuf::from(path), rest),
            ["--", program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest);
                break command;
            }
            [] => {
                let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
                command.args(["adapter", "osmdb"]);
                break command;
            }
            _ => return Err(USAGE.to_owned()),
        }
    };
    let mut process = runner::Process::start(command, Duration::from_secs(seconds))?;
    let mut good = true;
    for (name, section) in runner::check(&mut process, &dir)? {
        let (failed, skipped) = (section.failures.len(), section.skipped);
        let unserved = without.contains(&name.as_str());
        let note = if skipped > 0 { ": not served" } else { "" };
        println!("{name:10} {:5} passed {failed:5} failed {skipped:5} skipped{note}", section.passed);
        section.failures.iter().for_each(|failure| println!("{failure}"));
        // A section that is said not to be served, and is, must not stay so by mistake.
        good &= failed == 0 && (skipped == 0 || !strict || unserved) && !(unserved && skipped == 0);
    }
    Ok(good)
}
