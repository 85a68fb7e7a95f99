//! Processes of the real binary, and waiting for what they do. Every wait has a time limit.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The time limit for every wait.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SERVERS: [&str; 5] = ["Riley", "Jaquez", "Juzang", "Campbell", "Bernard"];

const LINKS: &str = r#"["Riley-Jaquez", "Riley-Juzang", "Bernard-Jaquez", "Bernard-Juzang", "Bernard-Campbell", "Juzang-Campbell"]"#;

/// Waits for something up to the time limit.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Repeats a query until it has a result.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, asking).await
}

/// A free port outside the system's ephemeral range. An outgoing connection could get an ephemeral
/// port while the server for that port is down.
pub(crate) async fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test processes begin with other ports.
    let begin = std::process::id() * 101;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(13_000 + (begin + next) % 17_000).expect("below 30000");
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
}

/// A herd file in its own folder, and the ports of its servers.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    host: String,
    ports: Vec<(&'static str, u16, u16)>,
}

impl Files {
    pub(crate) async fn new() -> Self {
        Self::at("127.0.0.1").await
    }

    pub(crate) async fn at(host: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ports = Vec::new();
        for name in SERVERS {
            ports.push((name, free_port().await, free_port().await));
        }
        let host = host.to_owned();
        let files = Self {
            folder,
            host,
            ports,
        };
        files.write(LINKS);
        files
    }

    /// Writes the herd file with these links.
    pub(crate) fn link(&self, links: &[&str]) {
        self.write(&format!("{links:?}"));
    }

    /// Gives a server other ports, which the next herd file contains.
    pub(crate) async fn move_away(&mut self, server: &str) {
        let moved = self.ports.iter_mut().find(|(name, ..)| *name == server);
        let (_, port, peer_port) = moved.expect("a server of the herd");
        (*port, *peer_port) = (free_port().await, free_port().await);
    }

    fn write(&self, links: &str) {
        let servers = self.ports.iter().map(|(name, port, peer_port)| {
            format!("{{ name = \"{name}\", port = {port}, peer_port = {peer_port} }},\n")
        });
        let (host, servers) = (&self.host, servers.collect::<String>());
        let text = format!(
            "name = \"test\"\nhost = \"{host}\"\nservers = [\n{servers}]\nlinks = {links}\n"
        );
        std::fs::write(self.herd(), text).expect("written");
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }

    pub(crate) fn herd(&self) -> String {
        self.path("herd.toml")
    }

    /// The address at which a server listens for clients.
    pub(crate) fn address(&self, server: &str) -> String {
        format!("127.0.0.1:{}", self.port(server))
    }

    /// The address at which a server listens for servers.
    pub(crate) fn peer_address(&self, server: &str) -> String {
        let found = self.ports.iter().find(|(name, ..)| *name == server);
        format!("127.0.0.1:{}", found.expect("a server of the herd").2)
    }

    pub(crate) fn port(&self, server: &str) -> u16 {
        let found = self.ports.iter().find(|(name, ..)| *name == server);
        found.expect("a server of the herd").1
    }

    pub(crate) fn are_linked(a: &str, b: &str) -> bool {
        LINKS.contains(&format!("{a}-{b}")) || LINKS.contains(&format!("{b}-{a}"))
    }

    /// Starts `herd serve NAME` with further arguments.
    pub(crate) fn serve(&self, name: &str, more: &[&str]) -> Process {
        let herd = self.herd();
        Process::start(&[&["serve", name, "--herd", &herd], more].concat(), &[])
    }

    /// Runs `herd send` to a server.
    pub(crate) async fn send(&self, server: &str, lines: &[&str]) -> Output {
        let herd = self.herd();
        herd_command(&[&["send", "--herd", &herd, server, "--"], lines].concat()).await
    }

