//! TLS 1.3. Between servers both ends show certificates; with clients only the server does.
//!
//! A server's certificate contains its name in the herd as a DNS name, in any case. No session is
//! ever resumed, with a server or a client, so each connection shows its certificates.

use std::fmt;
use std::io;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncWrite};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier as _;
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::clock::Clock;
use super::error::CredentialsError;
use super::handshake::{Channel, Proof};
use super::judge::Judge;
use super::pem::Pem;
use super::validity::{Use, why_unfit};
use super::words::{Between, in_words, words};

/// Whether a certificate can contain this server name. The labels between points have 1 to 63
/// letters, digits, `_` or `-`, without `-` at an end, and the last is not only digits.
pub fn is_certifiable(name: &str) -> bool {
    matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_))) && !name.ends_with('.')
}

/// Whether the first certificate of `chain` is for the server `name`.
pub(super) fn is_certified(chain: &[CertificateDer<'_>], name: &str) -> bool {
    let certificate = chain.first().map(ParsedCertificate::try_from);
    let name = is_certifiable(name).then(|| ServerName::try_from(name));
    match (certificate, name) {
        (Some(Ok(certificate)), Some(Ok(name))) => verify_server_name(&certificate, &name).is_ok(),
        _ => false,
    }
}

/// A server's credentials for TLS with other servers.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    dial: Arc<ClientConfig>,
    accept: Arc<ServerConfig>,
    judge: Arc<Judge>,
    clock: Clock,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// The credentials of server `me`: its `certificate` (followed by intermediate ones), its
    /// `key`, and the `authorities` that it trusts. `clock` decides which certificates are valid
    /// now.
    ///
    /// # Errors
    ///
    /// When a part is invalid, when parts do not match, or when the certificate is for another
    /// server.
    pub fn new(
        me: &str,
        authorities: &Pem,
        certificate: &Pem,
        key: &Pem,
        clock: Clock,
    ) -> Result<Self, CredentialsError> {
        if !is_certifiable(me) {
            let what = "no certificate can name this server; its name must be a host's name: rename \
                        it, or use a secret";
            return Err(CredentialsError::new(me, what));
        }
        let roots = authorities.authorities()?;
        let chain = certificate.certificates()?;
        if !is_certified(&chain, me) {
            let what = format!("the certificate is not for {me}: it needs {me} as a DNS name");
            return Err(certificate.wrong(what));
        }
        if let Some(why) = chain.first().and_then(|own| why_unfit(own, Use::Servers)) {
            return Err(certificate.wrong(why));
        }
        let provider = provider();
        let judge =
            Judge::new(&roots, &provider).map_err(|error| authorities.wrong(error.to_string()))?;
        let judge = Arc::new(judge);
        let time = Arc::new(clock.clone());
        let mut dial = ClientConfig::builder_with_details(Arc::clone(&provider), time.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| key.wrong(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&judge) as _)
            .with_client_auth_cert(chain.clone(), key.key()?)
            .map_err(|error| unfit(key, &error))?;
        dial.resumption = Resumption::disabled();
        let mut accept = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| key.wrong(error.to_string()))?
            .with_client_cert_verifier(Arc::clone(&judge) as _)
            .with_single_cert(chain, key.key()?)
            .map_err(|error| unfit(key, &error))?;
        never_resume(&mut accept);
        Ok(Self(Arc::new(Inner {
            dial: Arc::new(dial),
            accept: Arc::new(accept),
            judge,
            clock,
        })))
    }

    /// The same credentials with a certificate that `new` rejects, for tests of the other end.
    #[cfg(test)]
    pub(super) fn showing(&self, certificate: &Pem, key: &Pem) -> Self {
        let Inner { judge, clock, .. } = &*self.0;
        let chain = certificate.certificates().expect("a certificate");
        let signed = || key.key().expect("a key");
        let time = Arc::new(clock.clone());
        let mut dial_so = ClientConfig::builder_with_details(provider(), time.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(judge) as _)
            .with_client_auth_cert(chain.clone(), signed())
            .expect("they fit");
        dial_so.resumption = Resumption::disabled();
        let mut accept_so = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(Arc::clone(judge) as _)
            .with_single_cert(chain, signed())
            .expect("they fit");
        never_resume(&mut accept_so);
        Self(Arc::new(Inner {
            dial: Arc::new(dial_so),
            accept: Arc::new(accept_so),
            judge: Arc::clone(judge),
            clock: clock.clone(),
        }))
    }

    /// The same credentials, but willing to resume sessions at both ends, for tests of the other end.
    #[cfg(test)]
    pub(super) fn resuming(&self) -> Self {
        let Inner {
            judge,
            clock,
            accept,
            dial,
        } = &*self.0;
        Self(Arc::new(Inner {
            dial: willing_to_resume(dial),
            accept: willing_to_be_resumed(accept),
            judge: Arc::clone(judge),
            clock: clock.clone(),
        }))
    }

    /// Completes the handshake with server `name`, which this one dialled.
    pub(super) async fn dial<S>(&self, name: &str, stream: S) -> io::Result<(Channel<S>, Proof)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            io::Error::other(format!("no certificate can be for a server called {name}"))
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.0.dial));
        let stream = connector.connect(server, stream).await;
        let stream = stream.map_err(|error| in_words(error, Between::Servers))?;
        let chain = owned(stream.get_ref().1.peer_certificates());
        let dialled = Some(name.to_owned());
        Ok((
            Channel::Tls(Box::new(stream.into()), Between::Servers),
            Proof::Certificate { chain, dialled },
        ))
    }

    /// Completes the handshake with a server that dialled this one.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<(Channel<S>, Proof)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.accept));
        let stream = acceptor.accept(stream).await;
        let stream = stream.map_err(|error| in_words(error, Between::Servers))?;
        let chain = owned(stream.get_ref().1.peer_certificates());
        Ok((
            Channel::Tls(Box::new(stream.into()), Between::Servers),
            Proof::Certificate {
                chain,
                dialled: None,
            },
        ))
    }

    /// Checks whether a certificate from a handshake is still valid now, by these authorities.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        dialled: Option<&str>,
    ) -> Result<(), rustls::Error> {
        let Inner { judge, clock, .. } = &*self.0;
        let (first, between) =
            (chain.split_first()).ok_or(rustls::Error::NoCertificatesPresented)?;
        match dialled.map(ServerName::try_from) {
            None => (judge.verify_client_cert(first, between, clock.now())).map(drop),
            Some(Ok(name)) => {
                (judge.verify_server_cert(first, between, &name, &[], clock.now())).map(drop)
            }
            Some(Err(_)) => Err(rustls::CertificateError::NotValidForName.into()),
        }
    }
}

