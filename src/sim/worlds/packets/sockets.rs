//! What programs open: ports and ends of connections.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::connection::{ConnectionId, End};
use super::tcp::{PortId, Systems};
use crate::herd::Address;
use crate::sim::machines::{Machine, Machines};
use crate::sim::sockets::{Opening, RawConnection, RawListener, RawStream, Sockets};
use crate::sim::time::elapsed;

/// What the programs' sockets and the world share.
pub(super) struct Shared {
    pub(super) systems: Mutex<Option<Systems>>,
    machines: Machines,
    /// Notified when a segment arrives earlier than the world sleeps.
    pub(super) earlier: Notify,
    /// Until when the world sleeps.
    sleeps_until: Mutex<Duration>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Systems>> {
        self.systems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sleeps_until(&self) -> MutexGuard<'_, Duration> {
        self.sleeps_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What `act` gives, which may send segments.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Systems) -> T) -> Option<T> {
        let mut guard = self.lock();
        let systems = guard.as_mut()?;
        if let Some(now) = elapsed() {
            systems.now = now;
        }
        let acted = act(systems);
        let next = systems.next_arrival();
        drop(guard);
        if next.is_some_and(|next| next < *self.sleeps_until()) {
            self.earlier.notify_one();
        }
        Some(acted)
    }
}

/// Sockets of the machines.
#[derive(Clone)]
pub(in crate::sim) struct SegmentSockets(pub(super) Arc<Shared>);

impl SegmentSockets {
    pub(in crate::sim) fn new(machines: &Machines) -> Self {
        Self(Arc::new(Shared {
            systems: Mutex::new(None),
            machines: machines.clone(),
            earlier: Notify::new(),
            sleeps_until: Mutex::new(Duration::ZERO),
        }))
    }

    fn act<T>(&self, act: impl FnOnce(&mut Systems) -> io::Result<T>) -> io::Result<T> {
        let gone = || Err(io::ErrorKind::NotConnected.into());
        self.0.act(act).unwrap_or_else(gone)
    }

    fn end(&self, id: ConnectionId, end: End) -> Stream {
        let sockets = self.clone();
        Stream { sockets, id, end }
    }
}

impl Sockets for SegmentSockets {
    fn listen(&self, on: Machine, port: u16) -> Opening<'_, Box<dyn RawListener>> {
        Box::pin(async move {
            let id = self.act(|systems| systems.listen(on, port))?;
            let sockets = self.clone();
            Ok(Box::new(Port { sockets, on, id }) as Box<dyn RawListener>)
        })
    }

    fn connect<'a>(&'a self, from: Machine, to: &'a Address) -> Opening<'a, RawConnection> {
        Box::pin(async move {
            let unknown = || io::Error::new(io::ErrorKind::NotFound, "no machine is called so");
            let machine = self.0.machines.called_so(&to.host).ok_or_else(unknown)?;
            let id = self.act(|systems| Ok(systems.dial(from, machine, to.port)))?;
            // Whoever waits no longer drops it, which closes the socket.
            let stream = self.end(id, 0);
            poll_fn(|context| {
                let polled = self.0.act(|systems| systems.poll_dialled(id, context));
                polled.unwrap_or(Poll::Pending)
            })
            .await?;
            stream.described()
        })
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        let machine = self.0.act(|systems| systems.machine(address))??;
        Some(self.0.machines.host(machine).to_owned())
    }
}

/// A port on which a program listens.
struct Port {
    sockets: SegmentSockets,
    on: Machine,
    id: PortId,
}

impl RawListener for Port {
    fn accept(&self) -> Opening<'_, RawConnection> {
        let Self { sockets, on, id } = self;
        Box::pin(async move {
            let id = poll_fn(|context| {
                let polled = sockets
                    .0
                    .act(|systems| systems.poll_accept(*on, *id, context));
                polled.unwrap_or(Poll::Pending)
            });
            sockets.end(id.await?, 1).described()
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Systems::address(self.on), self.id.0).into())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.sockets
            .0
            .act(|systems| systems.close_port(self.on, self.id));
    }
}

/// A program's end of a connection.
struct Stream {
    sockets: SegmentSockets,
    id: ConnectionId,
    end: End,
}

impl Stream {
    fn described(self) -> io::Result<RawConnection> {
        let (local, remote) = self.sockets.act(|systems| {
            let gone = || io::Error::from(io::ErrorKind::NotConnected);
            systems.addresses(self.id, self.end).ok_or_else(gone)
        })?;
        Ok(RawConnection {
            stream: Box::new(self),
            local,
            remote,
        })
    }
}

impl RawStream for Stream {
    fn reset(&mut self) {
        self.sockets
            .0
            .act(|systems| systems.abort(self.id, self.end));
    }

    fn limit_buffer(&mut self, bytes: usize) {
        self.sockets
            .0
            .act(|systems| systems.limit_buffer(self.id, bytes));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.sockets
            .0
            .act(|systems| systems.close(self.id, self.end));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = |systems: &mut Systems| systems.poll_read(self.id, self.end, context, buffer);
        self.sockets.0.act(read).unwrap_or(Poll::Pending)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |systems: &mut Systems| systems.poll_write(self.id, self.end, context, bytes);
        self.sockets.0.act(write).unwrap_or(Poll::Pending)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            self.sockets
                .act(|systems| systems.shut_down(self.id, self.end)),
        )
    }
}
