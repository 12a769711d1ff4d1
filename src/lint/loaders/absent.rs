//! What is named and not there.

use std::collections::BTreeSet;

use crate::inventory::{Diagnostic, FieldSpans, Inventory, Severity, Span, list};

/// A file that nothing in `server.files` has.
pub struct Absent {
    /// Its name.
    pub file: String,
    /// What names it.
    pub span: Span,
    /// What it is for.
    pub what: What,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody starts it.
    Loader,
    /// PXELINUX asks for it.
    Module,
}

/// Warns of files that are absent, or notes that some directories could not be looked into.
pub fn absent(
    inventory: &Inventory,
    places: &FieldSpans,
    roots: &[usize],
    absent: &[Absent],
) -> Vec<Diagnostic> {
    match roots {
        [] => absent.iter().map(|file| missing(inventory, file)).collect(),
        _ if absent.is_empty() => Vec::new(),
        roots => Vec::from_iter(unchecked(inventory, places, roots, absent)),
    }
}

fn missing(inventory: &Inventory, absent: &Absent) -> Diagnostic {
    let file = &absent.file;
    let message = match absent.what {
        What::Loader => format!("no directory of `server.files` has the loader `{file}`"),
        What::Module => format!(
            "no directory of `server.files` has `{file}`, for which PXELINUX asks beside itself"
        ),
    };
    let help = match inventory.site.server.files.as_slice() {
        [] => {
            "add the directory that holds it below `server:`: `files: [/usr/lib/ipxe]`".to_owned()
        }
        roots if absent.what == What::Loader => {
            format!("put it into {}, or correct its name", list(roots))
        }
        roots => format!(
            "put it into {}: on Debian, /usr/lib/syslinux/modules/bios has it",
            list(roots)
        ),
    };
    Diagnostic::warning("missing-loader", absent.span, message).help(help)
}

/// Notes what cannot be checked here: CI has git and not the directories of the server.
fn unchecked(
    inventory: &Inventory,
    places: &FieldSpans,
    roots: &[usize],
    absent: &[Absent],
) -> Option<Diagnostic> {
    let names: BTreeSet<&str> = absent.iter().map(|absent| absent.file.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let known = &inventory.site.server.files;
    let roots: Vec<(&String, Option<Span>)> = roots
        .iter()
        .filter_map(|index| Some((known.get(*index)?, places.roots.get(*index).copied())))
        .collect();
    let ((first, span), others) = roots.split_first()?;
    let message = format!(
        "`{first}` of `server.files` is not here: the loader{} {} {} not checked",
        if names.len() == 1 { "" } else { "s" },
        list(&names),
        if names.len() == 1 { "is" } else { "are" },
    );
    let note = Diagnostic::new(Severity::Note, "missing-loader", *span, message);
    let note = others
        .iter()
        .filter_map(|(_, span)| *span)
        .fold(note, |note, span| note.also(span, "nor this one"));
    Some(note.help("run `pxectl validate` where the servers run, too"))
}
