//! Servers that listen at one address and are dialled at another.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::deploy::herd::{Files, eventually, free_port, herd_command};
use crate::ran::err;

/// Forwards connections from one port of this machine to another, as a NAT does.
async fn forward(tasks: &mut JoinSet<()>, from: &str, to: u16) {
    let listener = TcpListener::bind(from).await.expect("a free port");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut outside, _) = listener.accept().await.expect("a connection");
            connections.spawn(async move {
                // If no server listens yet, the dialler retries.
                if let Ok(mut inside) = TcpStream::connect(("127.0.0.1", to)).await {
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
}

#[tokio::test]
async fn a_server_behind_a_nat_is_dialled_where_the_herd_file_says() {
    let files = Files::new().await;
    files.link(&["Riley-Jaquez"]);
    let mut nat = JoinSet::new();
    let (port, peer_port) = (free_port().await, free_port().await);
    forward(&mut nat, &files.address("Jaquez"), port).await;
    forward(&mut nat, &files.peer_address("Jaquez"), peer_port).await;
    let (listen, peer_listen) = (
        format!("--listen=127.0.0.1:{port}"),
        format!("--peer-listen=127.0.0.1:{peer_port}"),
    );
    // Its address in the herd file is taken by the NAT.
    let mut jaquez = files.serve("Jaquez", &[&listen, &peer_listen]);
    let said = format!("listens at 127.0.0.1:{port} for clients and at 127.0.0.1:{peer_port}");
    jaquez.logs(&said).await;
    let mut riley = files.serve("Riley", &[]);
    riley.logs("all links are synchronised").await;
    (files.ask("Riley", "IAMAT kiwi +1-1 5").await).expect("an answer");
    let knows = eventually("Jaquez knows kiwi", async || {
        let answer = files.ask("Jaquez", "WHATSAT kiwi 1 1").await?;
        answer.starts_with("AT Riley ").then_some(())
    });
    knows.await;
    // Another address in the herd file changes where others dial, but not where this server
    // listens.
    let mut moved = files;
    moved.move_away("Jaquez").await;
    moved.link(&["Riley-Jaquez"]);
    jaquez.signal("HUP").await;
    jaquez.logs("settings are reloaded").await;
    assert_eq!(jaquez.stopped_by("TERM").await, Some(0));
    assert!(
        !jaquez.said().contains("takes effect when"),
        "{}",
        jaquez.said()
    );
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn wherever_it_is_told_to_listen_servers_must_prove_themselves_if_others_reach_it() {
    let files = Files::new().await;
    let herd = files.herd();
    let serve = ["serve", "Riley", "--herd", &herd];
    let everywhere = ["--listen", "0.0.0.0:0", "--peer-listen", "0.0.0.0:0"];
    let refused = herd_command(&[&serve[..], &everywhere].concat()).await;
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    assert!(
        err(&refused).contains("--insecure-peers"),
        "{}",
        err(&refused)
    );
    std::fs::write(files.path("secret"), "twenty-four bytes, or so").expect("written");
    let secret = format!("--peer-secret-file={}", files.path("secret"));
    let mut proved = files.serve("Riley", &[&everywhere[..], &[&secret]].concat());
    proved.logs("listens at 0.0.0.0:").await;
    assert_eq!(proved.stopped_by("TERM").await, Some(0));
    // Clients never authenticate, so their listener needs no exception.
    let clients_alone = ["--listen", "0.0.0.0:0"];
    let mut riley = files.serve("Riley", &clients_alone);
    riley.logs("listens at 0.0.0.0:").await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn a_server_that_is_elsewhere_by_the_herd_file_is_told_how_to_listen_here() {
    // This address is reserved for documentation, so no machine has it.
    let files = Files::at("192.0.2.1").await;
    let herd = files.herd();
    let serve = ["serve", "Riley", "--herd", &herd];
    let elsewhere = herd_command(&serve).await;
    assert_eq!(elsewhere.status.code(), Some(1), "{}", err(&elsewhere));
    let help = format!("such as `--listen 0.0.0.0:{}`", files.port("Riley"));
    assert!(err(&elsewhere).contains(&help), "{}", err(&elsewhere));
    let here = ["--listen=127.0.0.1:0", "--peer-listen=127.0.0.1:0"];
    let mut riley = files.serve("Riley", &here);
    riley.logs("listens at 127.0.0.1:").await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
}

#[tokio::test]
async fn one_address_is_not_given_to_all_servers_of_a_herd() {
    let files = Files::new().await;
    let herd = files.herd();
    for setting in ["listen", "peer-listen"] {
        let flag = format!("--{setting}=0.0.0.0:12200");
        let refused = herd_command(&["up", "--herd", &herd, &flag]).await;
        assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
        let words = format!("`{setting}` is where one server listens");
        assert!(err(&refused).contains(&words), "{}", err(&refused));
    }
}
