//! What the other end of a connection proved itself to be, and whether that still holds.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::tokio::time::sleep;
use futures_lite::future::or;
use rustls::pki_types::CertificateDer;

use super::credentials::{Credentials, Keyring, Servers};
use super::secret::Secret;
use super::tls;
use super::words::{Between, words};
use crate::protocol::visible;

/// How often to check whether a certificate has expired while its owner is linked.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The longest reason that is given for a failed handshake, in bytes: the other end may have its words in it.
const LONGEST_REASON: usize = 300;

/// What a handshake proved.
#[derive(Debug)]
pub(super) enum Proof {
    /// No proof was requested.
    Nothing,
    /// The other end knows this.
    Secret(Secret),
    /// The other end has the key of a certificate.
    Certificate {
        /// The certificate and those between it and an authority.
        chain: Vec<CertificateDer<'static>>,
        /// The server that was dialled, at that end.
        dialled: Option<String>,
    },
}

/// What the other end of a connection proved itself to be. The default is a network on which nobody proves
/// anything: there everybody is who they say they are.
#[derive(Clone, Default)]
pub struct Proved(Option<Arc<Inner>>);

struct Inner {
    keyring: Keyring,
    outcome: Mutex<Outcome>,
}

/// The outcome of the handshake so far.
enum Outcome {
    UnderWay,
    Over(Proof),
    Failed(String),
}

impl Inner {
    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proved {
    /// Nothing yet, and what will be has to satisfy what is on the `keyring`.
    pub(super) fn by(keyring: Keyring) -> Self {
        Self(Some(Arc::new(Inner {
            keyring,
            outcome: Mutex::new(Outcome::UnderWay),
        })))
    }

    pub(super) fn over(&self, proof: Proof) {
        if let Some(inner) = &self.0 {
            *inner.outcome() = Outcome::Over(proof);
        }
    }

    pub(super) fn failed(&self, error: &io::Error) {
        if let Some(inner) = &self.0 {
            *inner.outcome() = Outcome::Failed(reason(error));
        }
    }

    /// Why the other end may not call itself `name`, if it may not.
    pub fn refusal(&self, name: &str) -> Option<String> {
        let inner = self.0.as_ref()?;
        match &*inner.outcome() {
            Outcome::Over(Proof::Nothing | Proof::Secret(_)) => None,
            Outcome::Over(Proof::Certificate { chain, .. }) => {
                let is_so = tls::is_certified(chain, name);
                (!is_so).then(|| format!("the certificate is not for {name}"))
            }
            Outcome::UnderWay => Some("nothing was proved".to_owned()),
            Outcome::Failed(reason) => Some(reason.clone()),
        }
    }

    /// Whether a handshake is still to come to its end.
    pub fn is_under_way(&self) -> bool {
        let outcome = self.0.as_ref().map(|inner| inner.outcome());
        outcome.is_some_and(|outcome| matches!(*outcome, Outcome::UnderWay))
    }

    /// Why the handshake failed, if it did.
    pub fn failure(&self) -> Option<String> {
        match &*self.0.as_ref()?.outcome() {
            Outcome::Failed(reason) => Some(reason.clone()),
            Outcome::UnderWay | Outcome::Over(_) => None,
        }
    }

    /// Completes when the other end may no longer speak, and says why: other credentials are in force,
    /// or its certificate has expired.
    pub async fn revoked(&self) -> String {
        let Some(inner) = &self.0 else {
            return pending().await;
        };
        let mut changes = inner.keyring.changes();
        loop {
            let credentials = Arc::clone(&changes.borrow_and_update());
            if let Some(reason) = inner.revoked_by(&credentials) {
                return reason;
            }
            // The ring's own end of the channel lives as long as this does.
            let changed = async {
                let _ = changes.changed().await;
            };
            or(changed, sleep(LOOK_AGAIN)).await;
        }
    }
}

impl Inner {
    /// Why what was proved does not satisfy `credentials`, if it does not.
    fn revoked_by(&self, credentials: &Credentials) -> Option<String> {
        match (&*self.outcome(), &credentials.servers) {
            (Outcome::UnderWay | Outcome::Failed(_), _)
            | (Outcome::Over(Proof::Nothing), Servers::Open) => None,
            (Outcome::Over(Proof::Secret(old)), Servers::Secret(new)) => {
                (old != new).then(|| "the secret has changed".to_owned())
            }
            (Outcome::Over(Proof::Certificate { chain, dialled }), Servers::Tls(tls)) => {
                let verified = tls.verify(chain, dialled.as_deref());
                (verified.err()).map(|error| told(&words(&error, Between::Servers)))
            }
            _ => Some("servers have to prove who they are in another way now".to_owned()),
        }
    }
}

impl fmt::Debug for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proved").finish_non_exhaustive()
    }
}

/// The reason that is given for an error: in whole for one of TLS or of a secret, which have the words that help; the
/// kind alone for the system's.
fn reason(error: &io::Error) -> String {
    match error.get_ref() {
        Some(inner) => told(&inner.to_string()),
        None => error.kind().to_string(),
    }
}

/// Bounded, and without what could fake a log.
fn told(text: &str) -> String {
    let mut text = visible(text);
    if text.len() > LONGEST_REASON {
        text.truncate(text.floor_char_boundary(LONGEST_REASON));
        text.push('…');
    }
    text
}
