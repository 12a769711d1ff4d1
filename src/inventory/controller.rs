use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::diagnostic::PLAIN_SECRET;
use super::reader::{Reader, Spanned};
use super::secret::{SecretReference, read_secret};
use super::tree::Node;
use crate::machine::Sha256Digest;

/// A BMC and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmc {
    /// Its URL.
    pub url: BmcUrl,
    /// The account.
    pub username: String,
    /// The source of the password, which is never in the inventory itself.
    pub password: SecretReference,
    /// The certificate that is accepted.
    pub certificate: Certificate,
    /// Whether it needs TLS that is only safe with a pin: X.509 version 1, 1024-bit RSA.
    pub legacy_tls: bool,
    /// The Redfish id of the host's system, if the BMC manages several.
    pub system: Option<String>,
}

/// The certificate of a BMC that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// A certificate of a system authority, else the first certificate that the BMC presented.
    FirstUse,
    /// The certificate whose DER form has this SHA-256 digest.
    Pinned(Sha256Digest),
    /// A certificate of an authority in this PEM file; relative to the inventory.
    Authority(String),
}

/// The URL of a BMC, such as `https://10.21.0.58`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BmcUrl {
    /// The protocol.
    pub scheme: BmcScheme,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// The port, if it is not the default.
    pub port: Option<u16>,
}

/// The protocol of a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BmcScheme {
    /// Redfish over TLS.
    Https,
    /// Redfish without TLS: the password is sent in cleartext.
    Http,
    /// IPMI over the LAN (RMCP+).
    Ipmi,
}

/// The table of schemes, in the order of the enum: name, default port.
const SCHEMES: [(BmcScheme, &str, u16); 3] = [
    (BmcScheme::Https, "https", 443),
    (BmcScheme::Http, "http", 80),
    (BmcScheme::Ipmi, "ipmi", 623),
];

impl BmcUrl {
    /// Returns the port, or the default port of the scheme.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(SCHEMES[self.scheme as usize].2)
    }
}

impl fmt::Display for BmcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = SCHEMES[self.scheme as usize].1;
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]", self.host)?;
        } else {
            write!(f, "{scheme}://{}", self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The error of a text that is not the URL of a BMC. It does not show the text, which may contain a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBmcUrlError {
    /// The scheme is missing or unknown.
    #[error("the URL of a BMC must start with `https://`, `http://` or `ipmi://`")]
    Scheme,
    /// It contains a user.
    #[error("the URL of a BMC must not contain a user or a password")]
    Credentials,
    /// It has a path.
    #[error("the URL of a BMC must not have a path: pxectl discovers the path")]
    Path,
    /// The host or the port is invalid.
    #[error("the URL of a BMC must end with a host and an optional port")]
    Host,
}

impl FromStr for BmcUrl {
    type Err = ParseBmcUrlError;

    fn from_str(text: &str) -> Result<Self, ParseBmcUrlError> {
        if text.contains('@') {
            return Err(ParseBmcUrlError::Credentials);
        }
        let (scheme, rest) = text.split_once("://").ok_or(ParseBmcUrlError::Scheme)?;
        let known = SCHEMES.iter().find(|row| row.1 == scheme);
        let scheme = known.ok_or(ParseBmcUrlError::Scheme)?.0;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ParseBmcUrlError::Path);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(ParseBmcUrlError::Host)?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| ParseBmcUrlError::Host)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(ParseBmcUrlError::Host)?),
                };
                (host, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let good = host.contains(':') || host.chars().all(named);
        if host.is_empty() || host.len() > 253 || !good || host.starts_with('-') {
            return Err(ParseBmcUrlError::Host);
        }
        let port = match port {
            None => None,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err(ParseBmcUrlError::Host),
            },
        };
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

pub(super) fn read_bmc(reader: &mut Reader, node: &Node) -> Option<Bmc> {
    let mut fields = reader.fields(node, "`bmc`")?;
    let url = fields.required(reader, "url", |reader, node| {
        let span = node.span;
        if reader.text(node)?.parse::<BmcUrl>() == Err(ParseBmcUrlError::Credentials) {
            return reader.refuse(
                PLAIN_SECRET,
                span,
                ParseBmcUrlError::Credentials.to_string(),
                "use `bmc.username` and `bmc.password`",
            );
        }
        let value: BmcUrl = reader.parsed(
            node,
            "a URL such as `https://10.21.0.58` or `ipmi://10.21.0.58`",
        )?;
        Some(Spanned { value, span })
    });
    let username = fields.required(reader, "username", Reader::text);
    let password = fields.required(reader, "password", read_secret);
    let pin = fields.optional(reader, "pin", |reader, node| {
        let text = reader.text(node)?;
        let pin = parse_fingerprint(&text);
        match pin {
            Some(value) => Some(Spanned {
                value,
                span: node.span,
            }),
            None => reader.refuse(
                "wrong-value",
                node.span,
                format!("`{text}` is not the SHA-256 fingerprint of a certificate"),
                "write `sha256:` and 64 hexadecimal digits, as `pxectl bmc pin HOST` prints them",
            ),
        }
    });
    let authority = fields.optional(reader, "ca", Reader::spanned_text);
    let tls = fields.optional(reader, "tls", |reader, node| {
        let value = reader.choice(node, &[("modern", false), ("legacy", true)])?;
        Some(Spanned {
            value,
            span: node.span,
        })
    });
    let system = fields.optional(reader, "system", Reader::text);
    let plain = fields.optional(reader, "plain_http", Reader::boolean);
    let has_pin = fields.has("pin");
    fields.finish(reader);
    let secure = url.as_ref().map(|url| url.value.scheme == BmcScheme::Https);
    for span in [
        pin.as_ref().map(|it| it.span),
        authority.as_ref().map(|it| it.span),
        tls.as_ref().map(|it| it.span),
    ]
    .into_iter()
    .flatten()
    .filter(|_| secure == Some(false))
    {
        let message = "only an `https://` BMC has a certificate";
        reader.refuse::<()>(
            "wrong-value",
            span,
            message,
            "remove this line, or change `url`",
        );
    }
    if let Some(Spanned { value, span }) = &url
        && value.scheme == BmcScheme::Http
        && plain != Some(true)
    {
        let message = format!("`{value}` sends the password in cleartext");
        let help = "write `https://…`, or add `plain_http: true` if the network is trusted";
        reader.refuse::<()>("wrong-value", *span, message, help);
    }
    if let (Some(_), Some(Spanned { span, .. })) = (&pin, &authority) {
        let message = "`pin` and `ca` exclude each other";
        reader.refuse::<()>("wrong-value", *span, message, "keep either `pin` or `ca`");
    }
    if let Some(Spanned { value: true, span }) = tls
        && !has_pin
    {
        let message =
            "`tls: legacy` requires a `pin`, because such a certificate proves nothing by itself";
        let help = "add the fingerprint that `pxectl bmc pin HOST` prints, after comparing it with the BMC's web page";
        reader.refuse::<()>("wrong-value", span, message, help);
    }
    Some(Bmc {
        url: url?.value,
        username: username?,
        password: password?,
        certificate: match (pin, authority) {
            (Some(pin), _) => Certificate::Pinned(pin.value),
            (None, Some(file)) => Certificate::Authority(file.value),
            (None, None) => Certificate::FirstUse,
        },
        legacy_tls: tls.is_some_and(|tls| tls.value),
        system,
    })
}

