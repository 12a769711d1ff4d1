//! Runs the task of one machine, from the connection to the logout.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::boot::{BootRequest, BootTarget, OverrideResult};
use super::context::TaskContext;
use super::controller::Controller;
use super::error::BmcError;
use super::identity;
use super::log::LogQuery;
use super::log_task::read_log;
use super::power::PowerAction;
use super::redfish::RedfishController;
use super::services::Services;
use super::status::PowerState;
use super::target::BmcTarget;
use super::task::{BmcTask, BootTask, HostJob, HostReport, TaskResult};
use super::trust::PresentedCertificate;
use crate::clock::wall_time;
use crate::inventory::BmcScheme;
use crate::machine::{Architecture, ControllerRecord};

/// How long an interrupt waits for a login in progress.
const LOGIN_TIME: Duration = Duration::from_secs(5);

/// Runs a job until it ends, its deadline passes or `stop` becomes true, and always logs out.
pub async fn run_task(
    job: &HostJob,
    services: &Arc<Services>,
    context: &Arc<TaskContext>,
    mut stop: watch::Receiver<bool>,
) -> HostReport {
    let mut report = HostReport::interrupted(&job.target);
    if let BmcTask::Certificate = job.task {
        report.result = tokio::select! {
            certificate = read_certificate(context, &job.target) => certificate.map(|certificate| {
                report.certificate = certificate;
                TaskResult::default()
            }),
            () = stopped(&mut stop) => Err(BmcError::Interrupted),
        };
        return report;
    }
    let mut controller = match Controller::new(context, &job.target, services) {
        Ok(controller) => controller,
        Err(error) => {
            report.result = Err(error);
            return report;
        }
    };
    mask_urls(&job.task, context);
    let mut was_opened = false;
    report.result = {
        let mut performing = pin!(tokio::time::timeout_at(
            context.deadline,
            perform(&mut controller, job, services, context, &mut was_opened),
        ));
        tokio::select! {
            result = &mut performing => result.unwrap_or_else(|_| Err(context.deadline_error())),
            () = stopped(&mut stop) => {
                // Nothing else would end a session whose login is in progress.
                let logged_in = async {
                    tokio::select! {
                        biased;
                        _ = &mut performing => {}
                        _ = context.lock_login() => {}
                    }
                };
                let _ = tokio::time::timeout(LOGIN_TIME, logged_in).await;
                interrupted(&job.task)
            }
        }
    };
    report.result = report.result.map_err(|error| context.mask_error(error));
    controller.close().await;
    report.machine = was_opened.then(|| controller.machine().clone());
    report.certificate = controller.certificate();
    report.planned = context.take_planned();
    report.notes = context.take_notes();
    let recorded = services.append_changes(&job.target, context.take_changes());
    if let Err(error) = recorded.await
        && report.result.is_ok()
    {
        report.result = Err(error);
    }
    report
}

/// Returns the result of an interrupted task. An interrupt is the usual end of a log that is
/// followed.
fn interrupted(task: &BmcTask) -> Result<TaskResult, BmcError> {
    match task {
        BmcTask::Log(LogQuery {
            follow: Some(_), ..
        }) => Ok(TaskResult::default()),
        _ => Err(BmcError::Interrupted),
    }
}

/// Masks the secrets in the URLs of a task: boot tokens and query strings.
fn mask_urls(task: &BmcTask, context: &TaskContext) {
    match task {
        BmcTask::Boot(BootTask {
            target: BootTarget::Http { uri },
            printable_uri: Some(printable),
            ..
        }) => {
            context.mask_secret(uri.expose(), printable);
            context.mask_secret(differing_part(uri.expose(), printable), "…");
        }
        BmcTask::InsertMedia { url, .. } => {
            if let Some((_, query)) = url.split_once('?') {
                context.mask_secret(query, "…");
            }
        }
        _ => {}
    }
}

