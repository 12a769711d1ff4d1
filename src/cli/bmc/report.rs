use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::bmc::{HostReport, PlannedRequest};
use crate::cli::output::Output;

/// Prints the result for each host, and the errors.
pub fn print(reports: &[HostReport], dry_run: bool, output: &Output) {
    print_messages(reports, output);
    if output.is_json() {
        let listed: Vec<Value> = reports.iter().map(json_of).collect();
        return output.json(&listed);
    }
    if dry_run {
        for report in reports.iter().filter(|report| report.result.is_ok()) {
            let mut text = format!("{}: {}\n", report.host, summary(report));
            for request in &report.planned {
                text.push_str(&format!("  {}\n", format_request(request)));
            }
            output.result(&text);
        }
        return;
    }
    let mut rows = table(&["HOST", "POWER", "RESULT"]);
    for report in reports {
        let power = report.machine.as_ref().map(|it| it.power.to_string());
        rows.add_row([
            report.host.clone(),
            power.unwrap_or_default(),
            summary(report),
        ]);
    }
    output.result(&format_table(rows));
}

/// Prints the notes and the errors of all hosts on standard error.
pub fn print_messages(reports: &[HostReport], output: &Output) {
    for report in reports {
        for note in &report.notes {
            output.note(&format!("{}: {note}", report.host));
        }
    }
    for report in reports {
        if let Err(error) = &report.result {
            output.error(&format!("{}: {error}", report.host), &error.help());
        }
    }
}

/// Returns the result for a host in a few words. The full error is printed on standard error.
pub fn summary(report: &HostReport) -> String {
    match &report.result {
        Ok(result) => result.summary.clone(),
        Err(error) => format!("failed: {}", error.label()),
    }
}

/// Returns the JSON object for a host.
pub fn json_of(report: &HostReport) -> Value {
    let result = report.result.as_ref();
    let mut value = json!({
        "host": report.host,
        "url": report.url,
        "ok": result.is_ok(),
        "changed": result.is_ok_and(|result| result.changed),
        "result": result.ok().map(|result| &result.summary),
        "error": result.err().map(|error| json!({
            "message": error.to_string(),
            "help": error.help(),
        })),
        "machine": report.machine,
        "certificate": report.certificate.as_ref().map(|certificate| json!({
            "fingerprint": format!("sha256:{}", certificate.note.fingerprint),
            "subject": certificate.note.subject,
            "valid_from": certificate.note.valid_from,
            "valid_until": certificate.note.valid_until,
            "by_authority": certificate.by_authority,
        })),
        "notes": report.notes,
    });
    if !report.planned.is_empty() {
        value["requests"] = json!(report.planned);
    }
    value
}

fn format_request(request: &PlannedRequest) -> String {
    match &request.body {
        Some(body) => format!("{} {} {body}", request.method, request.path),
        None => format!("{} {}", request.method, request.path),
    }
}

/// Starts a table in the style of every list of hosts.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table
}

/// Formats a table as text.
pub fn format_table(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}
