use std::path::PathBuf;
use std::sync::Arc;

use super::options::{ChangeOptions, ReachOptions};
use super::progress::Progress;
use super::report;
use crate::bmc::{BmcTarget, BmcTask, FleetOptions, HostJob, HostReport, Services};
use crate::cli::confirm::{confirmed, some_of};
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::inventory::{Good, load, load_settled, state};
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::decide::{Standing, install_under_way};
use crate::inventory::Host;
use crate::machine::{HostRecord, Phase};
use crate::store::{SqliteStore, Store};
use crate::workspace::Secrets;

/// One pass of a command over the BMCs of the selected hosts.
pub struct Rounds<'o> {
    pub output: &'o Output,
    pub good: Good,
    pub store: Arc<SqliteStore>,
    pub directory: PathBuf,
    pub targets: Vec<BmcTarget>,
    pub dry_run: bool,
    pub yes: bool,
    reach: ReachOptions,
    records: Vec<HostRecord>,
    standing: Standing,
}

impl<'o> Rounds<'o> {
    /// Opens the inventory and the store for a command that only reads.
    pub fn open(
        global: &Global,
        output: &'o Output,
        select: &Select,
        reach: &ReachOptions,
    ) -> CommandResult<Self> {
        let good = load(global, output)?;
        let change = ChangeOptions {
            reach: reach.clone(),
            dry_run: false,
            yes: false,
        };
        Self::with(good, global, output, select, &change)
    }

    /// Like [`Rounds::open`], for a command that changes something: it never uses an incomplete git
    /// checkout.
    pub fn open_to_change(
        global: &Global,
        output: &'o Output,
        select: &Select,
        change: &ChangeOptions,
    ) -> CommandResult<Self> {
        let good = load_settled(global, output)?;
        Self::with(good, global, output, select, change)
    }

    fn with(
        good: Good,
        global: &Global,
        output: &'o Output,
        select: &Select,
        change: &ChangeOptions,
    ) -> CommandResult<Self> {
        let directory = state(global, &good.inventory)?;
        let hosts = select.find(&good.inventory)?;
        let without: Vec<&str> = hosts
            .iter()
            .filter(|host| host.bmc.is_none())
            .map(|host| host.name.as_str())
            .collect();
        let help = "add `bmc: {url: …, username: …, password: …}` to the host";
        if !without.is_empty() && (without.len() == hosts.len() || !select.hosts.is_empty()) {
            let message = format!("no BMC in the inventory for {}", some_of(&without));
            output.error(&message, help);
            return Err(CommandError::reported(Exit::No));
        }
        if !without.is_empty() {
            let message = format!("skipping hosts without a BMC: {}", some_of(&without));
            output.warning(&message, help);
        }
        let store = Arc::new(SqliteStore::open(&directory)?);
        let controllers = store.controllers()?;
        let records = store.hosts()?;
        let standing = store.standing()?;
        let targets = hosts.into_iter().filter_map(|host| {
            Some(BmcTarget {
                bmc: host.bmc.clone()?,
                record: controllers.iter().find(|it| it.host == host.name).cloned(),
                session: record(&records, host)
                    .and_then(HostRecord::open_session)
                    .map(|session| session.id),
                host: host.clone(),
            })
        });
        let targets = targets.collect();
        Ok(Self {
            targets,
            output,
            good,
            store,
            directory,
            dry_run: change.dry_run,
            yes: change.yes,
            reach: change.reach.clone(),
            records,
            standing,
        })
    }

    /// Asks before the command interrupts hosts that are installed or installing. `action` is the
    /// past participle of what would happen to them.
    pub fn confirm_interruption(&self, action: &str) -> CommandResult<()> {
        let hosts = self.hosts(|host| self.is_installing(host) || self.is_installed(host));
        let message = match hosts.as_slice() {
            [host] => format!(
                "`{}` is {} and would be {action}",
                host.name,
                self.state(host)
            ),
            hosts => format!(
                "{} hosts would be {action}: {}",
                hosts.len(),
                self.listed(hosts)
            ),
        };
        self.confirm(&hosts, &message, "use `--yes` to continue anyway")
    }

    /// Asks before the command reboots hosts that would not install because they are not armed, and
    /// before it interrupts a running installer.
    pub fn confirm_reboot(&self) -> CommandResult<()> {
        let installing = self.hosts(|host| self.is_installing(host));
        let unarmed = self.hosts(|host| !self.is_installing(host) && !self.is_armed(host));
        let groups = [
            (&installing, "installing", "be interrupted"),
            (&unarmed, "not armed", "be rebooted without an install"),
        ];
        let parts = groups.map(|(hosts, state, effect)| match hosts.as_slice() {
            [] => None,
            [host] => Some(format!("`{}` is {state} and would {effect}", host.name)),
            hosts => Some(format!(
                "{} hosts are {state} and would {effect}: {}",
                hosts.len(),
                self.listed(hosts)
            )),
        });
        let message = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let help = if unarmed.is_empty() {
            "wait until they have finished, or use `--yes` to continue anyway"
        } else {
            "arm the hosts with `pxectl host provision`, or use `--yes` to continue anyway"
        };
        self.confirm(&[installing, unarmed].concat(), &message, help)
    }

