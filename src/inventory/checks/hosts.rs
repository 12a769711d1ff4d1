use super::facts::Facts;
use crate::inventory::claims::{Claims, HostUse};
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::profile::Profile;
use crate::machine::CpuArchitecture;

/// Checks each host against the site, its profile and its bundle.
pub fn check(claims: &Claims, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for host in &claims.hosts {
        let name = &host.name.value;
        if !host.has_uuid && !facts.weak_identity {
            let message = format!("host `{name}` has no `uuid`, so it cannot be armed");
            let help =
                "add `uuid: …`; the log of `serve http` shows the UUID when the machine boots";
            diagnostics.push(Diagnostic::warning("no-uuid", host.name.span, message).help(help));
        }
        let profile = facts.profiles.get(&host.profile);
        check_loader(claims, host, profile, facts, diagnostics);
        let Some(profile) = profile else {
            continue;
        };
        let installer = profile.installer;
        let has_own_seed = profile.seeds.contains_key(installer.disk_seed());
        if !host.has_disk && !has_own_seed {
            let message = format!(
                "host `{name}` has no `disk`, which the built-in {installer} seed requires"
            );
            let help = "add `disk: {wwn: …}` (or `serial`, `by_path`, or `min_size` with `model`) to select the disk to overwrite";
            diagnostics.push(Diagnostic::error("no-disk", host.name.span, message).help(help));
        }
        let bundle = claims.bundles.get(&profile.bundle);
        if let Some(arch) = bundle.and_then(|bundle| bundle.arch.as_ref())
            && CpuArchitecture::from_name(arch).is_some_and(|cpu| cpu != host.arch.cpu())
        {
            let message = format!(
                "bundle `{}` is built for `{arch}`, but host `{name}` is `{}`",
                profile.bundle, host.arch
            );
            let help = "use a profile whose bundle is built for the host's processor";
            diagnostics.push(Diagnostic::error("wrong-arch", host.name.span, message).help(help));
        }
    }
}

/// Finds the loader of a host, and checks that it suits the profile.
fn check_loader(
    claims: &Claims,
    host: &HostUse,
    profile: Option<&Profile>,
    facts: &Facts<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let name = &host.name.value;
    let own = host.loader.as_ref().map(|loader| &loader.value);
    let of_profile = profile.and_then(|profile| profile.loader.as_ref());
    // A site without loaders leaves them to another server.
    let of_site = facts.loaders.filter(|loaders| !loaders.is_empty());
    let of_site = of_site.map(|loaders| loaders.get(&host.arch));
    let found = own.or(of_profile).or(of_site.flatten());
    if found.is_none() && of_site.is_some() && !claims.loaders_for.contains(&host.arch) {
        let arch = host.arch;
        let message =
            format!("host `{name}` boots as `{arch}`, but the site has no loader for `{arch}`");
        let help = format!("add `{arch}: …` to `loaders` of the site");
        diagnostics.push(Diagnostic::error("no-loader", host.name.span, message).help(help));
    }
    let secure = profile.filter(|profile| profile.secure_boot);
    if let (Some(profile), Some(loader)) = (secure, found)
        && !loader.can_be_signed()
    {
        let message = format!(
            "host `{name}` boots `{}`, which cannot be signed, but profile `{}` has `secure_boot: true`",
            loader.first, profile.name
        );
        let help = "use a signed chain: `loader: {first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi, grubx64.efi]}`";
        let span = host.loader.as_ref().map_or(host.name.span, |own| own.span);
        diagnostics.push(Diagnostic::error("unsigned-loader", span, message).help(help));
    }
}
