//! How long an update takes to all five servers of a herd, and how many per second reach all five.
//!
//! ```sh
//! cargo bench --bench compare -- --propagation            # 5 rounds of one second each
//! cargo bench --bench compare -- --propagation --rounds 9 --seconds 3
//! ```
//!
//! Each update is sent to one server, and a listener is connected to each of the five. The time is
//! measured for all kinds alike: from before the update is written until the last of the five
//! listeners has read it. To a herd a listener looks like a neighbour: it greets, and gets all new
//! updates. To NATS it is a subscriber.
//!
//! - `flood`: five processes of the bare program of `flood.rs`, each on one thread;
//! - `herd`: five processes of the real binary, `herd serve`, with its defaults;
//! - `nats`: five processes of `nats-server`, if that is installed, in a cluster. NATS forwards an
//!   update over one hop only, so its cluster is a full mesh: ten links where the others have six.
//!
//! Nothing is pinned. Each round measures all kinds in turn, and ratios are taken within a round.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::flood::LINKS;
use super::{Result, announced, spread};

const SERVERS: [&str; 5] = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];

/// The updates per second when latency is measured.
const RATE: u64 = 10_000;

/// The number of updates in flight when throughput is measured.
const WINDOW: u64 = 16 * 1024;

/// The number of clients that updates are about, in turn. It exceeds the updates in flight, so none
/// overtakes another.
const CLIENTS: u64 = 100_000;

/// The time limit for an update. A later one counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The whole seconds in all updates. The nanoseconds are the update's number.
const SECOND: &[u8] = b" 1700000000.";

/// The protocol of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Herd,
    Nats,
}

/// Five servers, which are killed when this value is dropped.
struct Five {
    name: &'static str,
    speech: Speech,
    /// The address that updates are sent to.
    origin: SocketAddr,
    /// The addresses that listeners connect to.
    ears: Vec<SocketAddr>,
    /// The number of the next update.
    next: u64,
    processes: Vec<Child>,
    /// The herd file, kept until the servers end.
    _file: Option<tempfile::NamedTempFile>,
}

impl Drop for Five {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Ports that are free unless another process takes them first.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut bound = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        bound.push(listener);
    }
    Ok(ports)
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn quietly(command: &mut Command) -> Result<Child> {
    let (input, output) = (Stdio::null(), Stdio::null());
    Ok(command
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()?)
}

impl Five {
    fn flood() -> Result<Self> {
        let ports: [u16; 5] = free_ports()?;
        let program = std::env::current_exe()?;
        let (mut processes, mut clients) = (Vec::new(), Vec::new());
        for me in 0..ports.len() {
            let mut command = Command::new(&program);
            command.args(["--serve", "flood", &me.to_string()]);
            command.args(ports.map(|port| port.to_string()));
            let (process, address) = announced(&mut command)?;
            processes.push(process);
            clients.push(address);
        }
        Ok(Self {
            name: "flood",
            speech: Speech::Herd,
            origin: clients[0],
            ears: ports.map(at).to_vec(),
            next: 0,
            processes,
            _file: None,
        })
    }

    fn herd() -> Result<Self> {
        let [clients, peers, ears, no_ears]: [[u16; 5]; 4] = {
            let ports: [u16; 20] = free_ports()?;
            std::array::from_fn(|kind| std::array::from_fn(|at| ports[5 * kind + at]))
        };
        let mut text = "name = \"bench\"\nhost = \"127.0.0.1\"\nservers = [\n".to_owned();
        for (at, name) in SERVERS.iter().enumerate() {
            let ports = format!("port = {}, peer_port = {}", clients[at], peers[at]);
            let ear = format!("port = {}, peer_port = {}", ears[at], no_ears[at]);
            writeln!(text, "{{ name = \"{name}\", {ports} }},")?;
            writeln!(text, "{{ name = \"Ear{at}\", {ear} }},")?;
        }
        text += "]\nlinks = [\n";
        for (from, to) in LINKS {
            writeln!(text, "\"{}-{}\",", SERVERS[from], SERVERS[to])?;
        }
        for (at, name) in SERVERS.iter().enumerate() {
            writeln!(text, "\"Ear{at}-{name}\",")?;
        }
        text += "]\n";
        let file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        std::fs::write(file.path(), text)?;
        let mut processes = Vec::new();
        for name in SERVERS {
            let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
            command.args(["serve", name, "--herd"]).arg(file.path());
            processes.push(quietly(&mut command)?);
        }
        Ok(Self {
            name: "herd",
            speech: Speech::Herd,
            origin: at(clients[0]),
            ears: peers.map(at).to_vec(),
            next: 0,
            processes,
            _file: Some(file),
        })
    }

