/// Reports whether a text is an absolute URL: a scheme, a colon and a slash.
///
/// A drive letter (`C:\boot`) is not a scheme. Source: iPXE, `src/core/uri.c`, `pxe_uri`.
pub(super) fn is_absolute(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(scheme, rest)| is_scheme(scheme) && rest.starts_with('/'))
}

/// Resolves a reference like iPXE, against the URL of the script that contains it.
///
/// The base loses its query; `./` and `../` are resolved only at the start of the reference.
/// Source: iPXE, `src/core/uri.c`, `resolve_uri`, `resolve_path`.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let opaque = reference.split_once(':');
    if opaque.is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return reference.to_owned();
    }
    let base = base.split(['?', '#']).next().unwrap_or(base);
    let (origin, path) = split_origin(base);
    if reference.is_empty() || reference.starts_with(['?', '#']) {
        return format!("{base}{reference}");
    }
    if reference.starts_with('/') {
        return format!("{origin}{reference}");
    }
    let mut directory = parent(path);
    let mut rest = reference;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            directory = parent(directory);
        } else {
            break;
        }
    }
    let slash = if directory.ends_with('/') { "" } else { "/" };
    format!("{origin}{directory}{slash}{rest}")
}

/// Returns the last part of a URL's path, which iPXE uses as the name of an image.
pub(super) fn file_name(url: &str) -> &str {
    let (_, path) = split_origin(url.split(['?', '#']).next().unwrap_or(url));
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the path of an absolute URL, with its slash.
pub(super) fn path(url: &str) -> Option<&str> {
    let (origin, path) = split_origin(url.split(['?', '#']).next().unwrap_or(url));
    (is_absolute(url) && !origin.is_empty()).then_some(path)
}

fn is_scheme(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    !text.is_empty() && text.chars().all(is_letter)
}

/// Splits a URL before its path.
fn split_origin(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..]
        .find('/')
        .map_or(url.len(), |at| authority + at);
    if authority == 0 {
        ("", url)
    } else {
        url.split_at(path)
    }
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_against_the_directory_of_the_script() {
        let base = "http://10.20.0.10:8080/m/52-54/boot.ipxe?token=a/b";
        for (reference, expected) in [
            ("vmlinuz", "http://10.20.0.10:8080/m/52-54/vmlinuz"),
            ("./vmlinuz", "http://10.20.0.10:8080/m/52-54/vmlinuz"),
            ("../b/vmlinuz", "http://10.20.0.10:8080/m/b/vmlinuz"),
            ("../../../../x", "http://10.20.0.10:8080/x"),
            ("/files/x?y=1", "http://10.20.0.10:8080/files/x?y=1"),
            ("?mac=1", "http://10.20.0.10:8080/m/52-54/boot.ipxe?mac=1"),
            ("tftp://10.0.0.1/x", "tftp://10.0.0.1/x"),
            ("file:/x", "file:/x"),
            (".hidden", "http://10.20.0.10:8080/m/52-54/.hidden"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference}");
        }
        assert_eq!(resolve("http://host", "x"), "http://host/x");
        assert_eq!(resolve("http://host/", "x"), "http://host/x");
        assert_eq!(resolve("", "x"), "/x");
    }

    #[test]
    fn a_drive_letter_is_not_a_url() {
        assert!(is_absolute("http://host/x") && is_absolute("tftp://host/x"));
        for text in ["x", "/x", "C:\\boot\\x", "10.0.0.1:/x", ":/x", ""] {
            assert!(!is_absolute(text), "{text}");
        }
    }

    #[test]
    fn an_image_is_named_after_its_file() {
        for (url, expected) in [
            ("http://host/a/vmlinuz?x=/y", "vmlinuz"),
            ("tftp://host/vmlinuz", "vmlinuz"),
            ("http://host", ""),
        ] {
            assert_eq!(file_name(url), expected, "{url}");
        }
    }
}
