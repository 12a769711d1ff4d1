use std::collections::BTreeMap;

use super::reader::Reader;
use super::tree::{Node, Value};

/// Reads free values for templates.
pub(super) fn read_vars(
    reader: &mut Reader,
    node: &Node,
) -> Option<BTreeMap<String, serde_json::Value>> {
    let entries = reader.entries(node, |_, key, value| {
        Some((key.text.clone(), to_json(value)))
    })?;
    Some(entries.into_iter().collect())
}

/// Turns a node into plain data, with YAML 1.2's core types for scalars that are not quoted.
///
/// Source: YAML 1.2.2 §10.3.2.
fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Scalar { text, plain: false } => Json::String(text.clone()),
        Value::Scalar { text, plain: true } => match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Json::Null,
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            _ => number(text).map_or_else(|| Json::String(text.clone()), Json::Number),
        },
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.text.clone(), to_json(value)))
            .collect(),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    let digits = text.trim_start_matches(['-', '+']);
    // A leading zero is kept as text: `007` and `0123` are codes, not quantities.
    let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if code || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    text.parse().ok().and_then(serde_json::Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn plain_scalars_get_core_types_and_codes_stay_text() {
        let mut diagnostics = Vec::new();
        let text = "[1, -2, 1.5, true, null, 007, 1e3, 0x1f, yes, '3', 1.2.3]";
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let json = serde_json::json!([
            1, -2, 1.5, true, null, "007", 1000.0, "0x1f", "yes", "3", "1.2.3"
        ]);
        assert_eq!(to_json(&node), json);
    }
}
