//! Steps that react (`when`), and to which nothing came.

use crate::scenario::{Observed, failed};
use crate::trace::Judgement;
use crate::units::format_duration;

/// A step that waits in vain did not happen, so the run says nothing of what it was to show.
pub(super) fn in_vain(run: &Observed<'_>) -> impl Iterator<Item = Judgement> {
    let steps = run.scenario.steps.iter();
    steps.filter_map(|step| {
        let event = step.when.as_ref()?.event.show();
        let since = format_duration(step.at);
        let about = format!("a step waits for {event} from {since} on");
        Some(Judgement {
            place: Some(run.place(step.span.start)),
            ..failed(about, "it happens", "it did not happen")
        })
    })
}
