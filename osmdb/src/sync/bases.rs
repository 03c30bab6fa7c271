//! Which roots are known here, which of them are announced, and from which of them a peer counts.

use std::collections::BTreeSet;

use prolly::{Cid, PageStore};

use super::limits::MAX_EARLIER_ROOTS;
use super::message::{Hello, Short, short};
use crate::db::{Db, Snapshot};
use crate::error::Error;
use crate::root::Root;

/// So many roots right after an import or a merge are announced before all others: two villages that began
/// with the same file, or have met, share that root. The others are mostly nobody else's.
const MEETINGS: usize = MAX_EARLIER_ROOTS / 2;

/// The roots below the present one, whose entries it therefore has.
#[derive(Debug)]
pub(crate) struct Bases {
    /// The newest first, the present one and the empty one not among them.
    earlier: Vec<Cid>,
    announced: Vec<Short>,
    pub(crate) now: Root,
    pub(crate) empty: Root,
}

impl Bases {
    pub(crate) fn read<S: PageStore>(db: &Db<S>, now: &Root) -> Result<Self, Error> {
        let empty = db.empty()?;
        let (cid, nothing) = (now.cid(), empty.cid());
        let mut seen = BTreeSet::from([cid, nothing]);
        let (mut earlier, mut meetings) = (Vec::new(), Vec::new());
        for (root, meeting) in db.roots_below(&cid)? {
            // What was merged from a directory, or collected, has no pages here.
            if seen.insert(root) && db.store().contains(&root)? {
                earlier.push(root);
                if meeting {
                    meetings.push(root);
                }
            }
        }
        // The first one may be what all began with.
        let first = meetings.last().copied().into_iter().filter(|_| meetings.len() >= MEETINGS);
        let mut announced: Vec<Short> =
            meetings.iter().take(MEETINGS - 1).copied().chain(first).map(|root| short(&root)).collect();
        // The latest, then ever sparser.
        let (mut place, mut step) = (0, 1);
        while let Some(root) = earlier.get(place).filter(|_| announced.len() < MAX_EARLIER_ROOTS) {
            let root = short(root);
            if !announced.contains(&root) {
                announced.push(root);
            }
            place += step;
            if announced.len() > MAX_EARLIER_ROOTS / 2 {
                step *= 2;
            }
        }
        Ok(Self { earlier, announced, now: now.clone(), empty })
    }

    pub(crate) fn announced(&self) -> &[Short] {
        &self.announced
    }

    /// Returns the root here from which least is to be sent to a peer: the greatest that the peer has too.
    pub(crate) fn shared_with<S: PageStore>(&self, db: &Db<S>, hello: &Hello) -> Result<Option<Root>, Error> {
        let now = self.now.cid();
        if self.now.counts.entries == 0 || hello.root == self.empty.cid() {
            return Ok(Some(self.empty.clone()));
        }
        if hello.earlier.contains(&short(&now)) {
            return Ok(Some(self.now.clone()));
        }
        let mut best: Option<Root> = None;
        for root in &self.earlier {
            if (hello.root == *root || hello.earlier.contains(&short(root)))
                && let Some(root) = self.open(db, root)?
                && best.as_ref().is_none_or(|best| best.counts.entries < root.counts.entries)
            {
                best = Some(root);
            }
        }
        Ok(best)
    }

    /// Returns a root from which a peer counts, if it is one of those below the present one.
    pub(crate) fn get<S: PageStore>(&self, db: &Db<S>, base: &Cid) -> Result<Option<Root>, Error> {
        if *base == self.now.cid() {
            return Ok(Some(self.now.clone()));
        }
        if *base == self.empty.cid() {
            return Ok(Some(self.empty.clone()));
        }
        if self.earlier.contains(base) { self.open(db, base) } else { Ok(None) }
    }

    /// Returns a root by the start of its hash.
    pub(crate) fn by_short(&self, wanted: Short) -> Option<Cid> {
        let known = [self.now.cid(), self.empty.cid()];
        known.into_iter().chain(self.earlier.iter().copied()).find(|root| short(root) == wanted)
    }

    /// Opens a root, if its pages were not collected.
    fn open<S: PageStore>(&self, db: &Db<S>, root: &Cid) -> Result<Option<Root>, Error> {
        if !db.store().contains(root)? {
            return Ok(None);
        }
        Ok(Some(Snapshot::open(db.store(), *root)?.root().clone()))
    }
}
