//! Connections to Places on real networks: TLS, and the proxy that the environment names.

use std::fmt;
use std::io;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::RootCertStore;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::client::TlsStream;

use crate::herd::Address;
use crate::net::secure::{Between, CallerTls, Clock, CredentialsError, Pem};

/// The limit on the head of a proxy's answer, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// TLS to Places, with the certificate authorities that it trusts.
#[derive(Clone)]
pub struct Https(CallerTls);

impl Https {
    /// Trusts the authorities of this machine and those in `more`. `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name the machine's files, if they are not in the usual places. `clock`
    /// decides whether a certificate is valid now.
    ///
    /// # Errors
    ///
    /// When there is no authority at all, or `more` contains none.
    pub fn new(more: Option<&Pem>, clock: Clock) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        // A certificate that can't be read is not trusted; the others are.
        roots.add_parsable_certificates(native.certs);
        Self::trusting(roots, more, clock)
    }

    fn trusting(
        mut roots: RootCertStore,
        more: Option<&Pem>,
        clock: Clock,
    ) -> Result<Self, CredentialsError> {
        if let Some(more) = more {
            roots.extend(more.authorities()?.roots.iter().cloned());
        }
        let wrong = |what: String| CredentialsError::new("TLS to Places", what);
        if roots.is_empty() {
            let what = "this machine trusts no authority; install its package of CA certificates \
                        (ca-certificates), or name a file of them";
            return Err(wrong(what.to_owned()));
        }
        let http = vec![b"http/1.1".to_vec()];
        let tls = CallerTls::trusting(roots, clock, http, Between::ServerAndPlaces);
        Ok(Self(tls.map_err(|error| wrong(error.to_string()))?))
    }

    /// Completes the TLS handshake with `host`.
    pub(super) async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.connect(host, stream).await
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").finish_non_exhaustive()
    }
}

/// A proxy for requests to Places. With TLS it opens a tunnel (`CONNECT`); without TLS it gets
/// requests with the whole address.
#[derive(Clone)]
pub struct Proxy {
    pub(super) address: Address,
    pub(super) authorization: Option<HeaderValue>,
}

/// A proxy's address can't be used. The error leaves the address out, since it may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proxy's address (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) can't be used: it must be \
     http://host:port, with user:password@ before the host where the proxy wants that"
)]
pub struct BadProxy;

impl Proxy {
    /// The proxy at `address`, in the form that the environment's variables have.
    pub fn new(address: &str) -> Result<Self, BadProxy> {
        let matcher = Matcher::builder().all(address).build();
        // No destination is excluded here, so any one serves to find the proxy.
        let found = matcher.intercept(&Uri::from_static("http://places"));
        found.as_ref().ok_or(BadProxy).and_then(Self::from_found)
    }

    /// The proxy that the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) names
    /// for `to`.
    pub fn from_env(to: &Address, is_https: bool) -> Result<Option<Self>, BadProxy> {
        // As with the other variables, the first one that is set counts, even if it is empty.
        let mut exceptions = ["NO_PROXY", "no_proxy"].into_iter();
        let exceptions = exceptions.find_map(|name| std::env::var(name).ok());
        let exceptions = exceptions.unwrap_or_default();
        Self::matching(&Matcher::from_env(), &exceptions, to, is_https)
    }

    fn matching(
        matcher: &Matcher,
        exceptions: &str,
        to: &Address,
        is_https: bool,
    ) -> Result<Option<Self>, BadProxy> {
        let scheme = if is_https { "https" } else { "http" };
        let Ok(uri) = Uri::try_from(format!("{scheme}://{to}/")) else {
            return Ok(None);
        };
        if is_excepted(exceptions, to, &uri) {
            return Ok(None);
        }
        let found = matcher.intercept(&uri);
        found.as_ref().map(Self::from_found).transpose()
    }

    fn from_found(found: &Intercept) -> Result<Self, BadProxy> {
        let uri = found.uri();
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(BadProxy);
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().unwrap_or(80);
        Ok(Self {
            address: Address { host, port },
            authorization: found.basic_auth().cloned().map(|mut authorization| {
                authorization.set_sensitive(true);
                authorization
            }),
        })
    }

    /// Opens a tunnel through the proxy to `to`. After that the stream leads to `to`.
    pub(super) async fn tunnel<S>(&self, mut stream: S, to: &Address) -> io::Result<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        stream.flush().await?;
        let mut head = Vec::new();
        // The destination sends nothing before this end does, so no bytes after the head are lost.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= LARGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
                return Err(io::Error::other("the proxy gave no answer"));
            }
        }
        let status = head.strip_prefix(b"HTTP/1.1 2");
        let status = status.or_else(|| head.strip_prefix(b"HTTP/1.0 2"));
        if status.is_none() {
            return Err(io::Error::other("the proxy refused"));
        }
        Ok(stream)
    }
}

