//! Two villages meet over a network: one serves, the other one syncs, and each proves who it is.

use std::error::Error;
use std::future::pending;
use std::sync::Arc;

use osmdb::net::{self, Address, Fingerprint, Identity, ServeOptions};
use osmdb::sync::Options;
use osmdb::{Coord, Db, Payload, Tags};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    Runtime::new()?.block_on(meet())
}

async fn meet() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let hilltop = Arc::new(Db::create_or_open(scratch.path().join("hilltop"))?);
    let riverside = Db::create_or_open(scratch.path().join("riverside"))?;
    for (db, name) in [(&*hilltop, "Upper Spring"), (&riverside, "Ferry")] {
        let coord = Coord::new(425_121_500, 15_029_000)?;
        db.create(Payload::Node { coord, tags: Tags::from([("name", name)]) })?;
    }

    // People have compared these once, and remember them; `osmdb::net::Peers` keeps them in a file.
    let (upper, lower) = (hilltop.author()?, riverside.author()?);
    println!("Hilltop is {}, Riverside {}", Fingerprint::of(&upper), Fingerprint::of(&lower));

    // Hilltop answers whoever has Riverside's key.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: Address = format!("tcp://{}", listener.local_addr()?).parse()?;
    let options = ServeOptions { admit: Arc::new(move |key| *key == lower), ..ServeOptions::default() };
    let serving = tokio::spawn(net::serve(Arc::clone(&hilltop), listener, options, pending()));

    // Riverside calls, and goes on only with whoever has Hilltop's.
    let identity = Identity::of(&riverside)?;
    let connection = net::dial(&address, &identity, Arc::new(move |key| *key == upper)).await?;
    let wire = connection.wire().clone();
    let summary = net::sync_over(&riverside, connection, Options::default(), |_| ()).await?;
    println!("gained {}, gave {}", summary.gained, summary.given);
    println!("{} bytes came, {} went", wire.bytes_in(), wire.bytes_out());
    assert_eq!(hilltop.root(), riverside.root());

    // Anybody else finds the door closed.
    let stranger = Db::in_memory("osm")?;
    let identity = Identity::of(&stranger)?;
    let met = async {
        let connection = net::dial(&address, &identity, Arc::new(|_| true)).await?;
        net::sync_over(&stranger, connection, Options::default(), |_| ()).await
    };
    println!("a stranger: {}", met.await.err().ok_or("it was let in")?);
    serving.abort();
    Ok(())
}
