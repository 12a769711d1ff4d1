use std::time::Duration;

use tokio::time::Instant;

use super::{ChangeResult, POLL_INTERVAL, RedfishController};
use crate::bmc::error::BmcError;
use crate::bmc::fields::Fields;
use crate::bmc::operation::OperationState;
use crate::bmc::request::ChangeRequest;
use crate::bmc::transport::RedfishResponse;

/// How long to follow an operation that may wait for the next boot.
const SETTINGS_TIME: Duration = Duration::from_secs(10);
/// The longest wait between two reads of a task, whatever the BMC asks for.
const LONGEST_POLL: Duration = Duration::from_secs(15);

impl RedfishController {
    /// Follows an accepted operation to its end.
    ///
    /// # Errors
    /// When the BMC can no longer be reached, or the deadline has passed.
    pub(super) async fn follow_operation(
        &mut self,
        request: &ChangeRequest,
        accepted: RedfishResponse,
    ) -> Result<ChangeResult, BmcError> {
        let in_body = || Fields::of(&accepted.body).link("TaskMonitor");
        let task = || Fields::of(&accepted.body).link("@odata.id");
        let Some(path) = accepted.location_path().or_else(in_body).or_else(task) else {
            return Ok(ChangeResult::Accepted);
        };
        let settings_deadline = Instant::now() + SETTINGS_TIME;
        let mut response = accepted;
        loop {
            let body = self.context.masked_json(&response.body);
            match OperationState::read(response.status, &body) {
                OperationState::Succeeded { warning } => {
                    if let Some(warning) = warning {
                        self.context.note(&self.context.printable(&warning));
                    }
                    return Ok(ChangeResult::Accepted);
                }
                OperationState::Failed { state, message } => {
                    return Ok(ChangeResult::Refused(BmcError::OperationFailed {
                        method: reqwest::Method::from(request.method).to_string(),
                        path: request.path.clone(),
                        state,
                        message: self.context.printable(&message),
                    }));
                }
                OperationState::Running { .. }
                    if request.waits_for_boot && Instant::now() >= settings_deadline =>
                {
                    return Ok(ChangeResult::Accepted);
                }
                OperationState::Running { percent } => {
                    let percent = percent.map_or_else(String::new, |it| format!(" ({it} %)"));
                    self.context
                        .report_progress(&format!("waiting for a task of the BMC{percent}"));
                }
            }
            let wait = response.retry_after.unwrap_or(POLL_INTERVAL);
            self.context.pause(wait.min(LONGEST_POLL)).await?;
            response = self.session.get(&path).await?;
        }
    }
}
