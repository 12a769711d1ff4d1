//! The Debian installer, fed by a preseed file.

use serde_json::{Value, json};

use super::callback::wget;
use super::disk::{describe, find_disk};
use super::shell::shell_word;
use super::{Downloads, Install, InstallerKind};

pub(super) const PRESEED: InstallerKind = InstallerKind {
    name: "preseed",
    bundle_files: &["kernel", "initrd"],
    seeds: &["preseed.cfg"],
    templates: &[(
        "preseed.preseed.cfg.hbs",
        include_str!("templates/preseed.preseed.cfg.hbs"),
    )],
    disk_seed: "preseed.cfg",
    vars,
    kernel_arguments,
    commands,
    downloads,
    callbacks: &["progress", "installed"],
    efi_vendor: "debian",
};

fn vars() -> Vec<(&'static str, Value)> {
    vec![
        ("mirror_host", Value::Null),
        ("mirror_directory", json!("/debian")),
    ]
}

fn kernel_arguments(install: &Install<'_>) -> Vec<String> {
    let mut arguments = vec![
        "auto=true".into(),
        "priority=critical".into(),
        format!("url={}preseed.cfg", install.seeds_url),
        "interface=auto".into(),
        format!("hostname={}", install.hostname),
    ];
    if let Some(domain) = install.domain {
        arguments.push(format!("domain={domain}"));
    }
    // The installer configures the network before it reads the preseed file. It stops with a question
    // if DHCP names no router or no DNS server.
    if !install.has_router {
        arguments.push("netcfg/no_default_route=true".into());
    }
    if !install.has_dns {
        arguments.push("netcfg/get_nameservers=".into());
    }
    arguments
}

fn commands(install: &Install<'_>) -> Value {
    let find = install.disk.map(|disk| {
        let message = format!("there is not exactly one disk with {}", describe(disk));
        // The Debian installer continues after a failed command and would take the only disk. So this
        // never returns; the next boot goes to the local disk, which is untouched.
        let stop = "reboot; while :; do sleep 60; done";
        let otherwise = format!("{}; {stop}", wget(install, "failed", &message));
        let find = find_disk(disk, &otherwise);
        format!(
            "{find}; debconf-set partman-auto/disk \"$disk\"; debconf-set grub-installer/bootdev \"$disk\""
        )
    });
    json!({
        "progress": wget(install, "progress", "installer started"),
        "installed": wget(install, "installed", ""),
        "find_disk": find,
        "late": authorize_keys(install),
    })
}

/// Returns the command that installs the SSH keys into the installed system.
fn authorize_keys(install: &Install<'_>) -> String {
    let keys = install.ssh_authorized_keys;
    let user = install.username;
    if keys.is_empty() {
        return ":".to_owned();
    }
    let home = shell_word(&format!("/target/home/{user}/.ssh"));
    let owner = shell_word(&format!("{user}:"));
    let installed = shell_word(&format!("/home/{user}/.ssh"));
    let words: Vec<String> = keys.iter().map(|key| shell_word(key)).collect();
    format!(
        "mkdir -p {home} && printf '%s\\n' {} > {home}/authorized_keys && chmod 700 {home} && in-target chown -R {owner} {installed}",
        words.join(" ")
    )
}

fn downloads(command_line: &str) -> Downloads {
    let urls = command_line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("url="));
    Downloads {
        image: None,
        seeds: urls.map(str::to_owned).collect(),
    }
}
