//! A certificate authority for trying TLS out. It issues certificates for a herd's servers, and its
//! own key is never exported.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::net::secure::is_certifiable;
use crate::protocol::time::Timestamp;

/// How long before their creation certificates become valid, because clocks differ.
const BACKDATED: Duration = Duration::from_hours(1);

/// Why a certificate can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// No certificate can contain the server's name. Nothing was created.
    #[error(
        "no certificate can name {0}: between points there must be 1 to 63 letters, digits, `_` or `-`, \
         without `-` at an end, and the last part must be more than digits; rename the server, or let \
         servers share a secret"
    )]
    Name(String),
    /// The cryptography failed.
    #[error("can't make a certificate: {0}")]
    Made(#[from] rcgen::Error),
}

/// An authority, and the validity of the certificates that it issues.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    from: Duration,
    until: Duration,
}

/// A certificate and its private key, both in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// Creates an authority for `herd`. Its certificates are valid for `lifetime` from `now`, and
    /// for an hour before.
    pub fn new(herd: &str, now: Timestamp, lifetime: Duration) -> Result<Self, CertsError> {
        let seconds = u64::try_from(now.as_nanos() / 1_000_000_000).unwrap_or_default();
        let now = Duration::from_secs(seconds);
        let (from, until) = (now.saturating_sub(BACKDATED), now.saturating_add(lifetime));
        let key = KeyPair::generate()?;
        // The name contains a part of the key's digest, because two authorities of one name would
        // be confused until a signature is checked.
        let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
        let id = digest.as_ref().iter().take(4);
        let id = id.fold(0, |id: u32, &byte| id << 8 | u32::from(byte));
        let mut params = params(
            &format!("test authority of herd {herd}, {id:08x}"),
            from,
            until,
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, key)?;
        Ok(Self {
            issuer,
            from,
            until,
        })
    }

    /// The authority's own certificate in PEM, for the list of trusted authorities.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for connections of the server `name` with other servers.
    ///
    /// # Errors
    ///
    /// When no certificate can be for a server of this name.
    pub fn server(&self, name: &str) -> Result<Issued, CertsError> {
        self.servers(&[name])
    }

    /// Issues one certificate for several servers. Only tests need this.
    ///
    /// # Errors
    ///
    /// When a certificate can't contain one of these names.
    pub fn servers(&self, names: &[&str]) -> Result<Issued, CertsError> {
        let mut sans = Vec::new();
        for &name in names {
            if !is_certifiable(name) {
                return Err(CertsError::Name(name.to_owned()));
            }
            sans.push(SanType::DnsName(name.try_into()?));
        }
        // A server dials some neighbours and is dialled by others.
        let usages = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.issue(names.first().copied().unwrap_or_default(), sans, &usages)
    }

    /// Issues a certificate for a listener that accepts clients at these hosts (names or IP
    /// addresses).
    ///
    /// # Errors
    ///
    /// When a host can't be a DNS name, or the cryptography fails.
    pub fn clients(&self, hosts: &[&str]) -> Result<Issued, CertsError> {
        let mut sans = Vec::new();
        for &host in hosts {
            sans.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.try_into()?),
            });
        }
        self.issue("clients", sans, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    fn issue(
        &self,
        name: &str,
        sans: Vec<SanType>,
        usages: &[ExtendedKeyUsagePurpose],
    ) -> Result<Issued, CertsError> {
        let mut params = params(name, self.from, self.until);
        params.subject_alt_names = sans;
        params.extended_key_usages = usages.to_vec();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn params(name: &str, from: Duration, until: Duration) -> CertificateParams {
    // A certificate can't contain a year of more than four digits.
    let most = Duration::from_hours(24 * 365 * 7000);
    let start = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = start + from.min(most);
    params.not_after = start + until.min(most);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
