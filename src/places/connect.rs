//! Connections to Places over any [`Net`], in the shape that hyper wants them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::herd::Address;
use crate::net::Net;

/// A connection to Places. What else than plain TCP there may be becomes a variant of its own.
pub(super) enum Stream<S> {
    /// As the network gives it.
    Plain(S),
}

impl<S: Unpin> Stream<S> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut S> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}

impl<S> Connection for Stream<S> {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(_) => Connected::new(),
        }
    }
}

/// Connects to Places wherever the request's URI points: there is one address.
#[derive(Clone)]
pub(super) struct Connector<N> {
    pub(super) net: N,
    pub(super) address: Address,
}

impl<N: Net> Service<Uri> for Connector<N> {
    type Response = TokioIo<Stream<N::Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// There is no deadline in here: each attempt has one.
    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { net, address } = self.clone();
        Box::pin(async move {
            let connection = net.connect(&address).await?;
            Ok(TokioIo::new(Stream::Plain(connection.stream)))
        })
    }
}
