//! Applying a batch to one level of a tree.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Child, ItemChange, ItemEdit};
use crate::chunker::{LevelWriter, NewPage, count_error};
use crate::cid::Cid;
use crate::config::{BRANCH_PAIR_BYTES, Config};
use crate::patchwork::PatchCursor;
use crate::store::{PageSink, PageSource};
use crate::walk::Halt;

/// Applies a batch to one level.
pub(super) struct LevelRun<'a, S: ?Sized, W: ?Sized> {
    cursor: PatchCursor<'a, S>,
    writer: LevelWriter,
    sink: &'a W,
    edits: &'a [ItemEdit],
    /// The first edit that is not applied yet.
    next: usize,
    /// How far the boundary rule looks ahead, in bytes from the start of a page.
    reach: usize,
    /// A page holds at least this much, unless it is the last.
    min: usize,
    pub(super) gone: Vec<Child>,
    pub(super) come: Vec<Child>,
    /// Pages rewritten in place that a change behind them may still draw into cutting anew.
    kept: VecDeque<Kept>,
    /// Pages up to this key were cut anew, and are final.
    settled: Option<Bytes>,
    /// All pages of the level were cut anew.
    pub(super) anew: bool,
}

/// A page whose boundaries stayed, and how things stood before it.
struct Kept {
    last: Bytes,
    next: usize,
    gone: usize,
    come: usize,
    page: (Cid, Bytes),
}

/// The end of an old page among the pairs that wait to be cut, and how things stood there.
struct Mark {
    pairs: usize,
    next: usize,
    gone: usize,
    last: Bytes,
}

