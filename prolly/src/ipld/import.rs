//! CAR files into a store.

use std::io::Read;

use super::car::CarReader;
use super::error::CarError;
use crate::cid::Cid;
use crate::config::{Config, MAX_PAGE_BYTES};
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;

/// What to do with roots and blocks that are not dag-cbor with BLAKE3-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Refuse the file at the first one.
    Refuse,
    /// Pass over them; their hashes are not checked. Those whose address has a hash function that is not
    /// known, or the identity hash, are refused all the same.
    Skip,
}

/// What a CAR file brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The roots that the header names, in its order. Their pages need not have been in the file.
    pub roots: Vec<Cid>,
    /// How many blocks were put into the store. One that is in the file twice counts twice.
    pub blocks: u64,
    /// The bytes of these blocks.
    pub bytes: u64,
    /// How many blocks of other kinds were passed over.
    pub skipped: u64,
}

/// Puts the blocks of a CAR file into a store, in whatever order they come. Holds one block at a time.
///
/// Every block is what its address says, but nothing is known yet of the trees that they make:
/// [`Tree::verify`] tells. Pages put before an error stay, and do no harm.
///
/// # Errors
/// Reading failed, the file is malformed, a block is longer than [`MAX_PAGE_BYTES`] or not what its address
/// says, or is foreign and [`Foreign::Refuse`] was given, or the store failed.
pub fn import_car<R, W>(input: R, sink: &W, foreign: Foreign) -> Result<Imported, CarError>
where
    R: Read,
    W: PageSink + ?Sized,
{
    let mut reader = CarReader::new(input)?;
    let mut imported = Imported::default();
    for root in reader.roots() {
        match (root.page(), foreign) {
            (Some(root), _) => imported.roots.push(root),
            (None, Foreign::Refuse) => return Err(CarError::Foreign { offset: 0, cid: root.clone() }),
            (None, Foreign::Skip) => {}
        }
    }
    while let Some(head) = reader.head()? {
        let Some(cid) = head.cid.page() else {
            if foreign == Foreign::Refuse {
                return Err(CarError::Foreign { offset: head.offset, cid: head.cid });
            }
            reader.pass(&head)?;
            imported.skipped += 1;
            continue;
        };
        if head.len > MAX_PAGE_BYTES as u64 {
            let limit = MAX_PAGE_BYTES as u64;
            return Err(CarError::TooLong { offset: head.offset, len: head.len, limit });
        }
        let block = reader.body(head)?;
        imported.blocks += 1;
        imported.bytes += block.bytes.len() as u64;
        sink.put(cid, block.bytes)?;
    }
    Ok(imported)
}

impl Tree {
    /// Reads the one tree of a CAR file into a store and verifies it: all its pages are there, and it is
    /// canonical. Costs reading the file, and then the whole tree from the store.
    ///
    /// # Errors
    /// As for [`import_car`]; the header names another number of our roots than one; or as for
    /// [`Tree::verify`].
    pub fn import_car<R, S>(input: R, store: &S, config: Config, foreign: Foreign) -> Result<Self, CarError>
    where
        R: Read,
        S: PageSource + PageSink + ?Sized,
    {
        let imported = import_car(input, store, foreign)?;
        let [root] = imported.roots[..] else { return Err(CarError::Roots(imported.roots.len())) };
        let tree = Self { root, config };
        tree.verify(store)?;
        Ok(tree)
    }
}
