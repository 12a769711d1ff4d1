//! Sweeps the store: records each expiry on time, stores the current time, and logs each problem that
//! prevents installs from being served.

use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

use super::log::{Level, Log, LogLine};
use crate::decide::{Impediment, expire};
use crate::machine::{Event, EventKind};
use crate::shutdown::Shutdown;
use crate::store::{HostUpdate, SettleReport, Store, StoreError, StoreFault};

/// Interval between sweeps of the store.
const SWEEP_TIME: Duration = Duration::from_secs(1);
/// Interval at which the current time is stored if nothing else is. After a restart, a clock that was
/// set back further than this is still noticed.
const NOTE_TIME: Duration = Duration::from_secs(30);
/// Interval at which the thread checks for shutdown.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Sweeps a store until shutdown is requested.
pub fn sweep(store: &dyn Store, log: &Log, shutdown: &Shutdown) {
    let mut reported = Vec::new();
    let (mut swept, mut noted) = (None::<Instant>, None::<Instant>);
    while !shutdown.is_requested() {
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_TIME) {
            swept = Some(Instant::now());
            let notes_time = noted.is_none_or(|at| at.elapsed() >= NOTE_TIME);
            if notes_time {
                noted = Some(Instant::now());
            }
            match sweep_once(store, log, notes_time, &mut reported) {
                Ok(true) if !reported.is_empty() => {
                    reported.clear();
                    let text = "installs are served again";
                    log.event(Level::Info, "store", "store-sound", text);
                }
                Ok(_) => {}
                Err(error) => {
                    let problem = StoreProblem::Failed(discriminant(&error.fault));
                    let text = format!("{error}; {}", error.help());
                    report(log, &mut reported, problem, text);
                }
            }
        }
        std::thread::sleep(HEARTBEAT);
    }
}

/// Sweeps once and stores the time; reports whether installs can be served.
///
/// # Errors
/// When the store cannot be read or written.
pub fn sweep_now(store: &dyn Store, log: &Log) -> Result<bool, StoreError> {
    sweep_once(store, log, true, &mut Vec::new())
}

/// A problem that prevents installs from being served. Each kind is logged once until it is solved.
#[derive(PartialEq)]
enum StoreProblem {
    Impeded(Discriminant<Impediment>),
    Failed(Discriminant<StoreFault>),
}

/// Sweeps once; reports whether installs can be served.
fn sweep_once(
    store: &dyn Store,
    log: &Log,
    notes_time: bool,
    reported: &mut Vec<StoreProblem>,
) -> Result<bool, StoreError> {
    let standing = store.standing()?;
    if let Some(impediment) = standing.impediment() {
        let problem = StoreProblem::Impeded(discriminant(impediment));
        let text = format!("{impediment}; {}", impediment.help());
        report(log, reported, problem, text);
        match impediment {
            Impediment::StoreUnconfirmed(_) => log_settled(log, &store.settle()?),
            Impediment::StoreReplaced { .. } => return Ok(false),
            Impediment::ClockBehind { .. } => {}
        }
    }
    expire_hosts(store, log)?;
    let is_sound = standing.impediment().is_none();
    if is_sound && notes_time {
        store.note_time()?;
    }
    Ok(is_sound)
}

/// Ends the sessions whose deadlines have passed.
fn expire_hosts(store: &dyn Store, log: &Log) -> Result<(), StoreError> {
    let standing = store.standing()?;
    let open = store.open_hosts()?;
    let due: Vec<&str> = open
        .iter()
        .filter(|record| expire(record, &standing).is_some())
        .map(|record| record.host.as_str())
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    let mut events = Vec::new();
    store.update(&due, &mut |name, record, standing| {
        let record = expire(record?, standing)?;
        let event = Event {
            at: standing.now(),
            kind: EventKind::Expired,
            host: Some(name.to_owned()),
            mac: None,
            session: record.session.as_ref().map(|session| session.id),
            message: record.reason.clone().unwrap_or_default(),
        };
        events.push(event.clone());
        Some(HostUpdate {
            record,
            plan: None,
            events: vec![event],
        })
    })?;
    for event in events {
        let line = LogLine::new(Level::Warn, "store", "expired", event.message);
        let line = line.host(event.host.as_deref());
        log.write(&line.session(event.session));
    }
    Ok(())
}

/// Logs the sessions that were suspended, if the store was in doubt.
pub fn log_settled(log: &Log, settled: &SettleReport) {
    let Some(doubt) = &settled.doubt else {
        return;
    };
    let hosts = match settled.suspended.as_slice() {
        [] => "no session was open".to_owned(),
        hosts => format!(
            "suspended the sessions of {}; run `pxectl host provision` to arm them again",
            hosts.join(", ")
        ),
    };
    log.event(
        Level::Warn,
        "store",
        "store-suspended",
        format!("{doubt}; {hosts}"),
    );
}

fn report(log: &Log, reported: &mut Vec<StoreProblem>, problem: StoreProblem, text: String) {
    if !reported.contains(&problem) {
        log.event(Level::Error, "store", "store-impeded", text);
        reported.push(problem);
    }
}
