//! Whom to believe what the root of a dataset elsewhere is: `--root` and `--trust`.

use osmdb::net::{Fingerprint, Peer, Peers};
use osmdb::{Author, RemoteError, RemoteOptions, SignedRoot, Signers, TrustError};
use prolly::Cid;

use super::database::Directory;
use super::failure::Failure;
use super::json;
use super::output::plain;

/// What the arguments say.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) root: Option<Cid>,
    /// Fingerprints, keys, or names of peers.
    pub(super) signers: Vec<String>,
}

impl Trust {
    pub(super) const fn is_given(&self) -> bool {
        self.root.is_some() || !self.signers.is_empty()
    }

    /// Says it to the library. Names are those of the peers that are known in a directory.
    pub(super) fn options(&self, root: Option<Cid>, home: &Directory) -> Result<RemoteOptions, Failure> {
        let options = RemoteOptions { root: self.root.or(root), ..RemoteOptions::default() };
        if self.signers.is_empty() {
            return Ok(options);
        }
        let (mut keys, mut fingerprints) = (Vec::new(), Vec::new());
        for text in &self.signers {
            if let Ok(key) = text.parse::<Author>() {
                keys.push(key);
            } else if let Ok(fingerprint) = text.parse::<Fingerprint>() {
                fingerprints.push(fingerprint);
            } else {
                let peers = Peers::read(&home.path)?;
                let named = |peer: &&Peer| peer.name.as_deref() == Some(text);
                match peers.list().iter().find(named).map(|peer| (peer.key, peer.fingerprint)) {
                    Some((Some(key), _)) => keys.push(key),
                    Some((None, Some(fingerprint))) => fingerprints.push(fingerprint),
                    _ => return Err(Failure::NoSigner(text.clone())),
                }
            }
        }
        let trusts = move |key: &Author| keys.contains(key) || fingerprints.contains(&Fingerprint::of(key));
        Ok(RemoteOptions { signers: Some(Signers::those(trusts)), ..options })
    }
}

/// Says who stands for a root.
pub(super) fn shown(root: Cid, signed: Option<SignedRoot>, home: &Directory) -> String {
    let Some(signed) = signed else { return format!("root {root}, not signed") };
    let key = signed.author();
    let peers = Peers::read(&home.path).unwrap_or_default();
    let who = match peers.find(&key).and_then(|peer| peer.name.as_deref()) {
        Some(name) => plain(name),
        None => Fingerprint::of(&key).to_string(),
    };
    let time = i64::try_from(signed.number()).map(json::time).ok();
    let time = time.as_ref().and_then(|time| time.as_str()).unwrap_or_default();
    format!("root {root}, signed by {who} at {time}")
}

/// What is left to do when a root is not trusted.
pub(super) fn advice(error: &RemoteError) -> String {
    let RemoteError::Trust { source, .. } = error else { return String::new() };
    match source {
        TrustError::Unsigned { .. } => {
            ": have it published by a program that signs, or name with --root a root that you know".into()
        }
        TrustError::Stranger { author } => {
            format!(": if it is the one that you mean, give --trust {}", Fingerprint::of(author))
        }
        TrustError::Older { .. } => ": ask somebody else who has it, or whoever signed it".into(),
        TrustError::Twice { .. } => {
            ": ask whoever signed them which of them holds, and give it with --root".into()
        }
        _ => String::new(),
    }
}
