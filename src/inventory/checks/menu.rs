use crate::inventory::claims::{Claims, MenuUse};
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::menu::KERNEL;
use crate::inventory::reader::Spanned;
use crate::machine::CpuArchitecture;

/// Checks each menu entry against the bundle that it starts.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for MenuUse { bundle, arch } in &claims.menu_uses {
        let Spanned { value: name, span } = bundle;
        let install = claims.bundle_uses.iter().find(|it| it.bundle == *name);
        if let Some(install) = install {
            let message = format!(
                "the menu starts bundle `{name}`, an installer: choosing it runs {} on a machine that is not armed",
                install.installer
            );
            let help = "use a separate bundle in the menu, such as a rescue system";
            diagnostics.push(
                Diagnostic::warning("menu-installer", *span, message)
                    .also(install.span, "a profile installs this bundle")
                    .help(help),
            );
        }
        let Some(claim) = claims.bundles.get(name) else {
            continue;
        };
        if !claim.keys.contains(KERNEL) {
            let message =
                format!("bundle `{name}` has no file `{KERNEL}`, which the menu entry starts");
            let help = format!("add `{KERNEL}` to `files` of bundle `{name}`");
            diagnostics.push(Diagnostic::error("bundle-file", *span, message).help(help));
        }
        let cpu = claim.arch.as_deref().and_then(CpuArchitecture::from_name);
        let other = cpu.and_then(|cpu| arch.iter().find(|arch| arch.cpu() != cpu));
        if let (Some(cpu), Some(other)) = (cpu, other) {
            let cpu = cpu.name();
            let message =
                format!("bundle `{name}` is built for `{cpu}`, which `{other}` cannot run");
            let help = format!("remove `{other}` from `arch`, or use a bundle built for it");
            diagnostics.push(Diagnostic::error("wrong-arch", *span, message).help(help));
        }
    }
}