    /// The output of `herd send`, if all lines were answered.
    pub(crate) async fn ask(&self, server: &str, line: &str) -> Option<String> {
        let sent = self.send(server, &[line]).await;
        let text = String::from_utf8(sent.stdout).expect("UTF-8");
        sent.status.success().then_some(text)
    }

    /// Waits until no port of the herd accepts connections.
    pub(crate) async fn gone(&self) {
        for (name, port, peer_port) in &self.ports {
            for port in [port, peer_port] {
                let refused = async || {
                    let connected = TcpStream::connect(("127.0.0.1", *port)).await;
                    connected.is_err().then_some(())
                };
                eventually(&format!("the end of {name}"), refused).await;
            }
        }
    }

    /// The text of all files in the folder and its subfolders.
    pub(crate) fn everything(&self) -> String {
        fn read(folder: &Path, all: &mut String) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path: PathBuf = entry.expect("readable").path();
                if path.is_dir() {
                    read(&path, all);
                } else if path.file_name().expect("a name") != "key" {
                    all.push_str(&std::fs::read_to_string(path).expect("UTF-8"));
                }
            }
        }
        let mut all = String::new();
        read(self.folder.path(), &mut all);
        all
    }
}

fn command(args: &[&str]) -> Command {
    of_program(env!("CARGO_BIN_EXE_herd"), args)
}

/// A command without the variables that the tests' environment has for `herd`.
fn of_program(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("HERD_")
            || name == "PLACES_API_KEY"
            || name == "CREDENTIALS_DIRECTORY"
            || name == "NOTIFY_SOCKET"
            || name.to_ascii_lowercase().ends_with("_proxy")
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) async fn herd_command(args: &[&str]) -> Output {
    within("a command", command(args).stdin(Stdio::null()).output())
        .await
        .expect("it runs")
}

/// Runs a command to its end, with this standard input.
pub(crate) async fn herd_command_with(args: &[&str], input: &str) -> Output {
    let mut command = command(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("it runs");
    drop(stdin);
    within("a command", child.wait_with_output())
        .await
        .expect("it runs")
}

/// A process that runs until it is stopped, with its output.
pub(crate) struct Process {
    child: Child,
    out: watch::Receiver<String>,
    err: watch::Receiver<String>,
    reading: JoinSet<()>,
}

impl Process {
    pub(crate) fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(command(args), environment)
    }

    /// Starts the command with this limit on open files.
    pub(crate) fn with_few_files(most: usize, args: &[&str]) -> Self {
        Self::limited(&format!("-n {most}"), args)
    }

    /// Starts the command under a limit, in the form of `ulimit`'s arguments.
    pub(crate) fn limited(limit: &str, args: &[&str]) -> Self {
        let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
        let begin = ["-c", &script, env!("CARGO_BIN_EXE_herd")];
        Self::spawn(of_program("sh", &[&begin, args].concat()), &[])
    }

    /// Starts the command with a standard output whose reader is gone.
    pub(crate) fn unheard(args: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Self::spawn_with(command(args), writer.into(), &[])
    }

    fn spawn(command: Command, environment: &[(&str, &str)]) -> Self {
        Self::spawn_with(command, Stdio::piped(), environment)
    }

    fn spawn_with(mut command: Command, stdout: Stdio, environment: &[(&str, &str)]) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped());
        command.envs(environment.iter().copied());
        let mut child = command.spawn().expect("it starts");
        let mut reading = JoinSet::new();
        let out = match child.stdout.take() {
            Some(out) => read(&mut reading, out),
            None => watch::channel(String::new()).1,
        };
        let err = read(&mut reading, child.stderr.take().expect("piped"));
        Self {
            child,
            out,
            err,
            reading,
        }
    }

    /// Waits until its standard error contains these words.
    pub(crate) async fn logs(&mut self, words: &str) {
        wait(&mut self.err, words).await;
    }

    /// Waits until its standard output contains these words.
    pub(crate) async fn says(&mut self, words: &str) {
        wait(&mut self.out, words).await;
    }

    /// All its output so far.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", *self.out.borrow(), *self.err.borrow())
    }

    /// Its standard error so far.
    pub(crate) fn logged(&self) -> String {
        self.err.borrow().clone()
    }

    /// Waits until it prints the address of its admin listener, and returns that.
    pub(crate) async fn admin(&mut self) -> Admin {
        self.logs("admin at ").await;
        let said = self.said();
        let (_, at) = said.split_once("admin at ").expect("it was said");
        let (at, _) = at.split_once(": ").expect("what is there follows");
        Admin(at.to_owned())
    }

    pub(crate) async fn signal(&self, name: &str) {
        self.signals(&[name]).await;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends all these signals at once.
    pub(crate) async fn signals(&self, names: &[&str]) {
        let pid = self.pid();
        // The shell's own `kill` exists on every system.
        let kills = names.iter().map(|name| format!("kill -{name} {pid}"));
        let kills: Vec<String> = kills.collect();
        let kill = Command::new("sh")
            .args(["-c", &kills.join(" && ")])
            .status()
            .await;
        assert!(kill.expect("a shell").success());
    }

    /// Waits for its end, and returns its exit code, or `None` if a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let status = within("the end of a process", self.child.wait()).await;
        // Its last output may not have been read yet.
        let last = async { while self.reading.join_next().await.is_some() {} };
        within("the end of its output", last).await;
        status.expect("a status").code()
    }

    pub(crate) async fn stopped_by(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal).await;
        self.ended().await
    }
}

