//! Rare situations that a sweep should reach, each recognised by the events of a trace alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::herd::Herd;
use crate::journal::{Actor, CloseReason, ConnId, Event, EventKind, Ignored, Source};
use crate::protocol::record::Record;
use crate::scenario::{FaultKind, Shape};
use crate::trace::state::{Held, LinkState, State};

/// An answer that takes longer counts as late. In nanoseconds.
const LATE: u64 = 1_000_000_000;

/// Something that happens in few runs, and then exercises code that other runs do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Two servers are down at once.
    TwoDown,
    /// A server dies while it synchronises with a neighbour.
    DiesSynchronising,
    /// The network is cut while a server is down.
    CutWhileDown,
    /// A server has lost all its links.
    AllLinksDown,
    /// An end closes a connection because it received no heartbeats.
    Silent,
    /// A connection is closed because its other end sent no `HELLO` in time.
    NoGreeting,
    /// A connection is superseded by a newer one of the same neighbour.
    Superseded,
    /// A link transfers records in both directions when it synchronises.
    BothWays,
    /// When a partition heals, each of two servers has a record that the other lacks.
    HealedDiffering,
    /// A server receives records that it missed when a link synchronises.
    CatchesUp,
    /// An update overtakes an older one of its client between servers.
    Overtaken,
    /// A client sends an update to a server that has not yet received the client's older update to
    /// another server.
    BeforeOthers,
    /// A client sends a server an update that is older than the server's record.
    OlderFromClient,
    /// A client's answer takes more than a second.
    LateAnswer,
    /// A client receives no answer.
    Unanswered,
}

impl Situation {
    /// All situations, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::TwoDown,
        Self::DiesSynchronising,
        Self::CutWhileDown,
        Self::AllLinksDown,
        Self::Silent,
        Self::NoGreeting,
        Self::Superseded,
        Self::BothWays,
        Self::HealedDiffering,
        Self::CatchesUp,
        Self::Overtaken,
        Self::BeforeOthers,
        Self::OlderFromClient,
        Self::LateAnswer,
        Self::Unanswered,
    ];

    /// The situation as a report names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoDown => "two servers are down at once",
            Self::DiesSynchronising => "a server dies while it synchronises",
            Self::CutWhileDown => "the network is cut while a server is down",
            Self::AllLinksDown => "a server has lost all its links",
            Self::Silent => "a connection is closed for silence",
            Self::NoGreeting => "a neighbour does not greet",
            Self::Superseded => "a connection is superseded",
            Self::BothWays => "a link synchronises records both ways",
            Self::HealedDiffering => "a partition heals with different records on both sides",
            Self::CatchesUp => "a server catches up on records that it missed",
            Self::Overtaken => "an update overtakes another",
            Self::BeforeOthers => {
                "a client reaches a server before its older update to another server does"
            }
            Self::OlderFromClient => "a client sends an update older than the stored one",
            Self::LateAnswer => "a client's answer is late",
            Self::Unanswered => "a client has no answer",
        }
    }

    /// Whether faults of these kinds can cause the situation, however rarely.
    pub fn can_come(self, faults: &BTreeSet<FaultKind>) -> bool {
        let any = |is_so: fn(&FaultKind) -> bool| faults.iter().any(is_so);
        let down = any(|kind| kind.kills);
        let cuts = any(|kind| kind.family().name == "partition");
        let frozen = any(|kind| kind.events.contains(&"frozen"));
        match self {
            Self::TwoDown | Self::DiesSynchronising | Self::CatchesUp | Self::AllLinksDown => down,
            Self::CutWhileDown | Self::BothWays => down && cuts,
            Self::HealedDiffering => cuts,
            // These need seconds of silence, which not every scenario has.
            Self::Silent | Self::NoGreeting | Self::Superseded | Self::LateAnswer => false,
            Self::Overtaken | Self::BeforeOthers => {
                cuts || any(|kind| kind.targets == Shape::Routes)
            }
            Self::OlderFromClient => any(|kind| kind.targets == Shape::Clocks),
            Self::Unanswered => down || frozen || cuts,
        }
    }

    /// The situations that the events of a run contain, each time that they occur, in order.
    pub fn occurrences<'a>(herd: &'a Herd, events: &'a [Event]) -> Vec<Occurrence<'a>> {
        let mut watcher = Watcher {
            herd,
            state: State::default(),
            asked: BTreeMap::new(),
            at: 0,
            who: "",
            found: Vec::new(),
        };
        for event in events {
            (watcher.at, watcher.who) = (event.at, event.who.name());
            watcher.before(event);
            watcher.state.learn(event);
            watcher.after(event);
        }
        watcher.found
    }
}

/// A situation in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence<'a> {
    /// When it occurs, in nanoseconds.
    pub at: u64,
    /// Whose event shows it: a server's, a client's, or the network's.
    pub who: &'a str,
    /// What it is.
    pub situation: Situation,
}

