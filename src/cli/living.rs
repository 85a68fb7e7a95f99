//! What a server does beside serving: it reports its state, reloads its settings, and answers
//! operators.

use std::future::pending;
use std::io::{self, Write as _};
use std::sync::Arc;

use futures_lite::future::or;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::notify::Manager;
use super::reload::Reload;
use super::signals::Reloads;
use super::{Exit, Failure, credentials};
use crate::admin::{self, Admin};
use crate::log::{self, Quota};
use crate::net::Net;
use crate::net::secure::Certificates;
use crate::net::tokio::TokioNet;
use crate::places::{Counts, Report};

/// The line that a supervised server prints when all its links are synchronised.
pub(super) const SYNCHRONISED: &str = "synchronised";

/// Reports once that all links are synchronised. Completes only if writing fails.
pub(super) async fn tell_when_whole(
    server: &str,
    mut whole: watch::Receiver<bool>,
    supervised: bool,
) -> Result<Exit, Failure> {
    if whole.wait_for(|&whole| whole).await.is_ok() {
        tracing::info!(server, "all links are synchronised");
        if supervised {
            say(SYNCHRONISED)?;
        }
    }
    pending().await
}

/// Notifies the service manager once when the server is ready or its grace has passed, with the
/// number of links that are up.
pub(super) async fn tell_when_ready(
    server: &str,
    manager: &Manager,
    admin: &Admin,
) -> Result<Exit, Failure> {
    let mut changes = admin.metrics.changes();
    let status = || {
        let links = admin.metrics.links();
        let up = links.iter().filter(|link| link.up).count();
        format!("{up} of {} links are up", links.len())
    };
    while admin.readiness().is_err() && Instant::now() < admin.grace_ends {
        let changed = async {
            // This cannot fail: the metrics live as long as `admin`.
            let _ = changes.changed().await;
        };
        or(changed, sleep_until(admin.grace_ends)).await;
    }
    manager.ready(&status());
    match admin.readiness() {
        Ok(()) => tracing::info!(server, "ready"),
        Err(why) => tracing::warn!(server, "not ready in time: {}", why.join("; ")),
    }
    admin.metrics.come_up();
    if admin.metrics.came_up_empty() {
        let links = admin.metrics.links();
        let told = links.iter().filter(|link| link.synchronised).count();
        tracing::warn!(
            server,
            "came up empty: of {} neighbours {told} told all they know, and that was nothing from before this start; \
             so it is when a herd starts for the first time, and when all its servers were down at once and what they knew is lost, since it is not on disk (`--data-dir`)",
            links.len()
        );
    }
    pending().await
}

/// Reloads the settings on each SIGHUP.
pub(super) async fn reload_when_told(
    mut reloads: Reloads,
    mut reload: Reload<'_>,
    manager: &Manager,
) -> Result<Exit, Failure> {
    loop {
        reloads.next().await;
        let server = &*reload.me.name;
        tracing::info!(server, "SIGHUP: reads the settings again");
        manager.reloading();
        // Tools that rotate logs use the same signal, so logs are reopened even if the settings are
        // invalid.
        reload.logs.reopen();
        let status = reload.now();
        manager.ready(status);
    }
}

/// Reports regularly how many lines the log's quota suppressed.
pub(super) async fn sum_up(server: &str, quota: &Quota) -> Result<Exit, Failure> {
    loop {
        sleep(log::WINDOW).await;
        log::sum_up(server, quota);
    }
}

/// Warns of certificates that expire.
pub(super) async fn remind(
    server: &str,
    certificates: watch::Receiver<Certificates>,
) -> Result<Exit, Failure> {
    let say = |warning: &str| tracing::warn!(server, "{warning}");
    match credentials::remind(certificates, || TokioNet.now(), say).await {}
}

/// Warns about failed look-ups, at limited intervals.
pub(super) async fn tell_of_look_ups(server: &str, look_ups: &Counts) -> Result<Exit, Failure> {
    loop {
        warn_of_look_ups(server, look_ups.reports().await);
    }
}

pub(super) fn warn_of_look_ups(server: &str, reports: Vec<Report>) {
    for report in reports {
        tracing::warn!(server, "{report}");
    }
}

/// Answers operators; without a listener it waits for ever.
pub(super) async fn watch_over(
    listener: Option<<TokioNet as Net>::Listener>,
    admin: Arc<Admin>,
) -> Result<Exit, Failure> {
    let Some(listener) = listener else {
        return pending().await;
    };
    let Err(error) = admin::serve(TokioNet, listener, admin).await;
    Err(Failure::Internal(error.to_string()))
}

/// Prints a line on standard output and flushes it.
fn say(word: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{word}");
    super::heard(written.and_then(|()| stdout.flush()))
}
