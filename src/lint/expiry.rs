use jiff::civil::Date;

use crate::inventory::{Diagnostic, FieldSpans, Inventory, Severity};

/// Warns about expired bundles that profiles use. `today` is the date in UTC.
pub fn expiry(inventory: &Inventory, spans: &FieldSpans, today: Date) -> Vec<Diagnostic> {
    let is_used = |name: &String| inventory.profiles.values().any(|it| it.bundle == *name);
    let expired = inventory.bundles.values().filter(|it| it.is_expired(today));
    expired
        .filter(|bundle| is_used(&bundle.name))
        .map(|bundle| {
            let name = &bundle.name;
            let message = format!("bundle `{name}` has expired, so its hosts cannot be armed");
            let span = spans.expires.get(name).copied();
            let help = "use a newer bundle in its profiles, or set a later `expires`";
            Diagnostic::new(Severity::Warning, "expired-bundle", span, message).help(help)
        })
        .collect()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::inventory::site_builder::parse_text;

    #[test]
    fn a_used_bundle_expires_at_the_start_of_its_day() {
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
        let parsed = parse_text(text);
        let inventory = parsed.inventory.expect("a valid inventory");
        let on = |day: &str| expiry(&inventory, &parsed.spans, day.parse().unwrap());
        assert_eq!(on("2026-04-30"), []);
        let found = on("2026-05-01");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.starts_with("bundle `used` has expired"));
        assert_eq!(found[0].span().map(|span| span.start), Some(start));
    }
}
