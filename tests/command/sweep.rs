//! `herd sweep` and `herd shrink` as their user sees them, and the examples that distribute a sweep
//! over machines.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::ran::{err, exit, herd, out};

const SHORT: &str = r#"
title = "Two bad seconds"
herd = "riley"
tick = "10ms"
client_latency = "10ms"
steps = [
  { at = "500ms", workload = "load", clients = 4, rate = 10, lasts = "3s", whatsat = 20 },
  { at = "500ms", random = { crash = "500ms", sever = "500ms" }, lasts = "1500ms", holds = "100ms..500ms" },
]
"#;

/// A folder with a scenario in it, and the path of the scenario.
fn folder(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("short.toml");
    fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8").to_owned();
    (folder, file)
}

#[test]
fn a_sweep_says_how_often_a_without_was_needless() {
    let (_folder, file) = folder(&SHORT.replace(
        "steps = [",
        "without = [\"agreement\", \"sends-bounded\"]\nsteps = [",
    ));
    let ran = herd(&["sweep", "--seeds", "3..7", &file]);
    assert_eq!(exit(&ran), 0, "{}", out(&ran));
    for invariant in ["agreement", "sends-bounded"] {
        let said =
            format!("  `without` is needless in short: {invariant} passed in each of 4 runs\n");
        assert!(out(&ran).contains(&said), "{}", out(&ran));
    }
    let json = herd(&["sweep", "--json", "--seeds", "3..7", &file]);
    let json: Value = serde_json::from_str(&out(&json)).expect("JSON");
    assert_eq!(
        json["without"][1],
        serde_json::json!({ "invariant": "sends-bounded", "scenario": "short", "runs": 4, "held": 4 })
    );
}

#[test]
fn parts_put_together_print_what_one_run_prints() {
    let (folder, file) = folder(SHORT);
    let whole = herd(&["sweep", "--seeds", "3..9", &file]);
    assert_eq!(
        (exit(&whole), err(&whole).as_str()),
        (0, ""),
        "{}",
        out(&whole)
    );
    assert!(out(&whole).contains("PASSED: 6 runs"), "{}", out(&whole));
    let part = |number: u32| {
        let part = folder.path().join(format!("part-{number}.jsonl"));
        let part = part.to_str().expect("UTF-8").to_owned();
        let shard = format!("{number}/2");
        let ran = herd(&[
            "sweep",
            "--seeds",
            "3..9",
            "--threads",
            "1",
            "--shard",
            &shard,
            "--state",
            &part,
            &file,
        ]);
        assert_eq!(exit(&ran), 0, "{}{}", out(&ran), err(&ran));
        assert!(
            out(&ran).contains(&format!("(part {number} of 2)")),
            "{}",
            out(&ran)
        );
        part
    };
    let (one, two) = (part(1), part(2));
    let merged = herd(&["sweep", "merge", &two, &one]);
    assert_eq!((exit(&merged), out(&merged)), (0, out(&whole)));
    let half = herd(&["sweep", "merge", &one]);
    assert_eq!(exit(&half), 1);
    assert!(
        out(&half).contains("PARTIAL, 3 runs are missing"),
        "{}",
        out(&half)
    );
    // All results are in the file, so nothing runs again, and the file does not change.
    let before = fs::read(&one).expect("it is there");
    let again = herd(&[
        "sweep", "--seeds", "3..9", "--shard", "1/2", "--state", &one, &file,
    ]);
    assert_eq!(exit(&again), 0, "{}", err(&again));
    assert_eq!(fs::read(&one).expect("it is there"), before);
    let other = herd(&["sweep", "--seeds", "3..8", "--state", &one, &file]);
    assert_eq!(exit(&other), 2);
    assert!(
        err(&other).contains("results of another sweep"),
        "{}",
        err(&other)
    );
}

