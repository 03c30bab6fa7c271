//! What can be asked of the program.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use osmdb::net::Fingerprint;
use osmdb::{At, BBox, Cursor, ElementId, Version};
use prolly::Cid;

use super::{bundle, nearest, peers, query, serve, sync};

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
    /// Read the database as it was: at a root that it had, or at a time (2026-11-21T08:30:00Z, a date, or
    /// seconds since 1970)
    #[arg(long, global = true, value_name = "ROOT|TIME", allow_hyphen_values = true)]
    pub(super) at: Option<At>,
    /// Read what a peer has (tcp://HOST:PORT, ws://…, iroh://…, ssh://…, exec:…), or what was published in a directory or
    /// at a URL (https://…, s3://bucket/folder), instead of a database here: for root, get, query, nearest, history, refs, changes and export
    #[arg(long = "from", id = "published", global = true, value_name = "PEER|DIR|URL")]
    pub(super) from: Option<String>,
    /// With sync, or with --from and a peer: take the peer with this fingerprint for the one that is meant, without
    /// asking
    #[arg(long, global = true, value_name = "FINGERPRINT")]
    pub(super) accept: Vec<Fingerprint>,
    /// With --from: read this root, whatever is said there
    #[arg(long = "root", id = "trusted_root", global = true, value_name = "ROOT", conflicts_with = "at")]
    pub(super) trusted_root: Option<Cid>,
    /// With --from: read only a root that this one has signed: the name of one of `osmdb peers`, a fingerprint or a
    /// key. With --cache, also none that is older than one that was read before
    #[arg(long, global = true, value_name = "SIGNER")]
    pub(super) trust: Vec<String>,
    /// With --from: keep what was read in this directory, for the next time
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// Wait this long if another process has the database open
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5)]
    pub(super) wait: u32,
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
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the root: equal roots mean equal databases
    #[command(after_help = "Example:\n  \
        test \"$(osmdb --db a root)\" = \"$(osmdb --db b root)\" && echo equal")]
    Root {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print every head of elements, as JSON lines
    ///
    /// An element has several heads if versions of it do not know of each other: a fork. A deleted
    /// element has a head with "deleted": true. Elements that are not in the database are named on
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
    /// Print what touches a box, or the cell of a geohash, or has a tag anywhere
    ///
    /// Finds every live node in the box that has tags or stands alone, every way whose line touches
    /// the box, and every relation with one of these as a member. Where west is greater than east,
    /// the box crosses the antimeridian. A filter without a box finds what passes wherever it is, also ways
    /// none of whose nodes is known and relations without a member anywhere.
    ///
    /// A filter has conditions with the word `and` between them: node, way|relation, !relation (kinds);
    /// amenity=hospital, highway (a key), name~=spring (the value contains this, in either case),
    /// access!=no, !building (no such key). Quotation marks stand around what holds such words or signs:
    /// name="salt and pepper".
    #[command(after_help = "Examples:\n  \
        osmdb query --bbox 1.50,42.50,1.55,42.52 > town.geojson\n  \
        osmdb query --bbox -0.2,51.4,0.1,51.6 --format count\n  \
        osmdb query --bbox 177,-20,-178,-16 --format ids       across the antimeridian\n  \
        osmdb query --filter amenity=hospital                  wherever they are\n  \
        osmdb query --geohash sp91 --filter 'node and amenity=hospital'\n  \
        osmdb query --bbox 1.4,42.4,1.8,42.7 --filter 'highway and name~=major' --format count\n  \
        osmdb query --bbox 1.4,42.4,1.8,42.7 --format ids --limit 100\n\n\
        With --limit, the last line on the standard error is `cursor C` if there is more: ask the same\n\
        again with --cursor C. A cursor belongs to its root, box and filter.\n\n\
        GeoJSON has one feature on each line, and a forked element once for every head that is there.\n\
        Beside the tags, its properties are \"@id\", \"@type\" and, for relations, \"@members\";\n\
        a tag whose key begins with @ gets one more @ in front. Closed ways with the tags of an area and\n\
        relations of the types multipolygon and boundary are polygons; where their lines bound none,\n\
        \"@error\" says why.")]
    Query(query::QueryArgs),
    /// Print what is nearest to a place, as metres, a tab and the element
    ///
    /// Ways are as far as the nearest place of their line, relations as the nearest of their members that are
    /// nodes or ways. Distances are those on a sphere.
    #[command(after_help = "Examples:\n  \
        osmdb nearest 42.51,1.52 --filter amenity=hospital --limit 1\n  \
        osmdb nearest -17.5,179.99 --within 20000 --json")]
    Nearest(nearest::NearestArgs),
    /// Print all versions of an element, and which replaces which
    ///
    /// Draws them, the newest first, with a line from each version to those that it replaces. With --json, one
    /// JSON object on a line, causes before effects, each with "replaces" and "head".
    #[command(after_help = "Examples:\n  \
        osmdb history node/123\n  \
        osmdb history node/123 --json | jq -r .version")]
    History {
        /// The element, such as node/123
        element: ElementId,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Print which ways and relations name an element, one on a line
    #[command(after_help = "Examples:\n  \
        osmdb refs node/123\n  \
        osmdb get $(osmdb refs way/5)")]
    Refs {
        /// The elements; what names any of them is printed once
        #[arg(required = true, value_name = "ELEMENT")]
        elements: Vec<ElementId>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print the versions that belong to a changeset, as JSON lines
    #[command(after_help = "Example:\n  osmdb changes 7")]
    Changes {
        /// The number of the changeset
        changeset: u64,
    },
    /// Print the elements with several heads, one on a line
    ///
    /// An element is a fork if versions of it do not know of each other. With --json, every head is printed
    /// as `osmdb get` does.
    #[command(after_help = "Examples:\n  \
        osmdb forks\n  \
        osmdb forks --json --limit 100\n\n\
        With --limit, the last line on the standard error is `cursor C` if there are more: ask again with\n\
        --cursor C.")]
    Forks {
        /// Print every head, as JSON lines
        #[arg(long)]
        json: bool,
        /// Print at most so many, and say where the next ones begin
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Begin where an earlier answer said that the next ones do
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<Cursor>,
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
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what differs between two roots, each element on a line
    ///
    /// Each line says what happened on the map from the first root to the second: create, modify or
    /// delete, and the element; or heads, if the map shows the same, and only other heads of the element
    /// came or went. A root is one that this database has or had, or the one of a time, as for --at. Reads only the pages that
    /// differ.
    #[command(after_help = "Examples:\n  \
        osmdb diff bafyr4i… bafyr4i…\n  \
        osmdb diff 2026-11-20                     from that day to now\n  \
        osmdb diff bafyr4i… --osc today.osc       as a change file, for other programs\n  \
        osmdb diff bafyr4i… --json | jq .after\n\n\
        A change file cannot say everything: of a fork it has the head that the map shows, and edits made\n\
        here get a version one higher than the greatest they replace. To pass on everything, merge.")]
    Diff {
        /// The older root
        #[arg(value_name = "ROOT|TIME")]
        older: At,
        /// The newer root [default: the present one]
        #[arg(value_name = "ROOT|TIME")]
        newer: Option<At>,
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
        /// Print one JSON object, with the forks
        #[arg(long)]
        json: bool,
    },
    /// Publish the dataset as static files, to a directory that any web server can serve, or to a bucket of an
    /// object store
    #[command(after_help = "Examples:\n  \
        osmdb publish /srv/www/andorra\n  \
        osmdb publish s3://maps/andorra\n  \
        osmdb --from /srv/www/andorra query --bbox 1.50,42.50,1.55,42.52 --format count\n\n\
        Publishing again writes what is new, and a small file that names it, last. Nothing is removed.\n\
        Of two who publish at the same time, one does, and the other is told.\n\n\
        s3://, gs:// and az:// need a program that was installed with --features object-store. The environment has \
        the keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for a store that is not \
        Amazon's; GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.")]
    Publish {
        /// The directory, or the URL of a folder in a bucket
        #[arg(value_name = "DIR|URL")]
        to: String,
    },
    /// Unite with peers, both ways: afterwards all have the same root
    ///
    /// Both send what the other lacks, and nothing else. What comes is checked before any of it is kept. A sync that
    /// was cut goes on where it was when it is asked for again. The database is created if absent. A peer whom
    /// this database does not know yet shows the fingerprint of its key: compare it with what
    /// `osmdb peers` shows there, once. Peers are asked one after another; name the first one again
    /// at the end, and it gets what the others gave.
    #[command(after_help = "Examples:\n  \
        osmdb sync tcp://hilltop.local:5001\n  \
        osmdb sync ws://example.org:80/osm           where only HTTP gets through\n  \
        osmdb sync --nearby                          who is known, and in the same network\n  \
        osmdb sync iroh://KEY@192.168.1.7:5001       QUIC, as `osmdb serve --sync --nearby` shows it\n  \
        osmdb sync ssh://amina@hilltop/srv/osm.db\n  \
        osmdb sync 'exec:ssh hilltop osmdb serve --stdio /srv/osm.db'\n  \
        osmdb sync /media/stick/osm.db               another database of this machine\n  \
        osmdb sync /media/stick                      bundles of others; leaves one there\n  \
        osmdb sync tcp://hilltop.local --json | jq .gained")]
    Sync(sync::SyncArgs),
    /// Write everything, or what came after a root, into a file for another database
    ///
    /// The file is signed with the key of this database, and has the name that you give it, best ending in .osmb: `osmdb
    /// sync` finds it in a directory. A file that is there is replaced when the new one is whole.
    #[command(after_help = "Examples:\n  \
        osmdb bundle valley.osmb\n  \
        osmdb bundle news.osmb --since 2026-11-20        for somebody who has what was before\n  \
        osmdb --db other take valley.osmb\n\n\
        On a stick that goes to and fro, `osmdb sync /media/stick` does both, and writes only what is new.")]
    Bundle(bundle::BundleArgs),
    /// Take in files that `osmdb bundle` wrote, or `osmdb sync` on a stick
    ///
    /// They are checked as what comes from a peer is. Nothing is written beside the database, which is created if absent.
    #[command(after_help = "Example:\n  osmdb take valley.osmb news.osmb")]
    Take(bundle::TakeArgs),
    /// Answer editors such as JOSM and iD over HTTP, or peers who sync with this database
    ///
    /// Without --sync and --stdio, answers what the OSM API 0.6 does, until Ctrl-C: what has begun by then is
    /// finished. Prints where it listens, and on the standard error one JSON object for every request. Programs of this
    /// machine may do everything; at another address (--bind) everybody needs a token of `osmdb token`.
    ///
    /// With --sync, prints where it listens and the fingerprint of this database, and a line for every visit.
    /// Everything that crosses the network is encrypted, and both sides prove their keys. Who is not known is
    /// refused unless only programs of this machine can call, or --allow says otherwise. Nobody else can open
    /// the database meanwhile; `osmdb peers` works.
    #[command(after_help = "Examples:\n  \
        osmdb serve                                                the API is at http://127.0.0.1:5000/api\n  \
        osmdb serve --bind 0.0.0.0                                 for who has a token of `osmdb token add`\n  \
        osmdb serve --editor node_modules/@openstreetmap/id/dist   iD is at http://127.0.0.1:5000/edit/\n  \
        osmdb serve --sync --listen 0.0.0.0:5001\n  \
        osmdb serve --sync --nearby                                found by `osmdb sync --nearby`\n  \
        osmdb peers accept 28142-39391-20653-19938 Riverside       in another window\n  \
        ssh hilltop osmdb serve --stdio /srv/osm.db                what `osmdb sync ssh://…` runs")]
    Serve(serve::ServeArgs),
    /// Keep an area of a dataset elsewhere in the cache, for when nobody can be reached
    ///
    /// What is pinned is never removed to make room. Without a box, and whenever another one is pinned, all areas are
    /// brought to what is there now: only what has changed in them is read.
    #[command(after_help = "Examples:\n  \
        osmdb --from tcp://hilltop:5001 --cache ./kept pin 1.50,42.50,1.55,42.52\n  \
        osmdb --from tcp://hilltop:5001 --cache ./kept pin          bring all of it up to date\n  \
        osmdb --cache ./kept query --bbox 1.51,42.51,1.52,42.52     in the field\n  \
        osmdb --cache ./kept --db field.db check-out 1.50,42.50,1.55,42.52")]
    Pin {
        /// West, south, east and north in degrees
        #[arg(value_name = "W,S,E,N", allow_hyphen_values = true)]
        bbox: Option<BBox>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what is pinned in a cache, and as of when
    #[command(after_help = "Example:\n  osmdb --cache ./kept pins")]
    Pins {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let go of an area that is pinned in a cache
    #[command(after_help = "Example:\n  osmdb --cache ./kept unpin 1.50,42.50,1.55,42.52")]
    Unpin {
        /// West, south, east and north in degrees
        #[arg(value_name = "W,S,E,N", allow_hyphen_values = true)]
        bbox: BBox,
    },
    /// Copy an area of a dataset elsewhere, or of what is pinned, into the database here, to edit it
    ///
    /// The elements come with all versions that theirs replace, so that what is edited here replaces what is there,
    /// and is no fork, when somebody who has the dataset merges this database.
    #[command(after_help = "Examples:\n  \
        osmdb --cache ./kept --db field.db check-out 1.50,42.50,1.55,42.52\n  \
        osmdb --db full.db merge field.db                           back home")]
    CheckOut {
        /// West, south, east and north in degrees
        #[arg(value_name = "W,S,E,N", allow_hyphen_values = true)]
        bbox: BBox,
    },
    /// Print this database's fingerprint and the peers that it knows, with their last sync and root
    #[command(
        after_help = "Examples:\n  osmdb peers\n  osmdb peers accept 28142-39391-20653-19938 Hilltop\n  osmdb peers forget Hilltop"
    )]
    Peers(peers::PeersArgs),
    /// Make, list and take back tokens: who has one may use a server that is open to more than this machine
    #[cfg(feature = "server")]
    #[command(
        subcommand,
        after_help = "Example:\n  osmdb token add Amina\n\nThey are asked for by `osmdb serve --bind 0.0.0.0`, and \
                      take effect at once."
    )]
    Token(super::token::TokenVerb),
    /// Print how much there is: elements, versions, trees, bytes on disk
    #[command(after_help = "Examples:\n  osmdb stats\n  osmdb stats --json | jq .trees.spatial.pages")]
    Stats {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make new elements of JSON or OSM XML on the standard input
    ///
    /// Takes objects as `osmdb get` prints them, one after another or in an array, or a file of OSM. Ids
    /// in it only say what names what: every element gets a new id. All or nothing is written. Prints the
    /// new elements and their versions.
    #[command(after_help = "Examples:\n  \
        echo '{\"type\":\"node\",\"lat\":42.5,\"lon\":1.5,\"tags\":{\"amenity\":\"clinic\"}}' | osmdb create\n  \
        osmdb create --changeset 5 < path.json       nodes -1 and -2, and a way that names them")]
    Create(EditArgs),
    /// Give elements the content of JSON or OSM XML on the standard input
    ///
    /// An object with a "version", as `osmdb get` prints it, replaces that version: if somebody else
    /// edited it meanwhile, both stay as a fork. One without replaces all heads. Ids below 0, as JOSM gives them,
    /// stand for new elements, wherever in the input they are named. What the input says is deleted is deleted.
    /// All or nothing is written. Prints the elements and their new versions.
    #[command(after_help = "Examples:\n  \
        osmdb get node/3 | jq '.tags.name = \"Well\"' | osmdb put\n  \
        osmdb get node/3 | head -1 | osmdb put --heads       ends a fork with the first head\n  \
        osmdb put --changeset 5 < survey.osm                 what an editor has saved\n  \
        osmdb put < survey.osc                               creates, modifies and deletes")]
    Put(EditArgs),
    /// Delete elements
    ///
    /// All or none are deleted. One that a live element names is not, unless that is deleted with it.
    #[command(after_help = "Examples:\n  \
        osmdb delete way/5 node/1 node/2\n  \
        osmdb delete --if-unused node/1")]
    Delete(DeleteArgs),
    /// End a fork with the content of one of its heads
    #[command(
        after_help = "Example:\n  osmdb resolve node/3 \"$(osmdb get node/3 | jq -r .version | head -1)\""
    )]
    Resolve {
        /// The element
        element: ElementId,
        /// The version of the head whose content it keeps
        version: Version,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Open, tag, close or show a changeset
    #[command(subcommand)]
    Changeset(ChangesetVerb),
    /// Print who edited, and how much, with the names they were given here
    #[command(after_help = "Examples:\n  osmdb authors\n  osmdb authors --name KEY Amina")]
    Authors {
        /// Give the author with this key a name first; an empty one takes it away
        #[arg(long, num_args = 2, value_names = ["KEY", "NAME"])]
        name: Option<Vec<String>>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print the roots that the database had, the latest first
    #[command(after_help = "Example:\n  osmdb reflog | head")]
    Reflog {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print what changes, as it changes, until Ctrl-C
    ///
    /// Follows what other processes edit, import and merge. The database is open only while its changes are
    /// read, so that others can write. Each line says what became of an element: added, updated, removed or
    /// forked; with --present also present. In a box, what comes into it is added, and what leaves it is
    /// removed. An element that was changed twice between two looks comes once.
    #[command(after_help = "Examples:\n  \
        osmdb watch\n  \
        osmdb watch node/3 --json | jq .heads\n  \
        osmdb watch --bbox 1.50,42.50,1.55,42.52 --present\n  \
        osmdb watch --since 2026-11-20        what has changed from that day on\n\n\
        The last line on the standard error is `root R`: with --since R, a later watch misses nothing.")]
    Watch(WatchArgs),
    /// Undo the last change: an import, an edit, a merge
    ///
    /// Only this database forgets: peers that know it already give it back at the next merge.
    #[command(
        after_help = "Examples:\n  osmdb undo\n  osmdb undo --to ROOT       a root of `osmdb reflog`, also to undo an undo"
    )]
    Undo {
        /// Make this root of the reflog the present one
        #[arg(long, value_name = "ROOT")]
        to: Option<Cid>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Forget old roots, remove what only they need, and make the files smaller
    ///
    /// Versions of elements stay: history is a part of the present root. The files are rewritten if an eighth
    /// of them is garbage.
    #[command(after_help = "Examples:\n  osmdb gc\n  osmdb gc --keep 1 --days 30")]
    Gc(GcArgs),
    /// Check every page, record, version and signature, and that all trees follow from them
    ///
    /// Reads the whole database. Exits with 1 and says what is wrong if anything is.
    #[command(after_help = "Examples:\n  osmdb --db valley.db verify\n  osmdb verify --repair")]
    Verify {
        /// First derive all trees anew from the entries
        #[arg(long)]
        repair: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:\n  osmdb completions bash > /etc/bash_completion.d/osmdb")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How elements of the standard input are written.
#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// The changeset that the edits belong to, which must be open
    #[arg(long, value_name = "ID")]
    pub(super) changeset: Option<u64>,
    /// Replace all heads, whatever version an object names
    #[arg(long)]
    pub(super) heads: bool,
    /// Let elements name others that are not in the database
    #[arg(long)]
    pub(super) lenient: bool,
    /// Print one JSON object a line, with the id that each element came with
    #[arg(long)]
    pub(super) json: bool,
}

/// What is watched.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Only this element, such as node/123
    #[arg(conflicts_with = "bbox")]
    pub(super) element: Option<ElementId>,
    /// Only what touches this box: west, south, east and north in degrees
    #[arg(long, value_name = "W,S,E,N", allow_hyphen_values = true)]
    pub(super) bbox: Option<BBox>,
    /// Print first what is there
    #[arg(long, conflicts_with = "since")]
    pub(super) present: bool,
    /// Print first what has changed since a root of `osmdb reflog`, or a time
    #[arg(long, value_name = "ROOT|TIME", allow_hyphen_values = true)]
    pub(super) since: Option<At>,
    /// Print one JSON object a line, with the heads as `osmdb get` prints them
    #[arg(long)]
    pub(super) json: bool,
}

/// What is deleted, and how.
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// The elements, such as node/123, way/5
    #[arg(required = true, value_name = "ELEMENT")]
    pub(super) elements: Vec<ElementId>,
    /// The changeset that the edits belong to, which must be open
    #[arg(long, value_name = "ID")]
    pub(super) changeset: Option<u64>,
    /// Keep what a live element names, and delete the others
    #[arg(long, conflicts_with = "even_if_used")]
    pub(super) if_unused: bool,
    /// Delete what a live element names too
    #[arg(long)]
    pub(super) even_if_used: bool,
    /// Replace only this version of the element; other heads stay
    #[arg(long = "version", value_name = "VERSION")]
    pub(super) versions: Vec<Version>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What becomes of a changeset.
#[derive(Debug, Subcommand)]
pub(super) enum ChangesetVerb {
    /// Open one, and print its id
    #[command(after_help = "Example:\n  osmdb changeset open comment='the wells of the east' source=survey")]
    Open {
        /// What is said of it
        #[arg(value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Give an open one other tags, which replace those it has
    Tag {
        /// Its id
        id: u64,
        /// What is said of it
        #[arg(value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Close one: no edit can belong to it afterwards
    Close {
        /// Its id
        id: u64,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print one as JSON
    Show {
        /// Its id
        id: u64,
    },
}

fn tag(text: &str) -> Result<(String, String), NoTag> {
    let (key, value) = text.split_once('=').ok_or_else(|| NoTag(text.to_owned()))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A text that is no tag.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no tag: write KEY=VALUE")]
pub(super) struct NoTag(String);

/// What is kept.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// How many of the latest roots are kept
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) keep: u64,
    /// Also keep what was the root in the last days
    #[arg(long, value_name = "DAYS")]
    pub(super) days: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Verb {
    /// Tells whether the verb can read the database as it was.
    pub(super) const fn reads_the_past(&self) -> bool {
        matches!(
            self,
            Self::Root { .. }
                | Self::Get { .. }
                | Self::Query(_)
                | Self::Export { .. }
                | Self::Diff { .. }
                | Self::Nearest(_)
                | Self::History { .. }
                | Self::Refs { .. }
                | Self::Changes { .. }
                | Self::Forks { .. }
                | Self::Publish { .. }
                | Self::Stats { .. }
        )
    }
}
