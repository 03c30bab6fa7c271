//! How long the map call takes: prints what was measured, and is not run with the others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use osmdb::server::ServerOptions;

use super::Server;
use crate::program::real_data;

/// So many boxes of 0.01° are asked for.
const BOXES: usize = 200;

#[test]
#[ignore = "it measures"]
fn maps_of_a_hundredth_of_a_degree_in_andorra() {
    let Some(file) = real_data("andorra-2025.osm.pbf") else { return };
    let server = Server::in_dir(tempfile::tempdir().unwrap(), ServerOptions::default(), Some(&file));
    for form in ["", ".json"] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut times: Vec<(Duration, usize)> = Vec::new();
        for round in 0..2 {
            times.clear();
            for at in 0..BOXES {
                // Around the capital, where most is.
                let (west, south) = (1.50 + 0.004 * (at % 15) as f64, 42.49 + 0.004 * (at / 15) as f64);
                let (east, north) = (west + 0.01, south + 0.01);
                let path = format!("/api/0.6/map{form}?bbox={west:.4},{south:.4},{east:.4},{north:.4}");
                let began = Instant::now();
                write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                let bytes = whole_answer(&mut stream);
                times.push((began.elapsed(), bytes));
            }
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100];
            let bytes: usize = times.iter().map(|(_, bytes)| bytes).sum::<usize>() / times.len();
            println!(
                "map{form}, round {round}: p50 {:?}, p90 {:?}, p99 {:?}, {bytes} bytes on average, largest {:?}",
                at(50).0,
                at(90).0,
                at(99).0,
                times.iter().map(|(_, bytes)| bytes).max().unwrap(),
            );
        }
    }
}

/// Reads one answer of a connection that stays, and returns how many bytes it had.
fn whole_answer(stream: &mut TcpStream) -> usize {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the connection stays");
        bytes.extend_from_slice(&buffer[..read]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&bytes[..head]).unwrap();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let is_whole = match length {
            Some(length) => bytes.len() >= head + 4 + length.parse::<usize>().unwrap(),
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        };
        if is_whole {
            return bytes.len();
        }
    }
}
