//! `peers`: who is known.

use clap::{Args, Subcommand};
use osmdb::net::{Fingerprint, Identity, Peer, Peers};
use serde_json::json;

use super::database::{self, Directory};
use super::failure::Failure;
use super::json as as_json;
use super::keeping::now;
use super::output::{Out, counted, note, plain};

/// What becomes of the peers.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct PeersArgs {
    #[command(subcommand)]
    verb: Option<PeersVerb>,
    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PeersVerb {
    /// Let in the peer with this fingerprint, and call it by a name
    #[command(after_help = "Example:\n  osmdb peers accept 28142-39391-20653-19938 Hilltop")]
    Accept {
        /// What `osmdb peers` and `osmdb serve` show there
        fingerprint: Fingerprint,
        /// What it is called here
        name: Option<String>,
    },
    /// Forget a peer: it is not let in any more, and not connected to without asking
    #[command(
        after_help = "Examples:\n  osmdb peers forget Hilltop\n  osmdb peers forget 28142-39391-20653-19938"
    )]
    Forget {
        /// Its fingerprint, key, name or address
        peer: String,
    },
}

pub(super) fn peers(dir: &Directory, args: &PeersArgs) -> Result<(), Failure> {
    match &args.verb {
        None => list(dir, args.json),
        Some(PeersVerb::Accept { fingerprint, name }) => {
            database::look(dir)?;
            Ok(Peers::update(&dir.path, |peers| peers.accept(*fingerprint, name.as_deref()))?)
        }
        Some(PeersVerb::Forget { peer }) => {
            database::look(dir)?;
            let found = Peers::update(&dir.path, |peers| peers.forget(peer))?;
            if found { Ok(()) } else { Err(Failure::NoPeer(peer.clone())) }
        }
    }
}

fn list(dir: &Directory, json: bool) -> Result<(), Failure> {
    database::look(dir)?;
    let mut out = Out::new();
    match database::unless_locked(dir)? {
        Some(db) => {
            let fingerprint = Identity::of(&db)?.fingerprint();
            if json {
                out.line(json!({"fingerprint": fingerprint.to_string(), "here": true}))?;
            } else {
                out.line(format_args!("{fingerprint}  this database"))?;
            }
        }
        None => note("osmdb: another program has the database open, and shows its fingerprint"),
    }
    let now = now();
    for Peer { fingerprint, key, name, address, synced, root } in Peers::read(&dir.path)?.list() {
        let fingerprint = fingerprint.map(|fingerprint| fingerprint.to_string());
        let time = synced.map(as_json::time);
        let age = synced.map(|synced| now.saturating_sub(synced));
        let root = root.map(|root| root.to_string());
        if json {
            out.line(json!({
                "fingerprint": fingerprint, "key": key.map(|key| key.to_string()), "name": name,
                "address": address, "synced": time, "age_seconds": age, "root": root, "here": false,
            }))?;
            continue;
        }
        // What needs no fingerprint has a line for its address.
        out.part(fingerprint.unwrap_or_else(|| "-".repeat(23)))?;
        for text in [name, address].into_iter().flatten() {
            out.part(format_args!("  {}", plain(text)))?;
        }
        match (time, age, root) {
            (Some(time), Some(age), Some(root)) => {
                let time = time.as_str().unwrap_or_default();
                out.line(format_args!("  synced {time} ({} ago)  root {root}", ago(age)))?;
            }
            _ => out.line("  never synced")?,
        }
    }
    out.finish()
}

/// Shows how long ago something was, in its largest unit.
pub(super) fn ago(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    match seconds {
        0..60 => counted(seconds, "second", "seconds"),
        60..3_600 => counted(seconds / 60, "minute", "minutes"),
        3_600..86_400 => counted(seconds / 3_600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn ages_are_readable() {
        let ages = [-5, 1, 59, 60, 7_200, 86_400 * 3].map(ago);
        assert_eq!(ages, ["0 seconds", "1 second", "59 seconds", "1 minute", "2 hours", "3 days"]);
    }
}
