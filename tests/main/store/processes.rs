//! Rival processes: killed at any moment, racing to create, writing all at once, out of space.
//!
//! A rival is this test binary once more, running the ignored test [`rival`] in the role that its
//! environment names. It tells what it does on its standard output, one line each.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pxectl::decide::Standing;
use pxectl::machine::LeaseChange;
use pxectl::machine::{HostRecord, Lease};
use pxectl::store::{
    EventQuery, HostUpdate, LeaseStore, RunningServer, SqliteLeases, SqliteStore, Store, StoreFault,
};

use super::{arm, at, event, open, witness};

const ROLE: &str = "PXECTL_TEST_RIVAL";
const DIRECTORY: &str = "PXECTL_TEST_DIRECTORY";

#[test]
#[ignore = "the process that other tests start"]
fn rival() {
    let Some(role) = env::var_os(ROLE) else {
        return;
    };
    let directory = PathBuf::from(env::var_os(DIRECTORY).unwrap());
    match role.to_str().unwrap() {
        "count" => count(&directory),
        "create" => say(format_args!("key {:?}", open(&directory).key())),
        "contend" => contend(&directory),
        "serve" => serve(&directory),
        "fill" => fill(&directory),
        "read-only" => open_read_only(&directory),
        role => panic!("no such role: {role}"),
    }
}

struct Rival {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Rival {
    fn start(role: &str, directory: &Path) -> Self {
        Self::start_under(&[] as &[&OsStr], role, directory)
    }

    /// Starts a rival by way of the command `wrapper`.
    fn start_under(wrapper: &[impl AsRef<OsStr>], role: &str, directory: &Path) -> Self {
        let mut words: Vec<&OsStr> = wrapper.iter().map(AsRef::as_ref).collect();
        let binary = env::current_exe().unwrap();
        words.push(binary.as_os_str());
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "store::processes::rival",
            ])
            .env(ROLE, role)
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Returns what the rival says next under `word`; none when it has ended.
    fn next(&mut self, word: &str) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // The harness's own words stand before the first on the same line.
            if let Some(at) = line.find(&format!("{word} ")) {
                return Some(line[at + word.len() + 1..].trim().to_owned());
            }
            line.clear();
        }
        None
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    fn wait(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: std::fmt::Arguments) {
    // Not `println!`, which the lints forbid: the lines are for the parent, not for people.
    let mut output = std::io::stdout();
    writeln!(output, "{line}").unwrap();
}

/// Up to `most` microseconds, at random.
fn random_pause(most: u32) -> Duration {
    Duration::from_micros(u64::from(getrandom::u32().unwrap() % most))
}

// Killed at any moment.

/// Changes host `a` and its number of events, and a lease, forever: `start n`, then `done n`.
fn count(directory: &Path) {
    let store = open(directory);
    let mut leases = SqliteLeases::open(directory).unwrap();
    let first = counted(&store) + 1;
    for number in first.. {
        say(format_args!("start {number}"));
        leases
            .commit(&[LeaseChange::Hold(counting_lease(number))])
            .unwrap();
        let mut change = |name: &str, _: Option<&HostRecord>, _: &Standing| {
            let mut update: HostUpdate = arm(name, number, 5);
            update.record.reason = Some(number.to_string());
            Some(update)
        };
        store.update(&["a"], &mut change).unwrap();
        say(format_args!("done {number}"));
    }
}

fn counting_lease(number: u64) -> Lease {
    Lease {
        address: [10, 0, 0, 1].into(),
        network: "prov0".into(),
        holder: None,
        expires: at(number as i64),
    }
}

