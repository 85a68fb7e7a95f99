//! Inputs that once failed, one for each kind of bug: an input file is never overwritten, no
//! argument is ignored, and printed commands can be copied.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with copies of files in `tests/found`.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/found")
            .join(file);
        fs::copy(from, folder.path().join(file)).expect("it is there");
    }
    folder
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/found")
        .join(file);
    fs::read_to_string(path).expect("it is there")
}

/// The base scenario, changed so that it fails in any order and with any seed.
fn broken() -> String {
    let right = text("base.toml");
    let broken = right.replace("{now}\" }", "{now}\", reply = \"no\" }");
    assert_ne!(broken, right);
    broken
}

fn command(folder: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(args).current_dir(folder.path());
    command
}

fn herd(folder: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    said(
        &command(folder, args)
            .stdin(Stdio::null())
            .output()
            .expect("it runs"),
    )
}

/// Runs `herd` with a pipe as standard input.
fn piped(folder: &TempDir, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = command(folder, args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that fails early may not read all of it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    said(&child.wait_with_output().expect("it ends"))
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

const READ: [&str; 3] = ["refers.toml", "herd.toml", "body.json"];

#[test]
fn no_output_overwrites_what_is_read_by_whatever_name() {
    for input in READ {
        for name in [input, "hard", "soft"] {
            for begin in [
                &["run", "--quiet", "--html", name, "refers.toml"][..],
                &["run", "--quiet", "--trace", name, "refers.toml"],
                &["view", "-o", name, "refers.toml"],
                &["view", "--svg", "-o", name, "refers.toml"],
                &["shrink", "-o", name, "refers.toml"],
                &["sweep", "--seeds", "0..1", "--html", name, "refers.toml"],
                &["sweep", "--seeds", "0..1", "--state", name, "refers.toml"],
                &["explore", "--html", name, "refers.toml"],
            ] {
                let folder = folder(&READ);
                let path = |name: &str| folder.path().join(name);
                fs::hard_link(path(input), path("hard")).unwrap();
                symlink(input, path("soft")).unwrap();
                let (code, _, stderr) = herd(&folder, begin);
                assert_eq!(code, Some(2), "{begin:?}: {stderr}");
                let wanted = format!("would overwrite {name}, which is read");
                assert!(stderr.contains(&wanted), "{begin:?}: {stderr}");
                for file in READ {
                    let now = fs::read_to_string(path(file)).unwrap();
                    assert_eq!(now, text(file), "{begin:?}: {file}");
                }
            }
        }
    }
}

#[test]
fn what_is_written_into_a_folder_overwrites_nothing_that_is_read() {
    let folder = folder(&["base.toml"]);
    let path = |name: &str| folder.path().join(name);
    // The fingerprint of the failure is in the name of the file.
    fs::create_dir(path("out")).unwrap();
    fs::write(path("a.toml"), broken()).unwrap();
    let sweep = ["sweep", "--seeds", "0..1", "--shrink", "out", "a.toml"];
    let (code, stdout, _) = herd(&folder, &sweep);
    assert_eq!(code, Some(1), "{stdout}");
    let made = fs::read_dir(path("out")).unwrap();
    let made = made.last().expect("one file").unwrap().path();
    // Another scenario of the same sweep now has that name.
    fs::write(&made, text("base.toml")).unwrap();
    let given = [
        "sweep", "--seeds", "0..1", "--shrink", "out", "a.toml", "out",
    ];
    let (_, stdout, stderr) = herd(&folder, &given);
    assert!(stdout.contains("which is read"), "{stdout}{stderr}");
    assert_eq!(fs::read_to_string(&made).unwrap(), text("base.toml"));
}

#[test]
fn what_was_there_is_replaced_as_a_whole() {
    let folder = folder(&["base.toml"]);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("page.html"), "old").unwrap();
    fs::hard_link(path("page.html"), path("no_lost_updates")).unwrap();
    symlink("page.html", path("link")).unwrap();
    let (code, ..) = herd(&folder, &["run", "--quiet", "--html", "link", "base.toml"]);
    assert_eq!(code, Some(0));
    assert_eq!(fs::read_to_string(path("no_lost_updates")).unwrap(), "old");
    assert!(
        fs::read_to_string(path("page.html"))
            .unwrap()
            .contains("one update")
    );
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    // No temporary file is left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn a_folder_runs_each_scenario_once_and_passes_none_over() {
    let folder = folder(&["base.toml"]);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("B.TOML"), broken()).unwrap();
    let json = r#"{"title": "JSON", "herd": "riley", "steps": [{"at": "1s", "client": "kiwi", "to": "Riley", "send": "IAMAT kiwi +1+1 {now}"}]}"#;
    fs::write(path("C.Json"), json).unwrap();
    fs::create_dir(path("deep")).unwrap();
    symlink("..", path("deep/up")).unwrap();
    symlink(".", path("again")).unwrap();
    let (code, stdout, stderr) = herd(&folder, &["run", "--quiet", "."]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(
        stdout.contains("3 scenarios, 1 failed: B"),
        "{stdout}{stderr}"
    );
}

#[test]
fn a_scenario_comes_from_a_pipe_as_from_a_file() {
    let folder = folder(&["base.toml"]);
    let (code, stdout, stderr) = piped(&folder, &["run", "--json", "-"], &text("base.toml"));
    assert_eq!(code, Some(0), "{stderr}");
    fs::write(folder.path().join("trace.jsonl"), stdout).unwrap();
    for name in ["-", "/dev/stdin"] {
        for args in [
            &["run", "--quiet", name][..],
            &["sweep", "--seeds", "0..2", name],
            &["explore", "--budget=3", name],
            &["diff", name, "--seeds", "1,1"],
            &["diff", "trace.jsonl", name],
            &["view", "-o", "page.html", name],
        ] {
            let (code, stdout, stderr) = piped(&folder, args, &text("base.toml"));
            assert_eq!(code, Some(0), "{args:?}: {stdout}{stderr}");
        }
        let trace = fs::read_to_string(folder.path().join("trace.jsonl")).unwrap();
        for args in [&["show", name][..], &["view", "-o", "page.html", name]] {
            let (code, stdout, stderr) = piped(&folder, args, &trace);
            assert_eq!(code, Some(0), "{args:?}: {stdout}{stderr}");
        }
        let args = ["survey", "--herd", name];
        let (code, stdout, stderr) = piped(&folder, &args, &text("herd.toml"));
        assert_eq!(code, Some(0), "{args:?}: {stdout}{stderr}");
    }
    let json = r#" {"title": "JSON", "herd": "riley", "steps": [{"at": "1s", "client": "kiwi", "to": "Riley", "send": "hm", "reply": "? hm"}]}"#;
    let (code, stdout, stderr) = piped(&folder, &["run", "--quiet", "-"], json);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let folder = folder(&["lines.toml"]);
    let path = |name: &str| folder.path().join(name);
    let crlf = text("lines.toml").replace('\n', "\r\n");
    fs::create_dir(path("other")).unwrap();
    fs::write(path("other/lines.toml"), format!("\u{feff}{crlf}")).unwrap();
    let ran = [
        &["run", "--json", "lines.toml"],
        &["run", "--json", "other/lines.toml"],
    ];
    let [(code, lf, stderr), (_, crlf, _)] = ran.map(|args| herd(&folder, args));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(lf, crlf);
    let marked = format!("\u{feff}{}", lf.replace('\n', "\r\n"));
    fs::write(path("marked"), marked).unwrap();
    for args in [
        &["show", "marked"][..],
        &["diff", "marked", "lines.toml"],
        &["view", "-o", "page.html", "marked"],
    ] {
        let (code, _, stderr) = herd(&folder, args);
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
    }
}

#[test]
fn whoever_acts_has_a_name_of_its_own() {
    let folder = folder(&["namesakes.toml", "namesakes-by.toml", "namesakes-skew.toml"]);
    for (file, wanted) in [
        (
            "namesakes.toml",
            &[
                "5:24 `Riley`, as a server is",
                "6:24 `network`",
                "7:24 `places`",
            ][..],
        ),
        (
            "namesakes-by.toml",
            &["5:24 `network`, which means the network"],
        ),
        ("namesakes-skew.toml", &["5:24 `Riley`"]),
    ] {
        let (code, _, stderr) = herd(&folder, &["run", file]);
        assert_eq!(code, Some(2), "{file}: {stderr}");
        for (place, who) in wanted
            .iter()
            .map(|wanted| wanted.split_once(' ').expect("both"))
        {
            let message = format!("a client can't be called {who}");
            assert!(stderr.contains(&message), "{file}: {message}: {stderr}");
            assert!(
                stderr.contains(&format!("{file}:{place}")),
                "{file}: {place}: {stderr}"
            );
        }
    }
    let numbered = "title = \"x\"\nherd = { name = \"h\", servers = [\"a-1\", \"a-2\"], links = [\"a-1-a-2\"] }\nsteps = [\n  { at = \"1s\", client = \"a\", clients = 2, to = \"a-1\", send = \"x\" },\n]\n";
    let (code, _, stderr) = piped(&folder, &["run", "-"], numbered);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("one of the clients `a` would be called `a-1`"),
        "{stderr}"
    );
}

