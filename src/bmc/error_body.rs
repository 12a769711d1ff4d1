//! Error bodies of Redfish services.

use serde_json::Value;

use super::fields::{Fields, MAX_TEXT};
use crate::machine::cleaned;

/// The name of the list of messages. Source: DSP0266 §8.6.
const MESSAGE_LIST: &str = "@Message.ExtendedInfo";
/// The most messages to show.
const MAX_MESSAGES: usize = 3;

/// Returns the printable text of an error body: its messages, or else its summary, or else its
/// message identifiers. Some services put the list beside the error object, and some send plain
/// text.
///
/// Source: DSP0266 §8.6, error responses.
pub fn error_text(value: &Value) -> String {
    if let Value::String(text) = value {
        return cleaned(text.trim(), MAX_TEXT);
    }
    let top = Fields::of(value);
    let error = top.object("error");
    let entries = || {
        error
            .items(MESSAGE_LIST)
            .iter()
            .chain(top.items(MESSAGE_LIST))
    };
    let distinct = |name: &str| {
        let mut texts: Vec<String> = Vec::new();
        for text in entries().filter_map(|entry| Fields::of(entry).text(name)) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    };
    let summary = error
        .text("message")
        .or_else(|| top.text("error"))
        .or_else(|| top.text("message"));
    // The standard summary only refers to the list.
    let is_reference =
        |text: &String| text.contains("ExtendedInfo") || text.contains("ExtendedError");
    let mut texts = distinct("Message");
    if texts.is_empty() {
        texts.extend(summary.clone().filter(|text| !is_reference(text)));
    }
    if texts.is_empty() {
        texts = distinct("MessageId");
    }
    if texts.is_empty() {
        texts.extend(error.text("code").or(summary));
    }
    texts.truncate(MAX_MESSAGES);
    texts.join("; ")
}

/// Joins the messages of a list such as `Messages` of a task, or else its message identifiers.
pub fn texts_of(entries: &[Value]) -> String {
    let distinct = |name: &str| {
        let mut texts: Vec<String> = Vec::new();
        for text in entries.iter().filter_map(|it| Fields::of(it).text(name)) {
            if !texts.contains(&text) && texts.len() < MAX_MESSAGES {
                texts.push(text);
            }
        }
        texts
    };
    let messages = distinct("Message");
    if messages.is_empty() {
        distinct("MessageId").join("; ")
    } else {
        messages.join("; ")
    }
}

/// Why a BMC denies a request of an account whose password is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialCause {
    /// The account must change its password first.
    PasswordChangeRequired,
    /// The BMC lacks a license for the feature.
    License,
    /// The role of the account lacks a privilege.
    Role,
}

impl DenialCause {
    /// Finds the cause in an error body.
    ///
    /// Source: DSP8011, Base registry, `PasswordChangeRequired` and `InsufficientPrivilege`;
    /// `LicenseKeyRequired` of HPE, `OemLicenseNotPassed` of Supermicro.
    pub fn find(value: &Value) -> Self {
        if mentions_any(value, &["PasswordChangeRequired"]) {
            return Self::PasswordChangeRequired;
        }
        if mentions_any(value, &["Licens", "licens"]) {
            return Self::License;
        }
        Self::Role
    }
}

/// Returns the path of the resource below `system` that an error body names as the one to change:
/// AMI's `OperationSupportedInFutureStateURI` quotes it in its message.
pub fn named_settings(value: &Value, system: &str) -> Option<String> {
    let below = format!("{}/", system.trim_end_matches('/'));
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/._~%-".contains(c);
    let path_in = |text: &str| {
        let start = text.find(&below)?;
        let rest: String = text[start..].chars().take_while(|c| is_path(*c)).collect();
        let path = rest.trim_end_matches(['/', '.']);
        let is_resource = path.len() > below.len() && !path.contains("/Actions/");
        is_resource.then(|| path.to_owned())
    };
    let mut entries = error_entries(value);
    entries.find_map(|entry| {
        let arguments = entry.items("MessageArgs").iter().filter_map(Value::as_str);
        let messages = ["Message", "message"].map(|name| entry.raw(name));
        let mut texts = messages.into_iter().flatten().chain(arguments);
        texts.find_map(path_in)
    })
}

/// Reports whether an error body means that the account or its password is wrong.
pub fn is_wrong_password(value: &Value) -> bool {
    const SIGNS: [&str; 4] = [
        "UnauthorizedLoginAttempt",
        "InvalidUsernameOrPassword",
        "LoginFailed",
        "AuthenticationFailed",
    ];
    mentions_any(value, &SIGNS)
}

/// Reports whether an error body means that the machine cannot be changed at the moment.
pub fn is_temporary(value: &Value) -> bool {
    const SIGNS: [&str; 9] = [
        "DuringSystemPOST",
        "during POST",
        "in POST",
        "is in POST",
        "ResourceInStandby",
        "ServiceTemporarilyUnavailable",
        "ServiceInUnknownState",
        "ResourceInUse",
        "not ready",
    ];
    mentions_any(value, &SIGNS)
}

