//! Why a verb failed, in one sentence that says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use osmdb::io::{
    ElementProblem, PbfProblem, Problem, ReadError, Unwritable, WriteError, WriteProblem, XmlProblem,
};
use osmdb::net::{Fingerprint, NetError, ParseAddressError, PeersError};
use osmdb::sync::SyncError;
use osmdb::{OriginError, RemoteError};
use prolly::StoreError;

use super::input::InputProblem;
use super::output::complain;
use super::sync;

/// The exit code of wrong usage.
pub(super) const USAGE: u8 = 2;

/// The exit code of anything else.
pub(super) const FAILED: u8 = 1;

/// What a damaged database leaves to do.
const DAMAGED: &str = "restore the directory from a copy, or merge from a peer into a new one";

/// A verb failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{} holds no database: create one with `osmdb import FILE`, or name another with --db", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} holds no database: name the directory of the database to merge from", .0.display())]
    NoOther(PathBuf),
    #[error("{} is a file, not the directory of a database: name another", .0.display())]
    IsFile(PathBuf),
    #[error("{} is not a database: {why}; name another directory", path.display())]
    NotADatabase { path: PathBuf, why: String },
    #[error("{} cannot be merged with itself: name the directory of another database", .0.display())]
    Itself(PathBuf),
    #[error("{} is not empty: name a directory that is absent or empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("{address}: {error}{}", semicolon(&sync::advice(error)))]
    Peer { address: String, error: Box<NetError> },
    #[error("{}{}", .0, semicolon(&sync::advice(.0)))]
    Net(Box<NetError>),
    #[error(transparent)]
    Peers(#[from] PeersError),
    #[error("no peer is called `{0}`: see `osmdb peers`")]
    NoPeer(String),
    #[error(transparent)]
    Inbox(Box<SyncError>),
    #[error("cannot listen at {address}: {source}; name another with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[cfg(feature = "server")]
    #[error("cannot listen at {address}: {source}; name another with --port and --bind")]
    ListenWeb { address: SocketAddr, source: io::Error },
    #[cfg(not(feature = "server"))]
    #[error(
        "this program was built without the server for editors: install it with --features server, or serve peers \
         with --sync"
    )]
    NoServer,
    #[cfg(feature = "server")]
    #[error(
        "{} has no build of iD: `npm install @openstreetmap/id @openstreetmap/id-tagging-schema osm-community-index \
         wmf-sitematrix` makes one in node_modules/@openstreetmap/id/dist",
        .0.display()
    )]
    NoEditor(PathBuf),
    #[cfg(feature = "server")]
    #[error(transparent)]
    Token(#[from] osmdb::server::TokenError),
    #[cfg(feature = "server")]
    #[error("there is no token for `{0}`: see `osmdb token list`")]
    NoToken(String),
    #[error("the threads of connections could not be started: {0}")]
    Runtime(io::Error),
    #[error("{}{}", .0, advice(.0))]
    Db(#[from] osmdb::Error),
    #[error("{}{}", .0, semicolon(super::bundle::advice(.0)))]
    Bundle(osmdb::bundle::BundleError),
    #[error("{}: GeoJSON and FlatGeobuf have no history: leave --history out, or write an OSM file", .0.display())]
    NoHistory(PathBuf),
    #[cfg(not(feature = "flatgeobuf"))]
    #[error(
        "{}: this program was built without FlatGeobuf: install it with --features flatgeobuf, or write .geojson",
        .0.display()
    )]
    NoFlatGeobuf(PathBuf),
    #[error("{}: only a change file says what was changed: end the name in .osc", .0.display())]
    NoChangeFile(PathBuf),
    #[error("no version here names the changeset {0}: give the number of another")]
    NoChangeset(u64),
    #[error("--format count counts everything: leave --limit and --cursor out")]
    CountOfPart,
    #[error(
        "--at is for reading alone: leave it out, or write what was there into a file with `osmdb --at … export`"
    )]
    NotThen,
    #[error("the database was not there at {at}: ask for a later time")]
    NotYet { at: osmdb::At },
    /// A dataset elsewhere.
    #[error("{}{}{}", .0, remote_advice(.0), super::trust::advice(.0))]
    Remote(#[from] RemoteError),
    /// A folder with files.
    #[error(transparent)]
    Publish(#[from] osmdb::PublishError),
    /// A folder that cannot be named like this.
    #[error("{name}: {source}")]
    Folder {
        /// Its name.
        name: String,
        /// What is wrong.
        source: io::Error,
    },
    /// `--from` with a verb that does not read.
    #[error(
        "--from is for root, get, query, nearest, history, refs, changes, export, pin and check-out: for others, `osmdb sync` with a peer or import the data here"
    )]
    NotFrom,
    /// `--from` with a time.
    #[error("a dataset elsewhere has no reflog here: give --at a root")]
    NoTimeThere,
    /// `--cache` without `--from`, and nothing pinned there.
    #[error(
        "--cache is for what is read with --from; without it, what was pinned there can be read, and nothing was"
    )]
    NothingToCache,
    /// `pin` and its like without `--cache`.
    #[error("say with --cache where pinned areas are kept, and with --from where they are read")]
    NoCache,
    /// `pin` without an area, where none is pinned.
    #[error("nothing is pinned there yet: name a box, such as 1.50,42.50,1.55,42.52")]
    NothingPinned,
    /// `unpin` with an area that is not pinned.
    #[error("{0} is not pinned there: see `osmdb pins`")]
    NotPinned(osmdb::BBox),
    /// `--root` or `--trust` without `--from`.
    #[error(
        "--root and --trust are for what is read with --from; a root of this database is named with --at"
    )]
    NobodyToTrust,
    /// `--trust` with the name of nobody.
    #[error(
        "no peer is called `{0}`: see `osmdb peers`, or give the fingerprint of whoever is to be trusted"
    )]
    NoSigner(String),
    /// `--follow` with a directory.
    #[error("{}: nobody tells what is new in a directory: --follow is for peers that are called", .0.display())]
    NobodyToFollow(PathBuf),
    /// `--nearby` where nobody is known.
    #[cfg(feature = "iroh")]
    #[error(
        "nobody who is nearby is known here: {}; compare with what is shown there, and try again with --accept \
         FINGERPRINT",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Strangers(Vec<Fingerprint>),
    /// `--accept` with nobody to call.
    #[error("--accept is for sync, and for --from with a peer")]
    NobodyToAccept,
    /// A peer that does not know a device whose key ends with the program.
    #[error(
        "{address} lets in only devices that it knows, and without a database this one has another key every \
         time: give --cache DIR, where a key is kept"
    )]
    NoKey { address: String },
    /// `--from` with what looks like a peer and is none.
    #[error(transparent)]
    Address(ParseAddressError),
    #[error("say what to look for: give --bbox, --geohash or --filter")]
    NoQuestion,
    #[error(transparent)]
    Cursor(#[from] osmdb::CursorError),
    #[error(transparent)]
    Box(#[from] osmdb::BBoxError),
    #[error("{}{}", .0, write_advice(.0))]
    Write(#[from] WriteError),
    #[error("{}: {what} failed: {source}", path.display())]
    File { path: PathBuf, what: &'static str, source: io::Error },
    #[error("this system lets nobody catch Ctrl-C: {0}; use `osmdb diff` again and again")]
    Signals(io::Error),
    #[error("the standard input could not be read: {0}")]
    Input(io::Error),
    #[error("nothing is on the standard input: expected elements as JSON or an OSM file")]
    NoInput,
    #[error("more than {0} MiB are on the standard input: use `osmdb import` for files")]
    LongInput(u64),
    #[error("element {at} of the standard input: {problem}; nothing was written")]
    Element { at: usize, problem: InputProblem },
    #[error(transparent)]
    Author(osmdb::ParseAuthorError),
    #[error("the results could not be written: {0}")]
    Output(io::Error),
    #[error("the demo went wrong, which it never should: {0}; please report it")]
    Demo(&'static str),
    /// All has been said already.
    #[error("failed")]
    Said,
}

impl Failure {
    /// Makes a failure of a file operation.
    pub(super) fn file(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, what, source }
    }

    /// Says of a peer what failed.
    pub(super) fn peer(address: &str, error: NetError) -> Self {
        Self::Peer { address: address.to_owned(), error: Box::new(error) }
    }

    /// Returns the fingerprint of this device if a peer that was asked does not know it: it says so when it is
    /// first read from.
    pub(super) fn stranger(&self) -> Option<Fingerprint> {
        let Self::Remote(RemoteError::Origin { source: OriginError::Offline { source, .. }, .. }) = self
        else {
            return None;
        };
        match source.get_ref()?.downcast_ref()? {
            NetError::NotKnownThere { ours } => Some(*ours),
            _ => None,
        }
    }

    /// Tells whether a peer could not be reached.
    pub(super) fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Peer { error, .. } => {
                matches!(**error, NetError::Connect { .. } | NetError::SlowHandshake | NetError::Io(_))
            }
            _ => false,
        }
    }

    /// Tells whether a peer was met, though it failed later.
    pub(super) fn has_met_peer(&self) -> bool {
        match self {
            Self::Peer { error, .. } => !matches!(
                **error,
                NetError::Connect { .. }
                    | NetError::Command { .. }
                    | NetError::Handshake { .. }
                    | NetError::NoMulticast { .. }
                    | NetError::NoQuic
            ),
            _ => false,
        }
    }

    /// Tells the user, and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            // Whoever reads the results has enough, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Said => {}
            _ => complain(&self.to_string()),
        }
        let is_usage = match self {
            Self::Itself(_)
            | Self::NoHistory(_)
            | Self::NoChangeFile(_)
            | Self::Author(_)
            | Self::CountOfPart
            | Self::NoQuestion
            | Self::NotThen
            | Self::NotFrom
            | Self::NoTimeThere
            | Self::NobodyToAccept
            | Self::NothingToCache
            | Self::NoCache
            | Self::NothingPinned
            | Self::NobodyToTrust
            | Self::NobodyToFollow(_)
            | Self::Address(_)
            | Self::Cursor(_) => true,
            Self::Write(error) => matches!(error.problem(), WriteProblem::UnknownFormat),
            _ => false,
        };
        ExitCode::from(if is_usage { USAGE } else { FAILED })
    }
}

