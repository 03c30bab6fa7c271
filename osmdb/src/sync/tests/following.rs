//! Peers who stay connected.

use prolly::{Cid, MemoryStore};
use proptest::prelude::*;

use super::super::message::{self, Done, Message};
use super::super::wire::Outgoing;
use super::{filled, node};
use crate::db::Db;
use crate::model::ElementId;
use crate::sync::{Options, Session, SyncError};

type Memory = Db<MemoryStore>;

/// Two who stay, and what is on its way between them.
struct Pair<'a> {
    sessions: [Session<'a, MemoryStore>; 2],
    /// What was sent to each, and has not come.
    under_way: [Vec<u8>; 2],
}

impl<'a> Pair<'a> {
    fn new(here: &'a Memory, there: &'a Memory) -> Self {
        let follow = Options { follow: true, ..Options::default() };
        let sessions =
            [Session::new(here, follow).unwrap(), Session::new(there, Options::default()).unwrap()];
        Self { sessions, under_way: [Vec::new(), Vec::new()] }
    }

    /// Lets one side send all that it has to say.
    fn send(&mut self, side: usize) {
        while let Some(bytes) = self.sessions[side].send().unwrap() {
            self.under_way[1 - side].extend_from_slice(&bytes);
        }
    }

    /// Lets some of what is under way arrive.
    fn arrive(&mut self, side: usize, most: usize) {
        let bytes: Vec<u8> = self.under_way[side].drain(..most.min(self.under_way[side].len())).collect();
        self.sessions[side].receive(&bytes).unwrap();
    }

    /// Lets both talk until nothing is left to be said; returns how many bytes crossed.
    fn settle(&mut self) -> usize {
        let mut crossed = 0;
        loop {
            self.send(0);
            self.send(1);
            if self.under_way.iter().all(Vec::is_empty) {
                return crossed;
            }
            crossed += self.under_way.iter().map(Vec::len).sum::<usize>();
            self.arrive(0, usize::MAX);
            self.arrive(1, usize::MAX);
        }
    }
}

#[test]
fn what_is_new_goes_to_the_other_side_once_and_costs_little() {
    let (ours, theirs) = (filled(300), filled(200));
    let mut pair = Pair::new(&ours, &theirs);
    pair.settle();
    assert!(pair.sessions.iter().all(Session::is_following));
    assert_eq!(ours.root(), theirs.root());
    for round in 0..20 {
        let (from, to, side) = if round % 3 == 0 { (&theirs, &ours, 0) } else { (&ours, &theirs, 1) };
        let before = pair.sessions[side].summary();
        from.create(node(1_000 + round)).unwrap();
        assert!(!pair.sessions[1 - side].is_quiet());
        let crossed = pair.settle();
        assert!(crossed < 400, "{crossed} bytes for one node");
        assert_eq!(from.root(), to.root());
        let after = pair.sessions[side].summary();
        assert_eq!((after.gained, after.received), (before.gained + 1, before.received + 1), "no echo");
        assert!(pair.sessions.iter().all(Session::is_quiet));
    }
    assert_eq!(pair.settle(), 0, "and then there is silence");
    // Both at once: neither hears its own edit again.
    let before = [0, 1].map(|side: usize| pair.sessions[side].summary().received);
    ours.create(node(5_000)).unwrap();
    theirs.create(node(5_001)).unwrap();
    pair.settle();
    assert_eq!(ours.root(), theirs.root());
    assert_eq!([0, 1].map(|side: usize| pair.sessions[side].summary().received), before.map(|n| n + 1));
    ours.create(node(5_002)).unwrap();
    pair.settle();
    assert_eq!(ours.root(), theirs.root());
    assert_eq!(pair.sessions[1].summary().received, before[1] + 2);
    assert!(ours.verify().is_ok() && theirs.verify().is_ok());
}

#[test]
fn many_edits_while_one_push_is_under_way_are_one_more() {
    let (ours, theirs) = (filled(10), filled(10));
    let mut pair = Pair::new(&ours, &theirs);
    pair.settle();
    for lat in 0..50 {
        ours.create(node(2_000 + lat)).unwrap();
        pair.send(0);
    }
    let pushes = |bytes: &[u8]| {
        let (mut rest, mut pushes) = (bytes, 0);
        // All of these frames are shorter than 2^14 bytes.
        while let [len, behind @ ..] = rest {
            let (len, behind) = match behind {
                [more, behind @ ..] if *len >= 0x80 => {
                    (usize::from(*more) << 7 | usize::from(len & 0x7f), behind)
                }
                _ => (usize::from(*len), behind),
            };
            pushes += usize::from(behind[0] == message::PUSH);
            rest = &behind[len..];
        }
        pushes
    };
    assert_eq!(pushes(&pair.under_way[1]), 1);
    pair.settle();
    assert_eq!((ours.root(), pair.sessions[1].summary().gained), (theirs.root(), 10 + 50));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_in_whatever_order_both_have_all(
        // What happens: an edit, or that something is sent or arrives; at which side; how much.
        steps in prop::collection::vec((0_u8..4, 0_usize..2, 1_usize..200), 0..150),
    ) {
        let (ours, theirs) = (filled(20), filled(25));
        let databases = [&ours, &theirs];
        let mut pair = Pair::new(&ours, &theirs);
        // Two devices: what they wrote is not the same.
        let mut all = 45;
        for (lat, (what, side, many)) in (100..).zip(steps) {
            match what {
                0 => {
                    databases[side].create(node(lat)).unwrap();
                    all += 1;
                }
                1 => {
                    let element = ElementId::node(u64::try_from(many).unwrap() % 20 + 1);
                    databases[side].put(element, node(lat)).unwrap();
                    all += 1;
                }
                2 => pair.send(side),
                _ => pair.arrive(side, many),
            }
        }
        pair.settle();
        prop_assert_eq!(ours.root(), theirs.root());
        prop_assert_eq!(ours.counts().entries, all);
        prop_assert!(pair.sessions.iter().all(Session::is_quiet));
    }
}

