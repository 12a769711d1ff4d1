use super::*;
use crate::inventory::tree;

#[test]
fn every_error_of_a_mapping_is_reported() {
    let mut diagnostics = Vec::new();
    let node = tree::parse(
        0,
        "port: many\ntime: never\ncolour: red\n",
        &mut diagnostics,
    )
    .remove(0);
    let mut reader = Reader { diagnostics };
    let mut fields = reader.fields(&node, "this thing").unwrap();
    assert_eq!(
        fields.required(&mut reader, "port", |r, n| r.number(n, 1..=65535)),
        None
    );
    assert_eq!(
        fields.optional(&mut reader, "time", |r, n| r.duration(n)),
        None
    );
    assert_eq!(fields.required(&mut reader, "name", |r, n| r.text(n)), None);
    assert_eq!(
        fields.optional(&mut reader, "color", |r, n| r.text(n)),
        None
    );
    fields.finish(&mut reader);
    let diagnostics = reader.diagnostics;
    let codes: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    assert_eq!(
        codes,
        ["wrong-value", "wrong-value", "missing-key", "unknown-key"]
    );
    assert_eq!(
        diagnostics[3].help.as_deref(),
        Some("did you mean `color`?")
    );
}
