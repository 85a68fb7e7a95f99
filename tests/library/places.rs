//! Look-ups at Places over real sockets: the answer that a client gets after each kind of failure,
//! and the requests that Places receives.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::{or, poll_once};
use proxy_herd::herd::Address;
use proxy_herd::journal::EventId;
use proxy_herd::net::tokio::TokioNet;
use proxy_herd::net::{Connection, Net};
use proxy_herd::node::LookUp;
use proxy_herd::places::{Api, ApiKey, Counts, HttpPlaces, Places, PlacesConfig, Query};
use proxy_herd::protocol::time::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const KEY: &str = "TheKeyThatNobodySees";

/// A deadline that no test reaches.
const PATIENT: Duration = Duration::from_secs(30);

/// A short time, for tests that wait until it has passed.
const HASTY: Duration = Duration::from_millis(150);

/// Two places, in the API's own shape.
const BODY: &str = "{\n   \"html_attributions\" : [],\n   \"results\" : [\n      {\n         \"name\" : \"One\"\n      },\n      {\n         \"name\" : \"Two\"\n      }\n   ],\n   \"status\" : \"OK\"\n}\n";

/// The same answer, cut to one place.
const BODY_OF_ONE: &str = "{\n   \"html_attributions\" : [],\n   \"results\" : [\n      {\n         \"name\" : \"One\"\n      }\n   ],\n   \"status\" : \"OK\"\n}";

fn look_up(radius: &str, bound: u8) -> LookUp {
    LookUp {
        client: b"kiwi.cs.ucla.edu".to_vec(),
        at_line: b"AT Riley +0.1 kiwi.cs.ucla.edu +34.068930-118.445127 1\n".to_vec(),
        latitude: b"+34.068930".to_vec(),
        longitude: b"-118.445127".to_vec(),
        radius_metres: radius.to_owned(),
        bound,
        asked_by: EventId(NonZeroU64::MIN),
    }
}

fn config(api: Api, port: u16) -> PlacesConfig {
    let host = "127.0.0.1".to_owned();
    let key = ApiKey::new(KEY).expect("a key");
    let mut config = PlacesConfig::new(api, Address { host, port }, Some(key));
    config.deadline = PATIENT;
    config.attempt_deadline = PATIENT;
    config.retry_pause = Duration::from_millis(1);
    config
}

fn places<N: Net>(net: N, config: PlacesConfig) -> HttpPlaces<N> {
    assert!(!format!("{config:?}").contains(KEY));
    HttpPlaces::new(net, config, ChaCha8Rng::seed_from_u64(1))
}

/// The body of a look-up. It checks that nothing shows the key.
async fn ask<N: Net>(places: &HttpPlaces<N>, look_up: &LookUp) -> String {
    let query = Query::new(Api::New, look_up);
    assert!(!format!("{query:?}{look_up:?}").contains(KEY));
    let body = places.nearby(look_up).await;
    let body = String::from_utf8(body).expect("UTF-8");
    assert!(!body.contains(KEY), "{body}");
    assert!(!body.contains("\n\n") && !body.ends_with('\n'), "{body}");
    body
}

/// The status in a body that reports an error and has no places.
fn failure(body: &str) -> String {
    let value: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(value["results"], json!([]), "{body}");
    assert_eq!(value["html_attributions"], json!([]), "{body}");
    assert!(value["error_message"].is_string(), "{body}");
    value["status"].as_str().expect("a status").to_owned()
}

/// A fake Google that answers every request with `answer`, and expects `requests` of them.
async fn google(answer: ResponseTemplate, requests: u64) -> MockServer {
    let google = MockServer::start().await;
    let mock = Mock::given(method("GET")).respond_with(answer);
    mock.expect(requests).mount(&google).await;
    google
}

/// The body for a client when a fake Google answers each of `requests` requests with `answer`.
async fn told(answer: ResponseTemplate, requests: u64) -> String {
    let google = google(answer, requests).await;
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    let body = ask(&places, &look_up("10000", 1)).await;
    google.verify().await;
    body
}

