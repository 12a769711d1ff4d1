use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use handlebars::Context;
use serde_json::{Value, json};

use super::menu;
use super::seeds::Variables;
use super::templates::{TemplateError, Templates};
use crate::decide::{BootRequest, Reason, TokenState, cleaned};
use crate::inventory::{Host, Inventory, LocalBoot};
use crate::loader::{Dialect, IDENTIFY_TEMPLATE, STUB_TEMPLATE};
use crate::machine::{Architecture, Firmware, MacAddress};

/// How long the quarantine screen waits before it requests a new script, in seconds.
const HOLD_SECONDS: u32 = 30;
/// How long an important reason is shown before the local disk boots.
const ATTENTION: Duration = Duration::from_secs(10);
/// The maximum length of a reason on a screen.
const REASON_LIMIT: usize = 240;

/// A rendered script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its text.
    pub text: String,
    /// Why the inventory's template failed, if the built-in template replaced it.
    pub fault: Option<TemplateError>,
}

/// Renders the script that makes iPXE identify its machine.
///
/// `url` is the boot URL with its token; iPXE adds the machine's values.
///
/// # Errors
/// The template, line and reason.
pub fn identify_script(templates: &Templates, url: &str) -> Result<Script, TemplateError> {
    render(templates, IDENTIFY_TEMPLATE, json!({ "url": url }))
}

/// How GRUB was loaded, which decides how it finds the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrubOrigin<'a> {
    /// By TFTP: GRUB has an address, and knows its directory.
    Tftp,
    /// From a boot volume over HTTP: GRUB has no address yet.
    Image {
        /// The address of the TFTP server.
        server: Ipv4Addr,
        /// The machine's path: `m/<mac>/<token>`.
        base: &'a str,
    },
}

/// Renders the configuration that makes GRUB identify its machine.
///
/// # Errors
/// The template, line and reason.
pub fn grub_stub(templates: &Templates, origin: GrubOrigin<'_>) -> Result<Script, TemplateError> {
    let values = match origin {
        GrubOrigin::Tftp => json!({ "image": false, "server": null, "base": null }),
        GrubOrigin::Image { server, base } => {
            json!({ "image": true, "server": server, "base": base })
        }
    };
    render(templates, STUB_TEMPLATE, values)
}

/// Renders the script that starts an installer.
///
/// # Errors
/// The template, line and reason.
pub fn install_script(
    templates: &Templates,
    dialect: Dialect,
    variables: &Variables,
) -> Result<String, TemplateError> {
    templates.render(dialect.install_template(), variables.context())
}

/// Renders the script that boots the local disk of a host. The script first shows an important reason,
/// and the menu if the site has one.
///
/// # Errors
/// The template, line and reason.
pub fn local_script(
    templates: &Templates,
    inventory: &Inventory,
    host: &Host,
    request: &BootRequest,
    reason: &Reason,
) -> Result<Script, TemplateError> {
    // The running firmware must be able to start an entry, even if it is not the recorded firmware.
    let runs = request.architecture.unwrap_or(host.arch);
    let menu = menu::values(inventory, request.dialect, runs, least_wait(reason));
    let (name, firmware) = (host.name.as_str(), (host.arch, host.local_boot));
    local_named(templates, request.dialect, name, firmware, reason, menu)
}

/// Returns the minimum time that a reason is shown.
fn least_wait(reason: &Reason) -> Duration {
    if reason.wants_attention() {
        ATTENTION
    } else {
        Duration::ZERO
    }
}

fn local_named(
    templates: &Templates,
    dialect: Dialect,
    host: &str,
    (architecture, local_boot): (Architecture, LocalBoot),
    reason: &Reason,
    menu: Value,
) -> Result<Script, TemplateError> {
    let is_uefi = architecture.firmware() == Firmware::Uefi;
    let values = json!({
        "host": host,
        "efi": is_uefi.then(|| architecture.cpu().efi_letters()),
        "reason": cleaned(&reason.to_string(), REASON_LIMIT),
        "wait": reason.wants_attention(),
        "sanboot": local_boot == LocalBoot::Sanboot,
        "menu": menu,
    });
    render(templates, dialect.local_template(), values)
}

/// The content of the quarantine screen.
#[derive(Clone, Debug)]
pub struct HoldScreen<'a> {
    /// The host that owns the Ethernet address, if any.
    pub host: Option<&'a str>,
    /// The boot request of the machine.
    pub request: &'a BootRequest,
    /// Why the machine is held.
    pub reason: String,
    /// The URL that iPXE requests again. Without it, and with other loaders, the machine reboots.
    pub again: Option<String>,
}

/// Renders the quarantine screen.
///
/// # Errors
/// The template, line and reason.
pub fn hold_script(
    templates: &Templates,
    screen: &HoldScreen<'_>,
) -> Result<Script, TemplateError> {
    let HoldScreen {
        host,
        request,
        reason,
        again,
    } = screen;
    let unseen = || "not seen".to_owned();
    let values = json!({
        "host": host.unwrap_or("unknown"),
        "reason": cleaned(reason, REASON_LIMIT),
        "mac": request.mac,
        "uuid": request.uuid.map_or_else(unseen, |uuid| uuid.to_string()),
        "serial": request.serial.clone().unwrap_or_else(unseen),
        "asset": request.asset.clone().unwrap_or_else(unseen),
        "architecture": request.architecture.map_or_else(unseen, |architecture| architecture.to_string()),
        "seconds": HOLD_SECONDS,
        "again": again,
    });
    render(templates, request.dialect.hold_template(), values)
}

