//! What Places answers, as a file says it.

use std::fmt::Write as _;

use super::{duration, quoted};
use crate::scenario::{PlacesBody, PlacesFault, PlacesTable};

/// The lines of a table.
pub(super) fn fields(table: &PlacesTable) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} = {value}");
    };
    if let Some(near) = &table.near {
        line("near", &quoted(&signed(near)));
    }
    if let Some(radius) = table.radius {
        line("radius", &radius.to_string());
    }
    line("status", &table.status.to_string());
    match &table.body {
        PlacesBody::Invented(places) => line("places", &places.to_string()),
        PlacesBody::Given(bytes) => {
            let text = str::from_utf8(bytes).ok();
            let (name, text) =
                text.map_or_else(|| ("hex", hex(bytes)), |text| ("body", text.to_owned()));
            line(name, &quoted(&text));
        }
    }
    if !table.delay.is_zero() {
        line("delay", &duration(table.delay));
    }
    if let Some(times) = table.times {
        line("times", &times.to_string());
    }
    if let Some(expect) = table.expect {
        line("expect", &expect.to_string());
    }
    if table.maybe {
        line("maybe", "true");
    }
    if let Some(fault) = table.fault {
        let word = match fault {
            PlacesFault::Hang => "hang",
            PlacesFault::Close => "close",
            PlacesFault::Cut => "cut",
        };
        line("fault", &quoted(word));
    }
    text
}

/// A place as a client writes it, with both signs.
fn signed(near: &str) -> String {
    let sign = |part: &str| match part.strip_prefix('-') {
        Some(_) => part.to_owned(),
        None => format!("+{part}"),
    };
    near.split(',').map(sign).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
