//! `sync`: uniting with peers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use osmdb::net::{self, Address, Fingerprint, Identity, NetError, Peers, Wire};
use osmdb::sync::{Inbox, Options, Summary, SyncError, Way};
use osmdb::{Db, Merged, Refused};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::bundle;
use super::caller::Caller;
use super::database::{self, Directory};
use super::failure::Failure;
use super::follow;
use super::keeping::now;
use super::merge;
use super::nearby;
use super::output::{Out, complain, counted, grouped, plain, size};

/// The folder of streams that were cut, in the directory of the database.
const INBOX: &str = "inbox";

/// With whom, and how.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// The peers, one after another: tcp://HOST:PORT, ws://HOST:PORT/PATH, iroh://KEY@HOST:PORT, ssh://HOST/PATH,
    /// exec:COMMAND, the directory of another database, or a stick or another directory for bundles
    #[arg(required_unless_present = "nearby", value_name = "PEER")]
    peers: Vec<Address>,
    /// Also those on the local network where `osmdb serve --sync --nearby` runs, if they are known here or accepted.
    /// For programs that were installed with --features iroh
    #[arg(long)]
    nearby: bool,
    /// Stay connected, to all of them at once: what is new on either side goes to the other within a moment. Calls
    /// again when a connection is cut, and ends when the program is stopped
    #[arg(long)]
    follow: bool,
    /// Print one JSON object for each peer; with --follow, for each time that something went to and fro
    #[arg(long)]
    json: bool,
}

pub(super) fn sync(dir: &Directory, args: &SyncArgs, accept: &[Fingerprint]) -> Result<(), Failure> {
    let own =
        args.peers.iter().any(|peer| matches!(peer, Address::Dir(other) if merge::is_same(&dir.path, other)));
    if own {
        return Err(Failure::Itself(dir.path.clone()));
    }
    let mut peers = args.peers.clone();
    if args.nearby {
        peers.extend(nearby::peers(dir, accept)?);
    }
    if args.follow {
        return follow::follow(dir, &peers, accept, args.json);
    }
    let runtime = runtime()?;
    let failed = database::change(dir, |db| {
        let (mut met, mut failed) = (false, false);
        for address in &peers {
            match one(dir, db, &runtime, address, (accept, args.json)) {
                Ok(()) => met = true,
                Err(failure @ Failure::Output(_)) => return Err(failure),
                Err(Failure::Said) => failed = true,
                Err(failure) => {
                    // Whoever was met knows the key of this database: it is to stay.
                    met |= failure.has_met_peer();
                    failed = true;
                    complain(&plain(&failure.to_string()));
                }
            }
        }
        if met || !failed { Ok(failed) } else { Err(Failure::Said) }
    });
    nearby::end(runtime);
    if failed? { Err(Failure::Said) } else { Ok(()) }
}

/// Starts what runs connections.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)
}

/// Says how sessions go: what is cut is kept in the directory of the database.
pub(super) fn options(dir: &Path) -> Result<Options, Failure> {
    let inbox = Inbox::in_dir(dir.join(INBOX)).map_err(|error| Failure::Inbox(Box::new(error)))?;
    Ok(Options { inbox: Some(Arc::new(inbox)), ..Options::default() })
}

