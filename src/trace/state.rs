//! What every server held, and the state of its links, at any moment of a run, by its events alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::herd::{Herd, Link};
use crate::journal::{Actor, Event, EventKind};

/// What one server holds of each client: the event that accepted the record.
pub type Held<'a> = BTreeMap<&'a [u8], &'a Event>;

/// The servers that run, according to the events so far.
#[derive(Clone, Debug, Default)]
pub struct State<'a> {
    servers: BTreeMap<&'a str, Server<'a>>,
}

/// A server that runs.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    /// The event that started the server.
    pub started: &'a Event,
    /// What the server has accepted since it started.
    pub held: Held<'a>,
    links: BTreeMap<&'a str, LinkEnd<'a>>,
}

/// One end of a link, as its server records it.
#[derive(Clone, Copy, Debug)]
pub struct LinkEnd<'a> {
    /// The state of the link.
    pub state: LinkState,
    /// The event that set the state.
    pub by: &'a Event,
}

/// How a link is. Each state is better than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// No updates flow.
    Down,
    /// Updates flow.
    Up,
    /// Updates flow, and what was missed before was made good.
    Synchronised,
}

impl LinkState {
    /// The state in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Synchronised => "synchronised",
        }
    }
}

impl<'a> State<'a> {
    /// The state at a moment, in nanoseconds: after all events of that moment.
    pub fn at(events: &'a [Event], moment: u64) -> Self {
        let mut state = Self::default();
        for event in events.iter().take_while(|event| event.at <= moment) {
            state.learn(event);
        }
        state
    }

    /// Applies the next event. A server holds nothing when it starts, and nothing after it ended.
    pub fn learn(&mut self, event: &'a Event) {
        let Actor::Server(name) = &event.who else {
            return;
        };
        match &event.what {
            EventKind::Started { .. } => {
                let server = Server {
                    started: event,
                    held: Held::new(),
                    links: BTreeMap::new(),
                };
                self.servers.insert(name, server);
            }
            EventKind::Crashed | EventKind::PoweredOff | EventKind::Stopped => {
                self.servers.remove(&**name);
            }
            EventKind::Accepted { .. } | EventKind::Restored { .. }
                if let Some(record) = event.what.held() =>
            {
                if let Some(server) = self.servers.get_mut(&**name) {
                    server.held.insert(&record.client.0, event);
                }
            }
            // Of these a tombstone is on the disk.
            EventKind::Restored { record, .. }
            | EventKind::Expired { record }
            | EventKind::Forgotten { record, .. } => {
                if let Some(server) = self.servers.get_mut(&**name) {
                    server.held.remove(&*record.client.0);
                }
            }
            EventKind::LinkUp { peer, .. } => self.link(name, peer, LinkState::Up, event),
            EventKind::Synchronised { peer, .. } => {
                self.link(name, peer, LinkState::Synchronised, event);
            }
            EventKind::LinkDown { peer, .. } => self.link(name, peer, LinkState::Down, event),
            _ => {}
        }
    }

    fn link(&mut self, name: &str, peer: &'a Arc<str>, state: LinkState, by: &'a Event) {
        if let Some(server) = self.servers.get_mut(name) {
            server.links.insert(peer, LinkEnd { state, by });
        }
    }

    /// The servers that run, by name.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (&'a str, &Server<'a>)> {
        self.servers.iter().map(|(name, server)| (*name, server))
    }

    /// The server of this name, if it runs.
    pub fn server(&self, name: &str) -> Option<&Server<'a>> {
        self.servers.get(name)
    }

    /// The state of a link, by the worse of its ends: down as long as an end does not run, or has
    /// not recorded that the link is up.
    pub fn link_state(&self, herd: &Herd, link: &Link) -> LinkState {
        let [a, b] = [link.a, link.b].map(|id| &*herd.server(id).name);
        let end = |name: &str, peer: &str| {
            let end = self.server(name).and_then(|server| server.link(peer));
            end.map_or(LinkState::Down, |end| end.state)
        };
        end(a, b).min(end(b, a))
    }
}

