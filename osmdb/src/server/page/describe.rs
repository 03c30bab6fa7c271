//! Elements and the database as the page shows them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use prolly::{Cid, PageSource};
use serde_json::{Map, Value, json};

use super::reply;
use crate::db::{Feature, Head, Revision, Snapshot};
use crate::entry::{Entry, Origin, shown_of};
use crate::error::Error;
use crate::geometry::Window;
use crate::model::{Coord, ElementId, Kind, Payload, Tags, UNITS_PER_DEGREE};
use crate::net::Fingerprint;
use crate::root::Counts;
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;
use crate::timestamp::show_timestamp;
use crate::views::derive::shown_coord;
use crate::views::spatial::{self, Geometry};

/// To find where most of a database is, so many of its places are looked at.
const SAMPLES: usize = 256;

/// Of these, so many are left out at every side: the one hotel in another country does not count.
const OUTLIERS: usize = 4;

/// To find the box of a relation, so many of its members are looked at.
const MAX_MEMBERS: usize = 500;

pub(super) async fn database(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let author = app.db.author()?;
        let root = snapshot.root();
        let Counts { entries, nodes, ways, relations, changesets, deleted, forks } = root.counts;
        Ok(json!({
            "name": root.name,
            "root": root.cid().to_string(),
            "counts": {
                "entries": entries, "nodes": nodes, "ways": ways, "relations": relations,
                "changesets": changesets, "deleted": deleted, "forks": forks,
            },
            "author": author.to_string(),
            "fingerprint": Fingerprint::of(&author).to_string(),
            "bounds": extent(&snapshot)?.map(|window| bounds(&window)),
            "editor": app.options.editor.is_some(),
        }))
    });
    Ok(reply::json(&value.await?))
}

/// Returns a window around most of what is in the database. Costs a few hundred pages at most.
fn extent<S: PageSource>(snapshot: &Snapshot<S>) -> Result<Option<Window>, Error> {
    let sample = snapshot.root().trees.spatial.sample(snapshot.source(), 0, SAMPLES)?;
    let windows: Vec<Window> = sample.iter().filter_map(|(key, _)| spatial::window_of(key)).collect();
    let side = |of: fn(&Window) -> i32| {
        let mut sides: Vec<i32> = windows.iter().map(of).collect();
        sides.sort_unstable();
        sides
    };
    let few = if windows.len() < 8 * OUTLIERS { 0 } else { OUTLIERS };
    let low = |of| side(of).get(few).copied();
    let high = |of| side(of).into_iter().rev().nth(few);
    let sides = (low(|w| w.west), low(|w| w.south), high(|w| w.east), high(|w| w.north));
    let (Some(west), Some(south), Some(east), Some(north)) = sides else { return Ok(None) };
    Ok(Some(Window { west, south, east: east.max(west), north: north.max(south) }))
}

/// Shows units of 10⁻⁷ degree as degrees.
pub(super) fn degrees(units: i32) -> Value {
    (f64::from(units) / f64::from(UNITS_PER_DEGREE)).into()
}

/// Shows a box: west, south, east, north in degrees.
pub(super) fn bounds(Window { west, south, east, north }: &Window) -> Value {
    [west, south, east, north].into_iter().map(|side| degrees(*side)).collect()
}

pub(super) fn time(seconds: i64) -> Value {
    show_timestamp(seconds).map_or_else(|| seconds.into(), Value::from)
}

pub(super) fn cid(cid: &Cid) -> Value {
    cid.to_string().into()
}

pub(super) fn tags(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| (key.to_owned(), value.into())).collect::<Map<String, Value>>().into()
}

/// Returns what an element is called.
pub(super) fn name(tags: &Tags) -> Value {
    ["name", "ref", "addr:housename"].into_iter().find_map(|key| tags.get(key)).into()
}

/// Returns the tag that says best what an element is.
fn title(tags: &Tags) -> Value {
    let telling = [
        "amenity", "shop", "tourism", "place", "natural", "highway", "building", "landuse", "leisure",
        "waterway", "railway", "boundary", "route", "power", "barrier", "type",
    ];
    let tag = telling.into_iter().find_map(|key| Some((key, tags.get(key)?))).or_else(|| tags.iter().next());
    tag.map(|(key, value)| format!("{key}={value}")).into()
}

