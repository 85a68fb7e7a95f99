//! The network as a server sees it: listen, connect, and what time it is.
//!
//! The shell is written once, over this trait. [One module](self::tokio) puts it on real sockets,
//! another into the simulator, and one conformance suite (`tests/library/conformance.rs`) holds both to
//! the same behaviour, so that the simulator stays honest.

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

/// A network, and the clock of the machine on it.
pub trait Net: Clone + Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// A bound port.
    type Listener: Listener<Stream = Self::Stream>;

    /// Binds `at`; port 0 lets the system choose.
    fn listen(&self, at: &Address) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to `to`. There is no deadline in here: whoever waits sets one.
    fn connect(
        &self,
        to: &Address,
    ) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send;

    /// Binds `at` for other servers. A network on which servers prove who they are has them do so on
    /// what comes in here; on others this is [`listen`](Self::listen).
    fn listen_for_servers(
        &self,
        at: &Address,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        self.listen(at)
    }

    /// Connects to the server called `name` at `to`, which has to prove that it is that one where
    /// servers prove who they are; elsewhere this is [`connect`](Self::connect).
    fn dial(
        &self,
        name: &str,
        to: &Address,
    ) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send {
        let _ = name;
        self.connect(to)
    }

    /// This machine's clock.
    fn now(&self) -> Timestamp;

    /// A task of a server as this machine runs it. A simulated machine can be frozen, and its tasks with it; a real
    /// one needs nothing done.
    fn task<F>(&self, task: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
    {
        task
    }
}

/// A bound port that connections come in by.
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Stream;

    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<Connection<Self::Stream>>> + Send;

    /// Where it is bound: the port that the system chose, if that was requested.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A stream and both its ends.
#[derive(Debug)]
pub struct Connection<S> {
    /// The bytes, both ways.
    pub stream: S,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// What the other end proved itself to be.
    pub proved: Proved,
}

impl<S> Connection<S> {
    /// The same connection with its stream wrapped, and with what will be `proved` by that.
    fn map<T>(self, proved: Proved, wrap: impl FnOnce(S) -> T) -> Connection<T> {
        Connection {
            stream: wrap(self.stream),
            local: self.local,
            remote: self.remote,
            proved,
        }
    }
}

/// Who counts as one: an address; of IPv6 the 64 bits that a site gets, since it has all addresses behind them.
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
