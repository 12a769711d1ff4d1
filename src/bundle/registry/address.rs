use std::fmt;
use std::str::FromStr;

/// The address of an artifact in a registry: `HOST[:PORT]/REPOSITORY[:TAG]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryAddress {
    /// The host, with its port unless that is the default one.
    pub host: String,
    /// The repository.
    pub repository: String,
    /// The tag, or the digest after `@`; `None` if the address has neither.
    pub reference: Option<String>,
}

/// The text is not a registry address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a registry address: write `HOST[:PORT]/REPOSITORY[:TAG]`")]
pub struct ParseRegistryAddressError {
    text: String,
}

impl RegistryAddress {
    /// Returns the host to connect to, with its port. Docker Hub's differs from the host in its
    /// addresses.
    pub fn endpoint(&self) -> &str {
        match self.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        }
    }
}

impl FromStr for RegistryAddress {
    type Err = ParseRegistryAddressError;

    /// Source: OCI distribution specification 1.1, "Pulling manifests".
    fn from_str(text: &str) -> Result<Self, ParseRegistryAddressError> {
        let invalid = || ParseRegistryAddressError {
            text: text.chars().take(200).collect(),
        };
        let (host, path) = text.split_once('/').ok_or_else(invalid)?;
        let (repository, reference) = match path.split_once('@') {
            Some((repository, digest)) => {
                let hex = digest.strip_prefix("sha256:").unwrap_or_default();
                if hex.len() != 64 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
                    return Err(invalid());
                }
                (repository, Some(digest))
            }
            None => match path.rsplit_once(':') {
                Some((repository, tag)) => (repository, Some(tag).filter(|tag| is_tag(tag))),
                None => (path, None),
            },
        };
        let tagged = path.contains([':', '@']);
        let host_is_valid = !host.is_empty()
            && (host.chars()).all(|c| c.is_ascii_alphanumeric() || ".-:[]_".contains(c));
        let parts_are_valid = repository.split('/').all(is_repository_part);
        if !host_is_valid || !parts_are_valid || tagged != reference.is_some() {
            return Err(invalid());
        }
        Ok(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            reference: reference.map(str::to_owned),
        })
    }
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        match &self.reference {
            Some(digest) if digest.contains(':') => write!(f, "@{digest}"),
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

fn is_tag(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    starts_well && text.len() <= 128 && text.chars().all(is_allowed)
}

fn is_repository_part(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_as_registries_write_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, host, repository, reference) in [
            ("127.0.0.1:5000/b", "127.0.0.1:5000", "b", None),
            (
                "reg.example/rack/b-1:v1.2",
                "reg.example",
                "rack/b-1",
                Some("v1.2"),
            ),
            ("[::1]:5000/a/b", "[::1]:5000", "a/b", None),
            (&format!("r/b@{digest}"), "r", "b", Some(digest.as_str())),
        ] {
            let address: RegistryAddress = text.parse().unwrap();
            let parts = (address.host.as_str(), address.repository.as_str());
            assert_eq!(parts, (host, repository), "{text}");
            assert_eq!(address.reference.as_deref(), reference, "{text}");
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "b",
            "/b",
            "r/",
            "r/B",
            "r/a//b",
            "r/../b",
            "r/b:",
            "r/b:a b",
            "r/b@sha256:12",
            "u@r/b",
            "r/b?x",
            "r/-b",
            "r/b:a:b",
        ] {
            assert!(text.parse::<RegistryAddress>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_addresses_never_panic_and_valid_ones_round_trip(
            text in ".*",
            plausible in "[a-z0-9.:]{1,9}/[a-z0-9/._-]{1,9}(:[a-z0-9._]{1,9})?",
        ) {
            for text in [text, plausible] {
                if let Ok(address) = text.parse::<RegistryAddress>() {
                    proptest::prop_assert_eq!(address.to_string().parse(), Ok(address));
                }
            }
        }
    }
}
