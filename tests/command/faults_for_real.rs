//! Simulated faults compared with real ones. A herd of two servers runs in the simulator, and again
//! as two processes on two machines with a router between them. Both suffer the same fault, and
//! each server must log the same about its links, in the same order.
//!
//! The machines are network namespaces of Linux. If a system does not give them to its users, these
//! tests report that they prove nothing.

mod lab;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::skipped::skipped;
use lab::{Host, Lab, Server};
use proxy_herd::journal::{Actor, CloseReason, EventKind};
use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use tempfile::TempDir;

/// A herd in which A dials B.
const HERD: &str = r#"
name = "two"
servers = [
  { name = "A", host = "10.1.0.2", port = 12300 },
  { name = "B", host = "10.2.0.2", port = 12301 },
]
links = ["A-B"]
"#;

/// Timers that are shorter than usual, so that silence is noticed soon. They are the same in both
/// worlds.
const TIMERS: [(&str, &str); 5] = [
    ("heartbeat", "500ms"),
    ("connect-deadline", "600ms"),
    ("hello-deadline", "600ms"),
    ("redial-least", "50ms"),
    ("redial-most", "200ms"),
];

/// The seconds at which a fault begins and ends in the simulator. They leave time for the servers
/// to become quiet in between.
const WRONG_AT: u64 = 3;
const MENDED_AT: u64 = 10;

/// The part of a log line that is about links, if it is.
fn of_links(line: &str) -> Option<String> {
    let starts = ["link to ", "synchronised with ", "can't connect to "];
    let start = starts.iter().find_map(|start| line.find(start))?;
    let said = &line[start..];
    // The log's own fields follow, and the number of records, which is zero.
    let end = [" server=", ": 0 sent"].map(|end| said.find(end).unwrap_or(said.len()));
    Some(said[..end[0].min(end[1])].to_owned())
}

/// Appends a line, unless it repeats the one before, or no link was up yet.
fn say(said: String, all: &mut Vec<String>) {
    let too_early = all.is_empty() && !said.ends_with("is up");
    if !too_early && all.last() != Some(&said) {
        all.push(said);
    }
}

/// The lines of a server about its links.
#[derive(Debug)]
struct Told {
    until_mended: Vec<String>,
    in_all: Vec<String>,
}

/// The lines of `host` in the simulator, with a fault and its end.
fn simulated(host: Host, wrong: &str, mended: Option<&str>) -> Told {
    let folder = folder();
    let step = |at: u64, what: &str| format!("{{ at = \"{at}s\", {what} }}");
    let mended = mended.map(|mended| step(MENDED_AT, mended));
    let steps: Vec<String> = [Some(step(WRONG_AT, wrong)), mended]
        .into_iter()
        .flatten()
        .collect();
    let steps = steps.join(", ");
    let timers = TIMERS.map(|(name, time)| format!("{} = \"{time}\"\n", name.replace('-', "_")));
    let text = format!(
        "title = \"t\"\nherd = \"two.toml\"\nlink_latency = \"1ms\"\nsteps = [{steps}]\n[server]\n{}",
        timers.concat()
    );
    let scenario = Scenario::parse("t.toml", &text, Some(folder.path()));
    let (scenario, _) = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let trace = sim::run(&scenario).expect("it runs");
    let mut told = Told {
        until_mended: Vec::new(),
        in_all: Vec::new(),
    };
    for event in &trace.events {
        let is_said = matches!(
            event.what,
            EventKind::LinkUp { .. }
                | EventKind::LinkDown { .. }
                | EventKind::Synchronised { .. }
                | EventKind::ConnectFailed { .. }
        );
        let by_host = matches!(&event.who, Actor::Server(name) if **name == *host.name());
        if let Some(said) = of_links(&event.what.to_string()).filter(|_| is_said && by_host) {
            if event.at < MENDED_AT * 1_000_000_000 {
                say(said.clone(), &mut told.until_mended);
            }
            say(said, &mut told.in_all);
        }
    }
    assert!(
        told.in_all.len() > 2,
        "the fault changes something: {told:?}"
    );
    told
}

/// A folder with the herd file.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("two.toml"), HERD).expect("it is written");
    folder
}

/// Two machines with a server on each.
struct World {
    folder: TempDir,
    a: Server,
    b: Server,
    // It is dropped after the servers.
    lab: Lab,
}

/// Returns `None` after a report, if namespaces are not available.
fn world() -> Option<World> {
    let lab = match Lab::new() {
        Ok(lab) => lab,
        Err(why) => {
            skipped(&why);
            return None;
        }
    };
    let folder = folder();
    let start = |host| Server::start(&lab, host, &folder.path().join("two.toml"), &TIMERS);
    let (a, b) = (start(Host::A), start(Host::B));
    let whole =
        |other| ["link to X is up", "synchronised with X"].map(|said| said.replace('X', other));
    a.wait_for(&whole("B"));
    b.wait_for(&whole("A"));
    Some(World { folder, a, b, lab })
}

impl World {
    fn start_b_again(&mut self) {
        let herd = self.folder.path().join("two.toml");
        self.b = Server::start(&self.lab, Host::B, &herd, &TIMERS);
    }
}

#[test]
fn crash_is_kill_9() {
    let Some(mut world) = world() else { return };
    let told = simulated(Host::A, "crash = \"B\"", Some("restart = \"B\""));
    world.b.kill();
    world.a.wait_for(&told.until_mended);
    world.start_b_again();
    world.a.wait_for(&told.in_all);
}

