//! The bytes of packs and manifests (`spec/packs.md`).

use bytes::Bytes;
use prolly::cbor::{CborError, Reader, put_array, put_bytes, put_link, put_signed, put_text, put_unsigned};
use prolly::{Cid, MAX_PAGE_BYTES};

use crate::signed_root::{SignedRoot, SignedRootError};

/// The name of the manifest in its folder.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// osmdb::Db::in_memory("osm")?.publish_to(dir.path())?;
/// assert!(dir.path().join(osmdb::MANIFEST_NAME).exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MANIFEST_NAME: &str = "osmdb.manifest";

/// No manifest is longer than this, in bytes, compressed or not.
///
/// ```
/// assert_eq!(osmdb::MAX_MANIFEST_BYTES, 4 << 20);
/// ```
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// No pack is longer than this, in bytes.
///
/// ```
/// assert!(osmdb::MAX_PACK_BYTES < 4 << 30, "it fits on a stick");
/// ```
pub const MAX_PACK_BYTES: u64 = 64 << 20;

/// No manifest names more packs than this.
///
/// ```
/// // Petabytes are beyond us.
/// assert_eq!(osmdb::MAX_PACKS, 1 << 14);
/// ```
pub const MAX_PACKS: usize = 1 << 14;

/// No record of a pack is longer than this, in bytes, compressed or not: a page, and for each of its links a
/// place.
pub(crate) const MAX_RECORD_BYTES: usize = 4 * MAX_PAGE_BYTES;

/// No name of a pack is longer than this, in bytes.
const MAX_PACK_NAME_BYTES: usize = 64;

/// What a pack begins with.
pub(crate) const PACK_MAGIC: &[u8; 16] = b"osmdb pack 1\n\0\0\0";

/// What a manifest begins with.
const MANIFEST_MAGIC: &[u8; 16] = b"osmdb manifest\n\0";

/// The version of both.
const FORMAT: u64 = 1;

/// What is wrong with a manifest or a record of a pack.
///
/// ```
/// use osmdb::{BlockingRemote, Db, OriginError, PackError, PackOrigin, RemoteError};
/// # let dir = tempfile::tempdir()?;
/// Db::in_memory("osm")?.publish_to(dir.path())?;
/// std::fs::write(dir.path().join(osmdb::MANIFEST_NAME), "hello")?;
/// match BlockingRemote::open(PackOrigin::directory(dir.path())) {
///     Err(RemoteError::Origin { source: OriginError::Pack(PackError::NotAManifest), .. }) => {}
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file is no manifest.
    #[error("this is no manifest of a published dataset")]
    NotAManifest,
    /// The manifest is of another version.
    #[error("the manifest has format {found}, but this program reads format 1: use another version of it")]
    Format {
        /// The version found.
        found: u64,
    },
    /// The manifest is not in its encoding.
    #[error("the manifest is damaged: {0}")]
    Manifest(CborError),
    /// The manifest exceeds a limit, or says what cannot be.
    #[error("the manifest is damaged: {what}")]
    Limit {
        /// What cannot be.
        what: &'static str,
    },
    /// A file is shorter than it should be.
    #[error("the file {file} ends at byte {end}, but has to have {expected}")]
    Truncated {
        /// Its name.
        file: String,
        /// Where it ends.
        end: u64,
        /// Where it should.
        expected: u64,
    },
    /// A record cannot be read.
    #[error("the file {file} is damaged at byte {at}")]
    Record {
        /// The file's name.
        file: String,
        /// Where the record begins.
        at: u64,
    },
    /// The manifest names a file that is not there.
    #[error("the manifest names the file {file}, which is not there")]
    Missing {
        /// Its name.
        file: String,
    },
    /// The signature under the root is none.
    #[error("the manifest is damaged: {0}")]
    Signature(#[from] SignedRootError),
    /// A page is at a place of a pack that the manifest does not name.
    #[error("the manifest names no pack {number}")]
    NoPack {
        /// Its number.
        number: u64,
    },
}

