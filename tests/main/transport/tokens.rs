//! A real registry with a token server, which is a small fake with openssl.

use std::path::Path;
use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::json;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::tool::run_tool;
use crate::transport::server::{DockerRegistry, FakeRegistry, Request, response};

/// Signs a token with some rights for docker-registry.
///
/// Source: Docker's "Token Authentication Implementation".
fn token(keys: &Path, scope: &str, seconds: i64) -> String {
    let pem = std::fs::read_to_string(keys.join("token.crt")).expect("a certificate");
    let der: String = pem.lines().filter(|line| !line.contains("--")).collect();
    let now = pxectl::clock::wall_time().as_second();
    let access = scope.split(' ').filter_map(|scope| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<&str> = actions.split(',').collect();
        Some(json!({"type": kind, "name": name, "actions": actions}))
    });
    let claims = json!({
        "iss": "test", "aud": "registry", "sub": "anna", "jti": "1",
        "nbf": now - 3600, "iat": now - 3600, "exp": now + seconds,
        "access": access.collect::<Vec<_>>(),
    });
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let [header, claims] =
        [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = format!("{header}.{claims}");
    let script = format!(
        "cd {} && printf %s '{signed}' | openssl dgst -sha256 -sign token.key | base64 -w 0",
        keys.display()
    );
    let signature = BASE64.decode(run_tool("sh", &["-c", &script]).as_bytes());
    let signature = BASE64URL_NOPAD.encode(&signature.expect("base64"));
    format!("{signed}.{signature}")
}

/// Returns the value of a parameter in a query or a form.
fn parameter(text: &str, name: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://form/?{text}")).expect("a form");
    let found = url.query_pairs().find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Starts a token server that accepts `anna` with her password, or with an identity token.
fn token_server(keys: &Path, seconds: Arc<Mutex<i64>>) -> FakeRegistry {
    let keys = keys.to_owned();
    FakeRegistry::start(move |asked: &Request, _| {
        let query = asked.path.split_once('?').map_or("", |(_, query)| query);
        let (known, form) = match asked.method.as_str() {
            "POST" => {
                let good = parameter(&asked.body, "grant_type") == "refresh_token"
                    && parameter(&asked.body, "refresh_token") == "1dentity";
                (good, asked.body.as_str())
            }
            _ => {
                let basic = "authorization: basic yw5uytpzm2nyzxq=";
                (asked.headers.contains(basic), query)
            }
        };
        if !known || parameter(form, "service") != "registry" {
            return response("401 Unauthorized", "", b"{}");
        }
        let token = token(
            &keys,
            &parameter(form, "scope"),
            *seconds.lock().expect("it"),
        );
        let name = if asked.method == "POST" {
            "access_token"
        } else {
            "token"
        };
        response("200 OK", "", json!({name: token}).to_string().as_bytes())
    })
}

#[test]
fn a_registry_with_a_token_server_is_written_and_read() {
    if missing(&["docker-registry", "openssl"]) {
        return;
    }
    let (rack, data, keys) = (Rack::a(), Rack::empty(), Rack::empty());
    let make = format!(
        "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=token \
         -keyout token.key -out token.crt 2>&1",
        keys.path().display()
    );
    run_tool("sh", &["-c", &make]);
    let seconds = Arc::new(Mutex::new(3600));
    let tokens = token_server(keys.path(), Arc::clone(&seconds));
    let auth = format!(
        "auth: {{token: {{realm: \"http://{}/token\", service: registry, issuer: test, \
         rootcertbundle: {}}}}}\n",
        tokens.address,
        keys.file("token.crt").display()
    );
    let registry = DockerRegistry::with(data.path(), "", &auth);
    let place = registry.place("rack/boot");
    let publish = ["bundle", "publish", BUNDLE, &place, "--plain-http"];
    let known = |entry: &str| {
        std::fs::create_dir_all(rack.file("docker")).expect("a directory");
        let text = format!(r#"{{"auths": {{"{}": {entry}}}}}"#, registry.host);
        rack.write("docker/config.json", text);
    };

    let refused = rack.refused(3, &publish);
    assert!(refused.contains("requires credentials"), "{refused}");
    assert_eq!(tokens.requests().len(), 1);
    known(r#"{"auth": "YW5uYTp3cjBuZy1vbmU="}"#);
    let refused = rack.refused(3, &publish);
    assert!(refused.contains("rejected the credentials"), "{refused}");
    assert!(!refused.contains("wr0ng"), "{refused}");
    assert_eq!(tokens.requests().len(), 2);

    known(r#"{"auth": "YW5uYTpzM2NyZXQ="}"#);
    rack.done(&publish);
    // One token is enough for everything.
    assert_eq!(tokens.requests().len(), 3);
    let asked = tokens.requests().pop().expect("it");
    let query = asked.path.split_once('?').expect("a query").1;
    assert_eq!(parameter(query, "scope"), "repository:rack/boot:pull,push");

    let pull = ["bundle", "pull", &place, BUNDLE, "--plain-http"];
    known(r#"{"auth": "YTo=", "identitytoken": "1dentity"}"#);
    rack.done(&[&pull[..], &["--bundles", "one"]].concat());
    let asked = tokens.requests().pop().expect("it");
    assert_eq!(asked.method, "POST");
    assert_eq!(parameter(&asked.body, "scope"), "repository:rack/boot:pull");

    // Tokens that expire at once are fetched again, one for each request.
    *seconds.lock().expect("it") = -3500;
    let refused = rack.refused(3, &[&pull[..], &["--bundles", "two"]].concat());
    assert!(refused.contains("rejected the credentials"), "{refused}");
    known(r#"{"identitytoken": "wr0ng-one"}"#);
    let refused = rack.refused(3, &[&pull[..], &["--bundles", "three"]].concat());
    assert!(!refused.contains("wr0ng"), "{refused}");
}
