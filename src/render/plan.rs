use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::builtin;
use super::scan::partials;
use crate::installer::default_vars;
use crate::inventory::{
    Bundle, Host, IdentityPolicy, Inventory, Network, Profile, Provisioning, Server,
};
use crate::loader::Dialect;
use crate::machine::Sha256Digest;

/// Everything that an install is rendered from, frozen when the host is armed.
///
/// A later change of the inventory does not affect an open session: the reviewed state is installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The site's name.
    pub site: String,
    /// How the machine reaches the server.
    pub server: Server,
    /// The networks of the host's interfaces, by name.
    pub networks: BTreeMap<String, Network>,
    /// The host.
    pub host: Host,
    /// Its profile.
    pub profile: Profile,
    /// Its bundle, with the digest of every file.
    pub bundle: Bundle,
    /// The digest of the bundle's manifest.
    pub manifest: Sha256Digest,
    /// Values for templates: the built-in ones, overridden by the site, the profile and the host, in this
    /// order.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// The identity that the machine must prove.
    pub identity: IdentityPolicy,
    /// Whether its boot requests require a token.
    pub boot_token: bool,
    /// Its deadline and attempts.
    pub provisioning: Provisioning,
    /// The templates of its scripts and seeds, by template name.
    pub templates: BTreeMap<String, String>,
}

/// Why there is no plan for a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name does not exist. [`crate::inventory::parse`] returns no such inventory.
    #[error("host `{host}` refers to unknown {what} `{name}`")]
    Dangling {
        /// The host.
        host: String,
        /// The kind of object.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

/// Collects the templates of a profile, and those that they include.
fn templates(inventory: &Inventory, profile: &Profile) -> BTreeMap<String, String> {
    let seeds = profile.installer.seeds().iter();
    let names: Vec<String> = Dialect::all()
        .map(|dialect| dialect.install_template().to_owned())
        .chain(seeds.map(|seed| profile.installer.seed_template(seed)))
        .chain(profile.seeds.values().cloned())
        .collect();
    let text = |name: &str| -> Option<&str> {
        inventory
            .templates
            .get(name)
            .map(String::as_str)
            .or_else(|| builtin::text(name))
    };
    let mut found = BTreeMap::new();
    let mut pending = names;
    while let Some(name) = pending.pop() {
        if found.contains_key(&name) {
            continue;
        }
        if let Some(text) = text(&name) {
            pending.extend(partials(text).into_iter().map(str::to_owned));
            found.insert(name, text.to_owned());
        }
    }
    found
}

impl Plan {
    /// Collects everything that an install of `host` needs.
    ///
    /// # Errors
    /// [`PlanError::Dangling`] if a name does not exist.
    pub fn new(inventory: &Inventory, host: &Host) -> Result<Self, PlanError> {
        let dangling = |what, name: &str| PlanError::Dangling {
            host: host.name.clone(),
            what,
            name: name.to_owned(),
        };
        let profile = inventory
            .profile_of(host)
            .ok_or_else(|| dangling("profile", &host.profile))?;
        let bundle = inventory
            .bundle_of(profile)
            .ok_or_else(|| dangling("bundle", &profile.bundle))?;
        let mut networks = BTreeMap::new();
        for nic in &host.nics {
            let network = inventory
                .site
                .network(&nic.network)
                .ok_or_else(|| dangling("network", &nic.network))?;
            networks.insert(network.name.clone(), network.clone());
        }
        let mut vars: BTreeMap<String, serde_json::Value> = default_vars()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for more in [&inventory.site.vars, &profile.vars, &host.vars] {
            vars.extend(
                more.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        Ok(Self {
            site: inventory.site.name.clone(),
            identity: inventory.site.identity,
            boot_token: inventory.site.boot_token,
            provisioning: inventory.site.provisioning,
            server: inventory.site.server.clone(),
            networks,
            host: host.clone(),
            profile: profile.clone(),
            bundle: bundle.clone(),
            manifest: inventory.manifest_digest(bundle),
            vars,
            templates: templates(inventory, profile),
        })
    }

    /// Returns the network that the host installs over.
    pub fn boot_network(&self) -> Option<&Network> {
        let nic = self.host.boot_nic()?;
        self.networks.get(&nic.network)
    }

    /// Returns the name of the template of one seed: the profile's, or the built-in one's.
    pub fn seed_template(&self, seed: &str) -> String {
        let own = self.profile.seeds.get(seed).cloned();
        own.unwrap_or_else(|| self.profile.installer.seed_template(seed))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inventory::{SourceFile, parse};

    #[test]
    fn a_plan_freezes_included_templates_in_every_syntax() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        let documents: Vec<SourceFile> = ["site", "profiles", "hosts", "bundles"]
            .iter()
            .map(|name| SourceFile {
                name: format!("{name}.yaml"),
                text: std::fs::read_to_string(fixture.join(format!("{name}.yaml"))).unwrap(),
            })
            .collect();
        let includes = [
            "{{> part.hbs}}",
            "{{>part.hbs}}",
            "{{ > part.hbs }}",
            "{{~ > part.hbs ~}}",
            "{{#> part.hbs}}{{/part.hbs}}",
            "{{~#> part.hbs}}{{/part.hbs}}",
            "{{# > part.hbs}}{{/part.hbs}}",
        ];
        for include in includes {
            let templates = [
                ("install.ipxe.hbs", include),
                ("part.hbs", "{{> inner.hbs}}"),
                ("inner.hbs", "inner"),
                ("apart.hbs", "apart"),
            ];
            let templates = templates.map(|(name, text)| (name.to_owned(), text.to_owned()));
            let inventory = parse(&documents, templates.into()).inventory.unwrap();
            let plan = Plan::new(&inventory, &inventory.hosts["worker-01"]).unwrap();
            assert!(plan.templates.contains_key("inner.hbs"), "{include}");
            assert!(!plan.templates.contains_key("apart.hbs"), "{include}");
        }
    }
}
