//! Walks the fields of a protocol buffer message without copying.
//!
//! A block's groups, elements and strings can be many millions in a hostile file; decoding them all
//! into structs would take hundreds of times the room of the file.

use prost::Message;

use super::super::error::PbfProblem;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number.
    Varint(u64),
    /// Bytes, text, or a message.
    Bytes(&'a [u8]),
    /// A fixed-width number: the format has none, but may get some.
    Fixed,
}

/// Iterates over the fields of a message; ends after the first error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Walks a message; `what` names it in errors.
    pub(super) const fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => take(&mut self.rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                Value::Bytes(take(&mut self.rest, length)?)
            }
            5 => take(&mut self.rest, 4).map(|_| Value::Fixed)?,
            // Groups (3, 4) are long abandoned; 6 and 7 never were.
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), PbfProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or_else(|| malformed(self.what, "a field is cut off or of an unknown type")))
    }
}

/// Decodes a whole message.
pub(super) fn decode<M: Message + Default>(bytes: &[u8], what: &'static str) -> Result<M, PbfProblem> {
    M::decode(bytes).map_err(|error| malformed(what, &error.to_string()))
}

pub(super) fn malformed(what: &'static str, reason: &str) -> PbfProblem {
    PbfProblem::Malformed { what, reason: reason.to_owned() }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_walked() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, 7, 8, 0x1d, 1, 2, 3, 4];
        let fields: Vec<_> = Fields::new(&message, "test").map(Result::unwrap).collect();
        assert_eq!(fields, [(1, Value::Varint(150)), (2, Value::Bytes(&[7, 8])), (3, Value::Fixed)]);
    }

    #[test]
    fn broken_fields_are_errors_and_end_the_walk() {
        let broken: [&[u8]; 5] =
            [&[0x08], &[0x12, 3, 1], &[0x0b], &[0x80; 11], &[0x12, 0xff, 0xff, 0xff, 0x7f]];
        for message in broken {
            let mut fields = Fields::new(message, "test");
            assert!(fields.next().unwrap().is_err(), "{message:?}");
            assert!(fields.next().is_none());
        }
    }
}