#[test]
fn columns_stand_under_each_other_in_any_script() {
    let folder = folder(&["wide.toml", "wide-names.toml"]);
    let (code, story, stderr) = herd(&folder, &["run", "wide.toml"]);
    assert_eq!(code, Some(0), "{stderr}");
    let starts = |who: &str, pad: usize| {
        let line = format!("1.010  {who}{}→ ", " ".repeat(pad));
        assert!(story.contains(&line), "{line}: {story}");
    };
    // Names are padded to the width of `Campbell`, which is eight columns, plus two. The first name
    // has double-width characters.
    starts("日本語", 4);
    starts("éé", 8);
    let args = ["view", "--svg", "-o", "names.svg", "wide-names.toml"];
    let (code, _, stderr) = herd(&folder, &args);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn a_wrong_reply_shows_where_it_is_wrong() {
    let folder = folder(&["wrong-replies.toml", "places-in-paris.toml"]);
    let (code, told, stderr) = herd(&folder, &["run", "wrong-replies.toml"]);
    assert_eq!(code, Some(1), "{stderr}");
    for line in [
        r"expected: ? \x00\xff\x80\xc3 rubbisch",
        r"actual:   ? \x00\xff\x80\xc3 rubbish",
        "line 3, column 1 should be `nothing of the sort`, which is nowhere behind",
        r#"line 3, column 21 should be `" : []` and not `s" : [],"#,
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    // Only `--all` shows whole answers.
    let is_answer = |line: &&str| !line.starts_with("passed  invariants: ");
    for line in told.lines().filter(is_answer) {
        assert!(line.chars().count() < 300, "{line}");
    }
    // Without a client's location no place is anywhere.
    let (code, told, stderr) = herd(&folder, &["run", "--all", "places-in-paris.toml"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        told.contains("place_id") && !told.contains("Los Angeles"),
        "{told}"
    );
}

#[test]
fn a_machine_that_has_no_room_for_the_faked_places_is_no_outage_of_theirs() {
    let folder = folder(&["places-in-paris.toml"]);
    let mut failed = 0;
    for descriptors in [8, 10, 12, 14, 16, 100] {
        let script = format!("ulimit -n {descriptors}; exec \"$HERD\" run places-in-paris.toml");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .env("HERD", env!("CARGO_BIN_EXE_herd"));
        shell.current_dir(folder.path()).stdin(Stdio::null());
        let (code, stdout, stderr) = said(&shell.output().expect("a shell"));
        match code {
            Some(3) => failed += 1,
            _ => assert_eq!(code, Some(0), "{descriptors}: {stdout}{stderr}"),
        }
        // The last limits are large enough.
        assert!(descriptors < 100 || code == Some(0), "{stderr}");
    }
    assert!(failed > 0, "there was always room");
}

/// Runs a command line that `herd` printed, in a shell.
fn copied(folder: &TempDir, line: &str) -> Option<i32> {
    let line = line.trim().strip_prefix("herd ").expect("a command");
    let script = format!("\"$HERD\" {line}");
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script])
        .env("HERD", env!("CARGO_BIN_EXE_herd"));
    shell.current_dir(folder.path()).stdin(Stdio::null());
    shell.output().expect("a shell").status.code()
}

#[test]
fn a_command_that_is_printed_can_be_copied() {
    for name in ["b r.toml", "it's $HOME.toml", "new\nline.toml", "-x.toml"] {
        let folder = folder(&[]);
        let path = |name: &str| folder.path().join(name);
        fs::write(path(name), broken()).unwrap();
        let (_, stdout, stderr) = herd(&folder, &["sweep", "--seeds=3..4", "--", name]);
        let again = stdout
            .lines()
            .find_map(|line| line.trim().strip_prefix("again:"));
        let again = again.unwrap_or_else(|| panic!("{stdout}{stderr}"));
        assert_eq!(copied(&folder, again), Some(1), "{again}");

        let (_, _, stderr) = herd(&folder, &["explore", "--budget=1", "--out=out", "--", name]);
        let replay = stderr
            .lines()
            .find_map(|line| line.strip_prefix("replay it: "));
        let replay = replay.unwrap_or_else(|| panic!("{stderr}"));
        assert_eq!(copied(&folder, replay), Some(1), "{replay}");

        let small = format!("small {name}");
        let (code, _, stderr) = herd(&folder, &["shrink", "-o", &small, "--", name]);
        assert_eq!(code, Some(0), "{stderr}");
        let written = fs::read_to_string(path(&small)).unwrap();
        let again = written
            .lines()
            .find_map(|line| line.strip_prefix("# Again: "));
        assert_eq!(
            copied(&folder, again.expect("it says how")),
            Some(1),
            "{written}"
        );
    }
}

/// Runs a scenario, and returns the exit code, the output, and the page.
fn run_and_page(file: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let folder = folder(&[file]);
    let args: Vec<&str> = (["run", "--html", "page.html"].iter().chain(args))
        .copied()
        .chain([file])
        .collect();
    let (code, stdout, stderr) = herd(&folder, &args);
    let page = fs::read_to_string(folder.path().join("page.html"));
    (code, stdout, page.unwrap_or_else(|_| panic!("{stderr}")))
}

/// The row of a server in the table of an update.
fn row(stdout: &str, server: &str) -> Vec<String> {
    let row = stdout.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = line.starts_with("  ") && words.next() == Some(server);
        let words: Vec<String> = words.map(str::to_owned).collect();
        (is_it && words.len() > 3).then_some(words)
    });
    row.unwrap_or_else(|| panic!("no row of {server}: {stdout}"))
}

