//! Nearby Search over HTTP/1.1 on any [`Net`].

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER,
};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Places;
use super::answer::{self, Failure, Outcome, Reply};
use super::coalesce::InFlight;
use super::config::PlacesConfig;
use super::connect::{Connector, Trouble};
use super::counts::Counts;
use super::key::ApiKey;
use super::query::{self, Api, Query};
use super::tasks::Tasks;
use crate::net::Net;
use crate::node::LookUp;
use crate::sync::Mutex;

const KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const FIELD_MASK: HeaderName = HeaderName::from_static("x-goog-fieldmask");

/// The result of a request, which all look-ups with the same query share.
type Fetched = Result<Arc<Reply>, Failure>;

/// Sends look-ups to Places over HTTP.
///
/// Look-ups with the same query share one request while it is in flight; no answer is cached after
/// that. A request outlives the client that caused it, since others may wait for it.
pub struct HttpPlaces<N: Net> {
    asker: Arc<Asker<N>>,
    counts: Arc<Counts>,
    /// hyper's connections and the requests in flight. They end when this is dropped.
    tasks: Tasks<N>,
}

/// The state that all requests share.
struct Asker<N: Net> {
    config: PlacesConfig,
    client: Client<Connector<N>, Full<Bytes>>,
    in_flight: Semaphore,
    /// A permit to cut an answer, of which there is one. Hundreds of look-ups can get the same
    /// answer at once, and if each cut a megabyte right away, all other clients would wait for
    /// them.
    cutting: Semaphore,
    rng: Mutex<ChaCha8Rng>,
    under_way: InFlight<Query, Fetched>,
    /// The error of the last attempt to connect.
    trouble: Arc<Trouble>,
}

/// The result of an attempt, and the pause that Places requests before the next one.
struct Attempt {
    fetched: Result<Reply, Failure>,
    wanted_pause: Option<Duration>,
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self {
            fetched: Err(failure),
            wanted_pause: None,
        }
    }
}

impl<N: Net> HttpPlaces<N> {
    /// Sends requests by `config` over `net`. `rng` gives the jitter of retries.
    pub fn new(net: N, config: PlacesConfig, rng: ChaCha8Rng) -> Self {
        let tasks = Tasks::new(net.clone());
        let trouble = Arc::default();
        let connector = Connector {
            net,
            address: config.address.clone(),
            https: config.https.clone(),
            proxy: config.proxy.clone(),
            trouble: Arc::clone(&trouble),
        };
        let client = Client::builder(tasks.executor())
            // Without a timer the pool would read the machine's clock.
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.keep_alive)
            .pool_max_idle_per_host(config.in_flight)
            .build(connector);
        let asker = Arc::new(Asker {
            client,
            in_flight: Semaphore::new(config.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            cutting: Semaphore::new(1),
            rng: Mutex::new(rng),
            under_way: InFlight::default(),
            trouble,
            config,
        });
        let counts = Arc::default();
        Self {
            asker,
            counts,
            tasks,
        }
    }

    /// Draws the jitter of retries from another generator from now on.
    #[cfg(feature = "sim")]
    pub(crate) fn redraw(&self, rng: ChaCha8Rng) {
        let mut kept = self
            .asker
            .rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = rng;
    }

    /// Counts look-ups in `counts`, which others may share.
    #[must_use]
    pub fn counted_by(self, counts: Arc<Counts>) -> Self {
        Self { counts, ..self }
    }

    /// The response of Places to `query`, from a request that this caller or an earlier one began.
    async fn fetch(&self, query: Query) -> Fetched {
        let begin = |tell| {
            let (asker, query) = (Arc::clone(&self.asker), query.clone());
            let deadline = Instant::now() + asker.config.deadline;
            self.tasks.spawn(async move {
                let fetched = asker.ask(&query, deadline).await.map(Arc::new);
                asker.under_way.end(&query, &tell, fetched);
            });
        };
        let answer = self.asker.under_way.join(&query, begin).recv().await;
        // A request's task ends without a response only if it panics.
        answer.expect("a question's task gives an answer")
    }
}

impl<N: Net> Places for HttpPlaces<N> {
    fn nearby<'a>(
        &'a self,
        look_up: &'a LookUp,
    ) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
        Box::pin(async move {
            self.tasks.look_after();
            let api = self.asker.config.api;
            let fetched = self.fetch(Query::new(api, look_up)).await;
            self.tasks.look_after();
            let fetched = fetched.as_deref().map_err(|&failure| failure);
            // This semaphore is never closed.
            let _turn = self.asker.cutting.acquire().await;
            let mut answer = answer::answer(api, fetched, look_up.bound);
            let key = self.asker.config.key.as_ref();
            // The body was checked before its escapes were decoded, so the message is checked
            // again.
            answer.said = (answer.said)
                .filter(|said| key.is_some_and(|key| !query::shows(said.as_bytes(), key)));
            if answer.outcome == Outcome::Failed(Failure::Unreachable) {
                // The network's own error says more, such as a name that does not resolve or a
                // certificate that is not trusted.
                answer.said = self.asker.trouble.last();
            }
            self.counts.count(&answer);
            answer.body
        })
    }

    fn background_tasks(&self) -> usize {
        // One for each request in flight, and hyper's that looks after idle connections.
        self.asker.under_way.count() + 1
    }
}

