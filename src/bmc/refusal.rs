//! What controllers say when they refuse.

use serde_json::Value;

use super::fields::{Fields, LONGEST};
use crate::machine::cleaned;

/// Returns what an error body says, made fit to be shown: its messages, else its summary, else its
/// identifiers. Some put the list beside the error, and some send words without JSON.
///
/// Source: DSP0266 §8.6, error responses.
pub fn error_text(value: &Value) -> String {
    const LIST: &str = "@Message.ExtendedInfo";
    if let Value::String(text) = value {
        return cleaned(text.trim(), LONGEST);
    }
    let top = Fields::of(value);
    let error = top.object("error");
    let items = || error.items(LIST).iter().chain(top.items(LIST));
    let of = |name: &str| {
        let mut said: Vec<String> = Vec::new();
        for text in items().filter_map(|item| Fields::of(item).text(name)) {
            if !said.contains(&text) {
                said.push(text);
            }
        }
        said
    };
    let summary = error
        .text("message")
        .or_else(|| top.text("error"))
        .or_else(|| top.text("message"));
    // The standard's own summary says only to look at the list.
    let refers = |text: &String| text.contains("ExtendedInfo") || text.contains("ExtendedError");
    let mut said = of("Message");
    if said.is_empty() {
        said.extend(summary.clone().filter(|text| !refers(text)));
    }
    if said.is_empty() {
        said = of("MessageId");
    }
    if said.is_empty() {
        said.extend(error.text("code").or(summary));
    }
    said.truncate(3);
    said.join("; ")
}

/// Reports whether an error body says that an account or its password is wrong.
pub fn says_wrong_password(value: &Value) -> bool {
    const SIGNS: [&str; 4] = [
        "UnauthorizedLoginAttempt",
        "InvalidUsernameOrPassword",
        "LoginFailed",
        "AuthenticationFailed",
    ];
    error_says(value, &SIGNS)
}

/// Reports whether an error body says that the machine cannot be changed just now.
pub fn says_not_now(value: &Value) -> bool {
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
    error_says(value, &SIGNS)
}

/// Looks for one of some words in the messages and identifiers of an error.
fn error_says(value: &Value, signs: &[&str]) -> bool {
    let error = Fields::of(value).object("error");
    let items = error.items("@Message.ExtendedInfo").iter().map(Fields::of);
    let mut texts = items
        .chain([error])
        .flat_map(|item| ["Message", "MessageId", "code"].map(|name| item.raw(name)))
        .flatten();
    texts.any(|text| signs.iter().any(|sign| text.contains(sign)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_says_why_and_whether_to_come_again() {
        let post = json!({"error": {"code": "iLO.0.10.ExtendedInfo", "@Message.ExtendedInfo":
            [{"MessageId": "iLO.2.14.UnableToModifyDuringSystemPOST"}]}});
        assert_eq!(error_text(&post), "iLO.2.14.UnableToModifyDuringSystemPOST");
        assert!(says_not_now(&post));
        let plain =
            json!({"error": {"code": "Base.1.0.GeneralError", "message": "no such property"}});
        assert_eq!(error_text(&plain), "no such property");
        assert!(!says_not_now(&plain));
        for (body, says) in [
            // sushy-tools: a summary that says it, beside a list of identifiers.
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
            assert_eq!(error_text(&body), says, "{body}");
        }
        assert_eq!(error_text(&json!("x".repeat(9999))).len(), LONGEST);
    }
}