#[test]
fn what_arrives_is_not_sooner_than_the_fastest() {
    let (code, stdout, _) = run_and_page("faster-than-fastest.toml", &[]);
    assert_eq!(code, Some(0), "{stdout}");
    assert_eq!(row(&stdout, "S2"), ["1", "1", "5ms", "5ms", "S1"]);
}

#[test]
fn the_shortest_way_is_one_that_was_open() {
    let (code, stdout, page) = run_and_page("shortest-over-a-cut.toml", &[]);
    assert_eq!(code, Some(0), "{stdout}");
    assert_eq!(row(&stdout, "S8"), ["7", "7", "140ms", "140ms", "S7"]);
    let why = "S6 → S7 → S8, because the path was cut (S1 ↔ S8).";
    assert!(stdout.contains(why), "{stdout}");
    assert!(page.contains(why), "the page says something else");
}

#[test]
fn equal_times_are_neither_older_nor_newer() {
    let tie = "equal time, the tie goes to ";
    for args in [&[][..], &["--all"]] {
        let (code, stdout, page) = run_and_page("equal-times.toml", args);
        assert_eq!(code, Some(0), "{stdout}");
        for wanted in [
            format!("ignores roam#1 from S2: {tie}what is known"),
            format!("-  {tie}roam#2"),
        ] {
            assert!(stdout.contains(&wanted), "{wanted}: {stdout}");
        }
        for wrong in ["older", "newer", "overtaken"] {
            assert!(!stdout.contains(wrong), "{wrong}: {stdout}");
        }
        assert!(page.contains(&format!("S4 never has it: {tie}roam#2.")));
    }
}

