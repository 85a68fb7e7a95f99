//! `herd check`: a report card for anybody's herd.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;

use super::interrupt::Interrupt;
use super::progress::Progress;
use super::scenarios::{load_all, scenario_files};
use super::signals::Signals;
use super::{Exit, Failure, flags, outputs, painted, print};
use crate::herd::Herd;
use crate::live::attach;
use crate::live::check::{
    Card, Options, Result as Judged, Rule, Subject, Verdict, Weight, check, junit, page, play,
    rules, scenario_rule,
};
use crate::live::command::Command;
use crate::live::run;
use crate::scenario::Scenario;
use crate::settings::key::VARIABLE;
use crate::units::{format_duration, parse_duration};

/// How our own server is started. It must give up on Places before a client of the check does.
const OWN: [&str; 8] = [
    "serve",
    "{name}",
    "--herd={herd}",
    "--places-url={places}",
    "--places-deadline=5s",
    "--places-attempt-deadline=5s",
    "--places-retries=0",
    "--log-level=warn",
];

/// The key that our own server needs before it asks Places; the stand-in takes any.
const KEY: (&str, &str) = (VARIABLE, "the-stand-in-takes-any-key");

/// Judge anybody's herd by the rules of the clients' protocol, as a report card
///
/// Each rule is one small case: what was sent, what came, what was wanted, and what usually causes
/// the difference. Only what a client can see is judged, so a server in any language will do. Rules
/// that the statement of the project leaves open are matters of taste: they are shown and not
/// counted. What cannot be seen here is not evaluated, and never passed.
///
/// The servers are started by --command, once for each server of --herd, and ended with this
/// command, whatever ends it. Its words are split as in a shell, and nothing else of a shell works.
/// Placeholders: {name}; {port} and {port:NAME}, the ports for clients; {peer} and {peer:NAME}, the
/// ports for servers; {herd}, a herd file; {places}, the URL of a stand-in for Places; {logs}, a
/// folder. The environment has the same as `HERD_NAME`, `HERD_PORT`, `HERD_PORT_RILEY`,
/// `HERD_PEER`, `HERD_FILE`, `HERD_PLACES` and `HERD_LOGS`. Where a command takes no port, the
/// servers must use those of the herd. Without --command and --attach, herd's own server is judged.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  herd check
  herd check --command 'python3 server.py {name}'
  herd check --command 'python3 server.py {name} {port} {places}' --html card.html
  herd check --attach Riley=127.0.0.1:12200,Jaquez=127.0.0.1:12201
  herd check --command './server {name}' --herd hill --only streams --only 'location-*'
  herd check --command './server {name} {port} {herd}' --scenarios juzang-goes-down.toml
  herd check --list

Exit codes:
  0  every rule that counts and could be evaluated was followed
  1  some were not
  2  the command line is wrong, or a server did not start")]
