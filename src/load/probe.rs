//! How long an update takes to all servers, seen by a client.
//!
//! A client that nobody has heard of tells one server where it is, and all others are asked about
//! it until they know. Who does not know refuses, which costs no look-up, so the last question alone costs one,
//! and with no answer of Places in between the time is that of the herd alone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Load, Target};
use crate::net::{Net as _, tokio::TokioNet};

/// The most that an answer may be long.
const LONGEST: usize = 4 << 20;

/// A connection to one server on which one line at a time is asked.
struct Wire {
    stream: TcpStream,
    limit: Duration,
    heard: Vec<u8>,
}

/// What a server knew when it was asked.
enum Known {
    No,
    Yes,
}

/// What was found out about one server.
struct Reached {
    /// From the IAMAT until it knew, at the latest.
    after: Duration,
    /// Between the last two looks.
    look: Duration,
}

/// Follows so many updates a second as the plan says, one after the other, until the load stops.
pub(super) async fn run(load: Arc<Load>) {
    let plan = &load.plan;
    let pause = Duration::from_secs(1) / u32::try_from(plan.probes).unwrap_or(u32::MAX).max(1);
    let mut wires: Vec<Option<Wire>> = plan.targets.iter().map(|_| None).collect();
    let mut next = Instant::now();
    for number in 0.. {
        while Instant::now() < next && !load.stopped() {
            sleep_until(next.min(Instant::now() + Duration::from_millis(200))).await;
        }
        if load.stopped() {
            return;
        }
        next = (next + pause).max(Instant::now());
        let id = format!("load-{}-probe-{number}", plan.seed);
        follow(&load, &id, number % plan.targets.len(), &mut wires).await;
    }
}

/// Tells the server at `origin` about a new client, and watches all others learn of it.
async fn follow(load: &Arc<Load>, id: &str, origin: usize, wires: &mut [Option<Wire>]) {
    // Everybody is asked once before, so that all connections are there and warm.
    let question = format!("WHATSAT {id} 0 0\n");
    for (target, wire) in load.plan.targets.iter().zip(&mut *wires) {
        if look(load, target, wire, &question).await.is_none() {
            load.totals().unreached += 1;
            return;
        }
    }
    let now = TokioNet.now().as_nanos();
    let (whole, part) = (now / 1_000_000_000, now % 1_000_000_000);
    let iamat = format!("IAMAT {id} +34.068930-118.445127 {whole}.{part:09}\n");
    let mut watching = JoinSet::new();
    let told = Instant::now();
    for (at, wire) in wires.iter_mut().enumerate() {
        let (load, question, wire) = (Arc::clone(load), question.clone(), wire.take());
        if at != origin {
            watching.spawn(watch(load, at, wire, question, told));
        } else if let Some(mut wire) = wire {
            // Written and not waited for: the herd spreads it while the answer is on its way.
            let written = wire.stream.write_all(iamat.as_bytes()).await;
            let iamat = iamat.clone();
            watching.spawn(async move {
                let answered = written.is_ok() && wire.hear(&iamat).await.is_ok();
                (at, answered.then_some(wire), None)
            });
        }
    }
    let mut longest = Some(Duration::ZERO);
    while let Some(watched) = watching.join_next().await {
        // A panic in there is a bug of this file's, and is passed on as one.
        let (at, wire, reached) = match watched {
            Ok(watched) => watched,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        wires[at] = wire;
        let mut totals = load.totals();
        match reached {
            Some(Reached { after, look }) => {
                totals.reached.record(after);
                totals.looks.record(look);
                longest = longest.map(|longest| longest.max(after));
            }
            None if at != origin => {
                totals.unreached += 1;
                longest = None;
            }
            None => {}
        }
    }
    if let Some(longest) = longest {
        load.totals().reached_all.record(longest);
    }
}

/// Asks one server until it knows.
async fn watch(
    load: Arc<Load>,
    at: usize,
    mut wire: Option<Wire>,
    question: String,
    told: Instant,
) -> (usize, Option<Wire>, Option<Reached>) {
    let target = &load.plan.targets[at];
    let mut last = told;
    let mut round_trip = Duration::ZERO;
    loop {
        let asked = Instant::now();
        match look(&load, target, &mut wire, &question).await {
            None => return (at, wire, None),
            Some(Known::Yes) => {
                // It knew when the question arrived. When that was is not seen, since the answer waited
                // for Places; but the question before took so long there and back.
                let known = asked + round_trip.min(asked.elapsed());
                let reached = Reached {
                    after: known - told,
                    look: asked - last,
                };
                return (at, wire, Some(reached));
            }
            Some(Known::No) if told.elapsed() > load.plan.timeout => return (at, wire, None),
            Some(Known::No) => round_trip = asked.elapsed(),
        }
        last = asked;
        // Looking ever less often keeps the share of what is not seen, and spares the servers.
        let pause = told.elapsed() / 8;
        if pause >= Duration::from_millis(1) {
            sleep(pause).await;
        }
    }
}

/// Asks `target` whether it knows, on its wire or on a new one; `None` if it can't be asked.
async fn look(
    load: &Load,
    target: &Target,
    wire: &mut Option<Wire>,
    question: &str,
) -> Option<Known> {
    let limit = load.plan.timeout;
    let known = async {
        let mut open = match wire.take() {
            Some(open) => open,
            None => Wire::new(target, limit).await?,
        };
        open.stream.write_all(question.as_bytes()).await?;
        let known = open.hear(question).await?;
        *wire = Some(open);
        Ok::<_, io::Error>(known)
    };
    match timeout(limit, known).await.ok()? {
        Ok(known) => Some(known),
        Err(error) => {
            load.totals().trouble = Some(format!("{}: {error}", target.address));
            None
        }
    }
}

impl Wire {
    async fn new(target: &Target, limit: Duration) -> io::Result<Self> {
        let stream = TokioNet.connect(&target.address).await?.stream;
        Ok(Self {
            stream,
            limit,
            heard: Vec::new(),
        })
    }

    /// Hears the whole answer to `line`: a line, or for a WHATSAT that is not refused, all up to a
    /// blank line.
    async fn hear(&mut self, line: &str) -> io::Result<Known> {
        let long = line.starts_with("WHATSAT");
        let hearing = async {
            loop {
                let end = match (long, self.heard.first()) {
                    (_, None) => None,
                    (true, Some(b'A')) => {
                        memchr::memmem::find(&self.heard, b"\n\n").map(|at| at + 2)
                    }
                    _ => memchr::memchr(b'\n', &self.heard).map(|at| at + 1),
                };
                if let Some(end) = end {
                    let refused = self.heard[0] == b'?';
                    self.heard.drain(..end);
                    return Ok(if refused { Known::No } else { Known::Yes });
                }
                let read = self.stream.read_buf(&mut self.heard).await?;
                if read == 0 || self.heard.len() > LONGEST {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        timeout(self.limit, hearing).await?
    }
}
