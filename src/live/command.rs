//! How somebody's server is started: a command with placeholders, split into words and never given
//! to a shell.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use crate::diag::did_you_mean;
use crate::herd::{Herd, Name};

/// The placeholders, as a message lists them.
const KNOWN: &str = "{name}, {port}, {port:NAME}, {peer}, {peer:NAME}, {herd}, {places}, {logs}";

/// The names of placeholders, to suggest one.
const NAMES: [&str; 6] = ["name", "port", "peer", "herd", "places", "logs"];

/// The ports of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The port for clients.
    pub client: u16,
    /// The port for other servers; for a server with one port for both, the same as `client`.
    pub peer: u16,
}

/// A command line that starts one server of a herd, such as `python3 server.py {name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    text: String,
    words: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Name,
    Port(Option<String>),
    Peer(Option<String>),
    Herd,
    Places,
    Logs,
}

/// A mistake in a command, with the column in it, counted from 1 in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "in the command, column {column}: {what}\n  {text}\n  {:>column$}",
    '^'
)]
pub struct CommandError {
    /// The command as it was written.
    pub text: String,
    /// Where the mistake is.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub what: String,
}

/// What the placeholders of a command stand for, for one server.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The server's name.
    pub name: &'a str,
    /// The ports of all servers: its own as it listens at them, those of others as it is to dial
    /// them. A relay between servers shows different ports to each.
    pub ports: &'a BTreeMap<Name, Ports>,
    /// A herd file with these ports.
    pub herd: &'a Path,
    /// The URL of a Places API, if there is one for this server.
    pub places: Option<&'a str>,
    /// The folder for its logs.
    pub logs: &'a Path,
}

impl Command {
    /// Parses a command. Words are separated and quoted as in a shell; nothing else of a shell
    /// works. `{{` and `}}` stand for braces.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let error = |byte: usize, what: String| CommandError {
            text: text.to_owned(),
            column: text[..byte].chars().count() + 1,
            what,
        };
        // Columns are known only in the text as it was written, before it is split.
        pieces(text).map_err(|(byte, what)| error(byte, what))?;
        let Some(words) = shlex::split(text) else {
            let what = "a quote that begins in it does not end: close it".to_owned();
            return Err(error(text.find(['\'', '"']).unwrap_or(0), what));
        };
        if words.is_empty() {
            let what = "it has no word: name a program, such as `python3 server.py {name}`";
            return Err(error(0, what.to_owned()));
        }
        let words = words.iter().map(|word| pieces(word));
        let words = words.collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|(_, what)| error(0, what))?;
        let text = text.to_owned();
        Ok(Self { text, words })
    }

    /// A command of these words, each with placeholders as in [`Command::parse`].
    pub fn of_words(words: &[&str]) -> Result<Self, CommandError> {
        let words = words.iter().map(|word| shlex::try_quote(word));
        let words = words.collect::<Result<Vec<_>, _>>();
        let text = words.map_or_else(|_| String::new(), |words| words.join(" "));
        Self::parse(&text)
    }

    /// Fails if a placeholder names a server that is not in the herd.
    pub fn check(&self, herd: &Herd) -> Result<(), CommandError> {
        for value in self.values() {
            let (Value::Port(Some(name)) | Value::Peer(Some(name))) = value else {
                continue;
            };
            if herd.id(name).is_none() {
                let close = did_you_mean(name, "servers", herd.server_names());
                let byte = self.text.find(&format!(":{name}}}")).map_or(0, |at| at + 1);
                return Err(CommandError {
                    text: self.text.clone(),
                    column: self.text[..byte].chars().count() + 1,
                    what: format!("herd {} has no server `{name}`; {close}", herd.name()),
                });
            }
        }
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        self.words.iter().flatten().filter_map(|piece| match piece {
            Piece::Value(value) => Some(value),
            Piece::Text(_) => None,
        })
    }

    /// Whether servers can be told their ports. If not, their ports are fixed in their code, and
    /// they are those of the herd.
    pub fn takes_ports(&self) -> bool {
        self.values()
            .any(|value| matches!(value, Value::Port(_) | Value::Peer(_) | Value::Herd))
    }

    /// Whether each server can be told the ports at which it reaches the others, so that a relay
    /// can stand between two servers.
    pub fn takes_ports_of_others(&self) -> bool {
        self.values().any(|value| {
            matches!(
                value,
                Value::Port(Some(_)) | Value::Peer(Some(_)) | Value::Herd
            )
        })
    }

    /// Whether a server has a port for servers beside that for clients.
    pub fn has_peer_ports(&self) -> bool {
        self.values()
            .any(|value| matches!(value, Value::Peer(None) | Value::Herd))
    }

    /// Whether servers can be told where Places is.
    pub fn takes_places(&self) -> bool {
        self.values().any(|value| *value == Value::Places)
    }

    /// The words for one server. A value is inserted as it is and never split.
    pub fn words(&self, values: &Values<'_>) -> Vec<String> {
        let words = self.words.iter().map(|pieces| {
            let texts = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(value) => values.get(value),
            });
            texts.collect()
        });
        words.collect()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Values<'_> {
    fn get(&self, value: &Value) -> String {
        let ports = |name: &Option<String>| self.ports.get(name.as_deref().unwrap_or(self.name));
        match value {
            Value::Name => self.name.to_owned(),
            Value::Port(name) => ports(name).map_or_else(String::new, |at| at.client.to_string()),
            Value::Peer(name) => ports(name).map_or_else(String::new, |at| at.peer.to_string()),
            Value::Herd => self.herd.display().to_string(),
            Value::Places => self.places.unwrap_or_default().to_owned(),
            Value::Logs => self.logs.display().to_string(),
        }
    }

    /// The same values as environment variables: `HERD_NAME`, `HERD_PORT`, `HERD_PORT_RILEY`, and
    /// so on. What is no letter or digit in a name is `_` there.
    pub fn environment(&self) -> Vec<(String, String)> {
        let own = [
            ("HERD_NAME", Value::Name),
            ("HERD_PORT", Value::Port(None)),
            ("HERD_PEER", Value::Peer(None)),
            ("HERD_FILE", Value::Herd),
            ("HERD_PLACES", Value::Places),
            ("HERD_LOGS", Value::Logs),
        ];
        let own = own.map(|(variable, value)| (variable.to_owned(), self.get(&value)));
        let of_all = self.ports.iter().flat_map(|(name, ports)| {
            let name = variable_of(name);
            [
                (format!("HERD_PORT_{name}"), ports.client.to_string()),
                (format!("HERD_PEER_{name}"), ports.peer.to_string()),
            ]
        });
        own.into_iter().chain(of_all).collect()
    }
}

