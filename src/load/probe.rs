//! Measures how long an update takes to reach all servers, as a client sees it.
//!
//! A new client sends one server its location, and all others are queried for that client until
//! they know it. A server that does not know the client refuses without a look-up, so only the last
//! query causes one. Since no answer of Places comes before, the time is that of the herd alone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::body::Body;
use super::connect::{Duplex, Stream};
use super::{Load, Plan, Target};
use crate::net::{Net as _, tokio::TokioNet};
use crate::protocol::is_space;

/// The limit on an answer, in bytes.
const LONGEST: usize = 4 << 20;

/// A connection to one server that sends one line at a time.
struct Wire {
    stream: Box<dyn Duplex>,
    limit: Duration,
    heard: Vec<u8>,
}

/// The answer of a server to a query.
enum Known {
    No,
    Yes,
}

/// The time at which a server knew an update.
struct Reached {
    /// The time from the IAMAT until the server knew it, an upper bound.
    after: Duration,
    /// The time between the last two queries.
    look: Duration,
}

/// Follows updates one after the other, at the plan's rate, until the load stops.
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

/// Sends the server at `origin` a new client's location, and watches all others learn it.
async fn follow(load: &Arc<Load>, id: &str, origin: usize, wires: &mut [Option<Wire>]) {
    // Every server is queried first, so that all connections are open and warm.
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
            // The answer is not awaited, because the herd spreads the update meanwhile.
            let written = wire.say(&iamat).await;
            let iamat = iamat.clone();
            watching.spawn(async move {
                if written.is_ok() && wire.hear(&iamat).await.is_ok() {
                    return (at, Some(wire), None);
                }
                // The server closed the connection after its previous answer, so the IAMAT did not
                // arrive.
                let (plan, target) = (&load.plan, &load.plan.targets[at]);
                let said = async { Wire::new(plan, target).await?.ask(&iamat).await };
                let wire = timeout(plan.timeout, said).await.ok().and_then(Result::ok);
                (at, wire.map(|(_, wire)| wire), None)
            });
        }
    }
    let mut longest = Some(Duration::ZERO);
    while let Some(watched) = watching.join_next().await {
        // A panic in such a task is a bug of this file, so it is resumed.
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

/// Queries one server until it knows the update.
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
                // It knew at the latest when the query arrived. The answer waited for Places and
                // does not show when that was, but the previous query's round trip is a bound.
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
        // Pauses that grow keep the relative error constant, and spare the servers.
        let pause = told.elapsed() / 8;
        if pause >= Duration::from_millis(1) {
            sleep(pause).await;
        }
    }
}

/// Queries `target`, over its open connection or a new one. Returns `None` if that fails.
async fn look(
    load: &Load,
    target: &Target,
    wire: &mut Option<Wire>,
    question: &str,
) -> Option<Known> {
    let known = async {
        if let Some(open) = wire.take()
            && let Ok((known, open)) = open.ask(question).await
        {
            *wire = Some(open);
            return Ok(known);
        }
        // Many servers close a connection after its first answer.
        let (known, open) = Wire::new(&load.plan, target).await?.ask(question).await?;
        *wire = Some(open);
        Ok::<_, io::Error>(known)
    };
    let known = timeout(load.plan.timeout, known).await;
    match known.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(known) => Some(known),
        Err(error) => {
            load.totals().trouble = Some(format!("{}: {error}", target.address));
            None
        }
    }
}

impl Wire {
    async fn new(plan: &Plan, target: &Target) -> io::Result<Self> {
        let stream = Stream::connect(plan, target).await?.boxed();
        Ok(Self {
            stream,
            limit: plan.timeout,
            heard: Vec::new(),
        })
    }

    /// Sends a line, and reads its answer.
    async fn ask(mut self, question: &str) -> io::Result<(Known, Self)> {
        self.say(question).await?;
        let known = self.hear(question).await?;
        Ok((known, self))
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Reads the whole answer to `line`.
    async fn hear(&mut self, line: &str) -> io::Result<Known> {
        let hearing = async {
            let mut body = Body::default();
            loop {
                let blanks = self.heard.iter().take_while(|&&byte| is_space(byte));
                self.heard.drain(..blanks.count());
                if let Some(end) = whole(&self.heard, line, &mut body) {
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

/// The length of the answer to `line` at the beginning of `heard`, once it is complete. Its end
/// need not be a line feed: a refusal copies the line, the answer to an IAMAT repeats its text, and
/// a JSON body has brackets.
fn whole(heard: &[u8], line: &str, body: &mut Body) -> Option<usize> {
    let line = line.trim_end();
    let copy = heard.strip_prefix(b"? ");
    if copy.is_some_and(|copy| copy.starts_with(line.as_bytes())) {
        return Some(2 + line.len());
    }
    let begins_at = heard.first() == Some(&b'A');
    if let Some(said) = line.strip_prefix("IAMAT ")
        && begins_at
        && let Some(at) = memchr::memmem::find(heard, said.as_bytes())
    {
        return Some(at + said.len());
    }
    let end = memchr::memchr(b'\n', heard)? + 1;
    if !begins_at || !line.starts_with("WHATSAT") {
        return Some(end);
    }
    let blanks = heard[end..].iter().take_while(|&&byte| is_space(byte));
    let begin = end + blanks.count();
    Some(begin + body.length(&heard[begin..])?)
}
