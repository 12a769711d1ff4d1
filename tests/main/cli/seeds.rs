//! Seeds, judged by programs that nobody here wrote.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::rack::Rack;
use crate::support::requirements::missing;

/// What hosts can be, beside those of `fixtures/rack-a`.
const ODD_HOSTS: &str = r#"
kind: Host
name: odd-address
profile: ubuntu-worker
uuid: 99999999-aaaa-bbbb-cccc-000000000001
arch: uefi-x64
nics: [{mac: "52:54:00:86:00:01", network: prov0, boot: true}]
disk: {model: "SAMSUNG MZ7L3 480", min_size: 1.5T}
---
kind: Host
name: odd-nics.rack-a
profile: ubuntu-worker
uuid: 99999999-aaaa-bbbb-cccc-000000000002
arch: uefi-x64
nics:
  - {mac: "52:54:00:86:00:02", network: prov0, ip: 10.20.0.62}
  - {mac: "52:54:00:86:00:03", network: bare, ip: 10.30.0.63, boot: true}
  - {mac: "52:54:00:86:00:04", network: prov0}
disk: {serial: "S4XY:1+2_3"}
---
kind: Host
name: odd-words
profile: odd-ubuntu
uuid: 99999999-aaaa-bbbb-cccc-000000000003
arch: uefi-x64
nics: [{mac: "52:54:00:86:00:05", network: prov0, ip: 10.20.0.65, boot: true}]
disk: {by_path: "pci-0000:00:1f.2-ata-1"}
vars: {keyboard: "de: #no", username: "o'neil: {x}", locale: "de_DE.UTF-8", timezone: "Etc/GMT+1"}
---
kind: Host
name: odd-debian
profile: odd-debian
uuid: 99999999-aaaa-bbbb-cccc-000000000004
arch: bios
nics: [{mac: "52:54:00:86:00:06", network: bare, boot: true}]
disk: {model: "WDC WD40EFRX-68N", min_size: 400G}
vars: {mirror_host: deb.debian.org, username: "o'neil; id"}
---
kind: Profile
name: odd-ubuntu
installer: autoinstall
bundle: ubuntu-24.04-stand-in
ssh_authorized_keys: [&key 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4kLmV0tq8m0uHkTnq5c1d0xPp3cW2e9n4vYb7gQ2r o''neil "the ops" $HOME `id` \ 100%']
---
kind: Profile
name: odd-debian
installer: preseed
bundle: debian-12-stand-in
ssh_authorized_keys:
  - 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4kLmV0tq8m0uHkTnq5c1d0xPp3cW2e9n4vYb7gQ2r o''neil "the ops" $HOME `id` \ 100%'
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4kLmV0tq8m0uHkTnq5c1d0xPp3cW2e9n4vYb7gQ2r second
"#;

/// Renders the fixture and the odd hosts into `rendered/`.
fn rendered() -> Rack {
    let rack = Rack::a();
    rack.write("odd.yaml", ODD_HOSTS).edit(
        "site.yaml",
        "bundles:",
        "  - {name: bare, subnet: 10.30.0.0/16}\nbundles:",
    );
    rack.pxectl("render --all --out rendered")
        .stderr("rendered 10 hosts to `rendered`\n")
        .run();
    rack
}

/// Calls `judge` with every seed of a name, and how many there must be.
fn each(rack: &Rack, seed: &str, count: usize, judge: impl Fn(&Path)) {
    let mut judged = 0;
    for host in fs::read_dir(rack.file("rendered")).expect("the hosts") {
        let path = host.expect("a host").path().join(seed);
        if path.exists() {
            judge(&path);
            judged += 1;
        }
    }
    assert_eq!(judged, count, "{seed}");
}

/// Runs a judge, who must be content.
fn content(command: &mut Command, path: &Path) -> String {
    let output = command.output().expect("the judge runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let text = fs::read_to_string(path).expect("the seed");
    assert!(output.status.success(), "{command:?}: {said}\n{text}");
    said
}

#[test]
fn cloud_init_accepts_every_user_data_and_vendor_data() {
    if missing(&["cloud-init"]) {
        return;
    }
    let rack = rendered();
    for seed in ["user-data", "vendor-data"] {
        each(&rack, seed, 7, |path| {
            let said = content(
                Command::new("cloud-init").args(["schema", "-c"]).arg(path),
                path,
            );
            assert!(said.contains("Valid cloud-config"), "{said}");
        });
    }
}

#[test]
fn autoinstall_says_what_the_inventory_says() {
    let rack = rendered();
    let parsed = |host: &str| -> serde_json::Value {
        let text = fs::read_to_string(rack.file("rendered").join(host).join("user-data")).unwrap();
        serde_yaml::from_str::<serde_json::Value>(&text).unwrap()["autoinstall"].take()
    };
    let odd = parsed("odd-words");
    assert_eq!(odd["version"], 1);
    assert_eq!(odd["identity"]["hostname"], "odd-words");
    assert_eq!(odd["identity"]["username"], "o'neil: {x}");
    assert_eq!(odd["keyboard"]["layout"], "de: #no");
    let key = odd["ssh"]["authorized-keys"][0].as_str().unwrap();
    assert!(
        key.ends_with(r#" o'neil "the ops" $HOME `id` \ 100%"#),
        "{key}"
    );
    // The commands of the installer are good shell.
    for host in ["worker-01", "odd-address", "odd-nics.rack-a", "odd-words"] {
        let seed = parsed(host);
        for list in ["early-commands", "error-commands", "late-commands"] {
            for line in seed[list].as_array().unwrap() {
                good_shell(line.as_str().unwrap());
            }
        }
    }
}

fn good_shell(line: &str) {
    let output = Command::new("sh")
        .args(["-n", "-c", line])
        .output()
        .expect("sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{line}\n{said}");
}

#[test]
fn netplan_accepts_every_network_config() {
    if missing(&["netplan"]) {
        return;
    }
    let rack = rendered();
    each(&rack, "network-config", 7, |path| {
        let root = tempfile::tempdir().expect("a directory");
        let etc = root.path().join("etc/netplan");
        fs::create_dir_all(&etc).expect("a directory");
        // Cloud-init puts this key around what it hands to netplan, which asks for these rights.
        let text = fs::read_to_string(path)
            .expect("the seed")
            .replace('\n', "\n  ");
        let file = etc.join("50-cloud-init.yaml");
        fs::write(&file, format!("network:\n  {}\n", text.trim_end())).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its rights");
        let said = content(
            Command::new("netplan")
                .args(["generate", "--root-dir"])
                .arg(root.path()),
            path,
        );
        assert_eq!(said, "");
        let made = root.path().join("run/systemd/network");
        let units = fs::read_dir(made).expect("what netplan makes").count();
        assert!(units >= 2, "{units} units");
    });
}

#[test]
fn debconf_accepts_every_preseed_without_a_word() {
    if missing(&["debconf-set-selections"]) {
        return;
    }
    let rack = rendered();
    each(&rack, "preseed.cfg", 3, |path| {
        let said = content(
            Command::new("debconf-set-selections")
                .arg("--checkonly")
                .arg(path),
            path,
        );
        assert_eq!(said, "", "{}", fs::read_to_string(path).unwrap());
        let text = fs::read_to_string(path).unwrap();
        let commands = text
            .lines()
            .filter_map(|line| line.split_once("_command string "));
        assert_eq!(commands.map(|(_, line)| good_shell(line)).count(), 3);
    });
}

#[test]
fn the_keys_of_a_preseed_reach_the_disk_as_they_were_written() {
    let rack = rendered();
    let text = fs::read_to_string(rack.file("rendered/odd-debian/preseed.cfg")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("d-i preseed/late_command string "))
        .expect("the command");
    let (keys, _) = line
        .split_once(" && for n in")
        .expect("the callback after it");
    let target = rack.file("target");
    let here = keys
        .replace("/target/", &format!("{}/", target.display()))
        .replace(" && in-target ", " && : ");
    let done = Command::new("sh")
        .args(["-e", "-c", &here])
        .status()
        .expect("sh");
    assert!(done.success(), "{here}");
    let written = fs::read_to_string(target.join("home/o'neil; id/.ssh/authorized_keys")).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 2, "{written}");
    assert!(
        lines[0].ends_with(r#" o'neil "the ops" $HOME `id` \ 100%"#),
        "{written}"
    );
}
