//! The section `sync`: a session of `osmdb` over lines.

use osmdb::Db;
use osmdb::sync::{Options, Session, SyncError};
use prolly::MemoryStore;
use serde_json::{Value, json};

use super::{database, text};
use crate::adapter::prolly::config;
use crate::adapter::{Connection, Params, hex};

/// Makes the database that the parameters describe, with the roots that it had.
///
/// # Errors
/// The parameters describe none.
pub fn made(params: Params<'_>) -> Result<Db<MemoryStore>, String> {
    let db = database::empty(params.at("name").text()?, config(params)?)?;
    for had in params.at("had").items()? {
        database::add(&db, &had.records()?)?;
    }
    database::add(&db, &params.at("entries").records()?)?;
    Ok(db)
}

/// Answers the request for a session: has one.
///
/// # Errors
/// The parameters describe no database, or the lines end.
pub fn talk(params: &Value, connection: &mut dyn Connection) -> Result<Value, String> {
    let db = made(Params(params))?;
    let ended = exchange(&db, connection)?;
    Ok(json!({ "root": hex(db.root().as_bytes()), "agreed": ended.is_ok() }))
}

/// Has a session; the inner error is how it ended.
///
/// # Errors
/// The lines end.
pub(crate) fn exchange(
    db: &Db<MemoryStore>,
    connection: &mut dyn Connection,
) -> Result<Result<(), SyncError>, String> {
    let mut session = Session::new(db, Options::default()).map_err(text)?;
    let mut step = |session: &mut Session<'_, MemoryStore>| -> Result<Result<bool, SyncError>, String> {
        loop {
            match session.send() {
                Ok(Some(bytes)) => connection.send(&bytes)?,
                Ok(None) if session.is_finished() => return Ok(Ok(true)),
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        match connection.receive()? {
            Some(bytes) => Ok(session.receive(&bytes).map(|()| false)),
            None if session.is_read_only() => Ok(Ok(true)),
            None => Ok(Err(SyncError::Cut)),
        }
    };
    loop {
        match step(&mut session)? {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => {}
            Err(error) => {
                if !matches!(error, SyncError::Refused { .. } | SyncError::Cut) {
                    connection.send(&session.farewell(&error))?;
                }
                return Ok(Err(error));
            }
        }
    }
}
