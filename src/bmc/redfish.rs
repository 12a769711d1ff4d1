//! One machine through Redfish: connecting, discovery, and sending changes.

mod boot;
mod collection;
mod console;
mod details;
mod hardware;
mod log;
mod media;
mod operation;
mod power;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::context::TaskContext;
use super::discover;
use super::error::BmcError;
use super::error_body::{is_temporary, named_settings};
use super::fields::members;
use super::quirks::{Quirks, quirks};
use super::request::ChangeRequest;
use super::resource::{ServiceRoot, System};
use super::services::Services;
use super::session::RedfishSession;
use super::status::MachineStatus;
use super::target::{BmcTarget, controller_event};
use super::transport::{RedfishResponse, Transport};
use super::trust::{CertificateVerifier, PresentedCertificate, Trust, describe_certificate};
use crate::clock::wall_time;
use crate::inventory::{BmcScheme, Certificate};
use crate::machine::{ControllerRecord, ControllerTrust};

/// The path of the service root. Source: DSP0266 §6.2.
const SERVICE_ROOT: &str = "/redfish/v1/";
/// The interval between two reads of a value that changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The wait before the first retry of a change that a busy machine refused. It doubles up to
/// [`LONGEST_BUSY_WAIT`].
const FIRST_BUSY_WAIT: Duration = Duration::from_millis(500);
const LONGEST_BUSY_WAIT: Duration = Duration::from_secs(5);

/// The result of sending a change.
enum ChangeResult {
    /// Under `--dry-run`: recorded, not sent.
    Planned,
    /// The BMC accepted the change.
    Accepted,
    /// The BMC refused the change for now, because the machine is in its self-test.
    Busy(BmcError),
    /// The BMC refused the change, or the operation failed.
    Refused(BmcError),
}

/// One machine behind a BMC that speaks Redfish.
pub struct RedfishController {
    session: RedfishSession,
    context: Arc<TaskContext>,
    root: ServiceRoot,
    system: System,
    quirks: Quirks,
    /// The store's record of the BMC, with the changes of this task.
    record: Option<ControllerRecord>,
    /// The wait before the next retry of a change that a busy machine refused.
    busy_wait: Duration,
    /// The settings resource that a refusal named.
    named_settings: Option<String>,
}

impl RedfishController {
    /// Prepares the connection to a BMC without sending anything.
    ///
    /// # Errors
    /// When the file of certificate authorities is unusable.
    pub fn new(
        context: &Arc<TaskContext>,
        target: &BmcTarget,
        services: &Services,
    ) -> Result<Self, BmcError> {
        let verifier = match target.bmc.url.scheme {
            BmcScheme::Https => {
                let trust = services.trust(target)?;
                let legacy_tls = target.bmc.legacy_tls;
                Some(CertificateVerifier::new(&context.host, trust, legacy_tls))
            }
            BmcScheme::Http | BmcScheme::Ipmi => None,
        };
        let base = target.bmc.url.to_string();
        let transport = Transport::new(&base, verifier, Arc::clone(context))?;
        let (root, system) = (ServiceRoot::default(), System::default());
        Ok(Self {
            session: RedfishSession::new(transport, Arc::clone(context)),
            context: Arc::clone(context),
            quirks: quirks(&root, &system),
            root,
            system,
            record: target.record.clone(),
            busy_wait: FIRST_BUSY_WAIT,
            named_settings: None,
        })
    }

    /// Reads the certificate of a BMC without sending a password.
    ///
    /// # Errors
    /// When the BMC presents no certificate.
    pub async fn read_certificate(
        context: &Arc<TaskContext>,
        target: &BmcTarget,
    ) -> Result<PresentedCertificate, BmcError> {
        context.report_progress("reading the certificate");
        let legacy_tls = target.bmc.legacy_tls;
        let verifier = CertificateVerifier::new(&context.host, Trust::Anything, legacy_tls);
        let base = target.bmc.url.to_string();
        let transport = Transport::new(&base, Some(Arc::clone(&verifier)), Arc::clone(context))?;
        let mut session = RedfishSession::new(transport, Arc::clone(context));
        let response = session.get(SERVICE_ROOT).await;
        // The handshake presents the certificate even if TLS or Redfish fails afterwards.
        match (verifier.presented(), response) {
            (Some(certificate), _) => Ok(certificate),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(BmcError::Unsupported {
                message: "the BMC presents no certificate".to_owned(),
            }),
        }
    }

