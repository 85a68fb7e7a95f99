//! The `herd` command as its user sees it: output, errors, exit codes.

use std::path::Path;
use std::process::Command;

use proxy_herd::report::{self, Detail};
use proxy_herd::scenario::Scenario;
use proxy_herd::trace::{FORMAT, Trace};

use crate::ran::{err, exit, herd, out};

/// A shipped scenario. The path is relative to the folder of this crate, in which tests run.
const JUZANG: &str = "scenarios/juzang-goes-down.toml";

/// A folder with a changed copy of that scenario, and its path.
fn changed(from: &str, to: &str) -> (tempfile::TempDir, String) {
    let text = std::fs::read_to_string(JUZANG).expect("it is shipped");
    assert!(text.contains(from), "nothing would change");
    written(&text.replace(from, to))
}

fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, text).expect("written");
    let name = file.to_str().expect("UTF-8").to_owned();
    (folder, name)
}

#[test]
fn the_readmes_run_tells_the_way_of_the_update_and_holds() {
    let ran = herd(&["run", JUZANG]);
    let text = out(&ran);
    assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""));
    for wanted in [
        "Campbell     3         3   60ms     60ms  Bernard",
        "Juzang       -         -      -        -  never reached: it was down",
        "passed  kiwi.cs.ucla.edu: hops to Campbell: 3",
        "PASSED: juzang-goes-down, ",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    let readme = std::fs::read_to_string("README.md").expect("it is there");
    assert!(
        readme.contains(&text),
        "the README shows another run than this:\n{text}"
    );
}

#[test]
fn with_everybody_up_it_is_two_hops_and_eight_sends() {
    let (_folder, file) = changed("{ at = \"1s\", crash = \"Juzang\" },", "");
    let text = out(&herd(&["run", "--once", &file]));
    assert!(text.contains("Campbell     2         2   40ms"), "{text}");
    assert!(text.contains("8 sends: 4 useful, 4 duplicate; "), "{text}");
}

#[test]
fn a_wrong_number_exits_1_and_shows_both() {
    let (_folder, file) = changed("Campbell = 3", "Campbell = 2");
    let ran = herd(&["run", "--quiet", &file]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1);
    let wanted = "FAILED  kiwi.cs.ucla.edu: hops to Campbell  (at 14:1)\n          expected: 2\n          actual:   3, because Juzang was down\n";
    assert!(text.contains(wanted), "{text}");
    assert!(!text.contains("held "), "{text}");
}

#[test]
fn a_link_less_in_the_herd_changes_the_answer() {
    let whole = std::fs::read_to_string("scenarios/herds/riley.toml").expect("shipped");
    let cut = whole.replace("  \"Bernard-Jaquez\",\n", "");
    assert_ne!(cut, whole);
    let (folder, file) = changed("herd  = \"riley\"", "herd  = \"./cut.toml\"");
    std::fs::write(folder.path().join("cut.toml"), cut).expect("written");
    let ran = herd(&["run", "--quiet", &file]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1, "{text}");
    assert!(
        text.contains(
            "hops to Campbell  (at 14:1)\n          expected: 3\n          actual:   never reached"
        ),
        "{text}"
    );
}

#[test]
fn typos_are_shown_in_their_place_and_exit_2() {
    for (from, to, place, words, help) in [
        (
            "crash = \"Juzang\"",
            "crash = \"Juzan\"",
            ":8:24",
            "unknown server `Juzan`",
            "did you mean `Juzang`",
        ),
        (
            "at = \"2s\"",
            "at = \"2 parsecs\"",
            ":9:10",
            "bad duration",
            "use ns, us, ms, s, m or h",
        ),
        (
            "crash = ",
            "crsh = ",
            ":8:16",
            "unknown field `crsh`",
            "did you mean `crash`",
        ),
        (
            "\"1s\", crash",
            "\"1s\" crash",
            ":8:14",
            "missing comma",
            "",
        ),
    ] {
        let (_folder, file) = changed(from, to);
        let ran = herd(&["run", &file]);
        let text = err(&ran);
        assert_eq!((exit(&ran), out(&ran).as_str()), (2, ""), "{text}");
        assert_eq!(text.matches("error").count(), 1, "one message:\n{text}");
        assert!(text.contains(words) && text.contains(help), "{text}");
        assert!(text.contains(&format!("{file}{place}")), "{text}");
        assert!(
            !text.contains("panicked") && !text.contains("backtrace"),
            "{text}"
        );
    }
}

#[test]
fn all_files_are_checked_before_the_first_one_runs() {
    let (_folder, bad) = changed("crash = \"Juzang\"", "crash = \"Nobody\"");
    let ran = herd(&["run", JUZANG, &bad, "no/such/file.toml"]);
    assert_eq!((exit(&ran), out(&ran).as_str()), (2, ""));
    let text = err(&ran);
    assert!(
        text.contains("unknown server `Nobody`") && text.contains("no/such/file.toml"),
        "{text}"
    );
}