/// Renders every script except install scripts for each kind of machine, and returns the errors of their
/// templates.
pub fn sample_errors(templates: &Templates) -> Vec<TemplateError> {
    let url = "http://192.0.2.1:8080/boot.ipxe?token=TOKEN";
    let mut scripts = vec![
        identify_script(templates, url),
        grub_stub(templates, GrubOrigin::Tftp),
        grub_stub(
            templates,
            GrubOrigin::Image {
                server: Ipv4Addr::new(192, 0, 2, 1),
                base: "m/52-54-00-00-00-01/TOKEN",
            },
        ),
    ];
    for dialect in Dialect::all() {
        scripts.extend(samples(templates, dialect, url));
    }
    let fault = |script| match script {
        Ok(Script { fault, .. }) => fault,
        Err(fault) => Some(fault),
    };
    scripts.into_iter().filter_map(fault).collect()
}

fn samples(
    templates: &Templates,
    dialect: Dialect,
    url: &str,
) -> Vec<Result<Script, TemplateError>> {
    let mut scripts = Vec::new();
    for reason in [Reason::NotArmed, Reason::Failed(Some("a disk".into()))] {
        for firmware in [
            (Architecture::UefiX64, LocalBoot::Exit),
            (Architecture::Bios, LocalBoot::Sanboot),
        ] {
            for menu in [Value::Null, menu::sample(dialect)] {
                let script = local_named(templates, dialect, "host", firmware, &reason, menu);
                scripts.push(script);
            }
        }
    }
    let seen = BootRequest {
        mac: MacAddress::new([2, 0, 0, 0, 0, 1]),
        uuid: "4c4c4544-0035-5a10-8054-b4c04f4e0132".parse().ok(),
        serial: Some("SERIAL".into()),
        asset: Some("ASSET".into()),
        architecture: Architecture::from_ipxe("efi", "x86_64"),
        dialect,
        token: TokenState::Good,
    };
    let unseen = BootRequest {
        uuid: None,
        serial: None,
        asset: None,
        architecture: None,
        ..seen.clone()
    };
    for request in [&seen, &unseen] {
        for (host, again) in [(None, None), (Some("host"), Some(url.to_owned()))] {
            let reason = Reason::NoUuidSeen.to_string();
            let screen = HoldScreen {
                host,
                request,
                reason,
                again,
            };
            scripts.push(hold_script(templates, &screen));
        }
    }
    scripts
}

/// Renders a template. If an override fails, the built-in template is used, so that the machine always
/// gets a script.
fn render(templates: &Templates, name: &str, values: Value) -> Result<Script, TemplateError> {
    let context = Context::from(values);
    match templates.render(name, &context) {
        Ok(text) => Ok(Script { text, fault: None }),
        Err(fault) => {
            let own =
                Templates::compile(&BTreeMap::new()).map_err(|mut faults| faults.remove(0))?;
            let text = own.render(name, &context)?;
            let fault = Some(fault);
            Ok(Script { text, fault })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_template_replaces_a_failing_override_and_reports_it() {
        let compiled = |overrides: &[(&str, &str)]| {
            let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            Templates::compile(&overrides.iter().map(owned).collect()).unwrap()
        };
        let own = compiled(&[]);
        assert_eq!(sample_errors(&own), []);
        let of_dialects =
            Dialect::all().flat_map(|dialect| [dialect.local_template(), dialect.hold_template()]);
        for name in [IDENTIFY_TEMPLATE, STUB_TEMPLATE]
            .into_iter()
            .chain(of_dialects)
        {
            // These fail always, or for one kind of machine.
            for (of, text) in [
                ("", "{{nothing}}"),
                ("hold", "{{#if again}}{{nothing}}{{/if}}"),
                ("local", "{{#if menu}}{{nothing}}{{/if}}"),
                ("local", "{{#unless menu}}{{nothing}}{{/unless}}"),
                ("local", "{{#if wait}}{{#if menu}}{{nothing}}{{/if}}{{/if}}"),
                ("local", "{{#each menu.groups}}{{nothing}}{{/each}}"),
                (
                    "local",
                    "{{#each menu.groups}}{{#each entries}}{{#if initrd}}{{nothing}}{{/if}}{{/each}}{{/each}}",
                ),
                (
                    "local",
                    "{{#each menu.groups}}{{#each entries}}{{#if loader}}{{nothing}}{{/if}}{{/each}}{{/each}}",
                ),
            ] {
                if !name.starts_with(of) {
                    continue;
                }
                let faults = sample_errors(&compiled(&[(name, text)]));
                assert!(!faults.is_empty(), "{name}: {text}");
                assert!(faults.iter().all(|fault| fault.template == name));
            }
        }
        let broken = compiled(&[(IDENTIFY_TEMPLATE, "{{nothing}}")]);
        let script = identify_script(&broken, "http://a/").unwrap();
        assert_eq!(
            script.text,
            identify_script(&own, "http://a/").unwrap().text
        );
        assert!(script.fault.is_some());
    }
}