/// Parses a fingerprint as `pxectl bmc pin` or `openssl x509 -fingerprint -sha256` prints it.
pub fn parse_fingerprint(text: &str) -> Option<Sha256Digest> {
    let digits: String = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .split(':')
        .collect();
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    Some(Sha256Digest::new(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn the_table_lists_every_scheme_in_order() {
        for (index, (scheme, ..)) in SCHEMES.iter().enumerate() {
            assert_eq!(*scheme as usize, index);
        }
    }

    fn read(text: &str) -> (Option<Bmc>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let bmc = read_bmc(&mut reader, &node);
        let messages = reader.diagnostics.into_iter().map(|it| it.message);
        (bmc, messages.collect())
    }

    #[test]
    fn urls_are_parsed_and_written() {
        for (text, written) in [
            ("https://10.21.0.58", "https://10.21.0.58"),
            ("https://BMC-8.example:8443/", "https://bmc-8.example:8443"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("ipmi://10.21.0.58", "ipmi://10.21.0.58"),
        ] {
            let url: BmcUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), written);
            assert_eq!(written.parse(), Ok(url));
        }
        assert_eq!("ipmi://a".parse::<BmcUrl>().unwrap().port(), 623);
        for (text, error) in [
            ("10.21.0.58", ParseBmcUrlError::Scheme),
            ("redfish://10.21.0.58", ParseBmcUrlError::Scheme),
            ("https://a:b@10.21.0.58", ParseBmcUrlError::Credentials),
            ("a:b@10.21.0.58", ParseBmcUrlError::Credentials),
            ("https://a:b/c@10.21.0.58", ParseBmcUrlError::Credentials),
            ("https://a/redfish/v1/Systems/1", ParseBmcUrlError::Path),
            ("https://a?b", ParseBmcUrlError::Path),
            ("https://", ParseBmcUrlError::Host),
            ("https://a b", ParseBmcUrlError::Host),
            ("https://a:0", ParseBmcUrlError::Host),
            ("https://a:99999", ParseBmcUrlError::Host),
            ("https://[10.0.0.1]", ParseBmcUrlError::Host),
            ("https://-oProxy", ParseBmcUrlError::Host),
        ] {
            assert_eq!(text.parse::<BmcUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn each_key_is_checked_against_the_others() {
        let pin = "0123456789abcdef".repeat(4);
        let start = "username: a\npassword: {env: B}\n";
        for (text, fault) in [
            ("url: https://a", None),
            ("url: https://a\npin: sha256:PIN", None),
            ("url: https://a\nca: ca.pem", None),
            ("url: https://a\npin: sha256:PIN\ntls: legacy", None),
            ("url: http://a\nplain_http: true", None),
            ("url: http://a", Some("sends the password in cleartext")),
            ("url: ipmi://a\npin: sha256:PIN", Some("has a certificate")),
            (
                "url: https://a\npin: sha1:1",
                Some("not the SHA-256 fingerprint"),
            ),
            ("url: https://a\ntls: legacy", Some("requires a `pin`")),
            (
                "url: https://a\nca: c\npin: sha256:PIN",
                Some("exclude each other"),
            ),
            ("url: https://u:p@a", Some("must not contain a user")),
        ] {
            let (_, messages) = read(&format!("{start}{}\n", text.replace("PIN", &pin)));
            match fault {
                None => assert_eq!(messages, [""; 0], "{text}"),
                Some(fault) => {
                    assert!(
                        messages.len() == 1 && messages[0].contains(fault),
                        "{text}: {messages:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn fingerprints_are_parsed_as_openssl_prints_them() {
        let digits = "AB".repeat(32);
        let pairs = ["AB"; 32].join(":");
        let pin = parse_fingerprint(&pairs);
        assert!(pin.is_some());
        assert_eq!(parse_fingerprint(&format!("sha256:{digits}")), pin);
        assert_eq!(parse_fingerprint("AB:CD"), None);
    }
}
