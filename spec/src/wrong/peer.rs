//! What can be wrong in a peer.

use osmdb::sync::SyncError;
use serde_json::{Value, json};

use crate::adapter::osmdb::peer::{exchange, made, talk};
use crate::adapter::{Connection, Params, hex};
use crate::reference::sync::{Frames, STOP, leb128};

/// Says nothing of what it edited itself.
pub(super) fn keeps_back(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    let mut fewer = params.clone();
    if let Some(entries) = fewer["entries"].as_array_mut() {
        entries.pop();
    }
    talk(&fewer, connection)
}

/// Says that all is well after an error.
fn well_after(
    params: &Value,
    connection: &mut dyn Connection,
    wrong: fn(&SyncError) -> bool,
) -> Result<Value, String> {
    let db = made(Params(params))?;
    let agreed = exchange(&db, connection)?.map_or_else(|error| wrong(&error), |()| true);
    Ok(json!({ "root": hex(db.root().as_bytes()), "agreed": agreed }))
}

pub(super) fn forgeries(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    well_after(params, connection, |error| matches!(error, SyncError::Forged { .. }))
}

pub(super) fn any_root(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    well_after(params, connection, |error| matches!(error, SyncError::Root { .. }))
}

pub(super) fn cuts(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    well_after(params, connection, |error| matches!(error, SyncError::Cut))
}

/// A connection that lets something through otherwise.
struct Between<'a> {
    connection: &'a mut dyn Connection,
    /// STOP is not sent.
    mute: bool,
    /// What came of a frame whose length may be in a longer form; nothing: frames are let through.
    lenient: Option<Vec<u8>>,
}

impl Connection for Between<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let is_stop =
            || Frames::default().take(bytes).is_ok_and(|found| found.iter().any(|(kind, _)| *kind == STOP));
        if self.mute && is_stop() { Ok(()) } else { self.connection.send(bytes) }
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(bytes) = self.connection.receive()? else { return Ok(None) };
        let Some(kept) = &mut self.lenient else { return Ok(Some(bytes)) };
        kept.extend(bytes);
        let mut frames = Vec::new();
        while let Some(used) = kept.iter().position(|byte| byte & 0x80 == 0).map(|place| place + 1) {
            let len = kept[..used].iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f));
            if len == 0 || kept.len() < used + len {
                break;
            }
            frames.extend(leb128(len));
            frames.extend(kept.drain(..used + len).skip(used));
        }
        Ok(Some(frames))
    }
}

pub(super) fn mute(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    talk(params, &mut Between { connection, mute: true, lenient: None })
}

pub(super) fn lenient(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    talk(params, &mut Between { connection, mute: false, lenient: Some(Vec::new()) })
}
