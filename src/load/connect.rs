//! A connection to a server under load, encrypted or not.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Plan, Target};
use crate::net::{Net as _, tokio::TokioNet};

/// A connection. Most loads are not encrypted, and those pay nothing for this.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Either of them, where speed is no matter.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

impl Stream {
    /// A connection to `target` as the plan says. Whoever waits sets a deadline.
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

/// Whether a server ended the connection, with a reset or without a farewell, as many do.
pub(super) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe
    )
}