fn text(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

#[tokio::test]
async fn an_answer_that_repeats_the_question_does_not_tell_the_key() {
    let echo = format!("{{\"results\":[],\"status\":\"OK\",\"asked\":\"/nearby?key={KEY}\"}}");
    assert_eq!(failure(&told(text(200, &echo), 1).await), "UNKNOWN_ERROR");
}

#[tokio::test]
async fn the_legacy_api_is_asked_as_it_documents_and_its_answer_is_cut() {
    let google = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/maps/api/place/nearbysearch/json"))
        .and(query_param("location", "34.068930,-118.445127"))
        .and(query_param("radius", "10000"))
        .and(query_param("key", KEY))
        .respond_with(text(200, BODY))
        .expect(1)
        .mount(&google)
        .await;
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    assert_eq!(ask(&places, &look_up("10000", 1)).await, BODY_OF_ONE);
}

#[tokio::test]
async fn the_new_api_is_asked_as_it_documents_and_its_answer_is_cut() {
    let google = MockServer::start().await;
    let circle =
        json!({ "center": { "latitude": 34.068_930, "longitude": -118.445_127 }, "radius": 10000 });
    Mock::given(method("POST"))
        .and(path("/v1/places:searchNearby"))
        .and(header("content-type", "application/json"))
        .and(header("x-goog-api-key", KEY))
        .and(header("x-goog-fieldmask", "places.id"))
        .and(body_json(
            json!({ "locationRestriction": { "circle": circle }, "maxResultCount": 1 }),
        ))
        .respond_with(text(200, "{\n  \"places\": [\n    {},\n    {}\n  ]\n}\n"))
        .expect(1)
        .mount(&google)
        .await;
    let mut config = config(Api::New, google.address().port());
    config.field_mask = "places.id".to_owned();
    let places = places(TokioNet, config);
    let body = ask(&places, &look_up("10000", 0)).await;
    assert_eq!(body, "{\n  \"places\": []\n}");
}

#[tokio::test]
async fn http_statuses_become_words_of_the_api() {
    for (status, requests, word) in [
        (400, 1, "INVALID_REQUEST"),
        (401, 1, "REQUEST_DENIED"),
        (403, 1, "REQUEST_DENIED"),
        (404, 1, "UNKNOWN_ERROR"),
        (302, 1, "UNKNOWN_ERROR"),
        (429, 3, "OVER_QUERY_LIMIT"),
        (500, 3, "UNKNOWN_ERROR"),
        (503, 3, "UNKNOWN_ERROR"),
    ] {
        let body = told(text(status, BODY), requests).await;
        assert_eq!(failure(&body), word, "{status}");
    }
}

/// An error in the form of the new API.
fn rpc_error(status: u16, word: &str, reason: &str) -> ResponseTemplate {
    let details =
        json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason }]);
    let error = json!({ "code": status, "message": "No.", "status": word, "details": details });
    ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
}

#[tokio::test]
async fn an_error_of_the_new_api_is_told_in_the_right_word_and_counted_by_it() {
    for (answer, requests, word) in [
        (
            rpc_error(400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
            1,
            "REQUEST_DENIED",
        ),
        (
            rpc_error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"),
            1,
            "REQUEST_DENIED",
        ),
        (
            rpc_error(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"),
            3,
            "OVER_QUERY_LIMIT",
        ),
        (
            rpc_error(400, "INVALID_ARGUMENT", "BAD_FIELD_MASK"),
            1,
            "INVALID_REQUEST",
        ),
        (rpc_error(200, "PERMISSION_DENIED", ""), 1, "REQUEST_DENIED"),
    ] {
        let google = MockServer::start().await;
        let mock = Mock::given(method("POST")).respond_with(answer);
        mock.expect(requests).mount(&google).await;
        let counts = Arc::new(Counts::default());
        let places = places(TokioNet, config(Api::New, google.address().port()));
        let places = places.counted_by(Arc::clone(&counts));
        assert_eq!(failure(&ask(&places, &look_up("10000", 1)).await), word);
        google.verify().await;
        let counted: Vec<_> = counts.all().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(&*word.to_lowercase(), 1)]);
        let report = counts.last_reports().remove(0).to_string();
        assert!(report.contains("(No.)"), "{report}");
    }
}

