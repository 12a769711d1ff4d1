//! Who we are to a registry: from the files that Docker and Podman keep.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use serde_json::Value;

/// Who somebody is to a registry. It does not show its secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that is exchanged for others.
    Identity(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Finds the credentials for a registry in the files of this user, the first that knows it.
    /// Reads `REGISTRY_AUTH_FILE`, else Podman's `auth.json` and Docker's `config.json`.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or a credential helper fails.
    pub fn find(host: &str) -> Result<Option<Self>, String> {
        for path in files() {
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("`{}`: {error}", path.display())),
            };
            if let Some(found) = in_config(&text, host, &path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns what stands after `Authorization: Basic`.
    pub fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => {
                Some(BASE64.encode(format!("{user}:{password}").as_bytes()))
            }
            Self::Identity(_) => None,
        }
    }
}

fn files() -> Vec<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let Some(path) = directory("REGISTRY_AUTH_FILE") {
        return vec![path];
    }
    let podman = directory("XDG_RUNTIME_DIR").map(|at| at.join("containers/auth.json"));
    let docker = directory("DOCKER_CONFIG").or_else(|| Some(directory("HOME")?.join(".docker")));
    let docker = docker.map(|at| at.join("config.json"));
    podman.into_iter().chain(docker).collect()
}

/// Looks into one file. A helper for this host goes before what stands in the file itself.
fn in_config(text: &str, host: &str, path: &Path) -> Result<Option<Credentials>, String> {
    let config: Value =
        serde_json::from_str(text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    if let Some(helper) = config["credHelpers"][host].as_str() {
        return from_helper(helper, host);
    }
    let auths = config["auths"].as_object();
    let entry = auths.and_then(|auths| {
        let of_host = |key: &str| {
            let key = key.split("://").last().unwrap_or_default();
            key.split('/').next() == Some(host)
        };
        auths.iter().find(|(key, _)| of_host(key))
    });
    if let Some((key, entry)) = entry {
        if let Some(token) = entry["identitytoken"].as_str().filter(|it| !it.is_empty()) {
            return Ok(Some(Credentials::Identity(token.to_owned())));
        }
        if let Some(auth) = entry["auth"].as_str().filter(|auth| !auth.is_empty()) {
            let decoded = BASE64.decode(auth.as_bytes()).ok();
            let decoded = decoded.and_then(|octets| String::from_utf8(octets).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            return match pair {
                Some((user, password)) => Ok(Some(Credentials::Password {
                    user: user.to_owned(),
                    password: password.to_owned(),
                })),
                None => Err(format!(
                    "`{}`: `auth` of `{key}` is not `USER:PASSWORD` in base64",
                    path.display()
                )),
            };
        }
    }
    match config["credsStore"].as_str() {
        Some(helper) if entry.is_some() => from_helper(helper, host),
        _ => Ok(None),
    }
}

/// Asks a program that keeps credentials.
fn from_helper(helper: &str, host: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        return Err(format!("`{program}` is not the name of a program"));
    }
    let failed = |why: &dyn std::fmt::Display| format!("`{program}`: {why}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(host.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        // What it says on standard output is the reason: that it has none, most often.
        return match String::from_utf8_lossy(&output.stdout) {
            text if text.contains("not found") => Ok(None),
            text => Err(failed(&text.trim().chars().take(200).collect::<String>())),
        };
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))?;
    let (user, secret) = (answer["Username"].as_str(), answer["Secret"].as_str());
    match (user, secret) {
        (Some("<token>"), Some(token)) => Ok(Some(Credentials::Identity(token.to_owned()))),
        (Some(user), Some(password)) => Ok(Some(Credentials::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })),
        _ => Err(failed(&"it answered without `Username` and `Secret`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_the_host_is_found_however_it_is_written() {
        let read = |text: &str| in_config(text, "reg.example:5000", Path::new("config.json"));
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
        assert_eq!(read(token), Ok(Some(Credentials::Identity("t".into()))));
        for text in ["{}", r#"{"auths": {"reg.example": {"auth": "YTo="}}}"#] {
            assert_eq!(read(text), Ok(None));
        }
        for text in [
            "{",
            r#"{"auths": {"reg.example:5000": {"auth": "YQ=="}}}"#,
            r#"{"credHelpers": {"reg.example:5000": "../../bin/sh"}}"#,
            r#"{"credHelpers": {"reg.example:5000": "that-is-not-there"}}"#,
        ] {
            let said = read(text).unwrap_err();
            assert!(!said.contains("YQ=="), "{said}");
        }
    }
}
