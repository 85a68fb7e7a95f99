//! Real sockets and the system's clock.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, lookup_host};

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
        TcpListener::bind(&*resolve(at).await?).await
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
