//! The network that a server uses: it listens, connects, and tells the time.
//!
//! The shell is written once, over this trait. [One module](self::tokio) implements it with real
//! sockets, another with simulated ones, and one conformance suite (`tests/library/conformance.rs`)
//! tests both, so that the simulator stays true to reality.

pub mod secure;
pub mod tokio;
#[cfg(feature = "sim")]
pub mod turmoil;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ::tokio::io::{AsyncRead, AsyncWrite};

use crate::herd::Address;
use crate::protocol::time::Timestamp;

pub use secure::Proved;

/// A network, and this machine's clock.
pub trait Net: Clone + Send + Sync + 'static {
    /// An open connection: a stream of bytes in both directions.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// A bound port that accepts connections.
    type Listener: Listener<Stream = Self::Stream>;

    /// Binds `at`. With port 0 the system chooses the port.
    fn listen(&self, at: &Address) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to `to`. There is no deadline here, so the caller sets one.
    fn connect(
        &self,
        to: &Address,
    ) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send;

    /// Binds `at` for other servers, which must prove their identity if this network requires it.
    /// By default this is [`listen`](Self::listen).
    fn listen_for_servers(
        &self,
        at: &Address,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        self.listen(at)
    }

    /// Connects to the server called `name` at `to`, which must prove its identity if this network
    /// requires it. By default this is [`connect`](Self::connect).
    fn dial(
        &self,
        name: &str,
        to: &Address,
    ) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send {
        let _ = name;
        self.connect(to)
    }

    /// The time by this machine's clock.
    fn now(&self) -> Timestamp;

    /// Wraps a task of a server. A simulated machine can be frozen, so its tasks are wrapped to
    /// freeze with it. On a real machine the task stays as it is.
    fn task<F>(&self, task: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
    {
        task
    }
}

/// A bound port that accepts connections.
pub trait Listener: Send + Sync + 'static {
    /// The stream of an accepted connection.
    type Stream;

    /// Accepts the next connection. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send;

    /// The bound address. It contains the port that the system chose if port 0 was requested.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A stream, the addresses of its ends, and the proof of the other end's identity.
#[derive(Debug)]
pub struct Connection<S> {
    /// The bytes in both directions.
    pub stream: S,
    /// The address of this end.
    pub local: SocketAddr,
    /// The address of the other end.
    pub remote: SocketAddr,
    /// The identity that the other end has proved.
    pub proved: Proved,
}

impl<S> Connection<S> {
    /// The same connection with its stream wrapped. The handshake of that stream fills `proved`.
    fn map<T>(self, proved: Proved, wrap: impl FnOnce(S) -> T) -> Connection<T> {
        Connection {
            stream: wrap(self.stream),
            local: self.local,
            remote: self.remote,
            proved,
        }
    }
}

/// The unit by which limits count clients: an IPv4 address, or an IPv6 /64, since one site has all
/// addresses in it.
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::site;

    #[test]
    fn an_address_counts_for_its_site() {
        let site = |text: &str| site(text.parse().expect("an address")).to_string();
        assert_eq!(site("192.0.2.7"), "192.0.2.7");
        assert_eq!(site("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
