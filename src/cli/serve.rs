//! `herd serve`: runs one server of a herd in production.

use std::io;
use std::sync::Arc;

use futures_lite::future::or;
use tokio::runtime::{self, Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::flags::{self, SettingFlags};
use super::living::{
    reload_when_told, remind, sum_up, tell_of_look_ups, tell_when_ready, tell_when_whole,
    warn_of_look_ups, watch_over,
};
use super::notify::{self, Manager};
use super::places::Asking;
use super::reload::Reload;
use super::signals::Reloads;
use super::stopping::{EndHandles, Stopping};
use super::{Exit, Failure, credentials, files, print, stderr, stored};
use crate::admin::{Admin, Keeping, KeptEvents, Metrics, PATHS, Timed, Token, TokenSlot, Watched};
use crate::herd::{Herd, Name, Server, ServerId};
use crate::journal::Journal;
use crate::log::{LogJournal, Logs, Queue};
use crate::net::secure::{Certificates, Credentials, Keyring, Secured, Servers};
use crate::net::tokio::TokioNet;
use crate::net::{Listener as _, Net};
use crate::places::{ApiKey, Replaceable};
use crate::server::{self, Config, Listeners, ServeError, Stopped};
use crate::settings::{self, Settings};

const ABOUT: &str = "\
Run one server of a herd on real sockets

It runs until SIGTERM or SIGINT (Ctrl-C), then answers what it took, tells its neighbours, and ends, within 25 s \
(--stop-limit). A second signal ends it at once if it comes more than a second later. It logs to standard error.

The key to Places comes from --places-key-file, else from the environment variable PLACES_API_KEY, else from \
$CREDENTIALS_DIRECTORY/places-api-key. Every setting is also an environment variable (--log-level is HERD_LOG_LEVEL) \
and a key of the file that --config names (log_level).";

/// Run one server of a herd on real sockets
#[derive(clap::Args)]
#[command(long_about = ABOUT, after_help = "\
Examples:
  herd serve Riley
  herd serve Hill --herd hill --log-dir logs --places-key-file key
  herd serve Riley --print-config > herd.toml

Exit codes:
  0  it was told to stop, and did in good order
  1  it could not listen, failed while running, or was ended in the midst of stopping
  2  a setting, a file or the command line is wrong
  4  it was told to stop, and did, but neighbours could not confirm that they know what it knew: the log names them")]
pub(super) struct Args {
    /// The server's name in the herd
    name: String,
    /// A built-in herd, or the path of a herd file
    #[arg(long, value_name = "NAME|FILE", default_value = "riley")]
    herd: String,
    /// Print all settings, and where each comes from, instead of running
    #[arg(long)]
    print_config: bool,
    /// Stop at the end of standard input, or when the process PID is no longer the parent, and
    /// report on standard output when all links are synchronised: for `herd up`
    #[arg(long, hide = true, value_name = "PID")]
    supervised: Option<u32>,
    /// Keep this number of events for a harness, at `/journal` of the admin listener
    #[arg(long, hide = true, value_name = "N")]
    journal: Option<usize>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// The warning, given once, if there is no key.
pub(super) const NO_KEY: &str =
    "there is no key to Places: every WHATSAT is answered without a place";

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    stderr::speak(args.settings.early_format(), &args.name);
    // Under `herd up` warnings were printed once for all servers.
    let mut resolved = if args.supervised.is_some() {
        args.settings.resolve_silently()?
    } else {
        args.settings.resolve()?
    };
    let herd = flags::herd(&args.herd)?;
    let me = flags::server(&herd, &args.name)?;
    let key = flags::places_key(&resolved.settings)?;
    if args.print_config {
        let place = key.as_ref().map(|(_, place)| place);
        print(&settings::print(&resolved, place))?;
        return Ok(Exit::Passed);
    }
    let key = key.map(|(key, _)| key);
    let credentials = credentials::load(&resolved.settings, &herd, me)?;
    let few_files = files::share(&mut resolved.settings, &herd, me)?;
    let token = credentials::admin_token(&resolved.settings)?;
    let certificates = credentials::certificates(&resolved.settings)?;
    let manager = Arc::new(Manager::of_this_process()?);
    let stopping = Stopping {
        server: herd.server(me).name.clone(),
        supervised: args.supervised,
        limit: resolved.settings.stop_limit,
        manager: Arc::clone(&manager),
    };
    let no_signals = |error| Failure::Failed(format!("can't wait for signals: {error}"));
    let told = stopping.watch().map_err(no_signals)?;
    let started = |runtime: io::Result<Runtime>| {
        runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))
    };
    // Links, operators and timers run on this thread alone. The system therefore schedules them in
    // time, however busy the clients' threads are.
    let runtime = started(Builder::new_current_thread().enable_all().build())?;
    let clients = started(Builder::new_multi_thread().enable_all().build())?;
    let server = Plan {
        herd: &herd,
        me,
        settings: &resolved.settings,
        key,
        credentials,
        token,
        certificates: watch::Sender::new(certificates),
        args,
        few_files,
        manager,
        told,
        clients: clients.handle().clone(),
    };
    let done = runtime.block_on(server.run());
    // A thread may still be blocked in a name look-up that cannot be cancelled.
    runtime.shutdown_background();
    clients.shutdown_background();
    done
}

