use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ChangeResult, POLL_INTERVAL, RedfishController};
use crate::bmc::error::BmcError;
use crate::bmc::fields::Fields;
use crate::bmc::power::{POWER_CHANGE_TIME, PowerAction, PowerSequence, PowerStep, plan};
use crate::bmc::request::ChangeRequest;
use crate::bmc::status::PowerState;

/// The result of one reset request.
enum ResetResult {
    /// Under `--dry-run`: recorded, not sent.
    Planned,
    /// The BMC accepted the request.
    Accepted,
    /// The BMC refused every reset type of the step.
    Refused(BmcError),
}

/// The result of one sequence of reset requests.
enum SequenceResult {
    /// The machine is in the requested state, or would be.
    Done,
    /// The BMC refused the first request, and nothing changed.
    Refused(BmcError),
}

impl RedfishController {
    /// Checks that the BMC supports a power action, without changing anything.
    ///
    /// # Errors
    /// [`BmcError::Unsupported`].
    pub async fn check_power(&mut self, action: PowerAction) -> Result<(), BmcError> {
        self.power_sequences(action).await.map(drop)
    }

    /// Changes the power and waits for the result. Returns what was done, or `None` if there was
    /// nothing to do.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change_power(
        &mut self,
        action: PowerAction,
    ) -> Result<Option<PowerAction>, BmcError> {
        let (target, sequences) = self.power_sequences(action).await?;
        let mut refusal = None;
        for sequence in &sequences {
            match self.run_sequence(&target, sequence, action).await? {
                SequenceResult::Done => return Ok(Some(sequence.effect)),
                SequenceResult::Refused(error) => {
                    refusal = Some(BmcError::or_clearer(refusal, error));
                }
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    /// Returns the path of the reset action, and the sequences of requests for a power action.
    async fn power_sequences(
        &mut self,
        action: PowerAction,
    ) -> Result<(String, Vec<PowerSequence>), BmcError> {
        let Some(reset) = self.system.reset.clone() else {
            return Err(BmcError::Unsupported {
                message: "the system has no action `#ComputerSystem.Reset`".to_owned(),
            });
        };
        let mut supported = reset.reset_types;
        if let (true, Some(info)) = (supported.is_empty(), &reset.action_info) {
            supported = reset_types(&self.session.get(info).await?.body);
        }
        match plan(action, self.system.machine.power, &supported) {
            Ok(sequences) => Ok((reset.target, sequences)),
            Err(error) => Err(BmcError::Unsupported {
                message: error.to_string(),
            }),
        }
    }

    async fn run_sequence(
        &mut self,
        target: &str,
        sequence: &PowerSequence,
        action: PowerAction,
    ) -> Result<SequenceResult, BmcError> {
        for (index, step) in sequence.steps.iter().enumerate() {
            let was_off = self.system.machine.power == PowerState::Off;
            self.context.report_progress(match (step.until, action) {
                (PowerState::Off, PowerAction::Graceful) => "shutting down",
                (PowerState::Off, _) => "powering off",
                (_, PowerAction::Reset) if !was_off => "resetting",
                (_, PowerAction::Cycle) if !was_off => "power cycling",
                _ => "powering on",
            });
            match self.send_reset(target, step).await {
                Ok(ResetResult::Planned) => {}
                Ok(ResetResult::Accepted) => self.wait_for_power(step.until, action).await?,
                Ok(ResetResult::Refused(error)) if index == 0 => {
                    return Ok(SequenceResult::Refused(error));
                }
                Ok(ResetResult::Refused(error)) | Err(error) => {
                    // The event log must not lose the half that was done.
                    if index > 0 {
                        let done = PowerAction::Off.past_tense();
                        self.context.record_change(done.to_owned());
                    }
                    return Err(error);
                }
            }
        }
        Ok(SequenceResult::Done)
    }

    /// Sends the first reset type of a step that the BMC accepts.
    async fn send_reset(
        &mut self,
        target: &str,
        step: &PowerStep,
    ) -> Result<ResetResult, BmcError> {
        loop {
            let mut refusal = None;
            let mut is_busy = false;
            for reset_type in &step.reset_types {
                let request = ChangeRequest::post(target, json!({ "ResetType": reset_type }));
                match self.send(&request, None).await? {
                    ChangeResult::Planned => return Ok(ResetResult::Planned),
                    ChangeResult::Accepted => return Ok(ResetResult::Accepted),
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
                return Ok(ResetResult::Accepted);
            }
            match refusal {
                Some(error) if !is_busy => return Ok(ResetResult::Refused(error)),
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
    let parameters = Fields::of(action_info).items("Parameters");
    parameters
        .iter()
        .map(Fields::of)
        .find(|parameter| parameter.raw("Name") == Some("ResetType"))
        .map_or_else(Vec::new, |parameter| parameter.texts("AllowableValues"))
}
