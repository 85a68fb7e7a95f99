//! `POST /forget?client=ID`: an operator with the token makes the herd forget a client.

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};

use super::answer::{Answer, client_of};
use super::state::Admin;
use crate::node::ForgetError;
use crate::protocol::escape;
use crate::protocol::time::Timestamp;

/// Replaces the client's record by a tombstone. `now` is this server's clock.
pub(super) fn answer(admin: &Admin, request: &Request<Incoming>, now: Timestamp) -> Answer {
    if *request.method() != Method::POST {
        return Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "only POST\n");
    }
    let Some(token) = admin.token.get() else {
        let why =
            "nothing can be changed here: this server has no admin token (`--admin-token-file`)\n";
        return Answer::plain(StatusCode::FORBIDDEN, why);
    };
    let shown = request.headers().get(AUTHORIZATION);
    if !shown.is_some_and(|shown| token.is_shown_by(shown.as_bytes())) {
        let why = "show this server's admin token: `authorization: Bearer TOKEN`\n";
        return Answer::plain(StatusCode::UNAUTHORIZED, why);
    }
    let Some(id) = client_of(request) else {
        let help = "say `/forget?client=ID`, with `%` and two digits for what a URL can't hold\n";
        return Answer::plain(StatusCode::BAD_REQUEST, help);
    };
    if admin.server.is_stopping() {
        let why = "this server is stopping: ask another one\n";
        return Answer::plain(StatusCode::SERVICE_UNAVAILABLE, why);
    }
    let client = escape(&id);
    match admin.server.forget(&id, now) {
        Ok(forgotten) => {
            let was = forgotten.was;
            let json = serde_json::json!({
                "client": client,
                "generation": forgotten.generation,
                "was_forgotten": was.is_tombstone(),
                "location": (!was.is_tombstone()).then(|| escape(was.location())),
                "time": escape(was.time_text()),
                "origin": escape(was.origin()),
            });
            Answer::json(StatusCode::OK, &json)
        }
        Err(error) => {
            let status = match error {
                ForgetError::Unknown => StatusCode::NOT_FOUND,
                ForgetError::TooOften => StatusCode::CONFLICT,
            };
            let json = serde_json::json!({ "client": client, "error": error.to_string() });
            Answer::json(status, &json)
        }
    }
}
