//! The lines that a connection sends. They are derived from a seed, except for their times.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// The number of clients of each connection, which take turns. No other connection uses them, so it
/// knows the newest location of each.
const CLIENTS: usize = 16;

/// The bound on places in each WHATSAT.
const BOUND: u8 = 5;

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Iamat,
    /// An IAMAT that only prepares a WHATSAT. It is not part of the measurement.
    Introduction,
    Whatsat {
        bound: u8,
    },
}

/// The requests of one connection.
pub(super) struct Script {
    rng: ChaCha8Rng,
    /// The percentage of requests that are WHATSAT.
    whatsat: u8,
    /// The percentage that has accumulated since the last WHATSAT. At 100 one is due, so any run of
    /// requests has its share.
    due: u8,
    clients: Vec<Client>,
    turn: usize,
    /// The time of the newest IAMAT, in nanoseconds since 1970. Each IAMAT has a different one.
    newest: u64,
}

struct Client {
    id: Vec<u8>,
    /// The newest IAMAT as `id location time`. It is empty before the first.
    said: Vec<u8>,
}

impl Script {
    /// The requests of connection `number`.
    pub(super) fn new(seed: u64, number: usize, whatsat: u8) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Each connection draws from its own stream, so the number of connections changes nothing
        // for each.
        rng.set_stream(number as u64);
        // The first WHATSAT comes at a different position on each connection, so many connections
        // with few requests also have their share.
        let due = rng.random_range(0..100);
        let client = |client| Client {
            id: format!("load-{seed}-{number}-{client}").into_bytes(),
            said: Vec::new(),
        };
        Self {
            rng,
            whatsat,
            due,
            clients: (0..CLIENTS).map(client).collect(),
            turn: 0,
            newest: 0,
        }
    }

    /// Appends the next request to `out`. Returns its kind, and the text after the skew in its
    /// answer. `clock` is in nanoseconds since 1970.
    ///
    /// No server knows a client before its first IAMAT, so an introduction may come before a
    /// WHATSAT.
    pub(super) fn next(&mut self, clock: u64, out: &mut Vec<u8>) -> (RequestKind, &[u8]) {
        let is_due = self.due + self.whatsat >= 100;
        let is_known = |at: &usize| is_due && !self.clients[*at].said.is_empty();
        let known: Vec<usize> = (0..CLIENTS).filter(is_known).collect();
        if !known.is_empty() {
            self.due = self.due + self.whatsat - 100;
            let client = &self.clients[known[self.rng.random_range(0..known.len())]];
            let asked = RequestKind::Whatsat { bound: BOUND };
            push_request(asked, &client.said, out);
            return (asked, &client.said);
        }
        let asked = if is_due {
            RequestKind::Introduction
        } else {
            self.due += self.whatsat;
            RequestKind::Iamat
        };
        self.turn = (self.turn + 1) % self.clients.len();
        let client = &mut self.clients[self.turn];
        self.newest = clock.max(self.newest + 1);
        client.said.clear();
        client.said.extend_from_slice(&client.id);
        client.said.push(b' ');
        push_degrees(&mut client.said, &mut self.rng, 90);
        push_degrees(&mut client.said, &mut self.rng, 180);
        client.said.push(b' ');
        push_number(&mut client.said, self.newest / 1_000_000_000, 1);
        client.said.push(b'.');
        push_number(&mut client.said, self.newest % 1_000_000_000, 9);
        push_request(asked, &client.said, out);
        (asked, &client.said)
    }

    /// Makes all clients unknown, after a failure. An IAMAT may not have arrived, so none is
    /// queried before its next one.
    pub(super) fn forget(&mut self) {
        for client in &mut self.clients {
            client.said.clear();
        }
    }
}

/// Appends the line of a request. `said` is the text after the skew in its answer, which is
/// `id location time`.
pub(super) fn push_request(asked: RequestKind, said: &[u8], out: &mut Vec<u8>) {
    if let RequestKind::Whatsat { bound } = asked {
        out.extend_from_slice(b"WHATSAT ");
        out.extend(said.iter().take_while(|&&byte| byte != b' '));
        out.extend_from_slice(b" 1 ");
        push_number(out, bound.into(), 1);
    } else {
        out.extend_from_slice(b"IAMAT ");
        out.extend_from_slice(said);
    }
    out.push(b'\n');
}

