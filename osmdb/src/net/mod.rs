//! Peers over the network: what carries a [session](crate::sync), and who is at the other end.
//!
//! [`sync_over`] exchanges everything over any two-way stream of bytes. [`dial`] makes such a stream of an
//! [`Address`], and [`serve`] answers those who dial. Whatever crosses a network is [`Secured`]: TLS 1.3, in
//! which both sides prove that they have the key of their device, so that a peer is who its key says. There are
//! no certificates, no names and no authorities: whether a key belongs to the neighbour is what two people
//! find out once, by comparing its [`Fingerprint`], and [`Peers`] remembers it.
//!
//! ```
//! use std::sync::Arc;
//! use osmdb::net::{self, Identity, ServeOptions};
//! use osmdb::sync::Options;
//! use osmdb::{Coord, Db, Payload, Tags};
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let (hilltop, riverside) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
//! hilltop.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
//!
//! // Hilltop waits for Riverside, and for nobody else.
//! let friend = riverside.author()?;
//! let options = ServeOptions { admit: Arc::new(move |key| *key == friend), ..ServeOptions::default() };
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = format!("tcp://{}", listener.local_addr()?).parse()?;
//! let friend = hilltop.author()?;
//! tokio::spawn(net::serve(Arc::new(hilltop), listener, options, std::future::pending()));
//!
//! let identity = Identity::of(&riverside)?;
//! let connection = net::dial(&address, &identity, Arc::new(move |key| *key == friend)).await?;
//! let summary = net::sync_over(&riverside, connection, Options::default(), |_| ()).await?;
//! assert_eq!((summary.gained, summary.their_root), (1, Some(riverside.root())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod dial;
mod drive;
mod error;
mod follow;
mod identity;
#[cfg(feature = "iroh")]
mod nearby;
mod origin;
mod peers;
mod piped;
#[cfg(feature = "iroh")]
mod quic;
mod serve;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

use std::time::Duration;

pub use self::address::{Address, ParseAddressError};
pub use self::dial::{Connection, Wire, dial};
pub use self::drive::sync_over;
pub use self::error::NetError;
pub use self::follow::{FIRST_WAIT, Followed, LONGEST_WAIT, follow};
pub use self::identity::{Fingerprint, Identity, ParseFingerprintError};
#[cfg(feature = "iroh")]
pub use self::nearby::{MAX_NEARBY, NEARBY_TIME, nearby};
pub use self::origin::PeerOrigin;
pub use self::peers::{Peer, Peers, PeersError};
pub use self::piped::Stdio;
#[cfg(feature = "iroh")]
pub use self::quic::{QuicListener, quic_closed, serve_quic};
#[cfg(feature = "server")]
pub(crate) use self::serve::Server;
pub use self::serve::{MAX_FOLLOWERS, MAX_SESSIONS, ServeOptions, Visit, serve};
pub use self::tls::{Admit, Secured};
pub use self::websocket::WebSocket;

/// The port at which peers are looked for, if an address names none.
///
/// ```
/// use osmdb::net::{Address, DEFAULT_PORT};
/// let address: Address = "tcp://hilltop.example".parse()?;
/// assert_eq!(address, Address::Tcp { host: "hilltop.example".into(), port: DEFAULT_PORT });
/// # Ok::<(), osmdb::net::ParseAddressError>(())
/// ```
pub const DEFAULT_PORT: u16 = 5001;

/// Two peers have so long to connect, and so long to prove who they are.
///
/// ```
/// assert_eq!(osmdb::net::HANDSHAKE_TIME.as_secs(), 10);
/// ```
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
