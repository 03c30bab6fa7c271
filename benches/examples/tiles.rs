//! Makes all vector tiles of the files named, or of a database directory, at every zoom, and says how long a tile took:
//! the first time, with the pages in memory, and remembered. So many tiles per zoom at most: 400.

use std::time::{Duration, Instant};

use osmdb::tile::{MAX_ZOOM, TileId, Tiles};
use osmdb::{Db, Geometry};

const MOST: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let dir = tempfile::tempdir()?;
    let db = match files.as_slice() {
        [only] if std::path::Path::new(only).is_dir() => Db::open(only)?,
        files => {
            let db = Db::create_or_open(dir.path().join("db"))?;
            db.import(files, |_, _| {})?;
            db
        }
    };
    let snapshot = db.snapshot();
    let places = snapshot.find(&"node".parse()?).filter_map(|feature| match feature.ok()?.geometry {
        Geometry::Point(coord) => Some(coord),
        _ => None,
    });
    let places: Vec<_> = places.collect();
    println!("zoom  tiles    bytes p50      max   made p50      p99   remembered p50");
    for zoom in 0..=MAX_ZOOM {
        let mut ids: Vec<TileId> =
            places.iter().filter_map(|coord| around(zoom, coord.lat(), coord.lon())).collect();
        ids.sort_unstable();
        ids.dedup();
        let step = ids.len().div_ceil(MOST).max(1);
        let (mut made, mut remembered, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let tiles = Tiles::new();
        for id in ids.iter().step_by(step) {
            let begun = Instant::now();
            let tile = tiles.get(&snapshot, *id)?;
            made.push(begun.elapsed());
            sizes.push(tile.bytes().len());
            let begun = Instant::now();
            tiles.get(&snapshot, *id)?;
            remembered.push(begun.elapsed());
        }
        sizes.sort_unstable();
        println!(
            "{zoom:4} {:6} {:12} {:8} {:>10.2?} {:>8.2?} {:>16.2?}",
            made.len(),
            sizes.get(sizes.len() / 2).unwrap_or(&0),
            sizes.last().unwrap_or(&0),
            of(&mut made, 50),
            of(&mut made, 99),
            of(&mut remembered, 50),
        );
    }
    Ok(())
}

fn of(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

/// Returns the tile with this place in it, in 10⁻⁷ degree.
fn around(zoom: u8, lat: i32, lon: i32) -> Option<TileId> {
    let (lat, lon) = (f64::from(lat) / 1e7, f64::from(lon) / 1e7);
    let side = f64::from(1_u32 << zoom);
    let down = lat.to_radians().tan().asinh() / std::f64::consts::PI;
    let (x, y) = ((lon + 180.0) / 360.0 * side, (1.0 - down) / 2.0 * side);
    let whole = |value: f64| format!("{:.0}", value.floor()).parse().ok();
    TileId::new(zoom, whole(x)?, whole(y)?)
}
