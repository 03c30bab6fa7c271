//! `serve` without `--sync` and `--stdio`: answering editors.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;

use super::database::Directory;
use super::failure::Failure;

/// Where editors are answered.
#[derive(Debug, Args)]
pub(super) struct WebArgs {
    /// The port at which editors are answered
    #[arg(long, value_name = "PORT", default_value_t = 5000, conflicts_with_all = ["stdio", "sync"])]
    port: u16,
    /// The number of this machine at which editors are answered. 0.0.0.0 is everywhere
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), conflicts_with_all = ["stdio", "sync"])]
    bind: IpAddr,
    /// Ask for a token on this machine too
    #[arg(long, conflicts_with_all = ["stdio", "sync"])]
    tokens: bool,
    /// Let pages from there change this database without a token, such as https://editor.example
    #[arg(long, value_name = "ORIGIN", conflicts_with_all = ["stdio", "sync"])]
    allow_origin: Vec<String>,
    /// Serve an editor at /edit/: a build of iD, such as node_modules/@openstreetmap/id/dist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["stdio", "sync"])]
    editor: Option<PathBuf>,
}

#[cfg(not(feature = "server"))]
pub(super) fn serve(_: &Directory, _: &WebArgs) -> Result<(), Failure> {
    Err(Failure::NoServer)
}

/// What every build of iD has.
#[cfg(feature = "server")]
const EDITOR: &str = "iD.min.js";

/// Answers editors until Ctrl-C.
#[cfg(feature = "server")]
pub(super) fn serve(dir: &Directory, args: &WebArgs) -> Result<(), Failure> {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use osmdb::server::{self, Access, ServerOptions, Tokens};
    use tokio::net::TcpListener;

    if let Some(editor) = args.editor.as_ref().filter(|editor| !editor.join(EDITOR).is_file()) {
        return Err(Failure::NoEditor(editor.clone()));
    }
    let db = Arc::new(super::database::existing(dir)?);
    let runtime = super::sync::runtime()?;
    let address = SocketAddr::new(args.bind, args.port);
    let failed = |source| Failure::ListenWeb { address, source };
    let stop = Stop::new()?;
    let mut options = ServerOptions::default();
    options.origins.clone_from(&args.allow_origin);
    options.editor.clone_from(&args.editor);
    options.home = Some(dir.path.clone());
    options.log = Some(Arc::new(|logged| super::output::note(&line(logged))));
    if args.tokens || !args.bind.is_loopback() {
        options.access = Access::Tokens(dir.path.clone());
        if Tokens::read(&dir.path)?.names().next().is_none() {
            super::output::note("osmdb: nobody has a token yet: make one with `osmdb token add NAME`");
        }
    }
    options.peers = Some(super::serve::visitors(&dir.path, None, args.bind)?);
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    super::serve::say(&format!("listening at http://{address}"))?;
    if args.editor.is_some() {
        super::output::note(&format!("the editor is at http://{address}/edit/"));
    }
    let serving = server::serve(db, listener, options, stop.asked());
    runtime.block_on(serving).map_err(|error| Failure::Net(Box::new(error)))
}

/// Says of a request what became of it.
#[cfg(feature = "server")]
fn line(logged: &osmdb::server::Logged<'_>) -> String {
    let time = super::json::time(super::keeping::now());
    let mut out = serde_json::json!({
        "time": time,
        "from": logged.from.to_string(),
        "method": logged.method,
        "path": logged.path,
        "status": logged.status,
        "ms": u64::try_from(logged.time.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(refused) = logged.refused {
        out["refused"] = refused.into();
    }
    out.to_string()
}

/// How often it is looked whether the program is to end.
#[cfg(feature = "server")]
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

/// Ctrl-C, or another wish that the program end. Asked twice, it ends at once.
#[cfg(feature = "server")]
struct Stop(std::sync::Arc<std::sync::atomic::AtomicBool>);

#[cfg(feature = "server")]
impl Stop {
    fn new() -> Result<Self, Failure> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        use std::sync::Arc;

        let asked = Arc::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, super::failure::FAILED.into(), Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .map_err(Failure::Signals)?;
        }
        Ok(Self(asked))
    }

    async fn asked(self) {
        while !self.0.load(std::sync::atomic::Ordering::Relaxed) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
