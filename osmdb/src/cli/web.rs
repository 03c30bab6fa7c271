//! `serve` without `--sync` and `--stdio`: answering editors.

use std::net::{IpAddr, Ipv4Addr};

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
}

#[cfg(not(feature = "server"))]
pub(super) fn serve(_: &Directory, _: &WebArgs) -> Result<(), Failure> {
    Err(Failure::NoServer)
}

/// Answers editors until Ctrl-C.
#[cfg(feature = "server")]
pub(super) fn serve(dir: &Directory, args: &WebArgs) -> Result<(), Failure> {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use osmdb::server::{self, ServerOptions};
    use tokio::net::TcpListener;

    let db = Arc::new(super::database::existing(dir)?);
    let runtime = super::sync::runtime()?;
    let address = SocketAddr::new(args.bind, args.port);
    let failed = |source| Failure::ListenWeb { address, source };
    let stop = Stop::new()?;
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    super::serve::say(&format!("listening at http://{address}"))?;
    let mut options = ServerOptions::default();
    options.home = Some(dir.path.clone());
    let serving = server::serve(db, listener, options, stop.asked());
    Ok(runtime.block_on(serving)?)
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
