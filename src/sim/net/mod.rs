//! The simulated network with the faults at its ends: frozen machines, closed ports, reset
//! connections, wrong clocks.
//!
//! Faults between the ends (cuts, latencies) are the world's.

mod clock;
mod gated;
mod listener;
mod stream;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;
use tokio::sync::Notify;

use super::limit::Progress;
use super::machines::Machine;
use super::sockets::{RawConnection, RawStream, Sockets};
use crate::herd::{Address, Name};
use crate::journal::EventId;
use crate::net::{Connection, Net, Proved};
use crate::protocol::time::Timestamp;
use crate::scenario::ClockError;
use crate::seed::stream;
use clock::Clock;
use gated::{Gated, Polls};
use listener::SimListener;
pub use stream::SimStream;

/// The faults of machines and connections, and their impact so far.
#[derive(Clone)]
pub(super) struct Faults {
    inner: Arc<Mutex<Inner>>,
    /// Shows which machine's task runs.
    progress: Arc<Progress>,
    /// What all clocks show when the run begins, in nanoseconds since the POSIX epoch.
    epoch_ns: u128,
    sockets: Arc<dyn Sockets>,
}

#[derive(Default)]
struct Inner {
    names: Vec<String>,
    machines: Vec<State>,
    streams: BTreeMap<u64, Open>,
    opened: u64,
    /// The number of sends from one machine to another: writes and connects.
    sends: BTreeMap<(Machine, Machine), u64>,
    clients: BTreeMap<Name, Clock>,
    /// The number of messages that each cut has held up, and of packets to which each impairment did something, by the
    /// event of its beginning.
    held_up: BTreeMap<EventId, u64>,
}

/// The state of one machine.
#[derive(Default)]
struct State {
    frozen: bool,
    /// The tasks that were woken while the machine was frozen.
    waiting: Vec<Waker>,
    /// The number of tasks of the machine's present life.
    tasks: usize,
    refusing: bool,
    /// How often the machine was reset. Tasks of an earlier life never run again, however late they are dropped.
    life: u64,
    /// Whether the machine's tasks are being dropped.
    dying: bool,
    /// One for each listener, notified when `refusing` changes.
    listeners: Vec<Arc<Notify>>,
    clock: Clock,
    counts: Counts,
    polls: Polls,
    /// Decides which of its tasks let others go first, if the seed does.
    order: Option<ChaCha8Rng>,
    /// Decides in which order its tasks go on after a thaw. A system reports its sockets in no order that a program could
    /// rely on.
    thaws: Option<ChaCha8Rng>,
}

/// The impact of a machine's faults so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Wake-ups of tasks while the machine was frozen.
    pub(super) stopped: u64,
    /// Connections that the machine's system refused.
    pub(super) refused: u64,
    /// Connections to the machine that the dialler gave up before they were established.
    pub(super) given_up: u64,
    /// Connections to the machine that are being opened.
    pub(super) pending: u64,
    /// The number of times its clock was read.
    pub(super) clock_reads: u64,
}

