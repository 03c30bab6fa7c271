//! The one encoding of a proof: `[1, configuration, statement, [page…]]`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{MAX_PROOF_BYTES, Proof, ProofError, Statement};
use crate::cbor::{Reader, head_len, put_array, put_bytes, put_link, put_unsigned};
use crate::cid::Cid;
use crate::config::{Config, FORMAT};
use crate::range::KeyRange;

const GET: u64 = 0;
const RANGE: u64 = 1;
const COUNT: u64 = 2;
const DIFF: u64 = 3;

impl Proof {
    /// Encodes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.head();
        for page in self.pages.values() {
            put_bytes(&mut out, page);
        }
        out
    }

    /// Decodes it.
    ///
    /// # Errors
    /// It is longer than [`MAX_PROOF_BYTES`], or not in the one encoding of a proof.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, ProofError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new(&bytes);
        reader.array_of(4)?;
        let format = reader.unsigned()?;
        if format != FORMAT {
            return Err(ProofError::Format(format));
        }
        let config = Config::read(&mut reader)?;
        let statement = Statement::decode(&mut reader)?;
        let count = reader.array()?;
        let mut pages = BTreeMap::new();
        let mut before: Option<Cid> = None;
        for index in 0..count {
            let page = bytes.slice_ref(reader.bytes()?);
            let cid = Cid::of(&page);
            if before.is_some_and(|before| before >= cid) {
                return Err(ProofError::Order { index });
            }
            before = Some(cid);
            pages.insert(cid, page);
        }
        reader.end()?;
        Ok(Self { config, statement, pages })
    }

    pub(super) fn encoded_len(&self) -> usize {
        let page = |page: &Bytes| head_len(page.len() as u64) + page.len();
        self.head().len() + self.pages.values().map(page).sum::<usize>()
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_array(&mut out, 4);
        put_unsigned(&mut out, FORMAT);
        out.extend_from_slice(&self.config.encode());
        self.statement.encode(&mut out);
        put_array(&mut out, self.pages.len());
        out
    }
}

impl Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Get(key) => {
                put_array(out, 2);
                put_unsigned(out, GET);
                put_bytes(out, key);
            }
            Self::Range(range) => put_range(out, RANGE, range),
            Self::Count(range) => put_range(out, COUNT, range),
            Self::Diff(right) => {
                put_array(out, 2);
                put_unsigned(out, DIFF);
                put_link(out, right);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        let items = reader.array()?;
        let kind = reader.unsigned()?;
        let statement = match (kind, items) {
            (GET, 2) => Self::Get(Bytes::copy_from_slice(reader.bytes()?)),
            (RANGE, 3) => Self::Range(range(reader)?),
            (COUNT, 3) => Self::Count(range(reader)?),
            (DIFF, 2) => Self::Diff(reader.link()?),
            _ => return Err(ProofError::Statement { kind, items }),
        };
        statement.check()?;
        Ok(statement)
    }
}

fn put_range(out: &mut Vec<u8>, kind: u64, range: &KeyRange) {
    put_array(out, 3);
    put_unsigned(out, kind);
    put_bytes(out, &range.from);
    put_array(out, usize::from(range.to.is_some()));
    if let Some(to) = &range.to {
        put_bytes(out, to);
    }
}

fn range(reader: &mut Reader<'_>) -> Result<KeyRange, ProofError> {
    let from = Bytes::copy_from_slice(reader.bytes()?);
    match reader.array()? {
        0 => Ok(KeyRange { from, to: None }),
        1 => Ok(KeyRange { from, to: Some(Bytes::copy_from_slice(reader.bytes()?)) }),
        items => Err(ProofError::RangeEnd { items }),
    }
}
