//! Real extracts: importing them, and asking for boxes. Skipped where there are none.

use benches::extract;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use osmdb::{BBox, Coord, Db};

/// The sides of the boxes, in 10⁻⁷ degree.
const SIDES: [(&str, i64); 3] = [("0.001°", 10_000), ("0.01°", 100_000), ("0.05°", 500_000)];

fn import(c: &mut Criterion) {
    for name in ["monaco-2023", "andorra-2025"] {
        let Some(path) = extract(&format!("{name}.osm.pbf")) else {
            println!("{name}: no such extract at hand, skipped");
            continue;
        };
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = Db::create_or_open(dir.path().join("db")).expect("an empty database");
        let imported = db.import(&[&path], |_, _| {}).expect("a sound extract");

        let mut group = c.benchmark_group("import");
        group.sample_size(10).throughput(Throughput::Elements(imported.read));
        group.bench_function(BenchmarkId::new("fjall", name), |b| {
            b.iter_batched(
                || tempfile::tempdir().expect("a temporary directory"),
                |dir| {
                    let db = Db::create_or_open(dir.path().join("db")).expect("an empty database");
                    db.import(&[&path], |_, _| {}).expect("a sound extract");
                    dir
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();

        let snapshot = db.snapshot();
        let nodes: Vec<Coord> = everything(&db);
        let mut group = c.benchmark_group("query");
        let mut next = 0;
        for (label, side) in SIDES {
            group.bench_function(BenchmarkId::new(label, name), |b| {
                b.iter(|| {
                    next = (next + 7_919) % nodes.len();
                    snapshot.query(around(nodes[next], side)).count()
                });
            });
        }
        group.bench_function(BenchmarkId::new("get", name), |b| {
            let ids: Vec<_> = snapshot.query(globe()).filter_map(|f| f.ok()).map(|f| f.element).collect();
            b.iter(|| {
                next = (next + 7_919) % ids.len();
                snapshot.get(ids[next]).expect("it is there").len()
            });
        });
        group.finish();
    }
}

fn globe() -> BBox {
    "-180,-90,180,90".parse().expect("the globe is a box")
}

/// Where tagged nodes are: boxes around them are as crowded as what people look at.
fn everything(db: &Db) -> Vec<Coord> {
    let features = db.snapshot();
    let found = features.query(globe()).filter_map(|feature| match feature.ok()?.geometry {
        osmdb::Geometry::Point(coord) => Some(coord),
        _ => None,
    });
    found.collect()
}

fn around(center: Coord, side: i64) -> BBox {
    let corner = |sign: i64| {
        let (lat, lon) = (i64::from(center.lat()), i64::from(center.lon()));
        Coord::new(lat + sign * side / 2, lon + sign * side / 2).expect("extracts are far from the poles")
    };
    BBox::new(corner(-1), corner(1)).expect("south is below north")
}

criterion_group!(benches, import);
criterion_main!(benches);
