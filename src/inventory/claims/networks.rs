use std::net::Ipv4Addr;

use super::{Claim, Claims, INFRASTRUCTURE, Unique};
use crate::inventory::diagnostic::{Diagnostic, Severity};
use crate::inventory::network::DhcpMode;
use crate::inventory::source::Span;
use crate::inventory::subnet::Subnet;

/// Checks the address space: the networks, their pools, and the addresses in them.
pub fn check(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    check_addresses(claims, diagnostics);
    check_networks(claims, diagnostics);
}

/// Refuses addresses that their network does not hold, or gives to others.
fn check_addresses(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for (network, address, span) in &claims.addresses {
        let Some((subnet, mode, _)) = claims.networks.get(network) else {
            continue;
        };
        if !subnet.is_host(*address) {
            let message = format!(
                "`{address}` is not a machine's address in network `{network}` (`{subnet}`)"
            );
            let near = claims
                .networks
                .iter()
                .find(|(_, (subnet, ..))| subnet.is_host(*address));
            let help = match near {
                Some((name, _)) => {
                    format!("it lies in network `{name}`: correct `network` or `ip`")
                }
                None => format!("choose one from `{subnet}`, or correct `network`"),
            };
            diagnostics.push(Diagnostic::error("outside-network", *span, message).help(help));
        }
        if *mode == DhcpMode::Proxy {
            let message = format!(
                "`{address}` is not handed out: another server owns the addresses of `{network}`"
            );
            let help = "reserve it in that server too; here it is used for the seeds only";
            let severity = Severity::Note;
            diagnostics
                .push(Diagnostic::new(severity, "not-handed-out", Some(*span), message).help(help));
        }
        if let Some((pool, place)) = claims
            .pools
            .iter()
            .find(|(pool, _)| pool.contains(*address))
        {
            let message = format!(
                "`{address}` lies in the pool {}-{}",
                pool.first(),
                pool.last()
            );
            diagnostics.push(
                Diagnostic::error("in-pool", *span, message)
                    .also(
                        *place,
                        "the pool, for machines that are not in the inventory",
                    )
                    .help("choose an address outside the pool, or make the pool smaller"),
            );
        }
    }
}

/// Refuses networks that share addresses, and pools that would give away those of others.
fn check_networks(claims: &Claims, diagnostics: &mut Vec<Diagnostic>) {
    for ((what, value), places) in &claims.unique {
        let (Unique::Ip, Ok(address)) = (what, value.parse::<Ipv4Addr>()) else {
            continue;
        };
        let taken = places
            .iter()
            .find(|claim| INFRASTRUCTURE.contains(&claim.owner.as_str()));
        let pool = claims.pools.iter().find(|(pool, _)| pool.contains(address));
        if let (Some(Claim { span, owner, .. }), Some((_, place))) = (taken, pool) {
            let message = format!("the pool would give away `{address}`, the address of {owner}");
            diagnostics.push(
                Diagnostic::error("in-pool", *place, message)
                    .also(*span, owner.clone())
                    .help("make the pool smaller, so that it leaves the address out"),
            );
        }
    }
    let mut networks: Vec<(&String, &(Subnet, DhcpMode, Span))> = claims.networks.iter().collect();
    networks.sort_by_key(|(_, (_, _, span))| *span);
    for (index, (name, (subnet, _, place))) in networks.iter().enumerate() {
        for (other, (earlier, _, first)) in &networks[..index] {
            if subnet.contains(earlier.address()) || earlier.contains(subnet.address()) {
                let message = format!(
                    "network `{name}` (`{subnet}`) overlaps network `{other}` (`{earlier}`)"
                );
                diagnostics.push(
                    Diagnostic::error("overlap", *place, message)
                        .also(*first, format!("`{other}`"))
                        .help("give each network a subnet of its own"),
                );
            }
        }
    }
}