/// The address of a server's admin listener.
pub(crate) struct Admin(pub(crate) String);

impl Admin {
    /// Requests a path, and returns the status and the body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = exchange(&self.0, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.unwrap_or_default(), body.to_owned())
    }

    /// The value of a sample, by its printed name and labels.
    pub(crate) async fn metric(&self, sample: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    /// Waits until a sample has at least this value.
    pub(crate) async fn reaches(&self, sample: &str, least: f64) {
        let reached = async || (self.metric(sample).await? >= least).then_some(());
        eventually(&format!("{sample} {least}"), reached).await;
    }

    /// Waits until a limit was reached.
    pub(crate) async fn meets(&self, limit: &str) {
        let sample = format!("herd_limits_hit_total{{limit=\"{limit}\"}}");
        self.reaches(&sample, 1.0).await;
    }

    /// Waits until the server is ready.
    pub(crate) async fn is_ready(&self) {
        let ready = async || (self.get("/readyz").await.0 == 200).then_some(());
        eventually("a server that is ready", ready).await;
    }
}

/// Sends some bytes, and returns all bytes until the other end closes.
pub(crate) async fn exchange(at: &str, bytes: &[u8]) -> String {
    let exchange = async {
        let Ok(mut stream) = TcpStream::connect(at).await else {
            return String::new();
        };
        let mut answer = Vec::new();
        // The other end may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    within("an exchange", exchange).await
}

fn read(
    tasks: &mut JoinSet<()>,
    stream: impl AsyncRead + Send + Unpin + 'static,
) -> watch::Receiver<String> {
    let (tell, said) = watch::channel(String::new());
    tasks.spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            tell.send_modify(|said| *said += &(line + "\n"));
        }
    });
    said
}

async fn wait(said: &mut watch::Receiver<String>, words: &str) {
    let so_far = said.clone();
    let found = timeout(PATIENCE, said.wait_for(|said| said.contains(words))).await;
    assert!(
        matches!(found, Ok(Ok(_))),
        "never said {words:?}, but:\n{}",
        *so_far.borrow()
    );
}

/// A program on the path, or else where the gate installs it.
pub(crate) fn program(name: &str, here: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.find(|program| program.is_file());
    found.or_else(|| Some(PathBuf::from(here)).filter(|program| program.is_file()))
}

/// The default time limit of a graceful stop.
pub(crate) fn stop_limit() -> Duration {
    proxy_herd::settings::Settings::default().stop_limit
}
