use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::diagnostic::{Diagnostic, nearest};
use super::filter::{Filter, read_filter};
use super::loader::Loader;
use super::loader_syntax::read_loader;
use super::menu::{Menu, read_menu};
use super::network::{Network, check_reach, read_network};
use super::reader::{Reader, list};
use super::seconds;
use super::server::{Server, read_server};
use super::signature_policy::{SignaturePolicy, read_policy};
use super::tree::{MapKey, Node};
use super::vars::read_vars;
use crate::machine::Architecture;

/// The `Site` document: the server, its networks and its rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The site's name, which is also the name of its default store.
    pub name: String,
    /// How machines reach the server.
    pub server: Server,
    /// The networks that machines boot on.
    pub networks: Vec<Network>,
    /// The bundle store, relative to the inventory.
    pub bundles: Option<String>,
    /// The signatures that bundles must have.
    #[serde(default)]
    pub signatures: SignaturePolicy,
    /// The loader of each client architecture.
    pub loaders: BTreeMap<Architecture, Loader>,
    /// The boot menu of machines that boot their local disk.
    #[serde(default)]
    pub menu: Option<Menu>,
    /// The response to a machine that is not in the inventory.
    pub unknown: UnknownPolicy,
    /// The clients that DHCP ignores on every network.
    #[serde(default)]
    pub filter: Filter,
    /// The identity that a machine must prove before it gets a destructive script.
    pub identity: IdentityPolicy,
    /// Whether a boot request requires the token that DHCP handed out.
    pub boot_token: bool,
    /// The rules of arming.
    pub provisioning: Provisioning,
    /// Values for templates; those of a profile and a host take precedence.
    pub vars: BTreeMap<String, serde_json::Value>,
}

/// The response to a machine that is not in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPolicy {
    /// An address from the pool, and the quarantine screen.
    Quarantine,
    /// No DHCP reply. Over HTTP, the quarantine screen.
    Ignore,
}

/// The identity that a machine must prove before it gets a destructive script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityPolicy {
    /// Its boot MAC and its recorded UUID.
    Uuid,
    /// Its boot MAC alone, for machines without a usable UUID.
    Mac,
}

/// The rules of arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioning {
    /// How long an armed host is served its script, kernel and seeds. Callbacks are accepted a little
    /// longer.
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// The number of attempts of one arming, if `retry` is on.
    pub attempts: u32,
    /// Whether a second attempt is allowed without arming the host again.
    pub retry: bool,
}

/// The shortest deadline. Firmware alone needs about a minute before it requests a boot file, so no
/// install can begin within a shorter one.
pub const SHORTEST_DEADLINE: Duration = Duration::from_secs(60);

/// The longest deadline without a warning. A host that stays armed longer may be overwritten when
/// nobody expects it.
pub const USUAL_DEADLINE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(45 * 60),
            attempts: 1,
            retry: false,
        }
    }
}

impl Site {
    /// Finds a network by its name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Finds the network that contains an address.
    pub fn network_of(&self, address: Ipv4Addr) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.subnet.contains(address))
    }
}

