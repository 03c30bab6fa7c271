//! Two programs that sync by QUIC, at an address or wherever on the local network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::Place;

const KEY: &str = "2222222222222222222222222222222222222222222222222222222222222222";

#[cfg(not(feature = "iroh"))]
#[test]
fn without_quic_it_is_said_where_to_get_it() {
    let place = Place::with_map();
    place.run(["import", "map.osm"]).done();
    let peer = format!("iroh://{KEY}@127.0.0.1:5001");
    for arguments in [
        &["sync", "--nearby"][..],
        &["sync", &peer],
        &["--from", &peer, "root"],
        &["serve", "--sync", "--nearby", "--listen", "127.0.0.1:0"],
    ] {
        let sentence = place.run(arguments).refused(1);
        let said = "this program was built without QUIC: install it with --features iroh";
        assert!(sentence.ends_with(said), "{arguments:?}: {sentence}");
    }
}

#[test]
fn what_is_no_quic() {
    let place = Place::with_map();
    for peer in ["iroh://", "iroh://hilltop:5001", &format!("iroh://{KEY}@"), &format!("iroh://{KEY}@h:1/p")]
    {
        let sentence = place.run(["sync", peer]).refused(2);
        assert!(sentence.contains("is no peer: expected tcp://HOST:PORT"), "{sentence}");
    }
    place.run(["serve", "--nearby"]).refused(2);
    place.run(["serve", "--stdio", "--nearby"]).refused(2);
}

#[cfg(feature = "iroh")]
mod quic {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    use osmdb::Db;
    use serde_json::Value;

    use crate::program::Place;
    use crate::sync::{Served, entries, pair, put, root};

    /// Starts a server, and returns it with the address for QUIC.
    fn served(place: &Place, db: &str, more: &[&str]) -> (Served, String) {
        let mut served = Served::start(place, db, &[&["--nearby"], more].concat());
        let line = served.visit();
        let rest = line.trim().strip_prefix("listening at ").unwrap_or_else(|| panic!("{line}"));
        let peer = rest.strip_suffix(", announced on the local network").unwrap_or_else(|| panic!("{line}"));
        assert!(peer.starts_with("iroh://") && peer.contains("@127.0.0.1:"), "{peer}");
        let peer = peer.to_owned();
        (served, peer)
    }

    #[test]
    fn every_pair_becomes_one_both_ways() {
        for (here, there) in [("a", "b"), ("b", "a")] {
            for case in 0..4 {
                let place = Place::new();
                let expected = pair(&place, case);
                if !place.path(there).exists() {
                    put(&place.path(there), 1..2, 0);
                }
                let (mut served, peer) = served(&place, there, &[]);
                let accept = ["--accept", served.fingerprint.as_str()];
                let ran = place.run([&["--db", here, "sync", &peer, "--json"], &accept[..]].concat());
                assert_eq!(ran.stderr, "", "{here} {case}");
                let done: Value = serde_json::from_str(&ran.done()).unwrap();
                let visit = served.visit();
                drop(served);
                assert_eq!(root(&place, "a"), root(&place, "b"), "{here} {case}");
                assert!(entries(&place, "a").abs_diff(expected) <= 1, "{here} {case}");
                assert_eq!(done["root"], root(&place, "a").as_str(), "{here} {case}");
                assert_eq!(done["peer"], peer.as_str());
                assert!(done["wire_bytes_in"].as_u64() > done["bytes_in"].as_u64(), "{done}");
                assert!(visit.contains(&format!(" gained {} ", done["given"])), "{visit}");
            }
        }
    }

