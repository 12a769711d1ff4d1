use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mask(password: &str) -> SecretMask {
    let mut mask = SecretMask::default();
    mask.add_password(&password.into());
    mask
}

fn percent(text: &str, is_kept: impl Fn(u8) -> bool, upper: bool) -> String {
    let encoded = text.bytes().map(|byte| match (is_kept(byte), upper) {
        (true, _) => char::from(byte).to_string(),
        (false, true) => format!("%{byte:02X}"),
        (false, false) => format!("%{byte:02x}"),
    });
    encoded.collect()
}

fn entities(text: &str) -> String {
    let named = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    named.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Every encoding of a password in our requests, or that a BMC may produce.
fn spellings(password: &str) -> Vec<String> {
    let json = json!(password).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let again = json!(json).to_string();
    let units =
        |format: fn(u16) -> String| -> String { password.encode_utf16().map(format).collect() };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut all = vec![
        password.to_owned(),
        json.clone(),
        again[1..again.len() - 1].to_owned(),
        json.replace('/', "\\/"),
        units(|unit| format!("\\u{unit:04x}")),
        units(|unit| format!("\\u{unit:04X}")),
        percent(password, unreserved, true),
        percent(password, unreserved, false),
        percent(password, unreserved, true).replace("%20", "+"),
        percent(password, |_| false, true),
        percent(&percent(password, unreserved, true), unreserved, true),
        entities(password),
        entities(&entities(password)),
        password
            .chars()
            .map(|c| format!("&#{};", u32::from(c)))
            .collect(),
        password
            .chars()
            .map(|c| format!("&#x{:X};", u32::from(c)))
            .collect(),
    ];
    for text in [
        password.to_owned(),
        format!("admin:{password}"),
        format!("a:{password}"),
        format!("ab:{password}"),
        format!("{{\"Password\": \"{password}\"}}"),
        format!("x{password}yz"),
    ] {
        let bytes = text.as_bytes();
        all.extend([
            BASE64.encode(bytes),
            BASE64_NOPAD.encode(bytes),
            BASE64URL.encode(bytes),
            BASE64URL_NOPAD.encode(bytes),
            BASE64.encode(bytes).replace('/', "\\/"),
            percent(&BASE64.encode(bytes), unreserved, true),
        ]);
    }
    all
}

#[test]
fn password_is_masked_in_every_encoding() {
    for password in [
        "hunter2",
        "calvin",
        "ADMIN",
        "p@ss",
        "a\"b\\c/d'e",
        "\\\\\"\"",
        "50% & <b>",
        "pa ss+wo=rd",
        "päß€𝄞wörd",
        "tab\tnew",
        "%25%41",
        "&amp;&lt;",
        "~~~???>>>",
    ] {
        let mask = mask(password);
        for spelled in spellings(password) {
            for (before, after) in [
                ("", ""),
                ("The value ", " is not acceptable."),
                ("\"", "\","),
                ("/x?", "#"),
            ] {
                let text = format!("{before}{spelled}{after}");
                let masked = mask.masked(&text);
                let expected = format!("{before}{MASK}{after}");
                assert_eq!(masked, expected, "{password}: {text}");
                // Text that is cleaned later does not reveal it either.
                let printed = crate::machine::cleaned(&masked, 400);
                assert!(!printed.contains(password), "{password}: {printed}");
            }
        }
    }
}

#[test]
fn base64_is_masked_across_line_breaks() {
    let mask = mask("correct horse battery");
    let text = BASE64.encode(b"administrator:correct horse battery staple");
    let (first, second) = text.split_at(30);
    for end in ["\r\n", "\n", "\\n", " "] {
        let masked = mask.masked(&format!("x: {first}{end}{second} y"));
        assert_eq!(masked, format!("x: {MASK} y"));
    }
}

#[test]
fn short_password_withholds_the_text() {
    for password in ["a", "ab", "abc"] {
        assert_eq!(mask(password).printable("Any text at all."), WITHHELD);
        assert_eq!(mask(password).printable(" "), " ");
    }
    assert_eq!(mask("").printable("Any text."), "Any text.");
    assert_eq!(mask("abcd").printable("An abcd."), "An ***.");
}

#[test]
fn other_words_stay_and_a_token_is_replaced_like_its_url() {
    let mut mask = mask("hunter2");
    mask.add_secret("http://h/m/MAC/TOKEN/x", "http://h/m/MAC/…/x");
    mask.add_secret("TOKEN", "…");
    for (text, expected) in [
        (
            "The value hunter3 is a hunter's.",
            "The value hunter3 is a hunter's.",
        ),
        ("http://h/m/MAC/TOKEN/x", "http://h/m/MAC/***/x"),
        ("/m/MAC/TOKEN", "/m/MAC/***"),
        ("", ""),
    ] {
        assert_eq!(mask.masked(text), expected);
    }
    let mut value = json!({"a": ["hunter2"], "hunter2": {"b": "xhunter2x"}, "c": 1, "d": null});
    mask.mask_json(&mut value);
    assert_eq!(
        value,
        json!({"a": ["***"], "***": {"b": "x***x"}, "c": 1, "d": null})
    );
    let mut numbers = SecretMask::default();
    numbers.add_password(&"123456".into());
    let mut value = json!({"a": 123456, "b": 12});
    numbers.mask_json(&mut value);
    assert_eq!(value, json!({"a": "***", "b": 12}));
}

proptest! {
    #[test]
    fn arbitrary_password_is_masked(password in "\\PC{4,12}", before in "\\PC{0,8}", after in "\\PC{0,8}") {
        let mask = mask(&password);
        for spelled in spellings(&password) {
            let masked = mask.masked(&format!("{before} {spelled} {after}"));
            prop_assert!(masked.contains(MASK), "{} in {}", spelled, masked);
            prop_assert!(!masked.contains(&format!(" {spelled} ")), "{} in {}", spelled, masked);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "([%&\\\\#;xu0-9a-f]|25|\\PC){0,40}", password in "([%&\\\\#;xu0-9a-f]|\\PC){4,8}") {
        let mask = mask(&password);
        let _ = mask.masked(&text);
    }
}
