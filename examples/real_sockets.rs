//! One server on real sockets, inside a program of one's own, on ports that the system chooses.
//!
//! `cargo run --example real_sockets`

use std::error::Error;
use std::sync::Arc;

use proxy_herd::herd::{Address, Herd};
use proxy_herd::journal::NullJournal;
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::places::FixedPlaces;
use proxy_herd::server::{Config, Listeners, serve};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let herd = Herd::from_links("pair", &["A-B"])?;
    let config = Config::new(&herd, herd.id("A").ok_or("no A")?, 1);
    let anywhere = Address {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    let listeners = Listeners::bind(&TokioNet, &anywhere, &anywhere).await?;
    let address = listeners.clients.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let places = Arc::new(FixedPlaces::default());
    let journal = Arc::new(NullJournal);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(
        TokioNet, listeners, config, places, journal, stopping,
    ));

    let mut client = BufReader::new(TcpStream::connect(address).await?);
    client
        .write_all(b"IAMAT kiwi +34.068930-118.445127 1621464827.5\n")
        .await?;
    let mut answer = String::new();
    client.read_line(&mut answer).await?;
    print!("{answer}");
    assert!(answer.starts_with("AT A +"));
    drop(client);

    stop.send(true)?;
    let stopped = tasks.join_next().await.ok_or("no server")???;
    // Its neighbour never came, so nobody else has what kiwi said.
    for lacking in &stopped.unconfirmed {
        println!("{} may lack {} record", lacking.peer, lacking.records);
    }
    assert_eq!(stopped.unconfirmed.len(), 1);
    Ok(())
}