/// The network of a production server: real sockets, with authentication.
type Web = Secured<TokioNet>;

/// One run of one server.
struct Plan<'a> {
    herd: &'a Herd,
    me: ServerId,
    settings: &'a Settings,
    key: Option<ApiKey>,
    credentials: Credentials,
    token: Option<Token>,
    certificates: watch::Sender<Certificates>,
    args: &'a Args,
    /// The warning that the limit of open files lowered other limits.
    few_files: Option<String>,
    manager: Arc<Manager>,
    told: EndHandles,
    /// The runtime that serves clients.
    clients: runtime::Handle,
}

impl Plan<'_> {
    async fn run(self) -> Result<Exit, Failure> {
        let (server, settings) = (self.herd.server(self.me), self.settings);
        let no_signals = |error| Failure::Failed(format!("can't wait for signals: {error}"));
        let reloads = Reloads::new().map_err(no_signals)?;
        let stored = stored::open(settings, self.herd, self.me).await?;
        let (net, keyring, listeners) = self.network(server).await?;
        let admin_listener = bind_admin(settings).await?;
        let logs = self.begin_to_log(server)?;
        self.greet(server, &listeners, admin_listener.as_ref());
        let [seed, places_seed] = [seed()?, seed()?];
        let config = self.config(seed);
        let neighbours = neighbours(&config);
        let journal = LogJournal::new(TokioNet, server.name.clone(), neighbours.len(), logs.file());
        let (whole, quota) = (journal.whole(), journal.quota());
        let metrics = Arc::new(Metrics::new(TokioNet.now(), neighbours));
        let journal = Watched::new(TokioNet, Arc::clone(&metrics), journal);
        let (kept, journal) = keeping(self.args.journal, &server.name, journal);
        let asking = Asking::new(places_seed);
        let places = Arc::new(Replaceable::new(asking.places(settings, self.key.clone())?));
        let timed = Timed::new(Arc::clone(&metrics), places.clone());
        let (serving, handle) = server::begin(
            net,
            listeners,
            config,
            Arc::new(timed),
            Arc::new(journal),
            stored,
            self.told.stop,
        );
        notify::keep_alive(&self.manager, handle.clone())
            .map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
        let admin = Arc::new(Admin {
            herd: self.herd.name().clone(),
            name: server.name.clone(),
            began: Instant::now(),
            server: handle,
            metrics,
            look_ups: Arc::clone(&asking.counts),
            logs: queues(&logs),
            quota: Arc::clone(&quota),
            certificates: self.certificates.subscribe(),
            grace_ends: Instant::now() + settings.timing.ready_grace,
            token: TokenSlot::new(self.token),
            kept,
        });
        let reminding = remind(&server.name, self.certificates.subscribe());
        let reload = Reload {
            flags: &self.args.settings,
            reference: &self.args.herd,
            herd: self.herd.clone(),
            me: server,
            begun_with: settings,
            logs: &logs,
            places,
            ask: &asking,
            keyring,
            admin: &admin,
            certificates: self.certificates,
        };
        let living = or(
            or(
                tell_when_whole(&server.name, whole, self.args.supervised.is_some()),
                tell_when_ready(&server.name, &self.manager, &admin),
            ),
            or(
                reload_when_told(reloads, reload, &self.manager),
                or(sum_up(&server.name, &quota), reminding),
            ),
        );
        let watched = or(
            watch_over(admin_listener, Arc::clone(&admin)),
            tell_of_look_ups(&server.name, &asking.counts),
        );
        let serving = async { ended(serving.await, &server.name, &asking) };
        or(fetched(serving, &admin), or(watched, living)).await
    }

    fn begin_to_log(&self, me: &Server) -> Result<Arc<Logs>, Failure> {
        let logs = Logs::start(&self.settings.log, &me.name);
        let logs = Arc::new(logs.map_err(|error| no_log(&error))?);
        // This cannot fail: nothing else sets it.
        let _ = self.told.logs.set(Arc::downgrade(&logs));
        stderr::never_wait();
        Ok(logs)
    }

    fn config(&self, seed: u64) -> Config {
        let mut config = Config::new(self.herd, self.me, seed);
        config.timing = self.settings.timing;
        config.limits = self.settings.limits;
        config.clients_on = Some(self.clients.clone());
        config
    }

    /// The network with authentication, its credentials, and the bound ports.
    async fn network(&self, me: &Server) -> Result<(Web, Keyring, Listeners<Web>), Failure> {
        let is_open = matches!(self.credentials.servers, Servers::Open);
        let keyring = Keyring::new(self.credentials.clone());
        let net = Secured::new(TokioNet, keyring.clone());
        let only_here = is_open && !self.settings.insecure_peers;
        let listeners = bind(&net, me, self.settings, only_here).await?;
        Ok((net, keyring, listeners))
    }

    /// Logs the listening addresses, and warnings for the operator.
    fn greet(
        &self,
        server: &Server,
        listeners: &Listeners<Web>,
        admin: Option<&<TokioNet as Net>::Listener>,
    ) {
        let name = &*server.name;
        let local = |listener: io::Result<std::net::SocketAddr>| {
            listener.map_or_else(|_| "?".to_owned(), |at| at.to_string())
        };
        let (clients, peers) = (
            local(listeners.clients.local_addr()),
            local(listeners.peers.local_addr()),
        );
        tracing::info!(
            server = name,
            "listens at {clients} for clients and at {peers} for servers of the herd {}",
            self.herd.name()
        );
        if let Some(admin) = admin {
            let at = local(admin.local_addr());
            tracing::info!(server = name, "admin at {at}: {}", PATHS.join(", "));
        }
        if let Some(few_files) = &self.few_files {
            tracing::warn!(server = name, "{few_files}");
        }
        let url = self.settings.places_url();
        match &self.key {
            // Under `herd up` the warning was printed once for all servers.
            None if self.args.supervised.is_some() => {}
            None => tracing::warn!(server = name, "{NO_KEY}"),
            Some(_) if !url.encrypted && is_far(&url.address.host) => {
                tracing::warn!(
                    server = name,
                    "asks Places at {url}: the key travels there unencrypted"
                );
            }
            Some(_) => tracing::info!(server = name, "asks Places at {url}"),
        }
    }
}

