//! `herd serve`: one server of a herd, in production.

use std::future::pending;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::timeout;

use super::flags::{self, SettingFlags};
use super::signals::{Signals, end_of_input};
use super::{Exit, Failure, print};
use crate::herd::{Herd, Server, ServerId};
use crate::log::{LogJournal, Logs};
use crate::net::tokio::TokioNet;
use crate::places::{HttpPlaces, PlacesConfig};
use crate::server::{self, Config, Listeners, ServeError};
use crate::settings::{self, Settings};

/// However long clients and neighbours take, a server that is to stop has ended by then.
const LONGEST_STOP: Duration = Duration::from_secs(25);

const ABOUT: &str = "\
Run one server of a herd on real sockets

It runs until SIGTERM or SIGINT (Ctrl-C), then answers what it took, tells its neighbours, and ends, within 25 s. \
A second signal ends it at once. It logs to standard error.

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
  1  it could not listen, or failed while running
  2  a setting, a file or the command line is wrong")]
pub(super) struct Args {
    /// The server's name in the herd
    name: String,
    /// A built-in herd, or the path of a herd file
    #[arg(long, value_name = "NAME|FILE", default_value = "riley")]
    herd: String,
    /// Print all settings, and where each comes from, instead of running
    #[arg(long)]
    print_config: bool,
    /// Stop at the end of standard input, and say on standard output what is ready: for `herd up`
    #[arg(long, hide = true)]
    supervised: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// What a supervised server says on standard output when all its links are synchronised.
pub(super) const SYNCHRONISED: &str = "synchronised";

/// What is said once where there is no key.
pub(super) const NO_KEY: &str =
    "there is no key to Places: every WHATSAT is answered without a place";

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let resolved = args.settings.resolve()?;
    let herd = flags::herd(&args.herd)?;
    let me = flags::server(&herd, &args.name)?;
    let key = flags::places_key(&resolved.settings)?;
    if args.print_config {
        let place = key.as_ref().map(|(_, place)| place);
        print(&settings::print(&resolved, place))?;
        return Ok(Exit::Held);
    }
    let mut places = resolved.settings.places_config();
    places.key = key.map(|(key, _)| key);
    check_places(&resolved.settings, &places)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    let server = Plan {
        herd: &herd,
        me,
        settings: &resolved.settings,
        places,
        supervised: args.supervised,
    };
    let done = runtime.block_on(server.run());
    // Standard input may still be read by a thread that nobody can wake.
    runtime.shutdown_background();
    done
}

/// Refuses what would show the key or can't be done yet.
fn check_places(settings: &Settings, places: &PlacesConfig) -> Result<(), Failure> {
    let url = settings.places_url();
    if places.key.is_some() && url.encrypted {
        let help = "give `--places-url http://HOST:PORT/PATH` of a proxy that speaks it, or no key";
        return Err(Failure::Input(format!(
            "there is a key to Places, but this version can't speak https, as {url} wants\nhelp: {help}"
        )));
    }
    Ok(())
}

/// One run of one server.
struct Plan<'a> {
    herd: &'a Herd,
    me: ServerId,
    settings: &'a Settings,
    places: PlacesConfig,
    supervised: bool,
}