    fn nats() -> Result<Option<Self>> {
        if Command::new("nats-server")
            .arg("--version")
            .output()
            .is_err()
        {
            println!("nats-server is not installed: left out");
            return Ok(None);
        }
        let ports: [u16; 10] = free_ports()?;
        let (clients, routes) = ports.split_at(5);
        let all = routes.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        let all = all.collect::<Vec<_>>();
        let mut processes = Vec::new();
        for (client, own) in clients.iter().zip(&all) {
            let mut command = Command::new("nats-server");
            command.args(["--addr", "127.0.0.1", "--port", &client.to_string()]);
            command.args(["--cluster_name", "bench", "--cluster", own]);
            command.args(["--routes", &all.join(",")]);
            processes.push(quietly(&mut command)?);
        }
        Ok(Some(Self {
            name: "nats",
            speech: Speech::Nats,
            origin: at(clients[0]),
            ears: clients.iter().copied().map(at).collect(),
            next: 0,
            processes,
            _file: None,
        }))
    }
}

/// Connects to a server that may not have started yet.
fn connect(to: SocketAddr) -> Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => pause(Duration::from_millis(20)),
        }
    }
}

fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of a load generator waits until the next update is due"
    )]
    std::thread::sleep(time);
}

/// Appends the update with this number.
fn write(speech: Speech, out: &mut Vec<u8>, number: u64) {
    let client = number % CLIENTS;
    let place = "+34.068930-118.445127";
    let written = match speech {
        Speech::Herd => {
            writeln!(
                out,
                "IAMAT client-{client:06} {place} 1700000000.{number:09}"
            )
        }
        Speech::Nats => write!(
            out,
            "PUB herd.client-{client:06} 42\r\n{place} 1700000000.{number:09}\r\n"
        ),
    };
    written.expect("a Vec takes all");
}

/// The number of the update in this line, if it contains one.
fn number(line: &[u8]) -> Option<u64> {
    let from = memchr::memmem::find(line, SECOND)? + SECOND.len();
    let digits = line.get(from..from + 9)?.iter();
    Some(digits.fold(0, |number, digit| 10 * number + u64::from(digit & 0xf)))
}

/// The state that all threads of a measurement share. Times are nanoseconds since it began.
struct Shared {
    began: Instant,
    /// The first number of this measurement's updates.
    base: u64,
    /// The first number that counts. It is set when an update has reached every listener.
    first: AtomicU64,
    /// Whether each listener has received any update.
    reached: [AtomicBool; 5],
    /// The number of updates that count. It is set when all are sent.
    count: AtomicU64,
    /// The number of updates that each listener has received.
    heard: [AtomicU64; 5],
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn slowest(&self) -> u64 {
        let heard = self.heard.iter();
        let heard = heard.map(|heard| heard.load(Ordering::Relaxed));
        heard.min().unwrap_or_default()
    }
}

