//! Reloads the settings of a running server, all of them or none.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::flags::{self, SettingFlags};
use super::places::Asking;
use super::{Failure, credentials, files, stderr};
use crate::admin::{Admin, Token};
use crate::herd::{Herd, Server, ServerId};
use crate::log::Logs;
use crate::net::secure::{Certificates, Credentials, Keyring, Servers};
use crate::places::{Places, Replaceable};
use crate::settings::{self, Settings};

/// The settings that a running server began with, and its parts that a reload changes.
pub(super) struct Reload<'a> {
    pub(super) flags: &'a SettingFlags,
    /// The herd's name or file, as on the command line.
    pub(super) reference: &'a str,
    /// The herd as last loaded.
    pub(super) herd: Herd,
    /// This server as the herd file had it when the server began.
    pub(super) me: &'a Server,
    pub(super) begun_with: &'a Settings,
    pub(super) logs: &'a Logs,
    pub(super) places: Arc<Replaceable>,
    pub(super) ask: &'a Asking,
    pub(super) keyring: Keyring,
    pub(super) admin: &'a Admin,
    pub(super) certificates: watch::Sender<Certificates>,
}

/// New settings that were read and checked.
struct Read {
    few_files: Option<String>,
    settings: Settings,
    herd: Herd,
    me: ServerId,
    places: Arc<dyn Places>,
    credentials: Credentials,
    token: Option<Token>,
    certificates: Certificates,
}

impl Reload<'_> {
    /// Reloads everything. The outcome is logged, and returned in a few words for the service
    /// manager.
    pub(super) fn now(&mut self) -> &'static str {
        let read = match self.read() {
            Ok(read) => read,
            Err(failure) => {
                // The failure can have several lines, but a log record must be one.
                let failure = failure.to_string();
                let failure: Vec<&str> = failure.split_whitespace().collect();
                let (server, failure) = (&*self.me.name, failure.join(" "));
                tracing::error!(server, "reloads nothing, all stays as it is: {failure}");
                return "the settings that it was told to reload are wrong";
            }
        };
        let settings = read.settings;
        let server = &*self.me.name;
        self.admin.server.tune(settings.timing, settings.limits);
        self.logs.set_level(settings.log.level);
        self.places.replace(read.places);
        self.keyring.replace(read.credentials);
        self.admin.token.replace(read.token);
        self.certificates.send_replace(read.certificates);
        if read.herd != self.herd {
            self.admin.server.relink(&read.herd, read.me);
            tracing::info!(server, "the herd file is reloaded");
        }
        tracing::info!(server, "settings are reloaded");
        if let Some(few_files) = read.few_files {
            tracing::warn!(server, "{few_files}");
        }
        let mut fixed = settings::need_a_restart(self.begun_with, &settings);
        let me = read.herd.server(read.me);
        // If a setting says where to listen, the herd file only says where others connect to.
        let (listen, peer_listen) = (&self.begun_with.listen, &self.begun_with.peer_listen);
        for (what, changed) in [
            (
                "where the herd file has it listen for clients",
                listen.is_none() && me.client != self.me.client,
            ),
            (
                "where the herd file has it listen for servers",
                peer_listen.is_none() && me.peer != self.me.peer,
            ),
        ] {
            fixed.extend(changed.then_some(what));
        }
        self.herd = read.herd;
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            tracing::warn!(
                server,
                "changed, but takes effect when the server is started again: {fixed}"
            );
        }
        "settings are reloaded"
    }

    /// Reads and checks everything, and changes nothing.
    fn read(&self) -> Result<Read, Failure> {
        let (resolved, mut warnings) = self.flags.resolved()?;
        let mut settings = resolved.settings;
        let (herd, more) = Herd::load(self.reference, Some(Path::new(".")))?;
        warnings.extend(more);
        // Warnings go to the log. Standard error beside it has no reader, and may block.
        for warning in warnings.sorted() {
            let warning = stderr::in_one_line(warning);
            tracing::warn!(server = &*self.me.name, "{warning}");
        }
        let me = self.find_me(&herd)?;
        let few_files = files::share(&mut settings, &herd, me)?;
        let key = flags::places_key(&settings)?.map(|(key, _)| key);
        let places = self.ask.places(&settings, key)?;
        let credentials = credentials::load(&settings, &herd, me)?;
        let certificates = credentials::certificates(&settings)?;
        self.check_still_proved(&settings, &credentials)?;
        let token = credentials::admin_token(&settings)?;
        Ok(Read {
            few_files,
            settings,
            herd,
            me,
            places,
            credentials,
            token,
            certificates,
        })
    }

    /// This server's id in a reloaded herd. The names of the herd and of the server are part of
    /// every handshake, so they must not change while the server runs.
    fn find_me(&self, herd: &Herd) -> Result<ServerId, Failure> {
        let (is, was) = (herd.name(), self.herd.name());
        if is != was {
            return Err(Failure::Input(format!(
                "{} is about the herd `{is}` now, and this server is one of `{was}`\n\
                 help: start the server again if that is meant",
                self.reference
            )));
        }
        let name = &self.me.name;
        herd.id(name).ok_or_else(|| {
            Failure::Input(format!(
                "{} has no server `{name}` any more\n\
                 help: stop the server if that is meant; one that has got another name must be started again",
                self.reference
            ))
        })
    }

    /// Fails if servers would no longer have to authenticate. The port may have been opened only
    /// because they must, so a file that is missing by mistake must not open it to everybody.
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
