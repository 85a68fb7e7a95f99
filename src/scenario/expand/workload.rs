//! What the clients of a workload send, when and to which servers.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::scenario::{ClientStep, Line, Pattern, Scenario, Template, Workload};
use crate::seed::stream;

/// The lines of a workload that begins at `at`, each with its time.
pub(super) fn lines(
    scenario: &Scenario,
    at: Duration,
    workload: &Workload,
) -> impl Iterator<Item = (Duration, ClientStep)> {
    // By its name, so that other steps can come and go without a change of what it draws.
    let purpose = format!("workload {}", workload.name);
    let mut rng = stream(scenario.seed, &purpose, 0);
    let ticks = workload.lasts.as_nanos() / scenario.tick.as_nanos();
    let count = u128::from(workload.lines());
    let mut known: Vec<u32> = Vec::new();
    (0..count).map(move |line| {
        // The line's own part of the time. With more lines than ticks, some share one.
        let (from, to) = (line * ticks / count, (line + 1) * ticks / count);
        let tick = rng.random_range(from..to.max(from + 1));
        let at = at + scenario.tick * u32::try_from(tick).unwrap_or(u32::MAX);
        let client = rng.random_range(1..=workload.clients);
        let to = workload.to[rng.random_range(0..workload.to.len())];
        let asks = rng.random_range(0..100) < workload.whatsat && !known.is_empty();
        let (send, reply) = if asks {
            let about = known[rng.random_range(0..known.len())];
            question(&mut rng, &workload.client(about))
        } else {
            if !known.contains(&client) {
                known.push(client);
            }
            let server = &scenario.herd.server(to).name;
            report(&mut rng, server, &workload.client(client))
        };
        let template = Template::parse(&send);
        let lines = template.map(|send| Line { send, reply }).ok();
        let step = ClientStep {
            client: workload.client(client),
            clients: None,
            to: vec![to],
            lines: lines.into_iter().collect(),
            no_reply: false,
            // Who can't be reached can't answer.
            maybe: true,
            times: 1,
            every: Duration::ZERO,
        };
        (at, step)
    })
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
