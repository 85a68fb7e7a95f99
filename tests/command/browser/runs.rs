//! Runs for tests of pages, simulated or made up.

use std::fmt::Write as _;

use proxy_herd::scenario::Scenario;
use proxy_herd::sim;
use proxy_herd::trace::Trace;
use serde_json::{Value, json};

/// The run of a shipped scenario.
pub(crate) fn ran(name: &str) -> Trace {
    let (scenario, _) = Scenario::load(format!("scenarios/{name}.toml")).expect("it is shipped");
    sim::run_once(&scenario).expect("it runs")
}

/// The run of a shipped scenario, with other names in it.
pub(crate) fn renamed(name: &str, changes: &[(&str, &str)]) -> Trace {
    let mut text = ran(name).to_json_lines();
    for (from, to) in changes {
        assert!(text.contains(from), "nothing would change");
        text = text.replace(from, to);
    }
    read(&text)
}

fn read(text: &str) -> Trace {
    let traces = Trace::from_json_lines(text).expect("a trace");
    traces.into_iter().next().expect("one run")
}

/// The first events of a run, without updates and judgements.
pub(crate) fn beginning(of: &Trace, events: usize) -> Trace {
    let mut trace = of.clone();
    (trace.updates, trace.judgements) = (Vec::new(), Vec::new());
    trace.events.truncate(events);
    trace
}

/// A ring of `servers`, in which clients send `updates` locations, `apart` nanoseconds from each
/// other, and each server forwards them to the next. Every line has an event for sending and one
/// for arriving.
pub(crate) fn made_up(servers: usize, updates: usize, apart: u64) -> Trace {
    let mut made = Made::new(servers);
    for update in 0..updates {
        made.update(update, (update as u64 + 1) * apart);
    }
    made.text
        .push_str("{\"trace\":\"verdict\",\"passed\":0,\"failed\":0}\n");
    read(&made.text)
}

struct Made {
    servers: usize,
    events: u64,
    text: String,
}

const HOP: u64 = 20_000;

impl Made {
    fn new(servers: usize) -> Self {
        let names: Vec<String> = (0..servers).map(server).collect();
        let links: Vec<Value> = (1..servers)
            .map(
                |second| json!({ "a": server(second - 1), "b": server(second), "latency": "20us" }),
            )
            .collect();
        let header = json!({
            "trace": "header", "format": proxy_herd::trace::FORMAT, "scenario": "made-up", "title": "Made up", "seed": 1, "tick": 1000,
            "epoch": "1621464827000000000", "herd": "ring", "servers": names, "links": links,
            "versions": { "proxy-herd": "0.1.0", "protocol": 1 },
        });
        let mut made = Self {
            servers,
            events: 0,
            text: format!("{header}\n"),
        };
        for name in names {
            made.event(
                0,
                &json!({ "server": name }),
                None,
                json!({ "what": "started", "boot": "1" }),
            );
        }
        made
    }

    fn event(&mut self, at: u64, who: &Value, cause: Option<u64>, what: Value) -> u64 {
        self.events += 1;
        let mut event = json!({ "trace": "event", "id": self.events, "at": at, "who": who });
        if let Some(cause) = cause {
            event["cause"] = json!(cause);
        }
        let (Value::Object(event), Value::Object(what)) = (&mut event, what) else {
            unreachable!("both are objects");
        };
        event.extend(what);
        let _ = writeln!(self.text, "{}", Value::Object(event.clone()));
        self.events
    }

    /// A client sends an update to a server, which the next servers forward, up to four or the
    /// whole ring.
    fn update(&mut self, number: usize, at: u64) {
        let client = format!("client{}", number % 7);
        let (first, time) = (number % self.servers, format!("{number}.000000000"));
        let who = json!({ "client": client });
        let line = format!("IAMAT {client} +1+1 {time}");
        let sent = self.event(
            at,
            &who,
            None,
            json!({ "what": "line-out", "conn": 1, "line": line }),
        );
        let (mut sent, mut at, mut heard) = (sent, at + HOP, line);
        for hops in 0..self.servers.min(5) {
            let here = server((first + hops) % self.servers);
            let who = json!({ "server": here });
            let arrived = json!({ "what": "line-in", "conn": 1, "line": heard });
            let arrived = self.event(at, &who, Some(sent), arrived);
            let from = match hops {
                0 => json!("client"),
                _ => json!({ "server": server((first + hops - 1) % self.servers) }),
            };
            let origin = server(first);
            let accepted = json!({
                "what": "accepted", "client": client, "location": "+1+1", "time": time, "origin": origin,
                "skew": "+0.0", "hops": hops, "from": from,
            });
            let accepted = self.event(at, &who, Some(arrived), accepted);
            if hops + 1 == self.servers.min(5) {
                break;
            }
            heard = format!("AT {origin} +0.0 {client} +1+1 {time} {}", hops + 1);
            let told = json!({ "what": "line-out", "conn": 2 + hops, "line": heard });
            sent = self.event(at, &who, Some(accepted), told);
            at += HOP;
        }
    }
}

fn server(number: usize) -> String {
    format!("Server{number}")
}
