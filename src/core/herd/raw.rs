//! A herd file as written. The documentation of these types is that of the JSON Schema.

use serde::Deserialize;

use crate::document::{Located, TextOr};
use crate::units::LatencyRange;

/// A herd of servers: who they are, where they listen, and which of them are linked.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "sim", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "sim", schemars(rename = "Herd"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHerd {
    /// The herd's name. Servers refuse servers of a herd with another name.
    #[cfg_attr(feature = "sim", schemars(required))]
    pub(super) name: Option<Located<String>>,
    /// What is worth knowing about the herd.
    pub(super) about: Option<String>,
    /// Where all servers are that name no host of their own: a host's name or an IP address, by
    /// default `127.0.0.1`.
    pub(super) host: Option<Located<String>>,
    /// The servers: each a table such as `{ name = "Riley", port = 12200 }`, or only a name.
    #[cfg_attr(feature = "sim", schemars(required))]
    pub(super) servers: Option<Located<Vec<Located<TextOr<RawServer>>>>>,
    /// The links: each a string such as `"Riley-Jaquez"`, or a table such as
    /// `{ between = "Riley-Jaquez", latency = "35ms" }`. Links carry both ways; the server named
    /// first dials.
    pub(super) links: Option<Located<Vec<Located<TextOr<RawLink>>>>>,
}

/// A server.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "sim", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "sim", schemars(rename = "Server"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawServer {
    /// 1 to 64 letters, digits, `_`, `.` and `-`, beginning with a letter. Unique in the herd.
    #[cfg_attr(feature = "sim", schemars(required))]
    pub(super) name: Option<Located<String>>,
    /// Where this server is, if not at the herd's `host`.
    pub(super) host: Option<Located<String>>,
    /// The port for clients. By default 12200 for the first server, 12201 for the next, and so on.
    #[cfg_attr(feature = "sim", schemars(range(min = 1, max = 65535)))]
    pub(super) port: Option<Located<i64>>,
    /// The port for other servers. By default `port + 10000`.
    #[cfg_attr(feature = "sim", schemars(range(min = 1, max = 65535)))]
    pub(super) peer_port: Option<Located<i64>>,
}

/// A link with its own latency.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "sim", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "sim", schemars(rename = "Link"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLink {
    /// The two servers, such as `"Riley-Jaquez"`.
    #[cfg_attr(feature = "sim", schemars(required))]
    pub(super) between: Option<Located<String>>,
    /// How long a message takes on this link either way, in simulations.
    pub(super) latency: Option<LatencyRange>,
}
