//! How requests to Places are sent.

use std::time::Duration;

use super::key::ApiKey;
use super::query::{Api, FIELD_MASK};
use super::way::{BadProxy, Https, Proxy};
use crate::herd::Address;

/// Where Places is, how requests are sent to it, and how long and how often.
#[derive(Clone, Debug)]
pub struct PlacesConfig {
    /// Which version of the API it speaks.
    pub api: Api,
    /// Where it listens.
    pub address: Address,
    /// TLS; without it, plain HTTP.
    pub https: Option<Https>,
    /// The proxy through which requests are sent.
    pub proxy: Option<Proxy>,
    /// The path of Nearby Search there.
    pub path: String,
    /// The key. Without one no request is sent, and every look-up is answered `REQUEST_DENIED`.
    pub key: Option<ApiKey>,
    /// For the new API: which fields of each place are wanted.
    pub field_mask: String,
    /// A look-up is answered by then, whatever happens.
    pub deadline: Duration,
    /// An attempt, connecting included, is given up after this time.
    pub attempt_deadline: Duration,
    /// How often a look-up is tried again after a failure that may pass: no connection or one that was lost, an
    /// attempt that took too long, a status of 429 or from 500 on, the legacy API's `UNKNOWN_ERROR`.
    pub retries: usize,
    /// The pause before the first retry, less up to a half; doubled each time. Where Places says how long
    /// to wait (`Retry-After`), it is at least that long.
    pub retry_pause: Duration,
    /// If Places wants a longer pause than this, there is no retry.
    pub longest_pause: Duration,
    /// The largest body that is taken, in bytes.
    pub largest_body: usize,
    /// The number of requests that are under way at a time; further look-ups wait for their turn. One whose turn does
    /// not come before its deadline is answered `OVER_QUERY_LIMIT`.
    pub in_flight: usize,
    /// How long a connection that nobody uses is kept open.
    pub keep_alive: Duration,
}

impl PlacesConfig {
    /// The defaults, for Google's own Places, through the proxy that the environment wants for it, if any.
    pub fn google(api: Api, key: Option<ApiKey>, https: Https) -> Result<Self, BadProxy> {
        let (host, port) = (api.host().to_owned(), 443);
        let mut config = Self::new(api, Address { host, port }, key);
        config.https = Some(https);
        config.proxy = Proxy::from_env(&config.address, true)?;
        Ok(config)
    }

    /// The defaults, for Places at `address`, plain HTTP.
    pub fn new(api: Api, address: Address, key: Option<ApiKey>) -> Self {
        Self {
            api,
            address,
            https: None,
            proxy: None,
            path: api.path().to_owned(),
            key,
            field_mask: FIELD_MASK.to_owned(),
            deadline: Duration::from_secs(4),
            attempt_deadline: Duration::from_secs(2),
            retries: 2,
            retry_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(1),
            largest_body: 1 << 20,
            in_flight: 64,
            keep_alive: Duration::from_secs(30),
        }
    }
}
