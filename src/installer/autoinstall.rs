//! Ubuntu's autoinstall: a live system that runs subiquity, fed by cloud-init's NoCloud.

use serde_json::{Value, json};

use super::callback::curl;
use super::disk::{describe, find_disk};
use super::seed_error::read_yaml;
use super::{Downloads, Install, InstallerKind, SeedError};

pub(super) const KIND: InstallerKind = InstallerKind {
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
    check_seed,
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
    let seeds = KIND.seeds.iter();
    let seeds = root.map(|root| seeds.map(|seed| format!("{root}{seed}")).collect());
    Downloads {
        image: image.map(str::to_owned),
        seeds: seeds.unwrap_or_default(),
    }
}

/// The first line of a cloud-config. cloud-init handles other formats, too; those are not checked.
const CLOUD_CONFIG: &str = "#cloud-config";

/// The starts of the formats that cloud-init knows besides the cloud-config.
///
/// Source: cloud-init 24.4, `cloudinit/handlers/__init__.py`, `INCLUSION_TYPES_MAP`.
const OTHER_FORMATS: [&str; 8] = [
    "#!",
    "#include",
    "#part-handler",
    "#cloud-boothook",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "## template: jinja",
    "MIME-Version:",
];

fn check_seed(seed: &str, text: &str) -> Vec<SeedError> {
    match seed {
        "user-data" => check_user_data(text),
        "vendor-data" if !is_cloud_config(text) => Vec::new(),
        _ => match read_yaml(text) {
            Ok(document) if document.is_mapping() || document.is_null() => Vec::new(),
            Ok(_) => vec![SeedError::whole("not a YAML mapping")],
            Err(error) => vec![error],
        },
    }
}

fn is_cloud_config(text: &str) -> bool {
    text.lines()
        .next()
        .is_some_and(|line| line.trim_end() == CLOUD_CONFIG)
}

/// Checks the keys that subiquity requires.
///
/// Source: "Autoinstall configuration reference manual", `version`, `identity`, `user-data`,
/// `interactive-sections`.
fn check_user_data(text: &str) -> Vec<SeedError> {
    if !is_cloud_config(text) {
        // `Content-Type:` may be the first header of a MIME message.
        let mut others = OTHER_FORMATS.iter().chain(&["Content-Type:"]);
        if others.any(|start| text.starts_with(start)) {
            return Vec::new();
        }
        let reason = "cloud-init ignores this text: its first line must be `#cloud-config`";
        return vec![SeedError::at(1, reason)];
    }
    let document = match read_yaml(text) {
        Ok(document) => document,
        Err(error) => return vec![error],
    };
    let Some(autoinstall) = document.get("autoinstall") else {
        return vec![SeedError::whole("no `autoinstall` key")];
    };
    let line = text
        .lines()
        .position(|line| line.starts_with("autoinstall:"));
    let error = |reason: String| SeedError {
        line: line.map(|index| index + 1),
        reason,
    };
    if !autoinstall.is_mapping() {
        return vec![error("`autoinstall` is not a mapping".to_owned())];
    }
    let mut errors = Vec::new();
    if autoinstall.get("version").and_then(|it| it.as_u64()) != Some(1) {
        errors.push(error("`autoinstall` needs `version: 1`".to_owned()));
    }
    let has = |key| autoinstall.get(key).is_some();
    match autoinstall.get("identity") {
        Some(identity) => {
            let missing = ["hostname", "username", "password"]
                .into_iter()
                .filter(|key| identity.get(*key).is_none());
            errors.extend(missing.map(|key| error(format!("`identity` has no `{key}`"))));
        }
        None if has("user-data") || has("interactive-sections") => {}
        None => errors.push(error(
            "`autoinstall` needs `identity` or `user-data`".to_owned(),
        )),
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_the_installer_cannot_use_has_errors() {
        let good = "#cloud-config\nautoinstall:\n  version: 1\n  identity: {hostname: a, username: b, password: c}\n";
        let with = |from: &str, to: &str| good.replace(from, to);
        for (seed, text, expected) in [
            ("user-data", good.to_owned(), &[][..]),
            ("user-data", "#!/bin/sh\n".to_owned(), &[]),
            (
                "user-data",
                with("#cloud-config\n", "# a comment\n"),
                &["1: cloud-init ignores this text: its first line must be `#cloud-config`"],
            ),
            (
                "user-data",
                with("autoinstall:", "autoinstal:"),
                &["no `autoinstall` key"],
            ),
            (
                "user-data",
                with("version: 1", "version: 2"),
                &["2: `autoinstall` needs `version: 1`"],
            ),
            (
                "user-data",
                with("identity:", "identify:"),
                &["2: `autoinstall` needs `identity` or `user-data`"],
            ),
            (
                "user-data",
                with(
                    "identity: {hostname: a, username: b, password: c}",
                    "user-data: {}",
                ),
                &[],
            ),
            (
                "user-data",
                with(", password: c", ""),
                &["2: `identity` has no `password`"],
            ),
            (
                "user-data",
                "#cloud-config\nautoinstall: yes please\n".to_owned(),
                &["2: `autoinstall` is not a mapping"],
            ),
            ("meta-data", "instance-id: a\n".to_owned(), &[]),
            ("meta-data", "- a\n".to_owned(), &["not a YAML mapping"]),
            ("vendor-data", String::new(), &[]),
            ("vendor-data", "#!/bin/sh\n[ -e /a ]\n".to_owned(), &[]),
            ("network-config", "version: 2\n".to_owned(), &[]),
        ] {
            let found: Vec<String> = check_seed(seed, &text)
                .into_iter()
                .map(|error| match error.line {
                    Some(line) => format!("{line}: {error}"),
                    None => error.to_string(),
                })
                .collect();
            assert_eq!(found, expected, "{seed}: {text}");
        }
    }

    #[test]
    fn a_syntax_error_of_yaml_has_its_line() {
        let text = "#cloud-config\nautoinstall:\n  version: 1\n  identity: [a\n";
        let errors = check_seed("user-data", text);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].line.is_some_and(|line| line >= 3), "{errors:?}");
        assert!(errors[0].reason.starts_with("invalid YAML: "), "{errors:?}");
        assert!(!errors[0].reason.contains("at line"), "{errors:?}");
    }
}
