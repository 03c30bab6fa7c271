//! GeoJSON: what `query` prints, and files that `export` writes.

use std::fmt::Display;
use std::path::Path;

use osmdb::{BBox, Error, Feature, Snapshot};
use prolly::PageSource;

use super::failure::Failure;
use super::json;

/// How features are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// A FeatureCollection, with one feature on each line.
    Collection,
    /// A text sequence as RFC 8142 has it: a record separator before each feature, a line break behind.
    Sequence,
}

impl Layout {
    /// Returns the layout that the end of a file's name stands for.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        match name.rsplit_once('.')?.1 {
            "geojson" => Some(Self::Collection),
            "geojsonseq" => Some(Self::Sequence),
            _ => None,
        }
    }

    /// Returns what stands before the first feature, before the others, after each, and at the end.
    const fn parts(self) -> [&'static str; 4] {
        match self {
            Self::Collection => ["{\"type\":\"FeatureCollection\",\"features\":[\n", ",\n", "", "\n]}\n"],
            Self::Sequence => ["\u{1e}", "\u{1e}", "\n", ""],
        }
    }
}

/// Writes what touches a box, as it is found; returns how many features there are.
pub(super) fn write<S: PageSource>(
    snapshot: &Snapshot<S>,
    bbox: BBox,
    layout: Layout,
    part: impl FnMut(&dyn Display) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    write_all(snapshot.query(bbox), layout, part)
}

/// Writes features as they come; returns how many there are.
pub(super) fn write_all(
    features: impl Iterator<Item = Result<Feature, Error>>,
    layout: Layout,
    mut part: impl FnMut(&dyn Display) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let [first, next, after, end] = layout.parts();
    let mut count = 0;
    for feature in features {
        part(&if count == 0 { first } else { next })?;
        part(&json::feature(&feature?))?;
        part(&after)?;
        count += 1;
    }
    if count == 0 && layout == Layout::Collection {
        part(&first)?;
    }
    part(&end)?;
    Ok(count)
}
