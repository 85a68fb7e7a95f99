//! Reading the settings again while a server runs: all of them are taken, or none.

use std::sync::Arc;

use super::flags::{self, SettingFlags};
use super::{Failure, credentials, serve};
use crate::herd::{Herd, ServerId};
use crate::log::Logs;
use crate::net::secure::{Credentials, Keyring, Servers};
use crate::places::{Places, Replaceable};
use crate::server::Handle;
use crate::settings::{self, Settings};

/// What a running server was begun with, and what of it can be changed.
pub(super) struct Reload<'a> {
    pub(super) flags: &'a SettingFlags,
    /// As the command line names the herd.
    pub(super) reference: &'a str,
    pub(super) herd: &'a Herd,
    pub(super) begun_with: &'a Settings,
    pub(super) server: Handle,
    pub(super) logs: &'a Logs,
    pub(super) places: Arc<Replaceable>,
    pub(super) ask: &'a serve::Asking,
    pub(super) me: ServerId,
    pub(super) keyring: Keyring,
}

impl Reload<'_> {
    /// Reads everything again, and says what came of it: in the log, and in a few words here.
    pub(super) fn now(&self) -> &'static str {
        let (settings, places, credentials) = match self.read() {
            Ok(read) => read,
            Err(failure) => {
                tracing::error!("reloads nothing, all settings stay as they are: {failure}");
                return "the settings that it was told to reload are wrong";
            }
        };
        self.server.tune(settings.timing, settings.limits);
        self.logs.set_level(settings.log.level);
        self.places.replace(places);
        self.keyring.replace(credentials);
        tracing::info!("settings are reloaded");
        let fixed = settings::need_a_restart(self.begun_with, &settings);
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            tracing::warn!("changed, but takes effect when the server is started again: {fixed}");
        }
        "settings are reloaded"
    }

    /// Reads and checks everything, and changes nothing.
    fn read(&self) -> Result<(Settings, Arc<dyn Places>, Credentials), Failure> {
        let settings = self.flags.resolve()?.settings;
        let herd = flags::herd(self.reference)?;
        if herd != *self.herd {
            tracing::warn!(
                "the herd file changed: that takes effect when the server is started again"
            );
        }
        let key = flags::places_key(&settings)?.map(|(key, _)| key);
        let places = self.ask.places(&settings, key)?;
        let credentials = credentials::load(&settings, self.herd, self.me)?;
        self.check_still_proved(&settings, &credentials)?;
        Ok((settings, places, credentials))
    }

    /// What was only bound because servers prove who they are stays so: a file that is gone by mistake must not open
    /// the port to everybody.
    fn check_still_proved(&self, settings: &Settings, new: &Credentials) -> Result<(), Failure> {
        let were_proved = self.begun_with.peers.is_given();
        if were_proved && matches!(new.servers, Servers::Open) && !settings.insecure_peers {
            let text = "servers proved who they are, and with these settings they need not any more\n\
                        help: start the server again if that is meant";
            return Err(Failure::Input(text.to_owned()));
        }
        Ok(())
    }
}
