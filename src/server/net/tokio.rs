//! Real sockets and the system's clock.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{Connection, Listener, Net, Proved};
use crate::herd::Address;
use crate::protocol::time::Timestamp;

/// The machine's own network.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

impl TokioNet {
    /// A random seed from the system, which nobody can guess. All randomness of a server's run is
    /// derived from it.
    ///
    /// # Errors
    ///
    /// When the system can't provide randomness.
    #[expect(
        clippy::disallowed_types,
        reason = "this is the one place where production takes randomness from the system"
    )]
    pub fn seed() -> io::Result<u64> {
        use rand::TryRng as _;
        use rand::rngs::SysRng;
        SysRng.try_next_u64().map_err(io::Error::other)
    }
}

impl Net for TokioNet {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn listen(&self, at: &Address) -> io::Result<TcpListener> {
        let mut failed = None;
        for address in &*resolve(at).await? {
            match listen(*address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<TcpStream>> {
        let stream = TcpStream::connect(&*resolve(to).await?).await?;
        describe(stream.peer_addr()?, stream)
    }

    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "this is the one place where production reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        use std::time::SystemTime;
        // A clock that is set before 1970 counts as 1970.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or_else(
            |_| Timestamp::default(),
            |since| Timestamp::new(since.as_secs(), since.subsec_nanos()),
        )
    }
}

/// A host name that can't be resolved, so nothing was connected or bound. The system's error has no
/// kind, so a message by its kind alone would be empty.
#[derive(Debug, thiserror::Error)]
#[error("the host name `{host}` can't be resolved: {reason}")]
pub struct Unresolved {
    host: String,
    /// The resolver's own message.
    reason: String,
}

impl Unresolved {
    /// Whether an unresolved name is the cause of `error`.
    pub fn is_why(error: &io::Error) -> bool {
        let inner = error.get_ref();
        inner
            .and_then(|inner| inner.downcast_ref::<Self>())
            .is_some()
    }
}

/// The prefix that the standard library puts before the resolver's message.
const OF_THE_LIBRARY: &str = "failed to lookup address information: ";

/// All addresses of a host, in the order in which they are tried.
async fn resolve(at: &Address) -> io::Result<Vec<SocketAddr>> {
    let unresolved = |reason: &str| {
        io::Error::other(Unresolved {
            host: at.host.clone(),
            reason: reason.to_owned(),
        })
    };
    let found = lookup_host((at.host.as_str(), at.port)).await;
    let found = found.map_err(|error| {
        let reason = error.to_string();
        unresolved(reason.strip_prefix(OF_THE_LIBRARY).unwrap_or(&reason))
    })?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(unresolved("it has no address"));
    }
    Ok(found)
}

/// The backlog of a listener. It is larger than any system allows, so the system's own limit
/// applies (on Linux `net.core.somaxconn`). A client that finds the backlog full retries its SYN
/// after one second, and again two seconds later.
const WAITING: u32 = i32::MAX.cast_unsigned();

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted server must not wait until the system forgets its predecessor's connections. On
    // other systems this option would let two programs share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(WAITING)
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Connection<TcpStream>> {
        let (stream, remote) = Self::accept(self).await?;
        describe(remote, stream)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

/// `remote` is an argument, since the system no longer knows the remote end of a connection that
/// was reset before it was accepted. Such a connection fails when it is used, but it must not make
/// accepting fail.
fn describe(remote: SocketAddr, stream: TcpStream) -> io::Result<Connection<TcpStream>> {
    // Each answer is written at once, so Nagle's algorithm would only delay it.
    let _ = stream.set_nodelay(true);
    Ok(Connection {
        local: stream.local_addr()?,
        remote,
        stream,
        proved: Proved::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn as_many_wait_to_be_accepted_as_the_system_allows() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = allowed.trim().parse::<usize>().unwrap().min(300);
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let listener = TokioNet.listen(&address).await.unwrap();
        let at = TcpListener::local_addr(&listener).unwrap();
        let mut waiting = Vec::new();
        // The listener accepts nothing, so a connect that finds the backlog full does not complete.
        let connect = async {
            for _ in 0..many {
                waiting.push(TcpStream::connect(at).await.unwrap());
            }
        };
        let connected = tokio::time::timeout(Duration::from_secs(20), connect).await;
        assert!(connected.is_ok(), "{} of {many} found room", waiting.len());
    }
}
