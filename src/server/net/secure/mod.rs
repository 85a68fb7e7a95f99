//! Authentication of servers before their first line, and TLS for clients.
//!
//! [`Secured`] wraps any [`Net`]. Accepting and connecting return before the handshake, which the
//! first read or write drives. So a handshake delays no other connection, and the deadline for the
//! first line covers it. No byte of a line passes before the handshake is over.
//! [`Connection::proved`] holds the identity that the other end has proved, and
//! [`Keyring::replace`] can revoke it.

mod clock;
mod credentials;
mod error;
mod handshake;
mod judge;
mod pem;
mod proved;
mod secret;
mod stream;
mod tls;
mod validity;
mod words;

use std::io;
use std::net::SocketAddr;

use ::tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Listener, Net};
use crate::herd::Address;
use crate::protocol::time::Timestamp;

pub use clock::Clock;
pub use credentials::{Credentials, Keyring, Servers};
pub use error::CredentialsError;
pub use pem::Pem;
pub use proved::Proved;
pub use secret::Secret;
pub use stream::Stream;
pub use tls::{CallerTls, ClientTls, Tls, is_certifiable};
pub use validity::{Certificates, Validity};
pub use words::{Between, TlsError, in_words};

use handshake::{Channel, Proof};

/// A network on which servers authenticate each other.
#[derive(Clone)]
pub struct Secured<N> {
    inner: N,
    keyring: Keyring,
}

impl<N: Net> Secured<N> {
    /// Wraps `inner`. Each connection must satisfy the credentials on the `keyring` at its time.
    pub fn new(inner: N, keyring: Keyring) -> Self {
        Self { inner, keyring }
    }

    async fn bind(&self, at: &Address, whom: For) -> io::Result<SecuredListener<N::Listener>> {
        let inner = match whom {
            For::Clients => self.inner.listen(at).await?,
            For::Servers => self.inner.listen_for_servers(at).await?,
        };
        Ok(SecuredListener {
            inner,
            keyring: self.keyring.clone(),
            whom,
        })
    }
}

/// The kind of peers that a port accepts.
#[derive(Clone, Copy)]
enum For {
    Clients,
    Servers,
}

/// The role of this end of a connection between servers.
enum End {
    /// This end dialled the server with this name.
    Dialler(String),
    Acceptor,
}

/// A bound port of a [`Secured`] network.
pub struct SecuredListener<L> {
    inner: L,
    keyring: Keyring,
    whom: For,
}

impl<N: Net> Net for Secured<N> {
    type Stream = Stream<N::Stream>;
    type Listener = SecuredListener<N::Listener>;

    async fn listen(&self, at: &Address) -> io::Result<Self::Listener> {
        self.bind(at, For::Clients).await
    }

    async fn listen_for_servers(&self, at: &Address) -> io::Result<Self::Listener> {
        self.bind(at, For::Servers).await
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<Self::Stream>> {
        let connection = self.inner.connect(to).await?;
        Ok(connection.map(Proved::default(), Stream::plain))
    }

    async fn dial(&self, name: &str, to: &Address) -> io::Result<Connection<Self::Stream>> {
        let connection = self.inner.dial(name, to).await?;
        let end = End::Dialler(name.to_owned());
        Ok(between_servers(connection, &self.keyring, end))
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn task<F>(&self, task: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
    {
        self.inner.task(task)
    }
}

impl<L> Listener for SecuredListener<L>
where
    L: Listener<Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static>,
{
    type Stream = Stream<L::Stream>;

    async fn accept(&self) -> io::Result<Connection<Self::Stream>> {
        let connection = self.inner.accept().await?;
        Ok(match self.whom {
            For::Clients => with_client(connection, &self.keyring),
            For::Servers => between_servers(connection, &self.keyring, End::Acceptor),
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

fn with_client<S>(connection: Connection<S>, keyring: &Keyring) -> Connection<Stream<S>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(tls) = keyring.current().clients.clone() else {
        return connection.map(Proved::default(), Stream::plain);
    };
    let proved = Proved::by(keyring.clone());
    connection.map(proved.clone(), |stream| {
        let shaking = async move {
            let channel = tls.accept(stream).await?;
            Ok((channel, Proof::Nothing))
        };
        Stream::shaking(proved, Box::pin(shaking))
    })
}

fn between_servers<S>(
    connection: Connection<S>,
    keyring: &Keyring,
    end: End,
) -> Connection<Stream<S>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let servers = keyring.current().servers.clone();
    let proved = Proved::by(keyring.clone());
    connection.map(proved.clone(), |stream| {
        Stream::shaking(proved, Box::pin(shake(servers, end, stream)))
    })
}

/// The handshake of two servers, of the kind that `servers` requires.
async fn shake<S>(servers: Servers, end: End, stream: S) -> io::Result<(Channel<S>, Proof)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match (servers, end) {
        (Servers::Open, _) => Ok((Channel::Plain(stream), Proof::Nothing)),
        (Servers::Secret(secret), end) => {
            let stream = match end {
                End::Dialler(_) => secret.dial(stream).await?,
                End::Acceptor => secret.accept(stream).await?,
            };
            Ok((Channel::Plain(stream), Proof::Secret(secret)))
        }
        (Servers::Tls(tls), End::Dialler(name)) => tls.dial(&name, stream).await,
        (Servers::Tls(tls), End::Acceptor) => tls.accept(stream).await,
    }
}

#[cfg(test)]
mod tests;
