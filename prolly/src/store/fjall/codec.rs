//! Pages at rest: one byte that tells the form, then the page as it is or compressed by zstd.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use crate::cid::Cid;
use crate::config::MAX_PAGE_BYTES;
use crate::error::StoreError;
use crate::page::PageError;

/// The page as it is.
const RAW: u8 = 0;

/// One zstd frame.
const ZSTD: u8 = 1;

/// Compresses and decompresses pages; its contexts are used again, because making one costs more
/// than a page does.
pub(super) struct Codec {
    level: i32,
    writers: Pool<(Compressor<'static>, Vec<u8>)>,
    readers: Pool<(Decompressor<'static>, Vec<u8>)>,
}

impl Codec {
    pub(super) fn new(level: i32) -> Self {
        Self { level, writers: Pool::default(), readers: Pool::default() }
    }

    /// Returns the record of a page: never more than a byte longer than the page.
    pub(super) fn encode(&self, page: &[u8]) -> Result<Bytes, StoreError> {
        let fresh = || -> std::io::Result<_> {
            Ok((Compressor::new(self.level)?, vec![0; 1 + compress_bound(MAX_PAGE_BYTES)]))
        };
        let record = self.writers.with(fresh, |(compressor, buffer)| {
            let Some((form, rest)) = buffer.split_first_mut() else { return Ok(None) };
            let len = compressor.compress_to_buffer(page, rest)?;
            *form = ZSTD;
            Ok(buffer.get(..=len).filter(|_| len < page.len()).map(Bytes::copy_from_slice))
        });
        let record = record.map_err(|source| StoreError::Io { what: "compressing a page", source })?;
        Ok(record.unwrap_or_else(|| [&[RAW], page].concat().into()))
    }

    /// Returns the page of a record, after checking that it has this address.
    pub(super) fn decode(&self, cid: &Cid, record: &Bytes) -> Result<Bytes, StoreError> {
        let page = match record.first() {
            Some(&RAW) => Ok(record.slice(1..)),
            Some(&ZSTD) => self.decompress(record.get(1..).unwrap_or_default()),
            _ => Err(damaged(cid)),
        };
        let page = page.map_err(|_| damaged(cid))?;
        let found = Cid::of(&page);
        if page.len() > MAX_PAGE_BYTES {
            return Err(StoreError::Page { cid: *cid, source: PageError::TooLong { len: page.len() } });
        }
        if found == *cid {
            Ok(page)
        } else {
            Err(StoreError::Page { cid: *cid, source: PageError::Hash { found } })
        }
    }

    /// UNTRUSTED: the frame says how long it becomes; there is room for no more than a page. The room is
    /// used again: making it anew would cost as much as many a page.
    fn decompress(&self, frame: &[u8]) -> Result<Bytes, StoreError> {
        let fresh = || Ok((Decompressor::new()?, vec![0; MAX_PAGE_BYTES]));
        let page = self.readers.with(fresh, |(reader, buffer)| {
            let len = reader.decompress_to_buffer(frame, buffer.as_mut_slice())?;
            Ok(Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default()))
        });
        page.map_err(|source| StoreError::Io { what: "decompressing a page", source })
    }
}

fn damaged(cid: &Cid) -> StoreError {
    StoreError::Record { name: format!("page {cid}") }
}

/// Things that one thread uses at a time.
struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    fn with<R>(
        &self,
        fresh: impl FnOnce() -> std::io::Result<T>,
        run: impl FnOnce(&mut T) -> std::io::Result<R>,
    ) -> std::io::Result<R> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut item = idle.map_or_else(fresh, Ok)?;
        // After an error the state is unknown, so the item is dropped.
        let result = run(&mut item)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_and_never_grow_by_more_than_the_form() {
        let codec = Codec::new(1);
        let mut hash = blake3::Hasher::new().finalize_xof();
        for len in [0, 1, 100, 8192, MAX_PAGE_BYTES] {
            let mut random = vec![0; len];
            hash.fill(&mut random);
            for page in [vec![7; len], random] {
                let record = codec.encode(&page).unwrap();
                assert!(record.len() <= page.len() + 1);
                assert_eq!(codec.decode(&Cid::of(&page), &record).unwrap(), page);
            }
        }
    }

    #[test]
    fn damaged_records_and_bombs_are_refused() {
        let codec = Codec::new(3);
        let page = vec![7; 4096];
        let cid = Cid::of(&page);
        let bomb = [&[ZSTD][..], &zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap()].concat();
        let longer = [&[RAW][..], &vec![0; MAX_PAGE_BYTES + 1]].concat();
        for bad in [vec![], vec![9, 9], vec![ZSTD], vec![ZSTD, 1, 2, 3], bomb, longer] {
            assert!(codec.decode(&cid, &bad.into()).is_err());
        }
        let other = codec.encode(&[1, 2, 3]).unwrap();
        let error = codec.decode(&cid, &other);
        assert!(matches!(error, Err(StoreError::Page { source: PageError::Hash { .. }, .. })));
    }
}
