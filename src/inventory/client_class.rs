use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::dhcp_mode::DhcpMode;
use super::diagnostic::Diagnostic;
use super::options::{ExtraOptions, read_class_options};
use super::reader::{Reader, Spanned};
use super::subnet::{AddressRange, Subnet};
use super::tree::Node;

/// A class of clients on a network, such as switches, with its own rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientClass {
    /// Its name, for the log.
    pub name: String,
    /// The start of the vendor class (option 60) of its clients.
    pub vendor_class: Option<String>,
    /// The start of a user class (option 77) of its clients.
    pub user_class: Option<String>,
    /// Addresses for its clients without a reserved address, instead of the network's pool.
    pub pool: Option<AddressRange>,
    /// The boot file of its clients.
    pub boot_file: ClassBootFile,
    /// The boot server of its clients (`siaddr` and option 66), if it is not the site's server.
    pub server: Option<Ipv4Addr>,
    /// DHCP options for its clients; they take precedence over the network's.
    pub options: ExtraOptions,
}

/// The boot file of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassBootFile {
    /// The loader or script of the site, as for other clients.
    Usual,
    /// No boot file.
    Nothing,
    /// A file name or URL.
    File(String),
}

impl ClientClass {
    /// Reports whether a client belongs to the class: all patterns of the class match it.
    pub fn matches(&self, vendor_class: &str, user_classes: &[String]) -> bool {
        let has_vendor = |start: &String| vendor_class.starts_with(start);
        let has_user = |start: &String| user_classes.iter().any(|it| it.starts_with(start));
        self.vendor_class.as_ref().is_none_or(has_vendor)
            && self.user_class.as_ref().is_none_or(has_user)
    }
}

/// Reads `classes` of a network. `pool` is the network's own pool.
pub(super) fn read_classes(
    reader: &mut Reader,
    claims: &mut Claims,
    node: &Node,
    subnet: Option<Subnet>,
    mode: DhcpMode,
    pool: Option<&AddressRange>,
) -> Option<Vec<ClientClass>> {
    let mut names: Vec<Spanned<String>> = Vec::new();
    let mut pools: Vec<AddressRange> = pool.into_iter().cloned().collect();
    reader.items(node, |reader, item| {
        let mut fields = reader.fields(item, "this class")?;
        let name = fields.required(reader, "name", |reader, node| {
            let name = reader.name(node)?;
            if let Some(first) = names.iter().find(|it| it.value == name.value) {
                let message = format!("duplicate class `{}`", name.value);
                reader.report(
                    Diagnostic::error("duplicate-name", name.span, message)
                        .also(first.span, "first used here")
                        .help(
                            "rename one of the two: each class name must be unique in its network",
                        ),
                );
                return None;
            }
            names.push(name.clone());
            Some(name.value)
        });
        let patterns = fields.required(reader, "match", |reader, node| {
            let mut fields = reader.fields(node, "`match`")?;
            let vendor_class = fields.optional(reader, "vendor_class", read_pattern);
            let user_class = fields.optional(reader, "user_class", read_pattern);
            let is_empty = !fields.has("vendor_class") && !fields.has("user_class");
            fields.finish(reader);
            if is_empty {
                let message = "`match` has no pattern";
                let help = "add `vendor_class: …` or `user_class: …`";
                return reader.refuse("missing-key", node.span, message, help);
            }
            Some((vendor_class, user_class))
        });
        let pool = fields.optional(reader, "pool", |reader, node| {
            let pool = read_pool(reader, node, subnet, &pools)?;
            pools.push(pool.clone());
            if mode == DhcpMode::Authoritative {
                claims.pool(pool.clone(), node.span);
            }
            Some(pool)
        });
        let boot_file = fields.optional(reader, "boot_file", read_boot_file);
        let server = fields.optional(reader, "server", Reader::address);
        let options = fields.optional(reader, "options", read_class_options);
        fields.finish(reader);
        let (vendor_class, user_class) = patterns?;
        Some(ClientClass {
            name: name?,
            vendor_class,
            user_class,
            pool,
            boot_file: boot_file.unwrap_or(ClassBootFile::Usual),
            server,
            options: options.unwrap_or_default(),
        })
    })
}

fn read_pattern(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if !text.is_empty() {
        return Some(text);
    }
    let message = "an empty pattern matches every client";
    let help = "write the start of the class, such as `onie_vendor`";
    reader.refuse("wrong-value", node.span, message, help)
}

fn read_boot_file(reader: &mut Reader, node: &Node) -> Option<ClassBootFile> {
    let text = reader.text(node)?;
    match text.len() {
        _ if text == "none" => Some(ClassBootFile::Nothing),
        1..=255 => Some(ClassBootFile::File(text)),
        have => {
            let message = format!("the boot file has {have} bytes; an option has 1 to 255");
            let help = "write a file name, a URL, or `none`";
            reader.refuse("wrong-value", node.span, message, help)
        }
    }
}

