//! TLS 1.3, with certificates at both ends between servers and at the server's alone for clients.
//!
//! A server's certificate names it as a DNS name, exactly as the herd does and whatever the case.
//! Sessions are never resumed: each connection shows its certificate.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncWrite};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::server::danger::ClientCertVerifier as _;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::credentials::{Clock, CredentialsError};
use super::judge::Judge;
use super::proved::Proof;
use super::stream::Channel;
use super::validity::{Use, why_unfit};
use super::words::{Between, in_words, words};

/// The text of a PEM file, and what to call it where it is wrong. It may hold a key, so it does not show.
#[derive(Clone)]
pub struct Pem {
    place: String,
    text: Vec<u8>,
}

impl Pem {
    /// Text that is called `place`.
    pub fn new(place: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        let (place, text) = (place.into(), text.into());
        Self { place, text }
    }

    /// The file at `path`.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let text = std::fs::read(path).map_err(|error| {
            CredentialsError::new(path.display(), format!("can't read it: {error}"))
        })?;
        Ok(Self::new(path.display().to_string(), text))
    }

    /// What to call it.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    fn wrong(&self, what: impl Into<String>) -> CredentialsError {
        CredentialsError::new(&self.place, what)
    }

    /// All certificates in it, of which there is at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) | Err(pem::Error::NoItemsFound) => {
                Err(self.wrong("there is no certificate in it; it must be PEM (BEGIN CERTIFICATE)"))
            }
            Err(error) => Err(self.wrong(format!("it is no good PEM: {error}"))),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, CredentialsError> {
        // The error is dropped: what it holds need not be free of the key.
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|_| {
            self.wrong("there is no private key in it; it must be PEM (BEGIN PRIVATE KEY)")
        })
    }

    /// All certificates in it as authorities.
    pub(crate) fn authorities(&self) -> Result<Arc<RootCertStore>, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|_| {
                self.wrong(
                    "it holds what is no authority's certificate: each must be one, whole, in PEM",
                )
            })?;
        }
        Ok(Arc::new(roots))
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Whether a certificate can name a server of this name: its parts between points are 1 to 63 letters,
/// digits, `_` or `-`, without `-` at an end, and the last is more than digits.
pub fn is_certifiable(name: &str) -> bool {
    matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_))) && !name.ends_with('.')
}

/// Whether the first certificate of `chain` names a server so.
pub(super) fn is_certified(chain: &[CertificateDer<'_>], name: &str) -> bool {
    let certificate = chain.first().map(ParsedCertificate::try_from);
    let name = is_certifiable(name).then(|| ServerName::try_from(name));
    match (certificate, name) {
        (Some(Ok(certificate)), Some(Ok(name))) => verify_server_name(&certificate, &name).is_ok(),
        _ => false,
    }
}

/// What a server needs for TLS with other servers.
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
    /// The credentials of server `me`: its `certificate` (those between it and an authority after it), its
    /// `key`, and the `authorities` whose word it takes for others. Certificates are judged by `clock`.
    ///
    /// # Errors
    ///
    /// When something is not what it must be, or does not belong together, or is for another server.
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
        let judge = Judge::new(&roots).map_err(|error| authorities.wrong(error.to_string()))?;
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
        accept.send_tls13_tickets = 0;
        Ok(Self(Arc::new(Inner {
            dial: Arc::new(dial),
            accept: Arc::new(accept),
            judge,
            clock,
        })))
    }

    /// The same, but showing what a server never would: for a test of those who are shown it.
    #[cfg(test)]
    pub(super) fn showing(&self, certificate: &Pem, key: &Pem) -> Self {
        let Inner {
            judge,
            clock,
            accept,
            dial,
        } = &*self.0;
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
        dial_so.resumption = dial.resumption.clone();
        let mut accept_so = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(Arc::clone(judge) as _)
            .with_single_cert(chain, signed())
            .expect("they fit");
        accept_so.send_tls13_tickets = accept.send_tls13_tickets;
        Self(Arc::new(Inner {
            dial: Arc::new(dial_so),
            accept: Arc::new(accept_so),
            judge: Arc::clone(judge),
            clock: clock.clone(),
        }))
    }

    /// The handshake with the server called `name`, which this one dialled.
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

    /// The handshake with a server that dialled this one.
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

    /// Whether a certificate that was shown is still good: by these authorities, now.
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

/// What a server needs for TLS with its clients, who need no certificate.
#[derive(Clone)]
pub struct ClientTls(Arc<ServerConfig>);

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl ClientTls {
    /// The `certificate` that clients are shown (those between it and an authority after it), and its `key`.
    ///
    /// # Errors
    ///
    /// When something is not what it must be, or does not belong together.
    pub fn new(certificate: &Pem, key: &Pem, clock: Clock) -> Result<Self, CredentialsError> {
        let chain = certificate.certificates()?;
        if let Some(why) = chain.first().and_then(|own| why_unfit(own, Use::Clients)) {
            return Err(certificate.wrong(why));
        }
        let config = ServerConfig::builder_with_details(provider(), Arc::new(clock))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| key.wrong(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key.key()?)
            .map_err(|error| unfit(key, &error))?;
        Ok(Self(Arc::new(config)))
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

/// What a client needs for TLS with a server, to which it shows nothing.
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
    /// Takes the word of `authorities` for who a server is. Certificates are judged by `clock`.
    ///
    /// # Errors
    ///
    /// When there is no authority in them.
    pub fn new(authorities: &Pem, clock: Clock) -> Result<Self, CredentialsError> {
        let roots = RootCertStore::clone(&*authorities.authorities()?);
        let made = Self::trusting(roots, clock, Vec::new(), Between::ClientAndServer);
        made.map_err(|error| authorities.wrong(error.to_string()))
    }

    /// The same of authorities that were read already; `protocols` are those that are spoken over TLS, `between` the
    /// two ends.
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
        let config = Arc::new(config);
        Ok(Self { config, between })
    }

    /// The handshake with the server whose certificate is for `name`, a host's name or an IP address.
    ///
    /// # Errors
    ///
    /// When the other end is not that server, or speaks no TLS: in words.
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

/// The cryptography: always this, whatever a program that uses this crate has installed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
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