fn counted(store: &dyn Store) -> u64 {
    let record = store.host("a").unwrap();
    let reason = record.and_then(|record| record.reason);
    reason.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn what_was_acknowledged_outlives_a_kill_at_any_moment_and_nothing_else_appears() {
    let directory = tempfile::tempdir().unwrap();
    let (mut total, mut round) = (0, 0);
    // A busy machine kills most rivals before they have done anything: the work is what counts.
    while round < 30 || total < 30 {
        round += 1;
        assert!(round <= 500, "the rivals hardly work: {total}");
        let mut rival = Rival::start("count", directory.path());
        rival.next("start").unwrap();
        std::thread::sleep(random_pause(20_000));
        rival.kill();
        // What it said before it died is still in the pipe.
        let (mut started, mut done) = (total + 1, total);
        let mut line = String::new();
        while rival.output.read_line(&mut line).unwrap() > 0 {
            match line.trim().split_once(' ') {
                Some(("start", number)) => started = number.parse().unwrap(),
                Some(("done", number)) => done = number.parse().unwrap(),
                _ => panic!("round {round}: {line}"),
            }
            line.clear();
        }

        let store = open(directory.path());
        total = counted(&store);
        assert!(
            (done..=started).contains(&total),
            "round {round}: {done} were acknowledged, {started} started, {total} are there"
        );
        let events = store
            .events(&EventQuery {
                after: 0,
                host: Some("a".into()),
                limit: usize::MAX,
                latest: false,
            })
            .unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.id).collect();
        assert_eq!(numbers, (1..=total).collect::<Vec<_>>(), "round {round}");
        let leases = SqliteLeases::open(directory.path())
            .unwrap()
            .load()
            .unwrap();
        assert!(
            leases == [counting_lease(total)] || leases == [counting_lease(total + 1)],
            "round {round}: {total}: {leases:?}"
        );
    }
}

#[test]
fn a_store_whose_maker_was_killed_is_made_by_the_next() {
    for round in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let mut rival = Rival::start("create", directory.path());
        std::thread::sleep(random_pause(15_000));
        rival.kill();
        let told = rival.next("key");
        let key = format!("{:?}", open(directory.path()).key());
        assert!(told.is_none_or(|told| told == key), "round {round}");
    }
}

#[test]
fn a_killed_server_is_not_a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut rival = Rival::start("serve", directory.path());
    let pid = rival.next("serving").unwrap().parse().unwrap();
    let listed = RunningServer::list(directory.path()).unwrap();
    let [server] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!((server.role.as_str(), server.pid), ("all", pid));
    assert!(server.uses(open(directory.path()).file()));
    rival.kill();
    assert_eq!(rival.next("serving"), None);
    rival.child.wait().unwrap();
    assert_eq!(RunningServer::list(directory.path()).unwrap(), []);
}

fn serve(directory: &Path) {
    let pid = std::process::id();
    let store = open(directory);
    let _registration = store.register_server(directory, "all", pid).unwrap();
    say(format_args!("serving {pid}"));
    let _ = std::io::stdin().read_line(&mut String::new());
}

// Racing to create, and writing all at once.

#[test]
fn processes_that_race_to_create_a_store_all_get_the_same_one() {
    for round in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("new/state");
        let mut rivals: Vec<Rival> = (0..6).map(|_| Rival::start("create", &state)).collect();
        let keys: Vec<_> = rivals.iter_mut().map(|rival| rival.next("key")).collect();
        rivals.into_iter().for_each(Rival::wait);
        assert!(keys[0].is_some(), "round {round}");
        assert!(
            keys.iter().all(|key| *key == keys[0]),
            "round {round}: {keys:?}"
        );
    }
}

const CONTENDERS: u64 = 3;
const COMMITS: u64 = 300;

/// Commits as fast as it can, and tells its longest wait in milliseconds.
fn contend(directory: &Path) {
    let store = open(directory);
    say(format_args!("ready 1"));
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let mut longest = Duration::ZERO;
    for number in 0..COMMITS {
        let begin = Instant::now();
        store.append(&[event("a", 1, number.to_string())]).unwrap();
        longest = longest.max(begin.elapsed());
    }
    say(format_args!("longest {}", longest.as_millis()));
}

