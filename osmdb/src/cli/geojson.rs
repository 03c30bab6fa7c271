//! GeoJSON: what `query` prints, and files that `export` writes.

use std::fmt::Display;
use std::path::Path;

use osmdb::{Area, BBox, Error, Feature, Snapshot};
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

/// How many features were written.
#[derive(Debug, Default)]
pub(super) struct Features {
    pub(super) all: u64,
    /// Those that should be areas, but whose lines bound none.
    pub(super) broken: u64,
}

/// Writes what touches a box, as it is found.
pub(super) fn write<S: PageSource>(
    snapshot: &Snapshot<S>,
    bbox: BBox,
    layout: Layout,
    part: impl FnMut(&dyn Display) -> Result<(), Failure>,
) -> Result<Features, Failure> {
    write_all(snapshot, snapshot.query(bbox), layout, part)
}

/// Writes features of a database as they come.
pub(super) fn write_all<S: PageSource>(
    snapshot: &Snapshot<S>,
    features: impl Iterator<Item = Result<Feature, Error>>,
    layout: Layout,
    mut part: impl FnMut(&dyn Display) -> Result<(), Failure>,
) -> Result<Features, Failure> {
    let [first, next, after, end] = layout.parts();
    let mut count = Features::default();
    for feature in features {
        let feature = feature?;
        let area = snapshot.area(&feature)?;
        part(&if count.all == 0 { first } else { next })?;
        part(&json::feature(&feature, &area))?;
        part(&after)?;
        count.all += 1;
        count.broken += u64::from(matches!(area, Area::Broken(_)));
    }
    if count.all == 0 && layout == Layout::Collection {
        part(&first)?;
    }
    part(&end)?;
    Ok(count)
}