/// Listens at one server until it has received everything, and returns when it received each
/// update.
fn listen(to: SocketAddr, ear: usize, speech: Speech, shared: &Shared) -> Result<Vec<u64>> {
    let mut stream = connect(to)?;
    match speech {
        Speech::Herd => writeln!(stream, "HELLO 1 bench Ear{ear} 0123456789abcdef")?,
        Speech::Nats => stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB herd.> 1\r\n")?,
    }
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut buffer, mut filled) = (vec![0; 256 * 1024], 0);
    let mut arrived = Vec::new();
    let (mut heard, mut last, mut pinged) = (0, Instant::now(), Instant::now());
    while heard < shared.count.load(Ordering::Acquire) && last.elapsed() < PATIENCE {
        if speech == Speech::Herd && pinged.elapsed() > Duration::from_secs(1) {
            stream.write_all(b"PING\n")?;
            pinged = Instant::now();
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err("a server closed the connection of a listener".into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        let (now, mut start) = (shared.now(), 0);
        while let Some(length) = memchr::memchr(b'\n', &buffer[start..filled]) {
            let number = number(&buffer[start..start + length]);
            start += length + 1;
            let Some(number) = number else {
                continue;
            };
            if number >= shared.base {
                shared.reached[ear].store(true, Ordering::Relaxed);
            }
            let Some(at) = number.checked_sub(shared.first.load(Ordering::Acquire)) else {
                continue;
            };
            let at = usize::try_from(at)?;
            if at >= arrived.len() {
                arrived.resize(at + 1, 0);
            }
            if arrived[at] == 0 {
                arrived[at] = now;
                heard += 1;
            }
            last = Instant::now();
        }
        shared.heard[ear].store(heard, Ordering::Relaxed);
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
    Ok(arrived)
}

/// The pace at which updates are sent.
#[derive(Clone, Copy)]
enum Pace {
    /// A number of updates per second.
    Rate(u64),
    /// As many as the window has room for.
    Window,
}

/// Sends updates for `time`, and returns when each was sent.
fn send(five: &Five, pace: Pace, time: Duration, shared: &Shared) -> Result<Vec<u64>> {
    let mut stream = connect(five.origin)?;
    if five.speech == Speech::Nats {
        stream.write_all(b"CONNECT {\"verbose\":false}\r\n")?;
    }
    let mut answers = stream.try_clone()?;
    std::thread::scope(|scope| {
        // Answers are not used, but must be read.
        scope.spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while answers.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let sent = send_on(&mut stream, five.speech, pace, time, shared);
        stream.shutdown(std::net::Shutdown::Both)?;
        sent
    })
}

/// Sends updates until one has reached all listeners, since servers must connect first, and
/// greetings and subscriptions take time. Returns the number of the next update.
fn find_everybody(stream: &mut TcpStream, speech: Speech, shared: &Shared) -> Result<u64> {
    let began = Instant::now();
    for number in shared.base.. {
        let reached = &shared.reached;
        if reached.iter().all(|ear| ear.load(Ordering::Relaxed)) {
            // Updates that are still in flight don't count.
            pause(Duration::from_millis(50));
            return Ok(number);
        }
        if began.elapsed() > PATIENCE {
            break;
        }
        let mut out = Vec::new();
        write(speech, &mut out, number);
        stream.write_all(&out)?;
        pause(Duration::from_millis(20));
    }
    Err("no update gets to all five servers".into())
}

fn send_on(
    stream: &mut TcpStream,
    speech: Speech,
    pace: Pace,
    time: Duration,
    shared: &Shared,
) -> Result<Vec<u64>> {
    let first = find_everybody(stream, speech, shared)?;
    shared.first.store(first, Ordering::Release);
    let (began, mut sent, mut out) = (Instant::now(), Vec::<u64>::new(), Vec::new());
    while began.elapsed() < time {
        let so_far = sent.len() as u64;
        let due = match pace {
            Pace::Rate(rate) => {
                1 + rate * u64::try_from(began.elapsed().as_nanos())? / 1_000_000_000
            }
            Pace::Window => (shared.slowest() + WINDOW).min(so_far + 256),
        };
        if so_far >= due {
            pause(Duration::from_micros(20));
            continue;
        }
        for number in so_far..due {
            write(speech, &mut out, first + number);
        }
        let now = shared.now();
        sent.resize(usize::try_from(due)?, now);
        stream.write_all(&out)?;
        out.clear();
    }
    shared.count.store(sent.len() as u64, Ordering::Release);
    // The connection stays open until all updates have arrived, since closing it with unread
    // answers would reset it and lose updates.
    let waits = Instant::now();
    while shared.slowest() < sent.len() as u64 && waits.elapsed() < PATIENCE {
        pause(Duration::from_millis(5));
    }
    Ok(sent)
}

/// The result of a measurement.
struct Seen {
    /// The time of each update to the last of the five, in nanoseconds, sorted.
    took: Vec<u64>,
    /// The number of updates that did not reach all five.
    lost: usize,
    /// The time from the first update that was sent to the last that arrived.
    whole: Duration,
}

impl Five {
    fn measure(&mut self, pace: Pace, time: Duration) -> Result<Seen> {
        let shared = Shared {
            began: Instant::now(),
            base: self.next,
            first: AtomicU64::new(u64::MAX),
            reached: Default::default(),
            count: AtomicU64::new(u64::MAX),
            heard: Default::default(),
        };
        let (five, shared) = (&*self, &shared);
        let (sent, heard) = std::thread::scope(|scope| {
            let ears = five.ears.iter().enumerate();
            let ears = ears.map(|(ear, to)| {
                let listen = move || {
                    listen(*to, ear, five.speech, shared).map_err(|error| error.to_string())
                };
                scope.spawn(listen)
            });
            let ears: Vec<_> = ears.collect();
            let sent = send(five, pace, time, shared);
            if sent.is_err() {
                shared.count.store(0, Ordering::Release);
            }
            let heard = ears.into_iter().map(|ear| match ear.join() {
                Ok(heard) => Ok(heard?),
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let heard = heard.collect::<Result<Vec<_>>>();
            (sent, heard)
        });
        let (sent, heard) = (sent?, heard?);
        self.next = shared.first.load(Ordering::Relaxed) + sent.len() as u64;
        let mut took = Vec::new();
        let mut last = 0;
        for (at, sent) in sent.iter().enumerate() {
            let arrived = heard.iter().map(|ear| ear.get(at).copied().unwrap_or(0));
            let arrived = arrived.collect::<Vec<u64>>();
            let (least, most) = (arrived.iter().min(), arrived.iter().max());
            if let (Some(1..), Some(most)) = (least, most) {
                took.push(most.saturating_sub(*sent));
                last = last.max(*most);
            }
        }
        took.sort_unstable();
        let first = sent.first().copied().unwrap_or_default();
        Ok(Seen {
            lost: sent.len() - took.len(),
            took,
            whole: Duration::from_nanos(last.saturating_sub(first)),
        })
    }
}

impl Seen {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "far fewer than 2^52"
    )]
    fn micros(&self, quantile: f64) -> f64 {
        let last = self.took.len().saturating_sub(1);
        let at = (last as f64 * quantile) as usize;
        self.took
            .get(at)
            .map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.whole.as_secs_f64().max(1e-6)
    }
}

/// The results of all rounds for one kind of server.
#[derive(Default)]
struct Rounds {
    timed: Vec<Seen>,
    loaded: Vec<Seen>,
}

/// Measures all kinds of servers in turn, in each round.
pub(crate) fn compare(rounds: f64, time: Duration) -> Result<()> {
    let mut all = vec![Five::flood()?, Five::herd()?];
    all.extend(Five::nats()?);
    let mut measured: Vec<Rounds> = all.iter().map(|_| Rounds::default()).collect();
    let mut round = 0.0;
    while round < rounds {
        for (five, measured) in all.iter_mut().zip(&mut measured) {
            measured.timed.push(five.measure(Pace::Rate(RATE), time)?);
            measured.loaded.push(five.measure(Pace::Window, time)?);
        }
        round += 1.0;
    }
    println!("\npropagation to all five, {RATE} updates a second");
    println!("          p50 µs   p99 µs   of the flood's p50: least  median  most   lost");
    for (five, rounds) in all.iter().zip(&measured) {
        let [_, p50, _] = spread(rounds.timed.iter().map(|seen| seen.micros(0.5)));
        let [_, p99, _] = spread(rounds.timed.iter().map(|seen| seen.micros(0.99)));
        let pairs = rounds.timed.iter().zip(&measured[0].timed);
        let [least, median, most] =
            spread(pairs.map(|(its, flood)| its.micros(0.5) / flood.micros(0.5)));
        let lost: usize = rounds.timed.iter().map(|seen| seen.lost).sum();
        let name = five.name;
        println!(
            "  {name:<6} {p50:>8.0} {p99:>8.0} {least:>26.2} {median:>7.2} {most:>5.2} {lost:>6}"
        );
    }
    println!("\nas many as get to all five, {WINDOW} under way at most");
    println!(
        "           updates a second: least   median     most   of the flood's: median   lost"
    );
    for (five, rounds) in all.iter().zip(&measured) {
        let [least, median, most] = spread(rounds.loaded.iter().map(Seen::per_second));
        let pairs = rounds.loaded.iter().zip(&measured[0].loaded);
        let [_, ratio, _] = spread(pairs.map(|(its, flood)| its.per_second() / flood.per_second()));
        let lost: usize = rounds.loaded.iter().map(|seen| seen.lost).sum();
        let name = five.name;
        println!("  {name:<6} {least:>24.0} {median:>8.0} {most:>8.0} {ratio:>24.2} {lost:>6}");
    }
    Ok(())
}
