use serde_json::{Value, json};

use super::report::{json_of, print_messages};
use super::rounds::{Rounds, exit_with_findings};
use crate::bmc::{BmcTarget, BmcTask, Hardware, HardwareDifference, HostReport, compare};
use crate::cli::error::CommandResult;
use crate::inventory::{Correction, corrected, plural};

/// The hardware of one machine, compared with its `Host` document.
struct HostComparison<'r> {
    target: &'r BmcTarget,
    report: &'r HostReport,
    hardware: Option<&'r Hardware>,
    differences: Vec<HardwareDifference>,
    corrections: Vec<Correction>,
}

impl<'r> HostComparison<'r> {
    fn new(rounds: &Rounds<'_>, target: &'r BmcTarget, report: &'r HostReport) -> Self {
        let result = report.result.as_ref().ok();
        let hardware = result.and_then(|result| result.hardware.as_ref());
        let host = rounds.good.inventory.hosts.get(&report.host);
        let (differences, corrections) = match (host, hardware) {
            (Some(host), Some(hardware)) => compare(host, hardware),
            _ => Default::default(),
        };
        Self {
            target,
            report,
            hardware,
            differences,
            corrections,
        }
    }

    fn is_other_machine(&self) -> bool {
        self.report.is_other_machine(self.target)
    }
}

/// Shows the hardware of machines and its differences from the inventory, or prints corrected
/// documents.
pub fn run(rounds: &Rounds<'_>, write: bool) -> CommandResult {
    let reports = rounds.visit(|_| Ok(BmcTask::Hardware))?;
    print_messages(&reports, rounds.output);
    let pairs = rounds.targets.iter().zip(&reports);
    let comparisons: Vec<_> = pairs
        .map(|(target, report)| HostComparison::new(rounds, target, report))
        .collect();
    if write {
        let corrected = |comparison| document(rounds, comparison);
        let documents: Vec<String> = comparisons.iter().filter_map(corrected).collect();
        rounds.output.data(&documents.join("---\n"));
    } else if rounds.output.is_json() {
        let listed: Vec<Value> = comparisons.iter().map(json_object).collect();
        rounds.output.json(&listed);
    } else {
        for comparison in &comparisons {
            if let Some(hardware) = comparison.hardware {
                rounds.output.result(&text(comparison, hardware));
            }
        }
    }
    let has_finding = comparisons.iter().any(|comparison| {
        // A difference that a printed document corrects does not count.
        let corrected = if write {
            comparison.corrections.len()
        } else {
            0
        };
        comparison.is_other_machine() || comparison.differences.len() > corrected
    });
    Ok(exit_with_findings(&reports, has_finding))
}

/// Returns the corrected document of a host. Warns if it cannot be corrected.
fn document(rounds: &Rounds<'_>, comparison: &HostComparison<'_>) -> Option<String> {
    let host = &comparison.report.host;
    if comparison.is_other_machine() {
        // The values of another machine correct nothing.
        let message =
            format!("{host}: no document is written, because another machine is behind its BMC");
        let help = "if the machine was replaced on purpose, correct `serial` and `uuid` by hand";
        rounds.output.warning(&message, help);
        return None;
    }
    if comparison.corrections.is_empty() {
        return None;
    }
    let files = rounds.good.snapshot.files();
    let text = corrected(files, host, &comparison.corrections);
    if text.is_none() {
        let message = format!("{host}: cannot edit its document");
        let help = format!("`pxectl bmc inventory {host}` shows what to change");
        rounds.output.warning(&message, &help);
    }
    text
}

fn json_object(comparison: &HostComparison<'_>) -> Value {
    let mut value = json_of(comparison.report);
    value["hardware"] = json!(comparison.hardware);
    value["differences"] = json!(comparison.differences);
    value
}

/// Formats the hardware of a machine, and the differences as a diff from the inventory.
fn text(comparison: &HostComparison<'_>, hardware: &Hardware) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
    let mut text = format!(
        "{}: {} {}, serial {}, {}, {}\n",
        comparison.report.host,
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
    for reason in &hardware.unread {
        text.push_str(&format!("  not read: {reason}\n"));
    }
    for difference in &comparison.differences {
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