#[test]
fn a_trace_is_the_same_in_every_process_and_readable_again() {
    let first = herd(&["run", "--json", "scenarios/juzang-comes-back.toml"]);
    let second = herd(&[
        "run",
        "--json",
        "--once",
        "scenarios/juzang-comes-back.toml",
    ]);
    assert_eq!(out(&first), out(&second));
    for line in out(&first).lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        assert!(value.is_object());
    }
    let traces = Trace::from_json_lines(&out(&first)).expect("readable");
    let [trace] = traces.as_slice() else {
        panic!("one trace");
    };
    assert_eq!(trace.to_json_lines(), out(&first));
    let text = out(&herd(&["run", "scenarios/juzang-comes-back.toml"]));
    assert_eq!(report::text(trace, Detail::Story), text);
}

#[test]
fn a_written_trace_shows_as_the_run_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.jsonl");
    let file = file.to_str().expect("UTF-8");
    let ran = herd(&["run", "--all", "--trace", file, JUZANG]);
    assert_eq!(exit(&ran), 0);
    let shown = herd(&["show", "--all", file]);
    assert_eq!((out(&shown), exit(&shown)), (out(&ran), 0));
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.jsonl");
    let trace = out(&herd(&["run", "--json", JUZANG]));
    let cut: Vec<&str> = trace.lines().take(100).collect();
    for (text, words) in [
        (String::new(), "line 1 is no trace's header"),
        (cut.join("\n"), "the trace is not whole"),
        (
            trace
                .lines()
                .filter(|line| !line.contains("hops to"))
                .collect::<Vec<_>>()
                .join("\n"),
            "not whole",
        ),
        (
            trace.replacen(&format!("\"format\":{FORMAT}"), "\"format\":9", 1),
            "format 9",
        ),
        (
            trace.replacen("\"id\":7,", "\"id\":8,", 1),
            "event 8 is out of order",
        ),
        (
            trace.replacen("\"what\":\"link-up\"", "\"what\":\"hiccup\"", 1),
            "line ",
        ),
    ] {
        std::fs::write(&file, text).expect("written");
        let shown = herd(&["show", file.to_str().expect("UTF-8")]);
        assert_eq!(exit(&shown), 2);
        assert!(err(&shown).contains(words), "{}", err(&shown));
    }
}

#[test]
fn another_seed_is_another_run() {
    let run = |seed| {
        out(&herd(&[
            "run",
            "--json",
            "--seed",
            seed,
            "scenarios/jittery-links.toml",
        ]))
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

/// The number of scenarios in a folder and its subfolders, without herd files. Each case of a file counts.
fn count(folder: &Path) -> usize {
    let entries = folder.read_dir().expect("there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let counted = paths.map(|path| match path.is_dir() {
        true if path.ends_with("herds") => 0,
        true => count(&path),
        false => Scenario::cases(&path).len().max(1),
    });
    counted.sum()
}

#[test]
fn a_folder_runs_all_its_scenarios_and_no_herds() {
    let ran = herd(&["run", "--quiet", "scenarios"]);
    let text = out(&ran);
    let scenarios = count(Path::new("scenarios"));
    assert_eq!(text.matches("PASSED: ").count(), scenarios, "{text}");
    assert!(
        text.ends_with(&format!("{scenarios} scenarios, all passed\n")),
        "{text}"
    );
}

#[test]
fn a_schema_is_json_and_knows_the_fields() {
    for (kind, field) in [("scenario", "link_latency"), ("herd", "servers")] {
        let ran = herd(&["schema", kind]);
        let schema: serde_json::Value = serde_json::from_str(&out(&ran)).expect("JSON");
        assert!(schema["properties"][field].is_object(), "{schema}");
    }
}

/// The subcommands in the help.
fn subcommands() -> Vec<String> {
    let help = out(&herd(&["--help"]));
    let (_, list) = help.split_once("Commands:\n").expect("there are some");
    let (list, _) = list.split_once("\n\n").expect("the list ends");
    let entries = list.lines().filter(|line| !line.starts_with("   "));
    let names = entries.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_help_with_an_example() {
    let commands = subcommands();
    assert!(commands.len() > 15, "{commands:?}");
    for command in &commands {
        let help = herd(&[command, "--help"]);
        assert_eq!(exit(&help), 0);
        assert!(out(&help).contains("Example"), "{command}");
    }
    assert!(out(&herd(&["--help"])).contains("Exit codes:"));
    assert_eq!(exit(&herd(&["run"])), 2);
}

#[test]
fn shells_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = herd(&["completions", shell]);
        assert_eq!(exit(&script), 0);
        for command in subcommands() {
            assert!(out(&script).contains(&command), "{shell}: {command}");
        }
        assert!(out(&script).contains("once"), "{shell} lacks a flag");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    let written = herd(&["man", "--out", pages.to_str().expect("UTF-8")]);
    assert_eq!((exit(&written), out(&written)), (0, String::new()));
    for command in subcommands() {
        let page = std::fs::read_to_string(pages.join(format!("herd-{command}.1")));
        let page = page.expect("each command has one");
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("Example"),
            "{command}"
        );
    }
    assert!(pages.join("herd-sweep-merge.1").exists());
    assert!(!pages.join("herd-guard.1").exists(), "it is hidden");
    let main = std::fs::read_to_string(pages.join("herd.1")).expect("the command has one");
    assert_eq!(out(&herd(&["man"])), main);
    assert!(main.contains("herd\\-run(1)"), "{main}");
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").expect("written");
    let refused = herd(&["man", "--out", blocked.to_str().expect("UTF-8")]);
    assert_eq!(exit(&refused), 2);
    assert!(err(&refused).contains("can't write"), "{}", err(&refused));
}

