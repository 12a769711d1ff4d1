use crate::inventory::claims::{Claims, UniqueValue, is_infrastructure};
use crate::inventory::diagnostic::Diagnostic;

/// Reports every value that is used twice and must be unique.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for ((kind, _), claims) in &claims.unique {
        let [first, others @ ..] = claims.as_slice() else {
            continue;
        };
        let (code, noun) = code_and_noun(*kind);
        for other in others {
            // The server may also be the router.
            if is_infrastructure(&first.owner) && is_infrastructure(&other.owner) {
                continue;
            }
            let owner = match first.owner.as_str() {
                "" => "here".to_owned(),
                owner if is_infrastructure(owner) => format!("by {owner}"),
                owner => format!("by `{owner}`"),
            };
            let order = if *kind == UniqueValue::Uuid && first.written != other.written {
                ", in the other byte order"
            } else {
                ""
            };
            let message = format!("duplicate {noun} `{}`", other.written);
            diagnostics.push(
                Diagnostic::error(code, other.span, message)
                    .label("used again here")
                    .also(first.span, format!("first used {owner}{order}"))
                    .help(help(*kind, noun)),
            );
        }
    }
}

fn help(kind: UniqueValue, noun: &str) -> String {
    match kind {
        UniqueValue::Hostname
        | UniqueValue::Profile
        | UniqueValue::Bundle
        | UniqueValue::Network
        | UniqueValue::Interface => {
            format!("rename one of the two: each {noun} name must be unique")
        }
        UniqueValue::Mac | UniqueValue::Guid | UniqueValue::Ip | UniqueValue::Uuid => {
            format!("change one of the two: each {noun} must be unique")
        }
    }
}

fn code_and_noun(kind: UniqueValue) -> (&'static str, &'static str) {
    match kind {
        UniqueValue::Hostname => ("duplicate-name", "host"),
        UniqueValue::Profile => ("duplicate-name", "profile"),
        UniqueValue::Bundle => ("duplicate-name", "bundle"),
        UniqueValue::Network => ("duplicate-name", "network"),
        UniqueValue::Interface => ("duplicate-name", "interface"),
        UniqueValue::Mac => ("duplicate-mac", "MAC address"),
        UniqueValue::Guid => ("duplicate-guid", "port GUID"),
        UniqueValue::Ip => ("duplicate-ip", "IP address"),
        UniqueValue::Uuid => ("duplicate-uuid", "UUID"),
    }
}
