use std::net::Ipv4Addr;

use crate::inventory::claims::{Claims, NetworkClaim, UniqueValue, is_infrastructure};
use crate::inventory::dhcp_mode::DhcpMode;
use crate::inventory::diagnostic::{Diagnostic, Severity};
use crate::inventory::reader::Spanned;
use crate::inventory::subnet::AddressRange;

/// Checks the address space: the networks, their pools, and the reserved addresses.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    check_addresses(claims, diagnostics);
    check_pools(claims, diagnostics);
    check_subnets(claims, diagnostics);
}

/// Checks that each reserved address is in its network and outside every pool.
fn check_addresses(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for (network, address) in &claims.addresses {
        let Spanned {
            value: address,
            span,
        } = address;
        let Some(NetworkClaim { subnet, mode, .. }) = claims.networks.get(network) else {
            continue;
        };
        if !subnet.is_host(*address) {
            let message =
                format!("`{address}` is not a host address in network `{network}` (`{subnet}`)");
            let mut networks = claims.networks.iter();
            let help = match networks.find(|(_, it)| it.subnet.is_host(*address)) {
                Some((name, _)) => {
                    format!("the address is in network `{name}`: change `network` or `ip`")
                }
                None => format!("use an address in `{subnet}`, or change `network`"),
            };
            diagnostics.push(Diagnostic::error("outside-network", *span, message).help(help));
        }
        if *mode == DhcpMode::Proxy {
            let message = format!(
                "`{address}` is not handed out: another DHCP server owns the addresses of network `{network}`"
            );
            let help = "reserve the address in that server too; pxectl uses it only in seeds";
            let severity = Severity::Note;
            diagnostics
                .push(Diagnostic::new(severity, "not-handed-out", Some(*span), message).help(help));
        }
        if let Some(pool) = pool_with(claims, *address) {
            let (first, last) = (pool.value.first(), pool.value.last());
            let message = format!("`{address}` is inside the pool `{first}-{last}`");
            diagnostics.push(
                Diagnostic::error("in-pool", *span, message)
                    .also(
                        pool.span,
                        "the pool for machines without a reserved address",
                    )
                    .help("use an address outside the pool, or make the pool smaller"),
            );
        }
    }
}

/// Checks that no pool contains the address of the server or of a gateway.
fn check_pools(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for ((kind, value), uses) in &claims.unique {
        let (UniqueValue::Ip, Ok(address)) = (kind, value.parse::<Ipv4Addr>()) else {
            continue;
        };
        let owner = uses.iter().find(|claim| is_infrastructure(&claim.owner));
        if let (Some(claim), Some(pool)) = (owner, pool_with(claims, address)) {
            let message = format!(
                "the pool contains `{address}`, the address of {}",
                claim.owner
            );
            diagnostics.push(
                Diagnostic::error("in-pool", pool.span, message)
                    .also(claim.span, claim.owner.clone())
                    .help("make the pool smaller, so that it excludes this address"),
            );
        }
    }
}

fn pool_with(claims: &Claims, address: Ipv4Addr) -> Option<&Spanned<AddressRange>> {
    let mut pools = claims.pools.iter();
    pools.find(|pool| pool.value.contains(address))
}

/// Checks that no two networks share addresses.
fn check_subnets(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    let mut networks: Vec<(&String, &NetworkClaim)> = claims.networks.iter().collect();
    networks.sort_by_key(|(_, network)| network.span);
    for (index, (name, network)) in networks.iter().enumerate() {
        for (other_name, other) in &networks[..index] {
            let (subnet, other_subnet) = (network.subnet, other.subnet);
            if subnet.contains(other_subnet.address()) || other_subnet.contains(subnet.address()) {
                let message = format!(
                    "network `{name}` (`{subnet}`) overlaps network `{other_name}` (`{other_subnet}`)"
                );
                diagnostics.push(
                    Diagnostic::error("overlap", network.span, message)
                        .also(other.span, format!("`{other_name}`"))
                        .help("give each network its own subnet"),
                );
            }
        }
    }
}
