//! Many machines at once: one task for each, with a limit on parallel tasks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::context::{ProgressCallback, TaskContext};
use super::services::Services;
use super::task::{HostJob, HostReport};
use super::task_runner::run_task;

/// How to run the tasks of many machines.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// The number of parallel tasks.
    pub jobs: usize,
    /// The time limit for each machine, from the start of its own task.
    pub time_limit: Duration,
    /// Whether to print changes instead of sending them.
    pub dry_run: bool,
}

/// The tasks cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct FleetError {
    action: &'static str,
    source: io::Error,
}

impl FleetError {
    /// Returns the next command for the operator.
    pub fn help(&self) -> String {
        "raise the limits on processes and open files; `ulimit -a` shows them".to_owned()
    }
}

/// Runs jobs and returns a report for each, in the order of the jobs. Calls `on_finished` as each
/// one ends.
///
/// On the first interrupt, every task logs out. A second interrupt ends the run at once.
///
/// # Errors
/// [`FleetError`] when the operating system provides no threads or no signal handlers.
pub fn run(
    jobs: Vec<HostJob>,
    services: Arc<Services>,
    options: FleetOptions,
    progress: ProgressCallback,
    on_finished: &mut dyn FnMut(&HostReport),
) -> Result<Vec<HostReport>, FleetError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // For name look-ups and the store. Each thread has its own stack.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|source| FleetError {
            action: "start the BMC tasks",
            source,
        })?;
    let reports = runtime.block_on(run_all(jobs, services, options, progress, on_finished));
    // Do not wait for a name look-up that hangs.
    runtime.shutdown_background();
    reports
}

async fn run_all(
    jobs: Vec<HostJob>,
    services: Arc<Services>,
    options: FleetOptions,
    progress: ProgressCallback,
    on_finished: &mut dyn FnMut(&HostReport),
) -> Result<Vec<HostReport>, FleetError> {
    let watch_signal = |kind| {
        signal(kind).map_err(|source| FleetError {
            action: "watch for signals",
            source,
        })
    };
    let mut interrupts = watch_signal(SignalKind::interrupt())?;
    let mut terminations = watch_signal(SignalKind::terminate())?;
    let (stop_sender, stop) = watch::channel(false);
    let (report_sender, mut finished_reports) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(options.jobs.max(1)));
    let mut reports: Vec<Option<HostReport>> = Vec::new();
    let mut tasks = JoinSet::new();
    for (index, job) in jobs.iter().cloned().enumerate() {
        reports.push(None);
        let (services, progress) = (Arc::clone(&services), Arc::clone(&progress));
        let (permits, stop) = (Arc::clone(&permits), stop.clone());
        let report_sender = report_sender.clone();
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let report = if *stop.borrow() {
                HostReport::interrupted(&job.target)
            } else {
                let name = &job.target.host.name;
                let context = TaskContext::new(name, options.time_limit, options.dry_run, progress);
                run_task(&job, &services, &Arc::new(context), stop).await
            };
            // The receiver is gone after a second interrupt.
            let _ = report_sender.send((index, report));
        });
    }
    drop(report_sender);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            report = finished_reports.recv() => match report {
                Some((index, report)) => {
                    on_finished(&report);
                    reports[index] = Some(report);
                }
                None => break,
            },
            _ = interrupts.recv() => if is_stopping { break } else {
                is_stopping = true;
                stop_sender.send_replace(true);
            },
            _ = terminations.recv() => {
                is_stopping = true;
                stop_sender.send_replace(true);
            }
        }
    }
    tasks.abort_all();
    let reports = reports.into_iter().zip(&jobs);
    Ok(reports
        .map(|(report, job)| report.unwrap_or_else(|| HostReport::interrupted(&job.target)))
        .collect())
}
