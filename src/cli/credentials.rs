//! What a server has to show and to see, and how Places is reached, from the files that the settings name.

use std::path::Path;

use super::Failure;
use crate::admin::Token;
use crate::herd::{Herd, ServerId};
use crate::net::secure::{
    ClientTls, Clock, Credentials, CredentialsError, Pem, Secret, Servers, Tls,
};
use crate::net::tokio::TokioNet;
use crate::places::{Https, PlacesConfig, Proxy};
use crate::settings::{KeyFiles, PeerFiles, Settings};

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        Self::Input(error.to_string())
    }
}

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

/// The token by which operators may change something, if there is one.
pub(super) fn admin_token(settings: &Settings) -> Result<Option<Token>, Failure> {
    let path = settings.admin_token_file.as_deref();
    let token = path.map(Token::load).transpose();
    token.map_err(|error| Failure::Input(error.to_string()))
}

/// How Places is asked, but for the key: over TLS and through a proxy, where it is so.
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
