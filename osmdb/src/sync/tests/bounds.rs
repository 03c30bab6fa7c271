//! Peers who say nothing, without end, or more than anybody holds: each comes to an end, and to its error.
//!
//! The faults of a peer, and the tests of each, in a session and for a reader:
//!
//! | fault | session (`hostile`, `bounds`) | reader of a peer (`liars`) | reader of files (`pack::hostile`) |
//! |---|---|---|---|
//! | wrong pages | `records_of_another_form_are_refused` | `wrong_pages` | `another_page_at_the_place_of_one` |
//! | pages out of order | `records_out_of_order_or_twice_are_refused`, `cells_out_of_order_are_refused` | `pages_out_of_order` | places are hints: none have an order |
//! | missing pages | `what_is_left_out_is_noticed`, `a_wrong_count_is_noticed` | `missing_pages` | `files_that_end_early`, `places_that_cannot_be` |
//! | boundaries that break the rule | `a_root_with_other_boundaries_is_refused` | `a_tree_that_is_none` | as of a peer |
//! | endless answers | `endless_streams_end`, `streams_of_nothing_are_refused`, `lists_have_an_end` | `endless_answers` | `files_without_end` |
//! | compression bombs | `a_bomb_ends_the_session` | `a_bomb` | `bombs` |
//! | absurd counts | `absurd_cells_are_refused`, `absurd_counts_are_refused` | `absurd_counts` | `absurd_counts` |
//! | forged signatures | `forged_signatures_are_refused` | under a root: `roots_that_are_not_signed_as_a_peer_says`; whoever names a root trusts what is below it | under a root: `signatures_that_are_none` |
//! | an older root than was seen | both sides have all | `a_peer_that_says_an_older_root_than_before` | `an_older_root_than_one_that_was_seen_is_noticed` (`tests/all/trust.rs`) |
//! | entries with missing parents | `versions_without_parents_are_refused` | as above | as of a peer |
//! | a root that its entries do not give | `a_hello_of_another_day_leads_nowhere`, `what_is_slipped_in_is_noticed` | `a_root_that_is_not_there` | `a_root_that_is_not_there` |
//! | replayed hello | `a_second_hello_is_refused` | `said_twice` | there is none |
//! | what was never said, held from before | `what_a_liar_left_is_forgotten_when_it_does_not_fit`, `messages_that_were_never_said_are_not_passed_over` (`resumed`) | readers hold pages | as of a peer |
//! | slow drip | `the_slow_and_the_silent_are_given_up` | `the_slow_and_the_silent` | one request has a minute |

use std::sync::Arc;
use std::time::Duration;

use prolly::Cid;

use super::super::message::{self, Done, Message, Phase};
use super::super::wire::Outgoing;
use super::hostile::{Memory, hear, lied_to, same, strangers, two};
use super::{agree, copy, edit, filled, imported, into};
use crate::db::Db;
use crate::sync::{
    CREDIT_BYTES, Inbox, MAX_LISTED_BYTES, MAX_MESSAGE_BYTES, MAX_MESSAGE_TIME, MAX_SILENCE, MAX_WAITS,
    Options, Session, SyncError,
};

/// Replaces the first message of a kind and all behind it by another one, again and again.
fn without_end(databases: &(Memory, Memory), instead_of: u8, said: &(u8, Vec<u8>)) -> Result<(), SyncError> {
    // Enough to be beyond every limit.
    let mut times = if said.1.len() > 1_000 { 10 } else { 1_000 };
    let mut begun = false;
    lied_to(&databases.0, &databases.1, |kind, body| {
        begun |= kind == instead_of;
        if begun { vec![said.clone(); std::mem::take(&mut times)] } else { same(kind, &body) }
    })
}

