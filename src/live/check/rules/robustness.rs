//! Bad clients, and bad days. The cases that end servers come last.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{case, steps};
use crate::herd::Name;
use crate::live::check::Case;
use crate::live::check::Need::{Knowledge, Processes, Several};
use crate::live::check::client::Client;
use crate::live::check::trial::{Done, HERE, Stop, Trial, fail, is_at};

const NEEDS: &[crate::live::check::Need] = &[Processes, Knowledge, Several];

/// How many clients come at once.
const CROWD: usize = 300;

/// How much a client sends that never reads, in bytes.
const UNREAD: usize = 8 << 20;

pub(super) const CASES: &[Case] = &[
    case!(
        "empty-connection",
        Robustness,
        Must,
        &[],
        "A connection that says nothing and closes harms nobody",
        "an index into the fields of an empty line",
        steps!(empty_connection),
    ),
    case!(
        "half-line-held",
        Robustness,
        Must,
        &[],
        "A client that holds half a line for ever blocks nobody",
        "a server that serves one client after the other",
        steps!(half_line),
    ),
    case!(
        "reset",
        Robustness,
        Must,
        &[],
        "A client that resets its connection harms nobody",
        "an exception of the read or the write that nobody handles",
        steps!(reset),
    ),
    case!(
        "never-reads",
        Robustness,
        Must,
        &[],
        "A client that sends and never reads blocks nobody",
        "a write that blocks the event loop",
        steps!(never_reads),
    ),
    case!(
        "garbage",
        Robustness,
        Must,
        &[],
        "Bytes of any kind end no server",
        "a conversion to text without a handler of its error",
        steps!(garbage),
    ),
    case!(
        "crowd",
        Robustness,
        Must,
        &[],
        "Three hundred clients at once are all answered",
        "a short queue of connections, a thread for each client, or a file that stays open",
        steps!(crowd),
    ),
    case!(
        "frozen-neighbour",
        Robustness,
        Must,
        NEEDS,
        "A neighbour that is stopped blocks no other server",
        "an answer that waits until the neighbours have taken the update",
        steps!(frozen),
    ),
    case!(
        "dead-server",
        Robustness,
        Must,
        NEEDS,
        "When a server is dead, the others go on, and updates go around it",
        "a refused connection that ends the flood, so that the neighbours behind it in the list hear nothing",
        steps!(dead),
    ),
    case!(
        "restarted-takes-part",
        Robustness,
        Must,
        NEEDS,
        "A server that was restarted gets new updates again",
        "a connection between servers that is opened once and never again",
        steps!(takes_part),
    ),
    case!(
        "restarted-learns",
        Robustness,
        Taste,
        NEEDS,
        "A server that was restarted learns what it missed",
        "updates are only told once; nothing asks for older ones",
        steps!(learns),
    ),
    case!(
        "still-runs",
        Robustness,
        Must,
        &[Processes],
        "At the end all servers run, and none has ended in between",
        "an exception that nobody handles; the failures above say which line it was",
        steps!(still_runs),
    ),
];

/// Whether a server still answers.
async fn answers(trial: &mut Trial, server: &str, suffix: &str) -> Done {
    let (id, now) = (trial.id(suffix), trial.now());
    trial.iamat(server, &id, HERE, &now).await.map(drop)
}

async fn empty_connection(trial: &mut Trial) -> Done {
    for server in trial.bench.names.clone() {
        for _ in 0..3 {
            let mut client = trial.connect(&server).await?;
            // A server that has closed it is no worse for it.
            let _ = client.half_close().await;
            client
                .read(Instant::now() + trial.patience / 10, |_| false)
                .await;
        }
        answers(trial, &server, &server).await?;
    }
    Ok(())
}

async fn half_line(trial: &mut Trial) -> Done {
    let server = trial.first();
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut client = trial.connect(&server).await?;
        if client.send(b"IAMAT half").await.is_err() {
            return fail("a connection that stays open");
        }
        held.push(client);
    }
    for number in 0..3 {
        answers(trial, &server, &number.to_string()).await?;
    }
    Ok(())
}

