//! Power actions, and the requests that carry them out.

use std::time::Duration;

use serde::Serialize;

use super::status::PowerState;

/// How long a forced power change may take.
pub const POWER_CHANGE_TIME: Duration = Duration::from_secs(40);

/// A power action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerAction {
    /// Powers the machine on.
    On,
    /// Cuts the power.
    Off,
    /// Asks the operating system to shut down.
    Graceful,
    /// Cuts the power and restores it.
    Cycle,
    /// Resets the machine without cutting the power.
    Reset,
}

impl PowerAction {
    /// Returns the action as a past participle for messages: `powered on`.
    pub fn past_tense(self) -> &'static str {
        match self {
            Self::On => "powered on",
            Self::Off => "powered off",
            Self::Graceful => "shut down",
            Self::Cycle => "power cycled",
            Self::Reset => "reset",
        }
    }

    /// Reports whether the action interrupts a running operating system.
    pub fn interrupts(self) -> bool {
        self != Self::On
    }
}

/// One reset request, and the power state that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerStep {
    /// The reset types with the same effect, the best first. If one is refused, the next is tried.
    pub reset_types: Vec<&'static str>,
    /// The power state afterwards.
    pub until: PowerState,
}

/// A sequence of reset requests that carries out a power action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerSequence {
    /// The requests, in order.
    pub steps: Vec<PowerStep>,
    /// What the sequence does: a machine that is powered off and on was power cycled, not reset.
    pub effect: PowerAction,
}

/// The BMC supports no reset type that has the effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no suitable reset type (the BMC supports {})", .supported.join(", "))]
pub struct NoResetType {
    /// The reset types that the BMC supports.
    pub supported: Vec<String>,
}

const ON: &[&str] = &["On", "ForceOn"];
const OFF: &[&str] = &["ForceOff"];
const SHUT_DOWN: &[&str] = &["GracefulShutdown"];
const RESET: &[&str] = &["ForceRestart"];
const CYCLE: &[&str] = &["PowerCycle"];
/// Powers on a machine that is off, and shuts down a machine that is running. Without a known power
/// state, the effect is unknown.
const BUTTON: &str = "PushPowerButton";

