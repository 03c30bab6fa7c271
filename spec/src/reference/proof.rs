//! Proofs as section 12 of `spec/prolly.md` describes them.
//!
//! To make a proof and to verify it is the same: what is stated is found in a set of pages, that of
//! the whole tree or that of the proof, and the pages looked at are those that are needed.

use std::collections::{BTreeMap, BTreeSet};

use super::cbor::{ARRAY, Reader, UNSIGNED, array, byte_string, ensure, head, link};
use super::{Address, Config, FORMAT, Item, MAX_PAGE_BYTES, Page, Pages, Pairs, Source, Value, read_value};

/// Greatest length of a proof (5).
pub const MAX_PROOF_BYTES: usize = 67_108_864;
/// Greatest length of the values out of line that a proof shows, together (5).
pub const MAX_PROVEN_BYTES: u64 = 67_108_864;

/// The least key of a range, and the least key behind it, if it has an end.
pub type Range = (Vec<u8>, Option<Vec<u8>>);

/// What a proof is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The value of a key, or that it is absent.
    Get(Vec<u8>),
    /// All pairs of a range.
    Range(Range),
    /// How many pairs a range has.
    Count(Range),
    /// What changed from the tree of the root to this one.
    Diff(Address),
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The value of the key, or none.
    Value(Option<Vec<u8>>),
    /// The pairs of the range.
    Pairs(Pairs),
    /// How many pairs the range has.
    Count(u64),
    /// By key, the left and the right value, those out of line by length and link.
    Changes(BTreeMap<Vec<u8>, (Option<Value>, Option<Value>)>),
}

/// A proof, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The configuration of the tree.
    pub config: Config,
    /// What it is about.
    pub statement: Statement,
    /// The pages that show it.
    pub pages: Pages,
}

impl Proof {
    /// Makes a proof about a tree, from all its pages; for a diff, from those of both trees.
    ///
    /// # Errors
    /// The statement is refused, a page is missing, or a proof cannot hold so much.
    pub fn make(config: Config, root: &Address, statement: Statement, pages: &Pages) -> Result<Self, String> {
        statement.check()?;
        let needed = if let Statement::Diff(right) = &statement {
            let side = |root| tree_pages(&config, root, pages);
            let mut needed: BTreeSet<_> = side(root)?.symmetric_difference(&side(right)?).copied().collect();
            if root != right {
                needed.extend([*root, *right]);
            }
            needed
        } else {
            prove(&config, root, &statement, pages)?.1
        };
        let pages = needed.iter().filter_map(|needed| Some((*needed, pages.get(needed)?.clone()))).collect();
        let proof = Self { config, statement, pages };
        ensure(proof.encode().len() <= MAX_PROOF_BYTES, "a proof too long")?;
        Ok(proof)
    }

    /// Encodes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pages: Vec<_> = self.pages.values().map(|page| byte_string(page)).collect();
        array(&[head(UNSIGNED, FORMAT), self.config.record(), self.statement.encode(), array(&pages)])
    }

    /// Decodes it. Nothing is verified yet.
    ///
    /// # Errors
    /// It is not the one encoding of a proof, too long, or its statement is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        ensure(bytes.len() <= MAX_PROOF_BYTES, "a proof too long")?;
        let mut reader = Reader(bytes);
        ensure(reader.head(ARRAY)? == 4, "another number of parts")?;
        ensure(reader.head(UNSIGNED)? == FORMAT, "another format")?;
        let limits = reader.array(|reader| Ok(head(UNSIGNED, reader.head(UNSIGNED)?)))?;
        let config = Config::read(&array(&limits))?;
        let statement = Statement::read(&mut reader)?;
        statement.check()?;
        let list = reader.array(Reader::bytes)?;
        let addresses: Vec<_> = list.iter().map(|page| super::address(page)).collect();
        ensure(addresses.windows(2).all(|two| two[0] < two[1]), "pages that do not ascend by address")?;
        ensure(reader.0.is_empty(), "bytes behind the end")?;
        let proof = Self { config, statement, pages: addresses.into_iter().zip(list).collect() };
        ensure(proof.encode() == bytes, "another encoding than the one there is")?;
        Ok(proof)
    }

    /// Verifies it against a root.
    ///
    /// # Errors
    /// A page is missing, refused, or not needed; or it shows too much.
    pub fn verify(&self, root: &Address) -> Result<Shown, String> {
        let (shown, needed) = prove(&self.config, root, &self.statement, &self.pages)?;
        ensure(self.pages.keys().all(|page| needed.contains(page)), "a page that is not needed")?;
        Ok(shown)
    }
}