impl<'a> Server<'a> {
    /// This server's end of the link with a neighbour; `None` if no event has set its state since
    /// the start.
    pub fn link(&self, peer: &str) -> Option<LinkEnd<'a>> {
        self.links.get(peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::diag::Source;
    use crate::journal::{CloseReason, ConnId, EventId, RecordText, Source as From};
    use crate::trace::state::LinkState::{Down, Synchronised, Up};

    fn pair() -> Herd {
        let file = "name = \"pair\"\nservers = [\"A\", \"B\"]\nlinks = [\"A-B\"]";
        Herd::parse(&Source::new("pair.toml", file)).unwrap().0
    }

    /// Events a nanosecond apart, from 1 on.
    fn events(told: &[(&str, EventKind<'static>)]) -> Vec<Event> {
        let events = (1..).zip(told).map(|(number, (who, what))| Event {
            id: EventId(NonZeroU64::new(number).unwrap()),
            at: number,
            who: Actor::Server((*who).into()),
            cause: None,
            what: what.clone(),
        });
        events.collect()
    }

    fn started() -> EventKind<'static> {
        EventKind::Started { boot: "1".into() }
    }

    fn up(peer: &str) -> EventKind<'static> {
        EventKind::LinkUp {
            peer: peer.into(),
            conn: ConnId(1),
        }
    }

    fn synchronised(peer: &str) -> EventKind<'static> {
        EventKind::Synchronised {
            peer: peer.into(),
            sent: 0,
            received: 0,
        }
    }

    fn accepted(client: &'static str) -> EventKind<'static> {
        let text = |text: &'static str| text.as_bytes().into();
        EventKind::Accepted {
            record: RecordText {
                client: text(client),
                location: text("+1+1"),
                time: text("1"),
                origin: text("A"),
                skew: text("+0.0"),
            },
            hops: 0,
            from: From::Client,
        }
    }

    #[test]
    fn a_link_is_as_its_worse_end_and_down_while_an_end_does_not_run() {
        let down = EventKind::LinkDown {
            peer: "A".into(),
            why: CloseReason::Silent,
        };
        let told = [
            ("A", started(), Down),
            ("A", up("B"), Down),
            ("B", started(), Down),
            ("B", up("A"), Up),
            ("A", synchronised("B"), Up),
            ("B", synchronised("A"), Synchronised),
            ("B", down, Down),
            ("B", up("A"), Up),
            ("B", synchronised("A"), Synchronised),
            ("A", EventKind::PoweredOff, Down),
            ("A", started(), Down),
        ];
        let herd = pair();
        let shown: Vec<_> = (told.iter())
            .map(|(who, what, _)| (*who, what.clone()))
            .collect();
        let events = events(&shown);
        for (moment, (.., wanted)) in (1..).zip(&told) {
            let state = State::at(&events, moment);
            assert_eq!(
                state.link_state(&herd, &herd.links()[0]),
                *wanted,
                "{moment}"
            );
        }
    }

    #[test]
    fn a_server_holds_what_it_accepted_since_it_last_started() {
        let events = events(&[
            ("A", started()),
            ("A", accepted("kiwi")),
            ("A", accepted("plum")),
            ("A", accepted("kiwi")),
            ("A", EventKind::Crashed),
            ("A", started()),
            ("A", accepted("fig")),
        ]);
        let held = |moment| {
            let state = State::at(&events, moment);
            let server = state.server("A")?;
            let held = server.held.iter();
            let held = held.map(|(id, by)| (str::from_utf8(id).unwrap().to_owned(), by.at));
            Some(held.collect::<Vec<_>>())
        };
        let wanted = |held: &[(&str, u64)]| {
            let held = held.iter().map(|&(id, at)| (id.to_owned(), at));
            Some(held.collect::<Vec<_>>())
        };
        assert_eq!(held(0), None);
        assert_eq!(held(1), wanted(&[]));
        assert_eq!(held(3), wanted(&[("kiwi", 2), ("plum", 3)]));
        assert_eq!(held(4), wanted(&[("kiwi", 4), ("plum", 3)]));
        assert_eq!(held(5), None);
        assert_eq!(held(7), wanted(&[("fig", 7)]));
    }
}
