use super::facts::Facts;
use crate::inventory::claims::{Claims, ReferenceKind, UniqueValue};
use crate::inventory::diagnostic::{Diagnostic, nearest};
use crate::inventory::reader::{Spanned, list};

/// How many names a help line lists.
const LIST_LIMIT: usize = 8;

/// Reports every name that does not exist.
pub fn check(claims: &Claims, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for (kind, name) in &claims.references {
        let (noun, unique) = match kind {
            ReferenceKind::Profile => ("profile", UniqueValue::Profile),
            ReferenceKind::Bundle => ("bundle", UniqueValue::Bundle),
            // A missing site is reported instead.
            ReferenceKind::Network if !facts.has_site => continue,
            ReferenceKind::Network => ("network", UniqueValue::Network),
            ReferenceKind::Template => {
                let known = claims.templates.iter().map(String::as_str).collect();
                diagnostics.extend(unknown_name("template", name, known));
                continue;
            }
        };
        let names = claims.unique.keys();
        let known = names
            .filter(|(kind, _)| *kind == unique)
            .map(|(_, name)| name.as_str())
            .collect();
        diagnostics.extend(unknown_name(noun, name, known));
    }
}

fn unknown_name(noun: &str, name: &Spanned<String>, mut known: Vec<&str>) -> Option<Diagnostic> {
    let Spanned { value: name, span } = name;
    if known.contains(&name.as_str()) {
        return None;
    }
    known.sort_unstable();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the inventory has no {noun} yet"),
        None if known.len() <= LIST_LIMIT => format!("known {noun}s are {}", list(&known)),
        None => format!(
            "add the {noun} `{name}`, or use one of the {} existing {noun}s",
            known.len()
        ),
    };
    let message = format!("unknown {noun} `{name}`");
    Some(Diagnostic::error("dangling-reference", *span, message).help(help))
}
