//! Ranges of numbers, and the length of a line.

use tokio::time::Instant;

use super::{case, steps};
use crate::live::check::Case;
use crate::live::check::Need::{Contrast, Knowledge};
use crate::live::check::trial::{Done, HERE, Trial, fail, same_update};
use crate::protocol::escape;

pub(super) const CASES: &[Case] = &[
    case!(
        "radius-within",
        Limits,
        Must,
        &[Knowledge],
        "A radius from 0 to 50 kilometres is valid, decimals too",
        "a comparison that leaves the bound itself out, or a conversion to a whole number",
        steps!(radius_within),
    ),
    case!(
        "radius-beyond",
        Limits,
        Must,
        &[Contrast],
        "A radius below 0 or above 50 kilometres is refused",
        "no check of the range: Places then gets a radius that it refuses",
        steps!(radius_beyond),
    ),
    case!(
        "radius-no-number",
        Limits,
        Must,
        &[Contrast],
        "A radius that is no number is refused, `nan` too",
        "an exception in the conversion, or a comparison that is false for `nan`",
        steps!(radius_no_number),
    ),
    case!(
        "bound-within",
        Limits,
        Must,
        &[Knowledge],
        "A bound from 0 to 20 is valid",
        "a comparison that leaves the bound itself out",
        steps!(bound_within),
    ),
    case!(
        "bound-beyond",
        Limits,
        Must,
        &[Contrast],
        "A bound below 0 or above 20 is refused",
        "no check of the range",
        steps!(bound_beyond),
    ),
    case!(
        "bound-no-number",
        Limits,
        Must,
        &[Contrast],
        "A bound that is no whole number is refused",
        "an exception in the conversion that nobody handles",
        steps!(bound_no_number),
    ),
    case!(
        "line-too-long",
        Limits,
        Taste,
        &[],
        "A line that never ends is not read for ever: at some length its connection is closed",
        "a buffer that grows as long as somebody sends",
        steps!(line_too_long),
    ),
];

/// Sends an IAMAT, and WHATSATs about it that are valid or not.
async fn queries(trial: &mut Trial, queries: &[&str], valid: bool) -> Done {
    let (server, id, now) = (trial.first(), trial.id("known"), trial.now());
    let at = trial.iamat(&server, &id, HERE, &now).await?;
    for query in queries {
        if !valid {
            trial
                .refused(&server, &format!("WHATSAT {id} {query}"))
                .await?;
            continue;
        }
        let places = trial.whatsat(&server, &id, query).await?;
        if !same_update(&places.at, &at.line) {
            return fail(format!("{} and the places near it", escape(&at.line)));
        }
    }
    Ok(())
}

async fn radius_within(trial: &mut Trial) -> Done {
    queries(trial, &["50 5", "2.5 5", "50.0 5", "0 5"], true).await
}

async fn radius_beyond(trial: &mut Trial) -> Done {
    queries(trial, &["51 5", "50.1 5", "-1 5", "1000000 5"], false).await
}

async fn radius_no_number(trial: &mut Trial) -> Done {
    queries(trial, &["ten 5", "nan 5", "1.2.3 5", "inf 5"], false).await
}

async fn bound_within(trial: &mut Trial) -> Done {
    queries(trial, &["10 20", "10 1", "10 0"], true).await
}

async fn bound_beyond(trial: &mut Trial) -> Done {
    queries(trial, &["10 21", "10 -1", "10 1000000"], false).await
}

async fn bound_no_number(trial: &mut Trial) -> Done {
    queries(trial, &["10 five", "10 2.5", "10 nan", "10 1e1"], false).await
}

/// How long the line is, in bytes: longer than any buffer of a library's own.
const ENDLESS: usize = 256 * 1024;

async fn line_too_long(trial: &mut Trial) -> Done {
    let server = trial.first();
    let mut client = trial.connect(&server).await?;
    let line = vec![b'x'; ENDLESS];
    // A server that has refused it may have closed the connection already.
    let _ = client.send(&line).await;
    let deadline = Instant::now() + trial.patience;
    client.read(deadline, |_| false).await;
    let came = client.rest().to_vec();
    trial.remember(&server, &line[..60], &came[..came.len().min(60)]);
    if client.ended {
        return Ok(());
    }
    fail("`? ` and the beginning of the line, and the end of the connection")
}
