//! What a server has to show and what it wants to see, and the ring on which that can be replaced.

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

/// Who may speak on a server's ports, and how it proves itself to others.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Between servers.
    pub servers: Servers,
    /// For clients: TLS, in which they need no certificate. Without it they speak as they come.
    pub clients: Option<ClientTls>,
}

/// How servers prove to each other who they are.
#[derive(Clone, Debug, Default)]
pub enum Servers {
    /// Not at all: whoever reaches the port may say that it is a neighbour.
    #[default]
    Open,
    /// Both know a secret. That proves that they belong to the herd, not which server they are.
    Secret(Secret),
    /// Both have a certificate for their own name by an authority that the other trusts.
    Tls(Tls),
}

/// Credentials are not what they must be. Nothing was changed.
///
/// It holds no part of a key or a secret.
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

/// Holds the credentials in force. Its clones are the same ring.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<watch::Sender<Arc<Credentials>>>);

impl Keyring {
    /// A ring with `credentials` on it.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(credentials))))
    }

    /// From now on these are in force. Links with servers whose proof does not satisfy them end at once, and
    /// are dialled again; those of the others go on.
    pub fn replace(&self, credentials: Credentials) {
        self.0.send_replace(Arc::new(credentials));
    }

    /// What is in force now.
    pub(super) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.borrow())
    }

    pub(super) fn changes(&self) -> watch::Receiver<Arc<Credentials>> {
        self.0.subscribe()
    }
}

/// What time it is, for those who judge certificates: the clock of a [`Net`].
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