/// Where a record is: a hint, which the hash of what is found there proves or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The number of the pack.
    pub(crate) pack: u64,
    /// Where the record begins.
    pub(crate) at: u64,
    /// Its length.
    pub(crate) len: u64,
    /// The length of the records in front of it that belong to it: values that its page keeps out of line.
    pub(crate) more: u64,
}

impl Place {
    /// The place of a page that stands in the manifest alone.
    pub(crate) const NOWHERE: Self = Self { pack: 0, at: PACK_MAGIC.len() as u64, len: 0, more: 0 };

    pub(crate) const fn is_nowhere(&self) -> bool {
        self.len == 0
    }

    /// Where what is read together begins.
    pub(crate) const fn start(&self) -> u64 {
        self.at.saturating_sub(self.more)
    }

    pub(crate) const fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }

    const fn is_possible(&self) -> bool {
        let begins = PACK_MAGIC.len() as u64;
        self.at >= begins
            && self.more <= self.at - begins
            && self.len <= MAX_RECORD_BYTES as u64
            && self.end() <= MAX_PACK_BYTES
    }
}

/// Writes places, each as its distance from the end of the one before.
fn put_places(out: &mut Vec<u8>, places: &[Place]) {
    put_array(out, places.len() * 4);
    let mut before = 0;
    for Place { pack, at, len, more } in places {
        put_unsigned(out, *pack);
        put_signed(out, at.saturating_sub(*more).cast_signed() - before);
        put_unsigned(out, *len);
        put_unsigned(out, *more);
        before = (at + len).cast_signed();
    }
}

fn read_places(reader: &mut Reader<'_>) -> Result<Option<Vec<Place>>, CborError> {
    let count = reader.array()?;
    let mut places = Vec::with_capacity(count / 4);
    let mut before = 0_u64;
    for _ in 0..count / 4 {
        let (pack, jump) = (reader.unsigned()?, reader.signed()?);
        let (len, more) = (reader.unsigned()?, reader.unsigned()?);
        let at = before.checked_add_signed(jump).and_then(|start| start.checked_add(more));
        let Some(at) = at else { return Ok(None) };
        let place = Place { pack, at, len, more };
        if !place.is_possible() {
            return Ok(None);
        }
        before = at + len;
        places.push(place);
    }
    Ok((count % 4 == 0).then_some(places))
}

/// A page, and where the pages are that it links to, in the order of the links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) page: Bytes,
    pub(crate) places: Vec<Place>,
}

impl Record {
    fn put(&self, out: &mut Vec<u8>) {
        put_array(out, 2);
        put_bytes(out, &self.page);
        put_places(out, &self.places);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, CborError> {
        reader.array_of(2)?;
        let page = Bytes::copy_from_slice(reader.bytes()?);
        Ok(read_places(reader)?.map(|places| Self { page, places }))
    }

    /// Returns the record as it stands in a pack.
    pub(crate) fn encode(&self, level: i32) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(self.page.len() + 16 * self.places.len() + 16);
        self.put(&mut body);
        zstd::bulk::compress(&body, level)
    }

    /// Reads a record as it stands in a pack; `None` if it is damaged.
    pub(crate) fn decode(stored: &[u8]) -> Option<Self> {
        let body = zstd::bulk::decompress(stored, MAX_RECORD_BYTES).ok()?;
        let mut reader = Reader::new(&body);
        let record = Self::read(&mut reader).ok()??;
        reader.end().ok()?;
        Some(record)
    }
}

/// A pack, as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackFile {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// Where leaves of the spatial tree are: those between the key of the entry before and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaves {
    /// The first bytes of the last key.
    pub(crate) last: u64,
    /// Where they are, one behind another: the length may be that of several records.
    pub(crate) place: Place,
}

/// So many bytes of a key stand in the directory of leaves.
pub(crate) const DIRECTORY_KEY_BYTES: usize = 6;

