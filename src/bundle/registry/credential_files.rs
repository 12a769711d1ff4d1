//! Credentials from the files of Docker and Podman.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use serde_json::Value;

use super::credential_helper;
use super::credentials::Credentials;

/// Finds the credentials for a repository in the files of this user; the first file with an entry
/// counts. Reads `REGISTRY_AUTH_FILE` if it is set, else Podman's `auth.json` and Docker's
/// `config.json`.
///
/// # Errors
/// When a file cannot be read or parsed, or a credential helper fails.
pub fn find(host: &str, repository: &str) -> Result<Option<Credentials>, String> {
    for path in files() {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("`{}`: {error}", path.display())),
        };
        if let Some(found) = in_config(&text, host, repository, &path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn files() -> Vec<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let Some(path) = directory("REGISTRY_AUTH_FILE") {
        return vec![path];
    }
    let podman = directory("XDG_RUNTIME_DIR").map(|at| at.join("containers/auth.json"));
    let docker = directory("DOCKER_CONFIG")
        .or_else(|| Some(directory("HOME")?.join(".docker")))
        .map(|at| at.join("config.json"));
    podman.into_iter().chain(docker).collect()
}

/// Searches one file: first for a helper of this registry, then for an entry, then for the default
/// helper.
fn in_config(
    text: &str,
    host: &str,
    repository: &str,
    path: &Path,
) -> Result<Option<Credentials>, String> {
    let config: Value =
        serde_json::from_str(text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    // Source: Docker's `registry.IndexServer`: the name of Docker Hub in `docker login`.
    let server = match host {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/",
        host => host,
    };
    if let Some(helper) = config["credHelpers"][server].as_str() {
        return credential_helper::ask(helper, server);
    }
    let found = in_entries(&config["auths"], host, repository, path)?;
    match (found, config["credsStore"].as_str()) {
        (None, Some(helper)) if !helper.is_empty() => credential_helper::ask(helper, server),
        (found, _) => Ok(found),
    }
}

/// Finds the most specific entry: the repository's own takes precedence over one for a prefix of its
/// path, and the registry's entry comes last.
///
/// Source: containers-auth.json(5).
fn in_entries(
    auths: &Value,
    host: &str,
    repository: &str,
    path: &Path,
) -> Result<Option<Credentials>, String> {
    let address = format!("{host}/{repository}");
    let entries = auths.as_object().into_iter().flatten();
    let best = entries
        .filter_map(|(key, entry)| Some((covered_length(key, host, &address)?, key, entry)))
        .filter(|(_, _, entry)| {
            let has = |name: &str| entry[name].as_str().is_some_and(|it| !it.is_empty());
            has("identitytoken") || has("auth")
        })
        .max_by_key(|(length, ..)| *length);
    let Some((_, key, entry)) = best else {
        return Ok(None);
    };
    if let Some(token) = entry["identitytoken"].as_str().filter(|it| !it.is_empty()) {
        return Ok(Some(Credentials::IdentityToken(token.into())));
    }
    let auth = entry["auth"].as_str().unwrap_or_default();
    let decoded = BASE64
        .decode(auth.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, password)) => Ok(Some(Credentials::Password {
            user: user.to_owned(),
            password: password.into(),
        })),
        None => Err(format!(
            "`{}`: the `auth` of `{key}` is not `USER:PASSWORD` in base64",
            path.display()
        )),
    }
}

/// Returns how many bytes of a repository's address a key covers; `None` if it is for another one.
fn covered_length(key: &str, host: &str, address: &str) -> Option<usize> {
    let (is_url, key) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let key = key.trim_end_matches('/');
    let of_host = key.split('/').next().unwrap_or_default();
    let is_hub = |host: &str| ["docker.io", "index.docker.io"].contains(&host);
    let same_host = of_host == host || is_hub(of_host) && is_hub(host);
    // As a URL, the key ends with the version of the protocol: `docker login` writes it so.
    let of_registry = same_host && (is_url || key == of_host);
    let of_repository = address
        .strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if of_repository {
        return Some(key.len());
    }
    of_registry.then_some(of_host.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_entry_for_the_host_is_found() {
        let read =
            |text: &str| in_config(text, "reg.example:5000", "rack/b", Path::new("config.json"));
        let password = Some(Credentials::Password {
            user: "anna".into(),
            password: "a:b".into(),
        });
        let auth = BASE64.encode(b"anna:a:b");
        for key in [
            "reg.example:5000",
            "https://reg.example:5000/v1/",
            "reg.example:5000/rack",
        ] {
            let text = format!(r#"{{"auths": {{"other": {{}}, "{key}": {{"auth": "{auth}"}}}}}}"#);
            assert_eq!(read(&text), Ok(password.clone()), "{key}");
        }
        let token = r#"{"auths": {"reg.example:5000": {"auth": "YTo=", "identitytoken": "t"}}}"#;
        assert_eq!(
            read(token),
            Ok(Some(Credentials::IdentityToken("t".into())))
        );
        for text in [
            "{}",
            r#"{"auths": {"reg.example": {"auth": "YTo="}}}"#,
            r#"{"auths": {"reg.example:5000/other": {"auth": "YTo="}}}"#,
            r#"{"auths": {"reg.example:5000/rac": {"auth": "YTo="}}}"#,
            r#"{"auths": {"reg.example:5000": {}}}"#,
        ] {
            assert_eq!(read(text), Ok(None));
        }
        for text in [
            "{",
            r#"{"auths": {"reg.example:5000": {"auth": "YQ=="}}}"#,
            r#"{"credHelpers": {"reg.example:5000": "../../bin/sh"}}"#,
            r#"{"credHelpers": {"reg.example:5000": "not-installed"}}"#,
        ] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("YQ=="), "{error}");
        }
    }

    #[test]
    fn the_most_specific_entry_takes_precedence() {
        let auth = |user: &str| BASE64.encode(format!("{user}:p").as_bytes());
        let text = format!(
            r#"{{"auths": {{"r": {{"auth": "{}"}}, "r/a": {{"auth": "{}"}},
                "r/a/b": {{"auth": "{}"}}, "https://index.docker.io/v1/": {{"auth": "{}"}}}}}}"#,
            auth("all"),
            auth("above"),
            auth("own"),
            auth("hub")
        );
        for (host, repository, expected) in [
            ("r", "a/b", "own"),
            ("r", "a/c", "above"),
            ("r", "a/b/c", "own"),
            ("r", "ab", "all"),
            ("docker.io", "a/b", "hub"),
        ] {
            let found = in_config(&text, host, repository, Path::new("auth.json")).unwrap();
            let Some(Credentials::Password { user, .. }) = found else {
                panic!("{host}/{repository}");
            };
            assert_eq!(user, expected, "{host}/{repository}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_files_never_panic(text in ".*", key in ".*", auth in ".*") {
            let read = |text: &str| in_config(text, "r", "a", Path::new("config.json"));
            let _ = read(&text);
            for key in [key, "r".to_owned()] {
                let entries = serde_json::json!({"auths": {key: {"auth": auth}}});
                let _ = read(&entries.to_string());
            }
        }
    }
}
