//! One machine through Redfish: connecting, reading, and power.

mod boot;
mod hardware;
mod media;

pub use boot::StaticAddress;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fields::{Fields, members};
use super::power::{PowerStep, plan};
use super::quirks::{Quirks, quirks};
use super::refusal::says_not_now;
use super::resource::{ServiceRoot, System};
use super::session::Account;
use super::tools::{Target, Tools, event};
use super::transport::{Answer, Transport};
use super::trust::{SeenCertificate, Trust, Verifier, described};
use super::{BmcError, Context, Machine, PowerState, PowerVerb, discover};
use crate::inventory::{BmcScheme, Certificate};
use crate::machine::{ControllerRecord, ControllerTrust};

/// How long a machine may take to do what cannot fail: lose its power, or get it.
const POWER_TIME: Duration = Duration::from_secs(40);
/// How long is waited between two looks at a machine that changes.
const LOOK: Duration = Duration::from_secs(1);
/// How long is waited before something is sent again to a machine that is not ready for it, at
/// first; twice as long each time, up to a limit.
const NOT_NOW: Duration = Duration::from_millis(500);
const NOT_NOW_LONGEST: Duration = Duration::from_secs(5);

/// What came of sending something.
enum Sent {
    /// `--dry-run`: it was noted.
    Planned,
    /// It was accepted.
    Accepted,
    /// It was refused for now: the machine is busy with its self-test.
    NotNow(BmcError),
    /// It was refused.
    Refused(BmcError),
}

/// One machine behind a controller that speaks Redfish.
pub struct Redfish {
    account: Account,
    context: Arc<Context>,
    root: ServiceRoot,
    system: System,
    quirks: Quirks,
    /// What the store knows of the controller by now.
    kept: Option<ControllerRecord>,
    /// How long is waited the next time that the machine is not ready.
    not_now: Duration,
}

impl Redfish {
    /// Makes the way to a controller; nothing is sent yet.
    ///
    /// # Errors
    /// When the file of authorities cannot be used.
    pub fn new(context: &Arc<Context>, target: &Target, tools: &Tools) -> Result<Self, BmcError> {
        let verifier = match target.bmc.url.scheme {
            BmcScheme::Https => {
                let trust = tools.trust(target)?;
                Some(Verifier::new(&context.host, trust, target.bmc.legacy_tls))
            }
            BmcScheme::Http | BmcScheme::Ipmi => None,
        };
        let base = target.bmc.url.to_string();
        let transport = Transport::new(&base, verifier, Arc::clone(context))?;
        let (root, system) = (ServiceRoot::default(), System::default());
        Ok(Self {
            account: Account::new(transport, Arc::clone(context)),
            context: Arc::clone(context),
            quirks: quirks(&root, &system),
            root,
            system,
            kept: target.kept.clone(),
            not_now: NOT_NOW,
        })
    }

    /// Looks at the certificate of a controller and nothing else: no password is sent.
    ///
    /// # Errors
    /// When no certificate was shown.
    pub async fn look_at_certificate(
        context: &Arc<Context>,
        target: &Target,
    ) -> Result<SeenCertificate, BmcError> {
        context.says("looking at its certificate");
        let verifier = Verifier::new(&context.host, Trust::Anything, target.bmc.legacy_tls);
        let base = target.bmc.url.to_string();
        let way = Transport::new(&base, Some(Arc::clone(&verifier)), Arc::clone(context))?;
        let answer = Account::new(way, Arc::clone(context))
            .get("/redfish/v1/")
            .await;
        // A certificate that cannot be used, or whose bearer speaks no Redfish, was seen all the same.
        match (verifier.seen(), answer) {
            (Some(seen), _) => Ok(seen),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(BmcError::Unsupported {
                what: "it shows no certificate".to_owned(),
            }),
        }
    }

