//! What a connection asks: lines that follow from a seed, except for their times.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::answers::Asked;

/// Each connection speaks for so many clients of its own, in turn, so that it knows which place of each is the newest.
const CLIENTS: usize = 16;

/// How many places a WHATSAT asks for, at most.
const BOUND: u8 = 5;

/// The requests of one connection.
pub(super) struct Script {
    rng: ChaCha8Rng,
    /// So many of a hundred requests are WHATSAT.
    whatsat: u8,
    clients: Vec<Client>,
    turn: usize,
    /// The time of the newest IAMAT, in nanoseconds since 1970. No two have the same.
    newest: u64,
}

struct Client {
    id: Vec<u8>,
    /// What the newest IAMAT said, `id location time`; empty before the first.
    said: Vec<u8>,
}

impl Script {
    /// The requests of the connection `number`.
    pub(super) fn new(seed: u64, number: usize, whatsat: u8) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Connections draw from streams of their own, so how many there are changes nothing for each.
        rng.set_stream(number as u64);
        let client = |client| Client {
            id: format!("load-{seed}-{number}-{client}").into_bytes(),
            said: Vec::new(),
        };
        Self {
            rng,
            whatsat,
            clients: (0..CLIENTS).map(client).collect(),
            turn: 0,
            newest: 0,
        }
    }

    /// Appends the next request to `out` and says what it asks, and what must be behind the skew
    /// in its answer. `clock` is in nanoseconds since 1970.
    ///
    /// Before a client's first IAMAT nobody can ask where it is, so it is always that.
    pub(super) fn next(&mut self, clock: u64, out: &mut Vec<u8>) -> (Asked, &[u8]) {
        let wants_whatsat = self.whatsat > 0 && self.rng.random_range(0..100) < self.whatsat;
        self.turn = (self.turn + 1) % self.clients.len();
        let client = &mut self.clients[self.turn];
        if wants_whatsat && !client.said.is_empty() {
            out.extend_from_slice(b"WHATSAT ");
            out.extend_from_slice(&client.id);
            out.extend_from_slice(b" 1 ");
            push_number(out, u64::from(BOUND), 1);
            out.push(b'\n');
            return (Asked::Whatsat { bound: BOUND }, &client.said);
        }
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
        out.extend_from_slice(b"IAMAT ");
        out.extend_from_slice(&client.said);
        out.push(b'\n');
        (Asked::Iamat, &client.said)
    }

    /// What was said may never have arrived, so nobody is asked about before it is said again.
    pub(super) fn forget(&mut self) {
        for client in &mut self.clients {
            client.said.clear();
        }
    }
}

/// Something below `limit` degrees with six decimals, either way.
fn push_degrees(out: &mut Vec<u8>, rng: &mut ChaCha8Rng, limit: u64) {
    let drawn = rng.random_range(0..2 * limit * 1_000_000);
    out.push(if drawn % 2 == 0 { b'+' } else { b'-' });
    let millionths = drawn / 2;
    push_number(out, millionths / 1_000_000, 2);
    out.push(b'.');
    push_number(out, millionths % 1_000_000, 6);
}

/// At least so many digits. Formatting by the standard library takes longer than all the rest of a request.
fn push_number(out: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    while number > 0 || digits.len() - from < least {
        from -= 1;
        // A remainder below ten fits.
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

    #[test]
    fn nobody_is_asked_about_who_is_not_known() {
        let mut script = Script::new(1, 0, 100);
        let is_iamat = |line: &String| line.starts_with("IAMAT");
        assert!(lines(&mut script, 5, CLIENTS).iter().all(is_iamat));
        assert!(!lines(&mut script, 5, CLIENTS).iter().any(is_iamat));
        script.forget();
        assert!(lines(&mut script, 5, CLIENTS).iter().all(is_iamat));
    }
}
