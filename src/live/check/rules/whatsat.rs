//! WHATSAT: what is near a client.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{case, steps};
use crate::live::check::Case;
use crate::live::check::Need::{Contrast, Knowledge, Places, Several};
use crate::live::check::client;
use crate::live::check::places::{Mode, PLACES, body_for_clients, place};
use crate::live::check::trial::{At, Done, HERE, Stop, Trial, fail, same_update};
use crate::protocol::escape;

/// How long Places takes where it is slow.
pub(super) const SLOW: Duration = Duration::from_millis(600);

/// How long a server may take until it gives up on Places.
const GIVES_UP: Duration = Duration::from_secs(20);

pub(super) const CASES: &[Case] = &[
    case!(
        "unknown-client",
        Whatsat,
        Must,
        &[Contrast],
        "A WHATSAT about a client that no IAMAT came from is refused",
        "a look-up in a table without the case that nothing is there, which ends the connection or the server",
        steps!(unknown_client),
    ),
    case!(
        "whatsat-at",
        Whatsat,
        Must,
        &[Knowledge],
        "The first line of an answer to WHATSAT is the AT line of the client's newest IAMAT, byte for byte",
        "a skew that is computed again, or a line that is put together from parsed numbers",
        steps!(at),
    ),
    case!(
        "whatsat-elsewhere",
        Whatsat,
        Must,
        &[Knowledge, Several],
        "A WHATSAT at another server has the same AT line: the server that the client talked to, and its skew",
        "the name of the server that is asked now",
        steps!(elsewhere),
    ),
    case!(
        "whatsat-json",
        Whatsat,
        Must,
        &[Places],
        "Behind the AT line are a line feed and the JSON of Places",
        "the JSON's text of another language (`'` for `\"`, `True`), or only its list of results",
        steps!(json),
    ),
    case!(
        "whatsat-two-line-feeds",
        Whatsat,
        Must,
        &[Places],
        "An answer with places ends with exactly two line feeds",
        "one line feed, none, or those of Places and two more",
        steps!(two_line_feeds),
    ),
    case!(
        "whatsat-bound",
        Whatsat,
        Must,
        &[Places],
        "Of the results, the first ones remain, at most as many as the bound",
        "a bound that is parsed and never used, or one too many",
        steps!(bound),
    ),
    case!(
        "whatsat-bytes-kept",
        Whatsat,
        Must,
        &[Places],
        "The JSON is the text of Places: its order, its indentation, its escapes",
        "JSON that is parsed and written again",
        steps!(bytes_kept),
    ),
    case!(
        "whatsat-blank-lines",
        Whatsat,
        Must,
        &[Places],
        "There is no blank line in the JSON: runs of line feeds become one",
        "the text of Places as it came",
        steps!(blank_lines),
    ),
    case!(
        "whatsat-radius-metres",
        Whatsat,
        Must,
        &[Places],
        "Places is asked for the radius in metres",
        "kilometres that are sent as they are, or multiplied as text",
        steps!(metres),
    ),
    case!(
        "whatsat-location",
        Whatsat,
        Must,
        &[Places],
        "Places is asked for the client's latitude and longitude, with their signs",
        "a sign that is lost for east longitudes, or both in the other order",
        steps!(location),
    ),
    case!(
        "whatsat-written-whole",
        Whatsat,
        Must,
        &[Places],
        "An answer is written whole: no AT line comes before Places has answered",
        "the AT line is written before the look-up; a client that reads once gets half an answer",
        steps!(written_whole),
    ),
    case!(
        "places-slow-blocks-nobody",
        Whatsat,
        Must,
        &[Places],
        "While Places is slow, other clients of the server are answered",
        "a look-up that blocks the event loop, such as `requests.get`",
        steps!(blocks_nobody),
    ),
    case!(
        "places-failing",
        Whatsat,
        Taste,
        &[Places],
        "When Places fails, the answer has its AT line, no results, and a status that says so",
        "an exception that ends the connection, or an error page that is passed on",
        steps!(failing),
    ),
    case!(
        "places-malformed",
        Whatsat,
        Taste,
        &[Places],
        "When Places answers nonsense, the answer has its AT line, no results, and a status that says so",
        "an exception of the JSON parser that ends the connection",
        steps!(malformed),
    ),
];

async fn unknown_client(trial: &mut Trial) -> Done {
    for server in trial.bench.names.clone() {
        let id = trial.id(&server);
        trial
            .refused(&server, &format!("WHATSAT {id} 10 5"))
            .await?;
    }
    Ok(())
}

