//! `serve`: answering peers, or editors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures_util::future::try_join;
use osmdb::net::{self, Admit, Fingerprint, Identity, NetError, Peers, ServeOptions, Stdio, Visit};
use tokio::net::TcpListener;

use super::database::{self, Directory};
use super::failure::Failure;
use super::keeping::now;
use super::output::{Out, counted, note, plain, size};
use super::{json, nearby, sync, web};

/// Who is answered, and how.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The directory of the database [default: that of --db]
    dir: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    web: web::WebArgs,
    /// Where peers may call: a number of this machine and a port. 0.0.0.0:5001 is everywhere [default:
    /// 127.0.0.1:5001, or with --nearby 0.0.0.0:5001]
    #[arg(long, value_name = "ADDRESS", requires = "sync")]
    listen: Option<SocketAddr>,
    /// Also answer peers who call by QUIC, at the same number and port, and announce that on the local network:
    /// `osmdb sync --nearby` finds it. For programs that were installed with --features iroh
    #[arg(long, requires = "sync", conflicts_with = "stdio")]
    nearby: bool,
    /// Who may come: those whom `osmdb peers` lists, or anyone [default: known, and anyone if only programs of this
    /// machine can call]
    #[arg(long, value_name = "WHO", requires = "sync")]
    allow: Option<Allow>,
}

/// Where it is listened if nothing else is said.
const fn default_listen(nearby: bool) -> SocketAddr {
    let number = if nearby { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    SocketAddr::new(IpAddr::V4(number), net::DEFAULT_PORT)
}

/// One of these, or neither: then editors are answered.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct How {
    /// Answer whoever started the program, over the standard input and output, and end
    #[arg(long)]
    stdio: bool,
    /// Answer peers who call by TCP or WebSocket, until the program is stopped
    #[arg(long)]
    sync: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Allow {
    Known,
    Anyone,
}

pub(super) fn serve(dir: &Directory, args: &ServeArgs) -> Result<(), Failure> {
    let dir = args.dir.as_deref().map_or_else(|| dir.other(&dir.path), |other| dir.other(other));
    if !args.how.stdio && !args.how.sync {
        return web::serve(&dir, &args.web);
    }
    let db = database::existing(&dir)?;
    let dir = dir.path.as_path();
    let runtime = sync::runtime()?;
    let served = if args.how.stdio {
        let options = sync::options(dir)?;
        let session = async { net::sync_over(&db, Stdio::new(), options, |_| ()).await };
        runtime.block_on(session).map(drop).map_err(|error| Failure::peer("the peer", error))
    } else {
        let listen = args.listen.unwrap_or(default_listen(args.nearby));
        let listening = runtime.block_on(TcpListener::bind(listen));
        let failed = |source| Failure::Listen { address: listen, source };
        let listener = listening.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let near = args.nearby.then(|| nearby::listen(&runtime, &db, listen)).transpose()?;
        let fingerprint = Identity::of(&db)?.fingerprint();
        say(&format!("listening at tcp://{address}, fingerprint {fingerprint}"))?;
        if let Some(near) = &near {
            say(&nearby::place(near))?;
        }
        let options = visitors(dir, args.allow, listen.ip())?;
        let db = Arc::new(db);
        let near = nearby::serve(Arc::clone(&db), near, options.clone());
        let serving = net::serve(db, listener, options, std::future::pending());
        let serving = async { try_join(serving, near).await.map(drop) };
        runtime.block_on(serving).map_err(|error| Failure::Net(Box::new(error)))
    };
    // Nobody may ever end the standard input.
    runtime.shutdown_background();
    served
}

/// Says how peers are answered who call at an address of this machine.
pub(super) fn visitors(dir: &Path, allow: Option<Allow>, at: IpAddr) -> Result<ServeOptions, Failure> {
    let allow = match allow {
        Some(allow) => allow,
        None if at.is_loopback() => Allow::Anyone,
        None => Allow::Known,
    };
    let admit: Admit = {
        let dir = dir.to_owned();
        // Read anew for every visitor: somebody may have been let in or forgotten meanwhile.
        Arc::new(move |key| allow == Allow::Anyone || Peers::read(&dir).is_ok_and(|peers| peers.knows(key)))
    };
    let reporting = {
        let dir = dir.to_owned();
        Arc::new(move |visit: &Visit| report(&dir, visit))
    };
    Ok(ServeOptions { sync: sync::options(dir)?, admit, report: reporting })
}

/// Prints one line at once.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    let mut out = Out::new();
    out.line(line)?;
    out.finish()
}

/// Remembers a visit, and prints it.
fn report(dir: &Path, visit: &Visit) {
    if let Ok(summary) = &visit.outcome
        && let Some(root) = summary.their_root
        && let Err(error) = Peers::update(dir, |peers| peers.synced(visit.peer, None, root, now()))
    {
        note(&format!("osmdb: {error}"));
    }
    let known = visit.peer.and_then(|key| Peers::read(dir).ok()?.find(&key).cloned());
    let name = known.and_then(|peer| peer.name).map(|name| plain(&name));
    let who = match (name, visit.peer) {
        (Some(name), _) => format!("{name} ({})", visit.from),
        (None, Some(key)) => format!("{} ({})", Fingerprint::of(&key), visit.from),
        (None, None) => visit.from.to_string(),
    };
    let what = match &visit.outcome {
        Ok(summary) if summary.way.is_none() => {
            format!("only read, {} in and {} out", size(visit.wire.bytes_in()), size(visit.wire.bytes_out()))
        }
        Ok(summary) => format!(
            "{}, {}, {} in and {} out, root {}",
            sync::exchanged(summary),
            counted(sync::round_trips(summary), "round trip", "round trips"),
            size(visit.wire.bytes_in()),
            size(visit.wire.bytes_out()),
            summary.root,
        ),
        Err(NetError::UnknownPeer { key }) => {
            format!("refused: not known here; `osmdb peers accept {}` lets it in", Fingerprint::of(key))
        }
        Err(error) => format!("failed: {}", plain(&error.to_string())),
    };
    let time = json::time(now());
    // Without a standard output there is nobody to tell.
    let _ = say(&format!(
        "{} {who}: {what}, {:.1} s",
        time.as_str().unwrap_or_default(),
        visit.time.as_secs_f64()
    ));
}
