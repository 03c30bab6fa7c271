//! What answers the requests of `conformance.md`: the reference, `prolly` and `osmdb`, behind one loop.

mod connection;
pub mod entries;
pub mod messages;
pub mod osmdb;
mod params;
pub mod prolly;
pub mod reference;

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use connection::Lines;
pub use connection::{Connection, Talk};
pub use params::{Params, hex};

/// Answers one request: the result, or why it is refused.
pub type Answer = fn(&str, &Value) -> Result<Value, String>;

/// Answers every line of the input with a line of output, until the input ends. A request for a session
/// is answered when the session is over; without a `talk` there is none.
///
/// # Errors
/// Reading or writing failed.
pub fn serve(
    answer: Answer,
    talk: Option<Talk>,
    input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut lines = input.split(b'\n');
    while let Some(line) = lines.next() {
        let response = match serde_json::from_slice::<Value>(&line?) {
            // What came for a session that is over.
            Ok(line) if line.get("sends").is_some() || line.get("closes").is_some() => continue,
            Ok(request) => match talk.filter(|_| request["method"] == "sync") {
                Some(talk) => {
                    let id = &request["id"];
                    let mut connection = Lines { id, input: &mut lines, output: &mut output };
                    response(id, talk(&request["params"], &mut connection))
                }
                None => respond(answer, &request),
            },
            Err(error) => json!({ "id": null, "error": format!("no JSON: {error}") }),
        };
        writeln!(output, "{response}")?;
        output.flush()?;
    }
    Ok(())
}

fn respond(answer: Answer, request: &Value) -> Value {
    let id = &request["id"];
    let Some(method) = request["method"].as_str() else {
        return json!({ "id": id, "error": "a request without a method" });
    };
    response(id, answer(method, &request["params"]))
}

fn response(id: &Value, answer: Result<Value, String>) -> Value {
    match answer {
        Ok(result) => json!({ "id": id, "result": result }),
        Err(error) => json!({ "id": id, "error": error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_line_says_there_is_one_answer() {
        let lines: [&[u8]; 8] = [
            b"",
            b"garbage",
            b"\xff\xfe",
            b"[]",
            b"{\"id\":1}",
            b"{\"id\":2,\"method\":\"no such\",\"params\":{}}",
            b"{\"id\":3,\"method\":\"build\"}",
            b"{\"id\":4,\"method\":\"hello\",\"params\":{}}",
        ];
        for answer in [osmdb::answer, reference::answer] {
            let mut output = Vec::new();
            serve(answer, None, lines.join(&b'\n').as_slice(), &mut output).expect("writing to memory");
            let responses: Vec<Value> = String::from_utf8_lossy(&output)
                .lines()
                .map(|line| serde_json::from_str(line).expect("a response"))
                .collect();
            let ids: Vec<_> = responses.iter().map(|response| response["id"].clone()).collect();
            assert_eq!(json!(ids), json!([null, null, null, null, 1, 2, 3, 4]));
            assert!(responses[..7].iter().all(|response| response["error"].is_string()));
            assert!(responses[7]["result"].is_object());
        }
    }
}
