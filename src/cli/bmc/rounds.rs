use std::path::PathBuf;
use std::sync::Arc;

use super::options::{Change, Reach};
use super::progress::Progress;
use super::{Stop, fails, report, said};
use crate::bmc::{Fleet, Job, Report, Target, Task, Tools};
use crate::cli::confirm::{confirmed, some_of};
use crate::cli::inventory::{Good, load, load_settled, state};
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::decide::{Standing, install_under_way};
use crate::inventory::Host;
use crate::machine::{HostRecord, Phase};
use crate::store::{SqliteStore, Store};
use crate::workspace::Secrets;

/// One command's way through the BMCs of some hosts.
pub struct Rounds<'o> {
    pub output: &'o Output,
    pub good: Good,
    pub store: Arc<SqliteStore>,
    pub directory: PathBuf,
    pub targets: Vec<Target>,
    pub dry_run: bool,
    pub yes: bool,
    reach: Reach,
    records: Vec<HostRecord>,
    standing: Standing,
}

impl<'o> Rounds<'o> {
    /// Finds the hosts and what is known of them, for a command that only reads.
    pub fn open(
        global: &Global,
        output: &'o Output,
        select: &Select,
        reach: &Reach,
    ) -> Result<Self, Stop> {
        let good = load(global, output).map_err(said)?;
        let change = Change {
            reach: reach.clone(),
            dry_run: false,
            yes: false,
        };
        Self::with(good, global, output, select, &change)
    }

    /// Like [`Rounds::open`], for a command that changes something: nothing may come of half a
    /// checkout.
    pub fn open_to_change(
        global: &Global,
        output: &'o Output,
        select: &Select,
        change: &Change,
    ) -> Result<Self, Stop> {
        let good = load_settled(global, output).map_err(said)?;
        Self::with(good, global, output, select, change)
    }

