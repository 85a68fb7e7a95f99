//! Real sockets and the system's clock.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

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
        TcpListener::bind((at.host.as_str(), at.port)).await
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<TcpStream>> {
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
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
