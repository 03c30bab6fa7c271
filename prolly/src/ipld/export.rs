//! Trees as CAR files.

use std::collections::BTreeSet;
use std::io::Write;

use super::car;
use super::error::CarError;
use super::varint;
use crate::cid::{CID_PREFIX, Cid};
use crate::config::Config;
use crate::error::Error;
use crate::page::{Page, Value};
use crate::step::{Bound, Child, Frontier, Step, open_root};
use crate::store::PageSource;
use crate::tree::Tree;
use crate::value::Part;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many blocks.
    pub blocks: u64,
    /// How many bytes, the header and the heads of blocks included.
    pub bytes: u64,
}

/// What is left to write, the next on top.
#[derive(Debug)]
enum Todo {
    Root(Tree),
    Page(Box<Child>, Config),
    Part(Part),
}

impl Todo {
    const fn cid(&self) -> &Cid {
        match self {
            Self::Root(tree) => &tree.root,
            Self::Page(child, _) => &child.cid,
            Self::Part(part) => &part.cid,
        }
    }
}

/// Writes trees as a CAR file of version 1, in steps: the header with their roots, then the pages of each
/// tree, the root first, depth first in the order of keys, the pages of a long value right after the leaf
/// that links to it. A page that was written is not written again. The same trees in the same order make
/// the same bytes.
///
/// Costs every page once; memory for the addresses of value pages, and with several trees those of all
/// pages: about 50 bytes each.
///
/// ```
/// use prolly::{Config, MemoryStore, Step, Tree, ipld::ExportCar};
/// let store = MemoryStore::new();
/// let old = Tree::build(&store, Config::default(), [("a", "1")])?;
/// let new = old.edit(&store, [("b", Some("2"))])?;
/// let mut car = Vec::new();
/// let Step::Ready(done) = ExportCar::new([old, new])?.step(&store, &mut car)? else { unreachable!() };
/// assert_eq!((done.blocks, done.bytes), (2, car.len() as u64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportCar {
    header: Option<Vec<u8>>,
    left: Vec<Todo>,
    written: BTreeSet<Cid>,
    /// Pages of one tree never repeat, so only those of values are remembered.
    several: bool,
    exported: Exported,
}

impl ExportCar {
    /// Begins to write these trees. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`CarError::Roots`]: there is none, or more than a header holds.
    pub fn new(trees: impl IntoIterator<Item = Tree>) -> Result<Self, CarError> {
        let trees = Vec::from_iter(trees);
        let roots = Vec::from_iter(trees.iter().map(|tree| tree.root));
        let header = Some(car::header(&roots)?);
        let several = roots.len() > 1;
        let left = trees.into_iter().rev().map(Todo::Root).collect();
        Ok(Self { header, left, written: BTreeSet::new(), several, exported: Exported::default() })
    }

    /// Writes on, as far as the pages of the source allow. After an error the file is of no use.
    ///
    /// # Errors
    /// Writing failed, the store failed, or a page is damaged or does not fit its tree.
    pub fn step<S, W>(&mut self, source: &S, out: &mut W) -> Result<Step<Exported>, CarError>
    where
        S: PageSource + ?Sized,
        W: Write + ?Sized,
    {
        if let Some(header) = self.header.take() {
            self.write(out, &header)?;
        }
        while let Some(todo) = self.left.pop() {
            if self.written.contains(todo.cid()) {
                continue;
            }
            if !self.write_one(source, out, &todo)? {
                self.left.push(todo);
                return self.missing(source);
            }
        }
        out.flush().map_err(|source| CarError::Io { offset: self.exported.bytes, source })?;
        Ok(Step::Ready(self.exported))
    }

    /// Writes one page and notes what comes below it. `false`: it is missing.
    fn write_one<S, W>(&mut self, source: &S, out: &mut W, todo: &Todo) -> Result<bool, CarError>
    where
        S: PageSource + ?Sized,
        W: Write + ?Sized,
    {
        let (page, config, after) = match todo {
            Todo::Root(tree) => (open_root(source, &tree.config, &tree.root)?, tree.config, None),
            Todo::Page(child, config) => (child.open(source, config)?, *config, child.bound()),
            Todo::Part(part) => return self.write_part(source, out, *part),
        };
        let Some(page) = page else { return Ok(false) };
        self.block(out, page.cid(), page.bytes())?;
        if self.several {
            self.written.insert(*page.cid());
        }
        self.push_below(&page, config, after.as_ref());
        Ok(true)
    }

    fn push_below(&mut self, page: &Page, config: Config, after: Option<&Bound>) {
        let children = Child::all(page, after).rev();
        self.left.extend(children.map(|child| Todo::Page(Box::new(child), config)));
        for index in (0..page.len()).rev() {
            if let Some(Value::Linked(len, cid)) = page.value(index) {
                self.left.push(Todo::Part(Part::top(cid, len)));
            }
        }
    }

    fn write_part<S, W>(&mut self, source: &S, out: &mut W, part: Part) -> Result<bool, CarError>
    where
        S: PageSource + ?Sized,
        W: Write + ?Sized,
    {
        let Some(bytes) = source.load(&part.cid)? else { return Ok(false) };
        let damaged = Error::page(&part.cid);
        let below = match part.below() {
            Some(below) => part.open(below, &bytes).map_err(damaged)?,
            None => part.bytes(&bytes).map(|_| Vec::new()).map_err(damaged)?,
        };
        self.block(out, &part.cid, &bytes)?;
        self.written.insert(part.cid);
        self.left.extend(below.into_iter().rev().map(Todo::Part));
        Ok(true)
    }

    fn block<W: Write + ?Sized>(&mut self, out: &mut W, cid: &Cid, bytes: &[u8]) -> Result<(), CarError> {
        let cid = [&CID_PREFIX[..], cid.as_bytes()].concat();
        let mut head = Vec::with_capacity(varint::MAX_VARINT_BYTES + cid.len());
        varint::put(&mut head, (cid.len() + bytes.len()) as u64);
        head.extend(cid);
        self.write(out, &head)?;
        self.write(out, bytes)?;
        self.exported.blocks += 1;
        Ok(())
    }

    fn write<W: Write + ?Sized>(&mut self, out: &mut W, bytes: &[u8]) -> Result<(), CarError> {
        out.write_all(bytes).map_err(|source| CarError::Io { offset: self.exported.bytes, source })?;
        self.exported.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Reports all pages of which it is known that they are wanted and not here, in their order.
    fn missing<S: PageSource + ?Sized>(&self, source: &S) -> Result<Step<Exported>, CarError> {
        let mut frontier = Frontier::default();
        for todo in self.left.iter().rev() {
            if frontier.is_full() {
                break;
            }
            if !self.written.contains(todo.cid()) && !source.contains(todo.cid())? {
                frontier.add(*todo.cid());
            }
        }
        Ok(frontier.into_step())
    }
}

impl Tree {
    /// Writes the tree as a CAR file: see [`ExportCar`]. A writer that asks the system for every call wants
    /// a [`BufWriter`](std::io::BufWriter) around it.
    ///
    /// # Errors
    /// A page is missing or damaged, the store failed, or writing failed.
    pub fn export_car<S, W>(&self, source: &S, mut out: W) -> Result<Exported, CarError>
    where
        S: PageSource + ?Sized,
        W: Write,
    {
        Ok(ExportCar::new([*self])?.step(source, &mut out)?.complete()?)
    }
}
