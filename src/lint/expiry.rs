use jiff::civil::Date;

use crate::inventory::{Diagnostic, FieldSpans, Inventory, Severity};

/// Warns of bundles that profiles name and that must not be installed any more. `today` is the day in
/// UTC.
pub fn expiry(inventory: &Inventory, places: &FieldSpans, today: Date) -> Vec<Diagnostic> {
    let is_named = |name: &String| inventory.profiles.values().any(|it| it.bundle == *name);
    let expired = inventory.bundles.values().filter(|it| it.is_expired(today));
    expired
        .filter(|bundle| is_named(&bundle.name))
        .map(|bundle| {
            let name = &bundle.name;
            let message = format!("bundle `{name}` has expired: no host can be armed with it");
            let place = places.expires.get(name).copied();
            let help = "give its profiles a newer bundle, or the bundle a later `expires`";
            Diagnostic::new(Severity::Warning, "expired-bundle", place, message).help(help)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::{SourceFile, parse};

    #[test]
    fn a_bundle_is_warned_of_from_the_beginning_of_its_day_where_a_profile_names_it() {
        let zeros = "0".repeat(64);
        let file = format!("{{path: a, sha256: \"{zeros}\", size: 1}}");
        let bundle = |name: &str, expires: &str| {
            let files = format!("{{kernel: {file}, initrd: {file}}}");
            format!("---\nkind: Bundle\nname: {name}\narch: x86_64\n{expires}files: {files}\n")
        };
        let text = format!(
            "kind: Site\nname: s\nserver: {{address: 10.0.0.1}}\nnetworks: []\nloaders: {{}}\n\
             ---\nkind: Profile\nname: p\ninstaller: preseed\nbundle: used\n\
             ---\nkind: Profile\nname: q\ninstaller: preseed\nbundle: lasting\n{}{}{}",
            bundle("used", "expires: 2026-05-01\n"),
            bundle("unused", "expires: 2026-05-01\n"),
            bundle("lasting", ""),
        );
        let start = text.find("2026").unwrap() as u32;
        let file = SourceFile {
            name: "a.yaml".to_owned(),
            text,
        };
        let parsed = parse(&[file], BTreeMap::new());
        let inventory = parsed.inventory.expect("a good inventory");
        let on = |day: &str| expiry(&inventory, &parsed.spans, day.parse().unwrap());
        assert_eq!(on("2026-04-30"), []);
        let found = on("2026-05-01");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.starts_with("bundle `used` has expired"));
        assert_eq!(found[0].span().map(|span| span.start), Some(start));
    }
}
