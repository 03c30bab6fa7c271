//! Asks an implementation what the vectors ask, and compares its answers.

mod session;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::adapter::{Params, hex};

/// Greatest length of a response.
pub const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// What is asked: a result, or why there is none.
pub trait Peer {
    /// Asks one question. The outer error ends the check: the implementation is broken.
    ///
    /// # Errors
    /// The implementation died, hung, or wrote what is no response.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Result<Value, String>, String>;

    /// Begins a session.
    ///
    /// # Errors
    /// The implementation died, or has no sessions.
    fn begin(&mut self, _params: &Value) -> Result<(), String> {
        Err("an implementation in this process has no sessions".to_owned())
    }

    /// Sends bytes in a session; `None` ends the connection.
    ///
    /// # Errors
    /// The implementation died.
    fn say(&mut self, _bytes: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }

    /// Waits for what comes in a session.
    ///
    /// # Errors
    /// The implementation died, or wrote what has no place in a session.
    fn hear(&mut self) -> Result<Heard, String> {
        Ok(Heard::Silence)
    }
}

/// What comes from an implementation in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Bytes for the peer.
    Bytes(Vec<u8>),
    /// The session is over: the response to the request for it.
    Over(Result<Value, String>),
    /// Nothing, for too long.
    Silence,
}

/// An implementation in this process.
impl<F: FnMut(&str, &Value) -> Result<Value, String>> Peer for F {
    fn ask(&mut self, method: &str, params: &Value) -> Result<Result<Value, String>, String> {
        Ok(self(method, params))
    }
}

/// An implementation in a process of its own, which ends with this.
#[derive(Debug)]
pub struct Process {
    child: Child,
    requests: Sender<String>,
    lines: Receiver<Result<Vec<u8>, String>>,
    limit: Duration,
    id: u64,
}

impl Process {
    /// Starts a command. Every answer must come within the limit.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(mut command: Command, limit: Duration) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        // Threads of their own, so that neither a full nor a silent pipe stops the runner.
        let (requests, to_write) = channel::<String>();
        std::thread::spawn(move || {
            for line in to_write {
                if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let (read, lines) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let found = stdout.by_ref().take(MAX_RESPONSE_BYTES).read_until(b'\n', &mut line);
                let line = match found {
                    Ok(0) => return,
                    Ok(_) if line.ends_with(b"\n") => Ok(line),
                    Ok(_) => Err("a line without an end, or one too long".to_owned()),
                    Err(error) => Err(error.to_string()),
                };
                if read.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, requests, lines, limit, id: 0 })
    }
}

impl Process {
    fn send(&self, line: &Value) -> Result<(), String> {
        self.requests.send(format!("{line}\n")).map_err(|_| "it no longer reads".to_owned())
    }

    /// Waits for a line about the last request; nothing if none comes in time.
    fn receive(&self) -> Result<Option<Value>, String> {
        let line = match self.lines.recv_timeout(self.limit) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err("it ended or closed its output".to_owned()),
        };
        let response: Value = serde_json::from_slice(&line)
            .map_err(|error| format!("no JSON: {error}: {}", short(&String::from_utf8_lossy(&line))))?;
        if response["id"] != json!(self.id) {
            return Err(format!("another id than {}: {}", self.id, short(&response.to_string())));
        }
        Ok(Some(response))
    }
}

fn result(response: &Value) -> Result<Result<Value, String>, String> {
    match (response.get("result"), response.get("error").and_then(Value::as_str)) {
        (Some(result), None) => Ok(Ok(result.clone())),
        (None, Some(error)) => Ok(Err(error.to_owned())),
        _ => Err(format!("neither a result nor an error: {}", short(&response.to_string()))),
    }
}

impl Peer for Process {
    fn ask(&mut self, method: &str, params: &Value) -> Result<Result<Value, String>, String> {
        self.id += 1;
        self.send(&json!({ "id": self.id, "method": method, "params": params }))?;
        result(&self.receive()?.ok_or_else(|| format!("no answer within {:?}", self.limit))?)
    }

    fn begin(&mut self, params: &Value) -> Result<(), String> {
        self.id += 1;
        self.send(&json!({ "id": self.id, "method": "sync", "params": params }))
    }

    fn say(&mut self, bytes: Option<&[u8]>) -> Result<(), String> {
        self.send(&match bytes {
            Some(bytes) => json!({ "id": self.id, "sends": hex(bytes) }),
            None => json!({ "id": self.id, "closes": true }),
        })
    }

    fn hear(&mut self) -> Result<Heard, String> {
        let Some(line) = self.receive()? else { return Ok(Heard::Silence) };
        match line.get("sends") {
            Some(bytes) => Params(bytes).bytes().map(Heard::Bytes),
            None => result(&line).map(Heard::Over),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a section came to.
#[derive(Debug, Default)]
pub struct Section {
    /// How many cases passed.
    pub passed: usize,
    /// How many were not asked, since the implementation does not serve the section.
    pub skipped: usize,
    /// The cases that failed: where, what was asked, expected and got.
    pub failures: Vec<String>,
}

/// Asks every case of the vectors in a directory; returns what each section came to.
///
/// # Errors
/// The vectors cannot be read (the message names the file and the place), or the implementation is
/// broken (the message says what was asked).
pub fn check(peer: &mut dyn Peer, vectors: &Path) -> Result<BTreeMap<String, Section>, String> {
    let hello = peer.ask("hello", &json!({}))??;
    if hello["format"] != json!(crate::reference::FORMAT) {
        return Err(format!("another format: {hello}"));
    }
    let served = hello["sections"].as_array().ok_or("hello without sections")?;
    let mut sections = BTreeMap::<String, Section>::new();
    for name in crate::vectors::FILES {
        let path = vectors.join(name);
        let at = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| at(&error))?;
        let file: Value = serde_json::from_str(&text).map_err(|error| at(&error))?;
        let section = file["section"].as_str().ok_or_else(|| at(&"no section"))?;
        let report = sections.entry(section.to_owned()).or_default();
        let cases = file["cases"].as_array().ok_or_else(|| at(&"no cases"))?;
        for (index, case) in cases.iter().enumerate() {
            let at = |what: &dyn std::fmt::Display| at(&format!("case {index}: {what}"));
            let method = case["method"].as_str().ok_or_else(|| at(&"no method"))?;
            if case.get("result").is_some() == case.get("refused").is_some_and(Value::is_string) {
                return Err(at(&"it wants either a result or a reason to refuse"));
            }
            if !served.iter().any(|served| served == section) {
                report.skipped += 1;
                continue;
            }
            if method == "sync" {
                let wrong = session::check(peer, case).map_err(|error| at(&error))?;
                report.passed += usize::from(wrong.is_none());
                let asked = short(&format!("{} {}", case["about"], case["params"]));
                report
                    .failures
                    .extend(wrong.map(|wrong| at(&format!("\n  asked    {asked}\n  got      {wrong}"))));
                continue;
            }
            let got = peer.ask(method, &case["params"]).map_err(|error| at(&error))?;
            let expected = case.get("result");
            if got.as_ref().ok() == expected {
                report.passed += 1;
            } else {
                let asked = short(&format!("{method} {}", case["params"]));
                let expected =
                    short(&expected.map_or(format!("refused: {}", case["refused"]), Value::to_string));
                let got = short(&got.map_or_else(|error| format!("refused: {error}"), |got| got.to_string()));
                report
                    .failures
                    .push(at(&format!("\n  asked    {asked}\n  expected {expected}\n  got      {got}")));
            }
        }
    }
    Ok(sections)
}

fn short(text: &str) -> String {
    let short: String = text.chars().take(300).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