    fn with(
        good: Good,
        global: &Global,
        output: &'o Output,
        select: &Select,
        change: &Change,
    ) -> Result<Self, Stop> {
        let directory = state(global, &good.inventory).map_err(fails)?;
        let hosts = select.find(&good.inventory, output).map_err(said)?;
        let without: Vec<&str> = hosts
            .iter()
            .filter(|host| host.bmc.is_none())
            .map(|host| host.name.as_str())
            .collect();
        let help = "add `bmc: {url: …, username: …, password: …}` to the host";
        if !without.is_empty() && (without.len() == hosts.len() || !select.hosts.is_empty()) {
            let what = format!("no BMC is known of {}", some_of(&without));
            output.error(&what, help);
            return Err(said(Exit::No));
        }
        if !without.is_empty() {
            let what = format!("left out, without a BMC: {}", some_of(&without));
            output.warning(&what, help);
        }
        let store = Arc::new(SqliteStore::open(&directory).map_err(fails)?);
        let kept = store.controllers().map_err(fails)?;
        let records = store.hosts().map_err(fails)?;
        let standing = store.standing().map_err(fails)?;
        let targets = hosts.into_iter().filter_map(|host| {
            Some(Target {
                bmc: host.bmc.clone()?,
                kept: kept.iter().find(|it| it.host == host.name).cloned(),
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

    /// Asks before hosts are interrupted that are installed or installing; `done` is what would be
    /// done to them.
    pub fn confirm_interruption(&self, done: &str) -> Result<(), Stop> {
        let hosts = self.which(|host| self.is_installing(host) || self.is_installed(host));
        let what = match hosts.as_slice() {
            [host] => format!("{} is {}, and would be {done}", host.name, self.state(host)),
            hosts => format!(
                "{} hosts would be {done}: {}",
                hosts.len(),
                self.listed(hosts)
            ),
        };
        self.confirm(&hosts, &what, "give `--yes` to do it all the same")
    }

    /// Asks before hosts are rebooted that would not install, since nobody armed them, and before an
    /// installer at work is interrupted.
    pub fn confirm_reboot(&self) -> Result<(), Stop> {
        let installing = self.which(|host| self.is_installing(host));
        let unarmed = self.which(|host| !self.is_installing(host) && !self.is_armed(host));
        let mut what = Vec::new();
        match installing.as_slice() {
            [] => {}
            [host] => what.push(format!(
                "{} is installing: it would be interrupted",
                host.name
            )),
            hosts => what.push(format!(
                "{} hosts are installing: they would be interrupted: {}",
                hosts.len(),
                self.listed(hosts)
            )),
        }
        match unarmed.as_slice() {
            [] => {}
            [host] => what.push(format!(
                "{} is not armed: it would be rebooted, and install nothing",
                host.name
            )),
            hosts => what.push(format!(
                "{} hosts are not armed: they would be rebooted, and install nothing: {}",
                hosts.len(),
                self.listed(hosts)
            )),
        }
        let help = match unarmed.is_empty() {
            true => "wait until they are done, or give `--yes` to do it all the same",
            false => "arm with `pxectl host provision`, or give `--yes` to do it all the same",
        };
        let hosts = [installing, unarmed].concat();
        self.confirm(&hosts, &what.join("; "), help)
    }

    fn confirm(&self, hosts: &[&Host], what: &str, help: &str) -> Result<(), Stop> {
        if hosts.is_empty() || self.yes {
            return Ok(());
        }
        if self.dry_run {
            let what = format!(
                "{what}. Without `--dry-run` this asks first, and refuses where nobody can be \
                 asked; {help}"
            );
            self.output.note(&what);
            return Ok(());
        }
        match confirmed(self.output, what, "Do it?", help).map_err(fails)? {
            true => Ok(()),
            false => Err(said(Exit::No)),
        }
    }

    /// Asks, unless `--yes` was given.
    pub fn asks(&self, what: &str, question: &str) -> Result<bool, Stop> {
        let help = "give `--yes` where nobody can be asked";
        match self.yes {
            true => Ok(true),
            false => confirmed(self.output, what, question, help).map_err(fails),
        }
    }

    fn which(&self, wanted: impl Fn(&Host) -> bool) -> Vec<&Host> {
        let hosts = self.targets.iter().map(|target| &target.host);
        hosts.filter(|host| wanted(host)).collect()
    }

    /// Names some hosts, and what each is.
    fn listed(&self, hosts: &[&Host]) -> String {
        let named = hosts
            .iter()
            .map(|host| format!("{} ({})", host.name, self.state(host)));
        let named: Vec<String> = named.collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        some_of(&named)
    }

    fn state(&self, host: &Host) -> String {
        match self.is_installing(host) {
            true => "installing".to_owned(),
            false => record(&self.records, host)
                .map_or(Phase::New, |record| record.phase)
                .to_string(),
        }
    }

    fn is_installed(&self, host: &Host) -> bool {
        record(&self.records, host).is_some_and(|record| record.phase == Phase::Installed)
    }

    /// An attempt was begun, and its installer has not reported.
    fn is_installing(&self, host: &Host) -> bool {
        let record = record(&self.records, host);
        record.is_some_and(|record| install_under_way(record, &self.standing).is_some())
    }

    fn is_armed(&self, host: &Host) -> bool {
        let session = record(&self.records, host).and_then(HostRecord::open_session);
        session.is_some_and(|session| !self.standing.is_past_deadline(session))
    }

    /// Does a task to each host, prints what came of it, and says how to exit.
    pub fn carry_out(&self, task: impl Fn(&Target) -> Result<Task, Stop>) -> Result<Exit, Stop> {
        let reports = self.visit(task)?;
        report::print(&reports, self.dry_run, self.output);
        Ok(exit_for(&reports))
    }

    /// Says how a command that looks ends: with 1 where all were looked at and one has a fault.
    pub fn exit_unless(
        &self,
        reports: &[Report],
        mut has_fault: impl FnMut(&Target, &Report) -> bool,
    ) -> Exit {
        let mut pairs = self.targets.iter().zip(reports);
        match exit_for(reports) {
            Exit::Done if pairs.any(|(target, report)| has_fault(target, report)) => Exit::No,
            exit => exit,
        }
    }

    /// Does a task to each host.
    pub fn visit(&self, task: impl Fn(&Target) -> Result<Task, Stop>) -> Result<Vec<Report>, Stop> {
        let jobs = self.targets.iter().map(|target| {
            Ok(Job {
                target: target.clone(),
                task: task(target)?,
            })
        });
        let jobs = jobs.collect::<Result<Vec<Job>, Stop>>()?;
        let names = self.targets.iter().map(|target| target.host.name.as_str());
        let progress = Arc::new(Progress::new(self.output, names));
        let (warning, watching) = (Arc::clone(&progress), Arc::clone(&progress));
        let warn = Box::new(move |what: &str, help: &str| warning.warn(what, help));
        let watch = Arc::new(move |host: &str, what: &str| watching.says(host, what));
        let directory = self.good.snapshot.directory().to_owned();
        let secrets = Secrets::new(&directory, warn);
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let tools = Arc::new(Tools::new(directory, secrets, store));
        let fleet = Fleet {
            jobs: usize::from(self.reach.jobs),
            time: self.reach.timeout,
            dry_run: self.dry_run,
        };
        let reports = crate::bmc::run(jobs, tools, fleet, watch, &mut |it| progress.finished(it));
        progress.end();
        reports.map_err(fails)
    }
}

fn record<'r>(records: &'r [HostRecord], host: &Host) -> Option<&'r HostRecord> {
    records.iter().find(|record| record.host == host.name)
}

/// Says how a command ends by how its hosts ended.
pub fn exit_for(reports: &[Report]) -> Exit {
    let good = reports
        .iter()
        .filter(|report| report.result.is_ok())
        .count();
    match good {
        0 => Exit::Failed,
        good if good < reports.len() => Exit::Partly,
        _ => Exit::Done,
    }
}