/// Lists the sequences of reset requests that carry out a power action, the best first. If the BMC
/// refuses one, the next is tried. The list is empty if the machine is already in the requested
/// state. `supported` lists the reset types that the BMC supports; it is empty if the BMC does not
/// list them.
///
/// Every sequence has at least the requested effect: a machine that cannot be reset or power cycled
/// in one request is powered off and on. A request to the operating system, such as
/// `GracefulRestart`, never replaces a reset.
///
/// # Errors
/// [`NoResetType`] when no supported reset type has the effect.
pub fn plan(
    action: PowerAction,
    now: PowerState,
    supported: &[String],
) -> Result<Vec<PowerSequence>, NoResetType> {
    use PowerState::{Off, On};
    let is_running = matches!(now, On | PowerState::PoweringOn);
    let is_off = now == Off;
    let is_supported = |name: &&'static str| {
        supported.is_empty() || supported.iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    let step = |reset_types: &[&'static str], with_button: bool, until| {
        let button = with_button.then_some(BUTTON);
        let candidates = reset_types.iter().copied().chain(button);
        let reset_types: Vec<_> = candidates.filter(is_supported).collect();
        (!reset_types.is_empty()).then_some(PowerStep { reset_types, until })
    };
    let off = step(OFF, false, Off);
    let on = step(ON, is_off, On);
    let off_then_on = || Some(vec![off.clone()?, on.clone()?]);
    let one = |step: Option<PowerStep>| step.map(|step| vec![step]);
    let candidates = match action {
        PowerAction::On if is_running => return Ok(Vec::new()),
        PowerAction::Off | PowerAction::Graceful if is_off => return Ok(Vec::new()),
        PowerAction::On => vec![(one(on), PowerAction::On)],
        PowerAction::Off => vec![(one(off), PowerAction::Off)],
        PowerAction::Graceful => {
            let shut_down = step(SHUT_DOWN, is_running, Off);
            vec![(one(shut_down), PowerAction::Graceful)]
        }
        // A machine that is off cannot be reset, so it is powered on.
        PowerAction::Cycle | PowerAction::Reset if is_off => vec![(one(on), PowerAction::On)],
        PowerAction::Cycle => vec![
            (one(step(CYCLE, false, On)), PowerAction::Cycle),
            (off_then_on(), PowerAction::Cycle),
        ],
        PowerAction::Reset => vec![
            (one(step(RESET, false, On)), PowerAction::Reset),
            (one(step(CYCLE, false, On)), PowerAction::Cycle),
            (off_then_on(), PowerAction::Cycle),
        ],
    };
    let sequences = candidates.into_iter().filter_map(|(steps, effect)| {
        let steps = steps?;
        Some(PowerSequence { steps, effect })
    });
    let sequences: Vec<_> = sequences.collect();
    if sequences.is_empty() {
        return Err(NoResetType {
            supported: supported.to_vec(),
        });
    }
    Ok(sequences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_planned_from_each_state() {
        use PowerAction::{Cycle, Graceful, Reset};
        use PowerState::{Off, On, PoweringOff, PoweringOn, Unknown};
        let all = "On ForceOff GracefulShutdown ForceRestart PowerCycle GracefulRestart";
        for (action, now, supported, expected) in [
            (PowerAction::On, Off, all, "On"),
            (PowerAction::On, On, all, ""),
            (PowerAction::On, PoweringOn, all, ""),
            (PowerAction::On, PoweringOff, all, "On"),
            (PowerAction::On, Unknown, "ForceOn", "ForceOn"),
            (PowerAction::On, Off, "PushPowerButton", "PushPowerButton"),
            // A machine that may be running would be shut down.
            (PowerAction::On, Unknown, "PushPowerButton", "no"),
            (PowerAction::On, Off, "", "On|ForceOn|PushPowerButton"),
            (PowerAction::On, Off, "Nmi", "no"),
            (PowerAction::Off, On, all, "ForceOff"),
            (PowerAction::Off, Off, all, ""),
            (PowerAction::Off, PoweringOff, all, "ForceOff"),
            (PowerAction::Off, On, "PushPowerButton", "no"),
            (Graceful, On, all, "GracefulShutdown"),
            (Graceful, On, "On PushPowerButton", "PushPowerButton"),
            (Graceful, Unknown, "PushPowerButton", "no"),
            (Graceful, Off, all, ""),
            (Graceful, On, "On ForceOff", "no"),
            (Cycle, On, all, "PowerCycle or ForceOff On"),
            (Cycle, On, "On ForceOff ForceRestart", "ForceOff On"),
            (Cycle, On, "ForceRestart", "no"),
            (Cycle, Off, all, "On"),
            (
                Reset,
                On,
                all,
                "ForceRestart or PowerCycle (cycle) or ForceOff On (cycle)",
            ),
            (Reset, On, "on forceoff", "ForceOff On (cycle)"),
            (Reset, On, "GracefulRestart", "no"),
            (
                Reset,
                On,
                "GracefulRestart On ForceOff",
                "ForceOff On (cycle)",
            ),
            (Reset, On, "On", "no"),
            (Reset, Off, all, "On"),
        ] {
            let supported: Vec<String> = supported.split_whitespace().map(str::to_owned).collect();
            let planned = match plan(action, now, &supported) {
                Ok(sequences) => {
                    let sequences = sequences.iter().map(|sequence| {
                        let steps = sequence.steps.iter().map(|it| it.reset_types.join("|"));
                        let steps = steps.collect::<Vec<_>>().join(" ");
                        match (action, sequence.effect) {
                            (Reset, Cycle) => format!("{steps} (cycle)"),
                            _ => steps,
                        }
                    });
                    sequences.collect::<Vec<_>>().join(" or ")
                }
                Err(_) => "no".to_owned(),
            };
            assert_eq!(planned, expected, "{action:?} {now:?} {supported:?}");
        }
    }
}
