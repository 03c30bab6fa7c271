//! `pin`, `pins`, `unpin`, `check-out`: areas of datasets elsewhere, for when nobody can be reached.

use std::path::Path;

use osmdb::{BBox, BlockingRemote, PageOrigin, Pins, RemoteError};
use prolly::{FjallStore, PageStore};
use serde_json::{Value, json};

use super::Verb;
use super::database::{self, Directory};
use super::failure::Failure;
use super::json as as_json;
use super::output::{Out, counted};

/// Does what needs the cache alone; `None`: it needs more.
pub(super) fn without_asking(verb: &Verb, cache: Option<&Path>) -> Option<Result<(), Failure>> {
    match verb {
        Verb::Pins { json } => Some(opened(cache).and_then(|cache| list(cache.as_ref(), *json))),
        Verb::Unpin { bbox } => Some(opened(cache).and_then(|cache| unpin(cache.as_ref(), *bbox))),
        _ => None,
    }
}

/// Opens a cache, which is not made if it is not there.
fn opened(cache: Option<&Path>) -> Result<Option<FjallStore>, Failure> {
    let cache = cache.ok_or(Failure::NoCache)?;
    if !cache.exists() {
        return Ok(None);
    }
    Ok(Some(FjallStore::open_existing(cache).map_err(osmdb::Error::from)?))
}

fn pins_in(cache: Option<&FjallStore>) -> Result<Option<Pins>, Failure> {
    Ok(cache.map(Pins::in_cache).transpose().map_err(RemoteError::from)?.flatten())
}

fn list(cache: Option<&FjallStore>, json: bool) -> Result<(), Failure> {
    print(pins_in(cache)?.as_ref(), json)
}

fn unpin(cache: Option<&FjallStore>, area: BBox) -> Result<(), Failure> {
    let let_go = cache.map(|cache| Pins::let_go(cache, area)).transpose().map_err(RemoteError::from)?;
    if let_go == Some(true) { Ok(()) } else { Err(Failure::NotPinned(area)) }
}

fn print(pins: Option<&Pins>, json: bool) -> Result<(), Failure> {
    let mut out = Out::new();
    if json {
        out.line(pins.map_or(Value::Null, |pins| {
            json!({
                "root": pins.root.to_string(),
                "time": as_json::time(pins.time),
                "areas": pins.areas.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        }))?;
        return out.finish();
    }
    if let Some(pins) = pins {
        for area in &pins.areas {
            out.line(format_args!("{area}  {}", shown(pins)))?;
        }
    }
    out.finish()
}

/// Says as of when something is pinned.
pub(super) fn shown(pins: &Pins) -> String {
    let time = as_json::time(pins.time);
    format!("root {} of {}", pins.root, time.as_str().unwrap_or_default())
}

pub(super) fn pin<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    area: Option<BBox>,
    json: bool,
) -> Result<(), Failure> {
    // What is pinned cannot be pinned from itself.
    if remote.offline().is_some() {
        return Err(RemoteError::NoOrigin.into());
    }
    let pins = match area {
        Some(area) => remote.pin(area)?,
        None => remote.refresh_pins()?.ok_or(Failure::NothingPinned)?,
    };
    print(Some(&pins), json)
}

pub(super) fn check_out<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    area: BBox,
    own: &Directory,
) -> Result<(), Failure> {
    let (gained, root) = database::change(own, |db| {
        let gained = remote.check_out(area, db)?;
        Ok((gained, db.root()))
    })?;
    let mut out = Out::new();
    out.line(format_args!("{} new, root {root}", counted(gained, "version", "versions")))?;
    out.finish()
}