#[test]
fn streams_of_nothing_are_refused() {
    // Messages of entries without entries.
    let error = without_end(&two(), message::ENTRIES, &(message::ENTRIES, Vec::new()));
    assert!(matches!(error, Err(SyncError::Message { kind: message::ENTRIES })), "{error:?}");
    // Cells that are none.
    let none = message::cells(Phase::Leaves, 100, 0, &[]);
    let error = without_end(&strangers(), message::CELLS, &(message::CELLS, none));
    assert!(matches!(error, Err(SyncError::Turn { kind: message::CELLS })), "{error:?}");
    // Pieces of a list of which always more follows.
    for kind in [message::LEAVES, message::WANT, message::LIST] {
        let error = without_end(&strangers(), message::CELLS, &(kind, vec![1]));
        assert!(matches!(error, Err(SyncError::Message { kind: found }) if found == kind), "{error:?}");
    }
    // Credit that was not used, or none.
    for bytes in [0, 1, CREDIT_BYTES, u64::MAX] {
        let error = without_end(&two(), message::ENTRIES, &(message::CREDIT, message::number(bytes)));
        assert!(matches!(error, Err(SyncError::Turn { kind: message::CREDIT })), "{error:?}");
    }
    // Patience, again and again.
    let error = without_end(&two(), message::ENTRIES, &(message::WAIT, message::number(u64::MAX)));
    assert!(matches!(error, Err(SyncError::Turn { kind: message::WAIT })), "{error:?}");
}

#[test]
fn patience_is_given_but_not_for_ever() {
    let db = filled(3);
    let (mut here, mut out) = (Session::new(&db, Options::default()).unwrap(), Outgoing::new());
    let other = filled(4);
    let hello = Session::new(&other, Options::default()).unwrap().send().unwrap().unwrap();
    here.receive(&hello).unwrap();
    for _ in 0..MAX_WAITS {
        out.push(message::WAIT, &message::number(1_000), false).unwrap();
        here.receive(&out.pop().unwrap()).unwrap();
    }
    here.tick(Duration::from_secs(1_060)).unwrap();
    let error = here.tick(Duration::from_secs(1_061)).unwrap_err();
    assert!(matches!(error, SyncError::Silence { after } if after.as_secs() == 1_061), "{error}");
    out.push(message::WAIT, &message::number(1), false).unwrap();
    let error = here.receive(&out.pop().unwrap()).unwrap_err();
    assert!(matches!(error, SyncError::Turn { kind: message::WAIT }), "{error}");
}

#[test]
fn lists_have_an_end() {
    // They share no leaf: their difference is found with lists.
    let (ours, theirs) = (imported(1, 1..40_001), imported(2, (0..20_000).map(|id| 2 * id + 1)));
    // The other side has fewer leaves: it names them, and does not stop.
    let piece = [vec![1], vec![7; MAX_MESSAGE_BYTES - 4]].concat();
    let error = without_end(&(copy(&ours), copy(&theirs)), message::LEAVES, &(message::LEAVES, piece));
    assert!(matches!(error, Err(SyncError::LongLists { limit: MAX_LISTED_BYTES })), "{error:?}");
    // A list that is cut anywhere, or has a bit too many, is none.
    let error = lied_to(&copy(&theirs), &ours, |kind, body| match kind {
        message::LIST => same(kind, &body[..body.len() - 1]),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Message { kind: message::LIST })), "{error:?}");
    let error = lied_to(&copy(&theirs), &ours, |kind, body| match kind {
        message::WANT => same(kind, &[&body[..], &[0]].concat()),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Message { kind: message::WANT })), "{error:?}");
}

#[test]
fn a_bomb_ends_the_session() {
    // A few kilobytes that become more than any message has.
    let (ours, theirs) = two();
    let mut out = Outgoing::new();
    out.push(message::ENTRIES, &vec![0; MAX_MESSAGE_BYTES + 1], true).unwrap();
    let bomb = out.pop().unwrap();
    assert!(bomb.len() < 100_000);
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    let root = ours.root();
    here.receive(&there.send().unwrap().unwrap()).unwrap();
    let error = here.receive(&bomb).unwrap_err();
    assert!(matches!(error, SyncError::Frame { what } if what.contains("longer than the limit")), "{error}");
    assert_eq!(ours.root(), root);
    drop(here);
    agree(&ours, &theirs);
}

