//! Two machines and a router between them, made of Linux network namespaces. Processes, sockets and
//! network faults are real.
//!
//! Root is not needed: an unprivileged user may create namespaces, unless the system forbids it.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// The time limit for each event that these tests wait for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The number of times that a request is repeated until its answer is right. Each takes a process.
const MOST_TRIES: u32 = 2_000;

/// A machine with its own network, which is removed when this is dropped.
struct Machine {
    /// A process that only keeps the namespace alive.
    keeper: Child,
    /// Whether it also has its own user namespace.
    outermost: bool,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Machine {
    /// A command that runs on this machine.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        if self.outermost {
            command.args(["--preserve-credentials", "--user"]);
        }
        let pid = self.keeper.id().to_string();
        command.args(["--net", "--target", &pid, "--", program]);
        command
    }

    /// Keeps a namespace that `command` creates. The command becomes a process that waits.
    fn keep(mut command: Command, outermost: bool) -> Result<Self, String> {
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // It prints a line when it is in its namespace. Then `cat` waits for the end of its input.
        let mut said = String::new();
        let output = keeper.stdout.take().expect("it is piped");
        let read = BufReader::new(output).read_line(&mut said);
        let machine = Self { keeper, outermost };
        match read {
            Ok(_) if said == "in\n" => Ok(machine),
            _ => Err("this system gives no namespaces to its users".to_owned()),
        }
    }
}

const KEEP: [&str; 3] = ["sh", "-c", "echo in; exec cat"];

fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// The machines A and B, and the router between them.
pub(crate) struct Lab {
    a: Machine,
    b: Machine,
    router: Machine,
}

/// One of the two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    A,
    B,
}

impl Host {
    /// The name of the machine, and of the server on it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The machine's address.
    pub(crate) const fn address(self) -> &'static str {
        match self {
            Self::A => "10.1.0.2",
            Self::B => "10.2.0.2",
        }
    }

    const fn gateway(self) -> &'static str {
        match self {
            Self::A => "10.1.0.1",
            Self::B => "10.2.0.1",
        }
    }
}

