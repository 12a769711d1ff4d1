//! What controllers say when they refuse.

use serde_json::Value;

use super::fields::Fields;

/// Returns what an error body says, made fit to be shown: its messages, else its summary.
///
/// Source: DSP0266 §8.6, error responses.
pub fn error_text(value: &Value) -> String {
    let error = Fields::of(value).object("error");
    let mut said: Vec<String> = Vec::new();
    for item in error.items("@Message.ExtendedInfo") {
        let item = Fields::of(item);
        let message = item.text("Message").or_else(|| item.text("MessageId"));
        said.extend(message.filter(|message| !said.contains(message)));
    }
    if said.is_empty() {
        said.extend(error.text("message").or_else(|| error.text("code")));
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
        assert_eq!(error_text(&json!("x")), "");
    }
}
