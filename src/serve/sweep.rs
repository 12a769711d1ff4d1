//! The sweep of the store: records each expiry when it happens, remembers the time, and reports what
//! keeps anything destructive from being served.

use std::time::{Duration, Instant};

use super::log::{Level, Line, Log};
use super::shutdown::Shutdown;
use crate::decide::{Impediment, expire};
use crate::machine::{Event, EventKind};
use crate::store::{HostUpdate, Settled, Store, StoreError};

/// How often the store is swept.
const SWEEP_TIME: Duration = Duration::from_secs(1);
/// How often the time is stored while nothing else is: a clock that is set back further than this is
/// noticed after a restart too.
const NOTE_TIME: Duration = Duration::from_secs(30);
/// How often the thread looks whether it should end.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Sweeps a store until shutdown is requested.
pub fn sweep(store: &dyn Store, log: &Log, shutdown: &Shutdown) {
    let mut last: Option<String> = None;
    let (mut swept, mut noted) = (None::<Instant>, None::<Instant>);
    while !shutdown.is_requested() {
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_TIME) {
            swept = Some(Instant::now());
            let result = sweep_once(store, log, &mut last);
            let is_due = noted.is_none_or(|at| at.elapsed() >= NOTE_TIME);
            let result = result.and_then(|is_sound| match is_sound && is_due {
                true => {
                    noted = Some(Instant::now());
                    store.note_time()
                }
                false => Ok(()),
            });
            if let Err(error) = result {
                report(log, &mut last, format!("{error}; {}", error.help()));
            }
        }
        std::thread::sleep(HEARTBEAT);
    }
}

/// Sweeps once; reports whether the store is sound.
fn sweep_once(store: &dyn Store, log: &Log, last: &mut Option<String>) -> Result<bool, StoreError> {
    let standing = store.standing()?;
    match standing.impediment() {
        None => {
            if last.take().is_some() {
                let text = "installs are served again";
                log.say(Level::Info, "store", "store-sound", text);
            }
        }
        Some(impediment) => {
            report(log, last, format!("{impediment}; {}", impediment.help()));
            if matches!(impediment, Impediment::StoreUnconfirmed(_)) {
                log_settled(log, &store.settle()?);
            }
        }
    }
    if !matches!(
        standing.impediment(),
        Some(Impediment::StoreReplaced { .. })
    ) {
        expire_hosts(store, log)?;
    }
    Ok(standing.impediment().is_none())
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
        let line = Line::new(Level::Warn, "store", "expired", event.message);
        let line = line.host(event.host.as_deref());
        log.write(&line.session(event.session));
    }
    Ok(())
}

/// Logs that sessions were suspended, once they were.
pub fn log_settled(log: &Log, settled: &Settled) {
    let Some(doubt) = &settled.doubt else {
        return;
    };
    let hosts = match settled.suspended.as_slice() {
        [] => "no session was open".to_owned(),
        hosts => format!(
            "suspended the sessions of {}; `pxectl host provision` arms them again",
            hosts.join(", ")
        ),
    };
    log.say(
        Level::Warn,
        "store",
        "store-suspended",
        format!("{doubt}; {hosts}"),
    );
}

/// Logs what is wrong, once for as long as it stays the same in kind.
fn report(log: &Log, last: &mut Option<String>, text: String) {
    let kind = text
        .split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ");
    if last.as_ref() != Some(&kind) {
        log.say(Level::Error, "store", "store-impeded", text);
        *last = Some(kind);
    }
}