fn same_line(places: &client::Places, at: &At) -> Done {
    if places.at == at.line {
        return Ok(());
    }
    fail(format!("{} first", escape(&at.line)))
}

async fn at(trial: &mut Trial) -> Done {
    let (server, id) = (trial.first(), trial.id("a"));
    for offset in [-20, -10] {
        let time = trial.time(offset);
        let at = trial
            .iamat(&server, &id, "+34.0689300-118.4451270", &time)
            .await?;
        let places = trial.whatsat(&server, &id, "10 5").await?;
        same_line(&places, &at)?;
    }
    Ok(())
}

async fn elsewhere(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    let at = trial
        .iamat(&server, &id, "+34.0689300-118.4451270", &now)
        .await?;
    let others = trial.bench.names[1..].to_vec();
    trial.repeat(&others, &id, &at.line).await
}

/// Sends an IAMAT and asks what is near.
async fn near(trial: &mut Trial, asks: &str) -> Result<client::Places, Stop> {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    let at = trial.iamat(&server, &id, HERE, &now).await?;
    let places = trial
        .whatsat_within(&server, [&id, asks], trial.patience, true)
        .await?;
    if same_update(&places.at, &at.line) {
        return Ok(places);
    }
    fail(format!("{} first", escape(&at.line)))
}

/// The JSON of an answer.
fn parsed(places: &client::Places) -> Result<Value, Stop> {
    let parsed = serde_json::from_slice::<Value>(&places.body).ok();
    match parsed.filter(|value| value["results"].is_array() && value["status"].is_string()) {
        Some(value) => Ok(value),
        None => fail("JSON with `results` and `status` behind the first line"),
    }
}

fn results(value: &Value) -> usize {
    value["results"].as_array().map_or(0, Vec::len)
}

async fn json(trial: &mut Trial) -> Done {
    let places = near(trial, "10 20").await?;
    let value = parsed(&places)?;
    if results(&value) == PLACES {
        return Ok(());
    }
    fail(format!("all {PLACES} results of Places"))
}

async fn two_line_feeds(trial: &mut Trial) -> Done {
    let places = near(trial, "10 20").await?;
    if places.line_feeds == 2 && !places.body.is_empty() {
        return Ok(());
    }
    let came = places.line_feeds;
    fail(format!("two line feeds behind the JSON, not {came}"))
}

async fn bound(trial: &mut Trial) -> Done {
    for bound in [2, 0, 5] {
        let places = near(trial, &format!("10 {bound}")).await?;
        let value = parsed(&places)?;
        let first: Vec<_> = value["results"].as_array().into_iter().flatten().collect();
        let is_in_order = (first.iter().enumerate()).all(|(at, result)| result["zeta"] == at);
        if first.len() != bound || !is_in_order {
            return fail(format!("the first {bound} of {PLACES} results"));
        }
    }
    Ok(())
}

async fn bytes_kept(trial: &mut Trial) -> Done {
    let has = |places: &client::Places, wanted: &str| {
        memchr::memmem::find(&places.body, wanted.as_bytes()).is_some()
    };
    let places = near(trial, "10 20").await?;
    let all: Vec<_> = (0..PLACES).map(place).collect();
    if !has(&places, &all.join(",\n")) {
        return fail(format!(
            "the text of Places: {}",
            escape(body_for_clients().as_bytes())
        ));
    }
    let places = near(trial, "10 2").await?;
    if !has(&places, &all[..2].join(",\n")) || has(&places, &all[2]) {
        let wanted = escape(all[..2].join(",\n").as_bytes());
        return fail(format!("{wanted} and no more results"));
    }
    Ok(())
}

async fn blank_lines(trial: &mut Trial) -> Done {
    let places = near(trial, "10 20").await?;
    let value = parsed(&places)?;
    let is_blank = memchr::memmem::find(&places.body, b"\n\n").is_some();
    if results(&value) == PLACES && !is_blank {
        return Ok(());
    }
    fail("the results of Places without a blank line")
}

