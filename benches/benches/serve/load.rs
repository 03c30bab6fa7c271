//! Many editors at once: nine of ten requests ask for a map, one edits.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use osmdb::Coord;

use crate::client::Client;
use crate::{Failure, Server, around, percentiles};

/// What the clients did.
#[derive(Default)]
struct Done {
    maps: Vec<Duration>,
    edits: Vec<Duration>,
}

/// Lets clients work for so long, and prints how it went. Fails at the first error that one of them gets.
pub fn run(
    server: &Server,
    places: &[Coord],
    time: Duration,
    clients: usize,
) -> Result<Vec<serde_json::Value>, Failure> {
    let start = Instant::now();
    let (done, memory) = thread::scope(|scope| -> Result<(Done, Vec<u64>), Failure> {
        let workers: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || work(&server.url, places, number, start + time)))
            .collect();
        let mut memory = Vec::new();
        // After a tenth of the time, when everything is warm, until the end.
        for tenth in 1..=9 {
            thread::sleep((start + time * tenth / 10).saturating_duration_since(Instant::now()));
            memory.push(server.memory()?);
        }
        let mut all = Done::default();
        for worker in workers {
            let done = worker.join().map_err(|_| "a client panicked")??;
            all.maps.extend(done.maps);
            all.edits.extend(done.edits);
        }
        Ok((all, memory))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let Done { mut maps, mut edits } = done;
    let mut rows = Vec::new();
    for (row, times) in [("load: map of 0.01°", &mut maps), ("load: upload of 6 edits", &mut edits)] {
        let count = times.len();
        let rate = f64::from(u32::try_from(count)?) / seconds;
        let (p50, p99) = percentiles(times);
        println!(
            "{row:<28} {count:>6} in {seconds:.0} s, {rate:.1} a second  p50 {p50:>7.2} ms  p99 {p99:>7.2} ms"
        );
        rows.push(serde_json::json!({
            "row": row, "clients": clients, "requests": count, "a second": rate, "p50 ms": p50, "p99 ms": p99,
            "seconds": seconds,
        }));
    }
    let mib: Vec<u64> = memory.iter().map(|bytes| bytes >> 20).collect();
    println!("load: memory at each tenth of the time, in MiB: {mib:?}; no request failed");
    rows.push(serde_json::json!({ "row": "load: memory", "MiB": mib }));
    Ok(rows)
}

fn work(url: &str, places: &[Coord], number: usize, until: Instant) -> Result<Done, Failure> {
    let client = Client::new(url);
    let mut done = Done::default();
    // Each client begins elsewhere.
    let mut turns = places.iter().cycle().skip(number * 37);
    for round in 1_usize.. {
        let Some(place) = turns.next().filter(|_| Instant::now() < until) else { break };
        let start = Instant::now();
        if round.is_multiple_of(10) {
            upload(&client, *place)?;
            done.edits.push(start.elapsed());
        } else {
            client.get(&format!("/api/0.6/map?bbox={}", around(place, 50_000)))?;
            done.maps.push(start.elapsed());
        }
    }
    Ok(done)
}

/// Opens a changeset, adds five nodes and a way of them, and closes it.
fn upload(client: &Client, place: Coord) -> Result<(), Failure> {
    let opened = "<osm><changeset><tag k='comment' v='under load'/></changeset></osm>";
    let changeset = client.put("/api/0.6/changeset/create", opened)?;
    let mut body = String::from("<osmChange version='0.6'><create>");
    for n in 1..=5 {
        let lat = f64::from(place.lat() + n * 100) / 1e7;
        let lon = f64::from(place.lon()) / 1e7;
        write!(body, "<node id='-{n}' changeset='{changeset}' lat='{lat}' lon='{lon}'/>")?;
    }
    write!(body, "<way id='-1' changeset='{changeset}'>")?;
    (1..=5).try_for_each(|n| write!(body, "<nd ref='-{n}'/>"))?;
    body.push_str("<tag k='highway' v='path'/></way></create></osmChange>");
    client.post(&format!("/api/0.6/changeset/{changeset}/upload"), &body)?;
    client.put(&format!("/api/0.6/changeset/{changeset}/close"), "")?;
    Ok(())
}
