//! The same data in SQLite: tables by id, reverse references, and R*Trees of nodes and of ways.
//!
//! No hashes and no history: what plain storage costs. One transaction for an import, in write-ahead
//! mode with full syncs; all reads of a row in one transaction, or each would take a lock of its own.

use std::collections::BTreeSet;
use std::path::Path;

use osmdb::io::Reader;
use osmdb::{BBox, Coord, ElementId, Kind, Payload, Tags};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Failure;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY, lat INT, lon INT, version INT, time INT, tags BLOB);
    CREATE TABLE IF NOT EXISTS way (id INTEGER PRIMARY KEY, version INT, time INT, refs BLOB, tags BLOB);
    CREATE TABLE IF NOT EXISTS relation (id INTEGER PRIMARY KEY, version INT, time INT, members BLOB, tags BLOB);
    CREATE TABLE IF NOT EXISTS way_node (node INT, way INT, PRIMARY KEY (node, way)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS member (kind INT, id INT, relation INT, PRIMARY KEY (kind, id, relation)) WITHOUT ROWID;
    CREATE VIRTUAL TABLE IF NOT EXISTS node_box USING rtree_i32(id, west, east, south, north);
    CREATE VIRTUAL TABLE IF NOT EXISTS way_box USING rtree_i32(id, west, east, south, north);
";

pub struct Sqlite(Connection);

/// An element as a query finds it, as much as ours gives.
pub struct Found {
    pub element: ElementId,
    pub line: Vec<(i64, i64)>,
    pub tags: Tags,
}

fn pack(tags: &Tags) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in tags.iter() {
        for text in [key, value] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
    }
    out
}

fn unpack(bytes: &[u8]) -> Tags {
    let mut texts = bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut tags = Tags::new();
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        tags.push(key, value);
    }
    tags
}

fn ids(bytes: &[u8]) -> impl Iterator<Item = i64> + '_ {
    bytes.chunks_exact(8).filter_map(|id| Some(i64::from_le_bytes(id.try_into().ok()?)))
}

