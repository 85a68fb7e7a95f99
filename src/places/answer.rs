//! What a client is told: the places that were found, or what went wrong, in the API's own words.
//!
//! Pure. Nothing in here knows the key, so no text of it can hold it.

use super::query::Api;
use super::trim::{Trimmed, trim};

/// An answer over HTTP, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No key is configured, so nothing was asked.
    NoKey,
    /// No connection, or one that broke before the answer was whole.
    Unreachable,
    /// No whole answer before the deadline.
    Late,
    /// So many look-ups were under way that this one was not begun before its deadline.
    Busy,
    /// The answer is larger than the limit.
    TooLarge,
    /// The look-up can't be written as a request.
    Unaskable,
    /// An HTTP status other than 200.
    Status(u16),
    /// Status 200, and a body that the API does not document.
    Malformed,
}

impl Failure {
    /// The API's own word for it.
    fn word(self) -> &'static str {
        match self {
            Self::NoKey | Self::Status(401 | 403) => "REQUEST_DENIED",
            Self::Busy | Self::Status(429) => "OVER_QUERY_LIMIT",
            Self::Unaskable | Self::Status(400) => "INVALID_REQUEST",
            Self::Unreachable | Self::Late | Self::TooLarge | Self::Status(_) | Self::Malformed => {
                "UNKNOWN_ERROR"
            }
        }
    }

    /// What happened. Nothing in it needs an escape in JSON.
    fn message(self) -> String {
        let text = match self {
            Self::NoKey => "This server has no key for Places.",
            Self::Unreachable => "Places can't be reached.",
            Self::Late => "Places did not answer in time.",
            Self::Busy => "Too many look-ups are under way at this server.",
            Self::TooLarge => "The answer of Places is too large.",
            Self::Unaskable => "Places can't be asked about this location.",
            Self::Status(429) => "Places gets too many requests.",
            Self::Status(401 | 403) => "Places does not accept this server's key.",
            Self::Status(400) => "Places does not understand the request.",
            Self::Status(status) => return format!("Places answered with HTTP status {status}."),
            Self::Malformed => "The answer of Places is malformed.",
        };
        text.to_owned()
    }

    /// A body in the legacy API's own shape that says so and names no place.
    pub(super) fn body(self) -> Vec<u8> {
        let (message, word) = (self.message(), self.word());
        format!(
            "{{\n   \"error_message\" : \"{message}\",\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"{word}\"\n}}"
        )
        .into_bytes()
    }
}

/// The body that a client gets: the API's own, with at most `bound` places, or one of the legacy
/// API's shape that says what went wrong. No two LFs in a row, none at its end.
///
/// A body that says itself what went wrong (`OVER_QUERY_LIMIT` and the like) is the API's own.
pub fn body(api: Api, fetched: Result<&Reply, Failure>, bound: u8) -> Vec<u8> {
    answer(api, fetched, bound).unwrap_or_else(Failure::body)
}

/// As [`body`], but what went wrong is still to be told.
pub fn answer(api: Api, fetched: Result<&Reply, Failure>, bound: u8) -> Result<Vec<u8>, Failure> {
    fetched.and_then(|reply| {
        if reply.status != 200 {
            return Err(Failure::Status(reply.status));
        }
        let trimmed = trim(&reply.body, api.list(), bound.into());
        let trimmed = trimmed.map_err(|_| Failure::Malformed)?;
        match api {
            Api::Legacy if !trimmed.has_list && !says_what_went_wrong(&trimmed) => {
                Err(Failure::Malformed)
            }
            // The new API leaves its list out when it would be empty.
            Api::Legacy | Api::New => Ok(trimmed.text),
        }
    })
}

/// Whether a legacy body without results gives a reason for having none.
fn says_what_went_wrong(body: &Trimmed) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        status: String,
    }
    serde_json::from_slice::<Said>(&body.text)
        .is_ok_and(|said| !matches!(said.status.as_str(), "" | "OK" | "ZERO_RESULTS"))
}

#[cfg(test)]
mod tests {
    use super::{Failure, Reply, body};
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
}