impl<'a, S: PageSource + ?Sized, W: PageSink + ?Sized> LevelRun<'a, S, W> {
    pub(super) fn new(
        cursor: PatchCursor<'a, S>,
        config: Config,
        level: u8,
        edits: &'a [ItemEdit],
        sink: &'a W,
    ) -> Self {
        let (min, max) = config.window(level);
        // A branch also looks at one child behind the window, so as not to leave a single one.
        let behind = if level == 0 { 0 } else { config.key_max as usize + 9 + BRANCH_PAIR_BYTES };
        Self {
            cursor,
            writer: LevelWriter::new(&config, level),
            sink,
            edits,
            next: 0,
            reach: max + behind,
            min,
            gone: Vec::new(),
            come: Vec::new(),
            kept: VecDeque::new(),
            settled: None,
            anew: false,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Halt> {
        while let Some(edit) = self.edits.get(self.next) {
            self.cursor.seek(&edit.key)?;
            if !self.keep_boundaries()? {
                self.cut_anew()?;
            }
        }
        self.flush(0)
    }

    /// Rewrites the present page, if all that changes is values, at the same size. `false`: more does.
    fn keep_boundaries(&mut self) -> Result<bool, Halt> {
        if !self.cursor.is_whole() {
            return Ok(false);
        }
        let page = self.cursor.page();
        let Some(last) = page.last_key() else { return Ok(false) };
        let edits = &self.edits[self.next..];
        let edits = &edits[..edits.partition_point(|edit| edit.key <= last)];
        let mut changed = Vec::with_capacity(edits.len());
        for edit in edits {
            match (page.search(&edit.key), &edit.change) {
                (Err(_), ItemChange::Remove) => {}
                (Ok(index), ItemChange::Put(new)) if new.encoded.len() == page.item(index).len() => {
                    if new.encoded != page.item(index) || new.count != page.item_count(index) {
                        changed.push((index, &new.encoded[..], new.count));
                    }
                }
                _ => return Ok(false),
            }
        }
        if edits.is_empty() {
            return Ok(false);
        }
        let first = self.next;
        self.next += edits.len();
        if changed.is_empty() {
            return Ok(true);
        }
        let mut count = page.count();
        for (index, _, new) in &changed {
            let rest = count.checked_sub(page.item_count(*index));
            count = rest
                .and_then(|rest| rest.checked_add(*new))
                .ok_or_else(|| count_error(page.cid(), *index))?;
        }
        let bytes = Bytes::from(page.with_items(changed.into_iter()));
        let cid = Cid::of(&bytes);
        let (gone, come) = (self.gone.len(), self.come.len());
        self.gone.push(Child { last: last.clone(), cid: *page.cid(), count: page.count() });
        self.come.push(Child { last: last.clone(), cid, count });
        self.kept.push_back(Kept { last, next: first, gone, come, page: (cid, bytes) });
        self.flush(self.reach / self.min + 1)?;
        Ok(true)
    }

    /// Writes the kept pages but for the latest ones.
    fn flush(&mut self, but: usize) -> Result<(), Halt> {
        while self.kept.len() > but {
            if let Some(Kept { page: (cid, bytes), .. }) = self.kept.pop_front() {
                self.sink.put(cid, bytes)?;
            }
        }
        Ok(())
    }

    /// Cuts all pages of the level anew.
    pub(super) fn run_all(&mut self) -> Result<(), Halt> {
        self.cut(false)?;
        self.anew = true;
        Ok(())
    }

    /// Cuts pages anew from before the present one, until an old boundary is met behind the edits.
    fn cut_anew(&mut self) -> Result<(), Halt> {
        let from_first = self.look_back()?;
        self.take_back();
        self.flush(0)?;
        let to_last = self.cut(true)?;
        self.anew = from_first && to_last;
        Ok(())
    }

    /// Cuts pages anew from the present one on, to the end or until an old boundary is met. Tells whether
    /// all up to the last one were cut.
    fn cut(&mut self, may_go_on: bool) -> Result<bool, Halt> {
        self.writer.clear();
        let mut marks: VecDeque<Mark> = VecDeque::new();
        loop {
            let at_end = self.cursor.is_last()?;
            self.feed(at_end);
            let key = self.cursor.last_key();
            // A page that reaches over a seam is no item of the level above.
            let ends_whole = self.cursor.ends_whole();
            if ends_whole {
                let page = self.cursor.page();
                self.gone.push(Child { last: key.clone(), cid: *page.cid(), count: page.count() });
            }
            let (next, gone) = (self.next, self.gone.len());
            let mark = Mark { pairs: self.writer.len(), next, gone, last: key };
            let looks_ahead = self.cursor.is_patched() && !at_end;
            if looks_ahead {
                self.cursor.next()?;
            }
            // Where a page is torn, nothing can go on as it was.
            if may_go_on && ends_whole && (!looks_ahead || self.cursor.begins_whole()) {
                marks.push_back(mark);
            }
            while let Some(page) = self.writer.next_page(at_end) {
                let count = page.count()?;
                let NewPage { cid, bytes, len, last, .. } = page;
                self.sink.put(cid, bytes)?;
                self.come.push(Child { last, cid, count });
                while marks.front().is_some_and(|mark| mark.pairs < len) {
                    marks.pop_front();
                }
                marks.iter_mut().for_each(|mark| mark.pairs -= len);
                if let Some(mark) = marks.pop_front_if(|mark| mark.pairs == 0 && mark.next == self.next) {
                    self.gone.truncate(mark.gone);
                    self.settled = Some(mark.last);
                    return Ok(at_end && self.writer.len() == 0);
                }
            }
            if at_end {
                return Ok(true);
            }
            if !looks_ahead {
                self.cursor.next()?;
            }
        }
    }

    /// Goes back to the first page whose end the boundary rule may choose otherwise now. Tells whether
    /// that is the first of the level.
    fn look_back(&mut self) -> Result<bool, Halt> {
        let mut behind = 0;
        // The page before has at least `min` bytes: it need not be read to know that it is too far. Torn
        // pages, and the last ones of their trees, may be shorter.
        while self.cursor.is_patched() || behind + self.min <= self.reach {
            if !self.cursor.previous()? {
                return Ok(true);
            }
            behind += self.cursor.payload();
            let settled = self.settled.as_ref().is_some_and(|settled| self.cursor.last_key() <= *settled);
            // Never right behind a torn page: it is within reach of its seam, and settled with it.
            if behind > self.reach || settled {
                self.cursor.next()?;
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Takes back what was done to the pages from the present one on.
    fn take_back(&mut self) {
        let from = self.cursor.last_key();
        while let Some(kept) = self.kept.pop_back_if(|kept| kept.last >= from) {
            self.next = kept.next;
            self.gone.truncate(kept.gone);
            self.come.truncate(kept.come);
        }
    }

    /// Gives the writer the items of the present page, with the edits among them; behind the last
    /// page, all edits that are left.
    fn feed(&mut self, last: bool) {
        let page = self.cursor.page();
        for index in self.cursor.items() {
            let key = page.key(index);
            let mut replaced = false;
            while let Some(edit) = self.edits.get(self.next).filter(|edit| &edit.key[..] <= key) {
                replaced |= edit.key == key && !matches!(edit.change, ItemChange::Seam);
                put(&mut self.writer, edit);
                self.next += 1;
            }
            if !replaced {
                self.writer.push(key, page.item(index), page.item_count(index));
            }
        }
        if last {
            for edit in self.edits.get(self.next..).unwrap_or_default() {
                put(&mut self.writer, edit);
            }
            self.next = self.edits.len();
        }
    }
}

fn put(writer: &mut LevelWriter, edit: &ItemEdit) {
    if let ItemChange::Put(new) = &edit.change {
        writer.push(&edit.key, &new.encoded, new.count);
    }
}