#[tokio::test]
async fn a_denial_that_repeats_the_key_is_told_without_it() {
    let error = json!({ "error": {
        "message": format!("API key {KEY} is not valid"), "status": "INVALID_ARGUMENT",
    } });
    let google = google(ResponseTemplate::new(400).set_body_json(error), 1).await;
    let counts = Arc::new(Counts::default());
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    let places = places.counted_by(Arc::clone(&counts));
    let body = ask(&places, &look_up("10000", 1)).await;
    assert_eq!(failure(&body), "REQUEST_DENIED");
    let report = counts.last_reports().remove(0).to_string();
    assert!(
        report.contains("request_denied") && !report.contains(KEY),
        "{report}"
    );
}

#[tokio::test]
async fn an_error_at_googles_end_is_tried_again_by_either_way_of_saying_so() {
    let body = "{\n   \"results\" : [],\n   \"status\" : \"UNKNOWN_ERROR\"\n}";
    assert_eq!(told(text(200, body), 3).await, body);
    for word in [
        "REQUEST_DENIED",
        "OVER_QUERY_LIMIT",
        "OVER_DAILY_LIMIT",
        "INVALID_REQUEST",
    ] {
        let body = body.replace("UNKNOWN_ERROR", word);
        assert_eq!(told(text(200, &body), 1).await, body);
    }
}

#[tokio::test]
async fn nobody_waits_for_what_an_error_goes_on_to_say() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let places = places(TokioNet, config(Api::Legacy, port(&listener)));
    let serve = async {
        let (mut stream, _) = listener.accept().await?;
        read_head(&mut stream).await?;
        let head = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(head).await?;
        std::future::pending().await
    };
    let body = beside(serve, ask(&places, &look_up("10000", 1))).await;
    assert_eq!(failure(&body), "REQUEST_DENIED");
}

#[tokio::test]
async fn a_body_that_says_itself_what_went_wrong_passes_as_it_is() {
    for word in ["OVER_QUERY_LIMIT", "REQUEST_DENIED", "ZERO_RESULTS"] {
        let body = format!(
            "{{\n   \"error_message\" : \"{word}\",\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"{word}\"\n}}"
        );
        assert_eq!(told(text(200, &format!("{body}\n\n")), 1).await, body);
    }
}

#[tokio::test]
async fn malformed_bodies_are_unknown_errors() {
    let cut_json = &BODY[..BODY.len() / 2];
    for body in [
        "",
        "<html>busy</html>",
        "[]",
        "{\"status\":\"OK\"}",
        "{}",
        cut_json,
    ] {
        let told = told(text(200, body), 1).await;
        assert_eq!(failure(&told), "UNKNOWN_ERROR", "{body}");
    }
    let no_text = ResponseTemplate::new(200).set_body_bytes(b"{\"results\":[\"\xff\"]}");
    assert_eq!(failure(&told(no_text, 1).await), "UNKNOWN_ERROR");
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_one_is_taken() {
    let name = "x".repeat(10 << 20);
    let body = format!("{{\"results\":[\"{name}\"]}}");
    let told_of_ten = told(text(200, &body), 1).await;
    assert_eq!(failure(&told_of_ten), "UNKNOWN_ERROR");
    assert!(told_of_ten.contains("too large"), "{told_of_ten}");
    let name = "x".repeat((1 << 20) - 16);
    let body = format!("{{\"results\":[\"{name}\"]}}");
    assert_eq!(body.len(), 1 << 20);
    assert_eq!(told(text(200, &body), 1).await, body);
}

#[tokio::test]
async fn a_slow_answer_within_the_deadline_is_as_good_as_any() {
    let slow = text(200, BODY).set_delay(HASTY);
    assert_eq!(told(slow, 1).await, BODY_OF_ONE);
}

#[tokio::test]
async fn without_an_answer_in_time_a_client_is_told_so() {
    // The system accepts connections for this listener, but no program answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let mut config = config(Api::Legacy, port(&silent));
    config.deadline = HASTY;
    let places = places(TokioNet, config);
    let body = ask(&places, &look_up("10000", 1)).await;
    assert_eq!(failure(&body), "UNKNOWN_ERROR");
    assert!(body.contains("in time"), "{body}");
}

#[tokio::test]
async fn without_a_connection_a_client_is_told_so() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let config = config(Api::Legacy, port(&gone));
    drop(gone);
    let places = places(TokioNet, config);
    let body = ask(&places, &look_up("10000", 1)).await;
    assert_eq!(failure(&body), "UNKNOWN_ERROR");
    assert!(body.contains("reached"), "{body}");
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let google = google(text(200, BODY), 0).await;
    let mut config = config(Api::Legacy, google.address().port());
    config.key = None;
    let places = places(TokioNet, config);
    let body = ask(&places, &look_up("10000", 1)).await;
    assert_eq!(failure(&body), "REQUEST_DENIED");
}

