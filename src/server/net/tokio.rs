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
    /// A number that nobody can guess, from the system: what is random about one run of a server follows from it.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
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
        // A clock set before 1970 shows 1970.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or_else(
            |_| Timestamp::default(),
            |since| Timestamp::new(since.as_secs(), since.subsec_nanos()),
        )
    }
}

/// A host's name has no address, so nothing was connected to or bound. The system's error for that is of no kind, so
/// whoever told of it by its kind alone would say nothing.
#[derive(Debug, thiserror::Error)]
#[error("the host name `{host}` can't be resolved: {reason}")]
pub struct Unresolved {
    host: String,
    /// In the resolver's own words.
    reason: String,
}

impl Unresolved {
    /// Whether this is why `error` came about.
    pub fn is_why(error: &io::Error) -> bool {
        let inner = error.get_ref();
        inner
            .and_then(|inner| inner.downcast_ref::<Self>())
            .is_some()
    }
}

/// What the standard library puts before the resolver's words.
const OF_THE_LIBRARY: &str = "failed to lookup address information: ";

/// All addresses of a host, which are tried in their order.
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

/// The number of connections that may wait to be accepted: as many as the system lets them (on Linux
/// `net.core.somaxconn`), which takes less than this. Whoever finds no room there tries again after a second, and
/// then after two more.
const WAITING: u32 = i32::MAX.cast_unsigned();

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that is started again must not wait for connections of the one before it to be forgotten. Elsewhere the
    // option lets two programs have one port.
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

/// The system no longer knows the `remote` end of a connection that was reset before it was
/// accepted. That one shows when it is used; accepting the next one must not suffer from it.
fn describe(remote: SocketAddr, stream: TcpStream) -> io::Result<Connection<TcpStream>> {
    // Answers are written whole, so waiting for more to send would only delay them.
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
        // Whoever finds no room is not connected before somebody is accepted, and nobody is.
        let connect = async {
            for _ in 0..many {
                waiting.push(TcpStream::connect(at).await.unwrap());
            }
        };
        let connected = tokio::time::timeout(Duration::from_secs(20), connect).await;
        assert!(connected.is_ok(), "{} of {many} found room", waiting.len());
    }
}
