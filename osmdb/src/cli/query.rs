//! `query`.

use std::collections::BTreeSet;
use std::path::Path;

use osmdb::{BBox, ElementId, Snapshot};
use prolly::PageSource;

use super::args::Format;
use super::failure::Failure;
use super::output::Out;
use super::{database, json};

pub(super) fn query(dir: &Path, bbox: BBox, format: Format) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = db.snapshot();
    let mut out = Out::new();
    match format {
        Format::Geojson => geojson(&mut out, &snapshot, bbox)?,
        Format::Ids => elements(&snapshot, bbox)?.into_iter().try_for_each(|element| out.line(element))?,
        Format::Count => out.line(elements(&snapshot, bbox)?.len())?,
    }
    out.finish()
}

/// Writes features as they are found, one on each line.
fn geojson<S: PageSource>(out: &mut Out, snapshot: &Snapshot<S>, bbox: BBox) -> Result<(), Failure> {
    out.part(r#"{"type":"FeatureCollection","features":["#)?;
    for (index, feature) in snapshot.query(bbox).enumerate() {
        out.part(if index == 0 { "\n" } else { ",\n" })?;
        out.part(json::feature(&feature?))?;
    }
    out.line("\n]}")
}

/// Finds elements, each once though it has several heads.
fn elements<S: PageSource>(snapshot: &Snapshot<S>, bbox: BBox) -> Result<BTreeSet<ElementId>, Failure> {
    snapshot.query(bbox).map(|feature| Ok(feature?.element)).collect()
}
