//! From a wanted state of power to what a system is asked for.

use super::{PowerState, PowerVerb};

/// One request, and the state that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerStep {
    /// The reset types that do it, the best first: the next is tried when one is refused.
    pub types: Vec<&'static str>,
    /// The state afterwards.
    pub until: PowerState,
}

/// Nothing that the system offers does it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of its reset types does it; it has {}", .allowed.join(", "))]
pub struct NoWay {
    /// What it offers.
    pub allowed: Vec<String>,
}

const ON: &[&str] = &["On", "ForceOn", "PushPowerButton"];
const OFF: &[&str] = &["ForceOff"];
const SHUT_DOWN: &[&str] = &["GracefulShutdown", "PushPowerButton"];
const RESET: &[&str] = &["ForceRestart", "PowerCycle", "GracefulRestart"];
const CYCLE: &[&str] = &["PowerCycle"];

/// Plans what to ask for, in order; nothing where the machine is already as wanted. `allowed` is
/// what the system offers, empty where it does not say.
///
/// Where cutting and giving back power is not offered as one, it is done as two.
///
/// # Errors
/// When the system offers nothing that does it.
pub fn plan(verb: PowerVerb, now: PowerState, allowed: &[String]) -> Result<Vec<PowerStep>, NoWay> {
    use PowerState::{Off, On};
    let running = matches!(now, On | PowerState::PoweringOn);
    let stopped = now == Off;
    let step = |types: &[&'static str], until| {
        let offered = |name: &&&'static str| {
            allowed.is_empty() || allowed.iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        let types: Vec<_> = types.iter().filter(offered).copied().collect();
        match types.is_empty() {
            true => Err(NoWay {
                allowed: allowed.to_vec(),
            }),
            false => Ok(PowerStep { types, until }),
        }
    };
    let off_and_on = || Ok(vec![step(OFF, Off)?, step(ON, On)?]);
    match verb {
        PowerVerb::On if running => Ok(Vec::new()),
        PowerVerb::On => Ok(vec![step(ON, On)?]),
        PowerVerb::Off | PowerVerb::Graceful if stopped => Ok(Vec::new()),
        PowerVerb::Off => Ok(vec![step(OFF, Off)?]),
        PowerVerb::Graceful => Ok(vec![step(SHUT_DOWN, Off)?]),
        // A machine that is off cannot be reset: it is started.
        PowerVerb::Cycle | PowerVerb::Reset if stopped => Ok(vec![step(ON, On)?]),
        PowerVerb::Cycle => step(CYCLE, On)
            .map(|step| vec![step])
            .or_else(|_| off_and_on()),
        PowerVerb::Reset => step(RESET, On)
            .map(|step| vec![step])
            .or_else(|_| off_and_on()),
    }
}

impl PowerVerb {
    /// Returns what was done, as a line says it.
    pub fn done(self) -> &'static str {
        match self {
            Self::On => "powered on",
            Self::Off => "powered off",
            Self::Graceful => "shut down",
            Self::Cycle => "power cycled",
            Self::Reset => "reset",
        }
    }

    /// Reports whether a system that runs is interrupted by it.
    pub fn interrupts(self) -> bool {
        self != Self::On
    }
}

impl std::fmt::Display for PowerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::PoweringOn => "powering on",
            Self::PoweringOff => "powering off",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_is_planned_from_each_state() {
        use PowerState::{Off, On, PoweringOff, PoweringOn, Unknown};
        use PowerVerb::{Cycle, Graceful, Reset};
        let all = "On ForceOff GracefulShutdown ForceRestart PowerCycle";
        for (verb, now, allowed, expected) in [
            (PowerVerb::On, Off, all, "On"),
            (PowerVerb::On, On, all, ""),
            (PowerVerb::On, PoweringOn, all, ""),
            (PowerVerb::On, PoweringOff, all, "On"),
            (PowerVerb::On, Unknown, "ForceOn", "ForceOn"),
            (PowerVerb::On, Off, "PushPowerButton", "PushPowerButton"),
            (PowerVerb::On, Off, "", "On|ForceOn|PushPowerButton"),
            (PowerVerb::On, Off, "Nmi", "no"),
            (PowerVerb::Off, On, all, "ForceOff"),
            (PowerVerb::Off, Off, all, ""),
            (PowerVerb::Off, PoweringOff, all, "ForceOff"),
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
            let allowed: Vec<String> = allowed.split_whitespace().map(str::to_owned).collect();
            let planned = match plan(verb, now, &allowed) {
                Ok(steps) => {
                    let steps = steps.iter().map(|step| step.types.join("|"));
                    steps.collect::<Vec<_>>().join(" ")
                }
                Err(_) => "no".to_owned(),
            };
            assert_eq!(planned, expected, "{verb:?} {now:?} {allowed:?}");
        }
    }
}
