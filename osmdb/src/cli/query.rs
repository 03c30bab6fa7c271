//! `query`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use osmdb::{At, BBox, Cursor, Filter, GeohashError, Query, Snapshot, geohash_bbox};
use prolly::PageSource;

use super::database::{self, Directory};
use super::failure::Failure;
use super::geojson::{self, Layout};
use super::output::{Out, note};

/// What is asked, of a box or of everything.
#[derive(Debug, Clone, Args)]
pub(super) struct QueryArgs {
    /// West, south, east and north in degrees
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true, conflicts_with = "geohash")]
    bbox: Option<BBox>,
    /// The cell of a geohash instead of a box: 1 to 12 digits
    #[arg(long, value_name = "PREFIX", value_parser = cell)]
    geohash: Option<BBox>,
    /// Only what passes this filter; given several times, what passes all of them. Without a box: everywhere
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub(super) filter: Vec<Filter>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Geojson)]
    format: Format,
    /// Print at most so many, in the order of the index, and say where the next ones begin
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Begin where an earlier answer said that the next ones do
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<Cursor>,
}

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A GeoJSON FeatureCollection
    Geojson,
    /// A sequence of GeoJSON features, as RFC 8142 has it
    Geojsonseq,
    /// One element on a line, sorted, each once
    Ids,
    /// How many elements there are
    Count,
}

impl QueryArgs {
    /// Asks the same of whoever has the pages of the box alone.
    pub(super) fn by_place(&self) -> Self {
        let filter = self.filter.iter().cloned().map(Filter::by_place).collect();
        Self { filter, ..self.clone() }
    }

    /// Returns the box, if there is one, and if what is asked goes together.
    pub(super) fn area(&self) -> Result<Option<BBox>, Failure> {
        if self.counts() && (self.limit.is_some() || self.cursor.is_some()) {
            return Err(Failure::CountOfPart);
        }
        let bbox = self.bbox.or(self.geohash);
        if bbox.is_none() && self.filter.is_empty() {
            return Err(Failure::NoQuestion);
        }
        Ok(bbox)
    }

    pub(super) fn counts(&self) -> bool {
        self.format == Format::Count
    }

    /// Tells whether areas are drawn.
    pub(super) const fn draws(&self) -> bool {
        matches!(self.format, Format::Geojson | Format::Geojsonseq)
    }

    pub(super) const fn limit(&self) -> Option<u64> {
        self.limit
    }
}

fn cell(prefix: &str) -> Result<BBox, GeohashError> {
    geohash_bbox(prefix)
}

/// Joins filters: what passes all of them.
pub(super) fn joined(filters: &[Filter]) -> Filter {
    filters.iter().cloned().fold(Filter::new(), Filter::and)
}

pub(super) fn query(dir: &Directory, at: Option<At>, args: &QueryArgs) -> Result<(), Failure> {
    let bbox = args.area()?;
    let db = database::existing(dir)?;
    answer(&database::snapshot(&db, at)?, bbox, args)
}

pub(super) fn answer<S: PageSource>(
    snapshot: &Snapshot<S>,
    bbox: Option<BBox>,
    args: &QueryArgs,
) -> Result<(), Failure> {
    let filter = joined(&args.filter);
    let mut query = match bbox {
        Some(bbox) => snapshot.query(bbox).filter(&filter),
        None => snapshot.find(&filter),
    };
    if let Some(cursor) = &args.cursor {
        query = query.after(cursor)?;
    }
    let mut out = Out::new();
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let page = query.by_ref().take(limit);
    match args.format {
        Format::Geojson => {
            geojson::write_all(snapshot, page, Layout::Collection, |text| out.part(text))?;
        }
        Format::Geojsonseq => {
            geojson::write_all(snapshot, page, Layout::Sequence, |text| out.part(text))?;
        }
        Format::Ids => {
            // Each once, though it has several heads.
            let elements =
                page.map(|feature| Ok(feature?.element)).collect::<Result<BTreeSet<_>, Failure>>()?;
            elements.into_iter().try_for_each(|element| out.line(element))?;
        }
        Format::Count => {
            out.line(query.count_elements()?)?;
            return out.finish();
        }
    }
    out.finish()?;
    say_where_more_is(query, args.limit)
}

/// Says where the next ones begin, if there are any.
fn say_where_more_is<S: PageSource>(mut query: Query<S>, limit: Option<u64>) -> Result<(), Failure> {
    let cursor = query.save();
    if limit.is_some() && query.next().transpose()?.is_some() {
        note(&format!("cursor {cursor}"));
    }
    Ok(())
}