#[test]
fn everybody_behind_a_dead_server_has_the_reason() {
    let (code, stdout, page) = run_and_page("behind-the-dead.toml", &[]);
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("-  never reached: it was down"), "{stdout}");
    let reason = "-  never reached: S3 was down";
    assert_eq!(stdout.matches(reason).count(), 2, "{stdout}");
    for server in ["S4", "S5"] {
        let sentence = format!("{server} never has it: S3 was down.");
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn an_update_that_nobody_heard_is_missed_by_all() {
    for file in ["misses-of-unheard.toml", "refused.toml"] {
        let (code, stdout, _) = run_and_page(file, &[]);
        assert_eq!(code, Some(0), "{stdout}");
    }
    let folder = folder(&["refused.toml"]);
    let right = text("refused.toml");
    for (from, to, wanted) in [
        ("refused = true", "unheard = true", "actual:   refused"),
        ("unheard = true", "refused = true", "actual:   never heard"),
        ("refused = true", "sends = 0", "actual:   it was refused"),
    ] {
        let wrong = right.replacen(from, to, 1);
        fs::write(folder.path().join("refused.toml"), wrong).unwrap();
        let (code, stdout, stderr) = herd(&folder, &["run", "refused.toml"]);
        assert_eq!(code, Some(1), "{stdout}{stderr}");
        assert!(stdout.contains(wanted), "{stdout}");
    }
}

#[test]
fn a_partition_without_a_link_is_a_mistake_at_its_place() {
    let folder = folder(&["partition-nolink.toml"]);
    let (code, _, stderr) = herd(&folder, &["run", "partition-nolink.toml"]);
    assert_eq!(code, Some(2), "{stderr}");
    let place = "partition-nolink.toml:3:36";
    assert!(stderr.contains(place), "{stderr}");
    let message = "there is no link between `Riley` and `Campbell`";
    assert!(stderr.contains(message), "{stderr}");
}

#[test]
fn a_broken_expectation_says_why_and_shows_its_events() {
    let (code, stdout, page) = run_and_page("three-hops.toml", &[]);
    assert_eq!(code, Some(1), "{stdout}");
    for wanted in [
        "actual:   no: it was down",
        "actual:   3, because Juzang was down",
        "accepts kiwi from its client, 0 hops",
        "accepts kiwi from Bernard, 3 hops",
    ] {
        assert!(stdout.contains(wanted), "{wanted}: {stdout}");
    }
    assert!(page.contains("3, because Juzang was down"));
    let (_, all, _) = run_and_page("three-hops.toml", &["--all"]);
    let events: Vec<&str> = (stdout.lines())
        .skip_while(|line| !line.contains("events: "))
        .take(4)
        .collect();
    assert_eq!(events.len(), 4, "{stdout}");
    // These lines are the same as with `--all`.
    for line in events {
        let what = line.find('[').map_or(line, |at| &line[at..]);
        assert!(all.lines().any(|line| line.ends_with(what)), "{line}");
    }
}

#[test]
fn duplicates_that_break_an_expectation_are_listed() {
    let (code, stdout, _) = run_and_page("duplicates.toml", &[]);
    assert_eq!(code, Some(1), "{stdout}");
    let listed = stdout.lines().skip_while(|line| !line.contains("events: "));
    let listed = listed.filter(|line| line.contains("→ S") && line.contains("AT S1"));
    assert_eq!(listed.count(), 2, "{stdout}");
}

/// Runs a scenario of `tests/found`, and returns the exit code and all output.
fn judged(file: &str) -> (Option<i32>, String) {
    let (code, stdout, stderr) = herd(&folder(&[file]), &["run", "--quiet", file]);
    (code, stdout + &stderr)
}

#[test]
fn a_pattern_that_no_event_can_look_like_is_refused() {
    for (file, line, help) in [
        ("a04-log-times0-typo.toml", 8, "`herd run --all` shows"),
        ("h3-log-misspelt.toml", 5, "the nearest is `link to * is "),
        (
            "n02-log-copied-from-all.toml",
            9,
            "the nearest is `accepts * ",
        ),
    ] {
        let (code, said) = judged(file);
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(said.contains("no event ever looks like this"), "{said}");
        assert!(said.contains(&format!("{file}:{line}:")), "{said}");
        assert!(said.contains(help), "{said}");
    }
}

#[test]
fn a_line_that_all_prints_matches_when_it_is_copied() {
    let text = text("n02-log-copied-from-all.toml");
    let (right, _) = text.split_once("[[expect]]").expect("steps before it");
    let folder = folder(&[]);
    let path = folder.path().join("a.toml");
    fs::write(&path, right).unwrap();
    let (_, all, _) = herd(&folder, &["run", "--all", "a.toml"]);
    let (_, events) = all.split_once("what\n").expect("columns");
    let (events, _) = events.split_once("\n\n").expect("an end");
    let never = |pattern: &str| {
        let pattern = pattern.replace('\\', r"\\").replace('*', r"\*");
        format!("[[expect]]\nlog = '{pattern}'\ntimes = 0\n")
    };
    let mut expects = Vec::new();
    for line in events.lines() {
        let line = line.trim_start();
        let (_, named) = line.split_once("  ").expect("a time");
        let numbered = &line[line.find('[').expect("a number")..];
        let (_, what) = numbered.split_once("] ").expect("words");
        expects.extend([line, named, numbered, what].map(never));
    }
    assert!(expects.len() > 100, "{events}");
    fs::write(&path, format!("{right}{}", expects.concat())).unwrap();
    let (code, stdout, stderr) = herd(&folder, &["run", "--once", "a.toml"]);
    assert_eq!(code, Some(1), "{stderr}");
    let broken = stdout
        .lines()
        .filter(|line| line.starts_with("FAILED  the log: "));
    assert_eq!(broken.count(), expects.len(), "{stdout}");
}

/// An expectation that nothing was compared with does not pass.
#[test]
fn what_was_never_put_to_the_test_breaks_the_run() {
    for (file, about) in [
        ("a09-maybe-reply.toml", "some client is answered"),
        ("a12-agreement-all-dead.toml", "agreement: "),
        (
            "c03-end-before-sync.toml",
            "some link is synchronised before",
        ),
        ("f12-places-body-unjudged.toml", "Riley answers plum"),
        ("g03-freeze-all-at-end.toml", "agreement: "),
        ("g04-workload-10pc.toml", "load: lines answered"),
        ("h2-log-never-by-dead.toml", "the log of Juzang: accepts*"),
    ] {
        let (code, said) = judged(file);
        assert_eq!(code, Some(1), "{file}: {said}");
        assert!(said.contains(&format!("FAILED  {about}")), "{file}: {said}");
    }
}

#[test]
fn what_can_not_be_put_to_the_test_is_refused() {
    for (file, place, message) in [
        ("e01-without-all.toml", "3:9", "no invariant is left"),
        ("h1-sweep-without.toml", "12:11", "no invariant is left"),
        ("g05-kept-whatsat100.toml", "5:10", "`load` only asks"),
    ] {
        let (code, said) = judged(file);
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(said.contains(message), "{file}: {said}");
        assert!(
            said.contains(&format!("{file}:{place}\n")),
            "{file}: {said}"
        );
    }
}

#[test]
fn what_proves_little_is_said() {
    for (file, words) in [
        (
            "e02-without-needless.toml",
            "`without` is needless: agreement passed",
        ),
        ("g08-whatsat-any.toml", "any answer to this WHATSAT will do"),
    ] {
        let (code, said) = judged(file);
        assert_eq!(code, Some(0), "{file}: {said}");
        assert!(said.contains(words), "{file}: {said}");
    }
}

#[test]
fn a_sweep_says_which_invariants_are_off() {
    let folder = folder(&["e02-without-needless.toml"]);
    let args = ["sweep", "--seeds", "0..2", "e02-without-needless.toml"];
    let (code, stdout, _) = herd(&folder, &args);
    assert_eq!(code, Some(0), "{stdout}");
    assert!(
        stdout.contains("without agreement in e02-without-needless"),
        "{stdout}"
    );
}
