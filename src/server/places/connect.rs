//! Connections to Places over any [`Net`], in the form that hyper's client requires.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::way::{Https, Proxy};
use crate::herd::Address;
use crate::net::Net;

/// A connection to Places.
pub(super) enum Stream<S> {
    /// A stream without TLS to Places itself.
    Plain(S),
    /// A stream without TLS to a proxy that forwards requests.
    Proxied(S),
    /// A stream with TLS to Places, directly or through a proxy's tunnel.
    Tls(Box<TlsStream<S>>),
}

/// The traits that all kinds of streams implement.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut dyn Bytes> {
        match self.get_mut() {
            Self::Plain(stream) | Self::Proxied(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
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
            Self::Plain(_) | Self::Tls(_) => Connected::new(),
            // This makes requests name the whole address.
            Self::Proxied(_) => Connected::new().proxy(true),
        }
    }
}

/// Connects to the configured address and ignores the URI of the request.
#[derive(Clone)]
pub(super) struct Connector<N> {
    pub(super) net: N,
    pub(super) address: Address,
    pub(super) https: Option<Https>,
    pub(super) proxy: Option<Proxy>,
    pub(super) trouble: Arc<Trouble>,
}

/// The error of the last attempt to connect, or `None` if it succeeded. hyper's own error is
/// dropped, since it might contain the key. This text can't, because connecting does not involve
/// the key.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    pub(super) fn last(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Net> Connector<N> {
    async fn connect(self) -> io::Result<Stream<N::Stream>> {
        let first = self.proxy.as_ref().map(|proxy| &proxy.address);
        let first = first.unwrap_or(&self.address);
        let stream = self.net.connect(first).await?.stream;
        Ok(match (&self.https, &self.proxy) {
            (None, None) => Stream::Plain(stream),
            (None, Some(_)) => Stream::Proxied(stream),
            (Some(https), proxy) => {
                let stream = match proxy {
                    Some(proxy) => proxy.tunnel(stream, &self.address).await?,
                    None => stream,
                };
                let stream = https.connect(&self.address.host, stream).await?;
                Stream::Tls(Box::new(stream))
            }
        })
    }
}

impl<N: Net> Service<Uri> for Connector<N> {
    type Response = TokioIo<Stream<N::Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// This has no deadline of its own, because each attempt has one.
    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let trouble = Arc::clone(&connector.trouble);
            let connected = connector.connect().await;
            *trouble.lock() = connected.as_ref().err().map(ToString::to_string);
            connected.map(TokioIo::new)
        })
    }
}
