//! `query`.

use std::collections::BTreeSet;
use std::path::Path;

use osmdb::{BBox, ElementId, Snapshot};
use prolly::PageSource;

use super::args::Format;
use super::database;
use super::failure::Failure;
use super::geojson::{self, Layout};
use super::output::Out;

pub(super) fn query(dir: &Path, bbox: BBox, format: Format) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = db.snapshot();
    let mut out = Out::new();
    match format {
        Format::Geojson => {
            geojson::write(&snapshot, bbox, Layout::Collection, |text| out.part(text))?;
        }
        Format::Ids => elements(&snapshot, bbox)?.into_iter().try_for_each(|element| out.line(element))?,
        Format::Count => out.line(elements(&snapshot, bbox)?.len())?,
    }
    out.finish()
}

/// Finds elements, each once though it has several heads.
fn elements<S: PageSource>(snapshot: &Snapshot<S>, bbox: BBox) -> Result<BTreeSet<ElementId>, Failure> {
    snapshot.query(bbox).map(|feature| Ok(feature?.element)).collect()
}
