//! Long-running Redfish operations: a BMC accepts a request with status 202 and finishes it later.
//!
//! Source: DSP0266 §12.2, asynchronous operations.

use serde_json::Value;

use super::error_body::{error_text, texts_of};
use super::fields::Fields;

/// The state of a long-running operation, according to one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// The operation is not finished.
    Running {
        /// The progress in percent, if the BMC reports it.
        percent: Option<u8>,
    },
    /// The operation succeeded.
    Succeeded {
        /// The message of a task that reports a warning.
        warning: Option<String>,
    },
    /// The operation failed.
    Failed {
        /// The state of the task, such as `Exception`, or the HTTP status of the operation.
        state: String,
        /// The messages of the task; may be empty.
        message: String,
    },
}

impl OperationState {
    /// Reads the response of a task monitor, of a task or of a job.
    pub fn read(status: u16, body: &Value) -> Self {
        let fields = Fields::of(body);
        let state = fields.text("TaskState").or_else(|| fields.text("JobState"));
        match (status, state) {
            // A BMC may delete a finished task. The value that is read back shows the result.
            (404 | 410, _) => Self::Succeeded { warning: None },
            (400.., _) => Self::Failed {
                state: format!("status {status}"),
                message: error_text(body),
            },
            (_, Some(state)) => Self::of_task(fields, state),
            (202, None) => Self::Running { percent: None },
            (_, None) => Self::Succeeded { warning: None },
        }
    }

    fn of_task(fields: Fields<'_>, state: String) -> Self {
        let message = task_message(fields);
        let health = fields
            .text("TaskStatus")
            .or_else(|| fields.text("JobStatus"));
        match (state.as_str(), health.as_deref()) {
            (
                "Exception"
                | "Killed"
                | "Cancelled"
                | "Interrupted"
                | "Failed"
                | "CompletedWithErrors"
                | "RebootFailed",
                _,
            )
            | ("Completed", Some("Critical")) => Self::Failed { state, message },
            ("Completed", Some("Warning")) if !message.is_empty() => Self::Succeeded {
                warning: Some(message),
            },
            ("Completed", _) => Self::Succeeded { warning: None },
            _ => Self::Running {
                percent: fields
                    .number("PercentComplete")
                    .map(|percent| percent.clamp(0.0, 100.0) as u8),
            },
        }
    }
}

/// Returns the messages of a task, or the message of a job.
fn task_message(fields: Fields<'_>) -> String {
    let messages = texts_of(fields.items("Messages"));
    if messages.is_empty() {
        fields.text("Message").unwrap_or_default()
    } else {
        messages
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operation_is_followed_to_its_end_in_each_form() {
        let running = |percent| OperationState::Running { percent };
        let succeeded = |warning: Option<&str>| OperationState::Succeeded {
            warning: warning.map(str::to_owned),
        };
        let failed = |state: &str, message: &str| OperationState::Failed {
            state: state.to_owned(),
            message: message.to_owned(),
        };
        let messages =
            json!([{"Message": "The image is invalid."}, {"MessageId": "Base.1.8.Error"}]);
        for (status, body, expected) in [
            (202, json!(null), running(None)),
            (202, json!({"TaskState": "New"}), running(None)),
            (
                200,
                json!({"TaskState": "Running", "PercentComplete": 40}),
                running(Some(40)),
            ),
            (200, json!({"TaskState": "Pending"}), running(None)),
            (200, json!({"JobState": "Scheduled"}), running(None)),
            (204, json!(null), succeeded(None)),
            (200, json!({"Id": "1"}), succeeded(None)),
            (404, json!({"error": {"message": "gone"}}), succeeded(None)),
            (
                202,
                json!({"TaskState": "Completed", "TaskStatus": "OK"}),
                succeeded(None),
            ),
            (
                200,
                json!({"TaskState": "Completed", "TaskStatus": "Warning", "Messages": messages}),
                succeeded(Some("The image is invalid.")),
            ),
            (
                200,
                json!({"TaskState": "Exception", "TaskStatus": "Critical", "Messages": messages}),
                failed("Exception", "The image is invalid."),
            ),
            (
                200,
                json!({"TaskState": "Completed", "TaskStatus": "Critical"}),
                failed("Completed", ""),
            ),
            (
                200,
                json!({"JobState": "Failed", "Message": "Unable to mount."}),
                failed("Failed", "Unable to mount."),
            ),
            (
                400,
                json!({"error": {"message": "no image"}}),
                failed("status 400", "no image"),
            ),
        ] {
            assert_eq!(OperationState::read(status, &body), expected, "{body}");
        }
    }
}
