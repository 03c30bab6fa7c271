//! What follows from a set of entries, as sections 1 and 3 to 7 of `spec/views.md` describe it.

use std::collections::BTreeMap;

use super::cbor::{ARRAY, Reader, UNSIGNED, array, ensure, head, link, signed, text};
use super::entry::{Element, Entry, NODE, Origin, Payload, RELATION, WAY, encode_tags};
use super::{Address, Config, Pairs, address, build};

/// The version of the root record (1).
pub const FORMAT: u64 = 2;
/// The trees, in the order of the root record (1).
pub const TREES: [&str; 6] = ["heads", "history", "spatial", "refs", "changes", "tags"];
/// Tells of each of an element's entries whether others supersede it.
pub type Superseded = fn(&[Entry]) -> Vec<bool>;

/// What follows from a set of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Views {
    /// The pairs of the trees, in their order.
    pub trees: [Pairs; 6],
    /// Entries, live nodes, ways, relations and changesets, elements without a live head, with several heads.
    pub counts: [u64; 7],
}

/// A root record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The name of the dataset.
    pub name: String,
    /// The address of the configuration.
    pub config: Address,
    /// The roots of the trees.
    pub trees: [Address; 6],
    /// As in [`Views`].
    pub counts: [u64; 7],
}

/// Tells of each of an element's entries whether others supersede it (3).
#[must_use]
pub fn superseded(entries: &[Entry]) -> Vec<bool> {
    let linked = |entry: &Entry| {
        let version = entry.version();
        entries
            .iter()
            .any(|other| matches!(&other.origin, Origin::Edited(edit) if edit.links.contains(&version)))
    };
    let is_superseded = |entry: &Entry| {
        let Origin::Imported(origin) = &entry.origin else { return linked(entry) };
        let rank = |entry: &Entry| {
            let Origin::Imported(origin) = &entry.origin else { return None };
            let known = [
                origin.timestamp.is_some(),
                origin.changeset.is_some(),
                origin.uid.is_some(),
                origin.user.is_some(),
            ];
            Some((known.iter().filter(|known| **known).count(), entry.version()))
        };
        linked(entry)
            || entries.iter().any(|other| match &other.origin {
                Origin::Imported(others) if others.version > origin.version => true,
                Origin::Imported(others) => {
                    let same = others.version == origin.version && other.content() == entry.content();
                    same && (rank(other) > rank(entry) || linked(other))
                }
                Origin::Edited(_) => false,
            })
    };
    entries.iter().map(is_superseded).collect()
}

/// Derives all trees from a set of entries by a rule for what is superseded.
#[must_use]
pub fn derive(config: &Config, entries: &[Entry], superseded: Superseded) -> Views {
    let mut elements: BTreeMap<Element, BTreeMap<Address, Entry>> = BTreeMap::new();
    for entry in entries {
        elements.entry(entry.element).or_default().insert(entry.version(), entry.clone());
    }
    let [mut heads, mut history, mut spatial, mut refs, mut changes, mut tags] = TREES.map(|_| Pairs::new());
    let mut counts = [0; 7];
    let mut live: BTreeMap<Element, Vec<Entry>> = BTreeMap::new();
    for (element, versions) in elements {
        let all: Vec<Entry> = versions.into_values().collect();
        let mut shown = Vec::new();
        for (entry, is_superseded) in all.iter().zip(superseded(&all)) {
            let versioned = [key(element), entry.version().to_vec()].concat();
            if is_superseded {
                history.insert(versioned.clone(), entry.body());
            } else {
                shown.push(entry.clone());
            }
            if let Some(changeset) = entry.changeset() {
                changes.insert([changeset.to_be_bytes().to_vec(), versioned].concat(), Vec::new());
            }
        }
        counts[0] += all.len() as u64;
        counts[6] += u64::from(shown.len() > 1);
        let bodies: Vec<_> = shown.iter().map(Entry::body).collect();
        heads.insert(key(element), array(&bodies));
        shown.retain(|head| head.payload.is_some());
        counts[if shown.is_empty() { 5 } else { 1 + usize::from(element.0) }] += 1;
        live.insert(element, shown);
    }
    for (element, heads) in &live {
        for named in heads.iter().filter_map(|head| head.payload.as_ref()).flat_map(Payload::names) {
            refs.insert([key(named), key(*element)].concat(), Vec::new());
        }
    }
    for (element, heads) in &live {
        let naming = |kind| {
            let from = [key(*element), vec![kind]].concat();
            let naming = refs.range(from.clone()..).map(|(pair, _)| pair);
            let naming = naming.take_while(|pair| pair.starts_with(&from));
            naming.map(|pair| number(&pair[from.len()..])).collect::<Vec<_>>()
        };
        let mut features: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for payload in heads.iter().filter_map(|head| head.payload.as_ref()) {
            let place = match payload {
                Payload::Node(_, _, tags) if tags.is_empty() && !naming(WAY).is_empty() => continue,
                Payload::Node(lat, lon, tags) => {
                    let place = place(*element, &[(*lat, *lon)]);
                    features.entry(place.clone()).or_default().push(encode_tags(tags));
                    place
                }
                Payload::Way(nodes, tags) => {
                    let line: Vec<_> =
                        nodes.iter().filter_map(|id| where_shown(live.get(&(NODE, *id))?)).collect();
                    let place = place(*element, &line);
                    let feature = array(&[encode_line(&line), encode_tags(tags)]);
                    features.entry(place.clone()).or_default().push(feature);
                    place
                }
                Payload::Relation(..) => place(*element, &[]),
                Payload::Changeset(..) => continue,
            };
            for (name, value) in payload.tags() {
                tags.insert([term(config, name), term(config, value), place.clone()].concat(), Vec::new());
            }
        }
        let mut before = 0;
        let relations = naming(RELATION).into_iter().map(|id| {
            let step = id - before;
            before = id;
            head(UNSIGNED, step)
        });
        let relations = array(&relations.collect::<Vec<_>>());
        spatial.extend(
            features
                .into_iter()
                .map(|(place, features)| (place, array(&[relations.clone(), array(&features)]))),
        );
    }
    Views { trees: [heads, history, spatial, refs, changes, tags], counts }
}