impl Lab {
    /// Creates the machines and the router, or returns why this system can't.
    pub(crate) fn new() -> Result<Self, String> {
        let mut outer = Command::new("unshare");
        outer.args(["--user", "--map-root-user", "--net", "--"]);
        outer.args(KEEP);
        let router = Machine::keep(outer, true)?;
        let inner = || {
            let mut command = router.command("unshare");
            command.args(["--net", "--"]).args(KEEP);
            Machine::keep(command, false)
        };
        let lab = Self {
            a: inner()?,
            b: inner()?,
            router,
        };
        for host in [Host::A, Host::B] {
            lab.connect(host)?;
        }
        lab.on_router("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        Ok(lab)
    }

    fn machine(&self, host: Host) -> &Machine {
        match host {
            Host::A => &self.a,
            Host::B => &self.b,
        }
    }

    /// Connects a machine with the router, and sets its default route.
    fn connect(&self, host: Host) -> Result<(), String> {
        let name = host.name().to_lowercase();
        let (here, there) = (format!("router{name}"), format!("eth{name}"));
        let pid = self.machine(host).keeper.id().to_string();
        let gateway = format!("{}/24", host.gateway());
        let address = format!("{}/24", host.address());
        let on_router = |words: &[&str]| self.on_router("ip", words);
        on_router(&["link", "add", &here, "type", "veth", "peer", "name", &there])?;
        on_router(&["link", "set", &there, "netns", &pid])?;
        on_router(&["addr", "add", &gateway, "dev", &here])?;
        on_router(&["link", "set", &here, "up"])?;
        let on_host = |words: &[&str]| {
            let mut command = self.on(host, "ip");
            command.args(words);
            run(command)
        };
        on_host(&["link", "set", "lo", "up"])?;
        on_host(&["addr", "add", &address, "dev", &there])?;
        on_host(&["link", "set", &there, "up"])?;
        on_host(&["route", "add", "default", "via", host.gateway()])
    }

    fn on_router(&self, program: &str, words: &[&str]) -> Result<(), String> {
        let mut command = self.router.command(program);
        command.args(words);
        run(command)
    }

    /// A command that runs on a machine.
    pub(crate) fn on(&self, host: Host, program: &str) -> Command {
        let pid = self.router.keeper.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--target", &pid, "--"]);
        let inner = self.machine(host).command(program);
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// Drops all packets to `host` from now on, like a router that lost the route. No end is
    /// notified, and TCP retransmits.
    pub(crate) fn cut_to(&self, host: Host) {
        let cut = ["route", "add", "blackhole", host.address()];
        self.on_router("ip", &cut).expect("the router loses it");
    }

    /// Restores the route to `host`.
    pub(crate) fn heal_to(&self, host: Host) {
        let heal = ["route", "del", "blackhole", host.address()];
        self.on_router("ip", &heal).expect("the router finds it");
    }

    /// Sends a line from a client on the server's own machine, and checks the answer.
    pub(crate) fn send(&self, host: Host, line: &str, answer: &str) {
        let said = self.say(host, line);
        assert!(said.starts_with(answer), "{line}: {said}");
    }

    /// Repeats a line until it is answered like this.
    pub(crate) fn send_until(&self, host: Host, line: &str, answer: &str) {
        let is_answered = |_| self.say(host, line).starts_with(answer);
        assert!(
            (0..MOST_TRIES).any(is_answered),
            "{line} is never answered {answer}"
        );
    }

    fn say(&self, host: Host, line: &str) -> String {
        let mut send = self.on(host, env!("CARGO_BIN_EXE_herd"));
        let port = match host {
            Host::A => 12300,
            Host::B => 12301,
        };
        send.args(["send", &format!("{}:{port}", host.address()), line]);
        let output = send.output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Resets every connection of `host` with the other machine.
    pub(crate) fn sever(&self, host: Host, other: Host) {
        let mut command = self.on(host, "ss");
        command.args(["--kill", "--tcp", "dst", other.address()]);
        run(command).expect("ss resets them");
    }
}

/// A server, with its log lines about links.
pub(crate) struct Server {
    process: Child,
    words: Arc<(Mutex<Vec<String>>, Condvar)>,
    with_reasons: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts the server of `host` on its machine.
    pub(crate) fn start(lab: &Lab, host: Host, herd: &Path, timers: &[(&str, &str)]) -> Self {
        let mut command = lab.on(host, env!("CARGO_BIN_EXE_herd"));
        command
            .args(["serve", host.name(), "--insecure-peers", "--herd"])
            .arg(herd)
            .args(["--log-level", "debug"])
            .args(
                timers
                    .iter()
                    .flat_map(|(name, time)| [format!("--{name}"), (*time).to_owned()]),
            )
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let words: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let heard = Arc::clone(&words);
        #[expect(
            clippy::disallowed_methods,
            reason = "a process's output is read by blocking, and nothing of it is simulated"
        )]
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let (all, changed) = &*heard;
                let mut all = all.lock().expect("nobody panicked");
                if let Some(said) = super::of_links(&line) {
                    super::say(said, &mut all);
                    changed.notify_all();
                }
            }
        });
        Self {
            process,
            words,
            with_reasons: true,
        }
    }

    /// The lines about its links so far, without repetitions in a row.
    pub(crate) fn words(&self) -> Vec<String> {
        self.words.0.lock().expect("nobody panicked").clone()
    }

    /// Ignores the reasons for which links are down from now on.
    pub(crate) fn without_reasons(&mut self) {
        self.with_reasons = false;
    }

    /// Whether these are all lines so far.
    fn has_said(&self, all: &[String], wanted: &[String]) -> bool {
        let mut all = all.to_vec();
        if !self.with_reasons {
            all.iter_mut().for_each(super::without_reason);
            all.dedup();
        }
        all == wanted
    }

    /// Waits until exactly these lines were logged.
    pub(crate) fn wait_for(&self, wanted: &[String]) {
        self.wait(wanted, |all| self.has_said(all, wanted));
    }

    /// Waits until these are the last lines, after more others.
    pub(crate) fn wait_for_end(&self, wanted: &[&str]) {
        let ends = |all: &[String]| {
            let last = all.len().saturating_sub(wanted.len());
            last > wanted.len() && all[last..] == *wanted
        };
        self.wait(wanted, ends);
    }

    fn wait(&self, wanted: &(impl Debug + ?Sized), is_said: impl Fn(&[String]) -> bool) {
        let (all, changed) = &*self.words;
        let all = all.lock().expect("nobody panicked");
        let (all, late) = changed
            .wait_timeout_while(all, PATIENCE, |all| !is_said(all))
            .expect("nobody panicked");
        let all = all.clone();
        assert!(
            !late.timed_out(),
            "it says {all:#?}\nand not, as in the simulator, {wanted:#?}"
        );
    }

    /// Sends a signal to the server, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -\"$0\" \"$1\"", signal, &pid]);
        run(kill).expect("it can be signalled");
    }

    /// Kills the server by SIGKILL.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends")
    }
}
