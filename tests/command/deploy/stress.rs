//! Many clients at once on a server with four threads: a number of requests, not a time.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deploy::KEY;
use crate::deploy::herd::{Files, Process, within};

const CLIENTS: usize = 16;

/// The number of times that a client sends its lines.
const ROUNDS: usize = 150;

const BODY: &str = "{\"results\":[],\"status\":\"ZERO_RESULTS\"}";

/// One client: it sends its lines of a round at once, and checks each answer. All ask for what is
/// near the same location, so that they share requests, which end while others begin.
async fn talk(at: String, number: usize) -> Result<(), String> {
    let stream = TcpStream::connect(&at).await;
    let mut stream = BufReader::new(stream.map_err(|error| error.to_string())?);
    for round in 1..=ROUNDS {
        let place = format!("c{number} +1-1 {round}");
        let lines = format!("IAMAT {place}\nWHATSAT c{number} 10 1\nWHATSAT c{number} 10 1\n");
        let sent = stream.write_all(lines.as_bytes()).await;
        sent.map_err(|error| format!("round {round}: {error}"))?;
        for expected in [&place, &place, BODY, "", &place, BODY, ""] {
            let mut line = String::new();
            let read = stream.read_line(&mut line).await;
            read.map_err(|error| format!("round {round}: {error}"))?;
            let is_right = line.trim_end().ends_with(expected) && line.ends_with('\n');
            let is_empty = expected.is_empty() && line != "\n";
            if !is_right || is_empty {
                return Err(format!("round {round}: {line:?} instead of {expected:?}"));
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_clients_on_four_threads_share_their_look_ups() {
    let google = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string(BODY);
    let mock = Mock::given(method("GET")).respond_with(answer);
    mock.mount(&google).await;
    let files = Files::new().await;
    let (herd, url) = (files.herd(), format!("{}/nearby", google.uri()));
    let args = ["serve", "Riley", "--herd", &herd, "--places-url", &url];
    // As many threads as no small machine would have by itself.
    let environment = [("PLACES_API_KEY", KEY), ("TOKIO_WORKER_THREADS", "4")];
    let mut riley = Process::start(&args, &environment);
    riley.logs("listens at").await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(talk(files.address("Riley"), number));
    }
    while let Some(ended) = within("the end of a client", clients.join_next()).await {
        if let Err(error) = ended.expect("no panic") {
            // If the server panicked, it ends, and its last words say where.
            clients.shutdown().await;
            riley.stopped_by("TERM").await;
            panic!("{error}\nThe server said:\n{}", riley.said());
        }
    }
    let requests = google.received_requests().await.expect("recorded").len();
    let look_ups = CLIENTS * ROUNDS * 2;
    assert!(
        (1..look_ups).contains(&requests),
        "{requests} requests for {look_ups} look-ups"
    );
    assert_eq!(riley.stopped_by("TERM").await, Some(0), "{}", riley.said());
}