/// Returns the first bytes of a key as a number, in the order of the keys.
pub(crate) fn key_number(key: &[u8]) -> u64 {
    let bytes = key.iter().copied().chain(std::iter::repeat(0)).take(DIRECTORY_KEY_BYTES);
    bytes.fold(0, |number, byte| (number << 8) | u64::from(byte))
}

fn put_directory(out: &mut Vec<u8>, directory: &[Leaves]) {
    put_array(out, directory.len() * 4);
    let (mut before, mut last) = (0, 0);
    for leaves in directory {
        let Place { pack, at, len, .. } = leaves.place;
        put_unsigned(out, leaves.last.saturating_sub(last));
        put_unsigned(out, pack);
        put_signed(out, at.cast_signed() - before);
        put_unsigned(out, len);
        before = (at + len).cast_signed();
        last = leaves.last;
    }
}

fn read_directory(reader: &mut Reader<'_>) -> Result<Option<Vec<Leaves>>, CborError> {
    let count = reader.array()?;
    let mut directory = Vec::with_capacity(count / 4);
    let (mut before, mut last) = (0_u64, 0_u64);
    for _ in 0..count / 4 {
        let (step, pack) = (reader.unsigned()?, reader.unsigned()?);
        let (jump, len) = (reader.signed()?, reader.unsigned()?);
        let at = before.checked_add_signed(jump).filter(|at| *at >= PACK_MAGIC.len() as u64);
        let (Some(at), Some(next)) = (at, last.checked_add(step)) else { return Ok(None) };
        if at.checked_add(len).is_none_or(|end| end > MAX_PACK_BYTES) {
            return Ok(None);
        }
        (before, last) = (at + len, next);
        directory.push(Leaves { last, place: Place { pack, at, len, more: 0 } });
    }
    Ok((count % 4 == 0).then_some(directory))
}

/// What a reader reads first: the root, the packs, and the topmost pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) root: Cid,
    /// With ascending numbers.
    pub(crate) packs: Vec<PackFile>,
    /// The root record, the configuration, and the top pages of trees.
    pub(crate) tops: Vec<Record>,
    /// Where the leaves of the spatial tree are; empty if there are too many.
    pub(crate) directory: Vec<Leaves>,
    /// Who stands for the root.
    pub(crate) signed: Option<SignedRoot>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        put_array(&mut body, 5);
        put_unsigned(&mut body, FORMAT);
        put_link(&mut body, &self.root);
        put_array(&mut body, self.packs.len() * 3);
        for PackFile { number, name, size } in &self.packs {
            put_unsigned(&mut body, *number);
            put_text(&mut body, name);
            put_unsigned(&mut body, *size);
        }
        // Whoever knows of no signatures takes it for a page that nothing names.
        let signed = self.signed.map(|signed| Record { page: signed.encode().into(), places: Vec::new() });
        put_array(&mut body, self.tops.len() + usize::from(signed.is_some()));
        self.tops.iter().chain(&signed).for_each(|top| top.put(&mut body));
        put_directory(&mut body, &self.directory);
        Ok([&MANIFEST_MAGIC[..], &zstd::bulk::compress(&body, 19)?].concat())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PackError> {
        let stored = bytes.strip_prefix(&MANIFEST_MAGIC[..]).ok_or(PackError::NotAManifest)?;
        let body = zstd::bulk::decompress(stored, MAX_MANIFEST_BYTES)
            .map_err(|_| PackError::Limit { what: "it cannot be decompressed" })?;
        let mut reader = Reader::new(&body);
        let damaged = PackError::Manifest;
        reader.array_of(5).map_err(damaged)?;
        let found = reader.unsigned().map_err(damaged)?;
        if found != FORMAT {
            return Err(PackError::Format { found });
        }
        let root = reader.link().map_err(damaged)?;
        let packs = read_packs(&mut reader)?;
        let count = reader.array().map_err(damaged)?;
        let (mut tops, mut signed) = (Vec::new(), None);
        for _ in 0..count {
            let top = Record::read(&mut reader).map_err(damaged)?;
            let top = top.ok_or(PackError::Limit { what: "it names an impossible place" })?;
            if !SignedRoot::is_meant(&top.page) {
                tops.push(top);
            } else if signed.is_none() {
                signed = Some(SignedRoot::decode(&top.page)?.of_root(root)?);
            } else {
                return Err(PackError::Limit { what: "it has two signatures" });
            }
        }
        let directory = read_directory(&mut reader).map_err(damaged)?;
        let directory =
            directory.ok_or(PackError::Limit { what: "its directory names an impossible place" })?;
        reader.end().map_err(damaged)?;
        Ok(Self { root, packs, tops, directory, signed })
    }
}

