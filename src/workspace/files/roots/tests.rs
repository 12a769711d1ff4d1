use std::os::unix::fs::symlink;

use super::*;
use crate::inventory::site_builder::inventory_of;

/// An inventory whose hosts keep their passwords as these references say.
fn inventory(passwords: &[&str]) -> Inventory {
    let hosts = passwords.iter().enumerate().map(|(index, password)| {
        format!(
            "---\nkind: Host\nname: h{index}\nprofile: p\narch: bios\n\
             nics: [{{mac: '52:54:00:00:00:0{index}', network: n, boot: true}}]\n\
             disk: {{serial: S{index}}}\nuuid: 4c4c4544-0051-3610-8043-c2c04f4b310{index}\n\
             bmc: {{url: 'https://10.1.0.{index}', username: a, password: {password}}}\n"
        )
    });
    let hosts: String = hosts.collect();
    let file = "{path: a, sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', size: 3}";
    let text = format!(
        "kind: Site\nname: s\nserver: {{address: 10.0.0.10}}\n\
         networks: [{{name: n, subnet: 10.0.0.0/24}}]\nloaders: {{bios: a}}\n\
         ---\nkind: Profile\nname: p\ninstaller: preseed\nbundle: b\n\
         ---\nkind: Bundle\nname: b\narch: x86_64\nfiles: {{kernel: {file}, initrd: {file}}}\n{hosts}"
    );
    inventory_of(text)
}

#[test]
fn private_paths_are_refused_directly_and_through_links() {
    let base = tempfile::tempdir().expect("a directory");
    let base = fs::canonicalize(base.path()).expect("a path");
    let at = |name: &str| base.join(name);
    for name in [
        "site/rack/boot",
        "site/rack/keys",
        "site/rack/tools",
        "site/rack/.git",
        "srv/boot",
        "srv/state",
        "srv/bundles/blobs",
        "home/ann/boot",
        "other",
    ] {
        fs::create_dir_all(at(name)).expect("a directory");
    }
    for name in [
        "site/rack/site.yaml",
        "site/rack/shim.efi",
        "site/rack/keys/bmc",
        "site/rack/tools/print",
        "srv/state/state.db",
        "other/state.db",
        "site/rack/boot/a",
    ] {
        fs::write(at(name), "").expect("a file");
    }
    symlink(at("site"), at("up")).expect("a link");
    symlink("/etc", at("system")).expect("a link");
    symlink(at("home/ann"), at("ann")).expect("a link");
    let inventory = inventory(&["{file: keys/bmc}", "{exec: [tools/print, it]}", "{env: A}"]);
    let surroundings = Surroundings {
        home: at("home"),
        homes: BTreeSet::from([at("people/bob")]),
        ..Surroundings::new(
            &at("up/rack"),
            &inventory,
            Some(&at("srv/bundles")),
            Some(&at("srv/state")),
        )
    };
    let check = |path: &Path| check_root(path, &surroundings).map_err(|why| why.to_string());
    for good in [
        "site/rack/boot",
        "site/rack/shim.efi",
        "srv/boot",
        "home/ann/boot",
        "people/bob/boot",
        "not/yet/there",
        "other-directory",
    ] {
        assert_eq!(check(&at(good)), Ok(()), "{good}");
    }
    for (path, why) in [
        ("site/rack", "contains the inventory"),
        ("site", "contains the inventory"),
        ("up", "contains the inventory"),
        ("site/rack/site.yaml", "a document of the inventory"),
        ("site/rack/.git", "git repository"),
        ("site/rack/keys", "as a secret"),
        ("site/rack/keys/bmc", "as a secret"),
        ("site/rack/tools", "as a secret"),
        ("srv", "contains the store"),
        ("srv/state", "contains the store"),
        ("srv/state/state.db", "inside the store"),
        ("srv/bundles", "contains the bundle store"),
        ("srv/bundles/blobs", "inside the bundle store"),
        ("other", "inside the store"),
        ("other/state.db", "inside the store"),
        ("home", "contains the home directories"),
        ("home/ann", "a home directory"),
        ("ann", "a home directory"),
        ("home/eve", "a home directory"),
        ("people/bob", "a home directory"),
        ("people", "contains the home directory"),
        ("system", "leads to `/etc`"),
        ("system/ssl", "configuration, keys and devices"),
    ] {
        let refused = check(&at(path)).expect_err(path);
        assert!(refused.contains(why), "{path}: {refused}");
    }
    for path in [
        "/",
        "/etc",
        "/etc/ssl",
        "/proc",
        "/proc/self",
        "/sys",
        "/dev",
        "/dev/null",
        "/run",
        "/var/run",
        "/var/run/x",
        "/root",
        "/home",
        "/home/x",
        "/var",
        "/var/lib",
        "/var/lib/pxectl",
    ] {
        let machine = Surroundings::machine();
        assert!(check_root(Path::new(path), &machine).is_err(), "{path}");
    }
    for path in [
        "/root/rack-a/boot",
        "/usr/lib/ipxe",
        "/boot/ipxe.efi",
        "/srv/tftp",
        "/var/lib/tftpboot",
    ] {
        assert_eq!(
            check_root(Path::new(path), &Surroundings::machine()),
            Ok(()),
            "{path}"
        );
    }
}

#[test]
fn a_secret_that_is_a_link_is_private_at_both_ends() {
    let base = tempfile::tempdir().expect("a directory");
    let at = |name: &str| base.path().join(name);
    for name in ["rack/keys", "vault"] {
        fs::create_dir_all(at(name)).expect("a directory");
    }
    fs::write(at("vault/bmc"), "").expect("a file");
    symlink("../../vault/bmc", at("rack/keys/bmc")).expect("a link");
    let inventory = inventory(&["{file: keys/bmc}"]);
    let surroundings = Surroundings::new(&at("rack"), &inventory, None, None);
    for path in ["rack/keys", "vault", "vault/bmc"] {
        assert!(check_root(&at(path), &surroundings).is_err(), "{path}");
    }
}

#[test]
fn homes_are_those_of_people_and_not_of_services() {
    let passwd = "root:x:0:0::/root:/bin/bash\ntftp:x:1:1::/srv/tftp:/usr/sbin/nologin\n\
                  ann:x:1000:1000::/data/ann:/bin/zsh\nweird\nx:x:9:9::/:/bin/sh\n\
                  eve:x:1001:1001::/data/eve:\n";
    let of = |own: Option<&str>| {
        let homes = homes(passwd, own.map(PathBuf::from));
        homes
            .iter()
            .map(|home| home.display().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(None), ["/data/ann", "/data/eve", "/root"]);
    assert_eq!(of(Some("/srv/tftp")), of(None));
    assert_eq!(
        of(Some("/ldap/bob")),
        ["/data/ann", "/data/eve", "/ldap/bob", "/root"]
    );
    assert_eq!(of(Some("relative")), of(None));
}
