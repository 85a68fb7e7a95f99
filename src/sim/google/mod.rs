//! The fake Places API: a host of the simulation that serves HTTP, and lets wiremock decide on the
//! answers.
//!
//! [`wiremock`] needs a real socket. The simulated host forwards each request to it by *blocking*
//! IO, so that simulated time stands still meanwhile. All delays are in simulated time.

mod ask;
mod bridge;
mod causes;
mod invent;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::SimError;
use crate::scenario::{PlacesBody, PlacesFault, PlacesTable, Scenario};

pub(super) use ask::SimPlaces;
pub(super) use bridge::serve;
pub(super) use causes::Causes;

/// The name of a header that delays a response by its value, in milliseconds of simulated time.
/// wiremock's `set_delay` would let real time pass.
pub const DELAY_HEADER: &str = "x-simulated-delay-ms";

/// The name of a header that makes the bridge misbehave: see [`PlacesFault`].
const FAULT_HEADER: &str = "x-simulated-fault";

/// What the fake Places observed.
#[derive(PartialEq)]
pub(super) struct PlacesObservation {
    /// The number of requests that each table answered.
    pub(super) asked: Vec<u64>,
    /// Requests that no table or mock matched.
    pub(super) unmatched: Vec<String>,
    /// wiremock's message about mocks that did not receive the requests that they expected.
    pub(super) unmet: Option<String>,
}

/// A running wiremock server.
pub(super) struct Google {
    runtime: Runtime,
    server: MockServer,
    asked: Vec<Arc<AtomicU64>>,
    unmatched: Arc<Mutex<Vec<String>>>,
}

impl Google {
    /// Starts wiremock with the scenario's tables, and after them `mocks`.
    pub(super) fn start(scenario: &Scenario, mocks: Vec<Mock>) -> Result<Self, SimError> {
        let failed = |error: std::io::Error| SimError::Failed(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let unmatched = Arc::new(Mutex::new(Vec::new()));
        let tables = scenario.places.iter().enumerate();
        let (mut asked, mut all) = (Vec::new(), Vec::new());
        for (index, table) in tables {
            let count = Arc::new(AtomicU64::new(0));
            all.push(mock(index, table, Arc::clone(&count)));
            asked.push(count);
        }
        all.extend(mocks);
        let seen = Arc::clone(&unmatched);
        let nobody = move |request: &Request| {
            let mut unmatched = seen.lock().unwrap_or_else(PoisonError::into_inner);
            unmatched.push(format!("{} {}", request.method, shown(request)));
            ResponseTemplate::new(404)
        };
        // This mock has the lowest priority, and is the last with it.
        all.push(
            Mock::given(wiremock::matchers::any())
                .respond_with(nobody)
                .with_priority(255),
        );
        let server = runtime.block_on(async {
            // Requests are in the journal. wiremock's own recording would show the key in its
            // messages.
            let server = MockServer::builder()
                .disable_request_recording()
                .start()
                .await;
            for mock in all {
                server.register(mock).await;
            }
            server
        });
        Ok(Self {
            runtime,
            server,
            asked,
            unmatched,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        *self.server.address()
    }

    /// Ends the observation, and returns its results.
    pub(super) fn seen(self) -> PlacesObservation {
        // wiremock reports unmet expectations by a panic, here or when the server is dropped.
        let verify = || self.runtime.block_on(self.server.verify());
        let unmet = catch_unwind(AssertUnwindSafe(verify)).err().map(|said| {
            let said = said.downcast::<String>();
            said.map_or_else(
                |_| "a mock was not asked as it expects".to_owned(),
                |said| *said,
            )
        });
        self.runtime.block_on(self.server.reset());
        let counts = self.asked.iter();
        let mut unmatched = self
            .unmatched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        PlacesObservation {
            asked: counts.map(|count| count.load(Ordering::SeqCst)).collect(),
            unmatched: std::mem::take(&mut unmatched),
            unmet,
        }
    }
}

/// The target of a request with the key hidden.
fn shown(request: &Request) -> String {
    let query = request.url.query().unwrap_or_default();
    bridge::without_key(&format!("{}?{query}", request.url.path()))
}

/// Counts requests, and always gives the same answer.
struct Counted {
    count: Arc<AtomicU64>,
    answer: ResponseTemplate,
}

impl Respond for Counted {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.answer.clone()
    }
}

fn mock(index: usize, table: &PlacesTable, count: Arc<AtomicU64>) -> Mock {
    let body = match &table.body {
        PlacesBody::Given(body) => body.clone(),
        &PlacesBody::Invented(places) => invent::body(index as u64, places).into_bytes(),
    };
    let mut answer = ResponseTemplate::new(table.status)
        .set_body_raw(body, "application/json; charset=UTF-8")
        .insert_header(DELAY_HEADER, table.delay.as_millis().to_string());
    if let Some(fault) = table.fault {
        let word = match fault {
            PlacesFault::Hang => "hang",
            PlacesFault::Close => "close",
            PlacesFault::Cut => "cut",
        };
        answer = answer.insert_header(FAULT_HEADER, word);
    }
    let (near, radius) = (
        table.near.clone(),
        table.radius.map(|radius| radius.to_string()),
    );
    let matches = move |request: &Request| {
        let is = |name: &str, wanted: Option<&String>| {
            let mut pairs = request.url.query_pairs();
            wanted.is_none_or(|wanted| pairs.any(|(key, value)| key == name && value == **wanted))
        };
        is("location", near.as_ref()) && is("radius", radius.as_ref())
    };
    let mock = Mock::given(matches).respond_with(Counted { count, answer });
    // Tables take precedence over a user's mocks with default priority.
    let mock = mock.with_priority(1);
    match table.times {
        Some(times) => mock.up_to_n_times(times),
        None => mock,
    }
}
