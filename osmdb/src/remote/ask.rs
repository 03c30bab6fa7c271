//! Questions that a reader asks of a dataset elsewhere, in their one encoding (`spec/remote.md`).

use prolly::cbor::{
    CborError, Reader, put_array, put_bytes, put_optional, put_signed, put_text, put_unsigned,
};

use crate::entry::Version;
use crate::filter::{Filter, MAX_FILTER_BYTES, ParseFilterError};
use crate::model::{BBox, BBoxError, Coord, CoordError, ElementId, Kind, MAX_ID};

/// No [`Ask`] names more elements than this.
///
/// ```
/// use osmdb::{Ask, AskError, ElementId, MAX_ASK_IDS};
/// let ids = 1..=MAX_ASK_IDS as u64 + 1;
/// let ask = Ask::Get(ids.map(ElementId::node).collect());
/// assert!(matches!(ask.encode(), Err(AskError::Ids { .. })));
/// ```
pub const MAX_ASK_IDS: usize = 10_000;

/// No [`Ask`] names more trees than this.
///
/// ```
/// use osmdb::{Ask, AskError, MAX_ASK_TREES};
/// let names = (0..=MAX_ASK_TREES).map(|name| format!("{name:02}"));
/// assert!(matches!(Ask::Trees(names.collect()).encode(), Err(AskError::Trees { .. })));
/// ```
pub const MAX_ASK_TREES: usize = 16;

/// No name of a tree in an [`Ask`] is longer than this, in bytes.
///
/// ```
/// use osmdb::{Ask, AskError, MAX_TREE_NAME_BYTES};
/// let ask = Ask::Trees(vec!["a".repeat(MAX_TREE_NAME_BYTES + 1)]);
/// assert!(matches!(ask.encode(), Err(AskError::Trees { .. })));
/// ```
pub const MAX_TREE_NAME_BYTES: usize = 32;

/// No [`Ask`] is longer than this, encoded, in bytes.
///
/// ```
/// use osmdb::{Ask, AskError, MAX_ASK_BYTES};
/// let error = Ask::decode(&vec![0; MAX_ASK_BYTES + 1]).unwrap_err();
/// assert!(matches!(error, AskError::TooLong { .. }));
/// ```
pub const MAX_ASK_BYTES: usize = 128 << 10;

/// A question that is answered by reading: whoever has the pages can run it and send those it touches, and
/// whoever has them then gets the answer from them by running it again.
///
/// ```
/// use osmdb::{Ask, ElementId};
/// let ask = Ask::Refs(ElementId::node(7));
/// assert_eq!(ask.encode()?, [0x82, 3, 0x82, 0, 7]);
/// assert_eq!(Ask::decode(&ask.encode()?)?, ask);
/// # Ok::<(), osmdb::AskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// The heads of elements: 1 to [`MAX_ASK_IDS`], ascending, each once.
    Get(Vec<ElementId>),
    /// One version of an element.
    Version(ElementId, Version),
    /// All versions of an element.
    History(ElementId),
    /// Which elements name an element.
    Refs(ElementId),
    /// What touches a box and passes a filter.
    Query(BBox, Filter),
    /// How many elements touch a box and pass a filter.
    Count(BBox, Filter),
    /// The map call of the OSM API, with the heads of all elements.
    Map(BBox),
    /// What is nearest to a place.
    Nearest(AskNearest),
    /// What passes a filter, anywhere.
    Search(Filter),
    /// Whole trees, by the names of [`Trees::named`](crate::Trees::named): 1 to [`MAX_ASK_TREES`], ascending.
    Trees(Vec<String>),
}

/// What is nearest to a place: see [`Ask::Nearest`].
///
/// ```
/// use osmdb::{Ask, AskNearest, Coord, Filter};
/// let wells = AskNearest {
///     from: Coord::new(425_000_000, 15_000_000)?,
///     filter: "amenity=well".parse()?,
///     within: Some(5_000),
///     at_most: 1,
/// };
/// let ask = Ask::Nearest(wells);
/// assert_eq!(Ask::decode(&ask.encode()?)?, ask);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskNearest {
    /// The place.
    pub from: Coord,
    /// What is looked for.
    pub filter: Filter,
    /// How far away it may be, in metres; anywhere if `None`.
    pub within: Option<u32>,
    /// After so many, no more are looked for.
    pub at_most: u32,
}

