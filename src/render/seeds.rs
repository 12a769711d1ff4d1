use std::collections::BTreeMap;

use handlebars::Context;
use serde_json::{Value, json};

use super::plan::Plan;
use super::templates::{TemplateError, Templates};
use super::{TemplatePosition, builtin};
use crate::installer::{self, Install};
use crate::inventory::{Nic, Server};
use crate::machine::{Secret, SessionId};
use crate::token::{Capability, Purpose, StoreKey};

/// The URLs of one attempt of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLinks {
    /// The session's id, or a placeholder.
    pub id: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The URL of the seeds, with a slash at its end.
    pub seeds: Secret,
    /// The URL of the callbacks, with a slash at its end.
    pub callbacks: Secret,
}

impl SessionLinks {
    /// Makes the links of an attempt, with its two capabilities.
    pub fn new(server: &Server, key: &StoreKey, session: SessionId, attempt: u32) -> Self {
        let link = |purpose| {
            let capability = key.capability(Capability {
                session,
                attempt,
                purpose,
            });
            Secret::new(format!("{}/s/{}/", server.base_url, capability.expose()))
        };
        Self {
            id: session.to_string(),
            attempt,
            seeds: link(Purpose::Seed),
            callbacks: link(Purpose::Callback),
        }
    }

    /// Makes links without capabilities, for previews.
    pub fn placeholder(server: &Server) -> Self {
        Self {
            id: "SESSION".into(),
            attempt: 1,
            seeds: format!("{}/s/SEED-CAPABILITY/", server.base_url).into(),
            callbacks: format!("{}/s/CALLBACK-CAPABILITY/", server.base_url).into(),
        }
    }
}

/// The variables of a session's templates, shared by its script and its seeds.
pub struct Variables(Context);

impl Variables {
    /// Builds the variables of an attempt.
    pub fn new(plan: &Plan, links: &SessionLinks) -> Self {
        Self(Context::from(variables(plan, links)))
    }

    /// Returns the variables as one JSON object.
    pub fn as_json(&self) -> &Value {
        self.0.data()
    }

    pub(super) fn context(&self) -> &Context {
        &self.0
    }
}

/// Renders a seed of an install.
///
/// # Errors
/// The template, line and reason. An unknown variable is an error.
pub fn seed(
    templates: &Templates,
    plan: &Plan,
    variables: &Variables,
    seed: &str,
) -> Result<String, TemplateError> {
    templates.render(&plan.seed_template(seed), variables.context())
}

/// Renders a seed, and returns every error of its template: what stops the rendering, or what its
/// installer would stop at or misread.
///
/// Only templates of the inventory are checked: the built-in templates are tested.
pub fn seed_errors(
    templates: &Templates,
    plan: &Plan,
    variables: &Variables,
    name: &str,
) -> Vec<TemplateError> {
    let text = match seed(templates, plan, variables, name) {
        Ok(text) => text,
        Err(error) => return vec![error],
    };
    let template = plan.seed_template(name);
    let source = plan.templates.get(&template).map(String::as_str);
    let Some(source) = source.filter(|it| Some(*it) != builtin::text(&template)) else {
        return Vec::new();
    };
    let errors = plan.profile.installer.check_seed(name, &text).into_iter();
    let located = errors.map(|error| match error.line {
        None => TemplateError::new(&template, None, format!("invalid seed `{name}`: {error}")),
        // Lines have other numbers for other hosts, so the number is only shown if it is needed.
        Some(line) => match source_line(source, text.lines().nth(line - 1).unwrap_or_default()) {
            Some(line) => {
                let position = TemplatePosition { line, column: None };
                TemplateError::new(
                    &template,
                    Some(position),
                    format!("invalid seed `{name}`: {error}"),
                )
            }
            None => {
                let reason = format!("invalid seed `{name}`, line {line}: {error}");
                TemplateError::new(&template, None, reason)
            }
        },
    });
    located.collect()
}

/// Finds the line of a template, from 1, that can render a line of text: its text outside tags must
/// occur in the same order. Returns `None` if only tags render the line.
fn source_line(source: &str, rendered: &str) -> Option<usize> {
    let position = source.lines().position(|line| {
        let mut rest = rendered;
        let mut literals = literal_parts(line).filter(|it| !it.trim().is_empty());
        let mut has_literal = false;
        let fits = literals.all(|literal| {
            has_literal = true;
            match rest.split_once(literal) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            }
        });
        let has_tag = line.contains("{{");
        fits && has_literal && (has_tag || line == rendered)
    });
    position.map(|index| index + 1)
}

/// Lists the parts of a line of a template that are outside tags.
fn literal_parts(line: &str) -> impl Iterator<Item = &str> {
    line.split("{{").enumerate().map(|(index, part)| {
        let after_tag = part.rsplit_once("}}").map_or("", |(_, after)| after);
        if index == 0 { part } else { after_tag }
    })
}