#[test]
fn many_writers_at_once_do_not_starve() {
    let directory = tempfile::tempdir().unwrap();
    let mut rivals: Vec<Rival> = (0..CONTENDERS)
        .map(|_| Rival::start("contend", directory.path()))
        .collect();
    for rival in &mut rivals {
        rival.next("ready").unwrap();
    }
    for rival in &mut rivals {
        rival
            .child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"go\n")
            .unwrap();
    }
    for mut rival in rivals {
        let longest = rival.next("longest").expect("no commit may fail");
        assert!(
            longest.parse::<u32>().unwrap() < 2_000,
            "starved: {longest} ms"
        );
        rival.wait();
    }
    let watermark = open(directory.path()).watermark().unwrap();
    assert_eq!(watermark.changes, CONTENDERS * COMMITS);
    assert_eq!(watermark.last_event, CONTENDERS * COMMITS);
}

// Out of space, and read-only: on a small file system of their own, in a mount namespace.

/// Runs a rival on a new file system of 2 MiB, mounted with a script that sees its path as `$D`.
fn on_a_file_system_of_its_own(role: &str, mount: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let namespace = ["unshare", "--map-root-user", "--mount", "sh", "-euc"];
    let probe = Command::new(namespace[0])
        .args(&namespace[1..])
        .arg(format!("mount -t tmpfs -o size=2m none {path}"))
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        say(format_args!(
            "\nSKIPPED, NOT PROVEN: `{role}` needs mount namespaces, which are refused here"
        ));
        return;
    }
    let script = format!("D={path}; mount -t tmpfs -o size=2m none $D; {mount}; exec \"$@\"");
    let wrapper = [&namespace[..], &[script.as_str(), "sh"]].concat();
    let mut rival = Rival::start_under(&wrapper, role, directory.path());
    assert_eq!(rival.next("proven").as_deref(), Some(role));
    rival.wait();
}

#[test]
fn a_full_disk_refuses_the_change_keeps_what_was_there_and_recovers() {
    on_a_file_system_of_its_own("fill", "head -c 500000 /dev/zero > $D/ballast");
}

fn fill(directory: &Path) {
    let store = open(directory);
    let mut leases = SqliteLeases::open(directory).unwrap();
    let large = event("a", 1, "x".repeat(10_000));
    let mut kept = 0;
    let error = loop {
        match store.append(std::slice::from_ref(&large)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "the file system is not small");
    };
    assert!(
        kept > 10 && matches!(error.fault, StoreFault::Full),
        "{kept}: {error}"
    );
    let hold: Vec<LeaseChange> = (0..20_000u32)
        .map(|number| {
            let mut lease = counting_lease(1);
            lease.address = number.into();
            LeaseChange::Hold(lease)
        })
        .collect();
    let error = leases.commit(&hold).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Full), "{error}");
    assert_eq!(leases.load().unwrap(), []);
    assert_eq!(store.watermark().unwrap().last_event, kept);
    drop(store);

    let store = open(directory);
    assert_eq!(
        store.watermark().unwrap().last_event,
        kept,
        "after a restart"
    );
    std::fs::remove_file(directory.join("ballast")).unwrap();
    store
        .append(&[event("a", 2, "there is space again")])
        .unwrap();
    leases.commit(&hold[..100]).unwrap();
    assert_eq!(store.watermark().unwrap().last_event, kept + 1);
    assert_eq!(leases.load().unwrap().len(), 100);
    say(format_args!("proven fill"));
}

#[test]
fn a_read_only_directory_is_an_error_that_says_so() {
    on_a_file_system_of_its_own("read-only", "mount -o remount,ro $D");
}

fn open_read_only(directory: &Path) {
    let below = directory.join("state");
    for directory in [directory, &below] {
        let error = SqliteStore::open_or_create(directory, &witness())
            .err()
            .unwrap();
        assert!(matches!(error.fault, StoreFault::ReadOnly), "{error}");
        assert!(error.help().contains("--state"), "{}", error.help());
    }
    assert_eq!(RunningServer::list(directory).unwrap(), []);
    assert!(SqliteLeases::open_read_only(directory).unwrap().is_none());
    say(format_args!("proven read-only"));
}
