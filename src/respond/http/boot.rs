use jiff::Timestamp;

use super::route::decoded;
use crate::decide::{
    Action, Armed, BootDecision, BootRequest, IDENTITY_LIMIT, TokenState, cleaned, decide,
};
use crate::inventory::Inventory;
use crate::machine::{Architecture, EventKind, HostRecord, MacAddress, SessionId};
use crate::render::{
    HoldScreen, Plan, Script, SessionLinks, TemplateError, Templates, Variables, hold_script,
    identify_script, install_script, local_script,
};
use crate::token::StoreKey;

/// What stands in the query of a boot URL, not yet believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootQuery {
    token: String,
    mac: Option<MacAddress>,
    uuid: Option<crate::machine::SystemUuid>,
    serial: Option<String>,
    asset: Option<String>,
    platform: String,
    build_architecture: String,
}

/// What a machine is answered, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootAnswer {
    /// The script.
    pub script: String,
    /// The decision: its kind, host and reason; none when iPXE was only asked who it is.
    pub decision: Option<Decided>,
    /// Why a template of the inventory failed, where the built-in one stood in for it.
    pub fault: Option<TemplateError>,
}

/// A decision, for the log and the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub kind: EventKind,
    /// The host, where the machine is known.
    pub host: Option<String>,
    /// The session of an install.
    pub session: Option<SessionId>,
    /// Why.
    pub reason: String,
}

impl BootQuery {
    /// Reads a query; what cannot be read counts as absent.
    pub fn parse(query: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let Some(value) = decoded(value) else {
                continue;
            };
            let text = || Some(cleaned(&value, IDENTITY_LIMIT)).filter(|text| !text.is_empty());
            match name {
                "token" => found.token = token_only(&value),
                "mac" => found.mac = value.parse().ok(),
                "uuid" => found.uuid = value.parse().ok(),
                "serial" => found.serial = text(),
                "asset" => found.asset = text(),
                "platform" => found.platform = text().unwrap_or_default(),
                "buildarch" => found.build_architecture = text().unwrap_or_default(),
                _ => {}
            }
        }
        found
    }

    /// Returns the Ethernet address of the machine that asks, once it has said it.
    pub fn mac(&self) -> Option<MacAddress> {
        self.mac
    }

    /// Lists what the machine showed of itself besides its Ethernet address, under the names that the
    /// inventory uses.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let architecture = Architecture::from_ipxe(&self.platform, &self.build_architecture);
        [
            ("uuid", self.uuid.map(|uuid| uuid.to_string())),
            ("serial", self.serial.clone()),
            ("asset", self.asset.clone()),
            ("arch", architecture.map(|arch| arch.name().to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    fn request(
        &self,
        mac: MacAddress,
        inventory: &Inventory,
        key: &StoreKey,
        plan: Option<&Plan>,
        now: Timestamp,
    ) -> BootRequest {
        // A session that asked for a token when it was opened goes on asking.
        let asked = inventory.site.boot_token || plan.is_some_and(|plan| plan.boot_token);
        let token = match self.token.as_str() {
            _ if !asked => TokenState::NotAsked,
            "" => TokenState::Missing,
            token => match key.check_boot_token(token, mac, self.uuid, now) {
                Ok(()) => TokenState::Good,
                Err(error) => TokenState::Bad(error),
            },
        };
        BootRequest {
            mac,
            uuid: self.uuid,
            serial: self.serial.clone(),
            asset: self.asset.clone(),
            architecture: Architecture::from_ipxe(&self.platform, &self.build_architecture),
            token,
        }
    }
}

/// Returns what was frozen when the host of a plan was armed.
fn armed(plan: &Plan) -> Armed<'_> {
    Armed {
        host: &plan.host,
        identity: plan.identity,
        provisioning: plan.provisioning,
    }
}

/// A token is repeated into a script, so nothing but its own alphabet may pass.
fn token_only(text: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    text.chars().filter(good).take(64).collect()
}

/// Answers a boot request.
///
/// `record` is what the store holds of the host that owns the request's Ethernet address, `plan` the
/// frozen plan of its open session.
///
/// # Errors
/// When a template cannot be rendered.
pub fn boot(
    inventory: &Inventory,
    templates: &Templates,
    key: &StoreKey,
    query: &BootQuery,
    record: Option<&HostRecord>,
    plan: Option<&Plan>,
    now: Timestamp,
) -> Result<BootAnswer, TemplateError> {
    let url = format!("{}/boot.ipxe", inventory.site.server.base_url);
    let Some(mac) = query.mac else {
        let Script { text, fault } =
            identify_script(templates, &format!("{url}?token={}", query.token))?;
        return Ok(BootAnswer {
            script: text,
            decision: None,
            fault,
        });
    };
    let request = query.request(mac, inventory, key, plan, now);
    let BootDecision {
        host,
        action,
        reason,
    } = decide(inventory, record, plan.map(armed), &request, now);
    let mut reason_text = reason.to_string();
    let mut answered = (EventKind::Hold, None, None);
    match (action, host) {
        (Action::Install { session, attempt }, Some(host)) => match plan {
            Some(plan) => {
                let links = SessionLinks::new(&plan.server, key, session, attempt);
                let frozen =
                    Templates::compile(&plan.templates).map_err(|mut faults| faults.remove(0));
                let script = frozen.and_then(|templates| {
                    install_script(&templates, &Variables::new(plan, &links))
                });
                match script {
                    Ok(text) => {
                        let script = Script { text, fault: None };
                        answered = (EventKind::Install, Some(session), Some(script));
                    }
                    Err(error) => reason_text = format!("its install cannot be rendered: {error}"),
                }
            }
            None => {
                reason_text = format!("the store holds no plan for the session of {}", host.name)
            }
        },
        (Action::LocalDisk, Some(host)) => {
            answered = (
                EventKind::LocalDisk,
                None,
                Some(local_script(templates, host, &reason)?),
            );
        }
        _ => {}
    }
    let (kind, session, script) = answered;
    let host = host.map(|host| host.name.clone());
    let script = match script {
        Some(script) => script,
        None => {
            // Who showed a good token may go on asking: it gets a fresh one.
            let again = match request.token {
                TokenState::Good => Some(format!(
                    "{url}?token={}",
                    key.boot_token(mac, request.uuid, now)
                )),
                TokenState::NotAsked => Some(format!("{url}?token=")),
                TokenState::Missing | TokenState::Bad(_) => None,
            };
            let (host, reason) = (host.as_deref(), reason_text.clone());
            hold_script(
                templates,
                &HoldScreen {
                    host,
                    request: &request,
                    reason,
                    again,
                },
            )?
        }
    };
    Ok(BootAnswer {
        script: script.text,
        fault: script.fault,
        decision: Some(Decided {
            kind,
            host,
            session,
            reason: reason_text,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::BootQuery;

    #[test]
    fn what_a_machine_shows_is_named_as_the_inventory_names_it() {
        let query = "token=T&mac=52-54-00-85-00-01&uuid=11111111-2222-3333-4444-555555555555\
                     &serial=C7%20X9&asset=&platform=efi&buildarch=x86_64";
        let shown: Vec<String> = BootQuery::parse(query)
            .shown()
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let expected = [
            "uuid: 11111111-2222-3333-4444-555555555555",
            "serial: C7 X9",
            "arch: uefi-x64",
        ];
        assert_eq!(shown, expected);
    }
}
