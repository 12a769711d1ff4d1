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
    /// The reset types that have the effect, the best first. If one is refused, the next is tried.
    pub reset_types: Vec<&'static str>,
    /// The power state afterwards.
    pub until: PowerState,
}

/// The BMC supports no reset type that has the effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no suitable reset type (the BMC supports {})", .supported.join(", "))]
pub struct NoResetType {
    /// The reset types that the BMC supports.
    pub supported: Vec<String>,
}

const ON: &[&str] = &["On", "ForceOn", "PushPowerButton"];
const OFF: &[&str] = &["ForceOff"];
const SHUT_DOWN: &[&str] = &["GracefulShutdown", "PushPowerButton"];
const RESET: &[&str] = &["ForceRestart", "PowerCycle", "GracefulRestart"];
const CYCLE: &[&str] = &["PowerCycle"];

/// Plans the reset requests for a power action, in order. The plan is empty if the machine is
/// already in the requested state. `supported` lists the reset types that the BMC supports; it is
/// empty if the BMC does not list them.
///
/// If the BMC cannot cycle the power in one request, the plan has two: off, then on.
///
/// # Errors
/// [`NoResetType`] when no supported reset type has the effect.
pub fn plan(
    action: PowerAction,
    now: PowerState,
    supported: &[String],
) -> Result<Vec<PowerStep>, NoResetType> {
    use PowerState::{Off, On};
    let is_running = matches!(now, On | PowerState::PoweringOn);
    let is_off = now == Off;
    let step = |reset_types: &[&'static str], until| {
        let is_supported = |name: &&&'static str| {
            supported.is_empty() || supported.iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        let reset_types: Vec<_> = reset_types.iter().filter(is_supported).copied().collect();
        if reset_types.is_empty() {
            return Err(NoResetType {
                supported: supported.to_vec(),
            });
        }
        Ok(PowerStep { reset_types, until })
    };
    let one_step = |reset_types, until| step(reset_types, until).map(|step| vec![step]);
    let off_then_on = || Ok(vec![step(OFF, Off)?, step(ON, On)?]);
    match action {
        PowerAction::On if is_running => Ok(Vec::new()),
        PowerAction::On => one_step(ON, On),
        PowerAction::Off | PowerAction::Graceful if is_off => Ok(Vec::new()),
        PowerAction::Off => one_step(OFF, Off),
        PowerAction::Graceful => one_step(SHUT_DOWN, Off),
        // A machine that is off cannot be reset, so it is powered on.
        PowerAction::Cycle | PowerAction::Reset if is_off => one_step(ON, On),
        PowerAction::Cycle => one_step(CYCLE, On).or_else(|_| off_then_on()),
        PowerAction::Reset => one_step(RESET, On).or_else(|_| off_then_on()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_planned_from_each_state() {
        use PowerAction::{Cycle, Graceful, Reset};
        use PowerState::{Off, On, PoweringOff, PoweringOn, Unknown};
        let all = "On ForceOff GracefulShutdown ForceRestart PowerCycle";
        for (action, now, supported, expected) in [
            (PowerAction::On, Off, all, "On"),
            (PowerAction::On, On, all, ""),
            (PowerAction::On, PoweringOn, all, ""),
            (PowerAction::On, PoweringOff, all, "On"),
            (PowerAction::On, Unknown, "ForceOn", "ForceOn"),
            (PowerAction::On, Off, "PushPowerButton", "PushPowerButton"),
            (PowerAction::On, Off, "", "On|ForceOn|PushPowerButton"),
            (PowerAction::On, Off, "Nmi", "no"),
            (PowerAction::Off, On, all, "ForceOff"),
            (PowerAction::Off, Off, all, ""),
            (PowerAction::Off, PoweringOff, all, "ForceOff"),
            (Graceful, On, all, "GracefulShutdown"),
            (Graceful, On, "On PushPowerButton", "PushPowerButton"),
            (Graceful, Off, all, ""),
            (Graceful, On, "On ForceOff", "no"),
            (Cycle, On, all, "PowerCycle"),
            (Cycle, On, "On ForceOff ForceRestart", "ForceOff On"),
            (Cycle, Off, all, "On"),
            (Reset, On, all, "ForceRestart|PowerCycle"),
            (Reset, On, "on forceoff", "ForceOff On"),
            (Reset, On, "GracefulRestart", "GracefulRestart"),
            (Reset, On, "On", "no"),
            (Reset, Off, all, "On"),
        ] {
            let supported: Vec<String> = supported.split_whitespace().map(str::to_owned).collect();
            let planned = match plan(action, now, &supported) {
                Ok(steps) => {
                    let steps = steps.iter().map(|step| step.reset_types.join("|"));
                    steps.collect::<Vec<_>>().join(" ")
                }
                Err(_) => "no".to_owned(),
            };
            assert_eq!(planned, expected, "{action:?} {now:?} {supported:?}");
        }
    }
}