    /// Connects, logs in and finds the system. Sends no password before the certificate is trusted
    /// and, on first use, recorded.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn open(
        &mut self,
        target: &BmcTarget,
        services: &Arc<Services>,
    ) -> Result<(), BmcError> {
        self.context.report_progress("connecting");
        let root = match self.session.get(SERVICE_ROOT).await {
            // Some BMCs refuse the service root without a password. Their paths are the usual ones.
            Err(BmcError::LoginFailed { .. } | BmcError::NotAllowed { .. }) => Value::Null,
            Err(error) => return Err(error),
            Ok(response) if response.is_success() => response.body,
            Ok(response) if response.status == 404 => {
                return Err(BmcError::Unsupported {
                    message: "no Redfish service at this address".to_owned(),
                });
            }
            Ok(response) => return Err(response.refusal(&Method::GET, SERVICE_ROOT)),
        };
        self.root = ServiceRoot::read(&root);
        self.record_certificate(target, services).await?;
        let password = services.password(&target.bmc).await?;
        let sessions = self.root.sessions.clone();
        self.session
            .log_in(&target.bmc.username, password, sessions)
            .await?;
        self.discover(target).await?;
        self.quirks = quirks(&self.root, &self.system);
        self.correct_serial();
        Ok(())
    }

    /// Returns the certificate that the BMC presented.
    pub fn certificate(&self) -> Option<PresentedCertificate> {
        self.session.transport().verifier()?.presented()
    }

    /// Returns the store's record of the BMC, with the changes of this task.
    pub fn record(&self) -> Option<&ControllerRecord> {
        self.record.as_ref()
    }

    /// Returns the last status of the machine.
    pub fn machine(&self) -> &MachineStatus {
        &self.system.machine
    }

    /// Logs out.
    pub async fn close(&mut self) {
        self.session.log_out().await;
    }

    /// Records a certificate that is trusted on first use.
    async fn record_certificate(
        &mut self,
        target: &BmcTarget,
        services: &Arc<Services>,
    ) -> Result<(), BmcError> {
        let is_recorded = target
            .record
            .as_ref()
            .is_some_and(|record| record.trust != ControllerTrust::Plain);
        if is_recorded || target.bmc.certificate != Certificate::FirstUse {
            return Ok(());
        }
        let Some(certificate) = self.certificate() else {
            return Ok(());
        };
        let url = target.bmc.url.to_string();
        let mut record = match &target.record {
            Some(record) => record.clone(),
            None => ControllerRecord::new(&self.context.host, url, wall_time()),
        };
        let mut events = Vec::new();
        record.trust = if certificate.by_authority {
            ControllerTrust::Authority
        } else {
            let message = format!(
                "certificate trusted on first use: {}",
                describe_certificate(&certificate.note)
            );
            events.push(controller_event(target, message.clone()));
            self.context.note(&message);
            ControllerTrust::Pinned(certificate.note)
        };
        services.save_record(&self.context, &record, events).await?;
        self.record = Some(record);
        Ok(())
    }

    async fn discover(&mut self, target: &BmcTarget) -> Result<(), BmcError> {
        self.context.report_progress("finding the system");
        let collection = self.root.systems.clone();
        let paths = members(&self.session.require(&collection).await?.body);
        let name = target.bmc.system.as_deref();
        self.system = match discover::by_path(&paths, name)? {
            Some(path) => self.read_system(&path).await?,
            None => {
                let mut systems = Vec::new();
                for path in paths.iter().take(discover::MAX_SYSTEMS) {
                    systems.push(self.read_system(path).await?);
                }
                discover::by_identity(systems, &target.host)?
            }
        };
        Ok(())
    }

    async fn read_system(&mut self, path: &str) -> Result<System, BmcError> {
        let response = self.session.require(path).await?;
        let mut system = System::read(path, &response.body);
        system.etag = response.etag;
        Ok(system)
    }

    /// Reads the system again.
    async fn refresh(&mut self) -> Result<(), BmcError> {
        let path = self.system.path.clone();
        self.system = self.read_system(&path).await?;
        self.correct_serial();
        Ok(())
    }

    /// Replaces the serial number with the SKU if that is the number that the firmware shows.
    fn correct_serial(&mut self) {
        if self.quirks.serial_is_sku && self.system.sku.is_some() {
            self.system.machine.serial = self.system.sku.clone();
        }
    }

    /// Waits because the machine is not ready for a change, and reads the system again.
    async fn wait_for_self_test(&mut self) -> Result<(), BmcError> {
        self.context
            .report_progress("waiting for the self-test to end");
        let wait = self.busy_wait;
        self.busy_wait = (2 * wait).min(LONGEST_BUSY_WAIT);
        self.context.pause(wait).await?;
        self.refresh().await
    }

    /// Sends a change and classifies the response.
    async fn send(
        &mut self,
        request: &ChangeRequest,
        etag: Option<&str>,
    ) -> Result<ChangeResult, BmcError> {
        let Some(response) = self.session.change(request, etag).await? else {
            return Ok(ChangeResult::Planned);
        };
        if response.status == 202 {
            return self.follow_operation(request, response).await;
        }
        if response.is_success() {
            return Ok(ChangeResult::Accepted);
        }
        let named = named_settings(&response.body, &self.system.path);
        self.named_settings = named.or(self.named_settings.take());
        let error = response.refusal(&request.method.into(), &request.path);
        Ok(if self.is_busy(&response) {
            ChangeResult::Busy(error)
        } else {
            ChangeResult::Refused(error)
        })
    }

    /// Reports whether a refused change may succeed later. During the self-test, BMCs refuse
    /// changes with the same status codes as changes that they do not support.
    fn is_busy(&self, response: &RedfishResponse) -> bool {
        let may_be_busy = matches!(
            response.status,
            400 | 404 | 405 | 409 | 410 | 500 | 501 | 503
        );
        may_be_busy && (self.system.machine.in_post || is_temporary(&response.body))
    }
}