/// Reads a pool inside the subnet, apart from the `others`.
fn read_pool(
    reader: &mut Reader,
    node: &Node,
    subnet: Option<Subnet>,
    others: &[AddressRange],
) -> Option<AddressRange> {
    let pool: AddressRange = reader.parsed(node, "a range such as `10.20.0.150-10.20.0.160`")?;
    if let Some(subnet) = subnet.filter(|it| !it.is_host(pool.first()) || !it.is_host(pool.last()))
    {
        let message = format!("the pool is not inside `{subnet}`");
        let help = "change the pool or `subnet`";
        return reader.refuse("outside-network", node.span, message, help);
    }
    let overlapping =
        |other: &&AddressRange| other.first() <= pool.last() && pool.first() <= other.last();
    if let Some(other) = others.iter().find(overlapping) {
        let message = format!(
            "the pool overlaps the pool `{}-{}` of this network",
            other.first(),
            other.last()
        );
        let help = "give each pool of the network its own addresses";
        return reader.refuse("overlap", node.span, message, help);
    }
    Some(pool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    fn read(text: &str) -> (Option<Vec<ClientClass>>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = tree::parse(0, text, &mut diagnostics).remove(0);
        let mut reader = Reader { diagnostics };
        let subnet = "10.20.0.0/24".parse().ok();
        let pool = "10.20.0.200-10.20.0.250".parse().ok();
        let mut claims = Claims::default();
        let mode = DhcpMode::Authoritative;
        let classes = read_classes(&mut reader, &mut claims, &node, subnet, mode, pool.as_ref());
        let found = reader.diagnostics.into_iter();
        let texts = found.map(|it| format!("{}; {}", it.message, it.help.unwrap_or_default()));
        (classes, texts.collect())
    }

    #[test]
    fn a_class_has_patterns_a_pool_a_boot_file_a_server_and_options() {
        let (classes, errors) = read(
            "[{name: onie, match: {vendor_class: onie_vendor, user_class: onie}, \
             pool: 10.20.0.150-10.20.0.160, boot_file: onie-installer, server: 10.20.0.11, \
             options: {43: 'hex:0102', 60: x, 66: tftp.example, 67: y, host-name: none}}, \
             {name: ztp, match: {user_class: ztp}, boot_file: none}, \
             {name: phones, match: {vendor_class: Cisco}}]",
        );
        assert!(errors.is_empty(), "{errors:?}");
        let [onie, ztp, phones] = &classes.unwrap()[..] else {
            panic!("three classes");
        };
        assert_eq!(onie.vendor_class.as_deref(), Some("onie_vendor"));
        assert_eq!(onie.pool, "10.20.0.150-10.20.0.160".parse().ok());
        let file = ClassBootFile::File("onie-installer".to_owned());
        assert_eq!(onie.boot_file, file);
        assert_eq!(onie.server, "10.20.0.11".parse().ok());
        let codes: Vec<u8> = onie.options.keys().copied().collect();
        assert_eq!(codes, [12, 43, 60, 66, 67]);
        assert_eq!(ztp.boot_file, ClassBootFile::Nothing);
        assert_eq!(phones.boot_file, ClassBootFile::Usual);
    }

    #[test]
    fn all_patterns_of_a_class_must_match_a_client() {
        let (classes, _) = read(
            "[{name: both, match: {vendor_class: onie_vendor, user_class: onie}}, \
             {name: vendor, match: {vendor_class: onie_vendor}}]",
        );
        let classes = classes.unwrap();
        for (vendor, user, expected) in [
            (
                "onie_vendor:x86_64-r0",
                "onie_dhcp_user_class",
                [true, true],
            ),
            ("onie_vendor:x86_64-r0", "other", [false, true]),
            ("an onie_vendor", "onie", [false, false]),
            ("", "", [false, false]),
        ] {
            let users = [user.to_owned()];
            let seen = [0, 1].map(|index| classes[index].matches(vendor, &users));
            assert_eq!(seen, expected, "{vendor} {user}");
        }
    }

    #[test]
    fn every_error_of_the_classes_is_reported() {
        let (_, errors) = read(
            "[{match: {vendor_class: a}}, {name: a, match: {vendor: a}}, {name: a}, \
             {name: b, match: {vendor_class: ''}, pool: 10.20.0.250-10.20.0.251}, \
             {name: c, match: {user_class: a}, pool: 10.21.0.1-10.21.0.2, boot_file: ''}, \
             {name: d, match: {user_class: a}, options: {53: x, 51: none, 43: none}, bootfile: x}]",
        );
        assert_eq!(
            errors,
            [
                "this class has no `name`; add `name: …`",
                "unknown key `vendor` in `match`; known keys are `vendor_class`, `user_class`",
                "`match` has no pattern; add `vendor_class: …` or `user_class: …`",
                "duplicate class `a`; rename one of the two: each class name must be unique in its \
                 network",
                "this class has no `match`; add `match: …`",
                "an empty pattern matches every client; write the start of the class, such as \
                 `onie_vendor`",
                "the pool overlaps the pool `10.20.0.200-10.20.0.250` of this network; give each pool \
                 of the network its own addresses",
                "the pool is not inside `10.20.0.0/24`; change the pool or `subnet`",
                "the boot file has 0 bytes; an option has 1 to 255; write a file name, a URL, or `none`",
                "option 53 is part of the DHCP protocol; remove this line",
                "option 51 is set by the lease; write `lease_time: …` in the network",
                "unknown key `bootfile` in this class; did you mean `boot_file`?",
            ]
        );
    }
}
