//! What a client receives: the places that were found, or what went wrong, in the API's own words.
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
    /// No key is configured, so no request was sent.
    NoKey,
    /// No connection, or one that broke before the answer was whole.
    Unreachable,
    /// No whole answer before the deadline.
    Late,
    /// As many look-ups were under way as the limit allows, until this one's deadline: it was not begun.
    Busy,
    /// The answer is larger than the limit.
    TooLarge,
    /// The look-up can't be written as a request.
    Unaskable,
    /// An HTTP status other than 200 that is none of Places' own refusals.
    Status(u16),
    /// Status 200, and a body that the API does not document.
    Malformed,
}

/// How Places itself says no, by the legacy API's words. The new API's are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The key is bad or restricted, or its project lacks the API or billing. Trying again can't help.
    RequestDenied,
    /// Too many requests for the quota of the key's project.
    OverQueryLimit,
    /// The day's budget is spent, or there is no billing. Trying again can't help.
    OverDailyLimit,
    /// The request is wrong. Trying again can't help.
    InvalidRequest,
    /// An error at Google's end. The API documents that trying again may help.
    UnknownError,
}

/// What became of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Places were found, or Places said that there are none.
    Answered,
    /// Places said no.
    Denied(Denial),
    /// There was no answer, or none that could be used.
    Failed(Failure),
}

/// What a client receives, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The body that the client gets.
    pub body: Vec<u8>,
    /// What became of the look-up.
    pub outcome: Outcome,
    /// What Places itself said of a denial. Anybody may have written it: it may even hold the key.
    pub said: Option<String>,
}

impl Failure {
    /// The API's own word for it.
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

    /// What happened. Nothing in it needs an escape in JSON.
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
    /// All of them.
    const ALL: [Self; 5] = [
        Self::RequestDenied,
        Self::OverQueryLimit,
        Self::OverDailyLimit,
        Self::InvalidRequest,
        Self::UnknownError,
    ];

    /// The legacy API's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::RequestDenied => "REQUEST_DENIED",
            Self::OverQueryLimit => "OVER_QUERY_LIMIT",
            Self::OverDailyLimit => "OVER_DAILY_LIMIT",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::UnknownError => "UNKNOWN_ERROR",
        }
    }

    /// What happened, where Places does not say it to the client itself. Nothing in it needs an escape in JSON.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::RequestDenied => "Places does not accept this server's key.",
            Self::OverQueryLimit => "Places gets too many requests.",
            Self::OverDailyLimit => "Places has answered as many requests as it will today.",
            Self::InvalidRequest => "Places does not understand the request.",
            Self::UnknownError => "Places failed.",
        }
    }

    /// What an HTTP status says by itself.
    fn of_http(status: u16) -> Option<Self> {
        match status {
            400 => Some(Self::InvalidRequest),
            401 | 403 => Some(Self::RequestDenied),
            429 => Some(Self::OverQueryLimit),
            _ => None,
        }
    }
}

/// What either API says of itself in a body, beside its places.
#[derive(Default, serde::Deserialize)]
struct ApiStatus {
    status: Option<String>,
    error_message: Option<String>,
    error: Option<RpcError>,
}

/// How Google's newer APIs write an error, whatever the HTTP status. A field that is not what is documented makes the
/// whole no error of theirs.
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
    /// What the error is in the legacy API's words, if that follows from it.
    fn denial(&self) -> Option<Denial> {
        let mut reasons = self.details.iter().map(|detail| detail.reason.as_str());
        // A bad key is called an invalid argument, and only the reason (or, without details, the message) tells it from a
        // request that is wrong.
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
    /// What can be read of it; nothing of what is no JSON.
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The legacy API's status, if it says no. Another word than those that it documents is an error of an unknown kind.
    fn legacy_denial(&self) -> Option<Denial> {
        let word = self.status.as_deref()?;
        if matches!(word, "" | "OK" | "ZERO_RESULTS") {
            return None;
        }
        let known = Denial::ALL.into_iter().find(|denial| denial.word() == word);
        Some(known.unwrap_or(Denial::UnknownError))
    }
}

/// A body in the legacy API's own shape that says what went wrong and names no place.
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
    /// Places said no, and not in a body that a client could read.
    fn denied(denial: Denial, said: Option<String>) -> Self {
        Self {
            body: without_places(denial.word(), denial.message()),
            outcome: Outcome::Denied(denial),
            said,
        }
    }
}

/// The body that a client gets: the API's own, with at most `bound` places, or one of the legacy
/// API's shape that says what went wrong. No two LFs in a row, none at its end.
///
/// A body that says itself what went wrong (`OVER_QUERY_LIMIT` and the like) is the API's own.
pub fn body(api: Api, fetched: Result<&Reply, Failure>, bound: u8) -> Vec<u8> {
    answer(api, fetched, bound).body
}

/// As [`body`], with what it means.
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

/// What a body with HTTP status 200 says.
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
        // The new API says no by an error alone.
        Api::New => None,
    };
    match denial {
        Some(denial) => Answer {
            body: text,
            outcome: Outcome::Denied(denial),
            said: said.error_message,
        },
        // The new API leaves its list out when it would be empty.
        None if has_list || api == Api::New => Answer {
            body: text,
            outcome: Outcome::Answered,
            said: None,
        },
        None => Failure::Malformed.into(),
    }
}

/// Whether a reply says no in a way that may pass within moments: too many requests or an error at Google's end by its HTTP
/// status, or the legacy API's word for the latter. Its word for too many requests is about quotas of a minute or a day:
/// a retry would only use up more.
pub(super) fn may_pass(api: Api, reply: &Reply) -> bool {
    let word = Denial::UnknownError.word();
    match reply.status {
        429 | 500.. => true,
        // Few bodies hold the word, and only those are read once more.
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