/// Appends an angle of less than `limit` degrees, with sign and six decimals.
fn push_degrees(out: &mut Vec<u8>, rng: &mut ChaCha8Rng, limit: u64) {
    let drawn = rng.random_range(0..2 * limit * 1_000_000);
    out.push(if drawn % 2 == 0 { b'+' } else { b'-' });
    let millionths = drawn / 2;
    push_number(out, millionths / 1_000_000, 2);
    out.push(b'.');
    push_number(out, millionths % 1_000_000, 6);
}

/// Appends a number with at least `least` digits. The standard library's formatting takes longer
/// than the rest of a request.
fn push_number(out: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    while number > 0 || digits.len() - from < least {
        from -= 1;
        // A remainder is less than ten, so it fits.
        digits[from] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.extend_from_slice(&digits[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::ClientLine;

    fn lines(script: &mut Script, clock: u64, count: usize) -> Vec<String> {
        let mut out = Vec::new();
        for _ in 0..count {
            script.next(clock, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_request_is_one_that_a_server_understands() {
        for line in lines(&mut Script::new(1, 0, 50), 5, 1000) {
            assert!(ClientLine::parse(line.as_bytes()).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_requests_and_each_connection_its_own() {
        let of = |seed, number| lines(&mut Script::new(seed, number, 30), 5, 100);
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(1, 1));
        assert_ne!(of(1, 0), of(2, 0));
    }

    #[test]
    fn times_grow_even_where_the_clock_stands_still_or_goes_back() {
        let mut script = Script::new(1, 0, 0);
        let mut all = lines(&mut script, 1_999_999_999, 2);
        all.extend(lines(&mut script, 7, 1));
        let times: Vec<&str> = all
            .iter()
            .filter_map(|line| line.split(' ').nth(3))
            .collect();
        assert_eq!(times, ["1.999999999", "2.000000000", "2.000000001"]);
    }

    /// Counts IAMATs, introductions and WHATSATs among the first requests of a connection.
    fn kinds(script: &mut Script, count: usize) -> [usize; 3] {
        let mut kinds = [0; 3];
        for _ in 0..count {
            let (asked, _) = script.next(5, &mut Vec::new());
            kinds[match asked {
                RequestKind::Iamat => 0,
                RequestKind::Introduction => 1,
                RequestKind::Whatsat { .. } => 2,
            }] += 1;
        }
        kinds
    }

    #[test]
    fn so_many_of_a_hundred_ask_however_few_requests_there_are() {
        assert_eq!(kinds(&mut Script::new(1, 0, 0), 100), [100, 0, 0]);
        assert_eq!(kinds(&mut Script::new(1, 0, 100), 101), [0, 1, 100]);
        assert_eq!(kinds(&mut Script::new(1, 0, 20), 1001)[2], 200);
        let of_few = (0..200).map(|number| {
            let mut script = Script::new(1, number, 30);
            let [iamat, introductions, whatsat] = kinds(&mut script, 5);
            assert_eq!(iamat + introductions + whatsat, 5);
            whatsat
        });
        let asked: usize = of_few.sum();
        assert!((200..=300).contains(&asked), "{asked}");
    }

    #[test]
    fn nobody_is_asked_about_who_is_not_known() {
        let mut script = Script::new(1, 0, 100);
        for _ in 0..2 {
            let [first, second] = [(); 2].map(|()| lines(&mut script, 5, 1).remove(0));
            assert!(first.starts_with("IAMAT"), "{first}");
            let id = first.split(' ').nth(1).unwrap();
            assert!(second.starts_with(&format!("WHATSAT {id} ")), "{second}");
            script.forget();
        }
    }

    #[test]
    fn a_request_can_be_made_once_more() {
        let mut script = Script::new(1, 0, 50);
        for _ in 0..20 {
            let mut line = Vec::new();
            let (asked, said) = script.next(5, &mut line);
            let mut again = Vec::new();
            push_request(asked, said, &mut again);
            assert_eq!(line, again);
        }
    }
}