fn variables(plan: &Plan, links: &SessionLinks) -> Value {
    let host = &plan.host;
    let boot = host.boot_nic().map(|nic| (0, nic));
    let install = install(plan, links);
    let (seeds, callbacks) = (install.seeds_url, install.callbacks_url);
    let mut arguments = plan.profile.installer.kernel_arguments(&install);
    arguments.extend(plan.profile.args.iter().cloned());
    let files: BTreeMap<&String, String> = plan
        .bundle
        .files
        .keys()
        .map(|key| (key, install.file_url(key)))
        .collect();
    let nics: Vec<Value> = host
        .nics
        .iter()
        .enumerate()
        .map(|(index, nic)| nic_values(plan, index, nic))
        .collect();
    json!({
        "site": { "name": plan.site },
        "server": plan.server,
        "host": host,
        "bootif": boot.map(|(_, nic)| format!("01-{}", nic.mac.hyphenated())),
        "nic": boot.map(|(index, nic)| nic_values(plan, index, nic)),
        "nics": nics,
        "network": plan.boot_network(),
        "profile": plan.profile,
        "bundle": { "name": plan.bundle.name, "arch": plan.bundle.arch, "digest": plan.manifest },
        "files": files,
        "session": {
            "id": links.id,
            "attempt": links.attempt,
            "seeds": seeds,
            "callbacks": callbacks,
            "files": format!("{seeds}files/"),
            // The TFTP path, for GRUB and PXELINUX.
            "tftp_files": format!("s/{}/files/", last_part(seeds)),
        },
        "arguments": arguments,
        "commands": installer::commands(&install),
        "vars": plan.vars,
    })
}

/// Returns the last part of a URL that ends with a slash.
fn last_part(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.rsplit('/').next().unwrap_or(url)
}

fn nic_values(plan: &Plan, index: usize, nic: &Nic) -> Value {
    let network = plan.networks.get(&nic.network);
    json!({
        "name": format!("nic{index}"),
        "mac": nic.mac,
        "network": nic.network,
        "boot": nic.boot,
        "ip": nic.ip,
        "address": nic.ip.zip(network).map(|(ip, network)| format!("{ip}/{}", network.subnet.prefix())),
        // There is one default route: through the boot NIC.
        "gateway": network.and_then(|network| network.gateway).filter(|_| nic.boot),
        "dns": network.map(|network| network.dns.clone()).unwrap_or_default(),
        "search": network.and_then(|network| network.domain.clone()).into_iter().collect::<Vec<_>>(),
    })
}

/// Returns what an installer needs to know of one attempt.
fn install<'a>(plan: &'a Plan, links: &'a SessionLinks) -> Install<'a> {
    let network = plan.boot_network();
    let username = plan.vars.get("username").and_then(Value::as_str);
    Install {
        hostname: &plan.host.name,
        disk: plan.host.disk.as_ref(),
        domain: network.and_then(|network| network.domain.as_deref()),
        has_router: network.is_some_and(|network| network.gateway.is_some()),
        has_dns: network.is_some_and(|network| !network.dns.is_empty()),
        username: username.unwrap_or("ops"),
        ssh_authorized_keys: &plan.profile.ssh_authorized_keys,
        seeds_url: links.seeds.expose(),
        callbacks_url: links.callbacks.expose(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::workspace::Snapshot;

    /// Runs the rendered late command of a host, and returns the URL that it posted to, if any.
    fn posted_url(plan: &Plan) -> String {
        let templates = Templates::compile(&plan.templates).unwrap();
        let variables = Variables::new(plan, &SessionLinks::placeholder(&plan.server));
        let preseed = seed(&templates, plan, &variables, "preseed.cfg").unwrap();
        let late = preseed
            .lines()
            .find_map(|line| line.strip_prefix("d-i preseed/late_command string "))
            .unwrap();
        let programs = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("mkdir", "exit 1"),
            ("wget", "for url; do :; done; echo \"$url\""),
        ] {
            let path = programs.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = Command::new("/bin/sh")
            .args(["-c", late])
            .env("PATH", programs.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn an_error_of_a_rendered_line_is_shown_at_the_line_of_the_template() {
        let source = "# {{host.name}}\nd-i a/b bool {{vars.a}}\n{{#if b}}\nd-i c/d string\n{{/if}}\n{{line vars.e}}\n";
        for (rendered, line) in [
            ("d-i a/b bool true", Some(2)),
            ("d-i c/d string", Some(4)),
            ("d-i e/f", None),
        ] {
            assert_eq!(source_line(source, rendered), line, "{rendered}");
        }
    }

    #[test]
    fn an_install_is_reported_to_the_exact_url_if_every_step_succeeded() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        let (mut inventory, _) = Snapshot::read(&fixture).unwrap().check().good.unwrap();
        inventory.site.server.base_url = "http://10.20.0.10/a;b&$(id)".into();
        let mut plan = Plan::new(&inventory, &inventory.hosts["storage-01"]).unwrap();
        plan.profile.ssh_authorized_keys.clear();
        assert_eq!(
            posted_url(&plan),
            "http://10.20.0.10/a;b&$(id)/s/CALLBACK-CAPABILITY/installed\n"
        );
        plan.profile
            .ssh_authorized_keys
            .push("ssh-ed25519 A".into());
        assert_eq!(posted_url(&plan), "");
    }
}
