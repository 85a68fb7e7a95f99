//! What an operator sees when Places refuses requests, and how Places is reached.

use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deploy::KEY;
use crate::deploy::herd::{Files, Process};

/// A fake Places that gives every request this answer.
async fn places(answer: ResponseTemplate) -> MockServer {
    let google = MockServer::start().await;
    let mock = Mock::given(method("GET")).respond_with(answer);
    mock.mount(&google).await;
    google
}

#[tokio::test]
async fn a_denial_is_counted_and_logged_without_the_key_and_not_each_time() {
    let denied = "{\"results\":[],\"status\":\"REQUEST_DENIED\",\"error_message\":\"The provided API key is invalid.\"}";
    let google = places(ResponseTemplate::new(200).set_body_string(denied)).await;
    let files = Files::new().await;
    let (herd, url) = (files.herd(), format!("{}/nearby", google.uri()));
    let args = [
        "serve",
        "Riley",
        "--herd",
        &herd,
        "--places-url",
        &url,
        "--admin=127.0.0.1:0",
    ];
    let mut riley = Process::start(&args, &[("PLACES_API_KEY", KEY)]);
    let admin = riley.admin().await;
    files
        .ask("Riley", "IAMAT kiwi +1-1 5")
        .await
        .expect("an answer");
    for _ in 0..20 {
        let told = files
            .ask("Riley", "WHATSAT kiwi 1 1")
            .await
            .expect("an answer");
        assert!(told.contains("REQUEST_DENIED"), "{told}");
    }
    let sample = |status| format!("herd_look_ups_total{{status=\"{status}\"}}");
    assert_eq!(admin.metric(&sample("request_denied")).await, Some(20.0));
    assert_eq!(admin.metric(&sample("answered")).await, Some(0.0));
    riley
        .logs("look-up at Places ended with request_denied (The provided API key is invalid.): check the key")
        .await;
    assert_eq!(riley.stopped_by("TERM").await, Some(0));
    // The first refusal is logged at once, and the others later in one line.
    let said = riley.said();
    assert_eq!(
        said.matches("ended with request_denied").count(),
        2,
        "{said}"
    );
    assert!(
        said.contains("WARN") && said.contains("19 look-ups at Places"),
        "{said}"
    );
    assert!(!said.contains(KEY), "the key shows");
}

#[tokio::test]
async fn no_proxy_is_asked_if_none_is_to_be() {
    let found = "{\"results\":[],\"status\":\"ZERO_RESULTS\"}";
    let google = places(ResponseTemplate::new(200).set_body_string(found)).await;
    let files = Files::new().await;
    let (herd, url) = (files.herd(), format!("{}/nearby", google.uri()));
    let args = [
        "serve",
        "Riley",
        "--herd",
        &herd,
        "--places-url",
        &url,
        "--places-retries=0",
    ];
    for (no_proxy, word) in [
        ("*", "ZERO_RESULTS"),
        ("places.example.org", "UNKNOWN_ERROR"),
    ] {
        let environment = [
            ("PLACES_API_KEY", KEY),
            // No proxy listens there.
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("NO_PROXY", no_proxy),
        ];
        let mut riley = Process::start(&args, &environment);
        riley.logs("listens at").await;
        files
            .ask("Riley", "IAMAT kiwi +1-1 5")
            .await
            .expect("an answer");
        let told = files
            .ask("Riley", "WHATSAT kiwi 1 1")
            .await
            .expect("an answer");
        assert!(told.contains(word), "NO_PROXY={no_proxy}: {told}");
        assert_eq!(riley.stopped_by("TERM").await, Some(0));
    }
}
