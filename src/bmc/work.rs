//! What each command does to one machine, from connecting to logging out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::boot::Wanted;
use super::hardware::Hardware;
use super::identity;
use super::redfish::{Redfish, StaticAddress};
use super::tools::{Target, Tools};
use super::trust::SeenCertificate;
use super::{
    BmcError, BootDone, BootTarget, Context, Controller, Machine, Planned, PowerState, PowerVerb,
};
use crate::inventory::BmcScheme;
use crate::machine::{Architecture, ControllerRecord};

/// How long a log-in is waited for that an interrupt finds under way.
const LOG_IN_TIME: Duration = Duration::from_secs(5);

/// What is to be done to one machine.
#[derive(Clone, Debug)]
pub struct Job {
    /// The machine.
    pub target: Target,
    /// What is done to it.
    pub task: Task,
}

/// What is done to a machine.
#[derive(Clone, Debug)]
pub enum Task {
    /// Reads what it is and does.
    Status,
    /// Changes its power.
    Power(PowerVerb),
    /// Tells it what to boot next, and has it boot.
    Boot(Boot),
    /// Inserts an image into a virtual drive, and perhaps boots it.
    Insert {
        /// The image.
        url: String,
        /// Whether it is booted, once.
        boot: bool,
    },
    /// Ejects what is in its virtual drives.
    Eject,
    /// Reads what is in it.
    Inventory,
    /// Looks at the certificate of its controller.
    Certificate,
}

/// What a machine is told to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// What.
    pub target: BootTarget,
    /// Whether the URI of HTTP boot may be left to DHCP.
    pub uri_may_be_left_out: bool,
    /// The static address of HTTP boot.
    pub address: Option<StaticAddress>,
    /// Whether it is started or reset, so that it boots now.
    pub power: bool,
    /// The URI of HTTP boot as it may be shown, where it holds a token.
    pub shown: Option<String>,
}

/// What came of a job.
#[derive(Clone, Debug)]
pub struct Report {
    /// The host's name.
    pub host: String,
    /// Where its controller is.
    pub url: String,
    /// What was done, or why not.
    pub result: Result<Done, BmcError>,
    /// What the machine said last; none where it could not be asked.
    pub machine: Option<Machine>,
    /// What was seen of the certificate.
    pub certificate: Option<SeenCertificate>,
    /// What the operator should know besides.
    pub notes: Vec<String>,
    /// What `--dry-run` has kept back.
    pub planned: Vec<Planned>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Whether anything was changed.
    pub changed: bool,
    /// What, in a few words.
    pub what: String,
    /// What is in the machine.
    pub hardware: Option<Hardware>,
}

/// Does a job, until its deadline or until `stop` says so, and always logs out.
pub async fn carry_out(
    job: &Job,
    tools: &Arc<Tools>,
    context: &Arc<Context>,
    mut stop: watch::Receiver<bool>,
) -> Report {
    let mut report = Report {
        host: context.host.clone(),
        url: job.target.bmc.url.to_string(),
        result: Err(BmcError::Stopped),
        machine: None,
        certificate: None,
        notes: Vec::new(),
        planned: Vec::new(),
    };
    if let Task::Certificate = job.task {
        report.result = tokio::select! {
            seen = certificate(context, &job.target) => seen.map(|seen| {
                report.certificate = seen;
                Done::default()
            }),
            () = stopped(&mut stop) => Err(BmcError::Stopped),
        };
        return report;
    }
    let mut controller = match Controller::new(context, &job.target, tools) {
        Ok(controller) => controller,
        Err(error) => {
            report.result = Err(error);
            return report;
        }
    };
    if let Task::Boot(Boot {
        target: BootTarget::Http { uri },
        shown: Some(shown),
        ..
    }) = &job.task
    {
        context.cover(uri.expose(), shown);
        context.cover(differing(uri.expose(), shown), "…");
    }
    if let Task::Insert { url, .. } = &job.task
        && let Some((_, query)) = url.split_once('?')
    {
        context.cover(query, "…");
    }
    let mut was_opened = false;
    report.result = {
        let mut performing = pin!(tokio::time::timeout_at(
            context.deadline,
            perform(&mut controller, job, tools, context, &mut was_opened),
        ));
        tokio::select! {
            done = &mut performing => done.unwrap_or_else(|_| Err(context.late())),
            () = stopped(&mut stop) => {
                // A session that begins now would be ended by nobody.
                let logged_in = async {
                    tokio::select! {
                        biased;
                        _ = &mut performing => {}
                        _ = context.begin_login() => {}
                    }
                };
                let _ = tokio::time::timeout(LOG_IN_TIME, logged_in).await;
                Err(BmcError::Stopped)
            }
        }
    };
    report.result = report.result.map_err(|error| context.masked(error));
    controller.close().await;
    report.machine = was_opened.then(|| controller.machine().clone());
    report.certificate = controller.certificate();
    report.planned = context.take_planned();
    report.notes = context.take_notes();
    if let Err(error) = tools.tell(&job.target, context.take_changes()).await
        && report.result.is_ok()
    {
        report.result = Err(error);
    }
    report
}