/// Whether `NO_PROXY` names this destination. hyper-util's matcher handles names, addresses and
/// networks. It does not handle ports, brackets, blanks in place of commas, or `*` for addresses,
/// so this function does.
fn is_excepted(exceptions: &str, to: &Address, uri: &Uri) -> bool {
    let entries = exceptions.split(|at: char| at == ',' || at.is_whitespace());
    let mut for_port = Vec::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let (host, port) = split_port(entry);
        if port.is_some_and(|port| port.parse() != Ok(to.port)) {
            continue;
        }
        if host == "*" {
            return true;
        }
        // `*.example.org` means the same as `.example.org`.
        let host = host.strip_prefix('*').unwrap_or(host);
        for_port.push(host.trim_end_matches('.'));
    }
    let matcher = Matcher::builder()
        .all("http://proxy")
        .no(for_port.join(","));
    matcher.build().intercept(uri).is_none()
}

/// The host of an entry without brackets, and its port, if any. An IPv6 address may lack the
/// brackets.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (host, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::client::proxy::matcher::Matcher;
    use rustls::RootCertStore;

    use super::{BadProxy, Https, Proxy};
    use crate::herd::Address;
    use crate::net::secure::Clock;
    use crate::net::tokio::TokioNet;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    #[test]
    fn the_environment_says_which_destinations_have_which_proxy() {
        let matcher = Matcher::builder()
            .https("http://secure:3128")
            .http("plain")
            .build();
        let exceptions = "localhost,.example.org,10.0.0.0/8";
        let found = |host, is_https| {
            let found = Proxy::matching(&matcher, exceptions, &at(host, 443), is_https);
            found.unwrap().map(|proxy| proxy.address.to_string())
        };
        let google = "maps.googleapis.com";
        assert_eq!(found(google, true), Some("secure:3128".to_owned()));
        assert_eq!(found(google, false), Some("plain:80".to_owned()));
        for host in ["localhost", "a.example.org", "10.1.2.3"] {
            assert_eq!(found(host, true), None, "{host}");
        }
    }

    #[test]
    fn what_no_proxy_names_is_asked_without_one_however_it_is_written() {
        let matcher = Matcher::builder().all("http://proxy:3128").build();
        for (exceptions, excepted, others) in [
            // `*` matches everything, addresses included.
            ("*", &["places", "127.0.0.1", "::1"][..], &[][..]),
            (" a , * ", &["places", "127.0.0.1", "::1"], &[]),
            ("*:443", &["places", "127.0.0.1"], &[]),
            ("*:80", &[], &["places", "127.0.0.1"]),
            ("", &[], &["places", "127.0.0.1", "::1"]),
            // Blanks, case and dots vary.
            ("one places", &["places"], &["two"]),
            ("a,\tPLACES,", &["places"], &["placess"]),
            (
                ".example.org",
                &["example.org", "a.Example.org"],
                &["notexample.org"],
            ),
            (
                "*.example.org",
                &["example.org", "a.example.org"],
                &["notexample.org"],
            ),
            (
                "example.org.",
                &["example.org", "a.example.org"],
                &["example.com"],
            ),
            // Entries have ports, or are addresses or networks.
            (
                "places:443,127.0.0.1:443",
                &["places", "127.0.0.1"],
                &["::1"],
            ),
            ("places:80,127.0.0.1:x", &[], &["places", "127.0.0.1"]),
            ("[::1],[::2]:443,::3", &["::1", "::2", "::3"], &["::4"]),
            (
                "10.0.0.0/8,fd00::/8",
                &["10.1.2.3", "fd00::1"],
                &["11.0.0.1", "fe80::1"],
            ),
        ] {
            let found = |host: &&str| {
                let found = Proxy::matching(&matcher, exceptions, &at(host, 443), true);
                found.unwrap().map(|proxy| proxy.address.to_string())
            };
            for host in excepted {
                assert_eq!(found(host), None, "{host} with {exceptions:?}");
            }
            for host in others {
                let proxy = Some("proxy:3128".to_owned());
                assert_eq!(found(host), proxy, "{host} with {exceptions:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_can_not_be_used_is_refused_and_a_password_never_shows() {
        for address in ["", "https://proxy:1", "socks5://proxy:1", "http://"] {
            assert_eq!(Proxy::new(address).unwrap_err(), BadProxy, "{address}");
        }
        let proxy = Proxy::new("http://me:hidden@[::1]:3128").unwrap();
        assert_eq!(proxy.address, at("::1", 3128));
        assert!(proxy.authorization.is_some());
        assert_eq!(
            format!("{proxy:?}"),
            "Proxy { address: Address { host: \"::1\", port: 3128 }, .. }"
        );
    }

    #[test]
    fn a_machine_that_trusts_nobody_is_told_what_to_do() {
        let error = Https::trusting(RootCertStore::empty(), None, Clock::of(&TokioNet));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("install its package of CA certificates"),
            "{error}"
        );
    }
}
