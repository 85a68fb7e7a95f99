//! Messages for errors of TLS: the cause, and what to do about it.

use std::fmt;
use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};
use x509_parser::time::ASN1Time;

/// The two ends of a connection, since advice differs between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Two servers of a herd, seen from either end.
    Servers,
    /// A server and its client, seen from the server.
    ServerAndClient,
    /// A server and its client, seen from the client.
    ClientAndServer,
    /// A server and Places, seen from the server.
    ServerAndPlaces,
}

impl Between {
    /// The other end, as messages call it.
    const fn other(self) -> &'static str {
        match self {
            Self::Servers => "the other server",
            Self::ServerAndClient => "the client",
            Self::ClientAndServer => "the server",
            Self::ServerAndPlaces => "whoever answers as Places",
        }
    }

    /// The setting or file with the authorities that this end trusts, as messages call it.
    const fn trusted(self) -> &'static str {
        match self {
            Self::Servers => "`peer-authorities`",
            // Clients show no certificates.
            Self::ServerAndClient => "nothing",
            Self::ClientAndServer => "the file of `--tls-authorities`",
            Self::ServerAndPlaces => "this machine's authorities, or `places-authorities`,",
        }
    }

    /// This end's own certificate, as messages call it.
    const fn own(self) -> &'static str {
        match self {
            Self::Servers => "this server's certificate (`peer-certificate`)",
            Self::ServerAndClient => "this server's certificate (`client-certificate`)",
            Self::ClientAndServer | Self::ServerAndPlaces => "a certificate of this end",
        }
    }
}

/// A failure of TLS, during the handshake or later, with a message for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// Replaces the message of an error of TLS. Other errors stay as they are.
pub fn in_words(error: io::Error, between: Between) -> io::Error {
    let kind = error.kind();
    let Some(inner) = error.get_ref() else {
        return error;
    };
    let words = match inner.downcast_ref::<Error>() {
        Some(tls) => words(tls, between),
        // Both TLS libraries have their own message for an early end, one of them with a URL.
        None if kind == io::ErrorKind::UnexpectedEof => {
            let other = between.other();
            format!("{other} ended the connection in the midst of TLS")
        }
        None => return error,
    };
    io::Error::new(kind, TlsError(words))
}

/// The message for an error of TLS.
pub(super) fn words(error: &Error, between: Between) -> String {
    let other = between.other();
    match error {
        Error::InvalidCertificate(error) => certificate(error, between),
        Error::AlertReceived(alert) => alerted(*alert, between),
        Error::NoCertificatesPresented => {
            format!("{other} shows no certificate: give it one (`peer-certificate`, `peer-key`)")
        }
        Error::InvalidMessage(_) => {
            format!(
                "what {other} sends is no TLS; it may not speak TLS, or the port may be another's"
            )
        }
        Error::PeerIncompatible(_) => {
            format!(
                "{other} has no kind of TLS in common with this end, which speaks TLS 1.3 alone"
            )
        }
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => {
            format!(
                "{other} does not keep to the rules of TLS; something on the way may change what it sends"
            )
        }
        Error::NoApplicationProtocol => format!("{other} speaks no HTTP/1.1 over TLS"),
        Error::General(text) => text.clone(),
        error => format!("TLS failed: {error}"),
    }
}

/// The message for a problem with the other end's certificate.
fn certificate(error: &CertificateError, between: Between) -> String {
    use CertificateError as Bad;
    let of_whom = format!("the certificate of {}", between.other());
    match error {
        Bad::Expired => format!("{of_whom}, or of its authority, has expired: renew it"),
        Bad::ExpiredContext { not_after, .. } => format!(
            "{of_whom}, or of its authority, expired on {}: renew it (or set the clock of this machine right)",
            moment(*not_after)
        ),
        Bad::NotValidYet => {
            format!("{of_whom}, or of its authority, is not good yet: are both clocks right?")
        }
        Bad::NotValidYetContext { not_before, .. } => format!(
            "{of_whom}, or of its authority, is not good before {}: are both clocks right?",
            moment(*not_before)
        ),
        Bad::UnknownIssuer => format!(
            "{of_whom} is by an authority that is not trusted here: {} must hold the authority's own",
            between.trusted()
        ),
        Bad::NotValidForName => format!("{of_whom} is for another name"),
        Bad::NotValidForNameContext {
            expected,
            presented,
        } => {
            let help = match between {
                Between::ClientAndServer => "; `--tls-name` gives the name that it must be for",
                _ => "",
            };
            format!(
                "{of_whom} is for {}, not for {}{help}",
                names(presented),
                name(expected)
            )
        }
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => match between {
            Between::Servers => format!("{of_whom} {UNFIT}"),
            _ => {
                format!("{of_whom} is not one for servers: its extended key usages lack serverAuth")
            }
        },
        Bad::BadSignature => {
            format!("{of_whom} is not signed by the authority that it names: issue it anew")
        }
        Bad::BadEncoding => format!("{of_whom} is malformed: issue it anew"),
        Bad::Revoked => format!("{of_whom} is revoked"),
        Bad::UnsupportedSignatureAlgorithmContext { .. }
        | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "{of_whom} is signed in a way that is not taken here: use ECDSA, Ed25519, or RSA of 2048 bits or more with SHA-256 or better"
        ),
        Bad::UnhandledCriticalExtension => {
            format!("{of_whom} has a critical extension that is not known here: issue it without")
        }
        Bad::Other(other) => match other.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!("{of_whom} {OF_AUTHORITY}"),
            Some(error) => format!("{of_whom} is not as the standard has it: {}", apart(error)),
            None => format!("{of_whom} can't be used: {}", other.0),
        },
        error => format!("{of_whom} can't be used: {}", apart(error)),
    }
}

