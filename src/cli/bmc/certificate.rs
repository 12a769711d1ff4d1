use super::report::{format_table, json_of, print_messages, table};
use super::rounds::{Rounds, exit_for};
use crate::bmc::{BmcTarget, BmcTask, HostReport, controller_event, describe_certificate};
use crate::cli::Exit;
use crate::cli::error::{CommandError, CommandResult};
use crate::clock::wall_time;
use crate::inventory::{Certificate, plural};
use crate::machine::{ControllerRecord, ControllerTrust};
use crate::store::Store;

/// The longest prefix of a fingerprint in a table, in characters.
const SHORT_FINGERPRINT: usize = 12;

/// How the trust in one BMC would change.
enum PinChange {
    /// Not at all.
    Unchanged,
    /// The presented certificate becomes trusted.
    Accept(Box<ControllerRecord>),
    /// Not at all, because the inventory pins another certificate and takes precedence.
    PinnedInInventory,
}

/// The certificate of one BMC, and how the trust in it would change.
struct PinReview<'r> {
    target: &'r BmcTarget,
    report: &'r HostReport,
    change: PinChange,
}

/// Shows the certificates of BMCs, asks, and accepts them.
pub fn run(rounds: &Rounds<'_>) -> CommandResult {
    let reports = rounds.visit(|_| Ok(BmcTask::Certificate))?;
    print_messages(&reports, rounds.output);
    let pairs = rounds.targets.iter().zip(&reports);
    let reviews: Vec<PinReview<'_>> = pairs
        .filter(|(_, report)| report.result.is_ok())
        .map(|(target, report)| PinReview::new(target, report, rounds.yes))
        .collect();
    let is_accepted = !rounds.dry_run && confirm(rounds, &reviews)?;
    if is_accepted {
        for review in &reviews {
            review.save(rounds)?;
        }
    }
    print_reviews(rounds, &reports, &reviews, is_accepted);
    if rounds.dry_run {
        return Ok(exit_for(&reports));
    }
    if !is_accepted {
        return Err(CommandError::reported(Exit::No));
    }
    let refused = reviews
        .iter()
        .filter(|review| matches!(review.change, PinChange::PinnedInInventory))
        .count();
    Ok(match exit_for(&reports) {
        Exit::Done if refused == 0 => Exit::Done,
        Exit::Done if refused == reviews.len() => Exit::No,
        Exit::Done => Exit::Partly,
        exit => exit,
    })
}

impl<'r> PinReview<'r> {
    fn new(target: &'r BmcTarget, report: &'r HostReport, yes: bool) -> Self {
        Self {
            target,
            report,
            change: pin_change(target, report, yes),
        }
    }

    /// Saves an accepted certificate in the store.
    fn save(&self, rounds: &Rounds<'_>) -> CommandResult<()> {
        let PinChange::Accept(record) = &self.change else {
            return Ok(());
        };
        let message = match &self.report.certificate {
            Some(certificate) => format!(
                "certificate accepted: {}",
                describe_certificate(&certificate.note)
            ),
            None => "the machine behind the BMC was accepted".to_owned(),
        };
        let events = [controller_event(self.target, message)];
        let saved = rounds.store.keep_controller(record, &events);
        Ok(saved?)
    }

    /// Returns the result in a few words.
    fn result(&self, is_accepted: bool, dry_run: bool) -> &'static str {
        match &self.change {
            PinChange::Unchanged => "unchanged",
            PinChange::Accept(_) if dry_run => "would be accepted",
            PinChange::Accept(_) if !is_accepted => "not accepted",
            PinChange::Accept(_) if is_trusted(self.target, self.report) => {
                "unchanged; machine forgotten"
            }
            PinChange::Accept(_) => "accepted",
            PinChange::PinnedInInventory => "not accepted: correct `bmc.pin`",
        }
    }

    fn trusted(&self) -> String {
        let record = self.target.record.as_ref().map(|record| &record.trust);
        match (&self.target.bmc.certificate, record) {
            (Certificate::Pinned(pin), _) => format!("sha256:{pin} (`bmc.pin`)"),
            (Certificate::Authority(_), _) => "signed by `bmc.ca`".to_owned(),
            (_, Some(ControllerTrust::Pinned(note))) => describe_certificate(note),
            (_, Some(ControllerTrust::Authority)) => "signed by an authority".to_owned(),
            (_, Some(ControllerTrust::Plain) | None) => "none".to_owned(),
        }
    }

    fn presented(&self) -> String {
        match &self.report.certificate {
            Some(certificate) => describe_certificate(&certificate.note),
            None => "none (no TLS)".to_owned(),
        }
    }
}