impl Plan<'_> {
    async fn run(self) -> Result<Exit, Failure> {
        let server = self.herd.server(self.me);
        let settings = self.settings;
        let signals = Signals::new()
            .map_err(|error| Failure::Failed(format!("can't wait for signals: {error}")))?;
        let listeners = bind(server, settings).await?;
        let logs = Logs::start(&settings.log, &server.name);
        let logs = logs.map_err(|error| Failure::Failed(format!("can't open the log: {error}")))?;
        self.greet(server, &listeners);
        let [seed, places_seed] = [seed()?, seed()?];
        let mut config = Config::new(self.herd, self.me, seed);
        config.timing = settings.timing.clone();
        config.limits = settings.limits.clone();
        let links = config.node.neighbours.len();
        let journal = LogJournal::new(TokioNet, server.name.clone(), links, logs.file());
        let whole = journal.whole();
        let rng = ChaCha8Rng::seed_from_u64(places_seed);
        let places = HttpPlaces::new(TokioNet, self.places, rng);
        let (stop, stopped) = watch::channel(false);
        let serving = async {
            let served = server::serve(
                TokioNet,
                listeners,
                config,
                Arc::new(places),
                Arc::new(journal),
                stopped,
            );
            ended(served.await)
        };
        let telling = tell_when_whole(whole, self.supervised);
        let stopping = stop_when_told(signals, stop, self.supervised);
        or(serving, or(stopping, telling)).await
    }

    /// Says where it listens, and what is worth knowing before the first client comes.
    fn greet(&self, server: &Server, listeners: &Listeners<TokioNet>) {
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
        let url = self.settings.places_url();
        match &self.places.key {
            // For a whole herd it was said once.
            None if self.supervised => {}
            None => tracing::warn!(server = name, "{NO_KEY}"),
            Some(_) if is_far(&url.address.host) => {
                tracing::warn!(
                    server = name,
                    "asks Places at {url}: the key travels there unencrypted"
                );
            }
            Some(_) => tracing::info!(server = name, "asks Places at {url}"),
        }
    }
}

/// Whether a host may be another machine.
fn is_far(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

async fn bind(server: &Server, settings: &Settings) -> Result<Listeners<TokioNet>, Failure> {
    let bound = Listeners::<TokioNet>::bind(&TokioNet, &server.client, &server.peer).await;
    let listeners =
        bound.map_err(|error| Failure::Failed(format!("{error}\nhelp: {}", error.help())))?;
    // Nothing was accepted yet.
    let at = listeners.peers.local_addr();
    let at = at.map_err(|error| {
        Failure::Failed(format!("can't say where servers are listened for: {error}"))
    })?;
    if !at.ip().is_loopback() && !settings.insecure_peers {
        return Err(Failure::Input(format!(
            "{} would listen for servers at {at}, which other machines can reach, and nothing proves who they are\n\
             help: let it listen at 127.0.0.1, or say `--insecure-peers` if the network is trusted",
            server.name
        )));
    }
    Ok(listeners)
}

fn seed() -> Result<u64, Failure> {
    TokioNet::seed()
        .map_err(|error| Failure::Failed(format!("the system gives no randomness: {error}")))
}

fn ended(served: Result<(), ServeError>) -> Result<Exit, Failure> {
    served.map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(Exit::Held)
}

/// Tells the server to stop when this process is to end, and gives up waiting for it at a second signal, or when it takes
/// too long.
async fn stop_when_told(
    mut signals: Signals,
    stop: watch::Sender<bool>,
    supervised: bool,
) -> Result<Exit, Failure> {
    let input = async {
        if !supervised {
            pending::<()>().await;
        }
        end_of_input().await;
        "the end of standard input"
    };
    let reason = or(signals.next(), input).await;
    tracing::info!("stopping: {reason}");
    stop.send_replace(true);
    let why = match timeout(LONGEST_STOP, signals.next()).await {
        Ok(signal) => format!("ended at once: {signal} while stopping"),
        Err(_) => format!(
            "ended in the midst of stopping, which took longer than {} s",
            LONGEST_STOP.as_secs()
        ),
    };
    Err(Failure::Failed(why))
}

/// Says once that all links are synchronised; never completes otherwise than by failing.
async fn tell_when_whole(
    mut whole: watch::Receiver<bool>,
    supervised: bool,
) -> Result<Exit, Failure> {
    if whole.wait_for(|&whole| whole).await.is_ok() {
        tracing::info!("all links are synchronised");
        if supervised {
            say(SYNCHRONISED)?;
        }
    }
    pending().await
}

/// Says something on standard output.
fn say(word: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{word}")?;
    Ok(stdout.flush()?)
}