/// The message for a certificate that suits only one end of a connection.
pub(super) const UNFIT: &str = "is not for both ends of a connection between servers: it needs both extended key usages, \
                                serverAuth and clientAuth, or none at all";

/// The message for an authority's own certificate that is used as a server's.
pub(super) const OF_AUTHORITY: &str = "is an authority's own (basicConstraints CA:TRUE), which no server may show: let that \
                                       authority issue one with CA:FALSE, and trust the authority";

/// The message for an alert by which the other end ended TLS.
fn alerted(alert: AlertDescription, between: Between) -> String {
    use AlertDescription as Alert;
    let (other, own) = (between.other(), between.own());
    match alert {
        Alert::CertificateExpired => {
            format!("{other} says that {own} has expired: renew it (or the clocks differ)")
        }
        Alert::UnknownCA => format!(
            "{other} does not trust the authority that issued {own}: add that authority there, or have the certificate issued by another"
        ),
        Alert::UnsupportedCertificate => match between {
            Between::Servers => format!("{other} says that {own} {UNFIT}"),
            _ => format!("{other} says that {own} is of a kind that it does not take"),
        },
        Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateRevoked
        | Alert::NoCertificate => format!(
            "{other} does not take {own}: is it for the right name, and by an authority that is trusted there?"
        ),
        Alert::CertificateRequired => {
            format!("{other} wants a certificate, and this end has none to show")
        }
        Alert::AccessDenied => format!("{other} lets this end not in, though TLS is right"),
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => format!(
            "{other} has no kind of TLS in common with this end, which speaks TLS 1.3 alone"
        ),
        Alert::UnrecognisedName => format!("{other} has another name"),
        Alert::UserCanceled | Alert::CloseNotify => format!("{other} gave up the handshake"),
        alert => format!(
            "{other} ended TLS, and gives as its reason: {}",
            apart(&alert)
        ),
    }
}

/// Splits a name that a library writes in camel case into words.
fn apart(joined: &dyn fmt::Debug) -> String {
    let joined = format!("{joined:?}");
    // Details after the name don't help an operator.
    let joined = joined.split(['(', ' ', '{']).next().unwrap_or_default();
    let mut words = String::new();
    for letter in joined.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn moment(time: UnixTime) -> String {
    date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// A time in POSIX seconds as text for people.
pub(super) fn date(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let time = time.to_datetime();
            let (hour, minute) = (time.hour(), time.minute());
            format!("{} {hour:02}:{minute:02} UTC", time.date())
        }
        // The year has five digits or more.
        Err(_) => format!("{seconds} (POSIX seconds)"),
    }
}

fn name(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

/// The number of names in a certificate that a message lists.
const MOST_NAMES: usize = 3;

/// The names in a certificate for a message. Beyond the first few, an ellipsis stands for the rest.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name that counts (it needs a subjectAltName)".to_owned();
    }
    // The library formats names as Rust's debug output, such as `DnsName("a")`.
    let bare = |shown: &String| {
        let inner = shown.split_once('(').map_or(&**shown, |(_, inner)| inner);
        inner.trim_matches([')', '"']).to_owned()
    };
    let mut names: Vec<String> = presented.iter().take(MOST_NAMES).map(bare).collect();
    if presented.len() > MOST_NAMES {
        names.push("…".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error, OtherError};

    use super::{Between, apart, names, words};

    const ALL: [Between; 4] = [
        Between::Servers,
        Between::ServerAndClient,
        Between::ClientAndServer,
        Between::ServerAndPlaces,
    ];

    #[test]
    fn no_error_is_told_as_rust_prints_it() {
        let other = |error| CertificateError::Other(OtherError(std::sync::Arc::new(error))).into();
        let mut errors: Vec<Error> = vec![
            other(webpki::Error::CaUsedAsEndEntity),
            other(webpki::Error::PathLenConstraintViolated),
            CertificateError::UnknownIssuer.into(),
            CertificateError::InvalidPurpose.into(),
            CertificateError::UnknownRevocationStatus.into(),
            rustls::PeerIncompatible::NoCipherSuitesInCommon.into(),
            rustls::PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            rustls::InvalidMessage::InvalidContentType.into(),
            Error::NoCertificatesPresented,
            Error::DecryptError,
            Error::NoApplicationProtocol,
        ];
        errors.extend((0..=u8::MAX).map(|code| Error::AlertReceived(AlertDescription::from(code))));
        for error in &errors {
            for between in ALL {
                let told = words(error, between);
                let joined = told.split([' ', ',', '(', ')', ':']).any(|word| {
                    let inner = word.get(1..).unwrap_or_default();
                    let is_joined =
                        inner.contains(char::is_uppercase) && word.contains(char::is_lowercase);
                    is_joined && !matches!(word, "serverAuth" | "clientAuth" | "basicConstraints")
                });
                assert!(!joined && !told.contains(['{', '"']), "{error:?}: {told}");
            }
        }
    }

    #[test]
    fn names_are_told_as_people_write_them() {
        assert_eq!(
            apart(&webpki::Error::CaUsedAsEndEntity),
            "ca used as end entity"
        );
        let presented = ["DnsName(\"a\")", "DnsName(\"b.c\")", "x", "y"].map(str::to_owned);
        assert_eq!(names(&presented), "a, b.c, x, …");
        assert!(names(&[]).contains("subjectAltName"));
    }
}
