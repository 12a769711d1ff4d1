//! The kernel arguments that make each installer fetch its seeds.

use super::plan::Plan;
use crate::inventory::Installer;

/// Returns the kernel arguments of an install, those of the profile last.
///
/// `seeds` is the URL that seeds are read below, `file` the URL of a file of the bundle.
pub fn kernel_arguments(plan: &Plan, seeds: &str, file: impl Fn(&str) -> String) -> Vec<String> {
    let mut arguments: Vec<String> = match plan.profile.installer {
        // `nocloud-net` is what cloud-init 22.4 and later both read; `nocloud` is too new.
        Installer::Autoinstall => vec![
            "ip=dhcp".into(),
            format!("url={}", file("iso")),
            "autoinstall".into(),
            format!("ds=nocloud-net;s={seeds}"),
            "cloud-config-url=/dev/null".into(),
        ],
        Installer::Preseed => preseed_arguments(plan, seeds),
    };
    arguments.extend(plan.profile.args.iter().cloned());
    arguments
}

fn preseed_arguments(plan: &Plan, seeds: &str) -> Vec<String> {
    let network = plan
        .host
        .boot_nic()
        .and_then(|nic| plan.networks.get(&nic.network));
    let mut arguments = vec![
        "auto=true".into(),
        "priority=critical".into(),
        format!("url={seeds}preseed.cfg"),
        "interface=auto".into(),
        format!("hostname={}", plan.host.name),
    ];
    if let Some(domain) = network.and_then(|network| network.domain.as_ref()) {
        arguments.push(format!("domain={domain}"));
    }
    // The network is set up before the preseed is read, and asks where DHCP names no router or no
    // name server.
    if network.is_none_or(|network| network.gateway.is_none()) {
        arguments.push("netcfg/no_default_route=true".into());
    }
    if network.is_none_or(|network| network.dns.is_empty()) {
        arguments.push("netcfg/get_nameservers=".into());
    }
    arguments
}