/// Returns a feature of a list.
pub(super) fn feature<S: PageSource>(snapshot: &Snapshot<S>, feature: &Feature) -> Result<Value, Error> {
    let window = match &feature.geometry {
        Geometry::Point(coord) => Window::around(&[*coord]),
        Geometry::Line(line) => Window::around(line),
        Geometry::Members => {
            let members = feature.members.iter().map(|member| member.element);
            around_members(snapshot, members.collect())?
        }
    };
    Ok(json!({
        "element": feature.element.to_string(),
        "name": name(&feature.tags),
        "title": title(&feature.tags),
        "bounds": window.as_ref().map(bounds),
    }))
}

/// Returns one version: a head, or one of the history.
fn version(app: &App, entry: &Entry) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    match &entry.payload {
        None => {
            put("deleted", true.into());
        }
        Some(payload) => {
            put("tags", tags(payload.tags()));
            match payload {
                Payload::Node { coord, .. } => {
                    put("lat", degrees(coord.lat()));
                    put("lon", degrees(coord.lon()));
                }
                Payload::Way { refs, .. } => {
                    put("nodes", refs.len().into());
                }
                Payload::Relation { members, .. } => {
                    put("members", members.len().into());
                }
                Payload::Changeset { .. } => {}
            }
        }
    }
    put("timestamp", entry.timestamp().map(time).into());
    put("changeset", entry.changeset().map(|id| id.to_string()).into());
    match &entry.origin {
        Origin::Imported(meta) => {
            put("osm_version", meta.version.into());
            put("user", meta.user.as_deref().into());
        }
        Origin::Edited(meta) => {
            if let Some(signed) = meta.signed {
                put("author", signed.author.to_string().into());
                put("author_name", app.local.user_name(signed.author).into());
            }
        }
    }
    out
}

/// Returns the heads of an element.
pub(super) fn heads(app: &App, heads: &[Head]) -> Value {
    let shown = shown_of(heads, |head| (head.version, &head.entry)).map(|head| head.version);
    let head = |head: &Head| {
        let mut out = version(app, &head.entry);
        out.insert("version".to_owned(), head.version.to_string().into());
        out.insert("shown".to_owned(), (shown == Some(head.version)).into());
        Value::from(out)
    };
    heads.iter().map(head).collect()
}

/// Returns one version of a history.
pub(super) fn revision(app: &App, revision: &Revision) -> Value {
    let mut out = version(app, &revision.entry);
    out.insert("version".to_owned(), revision.version.to_string().into());
    out.insert("head".to_owned(), revision.is_head.into());
    out.insert("replaces".to_owned(), revision.replaces.iter().map(ToString::to_string).collect());
    out.into()
}

/// Returns a window around an element: around its head that the map shows.
pub(super) fn around<S: PageSource>(snapshot: &Snapshot<S>, heads: &[Head]) -> Result<Option<Window>, Error> {
    let shown = shown_of(heads, |head| (head.version, &head.entry));
    match shown.and_then(|head| head.entry.payload.as_ref()) {
        Some(Payload::Node { coord, .. }) => Ok(Window::around(&[*coord])),
        Some(Payload::Way { refs, .. }) => {
            around_nodes(snapshot, refs.iter().copied().map(ElementId::node).collect())
        }
        Some(Payload::Relation { members, .. }) => {
            around_members(snapshot, members.iter().map(|member| member.element).collect())
        }
        Some(Payload::Changeset { .. }) | None => Ok(None),
    }
}

fn around_members<S: PageSource>(
    snapshot: &Snapshot<S>,
    mut members: Vec<ElementId>,
) -> Result<Option<Window>, Error> {
    members.truncate(MAX_MEMBERS);
    let (ways, mut nodes): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| member.kind == Kind::Way);
    nodes.retain(|node| node.kind == Kind::Node);
    let ways = ways.into_iter().collect();
    for heads in snapshot.heads_among(&ways) {
        let heads = heads?;
        let shown = shown_of(&heads, |head| (head.version, &head.entry));
        if let Some(Payload::Way { refs, .. }) = shown.and_then(|head| head.entry.payload.as_ref()) {
            // The box of every eighth node is nearly that of all.
            nodes.extend(refs.iter().step_by(8).chain(refs.last()).copied().map(ElementId::node));
        }
    }
    around_nodes(snapshot, nodes)
}

fn around_nodes<S: PageSource>(
    snapshot: &Snapshot<S>,
    nodes: Vec<ElementId>,
) -> Result<Option<Window>, Error> {
    let nodes: std::collections::BTreeSet<ElementId> = nodes.into_iter().collect();
    let mut coords: Vec<Coord> = Vec::with_capacity(nodes.len());
    for pair in snapshot.heads_of(nodes) {
        let (node, value) = pair?;
        coords.extend(shown_coord(node, &value)?);
    }
    Ok(Window::around(&coords))
}