pub(super) struct Args {
    /// The command that starts one server
    #[arg(long, value_name = "COMMAND", conflicts_with = "attach")]
    command: Option<String>,
    /// Servers that run already, by name and address for clients, separated by commas
    #[arg(long, value_name = "NAME=HOST:PORT,…")]
    attach: Option<String>,
    /// A built-in herd, or the path of a herd file: the servers' names, links and ports
    #[arg(long, value_name = "NAME|FILE", default_value = "riley")]
    herd: String,
    /// Also play these scenarios, or all of a folder, each as one rule of the group `scenarios`.
    /// Repeat it for several
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "attach")]
    scenarios: Vec<PathBuf>,
    /// Judge only rules whose id or group matches; `*` stands for any text. Repeat it for several
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Leave out rules whose id or group matches; `*` stands for any text. Repeat it for several
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// How long an answer may take; an update through the herd may take five times as long
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    patience: Duration,
    /// How long a server may take until it listens
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = parse_duration)]
    start_limit: Duration,
    /// List the rules, and judge nothing
    #[arg(long)]
    list: bool,
    /// List rules that were followed, too
    #[arg(long)]
    all: bool,
    /// Print the card as one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the card as a JUnit file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write the card as one page of HTML, to hand out
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let scenarios = load_all(&scenario_files(&args.scenarios)?)?;
    let scenarios = scenarios.into_iter();
    let scenarios: Vec<(Rule, Scenario)> = scenarios
        .map(|scenario| (scenario_rule(&scenario), scenario))
        .collect();
    let all: Vec<Rule> = (rules().copied())
        .chain(scenarios.iter().map(|(rule, _)| *rule))
        .collect();
    for glob in args.only.iter().chain(&args.skip) {
        if !all.iter().any(|rule| names(glob, rule)) {
            return Err(Failure::Input(format!(
                "no rule and no group matches `{glob}`\nhelp: `herd check --list` lists them"
            )));
        }
    }
    let chosen = |rule: &Rule| {
        let is_named = |globs: &[String]| globs.iter().any(|glob| names(glob, rule));
        (args.only.is_empty() || is_named(&args.only)) && !is_named(&args.skip)
    };
    let number = all.iter().filter(|rule| chosen(rule)).count();
    if number == 0 {
        return Err(Failure::Input("--only and --skip leave no rule".to_owned()));
    }
    if args.list {
        print(&list(all.iter().filter(|rule| chosen(rule))))?;
        return Ok(Exit::Passed);
    }
    let options = options(args)?;
    outputs::check(&[
        ("--junit", args.junit.as_deref()),
        ("--html", args.html.as_deref()),
    ])?;
    let progress = Progress::new("rules", number);
    let mut card = if rules().any(chosen) {
        judge(&options, chosen, &progress)?
    } else {
        Card {
            herd: options.herd.name().to_string(),
            subject: options.subject.to_string(),
            results: Vec::new(),
        }
    };
    let scenarios = scenarios.into_iter().filter(|(rule, _)| chosen(rule));
    play_all(args, &options, scenarios, (&mut card, &progress))?;
    drop(progress);
    if args.command.is_none() && args.attach.is_none() {
        "herd's own server".clone_into(&mut card.subject);
    }
    show(args, &card)?;
    Ok(if card.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// Judges servers by the rules, and ends them.
fn judge(
    options: &Options,
    chosen: impl Fn(&Rule) -> bool,
    progress: &Progress,
) -> Result<Card, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let judged = async {
        let began = |done, _: &Rule| progress.show(done);
        let judged = check(options, chosen, began).await;
        judged.map_err(|error| Failure::Input(error.to_string()))
    };
    runtime.block_on(or(judged, interrupted()))
}

/// Plays scenarios one after the other, each with servers of its own.
fn play_all(
    args: &Args,
    options: &Options,
    scenarios: impl Iterator<Item = (Rule, Scenario)>,
    (card, progress): (&mut Card, &Progress),
) -> Result<(), Failure> {
    let mut scenarios = scenarios.peekable();
    if scenarios.peek().is_none() {
        return Ok(());
    }
    let interrupt = Interrupt::watch()?;
    let command = match &options.subject {
        Subject::Command(command, _) if args.command.is_some() => Some(command.clone()),
        _ => None,
    };
    let has_fixed_ports = command
        .as_ref()
        .is_some_and(|command| !command.takes_ports());
    let playing = run::Options {
        herd: options.guard.clone(),
        command,
        speed: 1,
        logs: None,
        interrupt: Some(interrupt.flag()),
    };
    for (rule, mut scenario) in scenarios {
        progress.show(card.results.len());
        let moved = scenario.herd.at_addresses_of(&options.herd);
        let has_herd = moved.is_some();
        if let Some(moved) = moved {
            scenario.herd = Arc::new(moved);
        }
        card.results.push(if has_fixed_ports && !has_herd {
            let reason = "its herd is not that of --herd, and the command takes no ports";
            let reason = reason.to_owned();
            let verdict = Verdict::NotEvaluated { reason };
            Judged { rule, verdict }
        } else {
            play(rule, &scenario, &playing)
        });
        if interrupt.is_wanted() {
            let text = "interrupted: nothing was judged to the end";
            return Err(Failure::Failed(text.to_owned()));
        }
    }
    Ok(())
}

