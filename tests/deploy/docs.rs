//! What the documentation lists, held against the code.

use proxy_herd::{admin, settings};

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