/// Searches the messages and identifiers of an error body. Services state these reasons nowhere
/// else.
fn mentions_any(value: &Value, signs: &[&str]) -> bool {
    let mut texts = error_entries(value)
        .flat_map(|entry| ["Message", "MessageId", "code"].map(|name| entry.raw(name)))
        .flatten();
    texts.any(|text| signs.iter().any(|sign| text.contains(sign)))
}

/// Lists the messages of an error body, in the error object and beside it, and the error object.
fn error_entries(value: &Value) -> impl Iterator<Item = Fields<'_>> {
    let top = Fields::of(value);
    let error = top.object("error");
    let inner = error.items(MESSAGE_LIST).iter().map(Fields::of);
    let outer = top.items(MESSAGE_LIST).iter().map(Fields::of);
    inner.chain(outer).chain([error])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn error_body_has_a_reason_and_may_be_temporary() {
        let post = json!({"error": {"code": "iLO.0.10.ExtendedInfo", "@Message.ExtendedInfo":
            [{"MessageId": "iLO.2.14.UnableToModifyDuringSystemPOST"}]}});
        assert_eq!(error_text(&post), "iLO.2.14.UnableToModifyDuringSystemPOST");
        assert!(is_temporary(&post));
        let plain =
            json!({"error": {"code": "Base.1.0.GeneralError", "message": "no such property"}});
        assert_eq!(error_text(&plain), "no such property");
        assert!(!is_temporary(&plain));
        for (body, expected) in [
            // sushy-tools: the summary has the message, and the list has only identifiers.
            (
                json!({"error": {"code": "Base.1.0.GeneralError", "message": "Failed to attach it.",
                    "@Message.ExtendedInfo": [{"MessageId": "Base.1.0.GeneralError"}]}}),
                "Failed to attach it.",
            ),
            (
                json!({"error": {"code": "C", "message": "See @Message.ExtendedInfo.",
                    "@Message.ExtendedInfo": [{"MessageId": "Base.1.0.PropertyUnknown"}]}}),
                "Base.1.0.PropertyUnknown",
            ),
            (
                json!({"@Message.ExtendedInfo": [{"Message": "Beside it.", "MessageId": "M"}]}),
                "Beside it.",
            ),
            (json!({"error": "A text."}), "A text."),
            (json!({"message": "Without a list."}), "Without a list."),
            (json!("In\nplain words."), "Inplain words."),
            (json!({}), ""),
            (json!(null), ""),
        ] {
            assert_eq!(error_text(&body), expected, "{body}");
        }
        assert_eq!(error_text(&json!("x".repeat(9999))).len(), MAX_TEXT);
    }

    #[test]
    fn cause_of_a_denial_is_found() {
        let with = |id: &str, message: &str| {
            json!({"error": {"code": "Base.1.8.GeneralError", "@Message.ExtendedInfo":
                [{"MessageId": id, "Message": message}]}})
        };
        let beside = json!({"@Message.ExtendedInfo":
            [{"MessageId": "Base.1.8.PasswordChangeRequired"}]});
        for (body, expected) in [
            (
                with("Base.1.5.PasswordChangeRequired", ""),
                DenialCause::PasswordChangeRequired,
            ),
            (beside, DenialCause::PasswordChangeRequired),
            (
                with("iLO.2.14.LicenseKeyRequired", ""),
                DenialCause::License,
            ),
            (
                with(
                    "SMC.1.0.OemLicenseNotPassed",
                    "Not licensed to perform this request.",
                ),
                DenialCause::License,
            ),
            (
                with("Base.1.8.InsufficientPrivilege", ""),
                DenialCause::Role,
            ),
            (json!(null), DenialCause::Role),
        ] {
            assert_eq!(DenialCause::find(&body), expected, "{body}");
        }
    }

    #[test]
    fn settings_resource_is_found_in_a_refusal() {
        let system = "/redfish/v1/Systems/Self";
        let with = |message: &str| {
            json!({"error": {"@Message.ExtendedInfo": [{
                "MessageId": "Ami.1.0.OperationSupportedInFutureStateURI", "Message": message,
            }]}})
        };
        for (message, expected) in [
            (
                "Support of this Operation for Boot Properties is moved to FutureState                  URI(/redfish/v1/Systems/Self/SD)",
                Some("/redfish/v1/Systems/Self/SD"),
            ),
            (
                "Use /redfish/v1/Systems/Self/Settings.",
                Some("/redfish/v1/Systems/Self/Settings"),
            ),
            // Only resources of this system are named.
            ("See /redfish/v1/Systems/Self.", None),
            ("See /redfish/v1/Systems/Other/SD.", None),
            (
                "See /redfish/v1/Systems/Self/Actions/ComputerSystem.Reset.",
                None,
            ),
            ("No such property.", None),
        ] {
            let found = named_settings(&with(message), system);
            assert_eq!(found.as_deref(), expected, "{message}");
        }
        let arguments = json!({"error": {"@Message.ExtendedInfo":
            [{"MessageArgs": ["PATCH", "/redfish/v1/Systems/Self/SD"]}]}});
        let found = named_settings(&arguments, system);
        assert_eq!(found.as_deref(), Some("/redfish/v1/Systems/Self/SD"));
    }
}
