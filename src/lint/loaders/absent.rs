//! Files that the inventory names and that do not exist.

use std::collections::BTreeSet;

use crate::inventory::{Diagnostic, FieldSpans, Inventory, Severity, Span, list};
use crate::loader::LoaderKind;

/// A file that no entry of `server.files` has.
pub struct MissingFile {
    /// Its name.
    pub file: String,
    /// The span that names it.
    pub span: Span,
    /// What it is for.
    pub purpose: FilePurpose,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePurpose {
    /// A loader, or a file that the menu starts.
    Loader,
    /// A module that a loader of this kind requests.
    Module(LoaderKind),
}

/// Warns about missing files. If some directories do not exist here, notes that the files are not
/// checked.
pub fn report_missing(
    inventory: &Inventory,
    spans: &FieldSpans,
    absent_roots: &[usize],
    missing: &[MissingFile],
) -> Vec<Diagnostic> {
    match absent_roots {
        [] => missing
            .iter()
            .map(|file| warning(inventory, file))
            .collect(),
        _ if missing.is_empty() => Vec::new(),
        roots => Vec::from_iter(unchecked(inventory, spans, roots, missing)),
    }
}

fn warning(inventory: &Inventory, missing: &MissingFile) -> Diagnostic {
    let file = &missing.file;
    let message = match missing.purpose {
        FilePurpose::Loader => format!("no directory of `server.files` has the loader `{file}`"),
        FilePurpose::Module(kind) => {
            let loader = kind.label();
            format!("no directory of `server.files` has `{file}`, which {loader} requests")
        }
    };
    let help = match inventory.site.server.files.as_slice() {
        [] => "add its directory to `server`: `files: [/usr/lib/ipxe]`".to_owned(),
        roots if missing.purpose == FilePurpose::Loader => {
            format!("put the file into {}, or correct its name", list(roots))
        }
        roots => format!(
            "copy the file into {}; on Debian, it is in /usr/lib/syslinux/modules/bios",
            list(roots)
        ),
    };
    Diagnostic::warning("missing-loader", missing.span, message).help(help)
}

/// Notes which files cannot be checked here: CI has the git repository, but not the server's directories.
fn unchecked(
    inventory: &Inventory,
    spans: &FieldSpans,
    absent_roots: &[usize],
    missing: &[MissingFile],
) -> Option<Diagnostic> {
    let names: BTreeSet<&str> = missing
        .iter()
        .map(|missing| missing.file.as_str())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let known = &inventory.site.server.files;
    let roots: Vec<(&String, Option<Span>)> = absent_roots
        .iter()
        .filter_map(|index| Some((known.get(*index)?, spans.roots.get(*index).copied())))
        .collect();
    let ((first, span), others) = roots.split_first()?;
    let (noun, verb) = if names.len() == 1 {
        ("loader", "is")
    } else {
        ("loaders", "are")
    };
    let names = list(&names);
    let message = format!(
        "`{first}` of `server.files` does not exist here, so {noun} {names} {verb} not checked"
    );
    let note = Diagnostic::new(Severity::Note, "missing-loader", *span, message);
    let note = others
        .iter()
        .filter_map(|(_, span)| *span)
        .fold(note, |note, span| note.also(span, "also missing here"));
    Some(note.help("also run `pxectl validate` on the server"))
}
