//! The kernel arguments that make each installer fetch its seeds.

use super::plan::Plan;
use super::seeds::SessionLinks;
use crate::inventory::Installer;

/// Returns the kernel arguments of an install, those of the profile last.
pub fn kernel_arguments(plan: &Plan, links: &SessionLinks) -> Vec<String> {
    let seeds = &links.seeds;
    let mut arguments: Vec<String> = match plan.profile.installer {
        // `nocloud-net` is what cloud-init 22.4 and later both read; `nocloud` is too new.
        Installer::Autoinstall => vec![
            "ip=dhcp".into(),
            format!("url={}", links.file(plan, "iso")),
            "autoinstall".into(),
            format!("ds=nocloud-net;s={seeds}"),
            "cloud-config-url=/dev/null".into(),
        ],
        Installer::Preseed => vec![
            "auto=true".into(),
            "priority=critical".into(),
            format!("url={seeds}preseed.cfg"),
            "interface=auto".into(),
            format!("hostname={}", plan.host.name),
        ],
    };
    arguments.extend(plan.profile.args.iter().cloned());
    arguments
}
