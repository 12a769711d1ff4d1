use jiff::Timestamp;

use super::report::{explain, finished, json_of, table};
use super::rounds::{Rounds, exit_for};
use super::{Stop, fails, said};
use crate::bmc::{Report, Target, Task, described, event};
use crate::cli::Exit;
use crate::inventory::{Certificate, plural};
use crate::machine::{ControllerRecord, ControllerTrust};
use crate::store::Store;

/// What happens to what is trusted of one controller.
enum Change {
    /// It is so already.
    None,
    /// It is accepted.
    Accept(Box<ControllerRecord>),
    /// The inventory pins another certificate, and goes first.
    Inventory,
}

/// Accepts the certificates of BMCs, after they were shown.
pub fn run(rounds: &Rounds<'_>) -> Result<Exit, Stop> {
    let reports = rounds.visit(|_| Ok(Task::Certificate))?;
    explain(&reports, rounds.output);
    let changes: Vec<(&Target, &Report, Change)> = rounds
        .targets
        .iter()
        .zip(&reports)
        .filter(|(_, report)| report.result.is_ok())
        .map(|(target, report)| (target, report, change(target, report)))
        .collect();
    if rounds.output.is_json() {
        let listed: Vec<_> = reports.iter().map(json_of).collect();
        rounds.output.json(&listed);
    } else {
        show(rounds, &changes);
    }
    if rounds.dry_run {
        return Ok(exit_for(&reports));
    }
    let accepted: Vec<_> = changes
        .iter()
        .filter_map(|(target, report, change)| match change {
            Change::Accept(record) => Some((target, report, record)),
            Change::None | Change::Inventory => None,
        })
        .collect();
    if !accepted.is_empty() {
        let what = format!(
            "{} would be accepted from now on",
            plural(accepted.len(), "BMC")
        );
        if !rounds.asks(&what, "Accept?")? {
            return Err(said(Exit::No));
        }
    }
    for (target, report, record) in &accepted {
        let message = match &report.certificate {
            Some(seen) => format!(
                "certificate accepted: sha256:{} ({})",
                seen.note.fingerprint,
                described(&seen.note)
            ),
            None => "the machine behind its BMC was accepted".to_owned(),
        };
        let events = [event(target, message)];
        rounds
            .store
            .keep_controller(record, &events)
            .map_err(fails)?;
    }
    let is_refused =
        |(.., change): &(&Target, &Report, Change)| matches!(change, Change::Inventory);
    match (
        exit_for(&reports),
        changes.iter().filter(|it| is_refused(it)).count(),
    ) {
        (Exit::Done, 0) => Ok(Exit::Done),
        (Exit::Done, refused) if refused == changes.len() => Ok(Exit::No),
        (Exit::Done, _) => Ok(Exit::Partly),
        (exit, _) => Ok(exit),
    }
}

fn change(target: &Target, report: &Report) -> Change {
    let url = target.bmc.url.to_string();
    // What was seen behind it is forgotten: the machine may have been exchanged with its BMC.
    let mut record = ControllerRecord::new(&target.host.name, url, Timestamp::now());
    if let Some(seen) = &report.certificate {
        let pinned = seen.note.fingerprint;
        if matches!(&target.bmc.certificate, Certificate::Pinned(pin) if *pin != pinned) {
            return Change::Inventory;
        }
        record.trust = match target.bmc.certificate {
            Certificate::Authority(_) => ControllerTrust::Authority,
            _ => ControllerTrust::Pinned(seen.note.clone()),
        };
    }
    let is_same = target.kept.as_ref().is_some_and(|kept| {
        kept.trust == record.trust && kept.serial.is_none() && kept.uuid.is_none()
    });
    match is_same {
        true => Change::None,
        false => Change::Accept(Box::new(record)),
    }
}

fn show(rounds: &Rounds<'_>, changes: &[(&Target, &Report, Change)]) {
    let mut rows = table(&["HOST", "TRUSTED UNTIL NOW", "SEEN", "RESULT"]);
    for (target, report, change) in changes {
        let kept = target.kept.as_ref().map(|kept| &kept.trust);
        let old = match (&target.bmc.certificate, kept) {
            (Certificate::Pinned(pin), _) => format!("sha256:{pin}\nby `bmc.pin`"),
            (Certificate::Authority(file), _) => format!("what `{file}` vouches for"),
            (_, Some(ControllerTrust::Pinned(note))) => {
                format!("sha256:{}\n{}", note.fingerprint, described(note))
            }
            (_, Some(ControllerTrust::Authority)) => "what an authority vouches for".to_owned(),
            (_, Some(ControllerTrust::Plain) | None) => "none".to_owned(),
        };
        let new = match &report.certificate {
            Some(seen) => {
                let note = &seen.note;
                format!("sha256:{}\n{}", note.fingerprint, described(note))
            }
            None => "none: it has no TLS".to_owned(),
        };
        let result = match change {
            Change::None => "trusted already",
            Change::Accept(_) if rounds.dry_run => "would be accepted",
            Change::Accept(_) => "to be accepted",
            Change::Inventory => "not accepted: correct `bmc.pin`",
        };
        rows.add_row([target.host.name.clone(), old, new, result.to_owned()]);
    }
    rounds.output.result(&finished(rows));
}
