//! The report of a test that can prove nothing on this machine.

use std::fmt::Display;
use std::io::Write as _;

/// Reports that a test is skipped, on standard error, because cargo hides what a passing test
/// prints by `print!`. The gate counts these lines.
///
/// It uses the inherited standard error. Opening it again by its name would give it its own file
/// position, and later lines would overwrite this one.
pub(crate) fn skipped(why: impl Display) {
    let said = format!("\nSKIPPED, and nothing is proved: {why}\n");
    let told = std::io::stderr().write_all(said.as_bytes());
    told.expect("a standard error to say it to");
}

#[test]
fn what_is_said_stays_in_a_file_that_others_write_to() {
    const TRIES: &str = "HERD_TEST_IS_SKIPPED";
    if std::env::var_os(TRIES).is_some() {
        return skipped("this is a try");
    }
    let (_, module) = module_path!().split_once("::").expect("in a crate");
    let name = format!("{module}::what_is_said_stays_in_a_file_that_others_write_to");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let shared = file.as_file().try_clone().expect("a file");
    let tried = std::process::Command::new(std::env::current_exe().expect("this one"))
        .args(["--exact", &name])
        .env(TRIES, "1")
        .stdout(std::process::Stdio::null())
        .stderr(shared)
        .status();
    assert!(tried.expect("it runs").success());
    file.write_all(b"and this").expect("written");
    let said = std::fs::read_to_string(file.path()).expect("UTF-8");
    assert_eq!(
        said,
        "\nSKIPPED, and nothing is proved: this is a try\nand this"
    );
}
