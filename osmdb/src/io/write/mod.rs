//! Writing OSM files.

mod action;
mod checked;
mod error;
mod format;
mod pack;
mod partial;
mod whole;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

pub use self::action::Action;
pub(in crate::io) use self::checked::{Checked, Content, Limits, Meta, Shape, check};
pub use self::error::{Unwritable, WriteError, WriteProblem};
pub use self::format::FileFormat;
use self::pack::Pack;
use self::partial::Partial;
pub use self::whole::WholeFile;
use super::pbf::PbfWriter;
use super::xml::{Document, XmlWriter};
use crate::entry::Entry;

/// Writes entries into an OSM file, one after another.
///
/// The name of the file tells the format: see [`FileFormat`]. The file grows beside its place under
/// another name, and takes its place when it is [finished](Self::finish); a writer that is dropped before
/// that, or that fails, leaves what was there as it was. Memory is bounded whatever the size of the file:
/// one element of XML, one block of PBF.
///
/// The entries stand in the file in the order in which they were written. Ids, versions, times,
/// changesets, users, tags and members in their order are kept, and [`Reader`](super::Reader) gives them
/// back as they were. Three things the formats cannot say:
///
/// - Edits of this database have no version of an OSM server, and their links have no place in a file: of
///   an [`EditMeta`](crate::EditMeta) its changeset and time are written.
/// - What was deleted has no content. In `.osm` it bears `visible="false"`, in PBF the same mark and the
///   feature `HistoricalInformation`, in `.osc` it stands under `<delete>`. A file whose name says that it
///   is a history ([`FileFormat::is_history`]) has the mark or the feature in any case.
/// - A version, changeset, uid or time of 0 and an empty user name mean "not set", and are read so.
///
/// In change files (`.osc`), version 1 stands under `<create>`, as does an edit that replaces nothing; all
/// others that are not deleted under `<modify>`. [`write_change`](Self::write_change) names the section.
///
/// ```
/// use osmdb::io::{Reader, Writer};
///
/// # let dir = tempfile::tempdir()?;
/// # let (path, copy) = (dir.path().join("summit.osm"), dir.path().join("copy.osm.pbf"));
/// std::fs::write(&path, r#"<osm version="0.6"><node id="7" version="2" lat="42.592196" lon="1.5"/></osm>"#)?;
/// let mut writer = Writer::create(&copy)?;
/// for entry in Reader::open(&path)? {
///     writer.write(&entry?)?;
/// }
/// writer.finish()?;
///
/// let same = Reader::open(&path)?.zip(Reader::open(&copy)?).all(|(a, b)| a.unwrap() == b.unwrap());
/// assert!(same);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    path: PathBuf,
    format: FileFormat,
    /// `None` once it failed.
    encoder: Option<Encoder>,
    // After the encoder, which has the file open: some systems remove no open files.
    partial: Partial,
}

enum Encoder {
    // Boxed, or the smaller of the two would take the room of the larger.
    Pbf(Box<PbfWriter<BufWriter<File>>>),
    Xml(Box<XmlWriter<Pack>>),
}