/// The key of an element (4).
fn key((kind, id): Element) -> Vec<u8> {
    [&[kind][..], &id.to_be_bytes()].concat()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Where a node with these live heads is shown (6).
fn where_shown(heads: &[Entry]) -> Option<(i64, i64)> {
    match heads.iter().max_by_key(|head| (head.timestamp(), head.version()))?.payload {
        Some(Payload::Node(lat, lon, _)) => Some((lat, lon)),
        _ => None,
    }
}

fn encode_line(line: &[(i64, i64)]) -> Vec<u8> {
    let mut before = (0, 0);
    let mut numbers = Vec::new();
    for (lat, lon) in line {
        numbers.extend([signed(lat - before.0), signed(lon - before.1)]);
        before = (*lat, *lon);
    }
    array(&numbers)
}

/// The key of an element at these places (6).
fn place(element: Element, places: &[(i64, i64)]) -> Vec<u8> {
    let bounds = |coords: Vec<i64>| Some((*coords.iter().min()?, *coords.iter().max()?));
    let lats = bounds(places.iter().map(|(lat, _)| *lat).collect());
    let lons = bounds(places.iter().map(|(_, lon)| *lon).collect());
    let (Some((south, north)), Some((west, east))) = (lats, lons) else {
        return [&[255][..], &[0; 10], &key(element)].concat();
    };
    let (width, height) = (east.abs_diff(west), north.abs_diff(south));
    let bits = (0..64).find(|bits| width.max(height) >> bits == 0).unwrap_or(64);
    let class = u8::try_from(bits).unwrap_or(64).saturating_sub(14);
    let side = |side: u64| u8::try_from(side >> (class + 6)).unwrap_or(255);
    let corner = geohash(south, west).to_be_bytes();
    [&[class][..], &corner, &[side(width), side(height)], &key(element)].concat()
}

/// The 64 bits of a geohash (6): longitude and latitude are halved in turn, longitude first.
#[must_use]
pub fn geohash(lat: i64, lon: i64) -> u64 {
    // In 2⁻³² of 10⁻⁷ degree, in which the middles are whole numbers.
    let mut spans =
        [[-1_800_000_000_i128 << 32, 1_800_000_000 << 32], [-900_000_000 << 32, 900_000_000 << 32]];
    let at = [i128::from(lon) << 32, i128::from(lat) << 32];
    let mut hash = 0;
    for bit in 0..64 {
        let axis = bit % 2;
        let middle = (spans[axis][0] + spans[axis][1]) / 2;
        let upper = at[axis] >= middle;
        spans[axis][usize::from(!upper)] = middle;
        hash = hash << 1 | u64::from(upper);
    }
    hash
}

/// The term of a text (7).
#[must_use]
pub fn term(config: &Config, text: &str) -> Vec<u8> {
    let most = (config.key_max.saturating_sub(22) / 2).clamp(18, 255) as usize;
    let escape = |byte: u8| if byte < 2 { vec![1, byte + 1] } else { vec![byte] };
    let mut term: Vec<u8> = text.bytes().flat_map(escape).collect();
    if term.len() > most {
        term.truncate(most - 17);
        term.push(0xff);
        term.extend_from_slice(&address(text.as_bytes())[..16]);
    }
    term.push(0);
    term
}

impl Root {
    /// Builds the trees and returns the root record.
    ///
    /// # Errors
    /// The configuration is not valid, or takes no such pairs; the name is empty or too long.
    pub fn of(name: &str, config: &Config, views: &Views) -> Result<Self, String> {
        ensure((1..=255).contains(&name.len()), "an impossible name")?;
        let mut trees = [[0; 32]; 6];
        for (tree, pairs) in trees.iter_mut().zip(&views.trees) {
            *tree = build(config, pairs)?.0;
        }
        Ok(Self { name: name.to_owned(), config: address(&config.record()), trees, counts: views.counts })
    }

    /// Encodes the record (1).
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        array(&[
            head(UNSIGNED, FORMAT),
            text(&self.name),
            link(&self.config),
            array(&self.trees.map(|tree| link(&tree))),
            array(&self.counts.map(|count| head(UNSIGNED, count))),
        ])
    }

    /// Decodes a record (1).
    ///
    /// # Errors
    /// It is not the one encoding of a root.
    pub fn read(record: &[u8]) -> Result<Self, String> {
        let mut reader = Reader(record);
        ensure(reader.head(ARRAY)? == 5, "another number of items")?;
        ensure(reader.head(UNSIGNED)? == FORMAT, "another format")?;
        let (name, config) = (reader.text()?, reader.link()?);
        ensure((1..=255).contains(&name.len()), "an impossible name")?;
        let trees = reader.array(Reader::link)?;
        let counts = reader.array(|reader| reader.head(UNSIGNED))?;
        let trees = trees.try_into().map_err(|_| "another number of items")?;
        let counts = counts.try_into().map_err(|_| "another number of items")?;
        let root = Self { name, config, trees, counts };
        ensure(root.record() == record, "another encoding than the one there is")?;
        Ok(root)
    }
}