/// Returns the middle of a text that differs from another: the token in a URL.
fn differing<'t>(text: &'t str, shown: &str) -> &'t str {
    let same = |(one, other): &(char, char)| one == other;
    let start = text.chars().zip(shown.chars()).take_while(same);
    let start: usize = start.map(|(one, _)| one.len_utf8()).sum();
    let rest = &text[start..];
    let end = rest.chars().rev().zip(shown.chars().rev());
    let end: usize = end.take_while(same).map(|(one, _)| one.len_utf8()).sum();
    &rest[..rest.len() - end]
}

/// Waits until an operator stops the command.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn certificate(
    context: &Arc<Context>,
    target: &Target,
) -> Result<Option<SeenCertificate>, BmcError> {
    if target.bmc.url.scheme != BmcScheme::Https {
        return Ok(None);
    }
    Redfish::look_at_certificate(context, target)
        .await
        .map(Some)
}

async fn perform(
    controller: &mut Controller,
    job: &Job,
    tools: &Arc<Tools>,
    context: &Arc<Context>,
    was_opened: &mut bool,
) -> Result<Done, BmcError> {
    controller.open(&job.target, tools).await?;
    *was_opened = true;
    let kept = controller.kept().cloned();
    match identity::check(&job.target.host, kept.as_ref(), controller.machine()) {
        Ok(()) => keep_identity(controller, &job.target, tools, context).await?,
        // Who only looks is told, and sees the machine.
        Err(error) if matches!(job.task, Task::Status | Task::Inventory) => {
            context.note(&error.to_string());
        }
        Err(error) => return Err(error),
    }
    match &job.task {
        Task::Status | Task::Certificate => Ok(Done::default()),
        Task::Power(verb) => power(controller, *verb, context).await,
        Task::Boot(boot) => start(controller, &job.target, boot, context).await,
        Task::Insert { url, boot } => insert(controller, &job.target, url, *boot, context).await,
        Task::Eject => {
            let changed = controller.eject().await?;
            if changed {
                context.changed("virtual media ejected".to_owned());
            }
            let what = match (changed, context.dry_run) {
                (true, true) => "would be ejected",
                (true, false) => "ejected",
                (false, true) => "would be left as it is: its drive is empty already",
                (false, false) => "its drive was empty already",
            };
            Ok(done(changed, what))
        }
        Task::Inventory => Ok(Done {
            hardware: Some(controller.hardware().await?),
            ..Done::default()
        }),
    }
}

/// Keeps which machine is behind a controller, where that was not known or has been corrected.
async fn keep_identity(
    controller: &Controller,
    target: &Target,
    tools: &Arc<Tools>,
    context: &Context,
) -> Result<(), BmcError> {
    let seen = controller.machine();
    let url = target.bmc.url.to_string();
    let mut record = match controller.kept() {
        Some(kept) => kept.clone(),
        None => ControllerRecord::new(&context.host, url.clone(), Timestamp::now()),
    };
    let serial = seen.serial.clone().or_else(|| record.serial.clone());
    let uuid = seen.uuid.or(record.uuid);
    let is_news = (&serial, uuid, &url) != (&record.serial, record.uuid, &record.url);
    if !is_news {
        return Ok(());
    }
    (record.serial, record.uuid, record.url) = (serial, uuid, url);
    tools.keep(context, &record, Vec::new()).await
}

