//! A scenario in plain steps: what many clients do, each by itself, and what the seed draws.
//!
//! Everything here is a pure function of the scenario, its seed among it.

mod random;
mod swarm;
mod workload;

use super::drawn::numbered;
use super::{Action, ClientStep, Drawn, Line, Pattern, Scenario, Step};

impl Scenario {
    /// The same scenario in plain steps, as it runs: a step of N clients becomes N steps, and a workload or a random
    /// step is followed by what its seed draws. Each step has the place of the one that it was expanded from.
    /// Expanding a second time changes nothing.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let mut steps = Vec::new();
        let mut randoms = 0;
        for (index, step) in self.steps.iter().enumerate() {
            let plain = |at, action| Step {
                at,
                span: step.span.clone(),
                action,
            };
            match &step.action {
                Action::Client(client) => steps.extend(clients(step, client)),
                Action::Workload(workload) => {
                    let drawn = Drawn::Workload(workload.clone());
                    steps.push(plain(step.at, Action::Drawn(drawn)));
                    let lines = workload::lines(self, step.at, workload);
                    steps.extend(lines.map(|(at, line)| plain(at, Action::Client(line))));
                }
                Action::Random(random) => {
                    randoms += 1;
                    let drawn = random::draw(self, index, random, randoms);
                    let whole = Drawn::Random(random.clone(), drawn.counts);
                    steps.push(plain(step.at, Action::Drawn(whole)));
                    let drawn = drawn.steps.into_iter();
                    steps.extend(drawn.map(|(at, action)| plain(at, action)));
                }
                _ => steps.push(step.clone()),
            }
        }
        // In the order of the file where times are equal, as if everything were written in it.
        steps.sort_by_key(|step| (step.at, step.span.start));
        Self {
            steps,
            ..self.clone()
        }
    }
}

/// The steps, with one for each client where there are many. No seed has a part in it.
pub(super) fn each_client(steps: &[Step]) -> Vec<Step> {
    let each = steps.iter().flat_map(|step| match &step.action {
        Action::Client(client) => clients(step, client),
        _ => vec![step.clone()],
    });
    each.collect()
}

fn clients(step: &Step, what: &ClientStep) -> Vec<Step> {
    let Some(count) = what.clients else {
        return vec![Step {
            action: Action::Client(with_name(what)),
            ..step.clone()
        }];
    };
    let each = (1..=count).map(|number| {
        let client = with_name(&ClientStep {
            client: numbered(&what.client, number),
            clients: None,
            every: what.every * count,
            ..what.clone()
        });
        Step {
            at: step.at + what.every * (number - 1),
            span: step.span.clone(),
            action: Action::Client(client),
        }
    });
    each.collect()
}

/// The same with the client's name in its lines.
fn with_name(step: &ClientStep) -> ClientStep {
    let name = &step.client;
    let names = |line: &Line| {
        let reply = line.reply.as_ref();
        line.send.names_client() || reply.is_some_and(Pattern::names_client)
    };
    // To read lines again is most of what it takes to expand what is plain.
    if !step.lines.iter().any(names) {
        return step.clone();
    }
    let lines = step.lines.iter().map(|line| Line {
        send: line.send.for_client(name),
        reply: line.reply.as_ref().map(|reply| reply.for_client(name)),
    });
    ClientStep {
        lines: lines.collect(),
        ..step.clone()
    }
}
