//! The table of strings of a block that is being written.

use std::collections::HashMap;

use bytes::Bytes;

use super::message::StringTable;

/// Gives each string a number, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// Number 0 is the empty string, which is not here.
    table: Vec<Bytes>,
    // Only looked up, never walked over: the order of the numbers is that of the table.
    numbers: HashMap<Bytes, u32>,
}

impl Strings {
    /// Returns the number of a key or value of a tag. It is never 0, which ends the tags of a dense node.
    pub(super) fn tag(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text.as_bytes()) {
            return *number;
        }
        let text = Bytes::copy_from_slice(text.as_bytes());
        self.table.push(text.clone());
        // A block's size is bounded, and so is its table.
        let number = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text, number);
        number
    }

    /// Returns the number of a role or the name of a user. 0 is the empty one, which is the usual.
    pub(super) fn name(&mut self, text: &str) -> u32 {
        if text.is_empty() { 0 } else { self.tag(text) }
    }

    pub(super) fn finish(self) -> StringTable {
        let mut s = vec![Bytes::new()];
        s.extend(self.table);
        StringTable { s }
    }
}