const WRONG: &str = r#"
title = "One hop <expected>, & two come"
herd = "riley"
steps = [
  { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
]
[[expect]]
update = "kiwi"
hops = { Bernard = 1, Jaquez = 1 }
"#;

#[test]
fn build_servers_read_which_expectations_failed() {
    let (folder, file) = written(WRONG);
    let results = folder.path().join("results.xml");
    let ran = herd(&[
        "run",
        "--quiet",
        "--junit",
        results.to_str().expect("UTF-8"),
        &file,
        "scenarios/all-up.toml",
    ]);
    assert_eq!(exit(&ran), 1);
    let xml = std::fs::read_to_string(&results).expect("it is written");
    let count = |what: &str| xml.matches(what).count();
    assert_eq!(count("<testsuite "), 2, "{xml}");
    assert_eq!((count("<failure "), count("</failure>")), (1, 1), "{xml}");
    let begin = "name=\"kiwi: hops to Bernard\"";
    let (_, failed) = xml.split_once(begin).expect("the case is there");
    assert!(
        failed.contains(" line=\"7\">\n      <failure message=\"expected 1, got 2\">"),
        "{xml}"
    );
    let cases = count("<testcase ");
    assert!(
        xml.contains(&format!("<testsuites tests=\"{cases}\" failures=\"1\">")),
        "{xml}"
    );
    // An output must not overwrite an input.
    let refused = herd(&["run", "--junit", &file, &file]);
    assert_eq!(exit(&refused), 2);
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), WRONG);
}

#[test]
fn scenarios_are_told_in_the_order_of_the_files_on_any_number_of_threads() {
    let (_folder, wrong) = written(WRONG);
    // The first scenario takes longest.
    let files = [
        "scenarios/stories/flapping-link.toml",
        "scenarios/all-up.toml",
        &wrong,
    ];
    let run = |threads: &str| {
        let ran = herd(
            &[
                &["run", "--quiet", "--once", "--threads", threads],
                &files[..],
            ]
            .concat(),
        );
        assert_eq!(exit(&ran), 1);
        out(&ran)
    };
    let on_one = run("1");
    assert_eq!(run("3"), on_one);
    let verdicts: Vec<&str> = (on_one.lines())
        .filter_map(|line| line.split_once(": ")?.1.split(',').next())
        .take(2)
        .collect();
    assert_eq!(verdicts, ["flapping-link", "all-up"], "{on_one}");
}

#[test]
fn on_github_what_fails_is_shown_beside_its_line() {
    let (_folder, file) = written(WRONG);
    let run = |github: &str, file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
        command
            .args(["run", "--quiet", file])
            .env("GITHUB_ACTIONS", github);
        err(&command.output().expect("the binary runs"))
    };
    let said = format!(
        "::error file={file},line=7,col=1,title=kiwi%3A hops to Bernard::expected 1, got 2\n"
    );
    assert_eq!(run("true", &file), said);
    assert_eq!(run("", &file), "");
    let (_folder, file) = written(&WRONG.replace("hops =", "hps ="));
    let said = run("true", &file);
    assert!(
        said.starts_with(&format!(
            "::error file={file},line=9,col=1::unknown field `hps`\n"
        )),
        "{said}"
    );
}

#[test]
fn built_in_herds_are_listed_and_shown() {
    let list = out(&herd(&["herds"]));
    for name in ["riley", "hill", "clark", "bailey", "goloman"] {
        assert!(list.contains(name), "{list}");
    }
    let hill = out(&herd(&["herds", "hill"]));
    assert!(
        hill.contains("Hill: clients at 127.0.0.1:12205") && hill.contains("12209"),
        "{hill}"
    );
}

