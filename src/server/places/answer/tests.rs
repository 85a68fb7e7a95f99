use super::{Denial, Failure, Outcome, Reply, answer, body, may_pass};
use crate::places::query::Api;

fn told(api: Api, status: u16, text: &str, bound: u8) -> String {
    let body_of = text.as_bytes().to_vec();
    let reply = Reply {
        status,
        body: body_of,
    };
    String::from_utf8(body(api, Ok(&reply), bound)).expect("UTF-8")
}

fn word(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(value["results"], serde_json::json!([]), "{text}");
    assert!(
        value["error_message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    value["status"].as_str().expect("a status").to_owned()
}

#[test]
fn each_http_status_has_a_word_of_the_api() {
    for (status, expected) in [
        (400, "INVALID_REQUEST"),
        (401, "REQUEST_DENIED"),
        (403, "REQUEST_DENIED"),
        (429, "OVER_QUERY_LIMIT"),
        (500, "UNKNOWN_ERROR"),
        (503, "UNKNOWN_ERROR"),
        (404, "UNKNOWN_ERROR"),
        (302, "UNKNOWN_ERROR"),
        (204, "UNKNOWN_ERROR"),
    ] {
        let text = told(Api::Legacy, status, "{\"results\":[]}", 1);
        assert_eq!(word(&text), expected, "{status}");
    }
}

#[test]
fn each_failure_has_a_word_of_the_api() {
    for (failure, expected) in [
        (Failure::NoKey, "REQUEST_DENIED"),
        (Failure::Unreachable, "UNKNOWN_ERROR"),
        (Failure::Late, "UNKNOWN_ERROR"),
        (Failure::Busy, "OVER_QUERY_LIMIT"),
        (Failure::TooLarge, "UNKNOWN_ERROR"),
        (Failure::Unaskable, "INVALID_REQUEST"),
        (Failure::Malformed, "UNKNOWN_ERROR"),
    ] {
        let text = body(Api::New, Err(failure), 1);
        assert_eq!(word(std::str::from_utf8(&text).expect("UTF-8")), expected);
    }
}

#[test]
fn a_failure_looks_as_the_api_would_write_it() {
    let text = body(Api::Legacy, Err(Failure::NoKey), 1);
    assert_eq!(
        String::from_utf8(text).expect("UTF-8"),
        "{\n   \"error_message\" : \"This server has no key for Places.\",\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"REQUEST_DENIED\"\n}"
    );
}

#[test]
fn a_body_that_says_itself_what_went_wrong_passes() {
    for text in [
        r#"{"results":[],"status":"OVER_QUERY_LIMIT"}"#,
        r#"{"results":[],"status":"ZERO_RESULTS"}"#,
        r#"{"status":"REQUEST_DENIED","error_message":"no"}"#,
    ] {
        assert_eq!(told(Api::Legacy, 200, text, 1), text);
    }
}

#[test]
fn a_body_without_its_list_is_malformed_in_the_legacy_api_only() {
    for text in [
        "{}",
        r#"{"status":"OK"}"#,
        r#"{"status":7}"#,
        "[]",
        "",
        "nonsense",
    ] {
        assert_eq!(
            word(&told(Api::Legacy, 200, text, 1)),
            "UNKNOWN_ERROR",
            "{text}"
        );
    }
    assert_eq!(told(Api::New, 200, "{}\n", 1), "{}");
    assert_eq!(
        word(&told(Api::New, 200, "{\"places\":1}", 1)),
        "UNKNOWN_ERROR"
    );
    assert_eq!(
        told(Api::New, 200, "{\"places\":[1,2]}", 1),
        "{\"places\":[1]}"
    );
}

fn outcome(api: Api, status: u16, text: &str) -> (Outcome, String, Option<String>) {
    let body = text.as_bytes().to_vec();
    let answer = answer(api, Ok(&Reply { status, body }), 5);
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let word = told["status"].as_str().unwrap_or_default().to_owned();
    (answer.outcome, word, answer.said)
}

#[test]
fn a_legacy_body_that_says_no_is_no_answer() {
    for (word, denial) in [
        ("REQUEST_DENIED", Denial::RequestDenied),
        ("OVER_QUERY_LIMIT", Denial::OverQueryLimit),
        ("OVER_DAILY_LIMIT", Denial::OverDailyLimit),
        ("INVALID_REQUEST", Denial::InvalidRequest),
        ("UNKNOWN_ERROR", Denial::UnknownError),
        // An undocumented status carries no places, so it counts as an unknown error.
        ("NOT_FOUND", Denial::UnknownError),
    ] {
        for list in ["\"results\":[],", ""] {
            let text = format!("{{{list}\"status\":\"{word}\",\"error_message\":\"no\"}}");
            let expected = (
                Outcome::Denied(denial),
                word.to_owned(),
                Some("no".to_owned()),
            );
            assert_eq!(outcome(Api::Legacy, 200, &text), expected);
        }
    }
    for word in ["OK", "ZERO_RESULTS"] {
        let text = format!("{{\"results\":[],\"status\":\"{word}\"}}");
        assert_eq!(outcome(Api::Legacy, 200, &text).0, Outcome::Answered);
    }
}

#[test]
fn an_error_of_the_new_api_has_the_legacy_word_for_it() {
    let key = r#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT","details":[{"@type":"t"},{"reason":"API_KEY_INVALID"}]}}"#;
    let key_without_details =
        r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}"#;
    let error = |status: &str| format!(r#"{{"error":{{"message":"x","status":"{status}"}}}}"#);
    for (status, text, denial) in [
        (400, key.to_owned(), Denial::RequestDenied),
        (400, key_without_details.to_owned(), Denial::RequestDenied),
        (400, error("INVALID_ARGUMENT"), Denial::InvalidRequest),
        (403, error("PERMISSION_DENIED"), Denial::RequestDenied),
        (401, error("UNAUTHENTICATED"), Denial::RequestDenied),
        (429, error("RESOURCE_EXHAUSTED"), Denial::OverQueryLimit),
        (500, error("INTERNAL"), Denial::UnknownError),
        // The error in the body takes precedence over the HTTP status.
        (400, error("RESOURCE_EXHAUSTED"), Denial::OverQueryLimit),
        // Without an error in the body the HTTP status counts.
        (403, "<html>".to_owned(), Denial::RequestDenied),
        (429, r#"{"error":"no"}"#.to_owned(), Denial::OverQueryLimit),
        // An error in the body counts even with status 200.
        (200, error("PERMISSION_DENIED"), Denial::RequestDenied),
        (200, error("NOT_DOCUMENTED"), Denial::UnknownError),
    ] {
        for api in [Api::Legacy, Api::New] {
            let (outcome, word, said) = outcome(api, status, &text);
            assert_eq!(outcome, Outcome::Denied(denial), "{status} {text}");
            assert_eq!(word, denial.word(), "{status} {text}");
            assert_eq!(said.is_some(), text.contains("message"), "{status} {text}");
        }
    }
    let text = error("NOT_FOUND");
    let (outcome, word, _) = outcome(Api::New, 404, &text);
    assert_eq!(outcome, Outcome::Failed(Failure::Status(404)));
    assert_eq!(word, "UNKNOWN_ERROR");
}

#[test]
fn only_what_may_pass_is_worth_another_try() {
    let passes = |api, status, text: &str| {
        let body = text.as_bytes().to_vec();
        may_pass(api, &Reply { status, body })
    };
    for word in [
        "REQUEST_DENIED",
        "OVER_QUERY_LIMIT",
        "OVER_DAILY_LIMIT",
        "INVALID_REQUEST",
        "OK",
    ] {
        let text = format!(r#"{{"results":[{{"name":"UNKNOWN_ERROR"}}],"status":"{word}"}}"#);
        assert!(!passes(Api::Legacy, 200, &text), "{word}");
    }
    assert!(passes(Api::Legacy, 200, r#"{"status":"UNKNOWN_ERROR"}"#));
    for (status, may) in [
        (400, false),
        (403, false),
        (404, false),
        (429, true),
        (503, true),
    ] {
        assert_eq!(passes(Api::New, status, ""), may, "{status}");
    }
}