/// Ends the check with a signal, so that the servers and the folder of their logs go with it.
async fn interrupted() -> Result<Card, Failure> {
    let Ok(mut signals) = Signals::new() else {
        return std::future::pending().await;
    };
    let signal = signals.next().await;
    Err(Failure::Failed(format!(
        "{signal}: nothing was judged to the end"
    )))
}

fn show(args: &Args, card: &Card) -> Result<(), Failure> {
    if let Some(file) = &args.junit {
        outputs::write(file, &junit(card))?;
    }
    if let Some(file) = &args.html {
        outputs::write(file, &page(card))?;
    }
    if args.json {
        return print(&card.json());
    }
    // A person at a terminal wants to see what was judged; a log wants what is wrong.
    let all = args.all || std::io::stdout().is_terminal();
    print(&painted(&card.text(all)))
}

fn list<'r>(rules: impl Iterator<Item = &'r Rule>) -> String {
    let lines = rules.map(|rule| {
        let taste = match rule.weight {
            Weight::Must => "",
            Weight::Taste => " (taste)",
        };
        format!("{}  {}{taste}: {}\n", rule.group, rule.id, rule.rule)
    });
    lines.collect()
}

fn options(args: &Args) -> Result<Options, Failure> {
    let herd = flags::herd(&args.herd)?;
    if args.patience.is_zero() || args.start_limit.is_zero() {
        let text = "--patience and --start-limit must be longer than nothing";
        return Err(Failure::Input(text.to_owned()));
    }
    // Several deadlines are multiples of it.
    let longest = Duration::from_hours(1);
    if args.patience > longest {
        let longest = format_duration(longest);
        return Err(Failure::Input(format!(
            "--patience is {longest} at the most"
        )));
    }
    let guard = std::env::current_exe();
    let guard = guard.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let subject = subject(args, &herd, &guard.to_string_lossy())?;
    Ok(Options {
        herd,
        subject,
        patience: args.patience,
        start: args.start_limit,
        guard,
    })
}

fn subject(args: &Args, herd: &Herd, own: &str) -> Result<Subject, Failure> {
    if let Some(servers) = &args.attach {
        let servers = attach::parse(servers, herd);
        let servers = servers.map_err(|error| Failure::Input(format!("--attach: {error}")))?;
        return Ok(Subject::Attached(servers));
    }
    let input = |error: crate::live::command::CommandError| Failure::Input(error.to_string());
    if let Some(command) = &args.command {
        let command = Command::parse(command).map_err(input)?;
        command.check(herd).map_err(input)?;
        return Ok(Subject::Command(command, Vec::new()));
    }
    // Braces in the path of this program are no placeholders.
    let own = own.replace('{', "{{").replace('}', "}}");
    let words: Vec<&str> = [own.as_str()].into_iter().chain(OWN).collect();
    let command = Command::of_words(&words).map_err(input)?;
    let key = (KEY.0.to_owned(), KEY.1.to_owned());
    Ok(Subject::Command(command, vec![key]))
}

/// Whether a glob is for a rule: its id or its group, in which spaces are written as hyphens.
fn names(glob: &str, rule: &Rule) -> bool {
    let group = rule.group.to_string().to_lowercase().replace(' ', "-");
    matches(glob, rule.id) || matches(&glob.to_lowercase().replace(' ', "-"), &group)
}

/// Whether a text matches a glob in which `*` stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    let Some((before, after)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.any(|at| matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_all_of_an_id() {
        for (glob, text) in [
            ("a", "a"),
            ("*", ""),
            ("a*c", "abc"),
            ("*-b*", "a-b-c"),
            ("a**", "a"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("a", "ab"), ("b*", "ab"), ("a*c", "acd"), ("", "a")] {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn groups_are_named_as_they_are_shown() {
        let chosen = |glob: &str| rules().filter(|rule| names(glob, rule)).count();
        assert_eq!(chosen("white-space"), chosen("white space"));
        assert!(chosen("WHATSAT") > chosen("whatsat-at") && chosen("whatsat-at") == 1);
        assert!(chosen("the-herd") > 3 && chosen("*") == rules().count());
    }
}
