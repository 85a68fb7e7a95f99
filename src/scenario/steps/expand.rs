//! A scenario in plain steps: what many clients do, each by itself, and what the seed draws.
//!
//! Everything here is a pure function of the scenario, its seed among it.

use super::{Action, Drawn, Step, client, random, workload};
use crate::scenario::Scenario;

impl Scenario {
    /// The same scenario in plain steps, as it runs: a step of N clients becomes N steps, and a workload or a random
    /// step is followed by what its seed draws. Each step has the place of the one that it was expanded from.
    /// Expanding a second time changes nothing.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let mut steps = Vec::new();
        let mut randoms = 0;
        for (index, step) in self.steps.iter().enumerate() {
            let plain = |at, action| Step::plain(at, step.span.clone(), action);
            let with_note = |plain| Step {
                note: step.note.clone(),
                ..plain
            };
            match &step.action {
                Action::Client(client) => steps.extend(client::each_client(step, client)),
                Action::Peer(peer) => {
                    steps.push(plain(step.at, Action::Peer(client::with_name(peer))));
                }
                Action::Workload(workload) => {
                    let drawn = Drawn::Workload(workload.clone());
                    steps.push(with_note(plain(step.at, Action::Drawn(drawn))));
                    let writes = workload::writes(self, step.at, workload);
                    steps.extend(writes.map(|(at, write)| plain(at, Action::Client(write))));
                }
                Action::Random(random) => {
                    randoms += 1;
                    let outcome = random::draw(self, index, random, randoms);
                    let whole = Drawn::Random(random.clone(), outcome.counts);
                    steps.push(with_note(plain(step.at, Action::Drawn(whole))));
                    let chosen = random::chosen(self, index, random, randoms).into_iter();
                    steps.extend(
                        chosen.map(|(at, chosen)| plain(at, Action::Drawn(Drawn::Chosen(chosen)))),
                    );
                    let drawn = outcome.steps.into_iter();
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
pub(in crate::scenario) fn plain(steps: &[Step]) -> Vec<Step> {
    let each = steps.iter().flat_map(|step| match &step.action {
        Action::Client(client) => client::each_client(step, client),
        _ => vec![step.clone()],
    });
    each.collect()
}