/// Returns the middle of a text that differs from another text: the token in a URL.
fn differing_part<'t>(text: &'t str, other: &str) -> &'t str {
    let is_same = |(left, right): &(char, char)| left == right;
    let common_prefix = text.chars().zip(other.chars()).take_while(is_same);
    let prefix_length: usize = common_prefix.map(|(left, _)| left.len_utf8()).sum();
    let rest = &text[prefix_length..];
    let backwards = rest.chars().rev().zip(other.chars().rev());
    let common_suffix = backwards.take_while(is_same);
    let suffix_length: usize = common_suffix.map(|(left, _)| left.len_utf8()).sum();
    &rest[..rest.len() - suffix_length]
}

/// Waits until the operator stops the command.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn read_certificate(
    context: &Arc<TaskContext>,
    target: &BmcTarget,
) -> Result<Option<PresentedCertificate>, BmcError> {
    if target.bmc.url.scheme != BmcScheme::Https {
        return Ok(None);
    }
    let certificate = RedfishController::read_certificate(context, target).await?;
    Ok(Some(certificate))
}

async fn perform(
    controller: &mut Controller,
    job: &HostJob,
    services: &Arc<Services>,
    context: &Arc<TaskContext>,
    was_opened: &mut bool,
) -> Result<TaskResult, BmcError> {
    controller.open(&job.target, services).await?;
    *was_opened = true;
    let record = controller.record().cloned();
    match identity::check(&job.target.host, record.as_ref(), controller.machine()) {
        Ok(()) => save_identity(controller, &job.target, services, context).await?,
        // A task that only reads shows the other machine, with a note.
        Err(error)
            if matches!(
                job.task,
                BmcTask::Status | BmcTask::Hardware | BmcTask::Log(_)
            ) =>
        {
            context.note(&error.to_string());
        }
        Err(error) => return Err(error),
    }
    match &job.task {
        BmcTask::Status => {
            controller.read_details().await?;
            Ok(TaskResult::default())
        }
        BmcTask::Certificate => Ok(TaskResult::default()),
        BmcTask::Log(query) => read_log(controller, query, context).await,
        BmcTask::Console(request) => {
            let console = controller.console(*request, &job.target, services, context);
            Ok(TaskResult {
                console: Some(console.await?),
                ..TaskResult::default()
            })
        }
        BmcTask::Power(action) => change_power(controller, *action, context).await,
        BmcTask::Boot(boot) => set_boot(controller, &job.target, boot, context).await,
        BmcTask::InsertMedia { url, boot } => {
            insert_media(controller, &job.target, url, *boot, context).await
        }
        BmcTask::EjectMedia => eject_media(controller, context).await,
        BmcTask::Hardware => Ok(TaskResult {
            hardware: Some(controller.hardware().await?),
            ..TaskResult::default()
        }),
    }
}

/// Saves the identity of the machine behind a BMC if it is new or was corrected.
async fn save_identity(
    controller: &Controller,
    target: &BmcTarget,
    services: &Arc<Services>,
    context: &TaskContext,
) -> Result<(), BmcError> {
    let machine = controller.machine();
    let url = target.bmc.url.to_string();
    let mut record = match controller.record() {
        Some(record) => record.clone(),
        None => ControllerRecord::new(&context.host, url.clone(), wall_time()),
    };
    let serial = machine.serial.clone().or_else(|| record.serial.clone());
    let uuid = machine.uuid.or(record.uuid);
    if (&serial, uuid, &url) == (&record.serial, record.uuid, &record.url) {
        return Ok(());
    }
    (record.serial, record.uuid, record.url) = (serial, uuid, url);
    services.save_record(context, &record, Vec::new()).await
}

async fn change_power(
    controller: &mut Controller,
    action: PowerAction,
    context: &TaskContext,
) -> Result<TaskResult, BmcError> {
    let before = controller.machine().power;
    let effect = controller.change_power(action).await?;
    let Some(effect) = effect else {
        let summary = if context.dry_run {
            format!("would not change: already {before}")
        } else {
            format!("already {before}")
        };
        return Ok(TaskResult::new(false, summary));
    };
    let done = effect.past_tense();
    context.record_change(done.to_owned());
    let would_be = if context.dry_run { "would be " } else { "" };
    Ok(TaskResult::new(true, format!("{would_be}{done}")))
}

