//! A peer who says the truth for a while, and then anything: the session ends, or takes it in, and the database has
//! all that it had, and is right.
//!
//! The input: which two peers; how many messages are true; how the rest comes, and whether they were cut before; then
//! the rest, which is bytes as they are sent, or messages: a kind, a length of two bytes, a body. With `OSMDB_CORPUS=DIR` what real peers say is written
//! to a directory first, in this form.

#![no_main]
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use osmdb::sync::fuzzing::frames;
use osmdb::sync::{Inbox, Options, Session};
use osmdb::{Coord, Db, ElementId, Payload, Tags};
use prolly::{Cid, MemoryStore};

type Memory = Db<MemoryStore>;

/// No more bytes of entries are taken in than this.
const MOST_BYTES: u64 = 1 << 20;

/// So many pairs of peers are there.
const PAIRS: u8 = 4;

struct Pair {
    ours: Memory,
    theirs: Memory,
    before: Cid,
    entries: u64,
}

fn put(db: &Memory, ids: impl IntoIterator<Item = u64>, lat: i64) {
    let mut batch = db.batch();
    for id in ids {
        let coord = Coord::new(lat + i64::try_from(id).expect("small"), 7).expect("on the globe");
        batch.put(ElementId::node(id), Payload::Node { coord, tags: Tags::from([("name", "somewhere")]) });
    }
    batch.commit().expect("memory takes anything");
}

fn copy(db: &Memory) -> Memory {
    let copy = Db::in_memory("osm").expect("memory");
    copy.merge(&db.snapshot()).expect("the same dataset");
    copy
}

impl Pair {
    fn new(which: u8) -> Self {
        let ours = Db::in_memory("osm").expect("memory");
        put(&ours, 1..60, 0);
        let theirs = match which {
            // A root in common, and edits on both sides.
            0 => {
                let theirs = copy(&ours);
                put(&theirs, 20..40, 10);
                put(&ours, 30..50, 20);
                theirs
            }
            // None in common.
            1 => {
                let theirs = Db::in_memory("osm").expect("memory");
                put(&theirs, 40..90, 5);
                theirs
            }
            // None in common, and so different that lists are exchanged.
            2 => {
                put(&ours, 100..16_000, 1);
                let theirs = Db::in_memory("osm").expect("memory");
                put(&theirs, (1..8_000).map(|id| 3 * id), 2);
                theirs
            }
            // One that has nothing.
            _ => Db::in_memory("osm").expect("memory"),
        };
        let (before, entries) = (ours.root(), ours.counts().entries);
        Self { ours, theirs, before, entries }
    }
}

/// Lets two talk until so many messages came to the first.
fn talk(here: &mut Session<'_, MemoryStore>, there: &mut Session<'_, MemoryStore>, mut left: usize) {
    loop {
        let mut quiet = true;
        while let Ok(Some(bytes)) = here.send() {
            quiet = false;
            if there.receive(&bytes).is_err() {
                return;
            }
        }
        while left > 0 {
            let Ok(Some(bytes)) = there.send() else { break };
            quiet = false;
            left -= 1;
            if here.receive(&bytes).is_err() {
                return;
            }
        }
        if left == 0 || quiet {
            return;
        }
    }
}

fn frame(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let mut len = body.len() + 1;
    while len >= 0x80 {
        out.push(u8::try_from(len & 0x7f).expect("seven bits") | 0x80);
        len >>= 7;
    }
    out.push(u8::try_from(len).expect("seven bits"));
    out.push(kind & 0x7f);
    out.extend_from_slice(body);
}

/// Frames messages.
fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [kind, low, high, behind @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (body, behind) = behind.split_at(len);
        frame(*kind, body, &mut out);
        rest = behind;
    }
    out
}

/// Writes what real peers say.
fn write_corpus(dir: &Path) {
    std::fs::create_dir_all(dir).expect("the directory can be made");
    for which in 0..PAIRS {
        for told in 0..12_u8 {
            let pair = Pair::new(which);
            let mut here = Session::new(&pair.ours, Options::default()).expect("memory");
            let mut there = Session::new(&pair.theirs, Options::default()).expect("memory");
            talk(&mut here, &mut there, usize::from(told));
            // What comes now, as far as it is said without an answer.
            let mut raw = Vec::new();
            while let Ok(Some(bytes)) = there.send() {
                raw.extend_from_slice(&bytes);
            }
            if raw.is_empty() {
                continue;
            }
            let mut structured = vec![which, told, 1];
            for (kind, body) in frames([&raw[..]]).into_iter().filter(|(_, body)| body.len() <= 0xffff) {
                structured.push(kind);
                structured.extend(u16::try_from(body.len()).expect("as filtered").to_le_bytes());
                structured.extend(body);
            }
            let raw = [&[which, told, 0], &raw[..]].concat();
            std::fs::write(dir.join(format!("{which}-{told}-raw")), raw).expect("written");
            std::fs::write(dir.join(format!("{which}-{told}-messages")), structured).expect("written");
        }
    }
}

static PAIR_CACHE: Mutex<[Option<Pair>; PAIRS as usize]> = Mutex::new([None, None, None, None]);

fuzz_target!(
    init: {
        if let Some(dir) = std::env::var_os("OSMDB_CORPUS") {
            write_corpus(Path::new(&dir));
        }
    },
    |data: &[u8]| {
        let [which, told, way, rest @ ..] = data else { return };
        let which = which % PAIRS;
        let mut cache = PAIR_CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = cache.get_mut(usize::from(which)) else { return };
        let pair = slot.get_or_insert_with(|| Pair::new(which));
        let inboxes = [(); 2].map(|()| (way & 2 != 0).then(|| Arc::new(Inbox::in_memory())));
        let begin = || {
            let [own, other] = inboxes.clone();
            let options = Options { most_bytes: MOST_BYTES, inbox: own, ..Options::default() };
            let here = Session::new(&pair.ours, options).expect("memory");
            let options = Options { inbox: other, ..Options::default() };
            (here, Session::new(&pair.theirs, options).expect("memory"))
        };
        if way & 4 != 0 {
            // They have met before, and were cut.
            let (mut here, mut there) = begin();
            talk(&mut here, &mut there, usize::from(*told >> 4));
        }
        let (mut here, mut there) = begin();
        talk(&mut here, &mut there, usize::from(*told % 12));
        let bytes = if way & 1 == 0 { rest.to_vec() } else { framed(rest) };
        let cut = usize::from(way >> 3) * 80 + 1;
        let mut sent = 0;
        let mut failed = false;
        'talk: for piece in bytes.chunks(if cut == 1 { usize::MAX } else { cut }) {
            if here.receive(piece).is_err() {
                failed = true;
                break;
            }
            loop {
                match here.send() {
                    Ok(Some(bytes)) => sent += bytes.len(),
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        break 'talk;
                    }
                }
            }
        }
        if !failed {
            let _ = here.tick(Duration::from_secs(1));
        }
        let summary = here.summary();
        drop((here, there));
        assert!(summary.received <= MOST_BYTES, "an entry has some bytes");
        assert!(sent < 64 << 20, "{sent} bytes in answer to {}", bytes.len());
        if pair.ours.root() != pair.before {
            // It was taken in: nothing is lost, and all is right.
            assert!(pair.ours.counts().entries >= pair.entries);
            pair.ours.verify().expect("a database that is right");
            pair.ours.merge(&Pair::new(which).theirs.snapshot()).expect("the same dataset");
            *slot = None;
        }
    }
);