impl<N: Net> Asker<N> {
    /// Waits for a permit, then sends the request, with retries where they can help, all before
    /// `deadline`.
    async fn ask(&self, query: &Query, deadline: Instant) -> Result<Reply, Failure> {
        let key = self.config.key.as_ref().ok_or(Failure::NoKey)?;
        let turn = timeout_at(deadline, self.in_flight.acquire()).await;
        // The semaphore is never closed. The permit is held until the end, including pauses.
        let _turn = turn.map_err(|_| Failure::Busy)?;
        if Instant::now() >= deadline {
            return Err(Failure::Busy);
        }
        let mut tried = 0;
        loop {
            let Attempt {
                fetched,
                wanted_pause,
            } = self.attempt(query, key, deadline).await;
            if tried == self.config.retries || !may_pass(self.config.api, &fetched) {
                return fetched;
            }
            let pause = self.pause(tried).max(wanted_pause.unwrap_or_default());
            if pause > self.config.longest_pause || Instant::now() + pause >= deadline {
                return fetched;
            }
            sleep(pause).await;
            tried += 1;
        }
    }

    /// The pause before the next retry: random, between half of the doubled pause and all of it.
    fn pause(&self, tried: usize) -> Duration {
        let doubled = self
            .config
            .retry_pause
            .saturating_mul(2_u32.saturating_pow(u32::try_from(tried).unwrap_or(u32::MAX)));
        let half = doubled.min(self.config.longest_pause) / 2;
        let most = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        half + Duration::from_nanos(rng.random_range(0..=most))
    }

    /// Sends the request once, within the time limit of an attempt.
    async fn attempt(&self, query: &Query, key: &ApiKey, deadline: Instant) -> Attempt {
        let Some(request) = self.request(query, key) else {
            return Failure::Unaskable.into();
        };
        let deadline = deadline.min(Instant::now() + self.config.attempt_deadline);
        let exchanged = timeout_at(deadline, self.exchange(request)).await;
        match exchanged {
            Err(_) => Failure::Late.into(),
            // A proxy, for example, may echo the request, but the key must not reach clients and
            // logs. Bodies with another status are never passed on as they are.
            Ok(Attempt {
                fetched: Ok(reply), ..
            }) if reply.status == 200 && query::shows(&reply.body, key) => {
                Failure::Malformed.into()
            }
            Ok(attempt) => attempt,
        }
    }

    /// The HTTP request, or `None` if the location is too long for a URI.
    fn request(&self, query: &Query, key: &ApiKey) -> Option<Request<Full<Bytes>>> {
        let target = query.target(&self.config.path, key);
        let scheme = self.config.https.as_ref().map_or("http", |_| "https");
        let uri = format!("{scheme}://{}{target}", self.config.address);
        let mut request = match query {
            Query::Legacy(_) => Request::get(uri).body(Full::default()),
            Query::New(body) => {
                let mut key = HeaderValue::from_str(key.expose()).ok()?;
                // Debug output of the headers then hides the key.
                key.set_sensitive(true);
                Request::post(uri)
                    .header(CONTENT_TYPE, "application/json")
                    .header(KEY, key)
                    .header(FIELD_MASK, &self.config.field_mask)
                    .body(Full::from(body.clone()))
            }
        }
        .ok()?;
        // With TLS the proxy gets the authorisation when the tunnel is opened.
        if let (None, Some(proxy)) = (&self.config.https, &self.config.proxy)
            && let Some(authorization) = &proxy.authorization
        {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Some(request)
    }

    /// Sends one request and reads its whole response. hyper's errors are dropped, since they might
    /// contain the key.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Attempt {
        let Ok(response) = self.client.request(request).await else {
            return Failure::Unreachable.into();
        };
        let status = response.status();
        let wanted_pause = wanted_pause(response.headers());
        if status != StatusCode::OK {
            let body = if status.is_client_error() {
                error_body(response.into_body()).await
            } else {
                // The body of a server error adds nothing to its status.
                Vec::new()
            };
            let status = status.as_u16();
            return Attempt {
                fetched: Ok(Reply { status, body }),
                wanted_pause,
            };
        }
        let body = Limited::new(response.into_body(), self.config.largest_body);
        match body.collect().await {
            Ok(body) => Attempt {
                fetched: Ok(Reply {
                    status: status.as_u16(),
                    body: body.to_bytes().to_vec(),
                }),
                wanted_pause,
            },
            Err(error) if error.is::<LengthLimitError>() => Failure::TooLarge.into(),
            Err(_) => Failure::Unreachable.into(),
        }
    }
}

/// The limit on the body of an error, in bytes.
const LARGEST_ERROR: usize = 64 * 1024;

/// The time limit for reading the body of an error.
const ERROR_DEADLINE: Duration = Duration::from_millis(500);

/// The body of an error, or nothing if it is late or too large: the status suffices then.
async fn error_body(body: Incoming) -> Vec<u8> {
    let body = Limited::new(body, LARGEST_ERROR).collect();
    match timeout(ERROR_DEADLINE, body).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// Whether a retry may give another result.
fn may_pass(api: Api, fetched: &Result<Reply, Failure>) -> bool {
    match fetched {
        Ok(reply) => answer::may_pass(api, reply),
        Err(failure) => matches!(failure, Failure::Unreachable | Failure::Late),
    }
}

/// The pause that Places requests, if it is given in seconds.
fn wanted_pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::{Duration, HeaderMap, RETRY_AFTER, wanted_pause};

    #[test]
    fn only_a_pause_in_seconds_is_understood() {
        let wanted = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text);
            wanted_pause(&headers)
        };
        assert_eq!(wanted("7".parse().unwrap()), Some(Duration::from_secs(7)));
        assert_eq!(
            wanted("Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap()),
            None
        );
        assert_eq!(wanted("-1".parse().unwrap()), None);
        assert_eq!(wanted_pause(&HeaderMap::new()), None);
    }
}
