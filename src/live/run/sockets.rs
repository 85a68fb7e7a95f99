//! Real sockets for the harness's own programs: the clients, and the Places that it fakes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::herd::Address;
use crate::sim::outside::{Machine, Opening, RawConnection, RawListener, RawStream, Sockets};

/// What stands for the ports of a scenario.
pub(super) struct LiveSockets {
    /// Where clients really connect, by the address that the scenario has.
    relays: BTreeMap<Address, SocketAddr>,
    /// The port of Places, which is bound before there is anything that listens. While Places refuses connections its
    /// relays do, and it listens anew afterwards.
    places: std::net::TcpListener,
}

impl LiveSockets {
    pub(super) fn new(
        relays: BTreeMap<Address, SocketAddr>,
        places: std::net::TcpListener,
    ) -> Self {
        Self { relays, places }
    }
}

impl Sockets for LiveSockets {
    fn listen(&self, _: Machine, _: u16) -> Opening<'_, Box<dyn RawListener>> {
        Box::pin(async move {
            let listener = TcpListener::from_std(self.places.try_clone()?)?;
            Ok(Box::new(LiveListener(listener)) as Box<dyn RawListener>)
        })
    }

    fn connect<'a>(&'a self, _: Machine, to: &'a Address) -> Opening<'a, RawConnection> {
        Box::pin(async move {
            let relay = self.relays.get(to);
            let relay = relay.ok_or(io::ErrorKind::AddrNotAvailable)?;
            let stream = TcpStream::connect(relay).await?;
            described(stream, *relay)
        })
    }

    /// All have one address.
    fn name_of(&self, _: IpAddr) -> Option<String> {
        None
    }
}

fn described(stream: TcpStream, remote: SocketAddr) -> io::Result<RawConnection> {
    let _ = stream.set_nodelay(true);
    Ok(RawConnection {
        local: stream.local_addr()?,
        remote,
        stream: Box::new(LiveStream(Some(stream))),
    })
}

struct LiveListener(TcpListener);

impl RawListener for LiveListener {
    fn accept(&self) -> Opening<'_, RawConnection> {
        Box::pin(async move {
            let (stream, remote) = self.0.accept().await?;
            described(stream, remote)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A stream; none once it was reset.
struct LiveStream(Option<TcpStream>);

impl LiveStream {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let open = self.0.as_mut().map(Pin::new);
        open.ok_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}

impl RawStream for LiveStream {
    fn reset(&mut self) {
        if let Some(stream) = self.0.take() {
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for LiveStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for LiveStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(context)
    }
}