/// Shows the certificates to accept, and asks. Does not ask if there are none.
fn confirm(rounds: &Rounds<'_>, reviews: &[PinReview<'_>]) -> CommandResult<bool> {
    let to_accept: Vec<_> = reviews
        .iter()
        .filter(|review| matches!(review.change, PinChange::Accept(_)))
        .collect();
    if to_accept.is_empty() {
        return Ok(true);
    }
    let count = plural(to_accept.len(), "BMC");
    let mut message = format!("the certificates of {count} would be accepted");
    for review in to_accept {
        let (host, new, old) = (
            &review.target.host.name,
            review.presented(),
            review.trusted(),
        );
        message.push_str(&format!("\n  {host}: {new}; trusted until now: {old}"));
    }
    rounds.ask(&message, "Accept?")
}

fn print_reviews(
    rounds: &Rounds<'_>,
    reports: &[HostReport],
    reviews: &[PinReview<'_>],
    is_accepted: bool,
) {
    if !rounds.output.is_json() {
        let text = text(reviews, is_accepted, rounds.dry_run);
        rounds.output.result(&text);
        return;
    }
    let listed = reports.iter().map(|report| {
        let mut value = json_of(report);
        let review = reviews.iter().find(|it| it.report.host == report.host);
        if let Some(review) = review {
            value["result"] = review.result(is_accepted, rounds.dry_run).into();
            let changed = is_accepted && matches!(review.change, PinChange::Accept(_));
            value["changed"] = changed.into();
        }
        value
    });
    let listed: Vec<_> = listed.collect();
    rounds.output.json(&listed);
}

/// Reports whether the presented certificate is already trusted.
fn is_trusted(target: &BmcTarget, report: &HostReport) -> bool {
    let record = target.record.as_ref().map(|record| &record.trust);
    match (&report.certificate, &target.bmc.certificate, record) {
        (Some(presented), Certificate::Pinned(pin), _) => *pin == presented.note.fingerprint,
        (Some(_), Certificate::Authority(_), record) => record == Some(&ControllerTrust::Authority),
        (Some(presented), _, Some(ControllerTrust::Pinned(note))) => {
            note.fingerprint == presented.note.fingerprint
        }
        (None, _, Some(ControllerTrust::Plain)) => true,
        _ => false,
    }
}

fn pin_change(target: &BmcTarget, report: &HostReport, yes: bool) -> PinChange {
    let url = target.bmc.url.to_string();
    // The new record forgets the machine, which may have been replaced together with its BMC.
    let mut record = ControllerRecord::new(&target.host.name, url, wall_time());
    if let Some(certificate) = &report.certificate {
        let fingerprint = certificate.note.fingerprint;
        if matches!(&target.bmc.certificate, Certificate::Pinned(pin) if *pin != fingerprint) {
            return PinChange::PinnedInInventory;
        }
        record.trust = match target.bmc.certificate {
            Certificate::Authority(_) => ControllerTrust::Authority,
            _ => ControllerTrust::Pinned(certificate.note.clone()),
        };
    }
    // With an unchanged certificate, only `--yes` forgets the machine.
    let has_machine = |record: &ControllerRecord| record.serial.is_some() || record.uuid.is_some();
    let forgets_machine = yes && target.record.as_ref().is_some_and(has_machine);
    if is_trusted(target, report) && !forgets_machine {
        PinChange::Unchanged
    } else {
        PinChange::Accept(Box::new(record))
    }
}

/// Formats a table that fits on a screen, followed by the full fingerprints.
fn text(reviews: &[PinReview<'_>], is_accepted: bool, dry_run: bool) -> String {
    let mut rows = table(&["HOST", "TRUSTED", "PRESENTED", "RESULT"]);
    let mut details = String::new();
    for review in reviews {
        let host = &review.target.host.name;
        let (old, new) = (review.trusted(), review.presented());
        let result = review.result(is_accepted, dry_run);
        rows.add_row([host.as_str(), &shortened(&old), &shortened(&new), result]);
        details.push_str(&format!("\n{host}\n"));
        if old != new {
            details.push_str(&format!("  trusted    {old}\n"));
        }
        details.push_str(&format!("  presented  {new}\n"));
    }
    format!("{}{details}", format_table(rows))
}

/// Returns the first digits of a fingerprint, enough to compare two at a glance.
fn shortened(text: &str) -> String {
    match text.strip_prefix("sha256:") {
        Some(rest) => format!("sha256:{}…", &rest[..rest.len().min(SHORT_FINGERPRINT)]),
        None => text.to_owned(),
    }
}
