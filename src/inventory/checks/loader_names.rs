use std::collections::HashMap;

use crate::inventory::claims::Claims;
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::source::Span;

/// Reports every name that stands for two files: a request for it would be ambiguous.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    let mut first_uses: HashMap<&str, (&str, Span)> = HashMap::new();
    for (name, file) in &claims.loader_names {
        let first = first_uses.entry(&name.value).or_insert((file, name.span));
        let (first_file, first_span) = *first;
        if first_file != file {
            let message = format!(
                "`{}` stands for two files, `{first_file}` and `{file}`",
                name.value
            );
            let help = "rename one of them, or put it in a directory: `as: [other/bootx64.efi, other/grubx64.efi]`";
            diagnostics.push(
                Diagnostic::error("duplicate-loader", name.span, message)
                    .also(first_span, format!("`{first_file}` here"))
                    .help(help),
            );
        }
    }
}
