//! A connection to a server under load, with or without TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Plan, Target};
use crate::net::{Net as _, tokio::TokioNet};

/// A connection. The variants spare plain connections the cost of a box.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The traits of a connection, for code where speed does not matter.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

impl Stream {
    /// Connects to `target` as the plan requires. The caller sets a deadline.
    pub(super) async fn connect(plan: &Plan, target: &Target) -> io::Result<Self> {
        let stream = TokioNet.connect(&target.address).await?.stream;
        let Some(tls) = &plan.tls else {
            return Ok(Self::Plain(stream));
        };
        let name = plan.tls_name.as_deref().or(target.name.as_deref());
        let name = name.unwrap_or(&target.address.host);
        let stream = tls.connect(name, stream).await?;
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(super) fn boxed(self) -> Box<dyn Duplex> {
        match self {
            Self::Plain(stream) => Box::new(stream),
            Self::Tls(stream) => stream,
        }
    }
}

/// Whether an error means that the server ended the connection, by a reset or without a TLS
/// `close_notify`, as many do.
pub(super) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe
    )
}