#[test]
fn absurd_counts_are_refused() {
    // More earlier roots than anybody may have.
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::HELLO => same(kind, &[&body[..], &[9; 5 * 33]].concat()),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Message { kind: message::HELLO })), "{error:?}");
    // An entry that says that it is longer than what there is.
    let (ours, theirs) = two();
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::ENTRIES => same(kind, &[0, 1, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Message { kind: message::ENTRIES })), "{error:?}");
    // A peer who gained more than there are numbers for, twice: no sum overflows.
    let (ours, theirs) = two();
    edit(&ours, [100]);
    let inbox = Arc::new(Inbox::in_memory());
    let mut lies = 0;
    let error = hear(&ours, &theirs, into(&inbox), |kind, body| match kind {
        message::DONE => {
            lies += 1;
            let done =
                |root: &[u8]| (kind, Done { root: Cid::of(root), gained: u64::MAX, refused: 0 }.encode());
            vec![done(b"one"), done(b"another")]
        }
        _ => same(kind, &body),
    });
    assert!(error.is_err() && lies > 0, "{error:?} after {lies}");
    ours.verify().unwrap();
}

#[test]
fn cells_out_of_order_are_refused() {
    let (ours, theirs) = strangers();
    let error = lied_to(&ours, &theirs, |kind, body| match Message::decode(kind, body.clone()).unwrap() {
        Message::Cells { phase, members, cells, .. } => {
            same(kind, &message::cells(phase, usize::try_from(members).unwrap(), 7, &cells))
        }
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Turn { kind: message::CELLS })), "{error:?}");
}

#[test]
fn cells_that_are_of_no_use_come_once() {
    // A peer that knows of no common root walks; whoever knows one tells it, and passes the cells over.
    let (ours, theirs) = two();
    let cells = message::cells(Phase::Leaves, 9, 0, &[super::super::sketch::Cell::default(); 9]);
    let error = lied_to(&ours, &theirs, |kind, body| match kind {
        message::DELTA => vec![(message::CELLS, cells.clone()); 2],
        _ => same(kind, &body),
    });
    assert!(matches!(error, Err(SyncError::Turn { kind: message::CELLS })), "{error:?}");
}

#[test]
fn a_root_with_other_boundaries_is_refused() {
    // The same entries in pages that are cut elsewhere: the root is that of no database that follows the rule.
    let (ours, theirs) = two();
    let snapshot = theirs.snapshot();
    let tree = snapshot.root().trees.heads;
    let pairs: Vec<_> = tree.range::<_, &[u8]>(theirs.store(), ..).map(Result::unwrap).collect();
    let mut config = tree.config;
    config.leaf_max = 9_000;
    let other = prolly::Tree::empty(theirs.store(), config).unwrap();
    let edits = pairs.into_iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec())));
    let other = other.edit(theirs.store(), edits).unwrap();
    assert_ne!(other.root, tree.root);
    let mut record = snapshot.root().clone();
    record.trees.heads.root = other.root;
    let announced = Cid::of(&record.encode());
    let error = lied_to(&ours, &theirs, |kind, body| match Message::decode(kind, body.clone()).unwrap() {
        Message::Hello(hello) => same(kind, &message::Hello { root: announced, ..hello }.encode()),
        _ => same(kind, &body),
    });
    assert!(
        matches!(error, Err(SyncError::Root { announced: said, found }) if said == announced && found == theirs.root()),
        "{error:?}"
    );
}

