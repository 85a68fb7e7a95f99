//! A machine's end of a connection, which the harness can close or reset.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Faults, Open, Slot, lock};
use crate::sim::sockets::RawStream;

/// A stream whose connection can be reset.
pub struct SimStream {
    pub(super) stream: Slot,
    pub(super) id: u64,
    pub(super) faults: Faults,
}

impl SimStream {
    /// Fails if the connection was reset. Otherwise keeps the task's waker for a later reset.
    fn check(&self, context: &Context<'_>, writes: bool) -> io::Result<()> {
        let mut inner = self.faults.inner();
        let Some(open) = inner.streams.get_mut(&self.id) else {
            return Ok(());
        };
        if open.severed {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let waker = Some(context.waker().clone());
        if writes {
            open.writer = waker;
        } else {
            open.reader = waker;
        }
        Ok(())
    }
}

impl SimStream {
    /// Resets the connection, and closes this end.
    pub(in crate::sim) fn reset(self) {
        if let Some(stream) = &mut *lock(&self.stream) {
            stream.reset();
        }
    }

    /// Lets the system receive up to `bytes` that nobody reads.
    pub(in crate::sim) fn limit_buffer(&self, bytes: usize) {
        if let Some(stream) = &mut *lock(&self.stream) {
            stream.limit_buffer(bytes);
        }
    }
}

/// Applies `act` to a stream; fails if the stream was closed.
fn on<T>(
    slot: &Slot,
    act: impl FnOnce(Pin<&mut Box<dyn RawStream>>) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    match &mut *lock(slot) {
        Some(stream) => act(Pin::new(stream)),
        None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let mut inner = self.faults.inner();
        let Some(me) = inner.streams.get(&self.id).map(|open| open.me) else {
            return;
        };
        let (id, all) = (self.id, inner.machines[me].dying);
        let ends = |other: &u64, open: &mut Open| *other == id || all && open.me == me;
        let closed: Vec<(u64, Open)> = inner.streams.extract_if(.., ends).collect();
        // What a close sends is counted: a world comes back here for that.
        drop(inner);
        for (_, open) in closed {
            lock(&open.stream).take();
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context, false)?;
        on(&self.stream, |stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context, true)?;
        if self.faults.lets_others(self.id, context) {
            return Poll::Pending;
        }
        let written = on(&self.stream, |stream| stream.poll_write(context, bytes));
        if matches!(written, Poll::Ready(Ok(_))) {
            self.faults.inner().count_send(self.id);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.faults.lets_others(self.id, context) {
            return Poll::Pending;
        }
        on(&self.stream, |stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on(&self.stream, |stream| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::journal::EventId;
    use crate::scenario::Scenario;
    use crate::sim::limit::Progress;
    use crate::sim::machines::Machines;
    use crate::sim::worlds::WorldKind;

    const FAULT: EventId = EventId(NonZeroU64::MIN);

    /// A connection whose close sends something that an impairment of the network counts.
    struct Counting(Faults);

    impl Drop for Counting {
        fn drop(&mut self) {
            // Who closes it while this is locked waits for ever.
            assert!(self.0.inner.try_lock().is_ok(), "nothing is locked");
            self.0.hold_up(FAULT);
        }
    }

    impl RawStream for Counting {}

    impl AsyncRead for Counting {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_a_close_sends_can_be_counted() {
        let text = "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", crash = \"Riley\" }]";
        let (scenario, _) = Scenario::parse("t.toml", text, None).expect("it is valid");
        let (sockets, _) = WorldKind::Packets.sockets(&Machines::new(&scenario.herd, false));
        let names = vec!["A".to_owned(), "B".to_owned()];
        let faults = Faults::new(names, 0, &Arc::new(Progress::default()), sockets);
        let counting: Box<dyn RawStream> = Box::new(Counting(faults.clone()));
        let stream: Slot = Arc::new(Mutex::new(Some(counting)));
        let id = faults.inner().opened(0, 1, &stream);
        drop(SimStream {
            stream,
            id,
            faults: faults.clone(),
        });
        assert_eq!(faults.held_up(FAULT), 1);
    }
}
