//! Reading XML: tags one after another, at a bounded depth, without anything that a document defines itself.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::io::{MAX_XML_ATTRIBUTES, MAX_XML_DEPTH};
use crate::server::error::ApiError;

/// What a document has, one after another.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A tag begins. Its end follows, even if it is empty.
    Begin(BytesStart<'a>),
    /// The tag that began last and has not ended, ends.
    End,
    /// The document ends.
    Eof,
}

/// A document that is read.
pub(super) struct Xml<'a> {
    reader: quick_xml::Reader<&'a [u8]>,
    text: &'a str,
    version: XmlVersion,
    depth: usize,
    /// What is read, in errors: `osmChange`.
    model: &'static str,
}

impl<'a> Xml<'a> {
    pub(super) fn new(model: &'static str, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = quick_xml::Reader::from_reader(text.as_bytes());
        reader.config_mut().expand_empty_elements = true;
        Self { reader, text, version: XmlVersion::Implicit1_0, depth: 0, model }
    }

    pub(super) fn next(&mut self) -> Result<Item<'a>, ApiError> {
        loop {
            let event = self.reader.read_event().map_err(|error| self.bad(&error.to_string()))?;
            match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    self.depth += 1;
                    if self.depth > MAX_XML_DEPTH {
                        return Err(self.bad(&format!("tags are nested deeper than {MAX_XML_DEPTH}")));
                    }
                    return Ok(Item::Begin(tag));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Item::End);
                }
                Event::Eof if self.depth > 0 => return Err(self.bad("the document ends inside a tag")),
                Event::Eof => return Ok(Item::Eof),
                Event::DocType(_) => return Err(self.bad("a document type has no place here")),
                Event::Decl(declaration) => {
                    self.version = declaration.xml_version().map_err(|error| self.bad(&error.to_string()))?;
                    let encoding = declaration.encoding().transpose();
                    let encoding = encoding.map_err(|error| self.bad(&error.to_string()))?;
                    let known = ["utf-8", "utf8", "us-ascii", "ascii"];
                    if encoding
                        .is_some_and(|name| !known.iter().any(|known| name.eq_ignore_ascii_case(known)))
                    {
                        return Err(self.bad("its encoding is not UTF-8"));
                    }
                }
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
            }
        }
    }

    /// Takes the next tag inside the one that is open; `None` at the end of that, or of the document.
    pub(super) fn child(&mut self) -> Result<Option<BytesStart<'a>>, ApiError> {
        match self.next()? {
            Item::Begin(tag) => Ok(Some(tag)),
            Item::End | Item::Eof => Ok(None),
        }
    }

    /// Passes over what is inside the tag that began last.
    pub(super) fn skip(&mut self) -> Result<(), ApiError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// Reads the root and goes inside.
    pub(super) fn root(&mut self, name: &str) -> Result<(), ApiError> {
        match self.next()? {
            Item::Begin(tag) if tag.name().as_ref() == name => Ok(()),
            Item::Begin(_) | Item::End | Item::Eof => {
                Err(self.bad(&format!("XML doesn't contain an {name} element")))
            }
        }
    }

    /// Makes sure that nothing follows the root.
    pub(super) fn end(&mut self) -> Result<(), ApiError> {
        match self.next()? {
            Item::Eof => Ok(()),
            Item::Begin(_) | Item::End => Err(self.bad("something follows its end")),
        }
    }

    /// Shows each attribute of a tag, references resolved.
    pub(super) fn attributes(
        &self,
        tag: &BytesStart<'_>,
        mut show: impl FnMut(&str, Cow<'_, str>) -> Result<(), String>,
    ) -> Result<(), ApiError> {
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= MAX_XML_ATTRIBUTES {
                return Err(self.bad("a tag has too many attributes"));
            }
            let attribute = attribute.map_err(|error| self.bad(&error.to_string()))?;
            let value =
                attribute.normalized_value(self.version).map_err(|error| self.bad(&error.to_string()))?;
            show(attribute.key.as_ref(), value).map_err(|message| self.bad_in(tag, &message))?;
        }
        Ok(())
    }

    /// Returns the attributes of a tag with these names; those that are not there are `None`.
    pub(super) fn values<const N: usize>(
        &self,
        tag: &BytesStart<'_>,
        names: [&str; N],
    ) -> Result<[Option<String>; N], ApiError> {
        let mut found = [const { None }; N];
        self.attributes(tag, |name, value| {
            if let Some((_, slot)) = names.iter().zip(&mut found).find(|(wanted, _)| **wanted == name) {
                *slot = Some(value.into_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Says what is wrong with the document.
    pub(super) fn bad(&self, message: &str) -> ApiError {
        let byte = self.reader.buffer_position();
        let line = usize::try_from(byte).ok().and_then(|byte| self.text.as_bytes().get(..byte));
        let line = line.map_or(1, |read| read.iter().filter(|byte| **byte == b'\n').count() + 1);
        ApiError::bad_request(format!(
            "Cannot parse valid {} from xml string. {message} (line {line}, byte {byte})",
            self.model
        ))
    }

    /// Says what is wrong with a tag.
    pub(super) fn bad_in(&self, tag: &BytesStart<'_>, message: &str) -> ApiError {
        const SHOWN_CHARS: usize = 200;
        let shown: String =
            tag.as_ref().chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let name = tag.name();
        ApiError::bad_request(format!(
            "Cannot parse valid {} from xml string <{shown}>. {message}",
            name.as_ref()
        ))
    }
}
