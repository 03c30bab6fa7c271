//! The prolly trees: their levels, their pages, and what two roots share.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use prolly::{Cid, Page, PageSource, Tree};
use serde_json::{Value, json};

use super::reply;
use crate::db::Snapshot;
use crate::error::Error;
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;
use crate::views::{keys, spatial};

/// No tree with more pages is looked at, page by page: 128 Ki of 32 bytes each, for two roots.
const MAX_PAGES: usize = 1 << 17;

/// Levels with more pages are not drawn page by page.
const MAX_CELLS: usize = 1 << 15;

/// So much of a key is shown, in bytes.
const MAX_KEY_BYTES: usize = 48;

pub(super) async fn trees(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let mut trees = Vec::new();
        for (name, tree) in snapshot.root().trees.named() {
            let top = load(snapshot.source(), tree.root)?;
            trees.push(json!({
                "name": name, "root": tree.root.to_string(), "levels": u16::from(top.level()) + 1, "pairs": top.count(),
            }));
        }
        Ok(json!({ "root": snapshot.root().cid().to_string(), "trees": trees }))
    });
    Ok(reply::json(&value.await?))
}

pub(super) async fn tree(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response<Body>, ApiError> {
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let tree = named(&snapshot, &name)?;
        let (levels, pairs) = levels(snapshot.source(), tree)?;
        let others = match ask.parameter("other").filter(|other| !other.is_empty()) {
            Some(other) => {
                let other = reply::snapshot(&app.db, Some(other))?;
                let (levels, _) = self::levels(other.source(), named(&other, &name)?)?;
                Some(levels.into_iter().flatten().collect::<HashSet<Cid>>())
            }
            None => None,
        };
        let is_shared = |cid: &Cid| others.as_ref().is_some_and(|others| others.contains(cid));
        let top = levels.len().saturating_sub(1);
        let level = |(down, pages): (usize, &Vec<Cid>)| {
            let cells =
                || -> String { pages.iter().map(|cid| if is_shared(cid) { '1' } else { '0' }).collect() };
            json!({
                "level": top - down,
                "pages": pages.len(),
                "shared": pages.iter().filter(|cid| is_shared(cid)).count(),
                "cells": (pages.len() <= MAX_CELLS).then(cells),
            })
        };
        let levels: Value = levels.iter().enumerate().map(level).collect();
        Ok(json!({ "name": name, "pairs": pairs, "compared": others.is_some(), "levels": levels }))
    });
    Ok(reply::json(&value.await?))
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response<Body>, ApiError> {
    let number = |name: &str| {
        let number = ask.parameter(name).and_then(|number| number.parse::<usize>().ok());
        number.ok_or_else(|| ApiError::bad_request(format!("{name} is a number")))
    };
    let (level, place) = (number("level")?, number("place")?);
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let (levels, _) = levels(snapshot.source(), named(&snapshot, &name)?)?;
        let cid = levels.iter().rev().nth(level).and_then(|pages| pages.get(place));
        let page = load(snapshot.source(), *cid.ok_or_else(ApiError::not_found)?)?;
        let key = |at: usize| if page.is_empty() { String::new() } else { shown(&name, page.key(at)) };
        Ok(json!({
            "cid": page.cid().to_string(),
            "level": page.level(),
            "bytes": page.bytes().len(),
            "items": page.len(),
            "pairs": page.count(),
            "first": key(0),
            "last": key(page.len().saturating_sub(1)),
        }))
    });
    Ok(reply::json(&value.await?))
}

fn named<S: PageSource>(snapshot: &Snapshot<S>, name: &str) -> Result<Tree, ApiError> {
    let tree = snapshot.root().trees.named().into_iter().find(|(known, _)| *known == name);
    tree.map(|(_, tree)| tree).ok_or_else(ApiError::not_found)
}

fn load<S: PageSource>(source: &S, cid: Cid) -> Result<Page, Error> {
    let bytes = source.load(&cid).map_err(prolly::Error::from)?.ok_or(prolly::Error::Missing(cid))?;
    Ok(Page::verify(cid, bytes).map_err(|source| prolly::Error::Page { cid, source })?)
}

/// Returns the pages of a tree level by level, the top first, and how many pairs it has. Reads branches alone.
fn levels<S: PageSource>(source: &S, tree: Tree) -> Result<(Vec<Vec<Cid>>, u64), ApiError> {
    let top = load(source, tree.root)?;
    let (pairs, mut level) = (top.count(), top.level());
    let mut levels = vec![vec![tree.root]];
    let mut pages = 1;
    while level > 0 {
        let mut below = Vec::new();
        for cid in levels.last().into_iter().flatten() {
            let page = load(source, *cid)?;
            below.extend((0..page.len()).filter_map(|child| page.child(child)));
            if pages + below.len() > MAX_PAGES {
                let text =
                    format!("The tree has more than {MAX_PAGES} pages: too many to look at one by one");
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
        }
        pages += below.len();
        levels.push(below);
        level -= 1;
    }
    Ok((levels, pairs))
}

/// Shows a key: the element that it is about, where it says one, and how it begins.
fn shown(tree: &str, key: &[u8]) -> String {
    let element = match tree {
        "heads" => keys::parse_element(key),
        "history" => keys::parse_history(key).map(|(element, _)| element),
        "spatial" => spatial::element_of(key),
        _ => None,
    };
    let bytes: String = key.iter().take(MAX_KEY_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let more = if key.len() > MAX_KEY_BYTES { "…" } else { "" };
    element.map_or_else(|| format!("{bytes}{more}"), |element| format!("{element} ({bytes}{more})"))
}
