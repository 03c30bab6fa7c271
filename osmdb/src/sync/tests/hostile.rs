//! Peers who lie: each lie has its error, and the database stays as it was.

use std::time::Duration;

use bytes::Bytes;
use prolly::{Cid, MemoryStore};

use super::super::columns::{EntryReader, EntryWriter};
use super::super::message::{self, Hello, Message};
use super::super::wire::{Incoming, Outgoing};
use super::{agree, copy, edit, filled, node};
use crate::db::{Db, Write};
use crate::entry::{DeviceKey, EditMeta, Entry, Fresh, Origin, Version};
use crate::model::ElementId;
use crate::sync::{MAX_MESSAGE_TIME, MAX_SILENCE, Options, Session, SyncError};

pub(super) type Memory = Db<MemoryStore>;

/// Lets two databases talk, with somebody between them who may change what goes to the left one: each
/// message becomes any number of others. Returns how the left one's session ends. Where nothing more comes,
/// it is given up.
pub(super) fn hear(
    ours: &Memory,
    theirs: &Memory,
    options: Options,
    mut lie: impl FnMut(u8, Bytes) -> Vec<(u8, Vec<u8>)>,
) -> Result<(), SyncError> {
    let mut here = Session::new(ours, options)?;
    let mut there = Session::new(theirs, Options::default())?;
    let (mut heard, mut told) = (Incoming::new(), Outgoing::new());
    loop {
        let mut quiet = true;
        while let Some(bytes) = there.send()? {
            quiet = false;
            heard.push(&bytes);
            while let Some((kind, body)) = heard.pop()? {
                for (kind, body) in lie(kind, body) {
                    told.push(kind, &body, true)?;
                }
            }
        }
        while let Some(bytes) = told.pop() {
            here.receive(&bytes)?;
        }
        while let Some(bytes) = here.send()? {
            quiet = false;
            // Whom the lie is about does not complain.
            let _ = there.receive(&bytes);
        }
        if here.is_finished() {
            return Ok(());
        }
        if quiet {
            here.tick(Duration::ZERO)?;
            here.tick(MAX_SILENCE * 1_000_000)?;
        }
    }
}

/// As [`hear`], where the database must stay as it was, and take in an honest peer afterwards.
pub(super) fn lied_to(
    ours: &Memory,
    theirs: &Memory,
    lie: impl FnMut(u8, Bytes) -> Vec<(u8, Vec<u8>)>,
) -> Result<(), SyncError> {
    let root = ours.root();
    let end = hear(ours, theirs, Options { most_bytes: 1 << 20, ..Options::default() }, lie);
    assert_eq!(ours.root(), root, "the database stays as it was");
    ours.verify().unwrap();
    agree(ours, &copy(theirs));
    end
}

/// The databases: the right one has made 30 edits since they met.
pub(super) fn two() -> (Memory, Memory) {
    let ours = filled(500);
    let theirs = copy(&ours);
    edit(&theirs, 20..50);
    (ours, theirs)
}

pub(super) fn same(kind: u8, body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    vec![(kind, body.to_vec())]
}

/// Changes the entries of a stream.
fn entries(body: &[u8], mut change: impl FnMut(ElementId, &[u8], &mut EntryWriter)) -> Vec<(u8, Vec<u8>)> {
    let (mut reader, mut writer) = (EntryReader::new(body), EntryWriter::default());
    while let Some((element, body)) = reader.next().unwrap() {
        change(element, body, &mut writer);
    }
    vec![(message::ENTRIES, writer.finish().to_vec())]
}

#[test]
fn nobody_between_is_no_lie() {
    let (ours, theirs) = two();
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    while !(here.is_finished() && there.is_finished()) {
        while let Some(bytes) = there.send().unwrap() {
            here.receive(&bytes).unwrap();
        }
        while let Some(bytes) = here.send().unwrap() {
            there.receive(&bytes).unwrap();
        }
    }
    assert_eq!(here.summary().gained, 30);
}

#[test]
fn what_is_left_out_is_noticed() {
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => entries(&body, |element, body, writer| {
            if element.id != 30 {
                writer.push_body(element, body);
            }
        }),
        message::END => vec![(message::END, message::number(29))],
        _ => same(kind, &body),
    });
    assert!(
        matches!(error, Err(SyncError::Root { announced, .. }) if announced == theirs.root()),
        "{error:?}"
    );
}

#[test]
fn a_wrong_count_is_noticed() {
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::END => vec![(message::END, message::number(u64::MAX))],
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Count { expected: u64::MAX, found: 30 })), "{error:?}");
}

