use super::reader::Reader;
use super::tree::Node;

/// Reads one kernel argument. It must not contain a blank, a comment, a setting, or a word that joins or
/// ends commands of iPXE.
pub(super) fn read_argument(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    let words = ["||", "&&", ";"].contains(&text.as_str()) || text.starts_with('#');
    if text.contains(char::is_whitespace) || words || text.contains("${") {
        let message = format!("`{text}` is not one kernel argument");
        return reader.refuse(
            "wrong-value",
            node.span,
            message,
            "write one argument in each list item, without blanks, `||`, `&&`, `;`, `#` at the start and `${`",
        );
    }
    Some(text)
}
