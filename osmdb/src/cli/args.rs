//! What can be asked of the program.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use osmdb::{BBox, ElementId};
use prolly::Cid;

/// OpenStreetMap data that several people keep, edit and merge without a server.
#[derive(Debug, Parser)]
#[command(
    name = "osmdb",
    version,
    arg_required_else_help = true,
    after_help = "Results go to the standard output, everything else to the standard error.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n\
                  Start with: osmdb demo"
)]
pub(super) struct Cli {
    /// The directory of the database
    #[arg(long, global = true, value_name = "DIR", default_value = "./osm.db")]
    pub(super) db: PathBuf,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// A verb and its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Tell the story of two villages on generated data
    ///
    /// Two databases import the same files, are edited apart and merged by the difference of their
    /// roots; then a query counts the pages that it needs.
    #[command(after_help = "Examples:\n  \
        osmdb demo\n  \
        osmdb demo --dir villages        keep the files and both databases")]
    Demo {
        /// Keep everything in this directory, which must be absent or empty [default: a temporary one]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Add OSM files to the database, which is created if absent
    ///
    /// Reads .osm.pbf, .osm and .osc (changes), the last two also packed with gzip, bzip2 or zstd, told apart
    /// by their content. All files are one change: if one cannot be read, the database stays as it was.
    /// Prints the root afterwards; the same files give the same root everywhere.
    #[command(after_help = "Examples:\n  \
        osmdb import andorra.osm.pbf\n  \
        osmdb --db valley.db import land.osm.gz villages.osm")]
    Import {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the root: equal roots mean equal databases
    #[command(after_help = "Example:\n  \
        test \"$(osmdb --db a root)\" = \"$(osmdb --db b root)\" && echo equal")]
    Root,
    /// Print every head of elements, as JSON lines
    ///
    /// An element has several heads if versions of it do not know of each other: a fork. A deleted
    /// element has a head with \"deleted\": true. Elements that are not in the database are named on
    /// the standard error, and the exit code is 1; the others are printed.
    ///
    /// Ids of new elements are beyond 2^53: programs that read numbers as floats must take care.
    #[command(after_help = "Examples:\n  \
        osmdb get node/123 way/5\n  \
        osmdb get relation/9 | jq .tags.name")]
    Get {
        /// The elements, such as node/123, way/5, relation/9
        #[arg(required = true, value_name = "ELEMENT")]
        elements: Vec<ElementId>,
    },
    /// Print what touches a box
    ///
    /// Finds every live node in the box that has tags or stands alone, every way whose line touches
    /// the box, and every relation with one of these as a member. Where west is greater than east,
    /// the box crosses the antimeridian.
    #[command(after_help = "Examples:\n  \
        osmdb query --bbox 1.50,42.50,1.55,42.52 > town.geojson\n  \
        osmdb query --bbox -0.2,51.4,0.1,51.6 --format count\n  \
        osmdb query --bbox 177,-20,-178,-16 --format ids       across the antimeridian\n\n\
        GeoJSON has one feature on each line, and a forked element once for every head that is there.\n\
        Beside the tags, its properties are \"@id\", \"@type\" and, for relations, \"@members\";\n\
        a tag whose key begins with @ gets one more @ in front. Closed ways with the tags of an area and\n\
        relations of the types multipolygon and boundary are polygons; where their lines bound none,\n\
        \"@error\" says why.")]
    Query {
        /// West, south, east and north in degrees
        #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
        bbox: BBox,
        /// How to print it
        #[arg(long, value_enum, default_value_t = Format::Geojson)]
        format: Format,
    },
    /// Write the database, or a box of it, into a file
    ///
    /// The end of the file's name tells the format: .osm.pbf, .osm or .osc, the last two also with .gz,
    /// .bz2 or .zst; .geojson or .geojsonseq, which hold what `osmdb query` finds; or .fgb (FlatGeobuf), which
    /// holds what of it has a shape, if the program was built with that feature. In an OSM file, nodes,
    /// ways and relations stand in this order, each by id, with all that a file can say of them. What was
    /// deleted is left out, except in histories (--history, or a name in .osh.pbf or .osh) and in change
    /// files (.osc). A file that is there is replaced when the new one is whole. Prints the root of what
    /// was written.
    #[command(after_help = "Examples:\n  \
        osmdb export valley.osm.pbf\n  \
        osmdb export town.osm.gz --bbox 1.50,42.50,1.55,42.52\n  \
        osmdb export everything.osh.pbf          all versions\n  \
        osmdb export town.geojson --bbox 1.50,42.50,1.55,42.52\n  \
        osmdb export changes.osc --changeset 71\n\n\
        Of a forked element every head is written, one after another, and the standard error says how\n\
        many there are. Edits made here have no version of the OSM server, and their links have no\n\
        place in a file: to pass them on, merge databases.")]
    Export {
        /// The file
        file: PathBuf,
        /// Only what touches this box: west, south, east and north in degrees. Ways are whole, with all
        /// their nodes; relations come without the members that are elsewhere
        #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
        bbox: Option<BBox>,
        /// All versions, also those that others have replaced, and what was deleted
        #[arg(long)]
        history: bool,
        /// What was done in this changeset: into a change file (.osc)
        #[arg(long, value_name = "ID", conflicts_with_all = ["bbox", "history"])]
        changeset: Option<u64>,
    },
    /// Print what differs between two roots, each element on a line
    ///
    /// Each line says what happened on the map from the first root to the second: create, modify or
    /// delete, and the element; or heads, if the map shows the same, and only other heads of the element
    /// came or went. Both roots must be ones that this database has or had. Reads only the pages that
    /// differ.
    #[command(after_help = "Examples:\n  \
        osmdb diff bafyr4i… bafyr4i…\n  \
        osmdb diff bafyr4i…                       from there to now\n  \
        osmdb diff bafyr4i… --osc today.osc       as a change file, for other programs\n  \
        osmdb diff bafyr4i… --json | jq .after\n\n\
        A change file cannot say everything: of a fork it has the head that the map shows, and edits made\n\
        here get a version one higher than the greatest they replace. To pass on everything, merge.")]
    Diff {
        /// The older root
        #[arg(value_name = "ROOT")]
        older: Cid,
        /// The newer root [default: the present one]
        #[arg(value_name = "ROOT")]
        newer: Option<Cid>,
        /// Write a change file (.osc, also with .gz, .bz2 or .zst) instead of lines
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        osc: Option<PathBuf>,
        /// Print one JSON object on each line, with all heads before and after
        #[arg(long)]
        json: bool,
    },
    /// Add all versions that another database has; that one is only read
    ///
    /// The database becomes the union of both, and is created if absent. Merging twice, or in another
    /// order, makes no difference; nothing is lost. Prints what it did, and last `root ` with the root
    /// afterwards.
    #[command(after_help = "Examples:\n  \
        osmdb merge /media/stick/osm.db\n  \
        osmdb --db a merge b --stats\n  \
        osmdb --db a merge b | sed -n 's/^root //p'")]
    Merge {
        /// The directory of the other database
        other: PathBuf,
        /// Also print how many pages both databases have, and every element that became a fork
        #[arg(long)]
        stats: bool,
    },
    /// Print how much there is: elements, versions, trees, bytes on disk
    #[command(after_help = "Examples:\n  osmdb stats\n  osmdb stats --json | jq .trees.spatial.pages")]
    Stats {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check every page, record and version, and that all trees follow from them
    ///
    /// Reads the whole database. Exits with 1 and says what is wrong if anything is.
    #[command(after_help = "Example:\n  osmdb --db valley.db verify")]
    Verify,
}

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A GeoJSON FeatureCollection
    Geojson,
    /// One element on a line, sorted, each once
    Ids,
    /// How many elements there are
    Count,
}
