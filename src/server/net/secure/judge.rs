//! Judging the certificate of another server: whichever end dials, it must be one for both.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme, server,
};

/// TLS has the one who dials look whether a certificate is a server's, and the one who is dialled whether it is a client's.
/// Servers are both, so that each looks for both: or one that may only be dialled would have links with some neighbours and
/// not with others, and a certificate for a web server of that name would do.
#[derive(Debug)]
pub(super) struct Judge {
    diallers: Arc<dyn ClientCertVerifier>,
    acceptors: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    /// Takes the word of `roots`.
    pub(super) fn new(roots: &Arc<RootCertStore>) -> Result<Self, server::VerifierBuilderError> {
        let provider = super::tls::provider();
        let (clients, servers) = (Arc::clone(roots), Arc::clone(roots));
        let diallers =
            WebPkiClientVerifier::builder_with_provider(clients, Arc::clone(&provider)).build()?;
        let algorithms = provider.signature_verification_algorithms;
        let acceptors = WebPkiServerVerifier::builder_with_provider(servers, provider).build()?;
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
        // Which server it is shows only in its first line, and is looked at then.
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
