use crate::decide::CallbackKind;
use crate::machine::{Secret, Sha256Digest};

use super::query::BootQuery;
use crate::respond::boot::MachinePath;
use crate::wire::path::decoded;

/// The meaning of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The boot script; the query holds what the machine reports about itself.
    Boot(BootQuery),
    /// A file below `server.files`.
    File(String),
    /// A file of a bundle, by the digest of the bundle's manifest and the file's key.
    BundleFile {
        /// The digest of the manifest.
        manifest: Sha256Digest,
        /// The file's key.
        key: String,
    },
    /// A part of a session.
    Session {
        /// The capability that opens it.
        capability: Secret,
        /// Which part.
        path: SessionPath,
    },
    /// An item for one machine, which the path names.
    Machine(MachinePath),
    /// Whether the process is up.
    Health,
    /// Whether it can serve.
    Ready,
}

/// A part of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionPath {
    /// A file of its bundle, by its key.
    File(String),
    /// A seed, by the name that the installer requests.
    Seed(String),
    /// A callback, which is posted.
    Callback(CallbackKind),
}

/// Why a URL has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path cannot be read.
    #[error("the path is malformed")]
    Malformed,
    /// The path leaves the served files.
    #[error("the path contains `..`")]
    Traversal,
    /// The path has no meaning.
    #[error("path not found")]
    NotFound,
    /// The path exists, but not for this method.
    #[error("method not allowed for this path")]
    Method,
}

/// Reads a method and a request target, in origin or absolute form. Source: RFC 9112 §3.2.
///
/// # Errors
/// When the path is malformed, leads outside, or has no meaning.
pub fn route(method: &str, target: &str) -> Result<Route, RouteError> {
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // shim requests `//grubx64.efi`; a redirect would stop it, so empty parts are skipped.
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part = decoded(part).ok_or(RouteError::Malformed)?;
        match part.as_str() {
            "." => {}
            ".." => return Err(RouteError::Traversal),
            _ if part.contains(['/', '\\', '\0']) => return Err(RouteError::Malformed),
            _ => parts.push(part),
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let found = match parts.as_slice() {
        ["boot.ipxe"] => Route::Boot(BootQuery::parse(query)),
        ["files", rest @ ..] if !rest.is_empty() => Route::File(rest.join("/")),
        ["b", digest, key] => Route::BundleFile {
            manifest: digest.parse().map_err(|_| RouteError::NotFound)?,
            key: (*key).to_owned(),
        },
        ["s", capability, "files", key] => {
            session(capability, SessionPath::File((*key).to_owned()))
        }
        ["s", capability, name] => {
            // A seed is read, a callback posted; no name is both.
            let path = match CallbackKind::from_name(name) {
                Some(kind) => SessionPath::Callback(kind),
                None => SessionPath::Seed((*name).to_owned()),
            };
            session(capability, path)
        }
        ["m", ..] => Route::Machine(MachinePath::parse(&parts).ok_or(RouteError::NotFound)?),
        ["healthz"] => Route::Health,
        ["readyz"] => Route::Ready,
        _ => return Err(RouteError::NotFound),
    };
    let posted = matches!(
        &found,
        Route::Session {
            path: SessionPath::Callback(_),
            ..
        }
    );
    let fits = if posted {
        method == "POST"
    } else {
        matches!(method, "GET" | "HEAD")
    };
    if fits {
        Ok(found)
    } else {
        Err(RouteError::Method)
    }
}

fn session(capability: &str, path: SessionPath) -> Route {
    Route::Session {
        capability: capability.into(),
        path,
    }
}

/// Returns the media type of a file by its name; firmware compares it whole.
///
/// Source: UEFI 2.10 §24.7.2.
pub fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "efi" => "application/efi",
        "iso" => "application/vnd.efi-iso",
        "img" => "application/vnd.efi-img",
        "ipxe" | "cfg" | "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_documented_url_has_its_route() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let rows = [
            (
                "GET",
                "/files/snponly.efi",
                Ok(Route::File("snponly.efi".into())),
            ),
            (
                "HEAD",
                "//files//a%20b/./c.efi",
                Ok(Route::File("a b/c.efi".into())),
            ),
            ("GET", "http://10.0.0.1:8080/healthz", Ok(Route::Health)),
            ("GET", "http://10.0.0.1:8080", Err(RouteError::NotFound)),
            ("GET", "/readyz?x=1", Ok(Route::Ready)),
            (
                "GET",
                &format!("/b/{digest}/kernel"),
                Ok(Route::BundleFile {
                    manifest: digest.parse().unwrap(),
                    key: "kernel".into(),
                }),
            ),
            ("GET", "/b/abc/kernel", Err(RouteError::NotFound)),
            (
                "GET",
                "/s/CAP/user-data",
                Ok(session("CAP", SessionPath::Seed("user-data".into()))),
            ),
            (
                "GET",
                "/s/CAP/files/kernel",
                Ok(session("CAP", SessionPath::File("kernel".into()))),
            ),
            (
                "POST",
                "/s/CAP/installed",
                Ok(session(
                    "CAP",
                    SessionPath::Callback(CallbackKind::Installed),
                )),
            ),
            ("GET", "/s/CAP/installed", Err(RouteError::Method)),
            ("POST", "/s/CAP/user-data", Err(RouteError::Method)),
            ("POST", "/boot.ipxe", Err(RouteError::Method)),
            ("GET", "/files/../secret", Err(RouteError::Traversal)),
            ("GET", "/files/%2e%2e/secret", Err(RouteError::Traversal)),
            ("GET", "/files/a%2fb", Err(RouteError::Malformed)),
            ("GET", "/files/a%00b", Err(RouteError::Malformed)),
            ("GET", "/files/%zz", Err(RouteError::Malformed)),
            ("GET", "/files", Err(RouteError::NotFound)),
            ("GET", "/", Err(RouteError::NotFound)),
        ];
        for (method, target, expected) in rows {
            assert_eq!(route(method, target), expected, "{method} {target}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_targets_never_panic_nor_lead_outside(target in any::<String>()) {
            if let Ok(Route::File(name)) = route("GET", &target) {
                prop_assert!(name.split('/').all(|part| !part.is_empty() && part != ".."));
            }
        }

        #[test]
        fn escaped_targets_never_lead_outside(target in "/files/[a%2eEfF./\\\\0-9]{0,40}") {
            if let Ok(Route::File(name)) = route("GET", &target) {
                prop_assert!(name.split('/').all(|part| !part.is_empty() && part != ".." && !part.contains('\\')));
            }
        }
    }
}