impl Sqlite {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(dir.join("sqlite.db"))?;
        connection.execute_batch(SCHEMA)?;
        // As much memory for pages as ours has.
        connection.execute_batch("PRAGMA cache_size = -98304;")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self(connection))
    }

    /// Imports a file in one transaction: each table and index as its rows come.
    pub fn import(&mut self, file: &Path) -> Result<u64, Failure> {
        let transaction = self.0.transaction()?;
        let mut count = 0;
        {
            let prepare = |sql| transaction.prepare(sql);
            let mut node = prepare("INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?)")?;
            let mut way = prepare("INSERT OR REPLACE INTO way VALUES (?, ?, ?, ?, ?)")?;
            let mut relation = prepare("INSERT OR REPLACE INTO relation VALUES (?, ?, ?, ?, ?)")?;
            let mut way_node = prepare("INSERT OR IGNORE INTO way_node VALUES (?, ?)")?;
            let mut member = prepare("INSERT OR IGNORE INTO member VALUES (?, ?, ?)")?;
            let mut node_box = prepare("INSERT OR REPLACE INTO node_box VALUES (?1, ?2, ?2, ?3, ?3)")?;
            let mut way_box = prepare("INSERT OR REPLACE INTO way_box VALUES (?, ?, ?, ?, ?)")?;
            let mut place = prepare("SELECT lon, lat FROM node WHERE id = ?")?;
            for entry in Reader::open(file)? {
                let entry = entry?;
                count += 1;
                let id = entry.element.id.cast_signed();
                let osmdb::Origin::Imported(meta) = &entry.origin else { continue };
                let (version, time) = (meta.version.map(u64::cast_signed), meta.timestamp);
                match &entry.payload {
                    Some(Payload::Node { coord, tags }) => {
                        node.execute(params![id, coord.lat(), coord.lon(), version, time, pack(tags)])?;
                        node_box.execute(params![id, coord.lon(), coord.lat()])?;
                    }
                    Some(Payload::Way { refs, tags }) => {
                        let bytes: Vec<u8> = refs.iter().flat_map(|id| id.to_le_bytes()).collect();
                        way.execute(params![id, version, time, bytes, pack(tags)])?;
                        let mut around: Option<[i64; 4]> = None;
                        for node in refs.iter().map(|id| id.cast_signed()) {
                            way_node.execute(params![node, id])?;
                            let at: Option<(i64, i64)> =
                                place.query_row([node], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                            let Some((lon, lat)) = at else { continue };
                            let [west, east, south, north] = around.unwrap_or([lon, lon, lat, lat]);
                            around = Some([west.min(lon), east.max(lon), south.min(lat), north.max(lat)]);
                        }
                        if let Some([west, east, south, north]) = around {
                            way_box.execute(params![id, west, east, south, north])?;
                        }
                    }
                    Some(Payload::Relation { members, tags }) => {
                        let mut bytes = Vec::new();
                        for each in members {
                            let kind = each.element.kind.code();
                            bytes.push(kind);
                            bytes.extend_from_slice(&each.element.id.to_le_bytes());
                            bytes.extend_from_slice(each.role.as_bytes());
                            bytes.push(0);
                            member.execute(params![kind, each.element.id.cast_signed(), id])?;
                        }
                        relation.execute(params![id, version, time, bytes, pack(tags)])?;
                    }
                    _ => {}
                }
            }
        }
        transaction.commit()?;
        self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
        Ok(count)
    }

    /// Holds one read transaction over all that follows.
    pub fn begin(&self) -> Result<(), Failure> {
        Ok(self.0.execute_batch("BEGIN; SELECT count(*) FROM relation;")?)
    }

    pub fn end(&self) -> Result<(), Failure> {
        Ok(self.0.execute_batch("COMMIT;")?)
    }

    pub fn count(&self) -> Result<i64, Failure> {
        Ok(self
            .0
            .query_row("SELECT count(*) FROM (SELECT id FROM relation LIMIT 1)", [], |row| row.get(0))?)
    }

    pub fn get(&self, element: ElementId) -> Result<bool, Failure> {
        let sql = match element.kind {
            Kind::Node => "SELECT tags, lat, lon, version, time FROM node WHERE id = ?",
            Kind::Way => "SELECT tags, refs, version, time FROM way WHERE id = ?",
            _ => "SELECT tags, members, version, time FROM relation WHERE id = ?",
        };
        let mut statement = self.0.prepare_cached(sql)?;
        let tags = statement
            .query_row([element.id.cast_signed()], |row| {
                if element.kind == Kind::Node {
                    std::hint::black_box((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
                } else {
                    std::hint::black_box(row.get_ref(1)?.as_blob()?.to_vec());
                }
                Ok(unpack(row.get_ref(0)?.as_blob()?))
            })
            .optional()?;
        Ok(tags.is_some())
    }

    /// All features that touch a box, as ours finds them: nodes that have tags or are in no way, ways
    /// by their boxes, relations of both.
    pub fn query(&self, bbox: BBox) -> Result<Vec<Found>, Failure> {
        let (low, high) = (bbox.south_west(), bbox.north_east());
        let sides = params![low.lon(), high.lon(), low.lat(), high.lat()];
        let mut found = Vec::new();
        let mut nodes = self.0.prepare_cached(
            "SELECT node.id, lat, lon, tags FROM node_box JOIN node ON node.id = node_box.id
             WHERE west >= ?1 AND west <= ?2 AND south >= ?3 AND south <= ?4
             AND (length(tags) > 0 OR NOT EXISTS (SELECT 1 FROM way_node WHERE way_node.node = node_box.id))",
        )?;
        let mut rows = nodes.query(sides)?;
        while let Some(row) = rows.next()? {
            found.push(Found {
                element: ElementId::node(row.get::<_, i64>(0)?.cast_unsigned()),
                line: vec![(row.get(1)?, row.get(2)?)],
                tags: unpack(row.get_ref(3)?.as_blob()?),
            });
        }
        let mut ways = self.0.prepare_cached(
            "SELECT way.id, refs, tags FROM way_box JOIN way ON way.id = way_box.id
             WHERE west <= ?2 AND east >= ?1 AND south <= ?4 AND north >= ?3",
        )?;
        let mut place = self.0.prepare_cached("SELECT lat, lon FROM node WHERE id = ?")?;
        let mut rows = ways.query(sides)?;
        while let Some(row) = rows.next()? {
            let mut line = Vec::new();
            for node in ids(row.get_ref(1)?.as_blob()?) {
                line.extend(place.query_row([node], |row| Ok((row.get(0)?, row.get(1)?))).optional()?);
            }
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            found.push(Found { element: ElementId::way(id), line, tags: unpack(row.get_ref(2)?.as_blob()?) });
        }
        let relations = self.relations_of(found.iter().map(|found| found.element))?;
        self.add_relations(&relations, &mut found)?;
        Ok(found)
    }

    /// The map call of the OSM API: nodes in the box, their ways, all nodes of these, and the relations
    /// that name any of them.
    pub fn map(&self, bbox: BBox) -> Result<Vec<Found>, Failure> {
        let (low, high) = (bbox.south_west(), bbox.north_east());
        let mut inside = self.0.prepare_cached(
            "SELECT id FROM node_box WHERE west >= ?1 AND west <= ?2 AND south >= ?3 AND south <= ?4",
        )?;
        let mut ways_of = self.0.prepare_cached("SELECT way FROM way_node WHERE node = ?")?;
        let mut way = self.0.prepare_cached("SELECT refs, tags FROM way WHERE id = ?")?;
        let mut node = self.0.prepare_cached("SELECT lat, lon, tags FROM node WHERE id = ?")?;
        let (mut nodes, mut ways) = (BTreeSet::<i64>::new(), BTreeSet::<i64>::new());
        let mut rows = inside.query(params![low.lon(), high.lon(), low.lat(), high.lat()])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            nodes.insert(id);
            for way in ways_of.query_map([id], |row| row.get(0))? {
                ways.insert(way?);
            }
        }
        let mut found = Vec::new();
        for id in ways {
            way.query_row([id], |row| {
                nodes.extend(ids(row.get_ref(0)?.as_blob()?));
                let tags = unpack(row.get_ref(1)?.as_blob()?);
                found.push(Found { element: ElementId::way(id.cast_unsigned()), line: Vec::new(), tags });
                Ok(())
            })?;
        }
        for id in nodes {
            let row = node.query_row([id], |row| {
                let tags = unpack(row.get_ref(2)?.as_blob()?);
                let line = vec![(row.get(0)?, row.get(1)?)];
                Ok(Found { element: ElementId::node(id.cast_unsigned()), line, tags })
            });
            found.extend(row.optional()?);
        }
        let relations = self.relations_of(found.iter().map(|found| found.element))?;
        self.add_relations(&relations, &mut found)?;
        Ok(found)
    }

    fn relations_of(&self, elements: impl Iterator<Item = ElementId>) -> Result<BTreeSet<i64>, Failure> {
        let mut naming = self.0.prepare_cached("SELECT relation FROM member WHERE kind = ? AND id = ?")?;
        let mut relations = BTreeSet::new();
        for element in elements {
            let mut rows = naming.query(params![element.kind.code(), element.id.cast_signed()])?;
            while let Some(row) = rows.next()? {
                relations.insert(row.get(0)?);
            }
        }
        Ok(relations)
    }

    fn add_relations(&self, relations: &BTreeSet<i64>, found: &mut Vec<Found>) -> Result<(), Failure> {
        let mut relation = self.0.prepare_cached("SELECT members, tags FROM relation WHERE id = ?")?;
        for id in relations {
            let tags = relation
                .query_row([id], |row| {
                    std::hint::black_box(row.get_ref(0)?.as_blob()?.to_vec());
                    Ok(unpack(row.get_ref(1)?.as_blob()?))
                })
                .optional()?;
            let element = ElementId::relation(id.cast_unsigned());
            found.extend(tags.map(|tags| Found { element, line: Vec::new(), tags }));
        }
        Ok(())
    }

    /// Moves nodes, in one durable transaction.
    pub fn move_nodes(&mut self, nodes: &[(ElementId, Coord)]) -> Result<(), Failure> {
        let transaction = self.0.transaction()?;
        {
            let mut node = transaction
                .prepare_cached("UPDATE node SET lat = ?2, lon = ?3, version = version + 1 WHERE id = ?1")?;
            let mut node_box = transaction.prepare_cached(
                "UPDATE node_box SET west = ?3, east = ?3, south = ?2, north = ?2 WHERE id = ?1",
            )?;
            let mut ways = transaction.prepare_cached("SELECT way FROM way_node WHERE node = ?")?;
            let mut line = transaction.prepare_cached(
                "SELECT min(lon), max(lon), min(lat), max(lat) FROM way_node JOIN node ON node.id = node
                 WHERE way_node.node IN (SELECT value FROM json_each(?1)) AND way = ?2",
            )?;
            let mut refs = transaction.prepare_cached("SELECT refs FROM way WHERE id = ?")?;
            let mut way_box = transaction.prepare_cached(
                "UPDATE way_box SET west = ?2, east = ?3, south = ?4, north = ?5 WHERE id = ?1",
            )?;
            for (element, coord) in nodes {
                let id = element.id.cast_signed();
                node.execute(params![id, coord.lat(), coord.lon()])?;
                node_box.execute(params![id, coord.lat(), coord.lon()])?;
                let used: Vec<i64> = ways.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
                for way in used {
                    let refs: Vec<u8> = refs.query_row([way], |row| row.get(0))?;
                    let list: Vec<String> = ids(&refs).map(|id| id.to_string()).collect();
                    let list = format!("[{}]", list.join(","));
                    let sides: [Option<i64>; 4] = line.query_row(params![list, way], |row| {
                        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
                    })?;
                    if let [Some(west), Some(east), Some(south), Some(north)] = sides {
                        way_box.execute(params![way, west, east, south, north])?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }
}
