//! Who is on the local network: multicast DNS (RFC 6762) with service discovery (RFC 6763), without any server.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use iroh::{Endpoint, PublicKey, SecretKey};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use tokio::time::{Instant, timeout_at};

use super::error::NetError;
use crate::entry::Author;

/// What peers announce: `KEY._osmdb._udp.local`.
const SERVICE: &str = "osmdb";

/// So long [`nearby`] waits for somebody, unless it is told otherwise.
///
/// ```
/// assert_eq!(osmdb::net::NEARBY_TIME.as_secs(), 5);
/// ```
pub const NEARBY_TIME: Duration = Duration::from_secs(5);

/// So many peers [`nearby`] names at most: anybody on the network can make up any number of them.
///
/// ```
/// assert_eq!(osmdb::net::MAX_NEARBY, 64);
/// ```
pub const MAX_NEARBY: usize = 64;

/// When somebody was found, others have so long to answer too.
const SETTLE: Duration = Duration::from_millis(1_500);

/// Asks on the local network who [is there](super::QuicListener::announce), and returns the keys, each once, in
/// their order: as soon as a second and a half went by since the last one was found. That they have these keys is
/// not proved before they are [dialed](super::dial): at `iroh://KEY`, which finds out where they are.
///
/// Sends two or three small packets a second. Needs a tokio runtime with I/O and time.
///
/// ```no_run
/// use osmdb::net::{self, Fingerprint, NEARBY_TIME};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// for key in net::nearby(NEARBY_TIME).await? {
///     println!("{} is nearby, at iroh://{key}", Fingerprint::of(&key));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`NobodyNearby`](NetError::NobodyNearby) if nobody has answered after `patience`;
/// [`NoMulticast`](NetError::NoMulticast) if the system does not let the program speak to the local network.
pub async fn nearby(patience: Duration) -> Result<Vec<Author>, NetError> {
    // Who asks says nothing of itself.
    let mdns = lookup(SecretKey::generate().public(), false)?;
    let mut events = mdns.subscribe().await;
    let mut found = BTreeSet::new();
    let mut until = Instant::now() + patience;
    while found.len() < MAX_NEARBY {
        match timeout_at(until, events.next()).await {
            Ok(Some(DiscoveryEvent::Discovered { endpoint_info, .. })) => {
                if found.insert(Author::new(*endpoint_info.endpoint_id.as_bytes())) {
                    until = until.min(Instant::now() + SETTLE);
                }
            }
            Ok(Some(DiscoveryEvent::Expired { endpoint_id })) => {
                found.remove(&Author::new(*endpoint_id.as_bytes()));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    if found.is_empty() {
        Err(NetError::NobodyNearby { waited: patience })
    } else {
        Ok(found.into_iter().collect())
    }
}

/// Lets an endpoint find others on the local network, and be found.
pub(super) fn look_from(endpoint: &Endpoint, announce: bool) -> Result<(), NetError> {
    let mdns = lookup(endpoint.id(), announce)?;
    let failed = |error| NetError::NoMulticast { reason: format!("{error:#}") };
    endpoint.address_lookup().map_err(failed)?.add(mdns);
    Ok(())
}

fn lookup(own: PublicKey, announce: bool) -> Result<MdnsAddressLookup, NetError> {
    let mdns = MdnsAddressLookup::builder().service_name(SERVICE).advertise(announce).build(own);
    mdns.map_err(|error| NetError::NoMulticast { reason: format!("{error:#}") })
}
