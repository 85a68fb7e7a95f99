//! A TCP relay between two programs: what a network does to their connections, without privileges.
//!
//! One task accepts, two halves of each connection read and write. What is read waits in a queue with the moment at
//! which it is due, so a latency delays bytes and not the reading of the next ones. A cut holds up what waits, as the
//! retransmissions of a TCP would: it is delivered when the direction is healed. Queues are bounded; a sender whose
//! queue is full is slowed down by its own system.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_lite::future::{or, try_zip};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// The number of bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// The number of pieces that wait in one direction of a connection, at most.
const PIECES: usize = 64;

/// The number of connections that a relay has at once, at most. Others wait in the backlog.
const MOST_CONNECTIONS: usize = 4096;

/// The number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long to wait before a port is bound again that was not free.
const AGAIN: Duration = Duration::from_millis(10);

/// A direction of a relay's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the one who connects to the relay.
    There = 0,
    /// Back to that one.
    Back = 1,
}

/// A bandwidth, and the number of bytes that wait for it before the sender has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bandwidth {
    /// In bytes a second, at least 1.
    pub(crate) rate: u64,
    /// In bytes.
    pub(crate) queue: u64,
}

impl Bandwidth {
    fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What happens in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    /// How many faults cut it.
    cuts: u32,
    /// How long each byte takes.
    latency: Duration,
    bandwidth: Option<Bandwidth>,
}

/// What a relay does at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Controls {
    ways: [Direction; 2],
    /// Whether nobody listens at the relay's port.
    refuses: bool,
    /// How often its connections were reset.
    severed: u64,
}

impl Controls {
    /// Whether a connection can be established.
    fn is_whole(&self) -> bool {
        self.ways.iter().all(|way| way.cuts == 0)
    }
}

/// A connection through a relay: the addresses of both of its halves, each from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// That of who connected to the relay.
    pub(crate) dialled: (SocketAddr, SocketAddr),
    /// That by which the relay connected on.
    pub(crate) onward: (SocketAddr, SocketAddr),
}

/// A port of the harness whose connections lead on to another port.
pub(crate) struct Relay {
    at: SocketAddr,
    controls: watch::Sender<Controls>,
    pairs: Arc<Mutex<Vec<Pair>>>,
}

impl Relay {
    /// Binds a port that the system chooses, whose connections lead to `to`. The second value serves it: it never ends.
    pub(crate) async fn bind(
        to: SocketAddr,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + use<>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let at = listener.local_addr()?;
        let (controls, watched) = watch::channel(Controls::default());
        let pairs = Arc::<Mutex<Vec<Pair>>>::default();
        let serving = serve(listener, at, to, watched, Arc::clone(&pairs));
        let relay = Self {
            at,
            controls,
            pairs,
        };
        Ok((relay, serving))
    }

    /// The address to connect to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.at
    }

    /// The connections that were led on so far.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let pairs = self.pairs.lock();
        pairs.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, way: Way, change: impl FnOnce(&mut Direction)) {
        let apply = |controls: &mut Controls| change(&mut controls.ways[way as usize]);
        self.controls.send_modify(apply);
    }

    /// Cuts a direction. Each cut is healed by itself.
    pub(crate) fn cut(&self, way: Way) {
        self.change(way, |way| way.cuts += 1);
    }

    /// Takes one cut away.
    pub(crate) fn heal(&self, way: Way) {
        self.change(way, |way| way.cuts = way.cuts.saturating_sub(1));
    }

    /// What is read from now on takes this long.
    pub(crate) fn slow(&self, way: Way, latency: Duration) {
        self.change(way, |way| way.latency = latency);
    }

    /// Carries no more than this, or without a limit.
    pub(crate) fn limit(&self, way: Way, bandwidth: Option<Bandwidth>) {
        self.change(way, |way| way.bandwidth = bandwidth);
    }

    /// Resets all connections, at both ends.
    pub(crate) fn sever(&self) {
        self.controls.send_modify(|controls| controls.severed += 1);
    }

    /// Refuses connections, or listens again. Open ones stay.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.controls
            .send_modify(|controls| controls.refuses = refuses);
    }
}

