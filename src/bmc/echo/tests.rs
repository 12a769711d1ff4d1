use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn echoes(password: &str) -> Echoes {
    let mut echoes = Echoes::default();
    echoes.password(&password.into());
    echoes
}

fn percent(text: &str, keeps: impl Fn(u8) -> bool, upper: bool) -> String {
    let spelled = text.bytes().map(|octet| match (keeps(octet), upper) {
        (true, _) => char::from(octet).to_string(),
        (false, true) => format!("%{octet:02X}"),
        (false, false) => format!("%{octet:02x}"),
    });
    spelled.collect()
}

fn entities(text: &str) -> String {
    let named = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    named.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Every spelling of a password that we send, or that a controller may make of it.
fn spellings(password: &str) -> Vec<String> {
    let json = json!(password).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let again = json!(json).to_string();
    let units =
        |format: fn(u16) -> String| -> String { password.encode_utf16().map(format).collect() };
    let unreserved = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
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
        let octets = text.as_bytes();
        all.extend([
            BASE64.encode(octets),
            BASE64_NOPAD.encode(octets),
            BASE64URL.encode(octets),
            BASE64URL_NOPAD.encode(octets),
            BASE64.encode(octets).replace('/', "\\/"),
            percent(&BASE64.encode(octets), unreserved, true),
        ]);
    }
    all
}

#[test]
fn a_password_is_masked_in_every_spelling() {
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
        let echoes = echoes(password);
        for spelled in spellings(password) {
            for (before, after) in [
                ("", ""),
                ("The value ", " is not acceptable."),
                ("\"", "\","),
                ("/x?", "#"),
            ] {
                let text = format!("{before}{spelled}{after}");
                let masked = echoes.masked(&text);
                let expected = format!("{before}{MASK}{after}");
                assert_eq!(masked, expected, "{password}: {text}");
                // What is unescaped later shows nothing either.
                let shown = crate::machine::cleaned(&masked, 400);
                assert!(!shown.contains(password), "{password}: {shown}");
            }
        }
    }
}

#[test]
fn base64_is_known_across_line_breaks() {
    let echoes = echoes("correct horse battery");
    let text = BASE64.encode(b"administrator:correct horse battery staple");
    let (first, second) = text.split_at(30);
    for end in ["\r\n", "\n", "\\n", " "] {
        let masked = echoes.masked(&format!("x: {first}{end}{second} y"));
        assert_eq!(masked, format!("x: {MASK} y"));
    }
}

#[test]
fn a_short_password_withholds_the_text() {
    for password in ["a", "ab", "abc"] {
        assert_eq!(echoes(password).repeated("Any text at all."), WITHHELD);
        assert_eq!(echoes(password).repeated(" "), " ");
    }
    assert_eq!(echoes("").repeated("Any text."), "Any text.");
    assert_eq!(echoes("abcd").repeated("An abcd."), "An ***.");
}

#[test]
fn other_words_stay_and_a_token_is_shown_as_its_url_is() {
    let mut echoes = echoes("hunter2");
    echoes.secret("http://h/m/MAC/TOKEN/x", "http://h/m/MAC/…/x");
    echoes.secret("TOKEN", "…");
    for (text, expected) in [
        (
            "The value hunter3 is a hunter's.",
            "The value hunter3 is a hunter's.",
        ),
        ("http://h/m/MAC/TOKEN/x", "http://h/m/MAC/***/x"),
        ("/m/MAC/TOKEN", "/m/MAC/***"),
        ("", ""),
    ] {
        assert_eq!(echoes.masked(text), expected);
    }
    let mut value = json!({"a": ["hunter2"], "hunter2": {"b": "xhunter2x"}, "c": 1, "d": null});
    echoes.mask_in(&mut value);
    assert_eq!(
        value,
        json!({"a": ["***"], "***": {"b": "x***x"}, "c": 1, "d": null})
    );
    let mut numbers = Echoes::default();
    numbers.password(&"123456".into());
    let mut value = json!({"a": 123456, "b": 12});
    numbers.mask_in(&mut value);
    assert_eq!(value, json!({"a": "***", "b": 12}));
}

proptest! {
    #[test]
    fn no_password_passes(password in "\\PC{4,12}", before in "\\PC{0,8}", after in "\\PC{0,8}") {
        let echoes = echoes(&password);
        for spelled in spellings(&password) {
            let masked = echoes.masked(&format!("{before} {spelled} {after}"));
            prop_assert!(masked.contains(MASK), "{} in {}", spelled, masked);
            prop_assert!(!masked.contains(&format!(" {spelled} ")), "{} in {}", spelled, masked);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "([%&\\\\#;xu0-9a-f]|25|\\PC){0,40}", password in "([%&\\\\#;xu0-9a-f]|\\PC){4,8}") {
        let echoes = echoes(&password);
        let _ = echoes.masked(&text);
    }
}