impl Writer {
    /// Begins a file, in the format that its name tells. Nothing of that name is touched yet.
    ///
    /// ```
    /// use osmdb::io::Writer;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("empty.osm");
    /// let writer = Writer::create(&path)?;
    /// assert!(!path.exists(), "not before it is finished");
    /// writer.finish()?;
    /// assert!(path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The name tells no format that is written; there is something else than a file in its place; or no
    /// file can be created beside it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, WriteError> {
        let path = path.as_ref();
        let begin = || {
            let format = FileFormat::of(path).ok_or(WriteProblem::UnknownFormat)?;
            let (partial, file) = Partial::create(path)?;
            let encoder =
                Encoder::new(format, FileFormat::is_history(path), file).map_err(WriteProblem::Io)?;
            Ok(Self { path: path.to_owned(), format, encoder: Some(encoder), partial })
        };
        begin().map_err(|problem| WriteError::new(path, problem))
    }

    /// Returns the format.
    ///
    /// ```
    /// use osmdb::io::{FileFormat, Writer};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let writer = Writer::create(dir.path().join("valley.osm.pbf"))?;
    /// assert_eq!(writer.format(), FileFormat::Pbf);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn format(&self) -> FileFormat {
        self.format
    }

    /// Writes an entry.
    ///
    /// ```
    /// use osmdb::io::Writer;
    /// use osmdb::{Coord, Db, Payload, Tags};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("spring.osm");
    /// let db = Db::in_memory("osm")?;
    /// let coord = Coord::new(425_121_500, 15_029_000)?;
    /// let node = db.create(Payload::Node { coord, tags: Tags::from([("natural", "spring")]) })?;
    /// let mut writer = Writer::create(&path)?;
    /// for head in db.get(node)? {
    ///     writer.write(&head.entry)?;
    /// }
    /// writer.finish()?;
    /// assert!(std::fs::read_to_string(&path)?.contains(r#"lat="42.5121500""#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The format cannot hold the entry ([`WriteProblem::Element`]): then nothing of it is written, and
    /// others may follow. Or the file cannot be written: then nothing more can be.
    pub fn write(&mut self, entry: &Entry) -> Result<(), WriteError> {
        self.write_in(entry, None)
    }

    /// Writes an entry into the section of a change file that is named; in other formats this is
    /// [`write`](Self::write). What has no content stands under `<delete>` whatever is named, and what
    /// stands there has no content.
    ///
    /// ```
    /// use osmdb::io::{Action, Writer};
    /// use osmdb::{Coord, ElementId, Entry, Origin, OsmMeta, Payload, Tags};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("new.osc");
    /// let mut writer = Writer::create(&path)?;
    /// let payload = Some(Payload::Node { coord: Coord::new(425_900_000, 15_600_000)?, tags: Tags::new() });
    /// let origin = Origin::Imported(OsmMeta { version: Some(4), ..OsmMeta::default() });
    /// writer.write_change(Action::Create, &Entry { element: ElementId::node(7), payload, origin })?;
    /// writer.finish()?;
    /// assert!(std::fs::read_to_string(&path)?.contains("<create>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_change(&mut self, action: Action, entry: &Entry) -> Result<(), WriteError> {
        self.write_in(entry, Some(action))
    }

    fn write_in(&mut self, entry: &Entry, action: Option<Action>) -> Result<(), WriteError> {
        let problem = match &mut self.encoder {
            None => WriteProblem::Failed,
            Some(encoder) => match encoder.write(entry, action) {
                Ok(()) => return Ok(()),
                Err(EncodeError::Element(problem)) => {
                    WriteProblem::Element { element: entry.element, problem }
                }
                Err(EncodeError::Io(error)) => {
                    self.encoder = None;
                    WriteProblem::Io(error)
                }
            },
        };
        Err(WriteError::new(&self.path, problem))
    }

    /// Ends the file, makes it durable and puts it in its place, where it replaces the file that was there.
    ///
    /// ```
    /// use osmdb::io::Writer;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("valley.osm");
    /// std::fs::write(&path, "what was there")?;
    /// drop(Writer::create(&path)?); // given up
    /// assert_eq!(std::fs::read_to_string(&path)?, "what was there");
    /// Writer::create(&path)?.finish()?;
    /// assert_ne!(std::fs::read_to_string(&path)?, "what was there");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written, or writing failed before; what was in its place is still there.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { path, encoder, partial, .. } = self;
        let end = || {
            let file = encoder.ok_or(WriteProblem::Failed)?.finish().map_err(WriteProblem::Io)?;
            partial.keep(file).map_err(WriteProblem::Io)
        };
        end().map_err(|problem| WriteError::new(&path, problem))
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Why an encoder did not write an entry.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// It cannot; nothing of the entry is written.
    #[error(transparent)]
    Element(#[from] Unwritable),
    /// The file is not whole any more.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Encoder {
    fn new(format: FileFormat, history: bool, file: File) -> io::Result<Self> {
        let (document, packed) = match format {
            FileFormat::Pbf => {
                return Ok(Self::Pbf(Box::new(PbfWriter::new(BufWriter::new(file), history)?)));
            }
            FileFormat::Xml(packed) if history => (Document::History, packed),
            FileFormat::Xml(packed) => (Document::Osm, packed),
            FileFormat::Change(packed) => (Document::Change, packed),
        };
        Ok(Self::Xml(Box::new(XmlWriter::new(Pack::new(file, packed)?, document)?)))
    }

    fn write(&mut self, entry: &Entry, action: Option<Action>) -> Result<(), EncodeError> {
        match self {
            Self::Pbf(pbf) => pbf.write(entry),
            Self::Xml(xml) => xml.write(entry, action),
        }
    }

    fn finish(self) -> io::Result<File> {
        match self {
            Self::Pbf(pbf) => pbf.finish()?.into_inner().map_err(io::IntoInnerError::into_error),
            Self::Xml(xml) => xml.finish()?.finish(),
        }
    }
}
