//! A stream whose first read or write completes the handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::{Channel, Handshake};
use super::proved::Proved;
use super::words::{TlsError, in_words};

/// A connection of a [`Secured`](super::Secured) network. Only one task may read and write, since
/// during the handshake only the task that polled last is woken.
pub struct Stream<S> {
    state: State<S>,
    proved: Proved,
}

enum State<S> {
    Shaking(Handshake<S>),
    Open(Channel<S>),
    /// The handshake failed or was abandoned.
    Over,
}

impl<S> Stream<S> {
    /// A stream without a handshake.
    pub(super) fn plain(stream: S) -> Self {
        Self {
            state: State::Open(Channel::Plain(stream)),
            proved: Proved::default(),
        }
    }

    /// A stream after its handshake.
    #[cfg(test)]
    pub(super) fn opened(channel: Channel<S>) -> Self {
        Self {
            state: State::Open(channel),
            proved: Proved::default(),
        }
    }

    /// A stream before its handshake, whose outcome goes to `proved`.
    pub(super) fn shaking(proved: Proved, handshake: Handshake<S>) -> Self {
        let state = State::Shaking(handshake);
        Self { state, proved }
    }

    /// The channel after the handshake, or `None` if an earlier call reported that the handshake
    /// failed.
    fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<&mut Channel<S>>>> {
        if let State::Shaking(handshake) = &mut self.state {
            match ready!(handshake.as_mut().poll(context)) {
                Ok((channel, proof)) => {
                    self.proved.over(proof);
                    self.state = State::Open(channel);
                }
                Err(error) => {
                    self.proved.failed(&error);
                    self.state = State::Over;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(match &mut self.state {
            State::Open(channel) => Some(channel),
            State::Shaking(_) | State::Over => None,
        }))
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    match error.get_ref() {
        Some(inner) => inner.is::<TlsError>(),
        None => false,
    }
}

impl<S> AsyncRead for Stream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match ready!(this.poll_open(context))? {
            Some(Channel::Plain(stream)) => return Pin::new(stream).poll_read(context, buffer),
            Some(Channel::Tls(stream, between)) => {
                let read = ready!(Pin::new(stream).poll_read(context, buffer));
                read.map_err(|error| match error.kind() {
                    // An end without TLS's `close_notify` is reported like that of plain TCP, by
                    // its kind.
                    io::ErrorKind::UnexpectedEof => error,
                    _ => in_words(error, *between),
                })
            }
            None => Ok(()),
        };
        if let Err(error) = &read
            && is_of_tls(error)
        {
            // In TLS 1.3 a dialler learns only from its first read that its certificate was
            // rejected.
            this.proved.failed(error);
        }
        Poll::Ready(read)
    }
}

impl<S> AsyncWrite for Stream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.get_mut().poll_open(context))? {
            Some(Channel::Plain(stream)) => Pin::new(stream).poll_write(context, bytes),
            Some(Channel::Tls(stream, _)) => Pin::new(stream).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.get_mut().poll_open(context))? {
            Some(Channel::Plain(stream)) => Pin::new(stream).poll_flush(context),
            Some(Channel::Tls(stream, _)) => Pin::new(stream).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Abandons a handshake that is not over: its peer gets no grace at the end.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.state {
            State::Open(Channel::Plain(stream)) => Pin::new(stream).poll_shutdown(context),
            State::Open(Channel::Tls(stream, _)) => Pin::new(stream).poll_shutdown(context),
            State::Shaking(_) | State::Over => {
                this.state = State::Over;
                Poll::Ready(Ok(()))
            }
        }
    }
}
