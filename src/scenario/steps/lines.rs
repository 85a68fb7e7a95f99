//! The lines that a step sends, and the reply to each.

use super::Line;
use super::replies::Replies;
use crate::diag::Problem;
use crate::document::{Located, OneOrMany};
use crate::scenario::template::TextError;
use crate::scenario::validate::Context;
use crate::scenario::{Reply, Template};
use crate::units::DurationText;

impl Context<'_> {
    /// The lines of a step, each with its reply.
    pub(super) fn lines(&mut self, send: &OneOrMany, reply: Option<&Replies>) -> Option<Vec<Line>> {
        let intact = !self.damage.is_at(&send.span());
        if send.items().is_empty() && intact {
            self.error(send.span(), "there is nothing to send");
        }
        let templates: Vec<_> = send
            .items()
            .iter()
            .map(|line| self.template(line))
            .collect();
        let patterns = match reply {
            Some(reply) if intact => self.patterns(reply, &templates)?,
            _ => vec![None; templates.len()],
        };
        let complete = templates.into_iter().collect::<Option<Vec<_>>>()?;
        let lines = complete.into_iter().zip(patterns);
        let lines: Vec<_> = lines.map(|(send, reply)| Line { send, reply }).collect();
        (!lines.is_empty()).then_some(lines)
    }

    fn template(&mut self, line: &Located<String>) -> Option<Template> {
        let template = self.text(line, Template::parse)?;
        for wait in template.waits() {
            self.on_tick(&Located::new(line.span(), DurationText(wait)), "`{wait:…}`");
        }
        Some(template)
    }

    /// A reply for each line; none if there is another number of them, or one of them is wrong.
    fn patterns(
        &mut self,
        reply: &Replies,
        lines: &[Option<Template>],
    ) -> Option<Vec<Option<Reply>>> {
        let (wanted, given) = (lines.len(), reply.items().len());
        let intact = !self.damage.is_at(&reply.span());
        if wanted != given && intact {
            let message =
                format!("{wanted} sent, but {given} answered: give a reply for each line");
            self.error(reply.span(), message);
        }
        let mut patterns = Vec::new();
        for (written, line) in reply.items().iter().zip(lines) {
            let pattern = if self.is_open(written) {
                None
            } else {
                Some(self.reply(written)?)
            };
            let clockless = line.as_ref().is_some_and(|line| !line.has_clock());
            if clockless && pattern.as_ref().is_some_and(Reply::uses_sent) {
                let message =
                    "`{sent}` is the time in the line that was sent, but the line has none";
                let problem = Problem::error(self.source, written.span(), message);
                self.report(problem.help("put `{now}` into the line"));
            }
            patterns.push(pattern);
        }
        (wanted == given).then_some(patterns)
    }

    pub(super) fn text<T>(
        &mut self,
        text: &Located<String>,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<T> {
        let parsed = parse(text);
        parsed
            .map_err(|error| self.error(text.span(), error.to_string()))
            .ok()
    }
}
