//! Two machines and a router between them, made of Linux network namespaces: processes on them are real, and so are
//! their sockets and whatever goes wrong in between.
//!
//! Nothing here needs to be root: an unprivileged user may have namespaces of its own, unless the system forbids it.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Nothing that these tests wait for takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// So often a question is asked until it is answered; each time takes a process.
const MOST_TRIES: u32 = 2_000;

/// A machine with a network of its own. It is gone when this is dropped.
struct Machine {
    /// A process that does nothing but keep the namespace.
    keeper: Child,
    /// Whether it also has users of its own.
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

    /// Keeps a namespace made by `command`, which becomes a process that waits.
    fn keep(mut command: Command, outermost: bool) -> Result<Self, String> {
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // It says so when it is in its namespace; `cat` then waits for the end of its input.
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

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    A,
    B,
}

impl Host {
    /// Its name, and that of the server on it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// Its address.
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
    /// Sets it up, or says why this machine can't.
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

    /// A cable between a machine and the router, and a way to everywhere.
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

    /// What is sent to `host` from the other is lost from now on, as on a router that forgot the way: nobody is
    /// told, and TCP sends it again.
    pub(crate) fn cut_to(&self, host: Host) {
        let cut = ["route", "add", "blackhole", host.address()];
        self.on_router("ip", &cut).expect("the router loses it");
    }

    /// The router knows the way again.
    pub(crate) fn heal_to(&self, host: Host) {
        let heal = ["route", "del", "blackhole", host.address()];
        self.on_router("ip", &heal).expect("the router finds it");
    }

    /// A client on a server's own machine says a line to it, and must be answered so.
    pub(crate) fn send(&self, host: Host, line: &str, answer: &str) {
        let said = self.say(host, line);
        assert!(said.starts_with(answer), "{line}: {said}");
    }

    /// The same, again and again until it is answered so.
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

    /// Resets every connection of `host` with the other.
    pub(crate) fn sever(&self, host: Host, other: Host) {
        let mut command = self.on(host, "ss");
        command.args(["--kill", "--tcp", "dst", other.address()]);
        run(command).expect("ss resets them");
    }
}

/// A server, and what it says of its links.
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
    /// Starts the server of `host` there.
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

    /// What it has said of its links, nothing twice in a row.
    pub(crate) fn words(&self) -> Vec<String> {
        self.words.0.lock().expect("nobody panicked").clone()
    }

    /// From now on it does not matter why a link is down.
    pub(crate) fn without_reasons(&mut self) {
        self.with_reasons = false;
    }

    /// Whether it has said all this, and nothing else.
    fn has_said(&self, all: &[String], wanted: &[String]) -> bool {
        let mut all = all.to_vec();
        if !self.with_reasons {
            all.iter_mut().for_each(super::without_reason);
            all.dedup();
        }
        all == wanted
    }

    /// Waits until it has said all this, and nothing else.
    pub(crate) fn wait_for(&self, wanted: &[String]) {
        self.wait(wanted, |all| self.has_said(all, wanted));
    }

    /// Waits until this is the last that it has said, behind more.
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

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -\"$0\" \"$1\"", signal, &pid]);
        run(kill).expect("it can be signalled");
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends")
    }
}