/// A server's credentials for TLS with its clients, which need no certificate.
#[derive(Clone)]
pub struct ClientTls(Arc<ServerConfig>);

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl ClientTls {
    /// The credentials from the `certificate` that clients see (followed by intermediate ones), and
    /// its `key`.
    ///
    /// # Errors
    ///
    /// When a part is invalid, or the key does not match the certificate.
    pub fn new(certificate: &Pem, key: &Pem, clock: Clock) -> Result<Self, CredentialsError> {
        let chain = certificate.certificates()?;
        if let Some(why) = chain.first().and_then(|own| why_unfit(own, Use::Clients)) {
            return Err(certificate.wrong(why));
        }
        let mut config = ServerConfig::builder_with_details(provider(), Arc::new(clock))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| key.wrong(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key.key()?)
            .map_err(|error| unfit(key, &error))?;
        never_resume(&mut config);
        Ok(Self(Arc::new(config)))
    }

    /// The same credentials, but willing to resume sessions, for tests of the other end.
    #[cfg(test)]
    pub(super) fn resuming(&self) -> Self {
        Self(willing_to_be_resumed(&self.0))
    }

    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<Channel<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0));
        let stream = acceptor.accept(stream).await;
        let stream = stream.map_err(|error| in_words(error, Between::ServerAndClient))?;
        Ok(Channel::Tls(
            Box::new(stream.into()),
            Between::ServerAndClient,
        ))
    }
}

/// A client's side of TLS. It shows no certificate.
#[derive(Clone)]
pub struct CallerTls {
    config: Arc<ClientConfig>,
    between: Between,
}

impl fmt::Debug for CallerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerTls").finish_non_exhaustive()
    }
}

impl CallerTls {
    /// Trusts `authorities` to identify servers. `clock` decides which certificates are valid now.
    ///
    /// # Errors
    ///
    /// When the text contains no authority.
    pub fn new(authorities: &Pem, clock: Clock) -> Result<Self, CredentialsError> {
        let roots = RootCertStore::clone(&*authorities.authorities()?);
        let made = Self::trusting(roots, clock, Vec::new(), Between::ClientAndServer);
        made.map_err(|error| authorities.wrong(error.to_string()))
    }

    /// Like `new`, but with authorities that are already parsed. `protocols` are for ALPN, and
    /// `between` names the two ends for errors.
    pub(crate) fn trusting(
        roots: RootCertStore,
        clock: Clock,
        protocols: Vec<Vec<u8>>,
        between: Between,
    ) -> Result<Self, rustls::Error> {
        let mut config = ClientConfig::builder_with_details(provider(), Arc::new(clock))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols;
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Ok(Self { config, between })
    }

    /// The same client, but willing to resume sessions, for tests of the other end.
    #[cfg(test)]
    pub(super) fn resuming(&self) -> Self {
        Self {
            config: willing_to_resume(&self.config),
            between: self.between,
        }
    }

    /// Completes the handshake with the server whose certificate is for `name`, a host name or an
    /// IP address.
    ///
    /// # Errors
    ///
    /// When the other end is not that server, or does not use TLS. The error's message says so.
    pub async fn connect<S>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            io::Error::other(format!(
                "no certificate can be for `{name}`, which is no host's name: say another one"
            ))
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(server, stream).await;
        stream.map_err(|error| in_words(error, self.between))
    }
}

/// The cryptography of this crate, whatever provider the program has installed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Offers the other end no session to resume, and stores none. A resumed session shows no
/// certificate, so it could go on after the certificate expired or its authority is no longer
/// trusted.
fn never_resume(config: &mut ServerConfig) {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
}

#[cfg(test)]
fn willing_to_resume(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

#[cfg(test)]
fn willing_to_be_resumed(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    config.send_tls13_tickets = 2;
    Arc::new(config)
}

fn unfit(key: &Pem, error: &rustls::Error) -> CredentialsError {
    key.wrong(match error {
        rustls::Error::InconsistentKeys(_) => "this is not the key of the certificate".to_owned(),
        error => {
            let why = words(error, Between::Servers);
            format!("the key or its certificate can't be used: {why}")
        }
    })
}

fn owned(chain: Option<&[CertificateDer<'_>]>) -> Vec<CertificateDer<'static>> {
    let chain = chain.unwrap_or_default().iter();
    chain
        .map(|certificate| certificate.clone().into_owned())
        .collect()
}
