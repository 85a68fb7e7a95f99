//! A panic in any task ends the server with an error, and a simulation with it. None is lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use proxy_herd::herd::{Address, Herd};
use proxy_herd::journal::NullJournal;
use proxy_herd::net::Net;
use proxy_herd::node::LookUp;
use proxy_herd::places::Places;
use proxy_herd::server::{Config, Listeners, ServeError, Stopped, serve};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

/// A source of answers that panics.
struct Broken;

impl Places for Broken {
    fn nearby<'a>(&'a self, _: &'a LookUp) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        Box::pin(async { panic!("a bug") })
    }
}

/// Runs a server until it ends, which only a panic causes.
async fn run<N: Net>(net: N, listeners: Listeners<N>) -> Result<Stopped, ServeError> {
    let herd = Herd::from_links("pair", &["A-B"]).expect("a right herd");
    let me = herd.id("B").expect("it has a B");
    let (_never, stop) = watch::channel(false);
    let config = Config::new(&herd, me, 1);
    serve(
        net,
        listeners,
        config,
        Arc::new(Broken),
        Arc::new(NullJournal),
        stop,
    )
    .await
}

const ASK: &[u8] = b"IAMAT kiwi +34-118 1\nWHATSAT kiwi 10 5\n";

fn anywhere(host: &str) -> Address {
    Address {
        host: host.to_owned(),
        port: 0,
    }
}

#[tokio::test]
async fn on_real_sockets() {
    let net = proxy_herd::net::tokio::TokioNet;
    let (clients, peers) = (anywhere("127.0.0.1"), anywhere("127.0.0.1"));
    let listeners = Listeners::bind(&net, &clients, &peers)
        .await
        .expect("bound");
    let address = listeners.clients.local_addr().expect("bound");
    let ask = async {
        let mut client = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        client.write_all(ASK).await.expect("written");
        // The connection stays open until the server has ended.
        std::future::pending::<()>().await;
    };
    let ended = futures_lite::future::or(async { Some(run(net, listeners).await) }, async {
        ask.await;
        None
    });
    let ended = ended.await.expect("the server ends first");
    assert!(matches!(ended, Err(ServeError::Panicked(_))), "{ended:?}");
}

#[cfg(feature = "sim")]
#[test]
fn in_a_simulation() {
    let mut sim = turmoil::Builder::new().rng_seed(1).build();
    sim.host("B", || async {
        let net = proxy_herd::net::turmoil::TurmoilNet;
        let at = |port| Address {
            host: "B".to_owned(),
            port,
        };
        let listeners = Listeners::bind(&net, &at(1), &at(2)).await?;
        run(net, listeners).await?;
        Ok(())
    });
    sim.client("client", async {
        let mut client = turmoil::net::TcpStream::connect(("B", 1)).await?;
        client.write_all(ASK).await?;
        std::future::pending::<()>().await;
        Ok(())
    });
    let failed = sim.run().expect_err("the run fails");
    assert!(failed.to_string().contains("panicked"), "{failed}");
}
