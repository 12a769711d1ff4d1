//! The boot script for a machine, in the language of its loader.

mod path;

pub use path::{MachinePath, MachineQuery, ScriptQuery};

use jiff::Timestamp;

use crate::decide::{Action, ArmedHost, BootDecision, BootRequest, Standing, TokenState, decide};
use crate::inventory::Inventory;
use crate::loader::Dialect;
use crate::machine::{EventKind, HostRecord, MacAddress, Secret, SessionId, SystemUuid};
use crate::render::{
    GrubOrigin, HoldScreen, Plan, Script, SessionLinks, TemplateError, Templates, Variables,
    grub_stub, hold_script, identify_script, install_script, local_script,
};
use crate::token::StoreKey;

/// The data from which boot scripts are made.
#[derive(Clone, Copy)]
pub struct BootSources<'a> {
    /// The active inventory.
    pub inventory: &'a Inventory,
    /// Its templates.
    pub templates: &'a Templates,
    /// The store's key.
    pub key: &'a StoreKey,
    /// The store's record of the host with the machine's Ethernet address.
    pub record: Option<&'a HostRecord>,
    /// The frozen plan of its open session.
    pub plan: Option<&'a Plan>,
}

/// The script for a machine, and the decision to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootAnswer {
    /// The script.
    pub script: String,
    /// The decision; `None` if the script only makes the loader report its machine.
    pub decision: Option<DecisionRecord>,
    /// Why a template of the inventory failed, if the built-in template replaced it.
    pub fault: Option<TemplateError>,
}

/// A decision, for the log and the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// The kind of decision.
    pub kind: EventKind,
    /// The machine's Ethernet address.
    pub mac: MacAddress,
    /// The host, if the machine is known.
    pub host: Option<String>,
    /// The session of an install.
    pub session: Option<SessionId>,
    /// What the machine reported about itself, under the names of the inventory's keys.
    pub shown: Vec<(&'static str, String)>,
    /// Why.
    pub reason: String,
}

impl BootSources<'_> {
    /// Answers a loader that requests a script below a machine's path: with the script for its machine, or
    /// with a script that makes the loader report its machine.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn answer(
        &self,
        mac: MacAddress,
        token: &str,
        query: &ScriptQuery,
        standing: &Standing,
    ) -> Result<BootAnswer, TemplateError> {
        let report = match (query.dialect, &query.report) {
            (Dialect::Ipxe, _) => return self.ask_ipxe(token),
            (Dialect::Grub, None) => return self.ask_grub(GrubOrigin::Tftp),
            (_, report) => report.clone().unwrap_or_default(),
        };
        let request = BootRequest {
            mac,
            uuid: report.uuid,
            architecture: query.dialect.architecture(&report),
            serial: report.serial,
            asset: report.asset,
            dialect: query.dialect,
            token: self.token_state(token, mac, report.uuid, standing.now()),
        };
        self.boot(&request, standing)
    }

    /// Answers iPXE with the script that makes it report its machine.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn ask_ipxe(&self, token: &str) -> Result<BootAnswer, TemplateError> {
        let base = &self.inventory.site.server.base_url;
        let url = format!("{base}/boot.ipxe?token={token}");
        Ok(question(identify_script(self.templates, &url)?))
    }

    /// Answers GRUB with the configuration that makes it report its machine.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn ask_grub(&self, origin: GrubOrigin<'_>) -> Result<BootAnswer, TemplateError> {
        Ok(question(grub_stub(self.templates, origin)?))
    }

    /// Answers a machine that has identified itself.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn boot(
        &self,
        request: &BootRequest,
        standing: &Standing,
    ) -> Result<BootAnswer, TemplateError> {
        let armed = self.plan.map(armed);
        let BootDecision {
            host,
            action,
            reason,
        } = decide(self.inventory, self.record, armed, request, standing);
        let mut reason_text = reason.to_string();
        let mut answered = (EventKind::Hold, None, None);
        match (action, host) {
            (Action::Install { session, attempt }, Some(host)) => match self.plan {
                Some(plan) => {
                    let links = SessionLinks::new(&plan.server, self.key, session, attempt);
                    match install(plan, &links, request.dialect) {
                        Ok(script) => answered = (EventKind::Install, Some(session), Some(script)),
                        Err(error) => {
                            reason_text = format!("cannot render the install script: {error}");
                        }
                    }
                }
                None => {
                    reason_text = format!(
                        "the store has no plan for the open session of {}",
                        host.name
                    );
                }
            },
            (Action::LocalDisk, Some(host)) => {
                let script = local_script(self.templates, self.inventory, host, request, &reason)?;
                answered = (EventKind::LocalDisk, None, Some(script));
            }
            _ => {}
        }
        let (kind, session, script) = answered;
        let host = host.map(|host| host.name.clone());
        let script = match script {
            Some(script) => script,
            None => {
                let screen = HoldScreen {
                    host: host.as_deref(),
                    request,
                    reason: reason_text.clone(),
                    again: self.again(request, standing.now()),
                };
                hold_script(self.templates, &screen)?
            }
        };
        Ok(BootAnswer {
            script: script.text,
            fault: script.fault,
            decision: Some(DecisionRecord {
                kind,
                mac: request.mac,
                host,
                session,
                shown: request.shown(),
                reason: reason_text,
            }),
        })
    }

    /// Checks the token of a request.
    pub fn token_state(
        &self,
        token: &str,
        mac: MacAddress,
        uuid: Option<SystemUuid>,
        now: Timestamp,
    ) -> TokenState {
        // A session that required a token when it was opened still requires one.
        let is_required =
            self.inventory.site.boot_token || self.plan.is_some_and(|plan| plan.boot_token);
        match token {
            _ if !is_required => TokenState::NotAsked,
            "" => TokenState::Missing,
            token => match self.key.check_boot_token(token, mac, uuid, now) {
                Ok(()) => TokenState::Good,
                Err(error) => TokenState::Bad(error),
            },
        }
    }

    /// Returns the URL that a held iPXE requests next. With a good token, it gets a fresh one. Other machines
    /// reboot to get a token.
    fn again(&self, request: &BootRequest, now: Timestamp) -> Option<String> {
        let token = match request.token {
            _ if !request.dialect.requests_again() => return None,
            TokenState::Good => self.key.boot_token(request.mac, request.uuid, now),
            TokenState::NotAsked => Secret::default(),
            TokenState::Missing | TokenState::Bad(_) => return None,
        };
        let base = &self.inventory.site.server.base_url;
        Some(format!("{base}/boot.ipxe?token={}", token.expose()))
    }
}

fn question(script: Script) -> BootAnswer {
    BootAnswer {
        script: script.text,
        decision: None,
        fault: script.fault,
    }
}

/// Renders the script that starts an installer, from the frozen plan.
fn install(plan: &Plan, links: &SessionLinks, dialect: Dialect) -> Result<Script, TemplateError> {
    let templates = Templates::compile(&plan.templates).map_err(|mut faults| faults.remove(0))?;
    let text = install_script(&templates, dialect, &Variables::new(plan, links))?;
    Ok(Script { text, fault: None })
}

/// Returns the frozen host and rules of a plan.
fn armed(plan: &Plan) -> ArmedHost<'_> {
    ArmedHost {
        host: &plan.host,
        identity: plan.identity,
        provisioning: plan.provisioning,
        secure_boot: plan.profile.secure_boot,
    }
}

#[cfg(test)]
mod tests;