#[test]
fn a_sweep_that_was_cut_short_goes_on_where_it_was() {
    let (folder, file) = folder(SHORT);
    let state = folder.path().join("state.jsonl");
    let state = state.to_str().expect("UTF-8");
    let sweep = || {
        herd(&[
            "sweep",
            "--json",
            "--seeds",
            "0..4",
            "--threads",
            "1",
            "--state",
            state,
            &file,
        ])
    };
    let whole = out(&sweep());
    let text = fs::read_to_string(state).expect("it is there");
    assert_eq!(text.lines().count(), 5);
    // The file ends as if the sweep was killed in the middle of a line.
    let cut = text.len() - text.lines().last().expect("a line").len() / 2;
    fs::write(state, &text[..cut]).expect("written");
    assert_eq!(out(&sweep()), whole);
    assert_eq!(fs::read_to_string(state).expect("it is there"), text);
}

#[test]
fn what_breaks_is_told_made_small_and_breaks_again() {
    let broken = format!("{SHORT}\n[[expect]]\nlog = \"→  never said\"\n");
    let (folder, file) = folder(&broken);
    let found = folder.path().join("found");
    let found = found.to_str().expect("UTF-8");
    let ran = herd(&["sweep", "--seeds", "0..50", "--shrink", found, &file]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1, "{text}{}", err(&ran));
    assert!(text.contains("FAILED: 1 of 1 runs, in one way"), "{text}");
    assert!(
        text.contains(&format!("again:  herd run --swarm --seed 0 {file}")),
        "{text}"
    );
    let as_json = herd(&["sweep", "--json", "--seeds", "0", "--shrink", found, &file]);
    let json: Result<Value, _> = serde_json::from_slice(&as_json.stdout);
    assert!(json.is_ok(), "nothing but JSON: {}", out(&as_json));
    assert!(err(&as_json).contains("steps"), "{}", err(&as_json));
    let small = fs::read_dir(found)
        .expect("it is there")
        .next()
        .expect("one")
        .expect("readable")
        .path();
    let small = small.to_str().expect("UTF-8");
    let again = herd(&["run", "--quiet", small]);
    assert_eq!(exit(&again), 1);
    assert!(out(&again).contains("never said"), "{}", out(&again));
    assert!(
        fs::read_to_string(small)
            .expect("it is there")
            .contains(&format!("# Again: herd run {small}"))
    );
    let shrunk = herd(&["shrink", "--swarm", "--seed", "0", &file]);
    assert_eq!(exit(&shrunk), 0, "{}", err(&shrunk));
    assert!(
        out(&shrunk).contains("log = \"→  never said\""),
        "{}",
        out(&shrunk)
    );
    let held = herd(&["shrink", "scenarios/all-up.toml"]);
    assert_eq!(exit(&held), 1);
    assert!(err(&held).contains("nothing failed"), "{}", err(&held));
}

#[test]
fn nothing_to_run_is_an_error_and_nothing_seen_fails_where_it_is_strict() {
    let calm = SHORT.replace("crash = \"500ms\", sever = \"500ms\"", "slow = \"1h\"");
    let (_folder, file) = folder(&calm);
    let none = herd(&["sweep", "--seeds", "5..5", &file]);
    assert_eq!(exit(&none), 2);
    assert!(
        err(&none).contains("there is no seed in it"),
        "{}",
        err(&none)
    );
    let state = format!("{file}.jsonl");
    let beyond = herd(&[
        "sweep", "--seeds", "0..2", "--shard", "3/4", "--state", &state, &file,
    ]);
    assert_eq!(exit(&beyond), 2);
    assert!(
        err(&beyond).contains("part 3/4 has no run"),
        "{}",
        err(&beyond)
    );
    let lax = herd(&["sweep", "--seeds", "1", &file]);
    assert_eq!(exit(&lax), 0, "{}", out(&lax));
    assert!(
        out(&lax).contains("never\n") && out(&lax).contains("fault: slow"),
        "{}",
        out(&lax)
    );
    assert!(out(&lax).contains("\nPASSED: 1 runs; "), "{}", out(&lax));
    let strict = herd(&["sweep", "--strict", "--seeds", "1", &file]);
    assert_eq!(exit(&strict), 1);
    assert!(
        out(&strict).contains("\nFAILED: 1 runs passed, but ") && !out(&strict).contains("PASSED"),
        "{}",
        out(&strict)
    );
}