/// Waits until the controls are as wanted. If nobody controls the relay any more, it is as if they never were.
async fn until(watched: &mut watch::Receiver<Controls>, wanted: impl FnMut(&Controls) -> bool) {
    if watched.wait_for(wanted).await.is_err() {
        pending::<()>().await;
    }
}

/// Accepts connections and leads them on.
async fn serve(
    listener: TcpListener,
    at: SocketAddr,
    to: SocketAddr,
    mut watched: watch::Receiver<Controls>,
    pairs: Arc<Mutex<Vec<Pair>>>,
) {
    let mut connections: JoinSet<()> = JoinSet::new();
    let mut listener = Some(listener);
    loop {
        while connections.try_join_next().is_some() {}
        if watched.borrow_and_update().refuses {
            // What waits in the backlog is reset with it.
            listener = None;
            until(&mut watched, |controls| !controls.refuses).await;
        }
        let Some(open) = &listener else {
            listener = bind_again(at);
            if listener.is_none() {
                sleep(AGAIN).await;
            }
            continue;
        };
        if connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
            continue;
        }
        let changed = async {
            if watched.changed().await.is_err() {
                pending::<()>().await;
            }
            None
        };
        let accepted = or(changed, async { Some(open.accept().await) }).await;
        match accepted {
            Some(Ok((stream, dialler))) => {
                let (watched, pairs) = (watched.clone(), Arc::clone(&pairs));
                connections.spawn(lead_on(stream, ((dialler, at), to), watched, pairs));
            }
            Some(Err(_)) => sleep(AGAIN).await,
            None => {}
        }
    }
}

/// The relay's port again, unless something else has it for the moment.
fn bind_again(at: SocketAddr) -> Option<TcpListener> {
    let socket = TcpSocket::new_v4().ok()?;
    // Connections of before may still have the port.
    socket.set_reuseaddr(true).ok()?;
    socket.bind(at).ok()?;
    socket.listen(BACKLOG).ok()
}

/// Both ends of a connection are to be reset.
#[derive(Debug)]
struct Reset;

/// What was read, and when it is due at the other end.
struct Due {
    at: Instant,
    what: Piece,
}

enum Piece {
    Bytes(Vec<u8>),
    /// Nothing more comes.
    End,
    Reset,
}

/// Leads one connection on until it ends.
async fn lead_on(
    mut dialler: TcpStream,
    (dialled, to): ((SocketAddr, SocketAddr), SocketAddr),
    mut watched: watch::Receiver<Controls>,
    pairs: Arc<Mutex<Vec<Pair>>>,
) {
    let severed = watched.borrow().severed;
    let _ = dialler.set_nodelay(true);
    let mut resets = watched.clone();
    let is_connecting = AtomicBool::new(false);
    let is_reset = async {
        until(&mut resets, |controls| controls.severed != severed).await;
        // A socket that is dropped while it connects ends without a RST.
        while is_connecting.load(Ordering::Relaxed) {
            sleep(AGAIN).await;
        }
        Err(Reset)
    };
    let mut target = None;
    let (reader, writer) = dialler.split();
    let gone = AtomicBool::new(false);
    let (give, pieces) = mpsc::channel(PIECES);
    let reading = read(reader, Way::There, give, (watched.clone(), &gone));
    let leading = async {
        let target = connect(&mut target, to, &mut watched, (&gone, &is_connecting)).await?;
        if let Ok(onward) = target.local_addr() {
            let mut pairs = pairs.lock().unwrap_or_else(PoisonError::into_inner);
            pairs.push(Pair {
                dialled,
                onward: (onward, to),
            });
        }
        let (back, there) = target.split();
        let (give, pieces_back) = mpsc::channel(PIECES);
        let never = AtomicBool::new(false);
        let reading = read(back, Way::Back, give, (watched.clone(), &never));
        let writing = write(there, Way::There, pieces, watched.clone());
        let writing_back = write(writer, Way::Back, pieces_back, watched.clone());
        try_zip(reading, try_zip(writing, writing_back)).await?;
        Ok(())
    };
    let led = async { try_zip(reading, leading).await.map(|_| ()) };
    if or(is_reset, led).await.is_err() {
        // The end of a stream with this option is a RST.
        let _ = dialler.set_zero_linger();
        let _ = target.map(|target| target.set_zero_linger());
    }
}

