//! The body that a client receives: places, or an error in the API's own words.
//!
//! All functions are pure. None of them knows the key, so no text that they write can contain it.

use super::query::Api;
use super::trim::{Trimmed, trim};

/// A complete HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// The body of the response.
    pub body: Vec<u8>,
}

/// Why a look-up got no usable answer from Places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No key is configured, so no request was sent.
    NoKey,
    /// The connection could not be opened, or broke before the answer was complete.
    Unreachable,
    /// No complete answer came before the deadline.
    Late,
    /// The limit of look-ups in flight was reached until this one's deadline, so no request was
    /// sent.
    Busy,
    /// The answer is larger than the limit.
    TooLarge,
    /// The look-up can't be written as a request, for example because its location is too long.
    Unaskable,
    /// The HTTP status is not 200, and is not one by which Places refuses.
    Status(u16),
    /// The HTTP status is 200, but the body is not documented by the API.
    Malformed,
}

/// A refusal by Places, in the legacy API's words. Those of the new API are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The key is bad or restricted, or its project lacks the API or billing. A retry can't help.
    RequestDenied,
    /// The quota of the key's project is used up.
    OverQueryLimit,
    /// The daily budget is used up, or there is no billing. A retry can't help.
    OverDailyLimit,
    /// The request is invalid. A retry can't help.
    InvalidRequest,
    /// An error at Google's end. The API documents that a retry may help.
    UnknownError,
}

/// The outcome of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Places answered, possibly with an empty list.
    Answered,
    /// Places refused the request.
    Denied(Denial),
    /// Places gave no answer, or no usable one.
    Failed(Failure),
}

/// The body for a client, and the outcome that it reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The body for the client.
    pub body: Vec<u8>,
    /// The outcome of the look-up.
    pub outcome: Outcome,
    /// The message of a denial, as Places sent it. It is untrusted, and may even contain the key.
    pub said: Option<String>,
}

impl Failure {
    /// The status that a client reads, one of the API's own.
    fn word(self) -> &'static str {
        match self {
            Self::NoKey => "REQUEST_DENIED",
            Self::Busy => "OVER_QUERY_LIMIT",
            Self::Unaskable => "INVALID_REQUEST",
            Self::Unreachable | Self::Late | Self::TooLarge | Self::Status(_) | Self::Malformed => {
                "UNKNOWN_ERROR"
            }
        }
    }

    /// The message for the client. Nothing in it needs an escape in JSON.
    pub(super) fn message(self) -> String {
        let text = match self {
            Self::NoKey => "This server has no key for Places.",
            Self::Unreachable => "Places can't be reached.",
            Self::Late => "Places did not answer in time.",
            Self::Busy => "Too many look-ups are under way at this server.",
            Self::TooLarge => "The answer of Places is too large.",
            Self::Unaskable => "Places can't be asked about this location.",
            Self::Status(status) => return format!("Places answered with HTTP status {status}."),
            Self::Malformed => "The answer of Places is malformed.",
        };
        text.to_owned()
    }
}

impl Denial {
    /// All denials, to find one by its word.
    const ALL: [Self; 5] = [
        Self::RequestDenied,
        Self::OverQueryLimit,
        Self::OverDailyLimit,
        Self::InvalidRequest,
        Self::UnknownError,
    ];

    /// The legacy API's status for this denial.
    fn word(self) -> &'static str {
        match self {
            Self::RequestDenied => "REQUEST_DENIED",
            Self::OverQueryLimit => "OVER_QUERY_LIMIT",
            Self::OverDailyLimit => "OVER_DAILY_LIMIT",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::UnknownError => "UNKNOWN_ERROR",
        }
    }

    /// The message for the client, if Places sent none that it can read. Nothing in it needs an
    /// escape in JSON.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::RequestDenied => "Places does not accept this server's key.",
            Self::OverQueryLimit => "Places gets too many requests.",
            Self::OverDailyLimit => "Places has answered as many requests as it will today.",
            Self::InvalidRequest => "Places does not understand the request.",
            Self::UnknownError => "Places failed.",
        }
    }

    /// The denial that an HTTP status means without a body.
    fn of_http(status: u16) -> Option<Self> {
        match status {
            400 => Some(Self::InvalidRequest),
            401 | 403 => Some(Self::RequestDenied),
            429 => Some(Self::OverQueryLimit),
            _ => None,
        }
    }
}

/// The fields of a body that report an error, in either API.
#[derive(Default, serde::Deserialize)]
struct ApiStatus {
    status: Option<String>,
    error_message: Option<String>,
    error: Option<RpcError>,
}

/// An error in the form of Google's newer APIs, which comes with any HTTP status. A field of
/// another type than documented makes the body no such error.
#[derive(serde::Deserialize)]
struct RpcError {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Vec<RpcDetail>,
}

#[derive(serde::Deserialize)]
struct RpcDetail {
    #[serde(default)]
    reason: String,
}

