//! The connection of a session, as lines.

use std::io::Write;

use serde_json::{Value, json};

use super::{Params, hex};

/// A two-way stream of bytes to the runner.
pub trait Connection {
    /// Sends bytes.
    ///
    /// # Errors
    /// The lines have ended.
    fn send(&mut self, bytes: &[u8]) -> Result<(), String>;

    /// Waits for bytes; nothing: the connection has ended.
    ///
    /// # Errors
    /// The lines have ended, or one is something else.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, String>;
}

/// Has a session: the parameters of the request, and the connection.
pub type Talk = fn(&Value, &mut dyn Connection) -> Result<Value, String>;

/// A connection over the lines of a program.
pub(super) struct Lines<'a, I, O> {
    pub(super) id: &'a Value,
    pub(super) input: &'a mut I,
    pub(super) output: &'a mut O,
}

impl<I: Iterator<Item = std::io::Result<Vec<u8>>>, O: Write> Connection for Lines<'_, I, O> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let line = json!({ "id": self.id, "sends": hex(bytes) });
        writeln!(self.output, "{line}").and_then(|()| self.output.flush()).map_err(|error| error.to_string())
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        let line = self.input.next().ok_or("the lines end")?.map_err(|error| error.to_string())?;
        let line: Value = serde_json::from_slice(&line).map_err(|error| format!("no JSON: {error}"))?;
        if line["id"] != *self.id {
            return Err(format!("a line of another session: {line:.80}"));
        }
        if line["closes"] == json!(true) { Ok(None) } else { Params(&line["sends"]).bytes().map(Some) }
    }
}