#[test]
fn what_is_slipped_in_is_noticed() {
    let (ours, theirs) = two();
    let stranger = Entry {
        element: ElementId::node(600),
        payload: Some(node(5)),
        origin: Origin::Edited(EditMeta::default()),
    };
    let stranger = Fresh::new(&stranger);
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => entries(&body, |element, body, writer| {
            writer.push_body(element, body);
            if element.id == 49 {
                writer.push_body(stranger.element, &stranger.body);
            }
        }),
        message::END => vec![(message::END, message::number(31))],
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Root { .. })), "{error:?}");
}

#[test]
fn records_out_of_order_or_twice_are_refused() {
    for twice in [false, true] {
        let (ours, theirs) = two();
        let error = lied_to(&ours, &theirs, |kind, body| match kind {
            message::ENTRIES => entries(&body, |element, body, writer| {
                writer.push_body(element, body);
                if element.id == 40 {
                    let element = if twice { element } else { ElementId::node(39) };
                    writer.push_body(element, body);
                }
            }),
            _ => same(kind, &body),
        });
        assert!(matches!(error, Err(SyncError::Order { .. })), "{error:?}");
    }
}

#[test]
fn records_of_another_form_are_refused() {
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => entries(&body, |element, body, writer| {
            let body = [body, &[0]].concat();
            writer.push_body(element, &body);
        }),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Entry { element, .. }) if element.id == 20), "{error:?}");
}

#[test]
fn forged_signatures_are_refused() {
    let (ours, theirs) = two();
    let key = DeviceKey::generate().unwrap();
    let mut entry = Entry {
        element: ElementId::node(600),
        payload: Some(node(1)),
        origin: Origin::Edited(EditMeta { timestamp: 5, ..EditMeta::default() }),
    };
    key.sign(&mut entry);
    entry.payload = Some(node(2));
    theirs.smuggle(Fresh::new(&entry));
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    let root = ours.root();
    let error = loop {
        let mut end = Ok(());
        while let Some(bytes) = there.send().unwrap() {
            end = here.receive(&bytes);
            if end.is_err() {
                break;
            }
        }
        if end.is_err() {
            break end;
        }
        while let Some(bytes) = here.send().unwrap() {
            there.receive(&bytes).unwrap();
        }
    };
    let version = entry.version();
    assert!(matches!(error, Err(SyncError::Forged { version: found, .. }) if found == version), "{error:?}");
    assert_eq!(ours.root(), root);
}

#[test]
fn versions_without_parents_are_refused() {
    let (ours, theirs) = two();
    let nowhere: Version = "00".repeat(32).parse().unwrap();
    let entry = Entry {
        element: ElementId::node(600),
        payload: Some(node(1)),
        origin: Origin::Edited(EditMeta { links: vec![nowhere], ..EditMeta::default() }),
    };
    theirs.smuggle(Fresh::new(&entry));
    let (mut here, mut there) = (
        Session::new(&ours, Options::default()).unwrap(),
        Session::new(&theirs, Options::default()).unwrap(),
    );
    let root = ours.root();
    let error = 'talk: loop {
        while let Some(bytes) = there.send().unwrap() {
            here.receive(&bytes).unwrap();
        }
        loop {
            match here.send() {
                Ok(Some(bytes)) => there.receive(&bytes).unwrap(),
                Ok(None) => break,
                Err(error) => break 'talk error,
            }
        }
    };
    assert!(matches!(error, SyncError::Parent { parent, .. } if parent == nowhere), "{error}");
    assert_eq!(ours.root(), root);
}

#[test]
fn a_second_hello_is_refused() {
    let (ours, theirs) = two();
    let mut first = None;
    let error = lied_to(&ours, &theirs, |kind, body| {
        let hello = first.get_or_insert_with(|| body.to_vec()).clone();
        match kind {
            message::ENTRIES => vec![(message::HELLO, hello)],
            _ => same(kind, &body),
        }
    });
    assert!(matches!(error, Err(SyncError::Turn { kind: message::HELLO })), "{error:?}");
}

#[test]
fn a_hello_of_another_day_leads_nowhere() {
    // The announced root is another one than that which the entries make.
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match Message::decode(kind, body.clone()).unwrap() {
        Message::Hello(hello) => same(kind, &Hello { root: Cid::of(b"another day"), ..hello }.encode()),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Root { .. })), "{error:?}");
}

