use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::block::{AddressBlock, Trust, read_blocks};
use super::claims::{Claims, SERVER, UniqueValue};
use super::diagnostic::Diagnostic;
use super::ports::PortRange;
use super::reader::Reader;
use super::tree::Node;

/// The default port of `serve http`.
const DEFAULT_HTTP_PORT: u64 = 8080;
/// The port of a proxyDHCP server. Source: PXE 2.1 §2.2.
const PROXY_DHCP_PORT: u64 = 4011;

/// How machines reach the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The address that DHCP hands out as the next server.
    pub address: Ipv4Addr,
    /// The port of `serve http`.
    pub http_port: u16,
    /// The root of every URL for machines, without a slash at the end.
    pub base_url: String,
    /// Directories and files that are served read-only.
    pub files: Vec<String>,
    /// Whether `serve tftp` sends only from its request port.
    #[serde(default)]
    pub tftp_single_port: bool,
    /// Addresses outside the site's networks that are also served.
    #[serde(default)]
    pub allow: Vec<AddressBlock>,
    /// Proxies whose `X-Forwarded-For` states the source address of a request.
    #[serde(default)]
    pub trusted_proxies: Vec<AddressBlock>,
    /// The ports from which `serve tftp` sends files. By default, the system chooses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tftp_ports: Option<PortRange>,
}

impl Server {
    /// Reports whether `base_url` consists of the address and the port.
    pub fn is_at_default_url(&self) -> bool {
        self.base_url == default_url(self.address, self.http_port)
    }
}

pub(super) fn read_server(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Server> {
    let mut fields = reader.fields(node, "`server`")?;
    let address = fields.required(reader, "address", |reader, node| {
        let address = reader.address(node)?;
        claims.unique(UniqueValue::Ip, address.to_string(), node.span, SERVER);
        Some(address)
    });
    let http_port = fields.optional(reader, "http_port", |reader, node| {
        reader.number(node, 1..=65535)
    });
    let base_url = fields.optional(reader, "base_url", |reader, node| {
        let text = reader.text(node)?;
        let good = ["http://", "https://"].iter().any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        if good && !text.contains(|c: char| !c.is_ascii_alphanumeric() && !":/.-_~[]%".contains(c))
        {
            return Some(text.trim_end_matches('/').to_owned());
        }
        reader.refuse(
            "wrong-value",
            node.span,
            format!("`{text}` is not a base URL"),
            "write a URL such as `http://10.20.0.10:8080`",
        )
    });
    let files = fields.optional(reader, "files", |reader, node| {
        reader.items(node, |reader, node| {
            let root = read_root(reader, node)?;
            claims.spans.roots.push(node.span);
            Some(root)
        })
    });
    let tftp_single_port = fields.optional(reader, "tftp_single_port", Reader::boolean);
    let allow = fields.optional(reader, "allow", |reader, node| {
        read_blocks(reader, node, Trust::Client)
    });
    let trusted_proxies = fields.optional(reader, "trusted_proxies", |reader, node| {
        read_blocks(reader, node, Trust::Proxy)
    });
    let tftp_ports = fields.optional(reader, "tftp_ports", |reader, node| {
        let ports = read_tftp_ports(reader, node, http_port.unwrap_or(DEFAULT_HTTP_PORT))?;
        if tftp_single_port == Some(true) {
            let message = "`tftp_ports` has no effect: `tftp_single_port` keeps TFTP to one port";
            let help = "remove one of the two; `tftp_ports` is safer";
            reader.report(Diagnostic::warning("unused-key", node.span, message).help(help));
        }
        Some(ports)
    });
    fields.finish(reader);
    let (address, http_port) = (address?, http_port.unwrap_or(DEFAULT_HTTP_PORT) as u16);
    let base_url = base_url.unwrap_or_else(|| default_url(address, http_port));
    Some(Server {
        address,
        http_port,
        base_url,
        files: files.unwrap_or_default(),
        tftp_single_port: tftp_single_port.unwrap_or(false),
        allow: allow.unwrap_or_default(),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        tftp_ports,
    })
}

/// Reads the ports of TFTP transfers. They must not contain the port of another service.
fn read_tftp_ports(reader: &mut Reader, node: &Node, http_port: u64) -> Option<PortRange> {
    let expected = format!(
        "a range such as `50000-50999`, with at least {} ports, from {} up",
        PortRange::FEWEST,
        PortRange::LOWEST
    );
    let ports = reader.parsed::<PortRange>(node, &expected)?;
    let others = [
        (http_port, "the port of `serve http`"),
        (PROXY_DHCP_PORT, "the port of proxyDHCP"),
    ];
    let taken = others
        .into_iter()
        .find(|(port, _)| u16::try_from(*port).is_ok_and(|port| ports.contains(port)));
    let Some((port, what)) = taken else {
        return Some(ports);
    };
    reader.refuse(
        "wrong-value",
        node.span,
        format!("`{ports}` contains {port}, {what}"),
        "use ports of no other service, such as `50000-50999`",
    )
}

fn default_url(address: Ipv4Addr, http_port: u16) -> String {
    match http_port {
        80 => format!("http://{address}"),
        port => format!("http://{address}:{port}"),
    }
}

/// Reads a directory or a file that is served to the network.
fn read_root(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    let parts = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    if parts.clone().next().is_some() && !parts.clone().any(|part| part == "..") {
        return Some(text);
    }
    let message = format!("`{text}` would serve more than boot files to the network");
    let help = "write the directory of the boot files, such as `/usr/lib/ipxe` or `boot`";
    reader.refuse("wrong-value", node.span, message, help)
}
