//! A block's table of strings.

use std::cell::RefCell;

use super::super::element::{MAX_BLOCK_TEXT_BYTES, MAX_ELEMENT_TAGS, TextBudget, at_most};
use super::super::error::{ElementProblem, PbfProblem};
use super::wire::{Fields, Value, malformed};
use crate::model::Tags;

/// The strings that the elements of a block refer to by number.
#[derive(Debug)]
pub(super) struct Strings<'a> {
    table: Vec<&'a [u8]>,
    budget: RefCell<TextBudget>,
}

impl<'a> Strings<'a> {
    /// Reads a `StringTable` message.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, PbfProblem> {
        let mut table = Vec::new();
        for field in Fields::new(message, "string table") {
            match field? {
                (1, Value::Bytes(text)) => table.push(text),
                (1, _) => return Err(malformed("string table", "a string is a number")),
                _ => {}
            }
        }
        Ok(Self { table, budget: RefCell::new(TextBudget::new(MAX_BLOCK_TEXT_BYTES)) })
    }

    /// Returns the string of that number.
    pub(super) fn get(&self, index: impl Into<i64>) -> Result<&'a str, ElementProblem> {
        let index = index.into();
        let missing = ElementProblem::StringIndex { index, table: self.table.len() };
        let place = usize::try_from(index).map_err(|_| missing.clone())?;
        let bytes = self.table.get(place).ok_or(missing)?;
        let text = std::str::from_utf8(bytes).map_err(|_| ElementProblem::NotUtf8 { index: place })?;
        self.budget.borrow_mut().take(text)?;
        Ok(text)
    }

    /// Returns the tags whose keys and values are listed apart.
    pub(super) fn tags(&self, keys: &[u32], vals: &[u32]) -> Result<Tags, ElementProblem> {
        let (found, expected) = (vals.len(), keys.len());
        if found != expected {
            return Err(ElementProblem::Lengths { what: "tag values", found, to: "tag keys", expected });
        }
        at_most("tags", expected, MAX_ELEMENT_TAGS)?;
        let pairs = keys.iter().zip(vals);
        pairs.map(|(key, value)| Ok((self.get(*key)?, self.get(*value)?))).collect()
    }
}
