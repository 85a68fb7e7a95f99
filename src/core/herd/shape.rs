//! Herds by their shape: a line, a ring, a grid, or one with random links.

mod drawn;

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use thiserror::Error;

use super::Herd;
use crate::diag::{Problems, Source};

/// More servers than this have no addresses of their own on one machine.
const MOST_SERVERS: usize = 1_000_000;

/// More links than this would take the memory that the servers need.
const MOST_LINKS: usize = 5_000_000;

/// With this number of servers on a host, the default ports for clients don't reach those for
/// servers.
const SERVERS_A_HOST: usize = 10_000;

/// A shape that a herd can have.
///
/// ```
/// use proxy_herd::herd::Shape;
///
/// let ring: Shape = "ring:8".parse()?;
/// assert_eq!(ring.herd(0)?.links().len(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    kind: Kind,
    /// The number of servers, if the text gives it.
    servers: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Ring,
    Star,
    Mesh,
    Grid { rows: usize, columns: usize },
    Random { degree: usize },
    SmallWorld { near: usize, rewired: Share },
}

/// A fraction of 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(u32);

/// Why a text is no shape, or why no herd has that shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// There is no shape of this name.
    #[error("there is no shape `{0}`")]
    Unknown(String),
    /// The text behind the colon is not what this shape takes; this is how it is written.
    #[error("it is written {0}")]
    Misread(&'static str),
    /// The text gives no number of servers; this is how it is written.
    #[error("it does not say how many servers: {0}")]
    Unsized(&'static str),
    /// Two different numbers of servers were given.
    #[error("the shape has {0} servers, but {1} are asked for")]
    TwoSizes(usize, usize),
    /// No herd can have this shape, for this reason.
    #[error("{0}")]
    Impossible(String),
    /// The herd that was made of the shape is invalid, which is a bug.
    #[error("the herd made of it is wrong: {0}")]
    Bad(#[from] Problems),
}

impl ShapeError {
    fn impossible<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Impossible(why.into()))
    }
}

impl FromStr for Share {
    type Err = ();

    /// Parses a decimal from 0 to 1 with up to six digits behind the point.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 6 {
            return Err(());
        }
        let whole: u32 = whole.parse().map_err(|_| ())?;
        let millionths: u32 = format!("{fraction:0<6}").parse().map_err(|_| ())?;
        let share = whole.checked_mul(1_000_000).ok_or(())? + millionths;
        (share <= 1_000_000).then_some(Self(share)).ok_or(())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Each shape's name, and how the shape is written.
const WRITTEN: [(&str, &str); 7] = [
    ("line", "`line:N`"),
    ("ring", "`ring:N`"),
    ("star", "`star:N`"),
    ("mesh", "`mesh:N`"),
    ("grid", "`grid:RxC`, as in `grid:3x4`"),
    (
        "random",
        "`random:D` or `random:D,N`: D links at each of N servers",
    ),
    (
        "small-world",
        "`small-world:K,P` or `small-world:K,P,N`: links to K near servers, a share P of them drawn anew",
    ),
];

impl FromStr for Shape {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let Some((_, written)) = WRITTEN.iter().find(|(known, _)| *known == name) else {
            return Err(ShapeError::Unknown(name.to_owned()));
        };
        let misread = || ShapeError::Misread(written);
        let number = |text: &str| text.parse::<usize>().map_err(|_| misread());
        let list = |most: usize| {
            let parts: Vec<&str> = rest.split(',').collect();
            (parts.len() <= most).then_some(parts).ok_or_else(misread)
        };
        let size = |part: Option<&&str>| part.map(|part| number(part)).transpose();
        let kind = match name {
            "grid" => {
                let (rows, columns) = rest.split_once('x').ok_or_else(misread)?;
                let (rows, columns) = (number(rows)?, number(columns)?);
                let servers = rows.checked_mul(columns).ok_or_else(misread)?;
                return Ok(Self {
                    kind: Kind::Grid { rows, columns },
                    servers: Some(servers),
                });
            }
            "random" => {
                let parts = list(2)?;
                return Ok(Self {
                    kind: Kind::Random {
                        degree: number(parts[0])?,
                    },
                    servers: size(parts.get(1))?,
                });
            }
            "small-world" => {
                let parts = list(3)?;
                let share = parts.get(1).ok_or_else(misread)?;
                return Ok(Self {
                    kind: Kind::SmallWorld {
                        near: number(parts[0])?,
                        rewired: share.parse().map_err(|()| misread())?,
                    },
                    servers: size(parts.get(2))?,
                });
            }
            "line" => Kind::Line,
            "ring" => Kind::Ring,
            "star" => Kind::Star,
            _ => Kind::Mesh,
        };
        let servers = (!rest.is_empty()).then(|| number(rest)).transpose()?;
        Ok(Self { kind, servers })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, written) = self.name();
        debug_assert!(!written.is_empty());
        let mut parts = match self.kind {
            Kind::Grid { rows, columns } => return write!(f, "{name}:{rows}x{columns}"),
            Kind::Random { degree } => vec![degree.to_string()],
            Kind::SmallWorld { near, rewired } => vec![near.to_string(), rewired.to_string()],
            Kind::Line | Kind::Ring | Kind::Star | Kind::Mesh => Vec::new(),
        };
        parts.extend(self.servers.map(|servers| servers.to_string()));
        let colon = if parts.is_empty() { "" } else { ":" };
        write!(f, "{name}{colon}{}", parts.join(","))
    }
}

