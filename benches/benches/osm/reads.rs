//! Opening, boxes, single elements, and small edits.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use osmdb::{BBox, Coord, Db, ElementId, Feature, Geometry, Payload};

use crate::child::start;
#[cfg(feature = "peers")]
use crate::sqlite::Sqlite;
use crate::table::{Unit, nanoseconds, percentile};
use crate::{Failure, Run};

/// The sides of the boxes, in 10⁻⁷ degree.
pub const SIDES: [(&str, i64); 3] = [("0.001°", 10_000), ("0.01°", 100_000), ("0.05°", 500_000)];

/// So many elements are got in one measurement.
pub const GETS: usize = 1_000;

/// So many edits are in a batch.
const BATCH: usize = 100;

pub fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let start = Instant::now();
    let result = black_box(work()?);
    times.push(start.elapsed());
    Ok(result)
}

impl Run {
    pub fn reads(&mut self, reads: bool, edits: bool) -> Result<(), Failure> {
        let dir = self.scratch.path().join("ours");
        start("ours", &self.file, &dir)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            drop(timed(&mut ours, || Ok(Db::open(&dir)?))?);
        }
        let db = Db::open(&dir)?;
        #[cfg(feature = "peers")]
        let mut sqlite = {
            let dir = self.scratch.path().join("sqlite");
            start("sqlite", &self.file, &dir)?;
            for _ in 0..self.rounds {
                let open = || {
                    let sqlite = Sqlite::open(&dir)?;
                    sqlite.count()?;
                    Ok(sqlite)
                };
                drop(timed(&mut theirs, open)?);
            }
            Sqlite::open(&dir)?
        };
        if reads {
            self.table.percentiles("open", &mut ours, &mut theirs);
            self.boxes(
                &db,
                #[cfg(feature = "peers")]
                &sqlite,
            )?;
            self.gets(
                &db,
                #[cfg(feature = "peers")]
                &sqlite,
            )?;
        }
        if edits {
            self.batches(
                &db,
                #[cfg(feature = "peers")]
                &mut sqlite,
            )?;
        }
        Ok(())
    }

    /// Boxes around tagged nodes, which are as crowded as what people look at.
    pub fn some_boxes(&self, db: &Db, side: i64) -> Result<Vec<BBox>, Failure> {
        let globe: BBox = "-180,-90,180,90".parse()?;
        let point = |feature: Feature| match feature.geometry {
            Geometry::Point(coord) => Some(coord),
            _ => None,
        };
        let places: Vec<Coord> = db.snapshot().query(globe).filter_map(|found| point(found.ok()?)).collect();
        let place = |number: usize| places.get((number * 7_919) % places.len().max(1));
        Ok((0..self.boxes).filter_map(|number| around(*place(number)?, side)).collect())
    }

    fn boxes(&mut self, db: &Db, #[cfg(feature = "peers")] sqlite: &Sqlite) -> Result<(), Failure> {
        let snapshot = db.snapshot();
        #[cfg(feature = "peers")]
        sqlite.begin()?;
        for (name, side) in SIDES {
            let boxes = self.some_boxes(db, side)?;
            let (mut ours, mut theirs, mut found) = (Vec::new(), Vec::new(), 0);
            // Once to warm up, once to measure.
            for round in 0..2 {
                (ours, theirs, found) = (Vec::new(), Vec::new(), 0);
                for bbox in &boxes {
                    let query = || Ok(snapshot.query(*bbox).collect::<Result<Vec<_>, _>>()?);
                    found += timed(&mut ours, query)?.len();
                    #[cfg(feature = "peers")]
                    {
                        let rows = timed(&mut theirs, || sqlite.query(*bbox))?;
                        if round == 0 {
                            compare(&query()?, &rows)?;
                        }
                    }
                }
                let _ = round;
            }
            let shown = format!("box of {name}, all features ({})", found / boxes.len().max(1));
            self.table.percentiles(&shown, &mut ours, &mut theirs);
            let (mut ours, mut theirs, mut found) = (Vec::new(), Vec::new(), 0);
            for _ in 0..2 {
                (ours, theirs, found) = (Vec::new(), Vec::new(), 0);
                for bbox in &boxes {
                    let map = || Ok(snapshot.map(*bbox)?.heads().collect::<Result<Vec<_>, _>>()?);
                    found += timed(&mut ours, map)?.len();
                    #[cfg(feature = "peers")]
                    timed(&mut theirs, || sqlite.map(*bbox))?;
                }
            }
            let shown = format!("map call, box of {name} ({})", found / boxes.len().max(1));
            self.table.percentiles(&shown, &mut ours, &mut theirs);
        }
        #[cfg(feature = "peers")]
        sqlite.end()?;
        Ok(())
    }

    /// Elements from all over the extract.
    pub fn some_elements(&self) -> Result<Vec<ElementId>, Failure> {
        let all: Vec<ElementId> = osmdb::io::Reader::open(&self.file)?
            .map(|entry| entry.map(|entry| entry.element))
            .collect::<Result<_, _>>()?;
        Ok((0..GETS).filter_map(|number| all.get(number * 7_919 % all.len()).copied()).collect())
    }

    fn gets(&mut self, db: &Db, #[cfg(feature = "peers")] sqlite: &Sqlite) -> Result<(), Failure> {
        let snapshot = db.snapshot();
        let some = self.some_elements()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..30 {
            let get = || some.iter().try_fold(0, |sum, id| Ok::<_, Failure>(sum + snapshot.get(*id)?.len()));
            if timed(&mut ours, get)? != some.len() {
                return Err("an element is not found".into());
            }
            #[cfg(feature = "peers")]
            {
                sqlite.begin()?;
                let get = || {
                    some.iter().try_fold(0, |sum, id| Ok::<_, Failure>(sum + usize::from(sqlite.get(*id)?)))
                };
                if timed(&mut theirs, get)? != some.len() {
                    return Err("an element is not found in SQLite".into());
                }
                sqlite.end()?;
            }
        }
        let each =
            |times: &mut Vec<Duration>| percentile(times, 50).map(|time| nanoseconds(time) / GETS as f64);
        self.table.add(
            "get by id, warm",
            Unit::Nanoseconds,
            each(&mut ours).unwrap_or_default(),
            each(&mut theirs),
        );
        Ok(())
    }

    /// Moves nodes, a batch at a time: scattered over the extract, and side by side.
    fn batches(&mut self, db: &Db, #[cfg(feature = "peers")] sqlite: &mut Sqlite) -> Result<(), Failure> {
        let nodes: Vec<(ElementId, Payload)> = osmdb::io::Reader::open(&self.file)?
            .filter_map(|entry| entry.ok().and_then(|entry| Some((entry.element, entry.payload?))))
            .filter(|(element, _)| element.kind == osmdb::Kind::Node)
            .collect();
        let mut syncs = Vec::new();
        // Nodes that stand side by side in the file are neighbours on the map, more often than not.
        let rows = [
            ("batch of 100 scattered edits, durable", 7_919, 10),
            ("batch of 100 edits of neighbours, durable", 1, 20),
        ];
        for (row, step, by) in rows {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..self.rounds.max(3) * 4 {
                let mut moved = Vec::new();
                for number in 0..BATCH {
                    let (element, payload) = nodes
                        .get((round * BATCH + number) * step % nodes.len())
                        .ok_or("there are no nodes")?;
                    if let Payload::Node { coord, tags } = payload {
                        let coord = Coord::new(i64::from(coord.lat()) + by, i64::from(coord.lon()) + by)?;
                        moved.push((*element, coord, tags.clone()));
                    }
                }
                let mut batch = db.batch();
                for (element, coord, tags) in &moved {
                    batch.put(*element, Payload::Node { coord: *coord, tags: tags.clone() });
                }
                timed(&mut ours, || Ok(batch.commit()?))?;
                #[cfg(feature = "peers")]
                {
                    let moved: Vec<_> = moved.iter().map(|(element, coord, _)| (*element, *coord)).collect();
                    timed(&mut theirs, || sqlite.move_nodes(&moved))?;
                }
                let mut file = tempfile::NamedTempFile::new_in(self.scratch.path())?;
                file.write_all(&[7; 100_000])?;
                timed(&mut syncs, || Ok(file.as_file().sync_all()?))?;
            }
            self.table.percentiles(row, &mut ours, &mut theirs);
        }
        self.table.percentiles("(a sync of 100 kB)", &mut syncs, &mut []);
        Ok(())
    }
}