impl Statement {
    fn check(&self) -> Result<(), String> {
        let (keys, range) = match self {
            Self::Get(key) => (vec![key], None),
            Self::Range(range) | Self::Count(range) => {
                (std::iter::once(&range.0).chain(&range.1).collect(), Some(range))
            }
            Self::Diff(_) => (Vec::new(), None),
        };
        ensure(keys.iter().all(|key| key.len() <= MAX_PAGE_BYTES), "a key longer than any page")?;
        let is_empty = |(from, to): &Range| to.as_ref().is_some_and(|to| to <= from);
        ensure(!range.is_some_and(is_empty), "a range that ends before it begins")
    }

    fn encode(&self) -> Vec<u8> {
        let range = |(from, to): &Range| {
            let to: Vec<_> = to.iter().map(|to| byte_string(to)).collect();
            [byte_string(from), array(&to)]
        };
        let (kind, parts) = match self {
            Self::Get(key) => (0, vec![byte_string(key)]),
            Self::Range(limits) => (1, range(limits).into()),
            Self::Count(limits) => (2, range(limits).into()),
            Self::Diff(right) => (3, vec![link(right)]),
        };
        array(&[&[head(UNSIGNED, kind)], parts.as_slice()].concat())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, String> {
        let items = reader.head(ARRAY)?;
        Ok(match (reader.head(UNSIGNED)?, items) {
            (0, 2) => Self::Get(reader.bytes()?),
            (1, 3) => Self::Range(read_range(reader)?),
            (2, 3) => Self::Count(read_range(reader)?),
            (3, 2) => Self::Diff(reader.link()?),
            _ => return Err("an unknown statement".to_owned()),
        })
    }
}

fn read_range(reader: &mut Reader<'_>) -> Result<Range, String> {
    let from = reader.bytes()?;
    let mut to = reader.array(Reader::bytes)?;
    ensure(to.len() <= 1, "a range with several ends")?;
    Ok((from, to.pop()))
}

/// Finds what is stated in the pages; returns it and the pages that were needed.
fn prove(
    config: &Config,
    root: &Address,
    statement: &Statement,
    pages: &Pages,
) -> Result<(Shown, BTreeSet<Address>), String> {
    let source = Source::new(pages);
    let shown = match statement {
        Statement::Get(key) => Shown::Value(get(config, root, key, &source)?),
        Statement::Range((from, to)) => Shown::Pairs(range(config, root, from, to.as_deref(), &source)?),
        Statement::Count((from, to)) => {
            let (total, before) = rank(config, root, from, &source)?;
            let end = match to {
                Some(to) => rank(config, root, to, &source)?.1,
                None => total,
            };
            Shown::Count(end.checked_sub(before).ok_or("counts that do not add up")?)
        }
        Statement::Diff(right) => return diff(config, root, right, pages),
    };
    Ok((shown, source.used.into_inner()))
}

/// Follows path(key): gives every branch on it and which child is next, and the leaf if it ends in one.
fn path(
    config: &Config,
    root: &Address,
    key: &[u8],
    source: &Source<'_>,
    mut passed: impl FnMut(&Page, usize),
) -> Result<Option<Page>, String> {
    let mut page = source.root(config, root)?;
    let mut bound: Option<Vec<u8>> = None;
    while page.level > 0 {
        let next = page.pairs.iter().take_while(|(last, _)| last.as_slice() < key).count();
        passed(&page, next);
        if next == page.pairs.len() {
            return Ok(None);
        }
        let child = source.child(config, &page, next, bound.as_deref())?;
        bound = page.bound(next, bound.as_deref()).map(<[u8]>::to_vec);
        page = child;
    }
    Ok(Some(page))
}

fn get(config: &Config, root: &Address, key: &[u8], source: &Source<'_>) -> Result<Option<Vec<u8>>, String> {
    let Some(leaf) = path(config, root, key, source, |_, _| {})? else { return Ok(None) };
    match leaf.pairs.iter().find(|(found, _)| found == key) {
        Some((_, Item::Value(value))) => Ok(Some(read_value(value, source)?)),
        _ => Ok(None),
    }
}

/// How many pairs there are, and how many with a lesser key.
fn rank(config: &Config, root: &Address, key: &[u8], source: &Source<'_>) -> Result<(u64, u64), String> {
    let total = source.root(config, root)?.count();
    let mut less = 0;
    let leaf = path(config, root, key, source, |branch, next| {
        less += branch.pairs[..next].iter().map(|(_, item)| item.count()).sum::<u64>();
    })?;
    let keys = leaf.iter().flat_map(|leaf| &leaf.pairs);
    Ok((total, less + keys.filter(|(other, _)| other.as_slice() < key).count() as u64))
}

/// Opens the touched pages, and reads the pairs of the range in them.
fn range(
    config: &Config,
    root: &Address,
    from: &[u8],
    to: Option<&[u8]>,
    source: &Source<'_>,
) -> Result<Pairs, String> {
    let mut found = Vec::new();
    // Touched pages with their lower bounds.
    let mut touched = vec![(source.root(config, root)?, None::<Vec<u8>>)];
    while let Some((page, bound)) = touched.pop() {
        for (n, (last, item)) in page.pairs.iter().enumerate() {
            if last.as_slice() < from {
                continue;
            }
            if let Item::Value(value) = item {
                if to.is_none_or(|to| last.as_slice() < to) {
                    found.push((last.clone(), value.clone()));
                }
                continue;
            }
            let lower = page.bound(n, bound.as_deref());
            let least = lower.map(|lower| [lower, &[0]].concat());
            if to.is_none_or(|to| least.is_none_or(|least| least.as_slice() < to)) {
                touched.push((source.child(config, &page, n, bound.as_deref())?, lower.map(<[u8]>::to_vec)));
            }
        }
    }
    let lengths = found.iter().map(|(_, value)| if let Value::Linked(len, _) = value { *len } else { 0 });
    ensure(lengths.sum::<u64>() <= MAX_PROVEN_BYTES, "values too long together")?;
    found.into_iter().map(|(key, value)| Ok((key, read_value(&value, source)?))).collect()
}

/// All pages of a tree but its value pages.
fn tree_pages(config: &Config, root: &Address, pages: &Pages) -> Result<BTreeSet<Address>, String> {
    let side = Side::walk(config, root, pages)?;
    ensure(side.elsewhere.is_empty(), "a missing page")?;
    Ok(side.here)
}

/// What a set of pages holds of one tree.
#[derive(Default)]
struct Side {
    /// The pages that are there.
    here: BTreeSet<Address>,
    /// The links to pages that are not.
    elsewhere: BTreeSet<Address>,
    /// The pairs of the leaves that are there.
    pairs: BTreeMap<Vec<u8>, Value>,
}

impl Side {
    fn walk(config: &Config, root: &Address, pages: &Pages) -> Result<Self, String> {
        let mut side = Self::default();
        if !pages.contains_key(root) {
            side.elsewhere.insert(*root);
            return Ok(side);
        }
        let source = Source::new(pages);
        let mut todo = vec![(source.root(config, root)?, None::<Vec<u8>>)];
        while let Some((page, bound)) = todo.pop() {
            for (n, (key, item)) in page.pairs.iter().enumerate() {
                match item {
                    Item::Value(value) => drop(side.pairs.insert(key.clone(), value.clone())),
                    Item::Child(to, _) if !pages.contains_key(to) => drop(side.elsewhere.insert(*to)),
                    Item::Child(..) => {
                        let child = source.child(config, &page, n, bound.as_deref())?;
                        todo.push((child, page.bound(n, bound.as_deref()).map(<[u8]>::to_vec)));
                    }
                }
            }
        }
        side.here = source.used.into_inner();
        Ok(side)
    }
}

/// What differs between two trees, of which the pages are there that only one of them has, and the roots
/// if these differ. So a page that is linked and not there is in both, and a page that is there is not,
/// unless it is a root.
fn diff(
    config: &Config,
    left: &Address,
    right: &Address,
    pages: &Pages,
) -> Result<(Shown, BTreeSet<Address>), String> {
    let roots = [*left, *right];
    let (left, right) = (Side::walk(config, left, pages)?, Side::walk(config, right, pages)?);
    ensure(left.elsewhere == right.elsewhere, "a missing page")?;
    let mut both = left.here.intersection(&right.here);
    let only_roots = roots[0] != roots[1] && both.clone().all(|page| roots.contains(page));
    ensure(both.next().is_none() || only_roots, "a page that is not needed")?;
    let keys: BTreeSet<_> = left.pairs.keys().chain(right.pairs.keys()).cloned().collect();
    let sides = keys.into_iter().map(|key| ((left.pairs.get(&key), right.pairs.get(&key)), key));
    let changes = sides.filter(|((left, right), _)| left != right);
    let changes = changes.map(|((left, right), key)| (key, (left.cloned(), right.cloned()))).collect();
    Ok((Shown::Changes(changes), left.here.union(&right.here).copied().collect()))
}
