use handlebars::Context;
use serde_json::{Value, json};

use super::builtin;
use super::seeds::Variables;
use super::templates::{TemplateError, Templates};
use crate::decide::{BootRequest, Reason, cleaned};
use crate::inventory::{Host, LocalBoot};

/// How long the quarantine screen waits before it asks again, in seconds.
const HOLD_SECONDS: u32 = 30;
/// The most characters of a reason that a screen shows.
const REASON_LIMIT: usize = 240;

/// Renders the script that makes iPXE say which machine it runs on.
///
/// `url` is the boot URL with its token; the machine's values are added to it.
///
/// # Errors
/// The template, line and reason.
pub fn identify_script(templates: &Templates, url: &str) -> Result<String, TemplateError> {
    render(templates, builtin::IDENTIFY, json!({ "url": url }))
}

/// Renders the script that starts an installer.
///
/// # Errors
/// The template, line and reason.
pub fn install_script(
    templates: &Templates,
    variables: &Variables,
) -> Result<String, TemplateError> {
    templates.render(builtin::INSTALL, variables.context())
}

/// Renders the script that boots the local disk, after the screen has said why where that matters.
///
/// # Errors
/// The template, line and reason.
pub fn local_script(
    templates: &Templates,
    host: &Host,
    reason: &Reason,
) -> Result<String, TemplateError> {
    let values = json!({
        "host": host.name,
        "reason": cleaned(&reason.to_string(), REASON_LIMIT),
        "wait": reason.wants_attention(),
        "sanboot": host.local_boot == LocalBoot::Sanboot,
    });
    render(templates, builtin::LOCAL, values)
}

/// What the quarantine screen shows.
#[derive(Clone, Debug)]
pub struct HoldScreen<'a> {
    /// The host that owns the Ethernet address, if one does.
    pub host: Option<&'a str>,
    /// What was seen.
    pub request: &'a BootRequest,
    /// Why the machine is held.
    pub reason: String,
    /// Where the screen asks again; without one, the machine reboots.
    pub again: Option<String>,
}

/// Renders the quarantine screen.
///
/// # Errors
/// The template, line and reason.
pub fn hold_script(
    templates: &Templates,
    screen: &HoldScreen<'_>,
) -> Result<String, TemplateError> {
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
    render(templates, builtin::HOLD, values)
}

fn render(templates: &Templates, name: &str, values: Value) -> Result<String, TemplateError> {
    templates.render(name, &Context::from(values))
}
