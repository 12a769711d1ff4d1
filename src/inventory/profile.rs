use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::argument::read_argument;
use super::claims::{Claims, ReferenceKind, UniqueValue};
use super::loader::Loader;
use super::loader_syntax::read_loader;
use super::options::{ExtraOptions, read_options};
use super::reader::{Reader, list};
use super::tree::Node;
use super::vars::read_vars;
use crate::installer::Installer;

/// The `Profile` document: what is installed on a group of hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The profile's name.
    pub name: String,
    /// The installer in its bundle.
    pub installer: Installer,
    /// The name of its bundle.
    pub bundle: String,
    /// Kernel arguments, one in each item.
    pub args: Vec<String>,
    /// Templates of the inventory that replace the built-in ones, by seed.
    pub seeds: BTreeMap<String, String>,
    /// The loader of its hosts; it replaces the site's.
    pub loader: Option<Loader>,
    /// Whether its hosts boot with Secure Boot on, which requires signed loaders.
    #[serde(default)]
    pub secure_boot: bool,
    /// Public keys that may log in to the installed system.
    pub ssh_authorized_keys: Vec<String>,
    /// Values for templates; a host's values take precedence.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Additional DHCP options for its hosts; a host's options take precedence.
    #[serde(default)]
    pub options: ExtraOptions,
}

pub(super) fn read(reader: &mut Reader, claims: &mut Claims, node: &Node) -> Option<Profile> {
    let mut fields = reader.fields(node, "this Profile")?;
    fields.node("kind");
    let name = fields.required(reader, "name", Reader::name);
    if let Some(name) = &name {
        claims.unique(UniqueValue::Profile, name.value.clone(), name.span, "");
    }
    let installer = fields.required(reader, "installer", |reader, node| {
        let choices: Vec<_> = Installer::all()
            .map(|installer| (installer.name(), installer))
            .collect();
        reader.choice(node, &choices)
    });
    let bundle = fields.required(reader, "bundle", Reader::name);
    if let Some(bundle) = &bundle {
        claims.reference(ReferenceKind::Bundle, bundle.clone());
        if let Some(installer) = installer {
            claims.bundle_use(bundle.value.clone(), bundle.span, installer);
        }
    }
    let args = fields.optional(reader, "args", |reader, node| {
        reader.items(node, read_argument)
    });
    let seeds = fields.optional(reader, "seeds", |reader, node| {
        reader.entries(node, |reader, key, value| {
            let template = reader.spanned_text(value)?;
            claims.reference(ReferenceKind::Template, template.clone());
            if let Some(installer) = installer.filter(|i| !i.seeds().contains(&key.text.as_str())) {
                let message = format!("unknown {installer} seed `{}`", key.text);
                let help = format!("the seeds of {installer} are {}", list(installer.seeds()));
                return reader.refuse("wrong-value", key.span, message, &help);
            }
            Some((key.text.clone(), template.value))
        })
    });
    let loader = fields.optional(reader, "loader", |reader, node| {
        let (loader, spans) = read_loader(reader, claims, node)?;
        if let Some(name) = &name {
            claims.spans.profiles.insert(name.value.clone(), spans);
        }
        Some(loader)
    });
    let secure_boot = fields.optional(reader, "secure_boot", |reader, node| {
        if let Some(name) = &name {
            let spans = &mut claims.spans.secure_boot;
            spans.insert(name.value.clone(), node.span);
        }
        reader.boolean(node)
    });
    let keys = fields.optional(reader, "ssh_authorized_keys", |reader, node| {
        reader.items(node, Reader::text)
    });
    let vars = fields.optional(reader, "vars", read_vars);
    let options = fields.optional(reader, "options", read_options);
    fields.finish(reader);
    Some(Profile {
        name: name?.value,
        installer: installer?,
        bundle: bundle?.value,
        args: args.unwrap_or_default(),
        seeds: seeds.unwrap_or_default().into_iter().collect(),
        loader,
        secure_boot: secure_boot.unwrap_or_default(),
        ssh_authorized_keys: keys.unwrap_or_default(),
        vars: vars.unwrap_or_default(),
        options: options.unwrap_or_default(),
    })
}