#[test]
fn a_sweep_that_ended_at_its_first_failure_says_so_and_not_what_never_came() {
    let broken = format!("{SHORT}\n[[expect]]\nlog = \"→  never said\"\n");
    let (_folder, file) = folder(&broken);
    let ran = herd(&["sweep", "--seeds", "0..12", "--threads", "1", &file]);
    let text = out(&ran);
    assert_eq!(exit(&ran), 1, "{text}");
    let words = "FAILED: 1 of 1 runs, in one way; stopped at the first, 11 runs were not made";
    assert!(text.contains(words), "{text}");
    assert!(!text.contains("\nnever\n"), "{text}");
    assert!(!text.contains("never seen"), "{text}");
}

#[test]
fn of_a_file_of_the_whole_sweep_a_part_counts_its_own_runs() {
    let (folder, file) = folder(SHORT);
    let state = folder.path().join("all.jsonl");
    let state = state.to_str().expect("UTF-8");
    let sweep = ["sweep", "--seeds", "0..4", "--state", state, &file];
    assert_eq!(exit(&herd(&sweep)), 0);
    let part = herd(&[&sweep[..], &["--shard", "1/2"]].concat());
    let text = out(&part);
    assert!(text.contains("2 of 4 runs (part 1 of 2)"), "{text}");
    assert!(text.contains("PASSED: 2 runs"), "{text}");
}

