use super::Claims;
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::menu::KERNEL;
use crate::inventory::reader::Spanned;
use crate::machine::{Architecture, CpuArchitecture};

/// A bundle that an entry of the menu starts.
pub struct MenuUse {
    pub bundle: Spanned<String>,
    /// The architectures that the entry is limited to.
    pub arch: Vec<Architecture>,
}

/// Checks each entry of the menu against the bundle that it starts.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for MenuUse { bundle, arch } in &claims.menu {
        let Spanned { value: name, span } = bundle;
        let installs = claims
            .bundle_uses
            .iter()
            .find(|(bundle, ..)| bundle == name);
        if let Some((_, place, installer)) = installs {
            let message = format!(
                "the menu starts bundle `{name}`, which is installed: whoever chooses it starts {installer} on a machine that nobody armed"
            );
            let help = "give what the menu starts a bundle of its own, such as a rescue system";
            diagnostics.push(
                Diagnostic::warning("menu-installer", *span, message)
                    .also(*place, "a profile installs it")
                    .help(help),
            );
        }
        let Some((cpu, keys)) = claims.bundles.get(name) else {
            continue;
        };
        if !keys.contains(KERNEL) {
            let message =
                format!("bundle `{name}` has no file `{KERNEL}`, which the menu would start");
            let help = format!("add `{KERNEL}` below `files:` of bundle `{name}`");
            diagnostics.push(Diagnostic::error("bundle-file", *span, message).help(help));
        }
        let cpu = cpu.as_deref().and_then(CpuArchitecture::from_name);
        let other = cpu.and_then(|cpu| arch.iter().find(|arch| arch.cpu() != cpu));
        if let (Some(cpu), Some(other)) = (cpu, other) {
            let message = format!(
                "bundle `{name}` is built for `{}`, and `{other}` runs none of that",
                cpu.name()
            );
            let help = format!("take `{other}` out of `arch`, or name a bundle for it");
            diagnostics.push(Diagnostic::error("wrong-arch", *span, message).help(help));
        }
    }
}
