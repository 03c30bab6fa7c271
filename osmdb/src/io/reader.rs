//! The reader of files of any format.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::iter::FusedIterator;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::detect::{Format, detect, read_head};
use super::error::{Place, Problem, ReadError};
use super::packed::unpack;
use super::pbf::PbfReader;
use super::source::{Counted, Source};
use super::xml::XmlReader;
use crate::entry::Entry;

const BUFFER_BYTES: usize = 64 << 10;

/// Reads the entries of an OSM file, one after another.
///
/// An iterator: it gives each version of each element as the file has them, and ends after the first
/// error.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("empty.osm");
/// std::fs::write(&path, "<osm version='0.6'/>")?;
/// let mut reader = osmdb::io::Reader::open(&path)?;
/// assert_eq!(reader.by_ref().count(), 0);
/// assert_eq!(reader.position(), reader.total());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader {
    path: Arc<Path>,
    total: u64,
    position: Arc<AtomicU64>,
    /// `None` once it ended or failed.
    decoder: Option<Decoder>,
}

pub(super) enum Decoder {
    // Boxed, or the smaller of the two would take the room of the larger.
    Pbf(Box<PbfReader<Source>>),
    Xml(Box<XmlReader<Source>>),
}

impl Reader {
    /// Opens a file, whatever its name; its content tells what it is.
    ///
    /// ```
    /// use osmdb::io::Reader;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("summit.xml");
    /// std::fs::write(&path, "<osm><node id='7' lat='42.592196' lon='1.565524'/></osm>")?;
    /// let entry = Reader::open(&path)?.next().unwrap()?;
    /// assert_eq!(entry.element.to_string(), "node/7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or is neither OSM PBF nor XML.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let failed = |error| ReadError::new(path, Place::File, Problem::Io(error));
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        Self::from_source(path, total, file)
    }

    /// Reads from anything that gives bytes, such as a download or a buffer.
    ///
    /// The name is shown in errors; `total` is what [`Reader::total`] returns.
    ///
    /// # Errors
    /// The source cannot be read, or is neither OSM PBF nor XML.
    ///
    /// ```
    /// let text = b"<osm><way id='3' version='1'/></osm>";
    /// let mut reader = osmdb::io::Reader::from_source("a buffer", 36, &text[..])?;
    /// assert_eq!(reader.next().unwrap()?.element.to_string(), "way/3");
    /// # Ok::<(), osmdb::io::ReadError>(())
    /// ```
    pub fn from_source(
        name: impl AsRef<Path>,
        total: u64,
        source: impl Read + Send + 'static,
    ) -> Result<Self, ReadError> {
        let path: Arc<Path> = name.as_ref().into();
        let (counted, position) = Counted::new(source);
        let decoder = decoder(Box::new(BufReader::with_capacity(BUFFER_BYTES, counted)))
            .map_err(|problem| ReadError::new(&path, Place::File, problem))?;
        Ok(Self { path, total, position, decoder: Some(decoder) })
    }

    /// Reads the XML of editors too. They give ids below 0 to elements that are new: read as
    /// `id.cast_unsigned()`, which no element of a database has, and [`placeholder`](super::placeholder) gives
    /// back what stood there. And with `action="delete"` they mark what is to be deleted. To be called before
    /// the first entry is taken; PBF files are read as without.
    ///
    /// Such entries are not to be imported or written: first give each new element an id
    /// ([`Db::new_id`](crate::Db::new_id)), and those that name it too.
    ///
    /// ```
    /// use osmdb::io::{Reader, placeholder};
    /// let text = b"<osm><way id='-3'><nd ref='-2'/></way><node id='8' action='delete'/></osm>";
    /// let mut reader = Reader::from_source("a buffer", 74, &text[..])?.with_placeholders();
    /// let way = reader.next().unwrap()?;
    /// assert_eq!(placeholder(way.element.id), Some(-3));
    /// let node = reader.next().unwrap()?;
    /// assert_eq!((placeholder(node.element.id), node.payload), (None, None));
    /// # Ok::<(), osmdb::io::ReadError>(())
    /// ```
    #[must_use]
    pub fn with_placeholders(mut self) -> Self {
        if let Some(Decoder::Xml(xml)) = &mut self.decoder {
            xml.read_placeholders();
        }
        self
    }

    /// Returns how many bytes of the file are read so far, packed as they are.
    ///
    /// ```
    /// let text = b"<osm><way id='3'/><way id='4'/></osm>";
    /// let mut reader = osmdb::io::Reader::from_source("a buffer", 37, &text[..])?;
    /// while let Some(entry) = reader.next() {
    ///     entry?;
    ///     assert!(reader.position() <= reader.total());
    /// }
    /// assert_eq!(reader.position(), 37);
    /// # Ok::<(), osmdb::io::ReadError>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Returns how many bytes the file has, packed as they are; or what
    /// [`from_source`](Self::from_source) was told.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("empty.osm");
    /// std::fs::write(&path, "<osm/>")?;
    /// assert_eq!(osmdb::io::Reader::open(&path)?.total(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }
}

impl Reader {
    /// Gives what reads on, unless it ended or failed, and the path for errors.
    pub(super) fn parts(&mut self) -> (Option<&mut Decoder>, &Arc<Path>) {
        (self.decoder.as_mut(), &self.path)
    }

    /// Ends the reading.
    pub(super) fn end(&mut self) {
        self.decoder = None;
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("position", &self.position())
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (next, place) = match self.decoder.as_mut()? {
            Decoder::Pbf(pbf) => (pbf.next_entry(), pbf.place()),
            Decoder::Xml(xml) => (xml.next_entry(), xml.place()),
        };
        match next {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => {
                self.decoder = None;
                None
            }
            Err(problem) => {
                self.decoder = None;
                Some(Err(ReadError::new(&self.path, place, problem)))
            }
        }
    }
}

impl FusedIterator for Reader {}

fn decoder(mut source: Source) -> Result<Decoder, Problem> {
    let head = read_head(&mut source).map_err(Problem::Io)?;
    let format = detect(&head)?;
    let whole: Source = Box::new(Cursor::new(head).chain(source));
    match format {
        Format::Pbf => Ok(Decoder::Pbf(Box::new(PbfReader::new(whole)))),
        Format::Xml => Ok(Decoder::Xml(Box::new(XmlReader::new(whole, None)))),
        Format::Packed(compression) => {
            let (head, unpacked) = unpack(whole, compression)?;
            let whole = Cursor::new(head).chain(BufReader::with_capacity(BUFFER_BYTES, unpacked));
            Ok(Decoder::Xml(Box::new(XmlReader::new(Box::new(whole), Some(compression)))))
        }
    }
}
