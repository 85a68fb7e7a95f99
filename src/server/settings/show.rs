//! Prints all settings: as a file with the same values, and as a table for the documentation.

use std::fmt;

use super::key::KeyPlace;
use super::{Origin, Resolved, SETTINGS, Setting, Settings};

/// The settings as a file with the same values, and the source of each value as a comment. Of the
/// key to Places it shows only the source.
pub fn print(resolved: &Resolved, key: Option<&KeyPlace>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (setting, origin) in SETTINGS.iter().zip(&resolved.origins) {
        let key = setting.key();
        lines.push(match setting.get(&resolved.settings) {
            Some(value) => {
                let said = format!("{key} = {value}");
                format!("{said:<40}  # {}", From { setting, origin })
            }
            None => format!("# {key} is not set"),
        });
    }
    lines.push(match key {
        Some(place) => format!("# the key to Places is from {place}"),
        None => "# there is no key to Places".to_owned(),
    });
    lines.join("\n") + "\n"
}

/// The source of a setting's value, for the printed file.
struct From<'a> {
    setting: &'a Setting,
    origin: &'a Origin,
}

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Default => f.write_str("default"),
            Origin::File(name, line) => write!(f, "{name}:{line}"),
            Origin::Credential => write!(f, "${}", super::key::CREDENTIALS),
            Origin::Environment => f.write_str(&self.setting.variable()),
            Origin::Flag => write!(f, "--{}", self.setting.name),
        }
    }
}

/// The table of settings for the documentation, in Markdown.
pub fn markdown() -> String {
    let mut lines = vec![
        "| setting | default | meaning |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    let defaults = Settings::default();
    for setting in SETTINGS {
        let default = setting.get(&defaults);
        let default = default.map_or(String::new(), |default| {
            format!("`{}`", default.trim_matches('"'))
        });
        let (name, about) = (setting.name, setting.about());
        lines.push(format!("| `{name}` | {default} | {about} |"));
    }
    lines.join("\n") + "\n"
}
