//! Runs a scenario in a world that is none of the simulator's: its servers are processes, and time is real.
//!
//! Driver, clients, faults and judge are the simulator's. The caller gives sockets for the harness's own programs, and a
//! world that carries out what happens to servers and to the network between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{self, Execution};
use super::{SimError, header, judge};
use crate::journal::{Event, EventId, EventKind};
use crate::scenario::{Scenario, sent_updates};
use crate::trace::Trace;
use crate::trace::propagation::follow as follow_updates;

pub(crate) use super::machines::{Machine, Machines};
pub(crate) use super::recorder::Recorder;
pub(crate) use super::sockets::{Opening, RawConnection, RawListener, RawStream, Sockets};
pub(crate) use super::time::follow;
pub(crate) use super::worlds::{Engine, Setup, Wire, World};

/// The name of this world in traces.
pub(crate) const LIVE: &str = "live";

/// How much longer than in the simulator things may take in real time.
const SLACK: Duration = Duration::from_millis(250);

/// The events of a run in order, and the new numbers of those that the harness recorded.
pub(crate) struct Merged {
    pub(crate) events: Vec<Event>,
    pub(crate) ids: BTreeMap<EventId, EventId>,
}

/// Adds what servers recorded themselves to what the harness did.
pub(crate) type Merge = Box<dyn FnOnce(Vec<Event>) -> Merged>;

/// Runs a scenario of plain steps once, on this thread. Without `merge` nothing is known of servers but what they told
/// clients. The run's time goes `speed` times as fast as the machine's.
///
/// # Errors
///
/// If the world can't be made, or fails.
pub(crate) fn run(
    scenario: &Scenario,
    engine: Engine,
    merge: Option<Merge>,
    speed: u32,
) -> Result<Trace, SimError> {
    let executed = driver::execute(scenario, None, (engine, None), None, &Arc::default())?;
    let given_up = || SimError::Failed("the run was given up".to_owned());
    let mut execution = executed.ok_or_else(given_up)?;
    let is_whole = merge.is_some();
    let lasting = without_impacts(&mut execution);
    if let Some(merge) = merge {
        let Merged { events, ids } = merge(std::mem::take(&mut execution.events));
        renumber(&mut execution, &ids);
        execution.events = events;
    }
    // With faults in force nobody can say what a quiet end is like.
    let mut judged = scenario.clone();
    if lasting && judged.end.is_none() {
        judged.end = Some(execution.lasted);
    }
    let mut trace = Trace {
        header: header(scenario, LIVE),
        herd: scenario.herd.clone(),
        events: std::mem::take(&mut execution.events),
        updates: Vec::new(),
        judgements: Vec::new(),
    };
    (trace.judgements, trace.header.not_evaluated) = if is_whole {
        let least = vec![Duration::ZERO; scenario.herd.links().len()];
        let sent = sent_updates(scenario, &execution.outcomes);
        trace.updates = follow_updates(&scenario.herd, &least, &trace.events, sent);
        judge::outside::judge_whole(&judged, &execution, &trace, SLACK * speed)
    } else {
        judge::outside::judge(&judged, &execution, &trace)
    };
    Ok(trace)
}

/// Removes what faults are said to have affected: nobody counts that here. Returns whether any fault lasts.
fn without_impacts(execution: &mut Execution) -> bool {
    let mut lasting = false;
    let mut ids = BTreeMap::new();
    let mut kept = Vec::new();
    for mut event in std::mem::take(&mut execution.events) {
        if let EventKind::Affected { lasts, .. } = event.what {
            lasting |= lasts;
            continue;
        }
        let old = event.id;
        event.cause = event.cause.and_then(|cause| ids.get(&cause)).copied();
        event.id = EventId(
            u64::try_from(kept.len())
                .ok()
                .and_then(|before| std::num::NonZeroU64::new(before + 1))
                .unwrap_or(std::num::NonZeroU64::MIN),
        );
        ids.insert(old, event.id);
        kept.push(event);
    }
    execution.events = kept;
    renumber(execution, &ids);
    lasting
}

/// Gives the events that an execution refers to their new numbers.
fn renumber(execution: &mut Execution, ids: &BTreeMap<EventId, EventId>) {
    for outcome in &mut execution.outcomes {
        outcome.sent = outcome.sent.and_then(|sent| ids.get(&sent)).copied();
    }
    for impact in &mut execution.impacts {
        if let Some(id) = ids.get(&impact.event) {
            impact.event = *id;
        }
    }
}
