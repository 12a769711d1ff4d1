use jiff::Timestamp;

use super::assigned_boot_file::AssignedBootFile;
use super::request_context::RequestContext;
use crate::inventory::{ClassBootFile, Host, Inventory, Loader};
use crate::machine::{Architecture, Firmware, MacAddress, Secret};
use crate::respond::boot::MachinePath;
use crate::token::StoreKey;

/// Chooses the file that a client boots next; `None` if the client does not boot from the network, or if
/// the site has no loader for it. An iPXE gets our iPXE at most once in a row. After an OFFER, the decision
/// of that OFFER holds.
pub fn boot_file(context: &RequestContext<'_>) -> Option<AssignedBootFile> {
    if let Some(offered) = &context.offered {
        return offered.boot_file.clone();
    }
    match context.class().map(|class| &class.boot_file) {
        Some(ClassBootFile::Nothing) => return None,
        Some(ClassBootFile::File(name)) => return Some(AssignedBootFile::ClassFile(name.clone())),
        Some(ClassBootFile::Usual) | None => {}
    }
    next_file(context).filter(|it| !(context.is_looping && is_chain(context, it)))
}

/// Reports whether a boot file is our own iPXE for an iPXE that cannot run our scripts.
pub fn is_chain(context: &RequestContext<'_>, boot_file: &AssignedBootFile) -> bool {
    context.is_ipxe && matches!(boot_file, AssignedBootFile::Loader(_))
}

/// Returns the served file behind a boot file if the client requests its size. Without the size, UEFI
/// starts an extra transfer to learn it.
pub fn file_of_requested_size(
    context: &RequestContext<'_>,
    boot_file: &AssignedBootFile,
) -> Option<String> {
    let is_uefi = context.firmware() == Some(Firmware::Uefi);
    let needs_size = context.client.requests_file_size && is_uefi;
    let name = boot_file.tftp_file().filter(|_| needs_size)?;
    Some(
        context
            .inventory
            .loader_file(name)
            .unwrap_or(name)
            .to_owned(),
    )
}

fn next_file(context: &RequestContext<'_>) -> Option<AssignedBootFile> {
    let site = &context.inventory.site;
    let base = &site.server.base_url;
    let host = context.known.map(|(host, _)| host);
    let profile = host.and_then(|host| context.inventory.profile_of(host));
    let secure = profile.is_some_and(|profile| profile.secure_boot);
    let token = || {
        if site.boot_token {
            let (mac, uuid) = (context.mac, context.uuid());
            context.key.boot_token(mac, uuid, context.began)
        } else {
            Secret::default()
        }
    };
    // iPXE cannot be signed: with Secure Boot, the client gets the signed chain instead.
    if context.client.runs_our_scripts && !secure {
        let url = format!("{base}/boot.ipxe");
        let token = token();
        return Some(AssignedBootFile::Script { url, token });
    }
    if !context.boots_from_network() && !context.is_ipxe {
        return None;
    }
    // An unknown architecture has no loader, not even that of a BIOS.
    let architecture = context.architecture().ok()?;
    let loader = context.inventory.loader_of(host, architecture)?;
    if secure && !loader.can_be_signed() {
        return None;
    }
    if context.boots_over_http() {
        return Some(http_loader(
            base,
            loader,
            context.mac,
            token(),
            architecture,
        ));
    }
    let name = loader.first_name();
    Some(if loader.kind.uses_machine_path() {
        AssignedBootFile::MachineLoader(MachinePath::file(context.mac, token(), name))
    } else {
        AssignedBootFile::Loader(name.to_owned())
    })
}

fn http_loader(
    base: &str,
    loader: &Loader,
    mac: MacAddress,
    token: Secret,
    architecture: Architecture,
) -> AssignedBootFile {
    let path = if loader.kind.needs_http_volume() && loader.second.is_some() {
        MachinePath::image(mac, token, architecture.over_http())
    } else {
        MachinePath::file(mac, token, loader.first_name())
    };
    let base = base.to_owned();
    AssignedBootFile::HttpLoader { base, path }
}

/// Chooses the file that a host's firmware boots over HTTP when a management controller, not DHCP, sets
/// the URL; `None` if the site has no loader for the host, or the host has no UEFI.
pub fn http_boot_file(
    inventory: &Inventory,
    key: &StoreKey,
    host: &Host,
    now: Timestamp,
) -> Option<AssignedBootFile> {
    let architecture = host.arch.over_http();
    if host.arch.firmware() != Firmware::Uefi || !architecture.is_http() {
        return None;
    }
    let profile = inventory.profile_of(host);
    let loader = inventory.loader_of(Some(host), architecture)?;
    if profile.is_some_and(|profile| profile.secure_boot) && !loader.can_be_signed() {
        return None;
    }
    let mac = host.boot_nic()?.mac;
    let token = if inventory.site.boot_token {
        key.boot_token(mac, host.uuid, now)
    } else {
        Secret::default()
    };
    let base = &inventory.site.server.base_url;
    Some(http_loader(base, loader, mac, token, architecture))
}

#[cfg(test)]
mod tests {

    use crate::clients::dhcp::{Client, ClientKind};
    use crate::inventory::site_builder::SiteBuilder;
    use crate::machine::Architecture;
    use crate::respond::dhcp::{DhcpResponder, Ingress};
    use crate::token::StoreKey;
    use crate::wire::dhcp::TransactionId;

    #[test]
    fn http_boot_prefers_its_own_loader_to_that_of_tftp() {
        for (loaders, expected) in [
            (
                "{uefi-x64: a.efi}",
                "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/a.efi",
            ),
            (
                "{uefi-x64: a.efi, http-x64: b.efi}",
                "http://10.20.0.10:8080/m/52-54-00-12-34-56/…/b.efi",
            ),
        ] {
            let inventory = SiteBuilder::new(&format!(
                "loaders: {loaders}\nnetworks: [{{name: n, subnet: 10.20.0.0/24, interface: e, \
                 pool: 10.20.0.200-10.20.0.201}}]"
            ))
            .build();
            let ingress = Ingress {
                network: Some("n"),
                address: "10.20.0.10".parse().unwrap(),
            };
            let client = Client {
                kind: ClientKind::EdkHttp(Architecture::HttpX64),
                mac: "52:54:00:12:34:56".parse().unwrap(),
                uuid: None,
            };
            let response = DhcpResponder::new([]).respond(
                &inventory,
                &StoreKey::new([7; 32]),
                ingress,
                &client.discover(TransactionId(1)),
                jiff::Timestamp::UNIX_EPOCH,
            );
            assert_eq!(response.exchange.boot_file.unwrap().to_string(), expected);
        }
    }
}
