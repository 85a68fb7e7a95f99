//! The parsers for each kind of setting.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BadValue;
use crate::herd::Address;
use crate::units::parse_duration;

/// The shortest duration. Timers below it would keep a server busy with nothing else.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest duration. A longer one is most likely a mistake.
const LONGEST: Duration = Duration::from_hours(24);

/// The longest time to live, one year.
const LONGEST_LIFE: Duration = Duration::from_hours(365 * 24);

pub(super) fn duration(text: &str) -> Result<Duration, BadValue> {
    let duration = parse_duration(text).map_err(BadValue::new)?;
    if duration < SHORTEST || duration > LONGEST {
        return Err(BadValue::new("it must be from 1ms to 24h"));
    }
    Ok(duration)
}

pub(super) fn life(text: &str) -> Result<Duration, BadValue> {
    let life = parse_duration(text).map_err(BadValue::new)?;
    if life < Duration::from_secs(1) || life > LONGEST_LIFE {
        return Err(BadValue::new("it must be from 1s to 8760h"));
    }
    Ok(life)
}

pub(super) fn address(text: &str) -> Result<Address, BadValue> {
    Address::parse(text)
        .ok_or_else(|| BadValue::new("it must be a host and a port such as `127.0.0.1:9600`"))
}

pub(super) fn count(text: &str, least: usize, most: usize) -> Result<usize, BadValue> {
    let count = text.parse().ok();
    let fits = count.filter(|count| (least..=most).contains(count));
    fits.ok_or_else(|| BadValue::new(format!("it must be a whole number from {least} to {most}")))
}

pub(super) fn visible(text: &str) -> Result<String, BadValue> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadValue::new(
            "it must be visible ASCII characters without blanks",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn path(text: &str, base: &Path) -> Result<PathBuf, BadValue> {
    if text.is_empty() {
        return Err(BadValue::new("the path is empty"));
    }
    Ok(base.join(text))
}

/// A string in TOML. The escapes of JSON are valid there.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