/// A stream that code other than its owner can close.
type Slot = Arc<Mutex<Option<Box<dyn RawStream>>>>;

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Box<dyn RawStream>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a connection.
struct Open {
    stream: Slot,
    me: Machine,
    other: Machine,
    severed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Faults {
    /// Machines with these names, and without faults.
    pub(super) fn new(
        names: Vec<String>,
        epoch_ns: u128,
        progress: &Arc<Progress>,
        sockets: Arc<dyn Sockets>,
    ) -> Self {
        let machines = names.iter().map(|_| State::default()).collect();
        progress.name(&names);
        let inner = Inner {
            names,
            machines,
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            progress: Arc::clone(progress),
            epoch_ns,
            sockets,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the seed decide what a thawed machine does first and, if it `shuffles`, which of a machine's tasks that
    /// could go on goes on first at any time. Another seed can do so from some moment on.
    pub(super) fn draw_from(&self, seed: u64, shuffles: bool) {
        for (number, machine) in (0..).zip(&mut self.inner().machines) {
            machine.thaws = Some(stream(seed, "thaws", number));
            machine.order = shuffles.then(|| stream(seed, "order of tasks", number));
        }
    }

    /// Whether the seed lets other tasks of a connection's machine go on before this one writes, which then tries again. It
    /// reads first thing when it goes on, so for reading the gate does the same.
    fn lets_others(&self, stream: u64, context: &Context<'_>) -> bool {
        let mut inner = self.inner();
        let Some(me) = inner.streams.get(&stream).map(|open| open.me) else {
            return false;
        };
        let lets = inner.machines[me].order.as_mut().is_some_and(gated::waits);
        if lets {
            context.waker().wake_by_ref();
        }
        lets
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
            clock_reads: state.clock.reads(),
            ..state.counts
        }
    }

    /// The number of sends from `a` to `b`.
    pub(super) fn sends(&self, a: Machine, b: Machine) -> u64 {
        self.inner().sends.get(&(a, b)).copied().unwrap_or(0)
    }

    /// Counts a message that a cut holds up, once for each cut, or a packet to which an impairment does something.
    pub(super) fn hold_up(&self, fault: EventId) {
        *self.inner().held_up.entry(fault).or_default() += 1;
    }

    /// The number of messages that a cut has held up, or of packets of an impairment.
    pub(super) fn held_up(&self, fault: EventId) -> u64 {
        self.inner().held_up.get(&fault).copied().unwrap_or(0)
    }

    /// The number of connections of `machine`.
    pub(super) fn connections(&self, machine: Machine) -> u64 {
        let inner = self.inner();
        inner
            .streams
            .values()
            .filter(|open| open.me == machine)
            .count() as u64
    }

    /// The number of a machine's tasks.
    pub(super) fn tasks(&self, machine: Machine) -> usize {
        self.inner().machines[machine].tasks
    }

    /// The number of a machine's streams to `other`, or to all others but that.
    pub(super) fn streams(&self, machine: Machine, is_counted: impl Fn(Machine) -> bool) -> usize {
        let inner = self.inner();
        let own = inner.streams.values().filter(|open| open.me == machine);
        own.filter(|open| is_counted(open.other)).count()
    }

    pub(super) fn freeze(&self, machine: Machine, frozen: bool) {
        let mut inner = self.inner();
        let state = &mut inner.machines[machine];
        state.frozen = frozen;
        if !frozen {
            if let Some(thaws) = &mut state.thaws {
                state.waiting.shuffle(thaws);
            }
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

    /// Marks that the machine's tasks are being dropped, or no longer. Tokio drops them in an order
    /// that depends on what else the process has run. So the first stream that is dropped closes
    /// all others of the machine with it, in the order in which they were opened.
    pub(super) fn dying(&self, machine: Machine, dying: bool) {
        self.inner().machines[machine].dying = dying;
    }

    /// Closes all streams of a machine, in the order in which they were opened.
    pub(super) fn close_all(&self, machine: Machine) {
        let mut inner = self.inner();
        let own = inner.streams.extract_if(.., |_, open| open.me == machine);
        let own: Vec<Open> = own.map(|(_, open)| open).collect();
        drop(inner);
        for open in own {
            lock(&open.stream).take();
        }
    }

    /// Removes what ran on the machine, which starts anew.
    pub(super) fn reset(&self, machine: Machine) {
        let mut inner = self.inner();
        let state = &mut inner.machines[machine];
        state.life += 1;
        state.tasks = 0;
        state.frozen = false;
        state.refusing = false;
        state.waiting.clear();
        state.listeners.clear();
    }

    /// Resets all connections between two machines, and returns their number.
    pub(super) fn sever(&self, a: Machine, b: Machine) -> u64 {
        let mut inner = self.inner();
        // A connection has two ends here, unless one of them is not open yet or closed already.
        let mut ends = [0, 0];
        for open in inner.streams.values_mut().filter(|open| !open.severed) {
            let side = match (open.me, open.other) {
                here if here == (a, b) => 0,
                there if there == (b, a) => 1,
                _ => continue,
            };
            open.severed = true;
            ends[side] += 1;
            let wakers = [open.reader.take(), open.writer.take()];
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
        ends[0].max(ends[1])
    }

    /// Sets the error of a machine's clock from now on.
    pub(super) fn skew(&self, machine: Machine, skewed: ClockError, now: Duration) {
        let clock = &mut self.inner().machines[machine].clock;
        clock.set(skewed, now);
    }

    /// Sets the error of a client's clock from now on.
    pub(super) fn skew_client(&self, client: &Name, skewed: ClockError, now: Duration) {
        let mut inner = self.inner();
        let clock = inner.clients.entry(client.clone()).or_default();
        clock.set(skewed, now);
    }

    /// The error of a machine's clock.
    pub(super) fn error(&self, machine: Machine, now: Duration) -> ClockError {
        self.inner().machines[machine].clock.error(now)
    }

    /// The error of a client's clock.
    pub(super) fn client_error(&self, client: &Name, now: Duration) -> ClockError {
        let clock = self.inner().clients.get(client).copied();
        clock.unwrap_or_default().error(now)
    }

    /// Reads a client's clock.
    pub(super) fn client_now(&self, client: &Name) -> Timestamp {
        let mut inner = self.inner();
        let clock = inner.clients.entry(client.clone()).or_default();
        clock.read(self.epoch_ns)
    }

    /// The number of times a client's clock was read.
    pub(super) fn client_reads(&self, client: &Name) -> u64 {
        self.inner().clients.get(client).map_or(0, Clock::reads)
    }
}

impl Inner {
    fn machine(&self, name: &str) -> Option<Machine> {
        self.names.iter().position(|known| known == name)
    }

    fn count_send(&mut self, stream: u64) {
        if let Some(open) = self.streams.get(&stream) {
            *self.sends.entry((open.me, open.other)).or_default() += 1;
        }
    }

    fn opened(&mut self, me: Machine, other: Machine, stream: &Slot) -> u64 {
        self.opened += 1;
        let open = Open {
            stream: Arc::clone(stream),
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
pub struct SimNet {
    machine: Machine,
    faults: Faults,
}

impl SimNet {
    /// Reads this client's clock.
    pub(super) fn client_now(&self, client: &Name) -> Timestamp {
        self.faults.client_now(client)
    }

    /// Counts an attempt to connect to another machine.
    fn dial(&self, to: &Address) -> Option<Dial> {
        let mut inner = self.faults.inner();
        let target = inner.machine(&to.host)?;
        *inner.sends.entry((self.machine, target)).or_default() += 1;
        inner.machines[target].counts.pending += 1;
        Some(Dial {
            faults: self.faults.clone(),
            target,
            is_over: false,
        })
    }

    fn wrap(&self, connection: RawConnection) -> Connection<SimStream> {
        let RawConnection {
            stream,
            local,
            remote,
        } = connection;
        let mut inner = self.faults.inner();
        let other = self
            .name_of(remote.ip())
            .and_then(|name| inner.machine(&name));
        let stream = Arc::new(Mutex::new(Some(stream)));
        let id = inner.opened(self.machine, other.unwrap_or(Machine::MAX), &stream);
        drop(inner);
        Connection {
            stream: SimStream {
                stream,
                id,
                faults: self.faults.clone(),
            },
            local,
            remote,
            proved: Proved::default(),
        }
    }

    /// The name of the machine with this address.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<String> {
        self.faults.sockets.name_of(address)
    }
}

impl Net for SimNet {
    type Stream = SimStream;
    type Listener = SimListener;

    async fn listen(&self, at: &Address) -> io::Result<SimListener> {
        let bound = self.faults.sockets.listen(self.machine, at.port).await?;
        let changed = Arc::new(Notify::new());
        let listening = Arc::clone(&changed);
        self.faults.inner().machines[self.machine]
            .listeners
            .push(listening);
        SimListener::new(self.clone(), at.port, bound, changed)
    }

    async fn connect(&self, to: &Address) -> io::Result<Connection<SimStream>> {
        let dial = self.dial(to);
        let connected = self.faults.sockets.connect(self.machine, to).await;
        if let Some(dial) = dial {
            dial.ended(connected.as_ref().err());
        }
        Ok(self.wrap(connected?))
    }

    fn now(&self) -> Timestamp {
        let mut inner = self.faults.inner();
        inner.machines[self.machine]
            .clock
            .read(self.faults.epoch_ns)
    }

    fn task<F>(&self, task: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
    {
        Gated::new(task, self.machine, self.faults.clone())
    }
}

/// An attempt to connect. It counts as given up if it is dropped before its end.
struct Dial {
    faults: Faults,
    target: Machine,
    is_over: bool,
}

impl Dial {
    fn ended(mut self, error: Option<&io::Error>) {
        self.is_over = true;
        if error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            self.faults.inner().machines[self.target].counts.refused += 1;
        }
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        let counts = &mut self.faults.inner().machines[self.target].counts;
        counts.pending -= 1;
        counts.given_up += u64::from(!self.is_over);
    }
}
