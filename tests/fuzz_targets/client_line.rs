//! A client's lines: each gets one answer, and each stored record fits into a line between servers.

use proxy_herd::journal::{ConnId, NullJournal};
use proxy_herd::node::{Keep, LookUp, Node, Waits};
use proxy_herd::protocol::client::ClientLine;
use proxy_herd::protocol::escape;

use super::{JAQUEZ, at, lines, link_up, pull, riley};

/// The default limit on a client's line, in bytes.
const LIMIT: usize = 4096;

/// The limit on clients, which is small so that short inputs reach it.
const MOST_CLIENTS: usize = 4;

/// A connection of a client that sends `data`.
pub fn client_line(data: &[u8]) {
    let mut node = riley();
    node.keep(Keep {
        most_clients: MOST_CLIENTS,
        ..Keep::default()
    });
    link_up(&mut node, JAQUEZ);
    for line in lines(data) {
        let mut out = Vec::new();
        if let Some(beginning) = line.get(..LIMIT).filter(|_| line.len() > LIMIT) {
            node.client_line_too_long(beginning, ConnId(2), &NullJournal, &mut out);
            assert_eq!(escape(&out), escape(&refusal(beginning)));
            break;
        }
        print_and_parse(line);
        let had_room = node.clients() < MOST_CLIENTS || knows(&node, line);
        let look_up = match node.client_line(line, at(), &NullJournal, &mut out) {
            Some(Waits::LookUp(look_up)) => Some(look_up),
            Some(Waits::Disk(to_be)) => panic!("there is no disk: {to_be:?}"),
            None => None,
        };
        answered_once(&node, line, had_room, &out, look_up);
        assert!(node.clients() <= MOST_CLIENTS);
    }
    assert!(pull(&mut node, JAQUEZ) <= MOST_CLIENTS);
}

fn print_and_parse(line: &[u8]) {
    let Ok(parsed) = ClientLine::parse(line) else {
        return;
    };
    let mut printed = Vec::new();
    parsed.write_to(&mut printed);
    assert_eq!(ClientLine::parse(&printed), Ok(parsed), "{}", escape(line));
}

fn knows(node: &Node, line: &[u8]) -> bool {
    match ClientLine::parse(line) {
        Ok(ClientLine::Iamat { id, .. } | ClientLine::Whatsat { id, .. }) => {
            node.record(id).is_some()
        }
        Err(_) => false,
    }
}

fn refusal(line: &[u8]) -> Vec<u8> {
    [b"? ", line, b"\n"].concat()
}

/// Checks that either one answer was written, or a look-up was begun, whose answer is the only one.
fn answered_once(node: &Node, line: &[u8], had_room: bool, out: &[u8], look_up: Option<LookUp>) {
    let refused = || {
        assert_eq!(escape(out), escape(&refusal(line)));
        assert_eq!(look_up, None);
    };
    match ClientLine::parse(line) {
        Ok(ClientLine::Iamat { id, location, time }) if had_room => {
            let end = [b" ", id, b" ", location.text(), b" ", time.text, b"\n"].concat();
            let shown = escape(out);
            assert!(
                out.starts_with(b"AT Riley ") && out.ends_with(&end),
                "{shown}"
            );
            let end_of_line = out.iter().position(|&byte| byte == b'\n');
            assert_eq!(end_of_line, Some(out.len() - 1), "{shown}");
            let (held, _) = node.record(id).expect("it was just told");
            assert!(held.time() >= time.value, "{held:?}");
            assert_eq!(look_up, None);
        }
        Ok(ClientLine::Whatsat { id, bound, .. }) if had_room => {
            let Some((held, _)) = node.record(id) else {
                return refused();
            };
            let look_up = look_up.expect("the client is known");
            assert_eq!(out, b"", "an answer before the answer");
            assert_eq!(look_up.at_line, [b"AT ", held.text(), b"\n"].concat());
            assert_eq!((&look_up.client[..], look_up.bound), (id, bound));
            assert!(look_up.radius_metres.len() <= line.len() + 5);
        }
        _ => refused(),
    }
}
