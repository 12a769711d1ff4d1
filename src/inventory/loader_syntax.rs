//! Reads loaders, and the names of the files that firmware requests.

use super::claims::Claims;
use super::field_spans::LoaderSpans;
use super::loader::{Loader, kind_of_file};
use super::reader::{Reader, Spanned};
use super::tree::{Node, Value};
use crate::loader::LoaderKind;

/// The longest name of a file that firmware requests, in bytes: DHCP's `file` field holds 127, and the
/// path of a machine (`m/MAC/TOKEN/`) takes 48 of them.
const NAME_LIMIT: usize = 127 - 48;

/// Reads a loader: the name of a file, or a mapping with its stages. Also returns the spans of its files.
pub(super) fn read_loader(
    reader: &mut Reader,
    claims: &mut Claims,
    node: &Node,
) -> Option<(Loader, LoaderSpans)> {
    let Value::Mapping(_) = &node.value else {
        let first = read_file_name(reader, node)?;
        claims.loader_name(first.clone(), first.value.clone());
        let spans = LoaderSpans {
            first: first.span,
            second: None,
        };
        return Some((Loader::file(first.value), spans));
    };
    let mut fields = reader.fields(node, "this loader")?;
    let first = fields.required(reader, "first", read_file_name);
    let second = fields.optional(reader, "second", read_file_name);
    let names = fields.optional(reader, "as", |reader, node| {
        let names = reader.items(node, read_file_name)?;
        if names.is_empty() || names.len() > 2 {
            let help = "write a name for `first` and, if needed, a name for `second`: `[bootx64.efi, grubx64.efi]`";
            let message = "`as` must list one or two names";
            return reader.refuse("wrong-value", node.span, message, help);
        }
        Some(names)
    });
    let kind = fields.optional(reader, "kind", |reader, node| {
        let choices: Vec<_> = LoaderKind::all().map(|kind| (kind.name(), kind)).collect();
        reader.choice(node, &choices)
    });
    fields.finish(reader);
    let first = first?;
    let names = names.unwrap_or_default();
    if let (Some(name), None) = (names.get(1), &second) {
        let message = format!("`{}` has no file: this loader has no `second`", name.value);
        let help = "add `second: …`, or remove the second name from `as`";
        return reader.refuse("wrong-value", name.span, message, help);
    }
    for (index, file) in [Some(&first), second.as_ref()].into_iter().enumerate() {
        let name = names.get(index).or(file.filter(|_| index == 0));
        if let (Some(file), Some(name)) = (file, name) {
            claims.loader_name(name.clone(), file.value.clone());
        }
    }
    let guessed_kind = match &second {
        Some(_) => LoaderKind::Grub,
        None => kind_of_file(&first.value),
    };
    let spans = LoaderSpans {
        first: first.span,
        second: second.as_ref().map(|second| second.span),
    };
    let loader = Loader {
        first: first.value,
        second: second.map(|second| second.value),
        names: names.into_iter().map(|name| name.value).collect(),
        kind: kind.unwrap_or(guessed_kind),
    };
    Some((loader, spans))
}

/// Reads the name of a file below `server.files`, which may also appear in scripts.
pub(super) fn read_file_name(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let text = reader.text(node)?;
    let is_relative = text
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+@~=,/".contains(c);
    if is_relative && text.len() <= NAME_LIMIT && text.chars().all(is_plain) {
        return Some(Spanned {
            value: text,
            span: node.span,
        });
    }
    let message = format!("`{text}` is not a file name that firmware can request");
    let help = "write the path of a file below `server.files`, such as `snponly.efi`: at most 79 letters, digits and `._-+@~=,/`";
    reader.refuse("wrong-value", node.span, message, help)
}
