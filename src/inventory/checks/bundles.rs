use crate::inventory::claims::{BundleUse, Claims};
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::reader::list;

/// Checks that each bundle has the files that its installers require.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for BundleUse {
        bundle,
        span,
        installer,
    } in &claims.bundle_uses
    {
        let Some(claim) = claims.bundles.get(bundle) else {
            continue;
        };
        let required = installer.bundle_files().iter();
        let missing: Vec<_> = required.filter(|&&key| !claim.keys.contains(key)).collect();
        if missing.is_empty() {
            continue;
        }
        let missing = list(&missing);
        let message =
            format!("bundle `{bundle}` has no file {missing}, which {installer} requires");
        let help = format!("add {missing} to `files` of bundle `{bundle}`");
        diagnostics.push(Diagnostic::error("bundle-file", *span, message).help(help));
    }
}
