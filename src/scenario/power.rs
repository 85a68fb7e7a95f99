//! A scenario in which the power fails everywhere.

use std::time::Duration;

use super::broken::Broken;
use super::{Action, Fault, FaultKind, Party, Scenario, Step, Target, Values};

/// How long nobody has power.
const DARK: Duration = Duration::from_secs(1);

impl Scenario {
    /// The same up to a moment, when all servers that have power lose it. A second later they have it again, and nothing
    /// more happens but that other faults end. Its steps must be plain, and say when they happen.
    ///
    /// Nothing is expected of it: what the file expects is of a run that goes on.
    pub(crate) fn with_power_cut(&self, at: Duration) -> Self {
        let mut cut = self.clone();
        (cut.end, cut.finer) = (None, Some(at));
        cut.expects.clear();
        let Some(kind) = FaultKind::of("power_off") else {
            return cut;
        };
        let usual = self.usual();
        let mut broken = Broken::default();
        let later = cut.steps.iter().position(|step| step.at > at);
        let later = cut.steps.split_off(later.unwrap_or(cut.steps.len()));
        let place = cut.steps.last().map_or(0..0, |step| step.span.clone());
        for step in &cut.steps {
            broken.learn(step, &usual);
        }
        let servers = self.herd.ids().map(|id| Target::Party(Party::Server(id)));
        let targets: Vec<Target> = servers
            .filter(|target| broken.against(kind, target).is_none())
            .collect();
        let mut ends = Vec::new();
        if !targets.is_empty() {
            let fault = Fault {
                kind,
                targets: targets.clone(),
                values: Values::default(),
            };
            let off = Step::plain(at, place.clone(), Action::Begin(fault));
            broken.learn(&off, &usual);
            // It ends in its own time, and not with a failure of power that is left out.
            for target in &targets {
                broken.end(kind, target);
            }
            cut.steps.push(off);
            ends.push(Step::plain(at + DARK, place, Action::End(kind, targets)));
        }
        for step in later {
            let action = match step.action {
                Action::End(kind, mut targets) => {
                    targets.retain(|target| broken.end(kind, target));
                    (!targets.is_empty()).then_some(Action::End(kind, targets))
                }
                Action::Begin(mut fault) if fault.is_none(&usual) => {
                    let (kind, has) = (fault.kind, &broken);
                    fault.targets.retain(|target| has.has(kind, target));
                    (!fault.targets.is_empty()).then_some(Action::Begin(fault))
                }
                _ => None,
            };
            ends.extend(action.map(|action| Step::plain(step.at, step.span, action)));
        }
        ends.sort_by_key(|step| step.at);
        cut.steps.extend(ends);
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(steps: &str, millis: u64) -> String {
        let text = format!(
            "title = \"t\"\nherd = \"riley\"\nend = \"9s\"\nsteps = [{steps}]\n[server]\ndurability = \"answered\""
        );
        let (scenario, _) = Scenario::parse("t.toml", &text, None).expect(steps);
        let cut = scenario.with_power_cut(Duration::from_millis(millis));
        let steps = cut.steps.iter().map(|step| step.to_toml(&cut.herd));
        let written = steps.collect::<Vec<_>>().join("\n");
        // It is a scenario like any other.
        let again = Scenario::parse("cut.toml", &cut.to_toml(), None);
        assert!(again.is_ok(), "{written}");
        written
    }

    #[test]
    fn what_happens_after_the_cut_is_left_out() {
        let client = |at| {
            format!(
                "{{ at = \"{at}\", client = \"kiwi\", to = \"Riley\", send = \"IAMAT kiwi +1+1 {{now}}\" }}"
            )
        };
        let steps = format!("{}, {}", client("1s"), client("3s"));
        let written = cut(&steps, 2000);
        assert_eq!(
            written,
            format!(
                "{}\n{{ at = \"2s\", power_off = [\"Riley\", \"Jaquez\", \"Juzang\", \"Campbell\", \"Bernard\"] }}\n\
                 {{ at = \"3s\", power_on = [\"Riley\", \"Jaquez\", \"Juzang\", \"Campbell\", \"Bernard\"] }}",
                client("1s")
            )
        );
    }

    #[test]
    fn a_later_failure_of_power_is_left_out_with_its_end() {
        let written = cut(
            "{ at = \"1s\", crash = \"Riley\" }, { at = \"2s\", power_off = [\"Juzang\", \"Bernard\"] }, \
             { at = \"3s\", power_on = \"all\" }",
            1500,
        );
        assert_eq!(written.matches("power_off").count(), 1, "{written}");
        assert_eq!(written.matches("power_on").count(), 1, "{written}");
    }

    #[test]
    fn other_faults_end_as_they_would() {
        let written = cut(
            "{ at = \"1s\", crash = \"Riley\" }, { at = \"1s\", freeze = \"Juzang\" }, \
             { at = \"1s\", partition = \"Jaquez-Bernard\" }, { at = \"1s\", disk_lies = \"Bernard\" }, \
             { at = \"3s\", thaw = \"Juzang\" }, { at = \"3s\", crash = \"Campbell\" }, \
             { at = \"4s\", restart = [\"Riley\", \"Campbell\"] }, { at = \"4s\", heal = \"all\" }, \
             { at = \"5s\", disk_works = \"Bernard\" }",
            2000,
        );
        let after = written.split_once("power_off").expect("it fails").1;
        assert!(
            after.starts_with(" = [\"Jaquez\", \"Juzang\", \"Campbell\", \"Bernard\"]"),
            "{after}"
        );
        assert!(
            !after.contains("thaw") && !after.contains("crash"),
            "{after}"
        );
        for ended in [
            "restart = \"Riley\"",
            "heal = \"Jaquez-Bernard\"",
            "disk_works = \"Bernard\"",
        ] {
            assert!(after.contains(ended), "{after}");
        }
    }
}