#[test]
fn an_update_that_nobody_expects_anything_of_is_warned_of_and_no_more() {
    let text = r#"
title = "said and forgotten"
herd = "riley"
steps = [
  { at = "1s", client = "kiwi", to = "Riley", send = "IAMAT kiwi +34-118 {now}" },
]
"#;
    let (_folder, file) = written(text);
    let ran = herd(&["run", "--json", &file]);
    assert_eq!(exit(&ran), 0);
    let warned = err(&ran);
    let wanted = "warning: nothing is expected of the update that this step sends";
    assert!(warned.starts_with(wanted), "{warned}");
    assert!(warned.contains(":5:3\n"), "{warned}");
    assert!(warned.contains("`update = \"kiwi\"`"), "{warned}");
    // A trace does not contain the warnings about the scenario's file.
    assert!(!out(&ran).contains("expected of what"), "{}", out(&ran));
}

#[test]
fn a_herd_file_beside_a_scenario_is_no_scenario() {
    let (folder, scenario) =
        written(&std::fs::read_to_string("scenarios/all-up.toml").expect("shipped"));
    let ring = folder.path().join("ring.toml");
    let text = "name = \"ring\"\nservers = [\"A\", \"B\"]\nlinks = [\"A-B\"]\n";
    std::fs::write(&ring, text).expect("written");
    let whole = folder.path().to_str().expect("UTF-8");
    assert!(scenario.starts_with(whole));
    let ran = herd(&["run", "--quiet", "--once", whole]);
    assert_eq!(exit(&ran), 0, "{}", err(&ran));
    assert_eq!(out(&ran).matches("PASSED: ").count(), 1, "{}", out(&ran));
    let alone = herd(&["run", ring.to_str().expect("UTF-8")]);
    assert_eq!(exit(&alone), 2);
    assert!(
        err(&alone).contains("is a herd file, and no scenario"),
        "{}",
        err(&alone)
    );
}

#[test]
fn two_seeds_and_two_traces_are_compared() {
    let jittery = "scenarios/jittery-links.toml";
    let ran = herd(&["diff", jittery, "--seeds", "1,2"]);
    assert_eq!((exit(&ran), err(&ran).as_str()), (1, ""), "{}", out(&ran));
    let text = out(&ran);
    assert!(text.contains("in B: seed 2 instead of 1"), "{text}");
    assert!(
        text.contains("\nupdate kiwi.cs.ucla.edu\n  Juzang 19.53ms earlier\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\nDIFFERENT: 2 updates, 6 links, 2 counts\n"),
        "{text}"
    );
    let ran = herd(&["diff", "scenarios/late-update.toml", "--seeds", "1,2"]);
    let told = out(&ran);
    assert_eq!(exit(&ran), 0, "nothing in it is the seed's: {told}");

    let (folder, changed) = changed("\"1s\", crash", "\"1001ms\", crash");
    let trace = folder.path().join("old.jsonl");
    let trace = trace.to_str().expect("UTF-8");
    assert_eq!(
        exit(&herd(&["run", "--quiet", "--trace", trace, JUZANG])),
        0
    );
    let same = herd(&["diff", trace, JUZANG]);
    assert_eq!(exit(&same), 0, "{}", out(&same));
    assert!(out(&same).ends_with("\nSAME: the two runs are the same event by event\n"));
    let other = herd(&["diff", "--json", trace, &changed]);
    assert_eq!(exit(&other), 1);
    let json: serde_json::Value = serde_json::from_str(&out(&other)).expect("one JSON object");
    assert_eq!(json["same"], false);
    assert_eq!(json["faults"][0]["what"], "Juzang CRASHES");
    assert_eq!(json["faults"][0]["a"]["at"], 1_000_000_000);
    assert_eq!(json["faults"][0]["b"]["at"], 1_001_000_000);
}

