//! The settings of requests to Places.

use std::time::Duration;

use super::key::ApiKey;
use super::query::{Api, FIELD_MASK};
use super::way::{BadProxy, Https, Proxy};
use crate::herd::Address;

/// The address of Places, and the settings, deadlines and limits of requests to it.
#[derive(Clone, Debug)]
pub struct PlacesConfig {
    /// The version of the API that is used.
    pub api: Api,
    /// The address of the API.
    pub address: Address,
    /// TLS to the API, or `None` for plain HTTP.
    pub https: Option<Https>,
    /// The proxy through which requests are sent, if any.
    pub proxy: Option<Proxy>,
    /// The path of Nearby Search at that address.
    pub path: String,
    /// The key. Without it no request is sent, and every look-up is answered `REQUEST_DENIED`.
    pub key: Option<ApiKey>,
    /// The fields of each place that are requested, for the new API only.
    pub field_mask: String,
    /// The time limit for a look-up. When it is over the client gets an error.
    pub deadline: Duration,
    /// The time limit for an attempt, including the connect.
    pub attempt_deadline: Duration,
    /// The number of retries after a failure that may pass: a failed or lost connection, an attempt
    /// that took too long, a status of 429 or from 500 on, or the legacy API's `UNKNOWN_ERROR`.
    pub retries: usize,
    /// The pause before the first retry, which doubles with each further retry. Up to half of it is
    /// subtracted as jitter. A pause that Places requests (`Retry-After`) is the minimum.
    pub retry_pause: Duration,
    /// The longest pause. If Places requests a longer one, there is no retry.
    pub longest_pause: Duration,
    /// The largest body that is accepted, in bytes.
    pub largest_body: usize,
    /// The number of requests that can be in flight at a time. Further look-ups wait; one that
    /// still waits at its deadline is answered `OVER_QUERY_LIMIT`.
    pub in_flight: usize,
    /// How long an idle connection is kept open.
    pub keep_alive: Duration,
}

impl PlacesConfig {
    /// The defaults for Google's own Places, through the proxy that the environment names for it,
    /// if any.
    pub fn google(api: Api, key: Option<ApiKey>, https: Https) -> Result<Self, BadProxy> {
        let (host, port) = (api.host().to_owned(), 443);
        let mut config = Self::new(api, Address { host, port }, key);
        config.https = Some(https);
        config.proxy = Proxy::from_env(&config.address, true)?;
        Ok(config)
    }

    /// The defaults for Places at `address`, over plain HTTP.
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
