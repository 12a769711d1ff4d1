//! Registries over TLS, with certificates that openssl makes.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::rack::{BUNDLE, Rack, tool};
use crate::requirements::missing;
use crate::server::DockerRegistry;

const NEEDED: [&str; 2] = ["docker-registry", "openssl"];

/// An authority of ours, and certificates that it has given out.
struct Authority {
    directory: Rack,
}

impl Authority {
    fn new(name: &str) -> Self {
        let authority = Self {
            directory: Rack::empty(),
        };
        authority.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
             -subj /CN={name} -keyout ca.key -out ca.crt"
        ));
        authority
    }

    /// Gives out a certificate, as `NAME.cert` and `NAME.key`.
    fn give(&self, name: &str, extension: &str, days: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.directory.write("extensions", extension);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} \
             -extfile extensions -out {name}.cert"
        ));
    }

    /// Waits till a certificate has run out: it is good for all of the second in which it ends.
    fn wait_for_end(&self, name: &str) {
        let path = self.file(&format!("{name}.cert")).display().to_string();
        let end = tool("openssl", &["x509", "-noout", "-enddate", "-in", &path]);
        let end = end.trim().trim_start_matches("notAfter=").to_owned();
        let end = tool("date", &["-d", &end, "+%s"]);
        let end: i64 = end.trim().parse().expect("seconds");
        assert!(end - jiff::Timestamp::now().as_second() < 60, "{end}");
        while jiff::Timestamp::now().as_second() <= end {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    fn openssl(&self, words: &str) {
        let script = format!(
            "cd {} && openssl {words} 2>&1",
            self.directory.path().display()
        );
        tool("sh", &["-c", &script]);
    }
}

/// A registry with a certificate for an address.
fn registry(data: &Rack, authority: &Authority, name: &str, more: &str) -> DockerRegistry {
    let tls = format!(
        "  tls:\n    certificate: {}\n    key: {}\n{more}",
        authority.file(&format!("{name}.cert")).display(),
        authority.file(&format!("{name}.key")).display()
    );
    DockerRegistry::with(data.path(), &tls, "")
}

#[test]
fn a_registry_is_trusted_by_the_file_that_is_named_and_where_docker_and_podman_look() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data) = (Authority::new("ours"), Rack::empty());
    authority.give("server", "subjectAltName=IP:127.0.0.1", "30");
    let registry = registry(&data, &authority, "server", "");
    let ca = authority.file("ca.crt");
    let place = registry.place("boot");
    let publish = ["bundle", "publish", BUNDLE, &place];

    let rack = Rack::a();
    let refused = rack.refused(3, &publish);
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    for said in ["help: ", "--ca FILE", "certs.d"] {
        assert!(refused.contains(said), "{refused}");
    }
    // It is not asked again, nor without TLS.
    assert!(!refused.contains("trying again"), "{refused}");
    assert!(registry.answered().is_empty(), "{:?}", registry.answered());

    let named = ["--ca", &ca.display().to_string()];
    rack.done(&[&publish[..], &named].concat());
    // Those of the system, wherever they lie.
    let mut pull = rack.pxectl(&["bundle", "pull", &place, BUNDLE, "--bundles", "one"]);
    let pulled = pull.env("SSL_CERT_FILE", &ca).output().expect("it runs");
    let said = String::from_utf8_lossy(&pulled.stderr).into_owned();
    assert!(pulled.status.success(), "{said}");
    // `~/.config/containers/certs.d/HOST:PORT/*.crt`.
    let home = rack.file("home");
    let of_host = home.join(".config/containers/certs.d").join(&registry.host);
    std::fs::create_dir_all(&of_host).expect("a directory");
    std::fs::copy(&ca, of_host.join("ours.crt")).expect("a copy");
    let mut pull = rack.pxectl(&["bundle", "pull", &place, BUNDLE, "--bundles", "two"]);
    let pulled = pull.env("HOME", &home).output().expect("it runs");
    let said = String::from_utf8_lossy(&pulled.stderr).into_owned();
    assert!(pulled.status.success(), "{said}");
    // What we have published over TLS, skopeo reads by the same file.
    if missing(&["skopeo"]) {
        return;
    }
    let directory = of_host.display().to_string();
    let tagged = format!("{place}:{BUNDLE}");
    let inspect = ["inspect", "--raw", "--cert-dir", &directory, &tagged];
    assert!(tool("skopeo", &inspect).contains("vnd.pxectl.bundle"));
}

