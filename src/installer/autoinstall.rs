//! Ubuntu's autoinstall: a live system that runs subiquity, fed by cloud-init's NoCloud.

use serde_json::{Value, json};

use super::callback::curl;
use super::disk::{describe, find_disk};
use super::{Downloads, Install, InstallerKind};

pub(super) const AUTOINSTALL: InstallerKind = InstallerKind {
    name: "autoinstall",
    bundle_files: &["kernel", "initrd", "iso"],
    seeds: &["user-data", "meta-data", "vendor-data", "network-config"],
    templates: &[
        (
            "autoinstall.user-data.hbs",
            include_str!("templates/autoinstall.user-data.hbs"),
        ),
        (
            "autoinstall.meta-data.hbs",
            include_str!("templates/autoinstall.meta-data.hbs"),
        ),
        (
            "autoinstall.vendor-data.hbs",
            include_str!("templates/autoinstall.vendor-data.hbs"),
        ),
        (
            "autoinstall.network-config.hbs",
            include_str!("templates/autoinstall.network-config.hbs"),
        ),
    ],
    disk_seed: "user-data",
    vars: Vec::new,
    kernel_arguments,
    commands,
    downloads,
    callbacks: &["progress", "installed"],
    efi_vendor: "ubuntu",
};

/// What stands before the URL of the seeds. `nocloud-net` works in cloud-init before and after 22.4;
/// `nocloud` is too new for some images.
const DATA_SOURCE: &str = "ds=nocloud-net;s=";

fn kernel_arguments(install: &Install<'_>) -> Vec<String> {
    vec![
        "ip=dhcp".into(),
        format!("url={}", install.file_url("iso")),
        "autoinstall".into(),
        format!("{DATA_SOURCE}{}", install.seeds_url),
        "cloud-config-url=/dev/null".into(),
    ]
}

fn commands(install: &Install<'_>) -> Value {
    let find = install.disk.map(|disk| {
        let message = format!("there is not exactly one disk with {}", describe(disk));
        let otherwise = format!("{}; exit 1", curl(install, "failed", &message));
        let find = find_disk(disk, &otherwise);
        format!("{find}; sed -i \"s#@INSTALL_DISK@#$disk#\" /autoinstall.yaml")
    });
    json!({
        "progress": curl(install, "progress", "installer started"),
        "failed": curl(
            install,
            "failed",
            "the installer stopped; see /var/log/installer on the machine",
        ),
        "installed": curl(install, "installed", ""),
        "find_disk": find,
    })
}

fn downloads(command_line: &str) -> Downloads {
    let words = || command_line.split_whitespace();
    let image = words()
        .filter_map(|word| word.strip_prefix("url="))
        .find(|url| url.ends_with("/files/iso"));
    let root = words().find_map(|word| word.strip_prefix(DATA_SOURCE));
    let seeds = AUTOINSTALL.seeds.iter();
    let seeds = root.map(|root| seeds.map(|seed| format!("{root}{seed}")).collect());
    Downloads {
        image: image.map(str::to_owned),
        seeds: seeds.unwrap_or_default(),
    }
}
