//! PEM files: certificates, authorities and private keys.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::CredentialsError;

/// The text of a PEM file, and its name for errors. Debug output hides the text, since it may
/// contain a key.
#[derive(Clone)]
pub struct Pem {
    place: String,
    text: Vec<u8>,
}

impl Pem {
    /// Takes the text, which errors call `place`.
    pub fn new(place: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        let (place, text) = (place.into(), text.into());
        Self { place, text }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file can't be read.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let text = std::fs::read(path).map_err(|error| {
            CredentialsError::new(path.display(), format!("can't read it: {error}"))
        })?;
        Ok(Self::new(path.display().to_string(), text))
    }

    /// The name of the text in errors.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The error that something is wrong with the text.
    pub(super) fn wrong(&self, what: impl Into<String>) -> CredentialsError {
        CredentialsError::new(&self.place, what)
    }

    /// All certificates in the text, at least one.
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

    /// The private key in the text.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, CredentialsError> {
        // The error is dropped, since it might contain a part of the key.
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|_| {
            self.wrong("there is no private key in it; it must be PEM (BEGIN PRIVATE KEY)")
        })
    }

    /// All certificates in the text, as trusted authorities.
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