#[tokio::test]
async fn a_location_that_no_uri_holds_is_an_invalid_request() {
    let google = google(text(200, BODY), 0).await;
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    let mut look_up = look_up("10000", 1);
    look_up.latitude = format!("+34.{}", "0".repeat(70_000)).into_bytes();
    assert_eq!(failure(&ask(&places, &look_up).await), "INVALID_REQUEST");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let google = MockServer::start().await;
    for bad_day in [
        ResponseTemplate::new(503),
        text(429, "").insert_header("retry-after", "0"),
    ] {
        Mock::given(method("GET"))
            .respond_with(bad_day)
            .up_to_n_times(1)
            .expect(1)
            .mount(&google)
            .await;
    }
    Mock::given(method("GET"))
        .respond_with(text(200, BODY))
        .expect(1)
        .mount(&google)
        .await;
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    assert_eq!(ask(&places, &look_up("10000", 1)).await, BODY_OF_ONE);
}

#[tokio::test]
async fn nobody_waits_as_long_as_places_may_want() {
    let busy = text(429, "").insert_header("retry-after", "3600");
    assert_eq!(failure(&told(busy, 1).await), "OVER_QUERY_LIMIT");
}

#[tokio::test]
async fn there_is_no_retry_that_the_deadline_leaves_no_time_for() {
    let google = google(text(500, ""), 1).await;
    let mut config = config(Api::Legacy, google.address().port());
    config.retry_pause = PATIENT;
    config.longest_pause = PATIENT * 10;
    config.deadline = PATIENT / 3;
    let places = places(TokioNet, config);
    let body = ask(&places, &look_up("10000", 1)).await;
    assert_eq!(failure(&body), "UNKNOWN_ERROR");
}

#[tokio::test]
async fn the_same_question_under_way_is_asked_once_and_each_gets_its_own_cut() {
    let google = google(text(200, BODY).set_delay(HASTY), 2).await;
    let config = config(Api::Legacy, google.address().port());
    let places = Arc::new(places(TokioNet, config));
    let mut asking = JoinSet::new();
    for bound in [0, 1, 2, 20, 1, 2] {
        let places = Arc::clone(&places);
        asking.spawn(async move { (bound, ask(&places, &look_up("10000", bound)).await) });
    }
    for (bound, body) in asking.join_all().await {
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let results = value["results"].as_array().expect("an array");
        assert_eq!(results.len(), usize::from(bound).min(2));
    }
    // No answer was cached, so this sends another request.
    ask(&places, &look_up("10000", 1)).await;
}

#[tokio::test]
async fn a_question_goes_on_when_who_asked_it_goes_away() {
    let google = google(text(200, BODY).set_delay(HASTY), 1).await;
    let places = places(TokioNet, config(Api::Legacy, google.address().port()));
    let look_up = look_up("10000", 1);
    assert!(poll_once(ask(&places, &look_up)).await.is_none());
    assert_eq!(ask(&places, &look_up).await, BODY_OF_ONE);
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("bound").port()
}

