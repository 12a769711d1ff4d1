use crate::rack::{BUNDLE, Rack, tool};
use crate::requirements::missing;
use crate::server::DockerRegistry;

/// Makes a key, and returns the site's line for it.
fn keygen(rack: &Rack, name: &str) -> String {
    let line = rack.done(&["bundle", "keygen", name, "--out", name]);
    line.trim().trim_start_matches("- ").to_owned()
}

/// Says whose signatures the site requires.
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

/// Signs both bundles of the rack, and puts what comes of it in place of their documents.
fn sign(rack: &Rack, key: &str) {
    let documents = [BUNDLE, "debian-12-stand-in"]
        .map(|name| rack.done(&["bundle", "sign", name, "--key", key]));
    rack.write("bundles.yaml", documents.join("---\n"));
}

#[test]
fn minisign_accepts_our_signatures_and_we_those_of_minisign() {
    if missing(&["minisign"]) {
        return;
    }
    let rack = Rack::a();
    let at = |name: &str| rack.file(name).display().to_string();
    let ours = keygen(&rack, "ours");
    require(&rack, &[&ours], &[]);
    sign(&rack, "ours");
    rack.done(&["validate"]);
    // Ours, by minisign: over the manifest as it lies in the store.
    let manifest = rack.done(&["bundle", "sign", BUNDLE, "--print"]);
    rack.write("manifest", &manifest);
    let digest = tool("sha256sum", &[&at("manifest")]);
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
    let said = tool(
        "minisign",
        &[&verify[..], &["-p", &at("ours.pub")]].concat(),
    );
    assert!(
        said.contains("Signature and comment signature verified"),
        "{said}"
    );
    assert!(said.contains(&format!("bundle:{BUNDLE}")), "{said}");
    // minisign signs with our key, and that is as good.
    tool(
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

    // Theirs: a key of minisign, by its own program and by us.
    tool(
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
        refused.stdout.contains("signed by no key of the site"),
        "{}",
        refused.stdout
    );
    for legacy in [false, true] {
        let mut sign = vec!["-S", "-s"];
        let (key, manifest, signature) = (at("theirs"), at("manifest"), at("by-theirs"));
        sign.extend([key.as_str(), "-m", &manifest, "-x", &signature]);
        sign.extend(legacy.then_some("-l"));
        tool("minisign", &sign);
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
    // minisign asks on a terminal; what it would write differs from an open key in two octets.
    tool(
        "minisign",
        &["-G", "-W", "-p", &at("k.pub"), "-s", &at("k")],
    );
    let script = "import base64,sys\np=sys.argv[1]\na,b=open(p).read().split('\\n')[:2]\n\
        d=bytearray(base64.b64decode(b));d[2:4]=b'Sc'\n\
        open(p,'w').write(a+'\\n'+base64.b64encode(d).decode()+'\\n')";
    tool("python3", &["-c", script, &at("k")]);
    let refused = rack.refused(3, &["bundle", "sign", BUNDLE, "--key", "k"]);
    assert!(refused.contains("protected with a password"), "{refused}");
    assert!(refused.contains("minisign -S"), "{refused}");
}

#[test]
fn a_site_that_requires_signatures_refuses_what_is_not_signed_by_its_keys() {
    let rack = Rack::with_store();
    let (old, new) = (keygen(&rack, "old"), keygen(&rack, "new"));
    require(&rack, &[&old], &[]);
    let refused = |why: &str| {
        let said = rack.run(&["validate"]);
        assert_eq!(said.status, Some(1), "{}", said.stdout);
        assert!(said.stdout.contains(why), "{}", said.stdout);
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
    refused("it is not signed");
    sign(&rack, "old");
    accepted();
    // A signed document in which one digit is another.
    let good = rack.read("bundles.yaml");
    rack.edit("bundles.yaml", "size: 4096", "size: 4097");
    refused("its signature by key `old` is wrong");
    rack.write("bundles.yaml", &good);

    // Rotation: both keys count, then the new one signs, then the old one goes.
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
    // Revocation: what the old key alone signed is refused.
    rack.write("bundles.yaml", &good);
    refused("it is signed by key `old`, which the site has revoked");
    // A key is good or revoked, not both.
    require(&rack, &[&new, &old], &[&old]);
    refused("are the same key");
}

#[test]
fn signatures_and_expiry_travel_through_skopeo_and_a_registry() {
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
    tool(
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
fn an_unsigned_bundle_is_not_pulled_where_signatures_are_required() {
    let (near, rack) = (Rack::a(), Rack::a());
    let key = keygen(&rack, "release");
    near.done(&["bundle", "publish", BUNDLE, "usb.tar"]);
    let file = near.file("usb.tar").display().to_string();
    sign(&rack, "release");
    require(&rack, &[&key], &[]);
    let pull = ["bundle", "pull", &file, "--bundles", "store"];
    let refused = rack.refused(1, &pull);
    assert!(
        refused.contains("is not signed") && refused.contains("--allow-unsigned"),
        "{refused}"
    );
    assert!(rack.tree("store/blobs").is_empty());
    let allowed = rack.run(&[&pull[..], &["--allow-unsigned"]].concat());
    assert_eq!(allowed.status, Some(0), "{}", allowed.stderr);
    // One of which a digit was changed is refused whatever is allowed.
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
    assert!(refused.contains("no good manifest"), "{refused}");
}

#[test]
fn a_secret_key_is_not_written_over_and_not_printed() {
    let rack = Rack::empty();
    keygen(&rack, "release");
    let secret = rack.read("release");
    let again = rack.refused(3, &["bundle", "keygen", "release", "--out", "release"]);
    assert!(again.contains("a key is never overwritten"), "{again}");
    assert_eq!(rack.read("release"), secret);
    let said = rack.run(&["bundle", "keygen", "b", "--out", "b", "--format", "json"]);
    let line = rack.read("b").lines().nth(1).expect("a key").to_owned();
    assert!(!said.stdout.contains(&line) && !said.stderr.contains(&line));
}

#[test]
fn a_name_that_no_inventory_takes_is_refused_before_anything_is_made() {
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
        let said = rack.refused(2, &[&["bundle"], command].concat());
        assert!(said.contains("letters, digits, `.`, `_` and `-`"), "{said}");
    }
    assert_eq!(rack.tree(""), []);
}

#[test]
fn what_was_signed_to_expire_does_not_live_longer_than_that() {
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
    // Sooner is no harm.
    with(&signed.replacen(says, "expires: 2989-05-01", 1));
    rack.done(&["validate"]);
    for (later, said) in [
        ("expires: 2990-05-02", "expires on 2990-05-02"),
        ("", "expires never"),
    ] {
        with(&signed.replacen(says, later, 1));
        for command in [&["validate"][..], &["host", "provision", "worker-01"]] {
            let run = rack.run(command);
            let all = run.stdout + &run.stderr;
            assert_eq!(run.status, Some(1), "{all}");
            let day = "is good until 2990-05-01";
            assert!(all.contains(day) && all.contains(said), "{all}");
        }
    }
    // Nor is it by changing what the signature says.
    with(&signed.replace("2990", "2991"));
    let run = rack.run(&["validate"]);
    assert!((run.stdout + &run.stderr).contains("is wrong"));
    // Whoever has the key may let it live longer.
    with(&sign(BUNDLE, &["--expires", "2995-01-01"]));
    rack.done(&["validate"]);
}

#[test]
fn signatures_that_two_have_published_come_together_and_survive_skopeo() {
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
    tool(
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
