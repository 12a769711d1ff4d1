//! Requests that change something on a BMC.

use serde::Serialize;
use serde_json::Value;

/// The HTTP method of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeMethod {
    /// Changes properties of a resource.
    Patch,
    /// Runs an action.
    Post,
}

/// One Redfish request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    /// The method.
    pub method: ChangeMethod,
    /// The path.
    pub path: String,
    /// The JSON body.
    pub body: Value,
    /// Whether the change waits for the next boot, as changes of a settings resource do.
    pub waits_for_boot: bool,
}

impl ChangeRequest {
    /// Makes a request that changes properties of the resource at `path`.
    pub fn patch(path: &str, body: Value) -> Self {
        Self::new(ChangeMethod::Patch, path, body)
    }

    /// Makes a request that changes the settings resource at `path`, which take effect on the next
    /// boot.
    pub fn patch_settings(path: &str, body: Value) -> Self {
        Self {
            waits_for_boot: true,
            ..Self::patch(path, body)
        }
    }

    /// Makes a request that runs the action at `path`.
    pub fn post(path: &str, body: Value) -> Self {
        Self::new(ChangeMethod::Post, path, body)
    }

    fn new(method: ChangeMethod, path: &str, body: Value) -> Self {
        Self {
            method,
            path: path.to_owned(),
            body,
            waits_for_boot: false,
        }
    }
}

/// One request that `--dry-run` prints instead of sending. It never holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedRequest {
    /// `PATCH`, `POST` or `DELETE`; `ipmitool` for a command of that program.
    pub method: String,
    /// The path; for `ipmitool`, its arguments without address and credentials.
    pub path: String,
    /// The JSON body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}
