//! What Places answers.

use std::path::Path;
use std::time::Duration;

use super::Context;
use crate::diag::Problem;
use crate::document::{Located, Section};
use crate::files;
use crate::protocol::location::Location;
use crate::scenario::places::{PlacesBody, PlacesFault, PlacesTable};
use crate::scenario::raw::RawPlaces;
use crate::scenario::template::hex_bytes;

/// As many as the API gives at a time.
const MOST_PLACES: u8 = 20;

const ONE_BODY: &str = "an answer has one of `body`, `hex`, `file` and `places`";

impl Context<'_> {
    pub(super) fn places(
        &mut self,
        raw: Option<&Located<Vec<Section<RawPlaces>>>>,
        relative_to: Option<&Path>,
    ) -> Vec<PlacesTable> {
        let tables = raw.into_iter().flat_map(|tables| tables.iter());
        tables
            .filter_map(|table| self.places_table(table, relative_to))
            .collect()
    }

    fn places_table(
        &mut self,
        raw: &Section<RawPlaces>,
        relative_to: Option<&Path>,
    ) -> Option<PlacesTable> {
        let status = raw.status.as_ref().map_or(200, |status| **status);
        if let Some(written) = raw
            .status
            .as_ref()
            .filter(|_| !(200..=599).contains(&status))
        {
            let message = format!("{status} is no HTTP status of an answer, 200 to 599");
            self.error(written.span(), message);
        }
        if let Some(zero) = raw.times.as_ref().filter(|times| ***times == 0) {
            self.error(zero.span(), "a table that answers 0 times has no effect");
        }
        let maybe = raw.maybe.as_ref().is_some_and(|maybe| **maybe);
        if let (Some(expect), true) = (&raw.expect, maybe) {
            let message = "`expect` gives the number of requests, so `maybe` has no meaning";
            self.error(expect.span(), message);
        }
        let near = match &raw.near {
            Some(near) => Some(self.near(near)?),
            None => None,
        };
        let body = self.places_body(raw, relative_to)?;
        self.check_cut(raw, status, &body);
        Some(PlacesTable {
            span: raw.span(),
            near,
            radius: raw.radius.as_ref().map(|radius| **radius),
            status,
            body,
            delay: (raw.delay.as_ref())
                .map_or(Duration::ZERO, |delay| self.on_tick(delay, "this delay")),
            times: raw.times.as_ref().map(|times| **times),
            expect: raw.expect.as_ref().map(|expect| **expect),
            maybe,
            fault: raw.fault.as_ref().map(|fault| **fault),
        })
    }

    /// A place as the API is queried for it: see [`Query`](crate::places::Query).
    fn near(&mut self, near: &Located<String>) -> Option<String> {
        let Some(location) = Location::parse(near.as_bytes()) else {
            let message = format!("`{}` is no place", **near);
            let help = "latitude and longitude, both with a sign: \"+34.068930-118.445127\"";
            self.report(Problem::error(self.source, near.span(), message).help(help));
            return None;
        };
        let unsigned = |text: &[u8]| {
            String::from_utf8_lossy(text.strip_prefix(b"+").unwrap_or(text)).into_owned()
        };
        let (latitude, longitude) = (location.latitude(), location.longitude());
        Some(format!("{},{}", unsigned(latitude), unsigned(longitude)))
    }

    /// An answer without a body has no middle to end in.
    fn check_cut(&mut self, raw: &RawPlaces, status: u16, body: &PlacesBody) {
        let Some(fault) = (raw.fault.as_ref()).filter(|fault| ***fault == PlacesFault::Cut) else {
            return;
        };
        let message = match body {
            _ if [204, 304].contains(&status) => {
                format!("an answer with status {status} has no body to end in the middle of")
            }
            PlacesBody::Given(bytes) if bytes.is_empty() => {
                "there is no body to end in the middle of".to_owned()
            }
            _ => return,
        };
        let problem = Problem::error(self.source, fault.span(), message);
        self.report(problem.help("give it a body, or use `fault = \"close\"`"));
    }

    fn places_body(
        &mut self,
        raw: &Section<RawPlaces>,
        relative_to: Option<&Path>,
    ) -> Option<PlacesBody> {
        if let (Some(hex), None, None, None) = (&raw.hex, &raw.body, &raw.file, &raw.places) {
            return self.hex_body(hex);
        }
        match (&raw.body, &raw.file, &raw.places) {
            _ if raw.hex.is_some() => {
                self.error(raw.span(), ONE_BODY);
                None
            }
            (None, None, None) => Some(PlacesBody::Invented(0)),
            (Some(body), None, None) => Some(PlacesBody::Given(body.clone().into_bytes())),
            (None, None, Some(places)) => {
                if **places > MOST_PLACES {
                    let message = format!("the API returns up to {MOST_PLACES} places at a time");
                    self.error(places.span(), message);
                }
                Some(PlacesBody::Invented(**places))
            }
            (None, Some(file), None) => {
                let path = relative_to.unwrap_or(Path::new("")).join(file.as_str());
                match files::read(&path) {
                    Ok(body) => Some(PlacesBody::Given(body)),
                    Err(error) => {
                        let message = format!("can't read `{}`: {error}", path.display());
                        self.error(file.span(), message);
                        None
                    }
                }
            }
            _ => {
                self.error(raw.span(), ONE_BODY);
                None
            }
        }
    }

    fn hex_body(&mut self, hex: &Located<String>) -> Option<PlacesBody> {
        if hex.is_empty() {
            return Some(PlacesBody::Given(Vec::new()));
        }
        let bytes = hex_bytes(hex, hex);
        if bytes.is_err() {
            let message = "bytes are pairs of hexadecimal digits, as in \"7b7d\"";
            self.error(hex.span(), message);
        }
        bytes.ok().map(PlacesBody::Given)
    }
}
