use super::source::SourceFile;
use super::tree::{self, Node, Value};
use crate::machine::MacAddress;

/// A change of one value in a `Host` document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correction {
    /// The value of `uuid` or `serial`, which is added if it is missing.
    Key {
        /// The key.
        key: &'static str,
        /// Its new value.
        value: String,
    },
    /// The address of an interface.
    Mac {
        /// The current address.
        from: MacAddress,
        /// The new address.
        to: MacAddress,
    },
    /// The value of a key of `disk`, such as `serial`.
    Disk {
        /// The key.
        key: &'static str,
        /// Its new value.
        value: String,
    },
}

/// Corrects the document of a host and returns its text, with its comments. Returns `None` if no file
/// contains the document in a form that can be edited.
pub fn corrected(files: &[SourceFile], host: &str, corrections: &[Correction]) -> Option<String> {
    files.iter().enumerate().find_map(|(index, file)| {
        let documents = tree::parse(index as u32, &file.text, &mut Vec::new());
        let is_host = |node: &&Node| {
            scalar(node, "kind") == Some("Host") && scalar(node, "name") == Some(host)
        };
        let document = documents.iter().find(is_host)?;
        correct(&file.text, document, corrections)
    })
}

fn correct(text: &str, document: &Node, corrections: &[Correction]) -> Option<String> {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for correction in corrections {
        edits.push(match correction {
            Correction::Key { key, value } => match child(document, key) {
                Some(node) => (
                    node.span.start as usize,
                    node.span.end as usize,
                    quoted(value),
                ),
                None => added(text, document, key, value)?,
            },
            Correction::Mac { from, to } => {
                let Value::Sequence(nics) = &child(document, "nics")?.value else {
                    return None;
                };
                let is_mac = |node: &&Node| {
                    scalar_of(node).and_then(|text| text.parse().ok()) == Some(*from)
                };
                let macs = nics.iter().filter_map(|nic| child(nic, "mac"));
                let node = macs.into_iter().find(is_mac)?;
                let value = format!("\"{to}\"");
                (node.span.start as usize, node.span.end as usize, value)
            }
            Correction::Disk { key, value } => {
                let node = child(child(document, "disk")?, key)?;
                (
                    node.span.start as usize,
                    node.span.end as usize,
                    quoted(value),
                )
            }
        });
    }
    // From the end, so that earlier offsets stay valid.
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    let mut whole = text.to_owned();
    let (start, mut end) = (document.span.start as usize, document.span.end as usize);
    for (from, to, value) in edits {
        whole.get(from..to)?;
        whole.replace_range(from..to, &value);
        end = end + value.len() - (to - from);
    }
    let document = whole.get(start..end)?.trim_end();
    // The tree ends at the last value; a comment may follow on the same line.
    let rest = whole.get(start + document.len()..)?;
    let rest = rest.lines().next().unwrap_or_default();
    let comment = if rest.trim_start().starts_with('#') {
        rest
    } else {
        ""
    };
    Some(format!("{document}{comment}\n"))
}

/// Returns the edit that adds a key after the name.
fn added(text: &str, document: &Node, key: &str, value: &str) -> Option<(usize, usize, String)> {
    let name = child(document, "name")?.span.end as usize;
    let value = quoted(value);
    if text.get(document.span.start as usize..)?.starts_with('{') {
        return Some((name, name, format!(", {key}: {value}")));
    }
    let start = document.span.start as usize;
    let indent = start - text[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[name..].find('\n').map_or(text.len(), |at| name + at);
    Some((end, end, format!("\n{}{key}: {value}", " ".repeat(indent))))
}

/// Writes a value so that YAML reads it as this text. Quotes it only if needed.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let starts = value.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = ["true", "false", "null", "yes", "no", "on", "off"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    if starts && !word && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Mapping(entries) => entries
            .iter()
            .find(|(known, _)| known.text == key)
            .map(|(_, node)| node),
        _ => None,
    }
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    scalar_of(child(node, key)?)
}

fn scalar_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, corrections: &[Correction]) -> Option<String> {
        let file = SourceFile {
            name: "hosts.yaml".to_owned(),
            text: text.to_owned(),
        };
        corrected(&[file], "a", corrections)
    }

    fn key(key: &'static str, value: &str) -> Correction {
        let value = value.to_owned();
        Correction::Key { key, value }
    }

    #[test]
    fn values_are_replaced_and_comments_stay() {
        let text = "kind: Site\nname: s\n---\n# ours\nkind: Host\nname: a # the first\nserial: C7 # sticker\nnics:\n  - {mac: \"52:54:00:12:34:56\", boot: true}\ndisk: {serial: S1}\n---\nkind: Host\nname: b\n";
        let mac = |text: &str| text.parse().unwrap();
        let corrected = edit(
            text,
            &[
                key("serial", "C8"),
                key("uuid", "4c4c4544-0046-3410-8037-b8c04f4d5931"),
                Correction::Mac {
                    from: mac("52:54:00:12:34:56"),
                    to: mac("52:54:00:12:34:57"),
                },
                Correction::Disk {
                    key: "serial",
                    value: "007".to_owned(),
                },
            ],
        );
        assert_eq!(
            corrected.as_deref(),
            Some(
                "kind: Host\nname: a # the first\nuuid: \"4c4c4544-0046-3410-8037-b8c04f4d5931\"\nserial: C8 # sticker\nnics:\n  - {mac: \"52:54:00:12:34:57\", boot: true}\ndisk: {serial: \"007\"}\n"
            )
        );
    }

    #[test]
    fn a_document_in_braces_keeps_them() {
        assert_eq!(
            edit("{kind: Host, name: a}\n", &[key("serial", "C8")]).as_deref(),
            Some("{kind: Host, name: a, serial: C8}\n")
        );
    }

    #[test]
    fn a_document_that_cannot_be_edited_is_refused() {
        assert_eq!(edit("kind: Host\nname: b\n", &[key("serial", "C8")]), None);
        let disk = Correction::Disk {
            key: "wwn",
            value: "0x5".to_owned(),
        };
        assert_eq!(edit("kind: Host\nname: a\n", &[disk]), None);
    }

    #[test]
    fn ambiguous_values_are_quoted() {
        for (value, written) in [
            ("C7X9", "C7X9"),
            ("true", "\"true\""),
            ("0123", "\"0123\""),
            ("a: b", "\"a: b\""),
            ("a\"b", "\"a\\\"b\""),
        ] {
            assert_eq!(quoted(value), written);
        }
    }
}
