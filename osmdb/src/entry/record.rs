//! The whole record of an entry, as bytes that somebody else has.

use prolly::cbor::Reader;

use super::Entry;
use super::codec::{self, EntryError};
use crate::model::{ElementId, Kind};

impl Entry {
    /// Returns the record, `[kind, id, [payload, origin]]`: the bytes whose hash is the version.
    ///
    /// An entry that cannot be, such as one with an id of 0, has a record that
    /// [`from_record`](Self::from_record) refuses.
    ///
    /// ```
    /// use osmdb::{ElementId, Entry, Origin, OsmMeta};
    /// let origin = Origin::Imported(OsmMeta { version: Some(3), ..OsmMeta::default() });
    /// let deletion = Entry { element: ElementId::node(7), payload: None, origin };
    /// let record = deletion.to_record();
    /// assert_eq!(record, [0x83, 0, 7, 0x82, 0xf6, 0x85, 3, 0xf6, 0xf6, 0xf6, 0xf6]);
    /// assert_eq!(prolly::Cid::of(&record).as_bytes(), deletion.version().as_bytes());
    /// ```
    #[must_use]
    pub fn to_record(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(80);
        codec::put_head(&mut record, self.element);
        self.encode_into(&mut record);
        record
    }

    /// Reads a record. Whether a signature in it is its author's, [`check_signature`](Self::check_signature)
    /// tells.
    ///
    /// ```
    /// use osmdb::{ElementId, Entry};
    /// let entry = Entry::from_record(&[0x83, 0, 7, 0x82, 0xf6, 0x85, 3, 0xf6, 0xf6, 0xf6, 0xf6])?;
    /// assert_eq!((entry.element, entry.payload), (ElementId::node(7), None));
    /// assert!(Entry::from_record(&[0x83, 0, 0, 0x82, 0xf6, 0x85, 3, 0xf6, 0xf6, 0xf6, 0xf6]).is_err());
    /// # Ok::<(), osmdb::EntryError>(())
    /// ```
    ///
    /// # Errors
    /// The bytes are not the one encoding of an entry.
    pub fn from_record(record: &[u8]) -> Result<Self, EntryError> {
        let mut reader = Reader::new(record);
        reader.array_of(3)?;
        let at = reader.position();
        let kind = u8::try_from(reader.unsigned()?).ok().and_then(Kind::from_code);
        let kind = kind.ok_or(EntryError::Element { at })?;
        let element = ElementId::new(kind, codec::read_id(&mut reader)?);
        let (entry, _) = Self::read(element, &mut reader)?;
        reader.end()?;
        Ok(entry)
    }
}
