//! A revoked key never counts, whether the site requires signatures or not.

use pxectl::bundle::SecretKey;

use crate::support::rack::{BUNDLE, Rack};

const REVOKED: &str = "by key `old`, which the site has revoked";

/// A rack whose site revokes the key `old`, lists `new`, and requires no signature.
fn rack() -> Rack {
    let rack = Rack::with_store();
    let [old, new] = ["old", "new"].map(|name| {
        let line = rack.done(&["bundle", "keygen", name, "--out", name]);
        line.trim().trim_start_matches("- ").to_owned()
    });
    let site = rack.read("site.yaml");
    let signatures = format!("signatures: {{keys: [{new}], revoked: [{old}]}}\n");
    rack.write("plain.txt", &site);
    rack.write("site.yaml", format!("{site}{signatures}"));
    rack
}

/// Signs a bundle with a key while the site has no rules for signatures.
fn sign(rack: &Rack, key: &str) -> String {
    let site = rack.read("site.yaml");
    rack.write("site.yaml", rack.read("plain.txt"));
    let document = rack.done(&["bundle", "sign", BUNDLE, "--key", key]);
    rack.write("site.yaml", site);
    document
}

#[test]
fn a_bundle_with_a_signature_by_a_revoked_key_is_refused_by_every_command() {
    let rack = rack();
    let published = Rack::empty();
    let tar = published.file("usb.tar").display().to_string();
    // The document in git is not signed, so the inventory is valid.
    sign(&rack, "old");
    let site = rack.read("site.yaml");
    rack.write("site.yaml", rack.read("plain.txt"));
    rack.done(&["bundle", "publish", BUNDLE, &tar]);
    rack.write("site.yaml", site);
    rack.done(&["validate"]);

    let refused = |words: &[&str]| {
        let stderr = rack.refused(1, words);
        assert!(stderr.contains(REVOKED), "{words:?}: {stderr}");
        stderr
    };
    refused(&["bundle", "sign", BUNDLE, "--key", "old"]);
    refused(&["bundle", "verify"]);
    refused(&["bundle", "verify", BUNDLE]);
    refused(&["bundle", "publish", BUNDLE, "more.tar"]);
    assert!(!rack.file("more.tar").exists());
    for more in [&[][..], &["--allow-unsigned"]] {
        refused(&[&["bundle", "pull", &tar, "--bundles", "store"], more].concat());
        assert!(rack.tree("store/blobs").is_empty());
    }
    let listed = rack.done(&["bundle", "list"]);
    assert!(listed.contains(REVOKED), "{listed}");

    // With the signed document, the inventory is invalid, and every command still explains why.
    let document = rack.read("bundles.yaml");
    rack.write("bundles.yaml", {
        let others = document.split("---\n").filter(|it| !it.contains(BUNDLE));
        let others: Vec<&str> = others.collect();
        format!("{}---\n{}", others.join("---\n"), sign(&rack, "old"))
    });
    for words in [
        &["host", "provision", "worker-01"][..],
        &["serve", "http"],
        &["bundle", "fetch"],
        &["bundle", "pull", &tar],
        &["bundle", "verify"],
        &["bundle", "publish", BUNDLE, "more.tar"],
        &["bundle", "sign", BUNDLE, "--key", "old"],
    ] {
        refused(words);
    }
    let validate = rack.run(&["validate"]);
    assert_eq!(validate.status, Some(1));
    assert!(validate.stdout.contains(REVOKED), "{}", validate.stdout);

    // After another key of the site signs it, as the help suggests, the bundle is accepted.
    let document = rack.done(&["bundle", "sign", BUNDLE, "--key", "new"]);
    let others = rack.read("bundles.yaml");
    let others: Vec<&str> = others
        .split("---\n")
        .filter(|it| !it.contains(BUNDLE))
        .collect();
    rack.write(
        "bundles.yaml",
        format!("{}---\n{document}", others.join("---\n")),
    );
    rack.done(&["validate"]);
    rack.done(&["bundle", "verify"]);
    rack.done(&["bundle", "publish", BUNDLE, "more.tar"]);
    rack.done(&["host", "provision", "worker-01"]);
}

#[test]
fn a_file_with_a_signature_by_a_revoked_key_is_not_built_into_a_bundle() {
    let rack = rack();
    rack.write("vmlinuz", "a kernel");
    let public = rack.read("old.pub");
    let public = public.lines().nth(1).expect("a key");
    let key = SecretKey::read(&rack.file("old")).expect("a key");
    rack.write("vmlinuz.minisig", key.sign(b"a kernel", ""));
    let spec = format!(
        "kind: BundleSpec\nname: own\narch: x86_64\n\
         files: {{kernel: {{from: vmlinuz, signature: .minisig, minisign: '{public}'}}}}\n"
    );
    rack.write("own.spec.yaml", spec);
    let output = rack.refused(1, &["bundle", "build", "own.spec.yaml"]);
    assert!(output.contains(REVOKED), "{output}");
    rack.write("site.yaml", rack.read("plain.txt"));
    rack.done(&["bundle", "build", "own.spec.yaml"]);
}
