//! The client of a server's admin listener, for `herd status` and `herd health`.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future::or;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, Version};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::Token;
use crate::herd::Address;
use crate::net::Net;

/// The largest body that is read, in bytes. No admin listener sends more.
const LARGEST_BODY: usize = 4 << 20;

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// Why a request got no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The connection can't be opened.
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    /// The deadline passed first.
    #[error("no answer in time")]
    Late,
    /// The reply is not what an admin listener sends.
    #[error("what answers there is no admin listener of a server")]
    NotHttp,
}

/// Requests `path` from the admin listener at `at`. `patience` limits the whole exchange.
pub async fn get<N: Net>(
    net: &N,
    at: &Address,
    path: &str,
    patience: Duration,
) -> Result<Reply, AskError> {
    let asked = timeout(patience, exchange(net, at, path, None)).await;
    asked.unwrap_or(Err(AskError::Late))
}

/// Posts to `path` at the admin listener at `at`, and shows `token`. `patience` limits the whole
/// exchange.
pub async fn post<N: Net>(
    net: &N,
    at: &Address,
    path: &str,
    token: &Token,
    patience: Duration,
) -> Result<Reply, AskError> {
    let asked = timeout(patience, exchange(net, at, path, Some(token))).await;
    asked.unwrap_or(Err(AskError::Late))
}

async fn exchange<N: Net>(
    net: &N,
    at: &Address,
    path: &str,
    token: Option<&Token>,
) -> Result<Reply, AskError> {
    let stream = TokioIo::new(net.connect(at).await?.stream);
    let no_http = |_| AskError::NotHttp;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(no_http)?;
    let mut request = Request::get(path)
        .version(Version::HTTP_11)
        .header(HOST, at.to_string());
    if let Some(token) = token {
        let shown = HeaderValue::try_from(token.authorization());
        let mut shown = shown.map_err(|_| AskError::NotHttp)?;
        // Debug output of the headers then hides the token.
        shown.set_sensitive(true);
        request = request.method(Method::POST).header(AUTHORIZATION, shown);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_| AskError::NotHttp)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(no_http)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST_BODY);
        let body = body.collect().await.map_err(|_| AskError::NotHttp)?;
        let body = body.to_bytes();
        Ok(Reply { status, body })
    };
    let driven = async {
        // The reply, or its absence, shows how the connection ended.
        let _ = connection.await;
        pending().await
    };
    or(answered, driven).await
}