async fn set_boot(
    controller: &mut Controller,
    target: &BmcTarget,
    boot: &BootTask,
    context: &TaskContext,
) -> Result<TaskResult, BmcError> {
    if boot.reboot {
        // An override without a reset would wait for some later boot.
        controller.check_power(reboot_action(controller)).await?;
    }
    if let Some(address) = &boot.address {
        controller.set_static_address(address).await?;
    }
    let request = BootRequest {
        target: boot.target.clone(),
        uefi: target.host.arch != Architecture::Bios,
        uri_optional: boot.uri_optional,
    };
    let result = controller.set_boot(&request).await?;
    let device = boot.target.phrase();
    let how_often = |every_boot| {
        if every_boot {
            "on every boot, until it is changed"
        } else {
            "once"
        }
    };
    let (changed, mut summary) = match result {
        OverrideResult::AlreadySet { every_boot } => {
            let how_often = how_often(every_boot);
            let summary = if context.dry_run {
                format!("would boot {device} {how_often}, as already set")
            } else {
                format!("already set to boot {device} {how_often}")
            };
            (false, summary)
        }
        OverrideResult::Set { every_boot } => {
            let summary = format!("set to boot {device} {}", how_often(every_boot));
            context.record_change(summary.clone());
            (true, summary)
        }
        OverrideResult::Planned => (true, format!("would boot {device} once")),
    };
    let machine = controller.machine();
    // A machine in its self-test has yet to choose its boot device, so it needs no reset.
    if !changed && machine.in_post {
        summary.push_str("; already booting");
        return Ok(TaskResult::new(changed, summary));
    }
    if !boot.reboot {
        return Ok(TaskResult::new(changed, summary));
    }
    let rebooted = controller.change_power(reboot_action(controller)).await;
    let effect = rebooted.inspect_err(|_| {
        context.note(&format!(
            "{summary}, and not rebooted: its next boot is affected"
        ));
    })?;
    let done = effect.map_or("already on", PowerAction::past_tense);
    if effect.is_some() {
        context.record_change(done.to_owned());
    }
    let would_be = if context.dry_run { "would be " } else { "" };
    Ok(TaskResult::new(
        true,
        format!("{summary}; {would_be}{done}"),
    ))
}

/// Returns the power action that boots a machine: a machine that is off is started.
fn reboot_action(controller: &Controller) -> PowerAction {
    match controller.machine().power {
        PowerState::Off | PowerState::PoweringOff => PowerAction::On,
        _ => PowerAction::Reset,
    }
}

async fn insert_media(
    controller: &mut Controller,
    target: &BmcTarget,
    url: &str,
    boot: bool,
    context: &TaskContext,
) -> Result<TaskResult, BmcError> {
    if boot {
        controller.check_power(reboot_action(controller)).await?;
    }
    let changed = controller.insert_media(url).await?;
    let summary = match (changed, context.dry_run) {
        (true, true) => "would be inserted",
        (true, false) => "inserted",
        (false, true) => "would not change: already inserted",
        (false, false) => "already inserted",
    };
    if changed {
        context.record_change("virtual media inserted".to_owned());
    }
    if !boot {
        return Ok(TaskResult::new(changed, summary));
    }
    let boot_cd = BootTask::new(BootTarget::Cd, true);
    let booted = set_boot(controller, target, &boot_cd, context).await?;
    Ok(TaskResult::new(
        changed || booted.changed,
        format!("{summary}; {}", booted.summary),
    ))
}

async fn eject_media(
    controller: &mut Controller,
    context: &TaskContext,
) -> Result<TaskResult, BmcError> {
    let changed = controller.eject_media().await?;
    if changed {
        context.record_change("virtual media ejected".to_owned());
    }
    Ok(TaskResult::new(
        changed,
        match (changed, context.dry_run) {
            (true, true) => "would be ejected",
            (true, false) => "ejected",
            (false, true) => "would not change: the drive is already empty",
            (false, false) => "the drive was already empty",
        },
    ))
}