/// The same nodes and relations with the same tags and places, and no way that SQLite, which looks at
/// boxes only, has not.
#[cfg(feature = "peers")]
fn compare(ours: &[Feature], theirs: &[crate::sqlite::Found]) -> Result<(), Failure> {
    use std::collections::BTreeMap;
    let theirs: BTreeMap<ElementId, _> = theirs.iter().map(|found| (found.element, found)).collect();
    let is_same = |feature: &Feature| {
        let Some(found) = theirs.get(&feature.element).filter(|found| found.tags == feature.tags) else {
            return false;
        };
        let line: &[Coord] = match &feature.geometry {
            Geometry::Point(coord) => &[*coord],
            Geometry::Line(line) => line,
            Geometry::Members => &[],
        };
        found.line.iter().copied().eq(line.iter().map(|coord| (coord.lat().into(), coord.lon().into())))
    };
    let nodes =
        |ids: &mut dyn Iterator<Item = ElementId>| ids.filter(|id| id.kind == osmdb::Kind::Node).count();
    if let Some(feature) = ours.iter().find(|feature| !is_same(feature)) {
        return Err(format!("SQLite has another {}", feature.element).into());
    }
    if nodes(&mut ours.iter().map(|found| found.element)) != nodes(&mut theirs.keys().copied()) {
        return Err("SQLite finds other nodes".into());
    }
    Ok(())
}

fn around(center: Coord, side: i64) -> Option<BBox> {
    let corner = |sign: i64| {
        let (lat, lon) = (i64::from(center.lat()), i64::from(center.lon()));
        Coord::new(lat + sign * side / 2, lon + sign * side / 2).ok()
    };
    BBox::new(corner(-1)?, corner(1)?).ok()
}