async fn power(
    controller: &mut Controller,
    verb: PowerVerb,
    context: &Context,
) -> Result<Done, BmcError> {
    let before = controller.machine().power;
    let changed = controller.power(verb).await?;
    let what = done_to_power(verb, before);
    if changed {
        context.changed(what.to_owned());
    }
    let what = match (changed, context.dry_run) {
        (true, true) => format!("would be {what}"),
        (true, false) => what.to_owned(),
        (false, true) => format!("would be left as it is: it is {before} already"),
        (false, false) => format!("is {before} already"),
    };
    Ok(done(changed, &what))
}

/// A machine that is off is started by whatever would restart it.
fn done_to_power(verb: PowerVerb, before: PowerState) -> &'static str {
    match before {
        PowerState::Off => PowerVerb::On.done(),
        _ => verb.done(),
    }
}

async fn start(
    controller: &mut Controller,
    target: &Target,
    boot: &Boot,
    context: &Context,
) -> Result<Done, BmcError> {
    if let Some(address) = &boot.address {
        controller.set_static_address(address).await?;
    }
    let wanted = Wanted {
        target: boot.target.clone(),
        uefi: target.host.arch != Architecture::Bios,
        uri_may_be_left_out: boot.uri_may_be_left_out,
    };
    let set = controller.boot(&wanted).await?;
    let from = boot.target.words();
    let often = |each_time| match each_time {
        true => "each time, until it is told otherwise",
        false => "once",
    };
    let (changed, mut what) = match set {
        BootDone::Already { each_time } if context.dry_run => {
            let often = often(each_time);
            (
                false,
                format!("would boot {from} {often}, as it was told already"),
            )
        }
        BootDone::Already { each_time } => (
            false,
            format!("was told to boot {from} {} already", often(each_time)),
        ),
        BootDone::Set { each_time } => {
            let what = format!("boots {from} {}", often(each_time));
            context.changed(format!("told to boot {from} {}", often(each_time)));
            (true, what)
        }
        BootDone::Planned => (true, format!("would boot {from} once")),
    };
    let machine = controller.machine();
    // During its self-test it has not come to what it boots yet.
    let is_on_its_way = !changed && machine.in_post;
    if boot.power && !is_on_its_way {
        let before = machine.power;
        let verb = match before {
            PowerState::Off | PowerState::PoweringOff => PowerVerb::On,
            _ => PowerVerb::Reset,
        };
        controller.power(verb).await?;
        let done = done_to_power(verb, before);
        context.changed(done.to_owned());
        let would_be = if context.dry_run { "would be " } else { "" };
        what = format!("{what}; {would_be}{done}");
    } else if is_on_its_way {
        what = format!("{what}; it is booting");
    }
    Ok(done(changed || (boot.power && !is_on_its_way), &what))
}

async fn insert(
    controller: &mut Controller,
    target: &Target,
    url: &str,
    boot: bool,
    context: &Context,
) -> Result<Done, BmcError> {
    let changed = controller.insert(url).await?;
    let mut what = match (changed, context.dry_run) {
        (true, true) => "would be inserted".to_owned(),
        (true, false) => "inserted".to_owned(),
        (false, true) => "would be left as it is: it is inserted already".to_owned(),
        (false, false) => "was inserted already".to_owned(),
    };
    if changed {
        context.changed("virtual media inserted".to_owned());
    }
    if !boot {
        return Ok(done(changed, &what));
    }
    let cd = Boot {
        target: BootTarget::Cd,
        uri_may_be_left_out: false,
        address: None,
        power: true,
        shown: None,
    };
    let started = start(controller, target, &cd, context).await?;
    what = format!("{what}; {}", started.what);
    Ok(done(changed || started.changed, &what))
}

fn done(changed: bool, what: &str) -> Done {
    Done {
        changed,
        what: what.to_owned(),
        hardware: None,
    }
}

impl BootTarget {
    /// Says from what a machine boots.
    fn words(&self) -> &'static str {
        match self {
            Self::Pxe => "from the network (PXE)",
            Self::Http { .. } => "from the network (HTTP)",
            Self::Disk => "from its disk",
            Self::Cd => "from its CD",
        }
    }
}
