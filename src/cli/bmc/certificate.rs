use jiff::Timestamp;

use super::report::{explain, finished, json_of, table};
use super::rounds::{Rounds, exit_for};
use super::{Stop, fails, said};
use crate::bmc::{Report, Target, Task, described, event};
use crate::cli::Exit;
use crate::inventory::{Certificate, plural};
use crate::machine::{CertificateNote, ControllerRecord, ControllerTrust};
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
    let pairs = rounds.targets.iter().zip(&reports);
    let changes: Vec<(&Target, &Report, Change)> = pairs
        .filter(|(_, report)| report.result.is_ok())
        .map(|(target, report)| (target, report, change(target, report, rounds.yes)))
        .collect();
    let accepted: Vec<_> = changes
        .iter()
        .filter_map(|(target, report, change)| match change {
            Change::Accept(record) => Some((target, report, record)),
            Change::None | Change::Inventory => None,
        })
        .collect();
    let is_agreed = !rounds.dry_run && (accepted.is_empty() || agreed(rounds, &accepted)?);
    if is_agreed {
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
            let kept = rounds.store.keep_controller(record, &events);
            kept.map_err(fails)?;
        }
    }
    let word = |target: &Target, report: &Report, change: &Change| match change {
        Change::None => "unchanged",
        Change::Accept(_) if rounds.dry_run => "would be accepted",
        Change::Accept(_) if !is_agreed => "not accepted",
        Change::Accept(_) if is_same(target, report) => "unchanged; its machine is forgotten",
        Change::Accept(_) => "accepted",
        Change::Inventory => "not accepted: correct `bmc.pin`",
    };
    if rounds.output.is_json() {
        let listed = reports.iter().map(|report| {
            let mut value = json_of(report);
            let own = changes.iter().find(|(_, own, _)| own.host == report.host);
            if let Some((target, report, change)) = own {
                value["result"] = word(target, report, change).into();
                value["changed"] = (is_agreed && matches!(change, Change::Accept(_))).into();
            }
            value
        });
        let listed: Vec<_> = listed.collect();
        rounds.output.json(&listed);
    } else {
        let rows = changes
            .iter()
            .map(|(target, report, change)| (*target, *report, word(target, report, change)));
        rounds.output.result(&shown(rows));
    }
    if rounds.dry_run {
        return Ok(exit_for(&reports));
    }
    if !is_agreed {
        return Err(said(Exit::No));
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

type Accepted<'a> = (&'a &'a Target, &'a &'a Report, &'a Box<ControllerRecord>);

/// Shows what would be accepted, and asks.
fn agreed(rounds: &Rounds<'_>, accepted: &[Accepted<'_>]) -> Result<bool, Stop> {
    let count = plural(accepted.len(), "BMC");
    let mut what = format!("{count} would be accepted from now on");
    for (target, report, _) in accepted {
        let (old, new) = (trusted(target), seen(report));
        what.push_str(&format!("\n  {}: {new}; until now {old}", target.host.name));
    }
    rounds.asks(&what, "Accept?")
}

/// Reports whether the certificate is the one that is trusted.
fn is_same(target: &Target, report: &Report) -> bool {
    let kept = target.kept.as_ref().map(|kept| &kept.trust);
    match (&report.certificate, &target.bmc.certificate, kept) {
        (Some(seen), Certificate::Pinned(pin), _) => *pin == seen.note.fingerprint,
        (Some(_), Certificate::Authority(_), kept) => kept == Some(&ControllerTrust::Authority),
        (Some(seen), _, Some(ControllerTrust::Pinned(note))) => {
            note.fingerprint == seen.note.fingerprint
        }
        (None, _, Some(ControllerTrust::Plain)) => true,
        _ => false,
    }
}

fn change(target: &Target, report: &Report, yes: bool) -> Change {
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
    // To forget the machine needs to be said, where nothing is new.
    let knows = |kept: &ControllerRecord| kept.serial.is_some() || kept.uuid.is_some();
    let forgets = yes && target.kept.as_ref().is_some_and(knows);
    match is_same(target, report) && !forgets {
        true => Change::None,
        false => Change::Accept(Box::new(record)),
    }
}

/// Writes a table that fits a screen, and below it the fingerprints in full.
fn shown<'r>(changes: impl Iterator<Item = (&'r Target, &'r Report, &'static str)>) -> String {
    let mut rows = table(&["HOST", "UNTIL NOW", "SEEN", "RESULT"]);
    let mut whole = String::new();
    for (target, report, result) in changes {
        let (old, new) = (trusted(target), seen(report));
        let name = &target.host.name;
        rows.add_row([name.as_str(), &short(&old), &short(&new), result]);
        whole.push_str(&format!("\n{name}\n"));
        if old != new {
            whole.push_str(&format!("  until now  {old}\n"));
        }
        whole.push_str(&format!("  seen       {new}\n"));
    }
    format!("{}{whole}", finished(rows))
}

/// Returns the first digits of a fingerprint: enough to tell two apart at a glance.
fn short(text: &str) -> String {
    match text.strip_prefix("sha256:") {
        Some(rest) => format!("sha256:{}…", &rest[..rest.len().min(12)]),
        None => text.to_owned(),
    }
}

fn trusted(target: &Target) -> String {
    let kept = target.kept.as_ref().map(|kept| &kept.trust);
    match (&target.bmc.certificate, kept) {
        (Certificate::Pinned(pin), _) => format!("sha256:{pin} (`bmc.pin`)"),
        (Certificate::Authority(_), _) => "what `bmc.ca` vouches for".to_owned(),
        (_, Some(ControllerTrust::Pinned(note))) => spelled(note),
        (_, Some(ControllerTrust::Authority)) => "what an authority vouches for".to_owned(),
        (_, Some(ControllerTrust::Plain) | None) => "none".to_owned(),
    }
}

fn seen(report: &Report) -> String {
    match &report.certificate {
        Some(seen) => spelled(&seen.note),
        None => "none: no TLS".to_owned(),
    }
}

fn spelled(note: &CertificateNote) -> String {
    format!("sha256:{} ({})", note.fingerprint, described(note))
}
