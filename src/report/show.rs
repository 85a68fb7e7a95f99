//! How times, numbers and tables look in text.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use crate::units::format_duration;

/// Nanoseconds since the run began, as seconds: with three decimals if they are exact (`2.025`),
/// otherwise with nine.
pub fn moment(nanos: u64) -> String {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if rest.is_multiple_of(1_000_000) {
        format!("{seconds}.{:03}", rest / 1_000_000)
    } else {
        match rest % 1_000 {
            0 => format!("{seconds}.{:06}", rest / 1_000),
            _ => format!("{seconds}.{rest:09}"),
        }
    }
}

/// Nanoseconds as an exact duration with its unit: `12ms`.
pub fn delay(nanos: u64) -> String {
    format_duration(Duration::from_nanos(nanos))
}

/// A number and its noun, in the plural unless the number is one: `1 thing`, `2 things`.
pub fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A whole number with a comma between groups of three digits.
pub fn grouped(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The width of a text in columns of a terminal. Client ids can be in any script, and some
/// characters take two columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The spaces that pad `text` to the width `to`.
pub fn fill(text: &str, to: usize) -> String {
    " ".repeat(to.saturating_sub(width(text)))
}

/// Aligns rows in columns as wide as their widest cell, two spaces apart, without spaces at a row's
/// end. A column is right-aligned if `right` says so for its index.
pub fn table(rows: &[Vec<String>], right: &[bool]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let fill = fill(cell, widths[column]);
            if right.get(column).copied().unwrap_or(false) {
                format!("{fill}{cell}")
            } else {
                format!("{cell}{fill}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{count, moment, table};

    #[test]
    fn what_is_counted_is_written_in_threes() {
        let told = [0, 1, 999, 1_248].map(|number| count(number, "order"));
        assert_eq!(told, ["0 orders", "1 order", "999 orders", "1,248 orders"]);
    }

    #[test]
    fn moments_show_what_there_is_to_show() {
        assert_eq!(moment(2_025_000_000), "2.025");
        assert_eq!(moment(2_025_000_001), "2.025000001");
    }

    #[test]
    fn tables_line_up_and_end_without_blanks() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["server", "hops", "via"]), row(["Zoë", "12", ""])];
        assert_eq!(
            table(&rows, &[false, true]),
            ["server  hops  via", "Zoë       12"]
        );
    }
}
