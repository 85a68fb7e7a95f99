//! When certificates become valid and expire, so that an operator is warned in time.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::CredentialsError;
use super::pem::Pem;
use super::words::{OF_AUTHORITY, UNFIT, date};
use crate::protocol::time::Timestamp;
use crate::protocol::visible;

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;

/// A certificate in a file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The setting that names the file.
    pub setting: &'static str,
    /// The path of the file.
    pub place: String,
    /// The subject in the certificate.
    pub subject: String,
    /// The start of its validity, in POSIX seconds.
    pub from: i64,
    /// The end of its validity, in POSIX seconds.
    pub until: i64,
}

impl Validity {
    /// A warning for the operator, if the certificate is not valid `now` or expires within `days`.
    pub fn warning(&self, now: Timestamp, days: usize) -> Option<String> {
        let now = i64::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX);
        let days = i64::try_from(days).unwrap_or(i64::MAX);
        let Self {
            setting,
            place,
            subject,
            from,
            until,
        } = self;
        let what = format!("the certificate of {subject} in {place} (`{setting}`)");
        let left = until.saturating_sub(now);
        if left <= 0 {
            let until = date(*until);
            return Some(format!(
                "{what} expired on {until}: who sees it refuses it, or what it issued; renew it, then send SIGHUP"
            ));
        }
        if *from > now {
            let from = date(*from);
            return Some(format!(
                "{what} is not good before {from}: is the clock of this machine right?"
            ));
        }
        if left > days.saturating_mul(DAY) {
            return None;
        }
        let soon = match left / DAY {
            0 => "within a day".to_owned(),
            1 => "in a day".to_owned(),
            days => format!("in {days} days"),
        };
        let until = date(*until);
        Some(format!(
            "{what} expires {soon}, on {until}: renew it, then send SIGHUP"
        ))
    }
}

/// The certificates that a server has loaded from files, and when to warn of their end.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// All certificates. Those of one file are adjacent.
    pub all: Vec<Validity>,
    /// The number of days before a certificate's end at which warnings begin.
    pub days: usize,
}

impl Certificates {
    /// The warnings for an operator, at the time `now`.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let warnings = self.all.iter();
        warnings
            .filter_map(|validity| validity.warning(now, self.days))
            .collect()
    }

    /// When the first certificate of each file expires, in POSIX seconds, by the setting that names
    /// the file.
    pub fn first_ends(&self) -> Vec<(&'static str, i64)> {
        let mut ends: Vec<(&'static str, i64)> = Vec::new();
        for Validity { setting, until, .. } in &self.all {
            match ends.iter_mut().find(|(known, _)| known == setting) {
                Some((_, first)) => *first = (*first).min(*until),
                None => ends.push((setting, *until)),
            }
        }
        ends
    }
}

impl Pem {
    /// The validity of each certificate in the text, which comes from the file that `setting`
    /// names. A certificate that can't be parsed is left out, since the code that uses it reports
    /// the error.
    ///
    /// # Errors
    ///
    /// When there is no certificate in the text.
    pub fn validities(&self, setting: &'static str) -> Result<Vec<Validity>, CredentialsError> {
        let certificates = self.certificates()?;
        let read = certificates.iter().filter_map(|certificate| {
            let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
            let validity = certificate.validity();
            Some(Validity {
                setting,
                place: self.place().to_owned(),
                subject: visible(&certificate.subject().to_string()),
                from: validity.not_before.timestamp(),
                until: validity.not_after.timestamp(),
            })
        });
        Ok(read.collect())
    }
}

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A server shows it to neighbours, both those that it dials and those that dial it.
    Servers,
    /// A server shows it to its clients.
    Clients,
}

/// Why a certificate does not suit this purpose, whoever signed it.
pub(super) fn why_unfit(certificate: &CertificateDer<'_>, used: Use) -> Option<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Some("the certificate is malformed: issue it anew".to_owned());
    };
    let usages = match certificate.extended_key_usage() {
        Ok(usages) => usages.map(|usages| usages.value),
        Err(_) => {
            return Some("the certificate's extensions are malformed: issue it anew".to_owned());
        }
    };
    let serves = usages.is_none_or(|usages| usages.server_auth);
    let dials = usages.is_none_or(|usages| usages.client_auth);
    match used {
        // An authority's own certificate passes here, since some clients accept it.
        Use::Clients if serves => None,
        Use::Clients => Some(
            "the certificate is not one for servers: its extended key usages lack serverAuth"
                .to_owned(),
        ),
        Use::Servers if certificate.is_ca() => Some(format!("the certificate {OF_AUTHORITY}")),
        Use::Servers if serves && dials => None,
        Use::Servers => Some(format!("the certificate {UNFIT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Certificates, Validity, date};
    use crate::protocol::time::Timestamp;

    const NOW: i64 = 1_700_000_000;
    const DAY: i64 = super::DAY;

    fn good(setting: &'static str, from: i64, until: i64) -> Validity {
        Validity {
            setting,
            place: "a.pem".to_owned(),
            subject: "CN=A".to_owned(),
            from: NOW + from,
            until: NOW + until,
        }
    }

    #[test]
    fn who_is_warned_hears_when_and_what_to_do() {
        let now = Timestamp::new(NOW.unsigned_abs(), 0);
        let warned = |from, until, days| good("peer-key", from, until).warning(now, days);
        assert_eq!(warned(-DAY, 14 * DAY + 1, 14), None);
        for (from, until, words) in [
            (
                -DAY,
                14 * DAY,
                "expires in 14 days, on 2023-11-28 22:13 UTC",
            ),
            (-DAY, DAY + 1, "expires in a day"),
            (
                -DAY,
                1,
                "expires within a day, on 2023-11-14 22:13 UTC: renew it",
            ),
            (-DAY, 0, "expired on 2023-11-14 22:13 UTC"),
            (-9 * DAY, -3 * DAY, "expired on 2023-11-11"),
            (60, 99 * DAY, "is not good before 2023-11-14 22:14 UTC"),
        ] {
            let warning = warned(from, until, 14).expect("a warning");
            assert!(warning.contains(words), "{words}: {warning}");
        }
        assert!(warned(-DAY, DAY, 0).is_none());
        assert_eq!(date(i64::MAX), format!("{} (POSIX seconds)", i64::MAX));
    }

    #[test]
    fn of_each_file_the_first_end_counts() {
        let all = vec![good("a", 0, 9), good("a", 0, 5), good("b", 0, 7)];
        let certificates = Certificates { all, days: 0 };
        let ends = certificates.first_ends();
        assert_eq!(ends, [("a", NOW + 5), ("b", NOW + 7)]);
    }
}
