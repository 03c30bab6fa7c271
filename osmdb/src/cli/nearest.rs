//! `nearest`.

use clap::Args;
use osmdb::{Area, At, Coord, Filter, Neighbour, Snapshot};
use prolly::PageSource;
use serde_json::Value;

use super::database::{self, Directory};
use super::failure::Failure;
use super::json;
use super::output::Out;
use super::query::joined;

/// From where, and what, is looked for.
#[derive(Debug, Clone, Args)]
pub(super) struct NearestArgs {
    /// Latitude and longitude in degrees
    #[arg(value_name = "LAT,LON", allow_hyphen_values = true)]
    from: Coord,
    /// Only what passes this filter; given several times, what passes all of them. See `osmdb query --help`
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub(super) filter: Vec<Filter>,
    /// Print at most so many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: u64,
    /// Only what is at most so many metres away
    #[arg(long, value_name = "METRES")]
    pub(super) within: Option<u32>,
    /// Print a GeoJSON feature on each line, with its distance as \"@metres\"
    #[arg(long)]
    json: bool,
}

impl NearestArgs {
    /// Asks the same of whoever has the pages of the box alone.
    pub(super) fn by_place(&self) -> Self {
        let filter = self.filter.iter().cloned().map(Filter::by_place).collect();
        Self { filter, ..self.clone() }
    }

    pub(super) const fn place(&self) -> Coord {
        self.from
    }
}

pub(super) fn nearest(dir: &Directory, at: Option<At>, args: &NearestArgs) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    answer(&database::snapshot(&db, at)?, args)
}

pub(super) fn answer<S: PageSource>(snapshot: &Snapshot<S>, args: &NearestArgs) -> Result<(), Failure> {
    let mut nearest = snapshot.nearest(args.from, &joined(&args.filter));
    if let Some(metres) = args.within {
        nearest = nearest.within(metres.into());
    }
    let mut out = Out::new();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    for neighbour in nearest.take(limit) {
        let neighbour = neighbour?;
        if args.json {
            let area = snapshot.area(&neighbour.feature)?;
            out.line(as_feature(&neighbour, &area))?;
        } else {
            out.line(format_args!("{:.1}\t{}", neighbour.metres, neighbour.feature.element))?;
        }
    }
    out.finish()
}

fn as_feature(Neighbour { feature, metres }: &Neighbour, area: &Area) -> Value {
    let mut value = json::feature(feature, area);
    if let Some(properties) = value.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("@metres".into(), ((metres * 10.0).round() / 10.0).into());
    }
    value
}
