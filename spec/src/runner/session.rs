//! Sessions: the runner is a peer, by `osmdb::sync` or by a script.

use osmdb::sync::{Options, Session};
use serde_json::{Value, json};

use super::{Heard, Peer, short};
use crate::adapter::messages::show;
use crate::adapter::osmdb::peer::made;
use crate::adapter::{Params, hex};
use crate::reference::sync::{Frames, Meaning, Message, STOP, meanings};

/// Has the session of a case. Returns what is wrong, if anything.
///
/// # Errors
/// The case cannot be read, or the implementation is broken.
pub(super) fn check(peer: &mut dyn Peer, case: &Value) -> Result<Option<String>, String> {
    let (params, talk) = (&case["params"], &case["talk"]);
    let mut session = Talking { peer, frames: Frames::default(), messages: Vec::new(), over: None };
    session.peer.begin(params)?;
    let wrong = if talk["steps"].is_array() { session.script(talk)? } else { session.meet(params, talk)? };
    let over = session.end()?;
    let is_refusal = case["refused"].is_string();
    let expected = if is_refusal {
        json!({ "root": hex(made(Params(params))?.root().as_bytes()), "agreed": false })
    } else {
        case["result"].clone()
    };
    if over != Ok(expected.clone()) {
        let got = over.map_or_else(|error| format!("refused: {error}"), |got| got.to_string());
        let wrong = wrong.map_or_else(String::new, |wrong| format!(" ({wrong})"));
        return Ok(Some(format!("{} instead of {}{wrong}", short(&got), short(&expected.to_string()))));
    }
    if wrong.is_some() {
        return Ok(wrong);
    }
    if is_refusal && session.messages.last().is_none_or(|(kind, _)| *kind != STOP) {
        return Ok(Some("it does not say STOP".to_owned()));
    }
    if let Some(expected) = talk["heard"].as_array() {
        let heard = match meanings(&session.messages) {
            Ok(heard) => heard,
            Err(error) => return Ok(Some(format!("it sends {error}"))),
        };
        let heard: Vec<Value> = heard.iter().map(show).collect();
        if let Some(place) = (0..heard.len().max(expected.len())).find(|n| heard.get(*n) != expected.get(*n))
        {
            let at =
                |all: &[Value]| all.get(place).map_or("nothing".to_owned(), |one| short(&one.to_string()));
            return Ok(Some(format!("message {place} says {} instead of {}", at(&heard), at(expected))));
        }
    }
    Ok(None)
}

const SILENT: &str = "it is silent";

/// No session has more lines than this behind its end.
const MAX_LINES: usize = 100_000;

/// A session with the implementation.
struct Talking<'a> {
    peer: &'a mut dyn Peer,
    frames: Frames,
    messages: Vec<Message>,
    over: Option<Result<Value, String>>,
}

impl Talking<'_> {
    /// Waits for what comes next; nothing if the session is over. Silence is an error of the session.
    fn hear(&mut self) -> Result<Result<Option<Vec<u8>>, String>, String> {
        if self.over.is_some() {
            return Ok(Ok(None));
        }
        Ok(match self.peer.hear()? {
            Heard::Bytes(bytes) => match self.frames.take(&bytes) {
                Ok(messages) => {
                    self.messages.extend(messages);
                    Ok(Some(bytes))
                }
                Err(error) => Err(format!("it sends {error}")),
            },
            Heard::Over(result) => {
                self.over = Some(result);
                Ok(None)
            }
            Heard::Silence => Err(SILENT.to_owned()),
        })
    }

    fn say(&mut self, bytes: Option<&[u8]>) -> Result<(), String> {
        if self.over.is_some() { Ok(()) } else { self.peer.say(bytes) }
    }

    /// Waits for the end.
    fn end(&mut self) -> Result<Result<Value, String>, String> {
        // All is said: whoever has understood that is done, and whoever waits for more waits in vain.
        self.say(None)?;
        for _ in 0..MAX_LINES {
            if let Some(over) = self.over.take() {
                return Ok(over);
            }
            match self.hear()? {
                Err(error) if error == SILENT => return Err(error),
                // What comes behind something that is no frame is passed over.
                Ok(_) | Err(_) => {}
            }
        }
        Err("it sends without end".to_owned())
    }

    /// Says what a script says, when what comes before has been heard.
    fn script(&mut self, talk: &Value) -> Result<Option<String>, String> {
        let mut heard = 0;
        for step in Params(&talk["steps"]).items()? {
            match step.nth(0).text()? {
                "say" => self.say(Some(&step.nth(1).bytes()?))?,
                "close" => self.say(None)?,
                "hear" => {
                    let wanted = step.nth(1).number()?;
                    loop {
                        let new = &self.messages[heard..];
                        if let Some(place) = new.iter().position(|(kind, _)| u64::from(*kind) == wanted) {
                            heard += place + 1;
                            break;
                        }
                        match self.hear()? {
                            // Who says something else waits for something else.
                            Ok(Some(_)) if self.strays(talk) => return Ok(None),
                            Ok(Some(_)) => {}
                            Ok(None) => return Ok(Some(format!("no message of kind {wanted} came"))),
                            Err(error) => {
                                self.say(None)?;
                                return Ok(Some(format!("{error}; a message of kind {wanted} was to come")));
                            }
                        }
                    }
                }
                other => return Err(format!("no step: {other}")),
            }
        }
        Ok(None)
    }

    /// Tells whether what was heard cannot become what the script wants.
    fn strays(&self, talk: &Value) -> bool {
        let Some(expected) = talk["heard"].as_array() else { return false };
        let Ok(heard) = meanings(&self.messages) else { return true };
        // Of the last one more may come.
        let grows =
            matches!(heard.last(), Some(Meaning::Entries(_) | Meaning::Cells(..) | Meaning::Pages(..)));
        let whole = heard.iter().take(heard.len() - usize::from(grows));
        whole.map(show).zip(expected).any(|(heard, expected)| heard != *expected)
    }

    /// Is a peer.
    fn meet(&mut self, params: &Value, talk: &Value) -> Result<Option<String>, String> {
        let mut ours = talk["meet"].clone();
        (ours["config"], ours["name"]) = (params["config"].clone(), params["name"].clone());
        let db = made(Params(&ours))?;
        // The runner may send its bytes in pieces of a few.
        let piece = usize::try_from(talk["pieces"].as_u64().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut session = Session::new(&db, Options::default()).map_err(|error| error.to_string())?;
        let wrong = loop {
            let error = loop {
                match session.send() {
                    Ok(Some(bytes)) => {
                        for piece in bytes.chunks(piece) {
                            self.say(Some(piece))?;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            if session.is_finished() {
                break None;
            }
            let error = match error {
                Some(error) => error,
                None => match self.hear()? {
                    Ok(Some(bytes)) => match session.receive(&bytes) {
                        Ok(()) => continue,
                        Err(error) => error,
                    },
                    Ok(None) => return Ok(Some("it was over too early".to_owned())),
                    Err(error) => {
                        self.say(None)?;
                        return Ok(Some(error));
                    }
                },
            };
            self.say(Some(&session.farewell(&error)))?;
            self.say(None)?;
            break Some(error.to_string());
        };
        let root = hex(db.root().as_bytes());
        Ok(wrong.or_else(|| (talk["root"] != json!(root)).then(|| format!("the runner's root is {root}"))))
    }
}
