//! What the clients of a workload send, as the seed draws it.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::{KEPT, Workload};
use crate::herd::{Name, ServerId};
use crate::scenario::{ClientStep, ConnectionUse, Line, Pattern, Reply, Scenario, Template};
use crate::seed::stream;

/// The steps of a workload that begins at `at`, each a write of one client with its time.
pub(in crate::scenario::steps) fn writes(
    scenario: &Scenario,
    at: Duration,
    workload: &Workload,
) -> impl Iterator<Item = (Duration, ClientStep)> {
    // By its name, so that other steps can come and go without a change of what it draws.
    let purpose = format!("workload {}", workload.name);
    let mut rng = stream(scenario.seed.at(at), &purpose, 0);
    let mut parts = scenario.seed.parts_until(at);
    let when = move |tick: u128| at + scenario.tick * u32::try_from(tick).unwrap_or(u32::MAX);
    let ticks = workload.lasts.as_nanos() / scenario.tick.as_nanos();
    let (lines, each) = (workload.lines(), u64::from(workload.shape.pipelined));
    let count = lines.div_ceil(each);
    let skew = workload.shape.is_skewed.then(|| Zipf::of(workload.clients));
    let mut known = Known::default();
    (0..count).map(move |write| {
        // The write's own part of the time. With more writes than ticks, some share one.
        let part = |write: u64| u128::from(write) * ticks / u128::from(count);
        let (mut from, to) = (part(write), part(write + 1));
        let to = to.max(from + 1);
        let mut tick = rng.random_range(from..to);
        // A write that would be sent after the seed changes is drawn again, and again after that moment: no write before
        // it may depend on what comes then.
        while let Some(&(since, seed)) = scenario.seed.later().get(parts) {
            if when(tick) < since {
                break;
            }
            parts += 1;
            rng = stream(seed, &purpose, 0);
            let first = since.saturating_sub(at).as_nanos();
            from = from.max(first.div_ceil(scenario.tick.as_nanos()));
            tick = rng.random_range(from..to);
        }
        let at = when(tick);
        let client = match &skew {
            Some(zipf) => zipf.draw(&mut rng),
            None => rng.random_range(1..=workload.clients),
        };
        let to = if workload.shape.is_kept {
            workload.to[(client as usize - 1) % workload.to.len()]
        } else {
            workload.to[rng.random_range(0..workload.to.len())]
        };
        let sent = (0..each.min(lines - write * each))
            .filter_map(|_| line(scenario, workload, client, to, &mut known, &mut rng));
        let step = ClientStep {
            client: workload.client(client),
            clients: None,
            to: vec![to],
            lines: sent.collect(),
            connection: ConnectionUse {
                name: workload.shape.is_kept.then(|| Name::from(KEPT)),
                reconnects: workload.shape.is_kept,
                ..ConnectionUse::default()
            },
            no_reply: false,
            // Who can't be reached can't answer.
            maybe: true,
            fails: None,
            times: 1,
            every: Duration::ZERO,
        };
        (at, step)
    })
}

/// The clients that have sent an IAMAT: in the order of the first, and by number.
#[derive(Default)]
struct Known {
    in_order: Vec<u32>,
    numbers: BTreeSet<u32>,
}

/// A line of a client to a server.
fn line(
    scenario: &Scenario,
    workload: &Workload,
    client: u32,
    to: ServerId,
    known: &mut Known,
    rng: &mut ChaCha8Rng,
) -> Option<Line> {
    let asks = rng.random_range(0..100) < workload.whatsat && !known.in_order.is_empty();
    let (send, reply) = if asks {
        let about = known.in_order[rng.random_range(0..known.in_order.len())];
        question(rng, &workload.client(about))
    } else {
        if known.numbers.insert(client) {
            known.in_order.push(client);
        }
        let server = &scenario.herd.server(to).name;
        report(rng, server, &workload.client(client))
    };
    let send = Template::parse(&send).ok()?;
    let reply = reply.map(Reply::Pattern);
    Some(Line { send, reply })
}

/// Draws clients by Zipf's law, in whole numbers, which are the same on every machine.
struct Zipf {
    /// The weight of all clients up to each one.
    up_to: Vec<u64>,
}

impl Zipf {
    /// The weight of the first client. A hundred thousand of them fit into a number.
    const FIRST: u64 = 1 << 40;

    fn of(clients: u32) -> Self {
        let up_to = (1..=u64::from(clients)).scan(0, |sum, number| {
            *sum += Self::FIRST / number;
            Some(*sum)
        });
        Self {
            up_to: up_to.collect(),
        }
    }

    /// The number of a client, from 1.
    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let all = self.up_to.last().copied().unwrap_or(1);
        let drawn = rng.random_range(0..all);
        let at = self.up_to.partition_point(|&up_to| up_to <= drawn);
        u32::try_from(at + 1).unwrap_or(u32::MAX)
    }
}

/// An IAMAT at a random place, and its answer.
fn report(rng: &mut ChaCha8Rng, server: &str, client: &str) -> (String, Option<Pattern>) {
    let place = degrees(rng, 90, 2) + &degrees(rng, 180, 3);
    let pattern = Pattern::parse(&format!("AT {server} * {{client}} {place} {{sent}}"));
    let name = client.replace('{', "{{").replace('}', "}}");
    let send = format!("IAMAT {name} {place} {{now}}");
    (send, pattern.ok().map(|pattern| pattern.for_client(client)))
}

/// A WHATSAT. What is answered depends on what the server knows by then.
fn question(rng: &mut ChaCha8Rng, about: &str) -> (String, Option<Pattern>) {
    let (radius, bound) = (rng.random_range(1..=50), rng.random_range(1..=20));
    let name = about.replace('{', "{{").replace('}', "}}");
    (format!("WHATSAT {name} {radius} {bound}"), None)
}

/// A latitude or longitude: a sign, `digits` digits, six decimals.
fn degrees(rng: &mut ChaCha8Rng, most: u32, digits: usize) -> String {
    const MILLIONTHS: u32 = 1_000_000;
    let sign = if rng.random_range(0..2) == 0 {
        '+'
    } else {
        '-'
    };
    let value = rng.random_range(0..=most * MILLIONTHS);
    let (whole, rest) = (value / MILLIONTHS, value % MILLIONTHS);
    format!("{sign}{whole:0digits$}.{rest:06}")
}
