//! Staying connected: what each side has sent, and from which root it counts what is new.
//!
//! One push of each side is under way at a time; what changes meanwhile goes with the next one.

use prolly::Cid;

use crate::root::Root;

/// How far two sides that follow each other are.
pub(super) struct Following {
    /// The root here that the peer took in last.
    acked: Root,
    /// The root of the peer that came last; its pages are here.
    received: Root,
    /// The root that was here when something of the peer was taken in last, as it was told.
    said: Root,
    /// A root that both had at one time, if it is a later one.
    agreed: Root,
    /// All that is in this root here is there too.
    covered: Cid,
    /// What is on its way to the peer.
    going: Option<Going>,
    /// The root whose entries are coming.
    coming: Option<Cid>,
}

struct Going {
    root: Root,
    /// What will be covered when it is there.
    covers: Cid,
}

impl Following {
    /// Begins where both have the same root.
    pub(super) fn new(root: &Root) -> Self {
        let covered = root.cid();
        let [acked, received, said, agreed] = [(); 4].map(|()| root.clone());
        Self { acked, received, said, agreed, covered, going: None, coming: None }
    }

    /// Tells whether nothing is on its way, and a root here has nothing that the peer has not.
    pub(super) fn is_quiet(&self, now: Cid) -> bool {
        self.going.is_none() && self.coming.is_none() && self.covered == now
    }

    /// Returns the root from which least is to be sent, if another push may go and there is something new.
    pub(super) fn base(&self, now: Cid) -> Option<&Root> {
        let may = self.going.is_none() && self.covered != now;
        let all = [&self.acked, &self.received, &self.agreed];
        all.into_iter().max_by_key(|root| root.counts.entries).filter(|_| may)
    }

    /// Notes that a root is on its way.
    pub(super) fn send(&mut self, root: Root) {
        let covers = root.cid();
        self.going = Some(Going { root, covers });
    }

    /// Returns the root from which the peer counts, if it may, and notes what it sends. `None`: it may not.
    pub(super) fn begin(&mut self, root: Cid, base: Cid) -> Option<Root> {
        if self.coming.is_some() {
            return None;
        }
        let known = [&self.acked, &self.received, &self.said, &self.agreed];
        let base = known.into_iter().find(|known| known.cid() == base)?.clone();
        self.coming = Some(root);
        Some(base)
    }

    /// Returns the root that is coming.
    pub(super) const fn coming(&self) -> Option<Cid> {
        self.coming
    }

    /// Notes that a root of the peer was taken in: the one here before, if nothing else came between, and after.
    pub(super) fn take_in(&mut self, theirs: Root, before: Option<Cid>, after: Root) {
        let now = after.cid();
        let is_covered = |covered: &mut Cid| {
            if before == Some(*covered) {
                *covered = now;
            }
        };
        is_covered(&mut self.covered);
        self.going.iter_mut().for_each(|going| is_covered(&mut going.covers));
        (self.received, self.said, self.coming) = (theirs, after, None);
    }

    /// Notes that the peer took in what was sent, and that it has a root now; `now` is the one here. Tells whether
    /// anything was on its way.
    pub(super) fn arrive(&mut self, theirs: Cid, now: &Root) -> bool {
        let Some(Going { root, covers }) = self.going.take() else { return false };
        (self.agreed, self.acked, self.covered) = (root.clone(), root, covers);
        if theirs == now.cid() {
            self.covered = theirs;
            self.agreed = now.clone();
        } else if theirs == self.said.cid() {
            self.agreed = self.said.clone();
        }
        true
    }
}
