//! The identity that the other end of a connection has proved, and whether the proof is still
//! valid.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::tokio::time::sleep;
use futures_lite::future::or;

use super::credentials::{Credentials, Keyring, Servers};
use super::handshake::Proof;
use super::tls;
use super::words::{Between, words};
use crate::protocol::visible;

/// How often to check whether a linked server's certificate has expired.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The limit on the reason for a failed handshake, in bytes, since the other end may have written
/// it.
const LONGEST_REASON: usize = 300;

/// The identity that the other end of a connection has proved. The default is for a network without
/// authentication, where any name is accepted.
#[derive(Clone, Default)]
pub struct Proved(Option<Arc<Inner>>);

struct Inner {
    keyring: Keyring,
    outcome: Mutex<Outcome>,
}

/// The state of the handshake.
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
    /// The state before the handshake, whose proof has to satisfy the `keyring`.
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

    /// Why the other end may not use `name`, or `None` if it may.
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

    /// Whether the handshake is not over yet.
    pub fn is_under_way(&self) -> bool {
        let outcome = self.0.as_ref().map(|inner| inner.outcome());
        outcome.is_some_and(|outcome| matches!(*outcome, Outcome::UnderWay))
    }

    /// Why the handshake failed, or `None` if it did not.
    pub fn failure(&self) -> Option<String> {
        match &*self.0.as_ref()?.outcome() {
            Outcome::Failed(reason) => Some(reason.clone()),
            Outcome::UnderWay | Outcome::Over(_) => None,
        }
    }

    /// Waits until the proof is no longer valid, and returns why: other credentials are in force,
    /// or the certificate has expired.
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
            // This can't fail, because the keyring in `inner` owns a sender of this channel.
            let changed = async {
                let _ = changes.changed().await;
            };
            or(changed, sleep(LOOK_AGAIN)).await;
        }
    }
}

impl Inner {
    /// Why the proof does not satisfy `credentials`, or `None` if it does.
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

/// The reason for an error of a handshake. Errors of TLS and of secrets are given in full, since
/// their texts say what to do, but system errors only by their kind.
fn reason(error: &io::Error) -> String {
    match error.get_ref() {
        Some(inner) => told(&inner.to_string()),
        None => error.kind().to_string(),
    }
}

/// Limits a text's length, and escapes characters that could forge log lines.
fn told(text: &str) -> String {
    let mut text = visible(text);
    if text.len() > LONGEST_REASON {
        text.truncate(text.floor_char_boundary(LONGEST_REASON));
        text.push('…');
    }
    text
}
