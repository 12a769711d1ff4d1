//! Many machines at once: a task for each, some of them at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::tools::Tools;
use super::work::{Job, Report, carry_out};
use super::{BmcError, Context, Watch};

/// How many machines at once, and how long each may take.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many at a time.
    pub jobs: usize,
    /// How long each has, from its own start.
    pub time: Duration,
    /// Whether nothing may be changed.
    pub dry_run: bool,
}

/// Does jobs, and returns a report of each in their order; `finished` is told of each as it ends.
///
/// The first interrupt has each task log out; the second ends at once.
///
/// # Errors
/// When the system gives no threads or no signals.
pub fn run(
    jobs: Vec<Job>,
    tools: Arc<Tools>,
    fleet: Fleet,
    watch: Watch,
    finished: &mut dyn FnMut(&Report),
) -> anyhow::Result<Vec<Report>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Name look-ups and the store; each thread has a stack.
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .context("cannot start the tasks")?;
    let reports = runtime.block_on(all(jobs, tools, fleet, watch, finished));
    // A name look-up that hangs must not keep us here.
    runtime.shutdown_background();
    reports
}

async fn all(
    jobs: Vec<Job>,
    tools: Arc<Tools>,
    fleet: Fleet,
    watch: Watch,
    finished: &mut dyn FnMut(&Report),
) -> anyhow::Result<Vec<Report>> {
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot watch for signals")?;
    let mut endings = signal(SignalKind::terminate()).context("cannot watch for signals")?;
    let (stop, stopping) = watch::channel(false);
    let (done, mut finishing) = mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(fleet.jobs.max(1)));
    let mut reports: Vec<Option<Report>> = Vec::new();
    let mut tasks = JoinSet::new();
    for (index, job) in jobs.iter().cloned().enumerate() {
        reports.push(None);
        let (tools, watch, permits) = (Arc::clone(&tools), watch.clone(), Arc::clone(&permits));
        let (stopping, done) = (stopping.clone(), done.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let report = if *stopping.borrow() {
                stopped(&job)
            } else {
                let name = &job.target.host.name;
                let context = Arc::new(Context::new(name, fleet.time, fleet.dry_run, watch));
                carry_out(&job, &tools, &context, stopping).await
            };
            // Whoever listened has been interrupted twice.
            let _ = done.send((index, report));
        });
    }
    drop(done);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            report = finishing.recv() => match report {
                Some((index, report)) => {
                    finished(&report);
                    reports[index] = Some(report);
                }
                None => break,
            },
            _ = interrupts.recv() => if is_stopping { break } else {
                is_stopping = true;
                stop.send_replace(true);
            },
            _ = endings.recv() => {
                is_stopping = true;
                stop.send_replace(true);
            }
        }
    }
    tasks.abort_all();
    let reports = reports.into_iter().zip(&jobs);
    Ok(reports
        .map(|(report, job)| report.unwrap_or_else(|| stopped(job)))
        .collect())
}

fn stopped(job: &Job) -> Report {
    Report {
        host: job.target.host.name.clone(),
        url: job.target.bmc.url.to_string(),
        result: Err(BmcError::Stopped),
        machine: None,
        certificate: None,
        notes: Vec::new(),
        planned: Vec::new(),
    }
}
