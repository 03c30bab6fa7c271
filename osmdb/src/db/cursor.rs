//! Where a listing was left, to be gone on with later.

use std::fmt;
use std::str::FromStr;

use prolly::Cid;
use prolly::cbor::{CborError, Reader, put_array, put_bytes, put_link, put_unsigned};

/// No cursor is longer than this, in bytes.
///
/// ```
/// use osmdb::{Cursor, CursorError, MAX_CURSOR_BYTES};
/// let long = "0".repeat(2 * (MAX_CURSOR_BYTES + 1));
/// assert_eq!(long.parse::<Cursor>(), Err(CursorError::Text));
/// ```
pub const MAX_CURSOR_BYTES: usize = 256;

/// The version of the form of cursors.
const FORM: u64 = 1;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Query,
    Forks,
}

impl Listing {
    const fn code(self) -> u64 {
        match self {
            Self::Query => 0,
            Self::Forks => 1,
        }
    }
}

/// Where a listing was left: bound to the root it was made at, and to what was asked there.
///
/// It says no more than a place, so that it stays short however much was listed, and whoever has the root
/// can go on. It is written as hexadecimal digits, about 200.
///
/// In bytes it is `[1, listing, root, question, place]` in the CBOR of pages: the listing 0 for a box
/// query and 1 for forks, the root as a link, the question as the first 8 bytes of its BLAKE3 hash. The form
/// is ours alone, and may change.
///
/// ```
/// use osmdb::Cursor;
/// # let db = osmdb::Db::in_memory("osm")?;
/// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
/// let text = snapshot.query(bbox).save().to_string();
/// // Later, perhaps in another program:
/// let cursor: Cursor = text.parse()?;
/// assert_eq!(snapshot.query(bbox).after(&cursor)?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    listing: u64,
    root: Cid,
    question: [u8; 8],
    place: Vec<u8>,
}

/// A cursor that is none, or none for this listing.
///
/// ```
/// use osmdb::CursorError;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let bbox = "-1,-1,1,1".parse()?;
/// let cursor = db.snapshot().query(bbox).save();
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let root = match db.snapshot().query(bbox).after(&cursor) {
///     Err(CursorError::OtherRoot { cursor, .. }) => cursor,
///     other => panic!("{other:?}"),
/// };
/// assert_eq!(db.at(root)?.query(bbox).after(&cursor)?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// The text is not in hexadecimal digits, or too long.
    #[error("this is no cursor: give it as it was printed, about 200 hexadecimal digits")]
    Text,
    /// The bytes are not those of a cursor.
    #[error("this is no cursor: {0}")]
    Cbor(#[from] CborError),
    /// Of another version of the form.
    #[error("the cursor has form {found}, but this program reads form {FORM}: begin the listing anew")]
    Form {
        /// The version found.
        found: u64,
    },
    /// It was made at another root.
    #[error("the cursor belongs to the root {cursor}, but this is {here}: go on at that root")]
    OtherRoot {
        /// The root that it belongs to.
        cursor: Cid,
        /// The root here.
        here: Cid,
    },
    /// It belongs to another listing, or to another box or filter.
    #[error("the cursor belongs to another question: ask the one that it was made for, or begin anew")]
    OtherQuestion,
    /// It names a place that no such listing has.
    #[error("the cursor names a place that the listing cannot have")]
    Place,
}

impl Cursor {
    pub(crate) fn new(listing: Listing, root: Cid, question: &[u8], place: Vec<u8>) -> Self {
        Self { listing: listing.code(), root, question: digest(question), place }
    }

    /// Returns the root that it belongs to.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let cursor = db.snapshot().forks().save();
    /// assert_eq!(cursor.root(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn root(&self) -> Cid {
        self.root
    }

    /// Returns the place, if it is one of this listing.
    pub(crate) fn place(&self, listing: Listing, here: Cid, question: &[u8]) -> Result<&[u8], CursorError> {
        if self.listing != listing.code() {
            return Err(CursorError::OtherQuestion);
        }
        if self.root != here {
            return Err(CursorError::OtherRoot { cursor: self.root, here });
        }
        if self.question != digest(question) {
            return Err(CursorError::OtherQuestion);
        }
        Ok(&self.place)
    }

    /// Writes it as bytes, at most [`MAX_CURSOR_BYTES`].
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let cursor = db.snapshot().query("-1,-1,1,1".parse()?).save();
    /// assert!(cursor.to_bytes().len() <= osmdb::MAX_CURSOR_BYTES);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(100);
        put_array(&mut out, 5);
        put_unsigned(&mut out, FORM);
        put_unsigned(&mut out, self.listing);
        put_link(&mut out, &self.root);
        put_bytes(&mut out, &self.question);
        put_bytes(&mut out, &self.place);
        out
    }

    /// Reads it from bytes.
    ///
    /// ```
    /// use osmdb::Cursor;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let cursor = db.snapshot().forks().save();
    /// assert_eq!(Cursor::from_bytes(&cursor.to_bytes())?, cursor);
    /// assert!(Cursor::from_bytes(b"no cursor").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// These are not the bytes of a cursor, more than [`MAX_CURSOR_BYTES`], or of another form. Whether it
    /// belongs to a listing, the listing says when it goes on.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CursorError> {
        if bytes.len() > MAX_CURSOR_BYTES {
            return Err(CursorError::Text);
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(5)?;
        let found = reader.unsigned()?;
        if found != FORM {
            return Err(CursorError::Form { found });
        }
        let (listing, root) = (reader.unsigned()?, reader.link()?);
        let question = reader.bytes()?.try_into().map_err(|_| CursorError::Place)?;
        let place = reader.bytes()?.to_vec();
        reader.end()?;
        Ok(Self { listing, root, question, place })
    }
}

fn digest(question: &[u8]) -> [u8; 8] {
    let hash = blake3::hash(question);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits =
            text.bytes().map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let digits: Vec<u8> =
            digits.take(2 * MAX_CURSOR_BYTES + 1).collect::<Option<_>>().ok_or(CursorError::Text)?;
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(CursorError::Text) };
        Self::from_bytes(&pairs.iter().map(|[high, low]| high << 4 | low).collect::<Vec<u8>>())
    }
}

/// Appends numbers to the bytes of a question or a place.
pub(crate) fn numbers(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}
