use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ChangeResult, POLL_INTERVAL, RedfishController};
use crate::bmc::error::BmcError;
use crate::bmc::fields::Fields;
use crate::bmc::power::{POWER_CHANGE_TIME, PowerAction, PowerStep, plan};
use crate::bmc::request::ChangeRequest;
use crate::bmc::status::PowerState;

impl RedfishController {
    /// Changes the power and waits for the result. Returns whether there was anything to do.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change_power(&mut self, action: PowerAction) -> Result<bool, BmcError> {
        let Some(reset) = self.system.reset.clone() else {
            return Err(BmcError::Unsupported {
                message: "the system has no action `#ComputerSystem.Reset`".to_owned(),
            });
        };
        let mut supported = reset.reset_types;
        if let (true, Some(info)) = (supported.is_empty(), &reset.action_info) {
            supported = reset_types(&self.session.get(info).await?.body);
        }
        let steps = plan(action, self.system.machine.power, &supported).map_err(|error| {
            BmcError::Unsupported {
                message: error.to_string(),
            }
        })?;
        for step in &steps {
            let was_off = self.system.machine.power == PowerState::Off;
            self.context.report_progress(match (step.until, action) {
                (PowerState::Off, PowerAction::Graceful) => "shutting down",
                (PowerState::Off, _) => "powering off",
                (_, PowerAction::Reset) if !was_off => "resetting",
                (_, PowerAction::Cycle) if !was_off => "power cycling",
                _ => "powering on",
            });
            if self.send_reset(&reset.target, step).await? {
                self.wait_for_power(step.until, action).await?;
            }
        }
        Ok(!steps.is_empty())
    }

    /// Sends the first reset type of a step that the BMC accepts. Returns `false` if it was only
    /// recorded, under `--dry-run`.
    async fn send_reset(&mut self, target: &str, step: &PowerStep) -> Result<bool, BmcError> {
        loop {
            let mut refusal = None;
            let mut is_busy = false;
            for reset_type in &step.reset_types {
                let request = ChangeRequest::post(target, json!({ "ResetType": reset_type }));
                match self.send(&request, None).await? {
                    ChangeResult::Planned => return Ok(false),
                    ChangeResult::Accepted => return Ok(true),
                    ChangeResult::Busy(_) => {
                        is_busy = true;
                        break;
                    }
                    ChangeResult::Refused(error) => {
                        refusal = Some(BmcError::or_clearer(refusal, error));
                    }
                }
            }
            // A BMC may refuse to power off a machine that is already off.
            self.refresh().await?;
            if self.system.machine.power == step.until && step.until == PowerState::Off {
                return Ok(true);
            }
            match refusal {
                Some(error) if !is_busy => return Err(error),
                _ => self.wait_for_self_test().await?,
            }
        }
    }

    /// Waits for a power state.
    async fn wait_for_power(
        &mut self,
        until: PowerState,
        action: PowerAction,
    ) -> Result<(), BmcError> {
        let time_limit = match action {
            // An operating system may take any time to shut down.
            PowerAction::Graceful => self.context.time_limit,
            _ => POWER_CHANGE_TIME,
        };
        let deadline = Instant::now() + time_limit;
        loop {
            self.refresh().await?;
            let power = self.system.machine.power;
            // A BMC that reports no power state cannot be waited for.
            let is_reached = match until {
                PowerState::Off => matches!(power, PowerState::Off | PowerState::Unknown),
                _ => !matches!(power, PowerState::Off | PowerState::PoweringOff),
            };
            if is_reached {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(BmcError::PowerUnchanged {
                    expected: until.to_string(),
                    actual: power.to_string(),
                });
            }
            if action == PowerAction::Graceful {
                self.context.report_progress(
                    "waiting for the operating system to shut down (`bmc power off` cuts the power)",
                );
            }
            self.context.pause(POLL_INTERVAL).await?;
        }
    }
}

/// Reads the supported reset types from the description of an action. Source: DSP0268, ActionInfo.
fn reset_types(action_info: &Value) -> Vec<String> {
    let parameters = Fields::of(action_info).items("Parameters").iter();
    let mut parameters = parameters.map(Fields::of);
    parameters
        .find(|parameter| parameter.raw("Name") == Some("ResetType"))
        .map_or_else(Vec::new, |parameter| parameter.texts("AllowableValues"))
}
