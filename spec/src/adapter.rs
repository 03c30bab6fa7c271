//! What answers the requests of `conformance.md`: the reference and `prolly`, behind one loop.

mod params;
pub mod prolly;
pub mod reference;

use std::io::{BufRead, Write};

use serde_json::{Value, json};

pub use params::{Params, hex};

/// Answers one request: the result, or why it is refused.
pub type Answer = fn(&str, &Value) -> Result<Value, String>;

/// The sections that both adapters serve.
pub const SECTIONS: [&str; 10] =
    ["cid", "config", "page", "key_hash", "build", "edit", "read", "diff", "tree", "proof"];

/// Answers every line of the input with a line of output, until the input ends.
///
/// # Errors
/// Reading or writing failed.
pub fn serve(answer: Answer, input: impl BufRead, mut output: impl Write) -> std::io::Result<()> {
    for line in input.lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let method = request["method"].as_str().unwrap_or_default();
        let response = match answer(method, &request["params"]) {
            Ok(result) => json!({ "id": request["id"], "result": result }),
            Err(error) => json!({ "id": request["id"], "error": error }),
        };
        writeln!(output, "{response}")?;
        output.flush()?;
    }
    Ok(())
}
