//! `sync --follow`: staying connected to peers.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use osmdb::Db;
use osmdb::net::{self, Address, Admit, Fingerprint, Followed, Identity, NetError, Peers};
use osmdb::sync::{Options, Summary};
use serde_json::json;
use tokio::runtime::Runtime;

use super::caller::Caller;
use super::database::{self, Directory};
use super::failure::Failure;
use super::keeping::now;
use super::nearby;
use super::output::{Out, complain, note, plain};
use super::{json as as_json, sync};

pub(super) fn follow(
    dir: &Directory,
    peers: &[Address],
    accept: &[Fingerprint],
    as_json: bool,
) -> Result<(), Failure> {
    if let Some(path) = peers.iter().find_map(|peer| match peer {
        Address::Dir(path) => Some(path),
        _ => None,
    }) {
        return Err(Failure::NobodyToFollow(path.clone()));
    }
    let runtime = sync::runtime()?;
    let followed = database::change(dir, |db| {
        let options = sync::options(&dir.path)?;
        let identity = Identity::of(db)?;
        thread::scope(|threads| {
            let run = |address| {
                let caller = Caller { identity: identity.clone(), home: Some(dir.path.clone()) };
                let follower = Follower { dir: &dir.path, address, caller, as_json };
                let (runtime, options) = (&runtime, options.clone());
                threads.spawn(move || follower.run(db, runtime, options, accept))
            };
            let threads: Vec<_> = peers.iter().map(run).collect();
            let mut failed = None;
            for thread in threads {
                let ended = thread.join().unwrap_or(Err(Failure::Said));
                if let Err(failure) = ended {
                    // The others go on.
                    if let Some(before) = failed.replace(failure) {
                        complain(&plain(&before.to_string()));
                    }
                }
            }
            failed.map_or(Ok(()), Err)
        })
    });
    nearby::end(runtime);
    followed
}

/// Follows one peer.
struct Follower<'a> {
    dir: &'a Path,
    address: &'a Address,
    caller: Caller,
    as_json: bool,
}

impl Follower<'_> {
    fn run(
        &self,
        db: &Db,
        runtime: &Runtime,
        options: Options,
        accept: &[Fingerprint],
    ) -> Result<(), Failure> {
        // The first time, somebody may be asked whether it is the one that is meant.
        let mut first = match self.caller.connect(runtime, self.address, accept) {
            Ok(connection) => Some(connection),
            Err(Failure::Peer { error, .. }) if matches!(*error, NetError::Connect { .. }) => None,
            Err(failure) => return Err(failure),
        };
        let dir = self.dir.to_owned();
        let accepted = accept.to_owned();
        let admit: Admit = Arc::new(move |key| {
            accepted.contains(&Fingerprint::of(key)) || Peers::read(&dir).is_ok_and(|peers| peers.knows(key))
        });
        let mut told = Told::default();
        let key = first.as_ref().and_then(net::Connection::peer);
        let dial = || {
            let first = first.take();
            let admit = Arc::clone(&admit);
            async move {
                match first {
                    Some(connection) => Ok(connection),
                    None => net::dial(self.address, &self.caller.identity, admit).await,
                }
            }
        };
        let report = |followed: Followed<'_>| match followed {
            Followed::Session(summary) => {
                if let Some((gained, given)) = told.news(summary) {
                    if told.is_new {
                        self.remember(key, summary);
                    }
                    // Without a standard output there is nobody to tell.
                    let _ = self.tell(summary, gained, given);
                }
            }
            Followed::Lost { why, wait } => {
                told = Told::default();
                if wait.is_zero() {
                    return;
                }
                let why = why.map_or_else(|| "the peer went".to_owned(), ToString::to_string);
                note(&plain(&format!("{}: {why}; calling again in {} s", self.address, wait.as_secs())));
            }
        };
        let following = net::follow(db, dial, options, report, std::future::pending());
        runtime.block_on(following).map_err(|error| Failure::peer(&self.address.to_string(), error))
    }

    fn remember(&self, key: Option<osmdb::Author>, summary: &Summary) {
        let root = summary.their_root.unwrap_or(summary.root);
        let address = self.address.to_string();
        if let Err(error) = Peers::update(self.dir, |peers| peers.synced(key, Some(&address), root, now())) {
            note(&format!("osmdb: {error}"));
        }
    }

    fn tell(&self, summary: &Summary, gained: u64, given: u64) -> Result<(), Failure> {
        let mut out = Out::new();
        let time = as_json::time(now());
        if self.as_json {
            out.line(json!({
                "peer": self.address.to_string(), "time": time, "gained": gained, "given": given,
                "forked": summary.forked.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "bytes_in": summary.bytes_in, "bytes_out": summary.bytes_out,
                "root": summary.root.to_string(),
            }))?;
        } else {
            let time = time.as_str().unwrap_or_default();
            let entries = super::output::counted(gained, "entry", "entries");
            out.line(format_args!(
                "{time} {}: gained {entries}, gave {given}, root {}",
                self.address, summary.root
            ))?;
        }
        out.finish()
    }
}

/// What was told of a session.
#[derive(Default)]
struct Told {
    follows: bool,
    /// Whether this was the first that was told.
    is_new: bool,
    gained: u64,
    given: u64,
}

impl Told {
    /// Returns what is to be told now: that all was exchanged, and then what is new.
    fn news(&mut self, summary: &Summary) -> Option<(u64, u64)> {
        if !summary.follows {
            return None;
        }
        let news = (summary.gained - self.gained, summary.given - self.given);
        self.is_new = !self.follows;
        (self.follows, self.gained, self.given) = (true, summary.gained, summary.given);
        (self.is_new || news != (0, 0)).then_some(news)
    }
}