#[test]
fn a_wrong_certificate_is_refused_in_words_and_nothing_is_sent() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    authority.give("elsewhere", "subjectAltName=DNS:elsewhere.example", "30");
    authority.give("server", "subjectAltName=IP:127.0.0.1", "30");
    authority.give("expired", "subjectAltName=IP:127.0.0.1", "0");
    authority.wait_for_end("expired");
    let rack = Rack::a();
    for (name, trusted, said, help) in [
        (
            "elsewhere",
            &authority,
            "not valid for name",
            "a name that stands",
        ),
        ("server", &other, "UnknownIssuer", "with `--ca FILE`"),
        ("expired", &authority, "expired", "have it renewed"),
    ] {
        let data = Rack::empty();
        let registry = registry(&data, &authority, name, "");
        let place = registry.place("boot");
        let ca = trusted.file("ca.crt").display().to_string();
        let publish = ["bundle", "publish", BUNDLE, &place, "--ca", &ca];
        let refused = rack.refused(3, &publish);
        assert!(refused.contains(said), "{name}: {refused}");
        assert!(refused.contains(help), "{name}: {refused}");
        assert!(registry.answered().is_empty(), "{:?}", registry.answered());
    }
    rack.write("no.crt", "nothing");
    for (file, said) in [("no.crt", "holds no certificate"), ("none.crt", "No such")] {
        let publish = ["bundle", "publish", BUNDLE, "docker://127.0.0.1:1/boot"];
        let refused = rack.refused(3, &[&publish[..], &["--ca", file]].concat());
        assert!(
            refused.contains(said) && refused.contains(file),
            "{refused}"
        );
    }
}

#[test]
fn a_registry_that_wants_a_certificate_of_ours_gets_the_one_beside_its_own() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data) = (Authority::new("ours"), Rack::empty());
    authority.give("server", "subjectAltName=IP:127.0.0.1", "30");
    authority.give("client", "extendedKeyUsage=clientAuth", "30");
    let ca = authority.file("ca.crt");
    let wanted = format!("    clientcas: [{}]\n", ca.display());
    let registry = registry(&data, &authority, "server", &wanted);
    let place = registry.place("boot");
    let rack = Rack::a();
    let ca = ca.display().to_string();
    let named = ["bundle", "publish", BUNDLE, &place, "--ca", &ca];
    let refused = rack.refused(3, &named);
    assert!(refused.contains("as `client.cert`"), "{refused}");
    assert!(!refused.contains("trying again"), "{refused}");

    let home = rack.file("home");
    let of_host = home.join(".config/containers/certs.d").join(&registry.host);
    std::fs::create_dir_all(&of_host).expect("a directory");
    for name in ["ca.crt", "client.cert", "client.key"] {
        std::fs::copy(authority.file(name), of_host.join(name)).expect("a copy");
    }
    let mut publish = rack.pxectl(&["bundle", "publish", BUNDLE, &place]);
    let published = publish.env("HOME", &home).output().expect("it runs");
    let said = String::from_utf8_lossy(&published.stderr).into_owned();
    assert!(published.status.success(), "{said}");
}

#[test]
fn a_registry_with_tls_and_one_without_are_not_taken_for_each_other() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data, plain) = (Authority::new("ours"), Rack::empty(), Rack::empty());
    authority.give("server", "subjectAltName=IP:127.0.0.1", "30");
    let secure = registry(&data, &authority, "server", "");
    let plain = DockerRegistry::start(plain.path(), false);
    let rack = Rack::a();
    let place = secure.place("boot");
    let refused = rack.refused(3, &["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    assert!(refused.contains("leave `--plain-http` out"), "{refused}");
    let place = plain.place("boot");
    let refused = rack.refused(3, &["bundle", "publish", BUNDLE, &place]);
    assert!(refused.contains("`--plain-http`"), "{refused}");
}