/// Connects to the target as soon as messages can go both ways.
async fn connect<'a>(
    target: &'a mut Option<TcpStream>,
    to: SocketAddr,
    watched: &mut watch::Receiver<Controls>,
    (gone, is_connecting): (&AtomicBool, &AtomicBool),
) -> Result<&'a mut TcpStream, Reset> {
    if !watched.borrow().is_whole() {
        until(watched, Controls::is_whole).await;
        // Who gave up meanwhile never got a message through.
        if gone.load(Ordering::Relaxed) {
            return Err(Reset);
        }
    }
    let latencies = watched.borrow().ways.map(|way| way.latency);
    sleep(latencies[0]).await;
    is_connecting.store(true, Ordering::Relaxed);
    let connected = TcpStream::connect(to).await;
    is_connecting.store(false, Ordering::Relaxed);
    if let Ok(stream) = connected {
        let _ = stream.set_nodelay(true);
        return Ok(target.insert(stream));
    }
    sleep(latencies[1]).await;
    until(watched, |controls| controls.ways[1].cuts == 0).await;
    Err(Reset)
}

/// Reads one end into a queue, until it ends.
async fn read(
    mut reader: ReadHalf<'_>,
    way: Way,
    pieces: mpsc::Sender<Due>,
    (watched, gone): (watch::Receiver<Controls>, &AtomicBool),
) -> Result<(), Reset> {
    // The dialler would only know after a round trip that it is connected, and say nothing before.
    let mut connected = Instant::now();
    if way == Way::There {
        let ways = watched.borrow().ways;
        connected += ways.iter().map(|way| way.latency).sum::<Duration>();
    }
    // Order is kept: a shorter latency overtakes nothing. The wire is busy until then.
    let (mut last, mut busy) = (connected, connected);
    let mut buffer = vec![0; PIECE];
    loop {
        let Ok(room) = pieces.reserve().await else {
            return Ok(());
        };
        let read = reader.read(&mut buffer).await;
        let Direction {
            latency, bandwidth, ..
        } = watched.borrow().ways[way as usize];
        let now = Instant::now();
        let what = match read {
            Ok(0) => Piece::End,
            Ok(length) => Piece::Bytes(buffer[..length].to_vec()),
            Err(_) => Piece::Reset,
        };
        if let (Some(bandwidth), Piece::Bytes(bytes)) = (bandwidth, &what) {
            busy = busy.max(now) + bandwidth.time_for(bytes.len() as u64);
        }
        last = last.max(now.max(connected).max(busy) + latency);
        let is_over = !matches!(what, Piece::Bytes(_));
        room.send(Due { at: last, what });
        if is_over {
            gone.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if let Some(bandwidth) = bandwidth {
            sleep_until(busy - bandwidth.time_for(bandwidth.queue).min(busy - now)).await;
        }
    }
}

/// Writes what is due to the other end.
async fn write(
    mut writer: WriteHalf<'_>,
    way: Way,
    mut pieces: mpsc::Receiver<Due>,
    mut watched: watch::Receiver<Controls>,
) -> Result<(), Reset> {
    let other = 1 - way as usize;
    while let Some(Due { at, what }) = pieces.recv().await {
        sleep_until(at).await;
        until(&mut watched, |controls| {
            controls.ways[way as usize].cuts == 0
        })
        .await;
        match what {
            Piece::Bytes(bytes) => {
                if writer.write_all(&bytes).await.is_err() {
                    // The news that nobody is there takes the other way.
                    until(&mut watched, |controls| controls.ways[other].cuts == 0).await;
                    return Err(Reset);
                }
            }
            Piece::End => {
                let _ = writer.shutdown().await;
                return Ok(());
            }
            Piece::Reset => return Err(Reset),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
