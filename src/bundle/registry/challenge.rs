/// What a registry demands before it accepts a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token from another server.
    Bearer {
        /// The URL of the token server.
        realm: String,
        /// The registry's name on the token server.
        service: Option<String>,
    },
}

impl Challenge {
    /// Parses a `WWW-Authenticate` header; `None` for an unknown scheme.
    ///
    /// Source: RFC 9110 §11.6.1, RFC 6750 §3.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest.trim_start();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = next.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer {
            realm: realm?,
            service,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_parse_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.into(),
                service: service.map(str::to_owned),
            })
        };
        for (header, expected) in [
            ("Basic realm=\"a\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a/token\",service=\"reg\",scope=\"repository:a:pull,push\"",
                bearer("https://a/token", Some("reg")),
            ),
            (
                "Bearer service=reg, realm=https://a",
                bearer("https://a", Some("reg")),
            ),
            (
                "Bearer realm=\"https://a?b=c\"",
                bearer("https://a?b=c", None),
            ),
            ("Bearer service=\"reg\"", None),
            ("Bearer realm=\"open", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_challenges_never_panic(text in ".*", more in r#"[Bb]earer [a-z=", ]*"#) {
            let _ = Challenge::parse(&text);
            let _ = Challenge::parse(&more);
        }
    }
}
