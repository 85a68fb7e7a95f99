//! Whole connections of servers, each on a thread of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::future::block_on;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;

use super::peer::{Dialled, serve_dialled, serve_peer};
use super::{Config, Handle, Shared, Told, client, share};
use crate::herd::{Address, Herd, ServerId};
use crate::journal::{CloseReason, ConnId, End, EventId, EventKind, Journal, NullJournal, Source};
use crate::net::{Connection, Listener, Net, Proved};
use crate::places::FixedPlaces;
use crate::protocol::time::Timestamp;
use crate::sync::{check, thread};

/// A network of pipes that the test lays.
#[derive(Clone)]
struct Pipes;

impl Net for Pipes {
    type Stream = DuplexStream;
    type Listener = Nobody;

    async fn listen(&self, _: &Address) -> std::io::Result<Nobody> {
        Ok(Nobody)
    }

    async fn connect(&self, _: &Address) -> std::io::Result<Connection<DuplexStream>> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }

    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

/// A listener to which nobody connects.
struct Nobody;

impl Listener for Nobody {
    type Stream = DuplexStream;

    async fn accept(&self) -> std::io::Result<Connection<DuplexStream>> {
        std::future::pending().await
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// A pipe so small that whoever writes waits for who reads.
const PIPE: usize = 64;

fn pipe() -> [Connection<DuplexStream>; 2] {
    let (near, far) = tokio::io::duplex(PIPE);
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    [near, far].map(|stream| Connection {
        stream,
        local: at,
        remote: at,
        proved: Proved::default(),
    })
}

/// A journal that tells when neighbours' updates were accepted, and of links.
#[derive(Default)]
struct Accepted {
    /// The ids and times of the records.
    records: watch::Sender<Vec<String>>,
    /// The neighbour of each link that came up.
    links: watch::Sender<Vec<String>>,
    connections: AtomicU64,
}

impl Journal for Accepted {
    fn open(&self, _: End, _: SocketAddr, _: SocketAddr) -> ConnId {
        ConnId(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, cause: Option<EventId>, what: EventKind<'_>) -> EventId {
        if let EventKind::Accepted {
            record,
            from: Source::Server(_),
            ..
        } = &what
        {
            let record = format!("{} {}", record.client, record.time);
            self.records.send_modify(|records| records.push(record));
        }
        if let EventKind::LinkUp { peer, .. } = &what {
            self.links.send_modify(|links| links.push(peer.to_string()));
        }
        NullJournal.record(cause, what)
    }
}

/// A server of a pair, without listeners.
struct Server {
    shared: Arc<Shared<Pipes>>,
    handle: Handle,
    journal: Arc<Accepted>,
}

fn herd(links: &str) -> Herd {
    Herd::from_links("pair", &[links]).expect("a right herd")
}

fn id(herd: &Herd, name: &str) -> ServerId {
    herd.id(name).expect("it is in the herd")
}

impl Server {
    fn new(name: &str) -> Self {
        let (_, stopped) = watch::channel(false);
        let herd = herd("A-B");
        let config = Config::new(&herd, id(&herd, name), 1);
        let (places, journal) = (Arc::new(FixedPlaces::default()), Arc::<Accepted>::default());
        let parts: (_, _, Arc<dyn Journal>) = (config, places as _, journal.clone());
        let (shared, handle) = share(Pipes, parts, &stopped, Told::All);
        Self {
            shared,
            handle,
            journal,
        }
    }

    /// Begins a client's connection, which sends `lines` and reads as many answers.
    fn client(&self, lines: &'static [&'static str]) -> [thread::JoinHandle<()>; 2] {
        let (shared, [near, mut far]) = (Arc::clone(&self.shared), pipe());
        let serving = thread::spawn(move || block_on(client::serve_client(shared, near)));
        let asking = thread::spawn(move || {
            block_on(async {
                for line in lines {
                    far.stream.write_all(line.as_bytes()).await.expect("served");
                    let mut byte = [0];
                    while byte != *b"\n" {
                        far.stream.read_exact(&mut byte).await.expect("answered");
                    }
                }
            });
        });
        [serving, asking]
    }

    /// Waits until the neighbour's update has come.
    fn await_update(&self, record: &str) {
        let mut accepted = self.journal.records.subscribe();
        let came = accepted.wait_for(|records| records.iter().any(|known| known == record));
        block_on(came).expect("the journal is there");
    }

    /// Stops gracefully, as if all clients had gone.
    fn stop(&self) {
        self.shared.stop.give();
        self.shared.stop_links.give();
    }
}

/// Links A, which dials, with B. The threads return why each end closed.
fn link(a: &Server, b: &Server) -> [thread::JoinHandle<Option<CloseReason>>; 2] {
    let [near, far] = pipe();
    let (a, b) = (Arc::clone(&a.shared), Arc::clone(&b.shared));
    let dialling = thread::spawn(move || {
        let (neighbour, _) = a.state().node.neighbours().next().expect("B");
        let peer = Arc::clone(&a.state().peers[neighbour.0]);
        let dialled = Dialled {
            neighbour,
            peer: &peer,
            version: crate::protocol::peer::VERSION,
        };
        Some(block_on(serve_dialled(&a, near, dialled)))
    });
    let accepting = thread::spawn(move || {
        block_on(serve_peer(b, far, Arc::default()));
        None
    });
    [dialling, accepting]
}

fn join<T>(threads: impl IntoIterator<Item = thread::JoinHandle<T>>) -> Vec<T> {
    let joined = threads.into_iter().map(thread::JoinHandle::join);
    joined.map(|ended| ended.expect("no panic")).collect()
}

#[test]
fn what_a_client_sends_is_on_its_way_without_any_timer() {
    check(600, || {
        let (a, b) = (Server::new("A"), Server::new("B"));
        let linked = link(&a, &b);
        let clients = [
            a.client(&["IAMAT kiwi +1+1 1\n", "IAMAT kiwi +1+1 2\n"]),
            b.client(&["IAMAT plum +1+1 1\n", "IAMAT plum +1+1 2\n"]),
        ];
        join(clients.into_iter().flatten());
        a.await_update("plum 2");
        b.await_update("kiwi 2");
        // Whoever leaves is confirmed to have left nothing behind.
        a.stop();
        join(linked);
        assert_eq!(a.shared.state().node.farewell(&NullJournal), []);
    });
}

#[test]
fn a_link_ends_when_its_neighbour_is_removed_at_any_moment() {
    check(600, || {
        let (a, b) = (Server::new("A"), Server::new("B"));
        let linked = link(&a, &b);
        let clients = a.client(&["IAMAT kiwi +1+1 1\n"]);
        let other = herd("A-C");
        a.handle.relink(&other, id(&other, "A"));
        join(clients);
        join(linked);
        let links = a.handle.links();
        let links: Vec<_> = links
            .iter()
            .map(|(name, up)| (&**name, up.is_some()))
            .collect();
        assert_eq!(links, [("C", false)]);
        assert_eq!(b.handle.links()[0].1, None);
        // The neighbour that comes has the id of the one that leaves, and no connection of its own.
        let linked = a.journal.links.borrow();
        assert!(!linked.iter().any(|name| name == "C"), "{linked:?}");
    });
}

#[test]
fn two_connections_of_a_neighbour_leave_nothing_behind() {
    check(600, || {
        let (a, b) = (Server::new("A"), Server::new("B"));
        let linked = [link(&a, &b), link(&a, &b)];
        let clients = a.client(&["IAMAT kiwi +1+1 1\n"]);
        join(clients);
        // Each end may take the other connection for the newer one. Then both end, and a server
        // dials again.
        a.stop();
        join(linked.into_iter().flatten());
        for server in [&a, &b] {
            assert_eq!(server.handle.links()[0].1, None);
            assert!(server.shared.state().sessions.iter().all(Option::is_none));
        }
    });
}