struct Watcher<'a> {
    herd: &'a Herd,
    state: State<'a>,
    /// When a client sent the line whose answer it is waiting for, by connection. In nanoseconds.
    asked: BTreeMap<ConnId, u64>,
    /// When the event that is looked at happens, and whose it is.
    at: u64,
    who: &'a str,
    found: Vec<Occurrence<'a>>,
}

impl<'a> Watcher<'a> {
    fn saw(&mut self, situation: Situation, is_so: bool) {
        if is_so {
            let (at, who) = (self.at, self.who);
            self.found.push(Occurrence { at, who, situation });
        }
    }

    /// Checks the state of the herd before an event changes it.
    fn before(&mut self, event: &'a Event) {
        let me = event.who.name();
        match &event.what {
            EventKind::Crashed | EventKind::PoweredOff => {
                let synchronises = self.neighbours(me).any(|peer| {
                    let end = self.state.server(me).and_then(|server| server.link(peer));
                    end.is_some_and(|end| end.state == LinkState::Up)
                });
                self.saw(Situation::DiesSynchronising, synchronises);
            }
            EventKind::Accepted {
                record,
                from: Source::Client,
                ..
            } => {
                let ahead = self.is_behind(me, &record.client.0);
                self.saw(Situation::BeforeOthers, ahead);
            }
            _ => {}
        }
    }

    fn after(&mut self, event: &'a Event) {
        match &event.what {
            EventKind::Crashed | EventKind::PoweredOff => {
                let down = self.down();
                self.saw(Situation::TwoDown, down >= 2);
            }
            EventKind::Cut { .. } => {
                let down = self.down();
                self.saw(Situation::CutWhileDown, down >= 1);
            }
            EventKind::Healed { ways } => {
                let differ = ways.iter().any(|(a, b)| self.differ(a, b));
                self.saw(Situation::HealedDiffering, differ);
            }
            EventKind::LinkDown { why, .. } => {
                let alone = self.is_alone(event.who.name());
                self.saw(Situation::AllLinksDown, alone);
                self.why(why);
            }
            EventKind::Closed { why, .. } => self.why(why),
            EventKind::Synchronised { sent, received, .. } => {
                self.saw(Situation::BothWays, *sent > 0 && *received > 0);
                self.saw(Situation::CatchesUp, *received > 0);
            }
            EventKind::Ignored {
                why: Ignored::Older | Ignored::Tied,
                from,
                ..
            } => match from {
                Source::Client => self.saw(Situation::OlderFromClient, true),
                Source::Server(_) => self.saw(Situation::Overtaken, true),
            },
            EventKind::Unanswered { .. } => self.saw(Situation::Unanswered, true),
            EventKind::LineOut { conn, .. } if matches!(event.who, Actor::Client(_)) => {
                self.asked.insert(*conn, event.at);
            }
            EventKind::LineIn { conn, .. } if matches!(event.who, Actor::Client(_)) => {
                let asked = self.asked.remove(conn);
                self.saw(
                    Situation::LateAnswer,
                    asked.is_some_and(|asked| event.at > asked + LATE),
                );
            }
            _ => {}
        }
    }

    fn why(&mut self, why: &CloseReason) {
        match why {
            CloseReason::Silent => self.saw(Situation::Silent, true),
            CloseReason::NoHello => self.saw(Situation::NoGreeting, true),
            CloseReason::Superseded => self.saw(Situation::Superseded, true),
            _ => {}
        }
    }

    fn down(&self) -> usize {
        self.herd.servers().len() - self.state.servers().len()
    }

    fn neighbours(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let herd = self.herd;
        let ids = herd.id(name).into_iter().flat_map(|id| herd.neighbours(id));
        ids.map(|id| &*herd.server(id).name)
    }

    fn is_alone(&self, name: &str) -> bool {
        let Some(server) = self.state.server(name) else {
            return false;
        };
        self.neighbours(name).all(|peer| {
            server
                .link(peer)
                .is_none_or(|end| end.state == LinkState::Down)
        })
    }

    /// Whether another server has a newer record of a client than this one.
    fn is_behind(&self, me: &str, client: &[u8]) -> bool {
        let held = |held: &Held<'a>| held.get(client).copied();
        let mine = self.state.server(me).and_then(|server| held(&server.held));
        self.state.servers().any(|(_, server)| {
            held(&server.held).and_then(record).is_some_and(|theirs| {
                mine.and_then(record)
                    .is_none_or(|mine| theirs.supersedes(&mine))
            })
        })
    }

    /// Whether each of two servers has a record that is newer than the other's, or that the other
    /// lacks.
    fn differ(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.state.server(a), self.state.server(b)) else {
            return false;
        };
        let newer = |here: &Held<'a>, there: &Held<'a>| {
            here.iter().any(|(client, event)| {
                let theirs = there.get(client).copied();
                theirs.is_none_or(|theirs| match (record(event), record(theirs)) {
                    (Some(mine), Some(theirs)) => mine.supersedes(&theirs),
                    _ => false,
                })
            })
        };
        newer(&a.held, &b.held) && newer(&b.held, &a.held)
    }
}

fn record(event: &Event) -> Option<Record> {
    event
        .what
        .held()
        .and_then(|record| Record::parse(&record.text()))
}