async fn reset(trial: &mut Trial) -> Done {
    let server = trial.first();
    for number in 0..20 {
        let mut client = trial.connect(&server).await?;
        let line = format!(
            "IAMAT {} {HERE} {}",
            trial.id(&number.to_string()),
            trial.now()
        );
        // Whether it arrives does not matter.
        let _ = client.send(format!("{line}\nIAMAT h").as_bytes()).await;
        // A server that has read something sees another error than one that has not.
        if number % 2 == 0 {
            client.answer(line.as_bytes()).await;
        }
        let _ = client.reset();
    }
    answers(trial, &server, "after").await
}

async fn never_reads(trial: &mut Trial) -> Done {
    let server = trial.first();
    let mut greedy = trial.connect(&server).await?;
    let line = format!("IAMAT {} {HERE} {}\n", trial.id("greedy"), trial.now());
    let lines = line.repeat(1000);
    // It ends when the server takes no more, which is right.
    let sending = async {
        for _ in 0..UNREAD / lines.len() {
            if greedy.send(lines.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(trial.patience / 2, sending).await;
    for number in 0..3 {
        answers(trial, &server, &number.to_string()).await?;
    }
    drop(greedy);
    answers(trial, &server, "after").await
}

async fn garbage(trial: &mut Trial) -> Done {
    let server = trial.first();
    let all: Vec<u8> = (0..=255).collect();
    for (number, bytes) in [
        all.as_slice(),
        b"\xff\xfe\n",
        b"\n\n\n\n",
        b"\0\0\0\0\n",
        b"IAMAT \xff +34-118 1520023934\n",
        b"WHATSAT \xff 10 5\n",
    ]
    .iter()
    .enumerate()
    {
        let mut client = trial.connect(&server).await?;
        // Only whether the server goes on is looked at.
        let _ = client.send(bytes).await;
        let _ = client.half_close().await;
        client
            .read(Instant::now() + trial.patience / 10, |_| false)
            .await;
        drop(client);
        answers(trial, &server, &number.to_string()).await?;
    }
    Ok(())
}

async fn crowd(trial: &mut Trial) -> Done {
    let server = trial.first();
    let (address, patience) = (trial.bench.address(&server), trial.patience * 5);
    let mut clients = Vec::new();
    for number in 0..CROWD {
        match Client::connect(&address, patience).await {
            Ok(client) => clients.push((
                client,
                format!(
                    "IAMAT {} {HERE} {}",
                    trial.id(&number.to_string()),
                    trial.now()
                ),
            )),
            Err(error) => {
                let came = format!("connection {number}: {error}");
                trial.remember(&server, b"", came.as_bytes());
                return fail(format!("{CROWD} connections at once"));
            }
        }
    }
    for (client, line) in &mut clients {
        // A line that is not taken is not answered.
        let _ = client.send(format!("{line}\n").as_bytes()).await;
    }
    for (client, line) in &mut clients {
        let answer = client.answer(line.as_bytes()).await;
        trial.remember(&server, line.as_bytes(), &answer);
        is_at(&answer, &server, line.as_bytes())?;
    }
    Ok(())
}

/// The server that is disturbed, and the others.
fn parted(trial: &Trial) -> Result<(Name, Vec<Name>), Stop> {
    let Some(victim) = trial.bench.expendable() else {
        let why = "without any one server of this herd, others are no longer linked";
        return Err(Stop::NotEvaluated(why.to_owned()));
    };
    let others = trial.bench.names.iter().filter(|name| **name != victim);
    let others = others.cloned().collect();
    Ok((victim, others))
}

fn system<T>(done: std::io::Result<T>) -> Result<T, Stop> {
    done.map_err(|error| Stop::NotEvaluated(format!("no signal could be sent: {error}")))
}

async fn frozen(trial: &mut Trial) -> Done {
    let (victim, others) = parted(trial)?;
    system(trial.bench.freeze(&victim))?;
    let done = around(trial, &others).await;
    system(trial.bench.thaw(&victim))?;
    // It catches up before the next case.
    let deadline = Instant::now() + trial.patience;
    while answers(trial, &victim, "thawed").await.is_err() && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    done.map_err(|stop| with(stop, &format!("{victim} is stopped")))
}

/// Adds what was done to a server to what was wanted.
fn with(stop: Stop, condition: &str) -> Stop {
    match stop {
        Stop::Failed(wanted) => Stop::Failed(format!("{wanted} (while {condition})")),
        stop @ Stop::NotEvaluated(_) => stop,
    }
}

/// Sends an update to each of these servers, which all of them must know.
async fn around(trial: &mut Trial, servers: &[Name]) -> Done {
    for server in servers {
        let (id, now) = (trial.id(server), trial.now());
        let at = trial.iamat(server, &id, HERE, &now).await?;
        trial.agree(servers, &id, &at.line).await?;
    }
    Ok(())
}

async fn dead(trial: &mut Trial) -> Done {
    let (victim, others) = parted(trial)?;
    system(trial.bench.kill(&victim).await)?;
    let done = around(trial, &others).await;
    restart(trial, &victim).await?;
    done.map_err(|stop| with(stop, &format!("{victim} is dead")))
}

async fn restart(trial: &mut Trial, server: &Name) -> Done {
    let restarted = trial.bench.restart(server).await;
    restarted.or_else(|error| {
        trial.remember(server, b"", error.to_string().as_bytes());
        fail("a server that starts again")
    })
}

async fn takes_part(trial: &mut Trial) -> Done {
    let (victim, others) = parted(trial)?;
    restart(trial, &victim).await?;
    // Links may take a moment, and an update before that need not be told again.
    let deadline = Instant::now() + trial.spread();
    let servers = [victim];
    for number in 0_u32.. {
        let (id, now) = (trial.id(&format!("in{number}")), trial.now());
        let from = &others[number as usize % others.len()];
        let at = trial.iamat(from, &id, HERE, &now).await?;
        if arrives(trial, &servers, &id, &at.line).await {
            break;
        }
        if Instant::now() > deadline {
            return fail("an update that the restarted server knows");
        }
    }
    let (id, now) = (trial.id("out"), trial.now());
    let at = trial.iamat(&servers[0], &id, HERE, &now).await?;
    let done = trial.agree(&others, &id, &at.line).await;
    done.map_err(|stop| with(stop, &format!("{} was restarted", servers[0])))
}

/// Whether all these servers know an update soon.
async fn arrives(trial: &mut Trial, servers: &[Name], id: &str, line: &[u8]) -> bool {
    use crate::live::check::trial::{Knowledge, same_update};
    let deadline = Instant::now() + trial.patience / 4;
    loop {
        let mut known = true;
        for server in servers {
            let said = trial.knowledge(server, id).await;
            known &= matches!(said, Knowledge::Known(said) if same_update(&said, line));
        }
        if known || Instant::now() > deadline {
            return known;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn learns(trial: &mut Trial) -> Done {
    let (victim, others) = parted(trial)?;
    system(trial.bench.kill(&victim).await)?;
    let (id, now) = (trial.id("missed"), trial.now());
    let at = trial.iamat(&others[0], &id, HERE, &now).await?;
    restart(trial, &victim).await?;
    let done = trial
        .agree(std::slice::from_ref(&victim), &id, &at.line)
        .await;
    done.map_err(|stop| with(stop, &format!("{victim} was dead when it came")))
}

async fn still_runs(trial: &mut Trial) -> Done {
    if !trial.deaths.is_empty() {
        let deaths = trial.deaths.join("\n");
        trial.remember("", b"", deaths.as_bytes());
        return fail("servers that run until they are told to end");
    }
    for server in trial.bench.names.clone() {
        answers(trial, &server, &server).await?;
    }
    Ok(())
}
