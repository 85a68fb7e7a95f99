//! Which update an expectation means.

use super::read::Reading;
use crate::diag::{Problem, did_you_mean};
use crate::document::Located;
use crate::protocol::{escape, unescape};
use crate::scenario::{Action, PlannedUpdate};
use crate::units::format_duration;

/// The number of updates that are listed as candidates before the message only says that there are more.
const MOST_CANDIDATES: usize = 8;

/// An update. There is exactly one such in [`Scenario::updates`](crate::scenario::Scenario::updates).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRef {
    /// The id in the IAMAT.
    pub client_id: Vec<u8>,
    /// Which of that id's updates, in order of sending, from 1.
    pub nth: usize,
    /// As the file says it.
    pub text: String,
}

impl Reading<'_, '_, '_> {
    /// Finds the update that is meant. An id may itself end in `#` and a number, so both readings
    /// are tried; if both fit, that is an error.
    pub(super) fn update_ref(&mut self, text: &Located<String>) -> Option<UpdateRef> {
        let updates = self.known.updates.as_deref()?;
        let count = |id: &[u8]| updates.iter().filter(|u| u.client_id == id).count();
        let written = bytes_of(text);
        let numbered = text.rsplit_once('#').and_then(|(id, nth)| {
            let nth: usize = nth.parse().ok()?;
            Some((bytes_of(id), nth))
        });
        let numbered_fits = (numbered.as_ref()).filter(|(id, nth)| (1..=count(id)).contains(nth));
        let reference = |id: &[u8], nth| {
            Some(UpdateRef {
                client_id: id.to_vec(),
                nth,
                text: text.to_string(),
            })
        };
        match (count(&written), numbered_fits, &numbered) {
            (1, None, _) => reference(&written, 1),
            (0, Some((id, nth)), _) => reference(id, *nth),
            (0, None, Some((id, nth))) if count(id) > 0 => {
                let message = format!("`{}` has no update number {nth}", escape(id));
                self.ambiguous(text, &message, id, updates)
            }
            (0, None, numbered) => {
                let id = numbered.as_ref().map_or(&written, |(id, _)| id);
                self.unknown_update(text, &escape(id))
            }
            (_, Some((id, nth)), _) => {
                let message = format!(
                    "`{}` is the id of a client, and update {nth} of `{}`",
                    escape(&written),
                    escape(id)
                );
                self.ambiguous(text, &message, &written, updates)
            }
            (many, None, _) => {
                let message = format!("`{}` has {many} updates: say which", escape(&written));
                self.ambiguous(text, &message, &written, updates)
            }
        }
    }

    pub(super) fn unknown_update<T>(&mut self, text: &Located<String>, id: &str) -> Option<T> {
        let updates = self.known.updates.as_deref()?;
        let mut ids: Vec<String> = Vec::new();
        for update in updates {
            let id = escape(&update.client_id);
            if !ids.contains(&id) && ids.len() < MOST_CANDIDATES {
                ids.push(id);
            }
        }
        let message = format!("no IAMAT for `{id}` is sent in this scenario");
        let load =
            (self.known.written.unwrap_or_default().iter()).find_map(|step| match &step.action {
                Action::Workload(load) => {
                    let number = id.strip_prefix(&*load.name)?.strip_prefix('-')?;
                    number.parse::<u32>().is_ok().then_some(&load.name)
                }
                _ => None,
            });
        let help = match load {
            Some(name) => format!(
                "a workload's lines are drawn at random; expect of the whole workload `workload = \"{name}\"`, `no_lost_updates = true`"
            ),
            None => did_you_mean(id, "updates sent", ids.iter().map(String::as_str)),
        };
        self.cx
            .report(Problem::error(self.cx.source, text.span(), message).help(help));
        None
    }

    fn ambiguous<T>(
        &mut self,
        text: &Located<String>,
        message: &str,
        id: &[u8],
        updates: &[PlannedUpdate],
    ) -> Option<T> {
        let herd = self.cx.herd.clone()?;
        let candidates = updates.iter().filter(|u| u.client_id == id);
        let told = candidates.clone().take(MOST_CANDIDATES).map(|update| {
            let (to, at) = (&herd.server(update.to).name, format_duration(update.at));
            format!("`{}#{}` (to {to} at {at})", escape(id), update.nth)
        });
        let mut help = told.collect::<Vec<_>>().join(", ");
        if candidates.count() > MOST_CANDIDATES {
            help += ", and so on";
        }
        self.cx
            .report(Problem::error(self.cx.source, text.span(), message).help(help));
        None
    }

    /// The id of a client that some update is sent of: that a server lacks any other client says nothing.
    pub(super) fn client_id(&mut self, text: &Located<String>) -> Option<Vec<u8>> {
        let updates = self.known.updates.as_deref()?;
        let id = bytes_of(text);
        if updates.iter().any(|update| update.client_id == id) {
            return Some(id);
        }
        self.unknown_update(text, &escape(&id))
    }
}

/// An id's bytes: as written, or with `\xff` for bytes that are no text, as reports show them.
fn bytes_of(id: &str) -> Vec<u8> {
    unescape(id).unwrap_or_else(|| id.as_bytes().to_vec())
}
