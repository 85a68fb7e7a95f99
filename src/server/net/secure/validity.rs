//! From when until when certificates are good, so that somebody hears of it before they no longer are.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use super::credentials::CredentialsError;
use super::tls::Pem;
use super::words::{OF_AUTHORITY, UNFIT};
use crate::protocol::time::Timestamp;
use crate::protocol::visible;

/// The seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// A certificate in a file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The setting.
    pub setting: &'static str,
    /// The file.
    pub place: String,
    /// Whose certificate it is, as it says itself.
    pub subject: String,
    /// From when on it is good, in POSIX seconds,
    pub from: i64,
    /// and until when.
    pub until: i64,
}

impl Validity {
    /// What an operator should know of it `now`, if it is no longer good, not yet, or not for as long as `days`.
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

/// The certificates that a server has from files, and how long before their end an operator is warned.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// All of them, those of one file one after the other.
    pub all: Vec<Validity>,
    /// How many days before its end.
    pub days: usize,
}

impl Certificates {
    /// What an operator should know `now`.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let warnings = self.all.iter();
        warnings
            .filter_map(|validity| validity.warning(now, self.days))
            .collect()
    }

    /// When the first certificate of each file expires, in POSIX seconds, by the setting that names the file.
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
    /// From when until when each certificate in it is good; `setting` names the file. What can't be read is left out here:
    /// who needs it says so.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it.
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

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// By a server, with servers that it dials and that dial it.
    Servers,
    /// By a server with its clients.
    Clients,
}

/// Why a certificate can't be used so, whoever signed it.
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
        // Not all programs that clients are made of mind.
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

/// A moment in POSIX seconds as people write it.
pub(super) fn date(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let time = time.to_datetime();
            let (hour, minute) = (time.hour(), time.minute());
            format!("{} {hour:02}:{minute:02} UTC", time.date())
        }
        // A year of five digits or more.
        Err(_) => format!("{seconds} (POSIX seconds)"),
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
