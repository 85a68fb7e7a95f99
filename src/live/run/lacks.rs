//! What can't be done to real processes. It is refused before anything is started.

use super::{LiveError, MOST_SPEED, Options};
use crate::scenario::{
    Action, ClientStep, ClockOwner, Condition, Fault, Impairment, Operation, Party, Route,
    Scenario, Step,
};

/// The fewest bytes after which a real server writes a snapshot.
const LEAST_SNAPSHOT: u64 = 65_536;

/// Fails with each step that needs another world, its place, and why.
pub(super) fn check(scenario: &Scenario, options: &Options) -> Result<(), LiveError> {
    if let Some(command) = &options.command {
        command.check(&scenario.herd)?;
    }
    let mut mistakes = Vec::new();
    let mut tell = |step: Option<&Step>, what: &str| {
        let at = step.map_or_else(String::new, |step| {
            let (line, column) = scenario.source.line_column(step.span.start);
            format!(":{line}:{column}")
        });
        mistakes.push(format!(
            "{}{at}: {what}; run it in the simulator, without `--world live`",
            scenario.path()
        ));
    };
    if !(1..=MOST_SPEED).contains(&options.speed) {
        tell(None, &format!("the speed must be 1 to {MOST_SPEED}"));
    }
    if let Some(disks) = scenario.disks
        && disks.snapshot_after < LEAST_SNAPSHOT
        && options.command.is_none()
    {
        let after = disks.snapshot_after;
        tell(
            None,
            &format!(
                "`herd serve` takes no `snapshot_after` below {LEAST_SNAPSHOT}, as here {after}"
            ),
        );
    }
    if scenario.deliver.is_some() {
        tell(
            None,
            "nobody can choose the order of real messages (`deliver`)",
        );
    }
    for step in &scenario.steps {
        if step.when.is_some() {
            tell(
                Some(step),
                "a step that reacts (`when`) needs repeatable runs",
            );
        }
        if let Some(what) = of_action(&step.action, options) {
            tell(Some(step), &what);
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    // Steps that were drawn have the place of the one that they were drawn for.
    mistakes.dedup();
    Err(LiveError::Lacks(mistakes))
}

fn of_action(action: &Action, options: &Options) -> Option<String> {
    match action {
        Action::Begin(fault) => of_fault(fault, options),
        Action::Peer(_) if options.command.is_some() => {
            Some("a peer speaks our servers' own protocol".to_owned())
        }
        Action::Client(talk) | Action::Peer(talk) => of_talk(talk),
        Action::Reload(_) => Some("servers get no other settings here (`reload`)".to_owned()),
        Action::Upgrade(_) => Some("there is one build of the server (`upgrade`)".to_owned()),
        Action::End(..) | Action::Workload(_) | Action::Random(_) | Action::Drawn(_) => None,
    }
}

fn of_talk(talk: &ClientStep) -> Option<String> {
    let limits = talk.connection.receive_buffer.is_some();
    limits.then(|| "buffers are the system's (`receive_buffer`)".to_owned())
}

fn of_fault(fault: &Fault, options: &Options) -> Option<String> {
    let name = fault.kind.name;
    let all = fault.each();
    let operations = all.iter().flat_map(Fault::operations);
    let mut operations = operations.map(|(_, operation)| operation);
    operations.find_map(|operation| {
        let why = of_operation(&operation, options)?;
        Some(format!("`{name}` is not possible: {why}"))
    })
}

/// Why an operation can't be carried out.
fn of_operation(operation: &Operation, options: &Options) -> Option<&'static str> {
    let relays = |servers: bool| {
        let command = options.command.as_ref().filter(|_| servers);
        let has_none = command.is_some_and(|command| !command.takes_ports_of_others());
        has_none.then_some(
            "a relay must stand between servers, and the command does not tell them each other's ports ({port:NAME}, {peer:NAME} or {herd})",
        )
    };
    let is_server = |party: &Party| party.server().is_some();
    match operation {
        Operation::Set(Condition::Left, _) | Operation::Unlink(_) | Operation::Relink(_) => {
            Some("the herd files of running servers stay as they are")
        }
        Operation::Set(Condition::Unpowered | Condition::Refusing, _) => relays(true),
        Operation::BreakDisk(..) | Operation::RepairDisk(_) => {
            Some("the disk is this machine's own")
        }
        Operation::SetClock(ClockOwner::Server(_), _)
        | Operation::Jump(ClockOwner::Server(_), _) => Some("servers have this machine's clock"),
        Operation::Impair(ways, Impairment::Limit(_))
        | Operation::Cut(ways)
        | Operation::Heal(ways) => relays(ways.iter().any(|(a, b)| is_server(a) && is_server(b))),
        Operation::Set(..)
        | Operation::Clear(..)
        | Operation::SetClock(..)
        | Operation::Jump(..) => None,
        Operation::Impair(..) => Some("relays carry bytes and see no packets"),
        Operation::Sever(pairs) => relays(pairs.iter().any(|(a, b)| is_server(a) && is_server(b))),
        Operation::Delay(routes, _) => {
            let links = |route: &_| matches!(route, Route::Link(_));
            relays(routes.iter().any(links))
        }
    }
}