#[test]
fn what_cannot_be_compared_is_bad_input_and_says_what_to_do() {
    let (folder, _) = written("");
    let both = folder.path().join("both.jsonl");
    let one = folder.path().join("one.jsonl");
    std::fs::write(&one, out(&herd(&["run", "--json", "--once", JUZANG]))).expect("written");
    let two = herd(&["run", "--json", "--once", JUZANG, "scenarios/all-up.toml"]);
    std::fs::write(&both, out(&two)).expect("written");
    let [both, one] = [&both, &one].map(|file| file.to_str().expect("UTF-8"));
    for (args, words) in [
        (vec!["diff", JUZANG], "required"),
        (
            vec!["diff", JUZANG, "--seeds", "1"],
            "two seeds, such as `--seeds 1,2`",
        ),
        (
            vec!["diff", one, "--seeds", "1,2"],
            "name the scenario that it is of",
        ),
        (vec!["diff", one, both], "not known which to compare"),
        (vec!["diff", both, "scenarios/burst.toml"], "no run in"),
        (vec!["diff", one, "nowhere.toml"], "nowhere.toml"),
    ] {
        let ran = herd(&args);
        assert_eq!(exit(&ran), 2, "{args:?}: {}", err(&ran));
        assert!(err(&ran).contains(words), "{args:?}: {}", err(&ran));
    }
    // Of several runs, the one with the same scenario is compared.
    let taken = herd(&["diff", both, JUZANG]);
    assert_eq!(exit(&taken), 0);
    assert!(
        err(&taken).ends_with("only what ran `juzang-goes-down` is compared, and not all-up\n"),
        "{}",
        err(&taken)
    );
    // The order of runs in the file does not matter.
    let turned = folder.path().join("turned.jsonl");
    let two = herd(&["run", "--json", "--once", "scenarios/all-up.toml", JUZANG]);
    std::fs::write(&turned, out(&two)).expect("written");
    let turned = herd(&["diff", both, turned.to_str().expect("UTF-8")]);
    assert_eq!(exit(&turned), 0, "{}{}", out(&turned), err(&turned));
    assert_eq!(out(&turned).matches("SAME: ").count(), 2);
    // A file with the extension of a trace is reported as a bad trace.
    for text in ["", "\n", "{}\n"] {
        let empty = folder.path().join("empty.jsonl");
        std::fs::write(&empty, text).expect("written");
        let ran = herd(&["diff", empty.to_str().expect("UTF-8"), one]);
        assert_eq!(exit(&ran), 2);
        let told = err(&ran);
        assert!(told.contains("empty.jsonl: line 1"), "{text:?}: {told}");
    }
}

#[test]
fn a_page_is_the_same_from_view_from_run_and_from_the_same_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (viewed, ran) = (file("viewed.html"), file("ran.html"));
    let view = herd(&["view", "--once", JUZANG, "-o", &viewed]);
    assert_eq!((exit(&view), err(&view).as_str()), (0, ""));
    assert!(
        out(&view).starts_with(&format!("{viewed}: 1 run, ")),
        "{}",
        out(&view)
    );
    let run = herd(&["run", "--quiet", "--once", "--html", &ran, JUZANG]);
    assert_eq!(exit(&run), 0, "{}", err(&run));
    let to_stdout = herd(&["view", "--once", JUZANG, "-o", "-"]);
    let page = std::fs::read_to_string(&viewed).expect("it was written");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page == std::fs::read_to_string(&ran).expect("it was written"));
    assert!(
        page == out(&to_stdout),
        "standard output has something else"
    );
}

#[test]
fn a_broken_run_is_shown_and_the_exit_code_says_that_it_is_broken() {
    let (folder, scenario) = changed("Campbell = 3", "Campbell = 2");
    let page = folder.path().join("page.html").display().to_string();
    let trace = folder.path().join("trace.jsonl").display().to_string();
    herd(&["run", "--quiet", "--once", "--trace", &trace, &scenario]);
    let view = herd(&["view", &trace, JUZANG, "--once", "-o", &page]);
    assert_eq!(exit(&view), 1, "{}", err(&view));
    let page = std::fs::read_to_string(&page).expect("it was written");
    assert!(page.contains("What differs: A is "));
}

#[test]
fn what_cannot_be_viewed_is_bad_input_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let cut = file(
        "cut.jsonl",
        "{\"trace\":\"verdict\",\"passed\":0,\"failed\":0}\n",
    );
    let page = folder.path().join("page.html").display().to_string();
    let nowhere = folder
        .path()
        .join("no/such/folder.html")
        .display()
        .to_string();
    for (args, wanted) in [
        (vec!["scenarios"], "is a folder"),
        (vec!["no-such-file.toml"], "can't read no-such-file.toml"),
        (vec![&*cut], "is no trace's header"),
        (vec![&*cut, "--seed", "1"], "is not run again"),
        (vec![JUZANG, "--open", "-o", "-"], "give it a file"),
        (vec![JUZANG, "--once", "-o", &nowhere], "can't write"),
    ] {
        let mut all = vec!["view"];
        all.extend(&args);
        if !args.contains(&"-o") {
            all.extend(["-o", &page]);
        }
        let refused = herd(&all);
        assert_eq!(exit(&refused), 2, "{args:?}");
        assert!(
            err(&refused).contains(wanted),
            "{args:?}: {}",
            err(&refused)
        );
    }
    assert!(
        !Path::new(&page).exists(),
        "a page was written all the same"
    );
}

const CROSSING: &str = r#"
title = "Two updates cross in a ring"
herd  = { name = "ring", servers = ["A", "B", "C"], links = ["A-B", "B-C", "A-C"] }
steps = [
  { at = "1s", client = "kiwi", to = "A", send = "IAMAT kiwi +1+1 {now}", reply = "AT A *" },
  { at = "1s", client = "kiwi", to = "C", send = "IAMAT kiwi +2+2 {now}", reply = "AT C *" },
]
[[expect]]
update  = "kiwi#2"
reaches = "all"
"#;

