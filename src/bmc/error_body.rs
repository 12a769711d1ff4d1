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
    let error = Fields::of(value).object("error");
    let entries = error.items(MESSAGE_LIST).iter().map(Fields::of);
    let mut texts = entries
        .chain([error])
        .flat_map(|entry| ["Message", "MessageId", "code"].map(|name| entry.raw(name)))
        .flatten();
    texts.any(|text| signs.iter().any(|sign| text.contains(sign)))
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
}
