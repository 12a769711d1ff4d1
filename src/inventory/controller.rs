use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::diagnostic::PLAIN_SECRET;
use super::reader::{Reader, Spanned};
use super::secret::{SecretReference, read_secret};
use super::tree::Node;
use crate::machine::Sha256Digest;

/// A management controller (BMC), and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmc {
    /// Where it answers.
    pub url: BmcUrl,
    /// The account.
    pub username: String,
    /// Where the password is found; it never stands in the inventory.
    pub password: SecretReference,
    /// Which certificate of it is good.
    pub certificate: Certificate,
    /// Whether its TLS is older than what is safe without a pin: X.509 version 1, RSA of 1024 bits.
    pub legacy_tls: bool,
    /// The id of this host's system, where it manages several.
    pub system: Option<String>,
}

/// Which certificate of a controller is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// One that the system's authorities vouch for, else the one that was seen first.
    FirstUse,
    /// The one with this SHA-256 digest of its DER form.
    Pinned(Sha256Digest),
    /// One that an authority in this file of PEM vouches for; relative to the inventory.
    Authority(String),
}

/// The address of a controller, such as `https://10.21.0.58`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BmcUrl {
    /// What it speaks.
    pub scheme: BmcScheme,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// The port, where it is not the usual one.
    pub port: Option<u16>,
}

/// What a controller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BmcScheme {
    /// Redfish over TLS.
    Https,
    /// Redfish, with the password in clear.
    Http,
    /// IPMI over the LAN (RMCP+).
    Ipmi,
}

/// The one table of schemes, in the order of the enum: name, usual port.
const SCHEMES: [(BmcScheme, &str, u16); 3] = [
    (BmcScheme::Https, "https", 443),
    (BmcScheme::Http, "http", 80),
    (BmcScheme::Ipmi, "ipmi", 623),
];

impl BmcUrl {
    /// Returns the port, the usual one where none is given.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(SCHEMES[self.scheme as usize].2)
    }
}

impl fmt::Display for BmcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = SCHEMES[self.scheme as usize].1;
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]", self.host)?,
            false => write!(f, "{scheme}://{}", self.host)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The text is no address of a controller. It is not shown: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBmcUrlError {
    /// Another scheme, or none.
    #[error("the address of a BMC starts with `https://`, `http://` or `ipmi://`")]
    Scheme,
    /// It names a user.
    #[error("the address of a BMC holds no user and no password")]
    Credentials,
    /// There is more after the host.
    #[error("the address of a BMC has no path: it is discovered")]
    Path,
    /// The host or the port is none.
    #[error("the address of a BMC ends in a name or an address, and perhaps a port")]
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
                "name them with `bmc.username` and `bmc.password`",
            );
        }
        let value: BmcUrl =
            reader.parsed(node, "it as `https://10.21.0.58` or `ipmi://10.21.0.58`")?;
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
                "write it as `pxectl bmc pin` prints it: `sha256:` and 64 hexadecimal digits",
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
        let message = "there is no certificate where `bmc.url` is not `https://`";
        reader.refuse::<()>(
            "wrong-value",
            span,
            message,
            "leave this line out, or correct `url`",
        );
    }
    if let Some(Spanned { value, span }) = &url
        && value.scheme == BmcScheme::Http
        && plain != Some(true)
    {
        let message = format!("`{value}` sends the password in clear");
        let help = "write `https://…`, or add `plain_http: true` where the network is trusted";
        reader.refuse::<()>("wrong-value", *span, message, help);
    }
    if let (Some(_), Some(Spanned { span, .. })) = (&pin, &authority) {
        let message = "a certificate is either pinned or vouched for by `ca`";
        reader.refuse::<()>("wrong-value", *span, message, "keep one of `pin` and `ca`");
    }
    if let Some(Spanned { value: true, span }) = tls
        && !has_pin
    {
        let message = "`tls: legacy` needs a `pin`: such a certificate proves nothing by itself";
        let help =
            "`pxectl bmc pin HOST` prints the fingerprint; compare it with the BMC's own page";
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

/// Reads a fingerprint as we print it, or as `openssl x509 -fingerprint -sha256` does.
pub fn parse_fingerprint(text: &str) -> Option<Sha256Digest> {
    let digits: String = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .split(':')
        .collect();
    let octets = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    Some(Sha256Digest::new(octets.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    fn read(text: &str) -> (Option<Bmc>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let bmc = read_bmc(&mut reader, &node);
        let said = reader.diagnostics.into_iter().map(|it| it.message);
        (bmc, said.collect())
    }

    #[test]
    fn addresses_are_read_and_written() {
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
            ("url: http://a", Some("sends the password in clear")),
            ("url: ipmi://a\npin: sha256:PIN", Some("no certificate")),
            (
                "url: https://a\npin: sha1:1",
                Some("not the SHA-256 fingerprint"),
            ),
            ("url: https://a\ntls: legacy", Some("needs a `pin`")),
            (
                "url: https://a\nca: c\npin: sha256:PIN",
                Some("either pinned"),
            ),
            ("url: https://u:p@a", Some("no user and no password")),
        ] {
            let (_, said) = read(&format!("{start}{}\n", text.replace("PIN", &pin)));
            match fault {
                None => assert_eq!(said, [""; 0], "{text}"),
                Some(fault) => {
                    assert!(
                        said.len() == 1 && said[0].contains(fault),
                        "{text}: {said:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let digits = "AB".repeat(32);
        let pairs = ["AB"; 32].join(":");
        let pin = parse_fingerprint(&pairs);
        assert!(pin.is_some());
        assert_eq!(parse_fingerprint(&format!("sha256:{digits}")), pin);
        assert_eq!(parse_fingerprint("AB:CD"), None);
    }
}