/// Unites with one peer, and prints what came of it.
fn one(
    dir: &Directory,
    db: &Db,
    runtime: &Runtime,
    address: &Address,
    (accept, as_json): (&[Fingerprint], bool),
) -> Result<(), Failure> {
    if let Address::Dir(place) = address
        && osmdb::bundle::is_place(place)
    {
        return bundle::sync_with(db, place, as_json);
    }
    let begun = Instant::now();
    let shown = address.to_string();
    let (done, key) = match address {
        Address::Dir(other) => (Done::Directory(beside(db, &dir.other(other))?), None),
        _ => {
            let failed = |error| Failure::peer(&shown, error);
            let caller = Caller { identity: Identity::of(db)?, home: Some(dir.path.clone()) };
            let connection = caller.connect(runtime, address, accept)?;
            let (key, wire) = (connection.peer(), connection.wire().clone());
            let bar = Bar::new();
            let session = net::sync_over(db, connection, options(&dir.path)?, |summary| bar.show(summary));
            let summary = runtime.block_on(session);
            bar.end();
            (Done::Session(Box::new(summary.map_err(failed)?), wire), key)
        }
    };
    let root = done.their_root();
    Peers::update(&dir.path, |peers| peers.synced(key, Some(&shown), root, now()))?;
    let name = key.and_then(|key| Peers::read(&dir.path).ok()?.find(&key)?.name.clone());
    let fingerprint = key.map(|key| Fingerprint::of(&key));
    let mut out = Out::new();
    if as_json {
        out.line(done.json(&shown, fingerprint, name.as_deref(), begun.elapsed()))?;
    } else {
        let who = match (name, fingerprint) {
            (Some(name), _) => format!("{} ({shown})", plain(&name)),
            (None, Some(fingerprint)) => format!("{fingerprint} ({shown})"),
            (None, None) => shown,
        };
        out.line(format_args!("synced with {who}"))?;
        done.print(&mut out, begun.elapsed())?;
    }
    out.finish()
}

/// Unites with the database in another directory, both ways.
fn beside(db: &Db, other: &Directory) -> Result<[Merged; 2], Failure> {
    let theirs = database::existing(other).map_err(|failure| match failure {
        Failure::NoDatabase(path) => Failure::NoOther(path),
        failure => failure,
    })?;
    let here = db.merge(&theirs.snapshot())?;
    let there = theirs.merge(&db.snapshot())?;
    Ok([here, there])
}

/// What has come of it.
enum Done {
    Session(Box<Summary>, Wire),
    Directory([Merged; 2]),
}

impl Done {
    /// Returns the root that the peer has now.
    fn their_root(&self) -> prolly::Cid {
        match self {
            Self::Session(summary, _) => summary.their_root.unwrap_or(summary.root),
            Self::Directory([_, there]) => there.root,
        }
    }

    fn print(&self, out: &mut Out, time: Duration) -> Result<(), Failure> {
        let seconds = time.as_secs_f64();
        let (root, refused, edited) = match self {
            Self::Session(summary, wire) => {
                out.line(exchanged(summary))?;
                out.line(format_args!(
                    "{}, {} in and {} out ({} and {} on the wire), {seconds:.1} s",
                    counted(round_trips(summary), "round trip", "round trips"),
                    size(summary.bytes_in),
                    size(summary.bytes_out),
                    size(wire.bytes_in()),
                    size(wire.bytes_out()),
                ))?;
                match (summary.way, summary.base) {
                    (Some(Way::Equal), _) => out.line("both were equal")?,
                    (_, Some(base)) => out.line(format_args!("common root {base}"))?,
                    _ => out.line("no common root: all entries were compared")?,
                }
                (summary.root, &summary.refused, summary.edited)
            }
            Self::Directory([here, there]) => {
                out.line(format_args!(
                    "gained {}, gave {}, {}",
                    counted(here.gained, "entry", "entries"),
                    grouped(there.gained),
                    counted(here.forked.len(), "fork", "forks"),
                ))?;
                let (read, more) = (here.pages_here + there.pages_there, here.pages_there + there.pages_here);
                out.line(format_args!(
                    "read {} here and {} there, {seconds:.1} s",
                    counted(read, "page", "pages"),
                    grouped(more as u64),
                ))?;
                (there.root, &here.refused, false)
            }
        };
        for Refused { element, version, why } in refused {
            out.line(format_args!("refused {version} of {element}: {why}"))?;
        }
        if root != self.their_root() {
            out.line(format_args!("root there {}", self.their_root()))?;
        }
        if edited {
            out.line("edits went on meanwhile: sync again for the rest")?;
        }
        out.line(format_args!("root {root}"))
    }

