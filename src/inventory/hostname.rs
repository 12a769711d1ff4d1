use super::reader::{Reader, Spanned};
use super::tree::Node;

/// Reads a hostname. Source: RFC 1123 §2.1.
pub(super) fn read_hostname(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let text = reader.text(node)?;
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Some(Spanned {
            value: text,
            span: node.span,
        });
    }
    let message = format!("`{text}` is not a valid hostname");
    reader.refuse(
        "wrong-value",
        node.span,
        message,
        "use letters, digits and `-`, with at most 63 characters between dots",
    )
}