impl Shape {
    /// How shapes are written.
    pub const HELP: &str = "`line:N`, `ring:N`, `star:N`, `mesh:N`, `grid:RxC`, `random:D,N` (D links at each server) and \
                            `small-world:K,P,N` (links to K near servers, a share P of them drawn anew)";

    /// Whether the reference to a herd means a shape, valid or not.
    pub(super) fn is_meant(text: &str) -> bool {
        let name = text.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| WRITTEN.iter().any(|(known, _)| *known == name))
    }

    fn name(&self) -> (&'static str, &'static str) {
        WRITTEN[match self.kind {
            Kind::Line => 0,
            Kind::Ring => 1,
            Kind::Star => 2,
            Kind::Mesh => 3,
            Kind::Grid { .. } => 4,
            Kind::Random { .. } => 5,
            Kind::SmallWorld { .. } => 6,
        }]
    }

    /// This shape with this number of servers; an error if the shape has another number.
    pub fn of(self, servers: usize) -> Result<Self, ShapeError> {
        match self.servers {
            Some(own) if own != servers => Err(ShapeError::TwoSizes(own, servers)),
            _ => Ok(Self {
                servers: Some(servers),
                ..self
            }),
        }
    }

    /// Returns the shape itself, if a herd can have it.
    pub(super) fn check(self) -> Result<Self, ShapeError> {
        let Some(servers) = self.servers else {
            return Err(ShapeError::Unsized(self.name().1));
        };
        if servers == 0 || servers > MOST_SERVERS {
            return ShapeError::impossible(format!(
                "a herd has 1 to {MOST_SERVERS} servers, not {servers}"
            ));
        }
        let ends = match self.kind {
            Kind::Ring if servers < 3 => {
                return ShapeError::impossible("a ring takes three servers at least");
            }
            Kind::Mesh => servers.saturating_mul(servers - 1),
            Kind::Random { degree } => {
                drawn::check_random(degree, servers)?;
                degree.saturating_mul(servers)
            }
            Kind::SmallWorld { near, .. } => {
                drawn::check_small_world(near, servers)?;
                near.saturating_mul(servers)
            }
            _ => 4 * servers,
        };
        if ends / 2 > MOST_LINKS {
            let links = ends / 2;
            return ShapeError::impossible(format!(
                "that would be {links} links, and {MOST_LINKS} is the most"
            ));
        }
        Ok(self)
    }

    /// The two ends of each link, the one that dials first.
    fn links(self, servers: usize, seed: u64) -> Result<Vec<(usize, usize)>, ShapeError> {
        let line = (1..servers).map(|at| (at - 1, at));
        Ok(match self.kind {
            Kind::Line => line.collect(),
            Kind::Ring => line.chain([(servers - 1, 0)]).collect(),
            Kind::Star => (1..servers).map(|at| (0, at)).collect(),
            Kind::Mesh => (0..servers)
                .flat_map(|a| (a + 1..servers).map(move |b| (a, b)))
                .collect(),
            Kind::Grid { rows, columns } => (0..rows)
                .flat_map(|row| (0..columns).map(move |column| (row, column)))
                .flat_map(|(row, column)| {
                    let at = row * columns + column;
                    let right = (column + 1 < columns).then_some((at, at + 1));
                    let below = (row + 1 < rows).then_some((at, at + columns));
                    right.into_iter().chain(below)
                })
                .collect(),
            Kind::Random { degree } => drawn::random(degree, servers, seed)?,
            Kind::SmallWorld { near, rewired } => drawn::small_world(near, rewired, servers, seed)?,
        })
    }

    /// The text of a herd file of this shape, whose random links follow from `seed`. Servers are
    /// called `S1`, `S2` and so on.
    pub fn to_toml(self, seed: u64) -> Result<String, ShapeError> {
        let servers = self.check()?.servers.unwrap_or_default();
        let links = self.links(servers, seed)?;
        let name = self.to_string().replace([':', ','], "-");
        let drawn = match self.kind {
            Kind::Random { .. } | Kind::SmallWorld { .. } => format!(", drawn by seed {seed}"),
            _ => String::new(),
        };
        let mut text = format!("name = \"{name}\"\nabout = \"The shape {self}{drawn}.\"\n");
        text.push_str("servers = [\n");
        for at in 0..servers {
            let number = at + 1;
            let _ = if at < SERVERS_A_HOST {
                writeln!(text, "  \"S{number}\",")
            } else {
                let (host, port) = (at / SERVERS_A_HOST + 1, 12200 + at % SERVERS_A_HOST);
                writeln!(
                    text,
                    "  {{ name = \"S{number}\", host = \"127.0.0.{host}\", port = {port} }},"
                )
            };
        }
        text.push_str("]\nlinks = [\n");
        for (a, b) in links {
            let _ = writeln!(text, "  \"S{}-S{}\",", a + 1, b + 1);
        }
        text.push_str("]\n");
        Ok(text)
    }

    /// A herd of this shape, whose random links follow from `seed`.
    pub fn herd(self, seed: u64) -> Result<Herd, ShapeError> {
        let source = Source::new(self.to_string(), self.to_toml(seed)?);
        let (herd, _) = Herd::parse(&source)?;
        Ok(herd)
    }
}

#[cfg(test)]
mod tests;
