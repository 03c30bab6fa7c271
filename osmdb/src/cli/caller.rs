//! Calling peers: who calls, and what is done about a peer that is not known yet.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use osmdb::net::{self, Address, Admit, Connection, Fingerprint, Identity, NetError, Peers};
use tokio::runtime::Runtime;

use super::failure::Failure;
use super::output::note;

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    /// Where it is kept who is known; a caller without a home meets everybody for the first time.
    pub(super) home: Option<PathBuf>,
}

impl Caller {
    /// Connects to a peer that is known or accepted, and asks about another one.
    pub(super) fn connect(
        &self,
        runtime: &Runtime,
        address: &Address,
        accept: &[Fingerprint],
    ) -> Result<Connection, Failure> {
        let known = self.home.as_ref().map_or_else(|| Ok(Peers::default()), Peers::read)?;
        let mut accepted: BTreeSet<Fingerprint> = accept.iter().copied().collect();
        let dial = |accepted: &BTreeSet<Fingerprint>| {
            let (known, accepted) = (known.clone(), accepted.clone());
            let admit: Admit =
                Arc::new(move |key| known.knows(key) || accepted.contains(&Fingerprint::of(key)));
            runtime.block_on(net::dial(address, &self.identity, admit))
        };
        let own = self.identity.fingerprint();
        let connection = match dial(&accepted) {
            Err(NetError::UnknownPeer { key }) if ask(address, Fingerprint::of(&key), own) => {
                accepted.insert(Fingerprint::of(&key));
                dial(&accepted)
            }
            other => other,
        };
        let connection = connection.map_err(|error| Failure::peer(&address.to_string(), error))?;
        if let (Some(home), Some(key)) = (&self.home, connection.peer().filter(|key| !known.knows(key))) {
            Peers::update(home, |peers| peers.accept(Fingerprint::of(&key), None))?;
        }
        Ok(connection)
    }
}

/// Asks on a terminal whether a peer is the one that was meant. Without a terminal, it is not.
fn ask(address: &Address, theirs: Fingerprint, ours: Fingerprint) -> bool {
    let (input, mut errors) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !errors.is_terminal() {
        return false;
    }
    note(&format!("The peer at {address} is not known yet. Compare with whoever is there:"));
    note(&format!("    its fingerprint   {theirs}\n    this device is    {ours}"));
    let _ = write!(errors, "Is it the one that you mean? [y/N] ");
    let _ = errors.flush();
    let mut answer = String::new();
    let read = input.lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