impl From<osmdb::bundle::BundleError> for Failure {
    fn from(error: osmdb::bundle::BundleError) -> Self {
        match error {
            osmdb::bundle::BundleError::Db(error) => Self::Db(error),
            other => Self::Bundle(other),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Db(error.into())
    }
}

/// Says what to do, where the error itself does not.
fn remote_advice(error: &RemoteError) -> &'static str {
    match error {
        RemoteError::Origin { source: OriginError::Offline { source, .. }, .. }
            if source.kind() == io::ErrorKind::NotFound =>
        {
            ": nothing is published there; publish it with `osmdb publish`, or name another place"
        }
        RemoteError::Origin { source: OriginError::Offline { source, .. }, .. }
            if matches!(source.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            ""
        }
        RemoteError::Origin { source: OriginError::Offline { .. }, .. } => ": try again later",
        RemoteError::Origin { source: OriginError::Pack(_) | OriginError::Unasked { .. }, .. } => {
            ": have it published again"
        }
        RemoteError::NoOrigin => ": it is not pinned; name with --from somebody who has it",
        RemoteError::Origin { source: OriginError::Missing(_), .. } => {
            ": give another root, or have it published again"
        }
        _ => "",
    }
}

fn advice(error: &osmdb::Error) -> String {
    let advice = match error {
        osmdb::Error::Read(error) => read_advice(error.problem()),
        osmdb::Error::Tree(prolly::Error::Store(error)) => store_advice(error),
        osmdb::Error::Tree(_)
        | osmdb::Error::Entry { .. }
        | osmdb::Error::Key { .. }
        | osmdb::Error::Reflog { .. }
        | osmdb::Error::Views { .. } => DAMAGED,
        osmdb::Error::Root { source, .. } => match source {
            osmdb::RootError::Format { .. } => "",
            _ => DAMAGED,
        },
        osmdb::Error::InUse { .. } => "delete both at once, or with --even-if-used",
        osmdb::Error::Reference { .. } => "write both at once, or with --lenient",
        osmdb::Error::NotInReflog { .. } => "see `osmdb reflog`",
        osmdb::Error::NoRoot { .. } => "ask for one that the database had, and that was not collected",
        osmdb::Error::OtherDataset { .. } => "only databases of one dataset can be merged",
        _ => "",
    };
    semicolon(advice)
}

