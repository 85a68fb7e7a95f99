//! A server's own credentials, those that it requires of others, and a keyring on which both can be
//! replaced.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::sync::watch;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::secret::Secret;
use super::tls::{ClientTls, Tls};
use crate::net::Net;
use crate::protocol::time::Timestamp;

/// A server's own credentials, and those that it requires of its peers.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The authentication between servers.
    pub servers: Servers,
    /// TLS for clients, who need no certificate. Without it their connections are plain.
    pub clients: Option<ClientTls>,
}

/// How servers authenticate each other.
#[derive(Clone, Debug, Default)]
pub enum Servers {
    /// Not at all: any server that reaches the port can claim a neighbour's name.
    #[default]
    Open,
    /// Both know a secret. It proves that they belong to the herd, but not which servers they are.
    Secret(Secret),
    /// Each has a certificate for its own name, from an authority that the other trusts.
    Tls(Tls),
}

/// Credentials are invalid. Those in force did not change.
///
/// The error contains no part of a key or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct CredentialsError {
    place: String,
    what: String,
}

impl CredentialsError {
    pub(crate) fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            what: what.into(),
        }
    }
}

/// The credentials in force, shared by all clones.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<watch::Sender<Arc<Credentials>>>);

impl Keyring {
    /// A keyring with these `credentials`.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(credentials))))
    }

    /// Puts `credentials` in force. Links whose proof does not satisfy them end at once and are
    /// dialled again; other links stay.
    pub fn replace(&self, credentials: Credentials) {
        self.0.send_replace(Arc::new(credentials));
    }

    /// The credentials in force.
    pub(super) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.borrow())
    }

    pub(super) fn changes(&self) -> watch::Receiver<Arc<Credentials>> {
        self.0.subscribe()
    }
}

/// The clock of a [`Net`], by which certificates are checked.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine on `net`.
    pub fn of<N: Net>(net: &N) -> Self {
        let net = net.clone();
        Self::from_fn(move || net.now())
    }

    pub(super) fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> UnixTime {
        let seconds = (self.0)().as_nanos() / 1_000_000_000;
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or_default()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}
