use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::block::{AddressBlock, Trust, read_blocks};
use super::claims::{Claims, SERVER, Unique};
use super::reader::Reader;
use super::tree::Node;

/// How machines reach us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The address that DHCP hands out as the next server.
    pub address: Ipv4Addr,
    /// The port of `serve http`.
    pub http_port: u16,
    /// The root of every URL that machines are given; no slash at its end.
    pub base_url: String,
    /// Directories that are served read-only.
    pub files: Vec<String>,
    /// Whether `serve tftp` sends from the port that it is asked on, and from no other.
    #[serde(default)]
    pub tftp_single_port: bool,
    /// Addresses outside the site's networks that are served too.
    #[serde(default)]
    pub allow: Vec<AddressBlock>,
    /// Proxies whose `X-Forwarded-For` states the source address of a request.
    #[serde(default)]
    pub trusted_proxies: Vec<AddressBlock>,
}

impl Server {
    /// Reports whether machines are given the URL of the address and the port themselves.
    pub fn is_at_default_url(&self) -> bool {
        self.base_url == default_url(self.address, self.http_port)
    }
}

pub(super) fn read_server(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Server> {
    let mut fields = reader.fields(node, "`server`")?;
    let address = fields.required(reader, "address", |reader, node| {
        let address = reader.address(node)?;
        claims.unique(Unique::Ip, address.to_string(), node.span, SERVER);
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
            "write one such as `http://10.20.0.10:8080`",
        )
    });
    let files = fields.optional(reader, "files", |reader, node| {
        reader.items(node, |reader, node| {
            let root = read_root(reader, node)?;
            claims.places.roots.push(node.span);
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
    fields.finish(reader);
    let (address, http_port) = (address?, http_port.unwrap_or(8080) as u16);
    let base_url = base_url.unwrap_or_else(|| default_url(address, http_port));
    Some(Server {
        address,
        http_port,
        base_url,
        files: files.unwrap_or_default(),
        tftp_single_port: tftp_single_port.unwrap_or(false),
        allow: allow.unwrap_or_default(),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
    })
}

fn default_url(address: Ipv4Addr, http_port: u16) -> String {
    match http_port {
        80 => format!("http://{address}"),
        port => format!("http://{address}:{port}"),
    }
}

/// Reads a directory that is served to everybody on the network.
fn read_root(reader: &mut Reader, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    let parts = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    if parts.clone().next().is_some() && !parts.clone().any(|part| part == "..") {
        return Some(text);
    }
    let message = format!("`{text}` would serve more than loaders to everybody on the network");
    let help = "name the directory that holds them, such as `/usr/lib/ipxe` or `boot`";
    reader.refuse("wrong-value", node.span, message, help)
}
