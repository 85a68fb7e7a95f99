//! Vacuity: whether anything in a run could have violated an invariant.

use super::{Invariant, Run};
use crate::journal::{Actor, Event, EventKind};
use crate::protocol::client::ClientLine;
use crate::protocol::peer::PeerLine;
use crate::trace::network::Network;
use crate::trace::state::State;

impl Invariant {
    /// Why no server could violate the invariant in this run, so that it passes vacuously; `None`
    /// if one could.
    pub fn idle(self, run: &Run<'_>) -> Option<&'static str> {
        let happens = |it: &dyn Fn(&Event) -> bool| run.events.iter().any(it);
        let is_asked = || happens(&|event| is_line_of_client(event));
        let (is_idle, why) = match self {
            Self::AnsweredOnceInOrder | Self::AnswersOfTheirKind => {
                (!is_asked(), "no client sent a line")
            }
            Self::AnswersAsOfTheirLine => {
                let is_told = |event: &Event| command(event).is_some();
                (!happens(&is_told), "no server heard an IAMAT or a WHATSAT")
            }
            Self::SkewIsRight => {
                let is_told =
                    |event: &Event| matches!(command(event), Some(ClientLine::Iamat { .. }));
                (!happens(&is_told), "no server heard an IAMAT")
            }
            Self::NeverBackInTime | Self::NothingInvented => {
                let is_taken_in = |event: &Event| matches!(event.what, EventKind::Accepted { .. });
                (!happens(&is_taken_in), "no server took in an update")
            }
            Self::SendsBounded => (!happens(&is_update), "no server sent an update to another"),
            Self::LinksFailForAReason => {
                let is_up = |event: &Event| matches!(event.what, EventKind::LinkUp { .. });
                (!happens(&is_up), "no link was up")
            }
            Self::GracefulStopLosesNothing => {
                let stops = |event: &Event| matches!(event.what, EventKind::Stopped);
                (!happens(&stops), "no server stopped gracefully")
            }
            Self::Durable => {
                let waits = |event: &Event| matches!(event.what, EventKind::Loaded { answers_wait, .. } if answers_wait);
                (
                    !happens(&waits),
                    "no server answered when a record was on its disk",
                )
            }
            Self::Agreement => {
                let why = "no two servers that run at the end can reach each other";
                (!has_pair(run), why)
            }
            Self::NothingWaits => {
                let why = "no client sent a line, and no link had to be up at the end";
                (!(is_asked() || run.until_quiet && has_pair(run)), why)
            }
            Self::ReconciliationBounded => {
                let is_up = |event: &Event| matches!(event.what, EventKind::LinkUp { .. });
                (!happens(&is_up), "no link was up")
            }
            Self::LimitsHold => (!is_asked(), "no client sent a line"),
            Self::DeadlinesHold => {
                let is_up = |event: &Event| matches!(event.what, EventKind::LinkUp { .. });
                (!happens(&is_up), "no link was up")
            }
            Self::NothingIsLeft => {
                let is_counted = run.until_quiet && !run.census.is_empty();
                (!is_counted, "nothing was counted at a quiet end")
            }
            Self::ToldAsSent
            | Self::ReadYourWrites
            | Self::MonotonicReads
            | Self::ConvergentReads => (!happens(&is_query), "no client sent a WHATSAT"),
        };
        is_idle.then_some(why)
    }
}

fn is_line_of_client(event: &Event) -> bool {
    matches!(
        (&event.who, &event.what),
        (Actor::Client(_), EventKind::LineOut { .. })
    )
}

fn is_query(event: &Event) -> bool {
    match (&event.who, &event.what) {
        (Actor::Client(_), EventKind::LineOut { line, .. }) => {
            matches!(ClientLine::parse(&line.0), Ok(ClientLine::Whatsat { .. }))
        }
        _ => false,
    }
}

/// The command that a server receives, if the line is a valid one of a client. A line between
/// servers is none.
fn command(event: &Event) -> Option<ClientLine<'_>> {
    match (&event.who, &event.what) {
        (Actor::Server(_), EventKind::LineIn { line, .. }) => ClientLine::parse(&line.0).ok(),
        _ => None,
    }
}

fn is_update(event: &Event) -> bool {
    match (&event.who, &event.what) {
        (Actor::Server(_), EventKind::LineOut { line, .. }) => {
            matches!(PeerLine::parse(&line.0), Ok(PeerLine::At(_)))
        }
        _ => false,
    }
}

/// Whether a server that runs at the end can reach another one.
fn has_pair(run: &Run<'_>) -> bool {
    let state = State::at(run.events, u64::MAX);
    let network = Network::at_the_end(run.events);
    let runs = |id| state.server(&run.herd.server(id).name).is_some();
    let mut running = run.herd.ids().filter(|&id| runs(id));
    running.any(|id| network.reach(run.herd, &state, id).len() > 1)
}
