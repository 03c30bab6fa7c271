//! Checks an implementation against the vectors, serves our own, and writes the vectors.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use spec::{adapter, runner, vectors, wrong};

const USAGE: &str = "usage: spec check [--strict] [--timeout SECONDS] [--vectors DIR] [-- COMMAND…]
       spec adapter prolly|reference|wrong-NAME
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
            let answer = match *name {
                "prolly" => adapter::prolly::answer,
                "reference" => adapter::reference::answer,
                other => {
                    let found =
                        wrong::WRONG.iter().find(|wrong| other.strip_prefix("wrong-") == Some(wrong.name));
                    found.ok_or(USAGE)?.answer
                }
            };
            let served = adapter::serve(answer, std::io::stdin().lock(), std::io::stdout().lock());
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
    let (mut strict, mut seconds) = (false, 60);
    let command = loop {
        match args {
            ["--strict", rest @ ..] => (strict, args) = (true, rest),
            ["--timeout", n, rest @ ..] => (seconds, args) = (n.parse().map_err(|_| USAGE)?, rest),
            ["--vectors", path, rest @ ..] => (dir, args) = (PathBuf::from(path), rest),
            ["--", program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest);
                break command;
            }
            [] => {
                let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
                command.args(["adapter", "prolly"]);
                break command;
            }
            _ => return Err(USAGE.to_owned()),
        }
    };
    let mut process = runner::Process::start(command, Duration::from_secs(seconds))?;
    let mut good = true;
    for (name, section) in runner::check(&mut process, &dir)? {
        let (failed, skipped) = (section.failures.len(), section.skipped);
        println!("{name:10} {:5} passed {failed:5} failed {skipped:5} skipped", section.passed);
        section.failures.iter().for_each(|failure| println!("{failure}"));
        good &= failed == 0 && (skipped == 0 || !strict);
    }
    Ok(good)
}
