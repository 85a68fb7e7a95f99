//! Verification of another server's certificate, which must suit both ends of a connection.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme, server,
};

/// Accepts only certificates that are valid for a server and for a client. TLS itself lets each end
/// check only the other's role in this handshake, but a herd's server has both roles. Otherwise a
/// server whose certificate suits one role would link with some neighbours and not with others, and
/// the certificate of a web server with the same name would be accepted.
#[derive(Debug)]
pub(super) struct Judge {
    diallers: Arc<dyn ClientCertVerifier>,
    acceptors: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    /// Trusts the authorities in `roots`, and checks signatures by `provider`.
    pub(super) fn new(
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, server::VerifierBuilderError> {
        let (clients, servers) = (Arc::clone(roots), Arc::clone(roots));
        let diallers =
            WebPkiClientVerifier::builder_with_provider(clients, Arc::clone(provider)).build()?;
        let algorithms = provider.signature_verification_algorithms;
        let acceptors =
            WebPkiServerVerifier::builder_with_provider(servers, Arc::clone(provider)).build()?;
        Ok(Self {
            diallers,
            acceptors,
            roots: Arc::clone(roots),
            algorithms,
        })
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            (self.acceptors).verify_server_cert(certificate, between, name, ocsp, now)?;
        (self.diallers).verify_client_cert(certificate, between, now)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.acceptors).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.acceptors).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.acceptors.supported_verify_schemes()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.diallers.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = (self.diallers).verify_client_cert(certificate, between, now)?;
        // The name is checked later, when the first line says which server this is.
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.diallers).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.diallers).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.diallers.supported_verify_schemes()
    }
}