/// The names of a server's neighbours.
fn neighbours(config: &Config) -> Vec<Name> {
    let neighbours = config.node.neighbours.iter();
    neighbours.map(|known| Arc::clone(&known.name)).collect()
}

/// Serves, and then waits until a harness has the last events.
async fn fetched<T>(serving: impl Future<Output = T>, admin: &Admin) -> T {
    let done = serving.await;
    admin.until_fetched().await;
    done
}

/// Keeps this number of events, if it is to keep any.
fn keeping<J: Journal>(
    most: Option<usize>,
    server: &Name,
    next: J,
) -> (Option<Arc<KeptEvents>>, Keeping<TokioNet, J>) {
    let kept = most.map(|most| Arc::new(KeptEvents::new(most)));
    let keeping = Keeping::new(TokioNet, server.clone(), kept.clone(), next);
    (kept, keeping)
}

/// The queues of all logs, each with its name in metrics.
fn queues(logs: &Logs) -> Vec<(&'static str, Arc<Queue>)> {
    let stderr = ("stderr", logs.stderr());
    let file = logs.file().map(|queue| ("file", queue));
    [stderr].into_iter().chain(file).collect()
}

/// Whether a host may be another machine.
fn is_far(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

/// Binds both ports, at the addresses of the settings, or else at those that the herd file has for
/// this server.
async fn bind(
    net: &Web,
    server: &Server,
    settings: &Settings,
    only_here: bool,
) -> Result<Listeners<Web>, Failure> {
    let clients = settings.listen.as_ref().unwrap_or(&server.client);
    let peers = settings.peer_listen.as_ref().unwrap_or(&server.peer);
    let bound = Listeners::<Web>::bind(net, clients, peers).await;
    let listeners =
        bound.map_err(|error| Failure::Failed(format!("{error}\nhelp: {}", error.help())))?;
    // Checked before the first connection is accepted.
    let at = listeners.peers.local_addr();
    let at = at.map_err(|error| {
        Failure::Failed(format!("can't say where servers are listened for: {error}"))
    })?;
    if only_here && !at.ip().is_loopback() {
        return Err(Failure::Input(format!(
            "{} would listen for servers at {at}, which other machines can reach, and nothing proves who they are\n\
             help: give certificates (`--peer-authorities`, `--peer-certificate`, `--peer-key`) or a secret (`--peer-secret-file`), \
             let it listen at 127.0.0.1, or say `--insecure-peers` if the network is trusted",
            server.name
        )));
    }
    Ok(listeners)
}

/// Binds the admin listener; `None` without an admin address.
async fn bind_admin(settings: &Settings) -> Result<Option<<TokioNet as Net>::Listener>, Failure> {
    let Some(address) = &settings.admin else {
        return Ok(None);
    };
    let failed =
        |error| Failure::Failed(format!("can't listen on {address} for operators: {error}"));
    let listener = TokioNet.listen(address).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    if !at.ip().is_loopback() && !settings.insecure_admin {
        return Err(Failure::Input(format!(
            "metrics and clients' places would be served at {at}, which other machines can reach, and nobody is asked who they are\n\
             help: give `--admin 127.0.0.1:{}`, or say `--insecure-admin` if the network is trusted",
            at.port()
        )));
    }
    Ok(Some(listener))
}

/// Classifies the failure. Retrying does not help against an unusable folder, which is bad input;
/// other failures may be temporary.
fn no_log(error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let why = format!("can't open the log: {error}");
    match error.kind() {
        Kind::NotFound
        | Kind::PermissionDenied
        | Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::AlreadyExists
        | Kind::ReadOnlyFilesystem => Failure::Input(format!(
            "{why}\nhelp: give a folder that this process may write to (`--log-dir`)"
        )),
        _ => Failure::Failed(why),
    }
}

fn seed() -> Result<u64, Failure> {
    TokioNet::seed()
        .map_err(|error| Failure::Failed(format!("the system gives no randomness: {error}")))
}

fn ended(
    served: Result<Stopped, ServeError>,
    server: &str,
    asking: &Asking,
) -> Result<Exit, Failure> {
    warn_of_look_ups(server, asking.counts.last_reports());
    let stopped = served.map_err(|error| Failure::Failed(error.to_string()))?;
    // Neighbours that were never linked do not count: the server may be tried out alone.
    let is_lost = stopped.unconfirmed.iter().any(|one| one.was_linked);
    Ok(if is_lost {
        Exit::Unconfirmed
    } else {
        Exit::Passed
    })
}