#[test]
fn few_tries_make_it_as_small_as_they_can_and_say_that_they_were_used_up() {
    let broken = format!("{SHORT}\n[[expect]]\nlog = \"→  never said\"\n");
    let (folder, file) = folder(&broken);
    let small = folder.path().join("small.toml");
    let small = small.to_str().expect("UTF-8");
    let none = herd(&["shrink", &file, "--runs", "0"]);
    assert_eq!(exit(&none), 2);
    let one = herd(&["shrink", &file, "--runs", "1"]);
    assert_eq!(exit(&one), 0, "{}", err(&one));
    assert!(err(&one).contains("used up (--runs)"), "{}", err(&one));
    assert!(out(&one).contains("log = \"→  never said\""));
    let some = herd(&["shrink", &file, "--runs", "5", "-o", small]);
    assert_eq!(exit(&some), 0, "{}", err(&some));
    assert!(out(&some).contains("used up (--runs)"), "{}", out(&some));
    assert_eq!(exit(&herd(&["run", "--quiet", small])), 1);
    let all = herd(&["shrink", &file]);
    assert_eq!((exit(&all), err(&all).as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn nothing_that_is_read_is_overwritten_and_what_cannot_be_written_is_told_before_the_work() {
    let (folder, file) = folder(SHORT);
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (trace, link) = (path("trace.jsonl"), path("./../same.toml"));
    let link = link.replace("/../", "/");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let run = ["run", "--once", "--quiet", &file];
    herd(&[&run[..], &["--trace", &trace]].concat());
    let kept = |file: &str| fs::read_to_string(file).expect("it is there");
    let before = [kept(&file), kept(&trace)];
    // Each of these commands would take hours if it began to run.
    let long = ["sweep", "--seeds", "0..100000000"];
    let nowhere = ["--html", "/nonexistent/page.html"];
    let in_a_file = format!("{file}/folder");
    let survey = ["survey", "--shape", "ring:12", "--all"];
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&["shrink", &file], &["-o", &file], "would overwrite"),
        (&["shrink", &file], &["-o", &link], "would overwrite"),
        (&["view", &trace], &["-o", &trace], "would overwrite"),
        (&["view", &file, &trace], &["-o", &trace], "would overwrite"),
        (&run, &["--trace", &file], "would overwrite"),
        (
            &run,
            &["--trace", &path("x"), "--html", &path("./x")],
            "name the same file",
        ),
        (&run, &nowhere, "can't write /nonexistent/page.html"),
        (&long, &[&file, "--html", &file], "would overwrite"),
        (&long, &[&[&*file], &nowhere[..]].concat(), "can't write"),
        (&long, &[&file, "--shrink", &in_a_file], "can't write"),
        (&survey, &nowhere, "can't write"),
        (&["explore", &file], &nowhere, "can't write"),
        (&["explore", &file], &["--out", &in_a_file], "can't write"),
    ];
    for (args, more, words) in cases {
        let ran = herd(&[args, *more].concat());
        let told = err(&ran);
        assert_eq!(exit(&ran), 2, "{args:?} {more:?}: {told}");
        assert!(told.contains(words), "{args:?} {more:?}: {told}");
        assert_eq!(out(&ran), "", "{args:?} {more:?}");
    }
    assert!(before == [kept(&file), kept(&trace)]);
    assert!(!Path::new(&path("x")).exists());
}

#[test]
fn a_page_opens_small_scenarios_and_is_the_same_of_threads_and_parts() {
    let broken = format!("{SHORT}\n[[expect]]\nlog = \"→  never <said>\"\n");
    let (folder, file) = folder(&broken);
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (found, state) = (path("found here"), path("state.jsonl"));
    let page = |name: &str, more: &[&str]| {
        let page = path(name);
        let ran = herd(&[more, &["--html", &page]].concat());
        assert_eq!(exit(&ran), 1, "{}{}", out(&ran), err(&ran));
        fs::read_to_string(page).expect("it is written")
    };
    let sweep = ["sweep", "--keep-going", "--seeds", "0..3", "--threads"];
    let one = page(
        "1.html",
        &[&sweep[..], &["1", "--state", &state, &file]].concat(),
    );
    assert!(one.contains("FAILED: 3 of 3 runs, in one way"), "{one}");
    assert_eq!(one, page("2.html", &[&sweep[..], &["2", &file]].concat()));
    assert_eq!(one, page("3.html", &["sweep", "merge", &state]));
    let small = page(
        "4.html",
        &[&sweep[..], &["2", "--shrink", &found, &file]].concat(),
    );
    let (_, link) = small.split_once("<a href=\"found%20here/").expect("a link");
    let name = link.split('"').next().expect("its end");
    let text = fs::read_to_string(Path::new(&found).join(name)).expect("the link leads there");
    assert!(text.contains("log = \"→  never <said>\""), "{text}");
    assert!(
        small.contains("log = &quot;→  never &lt;said&gt;&quot;"),
        "{small}"
    );
    assert_eq!(small.matches("<details>").count(), 1);
}

/// After Ctrl-C the report covers the seeds that ran, and says that it is incomplete.
#[cfg(unix)]
#[test]
fn an_interrupted_sweep_leaves_a_report_that_says_so() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let (folder, file) = folder(SHORT);
    let state = folder.path().join("state.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args([
        "sweep",
        "--seeds",
        "0..1000000",
        "--threads",
        "1",
        "--state",
    ]);
    command.arg(&state).arg(&file).stdout(Stdio::piped());
    let mut running = command.spawn().expect("it starts");
    // The sweep is interrupted while it runs, after it has stored a few results.
    while fs::read_to_string(&state).map_or(0, |text| text.lines().count()) < 3 {
        assert!(
            running.try_wait().expect("it is ours").is_none(),
            "it ended by itself"
        );
        std::thread::yield_now();
    }
    let id = i32::try_from(running.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not zero");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it is told");
    let mut text = String::new();
    let mut told = BufReader::new(running.stdout.take().expect("a pipe"));
    told.read_line(&mut text).expect("a line");
    told.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(running.wait().expect("it ends").code(), Some(1), "{text}");
    assert!(text.contains("PARTIAL, "), "{text}");
    assert!(text.contains("PASSED: "), "{text}");
}

