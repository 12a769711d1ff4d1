//! The state from which requests are answered, one request of it, and the script that a machine boots.

use std::sync::Arc;

use jiff::Timestamp;

use super::active::{ActiveInventory, LoadedInventory};
use super::events::EventWriter;
use super::log::{Level, Log};
use super::request::{RefusalKind, RequestRefusal, Requester};
use super::volumes::Volumes;
use crate::bundle::Verifier;
use crate::decide::Standing;
use crate::machine::{Event, EventKind, HostRecord, MacAddress};
use crate::render::{Plan, TemplateError};
use crate::respond::boot::{BootAnswer, BootSources, DecisionRecord};
use crate::store::{Store, StoreError};
use crate::token::StoreKey;

/// The state from which requests are answered.
pub struct ServerContext {
    /// The active inventory.
    pub active: ActiveInventory,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The store's key.
    pub key: StoreKey,
    /// The writer of events.
    pub events: EventWriter,
    /// The log.
    pub log: Log,
    /// Opens blobs whose content matches their digest.
    pub verifier: Verifier,
    /// Boot volumes for UEFI HTTP boot.
    pub volumes: Volumes,
}

/// One request, with the state from which it is answered. It is created once for each request.
pub struct ServerRequest {
    /// The state of the server.
    pub context: Arc<ServerContext>,
    /// The inventory that was active when the request arrived. A later reload does not change it.
    pub loaded: Arc<LoadedInventory>,
    /// The client that sent the request.
    pub requester: Requester,
}

impl ServerRequest {
    /// Answers a request for a boot script. `decide` computes the answer from the known facts about the
    /// machine with the Ethernet address.
    ///
    /// # Errors
    /// Fails when the store cannot be read or a template cannot be rendered.
    pub fn boot(
        &self,
        mac: Option<MacAddress>,
        decide: impl FnOnce(&BootSources<'_>, &Standing) -> Result<BootAnswer, TemplateError>,
    ) -> Result<String, RequestRefusal> {
        let Self {
            context,
            loaded,
            requester,
        } = self;
        let standing = context.store.standing();
        let standing = standing.map_err(|error| requester.store_failed(&error))?;
        let (record, plan) = self.known(mac).map_err(|error| {
            let mut refusal = requester.store_failed(&error);
            *refusal.line = refusal.line.mac(mac);
            refusal
        })?;
        let sources = BootSources {
            inventory: &loaded.inventory,
            templates: &loaded.templates,
            key: &context.key,
            record: record.as_ref(),
            plan: plan.as_ref(),
        };
        let answer = decide(&sources, &standing).map_err(|error| {
            let line = requester.line(Level::Error, "render-failed", error.to_string());
            RequestRefusal {
                kind: RefusalKind::InternalError,
                text: error.to_string(),
                line: Box::new(line.mac(mac)),
            }
        })?;
        if let Some(fault) = &answer.fault {
            let text = format!("{fault}; using the built-in template");
            let line = requester.line(Level::Error, "render-failed", text);
            context.log.write(&line.mac(mac));
        }
        match answer.decision {
            Some(decided) => {
                let host = loaded.inventory.host_by_mac(decided.mac);
                // The operator can copy missing facts from the log into the inventory.
                let complete = host.is_some_and(|host| host.uuid.is_some());
                self.record_decision(decided, complete, standing.now());
            }
            None => {
                let text = format!(
                    "{} requested the script that selects its boot script",
                    requester.peer
                );
                context
                    .log
                    .write(&requester.line(Level::Debug, "identify", text).mac(mac));
            }
        }
        Ok(answer.script)
    }

    /// Reads the record of the host with an Ethernet address, and the plan of its open session.
    fn known(
        &self,
        mac: Option<MacAddress>,
    ) -> Result<(Option<HostRecord>, Option<Plan>), StoreError> {
        let Some(host) = mac.and_then(|mac| self.loaded.inventory.host_by_mac(mac)) else {
            return Ok((None, None));
        };
        let store = &self.context.store;
        let record = store.host(&host.name)?;
        let open = record.as_ref().and_then(|record| record.open_session());
        let stored = open
            .map(|open| store.session(open.id))
            .transpose()?
            .flatten();
        let plan = stored.and_then(|stored| serde_json::from_str(&stored.plan).ok());
        Ok((record, plan))
    }

    /// Logs a decision and stores it as an event. The line has the machine's identity as fields; its
    /// text contains the identity if the machine is held or its record is not `complete`.
    fn record_decision(&self, decided: DecisionRecord, complete: bool, now: Timestamp) {
        let DecisionRecord {
            kind,
            mac,
            host,
            session,
            shown,
            reason,
        } = decided;
        let (level, event) = match kind {
            EventKind::Install => (Level::Info, "install"),
            EventKind::LocalDisk => (Level::Info, "local-disk"),
            _ => (Level::Warn, "hold"),
        };
        let mut text = reason.clone();
        if !shown.is_empty() && (kind == EventKind::Hold || !complete) {
            let values = shown.iter().map(|(name, value)| format!("{name} {value}"));
            let values = values.collect::<Vec<_>>().join(", ");
            text = format!("{text}; reported identity: {values}");
        }
        let mut line = self
            .requester
            .line(level, event, text)
            .mac(Some(mac))
            .host(host.as_deref())
            .session(session);
        for (name, value) in shown {
            line = line.fact(name, value);
        }
        self.context.log.write(&line);
        self.context.events.push(Event {
            at: now,
            kind,
            host,
            mac: Some(mac),
            session,
            message: reason,
        });
    }
}
