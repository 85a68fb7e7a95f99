//! What the documentation lists, held against the code.

use std::io::Write as _;

use proxy_herd::{admin, settings};

use crate::herd::herd_command;
use crate::{err, out};

fn documented(tables: &str) {
    let documented = std::fs::read_to_string("docs/operating.md").expect("it is there");
    assert!(
        documented.contains(tables),
        "docs/operating.md needs this table:\n{tables}"
    );
}

#[test]
fn the_documented_settings_are_those_that_there_are() {
    documented(&settings::markdown());
}

#[test]
fn the_documented_metrics_are_those_that_there_are() {
    documented(&admin::markdown());
}

#[test]
fn a_limit_is_called_as_the_setting_that_sets_it() {
    for limit in admin::LIMITS {
        let is_setting = settings::SETTINGS
            .iter()
            .any(|setting| setting.name == *limit);
        assert!(is_setting || *limit == "open-files", "{limit}");
    }
}

/// Each word of the shipped files that begins so, as far as it is one.
fn words(text: &str, beginning: &str) -> Vec<String> {
    let split = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let words = text.split(split);
    let words = words.filter(|word| word.starts_with(beginning) && word.len() > beginning.len());
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_shipped_names_settings_and_flags_that_there_are() {
    let help = herd_command(&["serve", "--help"]).await;
    let flags = words(&out(&help), "--");
    let mut seen = 0;
    for file in [
        "deploy/herd@.service",
        "deploy/Containerfile",
        "deploy/compose/compose.yaml",
    ] {
        let text = std::fs::read_to_string(file).expect("it is shipped");
        for variable in words(&text, settings::PREFIX) {
            let is_setting = settings::SETTINGS
                .iter()
                .any(|setting| setting.variable() == variable);
            assert!(is_setting, "{file}: {variable}");
            seen += 1;
        }
        let commands = text
            .lines()
            .filter(|line| line.contains("serve %i") || line.contains("\"serve\""));
        for flag in commands.flat_map(|line| words(line, "--")) {
            assert!(flags.contains(&flag), "{file}: {flag}");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} were found");
}

#[test]
fn systemd_understands_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string("deploy/herd@.service").unwrap();
    // It wants a program that is there.
    let unit = unit.replace("/usr/local/bin/herd", env!("CARGO_BIN_EXE_herd"));
    let path = folder.path().join("herd@.service");
    std::fs::write(&path, unit).unwrap();
    let verify = std::process::Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output();
    let Ok(verify) = verify else {
        // Past cargo, which shows nothing that a test prints and that passes. The gate counts these lines.
        let said = "\nSKIPPED, and the unit is not read: there is no systemd-analyze\n";
        let mut stderr = (std::fs::OpenOptions::new().append(true).open("/dev/stderr")).unwrap();
        stderr.write_all(said.as_bytes()).unwrap();
        return;
    };
    let said = err(&verify);
    let about_it = said.lines().find(|line| line.contains("herd@"));
    assert!(verify.status.success() && about_it.is_none(), "{said}");
}
