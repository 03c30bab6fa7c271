//! Reading OSM XML and change files, plain or unpacked, one tag at a time; and writing them.
//!
//! UNTRUSTED: the parser collects one tag, text or comment in a buffer; the source it reads from is
//! rationed, so that the buffer stays small. Entities that a document defines itself are never
//! expanded: using one is an error.

mod attributes;
mod document;
mod draft;
#[cfg(test)]
mod tests;
mod write;

use std::io::{self, BufRead};
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesDecl, BytesStart, Event};

pub use self::attributes::MAX_XML_ATTRIBUTES;
use self::attributes::{name_of, shortened};
pub(super) use self::document::Document;
use self::draft::Draft;
pub(super) use self::write::XmlWriter;
use super::element::Ids;
use super::error::{Compression, Place, Problem, XmlProblem};
use super::packed::unpack_problem;
use super::source::Rationed;
use crate::entry::Entry;
use crate::model::Kind;

/// The most bytes that one tag, text or comment may have.
///
/// ```
/// use osmdb::io::{MAX_XML_EVENT_BYTES, Problem, Reader, XmlProblem};
/// let text = format!("<osm><!--{}--></osm>", "x".repeat(MAX_XML_EVENT_BYTES));
/// let error = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap().unwrap_err();
/// assert!(matches!(error.problem(), Problem::Xml(XmlProblem::EventBytes { limit: MAX_XML_EVENT_BYTES })));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_XML_EVENT_BYTES: usize = 1 << 20;

/// How deep tags may be nested inside an element that is skipped. OSM's own go three deep.
///
/// ```
/// use osmdb::io::{MAX_XML_DEPTH, Problem, Reader, XmlProblem};
/// let text = format!("<osm>{}", "<deeper>".repeat(MAX_XML_DEPTH + 1));
/// let error = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap().unwrap_err();
/// assert!(matches!(error.problem(), Problem::Xml(XmlProblem::Depth { limit: MAX_XML_DEPTH })));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_XML_DEPTH: usize = 64;

/// Reads entries tag by tag.
pub(super) struct XmlReader<R: BufRead> {
    xml: quick_xml::Reader<Rationed<R>>,
    compression: Option<Compression>,
    version: XmlVersion,
    /// Where the event read last begins.
    place: Place,
    stage: Stage,
    document: Document,
    /// Of a change file: the section that is open.
    section: Option<Section>,
    ids: Ids,
    buffer: Vec<u8>,
}

/// What a change file does with the elements in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    CreateOrModify,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    BeforeRoot,
    Elements,
    AfterRoot,
}

impl<R: BufRead> XmlReader<R> {
    pub(super) fn new(source: R, compression: Option<Compression>) -> Self {
        Self {
            xml: quick_xml::Reader::from_reader(Rationed::new(source)),
            compression,
            version: XmlVersion::Implicit1_0,
            place: Place::File,
            stage: Stage::BeforeRoot,
            document: Document::Osm,
            section: None,
            ids: Ids::Positive,
            buffer: Vec::new(),
        }
    }

    pub(super) const fn read_placeholders(&mut self) {
        self.ids = Ids::Placeholders;
    }

