//! The simulated network with what can be wrong at its ends: machines that stand still, ports that
//! are closed, connections that are reset, clocks that are wrong.
//!
//! What can be wrong between the ends (cuts, latencies) is turmoil's, and the driver's to set.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::future::or;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use turmoil::net::{TcpListener, TcpStream};

use super::machines::Machine;
use crate::herd::{Address, Name};
use crate::net::turmoil::TurmoilNet;
use crate::net::{Connection, Listener, Net};
use crate::protocol::time::Timestamp;
use crate::scenario::Skewed;

/// What is wrong with machines and connections, and how often somebody met with it.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    names: Vec<String>,
    machines: Vec<State>,
    streams: BTreeMap<u64, Open>,
    opened: u64,
    /// How often something was sent from one machine to another: writes and connects.
    sends: BTreeMap<(Machine, Machine), u64>,
    clients: BTreeMap<Name, Clock>,
}

/// One machine.
#[derive(Default)]
struct State {
    frozen: bool,
    /// Tasks that wanted to go on while the machine stood still.
    waiting: Vec<Waker>,
    refusing: bool,
    /// Woken when `refusing` changes; one for each listener.
    listeners: Vec<Arc<Notify>>,
    clock: Clock,
    counts: Counts,
}

/// How often somebody met with what is wrong with a machine.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Tasks that wanted to go on while the machine stood still.
    pub(super) stopped: u64,
    /// Connections that it was to take.
    pub(super) connects: u64,
    /// How often its clock was read.
    pub(super) clock_reads: u64,
}

#[derive(Clone, Copy, Default)]
struct Clock {
    skewed: Skewed,
    /// When it became so.
    since: Duration,
    reads: u64,
}

impl Clock {
    fn read(&mut self) -> Timestamp {
        self.reads += 1;
        let now = turmoil::since_epoch().unwrap_or_default();
        let run = turmoil::sim_elapsed()
            .unwrap_or_default()
            .saturating_sub(self.since);
        let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let drifted = nanos(run) * i128::from(self.skewed.drift) / 1_000_000_000;
        let shown = nanos(now) + i128::from(self.skewed.by) + drifted;
        Timestamp::from_nanos(u128::try_from(shown).unwrap_or(0))
    }
}

