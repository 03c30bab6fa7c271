//! The peers that a database knows: a file in its directory.
//!
//! It is a file of its own, and no note of the store, so that peers can be looked at and let in while a
//! program serves the database, which nobody else can open then.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use prolly::Cid;
use serde_json::{Map, Value};

use super::identity::Fingerprint;
use crate::entry::Author;

/// The name of the file, in which each line is one peer, as a JSON object.
const FILE: &str = "peers.jsonl";
const NEW: &str = "peers.new";
const LOCK: &str = "peers.lock";

/// The file is no longer than this, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Somebody with whom a database was united, or may be.
///
/// ```
/// use osmdb::net::Peer;
/// let peer = Peer { name: Some("Hilltop".into()), ..Peer::default() };
/// assert_eq!(peer.key, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// What people compare; `None` if what carries the stream, such as `ssh`, sees to it who is there.
    pub fingerprint: Option<Fingerprint>,
    /// The key, once it was shown.
    pub key: Option<Author>,
    /// What the peer is called here.
    pub name: Option<String>,
    /// Where it was found last.
    pub address: Option<String>,
    /// When all was exchanged last, in seconds since 1970.
    pub synced: Option<i64>,
    /// The root that it had then.
    pub root: Option<Cid>,
}

/// The file of the peers cannot be used.
///
/// ```
/// use osmdb::net::{Peers, PeersError};
/// # let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("peers.jsonl"), "Hilltop\n")?;
/// assert!(matches!(Peers::read(dir.path()), Err(PeersError::Line { number: 1, .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeersError {
    /// The system says no.
    #[error("{}: {what} failed: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A line says nothing of a peer.
    #[error("{}: line {number} is damaged: remove it, or the file, and meet the peer anew", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
    },
    /// The file is longer than 4 MiB.
    #[error("{}: the file is longer than 4 MiB: remove it, and meet the peers anew", path.display())]
    Long {
        /// The file.
        path: PathBuf,
    },
}