fn read_packs(reader: &mut Reader<'_>) -> Result<Vec<PackFile>, PackError> {
    let items = reader.array().map_err(PackError::Manifest)?;
    if items % 3 != 0 || items / 3 > MAX_PACKS {
        return Err(PackError::Limit { what: "its list of packs is too long" });
    }
    let read = |reader: &mut Reader<'_>| {
        let number = reader.unsigned()?;
        let name = reader.text()?.to_owned();
        Ok(PackFile { number, name, size: reader.unsigned()? })
    };
    let packs = (0..items / 3).map(|_| read(reader)).collect::<Result<Vec<_>, _>>();
    let packs = packs.map_err(PackError::Manifest)?;
    let is_name = |name: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        (1..=MAX_PACK_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_good) && !name.starts_with('.')
    };
    if !packs.iter().all(|pack| is_name(&pack.name) && pack.size <= MAX_PACK_BYTES) {
        return Err(PackError::Limit { what: "it names an impossible pack" });
    }
    if !packs.is_sorted_by(|before, behind| before.number < behind.number) {
        return Err(PackError::Limit { what: "its packs are not in order" });
    }
    Ok(packs)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::DeviceKey;

    fn place() -> impl Strategy<Value = Place> {
        (0..9_u64, 9_016..1_000_000_u64, 0..9_000_u64, 0..9_000_u64).prop_map(|(pack, at, len, more)| Place {
            pack,
            at,
            len,
            more,
        })
    }

    fn record() -> impl Strategy<Value = Record> {
        (vec(any::<u8>(), 0..300), vec(place(), 0..9))
            .prop_map(|(page, places)| Record { page: page.into(), places })
    }

    proptest! {
        #[test]
        fn records_read_back(record in record()) {
            prop_assert_eq!(Record::decode(&record.encode(3).unwrap()), Some(record));
        }

        #[test]
        fn manifests_read_back_and_damaged_ones_are_refused(
            is_signed: bool, tops in vec(record(), 0..4), leaves in vec((0..1_u64 << 48, place()), 0..9), sizes in vec(0..MAX_PACK_BYTES, 0..5), at: prop::sample::Index, to: u8
        ) {
            let pack = |(number, size)| PackFile { number, name: format!("{number}.osmpack"), size };
            let packs = (3..).zip(sizes).map(pack).collect();
            let mut directory: Vec<Leaves> = leaves
                .into_iter()
                .map(|(last, place)| Leaves { last, place: Place { more: 0, ..place } })
                .collect();
            directory.sort_by_key(|leaves| leaves.last);
            let root = Cid::of(b"root");
            let signed = is_signed.then(|| SignedRoot::sign(&DeviceKey::new(&[7; 32]), root, 7));
            let manifest = Manifest { root, packs, tops, directory, signed };
            let mut bytes = manifest.encode().unwrap();
            prop_assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
            for end in 0..bytes.len() {
                prop_assert!(Manifest::decode(&bytes[..end]).is_err());
            }
            let at = at.index(bytes.len());
            bytes[at] = to;
            // Whatever it says now, it is read or refused.
            drop(Manifest::decode(&bytes));
        }

        #[test]
        fn rubbish_is_no_record(bytes in vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Record::decode(&bytes), None);
        }
    }
}
