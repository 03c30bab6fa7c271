//! `export`.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::io::Write;
use std::path::Path;

use osmdb::io::{FileFormat, WholeFile, Writer};
use osmdb::{At, BBox, ElementId, Error, Head, Kind, Snapshot};
use prolly::{Cid, PageSource};
use serde_json::{Value, json};

use super::database::{self, Directory};
use super::failure::Failure;
#[cfg(feature = "flatgeobuf")]
use super::flatgeobuf;
use super::geojson::{self, Features, Layout};
use super::output::{Out, counted, note};

/// Returns the box that holds everything.
pub(super) fn everything() -> Result<BBox, Failure> {
    Ok("-180,-90,180,90".parse()?)
}

pub(super) fn export(
    dir: &Directory,
    at: Option<At>,
    file: &Path,
    bbox: Option<BBox>,
    history: bool,
    as_json: bool,
) -> Result<(), Failure> {
    draws(file, history)?;
    let db = database::existing(dir)?;
    write(&database::snapshot(&db, at)?, file, bbox, history, as_json)
}

/// Tells whether a file holds shapes, and not elements, or why it cannot be written.
pub(super) fn draws(file: &Path, history: bool) -> Result<bool, Failure> {
    let draws = Layout::of(file).is_some() || is_flatgeobuf(file);
    if draws && (history || FileFormat::is_history(file)) {
        return Err(Failure::NoHistory(file.into()));
    }
    #[cfg(not(feature = "flatgeobuf"))]
    if is_flatgeobuf(file) {
        return Err(Failure::NoFlatGeobuf(file.into()));
    }
    if !draws && FileFormat::of(file).is_none() {
        // What this says is the same with a database and without.
        Writer::create(file)?;
    }
    Ok(draws)
}

fn is_flatgeobuf(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("fgb"))
}

/// Writes what is in a database, which may be elsewhere, to a file of which [`draws`] said that it can be.
pub(super) fn write<S: PageSource>(
    snapshot: &Snapshot<S>,
    file: &Path,
    bbox: Option<BBox>,
    history: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let (written, notes) = match Layout::of(file) {
        Some(layout) => features(snapshot, file, bbox, layout)?,
        #[cfg(feature = "flatgeobuf")]
        None if is_flatgeobuf(file) => {
            let count = flatgeobuf::write(snapshot, file, bbox.map_or_else(everything, Ok)?)?;
            let notes = Notes { shapeless: count.shapeless, ..Notes::default() };
            (Written { features: Some(count.all), ..Written::default() }, notes)
        }
        None => entries(snapshot, file, bbox, history || FileFormat::is_history(file))?,
    };
    note(&format!("{written} written to {}", file.display()));
    notes.say();
    report(snapshot.root().cid(), &written, as_json)
}

/// Prints the root of what was written, and in JSON also how much it is.
pub(super) fn report(root: Cid, written: &Written, as_json: bool) -> Result<(), Failure> {
    let mut out = Out::new();
    if as_json {
        out.line(written.to_json(root))?;
    } else {
        out.line(root)?;
    }
    out.finish()
}

/// Writes an OSM file.
fn entries<S: PageSource>(
    snapshot: &Snapshot<S>,
    file: &Path,
    bbox: Option<BBox>,
    history: bool,
) -> Result<(Written, Notes), Failure> {
    let elements = bbox.map(|bbox| snapshot.extract(bbox)).transpose()?;
    let mut export = Export::new(Writer::create(file)?, history);
    for versions in versions(snapshot, elements.as_ref(), history) {
        export.write(&versions?)?;
    }
    let Export { writer, written, notes, .. } = export;
    writer.finish()?;
    Ok((written, notes))
}

/// Writes a file of GeoJSON.
fn features<S: PageSource>(
    snapshot: &Snapshot<S>,
    file: &Path,
    bbox: Option<BBox>,
    layout: Layout,
) -> Result<(Written, Notes), Failure> {
    let bbox = bbox.map_or_else(everything, Ok)?;
    let mut out = WholeFile::create(file)?;
    let part = |text: &dyn Display| write!(out, "{text}").map_err(|error| out.error(error).into());
    let Features { all, broken } = geojson::write(snapshot, bbox, layout, part)?;
    out.finish()?;
    let written = Written { features: Some(all), ..Written::default() };
    Ok((written, Notes { broken, ..Notes::default() }))
}

