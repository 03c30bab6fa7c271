//! Sessions: meetings, scripts of one side of them, and what must end a session.

use std::slice::from_ref;

use osmdb::sync::{Options, Session};
use osmdb::{Ask, BBox, ElementId, Filter};
use serde_json::{Value, json};

use super::entries::{edited, entry, imported, sign};
use super::views::{NARROW, hexes, village};
use super::{DEFAULT, compact};
use crate::adapter::messages::show;
use crate::adapter::osmdb::peer::made;
use crate::adapter::{Params, hex};
use crate::reference::columns;
use crate::reference::entry::{Edited, Entry, Origin};
use crate::reference::sync::{
    self, CELLS, CREDIT, DELTA, END, ENTRIES, Frames, HELLO, Message, READ, STOP, WAIT, frame,
};
use crate::reference::views::{Root, derive, superseded};
use crate::reference::{Address, Config};

/// What a database holds: the sets that it had before, and its entries.
fn holds(had: &[Value], entries: &Value) -> Value {
    json!({ "had": had, "entries": entries })
}

/// A meeting: both sides, and in pieces of how many bytes the runner sends.
struct Meeting {
    about: &'static str,
    config: [u32; 6],
    subject: Value,
    peer: Value,
    pieces: Option<u64>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn params(config: [u32; 6], holds: &Value) -> Value {
    json!({ "config": config, "name": "osm", "had": holds["had"], "entries": holds["entries"] })
}

fn joined(sets: &[&Value]) -> Value {
    sets.iter().filter_map(|set| set.as_array()).flatten().cloned().collect()
}

fn meetings() -> Result<Vec<Meeting>, String> {
    let village = hexes(&village()?);
    let none = json!([]);
    let nodes = |from: u64, count: u64, version: u64| json!([{ "nodes": [from, count], "version": version }]);
    let spring = entry(0, 1, &json!([1, 2, []]), &imported(1))?;
    let edit = |lat: i64| entry(0, 1, &json!([lat, 2, [["a", "b"]]]), &edited(&[&spring], lat));
    let (ours, theirs) = (sign(edit(10)?, 7), sign(edit(20)?, 8));
    let base = joined(&[&village, &hexes(from_ref(&spring))]);
    let grown = |more: &Value| holds(from_ref(&base), &joined(&[&base, more]));
    let meeting = |about, config, subject, peer| Meeting { about, config, subject, peer, pieces: None };
    let fork = (grown(&hexes(from_ref(&ours))), grown(&hexes(from_ref(&theirs))));
    let apart =
        (holds(&[], &nodes(1, 3000, 1)), holds(&[], &joined(&[&nodes(1, 2900, 1), &nodes(5000, 90, 1)])));
    let mut all = vec![
        meeting("equal", DEFAULT, holds(&[], &village), holds(&[], &village)),
        meeting("both empty", DEFAULT, holds(&[], &none), holds(&[], &none)),
        meeting(
            "equal, on different ways",
            NARROW,
            holds(&[nodes(1, 5, 1)], &joined(&[&village, &nodes(1, 5, 1)])),
            holds(from_ref(&village), &joined(&[&village, &nodes(1, 5, 1)])),
        ),
        meeting("the implementation is empty", DEFAULT, holds(&[], &none), holds(&[], &village)),
        meeting("the runner is empty", DEFAULT, holds(&[], &village), holds(&[], &none)),
        meeting("a root is shared, and both edited one node since", DEFAULT, fork.0.clone(), fork.1.clone()),
        meeting("the runner has what the implementation had", DEFAULT, fork.0.clone(), holds(&[], &base)),
        meeting("the implementation has what the runner had", DEFAULT, holds(&[], &base), fork.1.clone()),
        meeting(
            "of two shared roots one has more",
            NARROW,
            holds(&[nodes(1, 50, 1), nodes(1, 90, 1)], &nodes(1, 100, 1)),
            holds(&[nodes(1, 50, 1), nodes(1, 90, 1)], &joined(&[&nodes(1, 90, 1), &nodes(200, 3, 1)])),
        ),
        meeting("no root is shared, and little differs", DEFAULT, apart.0.clone(), apart.1.clone()),
        meeting("no root is shared, and little differs, in small pages", NARROW, apart.0, apart.1),
        meeting(
            "no root is shared, and nothing is",
            DEFAULT,
            holds(&[], &village),
            holds(&[], &nodes(1000, 20, 1)),
        ),
        meeting(
            "no root is shared, one holds all of the other's",
            NARROW,
            holds(&[], &nodes(1, 400, 1)),
            holds(&[], &nodes(100, 40, 1)),
        ),
        meeting(
            "no root is shared, and most differs",
            NARROW,
            holds(&[], &nodes(1, 2000, 1)),
            holds(&[], &joined(&[&nodes(1, 1200, 2), &nodes(900, 900, 1)])),
        ),
        meeting("many entries", DEFAULT, holds(&[], &none), holds(&[], &nodes(1, 20_000, 1))),
    ];
    for (subject, peer) in [fork, (holds(&[], &village), holds(&[], &nodes(1000, 20, 1)))] {
        all.push(Meeting { about: "byte by byte", config: NARROW, subject, peer, pieces: Some(1) });
    }
    Ok(all)
}

fn drain(session: &mut Session<'_, prolly::MemoryStore>) -> Result<Vec<u8>, osmdb::sync::SyncError> {
    let mut bytes = Vec::new();
    while let Some(more) = session.send()? {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// Lets both sides talk. Returns their root, and what the peer says, in pieces, uncompressed.
fn talk(subject: &Value, peer: &Value) -> Result<(Value, Vec<Vec<u8>>), String> {
    let (ours, theirs) = (made(Params(subject))?, made(Params(peer))?);
    let mut here = Session::new(&ours, Options::default()).map_err(text)?;
    let mut there = Session::new(&theirs, Options::default()).map_err(text)?;
    let (mut frames, mut says) = (Frames::default(), Vec::new());
    while !(here.is_finished() && there.is_finished()) {
        let (left, right) = (drain(&mut here).map_err(text)?, drain(&mut there).map_err(text)?);
        here.receive(&right).map_err(text)?;
        there.receive(&left).map_err(text)?;
        let messages = frames.take(&right)?;
        if !messages.is_empty() {
            says.push(messages.iter().flat_map(|(kind, body)| frame(*kind, body)).collect());
        }
    }
    if ours.root() != theirs.root() {
        return Err("two of ours do not agree".to_owned());
    }
    Ok((json!(hex(ours.root().as_bytes())), says))
}

fn meet(meeting: &Meeting) -> Result<Value, String> {
    let Meeting { about, config, subject, peer, pieces } = meeting;
    let (subject, theirs) = (params(*config, subject), params(*config, peer));
    let (root, _) = talk(&subject, &theirs)?;
    let mut talk = json!({ "meet": peer, "root": root });
    if let Some(pieces) = pieces {
        talk["pieces"] = json!(pieces);
    }
    let result = json!({ "root": root, "agreed": true });
    Ok(json!({ "method": "sync", "about": about, "params": subject, "talk": talk, "result": result }))
}

/// What an implementation says to a script.
struct Played {
    steps: Vec<Value>,
    heard: Vec<Message>,
    root: Value,
    error: Option<String>,
    /// Nothing is left to be said.
    agreed: bool,
}

/// Plays one side of a session to ours.
fn play(subject: &Value, says: &[Vec<u8>]) -> Result<Played, String> {
    let db = made(Params(subject))?;
    let mut session = Session::new(&db, Options::default()).map_err(text)?;
    let (mut frames, mut steps, mut heard) = (Frames::default(), Vec::new(), Vec::new());
    let mut error = None;
    for place in 0..=says.len() {
        let came = match drain(&mut session) {
            Ok(bytes) => frames.take(&bytes)?,
            Err(found) => {
                error = Some(found);
                break;
            }
        };
        if let Some((kind, _)) = came.iter().rfind(|(kind, _)| ![CREDIT, WAIT].contains(kind)) {
            steps.push(json!(["hear", kind]));
        }
        heard.extend(came);
        let Some(say) = says.get(place) else { break };
        steps.push(json!(["say", compact(&json!(hex(say)))]));
        if let Err(found) = session.receive(say) {
            error = Some(found);
            break;
        }
    }
    if error.is_none() && !session.is_finished() {
        steps.push(json!(["close"]));
    }
    let agreed = error.is_none() && (session.is_finished() || session.is_read_only());
    let error = error.map(|error| error.to_string());
    Ok(Played { agreed, steps, heard, root: json!(hex(db.root().as_bytes())), error })
}

/// A script, and all that it is to hear.
fn script(about: &str, subject: &Value, says: &[Vec<u8>]) -> Result<Value, String> {
    let played = play(subject, says)?;
    if let Some(error) = played.error.filter(|error| !error.contains("gave up")) {
        return Err(format!("{about}: {error}"));
    }
    let heard: Vec<Value> = sync::meanings(&played.heard)?.iter().map(show).collect();
    Ok(json!({
        "method": "sync",
        "about": about,
        "params": subject,
        "talk": { "steps": played.steps, "heard": heard },
        "result": { "root": played.root, "agreed": played.agreed },
    }))
}

/// Sessions that end before all is exchanged.
fn cuts() -> Result<Vec<Value>, String> {
    let base = village()?[..3].to_vec();
    let new = entry(0, 500, &json!([1, 2, []]), &edited(&[], 5))?;
    let lie = Lie { base: base.clone(), new: vec![new.clone()], ..Lie::of(&[])? };
    let subject = params(DEFAULT, &holds(&[], &hexes(&base)));
    let (hello, delta) = (lie.hello()?, lie.delta()?);
    let stream = sync::stream(&[new]);
    let entries = frame(ENTRIES, &stream[0].1);
    let stop = frame(STOP, &sync::words("there is no room left"));
    let parted = with_parts(&hello, &[stream_part(&[3; 5], 5), walk_part(&[9; 5])]);
    let half = [&delta[..], &entries[..entries.len() / 2]].concat();
    let cases: [(_, &[Vec<u8>]); 6] = [
        ("the peer announces parts of what nobody here has", &[parted]),
        ("the connection ends at once", &[]),
        ("the connection ends behind HELLO", from_ref(&hello)),
        ("the connection ends within a frame", &[hello.clone(), half]),
        ("the connection ends before END", &[hello.clone(), [delta.clone(), entries].concat()]),
        ("the peer gives up", &[hello.clone(), [delta, stop].concat()]),
    ];
    cases.into_iter().map(|(about, says)| script(about, &subject, says)).collect()
}

/// A part of a stream from a base that nobody has (4).
fn stream_part(root: &[u8], id: u64) -> Vec<u8> {
    [root, &[8; 5], &[0], &id.to_be_bytes(), &[0, 0, 0, 1]].concat()
}

/// A part of a walk between two roots that nobody has (12): one message.
fn walk_part(root: &[u8]) -> Vec<u8> {
    [root, &[8; 5], &[0xff, 0, 0, 0, 1], &[7; 8]].concat()
}

/// A HELLO with parts: how many they are stands behind the root.
fn with_parts(hello: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let body = &hello[2..];
    let count = [u8::try_from(parts.len()).unwrap_or(u8::MAX)];
    frame(HELLO, &[&[body[0] | 0x40], &body[1..37], &count, &parts.concat(), &body[37..]].concat())
}

fn scripts() -> Result<Vec<Value>, String> {
    let mut cases = Vec::new();
    for meeting in meetings()?.into_iter().filter(|meeting| meeting.pieces.is_none()) {
        let (subject, peer) =
            (params(meeting.config, &meeting.subject), params(meeting.config, &meeting.peer));
        let (_, says) = talk(&subject, &peer)?;
        // The others are long.
        if says.iter().map(Vec::len).sum::<usize>() < 16_000 {
            cases.push(script(&format!("the script of: {}", meeting.about), &subject, &says)?);
        }
    }
    cases.extend(cuts()?);
    cases.extend(reads()?);
    Ok(cases)
}

/// What a reader asks.
fn reads() -> Result<Vec<Value>, String> {
    let subject = params(
        NARROW,
        &holds(&[], &joined(&[&hexes(&village()?), &json!([{ "nodes": [100, 400], "version": 1 }])])),
    );
    let root = *made(Params(&subject))?.root().as_bytes();
    let hello = frame(HELLO, &sync::reader_hello());
    let question = |ask: Ask| ask.encode().map_err(text);
    let key = question(Ask::Get(vec![ElementId::node(3), ElementId::way(1)]))?;
    let area: BBox = "1.4,42.4,1.6,42.6".parse().map_err(text)?;
    let area = question(Ask::Query(area, Filter::default()))?;
    let read = |id, root: Option<&Address>, ask: Option<&[u8]>, lacking: &[Address]| {
        frame(READ, &sync::read(id, root, ask, lacking, 1 << 20))
    };
    let asked = [
        ("a reader opens the dataset", read(1, None, None, &[])),
        ("a reader asks for two elements", read(2, None, Some(&key), &[])),
        ("a reader asks for a box at a root that it knows", read(3, Some(&root), Some(&area), &[])),
        (
            "a reader asks for a page, and for one that is not there",
            read(u64::MAX, Some(&root), None, &[root, [0; 32]]),
        ),
        ("a reader asks for a root that is not there", read(5, Some(&[1; 32]), Some(&key), &[])),
        (
            "a reader wants fewer bytes than there are",
            frame(READ, &sync::read(6, None, Some(&key), &[], 100)),
        ),
    ];
    let mut cases = Vec::new();
    for (about, ask) in asked {
        cases.push(script(about, &subject, &[hello.clone(), ask])?);
    }
    Ok(cases)
}

/// All sessions that end well.
pub(super) fn cases() -> Result<Vec<Value>, String> {
    let mut cases = meetings()?.iter().map(meet).collect::<Result<Vec<_>, _>>()?;
    cases.extend(scripts()?);
    Ok(cases)
}

/// Sides of a session: a root that both had, an entry of the implementation, and those of a lying peer.
struct Lie {
    base: Vec<Entry>,
    new: Vec<Entry>,
    config: Config,
}

impl Lie {
    fn of(new: &[Entry]) -> Result<Self, String> {
        let config = Params(&json!(DEFAULT)).config()?;
        Ok(Self { base: village()?[..3].to_vec(), new: new.to_vec(), config })
    }

    fn root(&self, entries: &[Entry]) -> Result<Address, String> {
        let root = Root::of("osm", &self.config, &derive(&self.config, entries, superseded))?;
        Ok(crate::reference::address(&root.record()))
    }

    fn hello(&self) -> Result<Vec<u8>, String> {
        let (tag, base) = (sync::tag(&self.config, "osm"), self.root(&self.base)?);
        Ok(frame(HELLO, &sync::hello(tag, &self.root(&[&self.base[..], &self.new].concat())?, &[base])))
    }

    fn delta(&self) -> Result<Vec<u8>, String> {
        Ok(frame(DELTA, &self.root(&self.base)?))
    }
}

/// A rule that is broken, the class of refusals, and what the liar says.
type Told = (&'static str, &'static str, Vec<Vec<u8>>);

fn refusals() -> Result<Vec<Told>, String> {
    let node = |id, lat: i64| entry(0, id, &json!([lat, 2, [["a", "b"]]]), &edited(&[], lat));
    let new = [node(500, 1)?, node(501, 2)?];
    let lie = Lie::of(&new)?;
    let (hello, delta) = (lie.hello()?, lie.delta()?);
    let body = |entries: &[Entry]| sync::stream(entries)[0].1.clone();
    let both = body(&new);
    let (one, other) = (body(&new[..1]), body(&new[1..]));
    let end = |n| frame(END, &sync::number(n));
    // Says hello, then counts from the shared root, then says what is given.
    let then = |said: Vec<u8>| vec![hello.clone(), [delta.clone(), said].concat()];
    let entries = |body: &[u8]| frame(ENTRIES, body);
    let mut forged = sign(new[0].clone(), 7);
    if let Origin::Edited(Edited { timestamp, .. }) = &mut forged.origin {
        *timestamp += 1;
    }
    let orphan = entry(0, 500, &Value::Null, &json!({ "edited": [["11".repeat(32)], null, "5"] }))?;
    let of = |entry: &Entry| -> Result<Vec<Vec<u8>>, String> {
        let lie = Lie::of(from_ref(entry))?;
        let stream: Vec<u8> =
            sync::stream(from_ref(entry)).iter().flat_map(|(kind, body)| frame(*kind, body)).collect();
        Ok(vec![lie.hello()?, [lie.delta()?, stream].concat()])
    };
    let tag = sync::tag(&lie.config, "osm");
    let strange = |earlier: &[Address]| frame(HELLO, &sync::hello(tag, &[5; 32], earlier));
    let mut version = hello.clone();
    version[2] = 2;
    let longer = [&one[..], &[0][..]].concat();
    let of_bodies = |all: &[(&Entry, Vec<u8>)]| {
        columns::of_bodies(&all.iter().map(|(entry, body)| (entry.element, body.clone())).collect::<Vec<_>>())
    };
    let whole = new[0].body();
    let tail = columns::join(&of_bodies(&[(&new[0], [&whole[..whole.len() - 1], &[0xf6]].concat())]));
    let twice = columns::join(&of_bodies(&[(&new[0], whole.clone()), (&new[0], whole.clone())]));
    // A message with one byte more in a column, or another one.
    let with = |column: usize, bytes: &[u8]| {
        let mut columns = of_bodies(&[(&new[0], whole.clone())]);
        columns[column] = bytes.to_vec();
        columns::join(&columns)
    };
    Ok(vec![
        (
            "2: a length in a longer form than it needs",
            "a frame",
            vec![[&[0x80 | hello[0], 0][..], &hello[1..]].concat()],
        ),
        ("2: an empty frame", "a frame", vec![vec![0]]),
        ("2: a frame longer than MAX_FRAME_BYTES", "a frame", vec![sync::leb128(sync::MAX_FRAME_BYTES + 1)]),
        ("2: a length of five bytes", "a frame", vec![vec![0xff, 0xff, 0xff, 0xff, 1]]),
        ("2: a compressed body that is damaged", "a frame", then(frame(ENTRIES | 0x80, &[1, 2, 3, 4]))),
        (
            "2: a body longer than MAX_MESSAGE_BYTES, compressed",
            "a frame",
            then(frame(ENTRIES | 0x80, &bomb())),
        ),
        ("3: a message of no kind", "a message", then(frame(13, &[]))),
        ("3: an END with bytes behind it", "a message", then(frame(END, &[0, 0]))),
        ("3: an END in a longer head than it needs", "a message", then(frame(END, &[0x18, 0]))),
        ("3: entries that are cut off", "a message", then(entries(&both[..both.len() - 1]))),
        ("3: half an entry behind another", "a message", then(entries(&longer))),
        ("3: an entry whose body is malformed", "a record", then(entries(&tail))),
        ("4: something before HELLO", "a turn", vec![end(0)]),
        ("4: version 2", "a version", vec![version]),
        ("4: a HELLO that is cut off", "a message", vec![frame(HELLO, &[1; 36])]),
        ("4: a HELLO with 33 earlier roots", "a message", vec![strange(&[[9; 32]; 33])]),
        ("4: parts, and none of them", "a message", vec![with_parts(&hello, &[])]),
        ("4: 9 parts", "a message", vec![with_parts(&hello, &vec![walk_part(&[9; 5]); 9])]),
        ("4: a part that is cut off", "a message", vec![with_parts(&strange(&[]), &[vec![1; 22]])]),
        ("4: a part with a cursor of no kind", "a message", vec![with_parts(&hello, &[vec![5; 23]])]),
        ("12: ANEW where nothing goes on", "a turn", vec![strange(&[]), frame(sync::ANEW, &[])]),
        (
            "4: another dataset",
            "another dataset",
            vec![frame(HELLO, &sync::hello(sync::tag(&lie.config, "other"), &[5; 32], &[]))],
        ),
        ("4: a second HELLO", "a turn", vec![hello.clone(), hello.clone()]),
        ("5: a base that is none", "a base", vec![hello.clone(), frame(DELTA, &[7; 32])]),
        ("5: a second DELTA", "a turn", then(delta.clone())),
        ("5: entries before DELTA", "a turn", vec![hello.clone(), entries(&one)]),
        (
            "5: a cursor that nobody gave",
            "a turn",
            vec![
                hello.clone(),
                frame(DELTA, &[&delta[2..], &[0][..], &500_u64.to_be_bytes(), &[0, 0, 0, 1]].concat()),
            ],
        ),
        ("5: an entry twice", "an order", then(entries(&twice))),
        ("5: elements that fall", "an order", then([entries(&other), entries(&one)].concat())),
        ("5: an END with another count", "a count", then([entries(&both), end(3)].concat())),
        ("5: an entry left out", "a root", then([entries(&one), end(1)].concat())),
        (
            "5: an entry slipped in",
            "a root",
            then([entries(&both), entries(&body(&[node(502, 3)?])), end(3)].concat()),
        ),
        ("5: a forged signature", "a forgery", of(&forged)?),
        ("5: a link to what is not there", "a parent", of(&orphan)?),
        (
            "6: cells of no phase",
            "a message",
            vec![strange(&[]), frame(CELLS, &sync::cells(3, 1, 0, &[0; 13]))],
        ),
        (
            "6: cells that are cut off",
            "a message",
            vec![strange(&[]), frame(CELLS, &sync::cells(1, 1, 0, &[0; 12]))],
        ),
        (
            "6: cells that do not begin where the ones before end",
            "a turn",
            vec![strange(&[]), frame(CELLS, &sync::cells(1, 1, 1, &[0; 13]))],
        ),
        ("10: a form that is none", "a message", then(entries(&with(1, &[2])))),
        ("10: a kind that is none", "a message", then(entries(&with(0, &[4])))),
        (
            "10: a number in a longer form than it needs",
            "a message",
            then(entries(&with(2, &[0xf4, 0x83, 0]))),
        ),
        ("10: something left in a column", "a message", then(entries(&with(18, &[0])))),
        ("10: a column that ends early", "a message", then(entries(&with(3, &whole[..1])))),
        (
            "9: a question of somebody who is no reader",
            "a turn",
            vec![hello.clone(), frame(READ, &sync::read(1, None, None, &[], 9))],
        ),
        ("9: DELTA from a reader", "a turn", vec![frame(HELLO, &sync::reader_hello()), delta]),
        (
            "9: a question that is none",
            "a question",
            vec![
                frame(HELLO, &sync::reader_hello()),
                frame(READ, &sync::read(1, None, Some(&[0x81, 9]), &[], 9)),
            ],
        ),
        (
            "9: 1025 pages named as lacking",
            "a message",
            vec![
                frame(HELLO, &sync::reader_hello()),
                frame(READ, &sync::read(1, None, None, &[[1; 32]; 1025], 9)),
            ],
        ),
    ])
}

/// A body that is too long when it is decompressed: blocks of zeros, which a compressor need not be asked for.
fn bomb() -> Vec<u8> {
    // A zstd frame with a window of 2²¹ bytes; in each block one byte, 2¹⁷ times.
    let blocks = sync::MAX_MESSAGE_BYTES / (1 << 17) + 1;
    let block = [0x02, 0x00, 0x10, 0x00];
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58][..], &block.repeat(blocks)].concat()
}

/// What our own says of each class of refusals.
const CLASSES: [(&str, &[&str]); 14] = [
    ("a frame", &["a frame is empty", "the length of a frame", "is damaged", "when decompressed"]),
    ("a message", &["malformed"]),
    ("a record", &["record of"]),
    ("a turn", &["out of turn"]),
    ("a version", &["version 2 of the protocol"]),
    ("another dataset", &["another dataset"]),
    ("a base", &["not known here"]),
    ("an order", &["out of order"]),
    ("a count", &["records of"]),
    ("a root", &["but it announced"]),
    ("a forgery", &["is forged"]),
    ("a parent", &["replaces a version that is not there"]),
    ("a question", &["question"]),
    ("cells", &["cells"]),
];

/// Sessions that must end, and change nothing.
pub(super) fn refused() -> Result<Vec<Value>, String> {
    let base = hexes(&village()?[..3]);
    let own = entry(0, 300, &json!([1, 2, []]), &edited(&[], 9))?;
    let subject = params(DEFAULT, &holds(from_ref(&base), &joined(&[&base, &hexes(&[own])])));
    let before = made(Params(&subject))?.root();
    let mut cases = Vec::new();
    for (rule, class, says) in refusals()? {
        let played = play(&subject, &says)?;
        let error = played.error.ok_or_else(|| format!("taken: {rule}"))?;
        let words = CLASSES.iter().find(|(name, _)| *name == class).ok_or("no class")?.1;
        if !words.iter().any(|words| error.contains(words)) || played.root != json!(hex(before.as_bytes())) {
            return Err(format!("{rule}: {error}"));
        }
        cases.push(json!({
            "method": "sync",
            "params": subject,
            "talk": { "steps": played.steps },
            "refused": format!("sync {rule}"),
        }));
    }
    Ok(cases)
}
