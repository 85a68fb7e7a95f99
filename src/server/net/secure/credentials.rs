//! A server's own credentials, those that it requires of others, and a keyring on which both can be
//! replaced.

use std::sync::Arc;

use ::tokio::sync::watch;

use super::secret::Secret;
use super::tls::{ClientTls, Tls};

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
