//! Credentials of a server, and how it reaches Places, from the files that the settings name.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use futures_lite::future::or;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Failure;
use crate::admin::Token;
use crate::herd::{Herd, ServerId};
use crate::net::secure::{
    Certificates, ClientTls, Clock, Credentials, CredentialsError, Pem, Secret, Servers, Tls,
};
use crate::net::tokio::TokioNet;
use crate::places::{Https, PlacesConfig, Proxy};
use crate::protocol::time::Timestamp;
use crate::settings::{KeyFiles, PeerFiles, Settings};

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        Self::Input(error.to_string())
    }
}

/// The validity of all certificates that the settings name.
pub(super) fn certificates(settings: &Settings) -> Result<Certificates, Failure> {
    let files = [
        ("peer-authorities", &settings.peers.authorities),
        ("peer-certificate", &settings.peers.own.certificate),
        ("client-certificate", &settings.client_tls.certificate),
        ("places-authorities", &settings.places_authorities),
    ];
    let mut all = Vec::new();
    for (setting, file) in files {
        if let Some(file) = file {
            all.extend(Pem::load(file)?.validities(setting)?);
        }
    }
    let days = settings.certificate_warning_days;
    Ok(Certificates { all, days })
}

/// Warns about certificates that expire: at once, whenever they are replaced, and each day.
pub(super) async fn remind(
    mut certificates: watch::Receiver<Certificates>,
    now: impl Fn() -> Timestamp,
    say: impl Fn(&str),
) -> Infallible {
    loop {
        for warning in certificates.borrow_and_update().warnings(now()) {
            say(&warning);
        }
        let changed = async {
            if certificates.changed().await.is_err() {
                // The sender is gone, so nothing will replace them.
                std::future::pending::<()>().await;
            }
        };
        or(changed, sleep(A_DAY)).await;
    }
}

const A_DAY: Duration = Duration::from_hours(24);

/// The credentials of the server `me`.
pub(super) fn load(settings: &Settings, herd: &Herd, me: ServerId) -> Result<Credentials, Failure> {
    let PeerFiles {
        secret,
        authorities,
        own,
    } = &settings.peers;
    let servers = match (secret, authorities, pair(own)) {
        (Some(secret), ..) => Servers::Secret(Secret::load(secret, herd.name())?),
        (None, Some(authorities), Some((certificate, key))) => {
            let name = &herd.server(me).name;
            let [authorities, certificate, key] = [authorities, certificate, key].map(Pem::load);
            let clock = Clock::of(&TokioNet);
            Servers::Tls(Tls::new(name, &authorities?, &certificate?, &key?, clock)?)
        }
        _ => Servers::Open,
    };
    let clients = match pair(&settings.client_tls) {
        None => None,
        Some((certificate, key)) => {
            let (certificate, key) = (Pem::load(certificate)?, Pem::load(key)?);
            Some(ClientTls::new(&certificate, &key, Clock::of(&TokioNet))?)
        }
    };
    Ok(Credentials { servers, clients })
}

fn pair(files: &KeyFiles) -> Option<(&Path, &Path)> {
    Some((files.certificate.as_deref()?, files.key.as_deref()?))
}

/// The token that authorises operators' changes; `None` if the settings name none.
pub(super) fn admin_token(settings: &Settings) -> Result<Option<Token>, Failure> {
    let path = settings.admin_token_file.as_deref();
    let token = path.map(Token::load).transpose();
    token.map_err(|error| Failure::Input(error.to_string()))
}

/// The settings of requests to Places, with TLS and a proxy where they apply, but without the key.
pub(super) fn places(settings: &Settings) -> Result<PlacesConfig, Failure> {
    let mut config = settings.places_config();
    let encrypted = settings.places_url().encrypted;
    if encrypted {
        let more = settings.places_authorities.as_deref().map(Pem::load);
        let https = Https::new(more.transpose()?.as_ref(), Clock::of(&TokioNet))?;
        config.https = Some(https);
    }
    config.proxy = Proxy::from_env(&config.address, encrypted)
        .map_err(|error| Failure::Input(error.to_string()))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_lite::future::or;
    use tokio::sync::watch;
    use tokio::time::sleep;

    use super::remind;
    use crate::net::secure::{Certificates, Validity};
    use crate::protocol::time::Timestamp;

    fn until(until: i64) -> Certificates {
        let all = vec![Validity {
            setting: "peer-certificate",
            place: "a.pem".to_owned(),
            subject: "CN=A".to_owned(),
            from: 0,
            until,
        }];
        Certificates { all, days: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_expires_is_warned_of_each_day_until_there_is_another() {
        let begin = tokio::time::Instant::now();
        let day = 24 * 3600;
        let now = || Timestamp::new(begin.elapsed().as_secs(), 0);
        let said = Mutex::new(Vec::new());
        let say = |text: &str| {
            let at = begin.elapsed();
            said.lock().unwrap().push((at, text.to_owned()));
        };
        let (replace, certificates) = watch::channel(until(3 * day));
        let story = async {
            sleep(Duration::from_hours(24 * 4 + 1)).await;
            replace.send_replace(until(99 * day));
            sleep(Duration::from_hours(24 * 10)).await;
        };
        let reminding = async { match remind(certificates, now, say).await {} };
        or(reminding, story).await;
        let said = said.into_inner().unwrap();
        let days: Vec<u64> = said.iter().map(|(at, _)| at.as_secs() / 86_400).collect();
        assert_eq!(days, [2, 3, 4], "{said:?}");
        assert!(said[0].1.contains("expires in a day"), "{said:?}");
        assert!(said[2].1.contains("expired on 1970-01-04"), "{said:?}");
    }
}