fn file(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PeersError {
    let path = path.to_owned();
    move |source| PeersError::File { path, what, source }
}

/// The peers that a database knows.
///
/// ```
/// use osmdb::net::{Fingerprint, Peers};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// # let key = osmdb::Db::in_memory("osm")?.author()?;
/// let fingerprint = Fingerprint::of(&key); // as somebody reads it out
/// Peers::update(dir, |peers| peers.accept(fingerprint, Some("Hilltop")))?;
/// assert!(Peers::read(dir)?.knows(&key));
/// assert!(Peers::update(dir, |peers| peers.forget("Hilltop"))?);
/// assert!(!Peers::read(dir)?.knows(&key));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers(Vec<Peer>);

impl Peers {
    /// Reads the peers of the database in a directory. There may be none, and a program may have the database
    /// open.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// assert!(osmdb::net::Peers::read(dir.path())?.list().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, PeersError> {
        let path = dir.as_ref().join(FILE);
        let text = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => {
                let opened = opened.map_err(file(&path, "opening the file"))?;
                let mut text = String::new();
                let read = opened.take(MAX_FILE + 1).read_to_string(&mut text);
                read.map_err(file(&path, "reading the file"))?;
                text
            }
        };
        if text.len() as u64 > MAX_FILE {
            return Err(PeersError::Long { path });
        }
        let peers = text.lines().enumerate().map(|(line, text)| {
            let damaged = || PeersError::Line { path: path.clone(), number: line + 1 };
            parse(text).ok_or_else(damaged)
        });
        peers.collect::<Result<_, _>>().map(Self)
    }

    /// Changes the peers of the database in a directory. Programs that do so at the same time take turns, and
    /// whoever reads meanwhile sees the old ones or the new.
    ///
    /// # Errors
    /// As for [`read`](Self::read); the file cannot be written, and is as it was.
    pub fn update<T>(dir: impl AsRef<Path>, change: impl FnOnce(&mut Self) -> T) -> Result<T, PeersError> {
        let dir = dir.as_ref();
        let lock = dir.join(LOCK);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let lock_file = opened.map_err(file(&lock, "opening the file"))?;
        lock_file.lock().map_err(file(&lock, "waiting for another program"))?;
        let mut peers = Self::read(dir)?;
        let before = peers.clone();
        let result = change(&mut peers);
        if peers != before {
            let new = dir.join(NEW);
            let written = File::create(&new).and_then(|mut file| {
                peers.0.iter().try_for_each(|peer| writeln!(file, "{}", shown(peer)))?;
                file.sync_all()
            });
            written.map_err(file(&new, "writing the file"))?;
            std::fs::rename(&new, dir.join(FILE)).map_err(file(&new, "naming the file"))?;
        }
        Ok(result)
    }

    /// Returns all of them, in the order in which they came to be known.
    ///
    /// ```
    /// assert_eq!(osmdb::net::Peers::default().list(), []);
    /// ```
    #[must_use]
    pub fn list(&self) -> &[Peer] {
        &self.0
    }

    /// Tells whether the holder of a key is known.
    ///
    /// ```
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// assert!(!osmdb::net::Peers::default().knows(&key));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn knows(&self, key: &Author) -> bool {
        self.find(key).is_some()
    }

    /// Returns what is known of the holder of a key.
    ///
    /// ```
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// assert_eq!(osmdb::net::Peers::default().find(&key), None);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn find(&self, key: &Author) -> Option<&Peer> {
        // Where the key was shown, the fingerprint alone does not do.
        let fits = |peer: &&Peer| match peer.key {
            Some(known) => known == *key,
            None => peer.fingerprint == Some(Fingerprint::of(key)),
        };
        self.0.iter().find(fits)
    }

    /// Lets in whoever has the key with this fingerprint, and gives it a name.
    ///
    /// ```
    /// use osmdb::net::{Fingerprint, Peers};
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// let mut peers = Peers::default();
    /// peers.accept(Fingerprint::of(&key), None);
    /// peers.accept(Fingerprint::of(&key), Some("Hilltop"));
    /// assert_eq!(peers.list().len(), 1);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    pub fn accept(&mut self, fingerprint: Fingerprint, name: Option<&str>) {
        let place = self.0.iter().position(|peer| peer.fingerprint == Some(fingerprint));
        let mut peer = match place {
            Some(place) => self.0.remove(place),
            None => Peer { fingerprint: Some(fingerprint), ..Peer::default() },
        };
        peer.name = name.map(str::to_owned).or(peer.name);
        self.0.insert(place.unwrap_or(self.0.len()), peer);
    }

    /// Notes that all was exchanged with a peer: a known one if it has a key, or one at an address that needs
    /// none. Who is not known does not become so by this.
    ///
    /// ```
    /// use osmdb::net::Peers;
    /// # let root = osmdb::Db::in_memory("osm")?.root();
    /// let mut peers = Peers::default();
    /// peers.synced(None, Some("ssh://hilltop/osm.db"), root, 1_795_000_000);
    /// assert_eq!(peers.list()[0].root, Some(root));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    pub fn synced(&mut self, key: Option<Author>, address: Option<&str>, root: Cid, time: i64) {
        let place = match key {
            Some(key) => {
                let Some(fingerprint) = self.find(&key).map(|peer| peer.fingerprint) else { return };
                self.0.iter().position(|peer| peer.fingerprint == fingerprint)
            }
            None => {
                let Some(address) = address else { return };
                let fits =
                    |peer: &Peer| peer.fingerprint.is_none() && peer.address.as_deref() == Some(address);
                self.0.iter().position(fits)
            }
        };
        let mut peer = place.map(|place| self.0.remove(place)).unwrap_or_default();
        peer.key = key;
        peer.address = address.map(str::to_owned).or(peer.address);
        (peer.synced, peer.root) = (Some(time), Some(root));
        self.0.insert(place.unwrap_or(self.0.len()), peer);
    }

    /// Forgets a peer by its fingerprint, key, name or address; tells whether there was one.
    ///
    /// ```
    /// assert!(!osmdb::net::Peers::default().forget("Hilltop"));
    /// ```
    pub fn forget(&mut self, peer: &str) -> bool {
        let before = self.0.len();
        let fingerprint = peer.parse::<Fingerprint>().ok();
        let key = peer.parse::<Author>().ok();
        self.0.retain(|known| {
            let is_meant = (fingerprint.is_some() && known.fingerprint == fingerprint)
                || (key.is_some() && known.key == key)
                || known.name.as_deref() == Some(peer)
                || known.address.as_deref() == Some(peer);
            !is_meant
        });
        self.0.len() < before
    }
}

fn shown(peer: &Peer) -> Value {
    let Peer { fingerprint, key, name, address, synced, root } = peer;
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    put("fingerprint", fingerprint.map(|fingerprint| fingerprint.to_string().into()));
    put("key", key.map(|key| key.to_string().into()));
    put("name", name.as_deref().map(Value::from));
    put("address", address.as_deref().map(Value::from));
    put("synced", synced.map(Value::from));
    put("root", root.map(|root| root.to_string().into()));
    Value::Object(out)
}

fn parse(line: &str) -> Option<Peer> {
    let value: Value = serde_json::from_str(line).ok()?;
    let fields = value.as_object()?;
    let text = |name: &str| match fields.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    };
    let synced = match fields.get("synced") {
        None => None,
        Some(value) => Some(value.as_i64()?),
    };
    Some(Peer {
        fingerprint: text("fingerprint")?.map(str::parse).transpose().ok()?,
        key: text("key")?.map(str::parse).transpose().ok()?,
        name: text("name")?.map(str::to_owned),
        address: text("address")?.map(str::to_owned),
        synced,
        root: text("root")?.map(str::parse).transpose().ok()?,
    })
}