/// A question that cannot be asked, or bytes that are none.
///
/// ```
/// use osmdb::{Ask, AskError};
/// assert_eq!(Ask::Get(vec![]).encode(), Err(AskError::Ids { count: 0 }));
/// assert_eq!(Ask::decode(&[0x82, 23, 0]), Err(AskError::Unknown { kind: 23, items: 2 }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Not in the one encoding.
    #[error("this is no question: {0}")]
    Cbor(#[from] CborError),
    /// No such question, or not with so many items.
    #[error("there is no question of kind {kind} with {items} items")]
    Unknown {
        /// The kind.
        kind: u64,
        /// How many items it has, its kind among them.
        items: usize,
    },
    /// Longer than [`MAX_ASK_BYTES`].
    #[error("a question of {len} bytes is longer than the limit of {MAX_ASK_BYTES}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// No elements, more than [`MAX_ASK_IDS`], or not in ascending order.
    #[error("a question names 1 to {MAX_ASK_IDS} elements in ascending order, but this one names {count}")]
    Ids {
        /// How many it names.
        count: usize,
    },
    /// No trees, more than [`MAX_ASK_TREES`], not in ascending order, or with too long a name.
    #[error(
        "a question names 1 to {MAX_ASK_TREES} trees in ascending order, by names of at most \
         {MAX_TREE_NAME_BYTES} bytes"
    )]
    Trees {
        /// How many it names.
        count: usize,
    },
    /// A tree that the dataset has not.
    #[error("the dataset has no tree `{name}`")]
    NoTree {
        /// Its name.
        name: String,
    },
    /// An element that cannot be.
    #[error("there is no element of kind {kind} with the id {id}")]
    Element {
        /// The code of its kind.
        kind: u64,
        /// Its id.
        id: u64,
    },
    /// A place off the globe.
    #[error(transparent)]
    Coord(#[from] CoordError),
    /// A box that is none.
    #[error(transparent)]
    BBox(#[from] BBoxError),
    /// A filter that is none.
    #[error(transparent)]
    Filter(#[from] ParseFilterError),
    /// A filter that has no text, or is not in its one text, as [`Filter`] is written.
    #[error("the filter is not in its one text of at most {MAX_FILTER_BYTES} bytes")]
    FilterText,
    /// A version has 32 bytes.
    #[error("a version has 32 bytes, not {len}")]
    Version {
        /// How many it has.
        len: usize,
    },
    /// A number out of its range.
    #[error("{found} is more than {limit}")]
    Number {
        /// The number.
        found: u64,
        /// The greatest that it can be.
        limit: u64,
    },
}

const GET: u64 = 0;
const VERSION: u64 = 1;
const HISTORY: u64 = 2;
const REFS: u64 = 3;
const QUERY: u64 = 4;
const COUNT: u64 = 5;
const MAP: u64 = 6;
const NEAREST: u64 = 7;
const SEARCH: u64 = 8;
const TREES: u64 = 9;

impl Ask {
    /// Asks the same of whoever has the pages of the box alone.
    pub(super) fn by_place(mut self) -> Self {
        if let Self::Query(_, filter) | Self::Count(_, filter) | Self::Nearest(AskNearest { filter, .. }) =
            &mut self
        {
            *filter = std::mem::take(filter).by_place();
        }
        self
    }

    /// Returns the question in its one encoding. Costs no page.
    ///
    /// ```
    /// use osmdb::{Ask, Filter};
    /// let ask = Ask::Search("natural=peak".parse()?);
    /// assert_eq!(ask.encode()?, b"\x82\x08\x6cnatural=peak");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It exceeds a limit, or its filter has no text.
    pub fn encode(&self) -> Result<Vec<u8>, AskError> {
        let mut out = Vec::new();
        let mut head = |items, kind| {
            put_array(&mut out, items);
            put_unsigned(&mut out, kind);
        };
        match self {
            Self::Get(elements) => {
                head(2, GET);
                put_array(&mut out, elements.len());
                elements.iter().for_each(|element| put_element(&mut out, *element));
            }
            Self::Version(element, version) => {
                head(3, VERSION);
                put_element(&mut out, *element);
                put_bytes(&mut out, version.as_bytes());
            }
            Self::History(element) => {
                head(2, HISTORY);
                put_element(&mut out, *element);
            }
            Self::Refs(element) => {
                head(2, REFS);
                put_element(&mut out, *element);
            }
            Self::Query(bbox, filter) => {
                head(3, QUERY);
                put_bbox(&mut out, *bbox);
                put_text(&mut out, &filter.to_string());
            }
            Self::Count(bbox, filter) => {
                head(3, COUNT);
                put_bbox(&mut out, *bbox);
                put_text(&mut out, &filter.to_string());
            }
            Self::Map(bbox) => {
                head(2, MAP);
                put_bbox(&mut out, *bbox);
            }
            Self::Nearest(AskNearest { from, filter, within, at_most }) => {
                head(5, NEAREST);
                put_array(&mut out, 2);
                put_signed(&mut out, from.lon().into());
                put_signed(&mut out, from.lat().into());
                put_text(&mut out, &filter.to_string());
                put_optional(&mut out, within.map(u64::from), put_unsigned);
                put_unsigned(&mut out, u64::from(*at_most));
            }
            Self::Search(filter) => {
                head(2, SEARCH);
                put_text(&mut out, &filter.to_string());
            }
            Self::Trees(names) => {
                head(2, TREES);
                put_array(&mut out, names.len());
                names.iter().for_each(|name| put_text(&mut out, name));
            }
        }
        // What is asked must be what is understood.
        Self::decode(&out).and_then(|read| if read == *self { Ok(out) } else { Err(AskError::FilterText) })
    }

    /// Reads a question. Costs no page.
    ///
    /// ```
    /// use osmdb::{Ask, AskError};
    /// // The length of the array is not in its shortest form.
    /// assert!(matches!(Ask::decode(&[0x98, 2, 3, 0x82, 0, 7]), Err(AskError::Cbor(_))));
    /// ```
    ///
    /// # Errors
    /// It is none, not in its one encoding, or exceeds a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, AskError> {
        if bytes.len() > MAX_ASK_BYTES {
            return Err(AskError::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let items = reader.array()?;
        let kind = reader.unsigned()?;
        let ask = match (kind, items) {
            (GET, 2) => Self::Get(read_elements(&mut reader)?),
            (VERSION, 3) => {
                let element = read_element(&mut reader)?;
                let version = reader.bytes()?;
                let hash = <[u8; 32]>::try_from(version);
                Self::Version(element, Version(hash.map_err(|_| AskError::Version { len: version.len() })?))
            }
            (HISTORY, 2) => Self::History(read_element(&mut reader)?),
            (REFS, 2) => Self::Refs(read_element(&mut reader)?),
            (QUERY, 3) => Self::Query(read_bbox(&mut reader)?, read_filter(&mut reader)?),
            (COUNT, 3) => Self::Count(read_bbox(&mut reader)?, read_filter(&mut reader)?),
            (MAP, 2) => Self::Map(read_bbox(&mut reader)?),
            (NEAREST, 5) => {
                reader.array_of(2)?;
                let (lon, lat) = (reader.signed()?, reader.signed()?);
                let from = Coord::new(lat, lon)?;
                let filter = read_filter(&mut reader)?;
                let within = reader.optional(Reader::unsigned)?.map(number).transpose()?;
                let at_most = number(reader.unsigned()?)?;
                Self::Nearest(AskNearest { from, filter, within, at_most })
            }
            (SEARCH, 2) => Self::Search(read_filter(&mut reader)?),
            (TREES, 2) => Self::Trees(read_names(&mut reader)?),
            (kind, items) => return Err(AskError::Unknown { kind, items }),
        };
        reader.end()?;
        Ok(ask)
    }
}

fn put_element(out: &mut Vec<u8>, element: ElementId) {
    put_array(out, 2);
    put_unsigned(out, element.kind.code().into());
    put_unsigned(out, element.id);
}

fn put_bbox(out: &mut Vec<u8>, bbox: BBox) {
    let (low, high) = (bbox.south_west(), bbox.north_east());
    put_array(out, 4);
    for side in [low.lon(), low.lat(), high.lon(), high.lat()] {
        put_signed(out, side.into());
    }
}

fn read_element(reader: &mut Reader<'_>) -> Result<ElementId, AskError> {
    reader.array_of(2)?;
    let (kind, id) = (reader.unsigned()?, reader.unsigned()?);
    let known = u8::try_from(kind).ok().and_then(Kind::from_code).filter(|_| (1..=MAX_ID).contains(&id));
    Ok(ElementId::new(known.ok_or(AskError::Element { kind, id })?, id))
}

fn read_elements(reader: &mut Reader<'_>) -> Result<Vec<ElementId>, AskError> {
    let count = reader.array()?;
    if !(1..=MAX_ASK_IDS).contains(&count) {
        return Err(AskError::Ids { count });
    }
    let elements = (0..count).map(|_| read_element(reader)).collect::<Result<Vec<_>, _>>()?;
    let ascends = elements.is_sorted_by(|before, behind| before < behind);
    if ascends { Ok(elements) } else { Err(AskError::Ids { count }) }
}

fn read_bbox(reader: &mut Reader<'_>) -> Result<BBox, AskError> {
    reader.array_of(4)?;
    let (west, south) = (reader.signed()?, reader.signed()?);
    let (east, north) = (reader.signed()?, reader.signed()?);
    Ok(BBox::new(Coord::new(south, west)?, Coord::new(north, east)?)?)
}

fn read_filter(reader: &mut Reader<'_>) -> Result<Filter, AskError> {
    let text = reader.text()?;
    let filter: Filter = text.parse()?;
    if filter.to_string() == text { Ok(filter) } else { Err(AskError::FilterText) }
}

fn read_names(reader: &mut Reader<'_>) -> Result<Vec<String>, AskError> {
    let count = reader.array()?;
    if !(1..=MAX_ASK_TREES).contains(&count) {
        return Err(AskError::Trees { count });
    }
    let names = (0..count).map(|_| Ok(reader.text()?.to_owned())).collect::<Result<Vec<_>, AskError>>()?;
    let is_good = names.iter().all(|name| (1..=MAX_TREE_NAME_BYTES).contains(&name.len()));
    let ascends = names.is_sorted_by(|before, behind| before < behind);
    if is_good && ascends { Ok(names) } else { Err(AskError::Trees { count }) }
}

fn number(found: u64) -> Result<u32, AskError> {
    u32::try_from(found).map_err(|_| AskError::Number { found, limit: u32::MAX.into() })
}