fn variable_of(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '_',
    };
    name.chars().map(letter).collect()
}

/// A herd file in which the servers have these ports on this machine.
pub fn herd_file(herd: &Herd, ports: &BTreeMap<Name, Ports>) -> String {
    let mut text = format!("name = {:?}\nservers = [\n", &**herd.name());
    for server in herd.servers() {
        let name = &server.name;
        if let Some(Ports { client, peer }) = ports.get(name) {
            let _ = writeln!(
                text,
                "  {{ name = \"{name}\", port = {client}, peer_port = {peer} }},"
            );
        }
    }
    text.push_str("]\nlinks = [\n");
    for link in herd.links() {
        let (a, b) = (&herd.server(link.a).name, &herd.server(link.b).name);
        let _ = writeln!(text, "  \"{a}-{b}\",");
    }
    text.push_str("]\n");
    text
}

/// The pieces of a text; a mistake with the byte at which it begins.
fn pieces(text: &str) -> Result<Vec<Piece>, (usize, String)> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let start = text.len() - from.len();
        if let Some(behind) = from.strip_prefix("{{") {
            plain.push('{');
            rest = behind;
        } else if let Some(behind) = from.strip_prefix("}}") {
            plain.push('}');
            rest = behind;
        } else if let Some((inside, behind)) = from[1..].split_once('}')
            && from.starts_with('{')
        {
            let value = value(inside).map_err(|what| (start, what))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(value));
            rest = behind;
        } else {
            let brace = &from[..1];
            let what = format!(
                "`{brace}` is a part of a placeholder: write `{brace}{brace}` for the brace itself"
            );
            return Err((start, what));
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn value(inside: &str) -> Result<Value, String> {
    let (word, server) = match inside.split_once(':') {
        Some((word, server)) => (word, Some(server.to_owned())),
        None => (inside, None),
    };
    match (word, server) {
        ("port", server) => Ok(Value::Port(server)),
        ("peer", server) => Ok(Value::Peer(server)),
        ("name", None) => Ok(Value::Name),
        ("herd", None) => Ok(Value::Herd),
        ("places", None) => Ok(Value::Places),
        ("logs", None) => Ok(Value::Logs),
        ("name" | "herd" | "places" | "logs", Some(_)) => Err(format!(
            "`{{{word}}}` takes no server's name; the placeholders are {KNOWN}"
        )),
        (word, _) => {
            let close = did_you_mean(word, "placeholders", NAMES);
            Err(format!(
                "`{{{inside}}}` is no placeholder; {close}\n  the placeholders are {KNOWN}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn herd() -> Herd {
        Herd::from_links("pair", &["Ann-Bob.2"]).unwrap()
    }

    fn ports() -> BTreeMap<Name, Ports> {
        let of = |client, peer| Ports { client, peer };
        BTreeMap::from([("Ann".into(), of(1, 2)), ("Bob.2".into(), of(3, 4))])
    }

    fn values(ports: &BTreeMap<Name, Ports>) -> Values<'_> {
        Values {
            name: "Ann",
            ports,
            herd: Path::new("/tmp/my herd.toml"),
            places: Some("http://127.0.0.1:5/"),
            logs: Path::new("logs"),
        }
    }

    #[test]
    fn a_command_is_split_into_words_and_filled_without_a_shell() {
        let text = "python3 'my server.py' --at={port}:{peer} {port:Bob.2} {peer:Bob.2} {herd} {{x}} \"$(rm -r {logs})\" {places}";
        let command = Command::parse(text).unwrap();
        command.check(&herd()).unwrap();
        let ports = ports();
        let words = command.words(&values(&ports));
        assert_eq!(
            words,
            [
                "python3",
                "my server.py",
                "--at=1:2",
                "3",
                "4",
                "/tmp/my herd.toml",
                "{x}",
                "$(rm -r logs)",
                "http://127.0.0.1:5/",
            ]
        );
        assert!(command.takes_ports() && command.takes_ports_of_others());
        assert!(command.has_peer_ports() && command.takes_places());
        let fixed = Command::parse("python3 server.py {name}").unwrap();
        assert!(!fixed.takes_ports() && !fixed.takes_places() && !fixed.has_peer_ports());
    }

    #[test]
    fn mistakes_are_told_with_their_column_and_what_is_known() {
        let error = |text| Command::parse(text).unwrap_err();
        let unknown = error("žluť {prot}");
        assert_eq!(unknown.column, 6);
        assert!(
            unknown.what.contains("did you mean `port`"),
            "{}",
            unknown.what
        );
        assert!(unknown.what.contains(KNOWN), "{}", unknown.what);
        assert!(unknown.to_string().ends_with("\n       ^"), "{unknown}");
        assert_eq!(error("a {name:Bob}").column, 3);
        assert_eq!(error("a b {").column, 5);
        assert_eq!(error("ab }").column, 4);
        assert_eq!(error("a 'b").column, 3);
        assert_eq!(error("  ").column, 1);
        let known = Command::parse("a {port:Bbo.2}").unwrap();
        let unknown = known.check(&herd()).unwrap_err();
        assert_eq!(unknown.column, 9);
        assert!(unknown.what.contains("Bob.2"), "{}", unknown.what);
    }

    #[test]
    fn the_environment_says_the_same() {
        let ports = ports();
        let environment = values(&ports).environment();
        let get = |name: &str| {
            let found = environment.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(get("HERD_NAME"), Some("Ann"));
        assert_eq!(get("HERD_PORT"), Some("1"));
        assert_eq!(get("HERD_PORT_BOB_2"), Some("3"));
        assert_eq!(get("HERD_PEER_ANN"), Some("2"));
        assert_eq!(get("HERD_FILE"), Some("/tmp/my herd.toml"));
    }

    #[test]
    fn a_herd_file_reads_back_with_the_chosen_ports() {
        let text = herd_file(&herd(), &ports());
        let (read, _) = Herd::parse(&crate::diag::Source::new("h.toml", text)).unwrap();
        assert_eq!(read.links(), herd().links());
        assert_eq!(read.servers()[1].client.port, 3);
        assert_eq!(read.servers()[1].peer.port, 4);
    }
}