pub(super) fn semicolon(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

fn store_advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Io { source, .. } => io_advice(source),
        StoreError::Page { .. } | StoreError::Record { .. } => DAMAGED,
        StoreError::Locked { .. } => "or give it more time with --wait SECONDS",
        _ => "",
    }
}

fn read_advice(problem: &Problem) -> &'static str {
    match problem {
        Problem::Io(error) => io_advice(error),
        Problem::Empty | Problem::Truncated { .. } | Problem::Damaged { .. } => {
            "nothing was imported: get the file again"
        }
        Problem::Xml(XmlProblem::Root { .. }) | Problem::UnknownFormat { .. } => {
            "give an .osm.pbf or .osm file with a map (the latter also .gz, .bz2 or .zst), or an .osc file with changes"
        }
        Problem::Xml(XmlProblem::Encoding { .. }) => "convert it to UTF-8",
        Problem::Pbf(PbfProblem::Compression(_)) => "write it anew with zlib",
        Problem::PackedContent { .. } => "unpack it first",
        Problem::Element { problem: ElementProblem::Reference { id: ..0, .. }, .. }
        | Problem::Element { id: ..0, problem: ElementProblem::Id, .. } => {
            "or give the file to `osmdb put`, which finds ids for what is new"
        }
        Problem::Element { .. } => "nothing was imported: ask whoever made the file",
        _ => "nothing was imported: get the file again, or ask whoever made it",
    }
}

fn write_advice(error: &WriteError) -> String {
    let advice = match error.problem() {
        WriteProblem::Io(error) => io_advice(error),
        WriteProblem::UnknownFormat => "or .geojson, .geojsonseq or .fgb",
        WriteProblem::NotAFile => "name another file",
        WriteProblem::Element { problem: Unwritable::Character(_), .. } => "write .osm.pbf, which can",
        _ => "",
    };
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

pub(super) fn io_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied => "ask for the permission, or name another path",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk and try again",
        io::ErrorKind::ReadOnlyFilesystem => "name a place that can be written to",
        _ => "",
    }
}
