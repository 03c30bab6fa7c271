//! The parameters of requests: hexadecimal bytes, configurations, and sets of pairs by recipe.

use serde_json::Value;

use crate::reference::entry::{Entry, Imported, NODE, Origin, Payload};
use crate::reference::{Config, Pairs};

/// Greatest length of bytes that a request makes of parts: 128 MiB.
pub const MAX_BYTES: usize = 128 << 20;

/// A recipe makes at most so many nodes.
const MAX_NODES: u64 = 100_000;

/// Writes bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|two| two[0] * 16 + two[1]).collect())
}

/// A request's parameters, or a part of them.
#[derive(Debug, Clone, Copy)]
pub struct Params<'a>(pub &'a Value);

impl<'a> Params<'a> {
    /// Returns a part by its name.
    #[must_use]
    pub fn at(self, name: &str) -> Self {
        Self(&self.0[name])
    }

    /// Returns an item of an array by its place.
    #[must_use]
    pub fn nth(self, place: usize) -> Self {
        Self(&self.0[place])
    }

    /// Returns a text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(self) -> Result<&'a str, String> {
        self.0.as_str().ok_or_else(|| format!("not a text: {}", self.0))
    }

    /// Returns bytes, or nothing where there is null.
    ///
    /// # Errors
    /// It is neither.
    pub fn optional_bytes(self) -> Result<Option<Vec<u8>>, String> {
        if self.0.is_null() { Ok(None) } else { self.bytes().map(Some) }
    }

    /// Returns the items of an array.
    ///
    /// # Errors
    /// It is no array.
    pub fn items(self) -> Result<impl Iterator<Item = Params<'a>>, String> {
        Ok(self.0.as_array().ok_or("no array")?.iter().map(Params))
    }

    /// Returns bytes: a text of hexadecimal digits, or an array of such texts and of `[digits, times]`.
    ///
    /// # Errors
    /// They are neither, or longer than 128 MiB.
    pub fn bytes(self) -> Result<Vec<u8>, String> {
        let digits = |part: Self| {
            part.0.as_str().and_then(unhex).ok_or_else(|| format!("not bytes: {:.80}", part.0.to_string()))
        };
        if self.0.is_string() {
            return digits(self);
        }
        let mut bytes = Vec::new();
        for part in self.items()? {
            let (part, times) = if part.0.is_array() {
                (digits(part.nth(0))?, usize::try_from(part.nth(1).number()?).unwrap_or(usize::MAX))
            } else {
                (digits(part)?, 1)
            };
            if part.len().saturating_mul(times) > MAX_BYTES - bytes.len() {
                return Err("too many bytes".to_owned());
            }
            bytes.extend(part.repeat(times));
        }
        Ok(bytes)
    }

    /// Returns an address.
    ///
    /// # Errors
    /// It is not 32 bytes.
    pub fn address(self) -> Result<[u8; 32], String> {
        self.bytes()?.try_into().map_err(|_| "no address".to_owned())
    }

    /// Returns an integer.
    ///
    /// # Errors
    /// It is none.
    pub fn number(self) -> Result<u64, String> {
        self.0.as_u64().ok_or_else(|| format!("not a number: {}", self.0))
    }

    /// Returns a configuration: `[leaf_min, leaf_max, branch_min, branch_max, key_max, inline_max]`.
    ///
    /// # Errors
    /// It is not six integers of 32 bits.
    pub fn config(self) -> Result<Config, String> {
        let limits: Result<Vec<u64>, String> = self.items()?.map(Params::number).collect();
        let limits: Result<Vec<u32>, _> = limits?.into_iter().map(u32::try_from).collect();
        let Ok(&[a, b, c, d, key_max, inline_max]) = limits.as_deref() else {
            return Err("no configuration".to_owned());
        };
        Ok(Config { leaf: [a, b], branch: [c, d], key_max, inline_max })
    }

    /// Returns records of entries: an array of bytes and of recipes (`conformance.md`).
    ///
    /// # Errors
    /// It is something else.
    pub fn records(self) -> Result<Vec<Vec<u8>>, String> {
        let mut records = Vec::new();
        for item in self.items()? {
            if item.0.is_object() {
                records.extend(item.nodes()?);
            } else {
                records.push(item.bytes()?);
            }
        }
        Ok(records)
    }

    /// Makes the records of imported nodes with ids in a row.
    fn nodes(self) -> Result<Vec<Vec<u8>>, String> {
        let (from, count) = (self.at("nodes").nth(0).number()?, self.at("nodes").nth(1).number()?);
        let version = self.at("version").number()?;
        if from == 0 || from.saturating_add(count) > 1 << 32 || count > MAX_NODES {
            return Err("too many nodes, or with too great ids".to_owned());
        }
        let node = |id: u64| {
            let place = |factor: u64, span: u64| i64::try_from(id * factor % span).unwrap_or(0);
            let (lat, lon) = (place(7_919, 900_000_001), place(104_729, 1_800_000_001));
            let tags =
                if id.is_multiple_of(10) { vec![("name".to_owned(), id.to_string())] } else { Vec::new() };
            let origin = Imported { version: Some(version), ..Imported::default() };
            let payload = Some(Payload::Node(lat, lon, tags));
            Entry { element: (NODE, id), payload, origin: Origin::Imported(origin) }.record()
        };
        Ok((from..from + count).map(node).collect())
    }

    /// Returns a set of pairs: an array of `[key, value]`, or a recipe (`conformance.md`).
    ///
    /// # Errors
    /// It is neither.
    pub fn pairs(self) -> Result<Pairs, String> {
        if self.0.is_object() {
            return self.recipe();
        }
        self.items()?.map(|pair| Ok((Self(&pair.0[0]).bytes()?, Self(&pair.0[1]).bytes()?))).collect()
    }

    fn recipe(self) -> Result<Pairs, String> {
        let prefix = self.at("prefix").bytes()?;
        let key_len = usize::try_from(self.at("key").number()?).map_err(|_| "a length too great")?;
        let (least, most) = (Self(&self.0["value"][0]).number()?, Self(&self.0["value"][1]).number()?);
        let hash = |what: &str, n: u64, len: usize| {
            let mut bytes = vec![0; len];
            let mut hasher = blake3::Hasher::new();
            hasher.update(what.as_bytes()).update(&n.to_be_bytes()).finalize_xof().fill(&mut bytes);
            bytes
        };
        let pair = |n| {
            let number = hash("length", n, 8).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let spread = most.checked_sub(least).ok_or("no lengths")? + 1;
            let len = usize::try_from(least + number % spread).map_err(|_| "a length too great")?;
            Ok(([prefix.clone(), hash("key", n, key_len)].concat(), hash("value", n, len)))
        };
        (0..self.at("count").number()?).map(pair).collect()
    }
}