/// Ctrl-C while a failure is shrunk writes the smallest scenario so far, and says that a smaller
/// one may exist.
#[cfg(unix)]
#[test]
fn making_small_can_be_interrupted_and_leaves_what_was_found() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let chaos = fs::read_to_string("scenarios/stories/chaos-coarse.toml").expect("it is shipped");
    // The scenario is so large that the signal arrives before a few runs are over.
    let crowd = chaos.replace("rate = 10, lasts = \"4s\"", "rate = 200, lasts = \"4s\"");
    let (folder, file) = folder(&format!("{crowd}\n[[expect]]\nlog = \"→  never said\"\n"));
    let found = folder.path().join("found");
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["sweep", "--seeds", "0", "--threads", "1", "--shrink"]);
    command.arg(&found).arg(&file).stdout(Stdio::piped());
    let mut running = command.spawn().expect("it starts");
    let mut told = BufReader::new(running.stdout.take().expect("a pipe"));
    let mut text = String::new();
    // After the report the failure is shrunk, which takes long.
    while !text.contains("\nFAILED: 1 of 1 runs") {
        assert_ne!(told.read_line(&mut text).expect("a line"), 0, "{text}");
    }
    let id = i32::try_from(running.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("not zero");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it is told");
    told.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(running.wait().expect("it ends").code(), Some(1), "{text}");
    // The signal may also arrive just before the search begins.
    if !text.contains(": interrupted, so it is not shrunk: herd shrink --swarm --seed 0 ") {
        assert!(
            text.ends_with("; interrupted, so a smaller one may be possible\n"),
            "{text}"
        );
        let small = fs::read_dir(&found).expect("it is there").next();
        let small = small.expect("one").expect("readable").path();
        let small = fs::read_to_string(small).expect("it is there");
        assert!(small.contains("log = \"→  never said\""), "{small}");
    }
}

fn example(name: &str) -> String {
    let file = Path::new("deploy/sweep").join(name);
    fs::read_to_string(file).expect("it is there")
}

fn yaml(name: &str) -> Value {
    serde_norway::from_str(&example(name)).expect("YAML")
}

/// Checks that the words after `herd sweep` in an example are a valid command line, by a sweep of
/// few seeds.
fn understood(words: &str, part: &str) {
    let (folder, file) = folder(SHORT);
    let mut args: Vec<String> = vec!["sweep".to_owned()];
    let mut rest = words.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        match word {
            "--seeds" => args.extend([word.to_owned(), "0..16".to_owned()]),
            "--shard" => args.extend([word.to_owned(), part.to_owned()]),
            "--threads" => args.extend([word.to_owned(), "1".to_owned()]),
            "--state" => args.extend([
                word.to_owned(),
                folder.path().join("state").display().to_string(),
            ]),
            "--shrink" => args.extend([
                word.to_owned(),
                folder.path().join("found").display().to_string(),
            ]),
            flag if flag.starts_with("--") => {
                args.push(flag.to_owned());
                continue;
            }
            scenario if is_toml(scenario) => {
                assert!(Path::new(scenario).exists(), "{scenario}");
                args.push(file.clone());
                continue;
            }
            other => panic!("what is {other:?} in {words:?}?"),
        }
        // The example's own value is for its machine and may contain blanks, so it is skipped.
        while rest
            .peek()
            .is_some_and(|next| !next.starts_with("--") && !is_toml(next))
        {
            rest.next();
        }
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = herd(&args);
    assert_eq!(exit(&ran), 0, "{args:?}: {}{}", out(&ran), err(&ran));
}

fn after_sweep(text: &str) -> String {
    let text = text.replace("\\\n", " ");
    let (_, words) = text.split_once("herd sweep --").expect("it sweeps");
    let words = words.lines().next().unwrap_or_default();
    format!("--{}", words.split(" || ").next().unwrap_or_default())
}

#[test]
fn the_kubernetes_job_runs_each_part_once() {
    let job = yaml("kubernetes-job.yaml");
    assert_eq!(job["kind"].as_str(), Some("Job"));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"].as_str(), Some("Indexed"));
    let parts = spec["completions"].as_i64().expect("a number");
    let container = &spec["template"]["spec"]["containers"][0];
    let script = container["args"][0].as_str().expect("a script");
    assert!(
        script.contains(&format!("--shard $((JOB_COMPLETION_INDEX + 1))/{parts} ")),
        "{script}"
    );
    let mount = &container["volumeMounts"][0]["name"];
    assert_eq!(*mount, spec["template"]["spec"]["volumes"][0]["name"]);
    understood(&after_sweep(script), &format!("1/{parts}"));
}

