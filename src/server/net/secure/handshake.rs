//! The result of a handshake: what the other end has proved, and the channel after it.

use std::future::Future;
use std::io;
use std::pin::Pin;

use rustls::pki_types::CertificateDer;
use tokio_rustls::TlsStream;

use super::secret::Secret;
use super::words::Between;

/// A handshake. It results in the proof, and in the channel for the bytes after it.
pub(super) type Handshake<S> =
    Pin<Box<dyn Future<Output = io::Result<(Channel<S>, Proof)>> + Send>>;

/// The channel of a connection after its handshake.
pub(super) enum Channel<S> {
    Plain(S),
    /// TLS, with the two ends for its error messages.
    Tls(Box<TlsStream<S>>, Between),
}

/// What the other end has proved by a handshake.
#[derive(Debug)]
pub(super) enum Proof {
    /// No proof was required.
    Nothing,
    /// The other end knows this secret.
    Secret(Secret),
    /// The other end has the private key of a certificate.
    Certificate {
        /// The certificate, followed by intermediate ones.
        chain: Vec<CertificateDer<'static>>,
        /// The name of the other server, if this end dialled it.
        dialled: Option<String>,
    },
}
