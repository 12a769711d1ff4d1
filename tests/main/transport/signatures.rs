use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;
use crate::transport::server::DockerRegistry;

/// Makes a key, and returns the site's line for it.
fn keygen(rack: &Rack, name: &str) -> String {
    let line = rack.done(&["bundle", "keygen", name, "--out", name]);
    line.trim().trim_start_matches("- ").to_owned()
}

/// Sets the keys whose signatures the site requires.
fn require(rack: &Rack, keys: &[&str], revoked: &[&str]) {
    let site = rack.read("site.yaml");
    let base = site
        .split("signatures:")
        .next()
        .expect("a beginning")
        .trim_end();
    let (keys, revoked) = (keys.join(", "), revoked.join(", "));
    rack.write(
        "site.yaml",
        format!("{base}\nsignatures: {{required: true, keys: [{keys}], revoked: [{revoked}]}}\n"),
    );
}

/// Signs both bundles of the rack, and replaces their documents.
fn sign(rack: &Rack, key: &str) {
    let documents = [BUNDLE, "debian-12-stand-in"]
        .map(|name| rack.done(&["bundle", "sign", name, "--key", key]));
    rack.write("bundles.yaml", documents.join("---\n"));
}

#[test]
fn minisign_and_pxectl_accept_each_others_signatures() {
    if missing(&["minisign"]) {
        return;
    }
    let rack = Rack::a();
    let at = |name: &str| rack.file(name).display().to_string();
    let ours = keygen(&rack, "ours");
    require(&rack, &[&ours], &[]);
    sign(&rack, "ours");
    rack.done(&["validate"]);
    // minisign checks a signature by pxectl over the manifest in the store.
    let manifest = rack.done(&["bundle", "sign", BUNDLE, "--print"]);
    rack.write("manifest", &manifest);
    let digest = run_tool("sha256sum", &[&at("manifest")]);
    let blob = rack.file("bundles/blobs/sha256").join(&digest[..64]);
    assert!(blob.is_file(), "{}", blob.display());
    let document = rack.read("bundles.yaml");
    let lines = document.lines().map(str::trim_start);
    let lines: Vec<&str> = lines
        .skip_while(|line| !line.starts_with("untrusted"))
        .take(4)
        .collect();
    rack.write("ours.minisig", lines.join("\n") + "\n");
    let verify = [
        "-V",
        "-m",
        &blob.display().to_string(),
        "-x",
        &at("ours.minisig"),
    ];
    let output = run_tool(
        "minisign",
        &[&verify[..], &["-p", &at("ours.pub")]].concat(),
    );
    assert!(
        output.contains("Signature and comment signature verified"),
        "{output}"
    );
    assert!(output.contains(&format!("bundle:{BUNDLE}")), "{output}");
    // minisign signs with a key from pxectl.
    run_tool(
        "minisign",
        &[
            "-S",
            "-s",
            &at("ours"),
            "-m",
            &at("manifest"),
            "-x",
            &at("by-ours"),
        ],
    );
    rack.done(&["bundle", "sign", BUNDLE, "--signature", "by-ours"]);

    // Both programs sign with a key from minisign.
    run_tool(
        "minisign",
        &["-G", "-W", "-p", &at("theirs.pub"), "-s", &at("theirs")],
    );
    let public = rack.read("theirs.pub");
    let theirs = format!(
        "{{name: theirs, key: {}}}",
        public.lines().nth(1).expect("a key")
    );
    require(&rack, &[&theirs], &[]);
    let refused = rack.run(&["validate"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stdout.contains("no signature by a key of the site"),
        "{}",
        refused.stdout
    );
    for legacy in [false, true] {
        let mut sign = vec!["-S", "-s"];
        let (key, manifest, signature) = (at("theirs"), at("manifest"), at("by-theirs"));
        sign.extend([key.as_str(), "-m", &manifest, "-x", &signature]);
        sign.extend(legacy.then_some("-l"));
        run_tool("minisign", &sign);
        let document = rack.done(&["bundle", "sign", BUNDLE, "--signature", "by-theirs"]);
        rack.write("bundles.yaml", &document);
        let listed = rack.run(&["validate"]);
        assert!(
            !listed.stdout.contains(&format!("bundle `{BUNDLE}`: it is")),
            "{}",
            listed.stdout
        );
    }
    let again = rack.done(&["bundle", "sign", "debian-12-stand-in", "--key", "theirs"]);
    rack.write("more.yaml", again);
    rack.done(&["validate"]);
}

#[test]
fn a_key_with_a_password_is_left_to_minisign() {
    if missing(&["minisign", "python3"]) {
        return;
    }
    let rack = Rack::a();
    let at = |name: &str| rack.file(name).display().to_string();
    // minisign prompts on a terminal, so the test sets the two bytes that mark an encrypted key.
    run_tool(
        "minisign",
        &["-G", "-W", "-p", &at("k.pub"), "-s", &at("k")],
    );
    let script = "import base64,sys\np=sys.argv[1]\na,b=open(p).read().split('\\n')[:2]\n\
        d=bytearray(base64.b64decode(b));d[2:4]=b'Sc'\n\
        open(p,'w').write(a+'\\n'+base64.b64encode(d).decode()+'\\n')";
    run_tool("python3", &["-c", script, &at("k")]);
    let refused = rack.refused(3, &["bundle", "sign", BUNDLE, "--key", "k"]);
    assert!(refused.contains("encrypted with a password"), "{refused}");
    assert!(refused.contains("minisign -S"), "{refused}");
}

#[test]
fn a_site_that_requires_signatures_refuses_bundles_without_one_by_its_keys() {
    let rack = Rack::with_store();
    let (old, new) = (keygen(&rack, "old"), keygen(&rack, "new"));
    require(&rack, &[&old], &[]);
    let refused = |why: &str| {
        let output = rack.run(&["validate"]);
        assert_eq!(output.status, Some(1), "{}", output.stdout);
        assert!(output.stdout.contains(why), "{}", output.stdout);
        let provision = rack.refused(1, &["host", "provision", "worker-01"]);
        assert!(provision.contains(why), "{provision}");
        let serve = rack.refused(1, &["serve", "http"]);
        assert!(serve.contains(why), "{serve}");
    };
    let accepted = || {
        rack.done(&["validate"]);
        rack.done(&["host", "provision", "worker-01"]);
        rack.done(&["host", "cancel", "worker-01"]);
    };
    refused("no signature, but the site requires one");
    sign(&rack, "old");
    accepted();
    // A signed document with one changed digit.
    let good = rack.read("bundles.yaml");
    rack.edit("bundles.yaml", "size: 4096", "size: 4097");
    refused("the signature by key `old` is invalid");
    rack.write("bundles.yaml", &good);

    // Rotation: both keys count, then the new one signs, then the old one is removed.
    require(&rack, &[&old, &new], &[]);
    accepted();
    sign(&rack, "new");
    accepted();
    require(&rack, &[&new], &[&old]);
    accepted();
    assert_eq!(
        rack.read("bundles.yaml")
            .matches("trusted comment: timestamp")
            .count(),
        4
    );
    // Revocation: a bundle that only the old key signed is refused.
    rack.write("bundles.yaml", &good);
    refused("signed only by key `old`, which the site has revoked");
    // A key is trusted or revoked, not both.
    require(&rack, &[&new, &old], &[&old]);
    refused("have the same key or the same name");
}

#[test]
fn signatures_and_expiry_survive_skopeo_and_a_registry() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let key = keygen(&rack, "release");
    require(&rack, &[&key], &[]);
    sign(&rack, "release");
    let place = format!("docker://{}/boot:{BUNDLE}", registry.host);
    rack.done(&["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    let layout = format!("oci:{}:{BUNDLE}", rack.file("copied").display());
    run_tool(
        "skopeo",
        &["copy", "--src-tls-verify=false", &place, &layout],
    );
    let document = rack.done(&["bundle", "pull", "copied", "--bundles", "store"]);
    assert!(document.contains("trusted comment: "), "{document}");
    rack.write("bundles.yaml", document);
    rack.edit(
        "profiles.yaml",
        "bundle: debian-12-stand-in",
        &format!("bundle: {BUNDLE}"),
    );
    rack.done(&["validate"]);
}

#[test]
fn an_unsigned_bundle_is_not_pulled_if_signatures_are_required() {
    let (near, rack) = (Rack::a(), Rack::a());
    let key = keygen(&rack, "release");
    near.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let file = near.file("usb.tar").display().to_string();
    sign(&rack, "release");
    require(&rack, &[&key], &[]);
    let pull = ["bundle", "pull", &file, "--bundles", "store"];
    let refused = rack.refused(1, &pull);
    assert!(
        refused.contains("no signature") && refused.contains("--allow-unsigned"),
        "{refused}"
    );
    assert!(rack.tree("store/blobs").is_empty());
    let allowed = rack.run(&[&pull[..], &["--allow-unsigned"]].concat());
    assert_eq!(allowed.status, Some(0), "{}", allowed.stderr);
    // A signature with a changed digit is always refused.
    let signed = rack.done(&["bundle", "publish", BUNDLE, "signed.tar"]);
    assert!(signed.contains("signed.tar"));
    let text = std::fs::read(rack.file("signed.tar")).expect("it");
    let at = text
        .windows(16)
        .position(|it| it == b"\"casper/vmlinuz\"")
        .expect("its place");
    let mut changed = text.clone();
    changed[at + 1] = b'C';
    rack.write("signed.tar", &changed);
    let refused = rack.refused(3, &["bundle", "pull", "signed.tar", "--bundles", "new"]);
    assert!(refused.contains("no intact manifest"), "{refused}");
}

#[test]
fn a_secret_key_is_not_overwritten_and_not_printed() {
    let rack = Rack::empty();
    keygen(&rack, "release");
    let secret = rack.read("release");
    let again = rack.refused(3, &["bundle", "keygen", "release", "--out", "release"]);
    assert!(again.contains("keys are never overwritten"), "{again}");
    assert_eq!(rack.read("release"), secret);
    let output = rack.run(&["bundle", "keygen", "b", "--out", "b", "--format", "json"]);
    let line = rack.read("b").lines().nth(1).expect("a key").to_owned();
    assert!(!output.stdout.contains(&line) && !output.stderr.contains(&line));
}

#[test]
fn an_invalid_name_is_refused_before_anything_is_created() {
    let rack = Rack::empty();
    for command in [
        &["keygen", "a: b", "--out", "key"][..],
        &["pull", "there", "a b", "--bundles", "store"],
        &[
            "build",
            "--preset",
            "talos",
            "--name",
            "../a",
            "--bundles",
            "store",
        ],
    ] {
        let output = rack.refused(2, &[&["bundle"], command].concat());
        assert!(
            output.contains("letters, digits, `.`, `_` and `-`"),
            "{output}"
        );
    }
    assert_eq!(rack.tree(""), []);
}

#[test]
fn a_signed_day_of_expiry_cannot_be_extended() {
    let rack = Rack::a();
    let key = keygen(&rack, "release");
    require(&rack, &[&key], &[]);
    let sign = |name: &str, more: &[&str]| {
        let sign = ["bundle", "sign", name, "--key", "release"];
        rack.done(&[&sign[..], more].concat())
    };
    let other = sign("debian-12-stand-in", &[]);
    let signed = sign(BUNDLE, &["--expires", "2990-05-01"]);
    assert!(signed.contains("expires:2990-05-01"), "{signed}");
    let with = |document: &str| rack.write("bundles.yaml", format!("{document}---\n{other}"));
    with(&signed);
    rack.done(&["validate"]);
    let says = "expires: 2990-05-01";
    assert_eq!(signed.matches(&format!("\n{says}")).count(), 1, "{signed}");
    // An earlier day is accepted.
    with(&signed.replacen(says, "expires: 2989-05-01", 1));
    rack.done(&["validate"]);
    for (later, expected) in [
        ("expires: 2990-05-02", "expires on 2990-05-02"),
        ("", "never expires"),
    ] {
        with(&signed.replacen(says, later, 1));
        for command in [&["validate"][..], &["host", "provision", "worker-01"]] {
            let run = rack.run(command);
            let all = run.stdout + &run.stderr;
            assert_eq!(run.status, Some(1), "{all}");
            let day = "is valid until 2990-05-01";
            assert!(all.contains(day) && all.contains(expected), "{all}");
        }
    }
    // Changing the comment of the signature does not help.
    with(&signed.replace("2990", "2991"));
    let run = rack.run(&["validate"]);
    assert!((run.stdout + &run.stderr).contains("is invalid"));
    // The owner of the key can extend it.
    with(&sign(BUNDLE, &["--expires", "2995-01-01"]));
    rack.done(&["validate"]);
}

#[test]
fn signatures_by_two_publishers_are_merged_and_survive_skopeo() {
    if missing(&["docker-registry", "skopeo"]) {
        return;
    }
    let (one, two, data) = (Rack::a(), Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), false);
    let (place, copy) = (registry.place("boot"), registry.place("copy"));
    let tar = data.file("usb.tar").display().to_string();
    for rack in [&one, &two] {
        keygen(rack, "key");
        rack.done(&["bundle", "sign", BUNDLE, "--key", "key"]);
        for place in [&place, &tar] {
            rack.done(&["bundle", "publish", BUNDLE, place, "--plain-http"]);
        }
    }
    run_tool(
        "skopeo",
        &[
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &format!("{place}:{BUNDLE}"),
            &format!("{copy}:{BUNDLE}"),
        ],
    );
    for place in [&place, &tar, &copy] {
        let pull = ["bundle", "pull", place, BUNDLE, "--plain-http"];
        let document = Rack::empty().done(&[&pull[..], &["--bundles", "store"]].concat());
        let signatures = document.matches("untrusted comment").count();
        assert_eq!(signatures, 2, "{place}: {document}");
    }
}