    /// Returns where the tag read last begins.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// Returns the next entry, `None` at the end of the file.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, Problem> {
        // Events borrow the buffer, so it is lent to the call.
        let mut buffer = std::mem::take(&mut self.buffer);
        let entry = self.read_entry(&mut buffer);
        self.buffer = buffer;
        entry
    }

    fn read_entry(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Entry>, Problem> {
        if self.stage == Stage::BeforeRoot {
            self.read_root(buffer)?;
        }
        while self.stage == Stage::Elements {
            match self.event(buffer)? {
                Event::Start(tag) => match kind_of(&tag) {
                    Some(kind) => {
                        let draft = self.draft(kind, &tag)?;
                        return self.read_children(draft, buffer).map(Some);
                    }
                    None => match self.section_of(&tag)? {
                        Some(section) => self.section = Some(section),
                        None => self.skip(buffer)?,
                    },
                },
                Event::Empty(tag) => match kind_of(&tag) {
                    Some(kind) => return self.draft(kind, &tag)?.finish().map(Some),
                    None => drop(self.section_of(&tag)?),
                },
                Event::End(_) if self.section.is_some() => self.section = None,
                Event::End(_) => self.stage = Stage::AfterRoot,
                Event::Eof => return Err(Problem::Truncated { inside: self.document.tag() }),
                _ => {}
            }
        }
        self.read_end(buffer)?;
        Ok(None)
    }

    /// Reads up to and with `<osm>`.
    fn read_root(&mut self, buffer: &mut Vec<u8>) -> Result<(), Problem> {
        loop {
            match self.event(buffer)? {
                Event::Start(tag) => {
                    self.document = document_of(&tag)?;
                    self.stage = Stage::Elements;
                    return Ok(());
                }
                Event::Empty(tag) => {
                    document_of(&tag)?;
                    self.stage = Stage::AfterRoot;
                    return Ok(());
                }
                Event::Decl(declaration) => {
                    check_encoding(&declaration)?;
                    self.version = declaration.xml_version().map_err(|error| malformed(&error))?;
                }
                Event::Text(text) => check_blank(&text)?,
                Event::Eof => return Err(Problem::Truncated { inside: "what precedes <osm>" }),
                _ => {}
            }
        }
    }

    /// Begins an element. In a change file it must be in a section.
    fn draft(&self, kind: Kind, tag: &BytesStart<'_>) -> Result<Draft, Problem> {
        if self.document == Document::Change && self.section.is_none() {
            return Err(XmlProblem::Section { found: name_of(tag) }.into());
        }
        Draft::new(kind, tag, self.version, self.ids, self.section == Some(Section::Delete))
    }

    /// Returns the section that a tag of a change file begins, if it begins one. They do not nest.
    fn section_of(&self, tag: &BytesStart<'_>) -> Result<Option<Section>, XmlProblem> {
        let section = match tag.name().as_ref() {
            _ if self.document != Document::Change => return Ok(None),
            "create" | "modify" => Section::CreateOrModify,
            "delete" => Section::Delete,
            _ => return Ok(None),
        };
        if self.section.is_some() {
            return Err(XmlProblem::Section { found: name_of(tag) });
        }
        Ok(Some(section))
    }

    /// Checks that nothing follows `</osm>`. Reading to the end also checks a packed file's checksum.
    fn read_end(&mut self, buffer: &mut Vec<u8>) -> Result<(), Problem> {
        loop {
            match self.event(buffer)? {
                Event::Start(tag) | Event::Empty(tag) => {
                    return Err(XmlProblem::AfterEnd { found: name_of(&tag) }.into());
                }
                Event::Text(text) => check_blank(&text)?,
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    /// Reads what is inside an element, up to its end.
    fn read_children(&mut self, mut draft: Draft, buffer: &mut Vec<u8>) -> Result<Entry, Problem> {
        let start = self.place;
        loop {
            match self.event(buffer)? {
                Event::Start(tag) => {
                    draft.child(&tag, self.version)?;
                    self.skip(buffer)?;
                }
                Event::Empty(tag) => draft.child(&tag, self.version)?,
                Event::End(_) => {
                    self.place = start;
                    return draft.finish();
                }
                Event::Eof => return Err(Problem::Truncated { inside: "an element" }),
                _ => {}
            }
        }
    }

    /// Passes over what is inside a tag, up to its end.
    fn skip(&mut self, buffer: &mut Vec<u8>) -> Result<(), Problem> {
        let mut depth: usize = 1;
        while depth > 0 {
            match self.event(buffer)? {
                Event::Start(_) if depth >= MAX_XML_DEPTH => {
                    return Err(XmlProblem::Depth { limit: MAX_XML_DEPTH }.into());
                }
                Event::Start(_) => depth = depth.saturating_add(1),
                Event::End(_) => depth = depth.saturating_sub(1),
                Event::Eof => return Err(Problem::Truncated { inside: "an element" }),
                _ => {}
            }
        }
        Ok(())
    }

    fn event<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Event<'b>, Problem> {
        buffer.clear();
        let source = self.xml.get_mut();
        source.refill(MAX_XML_EVENT_BYTES);
        self.place = Place::Xml { line: source.breaks.saturating_add(1), byte: source.byte };
        self.xml.read_event_into(buffer).map_err(|error| problem(error, self.xml.get_mut(), self.compression))
    }
}

fn kind_of(tag: &BytesStart<'_>) -> Option<Kind> {
    match tag.name().as_ref() {
        "node" => Some(Kind::Node),
        "way" => Some(Kind::Way),
        "relation" => Some(Kind::Relation),
        _ => None,
    }
}

fn document_of(tag: &BytesStart<'_>) -> Result<Document, XmlProblem> {
    match tag.name().as_ref() {
        "osm" => Ok(Document::Osm),
        "osmChange" => Ok(Document::Change),
        _ => Err(XmlProblem::Root { found: name_of(tag) }),
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Problem> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(|error| malformed(&error.into()))?;
    // ASCII is a part of UTF-8; every byte is checked in any case.
    if ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(XmlProblem::Encoding { found: shortened(&encoding) }.into())
}

fn check_blank(text: &str) -> Result<(), XmlProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    Err(XmlProblem::Malformed(format!("expected a tag, found the text `{}`", shortened(text))))
}

fn malformed(error: &quick_xml::Error) -> Problem {
    XmlProblem::Malformed(error.to_string()).into()
}

/// Tells what the parser's error comes from: the source, its end, or the text.
fn problem<R>(error: quick_xml::Error, source: &Rationed<R>, compression: Option<Compression>) -> Problem {
    use quick_xml::Error;
    match error {
        Error::Io(_) if source.exceeded => XmlProblem::EventBytes { limit: MAX_XML_EVENT_BYTES }.into(),
        Error::Io(error) => {
            let error = Arc::try_unwrap(error)
                .unwrap_or_else(|error| io::Error::new(error.kind(), error.to_string()));
            match compression {
                Some(compression) => unpack_problem(error, compression),
                None => Problem::Io(error),
            }
        }
        Error::Syntax(_) | Error::Encoding(_) | Error::IllFormed(IllFormedError::UnclosedReference)
            if source.at_end =>
        {
            Problem::Truncated { inside: "a tag, text or comment" }
        }
        Error::Encoding(_) => XmlProblem::Encoding { found: "bytes that are not UTF-8".to_owned() }.into(),
        error => malformed(&error),
    }
}
