//! `--nearby`: peers on the local network, over QUIC.

use std::net::SocketAddr;
use std::sync::Arc;

use osmdb::Db;
use osmdb::net::{Address, Fingerprint, NetError, ServeOptions};
use tokio::runtime::Runtime;

use super::database::Directory;
use super::failure::Failure;

#[cfg(feature = "iroh")]
mod found {
    use std::io::IsTerminal;

    use osmdb::net::{Identity, NEARBY_TIME, Peers, QuicListener, nearby, serve_quic};

    use super::super::output::note;
    use super::*;

    /// What waits for peers beside what waits for those who come by TCP.
    pub(in crate::cli) type Listener = QuicListener;

    /// Returns the addresses of those who are there, and are known here or accepted; on a terminal, of all: there
    /// somebody can be asked about the others.
    pub(in crate::cli) fn peers(dir: &Directory, accept: &[Fingerprint]) -> Result<Vec<Address>, Failure> {
        let runtime = super::super::sync::runtime()?;
        let found = runtime.block_on(nearby(NEARBY_TIME));
        runtime.shutdown_background();
        let known = Peers::read(&dir.path)?;
        let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let (peers, strangers): (Vec<_>, Vec<_>) = found
            .map_err(|error| Failure::Net(Box::new(error)))?
            .into_iter()
            .partition(|key| is_asked || known.knows(key) || accept.contains(&Fingerprint::of(key)));
        let strangers: Vec<Fingerprint> = strangers.iter().map(Fingerprint::of).collect();
        if peers.is_empty() {
            return Err(Failure::Strangers(strangers));
        }
        for stranger in strangers {
            note(&format!("osmdb: {stranger} is nearby too, and not known here: passed over"));
        }
        Ok(peers.into_iter().map(|key| Address::Iroh { key, place: None }).collect())
    }

    /// Listens, and announces it.
    pub(in crate::cli) fn listen(runtime: &Runtime, db: &Db, at: SocketAddr) -> Result<Listener, Failure> {
        let identity = Identity::of(db)?;
        runtime.block_on(async {
            let listener = QuicListener::bind(&identity, at).await;
            let listener = listener.map_err(|source| Failure::Listen { address: at, source })?;
            listener.announce().map_err(|error| Failure::Net(Box::new(error)))?;
            Ok(listener)
        })
    }

    /// Says where it is listened.
    pub(in crate::cli) fn place(listener: &Listener) -> String {
        format!("listening at {}, announced on the local network", listener.address())
    }

    /// Answers peers, if there is something to hear them with.
    pub(in crate::cli) async fn serve(
        db: Arc<Db>,
        listener: Option<Listener>,
        options: ServeOptions,
    ) -> Result<(), NetError> {
        match listener {
            Some(listener) => serve_quic(db, listener, options, std::future::pending()).await,
            None => std::future::pending().await,
        }
    }

    /// Ends what ran connections, when the peers know that these have ended. A command that does not end is not waited
    /// for.
    pub(in crate::cli) fn end(runtime: Runtime) {
        runtime.block_on(osmdb::net::quic_closed());
        runtime.shutdown_background();
    }
}

#[cfg(not(feature = "iroh"))]
mod found {
    use std::convert::Infallible;

    use super::*;

    /// There is none.
    pub(in crate::cli) type Listener = Infallible;

    fn missing() -> Failure {
        Failure::Net(Box::new(NetError::NoQuic))
    }

    pub(in crate::cli) fn peers(_: &Directory, _: &[Fingerprint]) -> Result<Vec<Address>, Failure> {
        Err(missing())
    }

    pub(in crate::cli) fn listen(_: &Runtime, _: &Db, _: SocketAddr) -> Result<Listener, Failure> {
        Err(missing())
    }

    /// Nobody has a listener to show.
    pub(in crate::cli) fn place(_: &Listener) -> String {
        String::new()
    }

    /// Nobody comes.
    pub(in crate::cli) async fn serve(
        _: Arc<Db>,
        _: Option<Listener>,
        _: ServeOptions,
    ) -> Result<(), NetError> {
        std::future::pending().await
    }

    /// Ends what ran connections. A command that does not end is not waited for.
    pub(in crate::cli) fn end(runtime: Runtime) {
        runtime.shutdown_background();
    }
}

pub(super) use found::{end, listen, peers, place, serve};