/// Lets somebody say something to a peer that stays; returns how that ends.
#[track_caller]
fn told(say: impl FnOnce(&Memory, &mut Outgoing)) -> SyncError {
    let (ours, theirs) = (filled(10), filled(10));
    let mut pair = Pair::new(&ours, &theirs);
    pair.settle();
    let root = ours.root();
    let mut out = Outgoing::new();
    say(&theirs, &mut out);
    let mut bytes = Vec::new();
    while let Some(frame) = out.pop() {
        bytes.extend_from_slice(&frame);
    }
    let here = &mut pair.sessions[0];
    let error = here.receive(&bytes).and_then(|()| here.send().map(drop)).unwrap_err();
    assert!(error.is_fault_of_peer(), "{error}");
    assert_eq!(ours.root(), root, "the database is as it was");
    error
}

fn push(out: &mut Outgoing, root: &Cid, base: &Cid) {
    out.push(message::PUSH, &message::push(root, base), false).unwrap();
}

#[test]
fn who_stays_and_lies_is_found_out() {
    let another = Cid::of(b"another root");
    let end = |out: &mut Outgoing, count| out.push(message::END, &message::number(count), false).unwrap();
    let error = told(|db, out| push(out, &db.root(), &another));
    assert!(matches!(error, SyncError::Base { base } if base == another), "{error}");
    let error = told(|db, out| {
        push(out, &another, &db.root());
        end(out, 0);
    });
    assert!(matches!(error, SyncError::Root { announced, .. } if announced == another), "{error}");
    let error = told(|db, out| {
        push(out, &another, &db.root());
        push(out, &another, &db.root());
    });
    assert!(matches!(error, SyncError::Turn { kind: message::PUSH }), "{error}");
    let error = told(|db, out| {
        push(out, &another, &db.root());
        end(out, 7);
    });
    assert!(matches!(error, SyncError::Count { expected: 7, found: 0 }), "{error}");
    let error = told(|db, out| {
        out.push(message::DONE, &Done { root: db.root(), gained: 0, refused: 0 }.encode(), false).unwrap();
    });
    assert!(matches!(error, SyncError::Turn { kind: message::DONE }), "{error}");
    let error = told(|db, out| out.push(message::DELTA, &message::delta(&db.root(), None), false).unwrap());
    assert!(matches!(error, SyncError::Turn { kind: message::DELTA }), "{error}");
    let error = told(|_, out| out.push(message::ALIVE, b"!", false).unwrap());
    assert!(matches!(error, SyncError::Message { kind: message::ALIVE }), "{error}");
}

#[test]
fn nobody_pushes_before_all_is_exchanged() {
    let ours = filled(10);
    for kind in [message::PUSH, message::ALIVE] {
        let mut session = Session::new(&ours, Options { follow: true, ..Options::default() }).unwrap();
        let other = filled(11);
        let mut there = Session::new(&other, Options::default()).unwrap();
        let hello = there.send().unwrap().unwrap();
        session.receive(&hello).unwrap();
        let body = if kind == message::PUSH { message::push(&ours.root(), &ours.root()) } else { Vec::new() };
        assert!(Message::decode(kind, body.clone().into()).is_ok());
        let mut out = Outgoing::new();
        out.push(kind, &body, false).unwrap();
        let error = session.receive(&out.pop().unwrap()).unwrap_err();
        assert!(matches!(error, SyncError::Turn { kind: found } if found == kind), "{error}");
    }
}

#[test]
fn the_silent_are_given_up_and_those_who_are_there_are_not() {
    use crate::sync::{KEEP_ALIVE, MAX_SILENCE};
    let (ours, theirs) = (filled(10), filled(10));
    let mut pair = Pair::new(&ours, &theirs);
    pair.settle();
    let mut now = std::time::Duration::ZERO;
    for _ in 0..100 {
        now += KEEP_ALIVE;
        for session in &mut pair.sessions {
            session.tick(now).unwrap();
            session.keep_alive().unwrap();
        }
        assert_eq!(pair.settle(), 4, "two bytes each way");
    }
    let error = pair.sessions[0].tick(now + 2 * MAX_SILENCE).unwrap_err();
    assert!(matches!(error, SyncError::Silence { .. }));
}
