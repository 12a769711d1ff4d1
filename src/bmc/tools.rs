//! What the tasks of all hosts share: secrets, the store, and the authorities of this system.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rustls::RootCertStore;

use super::trust::{PinPlace, Trust, authorities, system_authorities};
use super::{BmcError, Context};
use crate::inventory::{Bmc, Certificate, Host};
use crate::machine::{ControllerRecord, ControllerTrust, Event, EventKind, Secret, SessionId};
use crate::store::{Store, StoreError};
use crate::workspace::Secrets;

/// One host, and what is known of it before anything is asked.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// Its controller.
    pub bmc: Bmc,
    /// What the store knows of its controller.
    pub kept: Option<ControllerRecord>,
    /// Its open session, if it is armed: events of its controller belong to it.
    pub session: Option<SessionId>,
}

/// What the tasks of all hosts share.
pub struct Tools {
    directory: PathBuf,
    secrets: Secrets,
    store: Arc<dyn Store>,
    system: OnceLock<Arc<RootCertStore>>,
}

impl Tools {
    /// Gathers the tools for an inventory in `directory`.
    pub fn new(directory: PathBuf, secrets: Secrets, store: Arc<dyn Store>) -> Self {
        Self {
            directory,
            secrets,
            store,
            system: OnceLock::new(),
        }
    }

    /// Fetches the password of a controller.
    ///
    /// # Errors
    /// [`BmcError::Secret`].
    pub async fn password(&self, bmc: &Bmc) -> Result<Secret, BmcError> {
        let fetched = self.secrets.fetch(&bmc.password).await;
        fetched.map_err(|error| BmcError::Secret {
            reason: error.to_string(),
        })
    }

    /// Says whose word is taken for the certificate of a controller.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub fn trust(&self, target: &Target) -> Result<Trust, BmcError> {
        let system = || Arc::clone(self.system.get_or_init(system_authorities));
        Ok(match &target.bmc.certificate {
            Certificate::Pinned(pin) => Trust::Pinned(*pin, PinPlace::Inventory),
            Certificate::Authority(file) => {
                let path = self.directory.join(file);
                let read = std::fs::read(&path).map_err(|error| error.to_string());
                let roots = read.and_then(|pem| authorities(&pem));
                Trust::Authorities(roots.map_err(|reason| BmcError::Certificate {
                    what: format!("`bmc.ca`: `{}`: {reason}", path.display()),
                    help: "name a file of PEM certificates".to_owned(),
                })?)
            }
            Certificate::FirstUse => match target.kept.as_ref().map(|kept| &kept.trust) {
                Some(ControllerTrust::Pinned(note)) => {
                    Trust::Pinned(note.fingerprint, PinPlace::Store)
                }
                // What an authority vouched for once is not taken without one later.
                Some(ControllerTrust::Authority) => Trust::Authorities(system()),
                Some(ControllerTrust::Plain) | None => Trust::FirstUse(system()),
            },
        })
    }

    /// Keeps what is known of a controller, durably. Under `--dry-run` nothing is kept.
    ///
    /// # Errors
    /// [`BmcError::Store`].
    pub async fn keep(
        self: &Arc<Self>,
        context: &Context,
        record: &ControllerRecord,
        events: Vec<Event>,
    ) -> Result<(), BmcError> {
        if context.dry_run {
            return Ok(());
        }
        let record = record.clone();
        self.write(move |store| store.keep_controller(&record, &events))
            .await
    }

    /// Tells what was done to a host.
    ///
    /// # Errors
    /// [`BmcError::Store`].
    pub async fn tell(
        self: &Arc<Self>,
        target: &Target,
        changes: Vec<String>,
    ) -> Result<(), BmcError> {
        if changes.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = changes
            .into_iter()
            .map(|message| event(target, message))
            .collect();
        self.write(move |store| store.append(&events)).await
    }

    async fn write(
        self: &Arc<Self>,
        change: impl FnOnce(&dyn Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), BmcError> {
        let tools = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || change(tools.store.as_ref())).await;
        let refused = |reason: String| BmcError::Store { reason };
        written
            .map_err(|error| refused(error.to_string()))?
            .map_err(|error| refused(format!("{error}; {}", error.help())))
    }
}

/// Makes the event that tells what was done to a host.
pub fn event(target: &Target, message: String) -> Event {
    Event {
        at: Timestamp::now(),
        kind: EventKind::Controller,
        host: Some(target.host.name.clone()),
        mac: None,
        session: target.session,
        message,
    }
}