/// An end of a connection.
struct Open {
    me: Machine,
    other: Machine,
    severed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Faults {
    /// Machines of these names, with nothing wrong.
    pub(super) fn new(names: Vec<String>) -> Self {
        let machines = names.iter().map(|_| State::default()).collect();
        Self(Arc::new(Mutex::new(Inner {
            names,
            machines,
            ..Inner::default()
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network as `machine` sees it.
    pub(super) fn net(&self, machine: Machine) -> SimNet {
        SimNet {
            machine,
            faults: self.clone(),
        }
    }

    pub(super) fn counts(&self, machine: Machine) -> Counts {
        let inner = self.inner();
        let state = &inner.machines[machine];
        Counts {
            clock_reads: state.clock.reads,
            ..state.counts
        }
    }

    /// How often something was sent from `a` to `b`.
    pub(super) fn sends(&self, a: Machine, b: Machine) -> u64 {
        self.inner().sends.get(&(a, b)).copied().unwrap_or(0)
    }

    /// How many connections `machine` has.
    pub(super) fn connections(&self, machine: Machine) -> u64 {
        let inner = self.inner();
        inner
            .streams
            .values()
            .filter(|open| open.me == machine)
            .count() as u64
    }

    pub(super) fn freeze(&self, machine: Machine, frozen: bool) {
        let mut inner = self.inner();
        let state = &mut inner.machines[machine];
        state.frozen = frozen;
        if !frozen {
            state.waiting.drain(..).for_each(Waker::wake);
        }
    }

    pub(super) fn refuse(&self, machine: Machine, refusing: bool) {
        let mut inner = self.inner();
        let state = &mut inner.machines[machine];
        state.refusing = refusing;
        for listener in &state.listeners {
            listener.notify_one();
        }
    }

    /// The machine starts anew: nothing of what ran on it is left.
    pub(super) fn reset(&self, machine: Machine) {
        let mut inner = self.inner();
        let state = &mut inner.machines[machine];
        state.frozen = false;
        state.refusing = false;
        state.waiting.clear();
        state.listeners.clear();
    }

    /// Resets all connections between two machines; how many.
    pub(super) fn sever(&self, a: Machine, b: Machine) -> u64 {
        let mut inner = self.inner();
        let mut ends = 0;
        for open in inner.streams.values_mut() {
            if (open.me, open.other) == (a, b) || (open.me, open.other) == (b, a) {
                open.severed = true;
                ends += 1;
                let wakers = [open.reader.take(), open.writer.take()];
                wakers.into_iter().flatten().for_each(Waker::wake);
            }
        }
        // Each connection has two ends, unless one of them is not there yet.
        u64::div_ceil(ends, 2)
    }

    /// The machine's clock is wrong from now on.
    pub(super) fn skew(&self, machine: Machine, skewed: Skewed, now: Duration) {
        let clock = &mut self.inner().machines[machine].clock;
        (clock.skewed, clock.since) = (skewed, now);
    }

    /// A client's clock is wrong from now on.
    pub(super) fn skew_client(&self, client: &Name, skewed: Skewed, now: Duration) {
        let mut inner = self.inner();
        let clock = inner.clients.entry(client.clone()).or_default();
        (clock.skewed, clock.since) = (skewed, now);
    }

    /// What a client's clock shows.
    pub(super) fn client_now(&self, client: &Name) -> Timestamp {
        self.inner()
            .clients
            .entry(client.clone())
            .or_default()
            .read()
    }

    /// How often a client's clock was read.
    pub(super) fn client_reads(&self, client: &Name) -> u64 {
        self.inner()
            .clients
            .get(client)
            .map_or(0, |clock| clock.reads)
    }
}

impl Inner {
    fn machine(&self, name: &str) -> Option<Machine> {
        self.names.iter().position(|known| known == name)
    }

    fn opened(&mut self, me: Machine, other: Machine) -> u64 {
        self.opened += 1;
        let open = Open {
            me,
            other,
            severed: false,
            reader: None,
            writer: None,
        };
        self.streams.insert(self.opened, open);
        self.opened
    }
}

/// The network as one machine sees it.
#[derive(Clone)]
pub(super) struct SimNet {
    machine: Machine,
    faults: Faults,
}

impl SimNet {
    /// What this client's clock shows.
    pub(super) fn client_now(&self, client: &Name) -> Timestamp {
        self.faults.client_now(client)
    }

    fn wrap(&self, connection: Connection<TcpStream>) -> Connection<SimStream> {
        let Connection {
            stream,
            local,
            remote,
        } = connection;
        let mut inner = self.faults.inner();
        let other = turmoil::reverse_lookup(remote.ip()).and_then(|name| inner.machine(&name));
        let id = inner.opened(self.machine, other.unwrap_or(Machine::MAX));
        drop(inner);
        Connection {
            stream: SimStream {
                stream,
                id,
                faults: self.faults.clone(),
            },
            local,
            remote,
        }
    }
}

impl Net for SimNet {
    type Stream = SimStream;
    type Listener = SimListener;

    async fn listen(&self, at: &Address) -> io::Result<SimListener> {
        let bound = TurmoilNet.listen(at).await?;
        let changed = Arc::new(Notify::new());
        let listening = Arc::clone(&changed);
        self.faults.inner().machines[self.machine]
            .listeners
            .push(listening);
        let local = bound.local_addr()?;
        let (give, taken) = mpsc::unbounded_channel();
        let mut system = JoinSet::new();
        system.spawn(take(self.clone(), at.clone(), bound, changed, give));
        Ok(SimListener {
            local,
            taken: Mutex::new(taken),
            _system: system,
        })
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<SimStream>> {
        {
            let mut inner = self.faults.inner();
            if let Some(target) = inner.machine(&to.host) {
                *inner.sends.entry((self.machine, target)).or_default() += 1;
                inner.machines[target].counts.connects += 1;
            }
        }
        Ok(self.wrap(TurmoilNet.connect(to).await?))
    }

    fn now(&self) -> Timestamp {
        self.faults.inner().machines[self.machine].clock.read()
    }

    fn task<F>(&self, task: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
    {
        Gated {
            task: Box::pin(task),
            machine: self.machine,
            faults: self.faults.clone(),
        }
    }
}

/// A task that does not go on while its machine stands still. What wakes it meanwhile (time, bytes)
/// is still there when the machine goes on, as after SIGCONT.
struct Gated<F> {
    task: Pin<Box<F>>,
    machine: Machine,
    faults: Faults,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut inner = self.faults.inner();
            let state = &mut inner.machines[self.machine];
            if state.frozen {
                state.counts.stopped += 1;
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.task.as_mut().poll(context)
    }
}

/// A port that can be closed for a while.
///
/// As on a real machine it is the system that takes connections, whether the server goes on or stands still;
/// the server fetches them from there.
pub(super) struct SimListener {
    local: SocketAddr,
    taken: Mutex<mpsc::UnboundedReceiver<io::Result<Connection<SimStream>>>>,
    /// The system's side. It ends with the listener.
    _system: JoinSet<()>,
}

/// Takes connections in the system's place, but not while the machine refuses them. What was taken and not
/// fetched stays.
async fn take(
    net: SimNet,
    at: Address,
    bound: TcpListener,
    changed: Arc<Notify>,
    give: mpsc::UnboundedSender<io::Result<Connection<SimStream>>>,
) {
    let mut bound = Some(bound);
    loop {
        let refusing = net.faults.inner().machines[net.machine].refusing;
        let taken = match &bound {
            _ if refusing => {
                bound = None;
                changed.notified().await;
                continue;
            }
            None => match TurmoilNet.listen(&at).await {
                Ok(again) => {
                    bound = Some(again);
                    continue;
                }
                Err(error) => Some(Err(error)),
            },
            Some(bound) => {
                let accepted = async { Some(Listener::accept(bound).await) };
                let changed = async {
                    changed.notified().await;
                    None
                };
                or(accepted, changed).await
            }
        };
        let Some(taken) = taken else { continue };
        let failed = taken.is_err();
        let given = give.send(taken.map(|connection| net.wrap(connection)));
        if failed || given.is_err() {
            return;
        }
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<Connection<SimStream>> {
        let fetch = |context: &mut Context<'_>| {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.poll_recv(context)
        };
        let gone = || Err(io::Error::other("the system takes no connections any more"));
        poll_fn(fetch).await.unwrap_or_else(gone)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// A connection that can be reset.
pub(super) struct SimStream {
    stream: TcpStream,
    id: u64,
    faults: Faults,
}

impl SimStream {
    /// Fails if the connection was reset; remembers whom to wake when it is. Writing counts.
    fn check(&self, context: &Context<'_>, writes: bool) -> io::Result<()> {
        let mut inner = self.faults.inner();
        let Inner { streams, sends, .. } = &mut *inner;
        let Some(open) = streams.get_mut(&self.id) else {
            return Ok(());
        };
        if open.severed {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let waker = Some(context.waker().clone());
        if writes {
            *sends.entry((open.me, open.other)).or_default() += 1;
            open.writer = waker;
        } else {
            open.reader = waker;
        }
        Ok(())
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.faults.inner().streams.remove(&self.id);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context, false)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context, true)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