    /// Connects, logs in and finds the system. No password is sent before the certificate is
    /// trusted and, at first use, kept.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn open(&mut self, target: &Target, tools: &Arc<Tools>) -> Result<(), BmcError> {
        self.context.says("connecting");
        let root = self.account.get("/redfish/v1/").await;
        let root = match root {
            // Some let nobody in without a password, and are where everybody is.
            Err(BmcError::WrongPassword { .. } | BmcError::NotAllowed { .. }) => Value::Null,
            Err(error) => return Err(error),
            Ok(answer) if answer.is_success() => answer.body,
            Ok(answer) if answer.status == 404 => {
                return Err(BmcError::Unsupported {
                    what: "there is no Redfish service behind this address".to_owned(),
                });
            }
            Ok(answer) => return Err(answer.refused(&Method::GET, "/redfish/v1/")),
        };
        self.root = ServiceRoot::read(&root);
        self.keep_certificate(target, tools).await?;
        let password = tools.password(&target.bmc).await?;
        let sessions = self.root.sessions.clone();
        self.account
            .log_in(&target.bmc.username, password, sessions)
            .await?;
        self.discover(target).await?;
        self.quirks = quirks(&self.root, &self.system);
        self.mend_serial();
        Ok(())
    }

    /// Returns what was seen of the certificate.
    pub fn certificate(&self) -> Option<SeenCertificate> {
        self.account.transport().verifier()?.seen()
    }

    /// Keeps the certificate that was seen first.
    async fn keep_certificate(
        &mut self,
        target: &Target,
        tools: &Arc<Tools>,
    ) -> Result<(), BmcError> {
        let is_known = target
            .kept
            .as_ref()
            .is_some_and(|kept| kept.trust != ControllerTrust::Plain);
        let Some(seen) = self.certificate().filter(|_| !is_known) else {
            return Ok(());
        };
        if target.bmc.certificate != Certificate::FirstUse {
            return Ok(());
        }
        let url = target.bmc.url.to_string();
        let mut record = match &target.kept {
            Some(kept) => kept.clone(),
            None => ControllerRecord::new(&self.context.host, url, Timestamp::now()),
        };
        let mut events = Vec::new();
        record.trust = match seen.by_authority {
            true => ControllerTrust::Authority,
            false => {
                let text = format!(
                    "certificate trusted on first use: sha256:{} ({})",
                    seen.note.fingerprint,
                    described(&seen.note)
                );
                events.push(event(target, text.clone()));
                self.context.note(&text);
                ControllerTrust::Pinned(seen.note)
            }
        };
        tools.keep(&self.context, &record, events).await?;
        self.kept = Some(record);
        Ok(())
    }

    /// Returns what the store knows of the controller by now.
    pub fn kept(&self) -> Option<&ControllerRecord> {
        self.kept.as_ref()
    }

    async fn discover(&mut self, target: &Target) -> Result<(), BmcError> {
        self.context.says("looking for its system");
        let collection = self.root.systems.clone();
        let listed = members(&self.account.need(&collection).await?.body);
        let wanted = target.bmc.system.as_deref();
        self.system = match discover::by_path(&listed, wanted)? {
            Some(path) => self.read_system(&path).await?,
            None => {
                let mut systems = Vec::new();
                for path in listed.iter().take(discover::MOST) {
                    systems.push(self.read_system(path).await?);
                }
                discover::by_identity(systems, &target.host)?
            }
        };
        Ok(())
    }

    async fn read_system(&mut self, path: &str) -> Result<System, BmcError> {
        let answer = self.account.need(path).await?;
        let mut system = System::read(path, &answer.body);
        system.etag = answer.etag;
        Ok(system)
    }

    /// Reads the system anew.
    async fn look(&mut self) -> Result<(), BmcError> {
        let path = self.system.path.clone();
        self.system = self.read_system(&path).await?;
        self.mend_serial();
        Ok(())
    }

    /// Puts the number in place that firmware shows as the serial number.
    fn mend_serial(&mut self) {
        if self.quirks.serial_is_sku && self.system.sku.is_some() {
            self.system.machine.serial = self.system.sku.clone();
        }
    }

    /// Returns what the system said when it was read last.
    pub fn machine(&self) -> &Machine {
        &self.system.machine
    }

    /// Ends the session.
    pub async fn close(&mut self) {
        self.account.log_out().await;
    }

    /// Changes the power, and waits for what comes of it. Returns whether anything was to be done.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power(&mut self, verb: PowerVerb) -> Result<bool, BmcError> {
        let Some(reset) = self.system.reset.clone() else {
            return Err(BmcError::Unsupported {
                what: "its system has no action `#ComputerSystem.Reset`".to_owned(),
            });
        };
        let mut allowed = reset.allowed.clone();
        if let (true, Some(info)) = (allowed.is_empty(), &reset.info) {
            allowed = reset_types(&self.account.get(info).await?.body);
        }
        let steps = plan(verb, self.system.machine.power, &allowed).map_err(|error| {
            BmcError::Unsupported {
                what: error.to_string(),
            }
        })?;
        for step in &steps {
            let was_off = self.system.machine.power == PowerState::Off;
            self.context.says(match (step.until, verb) {
                (PowerState::Off, PowerVerb::Graceful) => "shutting down",
                (PowerState::Off, _) => "powering off",
                (_, PowerVerb::Reset) if !was_off => "resetting",
                (_, PowerVerb::Cycle) if !was_off => "power cycling",
                _ => "powering on",
            });
            if self.reset(&reset.target, step).await? {
                self.wait_for(step.until, verb).await?;
            }
        }
        Ok(!steps.is_empty())
    }

    /// Asks for one of the reset types of a step. Returns whether it was sent.
    async fn reset(&mut self, target: &str, step: &PowerStep) -> Result<bool, BmcError> {
        loop {
            let mut last = None;
            let mut is_not_now = false;
            for reset_type in &step.types {
                let body = json!({ "ResetType": reset_type });
                match self.send(Method::POST, target, &body, None).await? {
                    Sent::Planned => return Ok(false),
                    Sent::Accepted => return Ok(true),
                    Sent::NotNow(error) => {
                        last = Some(error);
                        is_not_now = true;
                        break;
                    }
                    Sent::Refused(error) => last = Some(BmcError::or_better(last, error)),
                }
            }
            // Where it is so already, the refusal said just that.
            self.look().await?;
            if self.system.machine.power == step.until && step.until == PowerState::Off {
                return Ok(true);
            }
            match last {
                Some(error) if !is_not_now => return Err(error),
                _ => self.wait_out_self_test().await?,
            }
        }
    }

    /// Waits until the power is as wanted.
    async fn wait_for(&mut self, until: PowerState, verb: PowerVerb) -> Result<(), BmcError> {
        let patience = match verb {
            // A system may take as long as it likes to shut down.
            PowerVerb::Graceful => self.context.time,
            _ => POWER_TIME,
        };
        let end = Instant::now() + patience;
        loop {
            self.look().await?;
            let state = self.system.machine.power;
            // One that does not say cannot be waited for.
            let done = match until {
                PowerState::Off => matches!(state, PowerState::Off | PowerState::Unknown),
                _ => !matches!(state, PowerState::Off | PowerState::PoweringOff),
            };
            if done {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(BmcError::NotTaken {
                    what: "its power".to_owned(),
                    wanted: until.to_string(),
                    seen: state.to_string(),
                });
            }
            if verb == PowerVerb::Graceful {
                self.context
                    .says("waiting for its system to shut down (`bmc power off` cuts the power)");
            }
            self.context.pause(LOOK).await?;
        }
    }

    /// Waits a moment because the machine is not ready for a change, and looks at it again.
    async fn wait_out_self_test(&mut self) -> Result<(), BmcError> {
        self.context.says("waiting for its self-test to end");
        let time = self.not_now;
        self.not_now = (2 * time).min(NOT_NOW_LONGEST);
        self.context.pause(time).await?;
        self.look().await
    }

    /// Sends what changes something, and judges the answer.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        etag: Option<&str>,
    ) -> Result<Sent, BmcError> {
        let answer = self
            .account
            .change(method.clone(), path, body, etag)
            .await?;
        Ok(match answer {
            None => Sent::Planned,
            Some(answer) if answer.is_success() => Sent::Accepted,
            Some(answer) => {
                let error = answer.refused(&method, path);
                match self.is_not_now(&answer) {
                    true => Sent::NotNow(error),
                    false => Sent::Refused(error),
                }
            }
        })
    }

    /// Reports whether a refusal may be another answer later: what machines refuse during their
    /// self-test looks like what they cannot do at all.
    fn is_not_now(&self, answer: &Answer) -> bool {
        let may_be = matches!(answer.status, 400 | 404 | 405 | 409 | 410 | 500 | 501 | 503);
        may_be && (self.system.machine.in_post || says_not_now(&answer.body))
    }
}

/// Reads the reset types that an action's description allows. Source: DSP0268, ActionInfo.
fn reset_types(info: &Value) -> Vec<String> {
    let parameters = Fields::of(info).items("Parameters").iter().map(Fields::of);
    let mut of_type = parameters.filter(|it| it.raw("Name") == Some("ResetType"));
    of_type
        .next()
        .map_or_else(Vec::new, |it| it.texts("AllowableValues"))
}
