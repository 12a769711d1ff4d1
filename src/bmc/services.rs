//! Services that the tasks of all hosts share: secrets, the store, and the certificate authorities
//! of the operating system.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;

use super::context::TaskContext;
use super::error::BmcError;
use super::target::{BmcTarget, controller_event};
use super::trust::{PinOrigin, Trust, parse_authorities, system_authorities};
use crate::inventory::{Bmc, Certificate};
use crate::machine::{ControllerRecord, ControllerTrust, Event, Secret};
use crate::store::{Store, StoreError};
use crate::workspace::Secrets;

/// The services that the tasks of all hosts share.
pub struct Services {
    /// The inventory directory, which relative paths start from.
    directory: PathBuf,
    secrets: Secrets,
    store: Arc<dyn Store>,
    system_authorities: OnceLock<Arc<RootCertStore>>,
}

impl Services {
    /// Gathers the services for the inventory in `directory`.
    pub fn new(directory: PathBuf, secrets: Secrets, store: Arc<dyn Store>) -> Self {
        Self {
            directory,
            secrets,
            store,
            system_authorities: OnceLock::new(),
        }
    }

    /// Fetches the password of a BMC.
    ///
    /// # Errors
    /// [`BmcError::Secret`].
    pub async fn password(&self, bmc: &Bmc) -> Result<Secret, BmcError> {
        let fetched = self.secrets.fetch(&bmc.password).await;
        fetched.map_err(|error| BmcError::Secret {
            reason: error.to_string(),
        })
    }

    /// Returns how to verify the certificate of a BMC.
    ///
    /// # Errors
    /// When the file of certificate authorities is unusable.
    pub fn trust(&self, target: &BmcTarget) -> Result<Trust, BmcError> {
        let system = || Arc::clone(self.system_authorities.get_or_init(system_authorities));
        Ok(match &target.bmc.certificate {
            Certificate::Pinned(pin) => Trust::Pinned(*pin, PinOrigin::Inventory),
            Certificate::Authority(file) => {
                let path = self.directory.join(file);
                let content = std::fs::read(&path).map_err(|error| error.to_string());
                let roots = content.and_then(|pem| parse_authorities(&pem));
                Trust::Authorities(roots.map_err(|reason| BmcError::Certificate {
                    message: format!("cannot read `{}` (`bmc.ca`): {reason}", path.display()),
                    help: "set `bmc.ca` to a file of PEM certificates".to_owned(),
                })?)
            }
            Certificate::FirstUse => match target.record.as_ref().map(|record| &record.trust) {
                Some(ControllerTrust::Pinned(note)) => {
                    Trust::Pinned(note.fingerprint, PinOrigin::Store)
                }
                // A BMC whose certificate was signed by an authority needs a signed one later, too.
                Some(ControllerTrust::Authority) => Trust::Authorities(system()),
                Some(ControllerTrust::Plain) | None => Trust::FirstUse(system()),
            },
        })
    }

    /// Saves the record of a BMC durably. Does nothing under `--dry-run`.
    ///
    /// # Errors
    /// [`BmcError::Store`].
    pub async fn save_record(
        self: &Arc<Self>,
        context: &TaskContext,
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

    /// Appends the changes to a host to the event log.
    ///
    /// # Errors
    /// [`BmcError::Store`].
    pub async fn append_changes(
        self: &Arc<Self>,
        target: &BmcTarget,
        changes: Vec<String>,
    ) -> Result<(), BmcError> {
        if changes.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = changes
            .into_iter()
            .map(|message| controller_event(target, message))
            .collect();
        self.write(move |store| store.append(&events)).await
    }

    async fn write(
        self: &Arc<Self>,
        change: impl FnOnce(&dyn Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), BmcError> {
        let services = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || change(services.store.as_ref()));
        match written.await {
            Ok(written) => written.map_err(|error| BmcError::Store {
                message: error.to_string(),
                help: error.help(),
            }),
            Err(error) => Err(BmcError::Store {
                message: format!("cannot write to the store: {error}"),
                help: "run the same command again".to_owned(),
            }),
        }
    }
}