#[test]
fn power_off_is_a_machine_that_is_gone_without_a_word() {
    let Some(mut world) = world() else { return };
    let told = simulated(Host::A, "power_off = \"B\"", Some("power_on = \"B\""));
    // The cut comes first, so nothing that B's system sends at the end of B arrives.
    world.lab.cut_to(Host::A);
    world.lab.cut_to(Host::B);
    world.b.kill();
    world.a.wait_for(&told.until_mended);
    // B's system may still have segments of the old connections, which this discards.
    world.lab.sever(Host::B, Host::A);
    // In the simulator a server takes its ports in the moment in which its machine has power again. Here that takes a
    // while, in which its system would refuse connections.
    world.start_b_again();
    world.lab.send_until(Host::B, "hello", "? hello");
    world.lab.heal_to(Host::A);
    world.lab.heal_to(Host::B);
    world.a.wait_for(&told.in_all);
}

/// Only A's lines are compared completely. When B is thawed, connections that A gave up wait in its
/// backlog, and its deadlines have passed, so what it notices first is random in reality.
#[test]
fn freeze_is_sigstop() {
    let Some(world) = world() else { return };
    let told = simulated(Host::A, "freeze = \"B\"", Some("thaw = \"B\""));
    world.b.signal("STOP");
    world.a.wait_for(&told.until_mended);
    world.b.signal("CONT");
    world.a.wait_for(&told.in_all);
    world
        .b
        .wait_for_end(&["link to A is up", "synchronised with A"]);
}

#[test]
fn partition_is_a_router_that_loses_both_ways() {
    let Some(world) = world() else { return };
    let [a, b] = [Host::A, Host::B]
        .map(|host| simulated(host, "partition = \"A-B\"", Some("heal = \"all\"")));
    world.lab.cut_to(Host::A);
    world.lab.cut_to(Host::B);
    world.a.wait_for(&a.until_mended);
    world.b.wait_for(&b.until_mended);
    world.lab.heal_to(Host::A);
    world.lab.heal_to(Host::B);
    world.a.wait_for(&a.in_all);
    world.b.wait_for(&b.in_all);
}

/// In one point a simulated one-way cut differs from a real one: its other direction needs no
/// acknowledgements. Real TCP gets none and soon stops sending there, too, so silence is noticed
/// before an end of the stream arrives.
#[test]
fn a_one_way_partition_is_a_router_that_loses_one_way() {
    for (to, step) in [
        (Host::B, "partition_oneway = \"A-B\""),
        (Host::A, "partition_oneway = \"B-A\""),
    ] {
        let Some(mut world) = world() else { return };
        let [a, b] = [Host::A, Host::B].map(|host| {
            let mut told = simulated(host, step, Some("heal = \"all\""));
            (told.until_mended.iter_mut().chain(&mut told.in_all)).for_each(without_reason);
            told
        });
        world.a.without_reasons();
        world.b.without_reasons();
        world.lab.cut_to(to);
        world.a.wait_for(&a.until_mended);
        world.b.wait_for(&b.until_mended);
        world.lab.heal_to(to);
        world.a.wait_for(&a.in_all);
        world.b.wait_for(&b.in_all);
    }
}

/// Removes the reason for which a link is down.
fn without_reason(said: &mut String) {
    if said.starts_with("link to ")
        && let Some(at) = said.find(':')
    {
        said.truncate(at);
    }
}

#[test]
fn sever_is_a_reset_of_all_connections() {
    for (host, other) in [(Host::A, Host::B), (Host::B, Host::A)] {
        let Some(world) = world() else { return };
        let told = simulated(host, "sever = \"A-B\"", None);
        // The system reports a different error at the end that resets the connection.
        world.lab.sever(other, host);
        let server = if host == Host::A { &world.a } else { &world.b };
        server.wait_for(&told.in_all);
    }
}

/// A partition that is shorter than the deadlines ends no link and loses no update.
#[test]
fn what_is_sent_while_a_router_fails_arrives_when_it_is_back() {
    let Some(world) = world() else { return };
    let before = [world.a.words(), world.b.words()];
    world.lab.cut_to(Host::B);
    world
        .lab
        .send(Host::A, "IAMAT kiwi +34.068930-118.445127 5", "AT A ");
    world
        .lab
        .send(Host::B, "WHATSAT kiwi 10 5", "? WHATSAT kiwi");
    world.lab.heal_to(Host::B);
    world.lab.send_until(Host::B, "WHATSAT kiwi 10 5", "AT A ");
    assert_eq!([world.a.words(), world.b.words()], before);
}

/// A program that closes its listener keeps its open connections.
#[test]
fn refuse_is_a_port_that_nobody_listens_at_any_more() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut open = TcpStream::connect(address).expect("it listens");
    let (mut taken, _) = listener.accept().expect("it is there");
    drop(listener);
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    open.write_all(b"still there?").expect("it stays");
    let mut heard = [0; 12];
    taken.read_exact(&mut heard).expect("it stays");
    // In the simulator a new connection gets the same error, and the link of A and B stays.
    let text = "title = \"t\"\nherd = \"riley\"\nsteps = [
        { at = \"1s\", refuse = \"Juzang\" },
        { at = \"2s\", client = \"kiwi\", to = \"Juzang\", send = \"hello\", no_reply = true },
        { at = \"3s\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 1\" },
    ]\n[[expect]]\nupdate = \"kiwi\"\nhops = { Juzang = 1 }";
    let (scenario, _) = Scenario::parse("t.toml", text, None).expect("right");
    let trace = sim::run(&scenario).expect("it runs");
    assert_eq!(trace.verdict().failed, 0);
    let errors = trace.events.iter().filter_map(|event| match &event.what {
        EventKind::ConnectFailed { why, .. } => Some(why.to_string()),
        _ => None,
    });
    let errors: Vec<_> = errors.collect();
    assert_eq!(errors, [CloseReason::from(&refused).to_string()]);
}