#[test]
fn a_long_stream_that_never_pauses_is_not_slow() {
    // Every piece that comes ends in the middle of a message, for longer than one message may take.
    let (ours, theirs) = (Db::in_memory("osm").unwrap(), filled(20_000));
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, Options::default()).unwrap();
    there.receive(&here.send().unwrap().unwrap()).unwrap();
    let mut all: Vec<u8> = Vec::new();
    while let Some(bytes) = there.send().unwrap() {
        all.extend_from_slice(&bytes);
    }
    let ends: std::collections::BTreeSet<usize> = {
        let mut incoming = super::super::wire::Incoming::new();
        incoming.push(&all);
        let mut ends = std::collections::BTreeSet::new();
        while incoming.pop().unwrap().is_some() {
            ends.insert(usize::try_from(incoming.consumed()).unwrap());
        }
        ends
    };
    assert!(ends.len() > 10);
    let (mut now, mut at) = (Duration::ZERO, 0);
    while at < all.len() {
        let mut to = (at + 5_000).min(all.len());
        while to < all.len() && ends.contains(&to) {
            to += 1;
        }
        now += MAX_SILENCE;
        here.tick(now).unwrap();
        here.receive(&all[at..to]).unwrap();
        at = to;
    }
    assert!(now > 2 * MAX_MESSAGE_TIME);
    while here.send().unwrap().is_some() {}
    assert_eq!(ours.root(), theirs.root());
}

#[test]
fn what_a_liar_sent_is_not_kept() {
    let theirs = filled(20_000);
    let dir = tempfile::tempdir().unwrap();
    let inbox = Arc::new(Inbox::in_dir(dir.path()).unwrap());
    let kept = || std::fs::read_dir(dir.path()).unwrap().count();
    let ours = Db::in_memory("osm").unwrap();
    let before = ours.root();
    // Some messages of entries, then the first again.
    let mut first = None;
    let mut count = 0;
    let error = hear(&ours, &theirs, into(&inbox), |kind, body| {
        if kind == message::ENTRIES {
            count += 1;
            let first = first.get_or_insert_with(|| body.to_vec());
            return same(kind, if count == 4 { first } else { &body });
        }
        same(kind, &body)
    });
    assert!(matches!(error, Err(SyncError::Order { .. })), "{error:?}");
    assert_eq!((ours.root(), kept()), (before, 0));
    // One who leaves in the middle after a lie that nobody could notice yet: what it left is kept, and does not
    // stand in the way of the next.
    let mut count = 0;
    let error = hear(&ours, &theirs, into(&inbox), |kind, body| {
        count += u32::from(kind == message::ENTRIES);
        match (kind, count) {
            // The second message of entries never comes.
            (message::ENTRIES, 2) => Vec::new(),
            (message::ENTRIES, 5..) | (message::END, _) => Vec::new(),
            _ => same(kind, &body),
        }
    });
    assert!(matches!(error, Err(SyncError::Silence { .. })), "{error:?}");
    assert_eq!((ours.root(), kept()), (before, 1));
    hear(&ours, &theirs, into(&inbox), |kind, body| same(kind, &body)).unwrap();
    assert_eq!((ours.root(), kept()), (theirs.root(), 0));
}

#[test]
fn a_part_of_a_root_that_only_begins_like_another_stands_in_nobodys_way() {
    let theirs = filled(20_000);
    let ours = Db::in_memory("osm").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let inbox = Arc::new(Inbox::in_dir(dir.path()).unwrap());
    let before = ours.root();
    // Somebody announces a root that begins like theirs, sends a part of what they would, and goes.
    let mut root = *theirs.root().as_bytes();
    root[31] ^= 1;
    let mut count = 0;
    let error = hear(&ours, &theirs, into(&inbox), |kind, body| {
        count += u32::from(kind == message::ENTRIES);
        match (kind, count) {
            (message::HELLO, _) => match Message::decode(kind, body).unwrap() {
                Message::Hello(hello) => {
                    same(kind, &message::Hello { root: Cid::from_hash(root), ..hello }.encode())
                }
                other => panic!("{other:?}"),
            },
            (message::ENTRIES, 4..) | (message::END, _) => Vec::new(),
            _ => same(kind, &body),
        }
    });
    assert!(matches!(error, Err(SyncError::Silence { .. })), "{error:?}");
    assert_eq!((ours.root(), inbox.held()[0].root), (before, Cid::from_hash(root)));
    hear(&ours, &theirs, into(&inbox), |kind, body| same(kind, &body)).unwrap();
    assert_eq!(ours.root(), theirs.root());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
}