/// Reads a request up to the blank line after its headers, and returns `false` at the end of the
/// stream.
async fn read_head(stream: &mut TcpStream) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs `work` and `serve` concurrently.
async fn beside<T>(
    serve: impl Future<Output = io::Result<()>>,
    work: impl Future<Output = T>,
) -> T {
    let serve = async {
        serve.await.expect("the fake Places works");
        panic!("it ended before the test did")
    };
    or(work, serve).await
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_tried_again_and_then_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let places = places(TokioNet, config(Api::Legacy, port(&listener)));
    let requests = AtomicUsize::new(0);
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await?;
            read_head(&mut stream).await?;
            requests.fetch_add(1, Ordering::SeqCst);
            let half = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
                BODY.len(),
                &BODY[..BODY.len() / 2]
            );
            stream.write_all(half.as_bytes()).await?;
        }
    };
    let body = beside(serve, ask(&places, &look_up("10000", 1))).await;
    assert_eq!(failure(&body), "UNKNOWN_ERROR");
    assert_eq!(requests.load(Ordering::SeqCst), 3);
}

/// Answers every request on a connection with an empty list, at the gate if there is one.
async fn answer_all(mut stream: TcpStream, gate: Option<Arc<Barrier>>) -> io::Result<()> {
    while read_head(&mut stream).await? {
        if let Some(gate) = &gate {
            gate.wait().await;
        }
        let body = "{\"results\":[]}";
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_connection_serves_one_look_up_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let places = places(TokioNet, config(Api::Legacy, port(&listener)));
    let serve = async {
        let (stream, _) = listener.accept().await?;
        answer_all(stream, None).await
    };
    let work = async {
        for radius in ["1", "2", "3"] {
            assert_eq!(ask(&places, &look_up(radius, 1)).await, "{\"results\":[]}");
        }
    };
    beside(serve, work).await;
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_a_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let mut config = config(Api::Legacy, port(&listener));
    config.in_flight = 2;
    let places = places(TokioNet, config);
    // No request is answered before two are in flight, so six look-ups use two connections in
    // pairs.
    let gate = Arc::new(Barrier::new(2));
    let connections = AtomicUsize::new(0);
    let serve = async {
        let mut tasks = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            connections.fetch_add(1, Ordering::SeqCst);
            tasks.spawn(answer_all(stream, Some(Arc::clone(&gate))));
        }
    };
    let places = Arc::new(places);
    let work = async {
        let mut asking = JoinSet::new();
        for radius in 1..=6 {
            let places = Arc::clone(&places);
            let look_up = look_up(&radius.to_string(), 1);
            asking.spawn(async move { ask(&places, &look_up).await });
        }
        asking.join_all().await
    };
    let bodies = beside(serve, work).await;
    assert_eq!(bodies, ["{\"results\":[]}"; 6]);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whose_turn_does_not_come_is_told_of_the_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let mut config = config(Api::Legacy, port(&silent));
    config.in_flight = 1;
    config.deadline = HASTY;
    let places = Arc::new(places(TokioNet, config));
    let mut asking = JoinSet::new();
    for radius in 1..=20 {
        let places = Arc::clone(&places);
        let look_up = look_up(&radius.to_string(), 1);
        asking.spawn(async move { failure(&ask(&places, &look_up).await) });
    }
    let words = asking.join_all().await;
    assert!(
        words.iter().any(|word| word == "UNKNOWN_ERROR"),
        "{words:?}"
    );
    assert!(
        words.iter().any(|word| word == "OVER_QUERY_LIMIT"),
        "{words:?}"
    );
}

/// A network that panics when it connects.
#[derive(Clone)]
struct Broken;

impl Net for Broken {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn listen(&self, at: &Address) -> io::Result<TcpListener> {
        TokioNet.listen(at).await
    }

    async fn connect(&self, _: &Address) -> io::Result<Connection<TcpStream>> {
        panic!("a bug")
    }

    fn now(&self) -> Timestamp {
        TokioNet.now()
    }
}

#[tokio::test]
#[should_panic(expected = "a question's task gives an answer")]
async fn a_panic_under_way_is_a_panic_of_who_asked() {
    let places = places(Broken, config(Api::Legacy, 1));
    ask(&places, &look_up("10000", 1)).await;
}
