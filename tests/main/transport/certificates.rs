//! Registries over TLS, with certificates from openssl.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;
use crate::transport::server::DockerRegistry;

const NEEDED: [&str; 2] = ["docker-registry", "openssl"];

/// A certificate authority, and the certificates that it has issued.
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

    /// Issues a certificate, as `NAME.cert` and `NAME.key`.
    fn issue(&self, name: &str, extension: &str, days: &str) {
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

    /// Waits until a certificate has expired: it is valid for all of its last second.
    fn wait_for_expiry(&self, name: &str) {
        let path = self.file(&format!("{name}.cert")).display().to_string();
        let end = run_tool("openssl", &["x509", "-noout", "-enddate", "-in", &path]);
        let end = end.trim().trim_start_matches("notAfter=").to_owned();
        let end = run_tool("date", &["-d", &end, "+%s"]);
        let end: i64 = end.trim().parse().expect("seconds");
        assert!(end - pxectl::clock::wall_time().as_second() < 60, "{end}");
        while pxectl::clock::wall_time().as_second() <= end {
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
        run_tool("sh", &["-c", &script]);
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
fn a_registry_is_trusted_by_the_ca_option_and_the_directories_of_docker_and_podman() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data) = (Authority::new("ours"), Rack::empty());
    authority.issue("server", "subjectAltName=IP:127.0.0.1", "30");
    let registry = registry(&data, &authority, "server", "");
    let ca = authority.file("ca.crt");
    let place = registry.place("boot");
    let publish = ["bundle", "publish", BUNDLE, &place];

    let rack = Rack::a();
    let refused = rack.refused(3, &publish);
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    for expected in ["help: ", "--ca FILE", "certs.d"] {
        assert!(refused.contains(expected), "{refused}");
    }
    // There is no retry, and no request without TLS.
    assert!(!refused.contains("retrying"), "{refused}");
    assert!(
        registry.responses().is_empty(),
        "{:?}",
        registry.responses()
    );

    let named = ["--ca", &ca.display().to_string()];
    rack.done(&[&publish[..], &named].concat());
    // The certificates of the system, wherever they are.
    let mut pull = rack.command(&["bundle", "pull", &place, BUNDLE, "--bundles", "one"]);
    let pulled = pull.env("SSL_CERT_FILE", &ca).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&pulled.stderr).into_owned();
    assert!(pulled.status.success(), "{stderr}");
    // `~/.config/containers/certs.d/HOST:PORT/*.crt`.
    let home = rack.file("home");
    let of_host = home.join(".config/containers/certs.d").join(&registry.host);
    std::fs::create_dir_all(&of_host).expect("a directory");
    std::fs::copy(&ca, of_host.join("ours.crt")).expect("a copy");
    let mut pull = rack.command(&["bundle", "pull", &place, BUNDLE, "--bundles", "two"]);
    let pulled = pull.env("HOME", &home).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&pulled.stderr).into_owned();
    assert!(pulled.status.success(), "{stderr}");
    // skopeo reads the published bundle with the same file.
    if missing(&["skopeo"]) {
        return;
    }
    let directory = of_host.display().to_string();
    let tagged = format!("{place}:{BUNDLE}");
    let inspect = ["inspect", "--raw", "--cert-dir", &directory, &tagged];
    assert!(run_tool("skopeo", &inspect).contains("vnd.pxectl.bundle"));
}

#[test]
fn a_wrong_certificate_is_explained_and_nothing_is_sent() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    authority.issue("elsewhere", "subjectAltName=DNS:elsewhere.example", "30");
    authority.issue("server", "subjectAltName=IP:127.0.0.1", "30");
    authority.issue("expired", "subjectAltName=IP:127.0.0.1", "0");
    authority.wait_for_expiry("expired");
    let rack = Rack::a();
    for (name, trusted, expected, help) in [
        (
            "elsewhere",
            &authority,
            "not valid for name",
            "a host name that the certificate lists",
        ),
        ("server", &other, "UnknownIssuer", "with `--ca FILE`"),
        ("expired", &authority, "expired", "certificate renewed"),
    ] {
        let data = Rack::empty();
        let registry = registry(&data, &authority, name, "");
        let place = registry.place("boot");
        let ca = trusted.file("ca.crt").display().to_string();
        let publish = ["bundle", "publish", BUNDLE, &place, "--ca", &ca];
        let refused = rack.refused(3, &publish);
        assert!(refused.contains(expected), "{name}: {refused}");
        assert!(refused.contains(help), "{name}: {refused}");
        assert!(
            registry.responses().is_empty(),
            "{:?}",
            registry.responses()
        );
    }
    rack.write("no.crt", "nothing");
    for (file, expected) in [("no.crt", "has no certificate"), ("none.crt", "No such")] {
        let publish = ["bundle", "publish", BUNDLE, "docker://127.0.0.1:1/boot"];
        let refused = rack.refused(3, &[&publish[..], &["--ca", file]].concat());
        assert!(
            refused.contains(expected) && refused.contains(file),
            "{refused}"
        );
    }
}

#[test]
fn a_registry_that_requires_a_client_certificate_gets_the_one_beside_its_own() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data) = (Authority::new("ours"), Rack::empty());
    authority.issue("server", "subjectAltName=IP:127.0.0.1", "30");
    authority.issue("client", "extendedKeyUsage=clientAuth", "30");
    let ca = authority.file("ca.crt");
    let wanted = format!("    clientcas: [{}]\n", ca.display());
    let registry = registry(&data, &authority, "server", &wanted);
    let place = registry.place("boot");
    let rack = Rack::a();
    let ca = ca.display().to_string();
    let named = ["bundle", "publish", BUNDLE, &place, "--ca", &ca];
    let refused = rack.refused(3, &named);
    assert!(refused.contains("as `client.cert`"), "{refused}");
    assert!(!refused.contains("retrying"), "{refused}");

    let home = rack.file("home");
    let of_host = home.join(".config/containers/certs.d").join(&registry.host);
    std::fs::create_dir_all(&of_host).expect("a directory");
    for name in ["ca.crt", "client.cert", "client.key"] {
        std::fs::copy(authority.file(name), of_host.join(name)).expect("a copy");
    }
    let mut publish = rack.command(&["bundle", "publish", BUNDLE, &place]);
    let published = publish.env("HOME", &home).output().expect("it runs");
    let output = String::from_utf8_lossy(&published.stderr).into_owned();
    assert!(published.status.success(), "{output}");
}

#[test]
fn the_wrong_choice_of_tls_is_explained() {
    if missing(&NEEDED) {
        return;
    }
    let (authority, data, plain) = (Authority::new("ours"), Rack::empty(), Rack::empty());
    authority.issue("server", "subjectAltName=IP:127.0.0.1", "30");
    let secure = registry(&data, &authority, "server", "");
    let plain = DockerRegistry::start(plain.path(), false);
    let rack = Rack::a();
    let place = secure.place("boot");
    let refused = rack.refused(3, &["bundle", "publish", BUNDLE, &place, "--plain-http"]);
    assert!(refused.contains("omit `--plain-http`"), "{refused}");
    let place = plain.place("boot");
    let refused = rack.refused(3, &["bundle", "publish", BUNDLE, &place]);
    assert!(refused.contains("`--plain-http`"), "{refused}");
}
