//! What Places answers in a scenario.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::diag::Span;

/// Which requests to Places are answered how. The first table that matches and is not used up answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacesTable {
    /// Where the file says so.
    pub span: Span,
    /// Only requests around this place, as the API is queried for it: `34.068930,-118.445127`.
    pub near: Option<String>,
    /// Only requests with this radius in metres.
    pub radius: Option<u32>,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: PlacesBody,
    /// How long the answer takes, in simulated time, the network's latency aside.
    pub delay: Duration,
    /// The number of answers after which the table is used up; if not given, it never is.
    pub times: Option<u64>,
    /// How many requests it must answer, exactly.
    pub expect: Option<u64>,
    /// Whether it is all right if no request comes.
    pub maybe: bool,
    /// What goes wrong with the answer.
    pub fault: Option<PlacesFault>,
}

/// The body of an answer of Places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacesBody {
    /// These bytes.
    Given(Vec<u8>),
    /// This number of invented places, in the API's own shape.
    Invented(u8),
}

/// What goes wrong with an answer of Places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlacesFault {
    /// The request is taken, and no answer ever comes.
    Hang,
    /// The request is taken, and the connection ends without an answer.
    Close,
    /// The connection ends in the middle of the body.
    Cut,
}
