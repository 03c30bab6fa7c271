//! The command line: one file for each family of verbs, on the library's public interface alone.
//!
//! Results go to the standard output, everything else to the standard error. A verb that fails says
//! why in one sentence. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod args;
mod bundle;
mod caller;
mod database;
mod demo;
mod diff;
mod edit;
mod export;
mod failure;
#[cfg(feature = "flatgeobuf")]
mod flatgeobuf;
mod follow;
mod from;
mod geojson;
mod graph;
mod history;
mod import;
mod input;
mod json;
mod keeping;
mod merge;
mod nearby;
mod nearest;
mod output;
mod peers;
mod pins;
mod query;
mod serve;
mod show;
mod stats;
mod sync;
#[cfg(feature = "server")]
mod token;
mod trust;
mod watch;
mod web;

use std::error::Error as _;
use std::num::ParseIntError;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Verb};
use database::Directory;
use failure::Failure;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(Cli { db, at, wait, from, accept, trusted_root, trust, cache, verb }: Cli) -> Result<(), Failure> {
    let db = Directory { path: db, wait: Duration::from_secs(wait.into()) };
    if at.is_some() && !verb.reads_the_past() {
        return Err(Failure::NotThen);
    }
    let trust = trust::Trust { root: trusted_root, signers: trust };
    if from.is_some() || cache.is_some() {
        return from::From { name: from, cache, accept, at, trust, own: db }.run(&verb);
    }
    if trust.is_given() {
        return Err(Failure::NobodyToTrust);
    }
    if !accept.is_empty() && !matches!(verb, Verb::Sync(_)) {
        return Err(Failure::NobodyToAccept);
    }
    match verb {
        Verb::Demo { dir } => demo::demo(dir.as_deref()),
        Verb::Import { files, json } => import::import(&db, &files, json),
        Verb::Root { json } => show::root(&db, at, json),
        Verb::Get { elements } => show::get(&db, at, &elements),
        Verb::Query(args) => query::query(&db, at, &args),
        Verb::Publish { to } => from::publish(&db, at, &to),
        Verb::Export { file, changeset: Some(changeset), json, .. } => {
            diff::changeset(&db, at, &file, changeset, json)
        }
        Verb::Export { file, bbox, history, changeset: None, json } => {
            export::export(&db, at, &file, bbox, history, json)
        }
        Verb::Diff { older, newer, osc, json } => diff::diff(&db, older, newer.or(at), osc.as_deref(), json),
        Verb::Nearest(args) => nearest::nearest(&db, at, &args),
        Verb::History { element, json } => history::history(&db, at, element, json),
        Verb::Refs { elements, json } => history::refs(&db, at, &elements, json),
        Verb::Changes { changeset } => history::changes(&db, at, changeset),
        Verb::Forks { json, limit, cursor } => history::forks(&db, at, json, limit, cursor.as_ref()),
        Verb::Bundle(args) => bundle::bundle(&db, &args),
        Verb::Take(args) => bundle::take(&db, &args),
        Verb::Sync(args) => sync::sync(&db, &args, &accept),
        Verb::Serve(args) => serve::serve(&db, &args),
        Verb::Pin { .. } | Verb::Pins { .. } | Verb::Unpin { .. } | Verb::CheckOut { .. } => {
            Err(Failure::NoCache)
        }
        Verb::Peers(args) => peers::peers(&db, &args),
        #[cfg(feature = "server")]
        Verb::Token(verb) => token::token(&db, &verb),
        Verb::Merge { other, stats, json } => merge::merge(&db, &other, stats, json),
        Verb::Create(args) => edit::create(&db, &args),
        Verb::Put(args) => edit::put(&db, &args),
        Verb::Delete(args) => edit::delete(&db, &args),
        Verb::Resolve { element, version, json } => edit::resolve(&db, element, version, json),
        Verb::Changeset(verb) => edit::changeset(&db, verb),
        Verb::Authors { name, json } => keeping::authors(&db, name.as_deref(), json),
        Verb::Reflog { json } => keeping::reflog(&db, json),
        Verb::Watch(args) => watch::watch(&db, &args),
        Verb::Undo { to, json } => keeping::undo(&db, to, json),
        Verb::Gc(args) => keeping::gc(&db, &args),
        Verb::Verify { repair, json } => stats::verify(&db, repair, json),
        Verb::Completions { shell } => completions(shell),
        Verb::Stats { json } => stats::stats(&db, at, json),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "osmdb", &mut script);
    let mut out = output::Out::new();
    out.part(String::from_utf8_lossy(&script))?;
    out.finish()
}

/// Shows help where it was asked for, and otherwise says in one sentence what is wrong with the
/// arguments.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away has read enough.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
        }
        // What the standard library says of a number does not name the argument.
        ErrorKind::ValueValidation if error.source().is_some_and(|source| !source.is::<ParseIntError>()) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            output::complain(&source);
        }
        _ => output::complain(&format!("{}; see `osmdb --help`", first_words(&error.to_string()))),
    }
    ExitCode::from(failure::USAGE)
}

/// Takes what is said of the arguments before the usage is repeated, as one line.
fn first_words(message: &str) -> String {
    let parts = message.split("\n\n").take_while(|part| {
        let part = part.trim_start();
        !part.starts_with("Usage:") && !part.starts_with("For more information")
    });
    let lines = |part: &str| part.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let lines = parts.map(lines).collect::<Vec<_>>().join("; ");
    lines.strip_prefix("error: ").unwrap_or(&lines).to_owned()
}