/// What Places was asked for by a WHATSAT: the values of a parameter.
async fn asked(trial: &mut Trial, location: &str, asks: &str, name: &str) -> Result<String, Stop> {
    let (server, id, now) = (trial.first(), trial.id(asks), trial.now());
    let id = id.replace(' ', "-");
    trial.iamat(&server, &id, location, &now).await?;
    trial.bench.places.take_asked();
    trial.whatsat(&server, &id, asks).await?;
    let asked = trial.bench.places.take_asked();
    let Some(target) = asked.first() else {
        return fail("a request to Places");
    };
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = values.into_iter().find(|(key, _)| *key == name);
    let value = value.map_or_else(String::new, |(_, value)| decoded(value));
    let line = format!("WHATSAT {id} {asks}");
    trial.remember(
        &server,
        line.as_bytes(),
        format!("Places was asked for {target}").as_bytes(),
    );
    Ok(value)
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
    text.trim().to_owned()
}

async fn metres(trial: &mut Trial) -> Done {
    for (asks, wanted) in [("10 5", 10_000.0), ("2.5 5", 2_500.0)] {
        let radius = asked(trial, HERE, asks, "radius").await?;
        let is_right = radius
            .parse::<f64>()
            .is_ok_and(|radius| (radius - wanted).abs() < 0.001);
        if !is_right {
            return fail(format!("radius={wanted}"));
        }
    }
    Ok(())
}

async fn location(trial: &mut Trial) -> Done {
    let locations = [
        (HERE, [34.068_93, -118.445_127], "10 5"),
        ("-33.8600+151.2000", [-33.86, 151.2], "11 5"),
        ("+50.08+14.43", [50.08, 14.43], "12 5"),
    ];
    for (location, wanted, asks) in locations {
        let came = asked(trial, location, asks, "location").await?;
        let numbers: Vec<f64> = came
            .split(',')
            .filter_map(|number| number.trim().parse().ok())
            .collect();
        let is_right = numbers.len() == 2
            && numbers
                .iter()
                .zip(wanted)
                .all(|(came, wanted)| (came - wanted).abs() < 1e-6);
        if !is_right {
            let [latitude, longitude] = wanted;
            return fail(format!("location={latitude},{longitude}"));
        }
    }
    Ok(())
}

async fn written_whole(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    trial.iamat(&server, &id, HERE, &now).await?;
    trial.bench.places.set(Mode::Slow(SLOW));
    let mut client = trial.connect(&server).await?;
    let line = format!("WHATSAT {id} 10 5");
    if client.send(format!("{line}\n").as_bytes()).await.is_err() {
        return fail("an answer");
    }
    client.read(Instant::now() + SLOW / 2, |_| false).await;
    let early = client.rest().to_vec();
    let places = client
        .places(line.as_bytes(), trial.patience + SLOW, false)
        .await;
    trial.remember(&server, line.as_bytes(), &early);
    if !early.is_empty() {
        return fail("nothing until Places has answered");
    }
    trial.remember(&server, line.as_bytes(), &places.at);
    parsed(&places).map(drop)
}

async fn blocks_nobody(trial: &mut Trial) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    trial.iamat(&server, &id, HERE, &now).await?;
    // Longer than an answer may take.
    trial.bench.places.set(Mode::Slow(trial.patience * 2));
    let mut client = trial.connect(&server).await?;
    let line = format!("WHATSAT {id} 10 5\n");
    if client.send(line.as_bytes()).await.is_err() {
        return fail("an answer");
    }
    trial.places_asked(&server, line.as_bytes()).await?;
    let (other, now) = (trial.id("b"), trial.now());
    trial.iamat(&server, &other, HERE, &now).await?;
    // The next case must not meet this look-up.
    client
        .places(line.trim_ascii_end().as_bytes(), GIVES_UP, false)
        .await;
    Ok(())
}

async fn in_trouble(trial: &mut Trial, mode: Mode) -> Done {
    let (server, id, now) = (trial.first(), trial.id("a"), trial.now());
    let at = trial.iamat(&server, &id, HERE, &now).await?;
    trial.bench.places.set(mode);
    let places = trial
        .whatsat_within(&server, [&id, "10 5"], GIVES_UP, false)
        .await?;
    same_line(&places, &at)?;
    let value = parsed(&places)?;
    let is_honest = value["status"] != "OK" && value["status"] != "ZERO_RESULTS";
    if results(&value) == 0 && is_honest {
        return Ok(());
    }
    fail("no results, and a status such as UNKNOWN_ERROR")
}

async fn failing(trial: &mut Trial) -> Done {
    in_trouble(trial, Mode::Failing).await
}

async fn malformed(trial: &mut Trial) -> Done {
    in_trouble(trial, Mode::Malformed).await
}
