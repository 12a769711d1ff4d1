use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let documents = parse(0, text, &mut diagnostics);
    (documents, diagnostics)
}

#[test]
fn a_broken_document_hides_no_other_document() {
    let (documents, diagnostics) = parsed("a: 1\n---\nb: [1, 2\n---\nc: \"x\n---\nd: 4\n");
    assert_eq!(documents.len(), 2, "{diagnostics:?}");
    assert_eq!(diagnostics.len(), 2, "{diagnostics:?}");
}

#[test]
fn scalars_keep_their_spelling() {
    let (documents, _) = parsed("serial: 007\n");
    let Value::Mapping(entries) = &documents[0].value else {
        panic!()
    };
    assert_eq!(
        entries[0].1.value,
        Value::Scalar {
            text: "007".into(),
            plain: true
        }
    );
    assert_eq!((entries[0].1.span.start, entries[0].1.span.end), (8, 11));
}

#[test]
fn a_duplicate_key_shows_both_uses() {
    let (_, diagnostics) = parsed("a: 1\nb: 2\na: 3\n");
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(
        diagnostics[0]
            .labels
            .iter()
            .map(|l| l.span.start)
            .collect::<Vec<_>>(),
        [10, 0]
    );
}

#[test]
fn an_alias_bomb_is_refused_in_little_memory() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let reference = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{reference}]\n"));
    }
    let (_, diagnostics) = parsed(&text);
    assert!(
        diagnostics[0].message.contains("aliases"),
        "{diagnostics:?}"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        "[".repeat(100_000),
        "a:\n".repeat(3) + &"- ".repeat(100_000),
        "{a: ".repeat(50_000),
    ] {
        let (_, diagnostics) = parsed(&text);
        assert!(
            !diagnostics.is_empty() && diagnostics.len() < 3,
            "{diagnostics:?}"
        );
    }
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    let (_, diagnostics) = parsed("a: &a [*a]\n");
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[-a-z:{}\\[\\]&*!|>'\"#%@`, \n\t0-9é]{0,200}") {
        parsed(&text);
    }

    #[test]
    fn arbitrary_unicode_never_panics(text in any::<String>()) {
        parsed(&text);
    }
}