    fn json(
        &self,
        address: &str,
        fingerprint: Option<Fingerprint>,
        name: Option<&str>,
        time: Duration,
    ) -> Value {
        let mut out = json!({
            "peer": address,
            "fingerprint": fingerprint.map(|fingerprint| fingerprint.to_string()),
            "name": name,
            "seconds": time.as_secs_f64(),
        });
        let more = match self {
            Self::Session(summary, wire) => json!({
                "way": summary.way.map(|way| match way {
                    Way::Equal => "equal",
                    Way::Delta => "delta",
                    Way::Walk => "walk",
                }),
                "gained": summary.gained,
                "given": summary.given,
                "received": summary.received,
                "sent": summary.sent,
                "forked": summary.forked.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "refused": refused(&summary.refused),
                "round_trips": round_trips(summary),
                "bytes_in": summary.bytes_in,
                "bytes_out": summary.bytes_out,
                "wire_bytes_in": wire.bytes_in(),
                "wire_bytes_out": wire.bytes_out(),
                "common_root": summary.base.map(|base| base.to_string()),
                "root": summary.root.to_string(),
                "their_root": self.their_root().to_string(),
                "edited": summary.edited,
            }),
            Self::Directory([here, there]) => json!({
                "way": "directory",
                "gained": here.gained,
                "given": there.gained,
                "forked": here.forked.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "refused": refused(&here.refused),
                "pages_here": here.pages_here + there.pages_there,
                "pages_there": here.pages_there + there.pages_here,
                "root": there.root.to_string(),
                "their_root": there.root.to_string(),
            }),
        };
        if let (Some(out), Value::Object(more)) = (out.as_object_mut(), more) {
            out.extend(more);
        }
        out
    }
}

pub(super) fn refused(refused: &[Refused]) -> Vec<Value> {
    let one = |Refused { element, version, why }: &Refused| json!({"element": element.to_string(), "version": version.to_string(), "why": why.to_string()});
    refused.iter().map(one).collect()
}

/// How often both had to wait for an answer: what is said on meeting is half of one.
pub(super) fn round_trips(summary: &Summary) -> u32 {
    summary.crossings.div_ceil(2)
}

/// Says what went where.
pub(super) fn exchanged(summary: &Summary) -> String {
    format!(
        "gained {}, gave {}, {}, {} refused",
        counted(summary.gained, "entry", "entries"),
        grouped(summary.given),
        counted(summary.forked.len(), "fork", "forks"),
        grouped(summary.refused.len() as u64),
    )
}

/// What a failure of a connection leaves to do.
pub(super) fn advice(error: &NetError) -> String {
    match error {
        NetError::Connect { address, .. } if address.starts_with("iroh://") => {
            "is `osmdb serve --sync --nearby` running there?".into()
        }
        NetError::Connect { .. } => "is `osmdb serve --sync` running there?".into(),
        NetError::NobodyNearby { .. } => {
            "run `osmdb serve --sync --nearby` there, in the same network, or name a peer".into()
        }
        NetError::NoMulticast { .. } => "name a peer, or an address to listen at".into(),
        NetError::UnknownPeer { key } => format!(
            "compare it with the one that is shown there, and try again with --accept {}",
            Fingerprint::of(key)
        ),
        NetError::NotKnownThere { ours } => {
            format!("ask for `osmdb peers accept {ours}` there, and try again")
        }
        NetError::Handshake { .. } => "check the address, and whether both programs are of one age".into(),
        NetError::SlowHandshake | NetError::Io(_) => "check the connection, and sync again".into(),
        NetError::Sync(SyncError::Version { .. }) => "use the newer program on both sides".into(),
        NetError::Sync(SyncError::NoAgreement { .. }) => {
            "somebody else writes there at the same time: sync again, what came is kept".into()
        }
        NetError::Sync(SyncError::Silence { .. } | SyncError::Slow { .. }) => {
            "check the connection, and sync again: what came is not sent again".into()
        }
        _ => String::new(),
    }
}

/// How far the session is; shown on terminals only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        // It draws to the standard error, and hides itself where that is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message("meeting");
        Self(bar)
    }

    fn show(&self, summary: &Summary) {
        let entries = counted(summary.received + summary.sent, "entry", "entries");
        self.0.set_message(format!(
            "{entries}, {} in, {} out",
            size(summary.bytes_in),
            size(summary.bytes_out)
        ));
        self.0.tick();
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