type Versions<'a> = Box<dyn Iterator<Item = Result<Vec<Head>, Error>> + 'a>;

/// Gives what is to be written, element by element.
fn versions<'a, S: PageSource>(
    snapshot: &'a Snapshot<S>,
    elements: Option<&'a BTreeSet<ElementId>>,
    history: bool,
) -> Versions<'a> {
    match (elements, history) {
        (None, false) => Box::new(snapshot.heads()),
        (None, true) => Box::new(snapshot.versions()),
        (Some(elements), false) => Box::new(snapshot.heads_among(elements)),
        (Some(elements), true) => Box::new(snapshot.versions_among(elements)),
    }
}

/// An export under way.
struct Export {
    writer: Writer,
    /// Whether what was deleted is written too.
    deleted: bool,
    history: bool,
    written: Written,
    notes: Notes,
}

impl Export {
    fn new(writer: Writer, history: bool) -> Self {
        // A change file is there to say what was deleted.
        let deleted = history || matches!(writer.format(), FileFormat::Change(_));
        Self { writer, deleted, history, written: Written::default(), notes: Notes::default() }
    }

    /// Writes the versions of one element.
    fn write(&mut self, versions: &[Head]) -> Result<(), Failure> {
        let mut count = 0;
        for Head { entry, .. } in versions {
            if entry.element.kind == Kind::Changeset {
                self.notes.changesets += 1;
            } else if self.deleted || entry.payload.is_some() {
                self.writer.write(entry)?;
                self.written.count(entry.element.kind);
                count += 1;
            }
        }
        let is_map = versions.iter().any(|head| head.entry.element.kind != Kind::Changeset);
        self.notes.deleted += u64::from(is_map && count == 0);
        self.notes.forks += u64::from(!self.history && count > 1);
        Ok(())
    }
}

/// How much was written.
#[derive(Default)]
pub(super) struct Written {
    nodes: u64,
    ways: u64,
    relations: u64,
    /// In place of elements.
    features: Option<u64>,
}

impl Written {
    pub(super) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Node => self.nodes += 1,
            Kind::Way => self.ways += 1,
            Kind::Relation => self.relations += 1,
            Kind::Changeset => {}
        }
    }

    fn to_json(&self, root: Cid) -> Value {
        let Self { nodes, ways, relations, features } = self;
        let root = root.to_string();
        match features {
            Some(features) => json!({ "root": root, "features": features }),
            None => json!({ "root": root, "nodes": nodes, "ways": ways, "relations": relations }),
        }
    }
}

impl Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(features) = self.features {
            return f.write_str(&counted(features, "feature", "features"));
        }
        let (nodes, ways) = (counted(self.nodes, "node", "nodes"), counted(self.ways, "way", "ways"));
        write!(f, "{nodes}, {ways} and {}", counted(self.relations, "relation", "relations"))
    }
}

/// What somebody who looks at the file should know.
#[derive(Default)]
struct Notes {
    forks: u64,
    deleted: u64,
    changesets: u64,
    broken: u64,
    #[cfg(feature = "flatgeobuf")]
    shapeless: u64,
}

impl Notes {
    fn say(&self) {
        if self.forks > 0 {
            let forks =
                counted(self.forks, "fork is in it with every head", "forks are in it with every head");
            note(&format!("{forks}: versions of one id, one after another"));
        }
        if self.deleted > 0 {
            let deleted = counted(self.deleted, "deleted element is", "deleted elements are");
            note(&format!("{deleted} left out: --history writes what was deleted"));
        }
        if self.changesets > 0 {
            let changesets = counted(self.changesets, "changeset is", "changesets are");
            note(&format!("{changesets} left out: files of a map have none"));
        }
        #[cfg(feature = "flatgeobuf")]
        if self.shapeless > 0 {
            let relations = counted(self.shapeless, "relation has", "relations have");
            note(&format!("{relations} no shape, and so no place in the file: GeoJSON has them"));
        }
        if self.broken > 0 {
            let areas = counted(self.broken, "area is", "areas are");
            note(&format!("{areas} not closed or otherwise broken: their \"@error\" says why"));
        }
    }
}