#[test]
fn an_exploration_tells_all_orders_and_what_share_it_covered() {
    let (folder, file) = written(CROSSING);
    let all = herd(&["explore", &file]);
    let text = out(&all);
    assert_eq!((exit(&all), err(&all).as_str()), (0, ""), "{text}");
    for wanted in [
        "explored  1,473 orders: all there are",
        "outcomes  36 that differ",
        "  A       1..2",
        "PASSED: scenario, 1,473 orders: all there are",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
    let page = folder.path().join("orders.html");
    let page = page.to_str().expect("UTF-8");
    let reduced = herd(&["explore", &file, "--reduce", "--html", page]);
    let text = out(&reduced);
    let page = std::fs::read_to_string(page).expect("it is written");
    assert!(page.contains("point 1, 36 orders"), "{page}");
    assert!(
        text.contains("explored  36 orders: one for each that differs"),
        "{text}"
    );
    let some = herd(&[
        "explore",
        &file,
        "--budget",
        "50",
        "--json",
        "--threads",
        "2",
    ]);
    assert_eq!(exit(&some), 0);
    let json: serde_json::Value = serde_json::from_str(&out(&some)).expect("one object");
    assert_eq!(json["complete"], false);
    assert_eq!(json["counts"]["orders"], 50);
    assert!(json["counts"]["open"].as_u64() > Some(50), "{json}");
    let none = herd(&["explore", &file, "--budget", "0"]);
    assert_eq!(exit(&none), 2, "{}", out(&none));
    for command in [&["explore", &*file][..], &["survey"], &["sweep", &*file]] {
        for threads in ["0", "100000"] {
            let ran = herd(&[command, &["--threads", threads]].concat());
            assert_eq!(exit(&ran), 2, "{command:?}");
            let words = format!("{threads} is not in 1..=1024");
            assert!(err(&ran).contains(&words), "{}", err(&ran));
        }
    }
}

#[test]
fn an_order_that_breaks_an_expectation_is_written_and_breaks_it_again() {
    // In some orders only, the update of A's client is overtaken.
    let (folder, file) = written(&CROSSING.replace("kiwi#2", "kiwi#1"));
    let found = folder.path().join("found");
    let found = found.to_str().expect("UTF-8");
    let explored = herd(&["explore", &file, "--reduce", "--out", found]);
    let text = out(&explored);
    assert_eq!(exit(&explored), 1, "{text}");
    assert!(text.contains("FAILED  kiwi#1: reaches "), "{text}");
    let order = format!("{found}/scenario-order-1.toml");
    assert!(err(&explored).contains(&format!("replay it: herd run {order}")));
    let ran = herd(&["run", &order]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1, "{text}");
    assert!(text.contains("FAILED  kiwi#1: reaches "), "{text}");
    assert!(
        text.contains("passed  everything happens in the order of `deliver`"),
        "{text}"
    );
}

#[test]
fn the_orders_of_one_flood_are_told_for_each_server_that_it_begins_at() {
    let (_folder, file) = written(CROSSING);
    let all = herd(&["explore", &file, "--origin", "all", "--reduce"]);
    let text = out(&all);
    for server in ["A", "B", "C"] {
        let wanted = format!("PASSED: scenario, from {server}, ");
        // The verdict is in the report, and again in the summary.
        assert_eq!(text.matches(&wanted).count(), 2, "{text}");
    }
    let unknown = herd(&["explore", &file, "--origin", "D"]);
    assert_eq!(exit(&unknown), 2);
    assert!(
        err(&unknown).contains("there is no server `D`"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn a_survey_says_what_holds_in_which_failure_sets_and_what_cuts_the_herd() {
    let ran = herd(&["survey", "--herd", "goloman", "--dead", "1", "--cut", "1"]);
    let text = out(&ran);
    assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""));
    for wanted in [
        "single failures that partition the herd: 2 of 11\n  Holiday-Welsh cut\n  Holiday dead\n",
        "PASSED: in all 42 failure sets and from all live origins, every server in reach is reached and no other",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in:\n{text}");
    }
    let csv = out(&herd(&[
        "survey", "--dead", "0", "--cut", "0", "--model", "--csv",
    ]));
    assert_eq!(csv.lines().count(), 1 + 25);
    assert!(
        csv.contains("\n,,Riley,Campbell,2,2,40000000,40000000\n"),
        "{csv}"
    );
    let json = out(&herd(&["survey", "--model", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["surveyed"], &json["held"]),
        (&42.into(), &true.into())
    );
}

#[test]
fn hops_go_round_what_is_missing_and_a_wrong_name_is_told_with_the_right_one() {
    let ran = herd(&["hops", "--without", "Juzang,Jaquez-Riley"]);
    assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""));
    assert!(
        out(&ran).contains("without Juzang, Riley-Jaquez"),
        "{}",
        out(&ran)
    );
    for (args, wanted) in [
        (["--without", "Juzan"], "did you mean `Juzang`?"),
        (
            ["--without", "Riley-Campbell"],
            "there is no link `Riley-Campbell`",
        ),
        (["--shape", "ring"], "or give `--servers N`"),
        (["--shape", "rong:3"], "there is no shape `rong`"),
        (["--latency", "0ms"], "a message takes some time"),
        (
            ["--origins", "0"],
            "from no origin there is nothing to measure",
        ),
    ] {
        let ran = herd(&[&["hops"][..], &args[..]].concat());
        assert_eq!(exit(&ran), 2, "{args:?}");
        assert!(err(&ran).contains(wanted), "{args:?}: {}", err(&ran));
    }
    let ran = herd(&["survey", "--shape", "mesh:40", "--all"]);
    assert_eq!(exit(&ran), 2);
    assert!(
        err(&ran).contains("Countless failure sets of 40 servers are too many"),
        "{}",
        err(&ran)
    );
}

#[test]
fn a_run_with_faults_of_the_seeds_own_is_known_as_one_afterwards() {
    let (folder, scenario) = written(
        r#"
title = "Two bad seconds"
herd = "riley"
tick = "10ms"
client_latency = "10ms"
steps = [
  { at = "500ms", workload = "load", clients = 2, rate = 4, lasts = "2s" },
  { at = "500ms", random = { crash = "500ms", sever = "500ms", freeze = "400ms" }, lasts = "2s", holds = "100ms" },
]
"#,
    );
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (trace, plain, page) = (file("t.jsonl"), file("plain.jsonl"), file("v.html"));
    let swarmed = ["run", "--once", "--quiet", "--swarm", "--seed", "2"];
    let ran = herd(
        &[
            &swarmed[..],
            &["--trace", &trace, "--html", &page, &scenario],
        ]
        .concat(),
    );
    let verdict = exit(&ran);
    assert!(verdict <= 1, "{}", err(&ran));
    let html = std::fs::read_to_string(&page).expect("it was written");
    assert!(html.contains("herd run --swarm --seed 2 "));
    let shown = herd(&["show", &trace]);
    assert!(out(&shown).contains("seed 2 (faults and the order of tasks chosen by it)"));
    let same = herd(&["diff", &trace, &scenario]);
    assert_eq!(exit(&same), 0, "{}{}", out(&same), err(&same));
    // What a trace ran in is what its scenario runs in again.
    let elsewhere = file("elsewhere.jsonl");
    let args = [
        "run",
        "--once",
        "--quiet",
        "--shuffle",
        "--world",
        "turmoil",
        "--trace",
    ];
    herd(&[&args[..], &[&elsewhere, "--html", &page, &scenario]].concat());
    let html = std::fs::read_to_string(&page).expect("it was written");
    assert!(html.contains("herd run --world turmoil --shuffle --seed 0 "));
    let same = herd(&["diff", &elsewhere, &scenario]);
    assert_eq!(exit(&same), 0, "{}{}", out(&same), err(&same));
    // Without the flag the trace does not mention the swarm, and the run differs.
    let args = ["run", "--once", "--quiet", "--seed", "2", "--trace"];
    herd(&[&args[..], &[&plain, &scenario]].concat());
    let text = std::fs::read_to_string(&plain).expect("it was written");
    assert!(!text.contains("swarm"), "{text}");
    let other = herd(&["diff", &trace, &plain]);
    let words = "in B: faults as written instead of chosen by the seed (--swarm)";
    assert!(out(&other).contains(words), "{}", out(&other));
    assert_eq!(exit(&other), 1);
    // A trace does not contain the path of its scenario.
    let viewed = herd(&["view", &trace, "-o", "-"]);
    assert!(!out(&viewed).contains("herd run --s"));
}

#[test]
fn a_world_without_packets_refuses_what_happens_to_them() {
    let ran = herd(&["run", "--world", "turmoil", "scenarios/faults/lose.toml"]);
    let said = err(&ran);
    assert!(said.contains("the world `turmoil` has no `lose`"), "{said}");
    assert!(said.contains("run the scenario in `packets`"), "{said}");
    assert_eq!(exit(&ran), 2, "{said}");
}

#[cfg(unix)]
#[test]
fn the_exit_code_is_the_verdicts_whoever_reads_the_output() {
    use std::os::unix::net::UnixStream;
    let (_folder, scenario) = changed("Campbell = 3", "Campbell = 2");
    let unread = |args: &[&str], most: &str| {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(ours);
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
        command.args(args).arg(most);
        let ran = command.stdout(std::os::fd::OwnedFd::from(theirs)).output();
        let ran = ran.expect("the binary runs");
        assert_eq!(err(&ran), "", "{args:?}");
        exit(&ran)
    };
    assert_eq!(unread(&["run", "--once"], &scenario), 1);
    assert_eq!(unread(&["run", "--once"], JUZANG), 0);
    assert_eq!(unread(&["view", "--once", "-o", "-"], &scenario), 1);
    assert_eq!(unread(&["diff", JUZANG], &scenario), 1);
    let sweep = ["sweep", "--seeds", "0..2", "--keep-going"];
    assert_eq!(unread(&sweep, &scenario), 1);
}

#[test]
fn a_reply_that_names_a_skew_breaks_in_every_order_and_the_report_says_why() {
    let late = "scenarios/late-update.toml";
    let ran = herd(&["explore", late, "--budget", "3"]);
    assert_eq!(exit(&ran), 1);
    let why = "a reply that names a skew, or depends on a time, breaks by that alone";
    assert!(out(&ran).contains(why), "{}", out(&ran));
    let held = herd(&["explore", "scenarios/one-update.toml", "--budget", "3"]);
    assert!(!out(&held).contains(why), "{}", out(&held));
}

#[cfg(unix)]
#[test]
fn an_interrupted_exploration_says_from_where_none_was_begun() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let (_folder, file) = written(CROSSING);
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["explore", &file, "--origin", "all", "--json"]);
    let mut running = command.stdout(std::process::Stdio::piped()).spawn();
    let running = running.as_mut().expect("it starts");
    let mut told = BufReader::new(running.stdout.take().expect("a pipe"));
    let mut text = String::new();
    told.read_line(&mut text).expect("the first origin's");
    let id = i32::try_from(running.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not zero");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it is told");
    told.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(running.wait().expect("it ends").code(), Some(1), "{text}");
    let last = text.lines().last().expect("a line");
    let json: serde_json::Value = serde_json::from_str(last).expect("an object");
    assert_eq!(json["partial"], true, "{text}");
    let not_begun = json["not_begun"].as_array().expect("a list");
    assert_eq!(not_begun.last().expect("one"), "C");
}

