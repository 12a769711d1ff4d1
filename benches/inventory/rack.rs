//! A made-up site of many hosts, one file each.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// How many hosts the site has.
pub const HOSTS: u32 = 10_000;
/// How many profiles, and how many bundles.
const PROFILES: u32 = 10;

/// A template that overrides the built-in one of its name.
pub const TEMPLATE: (&str, &str) = (
    "install.ipxe.hbs",
    include_str!("../../src/loader/templates/install.ipxe.hbs"),
);

const SITE: &str = "\
kind: Site
name: many
server:
  address: 10.20.0.10
networks:
  - name: prov0
    subnet: 10.20.0.0/16
    gateway: 10.20.0.1
    dns: [10.20.0.10]
    domain: many.example
    pool: 10.20.200.0-10.20.200.250
loaders:
  bios: undionly.kpxe
  uefi-x64: snponly.efi
";

/// Writes the inventory.
pub fn write(directory: &Path, template: Option<(&str, &str)>) -> anyhow::Result<()> {
    let put = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    };
    put("site.yaml", SITE)?;
    put("profiles.yaml", &profiles())?;
    put("bundles.yaml", &bundles())?;
    for number in 0..HOSTS {
        put(&format!("host-{number:05}.yaml"), &host(number))?;
    }
    template.map_or(Ok(()), |(name, text)| put(name, text))
}

/// Returns the path that the first host's iPXE asks for when it has lost its boot token.
pub fn boot_request() -> String {
    format!("/boot.ipxe?mac={}&uuid={}", mac(0), uuid(0))
}

fn profiles() -> String {
    (0..PROFILES).fold(String::new(), |mut text, number| {
        let installer = match number % 2 {
            0 => "autoinstall",
            _ => "preseed",
        };
        let _ = write!(
            text,
            "---\nkind: Profile\nname: profile-{number}\ninstaller: {installer}\nbundle: bundle-{number}\n\
             args: [console=ttyS0]\nssh_authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA ops@many.example\n"
        );
        text
    })
}

fn bundles() -> String {
    (0..PROFILES).fold(String::new(), |mut text, number| {
        let _ = write!(
            text,
            "---\nkind: Bundle\nname: bundle-{number}\narch: x86_64\nfiles:\n"
        );
        for (index, key) in ["kernel", "initrd", "iso"].into_iter().enumerate() {
            let digest = format!("{:064x}", number * 3 + index as u32 + 1);
            let _ = writeln!(
                text,
                "  {key}: {{path: images/{key}, sha256: \"{digest}\", size: 14928264}}"
            );
        }
        text
    })
}

fn host(number: u32) -> String {
    let [third, fourth] = [(number / 250) + 1, number % 250 + 2];
    format!(
        "kind: Host\nname: worker-{number:05}\nprofile: profile-{}\nuuid: {}\nserial: C7X{number:05}\n\
         asset: A-{number:05}\narch: uefi-x64\nnics:\n  - {{mac: \"{}\", network: prov0, ip: 10.20.{third}.{fourth}, boot: true}}\n\
         disk: {{wwn: \"0x5000c500{number:08x}\"}}\nlabels: {{role: worker, rack: r{}, unit: \"{}\"}}\n\
         install: 1\nvars: {{timezone: Europe/Kyiv}}\n",
        number % PROFILES,
        uuid(number),
        mac(number),
        number / 40,
        number % 40,
    )
}

fn mac(number: u32) -> String {
    let [_, high, middle, low] = number.to_be_bytes();
    format!("52:54:00:{high:02x}:{middle:02x}:{low:02x}")
}

fn uuid(number: u32) -> String {
    format!("4c4c4544-0035-5a10-8054-{number:012x}")
}
