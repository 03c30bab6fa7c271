//! The manifests of the engine, checked before it reads them.
//!
//! Every keyspace has a file `v<id>` that lists its tables, and `current` with the id and checksum
//! of the one that counts. lsm-tree 3.1.10 writes that checksum, but does not compare it: from a
//! damaged list it allocates whatever a number says, and it takes tables that are not listed for
//! leftovers and deletes them. A keyspace without `current` is deleted as a whole.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::directory::io;
use crate::error::StoreError;

/// Id, checksum, kind of checksum.
const CURRENT_BYTES: usize = 8 + 16 + 1;

/// The kind of checksum that is XXH3-128.
const XXH3: u8 = 0;

/// Checks the manifests of all keyspaces.
pub(super) fn check(engine: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(engine.join("keyspaces")).map_err(io("listing the keyspaces"))?;
    for entry in entries {
        let path = entry.map_err(io("listing the keyspaces"))?.path();
        if path.is_dir() && !is_whole(&path).map_err(io("reading a manifest"))? {
            let name = path.file_name().unwrap_or_default().display();
            return Err(StoreError::Record { name: format!("engine/keyspaces/{name}") });
        }
    }
    Ok(())
}

fn is_whole(keyspace: &Path) -> std::io::Result<bool> {
    let current = match std::fs::read(keyspace.join("current")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        current => current?,
    };
    let Ok([current @ .., XXH3]) = <[u8; CURRENT_BYTES]>::try_from(current) else { return Ok(false) };
    let Some((id, checksum)) = current.split_first_chunk() else { return Ok(false) };
    let mut file = match File::open(keyspace.join(format!("v{}", u64::from_le_bytes(*id)))) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let (mut hasher, mut buffer) = (Xxh3::new(), [0; 8 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest128().to_le_bytes() == checksum),
            len => hasher.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}
