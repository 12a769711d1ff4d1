use super::{Claims, Facts};
use crate::inventory::diagnostic::Diagnostic;
use crate::inventory::loader::Loader;
use crate::inventory::profile::Profile;
use crate::inventory::reader::Spanned;
use crate::machine::{Architecture, CpuArchitecture};

/// What a host brings to its profile.
pub struct HostUse {
    pub name: Spanned<String>,
    pub profile: String,
    pub arch: Architecture,
    /// Its own loader, and where it is named.
    pub loader: Option<Spanned<Loader>>,
    pub has_uuid: bool,
    pub has_disk: bool,
}

/// Checks each host against the site, its profile and its bundle.
pub fn check(claims: &Claims, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for host in &claims.hosts {
        let name = &host.name.value;
        if !host.has_uuid && !facts.weak_identity {
            let message = format!("host `{name}` has no `uuid`, so it cannot be armed");
            let help = "add `uuid: …`: the log of `serve http` shows it when the machine boots";
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
            let message =
                format!("host `{name}` has no `disk`, which the built-in {installer} seed needs");
            let help = "add `disk: {wwn: …}` (or `serial`, `by_path`, or `min_size` and `model`): nothing else may be overwritten";
            diagnostics.push(Diagnostic::error("no-disk", host.name.span, message).help(help));
        }
        if let Some((Some(arch), _)) = claims.bundles.get(&profile.bundle)
            && CpuArchitecture::from_name(arch).is_some_and(|cpu| cpu != host.arch.cpu())
        {
            let message = format!(
                "bundle `{}` is built for `{arch}`, host `{name}` is `{}`",
                profile.bundle, host.arch
            );
            let help = "give the host a profile whose bundle is built for its processor";
            diagnostics.push(Diagnostic::error("wrong-arch", host.name.span, message).help(help));
        }
    }
}

/// Finds the loader that the host is given, and whether it suits its profile.
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
    // Without any loader the site hands out none, which is its own affair.
    let of_site = facts.loaders.filter(|loaders| !loaders.is_empty());
    let of_site = of_site.map(|loaders| loaders.get(&host.arch));
    let found = own.or(of_profile).or(of_site.flatten());
    if found.is_none() && of_site.is_some() && !claims.loaders_for.contains(&host.arch) {
        let message = format!(
            "the site has no loader for `{}`, which host `{name}` boots with",
            host.arch
        );
        let help = format!("add `{}: …` below `loaders:` of the site", host.arch);
        diagnostics.push(Diagnostic::error("no-loader", host.name.span, message).help(help));
    }
    let secure = profile.filter(|profile| profile.secure_boot);
    if let (Some(profile), Some(loader)) = (secure, found)
        && !loader.can_be_signed()
    {
        let message = format!(
            "host `{name}` boots `{}`, and its profile `{}` says `secure_boot: true`",
            loader.first, profile.name
        );
        let help = "name a signed chain: `loader: {first: shimx64.efi.signed, second: grubnetx64.efi.signed, as: [bootx64.efi, grubx64.efi]}`";
        let span = host.loader.as_ref().map_or(host.name.span, |own| own.span);
        diagnostics.push(Diagnostic::error("unsigned-loader", span, message).help(help));
    }
}