pub(super) fn read(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Site> {
    let mut fields = reader.fields(node, "this Site")?;
    fields.node("kind");
    let name = fields.required(reader, "name", Reader::name);
    let server = fields.required(reader, "server", |reader, node| {
        read_server(reader, claims, node)
    });
    let networks = fields.required(reader, "networks", |reader, node| {
        reader.items(node, |reader, item| read_network(reader, claims, item))
    });
    let bundles = fields.optional(reader, "bundles", Reader::text);
    let signatures = fields.optional(reader, "signatures", read_policy);
    let loaders = fields.required(reader, "loaders", |reader, node| {
        reader.entries(node, |reader, key, node| {
            read_entry(reader, claims, key, node)
        })
    });
    let menu = fields.optional(reader, "menu", |reader, node| {
        read_menu(reader, claims, node)
    });
    let unknown = fields.optional(reader, "unknown", |reader, node| {
        reader.choice(
            node,
            &[
                ("quarantine", UnknownPolicy::Quarantine),
                ("ignore", UnknownPolicy::Ignore),
            ],
        )
    });
    let filter = fields.optional(reader, "filter", read_filter);
    let identity = fields.optional(reader, "identity", |reader, node| {
        let policy = reader.choice(
            node,
            &[("uuid", IdentityPolicy::Uuid), ("mac", IdentityPolicy::Mac)],
        )?;
        if policy == IdentityPolicy::Mac {
            let message =
                "with `identity: mac`, any machine that copies a boot MAC can be overwritten";
            let help = "record each host's `uuid` and remove this line";
            reader.report(Diagnostic::warning("weak-identity", node.span, message).help(help));
        }
        Some(policy)
    });
    let boot_token = fields.optional(reader, "boot_token", |reader, node| {
        let on = reader.choice(node, &[("on", true), ("off", false), ("true", true), ("false", false)])?;
        if !on {
            let message = "with `boot_token: off`, any machine that reaches the server can request the script of another";
            let help = "remove this line if pxectl answers DHCP";
            reader.report(Diagnostic::warning("weak-identity", node.span, message).help(help));
        }
        Some(on)
    });
    let provisioning = fields.optional(reader, "provisioning", read_provisioning);
    let vars = fields.optional(reader, "vars", read_vars);
    fields.finish(reader);
    let (server, networks) = (server?, networks?);
    for (network, span) in &networks {
        check_reach(reader, &server, network, *span);
    }
    Some(Site {
        name: name?.value,
        server,
        networks: networks.into_iter().map(|(network, _)| network).collect(),
        bundles,
        signatures: signatures.unwrap_or_default(),
        loaders: loaders?.into_iter().collect(),
        menu,
        unknown: unknown.unwrap_or(UnknownPolicy::Quarantine),
        filter: filter.unwrap_or_default(),
        identity: identity.unwrap_or(IdentityPolicy::Uuid),
        boot_token: boot_token.unwrap_or(true),
        provisioning: provisioning.unwrap_or_default(),
        vars: vars.unwrap_or_default(),
    })
}

fn read_entry(
    reader: &mut Reader,
    claims: &mut Claims,
    key: &MapKey,
    node: &Node,
) -> Option<(Architecture, Loader)> {
    let loader = read_loader(reader, claims, node);
    let Ok(architecture) = key.text.parse::<Architecture>() else {
        let names: Vec<&str> = Architecture::all().map(Architecture::name).collect();
        let help = match nearest(&key.text, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known architectures are {}", list(&names)),
        };
        return reader.refuse(
            "wrong-value",
            key.span,
            format!("unknown client architecture `{}`", key.text),
            &help,
        );
    };
    claims.loader_for(architecture);
    let (loader, spans) = loader?;
    if architecture.is_http() && loader.kind.needs_http_volume() && loader.second.is_none() {
        let message = format!("`{}` finds no configuration over HTTP", loader.first);
        let help = "use shim as `first` and GRUB as `second`: pxectl then serves both with their configuration in one boot volume";
        return reader.refuse("wrong-value", node.span, message, help);
    }
    claims.spans.site.insert(architecture, spans);
    Some((architecture, loader))
}

fn read_provisioning(reader: &mut Reader, node: &Node) -> Option<Provisioning> {
    let mut fields = reader.fields(node, "`provisioning`")?;
    let default = Provisioning::default();
    let deadline = fields.optional(reader, "deadline", |reader, node| {
        let deadline = reader.duration(node)?;
        if deadline < SHORTEST_DEADLINE {
            let message = format!("a deadline of {deadline:?} is shorter than a minute");
            let help = "write the time that an install takes, such as `45m`; at least `1m`";
            return reader.refuse("wrong-value", node.span, message, help);
        }
        if deadline > USUAL_DEADLINE {
            let message = "a host that stays armed for more than 7 days may be overwritten when nobody \
                           expects it";
            let help = "write the time that an install takes, such as `45m`; `pxectl host provision` \
                        arms a host again";
            reader.report(Diagnostic::warning("long-deadline", node.span, message).help(help));
        }
        Some(deadline)
    });
    let attempts = fields.optional(reader, "attempts", |reader, node| {
        reader.number(node, 1..=100)
    });
    let retry = fields.optional(reader, "retry", Reader::boolean);
    fields.optional(reader, "arm", |reader, node| {
        reader.choice(node, &[("manual", ())])
    });
    fields.finish(reader);
    Some(Provisioning {
        deadline: deadline.unwrap_or(default.deadline),
        attempts: attempts.map_or(default.attempts, |attempts| attempts as u32),
        retry: retry.unwrap_or(default.retry),
    })
}
