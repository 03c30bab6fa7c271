//! The number of the last commit and the digest of its roots, kept outside the engine.
//!
//! The engine takes bytes in its journal that it cannot decode for a torn tail, and drops all that
//! follows: commits that were reported as written would vanish silently. So every commit is also
//! noted here, once the engine has it and before it is reported. There are two slots, written in
//! turn, each in a sector of its own: a torn write leaves the other one whole.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::directory::{io, replace};
use crate::cid::Cid;
use crate::error::StoreError;

const MAGIC: [u8; 8] = *b"prollycm";

/// The greatest sector that any disk writes as a whole.
const SECTOR: usize = 4096;

/// Magic, number, digest, checksum.
const BODY: usize = 8 + 8 + 32;
const LEN: usize = BODY + 32;

/// What is noted of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) roots: Cid,
}

impl Slot {
    pub(super) fn new(number: u64, roots: &BTreeMap<String, Cid>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (name, cid) in roots {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(cid.as_bytes());
        }
        Self { number, roots: Cid::from_hash(*hasher.finalize().as_bytes()) }
    }

    fn encode(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..BODY].copy_from_slice(self.roots.as_bytes());
        let checksum = blake3::hash(&out[..BODY]);
        out[BODY..].copy_from_slice(checksum.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let slot = Self { number, roots: Cid::from_hash(bytes.get(16..BODY)?.try_into().ok()?) };
        (bytes.get(..LEN)? == slot.encode()).then_some(slot)
    }

    /// Odd and even commits have a slot each, so a write never touches the last one noted.
    fn offset(&self) -> u64 {
        (self.number % 2) * (SECTOR as u64)
    }
}

/// Opens the file and reads the greatest slot that is whole. `None`: there is no file.
fn read(path: &Path, options: &OpenOptions) -> Result<Option<(File, Option<Slot>)>, StoreError> {
    let mut file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io("opening the commit slots"))?,
    };
    let mut bytes = Vec::new();
    let limit = 2 * SECTOR as u64;
    (&mut file).take(limit).read_to_end(&mut bytes).map_err(io("reading the commit slots"))?;
    let slots = [0, SECTOR].into_iter().filter_map(|at| Slot::decode(bytes.get(at..)?));
    let slot = slots.max_by_key(|slot| slot.number);
    Ok(Some((file, slot)))
}

/// The file of the two slots.
#[derive(Debug)]
pub(super) struct SlotFile(File);

impl SlotFile {
    /// Begins the file anew with one slot.
    pub(super) fn create(path: &Path, slot: Slot) -> Result<(), StoreError> {
        let mut out = vec![0; 2 * SECTOR];
        let start = if slot.offset() == 0 { 0 } else { SECTOR };
        out[start..start + LEN].copy_from_slice(&slot.encode());
        replace(path, &out)
    }

    /// Opens the file and returns the greatest slot that is whole. `None`: there is none.
    pub(super) fn open(path: &Path) -> Result<Option<(Self, Slot)>, StoreError> {
        let Some((file, slot)) = read(path, OpenOptions::new().read(true).write(true))? else {
            return Ok(None);
        };
        Ok(slot.map(|slot| (Self(file), slot)))
    }

    /// Returns the greatest slot that is whole, though another process may be writing the other one.
    pub(super) fn look(path: &Path) -> Result<Option<Slot>, StoreError> {
        Ok(read(path, OpenOptions::new().read(true))?.and_then(|(_, slot)| slot))
    }

    /// Notes a commit. DURABILITY: it is on disk when this returns.
    pub(super) fn write(&mut self, slot: Slot) -> Result<(), StoreError> {
        self.0.seek(SeekFrom::Start(slot.offset())).map_err(io("writing a commit slot"))?;
        self.0.write_all(&slot.encode()).map_err(io("writing a commit slot"))?;
        self.0.sync_all().map_err(io("syncing the commit slots"))
    }
}
