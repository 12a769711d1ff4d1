use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::inventory::parse;

/// Shows one text as a file of an inventory, with every fault of it, in both forms.
fn shown(text: &str) -> String {
    let files = [SourceFile {
        name: "host.yaml".into(),
        text: text.into(),
    }];
    let parsed = parse(&files, BTreeMap::new());
    let sources = Sources::new(&files, &parsed.diagnostics);
    let mut shown = sources.text(0).expect("the file").to_owned();
    for diagnostic in &parsed.diagnostics {
        shown += &diagnostic.to_text(&sources, false);
        shown += &serde_json::to_string(&diagnostic.to_json(&sources)).expect("JSON");
    }
    shown
}

const HOST: &str = "kind: Host\nname: a\nbmc:\n  url: https://10.0.0.1\n  username: root\n";

#[test]
fn a_password_is_shown_in_no_shape() {
    for shape in [
        "  password: Hunter2",
        "  password: {value: Hunter2}",
        "  password: [Hunter2]",
        "  password: [a, {b: Hunter2}]",
        "  password: \"Hunter2",
        "  password: 'Hunter2",
        "  password: 'a''Hunter2'",
        "  password: \"Hunter2\" x",
        "  password: \"a\"Hunter2",
        "  password: \"a\n    Hunter2\"",
        "  password: \"a\n  Hunter2\"\n  pin: x",
        "  password: |\n    Hunter2\n    more",
        "  password: >-\n    a\n\n    Hunter2",
        "  password: a\n    Hunter2",
        "  password:\n    Hunter2",
        "  password:\n  Hunter2",
        "  password:\n\tHunter2",
        "  password:\n\tvalue: Hunter2",
        "  password:\n  - Hunter2",
        "  password:\n    value: Hunter2",
        "  password:\n    env: Hunter2",
        "  password: {env: Hunter2}",
        "  password: {env: A=Hunter2}",
        "  password: {file: Hunter2}",
        "  password: {exec: [echo, Hunter2]}",
        "  password: {vault: Hunter2}",
        "  password: {env: A_B, file: Hunter2}",
        "  password: {Hunter2}",
        "  password: {Hunter2: x}",
        "  password: {value: Hunter2",
        "  password: {value: \"Hunter2}",
        "  password: {\n    value: Hunter2\n  }",
        "  password: {env: A_B} Hunter2",
        "  password: &p Hunter2",
        "  password: !!str Hunter2",
        "  password: # a comment\n    Hunter2",
        "  password: x # was Hunter2",
        "  password:Hunter2",
        "  password=Hunter2",
        "  password Hunter2",
        "  ? password\n  : Hunter2",
        "  \"password\": Hunter2",
        "  'password' : Hunter2",
        "  \"pass\\u0077ord\": Hunter2",
        "  \"pass\\u0077ord\": {value: Hunter2}",
        "  PASSWORD: Hunter2",
        "  pasword: Hunter2",
        "  passwrod: {value: Hunter2}",
        "  passwd: Hunter2",
        "  pass: Hunter2",
        "  secret: Hunter2",
        "  token: Hunter2",
        "  bmc_password: Hunter2",
        "  credential: {user: a, key: Hunter2}",
        "  x: {password: Hunter2, y: 1}",
        "  x: {password: a,Hunter2, y: 1}",
        "  x: {password: a}Hunter2, y: 1}",
        "  x: {y: 1, password: Hunter2",
        "  x: {y: 1, password: \"Hunter2",
        "  x: {y: 1,\n    password: Hunter2, z: 1}",
        "  x: [password: Hunter2]",
        "  x: {\"password\":\"Hunter2\"}",
        "  x: &p Hunter2\n  password: *p",
        "  x: {password: Hunter2}\n  y: Hunter2",
        "  # password: Hunter2",
        "  args: [rd.password=Hunter2]",
        "  args: [\"rd.password=a Hunter2\", quiet]",
        "  x: https://root:Hunter2@10.0.0.1/",
        "  x: {y: [\"https://root:Hunter2@10.0.0.1/\"], z: 1}",
        "  x: root:Hunter2@10.0.0.1",
        "  x: https://10.0.0.1/?a=1&token=Hunter2&b=2",
        "  x: m/52-54-00-01-02-03/Hunter2Hunter2Hunter2/a",
        "  d-i passwd/root-password password Hunter2",
    ] {
        for text in [
            format!("{HOST}{shape}\n"),
            format!("{HOST}{shape}\n  nonsense: 1\nmore: [1\n"),
            format!("{HOST}{shape}\r\nserial: [1\r\n"),
        ] {
            let shown = shown(&text);
            assert!(!shown.contains("Hunter2"), "{text}\n---\n{shown}");
        }
    }
}

#[test]
fn what_is_no_secret_stays_readable() {
    for text in [
        "  password: {env: BMC_0008}\n  nonsense: 1",
        "  password:\n    env: BMC_0008\n  nonsense: 1",
        "  plain_http: true\n  nonsense: 1",
    ] {
        let text =
            format!("{HOST}{text}\nserial: C7X9K2\nargs: [console=ttyS0]\nboot_token: off\n");
        let shown = shown(&text);
        assert!(shown.starts_with(&text), "{text}\n---\n{shown}");
        assert!(shown.contains("unknown key `nonsense`"), "{shown}");
    }
    for (text, expected) in [
        (
            "x: {password: {file: a/b}, nonsense: 1}",
            "x: {password: {file: ***}, nonsense: 1}",
        ),
        (
            "x: {password: \"é€\", nonsense: 1}",
            "x: {password: *×•*, nonsense: 1}",
        ),
        ("url: https://a:b@h/ # c", "url: https://***@h/ # c"),
        ("password: a b\nname: c", "password: ***\nname: c"),
        (
            "password: |\n  a\n   b\nname: c",
            "password: *\n  *\n   *\nname: c",
        ),
        ("name: a\u{202e}b\u{ad}", "name: a\u{fffd}b·"),
    ] {
        assert!(shown(text).starts_with(expected), "{text}: {}", shown(text));
    }
}

#[test]
fn a_caret_points_at_what_it_pointed_at() {
    let text = "kind: Host\nbmc: {password: \"hé€llo\", nonsense: 1}\n";
    let files = [SourceFile {
        name: "a.yaml".into(),
        text: text.into(),
    }];
    let at = text.find("nonsense").unwrap() as u32;
    let span = Span {
        file: 0,
        start: at,
        end: at + 8,
    };
    let diagnostic = Diagnostic::error("unknown-key", span, "unknown key `nonsense`");
    let sources = Sources::new(&files, &[]);
    let lines = diagnostic.to_text(&sources, false);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines[1], " --> a.yaml:2:27");
    assert_eq!(lines[3], "2 | bmc: {password: **×•****, nonsense: 1}");
    assert_eq!(lines[4], "  |                           ^^^^^^^^");
}

proptest! {
    #[test]
    fn arbitrary_text_is_covered_in_place(
        text in "(password|token|a|[-:{}\\[\\],&*!|>'\"#%@`=? \n\té\u{202e}]){0,40}", other in any::<String>(),
    ) {
        for text in [text, other] {
            let concealed = Concealed::new(&text, std::iter::empty());
            prop_assert_eq!(concealed.text.len(), text.len());
            prop_assert_eq!(concealed.text.matches('\n').count(), text.matches('\n').count());
            let is_same = |at: usize| text.is_char_boundary(at) == concealed.text.is_char_boundary(at);
            prop_assert!((0..text.len()).filter(|at| text.is_char_boundary(*at)).all(is_same));
        }
    }
}