#[test]
fn an_unknown_base_is_refused() {
    let (ours, theirs) = two();
    let base = Cid::of(b"never");
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::DELTA => same(kind, base.as_bytes()),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Base { base: found }) if found == base), "{error:?}");
}

#[test]
fn endless_streams_end() {
    let (ours, theirs) = two();
    let mut id = 1_000;
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES | message::END => {
            let mut all = Vec::new();
            for _ in 0..100 {
                let mut writer = EntryWriter::default();
                for _ in 0..500 {
                    id += 1;
                    let entry = Entry {
                        element: ElementId::node(id),
                        payload: Some(node(1)),
                        origin: Origin::Edited(EditMeta::default()),
                    };
                    writer.push_body(entry.element, &Fresh::new(&entry).body);
                }
                all.push((message::ENTRIES, writer.finish().to_vec()));
            }
            all
        }
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::TooMuch { limit }) if limit == 1 << 20), "{error:?}");
}

/// Databases with no root in common but the empty one.
pub(super) fn strangers() -> (Memory, Memory) {
    let (ours, theirs) = (filled(300), Db::in_memory("osm").unwrap());
    let mut batch = theirs.batch();
    for id in 200..400_u64 {
        batch.push(Write::put(ElementId::node(id), node(i64::try_from(id).unwrap())));
    }
    batch.commit().unwrap();
    (ours, theirs)
}

#[test]
fn only_what_was_found_to_be_lacking_is_taken() {
    let (ours, theirs) = strangers();
    let stranger = Entry {
        element: ElementId::node(1_600),
        payload: Some(node(5)),
        origin: Origin::Edited(EditMeta::default()),
    };
    let stranger = Fresh::new(&stranger);
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => entries(&body, |element, body, writer| {
            writer.push_body(element, body);
            if element.id == 399 {
                writer.push_body(stranger.element, &stranger.body);
            }
        }),
        _ => same(kind, &body),
    });
    assert!(
        matches!(error, Err(SyncError::Unasked { version, .. }) if version == stranger.version),
        "{error:?}"
    );
    let (ours, theirs) = strangers();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => entries(&body, |element, body, writer| {
            if element.id != 399 {
                writer.push_body(element, body);
            }
        }),
        message::END => vec![(kind, message::number(199))],
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Count { expected: 200, found: 199 })), "{error:?}");
}

#[test]
fn absurd_cells_are_refused() {
    let (ours, theirs) = strangers();
    let error = lied_to(&ours, &theirs, |kind, body| match Message::decode(kind, body.clone()).unwrap() {
        Message::Cells { phase, cells, .. } => {
            same(kind, &message::cells(phase, usize::MAX, usize::MAX / 2, &cells))
        }
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Turn { kind: message::CELLS })), "{error:?}");
    let (ours, theirs) = strangers();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        // Cells that never come apart.
        message::CELLS => {
            let mut body = body.to_vec();
            let last = body.len() - 1;
            body[last] ^= 1;
            same(kind, &body)
        }
        _ => same(kind, &body),
    });
    assert!(error.is_err(), "{error:?}");
}

#[test]
fn the_slow_and_the_silent_are_given_up() {
    let (ours, theirs) = two();
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    let hello = there.send().unwrap().unwrap();
    here.receive(&hello[..1]).unwrap();
    let mut now = Duration::ZERO;
    let mut rest = hello[1..].iter();
    // A byte every half a minute is no silence, but it is slow.
    let error = loop {
        now += MAX_SILENCE / 2;
        if let Err(error) = here.tick(now) {
            break error;
        }
        here.receive(&[*rest.next().unwrap()]).unwrap();
    };
    assert!(matches!(error, SyncError::Slow { after } if after > MAX_MESSAGE_TIME), "{error}");
    let mut here = Session::new(&ours, Options::default()).unwrap();
    here.tick(MAX_SILENCE).unwrap();
    let error = here.tick(MAX_SILENCE + Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, SyncError::Silence { .. }), "{error}");
}

#[test]
fn what_replaces_comes_behind_what_is_replaced() {
    let ours = filled(3);
    let theirs = copy(&ours);
    let id = ElementId::node(2);
    let first = theirs.put(id, node(70)).unwrap();
    theirs.put(id, node(80)).unwrap();
    let mut batch = theirs.batch();
    batch.push(Write::put(id, node(90)).replacing([first]));
    batch.commit().unwrap();
    agree(&ours, &theirs);
    assert_eq!(ours.get(id).unwrap().len(), 2);
}