#[test]
fn the_matrix_runs_each_part_once_and_puts_them_together() {
    let flow = yaml("github-matrix.yml");
    let part = &flow["jobs"]["part"];
    let parts = part["strategy"]["matrix"]["part"]
        .as_array()
        .expect("a list");
    let numbers: Vec<i64> = parts.iter().filter_map(Value::as_i64).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let runs: Vec<&str> = (part["steps"].as_array().expect("steps").iter())
        .filter_map(|step| step["run"].as_str())
        .collect();
    let sweeps = runs
        .iter()
        .find(|run| run.contains("herd sweep"))
        .expect("one sweeps");
    assert!(sweeps.contains("--shard ${{ matrix.part }}/4 "), "{sweeps}");
    understood(&after_sweep(sweeps), "2/4");
    assert_eq!(flow["jobs"]["report"]["needs"].as_str(), Some("part"));
    assert!(example("github-matrix.yml").contains("herd sweep merge --strict part-*.jsonl"));
}

#[test]
fn the_scripts_are_right_and_run_each_part_once() {
    for name in ["slurm-array.sh", "overnight.sh"] {
        let checked = Command::new("bash")
            .arg("-n")
            .arg(Path::new("deploy/sweep").join(name))
            .output();
        let checked = checked.expect("there is a bash");
        assert!(checked.status.success(), "{name}: {}", err(&checked));
    }
    let slurm = example("slurm-array.sh");
    assert!(slurm.contains("#SBATCH --array=1-16\n") && slurm.contains("TASK_COUNT:-16}"));
    understood(&after_sweep(&slurm), "16/16");
    understood(&after_sweep(&example("overnight.sh")), "1/1");
}

fn is_toml(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|end| end == "toml")
}

#[test]
fn blame_names_the_rise_and_repeats_the_futures() {
    let (_folder, file) = folder(
        &(SHORT.replace("crash = \"500ms\", sever = \"500ms\"", "crash = \"400ms\"")
            + "[[expect]]\nlog = \"CRASHES*\"\ntimes = 0\n"),
    );
    let flags = ["blame", "--seed", "3", "--futures", "4", "--moments", "12"];
    let json = herd(&[&flags[..], &["--json", &file]].concat());
    assert_eq!(exit(&json), 0, "{}", err(&json));
    let blame: Value = serde_json::from_str(&out(&json)).expect("JSON");
    let curve = blame["curve"].as_array().expect("a curve");
    assert!((2..=12).contains(&curve.len()) && curve.last().expect("an end")["same"] == 4);
    assert_eq!((&blame["seed"], &blame["futures"]), (&3.into(), &4.into()));
    let text = herd(&[&flags[..], &["--threads", "1", &file]].concat());
    assert!(out(&text).contains("inevitable from"), "{}", out(&text));
    let held = herd(&["blame", "scenarios/all-up.toml"]);
    assert_eq!(exit(&held), 1);
    assert!(err(&held).contains("nothing failed"), "{}", err(&held));
}

#[test]
fn a_guided_sweep_has_no_parts_and_goes_on_from_its_results() {
    let (folder, file) = folder(SHORT);
    let state = folder.path().join("state.jsonl");
    let state = state.to_str().expect("UTF-8");
    let guided = [
        "sweep", "--guided", "--seeds", "0..40", "--state", state, &file,
    ];
    let first = herd(&guided);
    assert_eq!(exit(&first), 0, "{}", err(&first));
    assert!(out(&first).contains("guided by what runs came across"));
    let kept = fs::read_to_string(state).expect("it is there");
    assert_eq!(kept.lines().count(), 41);
    let some: Vec<&str> = kept.lines().take(36).collect();
    fs::write(state, some.join("\n") + "\n").expect("written");
    assert_eq!(out(&herd(&guided)), out(&first));
    let part = herd(&[&guided[..], &["--shard", "1/2"]].concat());
    assert_eq!(exit(&part), 2);
    assert!(err(&part).contains("cannot be used with"), "{}", err(&part));
    let unguided = herd(&["sweep", "--seeds", "0..40", "--state", state, &file]);
    assert!(
        err(&unguided).contains("results of another sweep"),
        "{}",
        err(&unguided)
    );
}