impl RpcError {
    /// The denial that this error means, if that is known.
    fn denial(&self) -> Option<Denial> {
        let mut reasons = self.details.iter().map(|detail| detail.reason.as_str());
        // A bad key is reported as an invalid argument. Only the reason, or else the message,
        // distinguishes it from an invalid request.
        let is_key = reasons.any(|reason| reason.starts_with("API_KEY_"));
        if is_key || self.message.starts_with("API key ") {
            return Some(Denial::RequestDenied);
        }
        match self.status.as_str() {
            "PERMISSION_DENIED" | "UNAUTHENTICATED" => Some(Denial::RequestDenied),
            "RESOURCE_EXHAUSTED" => Some(Denial::OverQueryLimit),
            "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => {
                Some(Denial::InvalidRequest)
            }
            "UNKNOWN" | "INTERNAL" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "ABORTED" => {
                Some(Denial::UnknownError)
            }
            _ => None,
        }
    }
}

impl ApiStatus {
    /// Parses a body. A body that is not JSON has no fields.
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The denial in a body of the legacy API, if any. An undocumented status counts as an unknown
    /// error.
    fn legacy_denial(&self) -> Option<Denial> {
        let word = self.status.as_deref()?;
        if matches!(word, "" | "OK" | "ZERO_RESULTS") {
            return None;
        }
        let known = Denial::ALL.into_iter().find(|denial| denial.word() == word);
        Some(known.unwrap_or(Denial::UnknownError))
    }
}

/// A body in the legacy API's shape with an error and no places.
fn without_places(word: &str, message: &str) -> Vec<u8> {
    format!(
        "{{\n   \"error_message\" : \"{message}\",\n   \"html_attributions\" : [],\n   \"results\" : [],\n   \"status\" : \"{word}\"\n}}"
    )
    .into_bytes()
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self {
            body: without_places(failure.word(), &failure.message()),
            outcome: Outcome::Failed(failure),
            said: None,
        }
    }
}

impl Answer {
    /// The answer for a denial whose own body a client could not read.
    fn denied(denial: Denial, said: Option<String>) -> Self {
        Self {
            body: without_places(denial.word(), denial.message()),
            outcome: Outcome::Denied(denial),
            said,
        }
    }
}

/// The body that a client gets: the API's own with up to `bound` places, or an error in the legacy
/// API's shape. It has no two LFs in a row, and none at its end.
///
/// A body of the legacy API that reports an error itself (such as `OVER_QUERY_LIMIT`) is passed on.
pub fn body(api: Api, fetched: Result<&Reply, Failure>, bound: u8) -> Vec<u8> {
    answer(api, fetched, bound).body
}

/// Like [`body`], but also returns the outcome.
pub fn answer(api: Api, fetched: Result<&Reply, Failure>, bound: u8) -> Answer {
    match fetched {
        Err(failure) => failure.into(),
        Ok(Reply { status: 200, body }) => answered(api, body, bound),
        Ok(Reply { status, body }) => {
            let error = ApiStatus::of(body).error;
            let denial = error.as_ref().and_then(RpcError::denial);
            match denial.or(Denial::of_http(*status)) {
                Some(denial) => Answer::denied(denial, error.map(|error| error.message)),
                None => Failure::Status(*status).into(),
            }
        }
    }
}

/// The answer for a body with HTTP status 200.
fn answered(api: Api, body: &[u8], bound: u8) -> Answer {
    let Ok(Trimmed { text, has_list }) = trim(body, api.list(), bound.into()) else {
        return Failure::Malformed.into();
    };
    let said = ApiStatus::of(&text);
    if !has_list && let Some(error) = said.error {
        let denial = error.denial().unwrap_or(Denial::UnknownError);
        return Answer::denied(denial, Some(error.message));
    }
    let denial = match api {
        Api::Legacy => said.legacy_denial(),
        // The new API refuses only by an `error`.
        Api::New => None,
    };
    match denial {
        Some(denial) => Answer {
            body: text,
            outcome: Outcome::Denied(denial),
            said: said.error_message,
        },
        // The new API omits an empty list.
        None if has_list || api == Api::New => Answer {
            body: text,
            outcome: Outcome::Answered,
            said: None,
        },
        None => Failure::Malformed.into(),
    }
}

/// Whether a refusal may pass within moments, so that a retry can help. That is so for HTTP
/// statuses of too many requests and of server errors, and for the legacy API's `UNKNOWN_ERROR`.
/// Its `OVER_QUERY_LIMIT` is about quotas of a minute or a day, so a retry would only use up more.
pub(super) fn may_pass(api: Api, reply: &Reply) -> bool {
    let word = Denial::UnknownError.word();
    match reply.status {
        429 | 500.. => true,
        // Few bodies contain the word, so few are parsed again.
        200 if api == Api::Legacy
            && memchr::memmem::find(&reply.body, word.as_bytes()).is_some() =>
        {
            ApiStatus::of(&reply.body).status.as_deref() == Some(word)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