    #[test]
    fn strangers_are_refused_and_then_known() {
        let place = Place::new();
        pair(&place, 1);
        let (mut served, peer) = served(&place, "b", &["--allow", "known"]);
        let sync = |more: &[&str]| place.run([&["--db", "a", "sync", &peer], more].concat());
        // The peer has the key that the address names; whether it is the one that is meant, somebody has to say.
        let sentence = sync(&[]).refused(1);
        assert!(sentence.ends_with(&format!("try again with --accept {}", served.fingerprint)), "{sentence}");
        assert!(served.visit().contains("refused"));
        let sentence = sync(&["--accept", &served.fingerprint]).refused(1);
        let (_, ours) = sentence.split_once("ask for `osmdb peers accept ").unwrap();
        let ours = ours.split('`').next().unwrap();
        assert!(served.visit().contains(&format!("`osmdb peers accept {ours}` lets it in")));
        place.run(["--db", "b", "peers", "accept", ours, "Riverside"]).done();
        sync(&["--accept", &served.fingerprint]).done();
        assert!(served.visit().contains("Riverside"));
        // Now both know each other, by TCP too.
        sync(&[]).done();
        served.visit();
        let tcp = format!("tcp://{}", served.address);
        place.run(["--db", "a", "sync", &tcp]).done();
        served.visit();
        // A key that nobody there has.
        let wrong = peer.replace(peer.split_once('@').unwrap().0, &format!("iroh://{}", super::KEY));
        let sentence = place.run(["--db", "a", "sync", &wrong]).refused(1);
        assert!(sentence.contains("it does not have the key that the address names"), "{sentence}");
        drop(served);
        assert_eq!(root(&place, "a"), root(&place, "b"));
    }

    #[test]
    fn what_a_peer_has_is_read_by_quic() {
        let place = Place::new();
        put(&place.path("b"), 1..300, 0);
        let (mut served, peer) = served(&place, "b", &[]);
        // One after another, and none leaves a session behind.
        for _ in 0..20 {
            let said = place.run(["--from", &peer, "--accept", &served.fingerprint, "get", "node/7"]).done();
            assert!(said.contains("\"id\":7"), "{said}");
            assert!(served.visit().contains("only read"));
        }
    }

    #[test]
    fn a_killed_program_goes_on() {
        let place = Place::new();
        put(&place.path("b"), 1..9_000, 0);
        let (served, peer) = served(&place, "b", &[]);
        let accept = ["--accept", served.fingerprint.as_str()];
        for wait in [60, 120, 180] {
            let arguments = [&["--db", "a", "sync", &peer], &accept[..]].concat();
            let mut caller = place.command(arguments).stdout(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            caller.kill().unwrap();
            caller.wait().unwrap();
        }
        place.run([&["--db", "a", "sync", &peer], &accept[..]].concat()).done();
        drop(served);
        assert_eq!(root(&place, "a"), root(&place, "b"));
        assert_eq!(Db::open(place.path("a")).unwrap().counts().entries, 8_999);
    }

    /// Tells whether what is sent to a group arrives at this machine.
    fn multicast_works() -> bool {
        let group = Ipv4Addr::new(239, 255, 83, 77);
        let tried = || -> std::io::Result<()> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            socket.send_to(b"hello", (group, socket.local_addr()?.port()))?;
            socket.recv_from(&mut [0; 8]).map(drop)
        };
        tried().is_ok()
    }

    #[test]
    fn who_is_nearby_is_found() {
        if !multicast_works() {
            println!("skipped: this machine has no multicast");
            return;
        }
        let place = Place::new();
        pair(&place, 1);
        let (served, peer) = served(&place, "b", &[]);
        let sentence = place.run(["--db", "a", "sync", "--nearby"]).refused(1);
        assert!(sentence.starts_with("nobody who is nearby is known here: "), "{sentence}");
        assert!(sentence.contains(&served.fingerprint), "{sentence}");
        let ran = place.run(["--db", "a", "sync", "--nearby", "--accept", &served.fingerprint]);
        let known = peer.split_once('@').unwrap().0;
        assert!(ran.stdout.contains(&format!("synced with {} ({known})", served.fingerprint)), "{ran:?}");
        // Known from now on.
        assert!(place.run(["--db", "a", "sync", "--nearby"]).stdout.contains("both were equal"));
        let listed = place.run(["--db", "a", "peers"]).done();
        assert!(listed.contains(known), "{listed}");
        drop(served);
        assert_eq!(root(&place, "a"), root(&place, "b"));
    }
}
