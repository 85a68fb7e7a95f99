//! The fields of IAMAT and AT.

use super::{case, steps};
use crate::live::check::Wanted::{At, Refusal};
use crate::live::check::trial::{Done, HERE, Trial, fail};
use crate::live::check::{Case, Test};
use crate::protocol::escape;

pub(super) const CASES: &[Case] = &[
    case!(
        "at-fields",
        Formats,
        Must,
        &[],
        "An IAMAT is answered `AT server skew id location time`, with one space between fields",
        "another order of fields, a missing one, or an answer that is only sent when the client closes",
        Test::Lines(&[(b"IAMAT {id} +34.068930-118.445127 {now}", At)]),
    ),
    case!(
        "at-bytes-kept",
        Formats,
        Must,
        &[],
        "An AT line has the client's own bytes: id, location and time as they were sent",
        "a location or a time that went through a float: `+34.068930` became `+34.06893`",
        Test::Lines(&[
            (
                b"IAMAT {id} +34.0689300-118.4451270 1520023934.500000000",
                At
            ),
            (b"IAMAT {id} +034.50-008.40 1520023934.10", At),
            (b"IAMAT {id}-Kiwi_1!#%&/(\"'\\{}[]<> +34-118 1520023934", At),
            (b"IAMAT {id} +0.000000+0.000000 1520023934.123456789", At),
        ]),
    ),
    case!(
        "at-server",
        Formats,
        Must,
        &[],
        "Each server names itself in the AT lines that it makes",
        "one name in the code of all servers, or the name of the server that is asked last",
        steps!(each_server),
    ),
    case!(
        "skew-value",
        Formats,
        Must,
        &[],
        "The skew is the server's clock less the client's time",
        "the difference taken the wrong way round, or local time instead of POSIX time",
        steps!(skew_value),
    ),
    case!(
        "skew-sign",
        Formats,
        Must,
        &[],
        "The skew has a sign, `+` too, and is exactly one decimal number",
        "a number printed without its `+`, twice the sign, or in scientific notation (`1e-05`)",
        steps!(skew_sign),
    ),
    case!(
        "skew-nine-digits",
        Formats,
        Taste,
        &[],
        "The skew has a point and nine digits after it",
        "a float as the language prints it",
        steps!(skew_nine_digits),
    ),
    case!(
        "location-whole-degrees",
        Formats,
        Must,
        &[],
        "A location needs no fraction: `+34-118` is valid",
        "a pattern that wants a point",
        Test::Lines(&[
            (b"IAMAT {id} +34-118 {now}", At),
            (b"IAMAT {id} +34.5-118 {now}", At),
            (b"IAMAT {id} +34-118.5 {now}", At),
        ]),
    ),
    case!(
        "location-hemispheres",
        Formats,
        Must,
        &[],
        "A location may have either sign in both places",
        "a split at `-`, which only works for the northern half of America",
        Test::Lines(&[
            (b"IAMAT {id} -33.86+151.20 {now}", At),
            (b"IAMAT {id} +50.08+14.43 {now}", At),
            (b"IAMAT {id} -22.90-43.17 {now}", At),
        ]),
    ),
    case!(
        "location-bounds",
        Formats,
        Must,
        &[],
        "The poles and the date line are locations",
        "a comparison that leaves the bound itself out",
        Test::Lines(&[
            (b"IAMAT {id} +90-180 {now}", At),
            (b"IAMAT {id} -90.0+180.0 {now}", At),
            (b"IAMAT {id} +0-0 {now}", At),
        ]),
    ),
    case!(
        "location-signs-missing",
        Formats,
        Must,
        &[],
        "A location without both signs is no location",
        "a pattern that is searched for anywhere in the field instead of matching all of it",
        Test::Lines(&[
            (b"IAMAT {id} 34.068930-118.445127 {now}", Refusal),
            (b"IAMAT {id} +34.068930 {now}", Refusal),
            (b"IAMAT {id} +34.068930118.445127 {now}", Refusal),
            (b"IAMAT {id} 34,118 {now}", Refusal),
        ]),
    ),
    case!(
        "location-not-numbers",
        Formats,
        Must,
        &[],
        "A location of anything but two decimal numbers is no location",
        "a check of the signs alone; the number is parsed later, and ends the server",
        Test::Lines(&[
            (b"IAMAT {id} +abc-def {now}", Refusal),
            (b"IAMAT {id} +34.0.6-118.4 {now}", Refusal),
            (b"IAMAT {id} +34.06-118.44x {now}", Refusal),
            (b"IAMAT {id} +- {now}", Refusal),
            (b"IAMAT {id} +34- {now}", Refusal),
            (b"IAMAT {id} +nan-inf {now}", Refusal),
        ]),
    ),
    case!(
        "location-signs-twice",
        Formats,
        Must,
        &[],
        "A location has each sign once: `--999.9` and `+34-118-5` are none",
        "a search for the last sign, or characters that are removed one by one",
        Test::Lines(&[
            (b"IAMAT {id} --999.9 {now}", Refusal),
            (b"IAMAT {id} ++34-118 {now}", Refusal),
            (b"IAMAT {id} +34-118-5 {now}", Refusal),
            (b"IAMAT {id} +34+-118 {now}", Refusal),
        ]),
    ),
    case!(
        "location-range",
        Formats,
        Taste,
        &[],
        "A latitude beyond 90 or a longitude beyond 180 degrees is refused",
        "no check of the range",
        Test::Lines(&[
            (b"IAMAT {id} +90.000001-118 {now}", Refusal),
            (b"IAMAT {id} -91-118 {now}", Refusal),
            (b"IAMAT {id} +34-180.1 {now}", Refusal),
            (b"IAMAT {id} +34+1000 {now}", Refusal),
        ]),
    ),
    case!(
        "time-whole-seconds",
        Formats,
        Must,
        &[],
        "A time needs no fraction, and may have up to nine digits of one",
        "a pattern that wants a point, or a fixed number of digits",
        Test::Lines(&[
            (b"IAMAT {id} +34-118 1520023934", At),
            (b"IAMAT {id} +34-118 1520023934.5", At),
            (b"IAMAT {id} +34-118 1520023934.918963997", At),
        ]),
    ),
    case!(
        "time-no-number",
        Formats,
        Must,
        &[],
        "A time that is no number is refused",
        "an exception in the conversion that nobody handles, so that the connection hangs or breaks",
        Test::Lines(&[
            (b"IAMAT {id} +34-118 now", Refusal),
            (b"IAMAT {id} +34-118 15.20.02", Refusal),
            (b"IAMAT {id} +34-118 -", Refusal),
            (b"IAMAT {id} +34-118 0x5a99", Refusal),
        ]),
    ),
    case!(
        "time-not-finite",
        Formats,
        Must,
        &[],
        "`nan` and `inf` are no times",
        "the language's conversion of floats, which takes them; a record with such a time is never older or newer",
        Test::Lines(&[
            (b"IAMAT {id} +34-118 nan", Refusal),
            (b"IAMAT {id} +34-118 inf", Refusal),
            (b"IAMAT {id} +34-118 -Infinity", Refusal),
            (b"IAMAT {id} +34-118 NaN", Refusal),
        ]),
    ),
    case!(
        "time-plain-digits",
        Formats,
        Taste,
        &[],
        "A time has no exponent, no sign and no separators",
        "the language's conversion of floats, which takes them",
        Test::Lines(&[
            (b"IAMAT {id} +34-118 1.5e9", Refusal),
            (b"IAMAT {id} +34-118 +1520023934.5", Refusal),
            (b"IAMAT {id} +34-118 1_520_023_934", Refusal),
        ]),
    ),
    case!(
        "time-negative",
        Formats,
        Taste,
        &[],
        "A time before 1970 is refused",
        "no check of the range",
        Test::Lines(&[(b"IAMAT {id} +34-118 -1520023934.5", Refusal)]),
    ),
    case!(
        "time-ten-digits",
        Formats,
        Taste,
        &[],
        "A fraction of a second of more than nine digits is refused: nobody could keep it exactly",
        "times as floats, which drop what they cannot hold",
        Test::Lines(&[(b"IAMAT {id} +34-118 1520023934.1234567890", Refusal)]),
    ),
    case!(
        "time-far-ahead",
        Formats,
        Taste,
        &[],
        "A time in the far future is refused: it would win over all later ones",
        "no comparison with the server's own clock",
        Test::Lines(&[(b"IAMAT {id} +34-118 99999999999", Refusal)]),
    ),
];