#[test]
fn what_a_warning_advises_can_be_written_as_it_stands() {
    let start = "title = \"t\"\nherd = \"riley\"\nsteps = [{ at = \"1s\", client = \"x\", to = \"Riley\", send = ";
    for id in [r"\xff\xfe\x00x", "it's", r"a'\xff", "kiwi"] {
        let line = format!("IAMAT {id} +34.068930-118.445127 {{now}}");
        let line = line.replace('\\', "\\\\");
        let scenario = format!("{start}\"{line}\" }}]\n");
        let (_folder, file) = written(&scenario);
        let warned = herd(&["run", "--once", "--quiet", &file]);
        let advice = err(&warned);
        let (_, advice) = advice.split_once("`[[expect]]`: `").expect("it advises");
        let (advice, _) = advice.rsplit_once('`').expect("its end");
        let (_folder, file) = written(&format!(
            "{scenario}\n[[expect]]\n{advice}\nreaches = \"all\"\n"
        ));
        let ran = herd(&["run", "--once", "--quiet", &file]);
        assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""), "{advice}");
    }
}

#[cfg(unix)]
#[test]
fn who_sends_ends_without_a_word_when_nobody_reads_the_answers() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    let (ran, heard) = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut client, _) = listener.accept().expect("it connects");
            let lines = BufReader::new(client.try_clone().expect("a handle")).lines();
            lines.map_while(Result::ok).fold(0, |heard, line| {
                let _ = client.write_all(format!("? {line}\n").as_bytes());
                heard + 1
            })
        });
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(ours);
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
        command.args(["send", &address, "one", "two", "three"]);
        let ran = command.stdout(std::os::fd::OwnedFd::from(theirs)).output();
        let ran = ran.expect("the binary runs");
        (ran, server.join().expect("it saw it end"))
    });
    assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""));
    assert_eq!(heard, 1);
}

#[test]
fn the_power_is_cut_behind_each_operation_of_a_disk() {
    let file = "scenarios/stories/power-cut-points.toml";
    let ran = herd(&["explore", "--power-cuts", "--draws", "1", "--json", file]);
    assert_eq!((exit(&ran), err(&ran).as_str()), (0, ""));
    let told: serde_json::Value = serde_json::from_str(&out(&ran)).expect("JSON");
    let moments = told["moments"].as_u64().expect("a number");
    assert!(moments > 20, "{told}");
    assert_eq!(told["runs"], moments, "one draw each: {told}");
    let ran = herd(&["explore", "--power-cuts", "scenarios/one-update.toml"]);
    assert_eq!((exit(&ran), out(&ran).as_str()), (2, ""));
    let refused = err(&ran);
    assert!(refused.contains("one-update.toml: "), "{refused}");
    assert!(
        refused.contains("durability"),
        "it says what is missing: {refused}"
    );
    // What belongs to messages in every order means nothing here.
    let ran = herd(&["explore", "--power-cuts", "--origin", file]);
    assert_eq!(exit(&ran), 2);
}
