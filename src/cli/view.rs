//! `herd view`: writes runs as one page for a browser, or one run as a picture or for another tool.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::export::Export;
use super::run_limit::Limited;
use super::{Exit, Failure, outputs, print, warn};
use crate::files::{self, ends_in, quoted};
use crate::report;
use crate::scenario::{Recipe, Scenario};
use crate::sim::WorldKind;
use crate::trace::Trace;
use crate::view::{self, ShownRun};

/// Write one page for a browser that shows runs: every message, every fault, every update's path,
/// and the verdict
///
/// Takes scenarios, which are run, and traces that `herd run --json` or `--trace` wrote. With
/// several runs the page shows one at a time, or two side by side with their differences. The page
/// is one file and needs no network.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd view scenarios/juzang-goes-down.toml
  herd view --open scenarios/all-up.toml
  herd view before.jsonl after.jsonl -o compared.html
  herd view --seed 1 --seed 2 scenarios/jittery-links.toml
  herd view --svg -o juzang.svg scenarios/juzang-goes-down.toml
  herd view --shiviz -o juzang.log scenarios/juzang-goes-down.toml

The exit code is that of the runs: 1 if an expectation failed. The page is written all the same.")]
pub(super) struct Args {
    /// Scenario files (.toml, .json) and traces (.jsonl)
    #[arg(required = true, value_name = "SCENARIO|TRACE")]
    files: Vec<PathBuf>,
    /// Write to this file, or with `-` to standard output [default: a page has the first scenario's
    /// name with .html, in the current folder; other formats go to standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Run the scenarios with this seed instead of their own; can be given several times
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Vec<Recipe>,
    /// Show the page in a browser
    #[arg(long)]
    open: bool,
    /// Execute scenarios only once: half the time, but a nondeterministic run goes unnoticed
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    limited: Limited,
    #[command(flatten)]
    export: Export,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if to_stdout && args.open {
        let text = "a page on standard output can't be opened: give it a file with `-o FILE`";
        return Err(Failure::Input(text.to_owned()));
    }
    let given: Vec<Input> = (args.files.iter())
        .map(|file| read(file, args))
        .collect::<Result<_, _>>()?;
    // Problems with the output are reported before anything runs.
    let named = args.output.as_deref().filter(|_| !to_stdout);
    outputs::check(&[("--output", named)])?;
    let mut runs = Vec::new();
    for (file, given) in args.files.iter().zip(given) {
        match given {
            Input::Traces(traces) => runs.extend(traces.into_iter().map(|it| traced(it, file))),
            Input::Scenario(scenario) => runs.extend(execute(&scenario, file, args)?),
        }
    }
    let page = if args.export.is_wanted() {
        let traces: Vec<&Trace> = runs.iter().map(|run| &run.trace).collect();
        args.export.text(&traces)?
    } else {
        view::page(&runs)
    };
    if to_stdout || args.export.is_wanted() && args.output.is_none() {
        print_raw(&page)?;
    } else {
        let file = args.output.clone().unwrap_or_else(|| default_name(&runs));
        outputs::check(&[("the page", Some(&file))])?;
        outputs::write(&file, &page)?;
        print(&format!(
            "{}: {}, {} kB\n",
            file.display(),
            report::show::count(runs.len(), "run"),
            page.len().div_ceil(1000)
        ))?;
        if args.open {
            open(&file)?;
        }
    }
    let broken = runs.iter().any(|run| run.trace.verdict().failed > 0);
    Ok(if broken { Exit::Failed } else { Exit::Passed })
}

/// Writes the page of one run. `herd run --html` uses this, too.
pub(super) fn write_page(file: &Path, trace: Trace, scenario: &Path) -> Result<(), Failure> {
    let run = shown(trace, scenario);
    outputs::write(file, &view::page(&[run]))
}

/// Writes a page to standard output unchanged, without the treatment of colours that reports get.
fn print_raw(page: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(page.as_bytes());
    super::heard(written.and_then(|()| stdout.flush()))
}

/// The content of an input file.
enum Input {
    Traces(Vec<Trace>),
    Scenario(Box<Scenario>),
}

fn read(file: &Path, args: &Args) -> Result<Input, Failure> {
    let name = file.display();
    if file.is_dir() {
        return Err(Failure::Input(format!(
            "{name} is a folder: name the scenarios or traces in it that you want to see"
        )));
    }
    let text = files::read(&Scenario::file_of(file));
    let text = text.map_err(|error| Failure::Input(format!("can't read {name}: {error}")))?;
    if is_trace(file, &text) {
        if !args.seed.is_empty() {
            return Err(Failure::Input(format!(
                "{name} is a trace, which is not run again: --seed is for scenarios"
            )));
        }
        let text = String::from_utf8(text)
            .map_err(|error| Failure::Input(format!("{name} is no trace: {error}")))?;
        let traces = Trace::from_json_lines(&text);
        let traces = traces.map_err(|error| Failure::Input(format!("{name}: {error}")))?;
        return Ok(Input::Traces(traces));
    }
    let (scenario, warnings) = Scenario::load(file)?;
    warn(&warnings);
    Ok(Input::Scenario(Box::new(scenario)))
}

/// The runs of a scenario, one for each seed.
fn execute(scenario: &Scenario, file: &Path, args: &Args) -> Result<Vec<ShownRun>, Failure> {
    let name = file.display();
    let seeds = if args.seed.is_empty() {
        vec![scenario.seed.clone()]
    } else {
        args.seed.clone()
    };
    let simulator = args.limited.simulator();
    let mut runs = Vec::new();
    for seed in seeds {
        let scenario = scenario.clone().with_seed(seed);
        let ran = if args.once {
            simulator.run_once(&scenario)
        } else {
            simulator.run(&scenario)
        };
        let trace = ran.map_err(|error| Failure::of_run(&name.to_string(), &error))?;
        runs.push(shown(trace, file));
    }
    Ok(runs)
}

/// Whether a file is a trace: by its first line, or else by its extension.
pub(super) fn is_trace(file: &Path, text: &[u8]) -> bool {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    text.trim_ascii_start().starts_with(b"{\"trace\":") || ends_in(file, "jsonl")
}

pub(super) fn shown(trace: Trace, scenario: &Path) -> ShownRun {
    let source = scenario.display().to_string();
    let header = &trace.header;
    let swarm = if header.swarm { " --swarm" } else { "" };
    // The mixture of a seed comes with its order of tasks.
    let shuffle = if header.shuffle && !header.swarm {
        " --shuffle"
    } else {
        ""
    };
    let world: Result<WorldKind, _> = header.world.parse();
    let world = world.map(WorldKind::flag).unwrap_or_default();
    let command = format!(
        "herd run{world}{swarm}{shuffle} --seed {} {}",
        header.seed,
        quoted(&source)
    );
    ShownRun {
        trace,
        source,
        command,
    }
}

/// A run from a trace. The trace does not say where its scenario file is, so the command that
/// repeats it is unknown.
fn traced(trace: Trace, file: &Path) -> ShownRun {
    ShownRun {
        source: file.display().to_string(),
        command: String::new(),
        trace,
    }
}

fn default_name(runs: &[ShownRun]) -> PathBuf {
    let name = runs
        .first()
        .map_or("view", |run| &*run.trace.header.scenario);
    // The name comes from a trace, which is not trusted to be free of path separators.
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    PathBuf::from(format!("{}.html", name.trim_start_matches(['.', '-'])))
}

fn open(file: &Path) -> Result<(), Failure> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let started = Command::new(opener)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!(
            "the page is written, but `{opener}` can't be started ({error}): open {} in a browser",
            file.display()
        ))),
    }
}
