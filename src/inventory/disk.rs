use super::reader::Reader;
use super::tree::{Node, Value};
use crate::installer::DiskSelector;

const DISK_HELP: &str = "use `wwn`, `serial`, `by_path`, or `min_size` with `model`; \
                         `lsblk -o +WWN,SERIAL` shows the values";

/// Reads `disk`.
pub(super) fn read_disk(reader: &mut Reader, node: &Node) -> Option<DiskSelector> {
    if let Value::Scalar { text, .. } = &node.value
        && !["", "~", "null"].contains(&text.as_str())
    {
        return cannot_select_disk(reader, node, text);
    }
    let mut fields = reader.fields(node, "`disk`")?;
    let errors_before = reader.diagnostics.len();
    let word = |reader: &mut Reader, node: &Node| {
        let text = reader.text(node)?;
        let good = |c: char| c.is_ascii_alphanumeric() || "._:-+".contains(c);
        if !text.is_empty() && text.chars().all(good) {
            return Some(text);
        }
        cannot_select_disk(reader, node, &text)
    };
    let wwn = fields.optional(reader, "wwn", word);
    let serial = fields.optional(reader, "serial", word);
    let by_path = fields.optional(reader, "by_path", word);
    let min_size = fields.optional(reader, "min_size", read_size);
    let model = fields.optional(reader, "model", |reader, node| {
        let text = reader.text(node)?;
        let good = |c: char| c.is_ascii_alphanumeric() || "._:-+ ".contains(c);
        if !text.trim().is_empty() && text.chars().all(good) {
            return Some(text);
        }
        let message = format!("`{text}` is not a disk model");
        reader.refuse(
            "wrong-value",
            node.span,
            message,
            "write the model that `lsblk -o MODEL` prints",
        )
    });
    fields.finish(reader);
    if reader.diagnostics.len() > errors_before {
        return None;
    }
    match (wwn, serial, by_path, model, min_size) {
        (Some(wwn), None, None, None, None) => Some(DiskSelector::Wwn(wwn)),
        (None, Some(serial), None, None, None) => Some(DiskSelector::Serial(serial)),
        (None, None, Some(path), None, None) => Some(DiskSelector::ByPath(path)),
        (None, None, None, Some(model), Some(min_size)) => {
            Some(DiskSelector::Model { model, min_size })
        }
        _ => reader.refuse(
            "wrong-value",
            node.span,
            "`disk` must select the disk in exactly one way",
            DISK_HELP,
        ),
    }
}

fn cannot_select_disk<T>(reader: &mut Reader, node: &Node, text: &str) -> Option<T> {
    let message = format!("`{text}` cannot select a disk");
    reader.refuse("wrong-value", node.span, message, DISK_HELP)
}

/// Reads a size such as `400G` or `1.5T`. The units are powers of 1000, as on disk labels.
fn read_size(reader: &mut Reader, node: &Node) -> Option<u64> {
    let text = reader.text(node)?;
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'G')) => (&text[..at], 1e9),
        Some((at, 'T')) => (&text[..at], 1e12),
        _ => (text.as_str(), 1.0),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && number * unit < 1e18 => Some((number * unit) as u64),
        _ => reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` is not a size"),
            "write a size such as `400G` or `1.5T`",
        ),
    }
}