async fn each_server(trial: &mut Trial) -> Done {
    for server in trial.bench.names.clone() {
        let (id, now) = (trial.id(&server), trial.now());
        trial.iamat(&server, &id, HERE, &now).await?;
    }
    Ok(())
}

/// The skew of an answer, in seconds.
async fn skew(
    trial: &mut Trial,
    suffix: &str,
    offset: i64,
) -> Result<(Vec<u8>, f64), super::super::trial::Stop> {
    let (server, id, time) = (trial.first(), trial.id(suffix), trial.time(offset));
    let at = trial.iamat(&server, &id, HERE, &time).await?;
    let skew = std::str::from_utf8(&at.skew).ok();
    match skew.and_then(|skew| skew.parse::<f64>().ok()) {
        Some(seconds) if seconds.is_finite() => Ok((at.skew, seconds)),
        _ => fail("a skew that is a number"),
    }
}

async fn skew_value(trial: &mut Trial) -> Done {
    // The answer takes time, and clocks of one machine agree.
    let slack = trial.patience.as_secs_f64();
    for (suffix, offset) in [("late", -3600_i32), ("now", 0), ("early", 10)] {
        let wanted = -f64::from(offset);
        let (_, seconds) = skew(trial, suffix, offset.into()).await?;
        if !(wanted - 0.1..=wanted + slack).contains(&seconds) {
            return fail(format!("a skew of about {wanted:+}"));
        }
    }
    Ok(())
}

async fn skew_sign(trial: &mut Trial) -> Done {
    for (suffix, offset, sign) in [("late", -3600, b'+'), ("now", 0, b'+'), ("early", 10, b'-')] {
        let (skew, _) = skew(trial, suffix, offset).await?;
        let digits = skew.get(1..).unwrap_or_default();
        let points = memchr::memchr_iter(b'.', digits).count();
        let is_plain = digits
            .iter()
            .all(|&byte| byte.is_ascii_digit() || byte == b'.');
        if skew.first() != Some(&sign) || points > 1 || !is_plain {
            let sign = char::from(sign);
            return fail(format!("a skew with `{sign}` and one plain decimal number"));
        }
    }
    Ok(())
}

async fn skew_nine_digits(trial: &mut Trial) -> Done {
    let (skew, _) = skew(trial, "now", -1).await?;
    let fraction = skew.split(|&byte| byte == b'.').nth(1);
    if fraction.is_some_and(|digits| digits.len() == 9) {
        return Ok(());
    }
    fail(format!("nine digits behind a point, not {}", escape(&skew)))
}
