//! Load on any server that answers each request with one line. Each connection has as many requests
//! in flight as its window allows, and writes once for each read.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use proxy_herd::load::cpu;
use proxy_herd::net::{Net as _, tokio::TokioNet};

/// The number of connections, and of requests in flight on each.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) title: &'static str,
    pub(crate) connections: usize,
    pub(crate) window: usize,
}

/// The protocol of a server.
#[derive(Clone, Copy)]
pub(crate) enum Dialect {
    Iamat,
    RedisSet,
    NatsPub,
}

/// The number of clients that each connection uses in turn.
const CLIENTS: usize = 16;

impl Dialect {
    /// Appends a request whose answer is one line.
    fn write(self, out: &mut Vec<u8>, connection: usize, number: u64, time: &[u8]) {
        let client = number % CLIENTS as u64;
        let mut put = |text: std::fmt::Arguments<'_>| {
            let written = io::Write::write_fmt(out, text);
            written.expect("a Vec takes all");
        };
        let time = std::str::from_utf8(time).expect("digits");
        let id = format_args!("client-{connection:04}-{client:04}");
        let place = "+34.068930-118.445127";
        match self {
            Self::Iamat => put(format_args!("IAMAT {id} {place} {time}\n")),
            Self::RedisSet => put(format_args!(
                "*3\r\n$3\r\nSET\r\n$16\r\n{id}\r\n${}\r\n{place} {time}\r\n",
                place.len() + 1 + time.len(),
            )),
            Self::NatsPub => put(format_args!(
                "PUB {id} {}\r\n{place} {time}\r\n",
                place.len() + 1 + time.len(),
            )),
        }
    }

    async fn greet(self, stream: &mut TcpStream) -> io::Result<()> {
        if let Self::NatsPub = self {
            stream.write_all(b"CONNECT {\"verbose\":true}\r\n").await?;
            let mut greeting = Vec::new();
            while !greeting.ends_with(b"+OK\r\n") {
                if stream.read_buf(&mut greeting).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }
}

/// The result of a round for one server.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

impl Measured {
    /// Requests per second of the server's CPU.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        per_second(self.requests, self.cpu)
    }

    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.requests, self.wall)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn per_second(requests: u64, time: Duration) -> f64 {
    requests as f64 / time.as_secs_f64().max(0.01)
}

/// Loads the server for `time`, after a warm-up of a fifth of it that is not counted.
pub(crate) async fn run(
    server: SocketAddr,
    pid: u32,
    dialect: Dialect,
    load: Load,
    time: Duration,
) -> io::Result<Measured> {
    let mut tasks = JoinSet::new();
    let answered = std::rc::Rc::new(std::cell::Cell::new(0));
    for connection in 0..load.connections {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        dialect.greet(&mut stream).await?;
        let answered = std::rc::Rc::clone(&answered);
        tasks.spawn_local(async move {
            let talk = talk(stream, dialect, connection, load.window, &answered);
            talk.await
        });
    }
    let mut failed = async || match tasks.join_next().await {
        Some(Ok(Err(error))) => error,
        _ => io::Error::other("a connection ended"),
    };
    let watch = async {
        tokio::time::sleep(time / 5).await;
        let (from, began, before) = (answered.get(), Instant::now(), cpu::used(pid)?);
        tokio::time::sleep(time).await;
        Ok(Measured {
            requests: answered.get() - from,
            wall: began.elapsed(),
            cpu: cpu::used(pid)?.saturating_sub(before),
        })
    };
    futures_lite::future::or(watch, async { Err(failed().await) }).await
}

async fn talk(
    mut stream: TcpStream,
    dialect: Dialect,
    connection: usize,
    window: usize,
    answered: &std::cell::Cell<u64>,
) -> io::Result<()> {
    let mut number = 0;
    let mut room = window;
    let mut out = Vec::with_capacity(64 * 1024);
    let mut answers = Vec::with_capacity(64 * 1024);
    loop {
        let now = TokioNet.now().as_nanos();
        for now in (now..).take(room) {
            let time = format!("{}.{:09}", now / 1_000_000_000, now % 1_000_000_000);
            dialect.write(&mut out, connection, number, time.as_bytes());
            number += 1;
        }
        stream.write_all(&out).await?;
        out.clear();
        answers.clear();
        let read = timeout(Duration::from_secs(10), stream.read_buf(&mut answers)).await;
        if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if answers.contains(&b'?') || answers.first() == Some(&b'-') {
            let answer = String::from_utf8_lossy(&answers).into_owned();
            return Err(io::Error::other(format!("refused: {answer}")));
        }
        room = memchr::memchr_iter(b'\n', &answers).count();
        answered.set(answered.get() + room as u64);
    }
}
