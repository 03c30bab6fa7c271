//! What editors wait for: the OSM API over HTTP, on Andorra, or on made-up data where the extract is not at hand.
//!
//! Prints a table and writes `target/bench/serve.json`. Options, behind `--`:
//!
//! - `--seconds N`: the mixed load takes so long, 20 unless said otherwise; `--seconds 600` for the long run
//! - `--clients N`: so many clients ask at a time under load, 4 unless said otherwise

mod client;
mod load;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{extract, generated};
use osmdb::server::{self, ServerOptions};
use osmdb::{Coord, Db, Geometry};

use self::client::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// So many boxes are asked for, for each row.
const BOXES: usize = 200;

/// Boxes of a village have about so many elements: with half as many, or half as many again, they are not asked for.
const ELEMENTS: usize = 3_000;

/// Half a side of a box, in units of 10⁻⁷ degree.
const HALF_SIDE: i32 = 50_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mut seconds, mut clients) = (20, 4);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--server" => return serve(Path::new(&arguments.next().ok_or("expected a directory")?)),
            "--seconds" => seconds = arguments.next().ok_or("expected a number")?.parse()?,
            "--clients" => clients = arguments.next().ok_or("expected a number")?.parse()?,
            // What cargo adds.
            "--bench" => {}
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path().join("osm.db");
    let (places, villages) = fill(&dir, scratch.path())?;
    let server = Server::start(&dir)?;
    let mut rows = Vec::new();
    for (row, end, places) in [
        ("map of 0.01° in villages, XML", "map?bbox=", &villages),
        ("map of 0.01° in villages, JSON", "map.json?bbox=", &villages),
        ("map of 0.01° anywhere, XML", "map?bbox=", &places),
        ("map of 0.01° anywhere, JSON", "map.json?bbox=", &places),
    ] {
        rows.push(reads(row, &server, places, |place| {
            format!("/api/0.6/{end}{}", around(place, HALF_SIDE))
        })?);
    }
    let zoom = 14;
    let tile = |place: &Coord| {
        let (x, y) = tile_of(*place, zoom);
        format!("/tiles/{zoom}/{x}/{y}.mvt")
    };
    rows.push(reads("a tile of zoom 14, cold", &server, &distinct(&places, tile), Clone::clone)?);
    rows.push(reads("a tile of zoom 14, cached", &server, &places, tile)?);
    let load = load::run(&server, &places, Duration::from_secs(seconds), clients)?;
    rows.extend(load);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/serve.json");
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    Ok(())
}

/// Makes the database, and returns places where something is, and such around which a box has [`ELEMENTS`] or so.
fn fill(dir: &Path, scratch: &Path) -> Result<(Vec<Coord>, Vec<Coord>), Failure> {
    let file = match extract("andorra-2025.osm.pbf") {
        Some(file) => file,
        None => {
            let file = scratch.join("generated.osm.pbf");
            let mut writer = osmdb::io::Writer::create(&file)?;
            for entry in generated(300_000) {
                writer.write(&entry)?;
            }
            writer.finish()?;
            println!("the extract of Andorra is not at hand: made-up data");
            file
        }
    };
    let db = Db::create_or_open(dir)?;
    let imported = db.import(&[&file], |_, _| {})?;
    println!("{} elements", imported.read);
    let mut corners = Vec::new();
    for feature in db.snapshot().query("-180,-90,180,90".parse()?) {
        corners.extend(match feature?.geometry {
            Geometry::Line(line) => line.first().copied(),
            _ => None,
        });
    }
    let spread = |count: usize| corners.iter().step_by((corners.len() / count).max(1)).take(count);
    let (mut villages, mut elements) = (Vec::new(), 0);
    for place in spread(8 * BOXES) {
        let count = db.snapshot().map(around(place, HALF_SIDE).parse()?)?.elements().count();
        if villages.len() < BOXES && (ELEMENTS / 2..=ELEMENTS * 3 / 2).contains(&count) {
            villages.push(*place);
            elements += count;
        }
    }
    println!("{} boxes in villages, of {} elements each", villages.len(), elements / villages.len().max(1));
    Ok((spread(BOXES).copied().collect(), villages))
}

/// Returns the box around a place, so many units of 10⁻⁷ degree to each side, as the API takes it.
fn around(place: &Coord, units: i32) -> String {
    let degrees = |value: i32| f64::from(value) / 1e7;
    let (lat, lon) = (place.lat(), place.lon());
    format!(
        "{},{},{},{}",
        degrees(lon - units),
        degrees(lat - units),
        degrees(lon + units),
        degrees(lat + units)
    )
}

/// Returns the tile of the web's usual tiling that a place is in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tiles have small numbers")]
fn tile_of(place: Coord, zoom: u8) -> (u32, u32) {
    let (lat, lon) = (f64::from(place.lat()) / 1e7, f64::from(place.lon()) / 1e7);
    let side = f64::from(1_u32 << zoom);
    let y = (1.0 - lat.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0;
    (((lon + 180.0) / 360.0 * side) as u32, (y * side) as u32)
}

fn distinct(places: &[Coord], path: impl Fn(&Coord) -> String) -> Vec<String> {
    places.iter().map(path).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Asks for one thing after the other, and prints how long it took.
fn reads<T>(
    row: &str,
    server: &Server,
    asked: &[T],
    path: impl Fn(&T) -> String,
) -> Result<serde_json::Value, Failure> {
    let client = Client::new(&server.url);
    let (mut times, mut bytes) = (Vec::new(), 0);
    for one in asked {
        let start = Instant::now();
        let body = client.get(&path(one))?;
        times.push(start.elapsed());
        bytes += body.len();
    }
    let mean = bytes / asked.len().max(1);
    let (p50, p99) = percentiles(&mut times);
    println!(
        "{row:<32} {:>6} requests  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  {mean:>8} bytes each",
        asked.len()
    );
    Ok(
        serde_json::json!({ "row": row, "p50 ms": p50, "p99 ms": p99, "bytes": mean, "requests": asked.len() }),
    )
}

/// Returns the median and the 99th percentile, in milliseconds.
fn percentiles(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let at = |hundredth: usize| {
        times.get(times.len().saturating_sub(1) * hundredth / 100).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    (at(50), at(99))
}

/// A server in a process of its own, so that its memory can be looked at.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(dir: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--server")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        Ok(Self { child, url: line.trim().to_owned() })
    }

    /// Returns what the server has in memory, in bytes.
    fn memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no memory is known")?;
        Ok(resident.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves a database until the standard input ends.
fn serve(dir: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let db = Arc::new(Db::open(dir)?);
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_line(&mut String::new());
            drop(stop);
        });
        let until = async { drop(stopped.await) };
        Ok(server::serve(db, listener, ServerOptions::default(), until).await?)
    })
}
