use serde_json::{Value, json};

use super::Stop;
use super::report::{explain, json_of};
use super::rounds::Rounds;
use crate::bmc::{Difference, Hardware, Report, Task, compare, is_another};
use crate::cli::Exit;
use crate::inventory::{Correction, corrected, plural};

/// Shows what is in machines, and where the inventory disagrees; or prints corrected documents.
pub fn run(rounds: &Rounds<'_>, write: bool) -> Result<Exit, Stop> {
    let reports = rounds.visit(|_| Ok(Task::Inventory))?;
    explain(&reports, rounds.output);
    let mut listed = Vec::new();
    let mut documents = Vec::new();
    for (target, report) in rounds.targets.iter().zip(&reports) {
        let compared = compared(rounds, report);
        if write && is_another(target, report) {
            // What is in another machine is no correction of this one.
            let what = format!(
                "{}: no document is written, for another machine is behind its BMC",
                report.host
            );
            let help = "where it was exchanged on purpose, correct `serial` and `uuid` by hand";
            rounds.output.warning(&what, help);
        } else if write {
            documents.extend(document(rounds, report, &compared.corrections));
        } else if rounds.output.is_json() {
            listed.push(json(report, &compared));
        } else if let Some(hardware) = compared.hardware {
            let text = text(report, hardware, &compared.differences);
            rounds.output.result(&text);
        }
    }
    if write {
        rounds.output.data(&documents.join("---\n"));
    } else if rounds.output.is_json() {
        rounds.output.json(&listed);
    }
    Ok(rounds.exit_unless(&reports, |target, report| {
        let compared = compared(rounds, report);
        // What was corrected on paper is no fault of the command.
        let corrected = if write { compared.corrections.len() } else { 0 };
        is_another(target, report) || compared.differences.len() > corrected
    }))
}

struct Compared<'r> {
    hardware: Option<&'r Hardware>,
    differences: Vec<Difference>,
    corrections: Vec<Correction>,
}

fn compared<'r>(rounds: &Rounds<'_>, report: &'r Report) -> Compared<'r> {
    let done = report.result.as_ref().ok();
    let hardware = done.and_then(|done| done.hardware.as_ref());
    let host = rounds.good.inventory.hosts.get(&report.host);
    let (differences, corrections) = match (host, hardware) {
        (Some(host), Some(hardware)) => compare(host, hardware),
        _ => Default::default(),
    };
    Compared {
        hardware,
        differences,
        corrections,
    }
}

/// Corrects the document of a host; says so where its text cannot be edited.
fn document(rounds: &Rounds<'_>, report: &Report, corrections: &[Correction]) -> Option<String> {
    if corrections.is_empty() {
        return None;
    }
    let text = corrected(rounds.good.snapshot.files(), &report.host, corrections);
    if text.is_none() {
        let what = format!("{}: its document cannot be edited", report.host);
        let help = format!(
            "`pxectl bmc inventory {}` shows what to change",
            report.host
        );
        rounds.output.warning(&what, &help);
    }
    text
}

fn json(report: &Report, compared: &Compared<'_>) -> Value {
    let mut value = json_of(report);
    value["hardware"] = json!(compared.hardware);
    value["differences"] = json!(compared.differences);
    value
}

/// Writes what is in a machine, and the differences as a diff: `-` is what the inventory says.
fn text(report: &Report, hardware: &Hardware, differences: &[Difference]) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
    let mut text = format!(
        "{}: {} {}, serial {}, {}, {}\n",
        report.host,
        word(&hardware.manufacturer),
        word(&hardware.model),
        word(&hardware.serial),
        plural(hardware.nics.len(), "nic"),
        plural(hardware.disks.len(), "disk"),
    );
    if let Some(uuid) = hardware.uuid {
        text.push_str(&format!("  uuid  {uuid}\n"));
    }
    for nic in &hardware.nics {
        let link = match nic.link {
            Some(true) => ", link up",
            Some(false) => ", link down",
            None => "",
        };
        text.push_str(&format!("  nic   {} {}{link}\n", nic.mac, nic.id));
    }
    for disk in &hardware.disks {
        let size = disk.size.map(|size| format!("{} GB", size / 1_000_000_000));
        let parts = [
            disk.model.clone(),
            size,
            disk.serial.as_ref().map(|it| format!("serial {it}")),
            disk.wwn.as_ref().map(|it| format!("wwn {it}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        text.push_str(&format!("  disk  {}\n", parts.join(", ")));
    }
    for fault in &hardware.unread {
        text.push_str(&format!("  not read: {fault}\n"));
    }
    for difference in differences {
        let key = &difference.key;
        if let Some(value) = &difference.inventory {
            text.push_str(&format!("- {key}: {value}\n"));
        }
        if let Some(value) = &difference.machine {
            text.push_str(&format!("+ {key}: {value}\n"));
        }
    }
    text
}
