//! How a client uses the connection that it writes on: whether other steps write on it, too, when it is closed, and when
//! the client reads.

use std::time::Duration;

use super::raw::RawStep;
use super::write::InlineTable;
use crate::diag::{Problem, Span};
use crate::document::Located;
use crate::herd::Name;
use crate::scenario::fields::{Field, Holds, field};
use crate::scenario::validate::Context;
use crate::units::DurationText;

/// How a client uses the connection of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionUse {
    /// Its name, if later steps of the client can write on it, too. Without one, each repetition has a connection of its
    /// own.
    pub name: Option<Name>,
    /// Whether the step opens the connection anew if it is over by then.
    pub reconnects: bool,
    /// When the client closes it. Without it, a connection of a step's own is closed once everything is answered, and
    /// one with a name is left open.
    pub close: Option<Close>,
    /// Whether the last line is sent without its line feed.
    pub unfinished: bool,
    /// For how long the client reads nothing, counted from when it begins to write.
    pub reads_after: Duration,
    /// The most kilobytes that the client's system receives for it before it reads them, if not as many as usual.
    pub receive_buffer: Option<u32>,
}

/// When and how a client closes a connection, after the step's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// It sends no more once all lines are answered or given up, and reads to the end.
    Answered,
    /// It sends no more once all lines are written, and reads to the end.
    Written,
    /// It resets the connection once all lines are written, and reads nothing.
    Reset,
}

impl Close {
    const ALL: [Self; 3] = [Self::Answered, Self::Written, Self::Reset];

    /// Its name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Written => "written",
            Self::Reset => "reset",
        }
    }
}

/// The least receive buffer in kilobytes: a segment must find room in it, or the sender would wait for ever.
const LEAST_BUFFER: u32 = 2;

/// The usual receive buffer in kilobytes.
const MOST_BUFFER: u32 = 64;

/// The name of the connection.
pub(super) const CONNECTION: Field = field(
    "connection",
    Holds::Text,
    "The name of a connection that stays open: the client's first step that names it opens it, and later ones write on it, whatever is still unanswered. With `times`, all repetitions do. A step that only opens or closes one needs no `send`.",
)
.written("connection = \"c1\"");

/// Whether it is opened anew.
pub(super) const RECONNECTS: Field = field(
    "reconnects",
    Holds::Flag,
    "If the `connection` is over by then, or could not be opened, the step opens it anew; without this its lines stay unanswered.",
)
.written("reconnects = true");

/// When it is closed.
pub(super) const CLOSE: Field = field(
    "close",
    Holds::Text,
    "When the client closes the connection: `\"answered\"`, once all its lines are answered; `\"written\"`, as soon as they are written, and reads to the end; `\"reset\"`, as soon as they are written, by a reset and without reading. By default a `connection` stays open, and any other is closed when answered.",
)
.written("close = \"written\"");

/// Whether the last line is whole.
pub(super) const UNFINISHED: Field = field(
    "unfinished",
    Holds::Flag,
    "The last line is sent without its line feed.",
)
.written("unfinished = true");

/// When the client reads.
pub(super) const READS_AFTER: Field = field(
    "reads_after",
    Holds::Duration,
    "For how long the client reads nothing from the connection, counted from when it begins to write.",
)
.written("reads_after = \"2s\"");

/// How much is received that nobody reads.
pub(super) const RECEIVE_BUFFER: Field = field(
    "receive_buffer",
    Holds::Number,
    "The most kilobytes that wait at the client until it reads them, if the step opens the connection; 64 by default. More stays at the server.",
)
.written("receive_buffer = 4")
.from(LEAST_BUFFER, MOST_BUFFER);

impl Context<'_> {
    /// How a step uses its connection.
    pub(super) fn connection_use(&mut self, step: &RawStep) -> ConnectionUse {
        let name = step.value::<Located<String>>(CONNECTION.name);
        if let Some(name) = name.filter(|name| name.trim().is_empty()) {
            self.error(name.span(), "a connection needs a name");
        }
        let reconnects = flag(step, &RECONNECTS);
        if let (Some(place), None) = (reconnects, name) {
            let message = "a connection of the step's own is opened anyway: `reconnects` needs a `connection`";
            self.error(place, message);
        }
        ConnectionUse {
            name: name.map(|name| Name::from(name.as_str())),
            reconnects: flag(step, &RECONNECTS).is_some(),
            close: self.close(step),
            unfinished: flag(step, &UNFINISHED).is_some(),
            reads_after: step
                .value::<Located<DurationText>>(READS_AFTER.name)
                .map_or(Duration::ZERO, |time| self.on_tick(time, "`reads_after`")),
            receive_buffer: self.receive_buffer(step),
        }
    }

    fn close(&mut self, step: &RawStep) -> Option<Close> {
        let written = step.value::<Located<String>>(CLOSE.name)?;
        let close = Close::ALL
            .into_iter()
            .find(|close| close.name() == written.as_str());
        if close.is_none() {
            let message = format!("`{}` is no way to close a connection", **written);
            let problem = Problem::error(self.source, written.span(), message);
            self.report(problem.help("there are `answered`, `written` and `reset`"));
        }
        close
    }

    fn receive_buffer(&mut self, step: &RawStep) -> Option<u32> {
        let written = step.value::<Located<u32>>(RECEIVE_BUFFER.name)?;
        if !(LEAST_BUFFER..=MOST_BUFFER).contains(&**written) {
            let message = format!(
                "a receive buffer has {LEAST_BUFFER} to {MOST_BUFFER} kilobytes, not {}",
                **written
            );
            self.error(written.span(), message);
        }
        Some(**written)
    }
}

/// Where a flag is set, if it is.
fn flag(step: &RawStep, field: &Field) -> Option<Span> {
    let flag = step.value::<Located<bool>>(field.name);
    flag.filter(|flag| ***flag).map(Located::span)
}

impl ConnectionUse {
    /// Writes it as a step says it.
    pub(super) fn write(&self, table: &mut InlineTable<'_>) {
        if let Some(name) = &self.name {
            table.text(CONNECTION.name, name);
        }
        if self.reconnects {
            table.field(RECONNECTS.name, true);
        }
        if let Some(close) = self.close {
            table.text(CLOSE.name, close.name());
        }
        if self.unfinished {
            table.field(UNFINISHED.name, true);
        }
        if !self.reads_after.is_zero() {
            table.duration(READS_AFTER.name, self.reads_after);
        }
        if let Some(kilobytes) = self.receive_buffer {
            table.field(RECEIVE_BUFFER.name, kilobytes);
        }
    }

    /// When the client closes the connection after a repetition of the step, if it does.
    pub fn closes(&self, is_last: bool) -> Option<Close> {
        match self.name {
            None => Some(self.close.unwrap_or(Close::Answered)),
            Some(_) => self.close.filter(|_| is_last),
        }
    }
}
