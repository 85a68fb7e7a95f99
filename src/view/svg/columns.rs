//! Lays out the lifelines.

use super::drawn::Drawn;
use crate::report::lanes::{LaneKind, Lanes};
use crate::report::show;
use crate::view::markup::{cut, pixels};

/// The maximum number of clients with lifelines of their own; more share one.
const MOST_CLIENTS: usize = 5;
/// The maximum number of wide lifelines; if there are more, all are narrow and their names slanted.
const MOST_WIDE: usize = 10;
/// The maximum width of a name, in columns of a terminal; a longer name is cut.
const LONGEST: usize = 18;

/// A lifeline.
pub(super) struct Column {
    /// The name above the lifeline, already cut.
    pub(super) name: String,
    /// The horizontal position, in pixels.
    pub(super) x: i64,
    /// The width of the name's box, in pixels.
    pub(super) width: i64,
    /// Whether the lifeline is a server's.
    pub(super) is_server: bool,
}

/// All lifelines: clients, servers in the herd's order, Places.
pub(super) struct Columns {
    pub(super) list: Vec<Column>,
    /// Whether the names are slanted.
    pub(super) turned: bool,
    /// By lane: the index of its column. A lane without messages has none unless it is a server's.
    of_lane: Vec<Option<usize>>,
}

impl Columns {
    pub(super) fn new(lanes: &Lanes<'_>, drawn: &Drawn<'_>, left: i64) -> Self {
        let used = |lane: usize| {
            let mut messages = drawn.messages.iter();
            messages.any(|message| message.from == lane || message.to == Some(lane))
        };
        let of_kind = |kind: LaneKind| {
            let all = (0..lanes.list.len()).filter(move |lane| lanes.kind(*lane) == Some(kind));
            all.collect::<Vec<_>>()
        };
        let mut clients = of_kind(LaneKind::Client);
        clients.retain(|lane| used(*lane));
        let mut places = of_kind(LaneKind::Places);
        places.retain(|lane| used(*lane));
        let mut columns = Self {
            list: Vec::new(),
            turned: false,
            of_lane: vec![None; lanes.list.len()],
        };
        if clients.len() > MOST_CLIENTS {
            columns.add(&show::count(clients.len(), "client"), &clients, false);
        } else {
            for lane in clients {
                columns.add(&lanes.list[lane].name, &[lane], false);
            }
        }
        for lane in of_kind(LaneKind::Server) {
            columns.add(&lanes.list[lane].name, &[lane], true);
        }
        if !places.is_empty() {
            columns.add("Places", &places, false);
        }
        columns.place(left);
        columns
    }

    fn add(&mut self, name: &str, lanes: &[usize], is_server: bool) {
        for lane in lanes {
            self.of_lane[*lane] = Some(self.list.len());
        }
        self.list.push(Column {
            name: cut(name, LONGEST),
            x: 0,
            width: 0,
            is_server,
        });
    }

    fn place(&mut self, left: i64) {
        self.turned = self.list.len() > MOST_WIDE;
        let mut x = left;
        for column in &mut self.list {
            let wide = (pixels(&column.name) + 18).max(64);
            column.width = if self.turned { 20 } else { wide };
            let room = column.width + if self.turned { 10 } else { 26 };
            column.x = x + room / 2;
            x += room;
        }
    }

    /// The height of the names above the lifelines, in pixels.
    pub(super) fn head(&self) -> i64 {
        if !self.turned {
            return 46;
        }
        let longest = self.list.iter().map(|column| pixels(&column.name)).max();
        24 + longest.unwrap_or_default() * 6 / 7
    }

    /// The horizontal end of the last lifeline's column, in pixels.
    pub(super) fn right(&self) -> i64 {
        let last = self.list.last();
        last.map_or(0, |column| column.x + column.width / 2 + 12)
    }

    /// The horizontal position of a lane's lifeline, in pixels; `None` for a lane without one.
    pub(super) fn x(&self, lane: usize) -> Option<i64> {
        let column = self.of_lane.get(lane).copied().flatten()?;
        self.list.get(column).map(|column| column.x)
    }
}
