//! The URL of Places, as users write it.

use std::fmt;

use hyper::Uri;

use super::BadValue;
use crate::herd::Address;
use crate::places::Api;

/// A URL `http://HOST[:PORT][/PATH]`, or the same with `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesUrl {
    /// Whether the scheme is `https`.
    pub encrypted: bool,
    /// The host and the port.
    pub address: Address,
    /// The path, with its slash.
    pub path: String,
}

impl PlacesUrl {
    /// The URL at which Google serves this version of the API.
    pub fn google(api: Api) -> Self {
        let host = match api {
            Api::Legacy => "maps.googleapis.com",
            Api::New => "places.googleapis.com",
        };
        Self {
            encrypted: true,
            address: Address {
                host: host.to_owned(),
                port: 443,
            },
            path: api.path().to_owned(),
        }
    }

    /// Parses a URL. User, query and fragment are rejected, since they may contain a password or a
    /// key, and no message repeats the text.
    pub(super) fn parse(text: &str) -> Result<Self, BadValue> {
        let shape = || BadValue::new("a URL of Places is such as `http://127.0.0.1:8080/path`");
        let uri: Uri = text.parse().map_err(|_| shape())?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(shape()),
        };
        let authority = uri.authority().ok_or_else(shape)?;
        if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            let text =
                "a URL of Places has no user, query or fragment; the key has a file of its own";
            return Err(BadValue::new(text));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if encrypted { 443 } else { 80 });
        if host.is_empty() || port == 0 {
            return Err(shape());
        }
        Ok(Self {
            encrypted,
            address: Address { host, port },
            path: uri.path().to_owned(),
        })
    }
}

impl fmt::Display for PlacesUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        let Self { address, path, .. } = self;
        write!(f, "{scheme}://{address}{path}")
    }
}