    fn confirm(&self, hosts: &[&Host], message: &str, help: &str) -> CommandResult<()> {
        if hosts.is_empty() || self.yes {
            return Ok(());
        }
        if self.dry_run {
            let note = format!(
                "{message}; without `--dry-run`, this command asks first, and refuses to continue \
                 without a terminal ({help})"
            );
            self.output.note(&note);
            return Ok(());
        }
        if confirmed(self.output, message, "Continue?", help)? {
            Ok(())
        } else {
            Err(CommandError::reported(Exit::No))
        }
    }

    /// Asks a question, unless the operator used `--yes`.
    pub fn ask(&self, message: &str, question: &str) -> CommandResult<bool> {
        if self.yes {
            return Ok(true);
        }
        let help = "use `--yes` to run without a prompt";
        Ok(confirmed(self.output, message, question, help)?)
    }

    fn hosts(&self, is_selected: impl Fn(&Host) -> bool) -> Vec<&Host> {
        let hosts = self.targets.iter().map(|target| &target.host);
        hosts.filter(|host| is_selected(host)).collect()
    }

    /// Lists some hosts with their states.
    fn listed(&self, hosts: &[&Host]) -> String {
        let described: Vec<String> = hosts
            .iter()
            .map(|host| format!("{} ({})", host.name, self.state(host)))
            .collect();
        some_of(&described.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn state(&self, host: &Host) -> String {
        if self.is_installing(host) {
            return "installing".to_owned();
        }
        record(&self.records, host)
            .map_or(Phase::New, |record| record.phase)
            .to_string()
    }

    fn is_installed(&self, host: &Host) -> bool {
        record(&self.records, host).is_some_and(|record| record.phase == Phase::Installed)
    }

    /// Reports whether an attempt has begun and its installer has not reported a result.
    fn is_installing(&self, host: &Host) -> bool {
        let record = record(&self.records, host);
        record.is_some_and(|record| install_under_way(record, &self.standing).is_some())
    }

    fn is_armed(&self, host: &Host) -> bool {
        let session = record(&self.records, host).and_then(HostRecord::open_session);
        session.is_some_and(|session| {
            session.suspended.is_none()
                && self.standing.impediment().is_none()
                && !self.standing.is_past_deadline(session)
        })
    }

    /// Runs a task on each host, prints the results, and returns the exit code.
    pub fn run(&self, task: impl Fn(&BmcTarget) -> CommandResult<BmcTask>) -> CommandResult {
        let reports = self.visit(task)?;
        report::print(&reports, self.dry_run, self.output);
        Ok(exit_for(&reports))
    }

    /// Runs a task on each host and returns the reports, in the order of the targets.
    pub fn visit(
        &self,
        task: impl Fn(&BmcTarget) -> CommandResult<BmcTask>,
    ) -> CommandResult<Vec<HostReport>> {
        let names = self.targets.iter().map(|target| target.host.name.as_str());
        self.visit_with(Progress::new(self.output, names), task)
    }

    /// Like [`Rounds::visit`], for tasks that print while they run.
    pub fn visit_without_progress(
        &self,
        task: impl Fn(&BmcTarget) -> CommandResult<BmcTask>,
    ) -> CommandResult<Vec<HostReport>> {
        self.visit_with(Progress::hidden(self.output), task)
    }

    fn visit_with(
        &self,
        progress: Progress,
        task: impl Fn(&BmcTarget) -> CommandResult<BmcTask>,
    ) -> CommandResult<Vec<HostReport>> {
        let progress = Arc::new(progress);
        let jobs = self.targets.iter().map(|target| {
            Ok(HostJob {
                target: target.clone(),
                task: task(target)?,
            })
        });
        let jobs = jobs.collect::<CommandResult<Vec<HostJob>>>()?;
        let directory = self.good.snapshot.directory().to_owned();
        let warn = {
            let progress = Arc::clone(&progress);
            Box::new(move |message: &str, help: &str| progress.warn(message, help))
        };
        let secrets = Secrets::new(&directory, warn);
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let services = Arc::new(Services::new(directory, secrets, store));
        let options = FleetOptions {
            jobs: usize::from(self.reach.jobs),
            time_limit: self.reach.timeout,
            dry_run: self.dry_run,
        };
        let on_progress = {
            let progress = Arc::clone(&progress);
            Arc::new(move |host: &str, activity: &str| progress.report(host, activity))
        };
        let mut on_finished = |report: &HostReport| progress.finish(report);
        let reports = crate::bmc::run(jobs, services, options, on_progress, &mut on_finished);
        progress.end();
        Ok(reports?)
    }
}

fn record<'r>(records: &'r [HostRecord], host: &Host) -> Option<&'r HostRecord> {
    records.iter().find(|record| record.host == host.name)
}

/// Returns the exit code for the results of all hosts.
pub fn exit_for(reports: &[HostReport]) -> Exit {
    let succeeded = reports
        .iter()
        .filter(|report| report.result.is_ok())
        .count();
    match succeeded {
        0 => Exit::Failed,
        succeeded if succeeded < reports.len() => Exit::Partly,
        _ => Exit::Done,
    }
}

/// Returns the exit code of a command that only reads: 1 if all hosts were read and there is a
/// finding.
pub fn exit_with_findings(reports: &[HostReport], has_finding: bool) -> Exit {
    match exit_for(reports) {
        Exit::Done if has_finding => Exit::No,
        exit => exit,
    }
}
